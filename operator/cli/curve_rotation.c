/* See curve_rotation.h. Failure modes: as of secret_rotation.c; nothing is printed then. */
#include "operator/cli/curve_rotation.h"

#include "base/base64.h"
#include "base/curve_keys.h"
#include "operator/cli/secret_object.h"

#include <string.h>

enum { TEXT_MAX = 4096 };

static const char *const names[] = {"broker.key", "gateway.key"};

/* NULL: it has no such key, or it is no base64. In the arena. */
static const char *text_of(arena_t *arena, const manifest_t *data, const char *key) {
    const char *encoded = manifest_text_of(manifest_get(data, key));
    struct buffer bytes;
    buffer_init(&bytes, TEXT_MAX);
    const char *text = encoded != NULL && base64_decode(&bytes, span_of_text(encoded))
                           ? arena_text_of(arena, buffer_span(&bytes))
                           : NULL;
    if (bytes.size > 0) {
        explicit_bzero(bytes.data, bytes.size);
    }
    buffer_finish(&bytes);
    return text;
}

/* The two first lines that begin with "public"; returns how many lines do. */
static size_t public_lines(const char *text, struct span ret_lines[2]) {
    size_t n = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        struct span line = span_of(text, size);
        if (span_starts_with(line, SPAN_LITERAL("public"))) {
            if (n < 2) {
                ret_lines[n] = line;
            }
            n++;
        }
        text += size + (text[size] == '\n');
    }
    return n;
}

static void set_text(manifest_t *data, const char *key, const char *text) {
    secret_object_set(data, key, span_of_text(text));
}

static void add_pair(arena_t *arena, manifest_t *data, const char *name, const char *public_key, struct span old) {
    struct curve_keys keys;
    curve_keys_generate(&keys);
    char *pair = arena_format(arena, "public = %s\nsecret = %s\n", keys.public_text, keys.secret_text);
    set_text(data, arena_format(arena, "%s.next", name), pair);
    set_text(data, public_key,
             arena_format(arena, "%.*s\npublic = %s\n", (int) old.size, (const char *) old.data, keys.public_text));
    explicit_bzero(pair, strlen(pair));
    curve_keys_wipe(&keys);
}

static const char *rotate_pair(arena_t *arena, manifest_t *data, const char *name, enum rotation_step step) {
    const char *public_key = arena_format(arena, "%s.pub", name);
    const char *next_key = arena_format(arena, "%s.next", name);
    const char *public_text = text_of(arena, data, public_key);
    const char *next = text_of(arena, data, next_key);
    struct span lines[2];
    if (public_text == NULL || text_of(arena, data, name) == NULL) {
        return arena_format(arena, "the Secret lacks %s or %s, or it is no base64", name, public_key);
    }
    size_t n = public_lines(public_text, lines);
    switch (step) {
    case ROTATION_ADD:
        if (n != 1 || next != NULL) {
            return arena_format(arena, "%s has two keys already, or there is a %s: go on with use or drop", public_key,
                                next_key);
        }
        add_pair(arena, data, name, public_key, lines[0]);
        break;
    case ROTATION_USE:
        if (n != 2 || next == NULL) {
            return arena_format(arena, "%s has not two keys, or there is no %s: begin with add", public_key, next_key);
        }
        set_text(data, name, next);
        set_text(data, public_key,
                 arena_format(arena, "%.*s\n%.*s\n", (int) lines[1].size, (const char *) lines[1].data,
                              (int) lines[0].size, (const char *) lines[0].data));
        manifest_remove(data, next_key);
        break;
    case ROTATION_DROP:
    case ROTATION_STEPS:
        if (n != 2 || next != NULL) {
            return arena_format(arena, "%s has not two keys of which the first is in use: there is nothing to drop",
                                public_key);
        }
        set_text(data, public_key, arena_format(arena, "%.*s\n", (int) lines[0].size, (const char *) lines[0].data));
        break;
    }
    return NULL;
}

const char *curve_rotation_apply(const struct spec *spec, enum rotation_step step, struct span text, manifests_t *out,
                                 bool *ret_is_there) {
    arena_t *arena = manifests_arena(out);
    const char *ignored;
    const manifest_t *current = secret_object_read(arena, spec->broker.curve_secret, text, &ignored);
    manifest_t *old = current == NULL ? NULL : manifest_get(current, "data");
    *ret_is_there = current != NULL;
    if (current == NULL) {
        return NULL;
    }
    if (old == NULL || manifest_kind(old) != MANIFEST_MAP) {
        return "the current Secret has no data";
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *why = rotate_pair(arena, old, names[i], step);
        if (why != NULL) {
            return why;
        }
    }
    manifest_t *data = secret_object_add(current, spec->broker.curve_secret, out);
    for (size_t i = 0; i < manifest_count(old); i++) {
        manifest_set(data, manifest_key_at(old, i), manifest_copy(arena, manifest_at(old, i)));
    }
    return NULL;
}

const char *curve_rotation_advice(arena_t *arena, const struct spec *spec, enum rotation_step step) {
    static const char *const next[ROTATION_STEPS] = {
        "Then --rotate use.",
        "Then --rotate drop.",
        "The old keys are taken no more.",
    };
    const char *name = spec->metadata.name;
    const char *brokers = arena_format(arena, "statefulset/%s-broker", name);
    const char *gateways = arena_format(arena, "deployment/%s-gateway", name);
    const char *first = step == ROTATION_USE ? brokers : gateways;
    const char *second = step == ROTATION_USE ? gateways : brokers;
    const char *rest = step == ROTATION_ADD ? "" : arena_format(arena, ", then %s", second);
    return arena_format(arena,
                        "Put it in place (kubectl replace -f -), give the pods two minutes to get it, and roll, one "
                        "after the other (kubectl rollout restart, kubectl rollout status): %s%s. %s\n",
                        first, rest, next[step]);
}
