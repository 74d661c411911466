/* accepted ─▶ as many sockets as there may be? ─▶ whom it is for ─▶ his bounds ─▶ adopted by the WebSocket service
 *
 * Whom a connection is for: its peer; with http.proxy_protocol whom the header says that has to come first, from a
 * trusted proxy. Of a trusted proxy without such a header it is not known yet: the request's X-Forwarded-For says it,
 * and admission.c asks for the bounds then.
 *
 * Failure modes: a source over its bounds → closed, counted. No header, another one, or from somebody who is no
 * trusted proxy → closed, counted. The process has as many sockets as its descriptors allow less a reserve → a short
 * 503, counted. Descriptors are out all the same → accepting pauses (tcp_listener). */
#include "gateway/transport/listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/tcp_listener.h"
#include "gateway/transport/proxy_accept.h"

#include <string.h>
#include <unistd.h>

enum { PROXY_HEADER_TIMEOUT_MS = 5000 }; /* as long as the headers of a request may take */

enum listener_metric {
    METRIC_ACCEPTED,
    METRIC_REFUSED_SOURCE,
    METRIC_REFUSED_SOURCE_CONNECTIONS,
    METRIC_REFUSED_PROXY_UNTRUSTED,
    METRIC_REFUSED_PROXY_HEADER,
    METRIC_REFUSED_PROXY_TIMEOUT,
    METRIC_REFUSED_SOCKETS,
    METRIC_PAUSES,
    METRICS
};

#define REFUSED "callboard_gateway_accept_refused_total", "Connections closed when they came.", METRIC_COUNTER

static const struct metric_description metric_table[METRICS] = {
    [METRIC_ACCEPTED] = {"callboard_gateway_accepted_total", "Connections accepted on the public port.", METRIC_COUNTER,
                         NULL},
    [METRIC_REFUSED_SOURCE] = {REFUSED, "reason=\"source\""},
    [METRIC_REFUSED_SOURCE_CONNECTIONS] = {REFUSED, "reason=\"source_connections\""},
    [METRIC_REFUSED_PROXY_UNTRUSTED] = {REFUSED, "reason=\"proxy_untrusted\""},
    [METRIC_REFUSED_PROXY_HEADER] = {REFUSED, "reason=\"proxy_header\""},
    [METRIC_REFUSED_PROXY_TIMEOUT] = {REFUSED, "reason=\"proxy_timeout\""},
    [METRIC_REFUSED_SOCKETS] = {REFUSED, "reason=\"sockets\""},
    [METRIC_PAUSES] = {"callboard_gateway_accept_pauses_total",
                       "Times that accepting paused because descriptors or memory were out.", METRIC_COUNTER, NULL},
};

struct listener {
    struct listener_options options;
    tcp_listener_t *tcp;
    proxy_accept_t *proxy_accept; /* NULL: no http.proxy_protocol */
    metric_values_t *metrics;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* Under TLS there is no answer before the handshake: then the close has to do. */
static void refuse_busy(int descriptor, bool speaks_tls) {
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                                 "Connection: close\r\n\r\n";
    /* A new socket takes so little at once; if not, the close says enough. */
    if (!speaks_tls) {
        ssize_t ignored = send(descriptor, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void) ignored;
    }
    close(descriptor);
}

static void refuse(listener_t *self, int descriptor, enum listener_metric row, const struct ip_address *source,
                   const char *reason) {
    char text[IP_ADDRESS_TEXT];
    ip_address_print(source, text);
    log_warning("connection_refused", log_text("source", text), log_text("reason", reason));
    metric_count(self->metrics, row);
    if (descriptor >= 0) {
        close(descriptor);
    }
}

static void admit(listener_t *self, int descriptor, const struct ip_address *from) {
    struct websocket_service *websockets = self->options.websockets;
    const struct gateway_config *config = websockets->config;
    const struct source_bounds bounds = {(uint32_t) config->handshakes_per_source,
                                         (uint32_t) config->connections_per_source};
    struct source *source;
    switch (source_limits_take(websockets->sources, from, &bounds, clock_monotonic_us(), &source)) {
    case SOURCE_ADMITTED:
        metric_count(self->metrics, METRIC_ACCEPTED);
        websocket_service_adopt(websockets, descriptor, source);
        break;
    case SOURCE_TOO_FAST:
        refuse(self, descriptor, METRIC_REFUSED_SOURCE, from, "client.handshakes_per_source");
        break;
    case SOURCE_TOO_MANY:
        refuse(self, descriptor, METRIC_REFUSED_SOURCE_CONNECTIONS, from, "client.connections_per_source");
        break;
    }
}

static void count_socket(listener_t *self, int32_t change) {
    atomic_fetch_add_explicit(&self->options.websockets->totals->sockets, (uint32_t) change, memory_order_relaxed);
}

static void on_proxy_outcome(void *context, enum proxy_accept_outcome outcome, int descriptor,
                             const struct ip_address *source) {
    listener_t *self = context;
    count_socket(self, -1);
    switch (outcome) {
    case PROXY_ACCEPT_DONE:
        admit(self, descriptor, source);
        break;
    case PROXY_ACCEPT_MALFORMED:
        refuse(self, -1, METRIC_REFUSED_PROXY_HEADER, source, "no PROXY header, see http.proxy_protocol");
        break;
    case PROXY_ACCEPT_LATE:
        refuse(self, -1, METRIC_REFUSED_PROXY_TIMEOUT, source, "the PROXY header was not whole in time");
        break;
    }
}

static void receive(listener_t *self, int descriptor, const struct ip_address *peer) {
    struct websocket_service *websockets = self->options.websockets;
    bool is_trusted = trusted_proxies_contain(&websockets->proxies, peer);
    if (self->proxy_accept != NULL && is_trusted) {
        count_socket(self, 1);
        proxy_accept_begin(self->proxy_accept, descriptor, peer);
    } else if (self->proxy_accept != NULL) {
        refuse(self, descriptor, METRIC_REFUSED_PROXY_UNTRUSTED, peer, "no proxy of client.trusted_proxies");
    } else if (is_trusted) {
        metric_count(self->metrics, METRIC_ACCEPTED);
        websocket_service_adopt(websockets, descriptor, NULL);
    } else {
        admit(self, descriptor, peer);
    }
}

static void on_accept(void *context, int descriptor, const struct sockaddr_storage *peer) {
    listener_t *self = context;
    struct websocket_service *websockets = self->options.websockets;
    struct ip_address address;
    if (atomic_load_explicit(&websockets->totals->sockets, memory_order_relaxed) >= self->options.sockets_max) {
        metric_count(self->metrics, METRIC_REFUSED_SOCKETS);
        refuse_busy(descriptor, websockets->tls.credentials != NULL);
    } else if (ip_address_of_socket(peer, &address)) {
        receive(self, descriptor, &address);
    } else {
        close(descriptor); /* the peer is gone already */
    }
}

static void on_exhausted(void *context, int error_number) {
    listener_t *self = context;
    metric_count(self->metrics, METRIC_PAUSES);
    log_warning("accept_paused", log_text("reason", strerror(error_number)));
}

static void free_listener(listener_t *self) {
    metric_values_destroy(&self->metrics);
    memory_free(self);
}

listener_t *listener_new(uv_loop_t *loop, const struct listener_options *options, char *ret_error, size_t error_size) {
    listener_t *self = memory_alloc_zero(sizeof(*self));
    self->options = *options;
    self->options.address = NULL;
    self->metrics = metric_values_new(options->metrics, metric_table, METRICS);
    struct tcp_listener_options tcp = {.address = options->address,
                                       .port = options->port,
                                       .share_port = true,
                                       .on_accept = on_accept,
                                       .on_exhausted = on_exhausted,
                                       .context = self};
    self->tcp = tcp_listener_new(loop, &tcp, ret_error, error_size);
    if (self->tcp == NULL) {
        free_listener(self);
        return NULL;
    }
    if (options->websockets->config->proxy_protocol) {
        const struct proxy_accept_options proxied = {.loop = loop,
                                                     .wheel = options->websockets->wheel,
                                                     .timeout_ms = PROXY_HEADER_TIMEOUT_MS,
                                                     .on_outcome = on_proxy_outcome,
                                                     .context = self};
        self->proxy_accept = proxy_accept_new(&proxied);
    }
    return self;
}

int listener_port(const listener_t *self) {
    return tcp_listener_port(self->tcp);
}

static void on_tcp_closed(void *context) {
    listener_t *self = context;
    void (*on_closed)(void *) = self->on_closed;
    void *closed_context = self->closed_context;
    free_listener(self);
    if (on_closed != NULL) {
        on_closed(closed_context);
    }
}

void listener_close(listener_t **self_p, void (*on_closed)(void *context), void *context) {
    listener_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    self->on_closed = on_closed;
    self->closed_context = context;
    if (self->proxy_accept != NULL) {
        count_socket(self, -(int32_t) proxy_accept_count(self->proxy_accept));
    }
    proxy_accept_close(&self->proxy_accept);
    tcp_listener_close(&self->tcp, on_tcp_closed, self);
}
