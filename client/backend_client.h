/* The client library as our own programs use it: spans, and CURVE keys from files. Blocking, one request at a time.
 * Thread: the owner's. */
#ifndef CALLBOARD_CLIENT_BACKEND_CLIENT_H
#define CALLBOARD_CLIENT_BACKEND_CLIENT_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct backend_client backend_client_t;

struct backend_client_options {
    const char *endpoint;         /* tcp://127.0.0.1:7710 */
    const char *curve_key_file;   /* own pair (callboardctl keygen); NULL or "": without CURVE */
    const char *curve_broker_key; /* the broker's public key: Z85 text, or a .pub file */
};

/* NULL: ret_error says why. A broker that is not there is noticed by the first request's time-out. */
backend_client_t *backend_client_new(const struct backend_client_options *options, char *ret_error, size_t error_size);
void backend_client_destroy(backend_client_t **self_p);

enum backend_outcome {
    BACKEND_OK,       /* body is the result */
    BACKEND_ERROR,    /* body is {"code","reason","message","temporary","definite"} */
    BACKEND_EVENT,    /* body and payload are a subscription's event */
    BACKEND_TIMEOUT,  /* no answer: the outcome is unknown, retry under the same idempotency key */
    BACKEND_PROTOCOL, /* an answer that is none: another service at this address, or another version */
};

/* JSON and bytes of the last answer; borrowed until the next call. */
struct backend_reply {
    struct span body;
    struct span payload;
};

/* Sends a request and waits for its answer. `payload` may be NULL where the method takes none. Events that come
 * meanwhile are kept for backend_client_next_event, 10,000 at most, the oldest dropped first. */
enum backend_outcome backend_client_request(backend_client_t *self, const char *method, struct span params,
                                            const struct span *payload, int timeout_ms,
                                            struct backend_reply *ret_reply);
/* The next event of any subscription of ours; BACKEND_TIMEOUT: none, or a signal came. */
enum backend_outcome backend_client_next_event(backend_client_t *self, int timeout_ms, struct backend_reply *ret_event);

#endif
