/* A request becomes the options of one libcurl handle, which keeps its connection.
 *
 * Failure modes: every CURLcode is one of five outcomes; TLS failures say what to look at. Bodies and headers have
 * bounds, and what is over them breaks the transfer off. The environment's proxy counts (HTTPS_PROXY, NO_PROXY) as for
 * kubectl, unless the kubeconfig names one. */
#include "operator/kube/kube_http.h"

#include "base/check.h"
#include "base/memory.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 10000, WARNING_BYTES_MAX = 16 * 1024, HEADERS_MAX = 200 };

struct kube_http {
    const struct kube_access *access;
    CURL *curl;
    struct curl_slist *connect_to; /* of the last request; libcurl borrows it */
};

/* One transfer. */
struct transfer {
    struct kube_http_response *response;
    unsigned n_headers;
};

kube_http_t *kube_http_new(const struct kube_access *access) {
    check(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, "libcurl: not ready");
    kube_http_t *self = memory_alloc_zero(sizeof *self);
    self->access = access;
    self->curl = curl_easy_init();
    check(self->curl != NULL, "libcurl: no handle");
    return self;
}

void kube_http_free(kube_http_t **self_p) {
    kube_http_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    curl_easy_cleanup(self->curl);
    curl_slist_free_all(self->connect_to);
    curl_global_cleanup();
    memory_free(self);
}

/* ---- the answer ---- */

static size_t on_bytes(char *data, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
    size_t bytes = size * count;
    return buffer_append(&transfer->response->body, data, bytes) ? bytes : 0; /* less than given: curl breaks off */
}

bool kube_http_warning_text(struct span header, struct buffer *out) {
    const char *at = (const char *) header.data;
    const char *end = at + header.size;
    const char *quote = header.size < 4 || memcmp(at, "299 ", 4) != 0 ? NULL : memchr(at, '"', header.size);
    if (quote == NULL) {
        return false;
    }
    for (at = quote + 1; at < end && *at != '"'; at++) {
        at += *at == '\\' && at + 1 < end ? 1 : 0;
        bool is_control = (unsigned char) *at < ' ' || *at == 0x7F;
        buffer_append_char(out, is_control ? ' ' : *at);
    }
    return at < end;
}

static struct span trimmed(const char *data, size_t size) {
    while (size > 0 && (*data == ' ' || *data == '\t')) {
        data++;
        size--;
    }
    while (size > 0 && (data[size - 1] == '\r' || data[size - 1] == '\n' || data[size - 1] == ' ')) {
        size--;
    }
    return span_of(data, size);
}

static bool is_header(const char *line, size_t size, const char *name) {
    return size > strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

/* Seconds; a date, which is allowed too, no API server sends. */
static void take_retry_after(struct kube_http_response *response, struct span value) {
    enum { SECONDS_MAX = 3600 };
    uint64_t seconds;
    if (span_parse_u64(value, &seconds)) {
        response->retry_after_ms = (int64_t) (seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * 1000;
    }
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
    static const char retry_after[] = "Retry-After:";
    static const char warning[] = "Warning:";
    struct transfer *transfer = context;
    size_t bytes = size * count;
    if (transfer->n_headers++ == HEADERS_MAX) {
        return 0;
    }
    if (is_header(line, bytes, retry_after)) {
        take_retry_after(transfer->response, trimmed(line + sizeof retry_after - 1, bytes - sizeof retry_after + 1));
    } else if (is_header(line, bytes, warning)) {
        struct buffer *out = &transfer->response->warnings;
        size_t before = out->size;
        bool is_good = kube_http_warning_text(trimmed(line + sizeof warning - 1, bytes - sizeof warning + 1), out) &&
                       buffer_append_char(out, '\n');
        out->size = is_good ? out->size : before;
    }
    return bytes;
}

/* ---- the request ---- */

static void set_blob(CURL *curl, CURLoption option, const char *pem) {
    struct curl_blob blob = {.data = (void *) (uintptr_t) pem, .len = strlen(pem), .flags = CURL_BLOB_COPY};
    curl_easy_setopt(curl, option, &blob);
}

static void set_trust(CURL *curl, const struct kube_access *access) {
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, access->skips_verification ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, access->skips_verification ? 0L : 2L);
    if (access->ca_pem != NULL) {
        set_blob(curl, CURLOPT_CAINFO_BLOB, access->ca_pem);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    if (access->proxy_url != NULL) {
        curl_easy_setopt(curl, CURLOPT_PROXY, access->proxy_url);
    }
}

static void set_identity(CURL *curl, const struct kube_http_identity *identity) {
    if (identity->client_certificate_pem != NULL) {
        set_blob(curl, CURLOPT_SSLCERT_BLOB, identity->client_certificate_pem);
        set_blob(curl, CURLOPT_SSLKEY_BLOB, identity->client_key_pem);
    }
    if (identity->token != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, identity->token);
    } else if (identity->user_name != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, identity->user_name);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, identity->password == NULL ? "" : identity->password);
    }
}

static struct curl_slist *append_header(struct curl_slist *list, const char *line) {
    struct curl_slist *longer = curl_slist_append(list, line);
    check(longer != NULL, "libcurl: no memory for a header");
    return longer;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value) {
    struct buffer line = BUFFER_EMPTY;
    buffer_append_format(&line, "%s: %s", name, value);
    buffer_append_char(&line, '\0');
    struct curl_slist *longer = append_header(list, (const char *) line.data);
    buffer_finish(&line);
    return longer;
}

/* The part of a URL that names host and port. */
static struct span authority_of(const char *url) {
    const char *begin = strstr(url, "://");
    begin = begin == NULL ? url : begin + 3;
    return span_of(begin, strcspn(begin, "/?"));
}

static struct curl_slist *headers_of(const struct kube_http *self, const struct kube_http_request *request) {
    const struct kube_access *access = self->access;
    struct curl_slist *list = add_header(NULL, "Accept", request->accept);
    list = add_header(list, "Expect", ""); /* no pause before a body */
    if (access->tls_server_name != NULL) {
        struct span authority = authority_of(request->url);
        char host[300];
        snprintf(host, sizeof host, "%.*s", (int) authority.size, (const char *) authority.data);
        list = add_header(list, "Host", host);
    }
    if (request->content_type != NULL) {
        list = add_header(list, "Content-Type", request->content_type);
    }
    if (request->header != NULL) {
        list = append_header(list, request->header);
    }
    if (access->impersonated_user != NULL) {
        list = add_header(list, "Impersonate-User", access->impersonated_user);
    }
    for (size_t i = 0; access->impersonated_groups != NULL && access->impersonated_groups[i] != NULL; i++) {
        list = add_header(list, "Impersonate-Group", access->impersonated_groups[i]);
    }
    return list;
}

/* tls-server-name is what the URL names then, for SNI and the check of the certificate; the connection and the Host
 * header are those of the server. */
static void set_url(struct kube_http *self, const char *url) {
    const char *name = self->access->tls_server_name;
    if (name == NULL) {
        curl_easy_setopt(self->curl, CURLOPT_URL, url);
        return;
    }
    struct span authority = authority_of(url);
    struct buffer text = BUFFER_EMPTY;
    int before = (int) ((const char *) authority.data - url);
    buffer_append_format(&text, "::%.*s", (int) authority.size, (const char *) authority.data);
    buffer_append_char(&text, '\0');
    curl_slist_free_all(self->connect_to);
    self->connect_to = curl_slist_append(NULL, (const char *) text.data);
    buffer_clear(&text);
    buffer_append_format(&text, "%.*s%s%s", before, url, name, (const char *) authority.data + authority.size);
    buffer_append_char(&text, '\0');
    curl_easy_setopt(self->curl, CURLOPT_URL, (const char *) text.data); /* libcurl copies it */
    curl_easy_setopt(self->curl, CURLOPT_CONNECT_TO, self->connect_to);
    buffer_finish(&text);
}

static void set_request(CURL *curl, const struct kube_http_request *request) {
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "callboard-operator/" CALLBOARD_VERSION);
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, ""); /* what libcurl can unpack */
    long timeout_ms = (long) (request->timeout_ms > 0 ? request->timeout_ms : 1);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     timeout_ms < CONNECT_TIMEOUT_MS ? timeout_ms : (long) CONNECT_TIMEOUT_MS);
    if (request->content_type != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body.size);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.data);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* ---- what became of it ---- */

static bool is_tls(CURLcode code) {
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SSL_CERTPROBLEM ||
           code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CIPHER || code == CURLE_SSL_ISSUER_ERROR ||
           code == CURLE_SSL_PINNEDPUBKEYNOTMATCH || code == CURLE_SSL_INVALIDCERTSTATUS;
}

static bool is_unsent(CURLcode code) {
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
           code == CURLE_PROXY || code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
}

static enum kube_http_outcome outcome_of(CURL *curl, CURLcode code, const struct kube_http_response *response) {
    if (code == CURLE_OK) {
        return KUBE_HTTP_ANSWERED;
    }
    if (response->body.overflow) {
        return KUBE_HTTP_TOO_LARGE;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        long sent = 0;
        curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
        return sent == 0 ? KUBE_HTTP_UNSENT : KUBE_HTTP_TIMED_OUT;
    }
    return is_tls(code) ? KUBE_HTTP_TLS : is_unsent(code) ? KUBE_HTTP_UNSENT : KUBE_HTTP_BROKEN;
}

static void tell(enum kube_http_outcome outcome, CURLcode code, const char *detail, size_t body_max,
                 struct kube_http_response *response) {
    const char *what = detail[0] == '\0' ? curl_easy_strerror(code) : detail;
    if (outcome == KUBE_HTTP_TOO_LARGE) {
        snprintf(response->error, sizeof response->error, "the answer has more than %zu bytes", body_max);
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        snprintf(response->error, sizeof response->error,
                 "its certificate is not trusted: %s; look at certificate-authority and tls-server-name", what);
    } else if (code == CURLE_SSL_CERTPROBLEM) {
        snprintf(response->error, sizeof response->error,
                 "our certificate or key cannot be used: %s; look at client-certificate and client-key", what);
    } else {
        snprintf(response->error, sizeof response->error, "%s", what);
    }
}

enum kube_http_outcome kube_http_perform(kube_http_t *self, const struct kube_http_request *request,
                                         struct kube_http_response *response) {
    struct transfer transfer = {.response = response};
    char detail[CURL_ERROR_SIZE] = "";
    CURL *curl = self->curl;
    response->status = 0;
    response->retry_after_ms = -1;
    response->error[0] = '\0';
    buffer_finish(&response->body);
    buffer_init(&response->body, request->body_bytes_max);
    buffer_finish(&response->warnings);
    buffer_init(&response->warnings, WARNING_BYTES_MAX);
    curl_easy_reset(curl); /* options only: the connection stays */
    set_url(self, request->url);
    set_request(curl, request);
    set_trust(curl, self->access);
    set_identity(curl, request->identity);
    struct curl_slist *headers = headers_of(self, request);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int) status;
    enum kube_http_outcome outcome = outcome_of(curl, code, response);
    if (outcome != KUBE_HTTP_ANSWERED) {
        tell(outcome, code, detail, request->body_bytes_max, response);
    }
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    return outcome;
}

void kube_http_response_finish(struct kube_http_response *response) {
    buffer_finish(&response->body);
    buffer_finish(&response->warnings);
}
