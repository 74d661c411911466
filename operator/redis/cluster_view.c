/* See cluster_view.h. */
#include "operator/redis/cluster_view.h"

const struct cluster_node *cluster_view_line(const struct cluster_view *self, size_t pod) {
    return self->pods[pod].answers ? cluster_table_myself(&self->pods[pod].table) : NULL;
}

int cluster_view_find(const struct cluster_view *self, const char *id) {
    for (size_t i = 0; i < self->n; i++) {
        const struct cluster_node *line = cluster_view_line(self, i);
        if (line != NULL && strcmp(line->id, id) == 0) {
            return (int) i;
        }
    }
    return -1;
}
