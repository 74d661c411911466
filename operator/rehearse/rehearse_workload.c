/* See rehearse_workload.h. Life of it:
 *
 *   new ─▶ start (subscribers) ─▶ ready ─▶ publish (publishers) ─▶ … ─▶ end: publishers are joined, deliveries awaited,
 *                                                                      subscribers joined, histories read, logs sorted
 *
 * The channels are chosen so that their partitions lie evenly over all slots: each shard of a cluster has some. */
#include "operator/rehearse/rehearse_workload_parts.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { SLICE_MS = 50, LOOK_AGAIN_MS = 20, HISTORY_MS = 3000, HISTORY_TRIES = 10, NAMES_TRIED_MAX = 100000 };

/* ---- what the threads use ---- */

void rehearse_workload_set_error(struct rehearse_workload *self, bool is_for_good, const char *error) {
    pthread_mutex_lock(&self->error_lock);
    if (!atomic_load(&self->is_forbidden)) { /* the first one that is for good stays */
        snprintf(self->error, sizeof self->error, "%s", error);
        atomic_store(&self->is_forbidden, is_for_good);
    }
    pthread_mutex_unlock(&self->error_lock);
}

bool rehearse_workload_pause(const struct rehearse_workload *self, uint64_t ms) {
    uint64_t end_us = clock_monotonic_us() + ms * 1000;
    for (;;) {
        uint64_t now_us = clock_monotonic_us();
        if (atomic_load(&self->is_over)) {
            return false;
        }
        if (now_us >= end_us) {
            return true;
        }
        uint64_t left_us = end_us - now_us < SLICE_MS * 1000 ? end_us - now_us : SLICE_MS * 1000;
        struct timespec pause = {.tv_nsec = (long) left_us * 1000};
        nanosleep(&pause, NULL);
    }
}

uint32_t rehearse_workload_number_of(const struct rehearse_workload *self, struct json_value data) {
    struct span run;
    uint64_t number = 0;
    if (json_plain_string(json_member(data, "rehearse"), &run) && span_equal_text(run, self->run) &&
        json_to_u64(json_member(data, "number"), &number) && number <= UINT32_MAX) {
        return (uint32_t) number;
    }
    return 0;
}

/* ---- making it ---- */

/* Channel i has a partition of the i-th part of all. */
static void choose_names(struct rehearse_workload *self) {
    uint32_t n = (uint32_t) self->options.channels;
    uint32_t n_chosen = 0;
    for (uint32_t i = 0; i < NAMES_TRIED_MAX && n_chosen < n; i++) {
        char name[REHEARSE_CHANNEL_NAME_SIZE];
        snprintf(name, sizeof name, "%s-%u", self->options.channel, i);
        uint32_t part = partition_of(span_of_text(name), PARTITIONS_DEFAULT) * n / PARTITIONS_DEFAULT;
        if (self->names[part][0] == '\0') {
            memcpy(self->names[part], name, sizeof name);
            n_chosen++;
        }
    }
}

static bool check_options(const struct rehearse_workload_options *options, char *ret_error, size_t error_size) {
    char url[1024];
    if (options->channel == NULL || options->channel[0] == '\0' ||
        strlen(options->channel) > REHEARSE_CHANNEL_NAME_SIZE - 16) {
        snprintf(ret_error, error_size,
                 "--channel NAMESPACE:NAME says where: a name that nobody else uses, in a namespace with history");
        return false;
    }
    if (!rehearse_pick_address(options->gateways, 0, url, sizeof url)) {
        snprintf(ret_error, error_size,
                 "--gateway ws://HOST:PORT/connection/websocket,… says where subscribers connect");
        return false;
    }
    return true;
}

rehearse_workload_t *rehearse_workload_new(const struct rehearse_workload_options *options, char *ret_error,
                                           size_t error_size) {
    if (!check_options(options, ret_error, error_size)) {
        return NULL;
    }
    rehearse_workload_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    pthread_mutex_init(&self->error_lock, NULL);
    random_base62(self->run, REHEARSE_RUN_SIZE - 1);
    choose_names(self);
    bool is_made = rehearse_tokens_read(&self->tokens, &options->tokens, ret_error, error_size);
    for (size_t i = 0; i < options->channels && is_made; i++) {
        self->publishers[i].workload = self;
        self->publishers[i].channel = (uint8_t) i;
        self->publishers[i].backend = rehearse_backend_new(&options->backend, i, ret_error, error_size);
        is_made = self->publishers[i].backend != NULL;
    }
    for (size_t i = 0; i < options->subscribers; i++) {
        self->subscribers[i].workload = self;
        self->subscribers[i].number = (uint8_t) i;
    }
    if (!is_made) {
        rehearse_workload_destroy(&self);
    }
    return self;
}

/* ---- threads ---- */

/* Signals are for the one who rehearses. */
static bool start_thread(struct rehearse_workload *self, pthread_t *ret_thread, void *(*run)(void *), void *context) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        rehearse_workload_set_error(self, true, strerror(error));
    }
    return error == 0;
}

void rehearse_workload_start(rehearse_workload_t *self) {
    while (self->n_subscribers < self->options.subscribers) {
        struct rehearse_subscriber *subscriber = &self->subscribers[self->n_subscribers];
        if (!start_thread(self, &subscriber->thread, rehearse_subscriber_run, subscriber)) {
            return;
        }
        self->n_subscribers++;
    }
}

void rehearse_workload_publish(rehearse_workload_t *self) {
    atomic_store(&self->is_publishing, true);
    while (self->n_publishers < self->options.channels) {
        struct rehearse_publisher *publisher = &self->publishers[self->n_publishers];
        if (!start_thread(self, &publisher->thread, rehearse_publisher_run, publisher)) {
            return;
        }
        self->n_publishers++;
    }
}

static void end_publishers(struct rehearse_workload *self) {
    atomic_store(&self->is_publishing, false);
    for (; self->n_publishers > 0; self->n_publishers--) {
        pthread_join(self->publishers[self->n_publishers - 1].thread, NULL);
    }
}

static void end_subscribers(struct rehearse_workload *self) {
    atomic_store(&self->is_over, true);
    for (; self->n_subscribers > 0; self->n_subscribers--) {
        pthread_join(self->subscribers[self->n_subscribers - 1].thread, NULL);
    }
}

void rehearse_workload_destroy(rehearse_workload_t **self_p) {
    rehearse_workload_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    atomic_store(&self->is_over, true);
    end_publishers(self);
    end_subscribers(self);
    for (size_t i = 0; i < REHEARSE_CHANNELS_MAX; i++) {
        rehearse_backend_destroy(&self->publishers[i].backend);
        rehearse_log_finish(&self->publishers[i].log);
    }
    for (size_t i = 0; i < REHEARSE_SUBSCRIBERS_MAX; i++) {
        rehearse_log_finish(&self->subscribers[i].log);
    }
    rehearse_log_finish(&self->log);
    rehearse_tokens_finish(&self->tokens);
    pthread_mutex_destroy(&self->error_lock);
    memory_free(self);
    *self_p = NULL;
}

/* ---- how it is ---- */

enum rehearse_outcome rehearse_workload_is_ready(rehearse_workload_t *self) {
    if (atomic_load(&self->is_forbidden)) {
        return REHEARSE_FORBIDDEN;
    }
    for (size_t i = 0; i < self->options.subscribers; i++) {
        if (!atomic_load(&self->subscribers[i].is_ready)) {
            return REHEARSE_WAITING;
        }
    }
    return REHEARSE_OK;
}

const char *rehearse_workload_error(rehearse_workload_t *self) {
    pthread_mutex_lock(&self->error_lock);
    memcpy(self->told_error, self->error, sizeof self->told_error);
    pthread_mutex_unlock(&self->error_lock);
    return self->told_error;
}

void rehearse_workload_note(rehearse_workload_t *self, enum rehearse_event_kind kind) {
    rehearse_log_add(&self->log, (struct rehearse_event){.kind = (uint8_t) kind});
}

void rehearse_workload_mark(rehearse_workload_t *self) {
    for (size_t i = 0; i < self->options.channels; i++) {
        self->mark[i] = atomic_load(&self->publishers[i].sent);
    }
}

/* Has every subscriber got what was acked last, and is that above the mark? */
static bool is_delivered(rehearse_workload_t *self, size_t channel, unsigned above) {
    unsigned acked = atomic_load(&self->publishers[channel].acked);
    bool is_all = acked > above;
    for (size_t i = 0; i < self->options.subscribers; i++) {
        is_all = is_all && atomic_load(&self->subscribers[i].delivered[channel]) > above;
    }
    return is_all;
}

enum rehearse_outcome rehearse_workload_is_past_mark(rehearse_workload_t *self) {
    if (atomic_load(&self->is_forbidden)) {
        return REHEARSE_FORBIDDEN;
    }
    for (size_t i = 0; i < self->options.channels; i++) {
        if (!is_delivered(self, i, self->mark[i])) {
            return REHEARSE_WAITING;
        }
    }
    return REHEARSE_OK;
}

uint64_t rehearse_workload_failed_tries(const rehearse_workload_t *self) {
    return atomic_load(&self->failed_tries);
}

uint64_t rehearse_workload_acked(const rehearse_workload_t *self) {
    return atomic_load(&self->acked);
}

/* ---- the end ---- */

static bool has_everybody_all(rehearse_workload_t *self) {
    for (size_t i = 0; i < self->options.channels; i++) {
        unsigned acked = atomic_load(&self->publishers[i].acked);
        if (acked > 0 && !is_delivered(self, i, acked - 1)) {
            return false;
        }
    }
    return true;
}

struct reading {
    struct rehearse_workload *workload;
    uint8_t channel;
    struct rehearse_log kept;
};

static void on_kept(void *context, struct json_value data) {
    struct reading *reading = context;
    uint32_t number = rehearse_workload_number_of(reading->workload, data);
    if (number > 0) {
        rehearse_log_add(&reading->kept,
                         (struct rehearse_event){.kind = REHEARSE_KEPT, .channel = reading->channel, .number = number});
    }
}

/* One that breaks off counts for nothing: it is read again. */
static void read_history(struct rehearse_workload *self, size_t channel) {
    struct reading reading = {.workload = self, .channel = (uint8_t) channel, .kept = REHEARSE_LOG_EMPTY};
    for (unsigned i = 0; i < HISTORY_TRIES; i++) {
        if (rehearse_backend_history(self->publishers[channel].backend, self->names[channel], HISTORY_MS, on_kept,
                                     &reading) == REHEARSE_ANSWER_DONE) {
            rehearse_log_add(&self->log,
                             (struct rehearse_event){.kind = REHEARSE_HISTORY, .channel = (uint8_t) channel});
            rehearse_log_take(&self->log, &reading.kept);
            return;
        }
        rehearse_log_finish(&reading.kept);
        struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

const struct rehearse_log *rehearse_workload_end(rehearse_workload_t *self, int settle_ms) {
    end_publishers(self);
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) settle_ms;
    while (!has_everybody_all(self) && clock_monotonic_ms() < deadline_ms) {
        struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    end_subscribers(self);
    rehearse_workload_note(self, REHEARSE_ENDED);
    for (size_t i = 0; i < self->options.channels; i++) {
        read_history(self, i);
        rehearse_log_take(&self->log, &self->publishers[i].log);
    }
    for (size_t i = 0; i < self->options.subscribers; i++) {
        rehearse_log_take(&self->log, &self->subscribers[i].log);
    }
    rehearse_log_sort(&self->log);
    return &self->log;
}
