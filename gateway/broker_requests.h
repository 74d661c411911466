/* A worker's way to the brokers: directory, uplinks and requests behind one face. A channel's requests go to the broker
 * ranked first for its partition among those alive; a request whose link is lost ends at once, definite if it was never
 * sent. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_BROKER_REQUESTS_H
#define CALLBOARD_GATEWAY_BROKER_REQUESTS_H

#include "base/error_code.h"
#include "base/metrics.h"
#include "base/position.h"
#include "base/timer_wheel.h"
#include "base/wire.h"

#include <uv.h>

typedef struct broker_requests broker_requests_t;

struct broker_answer {
    enum error_code error;    /* ERROR_NONE: fine. OUTCOME_UNKNOWN where it may have happened */
    struct position position; /* publish, history */
    bool duplicate;
    uint32_t n; /* history: publications; presence: entries; presence_stats: clients */
    uint32_t m; /* presence_stats: users */
    struct span
        bytes; /* history: wire_publication…; presence: sized wire_client_info…; call: data. Borrowed for the call */
};

/* Embedded by the caller; borrowed until on_done, which comes exactly once and never inside the call, or until
 * broker_request_cancel. */
struct broker_request {
    void (*on_done)(struct broker_request *request, const struct broker_answer *answer);
    /* its own */
    uint32_t id;
    uint32_t shard;
    void *uplink;
    struct timer_entry timer;
    struct list_link link;
    enum error_code early_error;
    bool sent;
    uint8_t kind;
};

void broker_request_cancel(broker_requests_t *self,
                           struct broker_request *request); /* no on_done any more; harmless when done */

void broker_publish(broker_requests_t *self, struct broker_request *request, struct span channel, struct span key,
                    struct span data, struct span info, struct span tags, uint8_t flags);
void broker_history(broker_requests_t *self, struct broker_request *request, struct span channel, bool has_since,
                    const struct position *since, uint32_t limit, bool reverse);
void broker_presence(broker_requests_t *self, struct broker_request *request, struct span channel);
void broker_presence_stats(broker_requests_t *self, struct broker_request *request, struct span channel);
void broker_call(broker_requests_t *self, struct broker_request *request, struct span method, struct span channel,
                 struct span info, struct span data);

/* What /ready, /ws/stats and /health/redis need. */
struct broker_summary {
    uint32_t brokers_known;
    uint32_t brokers_alive;
    enum wire_mode mode;       /* of those alive; 0 when none is */
    bool engine_degraded;      /* a broker said so in its last beat */
    struct wire_totals totals; /* the newest TOTALS */
    bool totals_known;
};
void broker_requests_summary(const broker_requests_t *self, struct broker_summary *ret_summary);

#endif
