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
#include "gateway/broker_requests.h"

#include "base/channel_name.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "gateway/broker_links.h"
#include "gateway/key_table.h"

/* A broker that refuses something at its deadline looks at deadlines now and then, and its answer travels: a definite
 * no that is under way is worth more than "unknown". */
enum { ANSWER_GRACE_MS = 250 };

enum { WAITING_MAX = 4096, UNSENT_LISTS = 16, BLOCKED_LANES_MAX = 64 };
#define WAITING_BYTES_MAX ((size_t) 16 << 20)

/* A CALL goes to broker after broker until one has a worker. */
struct call_tries {
    uint32_t channel_hash;
    uint32_t n_asked;
    uint32_t asked; /* the last one, among the live */
    struct buffer frame;
};

struct waiting_frame {
    struct list_link link;
    struct broker_request *request;
    uint32_t channel_hash;
    struct buffer frame;
};

struct broker_requests {
    broker_links_t *links;
    timer_wheel_t *wheel;
    metric_values_t *metrics;
    bool (*on_emulated)(void *context, struct span session, struct span data);
    void *context; /* of on_emulated */
    uint32_t timeout_ms;
    uint32_t last_id;
    uint32_t call_first;                   /* which of the live brokers had a worker last */
    struct key_table pending;              /* id → request, until it is done or finished */
    struct list_link unsent[UNSENT_LISTS]; /* in an open batch, by shard */
    struct list_link sent;
    struct list_link finished; /* on_done with early_error is due */
    struct list_link waiting;  /* of waiting_frame */
    size_t n_waiting;
    size_t waiting_bytes;
    struct broker_deferred finishing;
    struct broker_deferred retrying;
    struct buffer scratch;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* clang-format off */
#define REQUEST_METRICS(X)                                                                                             \
    X(PUBLISH, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"publish\"")         \
    X(HISTORY, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"history\"")         \
    X(REVOCATIONS, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"revocations\"") \
    X(HISTORY_REMOVE, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"history_remove\"") \
    X(PRESENCE, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"presence\"")       \
    X(COMMAND, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"command\"")         \
    X(CALL, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"call\"")               \
    X(EMULATE, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"emulate\"")         \
    X(USER_TAKE, "callboard_gateway_requests_total", "Requests to brokers.", METRIC_COUNTER, "kind=\"user_connection\"") \
    X(UNKNOWN, "callboard_gateway_requests_failed_total", "Requests that did not succeed.", METRIC_COUNTER, "reason=\"unknown_outcome\"") \
    X(LINK, "callboard_gateway_requests_failed_total", "Requests that did not succeed.", METRIC_COUNTER, "reason=\"no_broker\"") \
    X(BUSY, "callboard_gateway_requests_failed_total", "Requests that did not succeed.", METRIC_COUNTER, "reason=\"busy\"") \
    X(REFUSED, "callboard_gateway_requests_failed_total", "Requests that did not succeed.", METRIC_COUNTER, "reason=\"refused\"") \
    X(LATE, "callboard_gateway_late_answers_total", "Answers to requests that had ended.", METRIC_COUNTER, NULL)       \
    X(WAITING, "callboard_gateway_requests_waiting", "Requests that wait for a link or its credit; at 4,096 a worker more are refused (111).", METRIC_GAUGE, NULL) \
    X(SECONDS, "callboard_gateway_request_seconds", "Time from a request to its answer.", METRIC_HISTOGRAM, NULL)

enum request_metric {
#define REQUEST_METRIC_MEMBER(name, text, help, type, labels) METRIC_##name,
    REQUEST_METRICS(REQUEST_METRIC_MEMBER)
#undef REQUEST_METRIC_MEMBER
};
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

static void forget(broker_requests_t *self, struct broker_request *request) {
    drop_waiting(self, request);
    key_table_take(&self->pending, request->id);
    timer_wheel_cancel(self->wheel, &request->timer);
    list_remove(&request->link);
    drop_call(request);
    request->id = 0;
}

static void count_failure(broker_requests_t *self, enum error_code code) {
    metric_count(self->metrics, code == ERROR_OUTCOME_UNKNOWN     ? METRIC_UNKNOWN
                                : code == ERROR_TOO_MANY_REQUESTS ? METRIC_BUSY
                                : code == ERROR_INTERNAL          ? METRIC_LINK
                                                                  : METRIC_REFUSED);
}

/* on_done comes later, outside of the caller's call. */
static void finish_later(broker_requests_t *self, struct broker_request *request, enum error_code code) {
    if (is_pending(request)) {
        forget(self, request);
    }
    count_failure(self, code);
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
static enum error_code error_when_cut_off(const struct broker_request *request) {
    bool has_effect = request->kind == WIRE_PUBLISH || request->kind == WIRE_CALL ||
                      request->kind == WIRE_HISTORY_REMOVE || request->kind == WIRE_EMULATE ||
                      (request->kind == WIRE_COMMAND && !request->only_reads);
    return has_effect ? ERROR_OUTCOME_UNKNOWN : ERROR_INTERNAL;
}

static uint32_t brokers_alive(const broker_requests_t *self) {
    struct broker_summary summary;
    broker_links_summary(self->links, &summary);
    return summary.brokers_alive;
}

static bool some_broker_is_alive(const broker_requests_t *self) {
    return brokers_alive(self) > 0;
}

static void on_deadline(struct timer_entry *timer) {
    struct broker_request *request = list_entry(timer, struct broker_request, timer);
    broker_requests_t *self = request->requests;
    if (request->waiting != NULL) {
        finish_later(self, request, some_broker_is_alive(self) ? ERROR_TOO_MANY_REQUESTS : ERROR_INTERNAL);
        return;
    }
    if (!request->is_overdue) {
        request->is_overdue = true;
        timer_wheel_set(self->wheel, timer, clock_monotonic_ms() + ANSWER_GRACE_MS);
        return;
    }
    finish_later(self, request, error_when_cut_off(request));
}

void broker_request_cancel(broker_requests_t *self, struct broker_request *request) {
    if (request->link.next == NULL) {
        return; /* it was never asked */
    }
    if (is_pending(request)) {
        forget(self, request);
        return;
    }
    list_remove(&request->link);
}

enum error_code broker_request_give_up(broker_requests_t *self, struct broker_request *request) {
    enum error_code code = request->early_error;
    if (is_pending(request)) {
        code = request->waiting != NULL ? ERROR_INTERNAL : error_when_cut_off(request);
    }
    broker_request_cancel(self, request);
    return code;
}

/* ---- sending ---- */

/* False: no link, or no credit. */
static bool send_frame(broker_requests_t *self, struct broker_request *request, const struct broker_route *route,
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

static void wait_for_link(broker_requests_t *self, struct broker_request *request, uint32_t channel_hash,
                          struct span frame) {
    if (self->n_waiting >= WAITING_MAX || self->waiting_bytes + frame.size > WAITING_BYTES_MAX) {
        finish_later(self, request, ERROR_TOO_MANY_REQUESTS);
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
        if (send_frame(self, request, &route, buffer_span(&waiting->frame))) {
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
static void ask_at(broker_requests_t *self, struct broker_request *request, uint32_t channel_hash, bool encoded) {
    if (!encoded) {
        finish_later(self, request, ERROR_TOO_LARGE);
        return;
    }
    struct span frame = buffer_span(&self->scratch);
    key_table_put(&self->pending, request->id, request);
    timer_wheel_set(self->wheel, &request->timer, clock_monotonic_ms() + self->timeout_ms);
    struct broker_route route;
    if (!list_is_empty(&self->waiting)) {
        wait_for_link(self, request, channel_hash, frame);
        broker_links_defer(self->links, &self->retrying);
    } else if (!broker_links_route(self->links, channel_hash, &route) || !send_frame(self, request, &route, frame)) {
        wait_for_link(self, request, channel_hash, frame);
    }
}

static void ask(broker_requests_t *self, struct broker_request *request, struct span channel, bool encoded) {
    ask_at(self, request, broker_links_hash(channel), encoded);
}

static void begin(broker_requests_t *self, struct broker_request *request, enum wire_kind kind,
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

void broker_publish(broker_requests_t *self, struct broker_request *request,
                    const struct broker_publication *publication) {
    begin(self, request, WIRE_PUBLISH, METRIC_PUBLISH);
    bool encoded =
        wire_encode_publish(&self->scratch, &(struct wire_publish){.request = request->id,
                                                                   .flags = publication->flags,
                                                                   .deadline_ms = self->timeout_ms,
                                                                   .channel = publication->channel,
                                                                   .key = publication->key,
                                                                   .data = publication->data,
                                                                   .info = publication->info,
                                                                   .tags = publication->tags,
                                                                   .version = publication->version,
                                                                   .version_epoch = publication->version_epoch});
    ask(self, request, publication->channel, encoded);
}

void broker_history(broker_requests_t *self, struct broker_request *request, struct span channel, bool has_since,
                    const struct position *since, uint32_t limit, bool reverse) {
    begin(self, request, WIRE_HISTORY, channel_name_is_own(channel) ? METRIC_REVOCATIONS : METRIC_HISTORY);
    struct wire_history frame = {.request = request->id, .limit = limit, .channel = channel};
    frame.flags = (uint8_t) ((has_since ? WIRE_HISTORY_SINCE : 0) | (reverse ? WIRE_HISTORY_REVERSE : 0));
    if (has_since) {
        frame.since_epoch = since->epoch;
        frame.since_offset = since->offset;
    }
    ask(self, request, channel, wire_encode_history(&self->scratch, &frame));
}

void broker_history_remove(broker_requests_t *self, struct broker_request *request, struct span channel) {
    begin(self, request, WIRE_HISTORY_REMOVE, METRIC_HISTORY_REMOVE);
    ask(self, request, channel,
        wire_encode_history_remove(&self->scratch,
                                   &(struct wire_history_remove){.request = request->id, .channel = channel}));
}

void broker_presence(broker_requests_t *self, struct broker_request *request, struct span channel) {
    begin(self, request, WIRE_PRESENCE, METRIC_PRESENCE);
    ask(self, request, channel,
        wire_encode_presence(&self->scratch, &(struct wire_presence){.request = request->id, .channel = channel}));
}

void broker_presence_stats(broker_requests_t *self, struct broker_request *request, struct span channel) {
    begin(self, request, WIRE_PRESENCE_STATS, METRIC_PRESENCE);
    ask(self, request, channel,
        wire_encode_presence_stats(&self->scratch,
                                   &(struct wire_presence_stats){.request = request->id, .channel = channel}));
}

/* To the next broker that was not asked. False: all were, or its lane has no credit. */
static bool send_call(broker_requests_t *self, struct broker_request *request) {
    struct call_tries *call = request->call;
    uint32_t n = brokers_alive(self);
    if (call->n_asked >= n) {
        return false;
    }
    struct broker_route route;
    uint32_t at = (self->call_first + call->n_asked) % n;
    call->n_asked++;
    call->asked = at;
    return broker_links_route_nth(self->links, call->channel_hash, at, &route) &&
           send_frame(self, request, &route, buffer_span(&call->frame));
}

void broker_call(broker_requests_t *self, struct broker_request *request, const struct broker_question *question) {
    begin(self, request, WIRE_CALL, METRIC_CALL);
    struct wire_call frame = {.request = request->id,
                              .deadline_ms = question->timeout_ms,
                              .method = question->method,
                              .channel = question->channel,
                              .info = question->info,
                              .details = question->details,
                              .data = question->data};
    if (!wire_encode_call(&self->scratch, &frame)) {
        finish_later(self, request, ERROR_TOO_LARGE);
        return;
    }
    request->call = memory_alloc_zero(sizeof *request->call);
    request->call->channel_hash = broker_links_hash(question->info); /* one client's stay in order */
    buffer_append_span(&request->call->frame, buffer_span(&self->scratch));
    key_table_put(&self->pending, request->id, request);
    timer_wheel_set(self->wheel, &request->timer, clock_monotonic_ms() + question->timeout_ms);
    if (!list_is_empty(&self->waiting) || !send_call(self, request)) {
        wait_for_link(self, request, request->call->channel_hash, buffer_span(&request->call->frame));
    }
}

/* That broker has no worker for it. True: another one is asked. */
static bool ask_elsewhere(broker_requests_t *self, const uplink_t *uplink, uint32_t id) {
    struct broker_request *request = key_table_find(&self->pending, id);
    if (request == NULL || request->uplink != uplink || request->kind != WIRE_CALL ||
        request->call->n_asked >= brokers_alive(self)) {
        return false;
    }
    list_remove(&request->link);
    request->sent = false;
    request->uplink = NULL;
    if (!send_call(self, request)) {
        wait_for_link(self, request, request->call->channel_hash, buffer_span(&request->call->frame));
    }
    return true;
}

void broker_emulate(broker_requests_t *self, struct broker_request *request, struct span node, uint32_t worker,
                    struct span session, struct span data) {
    begin(self, request, WIRE_EMULATE, METRIC_EMULATE);
    const struct wire_emulate frame = {
        .request = request->id, .worker = worker, .node = node, .session = session, .data = data};
    bool encoded = wire_encode_emulate(&self->scratch, &frame);
    ask(self, request, node, wire_mark_skippable(&self->scratch, 0, encoded));
}

uint32_t broker_user_hash(uint64_t user) {
    return (uint32_t) (user % PARTITIONS_MAX);
}

void broker_take_user(broker_requests_t *self, struct broker_request *request, uint64_t user, uint32_t mine,
                      uint32_t most) {
    begin(self, request, WIRE_USER_TAKE, METRIC_USER_TAKE);
    const struct wire_user_take frame = {.request = request->id, .user = user, .mine = mine, .most = most};
    bool encoded = wire_encode_user_take(&self->scratch, &frame);
    ask_at(self, request, broker_user_hash(user), wire_mark_skippable(&self->scratch, 0, encoded));
}

void broker_command(broker_requests_t *self, struct broker_request *request, const struct wire_command *command) {
    begin(self, request, WIRE_COMMAND, METRIC_COMMAND);
    struct wire_command frame = *command;
    frame.request = request->id;
    frame.deadline_ms = self->timeout_ms;
    request->only_reads = wire_command_only_reads(command->action);
    ask(self, request, command->user, wire_encode_command(&self->scratch, &frame));
}

/* ---- what the links tell ---- */

/* NULL: it has ended before. */
static struct broker_request *take_answered(broker_requests_t *self, uplink_t *uplink, uint32_t id) {
    struct broker_request *request = key_table_find(&self->pending, id);
    if (request == NULL || request->uplink != uplink) {
        metric_count(self->metrics, METRIC_LATE);
        return NULL;
    }
    forget(self, request);
    metric_observe_us(self->metrics, METRIC_SECONDS, clock_monotonic_us() - request->started_us);
    return request;
}

static bool on_published(broker_requests_t *self, uplink_t *uplink, struct span body) {
    struct wire_published published;
    if (!wire_decode_published(body, &published)) {
        return false;
    }
    const struct broker_request *asked = key_table_find(&self->pending, published.request);
    if (asked != NULL && asked->kind != WIRE_PUBLISH) {
        return false;
    }
    struct broker_request *request = take_answered(self, uplink, published.request);
    if (request != NULL) {
        request->on_done(request,
                         &(struct broker_answer){.position = {published.epoch, published.offset},
                                                 .duplicate = (published.flags & WIRE_PUBLISHED_DUPLICATE) != 0,
                                                 .suppressed = (published.flags & WIRE_PUBLISHED_SUPPRESSED) != 0});
    }
    return true;
}

static bool on_result(broker_requests_t *self, uplink_t *uplink, struct span body) {
    struct wire_result result;
    if (!wire_decode_result(body, &result)) {
        return false;
    }
    const struct broker_request *asked = key_table_find(&self->pending, result.request);
    if (asked != NULL && asked->kind != result.of) {
        return false;
    }
    if (asked != NULL && asked->kind == WIRE_CALL && asked->uplink == uplink) {
        self->call_first = asked->call->asked;
    }
    struct broker_request *request = take_answered(self, uplink, result.request);
    if (request != NULL) {
        request->on_done(request, &(struct broker_answer){.position = {result.epoch, result.offset},
                                                          .n = result.n,
                                                          .m = result.m,
                                                          .bytes = result.bytes});
    }
    return true;
}

static bool on_error(broker_requests_t *self, uplink_t *uplink, struct span body) {
    struct wire_error error;
    if (!wire_decode_error(body, &error)) {
        return false;
    }
    if (error.code == ERROR_NOT_AVAILABLE && ask_elsewhere(self, uplink, error.request)) {
        return true;
    }
    struct broker_request *request = take_answered(self, uplink, error.request);
    if (request != NULL) {
        bool is_unknown = (error.flags & WIRE_ERROR_UNKNOWN_OUTCOME) != 0;
        enum error_code code = is_unknown ? ERROR_OUTCOME_UNKNOWN : error_describe(error.code)->code;
        count_failure(self, code);
        request->on_done(request, &(struct broker_answer){.error = code});
    }
    return true;
}

/* As many answers as the credit that we gave for the questions: none is asked of the lane. */
static bool on_deliver(broker_requests_t *self, uplink_t *uplink, uint16_t shard, struct span body) {
    struct wire_deliver frame;
    if (!wire_decode_deliver(body, &frame)) {
        return false;
    }
    struct wire_delivered delivered = {.origin = frame.origin, .request = frame.request};
    delivered.found = self->on_emulated != NULL && self->on_emulated(self->context, frame.session, frame.data);
    struct buffer *batch = uplink_batch(uplink, shard);
    size_t start = batch->size;
    uplink_frame_added(uplink, shard, wire_mark_skippable(batch, start, wire_encode_delivered(batch, &delivered)));
    return true;
}

static bool on_frame(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame) {
    broker_requests_t *self = context;
    if (frame->kind == WIRE_PUBLISHED) {
        return on_published(self, uplink, frame->body);
    }
    if (frame->kind == WIRE_DELIVER) {
        return on_deliver(self, uplink, shard, frame->body);
    }
    return frame->kind == WIRE_RESULT ? on_result(self, uplink, frame->body) : on_error(self, uplink, frame->body);
}

static void on_sent(void *context, uplink_t *uplink, uint16_t shard) {
    broker_requests_t *self = context;
    list_for_each_safe (link, &self->unsent[shard % UNSENT_LISTS]) {
        struct broker_request *request = list_entry(link, struct broker_request, link);
        if (request->uplink == uplink && request->shard == shard) {
            request->sent = true;
            list_remove(&request->link);
            list_push_back(&self->sent, &request->link);
        }
    }
}

static void end_requests_of(broker_requests_t *self, struct list_link *list, const uplink_t *uplink) {
    list_for_each_safe (link, list) {
        struct broker_request *request = list_entry(link, struct broker_request, link);
        if (uplink == NULL || request->uplink == uplink) {
            finish_later(self, request, request->sent ? error_when_cut_off(request) : ERROR_INTERNAL);
        }
    }
}

static void on_lost(void *context, uplink_t *uplink) {
    broker_requests_t *self = context;
    for (size_t i = 0; i < UNSENT_LISTS; i++) {
        end_requests_of(self, &self->unsent[i], uplink);
    }
    end_requests_of(self, &self->sent, uplink);
}

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
                                                  .on_frame = on_frame,
                                                  .on_sent = on_sent,
                                                  .on_live = on_live,
                                                  .on_lost = on_lost,
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
    on_lost(self, NULL); /* all of them */
    list_for_each_safe (link, &self->waiting) {
        finish_later(self, list_entry(link, struct waiting_frame, link)->request, ERROR_INTERNAL);
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
