/* What broker_requests.c (a request's way: sending, waiting, its end; life), broker_requests_ask.c (each kind of
 * request) and broker_requests_answers.c (what the links tell) share; nobody else includes this. Thread: the worker's.
 */
#ifndef CALLBOARD_GATEWAY_BROKER_REQUESTS_PARTS_H
#define CALLBOARD_GATEWAY_BROKER_REQUESTS_PARTS_H

#include "gateway/broker_links.h"
#include "gateway/broker_requests.h"
#include "gateway/key_table.h"

enum { UNSENT_LISTS = 16 };

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
/* clang-format on */

/* ---- broker_requests.c ---- */
/* It is over: nobody waits for it or knows its id. */
void requests_forget(broker_requests_t *self, struct broker_request *request);
void requests_count_failure(broker_requests_t *self, enum error_code code);
/* on_done comes later, outside of the caller's call. */
void requests_finish_later(broker_requests_t *self, struct broker_request *request, enum error_code code);
/* The link or the patience ended while it may have been under way. */
enum error_code requests_error_when_cut_off(const struct broker_request *request);
uint32_t requests_brokers_alive(const broker_requests_t *self);
void requests_begin(broker_requests_t *self, struct broker_request *request, enum wire_kind kind,
                    enum request_metric metric);
/* `encoded`: the frame stands in scratch. */
void requests_ask_at(broker_requests_t *self, struct broker_request *request, uint32_t channel_hash, bool encoded);
/* False: no link, or no credit. */
bool requests_send_frame(broker_requests_t *self, struct broker_request *request, const struct broker_route *route,
                         struct span frame);
void requests_wait_for_link(broker_requests_t *self, struct broker_request *request, uint32_t channel_hash,
                            struct span frame);

/* ---- broker_requests_ask.c ---- */
/* That broker has no worker for it. True: another one is asked. */
bool requests_ask_elsewhere(broker_requests_t *self, const uplink_t *uplink, uint32_t id);

/* ---- broker_requests_answers.c: for the links ---- */
bool requests_on_frame(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame);
void requests_on_sent(void *context, uplink_t *uplink, uint16_t shard);
/* `uplink` NULL: all of them. */
void requests_on_lost(void *context, uplink_t *uplink);

#endif
