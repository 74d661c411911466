/* The box is a list under a mutex and one wake-up of the loop; calls are rare (a person makes them), so nothing here is
 * on a hot path. The box lives until it is closed and the last call is gone: each call holds a reference. */
#include "base/http_call.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>

struct http_call_box {
    uv_async_t wake;
    uv_mutex_t mutex;           /* what stands below it */
    struct http_call *answered; /* linked by message.next, the last answered first */
    uint32_t n_references;      /* the owner's, and one a call */
    bool is_closed;
    http_call_answered *on_answered;
    void (*observe)(const struct http_call *call);
    void *context;
    void (*on_closed)(void *context);
    void *closed_context;
};

static void free_call(struct http_call *call) {
    buffer_finish(&call->body);
    buffer_finish(&call->answer);
    memory_free(call);
}

static void release(http_call_box_t *self) {
    uv_mutex_lock(&self->mutex);
    bool is_last = --self->n_references == 0;
    uv_mutex_unlock(&self->mutex);
    if (is_last) {
        uv_mutex_destroy(&self->mutex);
        memory_free(self);
    }
}

static struct http_call *take_answered(http_call_box_t *self) {
    uv_mutex_lock(&self->mutex);
    struct http_call *calls = self->answered;
    self->answered = NULL;
    uv_mutex_unlock(&self->mutex);
    return calls;
}

/* The box is the caller's for the while: it holds a reference of its own. */
static void deliver(http_call_box_t *self, http_call_answered *on_answered) {
    struct http_call *next;
    for (struct http_call *call = take_answered(self); call != NULL; call = next) {
        next = (struct http_call *) (void *) call->message.next;
        if (on_answered != NULL) {
            on_answered(self->context, call);
        }
        free_call(call);
        release(self);
    }
}

static void on_wake(uv_async_t *wake) {
    http_call_box_t *self = wake->data;
    deliver(self, self->on_answered);
}

http_call_box_t *http_call_box_new(uv_loop_t *loop, http_call_answered *on_answered,
                                   void (*observe)(const struct http_call *call), void *context) {
    http_call_box_t *self = memory_alloc_zero(sizeof *self);
    check(uv_mutex_init(&self->mutex) == 0, "a mutex");
    check(uv_async_init(loop, &self->wake, on_wake) == 0, "a wake-up of the loop");
    self->wake.data = self;
    self->n_references = 1;
    self->on_answered = on_answered;
    self->observe = observe;
    self->context = context;
    return self;
}

static void on_wake_closed(uv_handle_t *handle) {
    http_call_box_t *self = handle->data;
    void (*on_closed)(void *context) = self->on_closed;
    void *closed_context = self->closed_context;
    deliver(self, NULL);
    release(self);
    on_closed(closed_context);
}

void http_call_box_close(http_call_box_t **self_p, void (*on_closed)(void *context), void *context) {
    http_call_box_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        on_closed(context);
        return;
    }
    self->on_closed = on_closed;
    self->closed_context = context;
    uv_mutex_lock(&self->mutex);
    self->is_closed = true;
    uv_mutex_unlock(&self->mutex);
    uv_close((uv_handle_t *) &self->wake, on_wake_closed);
}

struct http_call *http_call_new(http_call_box_t *box, uint64_t ticket, struct span method, const char *source,
                                struct buffer *body) {
    struct http_call *call = memory_alloc_zero(sizeof *call);
    check(method.size <= HTTP_CALL_METHOD_MAX && strlen(source) < sizeof call->source, "a call from %s", source);
    call->message.bytes = sizeof *call + body->size;
    call->ticket = ticket;
    memcpy(call->method, method.data, method.size);
    memcpy(call->source, source, strlen(source));
    call->body = *body;
    *body = BUFFER_EMPTY;
    call->answer = BUFFER_EMPTY;
    call->box = box;
    uv_mutex_lock(&box->mutex);
    box->n_references++;
    uv_mutex_unlock(&box->mutex);
    return call;
}

void http_call_answer(struct http_call *call) {
    http_call_box_t *box = call->box;
    if (box->observe != NULL) {
        box->observe(call);
    }
    uv_mutex_lock(&box->mutex);
    bool is_closed = box->is_closed;
    if (!is_closed) {
        call->message.next = box->answered == NULL ? NULL : &box->answered->message;
        box->answered = call;
        uv_async_send(&box->wake); /* under the mutex: not behind its closing */
    }
    uv_mutex_unlock(&box->mutex);
    if (is_closed) {
        free_call(call);
        release(box);
    }
}

void http_call_append_error(struct buffer *out, enum error_code code, const char *message) {
    const struct error_description *description = error_describe(code);
    buffer_append_format(out, "{\"error\":{\"code\":%d,\"reason\":\"%s\",\"message\":", (int) description->code,
                         description->reason);
    buffer_append_json_string(out, span_of_text(message == NULL ? description->message : message));
    buffer_append_format(out, ",\"temporary\":%s,\"definite\":%s}}", description->temporary ? "true" : "false",
                         description->definite ? "true" : "false");
}

void http_call_refuse(struct http_call *call, unsigned status, enum error_code code, const char *message) {
    call->status = status;
    buffer_clear(&call->answer);
    http_call_append_error(&call->answer, code, message);
    http_call_answer(call);
}
