/* See model_topology.h. */
#include "tests/simulation/model_topology.h"

#include "base/check.h"
#include "base/partition.h"
#include "tests/simulation/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { UNIT_SLOTS = 256, PARCELS_MAX = 4096, ENDED = -1 };

static const char master_name[] = "mymaster";

struct view {
    int primary[MODEL_UNITS]; /* Sentinels: of unit 0 */
    uint64_t epoch;
    uint64_t frozen_until_us;
};

static struct {
    enum model_topology kind;
    int n_groups;
    int primary[MODEL_GROUPS];
    int group_of_unit[MODEL_UNITS];
    uint64_t epoch;
    struct view views[SIM_SERVERS];
    char url[256];
    int moving; /* a unit; ENDED: none */
    int moving_to;
    uint64_t late_us;
    struct model_store *parcels[PARCELS_MAX]; /* each one key on its way, for the logs that name it */
    size_t n_parcels;
} topology;

static bool is_word(struct span a, const char *word) {
    return a.size == strlen(word) && strncasecmp((const char *) a.data, word, a.size) == 0;
}

/* ---- slots ---- */

static uint32_t slot_of(struct span key) {
    const uint8_t *open = memchr(key.data, '{', key.size);
    const uint8_t *close = open == NULL ? NULL : memchr(open, '}', key.size - (size_t) (open - key.data));
    bool is_tagged = close != NULL && close > open + 1;
    return partition_redis_slot(is_tagged ? span_of(open + 1, (size_t) (close - open - 1)) : key);
}

static int unit_of(uint32_t slot) {
    uint32_t unit = slot / UNIT_SLOTS;
    return unit < MODEL_UNITS ? (int) unit : MODEL_UNITS - 1;
}

static struct model_server *primary_of_unit(int unit) {
    return &model_world.servers[topology.primary[topology.group_of_unit[unit]]];
}

int model_topology_group_of(struct span key) {
    return topology.group_of_unit[unit_of(slot_of(key))];
}

/* ---- views ---- */

static int n_viewers(void) {
    return topology.kind == MODEL_CLUSTER ? model_world.n : model_world.n_sentinels;
}

static int viewer(int number) {
    return topology.kind == MODEL_CLUSTER ? number : model_world.n + number;
}

static void take_topics_back(struct model_server *self, const struct view *view);

static void tell(int number) {
    struct view *view = &topology.views[number];
    struct model_server *self = &model_world.servers[number];
    bool is_news = view->epoch != topology.epoch;
    for (int i = 0; i < MODEL_UNITS; i++) {
        view->primary[i] = primary_of_unit(i)->index;
    }
    view->epoch = topology.epoch;
    if (!is_news) {
        return;
    }
    sim_trace(self->name, "is told of epoch %llu", (unsigned long long) view->epoch);
    if (topology.kind == MODEL_SENTINELS) {
        model_run(self, 3, (const char *const[]){"PUBLISH", "+switch-master", master_name}, NULL);
    } else {
        take_topics_back(self, view);
    }
}

static void on_told(void *context, uint64_t number) {
    const struct view *view = &topology.views[number];
    if (sim_now_us() < view->frozen_until_us) {
        sim_at(view->frozen_until_us, on_told, context, number);
    } else {
        tell((int) number);
    }
}

static void tell_all(uint64_t late_us) {
    topology.epoch++;
    for (int i = 0; i < n_viewers(); i++) {
        sim_after(sim_below(late_us + 1), on_told, NULL, (uint64_t) viewer(i));
    }
}

void model_topology_promoted(const struct model_server *primary, uint64_t late_us) {
    topology.primary[primary->group] = primary->index;
    if (topology.kind == MODEL_NAMED) {
        return;
    }
    tell_all(late_us);
    model_topology_tell(primary);
}

void model_topology_tell(const struct model_server *server) {
    if (topology.kind == MODEL_CLUSTER) {
        tell(server->index);
    }
}

void model_topology_freeze(int number, uint64_t until_us) {
    sim_trace(model_world.servers[number].name, "hears no news");
    topology.views[number].frozen_until_us = until_us;
}

int model_topology_any_viewer(void) {
    return viewer((int) sim_below((uint64_t) n_viewers()));
}

/* ---- slots that move ---- */

/* What the key is travels as one word: where its copy lies. */
static void restore(struct model_call *call) {
    struct model_store *store = &call->server->store;
    const struct model_store *parcel = NULL;
    memcpy(&parcel, call->arguments[2].data, sizeof parcel);
    struct model_key *there = model_store_find(store, call->arguments[1]);
    if (there != NULL) {
        model_store_delete(store, there);
    }
    model_store_copy(store, parcel);
}

static void propagate(struct model_server *server, size_t n, const struct span *words) {
    model_propagate(server, n, words);
    struct model_change *change = model_take_change(server);
    model_apply(server, change);
    model_record(server, change);
}

static void migrate(struct model_server *from, struct model_server *to, struct model_key *key) {
    check(topology.n_parcels < PARCELS_MAX, "more keys moved than a schedule can have");
    struct model_store *parcel = sim_alloc(sizeof *parcel);
    topology.parcels[topology.n_parcels++] = parcel;
    model_store_copy_key(parcel, key);
    if (key->expires_ms != 0) {
        parcel->keys->expires_ms += model_wall_ms(to) - model_wall_ms(from);
    }
    struct span name = span_of(sim_copy(key->name, key->name_size), key->name_size);
    const struct span restore_words[] = {SPAN_LITERAL("RESTORE"), name, span_of(&parcel, sizeof parcel)};
    propagate(to, 3, restore_words);
    /* MIGRATE ends when the new node has it, on its disk where that is its promise. */
    to->fsynced = to->disk == MODEL_DISK_ALWAYS ? model_offset(to) : to->fsynced;
    to->taken_over = model_offset(to);
    const struct span delete_words[] = {SPAN_LITERAL("DEL"), name};
    propagate(from, 2, delete_words);
}

static struct model_key *next_key(const struct model_server *from) {
    for (struct model_key *key = from->store.keys; key != NULL; key = key->by_name.next) {
        if (unit_of(slot_of(span_of(key->name, key->name_size))) == topology.moving) {
            return key;
        }
    }
    return NULL;
}

static bool is_fit(const struct model_server *server) {
    return server->is_alive && server->primary == NULL && sim_now_us() >= server->still_until_us &&
           sim_now_us() >= server->loading_until_us && sim_now_us() >= server->busy_until_us && !server->is_full;
}

static void end_move(void) {
    int unit = topology.moving;
    const struct model_server *from = primary_of_unit(unit);
    topology.group_of_unit[unit] = topology.moving_to;
    topology.moving = ENDED;
    sim_trace("topology", "unit %d has moved to group %d", unit, topology.moving_to);
    tell_all(topology.late_us);
    tell(primary_of_unit(unit)->index);
    tell(from->index);
}

static void on_move(void *context, uint64_t ignored) {
    (void) context;
    (void) ignored;
    if (topology.moving == ENDED) {
        return;
    }
    struct model_server *from = primary_of_unit(topology.moving);
    struct model_server *to = &model_world.servers[topology.primary[topology.moving_to]];
    if (is_fit(from) && is_fit(to)) {
        struct model_key *key = next_key(from);
        if (key == NULL) {
            end_move();
            return;
        }
        migrate(from, to, key);
    }
    sim_after(sim_chance(20) ? sim_between(1 * MS, 200 * MS) : sim_between(50, 5 * MS), on_move, NULL, 0);
}

bool model_topology_move(int unit, uint64_t late_us) {
    int to = 1 - topology.group_of_unit[unit];
    if (topology.kind != MODEL_CLUSTER || topology.moving != ENDED || !is_fit(primary_of_unit(unit)) ||
        !is_fit(&model_world.servers[topology.primary[to]])) {
        return false;
    }
    sim_trace("topology", "unit %d begins to move to group %d", unit, to);
    topology.moving = unit;
    topology.moving_to = to;
    topology.late_us = late_us;
    sim_after(sim_below(300 * MS), on_move, NULL, 0);
    return true;
}

bool model_topology_is_moving(void) {
    return topology.moving != ENDED;
}

void model_topology_heal(void) {
    while (topology.moving != ENDED) {
        struct model_server *from = primary_of_unit(topology.moving);
        struct model_key *key = next_key(from);
        if (key != NULL) {
            migrate(from, &model_world.servers[topology.primary[topology.moving_to]], key);
        } else {
            end_move();
        }
    }
    for (int i = 0; i < n_viewers(); i++) {
        topology.views[viewer(i)].frozen_until_us = 0;
        tell(viewer(i));
    }
}

/* ---- redirection ---- */

/* Topics of slots that it serves no more. */
static void take_topics_back(struct model_server *self, const struct view *view) {
    list_for_each_safe (link, &self->clients) {
        struct model_client *client = list_entry(link, struct model_client, link);
        for (size_t i = client->n_topics; i > 0; i--) {
            struct span name = client->topics[i - 1].name;
            int owner = view->primary[unit_of(slot_of(name))];
            bool is_served = owner == self->index || (self->primary != NULL && self->primary->index == owner);
            if (!client->topics[i - 1].is_sharded || is_served) {
                continue;
            }
            client->topics[i - 1] = client->topics[--client->n_topics];
            reply_array(&client->out, 3);
            reply_bulk(&client->out, SPAN_LITERAL("sunsubscribe"));
            reply_bulk(&client->out, name);
            reply_integer(&client->out, (int64_t) client->n_topics);
            sim_trace(self->name, "takes the topic %.*s back", (int) name.size, (const char *) name.data);
        }
    }
    model_run(self, 1, (const char *const[]){"PING"}, NULL); /* what was said goes out */
}

void model_topology_take_topics_back(struct model_server *server) {
    const struct view nothing = {.primary = {ENDED, ENDED, ENDED}};
    take_topics_back(server, &nothing);
}

/* The keys among a command's words; false: it has none. */
static bool find_keys(const struct model_call *call, size_t *ret_first, size_t *ret_end) {
    static const char *const keyless[] = {"INFO",     "ROLE",         "PING",        "WAIT",     "SCRIPT",
                                          "COMMAND",  "CONFIG",       "CLIENT",      "AUTH",     "HELLO",
                                          "SELECT",   "PUBLISH",      "SUBSCRIBE",   "FLUSHALL", "CLUSTER",
                                          "SENTINEL", "SUNSUBSCRIBE", "UNSUBSCRIBE", "READONLY"};
    struct span name = call->arguments[0];
    for (size_t i = 0; i < sizeof keyless / sizeof *keyless; i++) {
        if (is_word(name, keyless[i])) {
            return false;
        }
    }
    bool is_script = is_word(name, "EVAL") || is_word(name, "EVALSHA");
    bool has_many =
        is_word(name, "DEL") || is_word(name, "UNLINK") || is_word(name, "EXISTS") || is_word(name, "SSUBSCRIBE");
    *ret_first = is_script ? 3 : 1;
    *ret_end = is_script ? 3 + strtoul((const char *) call->arguments[2].data, NULL, 10) : has_many ? call->n : 2;
    return *ret_end > *ret_first && *ret_end <= call->n;
}

static void redirect(struct model_call *call, const char *code, uint32_t slot, int server) {
    char text[64];
    snprintf(text, sizeof text, "%s %u %s:6379", code, slot, model_world.servers[server].name);
    reply_error(call->reply, text);
}

/* On the node that a unit leaves: what is gone, or was never made, is asked for elsewhere. */
static bool is_leaving(struct model_call *call, uint32_t slot, size_t first, size_t end) {
    bool is_topic = is_word(call->arguments[0], "SPUBLISH") || is_word(call->arguments[0], "SSUBSCRIBE");
    if (topology.moving != unit_of(slot) || is_topic) {
        return false;
    }
    size_t missing = 0;
    for (size_t i = first; i < end; i++) {
        missing += model_find(call->server, call->arguments[i]) == NULL;
    }
    if (missing == end - first) {
        redirect(call, "ASK", slot, topology.primary[topology.moving_to]);
    } else if (missing > 0) {
        reply_error(call->reply, "TRYAGAIN Multiple keys request during rehashing of slot");
    }
    return missing > 0;
}

bool model_topology_redirects(struct model_call *call) {
    size_t first = 0;
    size_t end = 0;
    if (topology.kind != MODEL_CLUSTER || !find_keys(call, &first, &end)) {
        return false;
    }
    uint32_t slot = slot_of(call->arguments[first]);
    for (size_t i = first + 1; i < end; i++) {
        if (slot_of(call->arguments[i]) != slot) {
            sim_fail("a command of several slots: %.*s and %.*s", (int) call->arguments[first].size,
                     (const char *) call->arguments[first].data, (int) call->arguments[i].size,
                     (const char *) call->arguments[i].data);
        }
    }
    int owner = topology.views[call->server->index].primary[unit_of(slot)];
    if (owner != call->server->index) {
        redirect(call, "MOVED", slot, owner);
        return true;
    }
    return primary_of_unit(unit_of(slot)) == call->server && is_leaving(call, slot, first, end);
}

/* ---- what they tell ---- */

static void reply_texts(struct buffer *out, size_t n, const char *const *texts) {
    reply_array(out, n);
    for (size_t i = 0; i < n; i++) {
        reply_bulk(out, span_of_text(texts[i]));
    }
}

static bool is_replica_of(const struct model_server *server, int primary) {
    return server->primary == &model_world.servers[primary];
}

static void reply_sentinel_master(struct model_call *call, const struct view *view) {
    char epoch[24];
    const struct model_server *primary = &model_world.servers[view->primary[0]];
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long) view->epoch);
    reply_texts(call->reply, 10,
                (const char *const[]){"name", master_name, "ip", primary->name, "port", "6379", "flags",
                                      primary->is_alive ? "master" : "master,o_down", "config-epoch", epoch});
}

static void reply_sentinel_replicas(struct model_call *call, const struct view *view) {
    size_t n = 0;
    for (int i = 0; i < model_world.n; i++) {
        n += is_replica_of(&model_world.servers[i], view->primary[0]);
    }
    reply_array(call->reply, n);
    for (int i = 0; i < model_world.n; i++) {
        const struct model_server *replica = &model_world.servers[i];
        if (is_replica_of(replica, view->primary[0])) {
            reply_texts(
                call->reply, 4,
                (const char *const[]){"name", replica->name, "flags", replica->is_alive ? "slave" : "s_down,slave"});
        }
    }
}

static void sentinel_id(int number, char *ret_id) {
    snprintf(ret_id, MODEL_REPLID + 1, "%040d", number);
}

static void reply_sentinel_others(struct model_call *call) {
    reply_array(call->reply, (size_t) model_world.n_sentinels - 1);
    for (int i = model_world.n; i < model_world.n + model_world.n_sentinels; i++) {
        char id[MODEL_REPLID + 1];
        sentinel_id(i, id);
        if (i != call->server->index) {
            const char *name = model_world.servers[i].name;
            reply_texts(call->reply, 6, (const char *const[]){"ip", name, "port", "26379", "runid", id});
        }
    }
}

static void sentinel(struct model_call *call) {
    const struct view *view = &topology.views[call->server->index];
    struct span what = call->arguments[1];
    if (is_word(what, "MASTER")) {
        reply_sentinel_master(call, view);
    } else if (is_word(what, "GET-MASTER-ADDR-BY-NAME")) {
        const char *name = model_world.servers[view->primary[0]].name;
        reply_texts(call->reply, 2, (const char *const[]){name, "6379"});
    } else if (is_word(what, "SLAVES")) {
        reply_sentinel_replicas(call, view);
    } else if (is_word(what, "SENTINELS")) {
        reply_sentinel_others(call);
    } else {
        char id[MODEL_REPLID + 1];
        sentinel_id(call->server->index, id);
        reply_bulk(call->reply, span_of_text(id));
    }
}

static void reply_node(struct model_call *call, const struct model_server *node) {
    char id[MODEL_REPLID + 1];
    sentinel_id(node->index, id);
    reply_array(call->reply, 3);
    reply_bulk(call->reply, span_of_text(node->name));
    reply_integer(call->reply, 6379);
    reply_bulk(call->reply, span_of_text(id));
}

static void reply_slots(struct model_call *call, const struct view *view) {
    reply_array(call->reply, MODEL_UNITS);
    for (int unit = 0; unit < MODEL_UNITS; unit++) {
        size_t n = 0;
        for (int i = 0; i < model_world.n; i++) {
            n += is_replica_of(&model_world.servers[i], view->primary[unit]) && model_world.servers[i].is_alive;
        }
        reply_array(call->reply, 3 + n);
        reply_integer(call->reply, unit * UNIT_SLOTS);
        reply_integer(call->reply, (unit < MODEL_UNITS - 1 ? (unit + 1) * UNIT_SLOTS : REDIS_SLOTS) - 1);
        reply_node(call, &model_world.servers[view->primary[unit]]);
        for (int i = 0; i < model_world.n; i++) {
            if (is_replica_of(&model_world.servers[i], view->primary[unit]) && model_world.servers[i].is_alive) {
                reply_node(call, &model_world.servers[i]);
            }
        }
    }
}

void model_topology_command(struct model_call *call) {
    const struct view *view = &topology.views[call->server->index];
    if (is_word(call->arguments[0], "RESTORE")) {
        restore(call);
    } else if (is_word(call->arguments[0], "SENTINEL")) {
        sentinel(call);
    } else if (call->n == 2 && is_word(call->arguments[1], "SLOTS")) {
        reply_slots(call, view);
    } else {
        char text[96];
        snprintf(text, sizeof text, "cluster_enabled:1\r\ncluster_state:ok\r\ncluster_current_epoch:%llu\r\n",
                 (unsigned long long) view->epoch);
        reply_bulk(call->reply, span_of_text(text));
    }
}

/* ---- life ---- */

static void write_url(void) {
    size_t size = 0;
    static const char *const schemes[] = {"redis://", "redis+sentinel://", "redis+cluster://"};
    size += (size_t) snprintf(topology.url, sizeof topology.url, "%s", schemes[topology.kind]);
    for (int i = 0; i < n_viewers(); i++) {
        size += (size_t) snprintf(topology.url + size, sizeof topology.url - size, "%s%s", i == 0 ? "" : ",",
                                  model_world.servers[viewer(i)].name);
    }
    if (topology.kind == MODEL_NAMED) {
        snprintf(topology.url + size, sizeof topology.url - size, "redis:6379");
    } else if (topology.kind == MODEL_SENTINELS) {
        snprintf(topology.url + size, sizeof topology.url - size, "/%s", master_name);
    }
}

void model_topology_begin(enum model_topology kind, int servers) {
    memset(&topology, 0, sizeof topology);
    topology.kind = kind;
    topology.moving = ENDED;
    topology.epoch = 1;
    topology.n_groups = kind == MODEL_CLUSTER ? MODEL_GROUPS : 1;
    for (int i = 0; i < topology.n_groups; i++) {
        topology.primary[i] = i * servers;
    }
    for (int i = 1; i < MODEL_UNITS; i++) {
        topology.group_of_unit[i] = topology.n_groups - 1;
    }
    for (int i = 0; i < model_world.n; i++) {
        model_world.servers[i].group = i / servers;
    }
    for (int i = 0; i < n_viewers(); i++) {
        struct view *view = &topology.views[viewer(i)];
        view->epoch = topology.epoch;
        for (int unit = 0; unit < MODEL_UNITS; unit++) {
            view->primary[unit] = primary_of_unit(unit)->index;
        }
    }
    write_url();
}

void model_topology_end(void) {
    for (size_t i = 0; i < topology.n_parcels; i++) {
        model_store_clear(topology.parcels[i]);
    }
    topology.n_parcels = 0;
}

enum model_topology model_topology_kind(void) {
    return topology.kind;
}

int model_topology_groups(void) {
    return topology.n_groups;
}

const char *model_topology_url(void) {
    return topology.url;
}
