/* SARIF 2.1.0: what CI systems show beside the changed lines. One run; the rules are the codes that were told. */
#include "operator/diagnostics/diagnostics_print.h"

static void append_text(struct buffer *out, const char *before, const char *text) {
    buffer_append_text(out, before);
    buffer_append_json_string(out, span_of_text(text));
}

static void append_location(const struct source_place *place, const char *message, struct buffer *out) {
    buffer_append_text(out, "{\"physicalLocation\":{");
    append_text(out, "\"artifactLocation\":{\"uri\":", place->source->name);
    buffer_append_char(out, '}');
    if (place->line > 0) {
        buffer_append_format(out, ",\"region\":{\"startLine\":%u,\"startColumn\":%u}", place->line, place->column);
    }
    buffer_append_char(out, '}');
    if (message != NULL) {
        append_text(out, ",\"message\":{\"text\":", message);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, '}');
}

static void append_result(const struct diagnostic *item, struct buffer *out) {
    struct buffer message = BUFFER_EMPTY;
    buffer_append_format(&message, "%s%s%s; %s", item->path, item->path[0] == '\0' ? "" : ": ", item->what,
                         diagnostic_mend_of(item));
    buffer_append_format(out, "{\"ruleId\":\"CB%u\",\"level\":\"%s\",\"message\":{\"text\":",
                         diagnostic_meaning_of(item->code)->number, diagnostic_severity(item));
    buffer_append_json_string(out, buffer_span(&message));
    buffer_append_text(out, "},\"locations\":[");
    if (item->place.source != NULL) {
        append_location(&item->place, NULL, out);
    }
    buffer_append_char(out, ']');
    if (item->other != NULL && item->other_place.source != NULL) {
        buffer_append_text(out, ",\"relatedLocations\":[");
        append_location(&item->other_place, item->other, out);
        buffer_append_char(out, ']');
    }
    buffer_append_char(out, '}');
    buffer_finish(&message);
}

static bool is_told(const struct diagnostics *self, enum diagnostic_code code) {
    for (size_t i = 0; i < self->n; i++) {
        if (self->items[i].code == code) {
            return true;
        }
    }
    return false;
}

static void append_rules(const struct diagnostics *self, struct buffer *out) {
    bool is_first = true;
    for (int code = 0; code < DIAGNOSTIC_CODES_N; code++) {
        if (!is_told(self, (enum diagnostic_code) code)) {
            continue;
        }
        const struct diagnostic_meaning *meaning = diagnostic_meaning_of((enum diagnostic_code) code);
        buffer_append_format(out, "%s\n{\"id\":\"CB%u\"", is_first ? "" : ",", meaning->number);
        append_text(out, ",\"shortDescription\":{\"text\":", meaning->title);
        append_text(out, "},\"fullDescription\":{\"text\":", meaning->why);
        append_text(out, "},\"help\":{\"text\":", meaning->mend);
        buffer_append_text(out, "}}");
        is_first = false;
    }
}

void diagnostics_print_sarif(const struct diagnostics *self, struct buffer *out) {
    buffer_append_text(out, "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\","
                            "\"runs\":[{\"columnKind\":\"unicodeCodePoints\",\"tool\":{\"driver\":{"
                            "\"name\":\"callboard-operator\",\"version\":\"" CALLBOARD_VERSION "\",\"rules\":[");
    append_rules(self, out);
    buffer_append_text(out, "]}},\"results\":[");
    for (size_t i = 0; i < self->n; i++) {
        buffer_append_text(out, i == 0 ? "\n" : ",\n");
        append_result(&self->items[i], out);
    }
    buffer_append_text(out, "]}]}\n");
}
