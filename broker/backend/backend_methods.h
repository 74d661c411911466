/* The backend API's methods as a table: one row each, in the file of its concern; how a request is called and what its
 * handler gets. docs/backend-api.md "Methods". Thread: the backend API's actor.
 *
 * A new method: a row in the list of its concern (backend_methods_*.c, or a file of its own with a list of its own,
 * which then stands in backend_methods.c), and a handler. */
#ifndef CALLBOARD_BROKER_BACKEND_METHODS_H
#define CALLBOARD_BROKER_BACKEND_METHODS_H

#include "broker/backend/backend_pending.h"
#include "broker/backend/backend_request.h"
#include "broker/shard_request.h"

struct backend_api;
struct backend_call;

enum backend_payload {
    BACKEND_WITHOUT_PAYLOAD,
    BACKEND_WITH_PAYLOAD, /* must be there, may be empty */
    BACKEND_MAY_HAVE_PAYLOAD,
};

/* Which name the patterns of a CURVE key's rights are asked about. */
enum backend_right {
    BACKEND_RIGHT_METHOD,  /* none: the method is enough; the handler may ask about more (backend_may) */
    BACKEND_RIGHT_CHANNEL, /* params.channel */
};

/* What a method may be besides a request by itself. */
enum {
    BACKEND_MAY_BE_PUSHED = 1, /* the PULL endpoint takes it */
    BACKEND_ALONE = 2,         /* not inside a batch */
    BACKEND_READS = 8,         /* changes nothing: without an answer in time nothing was done */
    BACKEND_OWN_PARAMS = 4,    /* the handler reads call->object; `allowed` and `required` say nothing */
};

/* How a method is put to shards, where `handle` is backend_ask_shards. */
struct backend_shard_steps {
    enum shard_request_kind kind;
    bool answers_each_part; /* a list: parts may fail each for itself, the answer is ok all the same */
    bool each_shard;        /* part i goes to shard i, not to that of its channel */
    /* How many shard requests, at most BACKEND_PARTS_MAX; 0: refused. NULL: one. */
    uint32_t (*count_parts)(struct backend_api *api, const struct backend_call *call,
                            struct backend_refusal *ret_refusal);
    /* Fills what one part's model needs beside what all have (its channel, whose shard it goes to), and judges it;
     * called once for each part, in order. False: this part is refused, the others go on. NULL: nothing to be done. */
    bool (*prepare_part)(struct backend_api *api, const struct backend_call *call, uint32_t part,
                         struct shard_request *model, struct backend_refusal *ret_refusal);
    /* Appends the body of `ok`; every part's reply is there, and with one part it has no error. NULL: {}. */
    void (*append_result)(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body);
    /* Nobody can hear that result any more: undoes what it would have given. NULL: nothing. */
    void (*take_back)(struct backend_api *api, const struct backend_waiting *waiting);
};

struct backend_method {
    const char *name;
    enum backend_payload payload;
    enum backend_right right;
    unsigned flags;
    unsigned allowed; /* enum backend_param */
    unsigned required;
    /* Answers the call exactly once: now (backend_answer…), or later, having kept it (backend_keep). */
    void (*handle)(struct backend_api *api, struct backend_call *call);
    const struct backend_shard_steps *steps;
    /* What an answer with error 120 means here; NULL: nothing more than usual. */
    const char *help_unknown;
};

struct backend_method_list {
    const struct backend_method *rows;
    size_t n;
};
#define BACKEND_METHOD_LIST(rows)                                                                                      \
    { rows, sizeof rows / sizeof rows[0] }

/* The lists, one for each concern. */
extern const struct backend_method_list backend_publish_methods;
extern const struct backend_method_list backend_read_methods;
extern const struct backend_method_list backend_subscription_methods;
extern const struct backend_method_list backend_info_methods;
extern const struct backend_method_list backend_session_methods;
extern const struct backend_method_list backend_batch_methods;
extern const struct backend_method_list backend_worker_methods;
extern const struct backend_method_list backend_rpc_methods;
extern const struct backend_method_list backend_lease_methods;
extern const struct backend_method_list backend_kv_methods;

/* NULL: no such method. */
const struct backend_method *backend_method_find(struct span name);

#endif
