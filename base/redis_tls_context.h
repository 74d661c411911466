/* What the connections of a redis_tls have in common, made from its files; redis_tls.h is what others
 * include. Thread: any. */
#ifndef CALLBOARD_BASE_REDIS_TLS_CONTEXT_H
#define CALLBOARD_BASE_REDIS_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_tls_options { /* each NULL or empty: not set */
    const char *ca_file;   /* PEM; not set: the system's authorities */
    const char *certificate_file;
    const char *key_file;
    const char *server_name; /* instead of the host dialled: for SNI and for the check */
};

struct ssl_ctx_st;

/* former: its authorities are trusted as well, where the options name some; NULL: none. NULL: ret_error says which file
 * and how to mend it. The caller's to free. */
struct ssl_ctx_st *redis_tls_context_new(const struct redis_tls_options *options, const struct ssl_ctx_st *former,
                                         char *ret_error, size_t error_size);
/* Why our certificate would not be taken now; NULL: nothing speaks against it, or there is none. */
const char *redis_tls_context_invalid(const struct ssl_ctx_st *context);
/* Until our certificate's end; 0: there is none. Below 0: it has passed. */
int64_t redis_tls_context_ends_in_s(const struct ssl_ctx_st *context);
/* Could connections be made with these files now? False: ret_error says why not. */
bool redis_tls_files_serve(const struct redis_tls_options *options, char *ret_error, size_t error_size);

#endif
