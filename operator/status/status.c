/* See status.h. Sections are judged in the order of who depends on whom: Redis, brokers, gateways, then the pods,
 * claims and certificates; so the first error is where to begin. */
#include "operator/status/status_parts.h"

#include "operator/kube/kube_json.h"

#include <string.h>

/* ---- findings ---- */

static void add(manifest_t *list, const char *severity, const char *where, const char *what, const char *mend) {
    manifest_t *item = manifest_append_map(list);
    manifest_set_text(item, "severity", severity);
    manifest_set_text(item, "where", where);
    manifest_set_text(item, "what", what);
    manifest_set_text_if(item, "mend", mend);
}

void status_add_error(struct status *self, const char *where, const char *what, const char *mend) {
    add(self->errors, "error", where, what, mend);
}

void status_add_warning(struct status *self, const char *where, const char *what, const char *mend) {
    add(self->cautions, "warning", where, what, mend);
}

/* ---- looking ---- */

const char *status_text_at(const manifest_t *node, const char *path) {
    const manifest_t *value = node == NULL ? NULL : manifest_find(node, path);
    const char *text = value == NULL ? NULL : manifest_text_of(value);
    return text == NULL ? "" : text;
}

int64_t status_int_at(const manifest_t *node, const char *path, int64_t otherwise) {
    const manifest_t *value = node == NULL ? NULL : manifest_find(node, path);
    return value == NULL || manifest_kind(value) != MANIFEST_INT ? otherwise : manifest_int_of(value);
}

bool status_bool_at(const manifest_t *node, const char *path) {
    const manifest_t *value = node == NULL ? NULL : manifest_find(node, path);
    return value != NULL && manifest_bool_of(value);
}

const char *status_label(const manifest_t *object, const char *label) {
    const manifest_t *labels = manifest_find(object, "metadata.labels");
    const char *text = labels == NULL ? NULL : manifest_text_of(manifest_get(labels, label));
    return text == NULL ? "" : text;
}

bool status_is_kind(const manifest_t *object, const char *kind) {
    return strcmp(status_text_at(object, "kind"), kind) == 0;
}

const char *status_component(const manifest_t *object) {
    return status_label(object, "app.kubernetes.io/component");
}

const manifest_t *status_find(const struct status *self, const char *kind, const char *name) {
    return manifests_find(self->input->objects, kind, name);
}

const manifest_t *status_workload(const struct status *self, const char *component) {
    for (size_t i = 0; i < manifests_count(self->input->objects); i++) {
        const manifest_t *object = manifests_at(self->input->objects, i);
        bool is_workload = status_is_kind(object, "StatefulSet") || status_is_kind(object, "Deployment");
        if (is_workload && strcmp(status_component(object), component) == 0) {
            return object;
        }
    }
    return NULL;
}

const struct status_answer *status_answer_of(const struct status *self, const char *pod, const char *page) {
    for (size_t i = 0; i < self->input->n_answers; i++) {
        const struct status_answer *answer = &self->input->answers[i];
        if (strcmp(answer->pod, pod) == 0 && strcmp(answer->page, page) == 0) {
            return answer;
        }
    }
    return NULL;
}

manifest_t *status_json_of(const struct status *self, const char *pod, const char *page, const char **ret_why) {
    const struct status_answer *answer = status_answer_of(self, pod, page);
    if (answer == NULL || answer->trouble != NULL) {
        *ret_why = answer == NULL ? "not asked" : answer->trouble;
        return NULL;
    }
    const char *error = NULL;
    manifest_t *tree = kube_json_read(self->arena, answer->text, &error);
    *ret_why = error == NULL ? "" : error;
    return tree != NULL && manifest_kind(tree) == MANIFEST_MAP ? tree : NULL;
}

static size_t ordinal_of(const char *name) {
    const char *dash = strrchr(name, '-');
    uint64_t ordinal;
    return dash != NULL && span_parse_u64(span_of_text(dash + 1), &ordinal) ? (size_t) ordinal : 0;
}

/* By ordinal where there are some, else by name. */
static bool is_before(const manifest_t *a, const manifest_t *b) {
    const char *name_a = status_text_at(a, "metadata.name");
    const char *name_b = status_text_at(b, "metadata.name");
    size_t ordinal_a = ordinal_of(name_a);
    size_t ordinal_b = ordinal_of(name_b);
    return ordinal_a != ordinal_b ? ordinal_a < ordinal_b : strcmp(name_a, name_b) < 0;
}

const manifest_t **status_pods(const struct status *self, const char *component, size_t *ret_n) {
    size_t n_all = manifests_count(self->input->objects);
    const manifest_t **pods = arena_alloc(self->arena, (n_all + 1) * sizeof(const manifest_t *));
    size_t n = 0;
    for (size_t i = 0; i < n_all; i++) {
        const manifest_t *object = manifests_at(self->input->objects, i);
        const char *phase = status_text_at(object, "status.phase");
        bool is_over = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
        if (!status_is_kind(object, "Pod") || is_over || strcmp(status_component(object), component) != 0) {
            continue;
        }
        size_t at = n++;
        for (; at > 0 && is_before(object, pods[at - 1]); at--) {
            pods[at] = pods[at - 1];
        }
        pods[at] = object;
    }
    *ret_n = n;
    return pods;
}

/* ---- the page ---- */

static void add_unknowns(struct status *self) {
    manifest_t *list = manifest_add_list(self->page, "unknown");
    for (size_t i = 0; i < self->input->n_unknowns; i++) {
        manifest_t *item = manifest_append_map(list);
        manifest_set_text(item, "what", self->input->unknowns[i].what);
        manifest_set_text(item, "why", self->input->unknowns[i].why);
    }
}

static void add_drift(struct status *self) {
    const struct status_input *input = self->input;
    if (input->drifts < 0) {
        return;
    }
    manifest_set_int(self->page, "drifts", input->drifts);
    if (input->drifts > 0) {
        status_add_warning(self, "the spec",
                           arena_format(self->arena, "%lld value%s changed beside it, first %s",
                                        (long long) input->drifts, input->drifts == 1 ? " was" : "s were",
                                        input->first_drift),
                           "callboard-operator check --drift tells who and when; diff --live what apply puts back");
    }
}

static void add_check_warnings(struct status *self) {
    manifest_t *list = self->input->drifts < 0 ? NULL : manifest_add_list(self->page, "check");
    for (size_t i = 0; list != NULL && i < self->input->n_warnings; i++) {
        manifest_append_text(list, self->input->warnings[i]);
    }
}

static bool has_workloads(const struct status *self) {
    return status_workload(self, "gateway") != NULL || status_workload(self, "broker") != NULL;
}

/* True: the workloads could not be listed, so nothing follows from none being there. */
static bool are_workloads_unknown(const struct status *self) {
    for (size_t i = 0; i < self->input->n_unknowns; i++) {
        const char *what = self->input->unknowns[i].what;
        if (strcmp(what, "Deployment") == 0 || strcmp(what, "StatefulSet") == 0) {
            return true;
        }
    }
    return false;
}

static void judge_presence(struct status *self) {
    if (has_workloads(self)) {
        return;
    }
    const char *where = arena_format(self->arena, "%s/%s", self->input->namespace, self->input->name);
    if (are_workloads_unknown(self)) {
        status_add_error(self, where, "its workloads may not be listed, so nothing is known of it",
                         "let this user get and list deployments and statefulsets of the namespace");
    } else {
        status_add_error(self, where, "no deployment of this name is installed here",
                         "name another one, or another namespace with -n");
    }
}

static void add_findings(struct status *self) {
    manifest_t *list = manifest_add_list(self->page, "findings");
    const manifest_t *sides[] = {self->errors, self->cautions};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < manifest_count(sides[k]); i++) {
            manifest_append(list, manifest_copy(self->arena, manifest_at(sides[k], i)));
        }
    }
    manifest_set_bool(self->page, "healthy", manifest_count(self->errors) == 0);
}

manifest_t *status_make(arena_t *arena, const struct status_input *input) {
    struct status self = {.arena = arena,
                          .input = input,
                          .page = manifest_map(arena),
                          .errors = manifest_list(arena),
                          .cautions = manifest_list(arena)};
    manifest_set_text(self.page, "name", input->name);
    manifest_set_text(self.page, "namespace", input->namespace);
    manifest_set_text_if(self.page, "server", input->server);
    manifest_set_int(self.page, "time_ms", input->now_ms);
    judge_presence(&self);
    status_add_redis(&self);
    status_add_brokers(&self);
    status_add_gateways(&self);
    status_add_workloads(&self);
    status_add_claims(&self);
    status_add_certificates(&self);
    add_drift(&self);
    add_check_warnings(&self);
    add_unknowns(&self);
    add_findings(&self);
    return self.page;
}

bool status_is_healthy(const manifest_t *page) {
    return status_bool_at(page, "healthy");
}
