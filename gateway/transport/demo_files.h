/* The demo page's files, embedded by the build from gateway/web and the SDK that tools/bring_sdk brought.
 * Two variants of the source, chosen by the build: demo_files.c, and demo_files_none.c where the SDK is not there.
 * Thread: any (constant). */
#ifndef CALLBOARD_GATEWAY_DEMO_FILES_H
#define CALLBOARD_GATEWAY_DEMO_FILES_H

#include <stddef.h>

struct http_static_file {
    const char *path; /* of the request, exact */
    const char *content_type;
    const unsigned char *data;
    size_t size;
};

/* NULL when the page has no such file. */
const struct http_static_file *demo_file_find(const char *path);

#endif
