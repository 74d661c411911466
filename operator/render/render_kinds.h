/* The kinds of objects that a spec can become, for who looks for them in a cluster. Thread: any (constants). */
#ifndef CALLBOARD_OPERATOR_RENDER_RENDER_KINDS_H
#define CALLBOARD_OPERATOR_RENDER_RENDER_KINDS_H

#include <stddef.h>

struct render_kind {
    const char *api_version;
    const char *kind;
};

/* In the order of installation. */
const struct render_kind *render_kinds(size_t *ret_n);

#endif
