/* What callboardctl signs tokens with, as a configuration says: the key, and for whom its tokens are. Thread: main. */
#ifndef CALLBOARD_TOOLS_CTL_SIGNER_H
#define CALLBOARD_TOOLS_CTL_SIGNER_H

#include "base/token.h"

struct ctl_signer {
    token_key_t *key;
    char *audience; /* "": none */
    char *issuer;
};

/* The file is a gateway's or the appliance's; what the program that it is for would take from the environment is taken
 * here. CTL_DONE, or why not was printed, as by this command. */
int ctl_signer_read(const char *command, const char *file, struct ctl_signer *ret);
void ctl_signer_finish(struct ctl_signer *self);

/* Appends a token of this user for `ttl_s` from now; `channel` NULL: to connect with; else to subscribe to
 * that one, with recovery whatever its namespace gives to others. */
bool ctl_signer_append_token(const struct ctl_signer *self, const char *user, const char *channel, int64_t ttl_s,
                             struct buffer *out);

#endif
