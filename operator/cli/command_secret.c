/* secret: the Secrets that a spec's pods need, with new random values; a service's keys; the steps of a rotation.
 * Nothing else of this program is random: who runs it applies the output once, or seals it, and keeps it. Run again it
 * makes others, which would lock everybody out; so it says that, and no command calls it.
 *
 * <name>-auth has the secret of tokens, the internal listeners' token, and the passwords of a Redis that we run;
 * <name>-curve the key pairs of brokers and gateways. The provider of an external Redis gives its password: that stands
 * in a Secret of its own. */
#include "base/base64.h"
#include "base/curve_keys.h"
#include "base/random.h"
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/cli/curve_rotation.h"
#include "operator/cli/secret_rotation.h"
#include "operator/manifest/manifest_emit.h"
#include "operator/spec/spec_derive.h"
#include "operator/spec/spec_format.h"

#include <errno.h>
#include <string.h>

enum { SECRET_LENGTH = 48, CURRENT_MAX = CONFIG_YAML_BYTES_MAX };

/* 48 of 62 characters: 285 bits. */
static void set_random(manifest_t *data, const char *key) {
    char text[SECRET_LENGTH + 1];
    random_base62(text, SECRET_LENGTH);
    manifest_set_text(data, key, text);
    explicit_bzero(text, sizeof text);
}

/* As base/curve_keys.h reads them: NAME with both halves, NAME.pub with one. */
static void set_key_pair(arena_t *arena, manifest_t *data, const char *name) {
    struct curve_keys keys;
    curve_keys_generate(&keys);
    manifest_set_format(data, name, "public = %s\nsecret = %s\n", keys.public_text, keys.secret_text);
    manifest_set_format(data, arena_format(arena, "%s.pub", name), "public = %s\n", keys.public_text);
    curve_keys_wipe(&keys);
}

/* `values`: stringData, or data for base64. */
static manifest_t *add_secret(manifests_t *list, const struct spec *spec, const char *name, const char *values) {
    manifest_t *secret = manifests_add(list, "v1", "Secret", name);
    manifest_t *metadata = manifest_get(secret, "metadata");
    manifest_set_text_if(metadata, "namespace", spec->metadata.namespace);
    manifest_t *labels = manifest_add_map(metadata, "labels");
    manifest_set_text(labels, "app.kubernetes.io/name", "callboard");
    manifest_set_text(labels, "app.kubernetes.io/instance", spec->metadata.name);
    manifest_set_text(secret, "type", "Opaque");
    return manifest_add_map(secret, values);
}

static void add_secrets(manifests_t *list, const struct spec *spec) {
    manifest_t *auth = add_secret(list, spec, spec->auth.existing_secret, "stringData");
    set_random(auth, spec->auth.keys.token_secret);
    set_random(auth, spec->auth.keys.internal_token);
    if (spec_redis_pods(spec) > 0) {
        set_random(auth, spec->auth.keys.redis_password);
    }
    if (spec->redis.mode == SPEC_REDIS_SENTINEL) {
        set_random(auth, spec->auth.keys.sentinel_password);
    }
    if (spec_has_exporter(spec)) {
        set_random(auth, spec->auth.keys.exporter_password);
    }
    manifest_t *curve = add_secret(list, spec, spec->broker.curve_secret, "stringData");
    set_key_pair(manifests_arena(list), curve, "broker.key");
    set_key_pair(manifests_arena(list), curve, "gateway.key");
}

/* ---- a service ---- */

static void set_base64(manifest_t *data, const char *key, const char *bytes) {
    struct buffer text = BUFFER_EMPTY;
    base64_encode(&text, span_of_text(bytes));
    manifest_set_format(data, key, "%.*s", (int) text.size, (const char *) text.data);
    explicit_bzero(text.data, text.size);
    buffer_finish(&text);
}

/* Its own pair in a Secret of its own, for its pods, and its public key for the brokers. That stands in `data`, where
 * several who apply may each own their keys of one Secret. */
static void add_service(manifests_t *list, const struct spec *spec, const char *service) {
    arena_t *arena = manifests_arena(list);
    struct curve_keys keys;
    curve_keys_generate(&keys);
    const char *public_half = arena_format(arena, "public = %s\n", keys.public_text);
    char *both = arena_format(arena, "%ssecret = %s\n", public_half, keys.secret_text);
    manifest_t *own =
        add_secret(list, spec, arena_format(arena, "%s-service-%s", spec->broker.curve_secret, service), "data");
    set_base64(own, "service.key", both);
    explicit_bzero(both, strlen(both));
    curve_keys_wipe(&keys);
    manifest_t *allowed = add_secret(list, spec, arena_format(arena, "%s-services", spec->broker.curve_secret), "data");
    set_base64(allowed, arena_format(arena, "%s.pub", service), public_half);
}

/* ---- the command ---- */

static void remark(struct command_call *call, const char *text) {
    if (!call->is_quiet) {
        buffer_append_text(call->messages, text);
    }
}

static int print_new(const struct command_specs *specs, struct command_call *call) {
    manifests_t *list = manifests_new(call->arena);
    for (size_t i = 0; i < specs->documents.n; i++) {
        add_secrets(list, &specs->documents.items[i]->spec);
    }
    manifests_append_yaml(list, call->out);
    remark(call, "New secrets: apply them once (kubectl apply -f -), or seal them; another run makes others.\n");
    return OPERATOR_DONE;
}

static int print_service(const struct command_specs *specs, const char *service, struct command_call *call) {
    if (!spec_format_accepts(SPEC_FORMAT_LABEL, service)) {
        return command_usage_error(call, "secret", "--service: \"%s\" is no name: %s", service,
                                   spec_format_description(SPEC_FORMAT_LABEL));
    }
    manifests_t *list = manifests_new(call->arena);
    for (size_t i = 0; i < specs->documents.n; i++) {
        add_service(list, &specs->documents.items[i]->spec, service);
    }
    manifests_append_yaml(list, call->out);
    remark(call, arena_format(call->arena,
                              "Apply them beside the other services' (kubectl apply --server-side "
                              "--field-manager=callboard-service-%s -f -). Another key is another name.\n",
                              service));
    return OPERATOR_DONE;
}

/* Which Secret `current` has says what is rotated: the CURVE pairs, or the passwords of Redis. */
static int rotate(const struct spec *spec, enum rotation_step step, struct span current, struct command_call *call) {
    manifests_t *list = manifests_new(call->arena);
    bool is_curve;
    const char *reason = curve_rotation_apply(spec, step, current, list, &is_curve);
    if (!is_curve && spec_redis_pods(spec) == 0) {
        return command_usage_error(call, "secret",
                                   "--rotate is for the passwords of a Redis of ours and for the Secret %s, which is "
                                   "not in what --current names",
                                   spec->broker.curve_secret);
    }
    if (!is_curve) {
        reason = rotation_apply(spec, step, current, list);
    }
    if (reason != NULL) {
        buffer_append_format(call->messages, "%s secret: %s\n", call->program, reason);
        return OPERATOR_UNSAFE;
    }
    manifests_append_yaml(list, call->out);
    remark(call, is_curve ? curve_rotation_advice(call->arena, spec, step) : rotation_advice(call->arena, spec, step));
    return OPERATOR_DONE;
}

static int print_rotated(const struct command_specs *specs, const char *step_name, struct command_call *call) {
    const char *file = command_option(call, "current");
    enum rotation_step step;
    struct buffer text;
    if (!rotation_step_parse(step_name, &step)) {
        return command_usage_error(call, "secret", "--rotate is add, use or drop, not %s", step_name);
    }
    if (file == NULL || specs->documents.n != 1) {
        return command_usage_error(call, "secret",
                                   "--rotate takes one spec, and --current: the Secret as it is (kubectl "
                                   "get secret NAME -o yaml)");
    }
    buffer_init(&text, CURRENT_MAX + 1); /* one more, so that a larger one shows */
    int exit_code = OPERATOR_OUTSIDE;
    if (command_read_file(file, &text)) {
        exit_code = rotate(&specs->documents.items[0]->spec, step, buffer_span(&text), call);
    } else {
        buffer_append_format(call->messages, "%s secret: %s: %s\n", call->program, file, strerror(errno));
    }
    if (text.size > 0) {
        explicit_bzero(text.data, text.size);
    }
    buffer_finish(&text);
    return exit_code;
}

static int print(const struct command_specs *specs, struct command_call *call) {
    const char *step = command_option(call, "rotate");
    const char *service = command_option(call, "service");
    if (step != NULL) {
        return print_rotated(specs, step, call);
    }
    return service != NULL ? print_service(specs, service, call) : print_new(specs, call);
}

static int run(struct command_call *call) {
    struct command_specs specs;
    return command_specs_conclude(&specs, call, command_specs_read(call, "secret", &specs), print);
}

static const struct command_option options[] = {
    {"service", "NAME", "a key pair of a backend service, and its place among those that brokers let in"},
    {"rotate", "add|use|drop",
     "the next step in which the passwords of Redis, or the CURVE pairs, become others without an outage"},
    {"current", "FILE", "with --rotate: the Secret as it is, as kubectl get secret NAME -o yaml prints it; - is stdin"},
    {NULL, NULL, NULL},
};

const struct command command_secret = {
    .name = "secret",
    .arguments = "SPEC…",
    .help =
        "print the Secrets that the pods need, with new random values: to apply once; or the next step of a rotation",
    .outputs = "yaml",
    .options = options,
    .run = run,
};
