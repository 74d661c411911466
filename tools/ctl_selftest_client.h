/* One client of the gateways, in the client protocol with JSON, one call after the other: each waits for its answer.
 * What it published and is pushed to it is told apart from others' by a mark. Thread: main. */
#ifndef CALLBOARD_TOOLS_CTL_SELFTEST_CLIENT_H
#define CALLBOARD_TOOLS_CTL_SELFTEST_CLIENT_H

#include "base/json_scan.h"
#include "base/position.h"
#include "tools/ctl.h"
#include "tools/ctl_websocket.h"

enum { SELFTEST_ERROR_SIZE = 384 };

struct selftest_client {
    ctl_websocket_t *socket; /* NULL: not connected */
    int timeout_ms;
    uint64_t last_id;
    struct buffer command;
    uint64_t code;                   /* of the server's error; 0: it gave none */
    char error[SELFTEST_ERROR_SIZE]; /* why the last call was not CTL_DONE */
};

struct selftest_subscribed {
    bool recoverable;
    bool recovered;
    struct position position;
    bool has_mark; /* a publication that was missed has it */
};

void selftest_client_init(struct selftest_client *self, int timeout_ms);
/* Cuts the connection, too. */
void selftest_client_finish(struct selftest_client *self);

/* Each: CTL_DONE, CTL_REFUSED (the server said no) or CTL_NO_ANSWER. An empty token is none. */
enum ctl_exit selftest_client_connect(struct selftest_client *self, const struct ctl_websocket_target *target,
                                      struct span token);
/* `since` NULL: from now on. */
enum ctl_exit selftest_client_subscribe(struct selftest_client *self, const char *channel, struct span token,
                                        const struct position *since, const char *mark,
                                        struct selftest_subscribed *ret);
enum ctl_exit selftest_client_publish(struct selftest_client *self, const char *channel, const char *mark);
/* Until the publication with the mark is pushed. */
enum ctl_exit selftest_client_await(struct selftest_client *self, const char *mark, uint64_t *ret_offset);
/* Without a word to the server. */
void selftest_client_cut(struct selftest_client *self);

/* {"selftest":"MARK"}: what is published. */
void selftest_append_data(struct buffer *out, const char *mark);

#endif
