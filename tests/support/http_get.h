/* One GET to 127.0.0.1, blocking. Thread: any. */
#ifndef CALLBOARD_TESTS_HTTP_GET_H
#define CALLBOARD_TESTS_HTTP_GET_H

#include "base/bytes.h"

#include <stdbool.h>

struct http_got {
    int status;         /* 0: no answer within the time */
    struct buffer text; /* head and body, NUL-terminated beyond its size */
    const char *body;   /* inside text; "" where there is none */
};

/* `header`: one more header line without its line feed, or NULL. Finish with http_got_finish. */
struct http_got http_get(int port, const char *path, const char *header, unsigned timeout_ms);
void http_got_finish(struct http_got *self);
/* Only the status. */
int http_get_status(int port, const char *path);
/* Asks again until the status is the expected one; false: it was not in time. */
bool http_wait_status(int port, const char *path, int expected, unsigned timeout_ms);

#endif
