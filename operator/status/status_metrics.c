/* One figure of a page of metrics: lines NAME{labels} VALUE, others are comments. */
#include "operator/status/status_parts.h"

#include <stdlib.h>
#include <string.h>

/* False: this line is of another metric, or another series. */
static bool take_line(struct span line, const char *name, const char *label, double *ret_value) {
    size_t size = strlen(name);
    if (line.size <= size || memcmp(line.data, name, size) != 0 || (line.data[size] != '{' && line.data[size] != ' ')) {
        return false;
    }
    const uint8_t *end = line.data + line.size;
    const uint8_t *space = end;
    while (space > line.data && space[-1] != ' ') {
        space--;
    }
    char text[64];
    size_t n = (size_t) (end - space);
    if (space == line.data || n == 0 || n >= sizeof text ||
        (label != NULL && memmem(line.data, (size_t) (space - line.data), label, strlen(label)) == NULL)) {
        return false;
    }
    memcpy(text, space, n);
    text[n] = '\0';
    char *rest;
    *ret_value = strtod(text, &rest);
    return *rest == '\0';
}

bool status_metric(struct span text, const char *name, const char *label, double *ret_sum) {
    bool is_found = false;
    *ret_sum = 0;
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end == NULL ? text.size : (size_t) (end - text.data);
        double value;
        if (take_line(span_of(text.data, size), name, label, &value)) {
            *ret_sum += value;
            is_found = true;
        }
        size_t taken = end == NULL ? size : size + 1;
        text = span_of(text.data + taken, text.size - taken);
    }
    return is_found;
}
