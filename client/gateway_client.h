/* One client of the gateways, in the client protocol with JSON over a WebSocket, one call after the other: each waits
 * for its answer. What is pushed meanwhile, and what a subscription recovers, is told as it comes. Thread: the owner's;
 * several clients may live in several threads. */
#ifndef CALLBOARD_CLIENT_GATEWAY_CLIENT_H
#define CALLBOARD_CLIENT_GATEWAY_CLIENT_H

#include "base/json_scan.h"
#include "base/position.h"
#include "client/websocket_client.h"

enum { GATEWAY_CLIENT_ERROR_SIZE = 384 };

enum gateway_outcome {
    GATEWAY_DONE,
    GATEWAY_REFUSED, /* the server said no: again without a change is in vain */
    GATEWAY_SILENT,  /* no answer, or the connection is gone */
    GATEWAY_USAGE,   /* the address is none */
};

/* Borrowed for the call. */
struct gateway_publication {
    struct span channel;
    struct json_value data;
    uint64_t offset;   /* 0: of a channel without positions */
    bool is_recovered; /* it came with the reply to a subscribe */
};

/* Either may be NULL. They are called inside of the calls below, and call none of them. */
struct gateway_client_listener {
    void (*on_publication)(void *context, const struct gateway_publication *publication);
    void (*on_unsubscribed)(void *context, struct span channel, uint64_t code); /* by the server */
    void *context;
};

struct gateway_client {
    websocket_client_t *socket; /* NULL: not connected */
    struct gateway_client_listener listener;
    int timeout_ms;
    uint64_t last_id;
    struct buffer command;
    uint64_t code;                         /* of the server's error; 0: it gave none */
    char error[GATEWAY_CLIENT_ERROR_SIZE]; /* why the last call was not GATEWAY_DONE */
};

struct gateway_subscribed {
    bool recoverable;
    bool recovered;
    struct position position;
};

void gateway_client_init(struct gateway_client *self, int timeout_ms, const struct gateway_client_listener *listener);
/* Cuts the connection, too. */
void gateway_client_finish(struct gateway_client *self);

/* An empty token is none. */
enum gateway_outcome gateway_client_connect(struct gateway_client *self, const struct websocket_client_target *target,
                                            struct span token);
/* `since` NULL: from now on. */
enum gateway_outcome gateway_client_subscribe(struct gateway_client *self, const char *channel, struct span token,
                                              const struct position *since, struct gateway_subscribed *ret);
/* data: JSON. */
enum gateway_outcome gateway_client_publish(struct gateway_client *self, const char *channel, struct span data);
/* Takes what comes until one message has come; GATEWAY_SILENT: none did in that time, or (gateway_client_is_cut)
 * the connection is gone. */
enum gateway_outcome gateway_client_receive(struct gateway_client *self, int timeout_ms);
/* Without a word to the server. */
void gateway_client_cut(struct gateway_client *self);
/* After GATEWAY_SILENT: is the connection gone, and not only quiet? */
bool gateway_client_is_cut(const struct gateway_client *self);

#endif
