/* CURVE keys (RFC 26/CurveZMQ) in files, and on sockets. A key is a Z85 text of 40 characters. A secret key file has
 * two lines, a public key file only the first; lines that begin with # are comments:
 *
 *     public = Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID
 *     secret = D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs
 *
 * While a pair is exchanged for another one, a public key file has a line for each of the two.
 *
 * A secret key file must not be readable for others: mode 0600 or 0400; 0440 where another user owns it, which is how
 * Kubernetes mounts a Secret for us. Public keys that may connect lie in a directory: base/curve_zap.h.
 * Thread: any. */
#ifndef CALLBOARD_BASE_CURVE_KEYS_H
#define CALLBOARD_BASE_CURVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum { CURVE_KEY_TEXT_LENGTH = 40, CURVE_PUBLIC_KEYS = 2 };

struct curve_keys {
    char public_text[CURVE_KEY_TEXT_LENGTH + 1];
    char secret_text[CURVE_KEY_TEXT_LENGTH + 1]; /* "" when only the public half is known */
};

void curve_keys_generate(struct curve_keys *ret_keys);
void curve_keys_wipe(struct curve_keys *self);
/* False: ret_error says what is wrong with the file (missing, mode, not Z85, halves do not match) and how to mend it;
 * *ret_keys is untouched. Without need_secret only the public half is handed out, whatever the file has. */
bool curve_keys_read(const char *path, bool need_secret, struct curve_keys *ret_keys, char *ret_error,
                     size_t error_size);
/* The public keys of a file, the first line's first; the second is "" where there is one. False: as above. */
bool curve_keys_read_public(const char *path, char ret_keys[CURVE_PUBLIC_KEYS][CURVE_KEY_TEXT_LENGTH + 1],
                            char *ret_error, size_t error_size);
/* Writes PATH (mode 0600, both) and PATH.pub (mode 0644); refuses to overwrite either, then neither is written. */
bool curve_keys_write(const char *path, const struct curve_keys *keys, char *ret_error, size_t error_size);

/* Makes `socket` (raw libzmq, before its bind) a CURVE server of ZAP domain `domain` (not empty). It lets in whom the
 * context's ZAP handler allows (base/curve_zap.h); while there is no handler it lets in nobody. */
bool curve_keys_apply_server(void *socket, const struct curve_keys *keys, const char *domain);
/* Makes it, before its connect, a CURVE client of the server with this public key. False: not a key. */
bool curve_keys_apply_client(void *socket, const struct curve_keys *own, const char *server_public_text);

/* Is this ZeroMQ endpoint one that may go without CURVE: inproc, ipc, or tcp on 127.0.0.0/8, ::1 or localhost? */
bool curve_endpoint_is_local(const char *endpoint);
/* Is it one that libzmq could take: inproc or ipc and a name, or tcp://host:port, the port a number up to 65535 or *?
 */
bool curve_endpoint_is_well_formed(const char *endpoint);

#endif
