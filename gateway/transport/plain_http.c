/* One request a connection that has a stream: what stands behind it is never read as anything. */
#include "gateway/transport/plain_http.h"

#include "gateway/transport/admission.h"

bool plain_http_is_event(enum lws_callback_reasons reason) {
    return reason == LWS_CALLBACK_HTTP || reason == LWS_CALLBACK_HTTP_BODY ||
           reason == LWS_CALLBACK_HTTP_BODY_COMPLETION || reason == LWS_CALLBACK_HTTP_WRITEABLE ||
           reason == LWS_CALLBACK_CLOSED_HTTP;
}

static int on_request(struct websocket_service *service, struct lws *wsi, const char *path, http_stream_t **stream_p) {
    if (stream_p != NULL && *stream_p != NULL) {
        return -1;
    }
    if (stream_p == NULL || !http_streams_has_path(service->streams, path)) {
        return service->on_http(service->http_context, wsi, path);
    }
    bool is_emulation = strcmp(path, service->config->emulation_path) == 0; /* of a session that is there already */
    int refused = is_emulation ? admission_judge_source(service, wsi) : admission_judge_stream(service, wsi);
    return refused != 0 ? refused : http_streams_on_request(service->streams, wsi, path, stream_p);
}

int plain_http_on_event(struct websocket_service *service, struct lws *wsi, enum lws_callback_reasons reason, void *in,
                        size_t size, http_stream_t **stream_p) {
    if (reason == LWS_CALLBACK_HTTP) {
        return on_request(service, wsi, in, stream_p);
    }
    if (stream_p == NULL || *stream_p == NULL) {
        return 0;
    }
    if (reason == LWS_CALLBACK_HTTP_BODY) {
        return http_stream_on_body(*stream_p, span_of(in, size));
    }
    if (reason == LWS_CALLBACK_HTTP_BODY_COMPLETION) {
        return http_stream_on_body_end(*stream_p);
    }
    if (reason == LWS_CALLBACK_HTTP_WRITEABLE) {
        http_stream_on_writable(*stream_p);
    } else if (reason == LWS_CALLBACK_CLOSED_HTTP) {
        http_stream_on_closed(stream_p);
    }
    return 0;
}
