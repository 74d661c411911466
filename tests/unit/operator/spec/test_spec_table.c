/* The tables of fields: whole, without doubles, and with defaults that a user could have written. */
#include "operator/spec/spec_table.h"
#include "operator/spec/spec_values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef void (*visit_t)(const struct spec_fields *table, const struct spec_field *field);

static void visit_table(const struct spec_fields *table, visit_t visit) {
    for (size_t i = 0; i < table->n; i++) {
        visit(table, &table->fields[i]);
        if (table->fields[i].items != NULL) {
            visit_table(table->fields[i].items, visit);
        }
    }
}

static void visit_all(visit_t visit) {
    size_t n;
    const struct spec_fields *const *sections = spec_sections(&n);
    visit_table(&spec_fields_metadata, visit);
    for (size_t i = 0; i < n; i++) {
        visit_table(sections[i], visit);
    }
}

static void has_texts(const struct spec_fields *table, const struct spec_field *field) {
    bool is_whole = field->help != NULL && field->changes != NULL && field->help[strlen(field->help) - 1] == '.';
    bool has_choices = (field->type == SPEC_CHOICE) == (field->choices != NULL);
    bool has_items = (field->type == SPEC_ITEM_LIST) == (field->items != NULL);
    if (!is_whole || !has_choices || !has_items || table->title == NULL || table->intro == NULL) {
        fail_msg("the row of %s lacks something", field->path);
    }
}

static void every_row_says_what_it_is_for(void **state) {
    (void) state;
    visit_all(has_texts);
}

static void is_alone(const struct spec_fields *table, const struct spec_field *field) {
    for (const struct spec_field *other = table->fields; other < field; other++) {
        size_t size = strlen(other->path);
        bool is_inside = strncmp(other->path, field->path, size) == 0 && strchr(".", field->path[size]) != NULL;
        if (is_inside || other->offset == field->offset) {
            fail_msg("%s and %s", other->path, field->path);
        }
    }
}

/* No path twice, none that is a section of another; no member twice. */
static void rows_do_not_overlap(void **state) {
    (void) state;
    visit_all(is_alone);
}

/* As if each were written into a file; texts in quotes. */
static void reads_its_defaults(const struct spec_fields *table, const struct spec_field *field) {
    void *target = calloc(1, table->item_size > 0 ? table->item_size : sizeof(struct spec));
    arena_t *arena = arena_new();
    struct diagnostics *diagnostics = arena_alloc(arena, sizeof *diagnostics);
    diagnostics_init(diagnostics, arena);
    struct spec_reading reading = {arena, diagnostics};
    for (int profile = 0; profile < SPEC_PROFILES; profile++) {
        const char *text = spec_default_of(field, profile);
        bool is_text = field->type == SPEC_TEXT || field->type == SPEC_CHOICE;
        struct spec_scalar scalar = {.text = span_of_text(text), .is_plain = !is_text, .path = field->path};
        if (text != NULL && !spec_value_read(&reading, field, target, &scalar)) {
            fail_msg("the default \"%s\" of %s: %s", text, field->path, diagnostics->items[0].what);
        }
    }
    arena_destroy(&arena);
    free(target);
}

static void every_default_keeps_the_rules_of_its_field(void **state) {
    (void) state;
    visit_all(reads_its_defaults);
}

static void fields_are_found_by_path(void **state) {
    (void) state;
    assert_non_null(spec_find_field(span_of_text("gateway.replicas")));
    assert_non_null(spec_find_field(span_of_text("spec.gateway.replicas")));
    assert_non_null(spec_find_field(span_of_text("metadata.name")));
    assert_non_null(spec_find_field(span_of_text("gateway.listeners[12].tls.secretName")));
    assert_non_null(spec_find_field(span_of_text("gateway.listeners.port")));
    assert_null(spec_find_field(span_of_text("gateway")));
    assert_null(spec_find_field(span_of_text("gateway.replicasX")));
    assert_null(spec_find_field(span_of_text("gateway.listeners[0")));
    assert_null(spec_find_field(span_of_text("")));
    assert_true(spec_is_section(span_of_text("redis.sentinel")));
    assert_false(spec_is_section(span_of_text("redis.sentine")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_says_what_it_is_for),
        cmocka_unit_test(rows_do_not_overlap),
        cmocka_unit_test(every_default_keeps_the_rules_of_its_field),
        cmocka_unit_test(fields_are_found_by_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
