/* Events of channels: occupied, vacated, in events.channel (docs/backend-api.md, "Events"), where the namespace has
 * occupancy_events.
 *
 *   shard ──occupied──▶ event_queue ─▶ one publication of many ─▶ the shard of events.channel ─▶ forgotten
 *     └──vacated──▶ held ──▶ ┘ │ events.queue: lost, counted, told       └─ refused, unanswered: again, same key
 *                    └ occupied again within events.vacated_after: nothing is told
 *
 * Each broker speaks of itself: a channel is occupied while any says so. A channel that moves is occupied at the next
 * broker long before it is vacated at this one, because of the hold; who reloads a page, or links anew, makes no noise.
 * What a broker said counts for nothing once it says "stopped" (drained; the holds go with it) or "started".
 * Failure modes: Redis is away: it waits, up to the bound; no room to hold: vacated is told at once; the broker is
 * killed: what waited is gone, "started" follows. Thread: the backend API's. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"
#include "broker/backend/backend_api_parts.h"

#include <inttypes.h>

enum { RETRY_FIRST_MS = 200, RETRY_CAP_MS = 5000, RETRY_FLOOR_MS = 50, ANSWER_GRACE_MS = 2000 };
enum { STOPPED_AFTER_MS = 1000 /* so that the brokers that took over have spoken first */ };

/* A channel that lost its last subscriber a moment ago. */
struct backend_vacated {
    UT_hash_handle hh;
    struct list_link by_due;
    uint64_t due_ms;
    size_t name_size;
    char name[];
};

static bool is_on(const backend_api_t *self) {
    return self->occupancy.channel.size > 0;
}

static void show(backend_api_t *self) {
    const struct backend_occupancy *occupancy = &self->occupancy;
    metric_set(self->metrics, BACKEND_METRIC_OCCUPANCY_BYTES, (int64_t) occupancy->queue.bytes);
    metric_set(self->metrics, BACKEND_METRIC_OCCUPANCY_HELD, (int64_t) occupancy->held_bytes);
}

static void put(backend_api_t *self, const char *type, struct span channel) {
    struct buffer event = BUFFER_EMPTY;
    event_queue_begin(&self->occupancy.queue, type, &event);
    if (channel.size > 0) {
        buffer_append_text(&event, ",\"channel\":");
        buffer_append_json_string(&event, channel);
    }
    buffer_append_char(&event, '}');
    if (!event_queue_put(&self->occupancy.queue, buffer_span(&event), self->occupancy.bytes_max)) {
        metric_count(self->metrics, BACKEND_METRIC_OCCUPANCY_LOST);
    }
    buffer_finish(&event);
}

/* ---- out ---- */

static void fail(backend_api_t *self, enum error_code error) {
    struct backend_occupancy *occupancy = &self->occupancy;
    metric_count(self->metrics, BACKEND_METRIC_OCCUPANCY_RETRIES);
    if (!occupancy->is_failing) {
        log_warning("events_not_told", log_span("channel", buffer_span(&occupancy->channel)),
                    log_text("reason", error_describe((uint32_t) error)->message),
                    log_text("help", "they wait up to events.queue and are told again"));
    }
    occupancy->is_failing = true;
    occupancy->is_asking = false;
    occupancy->due_ms = clock_monotonic_ms() + backoff_next_ms(&occupancy->backoff);
}

static void send_on(backend_api_t *self) {
    struct backend_occupancy *occupancy = &self->occupancy;
    struct shard_request model = {.message = {.kind = self->options.request_kind},
                                  .kind = SHARD_REQUEST_PUBLISH,
                                  .reply_to = self->actor,
                                  .reply_kind = BACKEND_MESSAGE_TOLD,
                                  .is_own = true,
                                  .channel = buffer_span(&occupancy->channel)};
    if (!event_queue_next(&occupancy->queue, &model.data, &model.key)) {
        return;
    }
    model.ticket = ++occupancy->ticket;
    model.deadline_ms = clock_monotonic_ms() + (uint64_t) self->options.config->publish_timeout_ms;
    occupancy->is_asking = true;
    occupancy->due_ms = model.deadline_ms + ANSWER_GRACE_MS;
    uint32_t shard = partition_shard(partition_of(model.channel, self->options.n_partitions),
                                     self->options.n_partitions, self->options.n_shards);
    enum error_code error = backend_post(self, shard, shard_request_new(&model));
    if (error != ERROR_NONE) {
        fail(self, error);
    }
}

static void take_ack(backend_api_t *self) {
    struct backend_occupancy *occupancy = &self->occupancy;
    metric_add(self->metrics, BACKEND_METRIC_OCCUPANCY_TOLD,
               event_queue_acknowledge(&occupancy->queue, self->occupancy.bytes_max));
    if (occupancy->is_failing) {
        log_info("events_told_again", log_span("channel", buffer_span(&occupancy->channel)));
    }
    backoff_reset(&occupancy->backoff);
    occupancy->is_failing = false;
    occupancy->is_asking = false;
    occupancy->due_ms = 0;
    send_on(self);
}

void backend_occupancy_told(backend_api_t *self, struct shard_reply *reply) {
    const struct backend_occupancy *occupancy = &self->occupancy;
    bool is_it = occupancy->is_asking && reply->ticket == occupancy->ticket;
    enum error_code error = reply->error;
    memory_free(reply);
    if (is_it && error == ERROR_NONE) {
        take_ack(self);
    } else if (is_it) {
        fail(self, error);
    }
    show(self);
}

/* ---- held ---- */

static size_t footprint(const struct backend_vacated *vacated) {
    return sizeof *vacated + vacated->name_size;
}

static struct backend_vacated *find_held(const backend_api_t *self, struct span channel) {
    struct backend_vacated *found = NULL;
    HASH_FIND(hh, self->occupancy.held, channel.data, channel.size, found);
    return found;
}

static void release(backend_api_t *self, struct backend_vacated *vacated) {
    struct backend_occupancy *occupancy = &self->occupancy;
    occupancy->held_bytes -= footprint(vacated);
    HASH_DELETE(hh, occupancy->held, vacated);
    list_remove(&vacated->by_due);
    memory_free(vacated);
}

/* False: there is no room, or nothing is to be held. */
static bool hold(backend_api_t *self, struct span channel) {
    struct backend_occupancy *occupancy = &self->occupancy;
    size_t bytes = sizeof(struct backend_vacated) + channel.size;
    if (occupancy->vacated_after_ms == 0 || occupancy->held_bytes + bytes > self->occupancy.bytes_max) {
        return false;
    }
    struct backend_vacated *vacated = memory_alloc_zero(bytes);
    vacated->name_size = channel.size;
    memcpy(vacated->name, channel.data, channel.size);
    vacated->due_ms = clock_monotonic_ms() + occupancy->vacated_after_ms;
    list_init(&vacated->by_due);
    list_push_back(&occupancy->by_due, &vacated->by_due); /* all for the same time */
    HASH_ADD(hh, occupancy->held, name, vacated->name_size, vacated);
    occupancy->held_bytes += bytes;
    return true;
}

static void tell_held(backend_api_t *self, uint64_t now_ms) {
    list_for_each_safe (link, &self->occupancy.by_due) {
        struct backend_vacated *vacated = list_entry(link, struct backend_vacated, by_due);
        if (vacated->due_ms > now_ms) {
            return;
        }
        put(self, "vacated", span_of(vacated->name, vacated->name_size));
        release(self, vacated);
    }
}

static void forget_held(backend_api_t *self) {
    list_for_each_safe (link, &self->occupancy.by_due) {
        release(self, list_entry(link, struct backend_vacated, by_due));
    }
}

/* ---- in ---- */

static void take_change(backend_api_t *self, const struct shard_occupancy *change) {
    struct backend_vacated *held = find_held(self, change->channel);
    if (change->is_occupied && held != NULL) {
        release(self, held);
    } else if (change->is_occupied) {
        put(self, "occupied", change->channel);
    } else if (held == NULL && !hold(self, change->channel)) {
        put(self, "vacated", change->channel);
    }
}

void backend_take_occupancy(backend_api_t *self, struct shard_occupancy *change) {
    if (is_on(self) && !self->occupancy.has_stopped) {
        event_queue_note_lost(&self->occupancy.queue, change->n_lost, self->occupancy.bytes_max);
        metric_add(self->metrics, BACKEND_METRIC_OCCUPANCY_LOST, change->n_lost);
        if (change->channel.size > 0) {
            take_change(self, change);
        }
        show(self);
    }
    memory_free(change);
}

/* ---- time ---- */

static void stop_telling(backend_api_t *self) {
    self->occupancy.has_stopped = true;
    forget_held(self);
    put(self, "stopped", SPAN_EMPTY);
}

void backend_occupancy_tick(backend_api_t *self, uint64_t now_ms) {
    struct backend_occupancy *occupancy = &self->occupancy;
    if (!is_on(self)) {
        return;
    }
    tell_held(self, now_ms);
    if (occupancy->stops_ms != 0 && now_ms >= occupancy->stops_ms && !occupancy->has_stopped) {
        stop_telling(self);
    }
    if (now_ms >= occupancy->due_ms && occupancy->is_asking) {
        fail(self, ERROR_OUTCOME_UNKNOWN); /* the shard never answered */
    } else if (now_ms >= occupancy->due_ms) {
        send_on(self);
    }
    if (occupancy->has_stopped && event_queue_is_empty(&occupancy->queue)) {
        atomic_store(&occupancy->is_told, true);
    }
    show(self);
}

void backend_occupancy_stop(backend_api_t *self) {
    self->occupancy.stops_ms = clock_monotonic_ms() + STOPPED_AFTER_MS;
}

/* ---- life ---- */

/* What is held already is held no longer than that, either. */
static void shorten_holds(struct backend_occupancy *occupancy) {
    uint64_t most_ms = clock_monotonic_ms() + occupancy->vacated_after_ms;
    list_for_each (link, &occupancy->by_due) {
        struct backend_vacated *vacated = list_entry(link, struct backend_vacated, by_due);
        vacated->due_ms = vacated->due_ms < most_ms ? vacated->due_ms : most_ms;
    }
}

void backend_occupancy_configure(backend_api_t *self, const struct broker_config *config) {
    struct backend_occupancy *occupancy = &self->occupancy;
    bool was_on = is_on(self);
    buffer_clear(&occupancy->channel);
    buffer_append_text(&occupancy->channel, config->events_channel);
    occupancy->bytes_max = (uint64_t) config->events_queue;
    occupancy->vacated_after_ms = (uint64_t) config->events_vacated_after_ms;
    atomic_store(&occupancy->is_on, is_on(self));
    shorten_holds(occupancy);
    if (!is_on(self)) {
        forget_held(self);
    } else if (!was_on && !occupancy->has_stopped) {
        put(self, "started", SPAN_EMPTY);
    }
}

void backend_occupancy_start(backend_api_t *self) {
    struct backend_occupancy *occupancy = &self->occupancy;
    event_queue_init(&occupancy->queue, "broker", self->options.broker_id, random_u64(), 0);
    backoff_init(&occupancy->backoff, RETRY_FIRST_MS, RETRY_CAP_MS, RETRY_FLOOR_MS);
    list_init(&occupancy->by_due);
    backend_occupancy_configure(self, self->options.config);
}

void backend_occupancy_finish(backend_api_t *self) {
    forget_held(self);
    event_queue_finish(&self->occupancy.queue);
    buffer_finish(&self->occupancy.channel);
}
