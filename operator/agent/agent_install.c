/* See agent_install.h. */
#include "operator/agent/agent_install.h"

#include "operator/agent/agent_files.h"

enum { PROGRAM_MAX = 64 * 1024 * 1024 };

bool agent_install(const char *directory, char *ret_error, size_t error_size) {
    struct buffer program;
    bool is_missing;
    buffer_init(&program, PROGRAM_MAX);
    bool is_done = agent_file_read("/proc/self", "exe", &program, &is_missing, ret_error, error_size) &&
                   agent_file_write(directory, "callboard-agent", buffer_span(&program), 0755, ret_error, error_size);
    buffer_finish(&program);
    return is_done;
}
