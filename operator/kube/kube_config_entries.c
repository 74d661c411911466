/* A cluster's and a user's keys into struct kube_access. What a key names is read here and now (certificates, not
 * tokens), so that a file that is missing is told with the line that names it. */
#include "operator/kube/kube_config_parts.h"

#include "base/base64.h"
#include "operator/kube/kube_credentials.h"

#include <errno.h>

enum { PEM_BYTES_MAX = 256 * 1024, ARGUMENTS_MAX = 256 };

/* An entry while it is read. */
struct part {
    struct kube_config_reading *reading;
    const char *file;
    const config_node_t *body;
};

static const char *text_of(const struct part *self, const char *name) {
    return kube_config_text(self->reading, self->file, self->body, name);
}

static bool fail(const struct part *self, const char *name, const char *text) {
    const config_node_t *node = kube_config_member(self->body, name);
    return kube_config_fail(self->reading, self->file, node == NULL ? self->body : node, "%s", text);
}

static const char *place_of(const struct part *self, const char *name) {
    const config_node_t *node = kube_config_member(self->body, name);
    return arena_format(self->reading->arena, "%s:%u", self->file, node == NULL ? self->body->line : node->line);
}

static bool truth_of(const struct part *self, const char *name) {
    const config_node_t *node = kube_config_member(self->body, name);
    if (node == NULL || node->kind != CONFIG_NODE_SCALAR) {
        return false;
    }
    bool is_true = strcmp(node->text, "true") == 0;
    if (!is_true && strcmp(node->text, "false") != 0) {
        fail(self, name, arena_format(self->reading->arena, "%s is true or false", name));
    }
    return is_true;
}

/* Beside the kubeconfig, unless it begins at the root. */
static const char *path_of(const struct part *self, const char *path) {
    const char *slash = strrchr(self->file, '/');
    if (path[0] == '/' || slash == NULL) {
        return path;
    }
    return arena_format(self->reading->arena, "%.*s/%s", (int) (slash - self->file), self->file, path);
}

/* ---- PEM, in the file or beside it ---- */

/* Base64 in YAML may be folded over lines. */
static const char *decoded(const struct part *self, const char *name, const char *text) {
    struct buffer plain = BUFFER_EMPTY;
    struct buffer bytes;
    const char *pem = NULL;
    buffer_init(&bytes, PEM_BYTES_MAX);
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr(" \t\r\n", *at) == NULL) {
            buffer_append_char(&plain, *at);
        }
    }
    if (base64_decode(&bytes, buffer_span(&plain)) && memchr(bytes.data, '\0', bytes.size) == NULL) {
        pem = arena_text_of(self->reading->arena, buffer_span(&bytes));
    } else {
        fail(self, name, arena_format(self->reading->arena, "%s is no base64 of a PEM file", name));
    }
    if (bytes.size > 0) {
        explicit_bzero(bytes.data, bytes.size);
    }
    buffer_finish(&bytes);
    buffer_finish(&plain);
    return pem;
}

static const char *loaded(const struct part *self, const char *name, const char *path) {
    const char *file = path_of(self, path);
    const char *pem = kube_config_load(self->reading->arena, file, PEM_BYTES_MAX);
    if (pem == NULL) {
        fail(self, name, arena_format(self->reading->arena, "%s: %s: %s", name, file, strerror(errno)));
    }
    return pem;
}

/* certificate-authority-data counts before certificate-authority. NULL: neither, or it failed. */
static const char *pem_of(const struct part *self, const char *name) {
    const char *data_name = arena_format(self->reading->arena, "%s-data", name);
    const char *data = text_of(self, data_name);
    const char *path = text_of(self, name);
    const char *which = data != NULL ? data_name : name;
    const char *pem = data != NULL ? decoded(self, data_name, data) : path != NULL ? loaded(self, name, path) : NULL;
    if (pem != NULL && strstr(pem, "-----BEGIN ") == NULL) {
        fail(self, which, arena_format(self->reading->arena, "%s is no PEM: it has no line -----BEGIN …-----", which));
    }
    return pem;
}

/* ---- a cluster ---- */

static const char *without_slash(arena_t *arena, const char *server) {
    size_t size = strlen(server);
    while (size > 0 && server[size - 1] == '/') {
        size--;
    }
    return arena_text_of(arena, span_of(server, size));
}

static bool is_local_http(const char *server) {
    static const char *const begins[] = {"http://127.", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        if (strncmp(server, begins[i], strlen(begins[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* extensions: [{name: client.authentication.k8s.io/exec, extension: …}] */
static const manifest_t *exec_config_of(const struct part *self) {
    const config_node_t *list = kube_config_member(self->body, "extensions");
    for (size_t i = 0; list != NULL && i < list->n_children; i++) {
        const config_node_t *name = kube_config_member(list->children[i], "name");
        const config_node_t *extension = kube_config_member(list->children[i], "extension");
        if (name != NULL && name->kind == CONFIG_NODE_SCALAR && extension != NULL &&
            strcmp(name->text, "client.authentication.k8s.io/exec") == 0) {
            return manifest_of_yaml(self->reading->arena, extension);
        }
    }
    return NULL;
}

static bool has_only_printable(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text >= 0x7F) {
            return false;
        }
    }
    return true;
}

bool kube_config_take_cluster(struct kube_config_reading *self, const struct kube_config_entry *entry,
                              struct kube_access *access) {
    const struct part part = {.reading = self, .file = entry->file, .body = entry->body};
    const char *server = text_of(&part, "server");
    if (server == NULL) {
        return self->error == NULL && fail(&part, "server", "this cluster has no server");
    }
    if (strchr(server, '@') != NULL || strchr(server, '?') != NULL || strchr(server, '#') != NULL ||
        !has_only_printable(server)) {
        return fail(&part, "server", "server is https://host:port, without a user, a query or white space");
    }
    if (strncmp(server, "https://", 8) != 0 && !is_local_http(server)) {
        return fail(&part, "server", "server begins with https:// (plain http only to this machine)");
    }
    access->place = place_of(&part, "server");
    access->server = without_slash(self->arena, server);
    access->tls_server_name = text_of(&part, "tls-server-name");
    access->proxy_url = text_of(&part, "proxy-url");
    access->skips_verification = truth_of(&part, "insecure-skip-tls-verify");
    access->ca_pem = pem_of(&part, "certificate-authority");
    access->exec_config = exec_config_of(&part);
    if (access->tls_server_name != NULL && !has_only_printable(access->tls_server_name)) {
        return fail(&part, "tls-server-name", "tls-server-name is a host name");
    }
    if (access->ca_pem != NULL && access->skips_verification) {
        return fail(&part, "insecure-skip-tls-verify",
                    "a certificate-authority and insecure-skip-tls-verify exclude each other: take one away");
    }
    return self->error == NULL;
}

/* ---- a plugin ---- */

/* args: [a, b]; env: [{name: A, value: b}] becomes A=b. */
static const char *const *texts_of(const struct part *self, const char *name, bool are_variables) {
    const config_node_t *list = kube_config_member(self->body, name);
    size_t n = list == NULL ? 0 : list->n_children;
    const char **texts = arena_alloc(self->reading->arena, (n + 1) * sizeof *texts);
    if (n > ARGUMENTS_MAX || (list != NULL && list->kind != CONFIG_NODE_LIST)) {
        fail(self, name, arena_format(self->reading->arena, "%s is a list of at most %d", name, ARGUMENTS_MAX));
        texts[0] = NULL;
        return texts;
    }
    for (size_t i = 0; i < n; i++) {
        const config_node_t *item = list->children[i];
        const config_node_t *variable = are_variables ? kube_config_member(item, "name") : NULL;
        const config_node_t *value = are_variables ? kube_config_member(item, "value") : item;
        bool is_good = (value == NULL ? are_variables : value->kind == CONFIG_NODE_SCALAR) &&
                       (!are_variables || (variable != NULL && variable->kind == CONFIG_NODE_SCALAR));
        if (!is_good) {
            fail(self, name,
                 arena_format(self->reading->arena, "%s is a list of %s", name,
                              are_variables ? "maps with name and value" : "texts"));
        }
        const char *text = !is_good || value == NULL ? "" : value->text;
        texts[i] = are_variables && is_good ? arena_format(self->reading->arena, "%s=%s", variable->text, text)
                                            : arena_text(self->reading->arena, text);
    }
    return texts;
}

static bool take_mode(const struct part *self, struct kube_exec *exec) {
    const char *mode = text_of(self, "interactiveMode");
    exec->needs_terminal = mode != NULL && strcmp(mode, "Always") == 0;
    exec->is_interactive = mode == NULL || exec->needs_terminal || strcmp(mode, "IfAvailable") == 0;
    return exec->is_interactive || strcmp(mode, "Never") == 0 ||
           fail(self, "interactiveMode", "interactiveMode is Never, IfAvailable or Always");
}

static bool take_exec(const struct part *user, struct kube_access *access) {
    struct kube_config_reading *reading = user->reading;
    const struct part self = {reading, user->file, kube_config_member(user->body, "exec")};
    struct kube_exec *exec = arena_alloc(reading->arena, sizeof *exec);
    exec->place = place_of(user, "exec");
    exec->api_version = text_of(&self, "apiVersion");
    exec->command = text_of(&self, "command");
    exec->install_hint = text_of(&self, "installHint");
    exec->arguments = texts_of(&self, "args", false);
    exec->environment = texts_of(&self, "env", true);
    exec->provides_cluster_info = truth_of(&self, "provideClusterInfo");
    access->exec = exec;
    if (exec->command == NULL) {
        return fail(user, "exec", "exec names no command");
    }
    if (strchr(exec->command, '/') != NULL) {
        exec->command = path_of(&self, exec->command);
    }
    bool is_known =
        exec->api_version != NULL && (strcmp(exec->api_version, "client.authentication.k8s.io/v1") == 0 ||
                                      strcmp(exec->api_version, "client.authentication.k8s.io/v1beta1") == 0);
    if (!is_known) {
        return fail(&self, "apiVersion",
                    "exec.apiVersion is client.authentication.k8s.io/v1 or …/v1beta1; renew the entry by the tool that "
                    "wrote it");
    }
    return take_mode(&self, exec);
}

/* ---- a user ---- */

static bool take_token(const struct part *self, struct kube_access *access) {
    const char *token = text_of(self, "token");
    const char *file = text_of(self, "tokenFile");
    access->token_file = file == NULL ? NULL : path_of(self, file);
    if (token != NULL) {
        struct span trimmed = kube_credentials_token(span_of_text(token));
        if (trimmed.size == 0) {
            return fail(self, "token", "token is no bearer token: one line without white space");
        }
        access->token = arena_text_of(self->reading->arena, trimmed);
    }
    return true;
}

/* They become headers. */
static bool has_control(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char) *text < ' ' || *text == 0x7F) {
            return true;
        }
    }
    return false;
}

static bool take_impersonation(const struct part *self, struct kube_access *access) {
    access->impersonated_user = text_of(self, "as");
    if (kube_config_member(self->body, "as-groups") != NULL) {
        access->impersonated_groups = texts_of(self, "as-groups", false);
    }
    bool is_bad = access->impersonated_user != NULL && has_control(access->impersonated_user);
    for (size_t i = 0; access->impersonated_groups != NULL && access->impersonated_groups[i] != NULL; i++) {
        is_bad = is_bad || has_control(access->impersonated_groups[i]);
    }
    return !is_bad || fail(self, "as", "as and as-groups are names, without line feeds");
}

static bool refuse_unknown(const struct part *self) {
    static const struct {
        const char *name;
        const char *text;
    } refused[] = {
        {"auth-provider", "auth-provider is gone from Kubernetes since 1.26: use the provider's exec plugin"},
        {"as-uid", "as-uid is not supported here: use another context"},
        {"as-user-extra", "as-user-extra is not supported here: use another context"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (kube_config_member(self->body, refused[i].name) != NULL) {
            return fail(self, refused[i].name, refused[i].text);
        }
    }
    return true;
}

bool kube_config_take_user(struct kube_config_reading *self, const struct kube_config_entry *entry,
                           struct kube_access *access) {
    const struct part part = {.reading = self, .file = entry->file, .body = entry->body};
    access->client_certificate_pem = pem_of(&part, "client-certificate");
    access->client_key_pem = pem_of(&part, "client-key");
    access->user_name = text_of(&part, "username");
    access->password = text_of(&part, "password");
    if ((access->client_certificate_pem == NULL) != (access->client_key_pem == NULL)) {
        return self->error == NULL && fail(&part, access->client_key_pem == NULL ? "client-certificate" : "client-key",
                                           "client-certificate and client-key belong together: one of them is missing");
    }
    if (access->client_key_pem != NULL && strstr(access->client_key_pem, "ENCRYPTED") != NULL) {
        return fail(&part, "client-key",
                    "the client's key asks for a passphrase, which nobody is there to type: store it without");
    }
    bool has_exec = kube_config_member(part.body, "exec") != NULL;
    return refuse_unknown(&part) && take_impersonation(&part, access) && take_token(&part, access) &&
           (!has_exec || take_exec(&part, access)) && self->error == NULL;
}
