/* callboard_client: the backend API of a Callboard broker in C, over one ZeroMQ DEALER. Publish, read, subscribe,
 * answer calls as a worker; docs/backend-api.md says which methods there are and what each takes and answers.
 *
 *     cc service.c $(pkg-config --cflags --libs callboard-client)
 *
 * Parameters and bodies are JSON as text; this library neither makes nor reads it, take the one you know. Payloads are
 * bytes. Functions that wait take a time in milliseconds, and answer the broker's pings meanwhile: a worker that
 * computes for more than two seconds without calling any of them is held for lost.
 *
 * ZeroMQ connects again by itself when a broker was away, but then the broker knows nothing of this client any more:
 * ask `subscribe` (from your position on) or `work` again when nothing came for some seconds. Where nothing was lost
 * that is harmless: error 105 (already subscribed), or the same list of methods.
 *
 * Thread: a client belongs to one thread at a time; several clients may live in several threads. */
#ifndef CALLBOARD_CLIENT_H
#define CALLBOARD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct callboard_client callboard_client_t;

struct callboard_client_options {
    const char *endpoint;         /* tcp://127.0.0.1:7710 */
    const char *curve_secret_key; /* Z85, from the file that callboardctl keygen makes; NULL or "": without CURVE */
    const char *curve_broker_key; /* Z85, the broker's public key; with curve_secret_key only */
};

/* NULL: ret_error says what is wrong and how to mend it. That a broker is not there shows only in the first request,
 * which is not answered. The texts are not needed afterwards. */
callboard_client_t *callboard_client_new(const struct callboard_client_options *options, char *ret_error,
                                         size_t error_size);
/* NULL in *client is fine; *client is NULL afterwards. What was not sent yet is dropped. */
void callboard_client_destroy(callboard_client_t **client);

enum callboard_outcome {
    CALLBOARD_OK,       /* body is the result */
    CALLBOARD_ERROR,    /* body is {"code","reason","message","temporary","definite"} */
    CALLBOARD_EVENT,    /* body and payload are an event of a subscription */
    CALLBOARD_REQUEST,  /* body and payload are a call that a worker is to answer by callboard_answer */
    CALLBOARD_TIMEOUT,  /* nothing came in time. Whether a request was done is unknown: try again only under its key */
    CALLBOARD_PROTOCOL, /* what came is no message of this API: another service listens there, or another version */
};

struct callboard_bytes {
    const void *data; /* may be NULL where size is 0 */
    size_t size;
};

/* Borrowed: whole until the next call with this client. */
struct callboard_message {
    struct callboard_bytes id;
    struct callboard_bytes body; /* JSON, without a final 0 */
    struct callboard_bytes payload;
};

/* Asks one method and waits for its answer: OK, ERROR, TIMEOUT or PROTOCOL. `params` is a JSON object; `payload` is
 * NULL where the method takes none. Events and calls that come meanwhile are kept for callboard_receive. */
enum callboard_outcome callboard_request(callboard_client_t *client, const char *method, const char *params,
                                         const struct callboard_bytes *payload, int timeout_ms,
                                         struct callboard_message *ret_reply);

/* Publishes once, however often that takes: tries again under one idempotency key of its own, with growing pauses,
 * while the broker is silent or its error is temporary, until patience_ms is over. Results as callboard_request: ERROR
 * is the broker's last word, after TIMEOUT it may have been published. patience_ms must stay below the broker's
 * broker.idempotency_window (5 minutes), or it may be published twice. */
enum callboard_outcome callboard_publish(callboard_client_t *client, const char *channel,
                                         struct callboard_bytes payload, int patience_ms,
                                         struct callboard_message *ret_reply);

/* The next EVENT or REQUEST. TIMEOUT also when a signal was caught, so that a program can look at what it said. 10,000
 * messages are kept at most; then the oldest is dropped and counted. */
enum callboard_outcome callboard_receive(callboard_client_t *client, int timeout_ms,
                                         struct callboard_message *ret_message);
uint64_t callboard_dropped(const callboard_client_t *client);

/* Answers a call (`done`): params is {"result":{…}}, {"error":{…}} or {"disconnect":{…}}; payload is the result's data,
 * or NULL. `call` may be the borrowed message itself. False: it cannot be sent, the broker does not read. */
bool callboard_answer(callboard_client_t *client, const struct callboard_message *call, const char *params,
                      const struct callboard_bytes *payload);

/* Of an ERROR's body: may a later try succeed? */
bool callboard_is_temporary(const struct callboard_message *error);

#ifdef __cplusplus
}
#endif

#endif
