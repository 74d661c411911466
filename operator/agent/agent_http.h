/* A tiny answerer of GET for the kubelet: one thread, at most AGENT_HTTP_CONNECTIONS at a time, each closed after its
 * answer or after 2 s. Not for strangers: it is reached inside the pod's network only, and tells what a probe may see.
 * Thread: the one that runs it. */
#ifndef CALLBOARD_OPERATOR_AGENT_HTTP_H
#define CALLBOARD_OPERATOR_AGENT_HTTP_H

#include "base/bytes.h"

typedef struct agent_http agent_http_t;

enum { AGENT_HTTP_CONNECTIONS = 16, AGENT_HTTP_REQUEST_MAX = 2048, AGENT_HTTP_BODY_MAX = 4096 };

/* The status (200, 503, 404) and the body for a path. */
typedef unsigned (*agent_http_handler_t)(void *context, struct span path, char ret_body[AGENT_HTTP_BODY_MAX]);

/* address: IP:port or [v6]:port. NULL: ret_error says why it cannot listen. */
agent_http_t *agent_http_new(const char *address, agent_http_handler_t handler, void *context, char *ret_error,
                             size_t error_size);
void agent_http_destroy(agent_http_t **self_p); /* accepts NULL */
uint16_t agent_http_port(const agent_http_t *self);
/* Serves what comes within `wait_ms`. */
void agent_http_turn(agent_http_t *self, unsigned wait_ms);

enum agent_http_parse { AGENT_HTTP_MORE, AGENT_HTTP_REQUEST, AGENT_HTTP_BAD };
/* Pure: a request as it has come so far; ret_path without its query. */
enum agent_http_parse agent_http_parse(struct span bytes, struct span *ret_path);

#endif
