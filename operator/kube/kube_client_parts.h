/* What the files of the client share and nobody else includes. Thread: the client's. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_CLIENT_PARTS_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_CLIENT_PARTS_H

#include "operator/kube/kube_client.h"
#include "operator/kube/kube_credentials.h"
#include "operator/kube/kube_http.h"

struct known_group { /* what a group and version has, as the server said */
    const char *api_version;
    const manifest_t *resources;
};

struct kube_client {
    struct kube_client_options options;
    kube_http_t *http;
    kube_credentials_t *credentials;
    arena_t *arena; /* of what is remembered */
    struct known_group *groups;
    size_t n_groups;
};

/* One call: what is asked, and where the answer goes. */
struct kube_call {
    const char *method;
    const char *path; /* with its query, behind the server's address */
    const char *content_type;
    const manifest_t *body;
    const char *header;    /* one more; NULL: none */
    const char *asked;     /* for messages: "GET statefulsets/shop-redis in shop" */
    bool is_idempotent;    /* may be sent twice */
    bool is_eviction;      /* 429 is an answer */
    struct span *ret_text; /* the answer is no JSON and goes there; NULL: it is an object */
    arena_t *arena;
    struct kube_answer *answer;
};

enum kube_result kube_client_call(kube_client_t *self, const struct kube_call *call);
/* A failure before anything was sent. */
enum kube_result kube_client_fail(struct kube_answer *answer, enum kube_result result, const char *message);

#endif
