/* See agent_prepare.h.
 *
 *   output writable? → (replicated: ask the Sentinels who is primary) → each template: fill → merge → write, rename
 *
 *   users.acl, auth.conf   0400: the server reads them and never writes
 *   sentinel.conf          merged with what Sentinel wrote there before (sentinel_conf.c)
 *   redis.conf             replicated: with replicaof as the last line, where this pod is a replica
 *   others                 as they are, 0600
 *
 * Failures: nothing is started with half a configuration. The order of the files does not matter: each is whole. */
#include "operator/agent/agent_prepare.h"

#include "base/log.h"
#include "base/random.h"
#include "operator/agent/agent_files.h"
#include "operator/agent/agent_renewal.h"
#include "operator/agent/agent_start.h"
#include "operator/agent/agent_template.h"
#include "operator/agent/sentinel_conf.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

enum { FILE_MAX = 1024 * 1024, FILES_MAX = 64, OWN_PASSWORD_LENGTH = 48 };

static bool read_secret(void *context, const char *name, struct buffer *out, char *ret_why, size_t why_size) {
    const struct agent_config *config = context;
    bool is_missing;
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL) {
        snprintf(ret_why, why_size, "no name of a secret: %s", name);
        return false;
    }
    return agent_file_read(config->options.secrets, name, out, &is_missing, ret_why, why_size);
}

/* The login that the agent makes for itself; its password is kept where a template asks for it. */
struct own_login {
    char password[OWN_PASSWORD_LENGTH + 1];
    bool is_asked_for;
};

static bool fill(const struct agent_config *config, const char *name, struct own_login *own, struct buffer *out,
                 char ret_error[AGENT_ERROR_MAX]) {
    const struct agent_template_values values = {
        .pod_name = config->options.pod_name,
        .pod_namespace = config->options.pod_namespace,
        .pod_ip = config->options.pod_ip,
        .pod_fqdn = config->self.host,
        .ordinal = config->ordinal,
        .own_password = own->password,
        .read_secret = read_secret,
        .context = (void *) config,
    };
    struct buffer text;
    bool is_missing;
    char why[AGENT_ERROR_MAX / 2];
    buffer_init(&text, FILE_MAX);
    bool is_filled = agent_file_read(config->options.templates, name, &text, &is_missing, ret_error, AGENT_ERROR_MAX);
    if (is_filled && !agent_template_fill(out, buffer_span(&text), &values, why, sizeof why)) {
        snprintf(ret_error, AGENT_ERROR_MAX, "%s/%.100s: %s", config->options.templates, name, why);
        is_filled = false;
    }
    own->is_asked_for |= text.size > 0 && memmem(text.data, text.size, "${own-acl}", 10) != NULL;
    buffer_finish(&text);
    return is_filled;
}

/* In place: what Sentinel wrote before is taken over. */
static bool merge_sentinel(const struct agent_config *config, const char *name, struct buffer *text,
                           char ret_error[AGENT_ERROR_MAX]) {
    struct buffer old;
    struct buffer merged;
    bool is_missing;
    buffer_init(&old, FILE_MAX);
    buffer_init(&merged, 0);
    bool is_read = agent_file_read(config->options.output, name, &old, &is_missing, ret_error, AGENT_ERROR_MAX);
    if (is_read || is_missing) {
        bool is_kept = sentinel_conf_merge(&merged, buffer_span(text), buffer_span(&old), config->options.master_set);
        log_info("sentinel_state", log_text("file", name), log_bool("kept", is_kept));
        if (!is_kept && old.size > 0) {
            log_warning("sentinel_state_unusable", log_text("file", name),
                        log_text("reason", "it does not monitor the set: written anew from the template"));
        }
        buffer_finish(text);
        *text = merged;
        merged = BUFFER_EMPTY;
    }
    buffer_finish(&old);
    buffer_finish(&merged);
    return is_read || is_missing;
}

static bool prepare_file(const struct agent_config *config, const char *name, struct own_login *own,
                         const struct redis_pod *primary, char ret_error[AGENT_ERROR_MAX]) {
    struct buffer text;
    buffer_init(&text, 0);
    bool is_secret = strcmp(name, "users.acl") == 0 || strcmp(name, "auth.conf") == 0;
    bool is_done = fill(config, name, own, &text, ret_error);
    if (is_done && strcmp(name, "sentinel.conf") == 0) {
        is_done = merge_sentinel(config, name, &text, ret_error);
    }
    if (strcmp(name, "redis.conf") == 0 && primary->port != 0) {
        buffer_append_format(&text, "\nreplicaof %s %u\n", primary->host, primary->port);
    }
    is_done = is_done && agent_file_write(config->options.output, name, buffer_span(&text), is_secret ? 0400 : 0600,
                                          ret_error, AGENT_ERROR_MAX);
    if (text.size > 0) {
        explicit_bzero(text.data, text.size);
    }
    buffer_finish(&text);
    return is_done;
}

/* A ConfigMap's files are links beside ..data: what is a file behind its name counts. */
static bool is_template(const struct agent_config *config, const char *name) {
    char path[PATH_MAX];
    struct stat facts;
    return name[0] != '.' &&
           (size_t) snprintf(path, sizeof path, "%s/%s", config->options.templates, name) < sizeof path &&
           stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

static bool prepare_files(const struct agent_config *config, struct own_login *own, const struct redis_pod *primary,
                          char ret_error[AGENT_ERROR_MAX]) {
    DIR *directory = opendir(config->options.templates);
    if (directory == NULL) {
        snprintf(ret_error, AGENT_ERROR_MAX,
                 "%s: %s: mount the ConfigMap with the templates there, or name it by --templates",
                 config->options.templates, strerror(errno));
        return false;
    }
    unsigned files = 0;
    bool is_done = true;
    const struct dirent *entry;
    while (is_done && (entry = readdir(directory)) != NULL) {
        if (is_template(config, entry->d_name) && ++files <= FILES_MAX) {
            is_done = prepare_file(config, entry->d_name, own, primary, ret_error);
        }
    }
    closedir(directory);
    if (is_done && (files == 0 || files > FILES_MAX)) {
        snprintf(ret_error, AGENT_ERROR_MAX, "%s has %u files; from 1 to %d are templates", config->options.templates,
                 files, FILES_MAX);
        return false;
    }
    if (is_done) {
        log_info("configuration_written", log_text("directory", config->options.output), log_u64("files", files));
    }
    return is_done;
}

enum agent_exit agent_prepare(const struct agent_config *config, char ret_error[AGENT_ERROR_MAX]) {
    struct redis_pod primary = {.port = 0};
    if (!agent_directory_check(config->options.output, ret_error, AGENT_ERROR_MAX)) {
        return AGENT_INVALID;
    }
    if (config->options.mode == REDIS_MODE_REPLICATED) {
        enum agent_exit result = agent_start_as(config, &primary, ret_error);
        if (result != AGENT_DONE) {
            return result;
        }
    }
    struct own_login own = {.is_asked_for = false};
    random_base62(own.password, OWN_PASSWORD_LENGTH);
    bool is_done =
        prepare_files(config, &own, &primary, ret_error) &&
        (!own.is_asked_for || agent_file_write(config->options.output, AGENT_RENEWAL_PASSWORD_FILE,
                                               span_of_text(own.password), 0400, ret_error, AGENT_ERROR_MAX));
    explicit_bzero(&own, sizeof own);
    return is_done ? AGENT_DONE : AGENT_INVALID;
}
