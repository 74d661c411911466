/* The admin page's files (base/web): what the internal listener serves in a browser when internal.admin is on. They
 * hold nothing secret and are answered without a token; the page asks for it and sends it with everything it reads. Two
 * variants of the source, chosen by the build: admin_page.c, and admin_page_none.c where the chart library was not
 * brought. Thread: any (constant). */
#ifndef CALLBOARD_BASE_ADMIN_PAGE_H
#define CALLBOARD_BASE_ADMIN_PAGE_H

#include "base/http_service.h"

/* Static. NULL: built without the page; ret_error says how to mend that. */
const struct http_endpoint *admin_page_endpoints(size_t *ret_n, char *ret_error, size_t error_size);

#endif
