/* See demo_files.h. The bytes come from a header that tools/embed.cmake writes. */
#include "gateway/transport/demo_files.h"

#include "demo_files_embedded.h"

#include <string.h>

const struct http_static_file *demo_file_find(const char *path) {
    static const struct http_static_file files[] = {
        {"/", "text/html; charset=utf-8", embedded_index_html, sizeof embedded_index_html - 1},
        {"/demo.css", "text/css; charset=utf-8", embedded_demo_css, sizeof embedded_demo_css - 1},
        {"/demo.js", "text/javascript; charset=utf-8", embedded_demo_js, sizeof embedded_demo_js - 1},
        {"/messages.js", "text/javascript; charset=utf-8", embedded_messages_js, sizeof embedded_messages_js - 1},
        {"/unsent.js", "text/javascript; charset=utf-8", embedded_unsent_js, sizeof embedded_unsent_js - 1},
        {"/centrifuge.js", "text/javascript; charset=utf-8", embedded_centrifuge_js, sizeof embedded_centrifuge_js - 1},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(files[i].path, path) == 0) {
            return &files[i];
        }
    }
    return NULL;
}
