/* See ctl_doctor_parts.h: settings, read and judged as the programs do it.
 *
 * Whose file it is shows in its keys: it is read as a broker's, as a gateway's and as the appliance's, and the reading
 * with fewest mistakes counts. Mistakes are findings; what could be read all the same is examined further. */
#include "tools/ctl_doctor_parts.h"

#include "base/memory.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

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

static size_t count_lines(const struct buffer *text) {
    size_t n = 0;
    for (size_t i = 0; i < text->size; i++) {
        n += text->data[i] == '\n';
    }
    return n;
}

static enum doctor_program guess_program(const char *file, const struct reading *reading) {
    static const enum doctor_program programs[] = {DOCTOR_BROKER, DOCTOR_GATEWAY, DOCTOR_APPLIANCE};
    size_t mistakes[3];
    size_t best = 0;
    for (size_t i = 0; i < 3; i++) {
        struct buffer errors = BUFFER_EMPTY;
        struct doctor_source source = {.file = file};
        read_as(&source, programs[i], reading, &errors);
        mistakes[i] = count_lines(&errors);
        best = mistakes[i] < mistakes[best] ? i : best;
        finish_source(&source);
        buffer_finish(&errors);
    }
    bool is_anybodys = mistakes[0] == 0 && mistakes[1] == 0; /* it says nothing of either */
    return is_anybodys ? DOCTOR_APPLIANCE : programs[best];
}

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
        /* By the file alone: the environment may hold settings of others. */
        enum doctor_program program = guess_program(file, &(struct reading){.text = reading.text});
        read_as(source, program, &reading, &errors);
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
    read_as(source, source->is_redis_only ? DOCTOR_BROKER : guess_program(NULL, reading), reading, &errors);
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
