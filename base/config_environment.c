/* The environment as a source: CALLBOARD_ and a key's path in capitals, with underscores for dots.
 *
 * Failure modes: a variable of ours that names no key is an error, because it is a spelling mistake more often than
 * not; but Kubernetes puts variables of its own beside ours, and those are known by their form. */
#include "base/config_environment.h"

#include "base/cleanup.h"
#include "base/config_nearest.h"
#include "base/memory.h"

#include <string.h>

static const char variable_prefix[] = "CALLBOARD_";

/* The variable's name without its prefix: http.port is HTTP_PORT. */
static void path_to_variable(const char *path, const char *suffix, struct buffer *out) {
    buffer_clear(out);
    buffer_append_text(out, path);
    buffer_append_text(out, suffix);
    for (size_t i = 0; i < out->size; i++) {
        uint8_t c = out->data[i];
        out->data[i] = c == '.' ? '_' : c >= 'a' && c <= 'z' ? (uint8_t) (c - 'a' + 'A') : c;
    }
}

/* The path that this variable sets, owned; NULL when there is none. */
static char *find_path_of_variable(const struct config_scope *scope, struct span variable) {
    struct buffer name = BUFFER_EMPTY;
    char *path = NULL;
    for (size_t i = 0; i < scope->n_parts; i++) {
        const struct config_table *table = scope->parts[i].table;
        for (size_t k = 0; k < table->n_keys && path == NULL; k++) {
            const struct config_key *key = &table->keys[k];
            path_to_variable(key->path, "", &name);
            if (span_equal(buffer_span(&name), variable)) {
                path = memory_strdup(key->path);
                break;
            }
            path_to_variable(key->path, "_file", &name);
            if (key->type == CONFIG_SECRET && span_equal(buffer_span(&name), variable)) {
                path = config_join(key->path, "_file");
            }
        }
    }
    buffer_finish(&name);
    return path;
}

static bool ends_with(struct span text, const char *end) {
    size_t size = strlen(end);
    return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

/* Kubernetes tells each pod of each service: a service callboard-broker sets CALLBOARD_BROKER_SERVICE_HOST,
 * CALLBOARD_BROKER_SERVICE_PORT[_NAME], CALLBOARD_BROKER_PORT=tcp://…, CALLBOARD_BROKER_PORT_7700_TCP[_ADDR…]. */
static bool is_service_link(struct span variable, const char *value) {
    bool is_url =
        strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0 || strncmp(value, "sctp://", 7) == 0;
    if (is_url && (ends_with(variable, "PORT") || ends_with(variable, "_TCP") || ends_with(variable, "_UDP") ||
                   ends_with(variable, "_SCTP"))) {
        return true;
    }
    bool is_of_service = memmem(variable.data, variable.size, "SERVICE_PORT", 12) != NULL;
    bool is_of_port = memmem(variable.data, variable.size, "PORT_", 5) != NULL;
    return ends_with(variable, "SERVICE_HOST") || is_of_service ||
           (is_of_port &&
            (ends_with(variable, "_PROTO") || ends_with(variable, "_ADDR") || ends_with(variable, "_PORT")));
}

static void tell_unknown_variable(config_errors_t *errors, const struct config_scope *scope, struct config_place place,
                                  struct span variable) {
    struct config_nearest nearest = config_nearest_to(variable);
    struct buffer name = BUFFER_EMPTY;
    struct buffer best = BUFFER_EMPTY;
    for (size_t i = 0; i < scope->n_parts; i++) {
        const struct config_table *table = scope->parts[i].table;
        for (size_t k = 0; k < table->n_keys; k++) {
            unsigned before = nearest.distance;
            path_to_variable(table->keys[k].path, "", &name);
            config_nearest_consider(&nearest, buffer_span(&name));
            if (nearest.distance < before) {
                buffer_clear(&best);
                buffer_append_span(&best, buffer_span(&name));
            }
        }
    }
    if (best.size == 0) {
        config_errors_add(errors, place, "", "there is no such key; unset it, --help lists all keys");
    } else {
        config_errors_add(errors, place, "", "there is no such key; did you mean %s%.*s?", variable_prefix,
                          (int) best.size, (const char *) best.data);
    }
    buffer_finish(&name);
    buffer_finish(&best);
}

/* Cuts NAME=value of ours into the name behind CALLBOARD_ and the value; false for other variables. */
static bool cut_variable(const char *entry, struct span *ret_name, const char **ret_value) {
    size_t prefix_size = sizeof variable_prefix - 1;
    const char *equals = strchr(entry, '=');
    if (strncmp(entry, variable_prefix, prefix_size) != 0 || equals == NULL || equals < entry + prefix_size) {
        return false;
    }
    *ret_name = span_of(entry + prefix_size, (size_t) (equals - entry) - prefix_size);
    *ret_value = equals + 1;
    return true;
}

static void read_variable(config_errors_t *errors, const struct config_scope *scope, const char *entry) {
    struct span name;
    const char *value;
    if (!cut_variable(entry, &name, &value) || span_equal_text(name, "CONFIG") || is_service_link(name, value)) {
        return;
    }
    struct config_place place = {.origin = CONFIG_FROM_ENVIRONMENT,
                                 .variable = span_of(entry, sizeof variable_prefix - 1 + name.size)};
    auto_destroy(memory_free_text) char *path = find_path_of_variable(scope, name);
    if (path == NULL) {
        tell_unknown_variable(errors, scope, place, name);
        return;
    }
    struct config_assignment assignment = {place, path, span_of_text(value), false};
    config_assign(errors, scope, &assignment);
}

void config_read_environment(config_errors_t *errors, const struct config_scope *scope,
                             const char *const *environment) {
    for (size_t i = 0; environment[i] != NULL; i++) {
        read_variable(errors, scope, environment[i]);
    }
}

static const struct config_key *find_secret_of_variable(const struct config_part *part, struct span variable) {
    struct buffer name = BUFFER_EMPTY;
    const struct config_key *found = NULL;
    for (size_t i = 0; i < part->table->n_keys && found == NULL; i++) {
        const struct config_key *key = &part->table->keys[i];
        bool is_secret = key->type == CONFIG_SECRET || (key->flags & CONFIG_PASSWORD_URL) != 0;
        path_to_variable(key->path, "", &name);
        found = is_secret && span_equal(buffer_span(&name), variable) ? key : NULL;
    }
    buffer_finish(&name);
    return found;
}

void config_wipe_environment(const struct config_part *parts, size_t n_parts, char **environment) {
    for (size_t i = 0; environment[i] != NULL; i++) {
        struct span name;
        const char *value;
        if (!cut_variable(environment[i], &name, &value)) {
            continue;
        }
        for (size_t k = 0; k < n_parts; k++) {
            if (find_secret_of_variable(&parts[k], name) != NULL) {
                explicit_bzero(environment[i] + (value - environment[i]), strlen(value));
            }
        }
    }
}
