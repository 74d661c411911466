/* The commands of the simulated Redis but for streams and scripts, with the checks that stand before every command. A
 * write tells its effect in words that do not depend on clock or chance (PXAT, PEXPIREAT, MAXLEN =). */
#include "tests/simulation/model_server.h"

#include "base/memory.h"
#include "tests/simulation/model_topology.h"
#include "tests/simulation/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- replies ---- */

void reply_error(struct buffer *out, const char *text) {
    buffer_append_format(out, "-%s\r\n", text);
}

void reply_status(struct buffer *out, const char *text) {
    buffer_append_format(out, "+%s\r\n", text);
}

void reply_integer(struct buffer *out, int64_t value) {
    buffer_append_format(out, ":%lld\r\n", (long long) value);
}

void reply_bulk(struct buffer *out, struct span bytes) {
    buffer_append_format(out, "$%zu\r\n", bytes.size);
    buffer_append_span(out, bytes);
    buffer_append(out, "\r\n", 2);
}

void reply_nil(struct buffer *out) {
    buffer_append_text(out, "$-1\r\n");
}

void reply_array(struct buffer *out, size_t n) {
    buffer_append_format(out, "*%zu\r\n", n);
}

/* ---- effects ---- */

void model_propagate(struct model_server *self, size_t n, const struct span *arguments) {
    if (self->changing == NULL) {
        self->changing = sim_alloc(sizeof *self->changing);
        self->changing->commands = sim_alloc(64 * sizeof *self->changing->commands);
    }
    struct model_change *change = self->changing;
    if (change->n > 0 && change->n % 64 == 0) {
        struct model_command_text *more = sim_alloc((change->n + 64) * sizeof *more);
        memcpy(more, change->commands, change->n * sizeof *more);
        change->commands = more;
    }
    struct model_command_text *text = &change->commands[change->n++];
    text->n = n;
    text->arguments = sim_alloc(n * sizeof *text->arguments);
    for (size_t i = 0; i < n; i++) {
        text->arguments[i] = span_of(sim_copy(arguments[i].data, arguments[i].size), arguments[i].size);
    }
}

struct model_change *model_take_change(struct model_server *self) {
    struct model_change *change = self->changing;
    self->changing = NULL;
    return change;
}

static void propagate(const struct model_call *call) {
    if (!call->is_replayed) {
        model_propagate(call->server, call->n, call->arguments);
    }
    if (call->wrote != NULL) {
        *call->wrote = true;
    }
}

/* ---- keys ---- */

struct model_key *model_find(struct model_server *self, struct span name) {
    struct model_key *key = model_store_find(&self->store, name);
    if (key == NULL || key->expires_ms == 0 || self->is_replaying || key->expires_ms > model_wall_ms(self)) {
        return key;
    }
    if (self->primary == NULL) {
        const struct span words[] = {SPAN_LITERAL("DEL"), name};
        model_propagate(self, 2, words);
        model_store_delete(&self->store, key);
    }
    return NULL;
}

bool model_is_other_type(struct model_call *call, const struct model_key *key, enum model_type type) {
    if (key != NULL && key->type != type) {
        reply_error(call->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
        return true;
    }
    return false;
}

static int64_t number(struct span text) {
    char digits[32];
    size_t size = text.size < sizeof digits ? text.size : sizeof digits - 1;
    memcpy(digits, text.data, size);
    digits[size] = '\0';
    return strtoll(digits, NULL, 10);
}

static bool is_word(struct span a, const char *word) {
    return a.size == strlen(word) && strncasecmp((const char *) a.data, word, a.size) == 0;
}

/* ---- strings ---- */

static void cmd_get(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    if (model_is_other_type(call, key, MODEL_STRING)) {
        return;
    }
    if (key == NULL) {
        reply_nil(call->reply);
    } else {
        reply_bulk(call->reply, key->text);
    }
}

static void cmd_set(struct model_call *call) {
    struct model_server *self = call->server;
    const struct span *words = call->arguments;
    int64_t expires_ms = 0;
    bool only_new = false;
    for (size_t i = 3; i < call->n; i++) {
        if (is_word(words[i], "NX")) {
            only_new = true;
        } else if (is_word(words[i], "PX")) {
            expires_ms = model_wall_ms(self) + number(words[++i]);
        } else if (is_word(words[i], "EX")) {
            expires_ms = model_wall_ms(self) + 1000 * number(words[++i]);
        } else if (is_word(words[i], "PXAT")) {
            expires_ms = number(words[++i]);
        }
    }
    struct model_key *key = model_find(self, words[1]);
    if (only_new && key != NULL) {
        reply_nil(call->reply);
        return;
    }
    if (key != NULL) {
        model_store_delete(&self->store, key);
    }
    key = model_store_make(&self->store, words[1], MODEL_STRING);
    model_set_text(key, words[2]);
    key->expires_ms = expires_ms;
    char at[24];
    int size = snprintf(at, sizeof at, "%lld", (long long) expires_ms);
    const struct span effect[] = {words[0], words[1], words[2], SPAN_LITERAL("PXAT"), span_of(at, (size_t) size)};
    struct model_call told = *call;
    told.arguments = effect;
    told.n = expires_ms == 0 ? 3 : 5;
    propagate(&told);
    reply_status(call->reply, "OK");
}

static void cmd_incr(struct model_call *call) {
    struct model_server *self = call->server;
    struct model_key *key = model_find(self, call->arguments[1]);
    if (model_is_other_type(call, key, MODEL_STRING)) {
        return;
    }
    if (key == NULL) {
        key = model_store_make(&self->store, call->arguments[1], MODEL_STRING);
        model_set_text(key, SPAN_LITERAL("0"));
    }
    char text[24];
    int64_t value = number(key->text) + 1;
    int size = snprintf(text, sizeof text, "%lld", (long long) value);
    model_set_text(key, span_of(text, (size_t) size));
    propagate(call);
    reply_integer(call->reply, value);
}

static void cmd_del(struct model_call *call) {
    int64_t n = 0;
    for (size_t i = 1; i < call->n; i++) {
        struct model_key *key = model_find(call->server, call->arguments[i]);
        if (key != NULL) {
            model_store_delete(&call->server->store, key);
            n++;
        }
    }
    if (n > 0) {
        propagate(call);
    }
    reply_integer(call->reply, n);
}

static void cmd_exists(struct model_call *call) {
    int64_t n = 0;
    for (size_t i = 1; i < call->n; i++) {
        n += model_find(call->server, call->arguments[i]) != NULL;
    }
    reply_integer(call->reply, n);
}

static void expire_at(struct model_call *call, int64_t at_ms) {
    struct model_key *key = model_find(call->server, call->arguments[1]);
    if (key == NULL) {
        reply_integer(call->reply, 0);
        return;
    }
    key->expires_ms = at_ms;
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long) at_ms);
    const struct span effect[] = {SPAN_LITERAL("PEXPIREAT"), call->arguments[1], span_of(text, (size_t) size)};
    struct model_call told = *call;
    told.arguments = effect;
    told.n = 3;
    propagate(&told);
    reply_integer(call->reply, 1);
}

static void cmd_pexpire(struct model_call *call) {
    expire_at(call, model_wall_ms(call->server) + number(call->arguments[2]));
}

static void cmd_expire(struct model_call *call) {
    expire_at(call, model_wall_ms(call->server) + 1000 * number(call->arguments[2]));
}

static void cmd_pexpireat(struct model_call *call) {
    expire_at(call, number(call->arguments[2]));
}

static void cmd_pttl(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    reply_integer(call->reply, key == NULL            ? -2
                               : key->expires_ms == 0 ? -1
                                                      : key->expires_ms - model_wall_ms(call->server));
}

static void cmd_flushall(struct model_call *call) {
    model_store_clear(&call->server->store);
    propagate(call);
    reply_status(call->reply, "OK");
}

/* ---- hashes and sets ---- */

static void write_fields(struct model_call *call, enum model_type type) {
    struct model_server *self = call->server;
    struct model_key *key = model_find(self, call->arguments[1]);
    if (model_is_other_type(call, key, type)) {
        return;
    }
    if (key == NULL) {
        key = model_store_make(&self->store, call->arguments[1], type);
    }
    int64_t n = 0;
    size_t step = type == MODEL_HASH ? 2 : 1;
    for (size_t i = 2; i + step <= call->n; i += step) {
        n += model_field_set(key, call->arguments[i], step == 2 ? call->arguments[i + 1] : SPAN_EMPTY);
    }
    propagate(call);
    reply_integer(call->reply, n);
}

static void delete_fields(struct model_call *call, enum model_type type) {
    struct model_server *self = call->server;
    struct model_key *key = model_find(self, call->arguments[1]);
    if (model_is_other_type(call, key, type)) {
        return;
    }
    int64_t n = 0;
    for (size_t i = 2; key != NULL && i < call->n; i++) {
        n += model_field_delete(key, call->arguments[i]);
    }
    if (n > 0) {
        propagate(call);
    }
    if (key != NULL && key->n == 0) {
        model_store_delete(&self->store, key);
    }
    reply_integer(call->reply, n);
}

static void reply_field(struct model_call *call, const struct model_key *key, struct span name) {
    const struct model_field *field = key == NULL ? NULL : model_field_find(key, name);
    if (field == NULL) {
        reply_nil(call->reply);
    } else {
        reply_bulk(call->reply, field->value);
    }
}

static void cmd_hget(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    if (!model_is_other_type(call, key, MODEL_HASH)) {
        reply_field(call, key, call->arguments[2]);
    }
}

static void cmd_hmget(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    if (model_is_other_type(call, key, MODEL_HASH)) {
        return;
    }
    reply_array(call->reply, call->n - 2);
    for (size_t i = 2; i < call->n; i++) {
        reply_field(call, key, call->arguments[i]);
    }
}

static void reply_all(struct model_call *call, const struct model_key *key, bool names, bool values) {
    size_t n = key == NULL ? 0 : key->n;
    reply_array(call->reply, n * ((size_t) names + (size_t) values));
    for (size_t i = 0; i < n; i++) {
        if (names) {
            reply_bulk(call->reply, key->fields[i].name);
        }
        if (values) {
            reply_bulk(call->reply, key->fields[i].value);
        }
    }
}

static void cmd_hgetall(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    if (!model_is_other_type(call, key, MODEL_HASH)) {
        reply_all(call, key, true, true);
    }
}

static void cmd_hkeys(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    if (!model_is_other_type(call, key, MODEL_HASH)) {
        reply_all(call, key, true, false);
    }
}

/* All in one page. */
static void cmd_hscan(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    if (!model_is_other_type(call, key, MODEL_HASH)) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, SPAN_LITERAL("0"));
        reply_all(call, key, true, true);
    }
}

static void cmd_hlen(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    if (!model_is_other_type(call, key, MODEL_HASH)) {
        reply_integer(call->reply, key == NULL ? 0 : (int64_t) key->n);
    }
}

static void cmd_hset(struct model_call *call) {
    write_fields(call, MODEL_HASH);
}

static void cmd_hdel(struct model_call *call) {
    delete_fields(call, MODEL_HASH);
}

static void cmd_sadd(struct model_call *call) {
    write_fields(call, MODEL_SET);
}

static void cmd_srem(struct model_call *call) {
    delete_fields(call, MODEL_SET);
}

static void cmd_smembers(struct model_call *call) {
    const struct model_key *key = model_find(call->server, call->arguments[1]);
    if (!model_is_other_type(call, key, MODEL_SET)) {
        reply_all(call, key, true, false);
    }
}

static void cmd_publish(struct model_call *call) {
    model_publish(call->server, call->arguments[1], call->arguments[2], is_word(call->arguments[0], "SPUBLISH"));
    propagate(call);
    reply_integer(call->reply, 0);
}

static void cmd_stream(struct model_call *call) {
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int) call->arguments[0].size, (const char *) call->arguments[0].data);
    model_stream_command(call, name);
}

static void cmd_script(struct model_call *call) {
    char name[16];
    snprintf(name, sizeof name, "%.*s", (int) call->arguments[0].size, (const char *) call->arguments[0].data);
    model_script_command(call, name);
}

static void cmd_admin(struct model_call *call) {
    model_admin_command(call);
}

/* ---- the table, and what stands before every command ---- */

enum { WRITES = 1, GROWS = 2, ALWAYS = 4 /* also while loading or busy */ };

static const struct row {
    const char *name;
    void (*run)(struct model_call *call);
    unsigned flags;
} rows[] = {
    {"HMGET", cmd_hmget, 0},
    {"HGET", cmd_hget, 0},
    {"HSET", cmd_hset, WRITES | GROWS},
    {"EVALSHA", cmd_script, 0},
    {"XADD", cmd_stream, WRITES | GROWS},
    {"INFO", cmd_admin, 0},
    {"PUBLISH", cmd_publish, 0},
    {"SPUBLISH", cmd_publish, 0},
    {"PTTL", cmd_pttl, 0},
    {"PEXPIRE", cmd_pexpire, WRITES},
    {"EXPIRE", cmd_expire, WRITES},
    {"PEXPIREAT", cmd_pexpireat, WRITES},
    {"GET", cmd_get, 0},
    {"SET", cmd_set, WRITES | GROWS},
    {"INCR", cmd_incr, WRITES | GROWS},
    {"DEL", cmd_del, WRITES},
    {"UNLINK", cmd_del, WRITES},
    {"EXISTS", cmd_exists, 0},
    {"HDEL", cmd_hdel, WRITES},
    {"HGETALL", cmd_hgetall, 0},
    {"HKEYS", cmd_hkeys, 0},
    {"HSCAN", cmd_hscan, 0},
    {"HLEN", cmd_hlen, 0},
    {"SADD", cmd_sadd, WRITES | GROWS},
    {"SREM", cmd_srem, WRITES},
    {"SMEMBERS", cmd_smembers, 0},
    {"XRANGE", cmd_stream, 0},
    {"XREVRANGE", cmd_stream, 0},
    {"XTRIM", cmd_stream, WRITES},
    {"XLEN", cmd_stream, 0},
    {"EVAL", cmd_script, 0},
    {"SCRIPT", cmd_script, 0},
    {"FLUSHALL", cmd_flushall, WRITES},
    {"ROLE", cmd_admin, 0},
    {"PING", cmd_admin, 0},
    {"WAIT", cmd_admin, 0},
    {"COMMAND", cmd_admin, ALWAYS},
    {"CONFIG", cmd_admin, ALWAYS},
    {"CLIENT", cmd_admin, ALWAYS},
    {"AUTH", cmd_admin, ALWAYS},
    {"HELLO", cmd_admin, ALWAYS},
    {"SELECT", cmd_admin, ALWAYS},
    {"SUBSCRIBE", cmd_admin, ALWAYS},
    {"SSUBSCRIBE", cmd_admin, ALWAYS},
    {"UNSUBSCRIBE", cmd_admin, ALWAYS},
    {"SUNSUBSCRIBE", cmd_admin, ALWAYS},
    {"SENTINEL", model_topology_command, ALWAYS},
    {"CLUSTER", model_topology_command, ALWAYS},
    {"RESTORE", model_topology_command, WRITES},
};

static const struct row *find_row(struct span name) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (is_word(name, rows[i].name)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* In a script: only before its first write. */
static const char *refusal_of(const struct model_call *call, const struct row *row) {
    const struct model_server *self = call->server;
    if (call->wrote != NULL && *call->wrote) {
        return NULL;
    }
    if ((row->flags & WRITES) != 0 && self->primary != NULL) {
        return "READONLY You can't write against a read only replica.";
    }
    if ((row->flags & WRITES) != 0 && self->disk_failed) {
        return "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.";
    }
    if ((row->flags & WRITES) != 0 && self->min_replicas > model_good_replicas(self)) {
        return "NOREPLICAS Not enough good replicas to write.";
    }
    if ((row->flags & GROWS) != 0 && self->is_full) {
        return "OOM command not allowed when used memory > 'maxmemory'.";
    }
    return NULL;
}

void model_command(struct model_call *call) {
    const struct model_server *self = call->server;
    const struct row *row = find_row(call->arguments[0]);
    if (row == NULL) {
        sim_fail("the model of Redis does not know %.*s", (int) call->arguments[0].size,
                 (const char *) call->arguments[0].data);
        reply_error(call->reply, "ERR unknown command");
        return;
    }
    bool is_ours = !call->is_replayed && !call->in_script;
    if (is_ours && (row->flags & ALWAYS) == 0 && sim_now_us() < self->loading_until_us) {
        reply_error(call->reply, "LOADING Redis is loading the dataset in memory");
        return;
    }
    if (is_ours && (row->flags & ALWAYS) == 0 && sim_now_us() < self->busy_until_us) {
        reply_error(call->reply,
                    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");
        return;
    }
    if (is_ours && call->client != NULL && model_topology_redirects(call)) {
        return;
    }
    const char *refusal = call->is_replayed ? NULL : refusal_of(call, row);
    if (refusal != NULL) {
        reply_error(call->reply, refusal);
        return;
    }
    row->run(call);
}
