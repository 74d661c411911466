/* Two requests, at most one of each under way: the one that reads what is new since the position it stands at, and the
 * one that tells the stream what the ledger holds and the stream does not.
 *
 *   every 500 ms: expire ─▶ read ─▶ page by page to the top ─▶ tell what the stream lacks, one after another
 *
 * The stream lacks something when it is another one than before (the memory engine was restarted, Redis lost its data
 * or told what it did not keep: a new epoch), or when it is about to push out what has not ended. Then each gateway
 * tells what it holds; the same idempotency key makes one publication of it. So a revocation is gone only when the
 * stream and every gateway are gone together: of the memory engine, when the whole cluster stops.
 *
 * Failure modes: brokers that do not answer: what is held stays in force, it is asked again, the age of the last answer
 * is a metric. A line that is no revocation is counted and passed over. Above token.revocations_max nothing is told by
 * services any more (LIMIT_EXCEEDED); what other gateways took is taken all the same, up to REVOCATIONS_HISTORY. */
#include "gateway/revocation_feed.h"

#include "base/channel_name.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/namespace_options.h"
#include "gateway/token/revocation_ledger.h"

#include <stdio.h>
#include <xxhash.h>

enum {
    INTERVAL_MS = 500,
    PAGE = 1000,
    EDGE = REVOCATIONS_HISTORY / 4, /* so near to being pushed out it is told again */
    SKEW_S = 60,                    /* clocks of issuers may be ahead by so much */
    UNSURE_MS = 2000,
};

struct revocation_feed {
    struct revocation_feed_options options;
    revocation_ledger_t *ledger;
    metric_values_t *metrics;
    struct timer_entry tick;
    struct broker_request reading;
    struct broker_request telling;
    bool is_reading;
    bool is_telling;
    bool has_changed;
    bool is_failing;
    struct position position; /* everything up to here was read */
    uint64_t answered_ms;     /* 0: never */
    struct buffer line;       /* that is being told again */
};

enum feed_metric { METRIC_HELD, METRIC_AGE, METRIC_FAILURES, METRIC_BAD, METRIC_REFUSED, METRIC_TOLD_AGAIN };

static const struct metric_description metric_table[] = {
    {"callboard_token_revocations_told", "Users and single tokens that the HTTP API has revoked.", METRIC_GAUGE, NULL},
    {"callboard_token_revocation_feed_age_seconds", "Since brokers last told what is revoked.", METRIC_GAUGE, NULL},
    {"callboard_token_revocation_feed_failures_total", "Times they did not.", METRIC_COUNTER, NULL},
    {"callboard_token_revocation_feed_bad_total", "What they told and is no revocation: it is passed over.",
     METRIC_COUNTER, NULL},
    {"callboard_token_revocations_refused_total", "Revocations that were refused at token.revocations_max.",
     METRIC_COUNTER, NULL},
    {"callboard_token_revocations_told_again_total", "Revocations that brokers had lost, or were about to.",
     METRIC_COUNTER, NULL},
};

static bool is_on(const revocation_feed_t *self) {
    return self->options.config->revocations_max > 0;
}

static int64_t now_s(void) {
    return clock_wall_ms() / 1000;
}

/* ---- what is held ---- */

static void hand_out(revocation_feed_t *self) {
    struct buffer lines = BUFFER_EMPTY;
    self->has_changed = false;
    metric_set(self->metrics, METRIC_HELD, (int64_t) revocation_ledger_count(self->ledger));
    revocation_ledger_write(self->ledger, &lines);
    self->options.on_change(self->options.context, buffer_span(&lines));
    buffer_finish(&lines);
}

static void take(revocation_feed_t *self, struct span line, uint64_t offset) {
    switch (revocation_ledger_take(self->ledger, line, offset, now_s())) {
    case LEDGER_NEW:
        self->has_changed = true;
        break;
    case LEDGER_KNOWN:
        break;
    case LEDGER_BAD:
        metric_count(self->metrics, METRIC_BAD);
        break;
    }
}

/* ---- telling again ---- */

static void tell_next(revocation_feed_t *self);

static void on_told(struct broker_request *request, const struct broker_answer *answer) {
    revocation_feed_t *self = list_entry(request, struct revocation_feed, telling);
    self->is_telling = false;
    if (answer->error != ERROR_NONE || !epoch_equal(&answer->position.epoch, &self->position.epoch)) {
        return; /* the next reading shows what is lacking then */
    }
    take(self, buffer_span(&self->line), answer->position.offset);
    tell_next(self);
}

static void publish(revocation_feed_t *self, struct broker_request *request, struct span line, struct span key) {
    const struct broker_publication publication = {
        .channel = SPAN_LITERAL(REVOCATIONS_CHANNEL), .data = line, .key = key};
    broker_publish(self->options.brokers, request, &publication);
}

/* The key has the epoch in it: in a stream that goes on under another one, what was told before is told again. */
static void tell_next(revocation_feed_t *self) {
    uint64_t top = self->position.offset;
    uint64_t edge = top + EDGE > REVOCATIONS_HISTORY ? top + EDGE - REVOCATIONS_HISTORY : 1;
    char key[EPOCH_TEXT_MAX + 40];
    buffer_clear(&self->line);
    if (self->is_telling || !is_on(self) || !revocation_ledger_find_below(self->ledger, edge, &self->line)) {
        return;
    }
    struct span epoch = epoch_span(&self->position.epoch);
    int size = snprintf(key, sizeof key, "%.*s/%llu/%016llx", (int) epoch.size, (const char *) epoch.data,
                        (unsigned long long) (edge > 1 ? top / EDGE : 0),
                        (unsigned long long) XXH64(self->line.data, self->line.size, 0));
    metric_count(self->metrics, METRIC_TOLD_AGAIN);
    self->is_telling = true;
    self->telling = (struct broker_request){.on_done = on_told};
    publish(self, &self->telling, buffer_span(&self->line), span_of(key, (size_t) size));
}

/* ---- reading ---- */

static void read_on(revocation_feed_t *self);

static void rest(revocation_feed_t *self) {
    timer_wheel_set(self->options.wheel, &self->tick, clock_monotonic_ms() + INTERVAL_MS);
}

static void tell_failure(revocation_feed_t *self, enum error_code code) {
    metric_count(self->metrics, METRIC_FAILURES);
    if (!self->is_failing && self->answered_ms != 0) {
        log_warning("revocations_unread", log_u64("code", code),
                    log_text("help", "what is held stays in force; what services revoke elsewhere comes with the "
                                     "brokers' next answer"));
    }
    self->is_failing = true;
    if (self->has_changed) {
        hand_out(self);
    }
    rest(self);
}

/* It begins anew, whatever survived in it. */
static void take_other_stream(revocation_feed_t *self) {
    revocation_ledger_forget_offsets(self->ledger);
    self->position = (struct position){.offset = 0};
    read_on(self);
}

/* Returns whether there is more. */
static bool take_page(revocation_feed_t *self, const struct broker_answer *answer) {
    struct cursor cursor = cursor_of(answer->bytes);
    struct wire_publication publication = {.offset = answer->position.offset};
    for (uint32_t i = 0; i < answer->n && wire_read_publication(&cursor, &publication); i++) {
        take(self, publication.data, publication.offset);
    }
    self->position = (struct position){.epoch = answer->position.epoch, .offset = publication.offset};
    return answer->n > 0 && publication.offset < answer->position.offset;
}

static void on_read(struct broker_request *request, const struct broker_answer *answer) {
    revocation_feed_t *self = list_entry(request, struct revocation_feed, reading);
    self->is_reading = false;
    if (answer->error == ERROR_UNRECOVERABLE_POSITION) {
        take_other_stream(self);
        return;
    }
    if (answer->error != ERROR_NONE) {
        tell_failure(self, answer->error);
        return;
    }
    self->answered_ms = clock_monotonic_ms();
    self->is_failing = false;
    if (take_page(self, answer)) {
        read_on(self);
        return;
    }
    if (self->has_changed) {
        hand_out(self);
    }
    tell_next(self);
    rest(self);
}

static void read_on(revocation_feed_t *self) {
    self->is_reading = true;
    self->reading = (struct broker_request){.on_done = on_read};
    broker_history(self->options.brokers, &self->reading, SPAN_LITERAL(REVOCATIONS_CHANNEL), true, &self->position,
                   PAGE, false);
}

static void show_age(revocation_feed_t *self) {
    uint64_t age_ms = self->answered_ms == 0 ? 0 : clock_monotonic_ms() - self->answered_ms;
    metric_set(self->metrics, METRIC_AGE, (int64_t) age_ms / 1000);
}

static void on_tick(struct timer_entry *entry) {
    revocation_feed_t *self = list_entry(entry, struct revocation_feed, tick);
    if (revocation_ledger_expire(self->ledger, now_s()) > 0) {
        hand_out(self);
    }
    show_age(self);
    if (is_on(self)) {
        read_on(self);
    } else {
        rest(self);
    }
}

bool revocation_feed_is_unsure(const revocation_feed_t *self) {
    bool is_old = self->answered_ms == 0 || clock_monotonic_ms() - self->answered_ms > UNSURE_MS;
    return is_on(self) && self->options.config->revocations_strict && is_old;
}

/* ---- what services tell ---- */

int64_t revocation_feed_end_of(const revocation_feed_t *self, int64_t issued_s) {
    const struct gateway_config *config = self->options.config;
    int64_t life_ms = config->token.max_life_ms;
    if (life_ms > 0 &&
        (config->subscription_token.max_life_ms == 0 || config->subscription_token.max_life_ms > life_ms)) {
        life_ms = config->subscription_token.max_life_ms;
    }
    return life_ms == 0 ? REVOCATION_WITHOUT_END : issued_s + life_ms / 1000 + SKEW_S;
}

enum error_code revocation_feed_judge(const revocation_feed_t *self) {
    if (!is_on(self)) {
        return ERROR_NOT_AVAILABLE;
    }
    if (revocation_ledger_count(self->ledger) >= (size_t) self->options.config->revocations_max) {
        metric_count(self->metrics, METRIC_REFUSED);
        return ERROR_LIMIT_EXCEEDED;
    }
    return ERROR_NONE;
}

void revocation_feed_tell(revocation_feed_t *self, struct broker_request *request, struct span line) {
    publish(self, request, line, SPAN_EMPTY);
}

void revocation_feed_take(revocation_feed_t *self, struct span line, const struct position *position) {
    bool is_known_stream = epoch_equal(&position->epoch, &self->position.epoch);
    take(self, line, is_known_stream ? position->offset : 0);
    if (!self->is_reading) {
        timer_wheel_set(self->options.wheel, &self->tick,
                        clock_monotonic_ms()); /* many of one request go out at once */
    }
}

/* ---- life ---- */

revocation_feed_t *revocation_feed_new(const struct revocation_feed_options *options) {
    revocation_feed_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->ledger = revocation_ledger_new();
    self->metrics = metric_values_new(options->metrics, metric_table, sizeof metric_table / sizeof metric_table[0]);
    timer_entry_init(&self->tick, on_tick);
    timer_wheel_set(options->wheel, &self->tick, clock_monotonic_ms());
    return self;
}

void revocation_feed_destroy(revocation_feed_t **self_p) {
    revocation_feed_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    timer_wheel_cancel(self->options.wheel, &self->tick);
    if (self->is_reading) {
        broker_request_cancel(self->options.brokers, &self->reading);
    }
    if (self->is_telling) {
        broker_request_cancel(self->options.brokers, &self->telling);
    }
    revocation_ledger_destroy(&self->ledger);
    metric_values_destroy(&self->metrics);
    buffer_finish(&self->line);
    memory_free(self);
}

void revocation_feed_configure(revocation_feed_t *self, const struct gateway_config *config) {
    if (self != NULL) {
        self->options.config = config;
    }
}
