/* Specs that are wrong, and what exactly is told of each: the file bad_specs.txt beside this one.
 *
 *     # a title
 *     |  gateway:
 *     |    replicas: 0
 *     > 6:15 CB2029 spec.gateway.replicas: 0 is too small; write one from 1 to 1000
 *
 * "|" is a line of the spec, behind the four lines of HEADER; "!" one of a document of its own; "$" is like "!" with
 * \t, \r, \n and \xHH inside and no line end behind it; "=" is a setting of --set. ">" is what is told, and behind " @
 * " the other place. BAD_SPECS=print prints the file with what is told now. */
#include "base/bytes.h"
#include "operator/checks/checks.h"
#include "operator/diagnostics/diagnostics_print.h"
#include "operator/render/render_document.h"
#include "operator/spec/spec_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEADER "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec:\n"

enum { CASES_LEAST = 200 };

/* Told by test_operator_program.c: large files, and files that are not there; and by test_diff.c, of changes. */
static const enum diagnostic_code elsewhere[] = {
    DIAGNOSTIC_YAML_TOO_LARGE,      DIAGNOSTIC_YAML_TOO_MANY,    DIAGNOSTIC_FILE_UNREADABLE, DIAGNOSTIC_RISK_PARTITIONS,
    DIAGNOSTIC_RISK_MODE,           DIAGNOSTIC_RISK_PERSISTENCE, DIAGNOSTIC_RISK_SHARDS,     DIAGNOSTIC_RISK_MAXMEMORY,
    DIAGNOSTIC_RISK_VOLUME_SHRINKS, DIAGNOSTIC_RISK_DURABILITY,  DIAGNOSTIC_RISK_RECREATE,   DIAGNOSTIC_SCALE_MEMORY,
    DIAGNOSTIC_SCALE_DEGRADED,      DIAGNOSTIC_SCALE_BUSY,       DIAGNOSTIC_SCALE_TWICE,     DIAGNOSTIC_SCALE_FEW,
    DIAGNOSTIC_SCALE_FUNCTIONS,     DIAGNOSTIC_REHEARSE_UNWELL};
static bool is_told[DIAGNOSTIC_CODES_N];

/* One case, as it is being read. */
struct sample {
    struct buffer title;
    struct buffer lines; /* as they stand in the file, without those that expect */
    struct buffer text;
    struct buffer expected;
    struct spec_setting settings[8];
    size_t n_settings;
    arena_t *arena;
};

/* ---- what is told ---- */

static void append_place(struct buffer *out, const struct source_place *place) {
    if (place->setting != NULL) {
        buffer_append_format(out, "--set %s", place->setting);
    } else {
        buffer_append_format(out, "%u:%u", place->line, place->column);
    }
}

static void append_told(const struct diagnostics *diagnostics, struct buffer *out) {
    for (size_t i = 0; i < diagnostics->n; i++) {
        const struct diagnostic *item = &diagnostics->items[i];
        is_told[item->code] = true;
        buffer_append_text(out, "> ");
        append_place(out, &item->place);
        buffer_append_format(out, " CB%u %s%s%s; %s", diagnostic_meaning_of(item->code)->number, item->path,
                             item->path[0] == '\0' ? "" : ": ", item->what, diagnostic_mend_of(item));
        if (item->other != NULL) {
            buffer_append_text(out, " @ ");
            append_place(out, &item->other_place);
            buffer_append_format(out, " %s", item->other);
        }
        buffer_append_char(out, '\n');
    }
}

static void run(struct sample *self, struct buffer *ret_told) {
    struct spec_settings settings = {.items = self->settings, .n = self->n_settings};
    struct spec_documents documents;
    struct diagnostics *diagnostics = arena_alloc(self->arena, sizeof *diagnostics);
    spec_documents_init(&documents, self->arena);
    diagnostics_init(diagnostics, self->arena);
    spec_documents_read(&documents, "deploy.yaml", buffer_span(&self->text), &settings, diagnostics);
    spec_documents_close(&documents, &settings, diagnostics);
    for (size_t i = 0; i < documents.n; i++) {
        checks_run(documents.items[i], diagnostics);
    }
    manifests_t *objects = manifests_new(self->arena);
    for (size_t i = 0; diagnostics->n_errors == 0 && i < documents.n; i++) {
        const struct render_options options = {NULL, NULL};
        (void) render_document(documents.items[i], &options, diagnostics, objects);
    }
    diagnostics_sort(diagnostics);
    append_told(diagnostics, ret_told);
    spec_documents_finish(&documents);
}

/* ---- the file ---- */

static void begin(struct sample *self, struct span title) {
    memset(self, 0, sizeof *self);
    self->arena = arena_new();
    buffer_append_span(&self->title, title);
    buffer_append_char(&self->title, '\0');
}

static void end(struct sample *self) {
    buffer_finish(&self->title);
    buffer_finish(&self->lines);
    buffer_finish(&self->text);
    buffer_finish(&self->expected);
    arena_destroy(&self->arena);
}

static unsigned digit_of(uint8_t c) {
    return (unsigned) (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static void append_unescaped(struct buffer *out, struct span text) {
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\\') {
            buffer_append_char(out, (char) text.data[i]);
            continue;
        }
        i++;
        if (text.data[i] == 'x') {
            buffer_append_char(out, (char) (digit_of(text.data[i + 1]) * 16 + digit_of(text.data[i + 2])));
            i += 2;
        } else {
            buffer_append_char(out, text.data[i] == 't' ? '\t' : text.data[i] == 'r' ? '\r' : '\n');
        }
    }
}

static void add_setting(struct sample *self, struct span text) {
    const uint8_t *equals = memchr(text.data, '=', text.size);
    struct span path = span_of(text.data, (size_t) (equals - text.data));
    self->settings[self->n_settings++] = (struct spec_setting){
        .path = arena_text_of(self->arena, path),
        .value = arena_text_of(self->arena, span_of(equals + 1, text.size - path.size - 1)),
        .text = arena_text_of(self->arena, text),
    };
}

static void add_line(struct sample *self, struct span line) {
    struct span rest = span_of(line.data + 1, line.size - 1);
    if (line.data[0] == '>') {
        buffer_append_span(&self->expected, line);
        buffer_append_char(&self->expected, '\n');
        return;
    }
    buffer_append_span(&self->lines, line);
    buffer_append_char(&self->lines, '\n');
    if (line.data[0] == '=') {
        add_setting(self, rest);
        return;
    }
    if (line.data[0] == '|' && self->text.size == 0) {
        buffer_append_text(&self->text, HEADER);
    }
    if (line.data[0] == '$') {
        append_unescaped(&self->text, rest);
    } else {
        buffer_append_span(&self->text, rest);
        buffer_append_char(&self->text, '\n');
    }
}

/* True when it told what the file says. */
static bool judge(struct sample *self, bool prints) {
    struct buffer told = BUFFER_EMPTY;
    run(self, &told);
    bool is_good = span_equal(buffer_span(&told), buffer_span(&self->expected));
    if (prints) {
        printf("# %s\n%.*s%.*s\n", (char *) self->title.data, (int) self->lines.size, (char *) self->lines.data,
               (int) told.size, (char *) told.data);
    } else if (!is_good) {
        print_error("%s\ntold:\n%.*sexpected:\n%.*s", (char *) self->title.data, (int) told.size, (char *) told.data,
                    (int) self->expected.size, (char *) self->expected.data);
    }
    buffer_finish(&told);
    return is_good || prints;
}

static size_t judge_file(FILE *stream, bool prints, size_t *ret_n_bad) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    size_t n = 0;
    bool is_open = false;
    struct sample sample;
    while ((size = getline(&line, &capacity, stream)) > 0) {
        size -= line[size - 1] == '\n';
        if (size == 0 || line[0] == '#') {
            *ret_n_bad += is_open && !judge(&sample, prints);
            if (is_open) {
                end(&sample);
            }
            is_open = size > 2 && line[1] == ' '; /* "#-" is a remark */
        }
        if (is_open && line[0] == '#') {
            begin(&sample, span_of(line + 2, (size_t) size - 2));
            n++;
        } else if (is_open) {
            add_line(&sample, span_of(line, (size_t) size));
        }
    }
    if (is_open) {
        *ret_n_bad += !judge(&sample, prints);
        end(&sample);
    }
    free(line);
    return n;
}

static void each_bad_spec_is_told_exactly(void **state) {
    (void) state;
    FILE *stream = fopen(CALLBOARD_SOURCE_DIR "/tests/unit/operator/bad_specs.txt", "re");
    assert_non_null(stream);
    size_t n_bad = 0;
    size_t n = judge_file(stream, getenv("BAD_SPECS") != NULL, &n_bad);
    fclose(stream);
    assert_true(n >= CASES_LEAST);
    assert_int_equal(n_bad, 0);
}

/* After the test above. */
static void every_code_is_told_by_some_spec(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        is_told[elsewhere[i]] = true;
    }
    for (int code = 0; code < DIAGNOSTIC_CODES_N; code++) {
        if (!is_told[code]) {
            fail_msg("nothing tells CB%u", diagnostic_meaning_of((enum diagnostic_code) code)->number);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bad_spec_is_told_exactly),
        cmocka_unit_test(every_code_is_told_by_some_spec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
