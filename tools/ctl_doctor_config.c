/* See ctl_doctor_parts.h: settings, read and judged as the programs do it.
 *
 * Whose file it is shows in its sections: only a broker's, only a gateway's, or of both (or neither), which is the
 * appliance's. Mistakes are findings; what could be read all the same is examined further. */
#include "tools/ctl_doctor_parts.h"

#include "base/cleanup.h"
#include "base/config_yaml.h"
#include "base/memory.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_FILE_MAX = 256 * 1024, ENVIRONMENT_MAX = 4096 };

extern char **environ;

/* What a reading is made from. */
struct reading {
    struct span text; /* of the file */
    const char *const *environment;
    const char *const *settings;
};

static size_t parts_of(const struct doctor_source *source, struct config_part ret_parts[2]) {
    size_t n = 0;
    if (source->gateway != NULL) {
        ret_parts[n++] = (struct config_part){&gateway_config_table, source->gateway};
    }
    if (source->broker != NULL) {
        ret_parts[n++] = (struct config_part){&broker_config_table, source->broker};
    }
    return n;
}

/* Fills the source's structs; the mistakes come as lines. */
static void read_as(struct doctor_source *source, enum doctor_program program, const struct reading *reading,
                    struct buffer *ret_errors) {
    source->program = program;
    source->gateway = program == DOCTOR_BROKER ? NULL : memory_alloc_zero(sizeof *source->gateway);
    source->broker = program == DOCTOR_GATEWAY ? NULL : memory_alloc_zero(sizeof *source->broker);
    struct config_part parts[2];
    size_t n_parts = parts_of(source, parts);
    const struct config_source from = {.file_name = source->file,
                                       .file_text = reading->text,
                                       .environment = reading->environment,
                                       .settings = source->broker == NULL ? NULL : reading->settings};
    config_read(parts, n_parts, &from, ret_errors);
}

static void finish_source(struct doctor_source *source) {
    struct config_part parts[2];
    config_finish(parts, parts_of(source, parts));
    memory_free(source->gateway);
    memory_free(source->broker);
    source->gateway = NULL;
    source->broker = NULL;
}

/* ---- whose settings are these? ---- */

struct sides {
    bool has_broker;
    bool has_gateway;
};

static enum doctor_program program_of(const struct sides *sides) {
    if (sides->has_broker == sides->has_gateway) {
        return DOCTOR_APPLIANCE;
    }
    return sides->has_broker ? DOCTOR_BROKER : DOCTOR_GATEWAY;
}

static bool table_has_section(const struct config_table *table, const char *name) {
    size_t size = strlen(name);
    for (size_t i = 0; i < table->n_keys; i++) {
        const char *path = table->keys[i].path;
        if (strncmp(path, name, size) == 0 && (path[size] == '.' || path[size] == '\0')) {
            return true;
        }
    }
    return false;
}

static void ignore_error(void *context, const struct config_yaml_error *error) {
    (void) context;
    (void) error;
}

static enum doctor_program program_of_file(struct span text) {
    const struct config_yaml_errors errors = {ignore_error, NULL};
    struct sides sides = {false, false};
    bool is_apart = false;
    auto_destroy(config_node_destroy) config_node_t *root = config_yaml_read(text, &errors);
    for (size_t i = 0; root != NULL && i < root->n_children; i++) {
        const char *name = root->children[i]->name == NULL ? "" : root->children[i]->name;
        bool is_brokers = table_has_section(&broker_config_table, name);
        bool is_gateways = table_has_section(&gateway_config_table, name);
        sides.has_broker = sides.has_broker || (is_brokers && !is_gateways);
        sides.has_gateway = sides.has_gateway || (is_gateways && !is_brokers);
        is_apart = is_apart || strcmp(name, "brokers") == 0 || strcmp(name, "gateway") == 0;
    }
    /* Where clients come in, but no word of brokers elsewhere: the quick start's file is such a one. */
    return sides.has_gateway && !is_apart ? DOCTOR_APPLIANCE : program_of(&sides);
}

/* Is it CALLBOARD_HTTP_PORT of http.port, or that with _FILE behind it? */
static bool is_variable_of(const char *variable, const char *path) {
    const char *at = variable + sizeof "CALLBOARD_" - 1;
    for (; *path != '\0'; path++, at++) {
        char wanted = *path == '.' ? '_' : (char) toupper((unsigned char) *path);
        if (*at != wanted) {
            return false;
        }
    }
    return *at == '=' || strncmp(at, "_FILE=", 6) == 0;
}

static bool table_has_variable(const struct config_table *table, const char *variable) {
    for (size_t i = 0; i < table->n_keys; i++) {
        if (is_variable_of(variable, table->keys[i].path)) {
            return true;
        }
    }
    return false;
}

static enum doctor_program program_of_environment(const char *const *environment) {
    struct sides sides = {false, false};
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], "CALLBOARD_", 10) == 0) {
            bool is_brokers = table_has_variable(&broker_config_table, environment[i]);
            bool is_gateways = table_has_variable(&gateway_config_table, environment[i]);
            sides.has_broker = sides.has_broker || (is_brokers && !is_gateways);
            sides.has_gateway = sides.has_gateway || (is_gateways && !is_brokers);
        }
    }
    return program_of(&sides);
}

/* ---- reading ---- */

static const char *program_name(enum doctor_program program) {
    switch (program) {
    case DOCTOR_BROKER:
        return "callboard-broker";
    case DOCTOR_GATEWAY:
        return "callboard-gateway";
    case DOCTOR_APPLIANCE:
        break;
    }
    return "callboard";
}

static void tell_mistakes(struct doctor *self, const struct doctor_source *source, const struct buffer *errors) {
    struct span rest = buffer_span(errors);
    if (rest.size == 0) {
        doctor_add(self, DOCTOR_CONFIG_FILE, FINDING_FINE, source->where, "valid settings of %s",
                   program_name(source->program));
        return;
    }
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t size = end == NULL ? rest.size : (size_t) (end - rest.data);
        doctor_add(self, DOCTOR_CONFIG_FILE, FINDING_ERROR, source->where, "%.*s", (int) size,
                   (const char *) rest.data);
        doctor_mend(self, "correct it, then: %s --check%s%s", program_name(source->program),
                    source->file == NULL ? "" : " --config ", source->file == NULL ? "" : source->file);
        size_t taken = end == NULL ? size : size + 1;
        rest = span_of(rest.data + taken, rest.size - taken);
    }
}

static struct doctor_source *new_source(struct doctor *self, const char *file) {
    if (self->n_sources == DOCTOR_SOURCES_MAX) {
        return NULL;
    }
    struct doctor_source *source = &self->sources[self->n_sources++];
    *source = (struct doctor_source){.file = file, .where = file == NULL ? "environment" : file};
    return source;
}

static void read_file(struct doctor *self, const char *file, const struct reading *model) {
    struct buffer text = BUFFER_EMPTY;
    struct buffer errors = BUFFER_EMPTY;
    const char *reason = NULL;
    if (!config_read_file(file, CONFIG_FILE_MAX, &text, &reason)) {
        doctor_add(self, DOCTOR_CONFIG_FILE, FINDING_ERROR, file, "cannot be read: %s", reason);
        doctor_mend(self, "name the file that the program is started with, as a user who may read it");
        buffer_finish(&text);
        return;
    }
    struct doctor_source *source = new_source(self, file);
    if (source != NULL) {
        struct reading reading = *model;
        reading.text = buffer_span(&text);
        read_as(source, program_of_file(reading.text), &reading, &errors);
        tell_mistakes(self, source, &errors);
    }
    explicit_bzero(text.data, text.size);
    buffer_finish(&text);
    buffer_finish(&errors);
}

/* The environment with REDIS_URL as the programs take it; the list is the caller's, its texts are not, but the one in
 * *ret_owned. */
static const char **copy_environment(char **ret_owned) {
    const char **list = memory_alloc_array(ENVIRONMENT_MAX + 2, sizeof *list);
    const char *redis = getenv("REDIS_URL");
    size_t n = 0;
    while (environ[n] != NULL && n < ENVIRONMENT_MAX) {
        list[n] = environ[n];
        n++;
    }
    *ret_owned = NULL;
    if (redis != NULL && redis[0] != '\0' && getenv("CALLBOARD_REDIS_URL") == NULL) {
        *ret_owned = memory_alloc(strlen(redis) + sizeof "CALLBOARD_REDIS_URL=");
        sprintf(*ret_owned, "CALLBOARD_REDIS_URL=%s", redis);
        list[n] = *ret_owned;
    }
    return list;
}

static bool is_set_by_environment(const char *const *environment) {
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], "CALLBOARD_", 10) == 0 && strncmp(environment[i], "CALLBOARD_CONFIG=", 17) != 0) {
            return true;
        }
    }
    return false;
}

/* Nothing but a Redis is named, or all there is stands in the environment. */
static void read_without_file(struct doctor *self, const struct reading *reading) {
    struct buffer errors = BUFFER_EMPTY;
    struct doctor_source *source = new_source(self, NULL);
    source->is_redis_only = self->redis != NULL;
    source->where = source->is_redis_only ? "--redis" : "environment";
    read_as(source, source->is_redis_only ? DOCTOR_BROKER : program_of_environment(reading->environment), reading,
            &errors);
    if (errors.size > 0 || !source->is_redis_only) {
        tell_mistakes(self, source, &errors);
    }
    buffer_finish(&errors);
}

void doctor_read_configs(struct doctor *self) {
    char *owned = NULL;
    char *setting = NULL;
    const char **environment = copy_environment(&owned);
    const char *settings[2] = {NULL, NULL};
    const char *file = getenv("CALLBOARD_CONFIG");
    if (self->redis != NULL) {
        setting = memory_alloc(strlen(self->redis) + sizeof "redis.url=");
        sprintf(setting, "redis.url=%s", self->redis);
        settings[0] = setting;
    }
    const struct reading reading = {.environment = environment, .settings = settings};
    if (self->configs.n == 0 && file != NULL && file[0] != '\0') {
        self->configs.items[self->configs.n++] = file;
    }
    for (size_t i = 0; i < self->configs.n; i++) {
        read_file(self, self->configs.items[i], &reading);
    }
    if (self->configs.n == 0 && (self->redis != NULL || is_set_by_environment(environment))) {
        read_without_file(self, &reading);
    }
    memory_free(setting);
    memory_free(owned);
    memory_free(environment);
}

void doctor_finish_configs(struct doctor *self) {
    for (size_t i = 0; i < self->n_sources; i++) {
        finish_source(&self->sources[i]);
    }
}

/* ---- rules that --check does not know ---- */

static const char *internal_address(const struct doctor_source *source) {
    return source->gateway != NULL ? source->gateway->internal_address : source->broker->internal_address;
}

const char *doctor_internal_token(const struct doctor_source *source) {
    return source->gateway != NULL ? source->gateway->internal_token : source->broker->internal_token;
}

void doctor_internal_base(const struct doctor_source *source, char *ret_base, size_t size) {
    const char *address = internal_address(source);
    int64_t port = source->gateway != NULL ? source->gateway->internal_port : source->broker->internal_port;
    bool is_v6 = strchr(address, ':') != NULL;
    if (port == 0) {
        ret_base[0] = '\0';
        return;
    }
    snprintf(ret_base, size, "http://%s%s%s:%lld", is_v6 ? "[" : "", address, is_v6 ? "]" : "", (long long) port);
}

void doctor_namespaces_hash(const struct doctor_source *source, char *ret_text, size_t size) {
    const struct config_section_list *list =
        source->gateway != NULL ? &source->gateway->namespaces : &source->broker->namespaces;
    namespace_set_t *set = namespace_set_new(list);
    snprintf(ret_text, size, "%016llx", (unsigned long long) namespace_set_hash(set));
    namespace_set_destroy(&set);
}

static void check_internal(struct doctor *self, const struct doctor_source *source) {
    const char *address = internal_address(source);
    const char *token = doctor_internal_token(source);
    bool is_local =
        strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 || strcmp(address, "localhost") == 0;
    if (is_local || token[0] != '\0') {
        doctor_add(self, DOCTOR_CONFIG_INTERNAL, FINDING_FINE, source->where, "internal.address is %s%s", address,
                   token[0] == '\0' ? "" : ", with a token");
        return;
    }
    doctor_add(self, DOCTOR_CONFIG_INTERNAL, FINDING_WARNING, source->where,
               "internal.address is %s and asks for no token: whoever reaches it reads metrics and figures", address);
    doctor_mend(self, "set internal.token_file, or make sure that a network policy keeps others away");
}

static void check_engine(struct doctor *self, const struct doctor_source *source) {
    if (source->broker->redis_url[0] != '\0') {
        doctor_add(self, DOCTOR_REDIS_USED, FINDING_FINE, source->where, "redis.url is set");
    } else if (source->program == DOCTOR_APPLIANCE) {
        doctor_add(self, DOCTOR_REDIS_USED, FINDING_NOTE, source->where,
                   "redis.url is empty: channels live in this process's memory and end with it");
        doctor_mend(self, "set redis.url where history has to outlive a restart");
    } else {
        doctor_add(self, DOCTOR_REDIS_USED, FINDING_WARNING, source->where,
                   "redis.url is empty: this broker keeps channels in its memory, and gateways refuse a second one");
        doctor_mend(self, "set redis.url");
    }
}

void doctor_check_configs(struct doctor *self) {
    for (size_t i = 0; i < self->n_sources; i++) {
        const struct doctor_source *source = &self->sources[i];
        if (source->is_redis_only) {
            continue;
        }
        check_internal(self, source);
        if (source->broker != NULL) {
            check_engine(self, source);
        }
    }
}
