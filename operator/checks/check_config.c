/* broker.config, gateway.config and broker.namespaces, as the programs themselves check them: by their tables. What the
 * operator decides is refused there; what it will add is added for the check, so that rules across keys see the whole.
 *
 * Failure modes: the tables tell with the place of the key in the spec's file, as the tree is the same one. A rule
 * about a key that stands nowhere is told at the section. */
#include "operator/checks/check_rules.h"

#include "base/config_reader.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"
#include "operator/spec/spec_lookup.h"

/* Which keys other fields decide. A key that ends with a dot is a whole section. */
struct managed_key {
    const char *key;
    const char *field;
};

static const struct managed_key broker_keys[] = {
    {"broker.id", "the pod's name"},
    {"broker.shards", "broker.shardActors"},
    {"broker.partitions", "broker.partitions"},
    {"broker.endpoint", "broker.ports.gateways"},
    {"broker.curve_key_file", "broker.curve.secretName"},
    {"broker.curve_allowed_dir", "broker.curve.secretName"},
    {"backend.endpoint", "broker.ports.backend"},
    {"backend.pull_endpoint", "broker.ports.backendPull"},
    {"backend.curve_key_file", "broker.curve.secretName"},
    {"backend.curve_allowed_dir", "broker.curve.secretName"},
    {"redis.url", "redis"},
    {"redis.user", "redis"},
    {"redis.password", "auth.existingSecret"},
    {"redis.sentinel_user", "redis.sentinel"},
    {"redis.sentinel_password", "auth.existingSecret"},
    {"redis.tls_ca_file", "tls"},
    {"redis.tls_certificate_file", "tls"},
    {"redis.tls_key_file", "tls"},
    {"internal.address", "the operator"},
    {"internal.port", "broker.ports.internal"},
    {"internal.token", "auth.keys.internalToken"},
    {"namespaces", "broker.namespaces"},
    {NULL, NULL},
};
static const struct managed_key gateway_keys[] = {
    {"gateway.id", "the pod's name"},
    {"http.address", "the operator"},
    {"http.port", "gateway.listeners"},
    {"http.allowed_origins", "gateway.allowedOrigins"},
    {"http.tls_certificate_file", "gateway.listeners"},
    {"http.tls_key_file", "gateway.listeners"},
    {"internal.address", "the operator"},
    {"internal.port", "the operator"},
    {"internal.token", "auth.keys.internalToken"},
    {"token.secret", "auth.keys.tokenSecret"},
    {"token.public_key_file", "auth.existingSecret"},
    {"subscription_token.secret", "auth.existingSecret"},
    {"subscription_token.public_key_file", "auth.existingSecret"},
    {"brokers.endpoints", "broker.replicas"},
    {"brokers.curve_key_file", "broker.curve.secretName"},
    {"brokers.curve_broker_key", "broker.curve.secretName"},
    {"client.connections_max", "gateway.connectionsMax"},
    {"client.connection_age_max", "gateway.maxConnectionAge"},
    {"drain.delay", "gateway.drain.propagation"},
    {"drain.window", "gateway.drain.window"},
    {"namespaces", "broker.namespaces"},
    {NULL, NULL},
};

/* What the programs are given beside: only as far as their rules look at it. */
static const char *const broker_settings[] = {"broker.endpoint=tcp://127.0.0.1:7700", NULL};
static const char *const gateway_settings[] = {"token.audience=audience", "token.issuer=issuer", NULL};
static const char *const environment[] = {"CALLBOARD_INTERNAL_TOKEN=of the Secret, not here", NULL};

enum { KEY_MAX = 256 }; /* no longer name is a key */

struct config_check {
    const struct check *check;
    const struct managed_key *managed;
    const struct config_table *table;
    const char *prefix; /* of paths in messages: spec.broker.config */
};

/* ---- keys that are not theirs to set ---- */

static void tell_managed(const struct config_check *self, const char *key, const config_node_t *node,
                         const char *field) {
    const char *path = arena_format(self->check->document->arena, "%s.%s", self->prefix, key);
    diagnostics_add(self->check->diagnostics, DIAGNOSTIC_MANAGED_KEY, spec_place_of_key(self->check->document, node),
                    path, "%s decides it", field);
    diagnostics_mend(self->check->diagnostics, "leave it out");
}

/* The key, and the file that a secret is read from. */
static bool is_key_or_its_file(struct span own, const char *key) {
    struct span rest = span_of_text(key);
    return span_equal(own, rest) || (span_starts_with(rest, own) &&
                                     span_equal_text(span_of(rest.data + own.size, rest.size - own.size), "_file"));
}

/* A secret stands in no ConfigMap, wherever in the table it is. */
static const char *decided_by(const struct config_check *self, const struct config_table *table, const char *key) {
    for (size_t i = 0; table == self->table && self->managed[i].key != NULL; i++) {
        if (is_key_or_its_file(span_of_text(self->managed[i].key), key)) {
            return self->managed[i].field;
        }
    }
    for (size_t i = 0; i < table->n_keys; i++) {
        if (table->keys[i].type == CONFIG_SECRET && is_key_or_its_file(span_of_text(table->keys[i].path), key)) {
            return "it is a secret: auth.existingSecret";
        }
    }
    return NULL;
}

/* One level of names: `key` is the path in `table`, `shown` the one in the spec. */
static void refuse_managed(const struct config_check *self, const struct config_table *table, const config_node_t *map,
                           const char *prefix, const char *shown);

static void refuse_in_items(const struct config_check *self, const struct config_key *key, const config_node_t *list,
                            const char *shown) {
    for (size_t i = 0; i < list->n_children; i++) {
        const char *item = arena_format(self->check->document->arena, "%s[%zu].", shown, i);
        refuse_managed(self, key->section, list->children[i], "", item);
    }
}

static void refuse_managed(const struct config_check *self, const struct config_table *table, const config_node_t *map,
                           const char *prefix, const char *shown) {
    arena_t *arena = self->check->document->arena;
    for (size_t i = 0; map->kind == CONFIG_NODE_MAP && i < map->n_children; i++) {
        const config_node_t *child = map->children[i];
        if (child->kind == CONFIG_NODE_REFUSED || strlen(prefix) + strlen(child->name) > KEY_MAX) {
            continue;
        }
        const char *key = arena_format(arena, "%s%s", prefix, child->name);
        const char *child_shown = arena_format(arena, "%s%s", shown, child->name);
        const struct config_key *row = config_find_key_in_table(table, span_of_text(key));
        const char *field = decided_by(self, table, key);
        if (field != NULL) {
            tell_managed(self, child_shown, child, field);
        } else if (row != NULL && row->type == CONFIG_SECTION_LIST && child->kind == CONFIG_NODE_LIST) {
            refuse_in_items(self, row, child, child_shown);
        } else {
            refuse_managed(self, table, child, arena_format(arena, "%s.", key),
                           arena_format(arena, "%s.", child_shown));
        }
    }
}

/* ---- what the programs' tables say ---- */

static void on_error(void *context, struct config_place place, const char *path, const char *text) {
    const struct config_check *self = context;
    const spec_document_t *document = self->check->document;
    struct source_place at = spec_place(document, self->prefix + strlen("spec."));
    if (place.origin == CONFIG_FROM_FILE && place.line > 0) {
        at = (struct source_place){.source = document->source, .line = place.line, .column = place.column};
    }
    const char *shown = arena_format(document->arena, "%s%s%s", self->prefix, path[0] == '\0' ? "" : ".", path);
    diagnostics_add_text(self->check->diagnostics, DIAGNOSTIC_BAD_CONFIG, at, shown, text);
}

static void check_tree(const struct check *check, spec_raw_t tree, const char *prefix,
                       const struct managed_key *managed, const struct config_table *table, const char *const *settings,
                       void *target) {
    struct config_check self = {check, managed, table, prefix};
    const struct config_error_sink sink = {on_error, &self};
    const struct config_part part = {table, target};
    const struct config_source source = {.file_name = check->document->source->name,
                                         .file_tree = tree,
                                         .settings = settings,
                                         .environment = environment};
    if (tree == NULL) {
        return;
    }
    size_t n_errors = check->diagnostics->n_errors;
    refuse_managed(&self, table, tree, "", "");
    if (check->diagnostics->n_errors > n_errors) {
        return; /* reading it would open files that such keys name */
    }
    config_read_to_sink(&part, 1, &source, &sink);
    config_finish(&part, 1);
}

static void check_broker_config(const struct check *check) {
    struct broker_config config;
    check_tree(check, check->spec->broker.config, "spec.broker.config", broker_keys, &broker_config_table,
               broker_settings, &config);
}

static void check_gateway_config(const struct check *check) {
    struct gateway_config config;
    check_tree(check, check->spec->gateway.config, "spec.gateway.config", gateway_keys, &gateway_config_table,
               gateway_settings, &config);
}

/* The list as the one key of a configuration. */
static void check_namespaces(const struct check *check) {
    static char name[] = "namespaces";
    spec_raw_t list = check->spec->broker.namespaces;
    if (list == NULL) {
        return;
    }
    config_node_t node = *list;
    node.name = name;
    config_node_t *children[] = {&node};
    const config_node_t map = {.kind = CONFIG_NODE_MAP, .children = children, .n_children = 1};
    static const struct managed_key none[] = {{NULL, NULL}};
    struct broker_config config;
    check_tree(check, &map, "spec.broker", none, &broker_config_table, broker_settings, &config);
}

check_rule_t *const check_rules_config[] = {check_broker_config, check_gateway_config, check_namespaces, NULL};
