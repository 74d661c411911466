/* Leases and values of services: one script call each, in the partition of the name. What replicas confirm waits in
 * the gate, readings too: nobody is told of a value or a token that a failover may take back (docs/leases.md).
 *
 * Failure modes. The link cut behind a request: one that may be repeated (acquire under its nonce, renew, readings) is
 * sent again; another ends as unknown. Another reign before it was confirmed: the same. A server that hides which one
 * it is, where replicas have to confirm: denied, nothing could be promised. A lease that was granted and is told as
 * unknown ends by its ttl, or is found again under its nonce. */
#include "broker/redis/redis_reads.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>

struct service_read {
    struct redis_read base;
    struct engine_service *request;
    struct buffer nonce;  /* owned copies */
    struct buffer value;  /* SET: the value; INCR: what is added, as text */
    struct buffer answer; /* while it is to be confirmed */
};

static struct service_read *service_of(struct redis_read *base) {
    return list_entry(base, struct service_read, base);
}

static const struct service_read *const_service_of(const struct redis_read *base) {
    return (const struct service_read *) (const void *) base;
}

/* ---- out ---- */

/* As the scripts number them. */
static uint8_t verb_of(enum engine_service_verb verb) {
    return (uint8_t) (engine_service_is_lease(verb) ? verb - ENGINE_LEASE_ACQUIRE + 1 : verb - ENGINE_KV_GET + 1);
}

static void begin_script(const struct redis_read *base, enum redis_script script, struct buffer *out, size_t n_keys,
                         size_t n_arguments) {
    struct redis_node *node = base->partition->node;
    bool is_known = (node->sent_scripts & 1u << script) != 0;
    node->sent_scripts |= 1u << script;
    redis_scripts_begin(base->partition->engine->scripts, out, script, base->with_text || !is_known, n_keys,
                        n_arguments);
}

static void send_lease(const struct redis_read *base, struct buffer *out) {
    const struct service_read *self = const_service_of(base);
    const struct engine_redis *engine = base->partition->engine;
    const struct engine_service *request = self->request;
    struct buffer head = BUFFER_EMPTY;
    redis_read_append_fence(base, &head);
    buffer_append_u8(&head, verb_of(request->verb));
    buffer_append_u64(&head, request->ttl_ms);
    buffer_append_u64(&head, request->verb == ENGINE_LEASE_ACQUIRE ? engine->last_token : request->token);
    buffer_append_u8(&head, request->waits);
    buffer_append_u8(&head, base->partition->node->sharded);
    buffer_append(&head, engine->boot_id, REDIS_BOOT_ID_LENGTH);
    begin_script(base, REDIS_SCRIPT_SERVICE_LEASE, out, 3, 2);
    redis_read_hash_key(base, out);
    redis_read_key(base, ":l:", out);
    redis_request_text(out, base->partition->topic);
    redis_request_bytes(out, buffer_span(&head));
    redis_request_bytes(out, buffer_span(&self->nonce));
    buffer_finish(&head);
}

static void send_value(const struct redis_read *base, struct buffer *out) {
    const struct service_read *self = const_service_of(base);
    struct buffer head = BUFFER_EMPTY;
    redis_read_append_fence(base, &head);
    buffer_append_u8(&head, verb_of(self->request->verb));
    buffer_append_u64(&head, self->request->ttl_ms);
    begin_script(base, REDIS_SCRIPT_SERVICE_VALUE, out, 2, 2);
    redis_read_hash_key(base, out);
    redis_read_key(base, ":v:", out);
    redis_request_bytes(out, buffer_span(&head));
    redis_request_bytes(out, buffer_span(&self->value));
    buffer_finish(&head);
}

/* ---- back ---- */

static void drop(struct redis_read *base) {
    struct service_read *self = service_of(base);
    buffer_finish(&self->answer);
    if (base->is_answered) {
        buffer_finish(&self->nonce);
        buffer_finish(&self->value);
    }
}

static void complete(struct redis_read *base, enum engine_outcome outcome) {
    struct engine_service *request = service_of(base)->request;
    request->on_done(request, outcome);
}

static bool read_number(struct span text, int64_t *ret_number) {
    bool is_negative = text.size > 0 && text.data[0] == '-';
    uint64_t value = 0;
    if (!span_parse_u64(is_negative ? span_of(text.data + 1, text.size - 1) : text, &value) ||
        value > (uint64_t) ENGINE_NUMBER_MAX) {
        return false;
    }
    *ret_number = is_negative ? -(int64_t) value : (int64_t) value;
    return true;
}

/* The answer behind its 'O'. False: malformed. */
static bool fill(struct service_read *self) {
    struct engine_service *request = self->request;
    struct cursor cursor = cursor_of(buffer_span(&self->answer));
    cursor_u8(&cursor);
    request->is_done = cursor_u8(&cursor) == 1;
    if (engine_service_is_lease(request->verb)) {
        request->granted = cursor_u64(&cursor);
        request->left_ms = cursor_u64(&cursor);
        return cursor_is_done(&cursor) && request->granted <= (uint64_t) ENGINE_NUMBER_MAX;
    }
    request->left_ms = cursor_u64(&cursor);
    request->content = cursor_bytes(&cursor, cursor.left);
    bool is_counted = request->verb == ENGINE_KV_INCR && request->is_done;
    return !cursor.failed && (!is_counted || read_number(request->content, &request->number));
}

static void tell(struct redis_read *base) {
    struct service_read *self = service_of(base);
    redis_read_finish(base, fill(self) ? ENGINE_OK : ENGINE_CORRUPT);
    redis_read_destroy(base);
}

/* No answer is a promise where nothing was granted. */
static bool promises(const struct service_read *self) {
    const struct engine_service *request = self->request;
    return !engine_service_is_lease(request->verb) || (self->answer.size > 1 && self->answer.data[1] == 1);
}

static void note_token(struct engine_redis *engine, struct span answer) {
    struct cursor cursor = cursor_of(answer);
    cursor_bytes(&cursor, 2);
    uint64_t token = cursor_u64(&cursor);
    if (token > engine->last_token && token <= (uint64_t) ENGINE_NUMBER_MAX) {
        engine->last_token = token;
    }
}

static void take(struct redis_read *base, const struct redis_reply *reply) {
    struct service_read *self = service_of(base);
    struct span text = redis_reply_string(reply);
    if (text.size == 0 || text.data[0] != 'O') {
        redis_read_fail(base, ENGINE_CORRUPT);
        return;
    }
    if (self->request->verb == ENGINE_LEASE_ACQUIRE) {
        note_token(base->partition->engine, text);
    }
    buffer_append_span(&self->answer, text);
    redis_read_tell_when_sure(base, promises(self), sizeof *self + text.size);
}

static const struct redis_read_kind lease_kind = {.is_service = true,
                                                  .changes = true,
                                                  .complete = complete,
                                                  .drop = drop,
                                                  .send = send_lease,
                                                  .take = take,
                                                  .tell = tell};
static const struct redis_read_kind reading_kind = {
    .is_service = true, .complete = complete, .drop = drop, .send = send_value, .take = take, .tell = tell};
static const struct redis_read_kind writing_kind = {.is_service = true,
                                                    .changes = true,
                                                    .complete = complete,
                                                    .drop = drop,
                                                    .send = send_value,
                                                    .take = take,
                                                    .tell = tell};

/* ---- asking ---- */

static void answer_later(void *context, enum engine_outcome outcome) {
    struct engine_service *request = context;
    request->on_done(request, outcome);
}

/* Confirmations could not be told from another server's. */
static bool cannot_promise(struct engine_redis *self, struct span name) {
    const struct redis_partition *partition =
        engine_redis_partition(self, partition_of(name, self->options.n_partitions));
    const struct redis_node *node = partition->node;
    return redis_gate_is_needed(self) && node != NULL && node->is_ready && node->is_hidden;
}

static const struct redis_read_kind *kind_of(enum engine_service_verb verb) {
    if (engine_service_is_lease(verb)) {
        return &lease_kind;
    }
    return engine_service_only_reads(verb) ? &reading_kind : &writing_kind;
}

static void copy_arguments(struct service_read *self) {
    const struct engine_service *request = self->request;
    buffer_append_span(&self->nonce, request->nonce);
    if (request->verb == ENGINE_KV_SET) {
        buffer_append_span(&self->value, request->value);
    } else if (request->verb == ENGINE_KV_INCR) {
        buffer_append_i64_decimal(&self->value, request->by);
    }
}

void redis_services_ask(struct engine_redis *self, struct engine_service *request) {
    request->is_done = false;
    request->left_ms = 0;
    request->granted = 0;
    request->number = 0;
    request->content = SPAN_EMPTY;
    bool is_denied = !self->is_closing && cannot_promise(self, request->name);
    if (is_denied) {
        log_error("redis_not_safe", log_span("name", request->name),
                  log_text("hint", "leases and values of services need a server that shows which one it is, or "
                                   "redis.confirm: declared"));
    }
    if (self->is_closing || is_denied) {
        redis_answers_later(self, answer_later, request, is_denied ? ENGINE_DENIED : ENGINE_CANCELLED);
        return;
    }
    struct service_read *read = memory_alloc_zero(sizeof *read);
    read->base.kind = kind_of(request->verb);
    read->base.deadline_ms = request->deadline_ms;
    read->base.may_repeat = request->verb != ENGINE_LEASE_RELEASE && read->base.kind == &lease_kind;
    read->request = request;
    copy_arguments(read);
    redis_read_begin(self, &read->base, request->name);
}
