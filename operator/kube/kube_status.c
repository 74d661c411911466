/* A Status has a reason for programs, a message for people and causes with fields; each failure's cure depends on the
 * first of them. What servers in front of the API server answer (HTML, plain text) has none of these. */
#include "operator/kube/kube_status.h"

#include "operator/kube/kube_json.h"

enum { CAUSES_MAX = 8 };

static bool is_status(const manifest_t *object) {
    return object != NULL && strcmp(kube_text_at(object, "kind"), "Status") == 0;
}

bool kube_status_is_bad_field(const manifest_t *object) {
    static const char begin[] = "failed to create typed patch object";
    return is_status(object) && strncmp(kube_text_at(object, "message"), begin, sizeof begin - 1) == 0;
}

enum kube_result kube_status_result(int status, const manifest_t *object) {
    if (kube_status_is_bad_field(object)) {
        return KUBE_INVALID;
    }
    if (status >= 200 && status < 300) {
        return KUBE_OK;
    }
    switch (status) {
    case 401:
    case 403:
        return KUBE_DENIED;
    case 404:
        return KUBE_NOT_FOUND;
    case 409:
        return KUBE_CONFLICT;
    case 429:
        return KUBE_BUSY;
    case 504: /* the API server's own: what it asked took too long */
        return KUBE_TIMED_OUT;
    default:
        return status >= 400 && status < 500 ? KUBE_INVALID : KUBE_UNREACHABLE;
    }
}

bool kube_status_may_retry(int status, bool is_idempotent, bool has_retry_after) {
    bool is_refused_for_now = status == 429 || (status == 503 && has_retry_after); /* nothing was done */
    return is_refused_for_now || (is_idempotent && status >= 500 && status != 501);
}

const char *kube_status_reason(const manifest_t *object) {
    return is_status(object) ? kube_text_at(object, "reason") : "";
}

/* ---- messages ---- */

static const char *cure_of(int status, const char *reason, bool is_bad_field) {
    if (is_bad_field) {
        return "does spec.kubernetes.version say what the cluster is?";
    }
    switch (status) {
    case 401:
        return "the credentials are not taken: log in again, or look at the user of this context";
    case 403:
        return "this user may not do that here: ask for a Role that allows it, or choose another --context";
    case 404:
        return strcmp(reason, "NotFound") == 0 ? "" : "look at the server's address in the kubeconfig";
    case 429:
        return "the API server is busy; try again later";
    default:
        break;
    }
    if (status >= 300 && status < 400) {
        return "redirects are not followed: set the final address as server in the kubeconfig";
    }
    return status >= 500 ? "the API server, a webhook or a proxy before it is at fault; try again later" : "";
}

static void append_causes(const manifest_t *object, struct buffer *out) {
    const manifest_t *causes = manifest_find(object, "details.causes");
    size_t n = causes == NULL ? 0 : manifest_count(causes);
    const char *message = kube_text_at(object, "message");
    for (size_t i = 0; i < n && i < CAUSES_MAX; i++) {
        const char *text = kube_text_at(manifest_at(causes, i), "message");
        const char *field = kube_text_at(manifest_at(causes, i), "field");
        if (text[0] != '\0' && strstr(message, text) == NULL) { /* mostly the message has them all */
            buffer_append_format(out, "; %s%s%s", field, field[0] == '\0' ? "" : ": ", text);
        }
    }
    if (n > CAUSES_MAX) {
        buffer_append_format(out, "; and %zu more", n - CAUSES_MAX);
    }
}

/* One line, without what a terminal would obey. */
static const char *one_line(arena_t *arena, struct buffer *text) {
    enum { BYTES_MAX = 4000 };
    size_t size = text->size < BYTES_MAX ? text->size : BYTES_MAX;
    for (size_t i = 0; i < size; i++) {
        text->data[i] = text->data[i] < ' ' || text->data[i] == 0x7F ? ' ' : text->data[i];
    }
    while (size > 0 && size < text->size && (text->data[size] & 0xC0) == 0x80) {
        size--;
    }
    return arena_format(arena, "%.*s%s", (int) size, (const char *) text->data, size < text->size ? "…" : "");
}

const char *kube_status_message(arena_t *arena, const char *asked, int status, const manifest_t *object) {
    struct buffer text = BUFFER_EMPTY;
    const char *message = is_status(object) ? kube_text_at(object, "message") : "";
    const char *cure = cure_of(status, kube_status_reason(object), kube_status_is_bad_field(object));
    buffer_append_format(&text, "%s: %d", asked, status);
    if (message[0] != '\0') {
        buffer_append_format(&text, ": %s", message);
        append_causes(object, &text);
    } else {
        buffer_append_text(&text, ", without a reason that is Kubernetes'");
    }
    if (cure[0] != '\0') {
        buffer_append_format(&text, "; %s", cure);
    }
    const char *line = one_line(arena, &text);
    buffer_finish(&text);
    return line;
}

/* ---- conflicts ---- */

/* conflict with "kubectl-edit" using apps/v1: .spec.replicas */
static const char *manager_in(arena_t *arena, const char *message) {
    const char *begin = strchr(message, '"');
    const char *end = begin == NULL ? NULL : strchr(begin + 1, '"');
    return end == NULL ? message : arena_text_of(arena, span_of(begin + 1, (size_t) (end - begin - 1)));
}

size_t kube_status_conflicts(arena_t *arena, const manifest_t *object, struct kube_field_conflict **ret_conflicts) {
    const manifest_t *causes = is_status(object) ? manifest_find(object, "details.causes") : NULL;
    size_t n_causes = causes == NULL ? 0 : manifest_count(causes);
    size_t n = 0;
    *ret_conflicts = arena_alloc(arena, (n_causes + 1) * sizeof **ret_conflicts);
    for (size_t i = 0; i < n_causes; i++) {
        const manifest_t *cause = manifest_at(causes, i);
        if (strcmp(kube_text_at(cause, "reason"), "FieldManagerConflict") == 0) {
            (*ret_conflicts)[n++] = (struct kube_field_conflict){
                .manager = manager_in(arena, kube_text_at(cause, "message")), .field = kube_text_at(cause, "field")};
        }
    }
    return n;
}
