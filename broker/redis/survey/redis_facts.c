/* See redis_facts.h. INFO and CLUSTER INFO are lines of name:value, CONFIG GET is one pair a reply; which name becomes
 * which fact is a table each. Whatever does not read as expected leaves its fact unknown. */
#include "broker/redis/survey/redis_facts.h"

#include <stddef.h>
#include <stdio.h>

enum { REPLICA_LAG_MAX_S = 10, SLOW_SINCE_S = 600 };

/* ---- values ---- */

static void take_number(struct redis_number *fact, struct span text) {
    bool is_negative = text.size > 0 && text.data[0] == '-';
    struct span digits = text;
    if (is_negative) {
        digits = span_of(text.data + 1, text.size - 1);
    }
    /* "12.34": what stands behind the point is not needed. */
    const uint8_t *point = digits.size == 0 ? NULL : memchr(digits.data, '.', digits.size);
    if (point != NULL) {
        digits.size = (size_t) (point - digits.data);
    }
    uint64_t value = 0;
    if (span_parse_u64(digits, &value) && value <= INT64_MAX) {
        *fact = (struct redis_number){true, is_negative ? -(int64_t) value : (int64_t) value};
    }
}

static void take_word(struct redis_word *fact, struct span text) {
    size_t size = text.size < REDIS_WORD_MAX ? text.size : REDIS_WORD_MAX;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = text.data[i];
        fact->text[i] = byte >= 0x20 && byte < 0x7F ? (char) byte : '?';
    }
    fact->text[size] = '\0';
    fact->is_known = true;
}

/* ---- tables ---- */

struct place {
    const char *name;
    bool is_number;
    size_t offset;
};
#define NUMBER(field_name, member)                                                                                     \
    { (field_name), true, offsetof(struct redis_facts, member) }
#define WORD(field_name, member)                                                                                       \
    { (field_name), false, offsetof(struct redis_facts, member) }

static const struct place info_places[] = {
    WORD("redis_version", version),
    WORD("valkey_version", valkey_version),
    WORD("redis_mode", mode),
    WORD("server_mode", mode), /* Valkey 8 and later */
    WORD("role", role),
    WORD("master_replid", master_replid),
    WORD("master_link_status", master_link),
    NUMBER("loading", loading),
    NUMBER("repl_backlog_size", backlog_bytes),
    NUMBER("used_memory", used_memory),
    NUMBER("maxmemory", maxmemory),
    NUMBER("total_system_memory", system_memory),
    WORD("maxmemory_policy", eviction_policy),
    NUMBER("evicted_keys", evicted_keys),
    NUMBER("aof_enabled", aof_enabled),
    WORD("aof_last_write_status", aof_write_status),
    WORD("rdb_last_bgsave_status", rdb_status),
    NUMBER("connected_clients", clients),
    NUMBER("maxclients", clients_max),
    NUMBER("rejected_connections", rejected_connections),
    NUMBER("instantaneous_input_kbps", input_kbps),
    NUMBER("instantaneous_output_kbps", output_kbps),
};

static const struct place config_places[] = {
    WORD("appendfsync", appendfsync),
    WORD("save", save),
    NUMBER("min-replicas-to-write", min_replicas),
    NUMBER("min-replicas-max-lag", min_replicas_max_lag_s),
    NUMBER("timeout", idle_timeout_s),
    WORD("notify-keyspace-events", notify),
    WORD("stop-writes-on-bgsave-error", stop_writes),
    NUMBER("maxclients", clients_max),
    NUMBER("cluster-node-timeout", node_timeout_ms),
};

static const struct place cluster_places[] = {
    WORD("cluster_state", cluster_state),
    NUMBER("cluster_slots_assigned", cluster_slots_assigned),
    NUMBER("cluster_slots_ok", cluster_slots_ok),
};

/* The first one is asked alone: who may not read it may read none. */
const char *const redis_facts_parameters[] = {"appendfsync",
                                              "save",
                                              "min-replicas-to-write",
                                              "min-replicas-max-lag",
                                              "client-output-buffer-limit",
                                              "timeout",
                                              "notify-keyspace-events",
                                              "stop-writes-on-bgsave-error",
                                              "maxclients",
                                              "cluster-node-timeout",
                                              NULL};

static void take_field(struct redis_facts *self, const struct place *places, size_t n_places, struct span name,
                       struct span value) {
    for (size_t i = 0; i < n_places; i++) {
        if (!span_equal_text(name, places[i].name)) {
            continue;
        }
        void *fact = (char *) self + places[i].offset;
        if (places[i].is_number) {
            take_number(fact, value);
        } else {
            take_word(fact, value);
        }
        return;
    }
}

/* ---- name:value lines ---- */

/* The next line without its end; false: there is none. */
static bool next_line(struct span *rest, struct span *ret_line) {
    if (rest->size == 0) {
        return false;
    }
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    size_t size = end == NULL ? rest->size : (size_t) (end - rest->data);
    *ret_line = span_of(rest->data, size);
    size_t taken = end == NULL ? size : size + 1;
    *rest = span_of(rest->data + taken, rest->size - taken);
    if (ret_line->size > 0 && ret_line->data[ret_line->size - 1] == '\r') {
        ret_line->size--;
    }
    return true;
}

/* Cuts `text` at the first `byte`; false: there is none. */
static bool cut(struct span text, char byte, struct span *ret_head, struct span *ret_rest) {
    const uint8_t *at = text.size == 0 ? NULL : memchr(text.data, byte, text.size);
    if (at == NULL) {
        return false;
    }
    size_t size = (size_t) (at - text.data);
    *ret_head = span_of(text.data, size);
    *ret_rest = span_of(at + 1, text.size - size - 1);
    return true;
}

/* slave0 of "slave0:ip=…,port=…,state=online,offset=…,lag=0" */
static bool is_replica_line(struct span name) {
    return name.size > 5 && span_starts_with(name, SPAN_LITERAL("slave")) && name.data[5] >= '0' && name.data[5] <= '9';
}

/* Notes its address; is it near? */
static bool take_replica(struct redis_facts *self, struct span value) {
    bool is_online = false;
    uint64_t lag = 0;
    uint64_t port = 0;
    struct span host = SPAN_EMPTY;
    struct span rest = value;
    while (rest.size > 0) {
        struct span part = rest;
        struct span behind = SPAN_EMPTY;
        cut(rest, ',', &part, &behind);
        if (span_starts_with(part, SPAN_LITERAL("ip="))) {
            host = span_of(part.data + 3, part.size - 3);
        } else if (span_starts_with(part, SPAN_LITERAL("port="))) {
            span_parse_u64(span_of(part.data + 5, part.size - 5), &port);
        }
        is_online = is_online || span_equal_text(part, "state=online");
        if (span_starts_with(part, SPAN_LITERAL("lag=")) &&
            !span_parse_u64(span_of(part.data + 4, part.size - 4), &lag)) {
            lag = UINT64_MAX; /* -1: not heard of yet */
        }
        rest = behind;
    }
    struct redis_address *address = &self->replica_addresses[self->n_replica_addresses];
    if (self->n_replica_addresses < REDIS_FACTS_REPLICAS_MAX && redis_address_set(address, host, port)) {
        self->n_replica_addresses++;
    }
    return is_online && lag <= REPLICA_LAG_MAX_S;
}

unsigned redis_version_number(const char *text) {
    unsigned major = 0;
    unsigned minor = 0;
    return sscanf(text, "%3u.%2u", &major, &minor) == 2 ? major * 100 + minor : 0;
}

void redis_facts_take_info(struct redis_facts *self, const struct redis_reply *reply) {
    struct span rest = reply->type == REDIS_STRING ? reply->text : SPAN_EMPTY;
    struct span line;
    struct span name;
    struct span value;
    int64_t replicas = 0;
    bool asks_for_replicas = false;
    bool tells_replicas = false;
    while (next_line(&rest, &line)) {
        if (!cut(line, ':', &name, &value)) {
            continue;
        }
        self->info_is_known = true;
        replicas += is_replica_line(name) && take_replica(self, value);
        tells_replicas = tells_replicas || span_equal_text(name, "role"); /* the section is there */
        asks_for_replicas = asks_for_replicas || span_equal_text(name, "min_slaves_good_slaves");
        take_field(self, info_places, sizeof info_places / sizeof *info_places, name, value);
    }
    if (tells_replicas) {
        self->replicas = (struct redis_number){true, replicas};
        /* The line is there only where the setting is: so it is known without CONFIG, but for how many. */
        self->min_replicas = (struct redis_number){true, asks_for_replicas ? 1 : 0};
    }
}

void redis_facts_take_cluster(struct redis_facts *self, const struct redis_reply *reply) {
    struct span rest = reply->type == REDIS_STRING ? reply->text : SPAN_EMPTY;
    struct span line;
    struct span name;
    struct span value;
    while (next_line(&rest, &line)) {
        if (cut(line, ':', &name, &value)) {
            take_field(self, cluster_places, sizeof cluster_places / sizeof *cluster_places, name, value);
        }
    }
}

/* ---- CONFIG GET ---- */

/* "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60" */
static void take_buffer_limits(struct redis_facts *self, struct span text) {
    struct span word;
    struct span rest = text;
    struct redis_number *const facts[] = {&self->pubsub_hard_bytes, &self->pubsub_soft_bytes, &self->pubsub_soft_s};
    while (cut(rest, ' ', &word, &rest)) {
        if (!span_equal_text(word, "pubsub")) {
            continue;
        }
        for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
            word = rest;
            cut(rest, ' ', &word, &rest);
            take_number(facts[i], word);
        }
        return;
    }
}

void redis_facts_take_config(struct redis_facts *self, const struct redis_reply *reply) {
    if (reply->type == REDIS_ERROR) {
        self->config_is_denied = true;
        return;
    }
    if (reply->type != REDIS_ARRAY || reply->n != 2) {
        return; /* [] : this version has no such parameter */
    }
    struct span name = redis_reply_string(&reply->elements[0]);
    struct span value = redis_reply_string(&reply->elements[1]);
    if (span_equal_text(name, "client-output-buffer-limit")) {
        take_buffer_limits(self, value);
    } else {
        take_field(self, config_places, sizeof config_places / sizeof *config_places, name, value);
    }
}

/* ---- others ---- */

void redis_facts_take_role(struct redis_facts *self, const struct redis_reply *reply) {
    if (reply->type == REDIS_ARRAY && reply->n > 0 && !self->role.is_known) { /* INFO tells it too */
        take_word(&self->role, redis_reply_string(&reply->elements[0]));
    }
}

void redis_facts_take_sharded(struct redis_facts *self, const struct redis_reply *reply) {
    if (reply->type == REDIS_ARRAY) {
        bool has = reply->n == 1 && reply->elements[0].type == REDIS_ARRAY;
        self->has_sharded = (struct redis_number){true, has ? 1 : 0};
    }
}

void redis_facts_take_time(struct redis_facts *self, const struct redis_reply *reply, int64_t answered_ms,
                           uint64_t round_trip_us) {
    struct redis_number seconds = {false, 0};
    struct redis_number micros = {false, 0};
    self->round_trip_us = (struct redis_number){true, (int64_t) round_trip_us};
    if (reply->type != REDIS_ARRAY || reply->n != 2) {
        return;
    }
    take_number(&seconds, redis_reply_string(&reply->elements[0]));
    take_number(&micros, redis_reply_string(&reply->elements[1]));
    if (seconds.is_known && micros.is_known && seconds.value < INT64_MAX / 2000) {
        int64_t ours_ms = answered_ms - (int64_t) round_trip_us / 2000; /* when it read its clock, about */
        self->clock_ahead_ms = (struct redis_number){true, seconds.value * 1000 + micros.value / 1000 - ours_ms};
    }
}

void redis_facts_take_slowlog(struct redis_facts *self, const struct redis_reply *reply, int64_t server_now_s) {
    if (reply->type != REDIS_ARRAY) {
        return;
    }
    self->slow_commands = (struct redis_number){true, 0};
    self->slowest_us = (struct redis_number){true, 0};
    for (size_t i = 0; i < reply->n; i++) {
        const struct redis_reply *entry = &reply->elements[i]; /* id, time, microseconds, arguments, … */
        if (entry->type != REDIS_ARRAY || entry->n < 3 || entry->elements[1].type != REDIS_INTEGER ||
            entry->elements[2].type != REDIS_INTEGER || entry->elements[1].integer < server_now_s - SLOW_SINCE_S) {
            continue;
        }
        int64_t took_us = entry->elements[2].integer;
        self->slow_commands.value++;
        self->slowest_us.value = took_us > self->slowest_us.value ? took_us : self->slowest_us.value;
    }
}

void redis_facts_take_partitions(struct redis_facts *self, const struct redis_reply *reply) {
    if (reply->type == REDIS_NIL) {
        self->partitions = (struct redis_number){true, 0};
    } else if (reply->type == REDIS_STRING) {
        take_number(&self->partitions, reply->text);
    }
}
