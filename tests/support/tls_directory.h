/* A directory with certificates for a test, gone at the end: authority and stranger (two authorities), server (for
 * 127.0.0.1 and redis.test), other_name, expired, client (all of the authority), strange_client (of the stranger), each
 * <name>.crt and <name>.key. Thread: the one that made it. */
#ifndef CALLBOARD_TESTS_TLS_DIRECTORY_H
#define CALLBOARD_TESTS_TLS_DIRECTORY_H

typedef struct tls_directory tls_directory_t;

enum { TLS_PATH_MAX = 128, TLS_LINES = 6, TLS_LINE_MAX = 160 };

tls_directory_t *tls_directory_new(void);
void tls_directory_destroy(tls_directory_t **self_p);
const char *tls_directory_path(const tls_directory_t *self);
/* Of a file in it, e.g. authority.crt. */
void tls_directory_file(const tls_directory_t *self, const char *file, char ret_path[TLS_PATH_MAX]);
/* Lines of redis.conf for a server that listens with TLS on this port and asks for no certificate. */
void tls_directory_lines(const tls_directory_t *self, int port, char ret_lines[TLS_LINES][TLS_LINE_MAX]);

#endif
