/* What happens to a schedule: faults and work, all planned from the seed at its beginning, so that a seed's list can be
 * read before it runs. Each fault ends by itself or by nemesis_heal. */
#include "tests/simulation/world.h"

#include <stdio.h>

enum fault_kind {
    FAULT_CUT,
    FAULT_CUT_ALL,
    FAULT_PATH_CLOSED,
    FAULT_SLOW_PATH,
    FAULT_SLOW_TOPIC,
    FAULT_SERVER_STILL,
    FAULT_BROKER_STILL,
    FAULT_BROKER_CRASH,
    FAULT_BROKER_DRAIN,
    FAULT_SERVER_RESTART,
    FAULT_FAILOVER,
    FAULT_FAILOVER_TAIL_LOST,
    FAULT_SPLIT_BRAIN,
    FAULT_DEMOTED_PROMOTED,
    FAULT_FLUSH,
    FAULT_DELETE_KEY,
    FAULT_FULL,
    FAULT_DISK_FAILED,
    FAULT_BUSY,
    FAULT_MESSAGE_LOST,
    FAULT_OVERFLOW,
    FAULT_GATEWAY_CUT_OFF,
    FAULT_SERVER_CLOCK,
    FAULT_BROKER_CLOCK,
    FAULT_REPLICA_STILL,
    FAULT_SCRIPTS_FORGOTTEN,
    FAULT_NEW_REPLID,
    FAULT_NO_REPLICAS,
    FAULT_GATEWAY_KILLED,
    FAULT_GATEWAY_SLOW,
    /* where Sentinels or nodes tell who is primary */
    FAULT_NO_NEWS,
    FAULT_VIEWER_CUT_OFF,
    FAULT_SLOTS_MOVE,
};
enum { FAULTS = FAULT_SLOTS_MOVE + 1, FAULTS_OF_NAMED = FAULT_GATEWAY_SLOW + 1, FAULTS_OF_GATEWAYS = 2 };

static const char *const names[FAULTS] = {"cut",
                                          "cut-all",
                                          "path-closed",
                                          "slow-path",
                                          "slow-topic",
                                          "server-still",
                                          "broker-still",
                                          "crash",
                                          "drain",
                                          "restart",
                                          "failover",
                                          "tail-lost",
                                          "split-brain",
                                          "demoted-promoted",
                                          "flush",
                                          "delete",
                                          "full",
                                          "disk-failed",
                                          "busy",
                                          "message-lost",
                                          "overflow",
                                          "gateway-off",
                                          "clock",
                                          "broker-clock",
                                          "replica-still",
                                          "scripts-forgotten",
                                          "new-replid",
                                          "no-replicas",
                                          "gateway-killed",
                                          "gateway-slow",
                                          "no-news",
                                          "viewer-off",
                                          "slots-move"};

static struct {
    char summary[512];
    uint64_t ends_us; /* faults that wait for something give up then */
    bool is_healed;
    bool shows_presence;
    bool is_steady;
} nemesis;

void nemesis_spare_gateways(void) {
    nemesis.is_steady = true;
    gateway_renews_everywhere = true;
}

void nemesis_show_presence(void) {
    nemesis.shows_presence = true;
}

const char *nemesis_summary(void) {
    return nemesis.summary;
}

/* Where there are groups, of one of them. */
static struct model_server *any_primary(void) {
    int n = model_topology_groups();
    return world_primary(n == 1 ? 0 : (int) sim_below((uint64_t) n));
}

static int any_broker(void) {
    return (int) sim_below((uint64_t) brokers_count());
}

/* ---- what a fault ends with ---- */

static void start_broker(void *context, uint64_t broker) {
    (void) context;
    if (!broker_is_up((int) broker)) {
        broker_start((int) broker);
    }
}

static void stop_broker(void *context, uint64_t broker) {
    (void) context;
    broker_stop((int) broker);
    sim_after(sim_between(0, 2 * SECOND), start_broker, NULL, broker);
}

static void start_gateway(void *context, uint64_t gateway) {
    (void) context;
    if (gateway_is_dead((int) gateway)) {
        gateway_start((int) gateway);
    }
}

/* Only where what was confirmed survives it, or nothing was promised. */
static bool may_lose_data(void) {
    for (int i = 0; i < checker_channels(); i++) {
        if (checker_is_safe(i)) {
            return false;
        }
    }
    return true;
}

static void come_back_as_replica(void *context, uint64_t ignored) {
    (void) ignored;
    struct model_server *server = context;
    if (nemesis.is_healed) {
        return;
    }
    bool is_first = server == world_primary(server->group);
    if (!server->is_alive && is_first && server->disk == MODEL_DISK_NONE) {
        if (!may_lose_data()) {
            return; /* it waits for the end */
        }
        checker_note_loss(-1);
    }
    if (!server->is_alive) {
        server->primary = is_first ? NULL : world_primary(server->group);
        model_topology_tell(server);
        model_restart(server, MODEL_KEEPS_ALL, 0);
        checker_note_reign();
    } else if (!is_first && server->primary == NULL) {
        model_follow(server, world_primary(server->group));
        model_topology_tell(server);
    }
}

static void come_back(void *context, uint64_t survival) {
    struct model_server *server = context;
    if (!server->is_alive && !nemesis.is_healed) {
        checker_note_reign();
        model_restart(server, (enum model_survival) survival, sim_chance(50) ? sim_below(500 * MS) : 0);
    }
}

static void fail_over(void *context, uint64_t late_us) {
    const struct model_server *old = context;
    if (model_topology_is_moving() && !nemesis.is_healed) {
        sim_after(100 * MS, fail_over, context, late_us); /* nobody reshards and fails over at once */
        return;
    }
    struct model_server *best = world_best_replica(old->group);
    if (best != NULL && !nemesis.is_healed && world_may_promote(best)) {
        world_fail_over(best, late_us);
    }
}

static void promote_again(void *context, uint64_t ignored) {
    (void) ignored;
    struct model_server *server = context;
    struct model_server *other = world_primary(server->group);
    if (server->is_alive && !model_topology_is_moving() && server->primary == other && !nemesis.is_healed &&
        world_may_promote(server)) {
        world_fail_over(server, 200 * MS);
        if (other->is_alive) {
            model_follow(other, server);
            model_topology_tell(other);
        }
    }
}

static void end_full(void *context, uint64_t ignored) {
    (void) ignored;
    struct model_server *server = context;
    server->is_full = false;
    server->disk_failed = false;
    server->min_replicas = 0;
}

static void end_slow(void *context, uint64_t ignored) {
    (void) ignored;
    struct sim_path *path = context;
    path->delay_us = 300;
    path->slow_us = 3 * MS;
    path->down_extra_us[0] = 0;
    path->down_extra_us[1] = 0;
}

/* ---- faults ---- */

static uint64_t some_time(void) {
    return sim_chance(60) ? sim_between(10 * MS, 900 * MS) : sim_between(900 * MS, 5 * SECOND);
}

static void close_path(int broker, int server, uint64_t us) {
    struct sim_path *path = sim_network_path(broker, server);
    uint64_t ways = sim_below(3);
    if (ways != 1) {
        path->up_closed_us = sim_now_us() + us;
    }
    if (ways != 0) {
        path->down_closed_us = sim_now_us() + us;
    }
    sim_trace("nemesis", "broker-%c and redis-%d: %s closed for %llu ms", 'a' + broker, server,
              ways == 0   ? "up"
              : ways == 1 ? "down"
                          : "both ways",
              (unsigned long long) (us / MS));
}

static void cut_all(int broker, int server) {
    struct sim_connection *connection = NULL;
    for (int i = 0; i < 8 && (connection = sim_network_any(broker, server)) != NULL; i++) {
        sim_network_cut(connection);
    }
}

static void kill_server(void *context, uint64_t ignored) {
    struct model_server *server = context;
    if (model_topology_is_moving() && !nemesis.is_healed) {
        sim_after(100 * MS, kill_server, context, ignored);
    } else if (server->is_alive && !nemesis.is_healed) {
        model_kill(server);
    }
}

/* The old primary dies or not; a replica that may lack something is promoted. */
static void begin_failover(enum fault_kind kind, struct model_server *old) {
    const struct model_server *best = world_best_replica(old->group);
    if (best == NULL || !old->is_alive) {
        return;
    }
    uint64_t dies_us = 0;
    if (kind == FAULT_FAILOVER_TAIL_LOST) {
        for (int i = 0; i < model_world.n; i++) {
            model_world.servers[i].link_cut_us = sim_now_us() + 3 * SECOND;
        }
        dies_us = sim_between(10 * MS, 800 * MS);
    }
    if (kind == FAULT_FAILOVER || kind == FAULT_FAILOVER_TAIL_LOST) {
        sim_after(dies_us, kill_server, old, 0);
    }
    sim_after(dies_us + sim_between(50 * MS, 1500 * MS), fail_over, old, sim_between(0, 800 * MS));
    uint64_t back_us = dies_us + sim_between(1600 * MS, 4 * SECOND);
    if (kind == FAULT_DEMOTED_PROMOTED) {
        sim_after(back_us, come_back_as_replica, old, 0);
        sim_after(back_us + sim_between(50 * MS, 2 * SECOND), promote_again, old, 0);
        return;
    }
    sim_after(back_us, come_back_as_replica, old, 0);
}

static void delete_key(struct model_server *server) {
    size_t n = HASH_CNT(by_name, server->store.keys);
    size_t nth = (size_t) sim_below(n);
    const struct model_key *key = server->store.keys;
    for (; key != NULL && nth > 0; nth--) {
        key = key->by_name.next;
    }
    if (key == NULL || !server->is_alive || server->primary != NULL) {
        return;
    }
    if (nemesis.shows_presence && strstr(key->name, ":h:") != NULL) {
        return; /* nothing finds that out: no number goes back with it */
    }
    sim_trace("nemesis", "deletes %s", key->name);
    char name[128];
    snprintf(name, sizeof name, "%s", key->name);
    checker_note_loss(-1);
    model_run(server, 2, (const char *const[]){"DEL", name}, NULL);
}

static void restart_primary(struct model_server *server) {
    bool is_sure = server->disk == MODEL_DISK_ALWAYS;
    if (!server->is_alive || model_topology_is_moving() || (!may_lose_data() && !is_sure)) {
        return;
    }
    model_kill(server);
    enum model_survival survival = is_sure ? MODEL_KEEPS_SYNCED : (enum model_survival) sim_below(3);
    if (survival == MODEL_KEEPS_NOTHING || server->disk == MODEL_DISK_NONE) {
        checker_note_loss(-1);
    }
    sim_after(sim_between(10 * MS, 2 * SECOND), come_back, server, (uint64_t) survival);
}

static void strike(void *context, uint64_t kind) {
    (void) context;
    if (nemesis.is_healed) {
        return;
    }
    struct model_server *primary = any_primary();
    int broker = any_broker();
    int server = (int) sim_below((uint64_t) model_world.n);
    uint64_t us = some_time();
    sim_trace("nemesis", "%s", names[kind]);
    switch ((enum fault_kind) kind) {
    case FAULT_CUT: {
        struct sim_connection *connection = sim_network_any(broker, primary->index);
        if (connection != NULL) {
            sim_network_cut(connection);
        }
        break;
    }
    case FAULT_CUT_ALL:
        cut_all(broker, primary->index);
        break;
    case FAULT_PATH_CLOSED:
        close_path(broker, primary->index, us);
        break;
    case FAULT_SLOW_PATH:
        sim_network_path(broker, primary->index)->delay_us = sim_between(5 * MS, 120 * MS);
        sim_after(us, end_slow, sim_network_path(broker, primary->index), 0);
        break;
    case FAULT_SLOW_TOPIC:
        sim_network_path(broker, primary->index)->down_extra_us[sim_below(2)] = sim_between(5 * MS, 300 * MS);
        sim_after(us, end_slow, sim_network_path(broker, primary->index), 0);
        break;
    case FAULT_SERVER_STILL:
        model_stand_still(primary, sim_now_us() + us);
        break;
    case FAULT_BROKER_STILL:
        if (broker_is_up(broker)) {
            sim_process_stand_still(broker_process(broker), sim_now_us() + us);
        }
        break;
    case FAULT_BROKER_CRASH:
        broker_crash(broker);
        sim_after(sim_chance(50) ? 0 : us, start_broker, NULL, (uint64_t) broker);
        break;
    case FAULT_BROKER_DRAIN:
        broker_drain(broker);
        sim_after(sim_between(100 * MS, 1 * SECOND), stop_broker, NULL, (uint64_t) broker);
        break;
    case FAULT_SERVER_RESTART:
        restart_primary(primary);
        break;
    case FAULT_FAILOVER:
    case FAULT_FAILOVER_TAIL_LOST:
    case FAULT_SPLIT_BRAIN:
    case FAULT_DEMOTED_PROMOTED:
        begin_failover((enum fault_kind) kind, primary);
        break;
    case FAULT_FLUSH:
        if (primary->is_alive && primary->primary == NULL) {
            checker_note_loss(-1);
            model_run(primary, 1, (const char *const[]){"FLUSHALL"}, NULL);
        }
        break;
    case FAULT_DELETE_KEY:
        delete_key(primary);
        break;
    case FAULT_FULL:
        primary->is_full = true;
        sim_after(us, end_full, primary, 0);
        break;
    case FAULT_DISK_FAILED:
        primary->disk_failed = true;
        sim_after(us, end_full, primary, 0);
        break;
    case FAULT_NO_REPLICAS:
        primary->min_replicas = 1;
        sim_after(us, end_full, primary, 0);
        break;
    case FAULT_BUSY:
        primary->busy_until_us = sim_now_us() + us;
        break;
    case FAULT_MESSAGE_LOST:
        model_lose_message(primary);
        break;
    case FAULT_OVERFLOW:
        model_overflow(primary);
        break;
    case FAULT_GATEWAY_CUT_OFF:
        gateway_partition((int) sim_below((uint64_t) gateways_count()), broker, sim_now_us() + us);
        break;
    case FAULT_GATEWAY_KILLED: {
        uint64_t gateway = sim_below((uint64_t) gateways_count());
        if (!gateway_is_dead((int) gateway)) {
            gateway_kill((int) gateway);
            sim_after(sim_chance(50) ? sim_below(100 * MS) : us, start_gateway, NULL, gateway);
        }
        break;
    }
    case FAULT_GATEWAY_SLOW:
        gateway_slow((int) sim_below((uint64_t) gateways_count()), sim_now_us() + us);
        break;
    case FAULT_SERVER_CLOCK:
        checker_note_loss(-1);
        primary->clock_ahead_ms += sim_chance(50) ? 3600000 : 100000;
        break;
    case FAULT_BROKER_CLOCK:
        if (broker_is_up(broker)) {
            broker_process(broker)->clock_ahead_ms += (uint64_t) (sim_chance(50) ? 3600000 : -3600000);
        }
        break;
    case FAULT_REPLICA_STILL:
        if (model_world.servers[server].primary != NULL) {
            model_stand_still(&model_world.servers[server], sim_now_us() + us);
        }
        break;
    case FAULT_SCRIPTS_FORGOTTEN:
        memset(primary->knows_script, 0, sizeof primary->knows_script);
        break;
    case FAULT_NEW_REPLID:
        if (primary->is_alive && primary->primary == NULL && model_good_replicas(primary) == 0) {
            checker_note_reign();
            model_new_replid(primary);
        }
        break;
    case FAULT_NO_NEWS:
        model_topology_freeze(model_topology_any_viewer(), sim_now_us() + us);
        break;
    case FAULT_VIEWER_CUT_OFF:
        close_path(broker, model_topology_any_viewer(), us);
        break;
    case FAULT_SLOTS_MOVE:
        if (model_topology_move((int) sim_below(MODEL_UNITS), sim_below(2 * SECOND))) {
            checker_note_reign();
        }
        break;
    }
}

/* ---- work ---- */

static void publish(void *context, uint64_t n) {
    (void) context;
    int channel = (int) sim_below((uint64_t) checker_channels());
    int gateway = (int) sim_below((uint64_t) gateways_count());
    bool is_keyed = sim_chance(70);
    for (uint64_t i = 0; i < n; i++) {
        int broker = sim_chance(80) ? -1 : any_broker();
        world_publish(channel, gateway, broker, is_keyed, 1 + (unsigned) sim_below(5));
        if (sim_chance(40)) {
            channel = (int) sim_below((uint64_t) checker_channels());
        }
    }
}

static void move(void *context, uint64_t session) {
    (void) context;
    world_leave((int) session);
    world_join((int) session, (int) sim_below((uint64_t) gateways_count()));
}

static void leave_for_a_while(void *context, uint64_t session) {
    world_leave((int) session);
    sim_after(sim_between(10 * MS, 4 * SECOND), move, context, session);
}

static void plan_work(uint64_t us) {
    unsigned n_sessions = 4 + (unsigned) sim_below(5);
    for (unsigned i = 0; i < n_sessions; i++) {
        int session = checker_add_session((int) (i % (unsigned) checker_channels()));
        if (nemesis.shows_presence && sim_chance(50)) {
            gateway_show(0, session, checker_channel_name(checker_session_channel(session)));
        }
        sim_after(sim_below(us / 4), move, NULL, (uint64_t) session);
        for (uint64_t j = sim_below(4); j > 0; j--) {
            sim_after(sim_between(us / 8, us), sim_chance(50) ? move : leave_for_a_while, NULL, (uint64_t) session);
        }
    }
    unsigned n_bursts = 20 + (unsigned) sim_below(60);
    for (unsigned i = 0; i < n_bursts; i++) {
        sim_after(sim_below(us), publish, NULL, sim_chance(80) ? 1 : 1 + sim_below(6));
    }
}

/* A fault that this world cannot have, or that would take what was promised, is another one. */
static enum fault_kind choose_fault(void) {
    static const enum fault_kind gentle[] = {FAULT_CUT, FAULT_PATH_CLOSED, FAULT_SERVER_STILL, FAULT_BROKER_STILL};
    if (model_topology_kind() == MODEL_CLUSTER && sim_chance(15)) {
        return FAULT_SLOTS_MOVE;
    }
    bool is_named = model_topology_kind() == MODEL_NAMED;
    uint64_t choice =
        sim_below((uint64_t) (is_named ? FAULTS_OF_NAMED : FAULTS) - (nemesis.is_steady ? FAULTS_OF_GATEWAYS : 0));
    if (nemesis.is_steady && choice >= FAULT_GATEWAY_KILLED) {
        choice += FAULTS_OF_GATEWAYS;
    }
    enum fault_kind kind = (enum fault_kind) choice;
    bool needs_replica = kind == FAULT_FAILOVER || kind == FAULT_FAILOVER_TAIL_LOST || kind == FAULT_SPLIT_BRAIN ||
                         kind == FAULT_DEMOTED_PROMOTED || kind == FAULT_REPLICA_STILL || kind == FAULT_NO_REPLICAS;
    bool is_rare = kind == FAULT_FLUSH || kind == FAULT_DELETE_KEY || kind == FAULT_SERVER_CLOCK;
    if (kind == FAULT_SLOTS_MOVE && model_topology_kind() != MODEL_CLUSTER) {
        return FAULT_NO_NEWS;
    }
    if ((needs_replica && model_world.n == model_topology_groups()) || (is_rare && sim_chance(70))) {
        return gentle[sim_below(sizeof gentle / sizeof *gentle)];
    }
    return kind;
}

void nemesis_plan(uint64_t us, unsigned n_faults) {
    nemesis.is_healed = false;
    nemesis.ends_us = sim_now_us() + us;
    size_t size = 0;
    nemesis.summary[0] = '\0';
    plan_work(us);
    for (unsigned i = 0; i < n_faults; i++) {
        enum fault_kind kind = choose_fault();
        uint64_t at_us = sim_between(us / 10, us);
        sim_after(at_us, strike, NULL, kind);
        int n = snprintf(nemesis.summary + size, sizeof nemesis.summary - size, "%s%s@%llu", i == 0 ? "" : " ",
                         names[kind], (unsigned long long) (at_us / MS));
        size += n < 0 || size + (size_t) n >= sizeof nemesis.summary ? 0 : (size_t) n;
    }
}

void nemesis_heal(void) {
    nemesis.is_healed = true;
    for (int i = 0; i < BROKERS_MAX; i++) {
        for (int j = 0; j < SIM_SERVERS; j++) {
            struct sim_path *path = sim_network_path(i, j);
            end_slow(path, 0);
            path->up_closed_us = 0;
            path->down_closed_us = 0;
        }
    }
}
