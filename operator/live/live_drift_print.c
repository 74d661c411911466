/* What drifted, for a person or a program:
 *
 *     ~ shop/Deployment/shop-gateway
 *         spec.replicas: 3 → 5 (kubectl-scale, 2026-11-29T03:12:45Z)
 *     - shop/Service/shop-gateway: not in the cluster */
#include "operator/live/live_compare.h"

#include "operator/manifest/manifest_emit.h"

#include <string.h>

#define RED    "\033[31m"
#define YELLOW "\033[33m"
#define NORMAL "\033[0m"

static void append_sign(struct buffer *out, bool has_color, const char *color, const char *sign) {
    buffer_append_format(out, "%s%s%s ", has_color ? color : "", sign, has_color ? NORMAL : "");
}

static void append_who(const struct live_drift *drift, struct buffer *out) {
    if (drift->manager == NULL) {
        buffer_append_text(out, " (removed, or never applied: the server keeps no name for that)\n");
    } else {
        buffer_append_format(out, " (%s%s%s)\n", drift->manager, drift->time == NULL ? "" : ", ",
                             drift->time == NULL ? "" : drift->time);
    }
}

static const char *or_none(const char *text) {
    return text == NULL ? "none" : text;
}

void live_drift_print_text(const struct live *self, bool has_color, bool is_quiet, struct buffer *out) {
    const char *last = "";
    for (size_t i = 0; i < self->n_drifts; i++) {
        const struct live_drift *drift = &self->drifts[i];
        if (drift->path == NULL) {
            append_sign(out, has_color, RED, "-");
            buffer_append_format(out, "%s: not in the cluster\n", drift->object);
            continue;
        }
        if (strcmp(last, drift->object) != 0) {
            append_sign(out, has_color, YELLOW, "~");
            buffer_append_format(out, "%s\n", drift->object);
            last = drift->object;
        }
        buffer_append_format(out, "    %s: %s → %s", drift->path, or_none(drift->wanted), or_none(drift->found));
        append_who(drift, out);
    }
    if (self->n_drifts == 0 && !is_quiet) {
        buffer_append_text(out, "no drift: nobody else changed what was applied\n");
    }
}

static void add(manifest_t *list, const struct live_drift *drift) {
    static const char *const kinds[] = {"changed", "added", "removed"};
    manifest_t *map = manifest_append_map(list);
    manifest_set_text(map, "object", drift->object);
    manifest_set_text(map, "kind", kinds[drift->kind]);
    manifest_set_text_if(map, "path", drift->path == NULL ? "" : drift->path);
    if (drift->wanted != NULL) {
        manifest_set_text(map, "wanted", drift->wanted);
    }
    if (drift->found != NULL) {
        manifest_set_text(map, "found", drift->found);
    }
    manifest_set_text_if(map, "manager", drift->manager == NULL ? "" : drift->manager);
    manifest_set_text_if(map, "time", drift->time == NULL ? "" : drift->time);
}

void live_drift_print_json(const struct live *self, struct buffer *out) {
    manifest_t *top = manifest_map(self->arena);
    manifest_t *list = manifest_add_list(top, "drifts");
    for (size_t i = 0; i < self->n_drifts; i++) {
        add(list, &self->drifts[i]);
    }
    manifest_append_json(top, out);
}
