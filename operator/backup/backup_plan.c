/* See backup_plan.h. In a cluster every slot has to be served by a pod that answers and none may be on its way: a copy
 * with a part missing is found out only when it is needed. The replica in sync that is farthest does the work, the
 * primary where there is none. */
#include "operator/backup/backup_plan.h"

#include "base/memory.h"

#include <stdio.h>

static void add(struct backup_plan *self, unsigned pod, bool is_replica, char *slots) {
    self->sources = memory_realloc(self->sources, (self->n + 1) * sizeof *self->sources);
    self->sources[self->n++] = (struct backup_source){pod, is_replica, slots};
}

static char *print_slots(const struct cluster_table *table, const struct cluster_node *line) {
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < line->n_ranges; i++) {
        const struct cluster_slots *range = &table->ranges[line->first_range + i];
        buffer_append_format(&text, range->first == range->last ? "%s%u" : "%s%u-%u", i == 0 ? "" : ",", range->first,
                             range->last);
    }
    buffer_append_char(&text, '\0');
    char *slots = memory_strdup((const char *) text.data);
    buffer_finish(&text);
    return slots;
}

bool backup_plan_cluster(struct backup_plan *self, const struct cluster_view *view) {
    size_t slots = 0;
    *self = BACKUP_PLAN_EMPTY;
    for (unsigned i = 0; i < view->n; i++) {
        const struct cluster_pod *pod = &view->pods[i];
        const struct cluster_node *line = pod->answers ? cluster_table_myself(&pod->table) : NULL;
        if (line == NULL || !line->is_primary || line->n_ranges == 0) {
            continue;
        }
        if (line->has_open_slots) {
            snprintf(self->reason, sizeof self->reason, "pod %s has a slot that is on its way to another node",
                     pod->name);
            return false;
        }
        unsigned source = i;
        bool is_replica = roll_find_heir(view, i, &source);
        slots += cluster_node_slots(&pod->table, line);
        add(self, source, is_replica, print_slots(&pod->table, line));
    }
    if (slots != CLUSTER_SLOTS) {
        snprintf(self->reason, sizeof self->reason, "the pods that answer serve %zu of %d slots", slots, CLUSTER_SLOTS);
        return false;
    }
    return true;
}

bool backup_plan_set(struct backup_plan *self, const struct set_server *servers, size_t n) {
    *self = BACKUP_PLAN_EMPTY;
    int source = set_backup_source(servers, n, self->reason);
    if (source == SET_NOBODY) {
        return false;
    }
    add(self, (unsigned) source, !servers[source].is_primary, NULL);
    return true;
}

void backup_plan_finish(struct backup_plan *self) {
    for (size_t i = 0; i < self->n; i++) {
        memory_free(self->sources[i].slots);
    }
    memory_free(self->sources);
    *self = BACKUP_PLAN_EMPTY;
}

static bool has_part(const struct backup_plan *self, const char *slots) {
    for (size_t i = 0; i < self->n; i++) {
        if (strcmp(self->sources[i].slots, slots) == 0) {
            return true;
        }
    }
    return false;
}

bool backup_plan_has_same_slots(const struct backup_plan *a, const struct backup_plan *b) {
    for (size_t i = 0; i < a->n; i++) {
        if (a->sources[i].slots != NULL && !has_part(b, a->sources[i].slots)) {
            return false;
        }
    }
    return a->n == b->n;
}
