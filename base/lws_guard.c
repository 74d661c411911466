/* Why each guard is there:
 *  - CONNECT turns into a raw connection bound to protocols[0], past every HTTP filter and without a timeout (S14).
 *  - After a keep-alive GET a bad Upgrade is compared in freed memory, by lws itself when no callback refuses it first;
 *    the `in` of that callback may be freed as well (S15). Upgrade: h2c would reach the HTTP/2 stack (S16).
 *  - lws accepts any version and any key that is not empty (S17).
 *
 * Closing on a foreign loop takes three steps: lws_context_destroy closes the connections and starts closing handles;
 * the loop has to finish that; a second lws_context_destroy frees. Called too early the second one frees handles that
 * libuv still holds, and lws has no callback for the moment. Its static handles carry the context in `data` (that is
 * what lws_libuv_static_refcount_add documents) and go last, so the moment is when the loop holds none of them.
 * And lws closes the descriptor of its event pipe twice: in the first lws_context_destroy, and again a turn of the loop
 * later, when another thread may have been given the number. So the number is taken by /dev/null in between. */
#include "base/lws_guard.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    KEY_LENGTH = 24,
    HEADER_POOL = 1024,   /* connections that may be sending headers at once; 4 KiB each, allocated on demand */
    HEADER_BYTES = 4096,  /* all kept headers of one request */
    HEADER_TIMEOUT_S = 5, /* to send a whole request */
    KEEP_ALIVE_TIMEOUT_S = 5,
    SERVICE_BYTES = 16384, /* one buffer a context */
    CLOSE_POLL_MS = 1,
    EVENT_DESCRIPTORS_MAX = 256
};

/* --- the guards --- */

bool lws_guard_copy_single_header(struct lws *wsi, enum lws_token_indexes token, char *ret_text, int size) {
    int length = lws_hdr_total_length(wsi, token);
    if (length <= 0 || length >= size || lws_hdr_fragment_length(wsi, token, 1) > 0) {
        return false;
    }
    return lws_hdr_copy(wsi, ret_text, size, token) == length;
}

static bool is_header_text(struct lws *wsi, enum lws_token_indexes token, const char *text) {
    char value[32];
    return lws_guard_copy_single_header(wsi, token, value, sizeof(value)) && strcasecmp(value, text) == 0;
}

static enum lws_guard_verdict check_handshake(struct lws *wsi) {
    char key[KEY_LENGTH + 2];
    char host[256];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0 || !is_header_text(wsi, WSI_TOKEN_HTTP, "HTTP/1.1")) {
        return LWS_GUARD_METHOD;
    }
    if (!lws_guard_copy_single_header(wsi, WSI_TOKEN_HOST, host, sizeof(host))) {
        return LWS_GUARD_HOST;
    }
    if (!is_header_text(wsi, WSI_TOKEN_VERSION, "13")) {
        return LWS_GUARD_VERSION;
    }
    if (!lws_guard_copy_single_header(wsi, WSI_TOKEN_KEY, key, sizeof(key)) || strlen(key) != KEY_LENGTH) {
        return LWS_GUARD_KEY;
    }
    return LWS_GUARD_PASS;
}

enum lws_guard_verdict lws_guard_check(struct lws *wsi, enum lws_callback_reasons reason) {
    if (reason == LWS_CALLBACK_RAW_ADOPT || reason == LWS_CALLBACK_RAW_CONNECTED || reason == LWS_CALLBACK_RAW_RX ||
        reason == LWS_CALLBACK_RAW_WRITEABLE) {
        return LWS_GUARD_RAW;
    }
    if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE) {
        return is_header_text(wsi, WSI_TOKEN_UPGRADE, "websocket") ? LWS_GUARD_PASS : LWS_GUARD_UPGRADE;
    }
    if (reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION) {
        return check_handshake(wsi);
    }
    return LWS_GUARD_PASS;
}

const char *lws_guard_verdict_text(enum lws_guard_verdict verdict) {
    switch (verdict) {
    case LWS_GUARD_PASS:
        return "pass";
    case LWS_GUARD_RAW:
        return "raw";
    case LWS_GUARD_UPGRADE:
        return "upgrade";
    case LWS_GUARD_METHOD:
        return "method";
    case LWS_GUARD_HOST:
        return "host";
    case LWS_GUARD_VERSION:
        return "version";
    case LWS_GUARD_KEY:
        return "key";
    }
    return "unknown";
}

/* --- creation --- */

/* lws formats its log into one static buffer, whatever the thread; and what it calls errors are mostly a peer's
 * mistakes, which our metrics count. */
static void silence_lws(void) {
    lws_set_log_level(0, NULL);
}

static void set_guards(struct lws_context_creation_info *info) {
    /* All zero: lws's own idle timer, O(n) in connections, stays off; pings are ours. */
    static const lws_retry_bo_t no_idle_policy;
    static pthread_once_t silenced = PTHREAD_ONCE_INIT;
    pthread_once(&silenced, silence_lws);
    info->port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info->options = LWS_SERVER_OPTION_LIBUV;
    info->alpn = "http/1.1";
    info->max_http_header_pool = HEADER_POOL;
    info->max_http_header_data = HEADER_BYTES;
    info->timeout_secs = HEADER_TIMEOUT_S;
    info->keepalive_timeout = KEEP_ALIVE_TIMEOUT_S;
    info->retry_and_idle_policy = &no_idle_policy;
    info->pt_serv_buf_size = SERVICE_BYTES;
    info->gid = -1;
    info->uid = -1;
}

/* libwebsockets opens it for each context, and where it cannot, crashes on its own way out. */
static bool has_random_device(const char *what, char *ret_error, size_t error_size) {
    int descriptor = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        snprintf(ret_error, error_size, "no context for %s: /dev/urandom cannot be opened: %s", what, strerror(errno));
        return false;
    }
    close(descriptor);
    return true;
}

bool lws_guard_open_context(const struct lws_guard_service *service, uv_loop_t *loop, struct lws_context **ret_context,
                            struct lws_vhost **ret_vhost, char *ret_error, size_t error_size) {
    void *loops[1] = {loop};
    struct lws_context_creation_info info = {0};
    set_guards(&info);
    info.foreign_loops = loops;
    info.protocols = service->protocols;
    info.extensions = service->extensions;
    info.max_http_header_pool += (unsigned short) service->headers_kept;
    info.user = service->user;
    if (service->wants_tls) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    }
    *ret_context = NULL;
    *ret_vhost = NULL;
    if (!has_random_device(service->what, ret_error, error_size)) {
        return false;
    }
    *ret_context = lws_create_context(&info);
    *ret_vhost = *ret_context == NULL ? NULL : lws_get_vhost_by_name(*ret_context, "default");
    if (*ret_vhost == NULL) {
        snprintf(ret_error, error_size, "libwebsockets made no context for %s; is libwebsockets-evlib-uv installed?",
                 service->what);
    }
    return *ret_vhost != NULL;
}

/* --- closing --- */

/* Event descriptors that a loop polls: lws's pipe is one, ZeroMQ's are others. */
struct event_descriptors {
    int descriptors[EVENT_DESCRIPTORS_MAX];
    unsigned n;
};

static void collect_event_descriptor(uv_handle_t *handle, void *argument) {
    struct event_descriptors *self = argument;
    uv_os_fd_t descriptor;
    char path[64];
    char target[64];
    if (handle->type != UV_POLL || uv_fileno(handle, &descriptor) != 0 || self->n == EVENT_DESCRIPTORS_MAX) {
        return;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(path, target, sizeof(target));
    if (size > 0 && strncmp(target, "anon_inode:[eventfd]", (size_t) size) == 0) {
        self->descriptors[self->n++] = descriptor;
    }
}

/* Takes the numbers that were closed just now, for lws to close them again. */
static void occupy_closed(const struct event_descriptors *before) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; null >= 0 && i < before->n; i++) {
        int wanted = before->descriptors[i];
        if (wanted == null) {
            return; /* taken already, and left open */
        }
        if (fcntl(wanted, F_GETFD) >= 0) {
            continue;
        }
        int taken = fcntl(null, F_DUPFD_CLOEXEC, wanted);
        if (taken >= 0 && taken != wanted) {
            close(taken);
        }
    }
    if (null >= 0) {
        close(null);
    }
}

struct closing_context {
    struct lws_context *lws;
    uv_timer_t timer;
    void (*on_closed)(void *context);
    void *context;
    bool found;
};

static void on_timer_closed(uv_handle_t *handle) {
    struct closing_context *self = handle->data;
    lws_context_destroy(self->lws);
    if (self->on_closed != NULL) {
        self->on_closed(self->context);
    }
    memory_free(self);
}

static void look_at_handle(uv_handle_t *handle, void *argument) {
    struct closing_context *self = argument;
    if (handle->data == self->lws) {
        self->found = true;
    }
}

static void on_close_poll(uv_timer_t *timer) {
    struct closing_context *self = timer->data;
    self->found = false;
    uv_walk(timer->loop, look_at_handle, self);
    if (!self->found) {
        uv_close((uv_handle_t *) timer, on_timer_closed);
    }
}

void lws_guard_close_context(struct lws_context **context_p, uv_loop_t *loop, void (*on_closed)(void *context),
                             void *context) {
    if (*context_p == NULL) {
        if (on_closed != NULL) {
            on_closed(context);
        }
        return;
    }
    struct closing_context *self = memory_alloc_zero(sizeof(*self));
    self->lws = *context_p;
    self->on_closed = on_closed;
    self->context = context;
    *context_p = NULL;
    struct event_descriptors events = {.n = 0};
    uv_walk(loop, collect_event_descriptor, &events);
    lws_context_destroy(self->lws);
    occupy_closed(&events);
    uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_close_poll, CLOSE_POLL_MS, CLOSE_POLL_MS);
}
