/* lws asks about the offers of a handshake one after another, by their name alone. We read the whole list when it asks
 * first, and agree at the last of them: another one behind an agreed one makes lws drop the connection. It then writes
 * the name, we put the parameters behind it in ADD_HEADERS, and lws lets RSV1 through.
 *
 * Failure modes: a list that does not fit or is none: no agreement, the connection goes without. lws writes the answer
 * otherwise than 4.1.6 does: the upgrade is refused, for the client would be told other terms than ours. */
#include "gateway/transport/websocket_compression.h"

#include "gateway/protocol/client_protocol_raw.h"
#include "gateway/transport/websocket_frame.h"

enum { LIST_MAX_BYTES = 256 /* lws drops connections with a longer one */, KEPT_BYTES = 256 * 1024 };

/* ---- agreeing ---- */

/* Passes everything on as it is. */
static int on_extension_event(struct lws_context *context, const struct lws_extension *extension, struct lws *wsi,
                              enum lws_extension_callback_reasons reason, void *user, void *in, size_t size) {
    static const struct lws_ext_options none[] = {{.name = NULL}};
    (void) context;
    (void) extension;
    (void) wsi;
    (void) user;
    (void) size;
    if (reason == LWS_EXT_CB_CONSTRUCT) {
        *(const struct lws_ext_options **) in = none; /* which parameters lws may echo by itself */
    }
    return 0;
}

static const char name[] = "permessage-deflate";
const struct lws_extension websocket_extensions[] = {
    {.name = name, .callback = on_extension_event, .client_offer = NULL},
    {.name = NULL},
};

static void judge(struct websocket_handshake *self, struct lws *wsi) {
    char list[LIST_MAX_BYTES];
    struct websocket_agreement agreement;
    self->is_judged = true;
    if (lws_hdr_copy(wsi, list, sizeof list, WSI_TOKEN_EXTENSIONS) > 0 &&
        websocket_offers_choose(span_of_text(list), &agreement)) {
        self->agreed = true;
        self->tells_window = agreement.tells_window;
        self->n_offers_left = (uint8_t) agreement.n_offers; /* the list is too short for more */
    }
}

int websocket_handshake_confirm(struct websocket_handshake *self, struct lws *wsi, bool is_allowed) {
    if (!is_allowed) {
        return -1;
    }
    if (!self->is_judged) {
        judge(self, wsi);
    }
    if (!self->agreed || self->n_offers_left == 0) {
        return -1;
    }
    return --self->n_offers_left == 0 ? 0 : -1;
}

int websocket_handshake_answer(const struct websocket_handshake *self, struct lws_process_html_args *headers) {
    const struct websocket_agreement agreement = {.tells_window = self->tells_window};
    const char *parameters = websocket_agreement_parameters(&agreement);
    static const char written[] = "permessage-deflate\r\n";
    size_t size = strlen(parameters);
    if (!self->agreed) {
        return 0;
    }
    if (memcmp(headers->p - (sizeof written - 1), written, sizeof written - 1) != 0 ||
        headers->max_len < (int) size + (int) sizeof written) {
        return -1;
    }
    headers->p -= 2;
    memcpy(headers->p, parameters, size);
    memcpy(headers->p + size, "\r\n", 2);
    headers->p += size + 2;
    return 0;
}

/* ---- messages ---- */

void websocket_compression_init(struct websocket_compression *self) {
    *self = (struct websocket_compression){0};
    buffer_init(&self->compressed, 0);
}

void websocket_compression_finish(struct websocket_compression *self) {
    websocket_deflate_destroy(&self->deflate);
    buffer_finish(&self->compressed);
    buffer_finish(&self->message);
}

static websocket_deflate_t *deflate_of(struct websocket_compression *self) {
    if (self->deflate == NULL) {
        self->deflate = websocket_deflate_new();
    }
    return self->deflate;
}

static void reuse(struct buffer *buffer) {
    buffer_clear(buffer);
    if (buffer->capacity > KEPT_BYTES) {
        buffer_finish(buffer);
    }
}

payload_t *websocket_compression_frame(struct websocket_compression *self, enum client_encoding encoding,
                                       struct span message, size_t min_size, bool *ret_compressed) {
    reuse(&self->compressed);
    *ret_compressed = message.size >= min_size && !client_encoding_is_raw(encoding) &&
                      websocket_deflate_message(deflate_of(self), message, &self->compressed);
    return *ret_compressed ? websocket_frame_compressed(encoding, buffer_span(&self->compressed))
                           : websocket_frame_message(encoding, message);
}

enum websocket_inflated websocket_compression_inflate(struct websocket_compression *self, struct span compressed,
                                                      size_t limit, struct span *ret_message) {
    reuse(&self->message);
    self->message.limit = limit;
    enum websocket_inflated outcome = websocket_inflate_message(deflate_of(self), compressed, &self->message);
    *ret_message = buffer_span(&self->message);
    return outcome;
}
