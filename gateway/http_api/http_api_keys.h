/* Who may use the HTTP API for what: the keys with their scopes and rates. A key is looked for by its SHA-256, compared
 * in constant time with every hash there is. Thread: the worker's that serves the API. */
#ifndef CALLBOARD_GATEWAY_HTTP_API_KEYS_H
#define CALLBOARD_GATEWAY_HTTP_API_KEYS_H

#include "base/bytes.h"
#include "base/config_reader.h"

typedef struct http_api_keys http_api_keys_t;
typedef struct http_api_key http_api_key_t;

enum { HTTP_API_KEY_TEXT_MIN = 32, HTTP_API_KEY_TEXT_MAX = 256 };

/* Copies what it needs of `list` (of struct http_api_key_options). */
http_api_keys_t *http_api_keys_new(const struct config_section_list *list);
/* Nulls, accepts NULL. What is held of it stays: a request under way ends by the rights that it began with. */
void http_api_keys_destroy(http_api_keys_t **self_p);

/* NULL: nobody's. Release it. */
http_api_key_t *http_api_keys_find(http_api_keys_t *self, struct span presented);
/* For calls that were judged elsewhere: every method and channel, no rate. Release it. */
http_api_key_t *http_api_key_of_everything(void);
void http_api_key_release(http_api_key_t **self_p); /* nulls, accepts NULL */
bool http_api_key_allows_method(const http_api_key_t *self, const char *method);
bool http_api_key_allows_channel(const http_api_key_t *self, struct span channel);
/* Every channel there is. */
bool http_api_key_allows_all_channels(const http_api_key_t *self);
/* Counts n requests; false: over the key's rate, nothing was counted. More than the whole burst never fits. */
bool http_api_key_take(http_api_key_t *self, uint32_t n, uint64_t now_us);
const char *http_api_key_name(const http_api_key_t *self);

#endif
