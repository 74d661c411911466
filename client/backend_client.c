/* See backend_client.h. The protocol is the library's: client. */
#include "client/backend_client.h"

#include "base/curve_keys.h"
#include "base/memory.h"
#include "client/callboard_client.h"

#include <stdio.h>

struct backend_client {
    callboard_client_t *client;
    struct buffer params; /* with a final 0 */
};

static bool read_keys(const struct backend_client_options *options, struct curve_keys *ret_own,
                      struct curve_keys *ret_broker, char *ret_error, size_t error_size) {
    const char *broker = options->curve_broker_key == NULL ? "" : options->curve_broker_key;
    if (options->curve_key_file == NULL || options->curve_key_file[0] == '\0') {
        return true;
    }
    if (!curve_keys_read(options->curve_key_file, true, ret_own, ret_error, error_size)) {
        return false;
    }
    if (strlen(broker) == CURVE_KEY_TEXT_LENGTH) {
        memcpy(ret_broker->public_text, broker, sizeof ret_broker->public_text);
        return true;
    }
    return curve_keys_read(broker, false, ret_broker, ret_error, error_size);
}

backend_client_t *backend_client_new(const struct backend_client_options *options, char *ret_error, size_t error_size) {
    struct curve_keys own = {.public_text = ""};
    struct curve_keys broker = {.public_text = ""};
    callboard_client_t *client = NULL;
    backend_client_t *self = NULL;
    if (read_keys(options, &own, &broker, ret_error, error_size)) {
        struct callboard_client_options of_client = {
            .endpoint = options->endpoint, .curve_secret_key = own.secret_text, .curve_broker_key = broker.public_text};
        client = callboard_client_new(&of_client, ret_error, error_size);
    }
    curve_keys_wipe(&own);
    if (client != NULL) {
        self = memory_alloc_zero(sizeof *self);
        self->client = client;
        self->params = BUFFER_EMPTY;
    }
    return self;
}

void backend_client_destroy(backend_client_t **self_p) {
    backend_client_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    callboard_client_destroy(&self->client);
    buffer_finish(&self->params);
    memory_free(self);
    *self_p = NULL;
}

static struct span span_of_bytes(struct callboard_bytes bytes) {
    return bytes.size == 0 ? SPAN_EMPTY : span_of(bytes.data, bytes.size);
}

static enum backend_outcome take(enum callboard_outcome outcome, const struct callboard_message *message,
                                 struct backend_reply *ret_reply) {
    ret_reply->body = span_of_bytes(message->body);
    ret_reply->payload = span_of_bytes(message->payload);
    switch (outcome) {
    case CALLBOARD_OK:
        return BACKEND_OK;
    case CALLBOARD_ERROR:
        return BACKEND_ERROR;
    case CALLBOARD_EVENT:
        return BACKEND_EVENT;
    case CALLBOARD_TIMEOUT:
        return BACKEND_TIMEOUT;
    case CALLBOARD_REQUEST:
    case CALLBOARD_PROTOCOL:
        break;
    }
    return BACKEND_PROTOCOL; /* nobody registered as a worker here */
}

enum backend_outcome backend_client_request(backend_client_t *self, const char *method, struct span params,
                                            const struct span *payload, int timeout_ms,
                                            struct backend_reply *ret_reply) {
    struct callboard_message reply;
    struct callboard_bytes bytes = {NULL, 0};
    if (payload != NULL) {
        bytes = (struct callboard_bytes){payload->data, payload->size};
    }
    buffer_clear(&self->params);
    buffer_append_span(&self->params, params);
    buffer_append_char(&self->params, '\0');
    return take(callboard_request(self->client, method, (const char *) self->params.data,
                                  payload == NULL ? NULL : &bytes, timeout_ms, &reply),
                &reply, ret_reply);
}

enum backend_outcome backend_client_next_event(backend_client_t *self, int timeout_ms,
                                               struct backend_reply *ret_event) {
    struct callboard_message message;
    return take(callboard_receive(self->client, timeout_ms, &message), &message, ret_event);
}
