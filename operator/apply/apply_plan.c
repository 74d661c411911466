/* Looking before anything is sent: what the cluster has of this deployment, what a dry run makes of each object, and
 * from both what changes and what is at risk. The dry run is the server's own judgement, with its defaults, its
 * webhooks and its rights; so what it takes now, it takes a moment later.
 *
 * Failure modes: no answer at all ends the plan. What the server refuses of an object is a problem, and the others are
 * asked all the same, so that one run shows them all. What it refuses because a field cannot be changed is no problem
 * but a risk (CB3008), whose cure is known. */
#include "operator/apply/apply_objects.h"
#include "operator/apply/apply_parts.h"
#include "operator/kube/kube_json.h"
#include "operator/kube/kube_status.h"
#include "operator/render/render_kinds.h"

#include <string.h>

/* The plan while it is made. */
struct planning {
    struct apply_plan *plan;
    arena_t *arena;
    manifests_t *live;     /* of this deployment, by its labels */
    manifests_t *old_side; /* for the diff */
    manifests_t *new_side;
    bool is_hopeless; /* nobody answers: no more is asked */
    bool is_namespace_told;
};

void apply_add_problem(struct apply_plan *self, enum kube_result result, const char *text) {
    self->problems = arena_grow(self->arena, self->problems, self->n_problems * sizeof *self->problems,
                                (self->n_problems + 1) * sizeof *self->problems);
    self->problems[self->n_problems++] = (struct apply_problem){text, result};
}

void apply_tell(const struct apply_plan *self, const char *text) {
    if (self->options.tell != NULL) {
        self->options.tell(self->options.context, text);
    }
}

/* ---- what is there ---- */

static void give_up(struct planning *self, enum kube_result result, const char *text) {
    apply_add_problem(self->plan, result, text);
    self->is_hopeless = self->is_hopeless || result == KUBE_UNREACHABLE || result == KUBE_TIMED_OUT;
}

static void list_kind(struct planning *self, const struct render_kind *kind, const char *selector) {
    struct kube_answer answer;
    enum kube_result result = kube_list(self->plan->client, kind->api_version, kind->kind, self->plan->namespace,
                                        selector, self->arena, self->live, &answer);
    if (result == KUBE_OK || result == KUBE_NOT_FOUND) {
        return;
    }
    if (result == KUBE_DENIED && answer.status == 403 && !self->plan->options.prunes) {
        apply_tell(self->plan,
                   arena_format(self->arena, "%s; so what is no longer rendered is not seen", answer.message));
        return;
    }
    give_up(self, result, answer.message);
}

static void list_all(struct planning *self) {
    size_t n;
    const struct render_kind *kinds = render_kinds(&n);
    const char *selector =
        arena_format(self->arena, "app.kubernetes.io/managed-by=" KUBE_FIELD_MANAGER ",app.kubernetes.io/instance=%s",
                     self->plan->instance);
    for (size_t i = 0; i < n && !self->is_hopeless; i++) {
        list_kind(self, &kinds[i], selector);
    }
    manifests_sort(self->live);
}

static bool find_live(struct planning *self, struct apply_object *object) {
    const char *kind = kube_text_at(object->wanted, "kind");
    const char *name = kube_text_at(object->wanted, "metadata.name");
    struct kube_answer answer;
    object->live = manifests_find(self->live, kind, name);
    if (object->live != NULL) {
        return true;
    }
    enum kube_result result = kube_get(self->plan->client, kube_text_at(object->wanted, "apiVersion"), kind,
                                       self->plan->namespace, name, self->arena, &answer);
    if (result == KUBE_OK) {
        object->live = answer.object;
    } else if (result == KUBE_NOT_FOUND && strcmp(answer.reason, "NoSuchKind") == 0) {
        object->state = APPLY_SKIPPED;
        object->note = answer.message;
    } else if (result != KUBE_NOT_FOUND) {
        object->state = APPLY_FAILED;
        give_up(self, result, answer.message);
    }
    return object->state == APPLY_PENDING;
}

/* ---- what the server would make of it ---- */

static void tell_conflicts(struct planning *self, struct apply_object *object, const struct kube_answer *answer) {
    struct kube_field_conflict *conflicts;
    size_t n = kube_status_conflicts(self->arena, answer->object, &conflicts);
    if (n == 0) {
        apply_add_problem(self->plan, KUBE_CONFLICT, answer->message);
        return;
    }
    struct buffer text = BUFFER_EMPTY;
    buffer_append_format(&text, "%s: ", object->name);
    for (size_t i = 0; i < n; i++) {
        buffer_append_format(&text, "%s%s is owned by %s", i == 0 ? "" : ", ", conflicts[i].field,
                             conflicts[i].manager);
    }
    buffer_append_text(&text, "; set what it sets in the spec, or take it with --force-conflicts");
    apply_add_problem(self->plan, KUBE_CONFLICT, arena_text_of(self->arena, buffer_span(&text)));
    buffer_finish(&text);
}

/* Would it take it, if it were deleted first? */
static bool is_immutable(struct planning *self, const struct apply_object *object) {
    manifests_t *before = manifests_new(self->arena);
    manifests_t *after = manifests_new(self->arena);
    if (object->live == NULL) {
        return false;
    }
    manifests_append(before, apply_object_narrowed(self->arena, object->live, object->wanted));
    manifests_append(after, object->wanted);
    struct diff diff = diff_manifests(self->arena, before, after, NULL, 0);
    for (size_t i = 0; i < diff.n_changes; i++) {
        if (diff.changes[i].effect == DIFF_RECREATES) {
            return true;
        }
    }
    return false;
}

static void take_refusal(struct planning *self, struct apply_object *object, enum kube_result result,
                         const struct kube_answer *answer) {
    object->state = APPLY_FAILED;
    if (result == KUBE_CONFLICT) {
        tell_conflicts(self, object, answer);
    } else if (result == KUBE_INVALID && is_immutable(self, object)) {
        object->state = APPLY_RECREATED;
    } else if (result == KUBE_NOT_FOUND && self->is_namespace_told) {
        return; /* once is enough */
    } else if (result == KUBE_NOT_FOUND) {
        self->is_namespace_told = true;
        apply_add_problem(self->plan, result,
                          arena_format(self->arena, "%s; kubectl create namespace %s makes it", answer->message,
                                       self->plan->namespace));
    } else {
        give_up(self, result, answer->message);
    }
}

static void judge(struct planning *self, struct apply_object *object) {
    unsigned flags = KUBE_DRY_RUN | (self->plan->options.forces ? KUBE_FORCE : 0U);
    struct kube_answer answer;
    enum kube_result result = kube_apply(self->plan->client, object->wanted, flags, self->arena, &answer);
    if (result != KUBE_OK) {
        take_refusal(self, object, result, &answer);
        return;
    }
    object->result = answer.object;
    object->state = object->live == NULL                                              ? APPLY_CREATED
                    : apply_object_is_same(self->arena, object->live, object->result) ? APPLY_UNCHANGED
                                                                                      : APPLY_CONFIGURED;
}

static void look_at(struct planning *self, struct apply_object *object) {
    if (!find_live(self, object)) {
        return;
    }
    const char *owner =
        object->live == NULL ? NULL : apply_object_owner(self->arena, object->live, self->plan->instance);
    if (owner != NULL && !self->plan->options.forces) {
        object->state = APPLY_FAILED;
        apply_add_problem(self->plan, KUBE_CONFLICT,
                          arena_format(self->arena,
                                       "%s is %s: choose another name or namespace, remove it, or take it with "
                                       "--force-conflicts",
                                       object->name, owner));
        return;
    }
    if (object->live != NULL) {
        apply_object_keep_replicas(object->wanted, object->live);
    }
    judge(self, object);
}

/* ---- what that does ---- */

/* Both sides of one object. Where the server did not answer, what is compared is what is rendered. */
static void add_sides(struct planning *self, const struct apply_object *object) {
    if (object->state == APPLY_SKIPPED) {
        return;
    }
    if (object->live != NULL) {
        manifests_append(self->old_side, object->result == NULL
                                             ? apply_object_narrowed(self->arena, object->live, object->wanted)
                                             : apply_object_stripped(self->arena, object->live));
    }
    manifests_append(self->new_side,
                     object->result == NULL ? object->wanted : apply_object_stripped(self->arena, object->result));
}

static void compare(struct planning *self, const manifests_t *rendered) {
    struct apply_plan *plan = self->plan;
    for (size_t i = 0; i < plan->n; i++) {
        add_sides(self, &plan->objects[i]);
    }
    for (size_t i = 0; i < manifests_count(self->live); i++) {
        const manifest_t *object = manifests_at(self->live, i);
        if (manifests_find(rendered, kube_text_at(object, "kind"), kube_text_at(object, "metadata.name")) == NULL) {
            manifests_append(self->old_side, apply_object_stripped(self->arena, object));
        }
    }
    plan->diff =
        diff_manifests(self->arena, self->old_side, self->new_side, plan->options.accepted, plan->options.n_accepted);
}

static void choose_pruned(struct planning *self, const manifests_t *rendered) {
    struct apply_plan *plan = self->plan;
    manifests_t *chosen = manifests_new(self->arena);
    apply_choose_pruned(self->live, rendered, plan->namespace, plan->instance, chosen);
    if (!plan->options.prunes) {
        return;
    }
    plan->n_pruned = manifests_count(chosen);
    plan->pruned = arena_alloc(self->arena, (plan->n_pruned + 1) * sizeof *plan->pruned);
    for (size_t i = 0; i < plan->n_pruned; i++) {
        manifest_t *object = manifests_at(chosen, i);
        plan->pruned[i] = (struct apply_object){
            .wanted = object, .live = object, .name = diff_object_name(self->arena, object), .state = APPLY_PRUNED};
    }
}

/* ---- all ---- */

static void take_objects(struct planning *self, const manifests_t *rendered) {
    struct apply_plan *plan = self->plan;
    plan->n = manifests_count(rendered);
    plan->objects = arena_alloc(self->arena, (plan->n + 1) * sizeof *plan->objects);
    for (size_t i = 0; i < plan->n; i++) {
        manifest_t *object = manifest_copy(self->arena, manifests_at(rendered, i));
        manifest_set_text(manifest_add_map(object, "metadata"), "namespace", plan->namespace);
        plan->objects[i] = (struct apply_object){
            .wanted = object, .name = diff_object_name(self->arena, object), .state = APPLY_PENDING};
    }
}

void apply_plan_make(struct apply_plan *self, const manifests_t *rendered) {
    struct planning planning = {
        .plan = self,
        .arena = self->arena,
        .live = manifests_new(self->arena),
        .old_side = manifests_new(self->arena),
        .new_side = manifests_new(self->arena),
    };
    take_objects(&planning, rendered);
    list_all(&planning);
    for (size_t i = 0; i < self->n && !planning.is_hopeless; i++) {
        look_at(&planning, &self->objects[i]);
    }
    if (!planning.is_hopeless) {
        compare(&planning, rendered);
        choose_pruned(&planning, rendered);
    }
}

bool apply_plan_is_refused(const struct apply_plan *self) {
    return diff_is_refused(&self->diff);
}
