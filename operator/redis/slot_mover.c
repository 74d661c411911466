/* See slot_mover.h.
 *
 *   target  CLUSTER SETSLOT s IMPORTING <source>   from here it takes the slot's keys, and serves them to who was sent
 *   source  CLUSTER SETSLOT s MIGRATING <target>   from here it makes no new key in the slot: ASK, TRYAGAIN
 *   source  CLUSTER GETKEYSINSLOT, MIGRATE …       until there are none; each batch leaves when it has arrived
 *   target  CLUSTER SETSLOT s NODE <target>        first: from here the slot is its own, by a new config epoch
 *   source, other primaries  the same              so that they send clients there at once; gossip would, too
 *
 * Brokers wait from the first key that has left to the end (their scripts name keys that do not exist yet, which the
 * source does not make any more), so a slot is moved in one go. MIGRATE stops both servers while it runs, so batches
 * begin with one key and grow while they are quick (QUICK_MS), and one key has migrate_timeout_ms, which has to be
 * below the cluster's node timeout: a server that is stopped for longer is taken for dead, and its heir does not know
 * that the slot is on its way. Failures: IOERR leaves keys on both sides; the source's count, since it serves them, so
 * the next attempt replaces. A key on both sides without that is one that an heir of the source has made anew: refused.
 */
#include "operator/redis/slot_mover.h"

#include "base/clock.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

enum { BATCH_MAX = 256, QUICK_MS = 25, SLOW_MS = 100, COUNT_AT_ONCE = 256, NO_SLOT = CLUSTER_SLOTS, TEXT_MAX = 24 };

struct slot_mover {
    redis_dialer_t *dialer;
    const struct redis_pods *pods;
    const struct redis_options *options;
    resp_client_t *clients[CLUSTER_PODS_MAX]; /* NULL: to be opened */
    unsigned batch;
    unsigned torn_slot; /* IOERR: its keys may be on both sides; NO_SLOT: none */
    uint64_t keys;
    char *error;
};

slot_mover_t *slot_mover_new(redis_dialer_t *dialer, const struct redis_pods *pods,
                             const struct redis_options *options) {
    slot_mover_t *self = memory_alloc_zero(sizeof *self);
    self->dialer = dialer;
    self->pods = pods;
    self->options = options;
    self->batch = 1;
    self->torn_slot = NO_SLOT;
    return self;
}

void slot_mover_destroy(slot_mover_t **self_p) {
    slot_mover_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < CLUSTER_PODS_MAX; i++) {
        resp_client_destroy(&self->clients[i]);
    }
    memory_free(self);
    *self_p = NULL;
}

uint64_t slot_mover_keys(const slot_mover_t *self) {
    return self->keys;
}

/* ---- speaking ---- */

static resp_client_t *client_of(slot_mover_t *self, unsigned pod) {
    char why[RESP_ERROR_MAX];
    if (self->clients[pod] == NULL) {
        self->clients[pod] =
            redis_dialer_open(self->dialer, REDIS_SERVICE_REDIS, &self->pods->pods[pod], NULL, why, sizeof why);
        if (self->clients[pod] == NULL) {
            snprintf(self->error, SLOT_MOVER_ERROR_MAX, "%s: %s", self->pods->pods[pod].host, why);
        }
    }
    return self->clients[pod];
}

static bool has(struct span text, const char *part) {
    size_t size = strlen(part);
    for (size_t i = 0; i + size <= text.size; i++) {
        if (memcmp(text.data + i, part, size) == 0) {
            return true;
        }
    }
    return false;
}

/* What became of a command that did not go well. */
static enum slot_result blame(slot_mover_t *self, unsigned pod, const char *what, const struct redis_reply *reply) {
    struct span why = reply == NULL ? span_of_text(resp_client_error(self->clients[pod])) : reply->text;
    snprintf(self->error, SLOT_MOVER_ERROR_MAX, "%s: %s: %.*s", self->pods->pods[pod].host, what,
             (int) (why.size < 300 ? why.size : 300), why.size == 0 ? "" : (const char *) why.data);
    enum slot_result result = has(why, "NOPERM") ? SLOT_DENIED : has(why, "BUSYKEY") ? SLOT_TWICE : SLOT_NOT_YET;
    if (reply == NULL) {
        resp_client_destroy(&self->clients[pod]);
    }
    return result;
}

static bool send_to(slot_mover_t *self, unsigned pod, const struct buffer *commands) {
    resp_client_t *client = client_of(self, pod);
    if (client == NULL) {
        return false;
    }
    if (!resp_client_send(client, buffer_span(commands))) {
        (void) blame(self, pod, "sending", NULL);
        return false;
    }
    return true;
}

static void encode_set_slot(struct buffer *out, unsigned slot, const char *state, const char *id) {
    char number[TEXT_MAX];
    snprintf(number, sizeof number, "%u", slot);
    resp_encode(out, (const char *const[]){"CLUSTER", "SETSLOT", number, state, id, NULL});
}

static void encode_get_keys(const slot_mover_t *self, struct buffer *out, unsigned slot) {
    char number[TEXT_MAX];
    char count[TEXT_MAX];
    snprintf(number, sizeof number, "%u", slot);
    snprintf(count, sizeof count, "%u", self->batch);
    resp_encode(out, (const char *const[]){"CLUSTER", "GETKEYSINSLOT", number, count, NULL});
}

/* ---- counting ---- */

static bool count_some(slot_mover_t *self, const struct scale_move *moves, size_t n, uint64_t *ret_keys) {
    struct buffer commands = BUFFER_EMPTY;
    for (size_t i = 0; i < n; i++) {
        char number[TEXT_MAX];
        snprintf(number, sizeof number, "%u", moves[i].slot);
        resp_encode(&commands, (const char *const[]){"CLUSTER", "COUNTKEYSINSLOT", number, NULL});
    }
    bool is_done = send_to(self, moves[0].from, &commands);
    buffer_finish(&commands);
    for (size_t i = 0; i < n && is_done; i++) {
        const struct redis_reply *reply = resp_client_reply(self->clients[moves[0].from]);
        is_done = reply != NULL && reply->type == REDIS_INTEGER && reply->integer >= 0;
        if (!is_done) {
            (void) blame(self, moves[0].from, "CLUSTER COUNTKEYSINSLOT", reply);
            resp_client_destroy(&self->clients[moves[0].from]); /* replies of the others are on their way */
            break;
        }
        ret_keys[i] = (uint64_t) reply->integer;
    }
    return is_done;
}

bool slot_mover_count(slot_mover_t *self, const struct scale_move *moves, size_t n, uint64_t *ret_keys,
                      char ret_error[SLOT_MOVER_ERROR_MAX]) {
    self->error = ret_error;
    for (size_t first = 0, some; first < n; first += some) {
        some = 1;
        while (first + some < n && some < COUNT_AT_ONCE && moves[first + some].from == moves[first].from) {
            some++;
        }
        if (!count_some(self, &moves[first], some, &ret_keys[first])) {
            return false;
        }
    }
    return true;
}

/* ---- keys ---- */

static void append_word(struct buffer *out, struct span word) {
    buffer_append_format(out, "$%zu\r\n", word.size);
    buffer_append_span(out, word);
    buffer_append_text(out, "\r\n");
}

static void append_text(struct buffer *out, const char *word) {
    append_word(out, span_of_text(word));
}

/* MIGRATE host port "" 0 timeout [REPLACE] [AUTH2 user password] KEYS key… */
static void encode_migrate(const slot_mover_t *self, struct buffer *out, const struct cluster_pod *target,
                           bool replaces, const char *password, const struct redis_reply *keys) {
    char port[TEXT_MAX];
    char timeout[TEXT_MAX];
    bool has_password = password[0] != '\0';
    bool has_user = has_password && self->options->user != NULL && self->options->user[0] != '\0';
    snprintf(port, sizeof port, "%u", target->port);
    snprintf(timeout, sizeof timeout, "%" PRIu64, self->options->migrate_timeout_ms);
    buffer_append_format(out, "*%zu\r\n", 7 + keys->n + replaces + (has_user ? 3 : has_password ? 2 : 0));
    append_text(out, "MIGRATE");
    append_text(out, target->host);
    append_text(out, port);
    append_text(out, "");
    append_text(out, "0");
    append_text(out, timeout);
    if (replaces) {
        append_text(out, "REPLACE");
    }
    if (has_password) {
        append_text(out, has_user ? "AUTH2" : "AUTH");
    }
    if (has_user) {
        append_text(out, self->options->user);
    }
    if (has_password) {
        append_text(out, password);
    }
    append_text(out, "KEYS");
    for (size_t i = 0; i < keys->n; i++) {
        append_word(out, redis_reply_string(&keys->elements[i]));
    }
}

static void adapt(slot_mover_t *self, uint64_t took_ms) {
    if (took_ms < QUICK_MS && self->batch < BATCH_MAX) {
        self->batch *= 2;
    } else if (took_ms > SLOW_MS && self->batch > 1) {
        self->batch /= 2;
    }
}

/* Sends one batch, and asks for the next one behind it. */
static bool send_batch(slot_mover_t *self, const struct cluster_view *view, const struct scale_move *move,
                       bool replaces, const struct redis_reply *keys) {
    char password[REDIS_DIALER_PASSWORD_MAX];
    if (!redis_dialer_password(self->dialer, REDIS_SERVICE_REDIS, password, self->error, SLOT_MOVER_ERROR_MAX)) {
        return false;
    }
    struct buffer commands = BUFFER_EMPTY;
    encode_migrate(self, &commands, &view->pods[move->to], replaces, password, keys);
    encode_get_keys(self, &commands, move->slot);
    bool is_sent = send_to(self, move->from, &commands);
    explicit_bzero(commands.data, commands.size);
    explicit_bzero(password, sizeof password);
    buffer_finish(&commands);
    return is_sent;
}

static enum slot_result move_batch(slot_mover_t *self, const struct cluster_view *view, const struct scale_move *move,
                                   bool replaces, const struct redis_reply *keys) {
    uint64_t began = clock_monotonic_ms();
    size_t n = keys->n;
    if (!send_batch(self, view, move, replaces, keys)) {
        return SLOT_NOT_YET;
    }
    resp_client_t *client = self->clients[move->from];
    resp_client_set_timeout(client,
                            (unsigned) (self->options->migrate_timeout_ms * 4 + self->options->command_timeout_ms));
    const struct redis_reply *reply = resp_client_reply(client);
    resp_client_set_timeout(client, (unsigned) self->options->command_timeout_ms);
    if (reply != NULL && reply->type == REDIS_STATUS) { /* OK, or NOKEY: they have expired meanwhile */
        self->keys += n;
        adapt(self, clock_monotonic_ms() - began);
        return SLOT_MOVED;
    }
    if (reply == NULL || has(reply->text, "IOERR")) {
        self->torn_slot = move->slot;
        self->batch = 1;
    }
    enum slot_result result = blame(self, move->from, "MIGRATE", reply);
    resp_client_destroy(&self->clients[move->from]); /* the next keys are on their way */
    return result;
}

/* The answer of the last GETKEYSINSLOT is next on the source's connection. */
static enum slot_result move_keys(slot_mover_t *self, const struct cluster_view *view, const struct scale_move *move,
                                  bool replaces) {
    for (;;) {
        const struct redis_reply *keys = resp_client_reply(self->clients[move->from]);
        if (keys == NULL || keys->type != REDIS_ARRAY) {
            return blame(self, move->from, "CLUSTER GETKEYSINSLOT", keys);
        }
        if (keys->n == 0) {
            return SLOT_MOVED;
        }
        enum slot_result result = move_batch(self, view, move, replaces, keys);
        if (result != SLOT_MOVED) {
            return result;
        }
    }
}

/* ---- the slot ---- */

static enum slot_result set_slot(slot_mover_t *self, unsigned pod, unsigned slot, const char *state, const char *id) {
    char number[TEXT_MAX];
    snprintf(number, sizeof number, "%u", slot);
    resp_client_t *client = client_of(self, pod);
    if (client == NULL) {
        return SLOT_NOT_YET;
    }
    const struct redis_reply *reply = resp_client_call(client, "CLUSTER", "SETSLOT", number, state, id);
    return resp_reply_is_ok(reply) ? SLOT_MOVED : blame(self, pod, "CLUSTER SETSLOT", reply);
}

static enum slot_result open_source(slot_mover_t *self, const struct scale_move *move, const char *target_id) {
    struct buffer commands = BUFFER_EMPTY;
    encode_set_slot(&commands, move->slot, "MIGRATING", target_id);
    encode_get_keys(self, &commands, move->slot);
    bool is_sent = send_to(self, move->from, &commands);
    buffer_finish(&commands);
    if (!is_sent) {
        return SLOT_NOT_YET;
    }
    const struct redis_reply *reply = resp_client_reply(self->clients[move->from]);
    if (resp_reply_is_ok(reply)) {
        return SLOT_MOVED;
    }
    enum slot_result result = blame(self, move->from, "CLUSTER SETSLOT MIGRATING", reply);
    resp_client_destroy(&self->clients[move->from]); /* the keys are on their way */
    return result;
}

/* The target owns it; what is told to the others only saves them a redirection, but the source has to close it. */
static enum slot_result tell_others(slot_mover_t *self, const struct cluster_view *view, const struct scale_move *move,
                                    const char *target_id) {
    char ignored[SLOT_MOVER_ERROR_MAX];
    enum slot_result result = set_slot(self, move->from, move->slot, "NODE", target_id);
    char *error = self->error;
    self->error = ignored;
    for (unsigned i = 0; i < view->n; i++) {
        const struct cluster_node *line = cluster_view_line(view, i);
        if (i != move->from && i != move->to && line != NULL && line->is_primary && line->n_ranges > 0) {
            (void) set_slot(self, i, move->slot, "NODE", target_id);
        }
    }
    self->error = error;
    return result;
}

enum slot_result slot_mover_move(slot_mover_t *self, const struct cluster_view *view, const struct scale_move *move,
                                 bool replaces, char ret_error[SLOT_MOVER_ERROR_MAX]) {
    const char *source_id = cluster_view_line(view, move->from)->id;
    const char *target_id = cluster_view_line(view, move->to)->id;
    self->error = ret_error;
    enum slot_result result = set_slot(self, move->to, move->slot, "IMPORTING", source_id);
    result = result != SLOT_MOVED ? result : open_source(self, move, target_id);
    result = result != SLOT_MOVED ? result : move_keys(self, view, move, replaces || self->torn_slot == move->slot);
    result = result != SLOT_MOVED ? result : set_slot(self, move->to, move->slot, "NODE", target_id);
    return result != SLOT_MOVED ? result : tell_others(self, view, move, target_id);
}

/* ---- as text ---- */

void slot_mover_describe(const struct redis_options *options, const struct cluster_view *view,
                         const struct scale_move *move,
                         void (*print)(void *context, unsigned pod, const char *const *words), void *context) {
    const char *source_id = cluster_view_line(view, move->from)->id;
    const char *target_id = cluster_view_line(view, move->to)->id;
    const struct cluster_pod *target = &view->pods[move->to];
    bool has_user = options->user != NULL && options->user[0] != '\0';
    bool has_password = options->password_file != NULL;
    char slot[TEXT_MAX];
    char port[TEXT_MAX];
    char timeout[TEXT_MAX];
    snprintf(slot, sizeof slot, "%u", move->slot);
    snprintf(port, sizeof port, "%u", target->port);
    snprintf(timeout, sizeof timeout, "%" PRIu64, options->migrate_timeout_ms);
    print(context, move->to, (const char *const[]){"CLUSTER", "SETSLOT", slot, "IMPORTING", source_id, NULL});
    print(context, move->from, (const char *const[]){"CLUSTER", "SETSLOT", slot, "MIGRATING", target_id, NULL});
    print(context, move->from, (const char *const[]){"CLUSTER", "GETKEYSINSLOT", slot, "256", NULL});
    const char *words[] = {"MIGRATE", target->host, port, "\"\"", "0", timeout, NULL, NULL, NULL, NULL, NULL, NULL};
    size_t n = 6;
    if (has_password) {
        words[n++] = has_user ? "AUTH2" : "AUTH";
        if (has_user) {
            words[n++] = options->user;
        }
        words[n++] = "\"$REDISCLI_AUTH\"";
    }
    words[n++] = "KEYS";
    words[n++] = "…";
    print(context, move->from, words);
    print(context, move->to, (const char *const[]){"CLUSTER", "SETSLOT", slot, "NODE", target_id, NULL});
    print(context, move->from, (const char *const[]){"CLUSTER", "SETSLOT", slot, "NODE", target_id, NULL});
}
