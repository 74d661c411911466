/* See rehearse_backend.h. A client is made anew for each address that is tried: one that waits for a broker which is
 * gone would send it what is old when it comes back.
 *
 * Failure modes: silence ends with the time of the call, and the next call goes to the next address. */
#include "operator/rehearse/rehearse_backend.h"

#include "base/memory.h"
#include "base/position.h"
#include "client/backend_client.h"

#include <stdio.h>

enum { PAGE = 500, PAGES_MAX = 1000, ADDRESS_SIZE = 512 };

struct rehearse_backend {
    struct rehearse_backend_options options;
    backend_client_t *client; /* NULL: the address is to be tried anew */
    size_t at;
    char address[ADDRESS_SIZE];
    struct buffer params;
    char error[REHEARSE_ERROR_SIZE];
};

bool rehearse_pick_address(const char *list, size_t n, char *ret_address, size_t size) {
    struct span parts[REHEARSE_ADDRESSES_MAX];
    size_t n_parts = 0;
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= size || n_parts == REHEARSE_ADDRESSES_MAX) {
            return false;
        }
        parts[n_parts++] = span_of(at, length);
        at += length + (at[length] == ',' ? 1 : 0);
    }
    if (n_parts == 0) {
        return false;
    }
    struct span part = parts[n % n_parts];
    snprintf(ret_address, size, "%.*s", (int) part.size, (const char *) part.data);
    return true;
}

static bool open_client(rehearse_backend_t *self) {
    struct backend_client_options options = {
        .endpoint = self->address,
        .curve_key_file = self->options.curve_key_file,
        .curve_broker_key = self->options.curve_broker_key,
    };
    rehearse_pick_address(self->options.addresses, self->at, self->address, sizeof self->address);
    self->client = backend_client_new(&options, self->error, sizeof self->error);
    return self->client != NULL;
}

rehearse_backend_t *rehearse_backend_new(const struct rehearse_backend_options *options, size_t first, char *ret_error,
                                         size_t error_size) {
    rehearse_backend_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->at = first;
    self->params = BUFFER_EMPTY;
    if (!rehearse_pick_address(options->addresses, 0, self->address, sizeof self->address)) {
        snprintf(ret_error, error_size, "--backend: %s is no list of up to %d addresses, tcp://HOST:PORT,…",
                 options->addresses == NULL ? "nothing" : options->addresses, REHEARSE_ADDRESSES_MAX);
        rehearse_backend_destroy(&self);
        return NULL;
    }
    if (!open_client(self)) {
        snprintf(ret_error, error_size, "%s", self->error);
        rehearse_backend_destroy(&self);
    }
    return self;
}

void rehearse_backend_destroy(rehearse_backend_t **self_p) {
    rehearse_backend_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    backend_client_destroy(&self->client);
    buffer_finish(&self->params);
    memory_free(self);
    *self_p = NULL;
}

const char *rehearse_backend_error(const rehearse_backend_t *self) {
    return self->error;
}

static enum rehearse_answer judge_error(rehearse_backend_t *self, struct span body) {
    const struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json_value error;
    struct buffer message = BUFFER_EMPTY;
    bool is_temporary = false;
    bool is_definite = false;
    if (json_scan(body, &limits, &error, NULL) == JSON_OK) {
        json_to_bool(json_member(error, "temporary"), &is_temporary);
        json_to_bool(json_member(error, "definite"), &is_definite);
        json_decode_string(json_member(error, "message"), &message);
    }
    snprintf(self->error, sizeof self->error, "%.200s: %.*s", self->address, (int) message.size,
             message.size == 0 ? "" : (const char *) message.data);
    buffer_finish(&message);
    return is_definite && !is_temporary ? REHEARSE_ANSWER_NEVER
           : is_definite                ? REHEARSE_ANSWER_REFUSED
                                        : REHEARSE_ANSWER_UNKNOWN;
}

/* The params are filled. */
static enum rehearse_answer ask(rehearse_backend_t *self, const char *method, const struct span *payload,
                                int timeout_ms, struct backend_reply *ret_reply) {
    if (self->client == NULL && !open_client(self)) {
        return REHEARSE_ANSWER_UNKNOWN;
    }
    switch (backend_client_request(self->client, method, buffer_span(&self->params), payload, timeout_ms, ret_reply)) {
    case BACKEND_OK:
        return REHEARSE_ANSWER_DONE;
    case BACKEND_ERROR:
        return judge_error(self, ret_reply->body);
    case BACKEND_TIMEOUT:
    case BACKEND_EVENT:
    case BACKEND_PROTOCOL:
        break;
    }
    snprintf(self->error, sizeof self->error,
             "%.200s: no answer in %d ms; is a broker there, and does it ask for CURVE keys (--curve-key, "
             "--curve-broker-key)?",
             self->address, timeout_ms);
    backend_client_destroy(&self->client);
    self->at++;
    return REHEARSE_ANSWER_UNKNOWN;
}

static void begin_params(rehearse_backend_t *self, const char *channel) {
    buffer_clear(&self->params);
    buffer_append_text(&self->params, "{\"channel\":");
    buffer_append_json_string(&self->params, span_of_text(channel));
}

enum rehearse_answer rehearse_backend_publish(rehearse_backend_t *self, const char *channel, struct span data,
                                              const char *key, int timeout_ms) {
    struct backend_reply reply;
    begin_params(self, channel);
    buffer_append_text(&self->params, ",\"idempotency_key\":");
    buffer_append_json_string(&self->params, span_of_text(key));
    buffer_append_char(&self->params, '}');
    return ask(self, "publish", &data, timeout_ms, &reply);
}

/* The number of publications; *since becomes the last one's position. */
static size_t take_page(struct json_value page, struct position *since,
                        void (*on_data)(void *context, struct json_value data), void *context) {
    struct json_iterator each = json_iterate(json_member(page, "publications"));
    struct json_value name;
    struct json_value publication;
    struct span epoch = SPAN_EMPTY;
    size_t n = 0;
    for (; json_next(&each, &name, &publication); n++) {
        json_to_u64(json_member(publication, "offset"), &since->offset);
        on_data(context, json_member(publication, "data"));
    }
    json_plain_string(json_member(page, "epoch"), &epoch);
    since->epoch = epoch_from(epoch);
    return n;
}

enum rehearse_answer rehearse_backend_history(rehearse_backend_t *self, const char *channel, int timeout_ms,
                                              void (*on_data)(void *context, struct json_value data), void *context) {
    const struct json_limits limits = {.depth = 96, .tokens = UINT32_MAX, .names = UINT32_MAX};
    struct position since = {.offset = 0};
    for (unsigned i = 0; i < PAGES_MAX; i++) {
        struct backend_reply reply;
        struct json_value page;
        begin_params(self, channel);
        if (i > 0) {
            buffer_append_format(&self->params, ",\"since\":{\"offset\":%llu,\"epoch\":\"%s\"}",
                                 (unsigned long long) since.offset, since.epoch.text);
        }
        buffer_append_format(&self->params, ",\"limit\":%d}", PAGE);
        enum rehearse_answer answer = ask(self, "history", NULL, timeout_ms, &reply);
        if (answer != REHEARSE_ANSWER_DONE) {
            return answer;
        }
        if (json_scan(reply.body, &limits, &page, NULL) != JSON_OK ||
            take_page(page, &since, on_data, context) < PAGE) {
            break;
        }
    }
    return REHEARSE_ANSWER_DONE;
}
