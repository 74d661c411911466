/* Calls by hand from the internal listener (base/admin_operations.h), answered as the HTTP API answers them: the same
 * checks, errors and answers, with the rights of nobody's key, because internal.operations said what may be called.
 * Thread: the worker's that has it. */
#ifndef CALLBOARD_GATEWAY_HTTP_API_BY_HAND_H
#define CALLBOARD_GATEWAY_HTTP_API_BY_HAND_H

#include "base/http_call.h"
#include "gateway/http_api/http_api_call.h"

typedef struct http_api_by_hand http_api_by_hand_t;

/* `service` is copied, but for its metrics, which are made here of `metrics`. */
http_api_by_hand_t *http_api_by_hand_new(const struct http_api_service *service, metrics_t *metrics);
/* Calls that are open are answered with 503. Nulls, accepts NULL. */
void http_api_by_hand_destroy(http_api_by_hand_t **self_p);
/* After a reload; NULL is accepted. */
void http_api_by_hand_configure(http_api_by_hand_t *self, const struct gateway_config *config,
                                const namespace_set_t *namespaces);
/* Takes the call and answers it. */
void http_api_by_hand_take(http_api_by_hand_t *self, struct http_call *call);

#endif
