/* Failure modes: a header that stands twice or does not fit is a reason to refuse, never to guess. */
#include "gateway/transport/http_request.h"

#include "base/http_service.h"
#include "base/lws_guard.h"
#include "gateway/transport/origin.h"

#include <stdio.h>
#include <string.h>

enum { ORIGIN_BYTES = 512, LENGTH_BYTES = 16, ARGUMENT_BYTES = 4096, REQUEST_HEADERS_BYTES = 512 };

bool http_request_origin_is_allowed(struct lws *wsi, const struct gateway_config *config) {
    char origin[ORIGIN_BYTES];
    char host[ORIGIN_BYTES];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) <= 0) {
        return !config->require_origin;
    }
    return lws_guard_copy_single_header(wsi, WSI_TOKEN_ORIGIN, origin, sizeof(origin)) &&
           lws_guard_copy_single_header(wsi, WSI_TOKEN_HOST, host, sizeof(host)) &&
           origin_is_allowed(span_of_text(origin), &config->allowed_origins, span_of_text(host));
}

enum http_request_body http_request_body_size(struct lws *wsi, size_t limit, size_t *ret_size) {
    char text[LENGTH_BYTES];
    uint64_t size;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
        lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0) {
        return HTTP_REQUEST_BODY_NO_LENGTH;
    }
    if (!lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof(text)) ||
        !span_parse_u64(span_of_text(text), &size)) {
        return HTTP_REQUEST_BODY_BAD;
    }
    *ret_size = (size_t) size;
    return size <= limit ? HTTP_REQUEST_BODY_OK : HTTP_REQUEST_BODY_TOO_BIG;
}

/* The page's origin was compared with an exact list; what it asks for as headers is echoed if it is a plain list. */
static bool copy_header_list(struct lws *wsi, char *ret_text, int size) {
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AC_REQUEST_HEADERS) <= 0 ||
        lws_hdr_copy(wsi, ret_text, size, WSI_TOKEN_HTTP_AC_REQUEST_HEADERS) <= 0) {
        return false;
    }
    return strspn(ret_text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ") == strlen(ret_text);
}

void http_request_append_cors(struct lws *wsi, struct buffer *out) {
    char text[ORIGIN_BYTES];
    if (lws_guard_copy_single_header(wsi, WSI_TOKEN_ORIGIN, text, sizeof(text))) {
        buffer_append_format(
            out, "Access-Control-Allow-Origin: %s\r\nAccess-Control-Allow-Credentials: true\r\nVary: Origin\r\n", text);
    }
}

static int send_answer(struct lws *wsi, unsigned status, const char *extra_headers) {
    struct buffer out = BUFFER_EMPTY;
    buffer_append_format(&out, "HTTP/1.1 %u %s\r\n%s", status, http_status_text(status),
                         extra_headers == NULL ? "" : extra_headers);
    http_request_append_cors(wsi, &out);
    if (status != 204) {
        buffer_append_text(&out, "Content-Length: 0\r\n"); /* 204 has none (RFC 9110, 8.6) */
    }
    buffer_append_text(&out, "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
    lws_write(wsi, out.data, out.size, LWS_WRITE_HTTP_HEADERS);
    buffer_finish(&out);
    return -1; /* lws sends what the kernel did not take yet, then closes */
}

int http_request_answer(struct lws *wsi, unsigned status, const char *extra_headers) {
    return send_answer(wsi, status, extra_headers);
}

int http_request_answer_preflight(struct lws *wsi) {
    char asked[REQUEST_HEADERS_BYTES];
    char headers[REQUEST_HEADERS_BYTES + 160];
    bool has_asked = copy_header_list(wsi, asked, sizeof(asked));
    snprintf(headers, sizeof(headers),
             "Access-Control-Allow-Methods: POST, OPTIONS\r\nAccess-Control-Max-Age: 300\r\n%s%s%s",
             has_asked ? "Access-Control-Allow-Headers: " : "", has_asked ? asked : "", has_asked ? "\r\n" : "");
    return send_answer(wsi, 204, headers);
}

bool http_request_argument(struct lws *wsi, const char *name, struct buffer *out) {
    char fragment[ARGUMENT_BYTES];
    size_t name_size = strlen(name);
    for (int i = 0;; i++) {
        int size = lws_hdr_copy_fragment(wsi, fragment, sizeof(fragment), WSI_TOKEN_HTTP_URI_ARGS, i);
        if (size < 0) {
            return false;
        }
        if ((size_t) size > name_size && memcmp(fragment, name, name_size) == 0 && fragment[name_size] == '=') {
            return buffer_append(out, fragment + name_size + 1, (size_t) size - name_size - 1);
        }
    }
}
