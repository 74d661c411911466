/* See backend_sockets.h. */
#include "broker/backend/backend_sockets.h"

#include <errno.h>
#include <stdio.h>
#include <zmq.h>

enum { HANDSHAKE_MS = 3000, LINGER_MS = 200, HIGH_WATER_MARK = 10000 };
static const int64_t MESSAGE_SIZE_MAX = (int64_t) 4 << 20;
static const char ZAP_DOMAIN[] = "backend";

/* A bound socket, or NULL with the reason. */
static void *bind_socket(void *zmq_context, int type, const char *endpoint, const struct curve_keys *keys,
                         char *ret_error, size_t error_size) {
    void *socket = zmq_socket(zmq_context, type);
    int linger_ms = LINGER_MS; /* the last answers of a broker that stops still go out */
    int one = 1;
    int handshake_ms = HANDSHAKE_MS;
    int high_water_mark = HIGH_WATER_MARK;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_setsockopt(socket, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof handshake_ms);
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &MESSAGE_SIZE_MAX, sizeof MESSAGE_SIZE_MAX);
    zmq_setsockopt(socket, ZMQ_TCP_KEEPALIVE, &one, sizeof one);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &high_water_mark, sizeof high_water_mark);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &high_water_mark, sizeof high_water_mark);
    if (type == ZMQ_ROUTER) {
        zmq_setsockopt(socket, ZMQ_ROUTER_MANDATORY, &one, sizeof one);
    }
    if (keys != NULL && !curve_keys_apply_server(socket, keys, ZAP_DOMAIN)) {
        snprintf(ret_error, error_size, "backend.curve_key_file: libzmq refused the key");
        zmq_close(socket);
        return NULL;
    }
    if (zmq_bind(socket, endpoint) != 0) {
        snprintf(ret_error, error_size, "cannot listen for backends on %s: %s", endpoint, zmq_strerror(errno));
        zmq_close(socket);
        return NULL;
    }
    return socket;
}

static bool needs_keys(const struct broker_config *config) {
    return (config->backend_endpoint[0] != '\0' && !curve_endpoint_is_local(config->backend_endpoint)) ||
           (config->backend_pull_endpoint[0] != '\0' && !curve_endpoint_is_local(config->backend_pull_endpoint));
}

/* False: refused. *ret_with_keys tells whether CURVE is to be used. The handler runs before anything is bound. */
static bool prepare_curve(struct backend_sockets *self, const struct broker_config *config, struct curve_keys *ret_keys,
                          bool *ret_with_keys, char *ret_error, size_t error_size) {
    *ret_with_keys = config->backend_curve_key_file[0] != '\0';
    if (!*ret_with_keys) {
        if (needs_keys(config)) {
            snprintf(ret_error, error_size,
                     "backend.endpoint or backend.pull_endpoint is not on loopback, so backend.curve_key_file and "
                     "backend.curve_allowed_dir are needed (callboardctl keygen)");
            return false;
        }
        return true;
    }
    if (config->backend_curve_allowed_dir[0] == '\0') {
        snprintf(ret_error, error_size,
                 "backend.curve_key_file needs backend.curve_allowed_dir: the folder of the services' .pub files");
        return false;
    }
    if (!curve_keys_read(config->backend_curve_key_file, true, ret_keys, ret_error, error_size)) {
        return false;
    }
    self->own_context = zmq_ctx_new();
    self->zap = curve_zap_new(self->own_context, config->backend_curve_allowed_dir, ret_error, error_size);
    return self->zap != NULL;
}

bool backend_sockets_open(struct backend_sockets *self, const struct broker_config *config, void *zmq_context,
                          char *ret_error, size_t error_size) {
    *self = (struct backend_sockets){.router = NULL};
    struct curve_keys keys = {.public_text = ""};
    bool with_keys = false;
    bool is_good = prepare_curve(self, config, &keys, &with_keys, ret_error, error_size);
    if (is_good && config->backend_endpoint[0] != '\0') {
        self->router = bind_socket(self->own_context == NULL ? zmq_context : self->own_context, ZMQ_ROUTER,
                                   config->backend_endpoint, with_keys ? &keys : NULL, ret_error, error_size);
        is_good = self->router != NULL;
    }
    if (is_good && config->backend_pull_endpoint[0] != '\0') {
        self->pull = bind_socket(self->own_context == NULL ? zmq_context : self->own_context, ZMQ_PULL,
                                 config->backend_pull_endpoint, with_keys ? &keys : NULL, ret_error, error_size);
        is_good = self->pull != NULL;
    }
    curve_keys_wipe(&keys);
    return is_good;
}

void backend_sockets_close(struct backend_sockets *self) {
    if (self->router != NULL) {
        zmq_close(self->router);
    }
    if (self->pull != NULL) {
        zmq_close(self->pull);
    }
    curve_zap_destroy(&self->zap);
    if (self->own_context != NULL) {
        zmq_ctx_term(self->own_context);
    }
    *self = (struct backend_sockets){.router = NULL};
}
