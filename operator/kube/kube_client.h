/* A client of the Kubernetes API: objects as manifest_t trees in and out, over https (libcurl), one call at a time.
 *
 *     kube_client_t *client = kube_client_new(&(struct kube_client_options){.access = &access});
 *     struct kube_answer answer;
 *     if (kube_get(client, "apps/v1", "StatefulSet", NULL, "shop-redis", arena, &answer) == KUBE_OK) … answer.object …
 *     kube_client_free(&client);
 *
 * apiVersion and kind become a path by the server's own discovery, asked once per group and remembered. A namespace of
 * NULL is the object's own, else the context's (access.namespace); for kinds without namespaces it is left out.
 *
 * Bounds: a body has at most KUBE_BODY_BYTES_MAX, JSON is KUBE_JSON_DEPTH_MAX deep, a list (all its pages) has at most
 * KUBE_LIST_ITEMS_MAX items; more is KUBE_UNREACHABLE with a message. Each call ends within call_timeout_ms and at
 * the deadline, retries included: what may be sent again is, at most KUBE_ATTEMPTS times, after 429 and 5xx as the
 * server's Retry-After says (at most 30 s), else with a growing delay and jitter. A token that the server no longer
 * takes is read or made again once. Nothing of a Secret, token or key is in a message.
 *
 * Thread: one at a time. It installs no signal handlers; the caller ignores SIGPIPE. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_CLIENT_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_CLIENT_H

#include "base/bytes.h"
#include "operator/kube/kube_access.h"
#include "operator/manifest/manifest.h"

#define KUBE_FIELD_MANAGER "callboard-operator"

enum {
    KUBE_BODY_BYTES_MAX = 16 * 1024 * 1024,
    KUBE_JSON_DEPTH_MAX = 64,
    KUBE_LIST_ITEMS_MAX = 20000,
    KUBE_ATTEMPTS = 5,
    KUBE_CALL_TIMEOUT_MS = 30000,
};

typedef struct kube_client kube_client_t;

enum kube_result {
    KUBE_OK,
    KUBE_NOT_FOUND,   /* 404, also: the server does not have this kind (answer.reason "NoSuchKind") */
    KUBE_CONFLICT,    /* 409: another field manager, another version, another uid, AlreadyExists */
    KUBE_DENIED,      /* 401, 403, or a credential plugin that gave none */
    KUBE_INVALID,     /* 400, 422 and other 4xx: the request is at fault */
    KUBE_BUSY,        /* 429 to the end; of an eviction at once: a disruption budget forbids it now */
    KUBE_UNREACHABLE, /* no connection, TLS, 5xx to the end, an answer that is none or too large */
    KUBE_TIMED_OUT,   /* the call's time or the deadline */
};

/* Texts and object are in the arena of the call. */
struct kube_answer {
    int status;          /* of HTTP; 0: there was no answer */
    manifest_t *object;  /* what the server has now; of a failure its Status (details.causes…); NULL: neither */
    const char *reason;  /* the Status' reason, as "Invalid"; "" without */
    const char *message; /* for a person: what was asked of whom, what came, how to mend it; "" for KUBE_OK */
};

enum kube_flags {
    KUBE_DRY_RUN = 1, /* the server judges and answers as if, and keeps nothing */
    KUBE_FORCE = 2,   /* of kube_apply: take fields that another manager owns */
};

struct kube_client_options {
    const struct kube_access *access; /* outlives the client */
    int64_t call_timeout_ms;          /* 0: KUBE_CALL_TIMEOUT_MS */
    uint64_t deadline_ms;             /* of the command, by clock_monotonic_ms(); 0: none */
    /* Waits, and what the server warns of (Warning: 299), as lines for a person; NULL: not wanted. */
    void (*tell)(void *context, const char *text);
    void *context;
};

kube_client_t *kube_client_new(const struct kube_client_options *options);
void kube_client_free(kube_client_t **self_p);
void kube_client_set_deadline(kube_client_t *self, uint64_t deadline_ms);
const char *kube_client_namespace(const kube_client_t *self); /* what a namespace of NULL is */
const char *kube_client_server(const kube_client_t *self);    /* https://… for messages */

const char *kube_result_name(enum kube_result result); /* "not found", … */

/* ---- objects ---- */

enum kube_result kube_get(kube_client_t *self, const char *api_version, const char *kind, const char *namespace,
                          const char *name, arena_t *arena, struct kube_answer *ret_answer);
/* Appends all items to `out` (of `arena`), each with apiVersion and kind. `namespace` "*": of all namespaces.
 * `label_selector` as "app.kubernetes.io/instance=shop"; NULL: all. Follows `continue`. */
enum kube_result kube_list(kube_client_t *self, const char *api_version, const char *kind, const char *namespace,
                           const char *label_selector, arena_t *arena, manifests_t *out,
                           struct kube_answer *ret_answer);
/* Events about the object of this uid, as kube_list has them: another one had the same name before (a StatefulSet's
 * pods). */
enum kube_result kube_list_events(kube_client_t *self, const char *namespace, const char *uid, arena_t *arena,
                                  manifests_t *out, struct kube_answer *ret_answer);
/* Server-side apply as KUBE_FIELD_MANAGER. `flags`: enum kube_flags. */
enum kube_result kube_apply(kube_client_t *self, const manifest_t *object, unsigned flags, arena_t *arena,
                            struct kube_answer *ret_answer);
/* A JSON merge patch (RFC 7386): null takes a key away. `subresource` as "scale", "status"; NULL: the object. */
enum kube_result kube_patch_merge(kube_client_t *self, const char *api_version, const char *kind, const char *namespace,
                                  const char *name, const char *subresource, const manifest_t *patch, unsigned flags,
                                  arena_t *arena, struct kube_answer *ret_answer);
/* POST. Of a `subresource` ("eviction", "token"; NULL: a new object) it is that of the object's metadata.name, whose
 * kind is `kind` ("Pod") and version `api_version`; else both are the object's own and may be NULL. Sent again only
 * where the server cannot have seen it. */
enum kube_result kube_create(kube_client_t *self, const char *api_version, const char *kind, const char *subresource,
                             const manifest_t *object, unsigned flags, arena_t *arena, struct kube_answer *ret_answer);

enum kube_propagation { KUBE_BACKGROUND, KUBE_FOREGROUND, KUBE_ORPHAN };

/* `uid`: only if it is still that one (else KUBE_CONFLICT); NULL: any. */
enum kube_result kube_delete(kube_client_t *self, const char *api_version, const char *kind, const char *namespace,
                             const char *name, enum kube_propagation propagation, const char *uid, unsigned flags,
                             arena_t *arena, struct kube_answer *ret_answer);

/* ---- what is no object ---- */

/* GET of what a pod serves over http, through the API server: `path` begins with a slash. *ret_text is the body.
 * `header` ("Name: value", NULL: none) goes to the pod and into no message; Authorization would stay at the API
 * server, which takes it for itself. */
enum kube_result kube_proxy_get(kube_client_t *self, const char *namespace, const char *pod, unsigned port,
                                const char *path, const char *header, arena_t *arena, struct span *ret_text,
                                struct kube_answer *ret_answer);
/* The server's version: "1.36". */
enum kube_result kube_version(kube_client_t *self, arena_t *arena, const char **ret_version,
                              struct kube_answer *ret_answer);

struct kube_resource {
    const char *plural; /* of the path: statefulsets */
    bool is_namespaced;
};
/* KUBE_NOT_FOUND: the server has no such kind (a CRD that is not installed). */
enum kube_result kube_discover(kube_client_t *self, const char *api_version, const char *kind, arena_t *arena,
                               struct kube_resource *ret_resource, struct kube_answer *ret_answer);

#endif
