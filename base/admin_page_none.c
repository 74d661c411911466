/* See admin_page.h: this program was built without the page. */
#include "base/admin_page.h"

#include <stdio.h>

const struct http_endpoint *admin_page_endpoints(size_t *ret_n, char *ret_error, size_t error_size) {
    *ret_n = 0;
    snprintf(ret_error, error_size,
             "internal.admin: this program was built without the admin page; run tools/bring_sdk base/web before the "
             "build, or take internal.admin out");
    return NULL;
}
