/* See demo_files.h: a build without the SDK has no demo page. */
#include "gateway/transport/demo_files.h"

const struct http_static_file *demo_file_find(const char *path) {
    (void) path;
    return NULL;
}
