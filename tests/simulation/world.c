/* See world.h. */
#include "tests/simulation/world.h"

#include "base/check.h"
#include "base/partition.h"
#include "base/wire.h"
#include "broker/redis/redis_messages.h"

#include <stdio.h>
#include <stdlib.h>

enum { REST_US = 6 * SECOND, CANARY_US = 20 * SECOND, MEMBERS_US = 12 * SECOND };

struct publisher {
    int id;
    int channel;
    int gateway;
    int broker;
    bool is_keyed;
    unsigned tries_left;
    bool is_done;
    char key[16];
    char data[16];
    struct publish_result result;
};

static struct {
    struct world_options options;
    int primary[MODEL_GROUPS];
    struct publisher *publishers[PUBLICATIONS_MAX + 1];
    int gateway_of[SESSIONS_MAX];
    struct sim_process *processes[BROKERS_MAX];
} world;

/* ---- what Redis is seen to do ---- */

/* The channel in prefix:{tag}:m:channel; empty: another key. */
static struct span channel_in(struct span key, const char *what) {
    const uint8_t *end = memchr(key.data, '}', key.size);
    size_t skip = end == NULL ? key.size : (size_t) (end - key.data) + 1;
    struct span rest = span_of(key.data + skip, key.size - skip);
    return span_starts_with(rest, span_of_text(what)) ? span_of(rest.data + 3, rest.size - 3) : SPAN_EMPTY;
}

static uint64_t count_added(const struct model_change *change, struct span channel) {
    uint64_t n = 0;
    for (size_t i = 0; i < change->n; i++) {
        const struct model_command_text *text = &change->commands[i];
        n += span_equal_text(text->arguments[0], "XADD") && span_equal(channel_in(text->arguments[1], ":s:"), channel);
    }
    return n;
}

/* A channel's meta: epoch c16, generation c16, durability c1, top I8. */
static void on_change(int server, const struct model_change *change) {
    for (size_t i = 0; i < change->n; i++) {
        const struct model_command_text *text = &change->commands[i];
        if (text->n < 4 || !span_equal_text(text->arguments[0], "HSET")) {
            continue;
        }
        struct span channel = channel_in(text->arguments[1], ":m:");
        for (size_t j = 2; channel.size > 0 && j + 1 < text->n; j += 2) {
            struct span value = text->arguments[j + 1];
            if (span_equal_text(text->arguments[j], "c") && value.size >= 41) {
                struct cursor cursor = cursor_of(span_of(value.data + 33, 8));
                uint64_t top = cursor_u64(&cursor);
                checker_saw_meta(server, channel, span_of(value.data, 16), top - count_added(change, channel), top);
            }
        }
    }
}

/* ---- life ---- */

/* The name-th channel of the shard's first partitions, in that namespace. */
static void make_channel(const char *namespace, bool is_safe, uint32_t partition, unsigned nth) {
    char name[64];
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof name, "%s:c%u", namespace, i);
        if (partition_of(span_of_text(name), BROKER_PARTITIONS) == partition && nth-- == 0) {
            checker_add_channel(name, is_safe, world.options.history_size);
            return;
        }
    }
}

static void make_channels(void) {
    bool is_safe = world.options.durability != WORLD_FAST;
    bool is_mixed = world.options.durability == WORLD_MIXED;
    make_channel(is_safe ? "s" : "f", is_safe, 0, 0);
    make_channel(is_safe && !is_mixed ? "s" : "f", is_safe && !is_mixed, 0, 1);
    make_channel(is_safe ? "s" : "f", is_safe, 1, 0);
    if (world.options.has_special) {
        make_channel("m", false, 1, 0);
        make_channel("x", false, 1, 0);
    }
}

struct broker_settings world_settings(void) {
    const struct world_options *options = &world.options;
    return (struct broker_settings){.redis_url = model_topology_url(),
                                    .confirms_by_replicas = options->servers > 1,
                                    .is_safe = options->durability != WORLD_FAST,
                                    .history_size = options->history_size,
                                    .compared_channels = options->compared_channels,
                                    .topic_idle_ms = options->topic_idle_ms,
                                    .command_timeout_ms = options->command_timeout_ms};
}

void world_begin(uint64_t seed, bool trace, const struct world_options *options) {
    sim_begin(seed, trace);
    memset(&world, 0, sizeof world);
    world.options = *options;
    sim_network_begin();
    model_script_begin();
    const int n_groups = options->topology == MODEL_CLUSTER ? MODEL_GROUPS : 1;
    const int n_servers = options->servers * n_groups;
    model_begin(n_servers, options->topology == MODEL_SENTINELS ? MODEL_SENTINELS_MADE : 0);
    model_topology_begin(options->topology, options->servers);
    for (int i = 0; i < n_groups; i++) {
        world.primary[i] = i * options->servers;
    }
    model_world.on_change = on_change;
    checker_begin();
    make_channels();
    for (int i = 0; i < n_servers; i++) {
        struct model_server *server = &model_world.servers[i];
        server->disk = options->disk;
        server->is_cluster_like = options->is_sharded || options->topology == MODEL_CLUSTER;
        server->trim_slack = (unsigned) sim_below(4);
        server->replica_delay_us = sim_between(200, 5 * MS);
        if (i % options->servers > 0) {
            model_follow(server, &model_world.servers[i - i % options->servers]);
        }
    }
    gateways_begin(options->gateways);
    for (int i = 0; i < options->gateways && options->gateway_credit > 0; i++) {
        gateway_set_credit(i, options->gateway_credit);
    }
    const struct broker_settings settings = world_settings();
    brokers_begin(options->brokers, &settings);
    for (int i = 0; i < options->brokers; i++) {
        broker_start(i);
    }
}

void world_end(void) {
    brokers_end();
    gateways_end();
    model_end();
    model_topology_end();
    sim_end();
}

/* ---- who is who ---- */

const char *world_channel(int number) {
    return checker_channel_name(number);
}

struct model_server *world_primary(int group) {
    return &model_world.servers[world.primary[group]];
}

struct model_server *world_best_replica(int group) {
    struct model_server *best = NULL;
    for (int i = 0; i < model_world.n; i++) {
        struct model_server *server = &model_world.servers[i];
        bool is_fit = i != world.primary[group] && server->is_alive && server->primary == world_primary(group);
        if (is_fit && (best == NULL || model_offset(server) > model_offset(best))) {
            best = server;
        }
    }
    return best;
}

/* What is confirmed was on it when it was promoted, or was acknowledged by a replica since, or came from where it was
 * confirmed. */
bool world_may_promote(const struct model_server *server) {
    const struct model_server *primary = world_primary(server->group);
    if (world.options.durability == WORLD_FAST) {
        return true;
    }
    uint64_t sure = primary->replid2_offset > primary->taken_over ? primary->replid2_offset : primary->taken_over;
    for (int i = 0; i < model_world.n; i++) {
        sure = primary->acked[i] > sure ? primary->acked[i] : sure;
    }
    return model_shares_history(server, primary) && model_offset(server) >= sure;
}

static void on_pointed(void *context, uint64_t process) {
    const struct model_server *server = context;
    if (server == world_primary(server->group)) {
        sim_network_point((int) process, server->index);
    }
}

void world_fail_over(struct model_server *to, uint64_t late_us) {
    if (to->primary != NULL) {
        model_promote(to);
        checker_note_reign();
        for (int i = 0; i < model_world.n; i++) {
            if (model_world.servers[i].clock_ahead_ms != to->clock_ahead_ms) {
                checker_note_loss(-1); /* what one made to live on has run out for the other */
                break;
            }
        }
    }
    world.primary[to->group] = to->index;
    model_topology_promoted(to, late_us);
    for (int i = 0; model_topology_kind() == MODEL_NAMED && i < BROKERS_MAX; i++) {
        sim_after(sim_below(late_us + 1), on_pointed, to, (uint64_t) i);
    }
    for (int i = 0; i < model_world.n; i++) {
        struct model_server *other = &model_world.servers[i];
        if (other != to && other->group == to->group && other->primary != NULL && other->is_alive) {
            model_follow(other, to);
        }
    }
}

/* ---- publishers ---- */

static void try_to_publish(void *context, uint64_t ignored);

static void on_result(void *context, const struct publish_result *result) {
    struct publisher *self = context;
    checker_published(self->id, result);
    self->result = *result;
    bool may_retry = result->outcome == PUBLISH_NO || self->is_keyed;
    if (result->outcome == PUBLISH_OK || self->tries_left == 0 || !may_retry) {
        self->is_done = true;
        return;
    }
    if (sim_chance(30)) {
        self->gateway = (int) sim_below((uint64_t) gateways_count());
        self->broker = sim_chance(50) ? -1 : (int) sim_below((uint64_t) brokers_count());
    }
    sim_after(sim_between(1 * MS, 600 * MS), try_to_publish, self, 0);
}

static void try_to_publish(void *context, uint64_t ignored) {
    (void) ignored;
    struct publisher *self = context;
    self->tries_left--;
    checker_attempt(self->id);
    sim_trace("publisher", "publication %d goes to %s by gateway %d, broker %d", self->id, world_channel(self->channel),
              self->gateway, self->broker);
    gateway_publish(self->gateway, self->broker, world_channel(self->channel), self->is_keyed ? self->key : NULL,
                    span_of_text(self->data), on_result, self);
}

int world_publish(int channel, int gateway, int broker, bool is_keyed, unsigned tries) {
    struct publisher *self = sim_alloc(sizeof *self);
    *self = (struct publisher){
        .channel = channel, .gateway = gateway, .broker = broker, .is_keyed = is_keyed, .tries_left = tries};
    self->id = checker_invoke(channel);
    snprintf(self->key, sizeof self->key, "k%d", self->id);
    snprintf(self->data, sizeof self->data, "%d", self->id);
    world.publishers[self->id] = self;
    try_to_publish(self, 0);
    return self->id;
}

void world_publish_again(int publication) {
    struct publisher *self = world.publishers[publication];
    check(self->is_done && self->is_keyed, "only under its key");
    self->is_done = false;
    self->tries_left = 1;
    try_to_publish(self, 0);
}

bool world_is_done(int publication) {
    return world.publishers[publication]->is_done;
}

const struct publish_result *world_result(int publication) {
    return &world.publishers[publication]->result;
}

/* ---- sessions ---- */

void world_join(int session, int gateway) {
    world.gateway_of[session] = gateway;
    gateway_join(gateway, session, world_channel(checker_session_channel(session)));
}

void world_leave(int session) {
    gateway_leave(world.gateway_of[session], session, world_channel(checker_session_channel(session)));
}

/* ---- the end ---- */

void world_heal(void) {
    nemesis_heal();
    sim_trace("world", "heals");
    for (int i = 0; i < model_world.n; i++) {
        struct model_server *server = &model_world.servers[i];
        if (!server->is_alive) {
            /* A primary that waited for its own return loses nothing; a replica is copied anyway. */
            server->disk = server->disk == MODEL_DISK_NONE ? MODEL_DISK_EVERYSEC : server->disk;
            model_restart(server, MODEL_KEEPS_ALL, 0);
            checker_note_reign();
        }
        server->is_full = false;
        server->disk_failed = false;
        server->min_replicas = 0;
        server->loading_until_us = 0;
        server->busy_until_us = 0;
        server->replica_delay_us = 2 * MS;
    }
    for (int i = 0; i < model_topology_groups(); i++) {
        if (world_primary(i)->primary != NULL) {
            world_fail_over(world_primary(i), 0);
        }
    }
    for (int i = 0; i < model_world.n; i++) {
        struct model_server *server = &model_world.servers[i];
        struct model_server *primary = world_primary(server->group);
        if (server != primary && server->primary != primary) {
            model_follow(server, primary);
        }
    }
    for (int i = 0; i < SIM_PROCESSES; i++) {
        sim_network_point(i, world_primary(0)->index);
    }
    model_topology_heal();
    for (int i = 0; i < gateways_count(); i++) {
        gateway_slow(i, sim_now_us());
        if (gateway_is_dead(i)) {
            gateway_start(i);
        }
    }
    for (int i = 0; i < brokers_count(); i++) {
        if (!broker_is_up(i)) {
            broker_start(i);
        }
    }
}

/* The group that serves a channel's partition. */
static int group_of(const char *channel) {
    static struct partition_tag tags[BROKER_PARTITIONS];
    if (tags[0].text[0] == '\0') {
        partition_tags(BROKER_PARTITIONS, tags);
    }
    return model_topology_group_of(span_of_text(tags[partition_of(span_of_text(channel), BROKER_PARTITIONS)].text));
}

static const struct model_key *find_key(const char *what, const char *channel) {
    int group = group_of(channel);
    for (const struct model_key *key = world_primary(group)->store.keys; key != NULL; key = key->by_name.next) {
        if (span_equal_text(channel_in(span_of(key->name, key->name_size), what), channel)) {
            return key;
        }
    }
    return NULL;
}

void world_delete_meta(int channel) {
    const struct model_key *meta = find_key(":m:", world_channel(channel));
    check(meta != NULL, "%s has no meta key", world_channel(channel));
    char name[128];
    snprintf(name, sizeof name, "%s", meta->name);
    checker_note_loss(channel);
    model_run(world_primary(group_of(world_channel(channel))), 2, (const char *const[]){"DEL", name}, NULL);
}

void world_delete_members(int channel) {
    const struct model_key *hash = find_key(":h:", world_channel(channel));
    check(hash != NULL, "nobody is in %s", world_channel(channel));
    char members[128];
    char opening[128];
    snprintf(members, sizeof members, "%s", hash->name);
    snprintf(opening, sizeof opening, "%.*s:p", (int) (strchr(members, '}') - members) + 1, members);
    checker_note_loss(-1);
    model_run(world_primary(group_of(world_channel(channel))), 3, (const char *const[]){"DEL", members, opening}, NULL);
}

/* Where a channel stands in Redis; false: it was never touched. */
static bool read_top(int channel, struct position *ret_top) {
    const struct model_key *meta = find_key(":m:", world_channel(channel));
    const struct model_field *field = meta == NULL ? NULL : model_field_find(meta, SPAN_LITERAL("c"));
    if (field == NULL || field->value.size < 41) {
        return false;
    }
    struct cursor cursor = cursor_of(span_of(field->value.data + 33, 8));
    *ret_top = (struct position){epoch_from(span_of(field->value.data, 16)), cursor_u64(&cursor)};
    return true;
}

/* Nothing is published meanwhile: what Redis forgot, also one key alone, is told all the same. */
static bool is_behind(int session) {
    struct position top;
    struct position told;
    int channel = checker_session_channel(session);
    if (read_top(channel, &top)) {
        return !checker_stands_at(session, &top);
    }
    return checker_is_joined(session) && checker_session_position(session, &told) && !epoch_is_empty(&told.epoch);
}

/* context: the canary has passed. */
static bool is_unsettled(void *context) {
    for (int i = 1; i <= PUBLICATIONS_MAX && world.publishers[i] != NULL; i++) {
        if (!world.publishers[i]->is_done) {
            return true;
        }
    }
    for (int i = 0; i < checker_sessions(); i++) {
        bool is_told =
            context != NULL || world.options.compared_channels > 0 || !checker_has_losses(checker_session_channel(i));
        if (is_told && is_behind(i)) {
            return true;
        }
    }
    return false;
}

static void complain(void) {
    for (int i = 1; i <= PUBLICATIONS_MAX && world.publishers[i] != NULL; i++) {
        if (!world.publishers[i]->is_done) {
            sim_fail("C9: publication %d on %s is still without its last answer", i,
                     world_channel(world.publishers[i]->channel));
        }
    }
    for (int i = 0; i < checker_sessions(); i++) {
        struct position top = {.offset = 0};
        read_top(checker_session_channel(i), &top);
        if (is_behind(i)) {
            sim_fail("C9: session %d of %s (%s) does not stand at %.6s:%llu after everything was healed", i,
                     world_channel(checker_session_channel(i)), checker_is_joined(i) ? "joined" : "not joined",
                     top.epoch.text, (unsigned long long) top.offset);
        }
    }
}

/* The number that the publication in a stream entry carries. */
static int id_at(void *context, uint64_t offset) {
    const struct model_key *stream = context;
    for (size_t i = 0; stream != NULL && i < stream->n; i++) {
        if (stream->entries[i].ms == offset && stream->entries[i].n > 0) {
            struct span encoded;
            struct wire_publication publication;
            check(redis_entry_parse(stream->entries[i].fields[0].value, &encoded), "an entry is not as it was written");
            struct cursor cursor = cursor_of(encoded);
            check(wire_read_publication(&cursor, &publication), "a malformed publication");
            char text[16];
            snprintf(text, sizeof text, "%.*s", (int) publication.data.size, (const char *) publication.data.data);
            return atoi(text);
        }
    }
    return 0;
}

static void judge_redis(void) {
    for (int i = 0; i < checker_channels(); i++) {
        struct position top;
        if (!read_top(i, &top)) {
            continue;
        }
        const struct model_key *stream = find_key(":s:", world_channel(i));
        uint64_t first = stream == NULL || stream->n == 0 ? top.offset + 1 : stream->entries[0].ms;
        checker_final(i, epoch_span(&top.epoch), first, top.offset, id_at, (void *) (uintptr_t) stream);
    }
}

static bool knows_members(int channel, int broker) {
    uint64_t shown = gateways_shown(world_channel(channel));
    uint64_t found = 0;
    if (!gateway_ask_members(0, broker, world_channel(channel))) {
        return false;
    }
    sim_run_until(sim_now_us() + 20 * MS);
    bool is_exact = gateway_members(0, &found) && found == shown;
    return is_exact || (checker_has_reigns() && (found & shown) == shown);
}

/* Whatever broker is asked: who is there, once the grace of both is over. Nor is there a ghost, but where another reign
 * began: what a failover took back may be that somebody left, which nobody tells again while his gateway lives. */
static void judge_members(void) {
    uint64_t until_us = sim_now_us() + MEMBERS_US;
    for (int i = 0; i < checker_channels() * brokers_count() && sim_failure() == NULL; i++) {
        int channel = i / brokers_count();
        int broker = i % brokers_count();
        while (!knows_members(channel, broker) && sim_failure() == NULL) {
            sim_run_until(sim_now_us() + 200 * MS);
            if (sim_now_us() > until_us) {
                uint64_t found = 0;
                bool is_sound = gateway_members(0, &found);
                sim_fail("presence: broker-%c says of %s %llx%s, it is %llx (bits of sessions)", 'a' + broker,
                         world_channel(channel), (unsigned long long) found, is_sound ? "" : " and a ghost",
                         (unsigned long long) gateways_shown(world_channel(channel)));
            }
        }
    }
}

void world_judge(void) {
    sim_run_until(sim_now_us() + REST_US);
    for (int i = 0; i < checker_sessions(); i++) {
        if (!checker_is_joined(i)) {
            world_join(i, world.gateway_of[i]);
        }
    }
    if (!sim_run_while(is_unsettled, NULL, sim_now_us() + REST_US)) {
        complain();
    }
    int canaries[CHANNELS_MAX * BROKERS_MAX];
    int n = 0;
    for (int i = 0; i < checker_channels(); i++) {
        for (int j = 0; j < brokers_count(); j++) {
            canaries[n++] = world_publish(i, j % gateways_count(), j, true, 8);
        }
    }
    if (!sim_run_while(is_unsettled, &world, sim_now_us() + CANARY_US)) {
        complain();
    }
    for (int i = 0; i < n; i++) {
        if (sim_failure() == NULL && world_result(canaries[i])->outcome != PUBLISH_OK) {
            sim_fail("C9: the canary on %s did not pass",
                     world_channel(checker_find_channel(span_of_text(world_channel(i / brokers_count())))));
        }
    }
    sim_run_until(sim_now_us() + 2 * SECOND);
    if (sim_failure() == NULL && is_unsettled(&world)) {
        complain();
    }
    judge_redis();
    judge_members();
}
