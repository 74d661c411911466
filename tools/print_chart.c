/* Prints what helm/callboard has from the operator's tables, so that chart and programs say the same:
 *   print_chart values        > helm/callboard/values.yaml
 *   print_chart profile NAME  > helm/callboard/profiles/NAME.yaml
 *   print_chart reloaded      > helm/callboard/reloaded.yaml
 * tools/print_chart_folder writes all of them, and the schema (callboard-operator schema --values); the tests
 * unit.tools.chart_* compare. */
#include "operator/chart/chart_values.h"
#include "operator/manifest/manifest_emit.h"

#include <stdio.h>
#include <string.h>

static bool print_profile(const char *name, arena_t *arena, struct buffer *out) {
    for (int profile = 0; profile < SPEC_PROFILES; profile++) {
        if (strcmp(spec_profile_name(profile), name) == 0) {
            buffer_append_format(
                out, "# What counts with profile %s where no value is set. Printed from the operator's tables.\n",
                name);
            manifest_append_yaml(chart_profile(arena, profile), out);
            return true;
        }
    }
    return false;
}

static bool print(int n_words, char **words, arena_t *arena, struct buffer *out) {
    const char *what = n_words > 1 ? words[1] : "";
    if (strcmp(what, "values") == 0) {
        chart_values_append_defaults(out);
    } else if (strcmp(what, "profile") == 0 && n_words > 2) {
        return print_profile(words[2], arena, out);
    } else if (strcmp(what, "reloaded") == 0) {
        buffer_append_text(out,
                           "# Keys of the configurations that running pods take up by themselves: no pod is replaced "
                           "for them. Printed from the programs' tables.\n");
        manifest_append_yaml(chart_reloaded_keys(arena), out);
    } else {
        return false;
    }
    return true;
}

int main(int n_words, char **words) {
    arena_t *arena = arena_new();
    struct buffer out = BUFFER_EMPTY;
    bool is_known = print(n_words, words, arena, &out);
    bool is_written = is_known && fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
    if (!is_known) {
        fputs("usage: print_chart values|reloaded|profile NAME\n", stderr);
    }
    buffer_finish(&out);
    arena_destroy(&arena);
    return is_written ? 0 : 1;
}
