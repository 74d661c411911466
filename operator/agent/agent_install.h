/* Copies this program: an init container of our image puts it where a foreign image can run it. Thread: main. */
#ifndef CALLBOARD_OPERATOR_AGENT_INSTALL_H
#define CALLBOARD_OPERATOR_AGENT_INSTALL_H

#include <stdbool.h>
#include <stddef.h>

/* As callboard-agent in `directory`, mode 0755. */
bool agent_install(const char *directory, char *ret_error, size_t error_size);

#endif
