/* In order of what it costs to find out, and so that who is refused for what he is learns that before what we are short
 * of: path 404, a query of the raw endpoint 400, Origin 403, what a trusted proxy says of him 400 or 429, drain, limit,
 * memory or rate 503, with a Retry-After of a few seconds by chance. */
#include "gateway/transport/admission.h"

#include "base/clock.h"
#include "base/http_service.h"
#include "base/lws_guard.h"
#include "base/random.h"
#include "gateway/transport/http_request.h"

#include <stdio.h>

enum { PATH_MAX_BYTES = 1024, FORWARDED_MAX_BYTES = 1024, RETRY_AFTER_MAX_S = 5 };
enum { US_PER_SECOND = 1000000, BURST_SECONDS = 2 };

static int refuse(struct websocket_service *service, struct lws *wsi, unsigned status, enum websocket_metric row) {
    char answer[160];
    char retry[32] = "";
    if (status == 503 || status == 429) { /* not all at once again */
        snprintf(retry, sizeof retry, "Retry-After: %u\r\n", 1 + random_below(RETRY_AFTER_MAX_S));
    }
    int size = snprintf(answer, sizeof(answer), "HTTP/1.1 %u %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n",
                        status, http_status_text(status), retry);
    metric_count(service->metrics, row);
    lws_write(wsi, (unsigned char *) answer, (size_t) size, LWS_WRITE_HTTP_HEADERS);
    return -1;
}

/* 404 or 400, with its metric; 0: ours. */
static unsigned judge_path(struct websocket_service *service, struct lws *wsi, enum websocket_metric *ret_row) {
    char path[PATH_MAX_BYTES];
    *ret_row = WEBSOCKET_METRIC_REFUSED_PATH;
    if (!lws_guard_copy_single_header(wsi, WSI_TOKEN_GET_URI, path, sizeof(path))) {
        return 404;
    }
    if (strcmp(path, service->config->websocket_path) == 0) {
        return 0;
    }
    if (!service->raw_endpoint || !raw_path_is(span_of_text(path))) {
        return 404;
    }
    *ret_row = WEBSOCKET_METRIC_REFUSED_QUERY;
    return websocket_note_raw(service, wsi, span_of_text(path)) ? 0 : 400;
}

/* Of all workers together: one number, moved on by whoever lets somebody in. */
static bool take_handshake(struct websocket_service *service) {
    uint64_t per_second = (uint64_t) service->config->handshakes_per_second;
    if (per_second == 0) {
        return true;
    }
    atomic_uint_fast64_t *full_at_us = &service->totals->handshakes_full_at_us;
    uint64_t now_us = clock_monotonic_us();
    uint64_t before = atomic_load_explicit(full_at_us, memory_order_relaxed);
    uint64_t after;
    do {
        after = (before > now_us ? before : now_us) + US_PER_SECOND / per_second;
        if (after > now_us + (uint64_t) BURST_SECONDS * US_PER_SECOND) {
            return false;
        }
    } while (
        !atomic_compare_exchange_weak_explicit(full_at_us, &before, after, memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* --- whom a trusted proxy speaks for --- */

static bool read_peer(struct lws *wsi, struct ip_address *ret_peer) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    return getpeername(lws_get_socket_fd(wsi), (struct sockaddr *) &peer, &size) == 0 &&
           ip_address_of_socket(&peer, ret_peer);
}

static bool read_forwarded(const struct websocket_service *service, struct lws *wsi, struct ip_address *ret_source) {
    char header[FORWARDED_MAX_BYTES];
    struct ip_address peer;
    int length = lws_hdr_total_length(wsi, WSI_TOKEN_X_FORWARDED_FOR);
    if (length > 0 && lws_hdr_copy(wsi, header, sizeof header, WSI_TOKEN_X_FORWARDED_FOR) < 0) {
        return false; /* does not fit */
    }
    return read_peer(wsi, &peer) &&
           forwarded_for_source(&service->proxies, &peer, length > 0 ? span_of_text(header) : SPAN_EMPTY, ret_source);
}

/* 0: it may go on. */
static int take_forwarded(struct websocket_service *service, struct lws *wsi) {
    const struct source_bounds bounds = {(uint32_t) service->config->handshakes_per_source,
                                         (uint32_t) service->config->connections_per_source};
    struct ip_address from;
    struct source *source;
    if (!read_forwarded(service, wsi, &from)) {
        return refuse(service, wsi, 400, WEBSOCKET_METRIC_REFUSED_FORWARDED);
    }
    switch (source_limits_take(service->sources, &from, &bounds, clock_monotonic_us(), &source)) {
    case SOURCE_ADMITTED:
        lws_set_opaque_user_data(wsi, source);
        break;
    case SOURCE_TOO_FAST:
        return refuse(service, wsi, 429, WEBSOCKET_METRIC_REFUSED_SOURCE);
    case SOURCE_TOO_MANY:
        return refuse(service, wsi, 429, WEBSOCKET_METRIC_REFUSED_SOURCE_CONNECTIONS);
    }
    return 0;
}

int admission_judge_source(struct websocket_service *service, struct lws *wsi) {
    return lws_get_opaque_user_data(wsi) == NULL ? take_forwarded(service, wsi) : 0;
}

/* 0: there is room for one more session. */
static int judge_room(struct websocket_service *service, struct lws *wsi) {
    if (atomic_load_explicit(&service->totals->memory_level, memory_order_relaxed) >= MEMORY_REFUSES_NEWCOMERS) {
        return refuse(service, wsi, 503, WEBSOCKET_METRIC_REFUSED_MEMORY);
    }
    return take_handshake(service) ? 0 : refuse(service, wsi, 503, WEBSOCKET_METRIC_REFUSED_RATE);
}

int admission_judge_stream(struct websocket_service *service, struct lws *wsi) {
    bool is_preflight = lws_hdr_total_length(wsi, WSI_TOKEN_OPTIONS_URI) > 0;
    int refused = is_preflight ? 0 : judge_room(service, wsi);
    return refused != 0 ? refused : admission_judge_source(service, wsi);
}

int admission_judge(struct websocket_service *service, struct lws *wsi) {
    enum websocket_metric row;
    unsigned status = judge_path(service, wsi, &row);
    if (status != 0) {
        return refuse(service, wsi, status, row);
    }
    if (!http_request_origin_is_allowed(wsi, service->config)) {
        return refuse(service, wsi, 403, WEBSOCKET_METRIC_REFUSED_ORIGIN);
    }
    if (service->is_draining) {
        return refuse(service, wsi, 503, WEBSOCKET_METRIC_REFUSED_DRAINING);
    }
    if (atomic_load_explicit(&service->totals->connections, memory_order_relaxed) >= service->connections_max) {
        return refuse(service, wsi, 503, WEBSOCKET_METRIC_REFUSED_LIMIT);
    }
    int refused = judge_room(service, wsi);
    return refused != 0 ? refused : admission_judge_source(service, wsi);
}
