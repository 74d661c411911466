/* A difference as text for a person, or as JSON for a program:
 *
 *     ~ shop/ConfigMap/shop-gateway
 *         hot        data[gateway.yaml] client.ping_interval: 25s → 20s
 *     + shop/NetworkPolicy/shop-gateway
 *
 *     override shop/Service/shop-gateway: add /spec/loadBalancerSourceRanges
 *     rolls shop/Deployment/shop-gateway: 3 pods, 1 at a time, …
 *     data at risk CB3001 shop/ConfigMap/shop-broker: … */
#include "operator/diff/diff_parts.h"

#include "operator/manifest/manifest_emit.h"

#include <string.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define NORMAL "\033[0m"

const char *diff_effect_name(enum diff_effect effect) {
    static const char *const names[] = {"in place", "hot", "rolls", "re-create", "next start"};
    return names[effect];
}

static unsigned number_of(const struct diff_risk *risk) {
    return diagnostic_meaning_of(risk->code)->number;
}

static const char *mark_of(const struct diff_risk *risk) {
    return risk->code == DIAGNOSTIC_RISK_RECREATE ? "re-create" : "data at risk";
}

/* ---- text ---- */

static void append_colored(struct buffer *out, bool has_color, const char *color, const char *text) {
    buffer_append_format(out, "%s%s%s", has_color ? color : "", text, has_color ? NORMAL : "");
}

static void append_object(const struct diff_change *change, bool has_color, struct buffer *out) {
    static const char *const signs[] = {"~ ", "+ ", "- "};
    static const char *const colors[] = {YELLOW, GREEN, RED};
    append_colored(out, has_color, colors[change->kind], signs[change->kind]);
    buffer_append_format(out, "%s\n", change->object);
}

static void append_value(const struct diff_change *change, struct buffer *out) {
    const char *old_text = change->old_text == NULL ? "none" : change->old_text;
    const char *new_text = change->new_text == NULL ? "none" : change->new_text;
    buffer_append_format(out, "    %-10s %s: %s → %s\n", diff_effect_name(change->effect), change->path, old_text,
                         new_text);
}

static void append_duration(int64_t seconds, struct buffer *out) {
    if (seconds < 60) {
        buffer_append_format(out, "%lld s", (long long) seconds);
    } else {
        buffer_append_format(out, "%lld min %lld s", (long long) (seconds / 60), (long long) (seconds % 60));
    }
}

static void append_roll(const struct diff_roll *roll, bool has_color, struct buffer *out) {
    append_colored(out, has_color, YELLOW, "rolls");
    buffer_append_format(out, " %s: %lld pod%s, ", roll->object, (long long) roll->pods, roll->pods == 1 ? "" : "s");
    if (roll->is_ordered) {
        buffer_append_format(out, "one after another from ordinal %lld down", (long long) roll->pods - 1);
    } else {
        buffer_append_format(out, "%lld at a time, the new before the old", (long long) roll->at_a_time);
    }
    buffer_append_text(out, "; ");
    append_duration(roll->at_least_s, out);
    buffer_append_text(out, " to ");
    append_duration(roll->at_most_s, out);
    buffer_append_format(out, " (start at most %lld s, pause %lld s, drain %lld s, grace %lld s)",
                         (long long) roll->start_s, (long long) roll->pause_s, (long long) roll->drain_s,
                         (long long) roll->grace_s);
    if (roll->connections > 0) {
        buffer_append_format(out, "; at most %lld connections reconnect at a time", (long long) roll->connections);
    }
    buffer_append_text(out, "\n");
}

static void append_risk(const struct diff_risk *risk, bool has_color, struct buffer *out) {
    append_colored(out, has_color, RED, mark_of(risk));
    buffer_append_format(out, " CB%u %s: %s", number_of(risk), risk->object, risk->text);
    if (risk->is_accepted) {
        buffer_append_text(out, " (accepted)\n");
    } else {
        buffer_append_format(out, "; --accept=CB%u allows it\n", number_of(risk));
    }
}

/* Beside the changes: what a field's help says does not hold where one of them is. */
static void append_override(const struct diff_override *override, struct buffer *out) {
    buffer_append_format(out, "override %s: %s %s\n", override->object, override->op, override->path);
}

void diff_print_effects(const struct diff *self, bool has_color, bool is_quiet, struct buffer *out) {
    for (size_t i = 0; !is_quiet && i < self->n_overrides; i++) {
        append_override(&self->overrides[i], out);
    }
    for (size_t i = 0; !is_quiet && i < self->n_rolls; i++) {
        append_roll(&self->rolls[i], has_color, out);
    }
    for (size_t i = 0; i < self->n_risks; i++) {
        append_risk(&self->risks[i], has_color, out);
    }
}

void diff_print_text(const struct diff *self, bool has_color, bool is_quiet, struct buffer *out) {
    const char *last = "";
    for (size_t i = 0; i < self->n_changes; i++) {
        const struct diff_change *change = &self->changes[i];
        if (strcmp(last, change->object) != 0) {
            append_object(change, has_color, out);
            last = change->object;
        }
        if (change->path != NULL) {
            append_value(change, out);
        }
    }
    if (self->n_changes == 0) {
        return;
    }
    if (self->n_rolls + self->n_risks + (is_quiet ? 0 : self->n_overrides) > 0) {
        buffer_append_text(out, "\n");
    }
    diff_print_effects(self, has_color, is_quiet, out);
}

/* ---- JSON ---- */

static void add_change(manifest_t *list, const struct diff_change *change) {
    static const char *const kinds[] = {"changed", "added", "removed"};
    manifest_t *map = manifest_append_map(list);
    manifest_set_text(map, "object", change->object);
    manifest_set_text(map, "kind", kinds[change->kind]);
    manifest_set_text(map, "effect", diff_effect_name(change->effect));
    manifest_set_text_if(map, "path", change->path == NULL ? "" : change->path);
    if (change->old_text != NULL) {
        manifest_set_text(map, "old", change->old_text);
    }
    if (change->new_text != NULL) {
        manifest_set_text(map, "new", change->new_text);
    }
}

static void add_roll(manifest_t *list, const struct diff_roll *roll) {
    manifest_t *map = manifest_append_map(list);
    manifest_set_text(map, "object", roll->object);
    manifest_set_bool(map, "ordered", roll->is_ordered);
    manifest_set_int(map, "pods", roll->pods);
    manifest_set_int(map, "atATime", roll->at_a_time);
    manifest_set_int(map, "startSeconds", roll->start_s);
    manifest_set_int(map, "pauseSeconds", roll->pause_s);
    manifest_set_int(map, "drainSeconds", roll->drain_s);
    manifest_set_int(map, "graceSeconds", roll->grace_s);
    manifest_set_int(map, "atLeastSeconds", roll->at_least_s);
    manifest_set_int(map, "atMostSeconds", roll->at_most_s);
    manifest_set_int(map, "connections", roll->connections);
}

static void add_risk(manifest_t *list, const struct diff_risk *risk) {
    manifest_t *map = manifest_append_map(list);
    manifest_set_format(map, "code", "CB%u", number_of(risk));
    manifest_set_text(map, "mark", mark_of(risk));
    manifest_set_text(map, "object", risk->object);
    manifest_set_text(map, "text", risk->text);
    manifest_set_bool(map, "accepted", risk->is_accepted);
}

static void add_override(manifest_t *list, const struct diff_override *override) {
    manifest_t *map = manifest_append_map(list);
    manifest_set_text(map, "object", override->object);
    manifest_set_text(map, "op", override->op);
    manifest_set_text(map, "path", override->path);
}

void diff_print_json(const struct diff *self, struct buffer *out) {
    manifest_t *top = manifest_map(self->arena);
    manifest_t *changes = manifest_add_list(top, "changes");
    manifest_t *rolls = manifest_add_list(top, "rolls");
    manifest_t *risks = manifest_add_list(top, "risks");
    for (size_t i = 0; i < self->n_changes; i++) {
        add_change(changes, &self->changes[i]);
    }
    for (size_t i = 0; i < self->n_rolls; i++) {
        add_roll(rolls, &self->rolls[i]);
    }
    for (size_t i = 0; i < self->n_risks; i++) {
        add_risk(risks, &self->risks[i]);
    }
    manifest_t *overrides = manifest_add_list(top, "overrides");
    for (size_t i = 0; i < self->n_overrides; i++) {
        add_override(overrides, &self->overrides[i]);
    }
    manifest_append_json(top, out);
}
