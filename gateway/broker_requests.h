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
#include "gateway/gateway_config.h"

#include <uv.h>

typedef struct broker_requests broker_requests_t;

/* What a heartbeat tells of the whole gateway process. */
struct broker_beat_figures {
    uint32_t connections;
    uint32_t users;
    uint32_t alive;
    uint32_t dead;
    uint32_t load_permille;
};

struct broker_requests_settings {
    uv_loop_t *loop;
    void *zmq_context; /* in the appliance the broker's, for inproc endpoints */
    timer_wheel_t *wheel;
    metrics_t *metrics;
    const struct gateway_config *config; /* borrowed for the call: the brokers keys and the gateway's id */
    uint32_t worker;
    uint64_t boot_nonce;  /* one for the process */
    uint64_t config_hash; /* namespace_set_hash: compared with the brokers' */
    void *context;
    /* A broker passes a service's command for sessions. Borrowed for the call. The answer but for its request is the
     * callee's to fill; what it has to tell of `bytes` goes there. */
    void (*on_command)(void *context, const struct wire_command *command, struct wire_commanded *ret_answer,
                       struct buffer *bytes);
    /* A message of a client whose stream this worker has came in at another gateway. False: there is no such session.
     * NULL: this one has no streams. */
    bool (*on_emulated)(void *context, struct span session, struct span data);
    /* The brokers' mode is another than before; 0: none is alive. */
    void (*on_mode_change)(void *context, enum wire_mode mode);
    /* Called a few times a second. */
    void (*figures)(void *context, struct broker_beat_figures *ret_figures);
};

/* Starts looking for the brokers at once; nothing needs them to be there. NULL: the settings cannot work (no endpoint,
 * keys unreadable), ret_error says why. */
broker_requests_t *broker_requests_new(const struct broker_requests_settings *settings, char *ret_error,
                                       size_t error_size);
/* Ends every request that is left (on_done comes inside this call) and lets the links go; on_closed comes when the loop
 * holds nothing of ours any more, maybe inside the call. The hub is gone before. Nulls the caller's pointer. */
void broker_requests_close(broker_requests_t **self_p, void (*on_closed)(void *context), void *context);
/* For the hub, whose subscriptions ride on the same links. */
struct broker_links *broker_requests_links(broker_requests_t *self);
/* Told to the brokers in the heartbeats. */
void broker_requests_set_draining(broker_requests_t *self, bool draining);
/* The namespaces are other ones since a reload. */
void broker_requests_set_config_hash(broker_requests_t *self, uint64_t hash);

struct broker_answer {
    enum error_code error;    /* ERROR_NONE: fine. OUTCOME_UNKNOWN where it may have happened */
    struct position position; /* publish, history */
    bool duplicate;
    bool suppressed; /* publish: the version was no news, position is where the channel stands */
    uint32_t n; /* history: publications; presence: entries; presence_stats: clients; emulate: 1 delivered, 0 not there;
                 * command: sessions, channels */
    uint32_t m; /* presence_stats: users; command: gateway workers */
    struct span bytes; /* history: wire_publication…; presence: sized wire_client_info…; call: JSON, payload. Borrowed
                          for the call */
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
    bool sent;       /* handed to ZeroMQ: from then on it may have happened */
    bool is_overdue; /* the deadline is over; its answer may be on its way */
    bool only_reads; /* to be cut off is no unknown outcome */
    uint8_t kind;    /* of its frame */
    broker_requests_t *requests;
    struct waiting_frame *waiting;
    struct call_tries *call; /* CALL: who was asked already */
    uint64_t started_us;
};

void broker_request_cancel(broker_requests_t *self,
                           struct broker_request *request); /* no on_done any more; harmless when done */
/* The same for one that is not done, and what there is to say of it: OUTCOME_UNKNOWN where it may happen all the same.
 */
enum error_code broker_request_give_up(broker_requests_t *self, struct broker_request *request);

/* What is published; all but channel and data may be empty. */
struct broker_publication {
    struct span channel;
    struct span data;
    struct span key;  /* of idempotency */
    struct span info; /* wire_client_info */
    struct span tags; /* wire_tag after wire_tag */
    uint8_t flags;    /* WIRE_PUBLISH_* */
    uint64_t version; /* 0: none */
    struct span version_epoch;
};
void broker_publish(broker_requests_t *self, struct broker_request *request,
                    const struct broker_publication *publication);
void broker_history(broker_requests_t *self, struct broker_request *request, struct span channel, bool has_since,
                    const struct position *since, uint32_t limit, bool reverse);
void broker_history_remove(broker_requests_t *self, struct broker_request *request, struct span channel);
void broker_presence(broker_requests_t *self, struct broker_request *request, struct span channel);
void broker_presence_stats(broker_requests_t *self, struct broker_request *request, struct span channel);
/* A question for a worker of the backend API (docs/backend-api.md, "Workers"). Which broker has one is found by asking:
 * one that has none says so at once, then the next is asked; the one that had is asked first the next time. The
 * answer's n is enum wire_call_outcome, m the worker's code, bytes as in RESULT. NOT_AVAILABLE: no broker has a worker
 * for it. */
struct broker_question {
    struct span method;
    struct span channel; /* empty: none */
    struct span info;    /* wire_client_info */
    struct span details; /* JSON object or empty */
    struct span data;
    uint32_t timeout_ms;
};
void broker_call(broker_requests_t *self, struct broker_request *request, const struct broker_question *question);

/* May this worker have `mine` connections of the user (user_count_key), so that all gateways together have at most
 * `most`? The answer's n: 1 it may, 0 it may not. */
void broker_take_user(broker_requests_t *self, struct broker_request *request, uint64_t user, uint32_t mine,
                      uint32_t most);
/* Which channel hash (broker_links_hash) the user's lane has. */
uint32_t broker_user_hash(uint64_t user);

/* To the worker of gateway `node` that has this session. */
void broker_emulate(broker_requests_t *self, struct broker_request *request, struct span node, uint32_t worker,
                    struct span session, struct span data);

/* To every gateway worker of the cluster, this one too; fine where all of them have carried it out. `command`: its
 * request and deadline are filled in here. The way is that of a channel called as the user, so that two commands for
 * one user keep their order. */
void broker_command(broker_requests_t *self, struct broker_request *request, const struct wire_command *command);

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
