/* The backend API's methods as a table: what each takes, how it is split over shards, how its answer is put together.
 * Pure but for the scratch buffers in its context. docs/backend-api.md "Methods".
 * Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_METHODS_H
#define CALLBOARD_BROKER_BACKEND_METHODS_H

#include "base/json_scan.h"
#include "base/namespace_options.h"
#include "broker/backend/backend_pending.h"
#include "broker/backend/backend_request.h"
#include "broker/shard_request.h"

/* What methods need of the broker. */
struct backend_context {
    const char *broker_id;
    const namespace_set_t *namespaces;
    uint32_t n_shards;
    uint64_t publication_bytes_max;
    struct buffer item;            /* scratch: the channel of the part that was prepared last */
    struct json_iterator channels; /* a broadcast's list: parts are prepared in order */
};

/* Who answers: the shards of the channels, or the API itself. */
enum backend_handling { BACKEND_BY_SHARD, BACKEND_SUBSCRIBE, BACKEND_UNSUBSCRIBE };

struct backend_method {
    const char *name;
    enum backend_handling handling;
    unsigned allowed; /* enum backend_param */
    unsigned required;
    bool takes_payload;
    enum shard_request_kind kind;
    bool answers_each_part; /* a list: parts may fail each for itself, the answer is ok all the same */
    /* How many shard requests; 0: refused. */
    uint32_t (*count_parts)(struct backend_context *context, const struct backend_params *params,
                            struct backend_refusal *ret_refusal);
    /* Fills the channel of one part's model (whose data is the payload) and judges it; called once for each part, in
     * order. False: this part is refused, the others go on. */
    bool (*prepare_part)(struct backend_context *context, const struct backend_params *params, uint32_t part,
                         struct shard_request *model, struct backend_refusal *ret_refusal);
    /* Appends the body of `ok`; every part's reply is there, and with one part it has no error. */
    void (*append_result)(const struct backend_context *context, const struct backend_waiting *waiting,
                          struct buffer *body);
};

/* NULL: no such method. */
const struct backend_method *backend_method_find(struct span name);

#endif
