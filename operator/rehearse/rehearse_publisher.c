/* One channel's publisher.
 *
 *   wait for its turn ─▶ try ── done ─▶ ACKED
 *                         ▲ │  refused, unknown ─▶ REFUSED, UNANSWERED ─▶ pause (full jitter) ─┐
 *                         └─┼──────────────────────────────────────────────────────────────────┘
 *                           └─ patience is over ─▶ GIVEN_UP
 *
 * A try that is refused for good (no rights, no such namespace) ends the rehearsal: it would prove nothing. */
#include "operator/rehearse/rehearse_workload_parts.h"

#include "base/backoff.h"
#include "base/clock.h"

#include <stdio.h>

enum { TRY_MS = 5000, PAUSE_FIRST_MS = 50, PAUSE_MAX_MS = 1000, KEY_SIZE = 64, DATA_SIZE = 96 };

struct publication {
    uint32_t number;
    char key[KEY_SIZE];
    char data[DATA_SIZE];
    bool was_unanswered; /* some try of it: it may be kept */
    uint64_t deadline_ms;
};

static void note(struct rehearse_publisher *self, enum rehearse_event_kind kind, uint32_t number, bool flag) {
    rehearse_log_add(&self->log, (struct rehearse_event){
                                     .kind = (uint8_t) kind, .channel = self->channel, .number = number, .flag = flag});
}

/* True: it is done with, acked or not. */
static bool try_once(struct rehearse_publisher *self, struct publication *publication) {
    struct rehearse_workload *workload = self->workload;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t left_ms = publication->deadline_ms > now_ms ? publication->deadline_ms - now_ms : 1;
    enum rehearse_answer answer =
        rehearse_backend_publish(self->backend, workload->names[self->channel], span_of_text(publication->data),
                                 publication->key, left_ms < TRY_MS ? (int) left_ms : TRY_MS);
    if (answer == REHEARSE_ANSWER_DONE) {
        note(self, REHEARSE_ACKED, publication->number, false);
        atomic_store(&self->acked, publication->number);
        atomic_fetch_add(&workload->acked, 1);
        return true;
    }
    bool is_unknown = answer == REHEARSE_ANSWER_UNKNOWN;
    publication->was_unanswered = publication->was_unanswered || is_unknown;
    note(self, is_unknown ? REHEARSE_UNANSWERED : REHEARSE_REFUSED, publication->number, false);
    atomic_fetch_add(&workload->failed_tries, 1);
    rehearse_workload_set_error(workload, answer == REHEARSE_ANSWER_NEVER, rehearse_backend_error(self->backend));
    return answer == REHEARSE_ANSWER_NEVER;
}

static void publish(struct rehearse_publisher *self, uint32_t number) {
    struct rehearse_workload *workload = self->workload;
    struct publication publication = {.number = number,
                                      .deadline_ms = clock_monotonic_ms() + workload->options.patience_ms};
    struct backoff backoff;
    backoff_init(&backoff, PAUSE_FIRST_MS, PAUSE_MAX_MS, PAUSE_FIRST_MS / 2);
    snprintf(publication.key, sizeof publication.key, "rehearse-%s-%u-%u", workload->run, self->channel, number);
    snprintf(publication.data, sizeof publication.data, "{\"rehearse\":\"%s\",\"number\":%u}", workload->run, number);
    note(self, REHEARSE_SENT, number, false);
    atomic_store(&self->sent, number);
    while (!try_once(self, &publication)) {
        if (clock_monotonic_ms() >= publication.deadline_ms ||
            !rehearse_workload_pause(workload, backoff_next_ms(&backoff))) {
            note(self, REHEARSE_GIVEN_UP, number, !publication.was_unanswered);
            return;
        }
    }
}

void *rehearse_publisher_run(void *publisher) {
    struct rehearse_publisher *self = publisher;
    struct rehearse_workload *workload = self->workload;
    uint64_t interval_us = 1000000 * workload->options.channels / workload->options.rate;
    /* Not all at the same moment. */
    uint64_t due_us = clock_monotonic_us() + interval_us * self->channel / workload->options.channels;
    uint64_t numbers = REHEARSE_PUBLICATIONS_MAX / workload->options.channels;
    for (uint32_t number = 1; number <= numbers && atomic_load(&workload->is_publishing);) {
        uint64_t now_us = clock_monotonic_us();
        if (now_us < due_us) {
            if (!rehearse_workload_pause(workload, (due_us - now_us + 999) / 1000)) {
                break;
            }
            continue;
        }
        due_us = due_us + interval_us < now_us ? now_us : due_us + interval_us; /* what was missed is not made up for */
        publish(self, number++);
    }
    return NULL;
}
