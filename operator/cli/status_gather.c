/* See status_gather.h.
 *
 *     lists by labels          Deployments, StatefulSets, Pods, claims, Ingresses
 *     by name                  the brokers' ConfigMap (partitions), Secrets with certificates, the internal token
 *     pods, through the server gateways, brokers: /health, and with the token /metrics, /info · Redis, Sentinel:
 * /status
 *
 * Rights: get and list of the first, get of the second, get of pods/proxy. Each may be missing. */
#include "operator/cli/status_gather.h"

#include "operator/kube/kube_json.h"

#include <string.h>

enum { ANSWERS_MAX = 4096, UNKNOWNS_MAX = 64 };

struct gathering {
    kube_client_t *client;
    kube_client_t *pods;
    arena_t *arena;
    struct status_input *input;
    manifests_t *objects;
    struct status_answer *answers;
    size_t n_answers;
    struct status_unknown *unknowns;
    size_t n_unknowns;
    const char *header; /* with the internal token; NULL: it is not known */
};

static void note_unknown(struct gathering *self, const char *what, const char *why) {
    for (size_t i = 0; i < self->n_unknowns; i++) {
        if (strcmp(self->unknowns[i].what, what) == 0) {
            return;
        }
    }
    if (self->n_unknowns < UNKNOWNS_MAX) {
        self->unknowns[self->n_unknowns++] = (struct status_unknown){arena_text(self->arena, what), why};
    }
}

/* ---- objects ---- */

static const char *label(const manifest_t *object, const char *name) {
    return kube_metadata_text(object, "labels", name);
}

static enum kube_result list(struct gathering *self, const char *version, const char *kind, const char *selector,
                             manifests_t *out, struct kube_answer *answer) {
    enum kube_result result =
        kube_list(self->client, version, kind, self->input->namespace, selector, self->arena, out, answer);
    if (result == KUBE_DENIED || result == KUBE_INVALID) {
        note_unknown(self, kind, answer->message);
        return KUBE_OK;
    }
    return result == KUBE_NOT_FOUND ? KUBE_OK : result;
}

static enum kube_result list_objects(struct gathering *self, struct kube_answer *answer) {
    static const struct {
        const char *version;
        const char *kind;
    } kinds[] = {{"apps/v1", "Deployment"},
                 {"apps/v1", "StatefulSet"},
                 {"v1", "Pod"},
                 {"v1", "PersistentVolumeClaim"},
                 {"networking.k8s.io/v1", "Ingress"}};
    const char *selector =
        arena_format(self->arena, "app.kubernetes.io/name=callboard,app.kubernetes.io/instance=%s", self->input->name);
    enum kube_result result = KUBE_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && result == KUBE_OK; i++) {
        result = list(self, kinds[i].version, kinds[i].kind, selector, self->objects, answer);
    }
    return result;
}

/* The only one that is installed here. */
static enum kube_result choose_name(struct gathering *self, struct kube_answer *answer) {
    manifests_t *found = manifests_new(self->arena);
    enum kube_result result =
        list(self, "apps/v1", "Deployment", "app.kubernetes.io/part-of=callboard,app.kubernetes.io/component=gateway",
             found, answer);
    if (result != KUBE_OK) {
        return result;
    }
    if (manifests_count(found) == 1) {
        self->input->name = label(manifests_at(found, 0), "app.kubernetes.io/instance");
        return KUBE_OK;
    }
    const char *names = "";
    for (size_t i = 0; i < manifests_count(found); i++) {
        names = arena_format(self->arena, "%s%s%s", names, i == 0 ? "" : ", ",
                             label(manifests_at(found, i), "app.kubernetes.io/instance"));
    }
    answer->message =
        manifests_count(found) > 0 ? arena_format(self->arena, "the namespace %s has several deployments: %s; name one",
                                                  self->input->namespace, names)
        : self->n_unknowns > 0     ? arena_format(self->arena, "%s; name the deployment", self->unknowns[0].why)
                               : arena_format(self->arena, "no deployment is in the namespace %s; another one with -n",
                                              self->input->namespace);
    return KUBE_NOT_FOUND;
}

/* ---- by name ---- */

static const manifest_t *get(struct gathering *self, const char *kind, const char *name, const char *what_for) {
    struct kube_answer answer;
    enum kube_result result = kube_get(self->client, "v1", kind, self->input->namespace, name, self->arena, &answer);
    if (result == KUBE_OK) {
        return answer.object;
    }
    note_unknown(self, arena_format(self->arena, "%s (%s %s)", what_for, kind, name), answer.message);
    return NULL;
}

static bool is_known(const struct gathering *self, const char *kind, const char *name) {
    return manifests_find(self->objects, kind, name) != NULL;
}

static void add_certificate(struct gathering *self, const char *secret) {
    if (secret[0] == '\0' || is_known(self, "Secret", secret)) {
        return;
    }
    const manifest_t *object = get(self, "Secret", secret, "when a certificate expires");
    if (object != NULL) {
        manifest_t *kept = manifests_add(self->objects, "v1", "Secret", secret); /* of its data the certificate only */
        const manifest_t *data = manifest_get(object, "data");
        const char *text = data == NULL ? NULL : manifest_text_of(manifest_get(data, "tls.crt"));
        if (text != NULL) {
            manifest_set_text(manifest_add_map(kept, "data"), "tls.crt", text);
        }
    }
}

static bool has_certificate(const manifest_t *secret) {
    const manifest_t *items = manifest_get(secret, "items");
    for (size_t i = 0; items != NULL && i < manifest_count(items); i++) {
        if (strcmp(kube_text_at(manifest_at(items, i), "key"), "tls.crt") == 0) {
            return true;
        }
    }
    return false;
}

static void add_certificates_of(struct gathering *self, const manifest_t *object) {
    const manifest_t *volumes = manifest_find(object, "spec.template.spec.volumes");
    for (size_t i = 0; volumes != NULL && i < manifest_count(volumes); i++) {
        const manifest_t *secret = manifest_get(manifest_at(volumes, i), "secret");
        if (secret != NULL && has_certificate(secret)) {
            add_certificate(self, kube_text_at(secret, "secretName"));
        }
    }
    const manifest_t *tls =
        strcmp(kube_text_at(object, "kind"), "Ingress") == 0 ? manifest_find(object, "spec.tls") : NULL;
    for (size_t i = 0; tls != NULL && i < manifest_count(tls); i++) {
        add_certificate(self, kube_text_at(manifest_at(tls, i), "secretName"));
    }
}

static void add_certificates(struct gathering *self) {
    size_t n = manifests_count(self->objects); /* it grows */
    for (size_t i = 0; i < n; i++) {
        add_certificates_of(self, manifests_at(self->objects, i));
    }
}

/* ---- the internal token ---- */

/* The Secret and key that are mounted as internal-token; false: none. */
static bool find_token(const struct gathering *self, const char **ret_secret, const char **ret_key) {
    for (size_t i = 0; i < manifests_count(self->objects); i++) {
        const manifest_t *volumes = manifest_find(manifests_at(self->objects, i), "spec.template.spec.volumes");
        for (size_t k = 0; volumes != NULL && k < manifest_count(volumes); k++) {
            const manifest_t *items = manifest_find(manifest_at(volumes, k), "secret.items");
            for (size_t j = 0; items != NULL && j < manifest_count(items); j++) {
                if (strcmp(kube_text_at(manifest_at(items, j), "path"), "internal-token") == 0) {
                    *ret_secret = kube_text_at(manifest_at(volumes, k), "secret.secretName");
                    *ret_key = kube_text_at(manifest_at(items, j), "key");
                    return true;
                }
            }
        }
    }
    return false;
}

static int value_of(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int) (at - digits);
}

/* Of a Secret's base64; up to the first line feed, as the programs read it. NULL: it is none. */
static const char *decode_line(arena_t *arena, const char *text) {
    size_t size = strlen(text);
    char *out = arena_alloc(arena, size + 1);
    size_t n = 0;
    unsigned bits = 0;
    unsigned n_bits = 0;
    for (size_t i = 0; i < size && text[i] != '='; i++) {
        int value = value_of(text[i]);
        if (value < 0) {
            return NULL;
        }
        bits = (bits << 6 | (unsigned) value) & 0xFFFFFF;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (char) (bits >> n_bits & 0xFF);
        }
    }
    out[strcspn(out, "\r\n")] = '\0';
    return out[0] == '\0' ? NULL : out;
}

static void read_token(struct gathering *self) {
    const char *secret;
    const char *key;
    if (!find_token(self, &secret, &key)) {
        return;
    }
    const manifest_t *object = get(self, "Secret", secret, "messages and channels");
    const manifest_t *data = object == NULL ? NULL : manifest_get(object, "data");
    const char *text = data == NULL ? NULL : manifest_text_of(manifest_get(data, key));
    const char *token = text == NULL ? NULL : decode_line(self->arena, text);
    if (token != NULL) {
        self->header = arena_format(self->arena, "X-Callboard-Token: %s", token);
    }
}

/* ---- what pods answer ---- */

static unsigned port_named(const manifest_t *pod, const char *name) {
    const manifest_t *containers = manifest_find(pod, "spec.containers");
    for (size_t i = 0; containers != NULL && i < manifest_count(containers); i++) {
        const manifest_t *ports = manifest_get(manifest_at(containers, i), "ports");
        for (size_t k = 0; ports != NULL && k < manifest_count(ports); k++) {
            if (strcmp(kube_text_at(manifest_at(ports, k), "name"), name) == 0) {
                return (unsigned) kube_int_at(manifest_at(ports, k), "containerPort", 0);
            }
        }
    }
    return 0;
}

/* What the API server says of its own way to the pod, without the rest. */
static const char *why(const struct gathering *self, const char *message) {
    static const char mark[] = "error trying to reach service: ";
    const char *at = strstr(message, mark);
    if (at == NULL) {
        return message;
    }
    at += sizeof mark - 1;
    return arena_format(self->arena, "the API server does not reach it: %.*s", (int) strcspn(at, ";\n"), at);
}

static bool ask(struct gathering *self, const manifest_t *pod, unsigned port, const char *page, const char *header) {
    struct kube_answer answer;
    struct status_answer item = {.pod = kube_text_at(pod, "metadata.name"), .page = page};
    enum kube_result result = kube_proxy_get(self->pods, self->input->namespace, item.pod, port, page, header,
                                             self->arena, &item.text, &answer);
    if (result != KUBE_OK) {
        item.trouble = why(self, answer.message);
    }
    if (result == KUBE_DENIED && answer.status == 403) {
        note_unknown(self, "what pods say (pods/proxy)", answer.message);
        item.trouble = "pods/proxy is denied";
    }
    if (answer.status == 404 && strcmp(page, "/status") == 0) {
        item.trouble = "its agent has no /status: the image is of an older version";
    }
    self->answers[self->n_answers++] = item;
    return result == KUBE_OK;
}

static void ask_pod(struct gathering *self, const manifest_t *pod) {
    const char *component = label(pod, "app.kubernetes.io/component");
    bool is_program = strcmp(component, "gateway") == 0 || strcmp(component, "broker") == 0;
    unsigned port = port_named(pod, is_program ? "internal" : "probes");
    bool runs =
        strcmp(kube_text_at(pod, "status.phase"), "Running") == 0 && kube_text_at(pod, "status.podIP")[0] != '\0';
    if (!runs || port == 0 || self->n_answers + 3 > ANSWERS_MAX) {
        return;
    }
    if (!is_program) {
        ask(self, pod, port, "/status", NULL);
    } else if (ask(self, pod, port, "/health", NULL) && self->header != NULL) {
        ask(self, pod, port, "/metrics", self->header);
        if (strcmp(component, "broker") == 0) {
            ask(self, pod, port, "/info", self->header);
        }
    }
}

static void ask_pods(struct gathering *self) {
    for (size_t i = 0; i < manifests_count(self->objects); i++) {
        if (strcmp(kube_text_at(manifests_at(self->objects, i), "kind"), "Pod") == 0) {
            ask_pod(self, manifests_at(self->objects, i));
        }
    }
}

/* ---- all ---- */

enum kube_result status_gather(kube_client_t *client, kube_client_t *pods, arena_t *arena, struct status_input *input,
                               struct kube_answer *ret_answer) {
    struct gathering self = {.client = client,
                             .pods = pods,
                             .arena = arena,
                             .input = input,
                             .objects = manifests_new(arena),
                             .answers = arena_alloc(arena, ANSWERS_MAX * sizeof *self.answers),
                             .unknowns = arena_alloc(arena, UNKNOWNS_MAX * sizeof *self.unknowns)};
    if (input->namespace == NULL) {
        input->namespace = kube_client_namespace(client);
    }
    input->server = kube_client_server(client);
    enum kube_result result = input->name == NULL ? choose_name(&self, ret_answer) : KUBE_OK;
    if (result == KUBE_OK) {
        result = list_objects(&self, ret_answer);
    }
    if (result != KUBE_OK) {
        return result;
    }
    const manifest_t *map = get(&self, "ConfigMap", arena_format(arena, "%s-broker", input->name), "partitions");
    if (map != NULL) {
        manifests_append(self.objects, manifest_copy(arena, map));
    }
    add_certificates(&self);
    read_token(&self);
    ask_pods(&self);
    manifests_sort(self.objects);
    input->objects = self.objects;
    input->answers = self.answers;
    input->n_answers = self.n_answers;
    input->unknowns = self.unknowns;
    input->n_unknowns = self.n_unknowns;
    return KUBE_OK;
}
