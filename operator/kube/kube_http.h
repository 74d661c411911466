/* One request over https and its whole answer, by libcurl. Knows HTTP, TLS and bounds; knows nothing of Kubernetes.
 * The connection is kept for the next request. No redirects, no cookies, no .netrc. Thread: one at a time. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_HTTP_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_HTTP_H

#include "base/bytes.h"
#include "operator/kube/kube_access.h"

typedef struct kube_http kube_http_t;

/* What a request is signed with; each NULL where it is not used. */
struct kube_http_identity {
    const char *client_certificate_pem;
    const char *client_key_pem;
    const char *token;
    const char *user_name;
    const char *password;
};

struct kube_http_request {
    const char *method;
    const char *url;
    const char *content_type; /* NULL: no body */
    struct span body;
    const char *accept;
    const char *header; /* one more, whole; NULL: none */
    const struct kube_http_identity *identity;
    int64_t timeout_ms;
    size_t body_bytes_max; /* of the answer */
};

enum kube_http_outcome {
    KUBE_HTTP_ANSWERED,
    KUBE_HTTP_UNSENT,    /* no connection: the server cannot have seen it */
    KUBE_HTTP_BROKEN,    /* it broke off: the server may have seen it */
    KUBE_HTTP_TLS,       /* whom we do not trust, or who does not trust us */
    KUBE_HTTP_TOO_LARGE, /* the answer */
    KUBE_HTTP_TIMED_OUT,
};

struct kube_http_response {
    int status;
    int64_t retry_after_ms; /* -1: not said */
    struct buffer body;     /* whole */
    struct buffer warnings; /* what the server warns of, a line each */
    char error[512];        /* of every outcome but ANSWERED, for a person, without secrets */
};

/* `access` outlives it. */
kube_http_t *kube_http_new(const struct kube_access *access);
void kube_http_free(kube_http_t **self_p);
/* Clears the response first; kube_http_response_finish frees its buffers. */
enum kube_http_outcome kube_http_perform(kube_http_t *self, const struct kube_http_request *request,
                                         struct kube_http_response *response);
void kube_http_response_finish(struct kube_http_response *response);

/* The text between the quotes of Warning: 299 - "…" (RFC 7234 5.5); false: another one. */
bool kube_http_warning_text(struct span header, struct buffer *out);

#endif
