/* The tokens that the rehearsal's clients show to gateways: one from a file, or signed with the gateways' secret, to
 * connect with and for each channel. Thread: any, once it is read (values are not changed). */
#ifndef CALLBOARD_OPERATOR_REHEARSE_TOKENS_H
#define CALLBOARD_OPERATOR_REHEARSE_TOKENS_H

#include "base/token_key.h"

struct rehearse_token_options {
    const char *token_file;  /* to connect with; NULL: none */
    const char *secret_file; /* of HS256; NULL: tokens are not signed */
    const char *audience;    /* NULL or "": none */
    const char *issuer;
    int64_t ttl_s;
};

struct rehearse_tokens {
    struct rehearse_token_options options;
    token_key_t *key;         /* NULL: not signed */
    struct buffer to_connect; /* of token_file */
};

/* False: ret_error says why. Finish it all the same. */
bool rehearse_tokens_read(struct rehearse_tokens *self, const struct rehearse_token_options *options, char *ret_error,
                          size_t error_size);
void rehearse_tokens_finish(struct rehearse_tokens *self);

/* Appends the token to connect with (channel NULL), or to subscribe with, recovery granted; nothing: there is none. */
void rehearse_tokens_append(const struct rehearse_tokens *self, const char *channel, struct buffer *out);

#endif
