/* Reads settings from the environment, and wipes the secrets there. Thread: the main thread. */
#ifndef CALLBOARD_BASE_CONFIG_ENVIRONMENT_H
#define CALLBOARD_BASE_CONFIG_ENVIRONMENT_H

#include "base/config_assign.h"

/* NAME=value…, NULL-terminated. */
void config_read_environment(config_errors_t *errors, const struct config_scope *scope, const char *const *environment);

/* Overwrites in place the values of variables that held secrets (security.md S38); `environ` of the process. */
void config_wipe_environment(const struct config_part *parts, size_t n_parts, char **environment);

#endif
