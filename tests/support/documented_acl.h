/* The rule for the broker's Redis user, as docs/redis.md prints it: tests run under it, so that it is neither too
 * narrow nor forgotten. Thread: any. */
#ifndef CALLBOARD_TESTS_DOCUMENTED_ACL_H
#define CALLBOARD_TESTS_DOCUMENTED_ACL_H

#include "tests/support/redis_server.h"

/* A line of redis.conf: the user "callboard" with the password "secret"; more: rules added, "" for none. Its text is
 * the caller's (memory_free). source_directory: CALLBOARD_SOURCE_DIR; which: "broker" or "sentinel". */
char *documented_acl_line(const char *source_directory, const char *which, const char *more);
/* Aborts the test where the server denied that user something; what may be denied is named in `allowed`,
 * NULL-terminated. */
void documented_acl_expect_nothing_denied(redis_server_t *server, const char *const *allowed);

#endif
