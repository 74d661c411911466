/* Failure modes: a Secret that is not there, a key that is missing or no base64, a step out of its order (`use` where
 * nothing was added), an `add` while another one is under way. Nothing is printed then: half a Secret would lock out.
 */
#include "operator/cli/secret_rotation.h"

#include "base/base64.h"
#include "base/random.h"
#include "operator/cli/secret_object.h"

#include <string.h>

enum { PASSWORD_LENGTH = 48, SECRET_MAX = 64 * 1024 };

static const char *const step_names[ROTATION_STEPS] = {"add", "use", "drop"};

bool rotation_step_parse(const char *text, enum rotation_step *ret_step) {
    for (int i = 0; i < ROTATION_STEPS; i++) {
        if (strcmp(text, step_names[i]) == 0) {
            *ret_step = (enum rotation_step) i;
            return true;
        }
    }
    return false;
}

/* ---- one password ---- */

static struct span next_line(struct span *rest) {
    const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    struct span line = span_of(rest->data, end == NULL ? rest->size : (size_t) (end - rest->data));
    size_t taken = end == NULL ? line.size : line.size + 1;
    *rest = span_of(rest->data + taken, rest->size - taken);
    while (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    return line;
}

/* Its lines that are not empty; at most two are of interest, more are counted. */
static size_t lines_of(struct span text, struct span lines[2]) {
    size_t n = 0;
    while (text.size > 0) {
        struct span line = next_line(&text);
        if (line.size > 0 && n < 2) {
            lines[n] = line;
        }
        n += line.size > 0 ? 1 : 0;
    }
    return n;
}

static void append_line(struct buffer *out, struct span line) {
    buffer_append(out, line.data, line.size);
    buffer_append_char(out, '\n');
}

/* False: the step is out of its order. */
static bool exchange(enum rotation_step step, struct span old, struct buffer *out) {
    struct span lines[2];
    size_t n = lines_of(old, lines);
    if (n != (step == ROTATION_ADD ? 1 : 2)) {
        return false;
    }
    char password[PASSWORD_LENGTH + 1];
    switch (step) {
    case ROTATION_ADD:
        random_base62(password, PASSWORD_LENGTH);
        append_line(out, lines[0]);
        append_line(out, span_of(password, PASSWORD_LENGTH));
        explicit_bzero(password, sizeof password);
        break;
    case ROTATION_USE:
        append_line(out, lines[1]);
        append_line(out, lines[0]);
        break;
    case ROTATION_DROP:
    case ROTATION_STEPS:
        append_line(out, lines[0]);
        break;
    }
    return true;
}

static const char *out_of_order(arena_t *arena, const char *key, enum rotation_step step) {
    static const char *const reasons[ROTATION_STEPS] = {
        "has two passwords already: go on with use or drop, or take the one out that is not used",
        "has not two passwords: begin with add",
        "has not two passwords: there is nothing to drop",
    };
    return arena_format(arena, "%s %s", key, reasons[step]);
}

static const char *rotate_key(manifest_t *data, const char *key, enum rotation_step step, arena_t *arena) {
    const char *encoded = manifest_text_of(manifest_get(data, key));
    struct buffer old;
    struct buffer new;
    buffer_init(&old, SECRET_MAX);
    buffer_init(&new, 2 * SECRET_MAX);
    const char *why = NULL;
    if (encoded == NULL || !base64_decode(&old, span_of_text(encoded))) {
        why = arena_format(arena, "the Secret has no key %s, or it is no base64", key);
    } else if (!exchange(step, buffer_span(&old), &new)) {
        why = out_of_order(arena, key, step);
    } else {
        secret_object_set(data, key, buffer_span(&new));
    }
    for (struct buffer *each[] = {&old, &new}, **at = each; at < each + 2; at++) {
        if ((*at)->size > 0) {
            explicit_bzero((*at)->data, (*at)->size);
        }
        buffer_finish(*at);
    }
    return why;
}

/* The exporter runs in the pod that its password is for, and begins anew with it: it has no second one. */
static void replace_exporter_password(const struct spec *spec, manifest_t *data) {
    char password[PASSWORD_LENGTH + 1];
    random_base62(password, PASSWORD_LENGTH);
    secret_object_set(data, spec->auth.keys.exporter_password, span_of(password, PASSWORD_LENGTH));
    explicit_bzero(password, sizeof password);
}

/* ---- all of it ---- */

const char *rotation_apply(const struct spec *spec, enum rotation_step step, struct span text, manifests_t *out) {
    arena_t *arena = manifests_arena(out);
    const char *unread = NULL;
    const char *keys[] = {spec->auth.keys.redis_password,
                          spec->redis.mode == SPEC_REDIS_SENTINEL ? spec->auth.keys.sentinel_password : NULL};
    manifest_t *current = secret_object_read(arena, spec->auth.existing_secret, text, &unread);
    manifest_t *old = current == NULL ? NULL : manifest_get(current, "data");
    if (old == NULL || manifest_kind(old) != MANIFEST_MAP) {
        return unread != NULL ? unread : "the current Secret has no data";
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && keys[i] != NULL; i++) {
        const char *why = rotate_key(old, keys[i], step, arena);
        if (why != NULL) {
            return why;
        }
    }
    if (step == ROTATION_ADD && spec->monitoring.exporter[0] != '\0') {
        replace_exporter_password(spec, old);
    }
    manifest_t *data = secret_object_add(current, spec->auth.existing_secret, out);
    for (size_t i = 0; i < manifest_count(old); i++) {
        manifest_set(data, manifest_key_at(old, i), manifest_copy(arena, manifest_at(old, i)));
    }
    return NULL;
}

const char *rotation_advice(arena_t *arena, const struct spec *spec, enum rotation_step step) {
    static const char *const next[ROTATION_STEPS] = {
        "Then --rotate use.",
        "Then --rotate drop.",
        "The old passwords are taken no more.",
    };
    const char *name = spec->metadata.name;
    const char *sentinel =
        spec->redis.mode == SPEC_REDIS_SENTINEL ? arena_format(arena, ", then statefulset/%s-sentinel", name) : "";
    const char *broker = step == ROTATION_USE ? arena_format(arena, ", then statefulset/%s-broker", name) : "";
    return arena_format(
        arena,
        "Put it in place (kubectl replace -f -), and roll, one after the other (kubectl rollout restart, "
        "kubectl rollout status): statefulset/%s-redis%s%s. %s\n",
        name, sentinel, broker, next[step]);
}
