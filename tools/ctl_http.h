/* One GET of a program's internal listener, one connect, each bounded in time and size. Thread: any. */
#ifndef CALLBOARD_TOOLS_CTL_HTTP_H
#define CALLBOARD_TOOLS_CTL_HTTP_H

#include "base/bytes.h"

enum { CTL_HTTP_WAIT_MS = 2000 };

struct ctl_page {
    unsigned status;      /* 0: no answer, then error says why */
    struct buffer answer; /* head and body */
    struct span body;     /* inside answer */
    char error[128];      /* "connection refused" */
    char url[512];        /* what was asked */
};

/* base: http://host:port. token: a bearer token, or "". What a wildcard address listens on is asked at the loopback. */
void ctl_page_get(struct ctl_page *ret_page, const char *base, const char *path, const char *token);
void ctl_page_finish(struct ctl_page *self);
/* Is somebody listening there? endpoint: tcp://host:port. False: ret_error says why. */
bool ctl_can_connect(const char *endpoint, char *ret_error, size_t error_size);

#endif
