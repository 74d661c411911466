/* A key of the HTTP API as the settings have it: http_api.keys is a list of these. At rest there is only the SHA-256 of
 * a key, so who reads the file cannot use it. Thread: any (immutable after reading). */
#ifndef CALLBOARD_GATEWAY_HTTP_API_KEY_OPTIONS_H
#define CALLBOARD_GATEWAY_HTTP_API_KEY_OPTIONS_H

#include "base/config_reader.h"

#include <stdint.h>

enum { HTTP_API_HASHES_MAX = 2 /* the key in use and the next one, while keys are exchanged */ };

struct http_api_key_options {
    char *name;
    struct config_text_list hashes;   /* each 64 hexadecimal digits */
    struct config_text_list methods;  /* "*" or names */
    struct config_text_list channels; /* "*" or patterns like news:* */
    int64_t rate;                     /* requests a second, 0: no bound */
};

extern const struct config_table http_api_key_options_table;

/* Reports names that stand twice. */
void http_api_keys_verify(const struct config_section_list *list, const char *prefix, config_errors_t *errors);
/* Is this a method of the HTTP API? */
bool http_api_is_method(const char *name);

#endif
