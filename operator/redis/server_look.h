/* Asks one server for the facts of server_health.h, over a connection that it keeps. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_SERVER_LOOK_H
#define CALLBOARD_OPERATOR_SERVER_LOOK_H

#include "operator/redis/redis_dialer.h"
#include "operator/redis/server_health.h"

typedef struct server_look server_look_t;

/* pod: its name and port (for TLS); address: where it is reached. Borrowed, as the dialer. */
server_look_t *server_look_new(redis_dialer_t *dialer, const struct redis_options *options, const struct redis_pod *pod,
                               const char *address, uint64_t expected_nodes);
void server_look_destroy(server_look_t **self_p); /* accepts NULL */

/* ret_trouble: why it was not asked or did not answer. */
struct server_facts server_look(server_look_t *self, char ret_trouble[RESP_ERROR_MAX]);

#endif
