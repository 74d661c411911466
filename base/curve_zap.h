/* The ZAP handler (RFC 27) of a ZeroMQ context: says which CURVE keys may connect to its servers. Allowed is whose
 * public key lies as NAME.pub in a directory; NAME is 1–64 of A-Z a-z 0-9 . _ - and becomes the peer's User-Id, which
 * receivers read from a payload frame: zmq_msg_gets(frame, "User-Id"). The directory is read again every second, and
 * when it changed before a request is judged. No more than 1,024 keys.
 *
 * ZAP only guards new connections: whoever holds links asks curve_zap_allows about once a second and cuts the links of
 * names that are gone. So a key is revoked by removing its file, and replaced by a new name, not by a new key under the
 * old name.
 *
 * Thread: any. The handler runs on a thread of its own, one in a context. */
#ifndef CALLBOARD_BASE_CURVE_ZAP_H
#define CALLBOARD_BASE_CURVE_ZAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct curve_zap curve_zap_t;

/* Starts the handler and proves it: a CURVE connection with a random key must be refused by it, with ZAP's 400, before
 * this returns. So it stands before any bind of a CURVE server. NULL: ret_error says why (directory, another handler in
 * this context, no proof within 5 s). Should the handler ever end by itself, the process aborts. */
curve_zap_t *curve_zap_new(void *zmq_context, const char *allowed_directory, char *ret_error, size_t error_size);
/* Before zmq_ctx_term. CURVE servers that are still bound let nobody in from then on. */
void curve_zap_destroy(curve_zap_t **self_p);
/* Does a key of this name (a User-Id) lie in the directory? */
bool curve_zap_allows(curve_zap_t *self, const char *name);
/* Counted refusals, for a metric; the one of the proof is not among them. */
uint64_t curve_zap_refused_total(const curve_zap_t *self);

#endif
