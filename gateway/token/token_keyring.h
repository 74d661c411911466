/* From settings and what was fetched to a set of keys. Thread: any. */
#ifndef CALLBOARD_GATEWAY_TOKEN_KEYRING_H
#define CALLBOARD_GATEWAY_TOKEN_KEYRING_H

#include "base/token.h"
#include "base/token_jwk.h"
#include "gateway/token/token_config.h"

/* Reads the files that the settings name. True with *ret_keys NULL where they have no key. False: a file cannot be
 * read, or its key does not serve; ret_error says which setting, why, and how to mend it (at least 512 bytes). */
bool token_keyring_read(const struct token_settings *settings, const char *section, token_keys_t **ret_keys,
                        char *ret_error, size_t error_size);
/* The same keys and those that were fetched. A fetched one with a kid of the settings is left out: those count. */
token_keys_t *token_keyring_with(const token_keys_t *configured, const struct token_jwk_set *fetched);

#endif
