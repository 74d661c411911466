/* secret: the Secrets that a spec's pods need, with new random values. Nothing else of this program is random: who runs
 * it applies the output once, or seals it, and keeps it. Run again it makes others, which would lock everybody out; so
 * it says that, and no command calls it.
 *
 * <name>-auth has the secret of tokens, the internal listeners' token, and the passwords of a Redis that we run;
 * <name>-curve the key pairs of brokers and gateways. The provider of an external Redis gives its password: that stands
 * in a Secret of its own. */
#include "base/curve_keys.h"
#include "base/random.h"
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/manifest/manifest_emit.h"
#include "operator/spec/spec_derive.h"

enum { SECRET_LENGTH = 48 };

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

static manifest_t *add_secret(manifests_t *list, const struct spec *spec, const char *name) {
    manifest_t *secret = manifests_add(list, "v1", "Secret", name);
    manifest_t *metadata = manifest_get(secret, "metadata");
    manifest_set_text_if(metadata, "namespace", spec->metadata.namespace);
    manifest_t *labels = manifest_add_map(metadata, "labels");
    manifest_set_text(labels, "app.kubernetes.io/name", "callboard");
    manifest_set_text(labels, "app.kubernetes.io/instance", spec->metadata.name);
    manifest_set_text(secret, "type", "Opaque");
    return manifest_add_map(secret, "stringData");
}

static void add_secrets(manifests_t *list, const struct spec *spec) {
    manifest_t *auth = add_secret(list, spec, spec->auth.existing_secret);
    set_random(auth, spec->auth.keys.token_secret);
    set_random(auth, spec->auth.keys.internal_token);
    if (spec_redis_pods(spec) > 0) {
        set_random(auth, spec->auth.keys.redis_password);
    }
    if (spec->redis.mode == SPEC_REDIS_SENTINEL) {
        set_random(auth, spec->auth.keys.sentinel_password);
    }
    if (spec->monitoring.exporter[0] != '\0' && spec_redis_pods(spec) > 0) {
        set_random(auth, spec->auth.keys.exporter_password);
    }
    manifest_t *curve = add_secret(list, spec, spec->broker.curve_secret);
    set_key_pair(manifests_arena(list), curve, "broker.key");
    set_key_pair(manifests_arena(list), curve, "gateway.key");
}

static int run(struct command_call *call) {
    struct command_specs specs;
    int exit_code = command_specs_read(call, "secret", &specs);
    if (exit_code == OPERATOR_DONE) {
        manifests_t *list = manifests_new(call->arena);
        for (size_t i = 0; i < specs.documents.n; i++) {
            add_secrets(list, &specs.documents.items[i]->spec);
        }
        manifests_append_yaml(list, call->out);
        buffer_append_text(call->messages, call->is_quiet ? ""
                                                          : "New secrets: apply them once (kubectl apply -f -), or "
                                                            "seal them; another run makes others.\n");
    }
    if (exit_code != OPERATOR_USAGE) {
        command_specs_tell(&specs, call);
    }
    command_specs_finish(&specs);
    return exit_code;
}

const struct command command_secret = {
    .name = "secret",
    .arguments = "SPEC…",
    .help = "print the Secrets that the pods need, with new random values: to apply once",
    .outputs = "yaml",
    .run = run,
};
