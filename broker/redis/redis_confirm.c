/* See redis_confirm.h.
 *
 *   ticket ─▶ wanted ─▶ flush: confirm.lua (writes), WAIT n, confirm.lua (reads) ─▶ replid, count, replid and who
 * follows ─▶ judged
 */
#include "broker/redis/redis_confirm.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "broker/redis/link/redis_error.h"
#include "broker/redis/link/redis_request.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum {
    REPLID_MAX = 40,
    FOLLOWERS_MAX = 32, /* that are told apart; more are only counted */
};

/* Replicas, each one by a number made of its address. */
struct followers {
    size_t n; /* also those beyond the bound */
    uint64_t names[FOLLOWERS_MAX];
};

struct redis_confirm {
    struct redis_confirm_options options;
    redis_link_t *link;
    uint64_t wanted;  /* the last cycle that somebody waits for */
    uint64_t started; /* the last cycle begun */
    bool is_running;
    bool with_text;  /* the server may not know the script */
    bool is_pausing; /* an error: not before the next tick */
    uint64_t began_us;
    uint64_t n_needed;          /* of the cycle under way */
    bool needs_all;             /* and whoever else follows */
    struct followers following; /* as the last cycle ended */
    struct followers expected;  /* and who did before, as far as nobody was asked since whether they are up */
    size_t n_missed;            /* of the latter do not now */
    uint64_t missed_ms;         /* since when */
    unsigned n_replies;
    char first[REPLID_MAX + 1]; /* replid at the cycle's write */
    uint64_t n_replicas;
    const char *reason; /* what went wrong in this cycle; NULL: nothing */
};

static void fail_cycle(redis_confirm_t *self, const char *reason) {
    if (self->reason == NULL) {
        self->reason = reason;
    }
}

/* ---- the end of a cycle ---- */

static bool has_name(const struct followers *self, uint64_t name) {
    for (size_t i = 0; i < self->n && i < FOLLOWERS_MAX; i++) {
        if (self->names[i] == name) {
            return true;
        }
    }
    return false;
}

static void add_name(struct followers *self, uint64_t name) {
    if (self->n < FOLLOWERS_MAX) {
        self->names[self->n] = name;
    }
    self->n++;
}

/* "replid address address…": the replid, and who follows is noted. */
static struct span take_followers(redis_confirm_t *self, struct span text) {
    const char *bytes = (const char *) text.data;
    const char *blank = text.size == 0 ? NULL : memchr(bytes, ' ', text.size);
    size_t end = blank == NULL ? text.size : (size_t) (blank - bytes);
    struct span replid = span_of(text.data, end);
    self->following = (struct followers){.n = 0};
    while (end < text.size) {
        size_t start = end + 1;
        blank = start < text.size ? memchr(bytes + start, ' ', text.size - start) : NULL;
        end = blank == NULL ? text.size : (size_t) (blank - bytes);
        add_name(&self->following, XXH64(bytes + start, end - start, 0));
    }
    return replid;
}

/* As a cycle has seen who follows: who did before is expected on, and missed. */
static void note_missed(redis_confirm_t *self) {
    struct followers expected = self->following;
    size_t n_missed = 0;
    for (size_t i = 0; i < self->expected.n && i < FOLLOWERS_MAX; i++) {
        if (!has_name(&self->following, self->expected.names[i])) {
            add_name(&expected, self->expected.names[i]);
            n_missed++;
        }
    }
    self->expected = expected;
    if (self->needs_all && n_missed > self->n_missed) {
        self->missed_ms = clock_monotonic_ms();
        self->options.events->on_missed(self->options.context);
    }
    self->n_missed = n_missed;
}

/* As a cycle begins: how many have to confirm. */
static uint64_t needed(redis_confirm_t *self) {
    uint64_t asked_ms = 0;
    uint64_t up = self->options.events->needed(self->options.context, &self->needs_all, &asked_ms);
    if (self->n_missed > 0 && asked_ms > self->missed_ms) {
        self->expected = self->following;
        self->n_missed = 0;
    }
    return self->needs_all && self->expected.n > up ? self->expected.n : up;
}

static bool is_enough(const redis_confirm_t *self) {
    return self->n_replicas >= self->n_needed && (!self->needs_all || self->n_replicas >= self->expected.n);
}

static void end_cycle(redis_confirm_t *self, struct span last) {
    self->is_running = false;
    if (self->reason == NULL && (last.size == 0 || !span_equal_text(last, self->first))) {
        self->reason = "the server became primary anew meanwhile";
    }
    if (self->reason == NULL && is_enough(self)) {
        self->with_text = false;
        self->options.events->on_confirmed(self->options.context, self->started, last,
                                           clock_monotonic_us() - self->began_us);
        return;
    }
    self->is_pausing = self->reason != NULL;
    if (self->wanted == self->started) {
        self->wanted++;
    }
    self->options.events->on_short(self->options.context, self->n_replicas, self->reason);
}

static void note_error(redis_confirm_t *self, struct span text) {
    enum redis_error error = redis_error_classify(text);
    bool is_unknown = error == REDIS_ERROR_NO_SCRIPT;
    self->with_text = self->with_text || is_unknown;
    fail_cycle(self, is_unknown ? "the server did not know the script" : redis_error_code(text));
    if (error == REDIS_ERROR_UNFIT) {
        redis_confirm_drop(self, "this server cannot take writes now");
    }
}

static void on_reply(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    redis_confirm_t *self = context;
    if (reply == NULL) {
        return; /* the link's end is told by on_down */
    }
    unsigned number = ++self->n_replies;
    if (reply->type == REDIS_ERROR) {
        note_error(self, reply->text);
    } else if (number == 2) {
        self->n_replicas = reply->type == REDIS_INTEGER && reply->integer > 0 ? (uint64_t) reply->integer : 0;
    } else if (number == 1 && redis_reply_string(reply).size > REPLID_MAX) {
        fail_cycle(self, "the server's identity is not to be read");
    } else if (number == 1) {
        struct span text = redis_reply_string(reply);
        snprintf(self->first, sizeof self->first, "%.*s", (int) text.size, (const char *) text.data);
    }
    if (number == 3) {
        struct span replid = reply->type == REDIS_ERROR ? SPAN_EMPTY : take_followers(self, redis_reply_string(reply));
        if (replid.size > 0) {
            note_missed(self);
        }
        end_cycle(self, replid);
    }
}

/* ---- the beginning of a cycle ---- */

static void send_script(redis_confirm_t *self, struct span key, const char *writes) {
    struct buffer *out = redis_link_out(self->link);
    redis_scripts_begin(self->options.scripts, out, REDIS_SCRIPT_CONFIRM, self->with_text, 1, 1);
    redis_request_bytes(out, key);
    redis_request_text(out, writes);
    redis_link_sent(self->link, on_reply, NULL);
}

static void begin_cycle(redis_confirm_t *self, struct span key) {
    struct buffer *out = redis_link_out(self->link);
    self->started++;
    self->is_running = true;
    self->reason = NULL;
    self->n_replies = 0;
    self->n_replicas = 0;
    self->first[0] = '\0';
    self->n_needed = needed(self);
    self->began_us = clock_monotonic_us();
    send_script(self, key, "1");
    redis_request_begin(out, 3);
    redis_request_text(out, "WAIT");
    redis_request_u64(out, self->n_needed);
    redis_request_u64(out, self->options.wait_ms);
    redis_link_sent(self->link, on_reply, NULL);
    send_script(self, key, "");
}

uint64_t redis_confirm_ticket(redis_confirm_t *self) {
    self->wanted = self->started + 1;
    return self->wanted;
}

void redis_confirm_flush(redis_confirm_t *self) {
    if (self->wanted > self->started && !self->is_running && !self->is_pausing && redis_link_is_up(self->link)) {
        struct span key = self->options.events->key(self->options.context);
        if (key.size > 0) {
            begin_cycle(self, key);
        }
    }
    redis_link_flush(self->link);
}

void redis_confirm_drop(redis_confirm_t *self, const char *reason) {
    redis_link_drop(self->link, reason);
}

void redis_confirm_tick(redis_confirm_t *self) {
    self->is_pausing = false;
}

/* ---- the link ---- */

static void on_up(void *context) {
    redis_confirm_t *self = context;
    self->is_pausing = false;
    self->following = (struct followers){.n = 0}; /* nobody has looked at this server yet */
    self->expected = self->following;
    self->n_missed = 0;
    self->with_text = true;
    redis_confirm_flush(self);
}

static void on_down(void *context, const char *reason) {
    redis_confirm_t *self = context;
    if (self->is_running) {
        fail_cycle(self, reason);
        end_cycle(self, SPAN_EMPTY);
    }
}

static void on_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static const struct redis_link_events link_events = {on_up, on_down, on_push};

/* ---- life ---- */

redis_confirm_t *redis_confirm_new(const struct redis_confirm_options *options) {
    redis_confirm_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    check(options->wait_ms < options->link.command_timeout_ms, "WAIT longer than a command may take");
    struct redis_link_options link = options->link;
    link.events = &link_events;
    link.context = self;
    self->link = redis_link_new(&link);
    return self;
}

struct closing {
    redis_confirm_t *confirm;
    void (*on_closed)(void *context);
    void *context;
};

static void on_link_closed(void *context) {
    struct closing closing = *(struct closing *) context;
    memory_free(context);
    memory_free(closing.confirm);
    closing.on_closed(closing.context);
}

void redis_confirm_close(redis_confirm_t *self, void (*on_closed)(void *context), void *context) {
    struct closing *closing = memory_alloc(sizeof *closing);
    *closing = (struct closing){self, on_closed, context};
    self->is_running = false;
    redis_link_close(self->link, on_link_closed, closing);
}
