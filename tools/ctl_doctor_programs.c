/* See ctl_doctor_parts.h: which programs there are to ask, and whether they agree with each other and with the files.
 */
#include "tools/ctl_doctor_parts.h"

#include "base/config_assign.h"
#include "broker/broker_config.h"

#include <stdio.h>

enum { SAID_MAX = 2 * DOCTOR_LIST_MAX + 3 * DOCTOR_SOURCES_MAX, BASE_MAX = 300, TOKEN_MAX = 4096, CLOCK_MS = 2000 };

struct council {
    struct doctor_said said[SAID_MAX];
    size_t n;
};

static struct doctor_said *next_said(struct council *self) {
    return &self->said[self->n++];
}

/* ---- asking ---- */

static void ask_source(struct doctor *self, const struct doctor_source *source, struct council *council) {
    char base[BASE_MAX];
    const char *token = doctor_internal_token(source);
    doctor_internal_base(source, base, sizeof base);
    if (base[0] == '\0') {
        return; /* any free port: --broker or --gateway name it */
    }
    if (source->program == DOCTOR_BROKER && self->brokers.n == 0) {
        doctor_check_broker_pages(self, base, "", token, source->broker, next_said(council));
    } else if (source->program == DOCTOR_GATEWAY && self->gateways.n == 0) {
        doctor_check_gateway_pages(self, base, token, next_said(council));
    } else if (source->program == DOCTOR_APPLIANCE && self->brokers.n + self->gateways.n == 0) {
        struct doctor_said *gateway = next_said(council);
        doctor_check_gateway_pages(self, base, token, gateway);
        if (gateway->where[0] != '\0') {
            doctor_check_broker_pages(self, base, "/broker", token, source->broker, next_said(council));
        }
    }
}

/* The token for --broker and --gateway: of --token-file, else of the first settings that have one. */
static void read_token(struct doctor *self, char *ret_token, size_t size) {
    struct buffer text = BUFFER_EMPTY;
    const char *reason = NULL;
    ret_token[0] = '\0';
    if (self->token_file == NULL) {
        for (size_t i = 0; i < self->n_sources && ret_token[0] == '\0'; i++) {
            snprintf(ret_token, size, "%s", doctor_internal_token(&self->sources[i]));
        }
        return;
    }
    if (config_read_file(self->token_file, TOKEN_MAX, &text, &reason)) {
        while (text.size > 0 && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r')) {
            text.size--;
        }
        snprintf(ret_token, size, "%.*s", (int) text.size, (const char *) text.data);
        explicit_bzero(text.data, text.size);
    } else {
        doctor_add(self, DOCTOR_CONFIG_FILE, FINDING_ERROR, self->token_file, "--token-file cannot be read: %s",
                   reason);
        doctor_mend(self, "name a file with the token of the internal listeners (internal.token), readable for you");
    }
    buffer_finish(&text);
}

static void ask_named(struct doctor *self, struct council *council) {
    char token[TOKEN_MAX + 1];
    const struct broker_config *config = NULL;
    for (size_t i = 0; i < self->n_sources && config == NULL; i++) {
        config = self->sources[i].is_redis_only ? NULL : self->sources[i].broker;
    }
    read_token(self, token, sizeof token);
    for (size_t i = 0; i < self->brokers.n; i++) {
        doctor_check_broker_pages(self, self->brokers.items[i], "", token, config, next_said(council));
    }
    for (size_t i = 0; i < self->gateways.n; i++) {
        doctor_check_gateway_pages(self, self->gateways.items[i], token, next_said(council));
    }
    explicit_bzero(token, sizeof token);
}

static void hear_files(struct doctor *self, struct council *council) {
    for (size_t i = 0; i < self->n_sources; i++) {
        const struct doctor_source *source = &self->sources[i];
        if (source->is_redis_only) {
            continue;
        }
        struct doctor_said *said = next_said(council);
        *said = (struct doctor_said){.is_file = true};
        snprintf(said->where, sizeof said->where, "%s", source->where);
        doctor_namespaces_hash(source, said->namespaces_hash, sizeof said->namespaces_hash);
        said->partitions = source->broker == NULL ? 0 : (uint64_t) source->broker->partitions;
    }
}

/* ---- agreement ---- */

static void compare_namespaces(struct doctor *self, const struct council *council) {
    const struct doctor_said *first = NULL;
    size_t n = 0;
    bool agree = true;
    for (size_t i = 0; i < council->n; i++) {
        const struct doctor_said *said = &council->said[i];
        if (said->namespaces_hash[0] == '\0') {
            continue;
        }
        n++;
        first = first == NULL ? said : first;
        if (strcmp(said->namespaces_hash, first->namespaces_hash) != 0) {
            agree = false;
            doctor_add(self, DOCTOR_CONFIG_NAMESPACES, FINDING_WARNING, said->where, "other namespaces than %s",
                       first->where);
            doctor_mend(self,
                        "make the namespaces of both the same and reload (SIGHUP) what is behind; during a roll-out "
                        "wait for its end");
        }
    }
    if (agree && n > 1) {
        doctor_add(self, DOCTOR_CONFIG_NAMESPACES, FINDING_FINE, first->where,
                   "the same namespaces everywhere (%zu asked)", n);
    }
}

static void compare_versions(struct doctor *self, const struct council *council) {
    for (size_t i = 0; i < council->n; i++) {
        const struct doctor_said *said = &council->said[i];
        if (said->version[0] == '\0') {
            continue;
        }
        if (strcmp(said->version, CALLBOARD_VERSION) == 0) {
            doctor_add(self, DOCTOR_CLUSTER_VERSIONS, FINDING_FINE, said->where, "version %s", said->version);
        } else {
            doctor_add(self, DOCTOR_CLUSTER_VERSIONS, FINDING_WARNING, said->where,
                       "version %s, this tool is " CALLBOARD_VERSION, said->version);
            doctor_mend(self, "finish the upgrade; use the tool of the same version");
        }
    }
}

static void compare_clocks(struct doctor *self, const struct council *council) {
    for (size_t i = 0; i < council->n; i++) {
        const struct doctor_said *said = &council->said[i];
        int64_t ahead = said->clock_ahead_ms;
        if (!said->clock_is_known) {
            continue;
        }
        bool is_far = ahead > CLOCK_MS || ahead < -CLOCK_MS;
        doctor_add(self, DOCTOR_CLUSTER_CLOCKS, is_far ? FINDING_WARNING : FINDING_FINE, said->where,
                   "its clock is %lld ms %s ours", (long long) (ahead < 0 ? -ahead : ahead),
                   ahead < 0 ? "behind" : "ahead of");
        if (is_far) {
            doctor_mend(self, "synchronise both machines (chronyc tracking, timedatectl)");
        }
    }
}

static void compare_partitions(struct doctor *self, const struct council *council) {
    const struct doctor_said *first = NULL;
    for (size_t i = 0; i < council->n; i++) {
        const struct doctor_said *said = &council->said[i];
        if (said->partitions == 0) {
            continue;
        }
        first = first == NULL ? said : first;
        if (said->partitions != first->partitions) {
            doctor_add(self, DOCTOR_CLUSTER_PARTITIONS, FINDING_ERROR, said->where,
                       "broker.partitions is %llu, %s has %llu", (unsigned long long) said->partitions, first->where,
                       (unsigned long long) first->partitions);
            doctor_mend(self, "set it to what redis.partitions shows, and restart the broker that differs");
        } else if (!said->is_file) {
            doctor_add(self, DOCTOR_CLUSTER_PARTITIONS, FINDING_FINE, said->where, "%llu partitions",
                       (unsigned long long) said->partitions);
        }
    }
}

void doctor_check_programs(struct doctor *self) {
    struct council council = {.n = 0};
    hear_files(self, &council);
    for (size_t i = 0; i < self->n_sources; i++) {
        if (!self->sources[i].is_redis_only) {
            ask_source(self, &self->sources[i], &council);
        }
    }
    ask_named(self, &council);
    doctor_check_ports(self);
    doctor_check_backend(self);
    compare_versions(self, &council);
    compare_namespaces(self, &council);
    compare_partitions(self, &council);
    compare_clocks(self, &council);
}
