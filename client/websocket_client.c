/* See websocket_client.h: libwebsockets' client on its own loop, which a timer leaves when a call's time is up.
 *
 *     NEW ─▶ OPENING ─▶ OPEN ─▶ CLOSED      every failure leads to CLOSED, with a text that says why */
#include "client/websocket_client.h"

#include "base/check.h"
#include "base/memory.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <stdio.h>

enum { INBOX_MAX = 4 * 1024 * 1024, URL_MAX = 1024 };

enum phase { NEW, OPENING, OPEN, CLOSED };

struct websocket_client {
    struct lws_context *context;
    struct lws *wsi;
    enum phase phase;
    lws_sorted_usec_list_t timer;
    bool is_late;
    char url[URL_MAX]; /* cut at its host */
    const char *host;
    char path[URL_MAX + 1]; /* with its slash */
    int port;
    unsigned tls_flags;
    SSL_CTX *tls;           /* NULL: plain. Ours, because libwebsockets 4.1.6 never frees its own */
    struct buffer outgoing; /* LWS_PRE bytes, then the text; empty: nothing to send */
    struct buffer inbox;    /* lines, each with its end */
    size_t n_taken;         /* bytes of the inbox that the caller has seen */
    unsigned close_code;    /* the server's; 0: none */
    char error[WEBSOCKET_CLIENT_ERROR_SIZE];
};

static void close_with(websocket_client_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first reason counts: what follows is its consequence. */
static void close_with(websocket_client_t *self, const char *format, ...) {
    va_list values;
    self->phase = CLOSED;
    if (self->error[0] != '\0') {
        return;
    }
    va_start(values, format);
    vsnprintf(self->error, sizeof self->error, format, values);
    va_end(values);
}

/* ---- what libwebsockets tells ---- */

/* -1: closed, for want of room. */
static int take_fragment(websocket_client_t *self, struct lws *wsi, const void *data, size_t size) {
    buffer_append(&self->inbox, data, size);
    if (lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0) {
        buffer_append_char(&self->inbox, '\n');
    }
    if (self->inbox.overflow) {
        close_with(self, "more than %d bytes came at once", INBOX_MAX);
        return -1;
    }
    return 0;
}

static int send_outgoing(websocket_client_t *self, struct lws *wsi) {
    size_t size = self->outgoing.size - LWS_PRE;
    int n_written = lws_write(wsi, self->outgoing.data + LWS_PRE, size, LWS_WRITE_TEXT);
    buffer_clear(&self->outgoing);
    if (n_written < (int) size) {
        close_with(self, "the message could not be written");
        return -1;
    }
    return 0;
}

static void take_close_frame(websocket_client_t *self, const uint8_t *data, size_t size) {
    if (size >= 2) {
        self->close_code = (unsigned) data[0] << 8 | data[1];
        close_with(self, "closed by the server: %u %.*s", self->close_code, (int) size - 2, (const char *) data + 2);
    }
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    websocket_client_t *self = user;
    switch ((int) reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        self->phase = OPEN;
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        close_with(self, "%.*s", in == NULL ? 20 : (int) size, in == NULL ? "it cannot be reached" : (const char *) in);
        self->wsi = NULL;
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return take_fragment(self, wsi, in, size);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return self->outgoing.size > 0 ? send_outgoing(self, wsi) : 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        take_close_frame(self, in, size);
        break;
    case LWS_CALLBACK_CLIENT_CLOSED:
        close_with(self, "the connection is gone");
        self->wsi = NULL;
        break;
    default:
        break;
    }
    return 0;
}

static const struct lws_protocols protocols[] = {{.name = "client", .callback = on_event}, {.name = NULL}};

/* ---- waiting ---- */

/* Timers are called before the loop polls, and it would poll until the next one. */
static void on_late(lws_sorted_usec_list_t *timer) {
    websocket_client_t *self = lws_container_of(timer, websocket_client_t, timer);
    self->is_late = true;
    lws_cancel_service(self->context);
}

typedef bool (*is_done_t)(const websocket_client_t *self);

static enum websocket_client_outcome wait_until(websocket_client_t *self, is_done_t is_done, int timeout_ms) {
    self->is_late = false;
    lws_sul_schedule(self->context, 0, &self->timer, on_late, (lws_usec_t) timeout_ms * LWS_US_PER_MS);
    while (!is_done(self) && self->phase != CLOSED && !self->is_late) {
        lws_service(self->context, 0);
    }
    lws_sul_schedule(self->context, 0, &self->timer, on_late, LWS_SET_TIMER_USEC_CANCEL);
    if (is_done(self)) {
        return WEBSOCKET_CLIENT_DONE;
    }
    return self->phase == CLOSED ? WEBSOCKET_CLIENT_CLOSED : WEBSOCKET_CLIENT_TIMEOUT;
}

static bool is_open(const websocket_client_t *self) {
    return self->phase == OPEN;
}

static bool has_sent(const websocket_client_t *self) {
    return self->outgoing.size == 0;
}

static bool has_line(const websocket_client_t *self) {
    size_t left = self->inbox.size - self->n_taken;
    return left > 0 && memchr(self->inbox.data + self->n_taken, '\n', left) != NULL;
}

/* ---- the calls ---- */

enum websocket_client_outcome websocket_client_open(websocket_client_t *self, int timeout_ms) {
    struct lws_client_connect_info info = {
        .context = self->context,
        .address = self->host,
        .port = self->port,
        .path = self->path,
        .host = self->host,
        .ssl_connection = (int) self->tls_flags,
        .protocol = NULL,
        .local_protocol_name = protocols[0].name,
        .userdata = self,
        .pwsi = &self->wsi,
    };
    check(self->phase == NEW, "opened twice");
    self->phase = OPENING;
    if (lws_client_connect_via_info(&info) == NULL) {
        close_with(self, "it cannot be reached");
    }
    return wait_until(self, is_open, timeout_ms);
}

enum websocket_client_outcome websocket_client_send(websocket_client_t *self, struct span text, int timeout_ms) {
    static const uint8_t room[LWS_PRE];
    if (self->phase != OPEN) {
        return WEBSOCKET_CLIENT_CLOSED;
    }
    buffer_append(&self->outgoing, room, sizeof room);
    buffer_append_span(&self->outgoing, text);
    lws_callback_on_writable(self->wsi);
    return wait_until(self, has_sent, timeout_ms);
}

enum websocket_client_outcome websocket_client_receive(websocket_client_t *self, int timeout_ms,
                                                       struct span *ret_line) {
    buffer_consume(&self->inbox, self->n_taken);
    self->n_taken = 0;
    enum websocket_client_outcome outcome = wait_until(self, has_line, timeout_ms);
    if (outcome == WEBSOCKET_CLIENT_DONE) {
        const uint8_t *end = memchr(self->inbox.data, '\n', self->inbox.size);
        *ret_line = span_of(self->inbox.data, (size_t) (end - self->inbox.data));
        self->n_taken = ret_line->size + 1;
    }
    return outcome;
}

const char *websocket_client_error(const websocket_client_t *self) {
    return self->error;
}

unsigned websocket_client_close_code(const websocket_client_t *self) {
    return self->close_code;
}

/* ---- making it ---- */

static bool cut_url(websocket_client_t *self, const struct websocket_client_target *target) {
    const char *scheme = NULL;
    const char *path = NULL;
    bool is_tls = strncmp(target->url, "wss://", 6) == 0;
    if ((!is_tls && strncmp(target->url, "ws://", 5) != 0) || strlen(target->url) >= sizeof self->url) {
        return false;
    }
    snprintf(self->url, sizeof self->url, "%s", target->url);
    if (lws_parse_uri(self->url, &scheme, &self->host, &self->port, &path) != 0 || self->host[0] == '\0') {
        return false;
    }
    snprintf(self->path, sizeof self->path, "/%s", path);
    if (is_tls) {
        self->tls_flags = LCCSCF_USE_SSL;
        if (target->is_unjudged) {
            self->tls_flags |= LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_INSECURE | LCCSCF_ALLOW_EXPIRED |
                               LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
        }
    }
    return true;
}

static bool open_tls(websocket_client_t *self, const struct websocket_client_target *target, char *ret_error,
                     size_t error_size) {
    if (self->tls_flags == 0) {
        return true;
    }
    self->tls = SSL_CTX_new(TLS_client_method());
    check(self->tls != NULL, "no memory for TLS");
    if (target->ca_file == NULL ? SSL_CTX_set_default_verify_paths(self->tls) == 1
                                : SSL_CTX_load_verify_locations(self->tls, target->ca_file, NULL) == 1) {
        return true;
    }
    snprintf(ret_error, error_size, "no certificates in PEM can be read from %s",
             target->ca_file == NULL ? "the system's store" : target->ca_file);
    return false;
}

websocket_client_t *websocket_client_new(const struct websocket_client_target *target, char *ret_error,
                                         size_t error_size) {
    websocket_client_t *self = memory_alloc_zero(sizeof *self);
    buffer_init(&self->inbox, INBOX_MAX);
    if (!cut_url(self, target)) {
        snprintf(ret_error, error_size, "'%s' is no ws:// or wss://HOST[:PORT][/PATH]", target->url);
        websocket_client_destroy(&self);
        return NULL;
    }
    if (!open_tls(self, target, ret_error, error_size)) {
        websocket_client_destroy(&self);
        return NULL;
    }
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .gid = -1,
        .uid = -1,
        .options = self->tls == NULL ? 0 : LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .provided_client_ssl_ctx = self->tls,
    };
    lws_set_log_level(0, NULL);
    self->context = lws_create_context(&info);
    if (self->context == NULL) {
        snprintf(ret_error, error_size, "libwebsockets made no context");
        websocket_client_destroy(&self);
    }
    return self;
}

void websocket_client_destroy(websocket_client_t **self_p) {
    websocket_client_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    lws_context_destroy(self->context);
    SSL_CTX_free(self->tls);
    buffer_finish(&self->outgoing);
    buffer_finish(&self->inbox);
    memory_free(self);
}
