/* CURVE keys (RFC 26/CurveZMQ) in files: Z85 texts of 40 characters. A secret key file has mode 0600 or 0400 and two
 * lines, public = <z85> secret = <z85> a public key file only the first. A directory of public key files is the
 * allow-list (name = file name without .pub). Thread: any; the ZAP handler is one actor a process. */
#ifndef CALLBOARD_BASE_CURVE_KEYS_H
#define CALLBOARD_BASE_CURVE_KEYS_H

#include "base/bytes.h"

#include <stdbool.h>

struct curve_keys {
    char public_text[41];
    char secret_text[41]; /* "" when only the public half is known */
};

void curve_keys_generate(struct curve_keys *ret_keys);
void curve_keys_wipe(struct curve_keys *self);
/* False: ret_error says what is wrong with the file (missing, mode, not Z85, halves do not match) and how to mend it.
 */
bool curve_keys_read(const char *path, bool need_secret, struct curve_keys *ret_keys, char *ret_error,
                     size_t error_size);
/* Writes PATH (mode 0600, both) and PATH.pub (mode 0644); refuses to overwrite. */
bool curve_keys_write(const char *path, const struct curve_keys *keys, char *ret_error, size_t error_size);

/* Makes `socket` (raw libzmq) a CURVE server of ZAP domain `domain`. The handler must run: see curve_zap below. */
bool curve_keys_apply_server(void *socket, const struct curve_keys *keys, const char *domain);
/* Makes it a CURVE client of the server with this public key. */
bool curve_keys_apply_client(void *socket, const struct curve_keys *own, const char *server_public_text);

/* Is this ZeroMQ endpoint one that may go without CURVE: inproc, ipc, or tcp on 127.0.0.0/8, ::1 or localhost? */
bool curve_endpoint_is_local(const char *endpoint);

/* The ZAP handler (RFC 27): allows the public keys found as *.pub in a directory, reread every second, or when it
 * changed. A CURVE server without a running handler accepts any key, so it is started and proven (a connect with a
 * random key must fail) before any bind; should it ever end, the process aborts. */
typedef struct curve_zap curve_zap_t;
curve_zap_t *curve_zap_new(void *zmq_context, const char *allowed_directory, char *ret_error, size_t error_size);
void curve_zap_destroy(curve_zap_t **self_p);
/* Counted refusals, for a metric (any thread). */
uint64_t curve_zap_refused_total(const curve_zap_t *self);

#endif
