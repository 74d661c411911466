/* A small HTTP server for a test: answers GETs of the paths it was given with what it was given, others with 404; one
 * connection after the other, on a thread of its own. Thread: the test's. */
#ifndef CALLBOARD_TESTS_HTTP_STUB_H
#define CALLBOARD_TESTS_HTTP_STUB_H

typedef struct http_stub http_stub_t;

struct http_stub_page {
    const char *path; /* NULL ends the table */
    int status;
    const char *body;
};

/* Listens on a free port of 127.0.0.1 when it returns. pages live as long. */
http_stub_t *http_stub_start(const struct http_stub_page *pages);
void http_stub_stop(http_stub_t **self_p);           /* accepts NULL */
const char *http_stub_base(const http_stub_t *self); /* http://127.0.0.1:port */

#endif
