/* See event_feed.h; what waits is in an event_queue. */
#include "gateway/event_feed.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/event_queue.h"
#include "base/log.h"
#include "base/memory.h"

#include <inttypes.h>

enum {
    GATHER_MS = 20, /* so long the first one waits for others */
    RETRY_FIRST_MS = 200,
    RETRY_CAP_MS = 5000,
    RETRY_FLOOR_MS = 50,
};

struct event_feed {
    struct event_feed_options options;
    metric_values_t *metrics;
    struct timer_entry timer;
    struct backoff backoff;
    struct broker_request request;
    bool is_asking;
    bool is_failing;
    struct event_queue queue;
};

enum feed_metric { METRIC_TOLD, METRIC_LOST, METRIC_RETRIES, METRIC_BYTES };

static const struct metric_description metric_table[] = {
    {"callboard_gateway_events_total", "Events that services were told in events.channel.", METRIC_COUNTER, NULL},
    {"callboard_gateway_events_lost_total", "Events dropped at events.queue; an event of type lost tells how many.",
     METRIC_COUNTER, NULL},
    {"callboard_gateway_events_retries_total", "Publications of events that were not acknowledged, and sent again.",
     METRIC_COUNTER, NULL},
    {"callboard_gateway_events_waiting_bytes", "Bytes of events that wait to be told, at most events.queue a worker.",
     METRIC_GAUGE, NULL},
};

static void count(const event_feed_t *self, enum feed_metric row, uint64_t n) {
    if (self->metrics != NULL) {
        metric_add(self->metrics, row, n);
    }
}

static void show(const event_feed_t *self) {
    if (self->metrics != NULL) {
        metric_set(self->metrics, METRIC_BYTES, (int64_t) self->queue.bytes);
    }
}

/* ---- out ---- */

static void on_answered(struct broker_request *request, const struct broker_answer *answer);

static uint64_t bytes_max(const event_feed_t *self) {
    return (uint64_t) self->options.config->events_queue;
}

static void send_on(event_feed_t *self) {
    struct broker_publication publication = {.channel = span_of_text(self->options.config->events_channel)};
    if (self->is_asking || !event_feed_is_on(self) ||
        !event_queue_next(&self->queue, &publication.data, &publication.key)) {
        return;
    }
    self->is_asking = true;
    self->request = (struct broker_request){.on_done = on_answered};
    broker_publish(self->options.brokers, &self->request, &publication);
}

static void take_ack(event_feed_t *self) {
    count(self, METRIC_TOLD, event_queue_acknowledge(&self->queue, bytes_max(self)));
    show(self);
    backoff_reset(&self->backoff);
    if (self->is_failing) {
        log_info("events_told_again", log_u64("worker", self->options.worker));
    }
    self->is_failing = false;
    send_on(self);
}

static void take_failure(event_feed_t *self, enum error_code error) {
    count(self, METRIC_RETRIES, 1);
    if (!self->is_failing) {
        log_warning("events_not_told", log_text("channel", self->options.config->events_channel),
                    log_text("reason", error_describe((uint32_t) error)->message),
                    log_text("help", "they wait up to events.queue and are told again; a namespace that the brokers "
                                     "do not have, or one without history, has to be mended there"));
    }
    self->is_failing = true;
    timer_wheel_set(self->options.wheel, &self->timer, clock_monotonic_ms() + backoff_next_ms(&self->backoff));
}

static void on_answered(struct broker_request *request, const struct broker_answer *answer) {
    event_feed_t *self = list_entry(request, struct event_feed, request);
    self->is_asking = false;
    if (answer->error == ERROR_NONE) {
        take_ack(self);
    } else {
        take_failure(self, answer->error);
    }
}

static void on_timer(struct timer_entry *entry) {
    send_on(list_entry(entry, struct event_feed, timer));
}

/* ---- in ---- */

static void append_json(struct buffer *out, const char *name, struct span json) {
    if (json.size > 0) {
        buffer_append_format(out, ",\"%s\":", name);
        buffer_append_span(out, json);
    }
}

static void append_event(const event_feed_t *self, const struct event *event, struct buffer *out) {
    event_queue_begin(&self->queue, event->type, out);
    buffer_append_text(out, ",\"client\":");
    buffer_append_json_string(out, event->client.client);
    buffer_append_text(out, ",\"user\":");
    buffer_append_json_string(out, event->client.user);
    if (event->channel.size > 0) {
        buffer_append_text(out, ",\"channel\":");
        buffer_append_json_string(out, event->channel);
    }
    append_json(out, "conn_info", event->client.conn_info);
    append_json(out, "chan_info", event->client.chan_info);
    if (event->code != 0) {
        buffer_append_format(out, ",\"code\":%" PRIu32, event->code);
    }
    buffer_append_char(out, '}');
}

void event_feed_tell(event_feed_t *self, const struct event *event) {
    struct buffer json = BUFFER_EMPTY;
    append_event(self, event, &json);
    if (!event_queue_put(&self->queue, buffer_span(&json), bytes_max(self))) {
        count(self, METRIC_LOST, 1);
    }
    buffer_finish(&json);
    show(self);
    if (!self->is_asking && !timer_entry_is_set(&self->timer)) {
        timer_wheel_set(self->options.wheel, &self->timer, clock_monotonic_ms() + GATHER_MS);
    }
}

bool event_feed_is_on(const event_feed_t *self) {
    return self != NULL && self->options.config->events_channel[0] != '\0';
}

bool event_feed_is_done(const event_feed_t *self) {
    return !event_feed_is_on(self) || event_queue_is_empty(&self->queue);
}

/* ---- life ---- */

event_feed_t *event_feed_new(const struct event_feed_options *options) {
    event_feed_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    if (options->metrics != NULL) {
        self->metrics = metric_values_new(options->metrics, metric_table, sizeof metric_table / sizeof metric_table[0]);
    }
    timer_entry_init(&self->timer, on_timer);
    backoff_init(&self->backoff, RETRY_FIRST_MS, RETRY_CAP_MS, RETRY_FLOOR_MS);
    event_queue_init(&self->queue, "gateway", options->config->id, options->boot_nonce, options->worker);
    return self;
}

void event_feed_configure(event_feed_t *self, const struct gateway_config *config) {
    self->options.config = config;
}

void event_feed_destroy(event_feed_t **self_p) {
    event_feed_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    if (self->is_asking) {
        broker_request_cancel(self->options.brokers, &self->request);
    }
    timer_wheel_cancel(self->options.wheel, &self->timer);
    event_queue_finish(&self->queue);
    metric_values_destroy(&self->metrics);
    memory_free(self);
}
