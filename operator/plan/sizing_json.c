/* A sizing for programs: figures with what the spec has, formulas and constants by name. */
#include "operator/plan/sizing_constants.h"
#include "operator/plan/sizing_print.h"

#include <inttypes.h>

static const char *unit_name(enum sizing_unit unit) {
    static const char *const names[] = {"", "cores", "B", "B/s", "s"}; /* enum sizing_unit */
    return names[unit];
}

static void append_text(struct buffer *out, const char *key, const char *text) {
    buffer_append_format(out, ", \"%s\": ", key);
    buffer_append_json_string(out, span_of_text(text));
}

static void append_workload(const struct spec_workload *workload, struct buffer *out) {
    const struct {
        const char *key;
        int64_t value;
    } fields[] = {
        {"connections", workload->connections},
        {"connectRate", workload->connect_rate},
        {"publishRate", workload->publish_rate},
        {"messageBytes", workload->message_bytes},
        {"fanout", workload->fanout},
        {"historySize", workload->history_size},
        {"historyTtlMs", workload->history_ttl_ms},
        {"channels", workload->channels},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        buffer_append_format(out, "%s\"%s\": %" PRId64, i == 0 ? "{" : ", ", fields[i].key, fields[i].value);
    }
    buffer_append_text(out, "}");
}

static void append_figure(const struct sizing *sizing, enum sizing_figure figure, struct buffer *out) {
    const struct sizing_figure_row *row = sizing_figure_row(figure);
    const struct sizing_value *value = &sizing->values[figure];
    buffer_append_format(out, "{\"group\": \"%s\", \"key\": \"%s\"", row->group, row->key);
    append_text(out, "name", row->name);
    append_text(out, "unit", unit_name(row->unit));
    buffer_append_format(out, ", \"needed\": %.12g", value->need);
    if (value->has >= 0) {
        buffer_append_format(out, ", \"has\": %.12g, \"isShort\": %s", value->has,
                             sizing_is_short(sizing, figure) ? "true" : "false");
    }
    append_text(out, "formula", row->formula);
    append_text(out, "numbers", value->worked);
    append_text(out, "margin", row->margin);
    append_text(out, "constants", row->constants);
    buffer_append_text(out, "}");
}

void sizing_print_json(const struct spec *spec, const struct sizing *sizing, struct buffer *out) {
    buffer_append_text(out, "{\"name\": ");
    buffer_append_json_string(out, span_of_text(spec->metadata.name));
    append_text(out, "namespace", spec->metadata.namespace);
    buffer_append_text(out, ", \"workload\": ");
    append_workload(&spec->workload, out);
    buffer_append_text(out, ", \"figures\": [");
    const char *comma = "\n    ";
    for (int i = 0; i < SIZING_FIGURES_N; i++) {
        if (sizing->values[i].is_known) {
            buffer_append_text(out, comma);
            append_figure(sizing, (enum sizing_figure) i, out);
            comma = ",\n    ";
        }
    }
    buffer_append_text(out, "]}");
}

void sizing_print_constants_json(struct buffer *out) {
    for (int i = 0; i < SIZING_CONSTANTS_N; i++) {
        const struct sizing_constant_row *row = sizing_constant_row((enum sizing_constant) i);
        buffer_append_text(out, i == 0 ? "[\n    {\"name\": " : ",\n    {\"name\": ");
        buffer_append_json_string(out, span_of_text(row->name));
        buffer_append_format(out, ", \"value\": %.12g", row->value);
        append_text(out, "unit", row->unit);
        append_text(out, "source", row->source);
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]");
}
