/* See http_api_key_options.h. Failure modes: all are errors of the settings, told with the way to mend them. */
#include "gateway/http_api/http_api_key_options.h"

#include "base/config_reader.h"

#include <string.h>

#define FIELD(name) .offset = offsetof(struct http_api_key_options, name), .flags = CONFIG_RELOADABLE

static const struct config_key keys[] = {
    {.path = "name",
     .type = CONFIG_TEXT,
     FIELD(name),
     .minimum = 1,
     .maximum = 64,
     .help = "Whose key it is: for you and for the log. No two are alike."},
    {.path = "hashes",
     .type = CONFIG_TEXT_LIST,
     FIELD(hashes),
     .minimum = 64,
     .maximum = 64,
     .help = "SHA-256 of the key, as callboardctl keygen --api prints it. Two while keys are exchanged: add the next "
             "one's, reload, let the callers change, take the old one's out."},
    {.path = "methods",
     .type = CONFIG_TEXT_LIST,
     FIELD(methods),
     .minimum = 1,
     .maximum = 32,
     .help = "What it may be used for: publish, history …, or \"*\". Others are answered with error 103."},
    {.path = "channels",
     .type = CONFIG_TEXT_LIST,
     FIELD(channels),
     .minimum = 1,
     .maximum = 255,
     .help =
         "Which channels: names or patterns where * stands for anything, like news:*, or \"*\". Others are answered "
         "with error 103."},
    {.path = "rate",
     .type = CONFIG_INT,
     FIELD(rate),
     .default_text = "0",
     .minimum = 0,
     .maximum = 10000000,
     .help = "Requests a second, twice as many in a burst; every channel of a broadcast and every command of a batch "
             "is one. More are answered with error 111. 0: no bound."},
};

static const char *const methods[] = {
    "publish",  "broadcast", "subscribe",      "unsubscribe",  "disconnect",
    "refresh",  "presence",  "presence_stats", "history",      "history_remove",
    "channels", "info",      "batch",          "revoke_token", "invalidate_user_tokens"};

bool http_api_is_method(const char *name) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(name, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_hash(const char *text) {
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static void verify_hashes(const struct http_api_key_options *self, const char *prefix, config_errors_t *errors) {
    if (self->hashes.n == 0 || self->hashes.n > HTTP_API_HASHES_MAX) {
        config_error(errors, prefix, "hashes", "must be one or two; make a key with: callboardctl keygen --api");
    }
    for (size_t i = 0; i < self->hashes.n; i++) {
        if (!is_hash(self->hashes.texts[i])) {
            config_error(errors, prefix, "hashes",
                         "are the SHA-256 of keys: 64 hexadecimal digits in small letters, never the key itself; make "
                         "them with: callboardctl keygen --api");
        }
    }
}

static void verify(const void *target, const char *prefix, config_errors_t *errors) {
    const struct http_api_key_options *self = target;
    if (self->name[0] == '\0') {
        config_error(errors, prefix, "name", "is needed: the log names the key by it");
    }
    verify_hashes(self, prefix, errors);
    if (self->methods.n == 0) {
        config_error(errors, prefix, "methods", "is needed: the methods that the key is for, or \"*\"");
    }
    for (size_t i = 0; i < self->methods.n; i++) {
        const char *method = self->methods.texts[i];
        if (strcmp(method, "*") != 0 && !http_api_is_method(method)) {
            config_error(errors, prefix, "methods", "knows no \"%s\"; docs/http-api.md lists the methods", method);
        }
    }
    if (self->channels.n == 0) {
        config_error(errors, prefix, "channels", "is needed: the channels that the key is for, or \"*\"");
    }
}

const struct config_table http_api_key_options_table = {
    .title = "Key of the HTTP API",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .struct_size = sizeof(struct http_api_key_options),
    .verify = verify,
};

void http_api_keys_verify(const struct config_section_list *list, const char *prefix, config_errors_t *errors) {
    const struct http_api_key_options *items = list->items;
    for (size_t i = 0; i < list->n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(items[i].name, items[j].name) == 0) {
                config_error(errors, prefix, "http_api.keys", "has two keys named \"%s\"; give each a name of its own",
                             items[i].name);
            }
        }
    }
}
