/* See ctl_doctor_parts.h: CURVE keys, the token secret, and who may read the files that hold secrets. Files are named
 * as the settings name them, relative to the working folder of the program: start doctor there. */
#include "tools/ctl_doctor_parts.h"

#include "base/cleanup.h"
#include "base/config_yaml.h"
#include "base/curve_keys.h"
#include "base/memory.h"
#include "base/token.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"
#include "gateway/token/token_keyring.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { ERROR_SIZE = 512, PATH_SIZE = 4200, CONFIG_FILE_MAX = 256 * 1024, DIFFERENT_BYTES_MIN = 10 };

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text);
    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

/* ---- CURVE ---- */

/* False, or an empty path: *ret_keys is empty. */
static bool check_pair(struct doctor *self, const struct doctor_source *source, const char *setting, const char *path,
                       struct curve_keys *ret_keys) {
    char error[ERROR_SIZE];
    *ret_keys = (struct curve_keys){.public_text = ""};
    if (path[0] == '\0') {
        return false;
    }
    if (!curve_keys_read(path, true, ret_keys, error, sizeof error)) {
        doctor_add(self, DOCTOR_KEYS_PAIR, FINDING_ERROR, source->where, "%s: %s", setting, error);
        doctor_mend(self, "mode 0600 and the user of the program as owner; callboardctl keygen makes a new pair (then "
                          "give its .pub to the other side)");
        return false;
    }
    explicit_bzero(ret_keys->secret_text, sizeof ret_keys->secret_text);
    doctor_add(self, DOCTOR_KEYS_PAIR, FINDING_FINE, source->where, "%s: %s is a sound pair", setting, path);
    return true;
}

/* How many *.pub of the folder are keys; broken ones are findings. is_in: whether `wanted` is among them. */
static size_t read_allowed(struct doctor *self, const struct doctor_source *source, const char *directory, DIR *folder,
                           const char *wanted, bool *ret_is_in) {
    size_t n = 0;
    *ret_is_in = false;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[PATH_SIZE];
        char error[ERROR_SIZE];
        struct curve_keys keys;
        if (entry->d_name[0] == '.' || !ends_with(entry->d_name, ".pub")) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (curve_keys_read(path, false, &keys, error, sizeof error)) {
            n++;
            *ret_is_in = *ret_is_in || strcmp(keys.public_text, wanted) == 0;
        } else if (wanted[0] == '\0') { /* told once, not for each gateway */
            doctor_add(self, DOCTOR_KEYS_ALLOWED, FINDING_WARNING, source->where, "%s", error);
            doctor_mend(self, "copy the .pub file that callboardctl keygen made, whole");
        }
    }
    return n;
}

static void check_allowed(struct doctor *self, const struct doctor_source *source, const char *setting,
                          const char *directory) {
    if (directory[0] == '\0') {
        return;
    }
    DIR *folder = opendir(directory);
    if (folder == NULL) {
        doctor_add(self, DOCTOR_KEYS_ALLOWED, FINDING_ERROR, source->where, "%s: %s cannot be read: %s", setting,
                   directory, strerror(errno));
        doctor_mend(self, "make the folder, readable for the program, with the public keys (*.pub) of who may connect");
        return;
    }
    bool is_in = false;
    size_t n = read_allowed(self, source, directory, folder, "", &is_in);
    closedir(folder);
    if (n > 0) {
        doctor_add(self, DOCTOR_KEYS_ALLOWED, FINDING_FINE, source->where, "%s: %zu key%s may connect", setting, n,
                   n == 1 ? "" : "s");
        return;
    }
    doctor_add(self, DOCTOR_KEYS_ALLOWED, FINDING_ERROR, source->where, "%s: no key (*.pub) in %s: nobody can connect",
               setting, directory);
    doctor_mend(self, "copy the public keys (*.pub) of who may connect into it; they count without a restart");
}

bool doctor_read_broker_key(const struct gateway_config *config, struct curve_keys *ret_keys, char *ret_error,
                            size_t error_size) {
    const char *key = config->curve_broker_key;
    *ret_keys = (struct curve_keys){.public_text = ""};
    ret_error[0] = '\0';
    if (key[0] == '\0') {
        return false;
    }
    if (strlen(key) == CURVE_KEY_TEXT_LENGTH) {
        memcpy(ret_keys->public_text, key, CURVE_KEY_TEXT_LENGTH);
        return true;
    }
    return curve_keys_read(key, false, ret_keys, ret_error, error_size);
}

static void check_broker_key(struct doctor *self, const struct doctor_source *source, struct curve_keys *ret_keys) {
    char error[ERROR_SIZE];
    if (!doctor_read_broker_key(source->gateway, ret_keys, error, sizeof error) && error[0] != '\0') {
        doctor_add(self, DOCTOR_KEYS_PAIR, FINDING_ERROR, source->where, "brokers.curve_broker_key: %s", error);
        doctor_mend(self, "copy the .pub file of the brokers' pair here, or write its 40 characters");
    }
}

static void match_gateway(struct doctor *self, const struct doctor_source *gateway, const struct doctor_source *broker,
                          const struct curve_keys *gateway_keys, const struct curve_keys *known_key) {
    struct curve_keys broker_keys;
    char error[ERROR_SIZE];
    if (broker->broker->curve_key_file[0] == '\0' ||
        !curve_keys_read(broker->broker->curve_key_file, false, &broker_keys, error, sizeof error)) {
        return; /* told where the pair was checked */
    }
    if (known_key->public_text[0] != '\0' && strcmp(known_key->public_text, broker_keys.public_text) != 0) {
        doctor_add(self, DOCTOR_KEYS_MATCH, FINDING_ERROR, gateway->where,
                   "brokers.curve_broker_key is not the key of %s (broker.curve_key_file of %s)",
                   broker->broker->curve_key_file, broker->where);
        doctor_mend(self, "use %s.pub", broker->broker->curve_key_file);
    }
    DIR *folder = opendir(broker->broker->curve_allowed_dir);
    bool is_in = true;
    if (folder != NULL && gateway_keys->public_text[0] != '\0') {
        read_allowed(self, broker, broker->broker->curve_allowed_dir, folder, gateway_keys->public_text, &is_in);
    }
    if (folder != NULL) {
        closedir(folder);
    }
    if (!is_in) {
        doctor_add(self, DOCTOR_KEYS_MATCH, FINDING_ERROR, gateway->where,
                   "the gateway's key is not among those that %s allows (%s)", broker->where,
                   broker->broker->curve_allowed_dir);
        doctor_mend(self, "copy %s.pub into %s", gateway->gateway->curve_key_file, broker->broker->curve_allowed_dir);
    } else if (strcmp(known_key->public_text, broker_keys.public_text) == 0) {
        doctor_add(self, DOCTOR_KEYS_MATCH, FINDING_FINE, gateway->where, "gateway and %s know each other's keys",
                   broker->where);
    }
}

static void check_gateway_keys(struct doctor *self, const struct doctor_source *source) {
    struct curve_keys own;
    struct curve_keys known;
    check_pair(self, source, "brokers.curve_key_file", source->gateway->curve_key_file, &own);
    check_broker_key(self, source, &known);
    for (size_t i = 0; i < self->n_sources; i++) {
        if (self->sources[i].program == DOCTOR_BROKER && own.public_text[0] != '\0') {
            match_gateway(self, source, &self->sources[i], &own, &known);
        }
    }
}

/* ---- the token secret ---- */

static size_t different_bytes(const char *text) {
    bool seen[256] = {false};
    size_t n = 0;
    for (const uint8_t *at = (const uint8_t *) text; *at != 0; at++) {
        n += !seen[*at];
        seen[*at] = true;
    }
    return n;
}

static void check_secret(struct doctor *self, const struct doctor_source *source, const char *setting,
                         const char *secret) {
    size_t size = strlen(secret);
    if (size < TOKEN_SECRET_MIN || different_bytes(secret) < DIFFERENT_BYTES_MIN) {
        doctor_add(self, DOCTOR_KEYS_TOKEN, FINDING_WARNING, source->where,
                   "%s has %zu bytes, %zu different ones: it can be guessed", setting, size, different_bytes(secret));
        doctor_mend(self, "make a new one: head -c 32 /dev/urandom | base64 > FILE; chmod 600 FILE; tokens that were "
                          "signed with the old one end");
    } else {
        doctor_add(self, DOCTOR_KEYS_TOKEN, FINDING_FINE, source->where, "%s has %zu bytes", setting, size);
    }
}

/* As the gateway reads them at its start. */
static void check_key_set(struct doctor *self, const struct doctor_source *source, const char *section,
                          const struct token_settings *settings) {
    char error[ERROR_SIZE];
    char setting[64];
    token_keys_t *keys = NULL;
    if (!token_keyring_read(settings, section, &keys, error, sizeof error)) {
        doctor_add(self, DOCTOR_KEYS_TOKEN, FINDING_ERROR, source->where, "%s", error);
        doctor_mend(self, "the gateway does not start with it: mend the file, or name another one");
        return;
    }
    if (settings->secret[0] != '\0') {
        snprintf(setting, sizeof setting, "%s.secret", section);
        check_secret(self, source, setting, settings->secret);
    } else if (keys != NULL) {
        doctor_add(self, DOCTOR_KEYS_TOKEN, FINDING_FINE, source->where, "%s has %zu keys%s", section,
                   token_keys_count(keys), settings->jwks_url[0] == '\0' ? "" : ", and fetches the issuer's");
    }
    token_keys_destroy(&keys);
}

static void check_token(struct doctor *self, const struct doctor_source *source) {
    const struct gateway_config *config = source->gateway;
    check_key_set(self, source, "token", &config->token);
    check_key_set(self, source, "subscription_token", &config->subscription_token);
    if (token_settings_have_keys(&config->token)) {
        return;
    }
    if (config->allow_anonymous) {
        doctor_add(self, DOCTOR_KEYS_TOKEN, FINDING_NOTE, source->where,
                   "no token.secret: only anonymous clients can connect");
    } else {
        doctor_add(self, DOCTOR_KEYS_TOKEN, FINDING_ERROR, source->where,
                   "no token.secret, and anonymous clients are not allowed: nobody can connect");
        doctor_mend(self, "set token.secret_file (head -c 32 /dev/urandom | base64 > FILE; chmod 600 FILE)");
    }
}

/* ---- files with secrets ---- */

/* `what`: "the file of token.secret_file". */
static void check_mode(struct doctor *self, const char *where, const char *what, const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) {
        return; /* told where it was read */
    }
    if ((status.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
        doctor_add(self, DOCTOR_CONFIG_SECRETS, FINDING_WARNING, where, "%s, %s, has mode %04o: others may %s it", what,
                   path, (unsigned) (status.st_mode & 07777), (status.st_mode & S_IROTH) != 0 ? "read" : "change");
        doctor_mend(self, "chmod 600 %s, with the user of the program as owner", path);
    } else {
        doctor_add(self, DOCTOR_CONFIG_SECRETS, FINDING_FINE, where, "%s, %s, has mode %04o", what, path,
                   (unsigned) (status.st_mode & 07777));
    }
}

static const struct config_key *find_key(const struct doctor_source *source, struct span path) {
    const struct config_key *key = NULL;
    if (source->gateway != NULL) {
        key = config_find_key_in_table(&gateway_config_table, path);
    }
    if (key == NULL && source->broker != NULL) {
        key = config_find_key_in_table(&broker_config_table, path);
    }
    return key;
}

/* A relative name counts from the folder of the settings. */
static void check_named_file(struct doctor *self, const struct doctor_source *source, const char *key,
                             const char *name) {
    char path[PATH_SIZE];
    char what[256];
    const char *slash = strrchr(source->file, '/');
    int folder = name[0] == '/' || slash == NULL ? 0 : (int) (slash - source->file) + 1;
    snprintf(path, sizeof path, "%.*s%s", folder, source->file, name);
    snprintf(what, sizeof what, "the file of %s", key);
    check_mode(self, source->where, what, path);
}

/* Walks the file: <secret>_file names a file, <secret> itself makes the settings a secret. */
static void check_node(struct doctor *self, const struct doctor_source *source, const config_node_t *node,
                       const char *path, bool *ret_has_secret) {
    for (size_t i = 0; i < node->n_children; i++) {
        const config_node_t *child = node->children[i];
        if (child->name == NULL) {
            continue;
        }
        auto_destroy(memory_free_text) char *key_path = config_join(path, child->name);
        if (child->kind == CONFIG_NODE_MAP) {
            auto_destroy(memory_free_text) char *inner = config_join(key_path, ".");
            check_node(self, source, child, inner, ret_has_secret);
        } else if (child->kind == CONFIG_NODE_SCALAR) {
            struct span name = span_of_text(key_path);
            bool names_file = ends_with(key_path, "_file");
            name.size -= names_file ? sizeof "_file" - 1 : 0;
            const struct config_key *key = find_key(source, name);
            if (key != NULL && key->type == CONFIG_SECRET && names_file) {
                check_named_file(self, source, key_path, child->text);
            } else if (key != NULL && key->type == CONFIG_SECRET && child->text_size > 0) {
                *ret_has_secret = true;
            }
        }
    }
}

static void ignore_error(void *context, const struct config_yaml_error *error) {
    (void) context;
    (void) error;
}

void doctor_check_secret_files(struct doctor *self) {
    for (size_t i = 0; i < self->n_sources; i++) {
        const struct doctor_source *source = &self->sources[i];
        struct buffer text = BUFFER_EMPTY;
        const char *reason = NULL;
        if (source->file != NULL && config_read_file(source->file, CONFIG_FILE_MAX, &text, &reason)) {
            const struct config_yaml_errors errors = {ignore_error, NULL};
            auto_destroy(config_node_destroy) config_node_t *root = config_yaml_read(buffer_span(&text), &errors);
            bool has_secret = false;
            if (root != NULL) {
                check_node(self, source, root, "", &has_secret);
            }
            if (has_secret) {
                check_mode(self, source->where, "the settings with a secret inside", source->file);
            }
            explicit_bzero(text.data, text.size);
        }
        buffer_finish(&text);
    }
}

/* ---- all ---- */

void doctor_check_keys(struct doctor *self) {
    for (size_t i = 0; i < self->n_sources; i++) {
        const struct doctor_source *source = &self->sources[i];
        struct curve_keys keys;
        if (source->is_redis_only) {
            continue;
        }
        if (source->broker != NULL) {
            check_pair(self, source, "broker.curve_key_file", source->broker->curve_key_file, &keys);
            check_allowed(self, source, "broker.curve_allowed_dir", source->broker->curve_allowed_dir);
            check_pair(self, source, "backend.curve_key_file", source->broker->backend_curve_key_file, &keys);
            check_allowed(self, source, "backend.curve_allowed_dir", source->broker->backend_curve_allowed_dir);
        }
        if (source->gateway != NULL) {
            check_gateway_keys(self, source);
            check_token(self, source);
        }
    }
}
