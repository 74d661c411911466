/* Workers: services that answer calls of clients (rpc), and that gateways ask what a client may (the hooks). `work`
 * registers, `done` answers, `pong` says that it lives.
 *
 *   shard ──shard_call──▶ backend_take_call ─▶ worker_pool ──kind `request`──▶ worker
 *         ◀─shard_called── finish ◀──────────────────────── method `done` ◀──┘
 *
 * Failure modes. No worker takes the method: 108. All that do have their bound: 111. Its deadline: 120. The worker is
 * lost: asked again once where that is harmless, else 122. A `done` that cannot be read: its worker gets error 107, the
 * client 100. A `done` for a call that has ended: counted. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

#include <inttypes.h>
#include <stdio.h>

#include <uthash.h>

enum { PING_MS = 1000, MISSES_MAX = 3, REASON_MAX = 123 /* bytes of a close frame's */ };
enum { CLIENT_ERROR_MIN = 400, CLIENT_ERROR_MAX = 1999, CLIENT_CLOSE_MIN = 4000, CLIENT_CLOSE_MAX = 4999 };

struct backend_worker_call {
    struct worker_call call;
    UT_hash_handle hh;
    uint64_t number;
    struct shard_call *asked;
};

/* ---- out ---- */

static void append_body(struct buffer *body, const struct shard_call *asked) {
    struct wire_client_info info;
    uint64_t now_ms = clock_monotonic_ms();
    buffer_clear(body);
    buffer_append_text(body, "{\"method\":");
    buffer_append_json_string(body, asked->method);
    buffer_append_format(body, ",\"deadline_ms\":%" PRIu64,
                         asked->deadline_ms > now_ms ? asked->deadline_ms - now_ms : 0);
    if (wire_read_client_info(asked->info, &info)) {
        buffer_append_text(body, ",\"client\":");
        buffer_append_json_string(body, info.client);
        buffer_append_text(body, ",\"user\":");
        buffer_append_json_string(body, info.user);
    }
    if (asked->channel.size > 0) {
        buffer_append_text(body, ",\"channel\":");
        buffer_append_json_string(body, asked->channel);
    }
    if (asked->details.size > 2 && asked->details.data[0] == '{') {
        buffer_append_char(body, ',');
        buffer_append_span(body, span_of(asked->details.data + 1, asked->details.size - 1));
    } else {
        buffer_append_char(body, '}');
    }
}

static bool send_to(backend_api_t *self, const worker_t *worker, const char *kind, struct span id,
                    const struct span *payload) {
    zmq_msg_t routing;
    backend_init_frame(&routing, worker_routing(worker));
    struct backend_answer_to to = {.routing = &routing, .has_delimiter = worker_has_delimiter(worker), .id = id};
    enum zmq_send_result result = backend_send(self, &to, kind, payload);
    return result == ZMQ_SENT;
}

static bool on_send(void *context, const worker_t *worker, struct worker_call *call) {
    backend_api_t *self = context;
    struct backend_worker_call *kept = list_entry(call, struct backend_worker_call, call);
    char id[24];
    int size = snprintf(id, sizeof id, "%" PRIu64, kept->number);
    append_body(&self->body, kept->asked);
    return send_to(self, worker, "request", span_of(id, (size_t) size), &kept->asked->data);
}

static bool on_ping(void *context, const worker_t *worker) {
    backend_api_t *self = context;
    buffer_clear(&self->body);
    buffer_append_text(&self->body, "{}");
    return send_to(self, worker, "ping", SPAN_EMPTY, NULL);
}

static void on_lost(void *context, const worker_t *worker) {
    backend_api_t *self = context;
    metric_count(self->metrics, BACKEND_METRIC_WORKERS_LOST);
    log_warning("worker_lost", log_span("key", worker_key(worker)), log_u64("open_calls", worker_open_calls(worker)));
}

/* ---- back to the shard ---- */

static void show(backend_api_t *self) {
    metric_set(self->metrics, BACKEND_METRIC_WORKERS, (int64_t) worker_pool_workers(self->workers));
    metric_set(self->metrics, BACKEND_METRIC_CALLS_OPEN, (int64_t) worker_pool_calls(self->workers));
}

static void reply(backend_api_t *self, const struct shard_call *asked, const struct shard_called *model) {
    struct shard_called answer = *model;
    if (asked->reply_to == NULL) {
        backend_answer_rpc(self, asked->ticket, model);
        return;
    }
    answer.message.kind = asked->reply_kind;
    answer.peer = asked->peer;
    answer.request = asked->request;
    struct shard_called *called = shard_called_new(&answer);
    struct actor_message *message = &called->message;
    if (actor_post_control(asked->reply_to, &message) != ACTOR_POSTED) {
        memory_free(called);
    }
}

static void forget(backend_api_t *self, struct backend_worker_call *kept) {
    HASH_DEL(self->calls, kept);
    memory_free(kept->asked);
    memory_free(kept);
    show(self);
}

static enum backend_metric metric_of(enum error_code code) {
    return code == ERROR_NOT_AVAILABLE       ? BACKEND_METRIC_CALLS_NO_WORKER
           : code == ERROR_TOO_MANY_REQUESTS ? BACKEND_METRIC_CALLS_BUSY
           : code == ERROR_OUTCOME_UNKNOWN   ? BACKEND_METRIC_CALLS_OVERDUE
           : code == ERROR_INTERNAL          ? BACKEND_METRIC_CALLS_INVALID
                                             : BACKEND_METRIC_CALLS_LOST;
}

static void fail(backend_api_t *self, struct backend_worker_call *kept, enum error_code code) {
    metric_count(self->metrics, metric_of(code));
    reply(self, kept->asked, &(struct shard_called){.error = code});
    forget(self, kept);
}

static void on_failed(void *context, struct worker_call *call, enum error_code code) {
    fail(context, list_entry(call, struct backend_worker_call, call), code);
}

/* ---- in ---- */

/* A hook is a question about what a client may, nothing is done by asking; publish alone may be a worker's own moment
 * to store something, so that only the worker can say whether it may be repeated. */
static const struct {
    struct span name;
    bool may_be_repeated;
} hooks[] = {
    {JSON_NAME("connect"), true},  {JSON_NAME("refresh"), true},     {JSON_NAME("subscribe"), true},
    {JSON_NAME("publish"), false}, {JSON_NAME("sub_refresh"), true},
};

static bool is_rpc(struct span method) {
    return method.size >= 4 && memcmp(method.data, "rpc:", 4) == 0;
}

static bool is_hook(struct span method, bool *ret_may_be_repeated) {
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        if (span_equal(method, hooks[i].name)) {
            *ret_may_be_repeated = hooks[i].may_be_repeated;
            return true;
        }
    }
    *ret_may_be_repeated = false;
    return false;
}

/* What a key is not for is not asked of it, whatever it registered: another worker's key may be. */
static bool may_take(void *context, const worker_t *worker, const struct worker_call *call) {
    backend_api_t *self = context;
    struct span channel = list_entry(call, struct backend_worker_call, call)->asked->channel;
    return channel.size == 0 || self->rights == NULL ||
           backend_rights_channel(self->rights, worker_key(worker), channel);
}

void backend_take_call(backend_api_t *self, struct shard_call *asked) {
    struct backend_worker_call *kept = memory_alloc_zero(sizeof *kept);
    kept->asked = asked;
    kept->number = ++self->last_call;
    kept->call = (struct worker_call){
        .method = asked->method,
        .deadline_ms = asked->deadline_ms,
    };
    is_hook(asked->method, &kept->call.may_be_repeated);
    HASH_ADD(hh, self->calls, number, sizeof kept->number, kept);
    enum error_code code = worker_pool_call(self->workers, &kept->call);
    if (code != ERROR_NONE) {
        fail(self, kept, code);
        return;
    }
    show(self);
}

void backend_workers_tick(backend_api_t *self, uint64_t now_ms) {
    worker_pool_tick(self->workers, now_ms);
    show(self);
}

/* ---- work ---- */

struct name_reader {
    struct buffer text;
    size_t ends[WORKER_METHODS_MAX];
    struct span names[WORKER_METHODS_MAX];
    size_t n;
};

static bool read_names(struct json_value list, const char *name, struct name_reader *ret_names,
                       struct backend_refusal *ret_refusal) {
    struct json_iterator iterator = json_iterate(list);
    struct json_value ignored;
    struct json_value value;
    while (json_next(&iterator, &ignored, &value)) {
        size_t before = ret_names->text.size;
        if (ret_names->n == WORKER_METHODS_MAX || !json_decode_string(value, &ret_names->text) ||
            ret_names->text.size == before || ret_names->text.size - before > WORKER_METHOD_SIZE_MAX) {
            backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.%s must be at most %d names of 1 to %d bytes", name,
                           WORKER_METHODS_MAX, WORKER_METHOD_SIZE_MAX);
            return false;
        }
        ret_names->ends[ret_names->n++] = ret_names->text.size;
    }
    size_t at = 0;
    for (size_t i = 0; i < ret_names->n; i++) {
        ret_names->names[i] = span_of(ret_names->text.data + at, ret_names->ends[i] - at);
        at = ret_names->ends[i];
    }
    return true;
}

/* A key is for rpc:NAME, or for hook:NAME: a key for publishing is none for deciding who may. */
static bool may_work(backend_api_t *self, const struct backend_call *call, struct span name, bool is_a_hook,
                     struct backend_refusal *ret_refusal) {
    struct buffer right = BUFFER_EMPTY;
    buffer_append_text(&right, is_a_hook ? "hook:" : "");
    buffer_append_span(&right, name);
    bool may = backend_may(self, call, buffer_span(&right), ret_refusal);
    buffer_finish(&right);
    return may;
}

static bool judge_names(backend_api_t *self, const struct backend_call *call, const struct name_reader *names,
                        struct backend_refusal *ret_refusal) {
    for (size_t i = 0; i < names->n; i++) {
        bool ignored;
        bool is_a_hook = is_hook(names->names[i], &ignored);
        if (!is_a_hook && !is_rpc(names->names[i])) {
            backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                           "params.methods has \"%.*s\"; a worker is asked for what begins with rpc:, or for connect, "
                           "refresh, subscribe, publish, sub_refresh, and nothing else",
                           (int) names->names[i].size, (const char *) names->names[i].data);
            return false;
        }
        if (!may_work(self, call, names->names[i], is_a_hook, ret_refusal)) {
            return false;
        }
    }
    return true;
}

static bool check_members(struct json_value object, struct backend_refusal *ret_refusal) {
    struct json_iterator iterator = json_iterate(object);
    struct json_value name;
    struct json_value value;
    while (json_next(&iterator, &name, &value)) {
        bool is_list = json_name_is(name, "methods") || json_name_is(name, "repeatable");
        if (!is_list || value.type != JSON_ARRAY) {
            backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                           "params takes methods and repeatable, each a list of names of methods");
            return false;
        }
    }
    if (json_member(object, "methods").type != JSON_ARRAY) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.methods is missing");
        return false;
    }
    return true;
}

static void work(backend_api_t *self, struct backend_call *call) {
    struct name_reader methods = {.text = BUFFER_EMPTY};
    struct name_reader repeatable = {.text = BUFFER_EMPTY};
    struct backend_refusal refusal = {.code = ERROR_NONE};
    if (check_members(call->object, &refusal) &&
        read_names(json_member(call->object, "methods"), "methods", &methods, &refusal) &&
        read_names(json_member(call->object, "repeatable"), "repeatable", &repeatable, &refusal) &&
        judge_names(self, call, &methods, &refusal)) {
        struct worker_registration registration = {.routing = call->peer,
                                                   .key = call->key,
                                                   .has_delimiter = call->to.has_delimiter,
                                                   .methods = methods.names,
                                                   .n_methods = methods.n,
                                                   .repeatable = repeatable.names,
                                                   .n_repeatable = repeatable.n};
        enum error_code code = worker_pool_register(self->workers, &registration, clock_monotonic_ms());
        if (code == ERROR_NONE) {
            backend_answer_nothing(self, &call->to);
        } else {
            backend_answer_error(self, &call->to, code, "backend.workers are registered already");
        }
        show(self);
    } else {
        backend_refuse_call(self, call, &refusal);
    }
    buffer_finish(&methods.text);
    buffer_finish(&repeatable.text);
}

/* ---- done, pong ---- */

/* The members of an error or a disconnect: {"code", "message" or "reason"}. */
static bool read_verdict(struct json_value verdict, const char *text_name, uint32_t min, uint32_t max,
                         struct buffer *text, uint32_t *ret_code) {
    uint64_t code = 0;
    if (!json_to_u64(json_member(verdict, "code"), &code) || code < min || code > max) {
        return false;
    }
    *ret_code = (uint32_t) code;
    struct json_value words = json_member(verdict, text_name);
    return (words.type == JSON_NONE || json_decode_string(words, text)) && text->size <= REASON_MAX;
}

static bool read_answer(const struct backend_call *call, struct buffer *text, struct shard_called *ret_answer) {
    struct json_value result = json_member(call->object, "result");
    struct json_value error = json_member(call->object, "error");
    struct json_value disconnect = json_member(call->object, "disconnect");
    if ((result.type != JSON_NONE) + (error.type != JSON_NONE) + (disconnect.type != JSON_NONE) > 1) {
        return false;
    }
    *ret_answer = (struct shard_called){.outcome = WIRE_CALL_RESULT};
    if (error.type != JSON_NONE) {
        bool is_temporary = false;
        struct json_value temporary = json_member(error, "temporary");
        if (temporary.type != JSON_NONE && !json_to_bool(temporary, &is_temporary)) {
            return false;
        }
        ret_answer->outcome = is_temporary ? WIRE_CALL_ERROR_TEMPORARY : WIRE_CALL_ERROR;
        return read_verdict(error, "message", CLIENT_ERROR_MIN, CLIENT_ERROR_MAX, text, &ret_answer->code);
    }
    if (disconnect.type != JSON_NONE) {
        ret_answer->outcome = WIRE_CALL_DISCONNECT;
        return read_verdict(disconnect, "reason", CLIENT_CLOSE_MIN, CLIENT_CLOSE_MAX, text, &ret_answer->code);
    }
    if (result.type != JSON_NONE && result.type != JSON_OBJECT) {
        return false;
    }
    buffer_append_span(text, result.text);
    ret_answer->payload = call->payload;
    return true;
}

static void finish(backend_api_t *self, struct backend_call *call, struct backend_worker_call *kept) {
    struct backend_refusal refusal = {.code = ERROR_NONE};
    struct buffer text = BUFFER_EMPTY;
    struct shard_called answer;
    if (read_answer(call, &text, &answer)) {
        answer.text = buffer_span(&text);
        metric_count(self->metrics, BACKEND_METRIC_CALLS_ANSWERED);
        reply(self, kept->asked, &answer);
        forget(self, kept);
    } else {
        backend_refuse(
            &refusal, ERROR_BAD_REQUEST,
            "params of done must be {\"result\":{…}}, {\"error\":{\"code\":%d–%d,\"message\",\"temporary\"}} or "
            "{\"disconnect\":{\"code\":%d–%d,\"reason\"}}, texts up to %d bytes",
            CLIENT_ERROR_MIN, CLIENT_ERROR_MAX, CLIENT_CLOSE_MIN, CLIENT_CLOSE_MAX, REASON_MAX);
        backend_refuse_call(self, call, &refusal);
        fail(self, kept, ERROR_INTERNAL);
    }
    buffer_finish(&text);
}

static void done(backend_api_t *self, struct backend_call *call) {
    uint64_t number = 0;
    struct backend_worker_call *kept = NULL;
    worker_pool_heard(self->workers, call->peer);
    if (span_parse_u64(call->to.id, &number)) {
        HASH_FIND(hh, self->calls, &number, sizeof number, kept);
    }
    if (kept == NULL || !worker_pool_done(self->workers, call->peer, &kept->call)) {
        metric_count(self->metrics, BACKEND_METRIC_CALLS_LATE);
        return;
    }
    finish(self, call, kept);
}

static void pong(backend_api_t *self, struct backend_call *call) {
    worker_pool_heard(self->workers, call->peer);
}

static const struct backend_method rows[] = {
    {.name = "work", .flags = BACKEND_ALONE | BACKEND_OWN_PARAMS, .handle = work},
    {.name = "done", .payload = BACKEND_MAY_HAVE_PAYLOAD, .flags = BACKEND_ALONE | BACKEND_OWN_PARAMS, .handle = done},
    {.name = "pong", .flags = BACKEND_ALONE | BACKEND_OWN_PARAMS, .handle = pong},
};
const struct backend_method_list backend_worker_methods = BACKEND_METHOD_LIST(rows);

/* ---- life ---- */

void backend_workers_start(backend_api_t *self) {
    const struct broker_config *config = self->options.config;
    self->workers = worker_pool_new(&(struct worker_pool_options){
        .workers_max = (uint32_t) config->backend_workers_max,
        .calls_max = (uint32_t) config->backend_calls_max,
        .worker_calls_max = (uint32_t) config->backend_worker_calls_max,
        .ping_ms = PING_MS,
        .misses_max = MISSES_MAX,
        .may = may_take,
        .send = on_send,
        .ping = on_ping,
        .on_failed = on_failed,
        .on_lost = on_lost,
        .context = self,
    });
}

void backend_workers_stop(backend_api_t *self) {
    worker_pool_fail_all(self->workers, ERROR_OUTCOME_UNKNOWN);
}

void backend_workers_finish(backend_api_t *self) {
    worker_pool_destroy(&self->workers);
}
