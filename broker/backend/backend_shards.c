/* Methods that shards answer: how a call becomes one request to each shard that it concerns, and waits for them.
 *
 *   call ─▶ steps: count_parts, prepare_part ─▶ shard_request, one a part ─▶ shard's inbox ─▶ backend_pending
 *
 * Failure modes. A shard's inbox is full, or backend.requests are kept already: 111 at once, definite. A part of a list
 * that is refused: its error among the answers. Nobody waits (a push): what is not kept is counted; one from PULL waits
 * for its shard first (backend_push_wait.h). */
#include "base/channel_name.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/backend/backend_api_parts.h"

enum { ANSWER_GRACE_MS = 1000 };

bool backend_find_namespace(const backend_api_t *self, struct span channel,
                            const struct namespace_options **ret_options, struct backend_refusal *ret_refusal) {
    *ret_options = namespace_set_find(self->options.namespaces, channel);
    if (*ret_options == NULL) {
        struct span name = channel_name_namespace(channel);
        backend_refuse(ret_refusal, ERROR_UNKNOWN_CHANNEL, "no namespace \"%.*s\" is configured", (int) name.size,
                       (const char *) name.data);
    }
    return *ret_options != NULL;
}

struct backend_waiting *backend_keep(backend_api_t *self, struct backend_call *call, uint32_t n_parts,
                                     uint64_t deadline_ms) {
    struct backend_waiting *waiting = backend_pending_add(self->pending, call->to.routing, call->to.has_delimiter,
                                                          call->to.id, call->method, n_parts, deadline_ms);
    if (waiting == NULL) {
        metric_count(self->metrics, BACKEND_METRIC_REFUSED_BUSY);
        backend_answer_error(self, &call->to, ERROR_TOO_MANY_REQUESTS, "backend.requests are in flight already");
        return NULL;
    }
    waiting->batch = call->to.batch;
    waiting->batch_place = call->to.place;
    waiting->by_hand = call->to.by_hand;
    return waiting;
}

enum error_code backend_post(backend_api_t *self, uint32_t shard, struct shard_request *request) {
    struct actor_message *message = &request->message;
    switch (actor_post(self->options.shards[shard], &message)) {
    case ACTOR_POSTED:
        return ERROR_NONE;
    case ACTOR_FULL:
        memory_free(request);
        metric_count(self->metrics, BACKEND_METRIC_REFUSED_BUSY);
        return ERROR_TOO_MANY_REQUESTS;
    case ACTOR_STOPPED:
        memory_free(request);
        return ERROR_INTERNAL;
    }
    return ERROR_INTERNAL;
}

/* ---- one part ---- */

static struct shard_request model_of(backend_api_t *self, const struct backend_call *call) {
    const struct backend_params *params = &call->params;
    return (struct shard_request){
        .message = {.kind = self->options.request_kind},
        .kind = call->method->steps->kind,
        .reply_kind = BACKEND_MESSAGE_REPLY,
        .deadline_ms = clock_monotonic_ms() + (uint64_t) self->options.config->publish_timeout_ms,
        .channel = params->channel,
        .skip_history = params->skip_history,
        .delta = params->delta,
        .has_since = params->has_since,
        .reverse = params->reverse,
        .limit = params->limit,
        .since = params->since,
        .key = params->key,
        .tags = params->tags,
        .version = params->version,
        .version_epoch = params->version_epoch,
        .data = call->payload,
    };
}

static bool prepare(backend_api_t *self, const struct backend_call *call, uint32_t part, struct shard_request *model,
                    struct backend_refusal *ret_refusal) {
    const struct backend_shard_steps *steps = call->method->steps;
    return steps->prepare_part == NULL || steps->prepare_part(self, call, part, model, ret_refusal);
}

static uint32_t shard_of(const backend_api_t *self, const struct backend_call *call, uint32_t part,
                         struct span channel) {
    return call->method->steps->each_shard ? part
                                           : partition_shard(partition_of(channel, self->options.n_partitions),
                                                             self->options.n_partitions, self->options.n_shards);
}

/* ERROR_NONE, or why it is sent to no shard. A call of one part is prepared already. */
static enum error_code prepare_listed(backend_api_t *self, const struct backend_call *call, uint32_t part,
                                      struct shard_request *model) {
    struct backend_refusal refusal = {.code = ERROR_NONE};
    bool is_good = !call->method->steps->answers_each_part || prepare(self, call, part, model, &refusal);
    return is_good ? ERROR_NONE : refusal.code;
}

/* One part to its shard, or why not. */
static enum error_code send_part(backend_api_t *self, const struct backend_call *call, uint32_t part,
                                 struct shard_request *model) {
    enum error_code code = prepare_listed(self, call, part, model);
    return code != ERROR_NONE
               ? code
               : backend_post(self, shard_of(self, call, part, model->channel), shard_request_new(model));
}

/* ---- nobody waits for an answer ---- */

static void count_push(backend_api_t *self, enum error_code code) {
    bool is_busy = code == ERROR_TOO_MANY_REQUESTS || code == ERROR_INTERNAL;
    metric_count(self->metrics, code == ERROR_NONE ? BACKEND_METRIC_PUSHES
                                : is_busy          ? BACKEND_METRIC_PUSH_BUSY
                                                   : BACKEND_METRIC_PUSH_BAD);
}

static void on_pause(void *context, bool paused) {
    backend_api_t *self = context;
    if (paused) {
        metric_count(self->metrics, BACKEND_METRIC_PUSH_WAITS);
    }
    if (self->pull_on_uv != NULL) {
        zmq_on_uv_pause(self->pull_on_uv, paused);
    }
}

static void on_push_end(void *context, bool is_taken) {
    count_push(context, is_taken ? ERROR_NONE : ERROR_TOO_MANY_REQUESTS);
}

void backend_start_pull(backend_api_t *self) {
    static const struct zmq_on_uv_callbacks pull_callbacks = {.on_message = backend_on_push};
    static const struct backend_push_wait_callbacks wait_callbacks = {.on_pause = on_pause, .on_end = on_push_end};
    uv_loop_t *loop = actor_loop(self->actor);
    self->push_wait =
        backend_push_wait_new(loop, self->options.shards, self->options.n_shards,
                              (uint64_t) self->options.config->backend_push_wait_ms, &wait_callbacks, self);
    self->pull_on_uv = zmq_on_uv_new(loop, self->sockets.pull, &pull_callbacks, self, 0);
}

static void push_part(backend_api_t *self, const struct backend_call *call, uint32_t part,
                      struct shard_request *model) {
    enum error_code code = prepare_listed(self, call, part, model);
    if (code != ERROR_NONE) {
        count_push(self, code);
        return;
    }
    uint32_t shard = shard_of(self, call, part, model->channel);
    switch (backend_push_wait_post(self->push_wait, shard, shard_request_new(model))) {
    case BACKEND_PUSH_TAKEN:
        count_push(self, ERROR_NONE);
        break;
    case BACKEND_PUSH_DROPPED:
        count_push(self, ERROR_TOO_MANY_REQUESTS);
        break;
    case BACKEND_PUSH_WAITS:
        break;
    }
}

/* PULL may be kept waiting; ROUTER may not, others wait there for their answers. */
static void push_parts(backend_api_t *self, const struct backend_call *call, struct shard_request *model,
                       uint32_t n_parts) {
    bool may_wait = backend_is_push(&call->to);
    for (uint32_t part = 0; part < n_parts; part++) {
        if (may_wait) {
            push_part(self, call, part, model);
        } else {
            count_push(self, send_part(self, call, part, model));
        }
    }
}

/* ---- all of them ---- */

/* A part that no shard will answer is answered here. */
static void take_refused_part(backend_api_t *self, uint64_t ticket, enum error_code code) {
    struct shard_reply model = {.ticket = ticket, .error = code};
    struct backend_waiting *complete = backend_pending_take(self->pending, shard_reply_new(&model));
    if (complete != NULL) {
        backend_finish_waiting(self, complete);
    }
}

/* The call may be answered and gone when the last part was refused. */
static void ask_parts(backend_api_t *self, struct backend_call *call, struct shard_request *model, uint32_t n_parts) {
    struct backend_waiting *waiting = backend_keep(self, call, n_parts, model->deadline_ms + ANSWER_GRACE_MS);
    if (waiting == NULL) {
        return;
    }
    model->reply_to = self->actor;
    uint64_t first_ticket = backend_pending_ticket(waiting, 0);
    for (uint32_t part = 0; part < n_parts; part++) {
        model->ticket = first_ticket + part;
        enum error_code code = send_part(self, call, part, model);
        if (code != ERROR_NONE) {
            take_refused_part(self, first_ticket + part, code);
        }
    }
    metric_set(self->metrics, BACKEND_METRIC_PENDING, (int64_t) backend_pending_count(self->pending));
}

/* A call of one part is prepared first, so that the refusal's sentence reaches the peer; parts of a list are prepared
 * as they go out, each answered for itself. */
void backend_ask_shards(backend_api_t *self, struct backend_call *call) {
    const struct backend_shard_steps *steps = call->method->steps;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    uint32_t n_parts = steps->count_parts == NULL ? 1 : steps->count_parts(self, call, &refusal);
    struct shard_request model = model_of(self, call);
    if (n_parts == 0 || (!steps->answers_each_part && !prepare(self, call, 0, &model, &refusal))) {
        backend_refuse_call(self, call, &refusal);
    } else if (call->params.wants_no_answer || backend_is_push(&call->to)) {
        push_parts(self, call, &model, n_parts); /* what is wrong with it was told */
        if (call->to.batch != NULL || call->to.by_hand != NULL) {
            backend_answer_nothing(self, &call->to);
        }
    } else {
        ask_parts(self, call, &model, n_parts);
    }
}
