/* Failure modes: a source over client.handshakes_per_source → closed at accept, counted. The process has as many
 * sockets as its descriptors allow less a reserve → a short 503, counted. Descriptors are out all the same → accepting
 * pauses (tcp_listener). */
#include "gateway/transport/listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/tcp_listener.h"
#include "gateway/transport/source_limits.h"

#include <string.h>
#include <unistd.h>

enum { SOURCES_MAX = 65536 };

enum listener_metric { METRIC_ACCEPTED, METRIC_REFUSED_SOURCE, METRIC_REFUSED_SOCKETS, METRIC_PAUSES, METRICS };

static const struct metric_description metric_table[METRICS] = {
    [METRIC_ACCEPTED] = {"callboard_gateway_accepted_total", "Connections accepted on the public port.", METRIC_COUNTER,
                         NULL},
    [METRIC_REFUSED_SOURCE] = {"callboard_gateway_accept_refused_total", "Connections closed when they came.",
                               METRIC_COUNTER, "reason=\"source\""},
    [METRIC_REFUSED_SOCKETS] = {"callboard_gateway_accept_refused_total", "Connections closed when they came.",
                                METRIC_COUNTER, "reason=\"sockets\""},
    [METRIC_PAUSES] = {"callboard_gateway_accept_pauses_total",
                       "Times that accepting paused because descriptors or memory were out.", METRIC_COUNTER, NULL},
};

struct listener {
    struct listener_options options;
    tcp_listener_t *tcp;
    source_limits_t *sources;
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

static void on_accept(void *context, int descriptor, const struct sockaddr_storage *peer) {
    listener_t *self = context;
    struct websocket_service *websockets = self->options.websockets;
    uint32_t per_second = (uint32_t) websockets->config->handshakes_per_source;
    if (!source_limits_take(self->sources, peer, per_second, clock_monotonic_us())) {
        metric_count(self->metrics, METRIC_REFUSED_SOURCE);
        close(descriptor);
        return;
    }
    if (atomic_load_explicit(&websockets->totals->sockets, memory_order_relaxed) >= self->options.sockets_max) {
        metric_count(self->metrics, METRIC_REFUSED_SOCKETS);
        refuse_busy(descriptor, websockets->tls.credentials != NULL);
        return;
    }
    metric_count(self->metrics, METRIC_ACCEPTED);
    websocket_service_adopt(websockets, descriptor);
}

static void on_exhausted(void *context, int error_number) {
    listener_t *self = context;
    metric_count(self->metrics, METRIC_PAUSES);
    log_warning("accept_paused", log_text("reason", strerror(error_number)));
}

static void free_listener(listener_t *self) {
    source_limits_destroy(&self->sources);
    metric_values_destroy(&self->metrics);
    memory_free(self);
}

listener_t *listener_new(uv_loop_t *loop, const struct listener_options *options, char *ret_error, size_t error_size) {
    listener_t *self = memory_alloc_zero(sizeof(*self));
    self->options = *options;
    self->options.address = NULL;
    self->sources = source_limits_new(SOURCES_MAX);
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
    tcp_listener_close(&self->tcp, on_tcp_closed, self);
}
