/* Which files count, which context of them, and what it names.
 *
 * Failure modes: a file that cannot be read or is no YAML; no context, or one that names a cluster or user that no file
 * has; the first mistake is told with its place and the reading ends. What nobody asked for is not looked at, so a
 * broken entry beside ours does no harm. */
#include "operator/kube/kube_config_parts.h"

#include "base/config_nearest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILES_MAX = 32, SMALL_FILE_MAX = 64 * 1024 };

static const char service_account[] = "/var/run/secrets/kubernetes.io/serviceaccount";

/* The files, open. */
struct merged {
    struct kube_config_reading *reading;
    const struct kube_config_file *files;
    struct config_documents documents[FILES_MAX];
    size_t n;
};

/* ---- telling ---- */

bool kube_config_fail(struct kube_config_reading *self, const char *file, const config_node_t *node, const char *format,
                      ...) {
    char text[1024];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (self->error == NULL) {
        self->error = node == NULL ? arena_format(self->arena, "%s: %s", file, text)
                                   : arena_format(self->arena, "%s:%u:%u: %s", file, node->line, node->column, text);
    }
    return false;
}

/* ---- nodes ---- */

const config_node_t *kube_config_member(const config_node_t *map, const char *name) {
    for (size_t i = 0; map != NULL && map->kind == CONFIG_NODE_MAP && i < map->n_children; i++) {
        const config_node_t *child = map->children[i];
        if (strcmp(child->name, name) == 0) {
            bool is_nothing =
                child->kind == CONFIG_NODE_SCALAR && child->is_plain &&
                (child->text_size == 0 || strcmp(child->text, "null") == 0 || strcmp(child->text, "~") == 0);
            return is_nothing ? NULL : child;
        }
    }
    return NULL;
}

const char *kube_config_text(struct kube_config_reading *self, const char *file, const config_node_t *map,
                             const char *name) {
    const config_node_t *node = kube_config_member(map, name);
    if (node == NULL) {
        return NULL;
    }
    if (node->kind != CONFIG_NODE_SCALAR || strlen(node->text) != node->text_size) {
        kube_config_fail(self, file, node, "%s is a text", name);
        return NULL;
    }
    return node->text_size == 0 ? NULL : arena_text(self->arena, node->text);
}

char *kube_config_load(arena_t *arena, const char *path, size_t bytes_max) {
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        return NULL;
    }
    char *text = arena_alloc(arena, bytes_max + 1);
    size_t size = fread(text, 1, bytes_max + 1, stream);
    bool is_bad = ferror(stream) != 0;
    int error = errno;
    fclose(stream);
    if (is_bad || size > bytes_max) {
        errno = is_bad ? error : EFBIG;
        return NULL;
    }
    text[size] = '\0';
    return text;
}

/* ---- entries by name ---- */

/* clusters: [{name: a, cluster: {…}}] */
static bool find_in(struct merged *self, size_t index, const char *list, const char *body, const char *name,
                    struct kube_config_entry *ret_entry) {
    const struct config_documents *documents = &self->documents[index];
    const config_node_t *items = documents->n == 0 ? NULL : kube_config_member(documents->roots[0], list);
    for (size_t i = 0; items != NULL && items->kind == CONFIG_NODE_LIST && i < items->n_children; i++) {
        const config_node_t *item = items->children[i];
        const config_node_t *other = kube_config_member(item, "name");
        if (other != NULL && other->kind == CONFIG_NODE_SCALAR && strcmp(other->text, name) == 0) {
            *ret_entry = (struct kube_config_entry){
                .file = self->files[index].name, .item = item, .body = kube_config_member(item, body)};
            return true;
        }
    }
    return false;
}

static struct kube_config_entry find(struct merged *self, const char *list, const char *body, const char *name) {
    struct kube_config_entry entry = {NULL, NULL, NULL};
    for (size_t i = 0; i < self->n; i++) {
        if (find_in(self, i, list, body, name, &entry)) {
            break;
        }
    }
    return entry;
}

static const char *all_files(struct merged *self) {
    const char *text = self->files[0].name;
    for (size_t i = 1; i < self->n; i++) {
        text = arena_format(self->reading->arena, "%s, %s", text, self->files[i].name);
    }
    return text;
}

/* Which contexts there are, for who misspelt one. */
static const char *known_contexts(struct merged *self) {
    enum { NAMES_MAX = 10 };
    const char *text = "";
    size_t n = 0;
    for (size_t k = 0; k < self->n; k++) {
        const config_node_t *root = self->documents[k].n == 0 ? NULL : self->documents[k].roots[0];
        const config_node_t *items = kube_config_member(root, "contexts");
        for (size_t i = 0; items != NULL && i < items->n_children && n < NAMES_MAX; i++) {
            const config_node_t *name = kube_config_member(items->children[i], "name");
            if (name != NULL && name->kind == CONFIG_NODE_SCALAR) {
                text = arena_format(self->reading->arena, "%s%s%.100s", text, n++ == 0 ? "" : ", ", name->text);
            }
        }
    }
    return n == 0 ? "none" : text;
}

/* ---- the context ---- */

/* Of the first file that says one; *ret_file and *ret_node: where. */
static const char *current_context(struct merged *self, const char **ret_file, const config_node_t **ret_node) {
    for (size_t i = 0; i < self->n; i++) {
        const config_node_t *root = self->documents[i].n == 0 ? NULL : self->documents[i].roots[0];
        const char *name = kube_config_text(self->reading, self->files[i].name, root, "current-context");
        if (name != NULL) {
            *ret_file = self->files[i].name;
            *ret_node = kube_config_member(root, "current-context");
            return name;
        }
    }
    return NULL;
}

static bool take_part(struct merged *self, const struct kube_config_entry *context, const char *list, const char *body,
                      struct kube_config_entry *ret_entry) {
    const config_node_t *node = kube_config_member(context->body, body);
    const char *name = kube_config_text(self->reading, context->file, context->body, body);
    if (name == NULL) {
        return kube_config_fail(self->reading, context->file, context->item, "this context names no %s", body);
    }
    *ret_entry = find(self, list, body, name);
    if (ret_entry->item == NULL) {
        return kube_config_fail(self->reading, context->file, node, "there is no %s %s among the %s of %s", body, name,
                                list, all_files(self));
    }
    if (ret_entry->body == NULL) {
        ret_entry->body = ret_entry->item; /* a user may have nothing; its own keys are none of ours */
    }
    return true;
}

static bool take_context(struct merged *self, const char *wanted, struct kube_access *access) {
    const char *file = NULL;
    const config_node_t *node = NULL;
    const char *name = wanted != NULL ? wanted : current_context(self, &file, &node);
    struct kube_config_entry cluster;
    struct kube_config_entry user;
    if (name == NULL) {
        return kube_config_fail(self->reading, all_files(self), NULL,
                                "no current-context is set; choose one by --context NAME (there are: %s)",
                                known_contexts(self));
    }
    struct kube_config_entry context = find(self, "contexts", "context", name);
    if (context.item == NULL || context.body == NULL) {
        return kube_config_fail(self->reading, file == NULL ? all_files(self) : file, node,
                                "there is no context %s; there are: %s", name, known_contexts(self));
    }
    access->context = arena_text(self->reading->arena, name);
    access->namespace = kube_config_text(self->reading, context.file, context.body, "namespace");
    if (access->namespace == NULL) {
        access->namespace = "default";
    }
    return take_part(self, &context, "clusters", "cluster", &cluster) &&
           take_part(self, &context, "users", "user", &user) &&
           kube_config_take_cluster(self->reading, &cluster, access) &&
           kube_config_take_user(self->reading, &user, access) && self->reading->error == NULL;
}

/* ---- reading files ---- */

struct telling {
    struct kube_config_reading *reading;
    const char *file;
};

static void on_yaml_error(void *context, const struct config_yaml_error *error) {
    struct telling *telling = context;
    struct config_node place = {.line = error->line, .column = error->column};
    kube_config_fail(telling->reading, telling->file, &place, "%s", error->text);
}

bool kube_config_read_texts(arena_t *arena, const struct kube_config_file *files, size_t n_files, const char *context,
                            struct kube_access *ret_access, const char **ret_error) {
    struct kube_config_reading reading = {.arena = arena};
    struct merged self = {.reading = &reading, .files = files, .n = n_files < FILES_MAX ? n_files : FILES_MAX};
    *ret_access = (struct kube_access){.context = ""};
    for (size_t i = 0; i < self.n; i++) {
        struct telling telling = {.reading = &reading, .file = files[i].name};
        const struct config_yaml_errors errors = {.on_error = on_yaml_error, .context = &telling};
        if (!config_yaml_read_documents(files[i].text, &errors, &self.documents[i])) {
            self.documents[i] = (struct config_documents){NULL, 0};
        }
    }
    bool is_good = reading.error == NULL && take_context(&self, context, ret_access);
    for (size_t i = 0; i < self.n; i++) {
        config_documents_finish(&self.documents[i]);
    }
    *ret_error = reading.error;
    return is_good;
}

/* ---- in a pod ---- */

bool kube_config_read_in_cluster(arena_t *arena, const char *host, const char *port, const char *folder,
                                 struct kube_access *ret_access, const char **ret_error) {
    const char *ca_file = arena_format(arena, "%s/ca.crt", folder);
    const char *namespace = kube_config_load(arena, arena_format(arena, "%s/namespace", folder), SMALL_FILE_MAX);
    bool is_ipv6 = strchr(host, ':') != NULL;
    *ret_access = (struct kube_access){
        .context = "in-cluster",
        .place = arena_text(arena, folder),
        .server = arena_format(arena, is_ipv6 ? "https://[%s]:%s" : "https://%s:%s", host, port),
        .namespace =
            namespace == NULL ? "default" : arena_text_of(arena, span_of(namespace, strcspn(namespace, "\r\n "))),
        .ca_pem = kube_config_load(arena, ca_file, CONFIG_YAML_BYTES_MAX),
        .token_file = arena_format(arena, "%s/token", folder),
    };
    if (ret_access->ca_pem == NULL) {
        *ret_error = arena_format(arena,
                                  "%s: %s: this pod has no service account's token; set "
                                  "automountServiceAccountToken, or name a file by --kubeconfig",
                                  ca_file, strerror(errno));
        return false;
    }
    return true;
}

/* ---- where they are ---- */

/* Which files there are. `is_list`: some may be missing. */
struct found {
    struct kube_config_file files[FILES_MAX];
    size_t n;
};

static bool add_file(arena_t *arena, struct found *found, const char *name, const char **ret_error) {
    enum { TOO_LARGE = CONFIG_YAML_BYTES_MAX + 1 };
    char *text = kube_config_load(arena, name, TOO_LARGE);
    if (text == NULL) {
        *ret_error = arena_format(arena, "%s: %s", name, strerror(errno));
        return false;
    }
    if (found->n < FILES_MAX) {
        found->files[found->n++] = (struct kube_config_file){.name = name, .text = span_of_text(text)};
    }
    return true;
}

static bool add_list(arena_t *arena, struct found *found, const char *list, const char **ret_error) {
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, ":");
        const char *name = arena_text_of(arena, span_of(at, size));
        if (size > 0 && !add_file(arena, found, name, ret_error) && errno != ENOENT) {
            return false;
        }
        at += size + (at[size] == ':' ? 1 : 0);
    }
    if (found->n == 0) {
        *ret_error = arena_format(arena, "KUBECONFIG=%s: none of these files is there", list);
    }
    return found->n > 0;
}

static const char *variable(const char *name) {
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? NULL : text;
}

bool kube_config_read(arena_t *arena, const struct kube_config_options *options, struct kube_access *ret_access,
                      const char **ret_error) {
    struct found found = {.n = 0};
    const char *list = variable("KUBECONFIG");
    const char *home = variable("HOME");
    const char *host = variable("KUBERNETES_SERVICE_HOST");
    const char *port = variable("KUBERNETES_SERVICE_PORT");
    *ret_access = (struct kube_access){.context = ""};
    *ret_error = "";
    bool is_there = false;
    if (options->file != NULL) {
        is_there = add_file(arena, &found, options->file, ret_error);
    } else if (list != NULL) {
        is_there = add_list(arena, &found, list, ret_error);
    } else if (home != NULL && add_file(arena, &found, arena_format(arena, "%s/.kube/config", home), ret_error)) {
        is_there = true;
    } else if (home == NULL || errno == ENOENT || errno == ENOTDIR) {
        if (host != NULL && options->context == NULL) {
            return kube_config_read_in_cluster(arena, host, port == NULL ? "443" : port, service_account, ret_access,
                                               ret_error);
        }
        *ret_error = "there is no kubeconfig: name it by --kubeconfig FILE or KUBECONFIG, or put it at ~/.kube/config";
    }
    return is_there && kube_config_read_texts(arena, found.files, found.n, options->context, ret_access, ret_error);
}
