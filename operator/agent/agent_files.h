/* Files of the agent: read whole with a bound, written by a temporary file and a rename. Every error names the path and
 * how to mend it. Thread: any. */
#ifndef CALLBOARD_OPERATOR_AGENT_FILES_H
#define CALLBOARD_OPERATOR_AGENT_FILES_H

#include "base/bytes.h"

#include <sys/types.h>

/* Appends the file; the buffer's limit bounds it. False: ret_error; *ret_is_missing tells "not there" from the rest. */
bool agent_file_read(const char *directory, const char *name, struct buffer *out, bool *ret_is_missing, char *ret_error,
                     size_t error_size);
bool agent_file_write(const char *directory, const char *name, struct span bytes, mode_t mode, char *ret_error,
                      size_t error_size);
/* Whether files can be made and renamed in it: Redis and Sentinel rewrite their files so. */
bool agent_directory_check(const char *directory, char *ret_error, size_t error_size);

#endif
