/* {"errors":1,"warnings":0,"dropped":0,"diagnostics":[{"code","severity","file","line","column","setting","path","what",
 * "mend","other":{…}}]}: members without a value are left out. */
#include "operator/diagnostics/diagnostics_print.h"

static void append_text_member(struct buffer *out, const char *name, const char *text) {
    buffer_append_format(out, ",\"%s\":", name);
    buffer_append_json_string(out, span_of_text(text));
}

static void append_place(struct buffer *out, const struct source_place *place) {
    if (place->setting != NULL) {
        append_text_member(out, "setting", place->setting);
    } else if (place->source != NULL) {
        append_text_member(out, "file", place->source->name);
        if (place->line > 0) {
            buffer_append_format(out, ",\"line\":%u,\"column\":%u", place->line, place->column);
        }
    }
}

static void append_item(const struct diagnostic *item, struct buffer *out) {
    buffer_append_format(out, "{\"code\":\"CB%u\"", diagnostic_meaning_of(item->code)->number);
    append_text_member(out, "severity", diagnostic_severity(item));
    append_place(out, &item->place);
    if (item->path[0] != '\0') {
        append_text_member(out, "path", item->path);
    }
    append_text_member(out, "what", item->what);
    append_text_member(out, "mend", diagnostic_mend_of(item));
    if (item->other != NULL) {
        buffer_append_text(out, ",\"other\":{\"what\":");
        buffer_append_json_string(out, span_of_text(item->other));
        append_place(out, &item->other_place);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, '}');
}

void diagnostics_print_json(const struct diagnostics *self, struct buffer *out) {
    buffer_append_format(out, "{\"errors\":%zu,\"warnings\":%zu,\"dropped\":%zu,\"diagnostics\":[", self->n_errors,
                         self->n_warnings, self->n_dropped);
    for (size_t i = 0; i < self->n; i++) {
        buffer_append_text(out, i == 0 ? "\n" : ",\n");
        append_item(&self->items[i], out);
    }
    buffer_append_text(out, self->n == 0 ? "]}\n" : "\n]}\n");
}
