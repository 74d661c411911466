/* Bounded by the listener: internal.calls_max calls of internal.body_max. */
#include "gateway/http_api/http_api_by_hand.h"

#include "base/list.h"
#include "base/memory.h"

struct http_api_by_hand {
    struct http_api_service service;
    metric_values_t *metrics;
    struct list_link open; /* struct open_call */
};

struct open_call {
    struct list_link link;
    struct http_call *call;
    http_api_call_t *work;
};

static void forget(struct open_call *open) {
    list_remove(&open->link);
    http_api_call_destroy(&open->work);
    memory_free(open);
}

static void on_done(void *context) {
    struct open_call *open = context;
    struct http_call *call = open->call;
    call->status = http_api_call_answer(open->work, false, &call->answer);
    forget(open);
    http_call_answer(call);
}

void http_api_by_hand_take(http_api_by_hand_t *self, struct http_call *call) {
    const struct http_api_method *method = http_api_method_find(span_of_text(call->method));
    http_api_key_t *key = http_api_key_of_everything();
    if (method == NULL) {
        http_api_key_release(&key);
        http_call_refuse(call, 404, ERROR_METHOD_NOT_FOUND, NULL);
        return;
    }
    struct open_call *open = memory_alloc_zero(sizeof *open);
    open->call = call;
    open->work = http_api_call_new(&self->service, &key, method);
    list_init(&open->link);
    list_push_back(&self->open, &open->link);
    http_api_call_start(open->work, buffer_span(&call->body), on_done, open);
}

http_api_by_hand_t *http_api_by_hand_new(const struct http_api_service *service, metrics_t *metrics) {
    http_api_by_hand_t *self = memory_alloc_zero(sizeof *self);
    self->service = *service;
    self->metrics = metric_values_new(metrics, http_api_metric_table, HTTP_API_METRICS);
    self->service.metrics = self->metrics;
    list_init(&self->open);
    return self;
}

void http_api_by_hand_configure(http_api_by_hand_t *self, const struct gateway_config *config,
                                const namespace_set_t *namespaces) {
    if (self != NULL) {
        self->service.config = config;
        self->service.namespaces = namespaces;
    }
}

void http_api_by_hand_destroy(http_api_by_hand_t **self_p) {
    http_api_by_hand_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    list_for_each_safe (link, &self->open) {
        struct open_call *open = list_entry(link, struct open_call, link);
        struct http_call *call = open->call;
        forget(open);
        http_call_refuse(call, 503, ERROR_OUTCOME_UNKNOWN, "the gateway stops; it may have been done");
    }
    metric_values_destroy(&self->metrics);
    memory_free(self);
}
