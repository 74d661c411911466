/* Requests with ids and deadlines over the links.
 *
 *            no link, or no credit            batch handed to ZeroMQ
 *   asked ─▶ waiting ────────────▶ unsent ─────────────────▶ sent ──answer──▶ done
 *     └───────────────────────────▶ │                          │
 *                                    link lost: definite 100    link lost, deadline: 120 (publish, call, emulate), 100
 * (reads)
 *
 * A waiting request is a copy of its encoded frame; it goes as soon as a link takes it, in order within a lane.
 * Failure modes: too large 124; more waiting than the bound 111 at once; still waiting at the deadline 111 (brokers are
 * there, no credit) or 100 (none is alive); what was sent is given up a moment after the deadline that the broker was
 * told; an answer that comes after the end is dropped and counted. A request whose
 * batch is open at its deadline counts as sent: it may still go. */
#include "gateway/broker_requests_parts.h"

#include "base/clock.h"
#include "base/memory.h"

/* A broker that refuses something at its deadline looks at deadlines now and then, and its answer travels: a definite
 * no that is under way is worth more than "unknown". */
enum { ANSWER_GRACE_MS = 250 };

enum { WAITING_MAX = 4096, BLOCKED_LANES_MAX = 64 };
#define WAITING_BYTES_MAX ((size_t) 16 << 20)

/* clang-format off */
static const struct metric_description metric_table[] = {
#define REQUEST_METRIC_ROW(id, text, describes, kind, constant) {.name = text, .help = describes, .type = kind, .labels = constant},
    REQUEST_METRICS(REQUEST_METRIC_ROW)
#undef REQUEST_METRIC_ROW
};
/* clang-format on */

/* ---- the end of a request ---- */

static bool is_pending(const struct broker_request *request) {
    return request->id != 0;
}

static void drop_waiting(broker_requests_t *self, struct broker_request *request) {
    struct waiting_frame *waiting = request->waiting;
    if (waiting == NULL) {
        return;
    }
    request->waiting = NULL;
    self->n_waiting--;
    self->waiting_bytes -= waiting->frame.size;
    metric_change(self->metrics, METRIC_WAITING, -1);
    list_remove(&waiting->link);
    buffer_finish(&waiting->frame);
    memory_free(waiting);
}

static void drop_call(struct broker_request *request) {
    if (request->call != NULL) {
        buffer_finish(&request->call->frame);
        memory_free(request->call);
        request->call = NULL;
    }
}

void requests_forget(broker_requests_t *self, struct broker_request *request) {
    drop_waiting(self, request);
    key_table_take(&self->pending, request->id);
    timer_wheel_cancel(self->wheel, &request->timer);
    list_remove(&request->link);
    drop_call(request);
    request->id = 0;
}

void requests_count_failure(broker_requests_t *self, enum error_code code) {
    metric_count(self->metrics, code == ERROR_OUTCOME_UNKNOWN     ? METRIC_UNKNOWN
                                : code == ERROR_TOO_MANY_REQUESTS ? METRIC_BUSY
                                : code == ERROR_INTERNAL          ? METRIC_LINK
                                                                  : METRIC_REFUSED);
}

/* on_done comes later, outside of the caller's call. */
void requests_finish_later(broker_requests_t *self, struct broker_request *request, enum error_code code) {
    if (is_pending(request)) {
        requests_forget(self, request);
    }
    requests_count_failure(self, code);
    request->early_error = code;
    list_push_back(&self->finished, &request->link);
    broker_links_defer(self->links, &self->finishing);
}

static void run_finished(broker_requests_t *self) {
    for (struct list_link *link = list_pop_front(&self->finished); link != NULL;
         link = list_pop_front(&self->finished)) {
        struct broker_request *request = list_entry(link, struct broker_request, link);
        request->on_done(request, &(struct broker_answer){.error = request->early_error});
    }
}

static void on_finishing(struct broker_deferred *deferred) {
    run_finished(list_entry(deferred, broker_requests_t, finishing));
}

/* The link or the patience ended while it may have been under way. */
enum error_code requests_error_when_cut_off(const struct broker_request *request) {
    bool has_effect = request->kind == WIRE_PUBLISH || request->kind == WIRE_CALL ||
                      request->kind == WIRE_HISTORY_REMOVE || request->kind == WIRE_EMULATE ||
                      (request->kind == WIRE_COMMAND && !request->only_reads);
    return has_effect ? ERROR_OUTCOME_UNKNOWN : ERROR_INTERNAL;
}

uint32_t requests_brokers_alive(const broker_requests_t *self) {
    struct broker_summary summary;
    broker_links_summary(self->links, &summary);
    return summary.brokers_alive;
}

static bool some_broker_is_alive(const broker_requests_t *self) {
    return requests_brokers_alive(self) > 0;
}

static void on_deadline(struct timer_entry *timer) {
    struct broker_request *request = list_entry(timer, struct broker_request, timer);
    broker_requests_t *self = request->requests;
    if (request->waiting != NULL) {
        requests_finish_later(self, request, some_broker_is_alive(self) ? ERROR_TOO_MANY_REQUESTS : ERROR_INTERNAL);
        return;
    }
    if (!request->is_overdue) {
        request->is_overdue = true;
        timer_wheel_set(self->wheel, timer, clock_monotonic_ms() + ANSWER_GRACE_MS);
        return;
    }
    requests_finish_later(self, request, requests_error_when_cut_off(request));
}

void broker_request_cancel(broker_requests_t *self, struct broker_request *request) {
    if (request->link.next == NULL) {
        return; /* it was never asked */
    }
    if (is_pending(request)) {
        requests_forget(self, request);
        return;
    }
    list_remove(&request->link);
}

enum error_code broker_request_give_up(broker_requests_t *self, struct broker_request *request) {
    enum error_code code = request->early_error;
    if (is_pending(request)) {
        code = request->waiting != NULL ? ERROR_INTERNAL : requests_error_when_cut_off(request);
    }
    broker_request_cancel(self, request);
    return code;
}

/* ---- sending ---- */

/* False: no link, or no credit. */
bool requests_send_frame(broker_requests_t *self, struct broker_request *request, const struct broker_route *route,
                         struct span frame) {
    if (!uplink_admits(route->uplink, route->shard, frame.size)) {
        return false;
    }
    request->uplink = route->uplink;
    request->shard = route->shard;
    list_push_back(&self->unsent[route->shard % UNSENT_LISTS], &request->link);
    bool appended = buffer_append_span(uplink_batch(route->uplink, route->shard), frame);
    uplink_frame_added(route->uplink, route->shard, appended);
    return true;
}

void requests_wait_for_link(broker_requests_t *self, struct broker_request *request, uint32_t channel_hash,
                            struct span frame) {
    if (self->n_waiting >= WAITING_MAX || self->waiting_bytes + frame.size > WAITING_BYTES_MAX) {
        requests_finish_later(self, request, ERROR_TOO_MANY_REQUESTS);
        return;
    }
    struct waiting_frame *waiting = memory_alloc_zero(sizeof *waiting);
    list_init(&waiting->link);
    waiting->request = request;
    waiting->channel_hash = channel_hash;
    buffer_append_span(&waiting->frame, frame);
    list_push_back(&self->waiting, &waiting->link);
    request->waiting = waiting;
    self->n_waiting++;
    self->waiting_bytes += frame.size;
    metric_change(self->metrics, METRIC_WAITING, 1);
}

/* Lanes that refused during one pass: what stands behind must not overtake. */
struct blocked_lanes {
    struct broker_route lanes[BLOCKED_LANES_MAX];
    size_t n;
};

static bool is_blocked(const struct blocked_lanes *blocked, const struct broker_route *route) {
    for (size_t i = 0; i < blocked->n; i++) {
        if (blocked->lanes[i].uplink == route->uplink && blocked->lanes[i].shard == route->shard) {
            return true;
        }
    }
    return false;
}

static void send_waiting(broker_requests_t *self) {
    struct blocked_lanes blocked = {.n = 0};
    list_for_each_safe (link, &self->waiting) {
        struct waiting_frame *waiting = list_entry(link, struct waiting_frame, link);
        struct broker_request *request = waiting->request;
        struct broker_route route;
        if (!broker_links_route(self->links, waiting->channel_hash, &route) || is_blocked(&blocked, &route)) {
            continue;
        }
        if (requests_send_frame(self, request, &route, buffer_span(&waiting->frame))) {
            drop_waiting(self, request);
        } else if (blocked.n < BLOCKED_LANES_MAX) {
            blocked.lanes[blocked.n++] = route;
        } else {
            return;
        }
    }
}

static void on_retrying(struct broker_deferred *deferred) {
    send_waiting(list_entry(deferred, broker_requests_t, retrying));
}

/* `encoded`: the frame stands in scratch. */
void requests_ask_at(broker_requests_t *self, struct broker_request *request, uint32_t channel_hash, bool encoded) {
    if (!encoded) {
        requests_finish_later(self, request, ERROR_TOO_LARGE);
        return;
    }
    struct span frame = buffer_span(&self->scratch);
    key_table_put(&self->pending, request->id, request);
    timer_wheel_set(self->wheel, &request->timer, clock_monotonic_ms() + self->timeout_ms);
    struct broker_route route;
    if (!list_is_empty(&self->waiting)) {
        requests_wait_for_link(self, request, channel_hash, frame);
        broker_links_defer(self->links, &self->retrying);
    } else if (!broker_links_route(self->links, channel_hash, &route) ||
               !requests_send_frame(self, request, &route, frame)) {
        requests_wait_for_link(self, request, channel_hash, frame);
    }
}

void requests_begin(broker_requests_t *self, struct broker_request *request, enum wire_kind kind,
                    enum request_metric metric) {
    do {
        self->last_id++;
    } while (self->last_id == 0 || key_table_find(&self->pending, self->last_id) != NULL);
    void (*on_done)(struct broker_request * asked, const struct broker_answer *answer) = request->on_done;
    *request = (struct broker_request){.on_done = on_done,
                                       .id = self->last_id,
                                       .kind = (uint8_t) kind,
                                       .requests = self,
                                       .started_us = clock_monotonic_us()};
    list_init(&request->link);
    timer_entry_init(&request->timer, on_deadline);
    metric_count(self->metrics, metric);
    buffer_clear(&self->scratch);
}

/* ---- what the links tell, beside broker_requests_answers.c ---- */

static void on_live(void *context, uplink_t *uplink) {
    (void) context;
    (void) uplink;
}

static void on_ranks(void *context) {
    send_waiting(context);
}

static void on_credit(void *context) {
    broker_requests_t *self = context;
    broker_links_defer(self->links, &self->retrying);
}

/* ---- life ---- */

static void requests_free(void *context) {
    broker_requests_t *self = context;
    void (*on_closed)(void *closed_context) = self->on_closed;
    void *closed_context = self->closed_context;
    metric_values_destroy(&self->metrics);
    key_table_finish(&self->pending);
    buffer_finish(&self->scratch);
    memory_free(self);
    on_closed(closed_context);
}

static void ignore_closed(void *context) {
    (void) context;
}

broker_requests_t *broker_requests_new(const struct broker_requests_settings *settings, char *ret_error,
                                       size_t error_size) {
    broker_requests_t *self = memory_alloc_zero(sizeof *self);
    self->wheel = settings->wheel;
    self->on_emulated = settings->on_emulated;
    self->context = settings->context;
    self->timeout_ms =
        settings->config->request_timeout_ms > 0 ? (uint32_t) settings->config->request_timeout_ms : 2000;
    self->metrics = metric_values_new(settings->metrics, metric_table, sizeof metric_table / sizeof metric_table[0]);
    key_table_init(&self->pending);
    for (size_t i = 0; i < UNSENT_LISTS; i++) {
        list_init(&self->unsent[i]);
    }
    list_init(&self->sent);
    list_init(&self->finished);
    list_init(&self->waiting);
    list_init(&self->finishing.link);
    list_init(&self->retrying.link);
    self->finishing.run = on_finishing;
    self->retrying.run = on_retrying;
    self->links = broker_links_new(settings, ret_error, error_size);
    if (self->links == NULL) {
        self->on_closed = ignore_closed;
        requests_free(self);
        return NULL;
    }
    broker_links_listen(self->links, BROKER_LISTENER_REQUESTS,
                        &(struct broker_listener){.context = self,
                                                  .on_frame = requests_on_frame,
                                                  .on_sent = requests_on_sent,
                                                  .on_live = on_live,
                                                  .on_lost = requests_on_lost,
                                                  .on_ranks = on_ranks,
                                                  .on_credit = on_credit});
    return self;
}

void broker_requests_close(broker_requests_t **self_p, void (*on_closed)(void *context), void *context) {
    broker_requests_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        on_closed(context);
        return;
    }
    self->on_closed = on_closed;
    self->closed_context = context;
    requests_on_lost(self, NULL); /* all of them */
    list_for_each_safe (link, &self->waiting) {
        requests_finish_later(self, list_entry(link, struct waiting_frame, link)->request, ERROR_INTERNAL);
    }
    run_finished(self);
    list_remove(&self->finishing.link);
    list_remove(&self->retrying.link);
    broker_links_listen(self->links, BROKER_LISTENER_REQUESTS, NULL);
    broker_links_close(&self->links, requests_free, self);
}

broker_links_t *broker_requests_links(broker_requests_t *self) {
    return self->links;
}

void broker_requests_set_draining(broker_requests_t *self, bool draining) {
    broker_links_set_draining(self->links, draining);
}

void broker_requests_set_config_hash(broker_requests_t *self, uint64_t hash) {
    broker_links_set_config_hash(self->links, hash);
}

void broker_requests_summary(const broker_requests_t *self, struct broker_summary *ret_summary) {
    broker_links_summary(self->links, ret_summary);
}
