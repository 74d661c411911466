/* What a request to the raw endpoint asks for: /ws/{channel}?token=JWT&since=OFFSET&epoch=EPOCH&last=N&mode=read|write
 * &envelope=1. Pure but for memory. Thread: any. */
#ifndef CALLBOARD_GATEWAY_RAW_QUERY_H
#define CALLBOARD_GATEWAY_RAW_QUERY_H

#include "gateway/session/session.h"

struct raw_query {
    struct session_raw_options options; /* its texts lie in `storage` */
    bool envelope;
    struct buffer storage;
};

bool raw_path_is(struct span path); /* /ws/ and something behind it */
/* `next` gives the query's parameters one after another, decoded, as name=value; 0 at the end, below 0 where one is too
 * long. False: something in it is malformed; nothing is to be freed then. */
bool raw_query_read(struct raw_query *self, struct span path, int (*next)(void *context, int i, char *text, int size),
                    void *context);
void raw_query_finish(struct raw_query *self);

#endif
