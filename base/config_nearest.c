/* The usual table of distances between all beginnings of both names, of which three rows are kept. Work and memory are
 * bounded by CONFIG_NAME_MAX squared. */
#include "base/config_nearest.h"

#include <limits.h>

typedef unsigned row_t[CONFIG_NAME_MAX + 1];

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* The row for the first i letters of a, from the two before it. */
static void fill_row(struct span a, struct span b, size_t i, const row_t two_above, const row_t above, row_t row) {
    row[0] = (unsigned) i;
    for (size_t j = 1; j <= b.size; j++) {
        unsigned change = above[j - 1] + (a.data[i - 1] != b.data[j - 1]);
        row[j] = smaller(change, smaller(above[j], row[j - 1]) + 1);
        if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1]) {
            row[j] = smaller(row[j], two_above[j - 2] + 1);
        }
    }
}

unsigned config_name_distance(struct span a, struct span b) {
    if (a.size > CONFIG_NAME_MAX || b.size > CONFIG_NAME_MAX) {
        return UINT_MAX;
    }
    row_t rows[3];
    for (size_t j = 0; j <= b.size; j++) {
        rows[0][j] = (unsigned) j;
    }
    for (size_t i = 1; i <= a.size; i++) {
        fill_row(a, b, i, rows[(i + 1) % 3], rows[(i + 2) % 3], rows[i % 3]);
    }
    return rows[a.size % 3][b.size];
}

struct config_nearest config_nearest_to(struct span name) {
    /* One letter in three may be wrong, and one in a short name. */
    unsigned allowed = name.size < 6 ? 1 : (unsigned) smaller((unsigned) name.size, CONFIG_NAME_MAX) / 3;
    return (struct config_nearest){.name = name, .best = SPAN_EMPTY, .distance = allowed + 1};
}

void config_nearest_consider(struct config_nearest *self, struct span candidate) {
    unsigned distance = config_name_distance(self->name, candidate);
    if (distance < self->distance) {
        self->distance = distance;
        self->best = candidate;
    }
}
