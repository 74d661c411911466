/* Methods that concern sessions wherever they are: disconnect, subscribe_user, unsubscribe_user, refresh, publish_all,
 * channels, connections. Each is a COMMAND that a shard passes to every worker of every gateway.
 *
 *   params ─▶ COMMAND ─▶ a shard ─▶ every worker ─▶ confirmed by all: ok · not by all: 120 (what only reads: 100)
 *
 * Failure modes: the link to the switchboard is down: 100 at once, nothing was done; it goes down meanwhile: 120, or
 * 100 for what only reads. More names than channels_max in one worker, or than fit an answer: 106. */
#include "base/channel_list.h"
#include "base/clock.h"
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

enum {
    ANSWER_GRACE_MS = 1000,
    NAMES_OF_WORKER_MAX = 20000,
    UNSUBSCRIBED_BY_SERVER = 2000,
    DISCONNECT_FORCE_NO_RECONNECT = 3503,
};

#define PARTIAL_MESSAGE                                                                                                \
    "not every gateway has confirmed in time; some connections may have got it, and would get it again"
#define PARTIAL "not every gateway has confirmed in time, and some may have done it; to repeat it is harmless"

/* ---- asking ---- */

/* What does not fit is left out; readers of frames have bounded it. */
static void copy_text(char *to, size_t size, struct span text) {
    if (text.size > 0 && text.size < size) {
        memcpy(to, text.data, text.size);
        to[text.size] = '\0';
    }
}

/* `detail`: the service's own object goes along, on one line, because parts of it are embedded in pushes. */
static void ask(backend_api_t *self, struct backend_call *call, struct wire_command *frame, bool detail) {
    uint64_t timeout_ms = (uint64_t) self->options.config->publish_timeout_ms;
    struct backend_waiting *waiting = backend_keep(self, call, 1, clock_monotonic_ms() + timeout_ms + ANSWER_GRACE_MS);
    if (waiting == NULL) {
        return;
    }
    struct buffer line = BUFFER_EMPTY;
    struct backend_order order = {
        .ticket = backend_pending_ticket(waiting, 0), .is_trusted = call->is_trusted, .limit = call->params.limit};
    copy_text(order.key, sizeof order.key, call->key);
    copy_text(order.behind, sizeof order.behind, call->params.name_cursor);
    if (detail) {
        json_append_one_line(&line, call->object.text);
        frame->detail = buffer_span(&line);
    }
    frame->deadline_ms = (uint32_t) timeout_ms;
    frame->user = call->params.user;
    frame->client = call->params.client;
    if (!backend_orders_send(self->orders, frame, &order)) {
        backend_refuse_waiting(self, waiting, ERROR_INTERNAL,
                               "the broker's own link is not up, or params are too long; nothing was done, try again");
    }
    buffer_finish(&line);
}

static bool needs_somebody(backend_api_t *self, struct backend_call *call) {
    struct backend_refusal refusal;
    if (call->params.user.size > 0 || call->params.client.size > 0) {
        return true;
    }
    backend_refuse(&refusal, ERROR_BAD_REQUEST, "params.user or params.client is missing: whom is it about?");
    backend_refuse_call(self, call, &refusal);
    return false;
}

static void disconnect(backend_api_t *self, struct backend_call *call) {
    struct wire_command frame = {.action = WIRE_COMMAND_DISCONNECT,
                                 .code = call->params.code == 0 ? DISCONNECT_FORCE_NO_RECONNECT : call->params.code,
                                 .reason = call->params.reason};
    if (needs_somebody(self, call)) {
        ask(self, call, &frame, true);
    }
}

static void subscribe_user(backend_api_t *self, struct backend_call *call) {
    struct wire_command frame = {.action = WIRE_COMMAND_SUBSCRIBE, .channel = call->params.channel};
    struct backend_refusal refusal;
    const struct namespace_options *options;
    if (backend_find_namespace(self, call->params.channel, &options, &refusal)) {
        ask(self, call, &frame, true);
    } else {
        backend_refuse_call(self, call, &refusal);
    }
}

/* From all channels: only with a key for all of them. */
static void unsubscribe_user(backend_api_t *self, struct backend_call *call) {
    struct wire_command frame = {
        .action = WIRE_COMMAND_UNSUBSCRIBE, .channel = call->params.channel, .code = UNSUBSCRIBED_BY_SERVER};
    struct backend_refusal refusal;
    const struct span channel = call->params.channel;
    if (backend_may(self, call, channel.size == 0 ? SPAN_LITERAL("*") : channel, &refusal)) {
        ask(self, call, &frame, false);
    } else {
        backend_refuse_call(self, call, &refusal);
    }
}

static void refresh(backend_api_t *self, struct backend_call *call) {
    struct wire_command frame = {.action = WIRE_COMMAND_REFRESH};
    struct backend_refusal refusal;
    if (call->params.is_expired || call->params.has_expiry || call->params.has_info) {
        ask(self, call, &frame, true);
        return;
    }
    backend_refuse(&refusal, ERROR_BAD_REQUEST, "params needs expired, expire_at or info: what is to be refreshed?");
    backend_refuse_call(self, call, &refusal);
}

/* JSON, for it stands in everybody's encoding; no larger than a publication. */
static bool is_message(const backend_api_t *self, struct span data, struct backend_refusal *ret_refusal) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value value;
    struct json_error error;
    if (data.size > (uint64_t) self->options.config->publication_bytes_max) {
        backend_refuse(ret_refusal, ERROR_TOO_LARGE, "the payload has %zu bytes; broker.publication_bytes allows %lld",
                       data.size, (long long) self->options.config->publication_bytes_max);
        return false;
    }
    if (json_scan(data, &limits, &value, &error) != JSON_OK) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "the payload is not JSON: %s at byte %zu",
                       json_outcome_text(error.outcome), error.offset);
        return false;
    }
    return true;
}

/* It reaches who has no channel, too: only with a key for all of them. */
static void publish_all(backend_api_t *self, struct backend_call *call) {
    struct wire_command frame = {.action = WIRE_COMMAND_MESSAGE, .detail = call->payload};
    struct backend_refusal refusal;
    if (backend_may(self, call, SPAN_LITERAL("*"), &refusal) && is_message(self, call->payload, &refusal)) {
        ask(self, call, &frame, false);
    } else {
        backend_refuse_call(self, call, &refusal);
    }
}

static void channels(backend_api_t *self, struct backend_call *call) {
    struct wire_command frame = {.action = WIRE_COMMAND_CHANNELS,
                                 .channel = call->params.pattern.size == 0 ? SPAN_LITERAL("*") : call->params.pattern,
                                 .limit = NAMES_OF_WORKER_MAX};
    struct backend_refusal refusal;
    if (!call->params.has_limit) {
        call->params.limit = BACKEND_PAGE_DEFAULT;
    }
    if (call->params.limit > 0) {
        ask(self, call, &frame, false);
        return;
    }
    backend_refuse(&refusal, ERROR_BAD_REQUEST, "params.limit must be at least 1");
    backend_refuse_call(self, call, &refusal);
}

static void connections(backend_api_t *self, struct backend_call *call) {
    struct wire_command frame = {.action = WIRE_COMMAND_CONNECTIONS, .limit = NAMES_OF_WORKER_MAX};
    ask(self, call, &frame, false);
}

/* ---- the channels of all workers as one list ---- */

/* A listing, and whose key asked for it. */
struct listing {
    backend_api_t *api;
    struct backend_call call;
};

static bool is_for_key(void *context, struct span name) {
    struct listing *listing = context;
    struct backend_refusal refusal;
    return backend_may(listing->api, &listing->call, name, &refusal);
}

static void append_channels(backend_api_t *self, const struct backend_order *order, const struct wire_result *result) {
    struct listing listing = {self, {.key = span_of_text(order->key), .is_trusted = order->is_trusted}};
    const struct channel_list_page page = {
        .behind = span_of_text(order->behind), .limit = order->limit, .admits = is_for_key, .context = &listing};
    buffer_append_text(&self->body, "{\"channels\":");
    struct span last = channel_list_append_page(&self->body, result->bytes, &page);
    if (last.size > 0) {
        buffer_append_text(&self->body, ",\"cursor\":");
        buffer_append_json_string(&self->body, last);
    }
    buffer_append_char(&self->body, '}');
}

static void append_connections(backend_api_t *self, const struct wire_result *result) {
    struct cursor cursor = cursor_of(result->bytes);
    bool is_first = true;
    buffer_append_text(&self->body, "{\"connections\":{");
    while (cursor.left > 0) {
        struct wire_client_info info;
        struct span entry = cursor_sized(&cursor);
        if (cursor.failed || !wire_read_client_info(entry, &info)) {
            break;
        }
        buffer_append_text(&self->body, is_first ? "" : ",");
        buffer_append_json_string(&self->body, info.client);
        buffer_append_char(&self->body, ':');
        backend_append_client_info(&self->body, &info);
        is_first = false;
    }
    buffer_append_text(&self->body, "}}");
}

/* ---- answers ---- */

static bool reads(const struct backend_waiting *waiting) {
    const struct backend_method *method = waiting->method;
    return (method->flags & BACKEND_READS) != 0;
}

static void on_result(backend_api_t *self, const struct wire_result *result) {
    struct backend_order order;
    if (!backend_orders_take(self->orders, result->request, &order)) {
        return;
    }
    struct backend_waiting *waiting = backend_pending_find(self->pending, order.ticket);
    if (waiting == NULL) {
        return;
    }
    const struct backend_method *method = waiting->method;
    buffer_clear(&self->body);
    if (method->handle == channels) {
        append_channels(self, &order, result);
    } else if (method->handle == connections) {
        append_connections(self, result);
    } else {
        buffer_append_format(&self->body, "{\"sessions\":%u}", result->n);
    }
    backend_answer_waiting(self, waiting, "ok", NULL);
}

static void refuse_order(backend_api_t *self, const struct backend_order *order, enum error_code code) {
    struct backend_waiting *waiting = backend_pending_find(self->pending, order->ticket);
    if (waiting == NULL) {
        return;
    }
    const struct backend_method *method = waiting->method;
    const char *message = code == ERROR_OUTCOME_UNKNOWN ? method->help_unknown
                          : code == ERROR_LIMIT_EXCEEDED
                              ? "more names than one gateway or one answer takes (20,000; 1 MiB): narrow params.pattern"
                          : code == ERROR_INTERNAL
                              ? "not every gateway has answered in time; nothing was done, try again"
                              : NULL;
    backend_refuse_waiting(self, waiting, code, message);
}

bool backend_on_order_frame(backend_api_t *self, const struct wire_frame *frame) {
    struct wire_result result;
    struct wire_error error;
    struct backend_order order;
    if (frame->kind == WIRE_RESULT && wire_decode_result(frame->body, &result) && result.of == WIRE_COMMAND) {
        on_result(self, &result);
        return true;
    }
    if (frame->kind == WIRE_ERROR && wire_decode_error(frame->body, &error) && error.handle == 0) {
        if (backend_orders_take(self->orders, error.request, &order)) {
            refuse_order(self, &order, error_describe(error.code)->code);
        }
        return true;
    }
    return false;
}

void backend_end_orders(backend_api_t *self) {
    struct backend_order order;
    while (backend_orders_take_any(self->orders, &order)) {
        struct backend_waiting *waiting = backend_pending_find(self->pending, order.ticket);
        if (waiting != NULL) {
            refuse_order(self, &order, reads(waiting) ? ERROR_INTERNAL : ERROR_OUTCOME_UNKNOWN);
        }
    }
}

static bool is_gone(void *context, uint64_t ticket) {
    const backend_api_t *self = context;
    return backend_pending_find(self->pending, ticket) == NULL;
}

void backend_sweep_orders(backend_api_t *self) {
    backend_orders_sweep(self->orders, is_gone, self);
}

/* ---- the table ---- */

static const struct backend_method rows[] = {
    {.name = "disconnect",
     .allowed = BACKEND_PARAM_USER | BACKEND_PARAM_CLIENT | BACKEND_PARAM_CLOSE,
     .handle = disconnect,
     .help_unknown = PARTIAL},
    {.name = "subscribe_user",
     .right = BACKEND_RIGHT_CHANNEL,
     .allowed = BACKEND_PARAM_USER | BACKEND_PARAM_CLIENT | BACKEND_PARAM_CHANNEL | BACKEND_PARAM_EXPIRY |
                BACKEND_PARAM_INFO | BACKEND_PARAM_GRANT,
     .required = BACKEND_PARAM_USER | BACKEND_PARAM_CHANNEL,
     .handle = subscribe_user,
     .help_unknown = PARTIAL},
    {.name = "unsubscribe_user",
     .allowed = BACKEND_PARAM_USER | BACKEND_PARAM_CLIENT | BACKEND_PARAM_ANY_CHANNEL,
     .required = BACKEND_PARAM_USER | BACKEND_PARAM_ANY_CHANNEL,
     .handle = unsubscribe_user,
     .help_unknown = PARTIAL},
    {.name = "refresh",
     .allowed = BACKEND_PARAM_USER | BACKEND_PARAM_CLIENT | BACKEND_PARAM_EXPIRY | BACKEND_PARAM_INFO,
     .required = BACKEND_PARAM_USER,
     .handle = refresh,
     .help_unknown = PARTIAL},
    {.name = "publish_all", .payload = BACKEND_WITH_PAYLOAD, .handle = publish_all, .help_unknown = PARTIAL_MESSAGE},
    {.name = "channels",
     .flags = BACKEND_READS,
     .allowed = BACKEND_PARAM_PATTERN | BACKEND_PARAM_LIMIT | BACKEND_PARAM_NAME_CURSOR,
     .handle = channels},
    {.name = "connections",
     .flags = BACKEND_READS,
     .allowed = BACKEND_PARAM_USER,
     .required = BACKEND_PARAM_USER,
     .handle = connections},
};
const struct backend_method_list backend_session_methods = BACKEND_METHOD_LIST(rows);
