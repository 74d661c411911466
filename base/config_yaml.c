/* libyaml's events to a small tree.
 *
 * Happy path: the bytes are judged first (size, UTF-8, no directives), then every event adds to the innermost open map
 * or list. Maps are looked through for double keys when they close.
 *
 * Failure modes: what YAML itself refuses, and every limit, ends the reading with one message. An alias, anchor, tag,
 * merge key or double key is told and the reading goes on, so that one run shows them all. libyaml has no limit of
 * depth and takes quadratic time in it, so depth is counted while it parses; it takes quadratic time in %TAG lines
 * before its first event, so lines that begin with % are refused before it sees them. */
#include "base/config_yaml.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static const char merge_key[] = "<<";

struct builder {
    const struct config_yaml_errors *errors;
    struct span text;
    yaml_parser_t parser;
    struct config_documents documents;
    bool takes_several;
    config_node_t *open[CONFIG_YAML_DEPTH_MAX]; /* maps and lists whose end has not come, outermost first */
    unsigned depth;
    unsigned n_events;
    unsigned n_documents;
    char *name; /* the key that was read and waits for its value */
    unsigned name_line;
    unsigned name_column;
    bool has_failed;
};

/* ---- the tree ---- */

void config_node_destroy(config_node_t **self_p) {
    config_node_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    for (size_t i = 0; i < self->n_children; i++) {
        config_node_destroy(&self->children[i]);
    }
    memory_free(self->children);
    if (self->text != NULL) {
        explicit_bzero(self->text, self->text_size);
    }
    memory_free(self->text);
    memory_free(self->name);
    memory_free(self);
}

static void add_child(config_node_t *parent, config_node_t *child) {
    /* Grown at powers of two, so that a long list stays linear. */
    if ((parent->n_children & (parent->n_children - 1)) == 0) {
        size_t capacity = parent->n_children == 0 ? 1 : 2 * parent->n_children;
        parent->children = memory_realloc(parent->children, capacity * sizeof(config_node_t *));
    }
    parent->children[parent->n_children++] = child;
}

/* ---- telling ---- */

static void tell(struct builder *self, const yaml_mark_t *mark, enum config_yaml_problem problem, const char *text) {
    struct config_yaml_error error = {
        .problem = problem,
        .line = (unsigned) mark->line + 1,
        .column = (unsigned) mark->column + 1,
        .text = text,
    };
    self->errors->on_error(self->errors->context, &error);
}

static void stop(struct builder *self, const yaml_mark_t *mark, enum config_yaml_problem problem, const char *text) {
    tell(self, mark, problem, text);
    self->has_failed = true;
}

static void stop_at_offset(struct builder *self, size_t offset, enum config_yaml_problem problem, const char *text) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < self->text.size; i++) {
        bool is_line_end = self->text.data[i] == '\n';
        mark.line += is_line_end;
        mark.column = is_line_end ? 0 : mark.column + 1;
    }
    stop(self, &mark, problem, text);
}

/* Is there a tab among the white space before the first word of this line (from 0)? */
static bool is_indented_by_tab(struct span text, size_t line) {
    const uint8_t *at = text.data;
    const uint8_t *end = text.data + text.size;
    while (line > 0 && at < end) {
        const uint8_t *feed = memchr(at, '\n', (size_t) (end - at));
        at = feed == NULL ? end : feed + 1;
        line--;
    }
    while (at < end && *at == ' ') {
        at++;
    }
    return at < end && *at == '\t';
}

static void stop_as_libyaml_says(struct builder *self) {
    const yaml_parser_t *parser = &self->parser;
    const char *problem = parser->problem == NULL ? "this is not YAML" : parser->problem;
    if (parser->error == YAML_READER_ERROR) {
        stop_at_offset(self, parser->problem_offset, CONFIG_YAML_SYNTAX, problem);
        return;
    }
    if (is_indented_by_tab(self->text, parser->problem_mark.line)) {
        stop(self, &parser->problem_mark, CONFIG_YAML_TAB, "a tab in the indentation; YAML wants spaces");
        return;
    }
    char text[256];
    snprintf(text, sizeof text, "%s%s%s; look at the indentation, quotes and brackets here and above", problem,
             parser->context == NULL ? "" : " ", parser->context == NULL ? "" : parser->context);
    stop(self, &parser->problem_mark, CONFIG_YAML_SYNTAX, text);
}

/* ---- one node ---- */

/* A node at the place where the reading stands, in the map or list around it. */
static config_node_t *add_node(struct builder *self, enum config_node_kind kind, const yaml_mark_t *mark) {
    config_node_t *node = memory_alloc_zero(sizeof *node);
    node->kind = kind;
    node->line = node->value_line = (unsigned) mark->line + 1;
    node->column = node->value_column = (unsigned) mark->column + 1;
    if (self->depth == 0) {
        struct config_documents *documents = &self->documents;
        documents->roots = memory_realloc(documents->roots, (documents->n + 1) * sizeof(config_node_t *));
        documents->roots[documents->n++] = node;
        return node;
    }
    config_node_t *parent = self->open[self->depth - 1];
    if (parent->kind == CONFIG_NODE_MAP) {
        node->name = self->name;
        node->line = self->name_line;
        node->column = self->name_column;
        self->name = NULL;
    }
    add_child(parent, node);
    return node;
}

static bool expects_key(const struct builder *self) {
    return self->depth > 0 && self->open[self->depth - 1]->kind == CONFIG_NODE_MAP && self->name == NULL;
}

/* Also tells of anchors and tags, which change no more than that. */
static void open_node(struct builder *self, enum config_node_kind kind, const yaml_event_t *event, bool has_anchor,
                      bool has_tag) {
    if (expects_key(self)) {
        stop(self, &event->start_mark, CONFIG_YAML_BAD_KEY, "a key must be plain text, not a map or a list");
        return;
    }
    if (self->depth == CONFIG_YAML_DEPTH_MAX) {
        stop(self, &event->start_mark, CONFIG_YAML_TOO_DEEP, "nested too deeply; 32 levels are the most");
        return;
    }
    config_node_t *node = add_node(self, kind, &event->start_mark);
    self->open[self->depth++] = node;
    if (has_anchor) {
        tell(self, &event->start_mark, CONFIG_YAML_ANCHOR,
             "anchors are not allowed; write the value where it is needed");
    }
    if (has_tag) {
        tell(self, &event->start_mark, CONFIG_YAML_TAG, "tags (!) are not allowed; leave it out");
    }
}

static int compare_names(const void *a, const void *b) {
    const config_node_t *node_a = *(config_node_t *const *) a;
    const config_node_t *node_b = *(config_node_t *const *) b;
    int order = strcmp(node_a->name, node_b->name);
    if (order != 0) {
        return order;
    }
    if (node_a->line != node_b->line) {
        return node_a->line < node_b->line ? -1 : 1;
    }
    return node_a->column < node_b->column ? -1 : 1;
}

static void tell_double(struct builder *self, const config_node_t *node, const config_node_t *first) {
    char text[256];
    snprintf(text, sizeof text, "%.100s: stands twice in this map; the other one is in line %u", node->name,
             first->line);
    struct config_yaml_error error = {
        .problem = CONFIG_YAML_DOUBLE_KEY,
        .line = node->line,
        .column = node->column,
        .text = text,
        .other_line = first->line,
        .other_column = first->column,
    };
    self->errors->on_error(self->errors->context, &error);
}

/* Sorted, so that a map full of keys takes no quadratic time. */
static void refuse_double_names(struct builder *self, config_node_t *map) {
    if (map->n_children < 2) {
        return;
    }
    config_node_t **sorted = memory_alloc_array(map->n_children, sizeof *sorted);
    memcpy(sorted, map->children, map->n_children * sizeof *sorted);
    qsort(sorted, map->n_children, sizeof *sorted, compare_names);
    for (size_t i = 1; i < map->n_children; i++) {
        if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0) {
            tell_double(self, sorted[i], sorted[i - 1]);
            sorted[i]->kind = CONFIG_NODE_REFUSED;
        }
    }
    memory_free(sorted);
}

static void close_node(struct builder *self) {
    config_node_t *node = self->open[--self->depth];
    if (node->kind != CONFIG_NODE_MAP) {
        return;
    }
    refuse_double_names(self, node);
    for (size_t i = 0; i < node->n_children; i++) {
        if (strcmp(node->children[i]->name, merge_key) == 0) {
            node->children[i]->kind = CONFIG_NODE_REFUSED;
        }
    }
}

static void take_key(struct builder *self, const yaml_event_t *event) {
    const char *text = (const char *) event->data.scalar.value;
    size_t size = event->data.scalar.length;
    if (memchr(text, 0, size) != NULL) {
        stop(self, &event->start_mark, CONFIG_YAML_BAD_KEY, "a key has a NUL byte inside");
        return;
    }
    if (strcmp(text, merge_key) == 0) {
        tell(self, &event->start_mark, CONFIG_YAML_MERGE_KEY,
             "merge keys (<<) are not allowed; write the keys where they are needed");
    }
    self->name = memory_strndup(text, size);
    self->name_line = (unsigned) event->start_mark.line + 1;
    self->name_column = (unsigned) event->start_mark.column + 1;
}

static void on_scalar(struct builder *self, const yaml_event_t *event) {
    if (event->data.scalar.anchor != NULL) {
        tell(self, &event->start_mark, CONFIG_YAML_ANCHOR,
             "anchors are not allowed; write the value where it is needed");
    }
    if (event->data.scalar.tag != NULL) {
        tell(self, &event->start_mark, CONFIG_YAML_TAG, "tags (!) are not allowed; leave it out");
    }
    if (expects_key(self)) {
        take_key(self, event);
        return;
    }
    config_node_t *node = add_node(self, CONFIG_NODE_SCALAR, &event->start_mark);
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text_size = event->data.scalar.length;
    node->text = memory_strndup(event->data.scalar.value, node->text_size);
}

static void on_alias(struct builder *self, const yaml_event_t *event) {
    if (expects_key(self)) {
        stop(self, &event->start_mark, CONFIG_YAML_ALIAS, "aliases (*) are not allowed; write the key itself");
        return;
    }
    tell(self, &event->start_mark, CONFIG_YAML_ALIAS, "aliases (*) are not allowed; write the value itself");
    add_node(self, CONFIG_NODE_REFUSED, &event->start_mark);
}

static void on_event(struct builder *self, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return;
    case YAML_DOCUMENT_START_EVENT:
        if (++self->n_documents > 1 && !self->takes_several) {
            stop(self, &event->start_mark, CONFIG_YAML_SECOND_DOCUMENT,
                 "a second document; keep one, without a --- line inside");
        }
        return;
    case YAML_ALIAS_EVENT:
        on_alias(self, event);
        return;
    case YAML_SCALAR_EVENT:
        on_scalar(self, event);
        return;
    case YAML_SEQUENCE_START_EVENT:
        open_node(self, CONFIG_NODE_LIST, event, event->data.sequence_start.anchor != NULL,
                  event->data.sequence_start.tag != NULL);
        return;
    case YAML_MAPPING_START_EVENT:
        open_node(self, CONFIG_NODE_MAP, event, event->data.mapping_start.anchor != NULL,
                  event->data.mapping_start.tag != NULL);
        return;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_node(self);
        return;
    }
}

/* ---- the whole file ---- */

/* Where the first line begins that is not UTF-8: no character has a line feed inside. */
static size_t offset_of_bad_line(struct span text) {
    size_t begin = 0;
    while (begin < text.size) {
        const uint8_t *line_end = memchr(text.data + begin, '\n', text.size - begin);
        size_t end = line_end == NULL ? text.size : (size_t) (line_end - text.data) + 1;
        if (!utf8_is_valid(span_of(text.data + begin, end - begin))) {
            break;
        }
        begin = end;
    }
    return begin;
}

/* What is wrong with the bytes, before libyaml may see them. */
static bool are_good_bytes(struct builder *self) {
    if (self->text.size > CONFIG_YAML_BYTES_MAX) {
        stop_at_offset(self, 0, CONFIG_YAML_TOO_LARGE, "the file is larger than 256 KiB");
        return false;
    }
    if (!utf8_is_valid(self->text)) {
        stop_at_offset(self, offset_of_bad_line(self->text), CONFIG_YAML_NO_UTF8,
                       "this line is not UTF-8; save the file as UTF-8");
        return false;
    }
    for (size_t i = 0; i < self->text.size; i++) {
        if (self->text.data[i] == '%' && (i == 0 || self->text.data[i - 1] == '\n' || self->text.data[i - 1] == '\r')) {
            stop_at_offset(self, i, CONFIG_YAML_DIRECTIVE, "directives (%) are not allowed; leave the line out");
            return false;
        }
    }
    return true;
}

static bool take_event(struct builder *self) {
    yaml_event_t event;
    if (!yaml_parser_parse(&self->parser, &event)) {
        stop_as_libyaml_says(self);
        return false;
    }
    bool is_last = event.type == YAML_STREAM_END_EVENT;
    if (++self->n_events > CONFIG_YAML_EVENTS_MAX) {
        stop(self, &event.start_mark, CONFIG_YAML_TOO_MANY, "more than 20,000 values, keys and brackets");
    } else {
        on_event(self, &event);
    }
    if (event.type == YAML_SCALAR_EVENT) {
        explicit_bzero(event.data.scalar.value, event.data.scalar.length);
    }
    yaml_event_delete(&event);
    return !is_last && !self->has_failed;
}

static void parse(struct builder *self) {
    check(yaml_parser_initialize(&self->parser), "libyaml has no memory");
    yaml_parser_set_encoding(&self->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&self->parser, self->text.data, self->text.size);
    while (take_event(self)) {
    }
    yaml_parser_delete(&self->parser);
}

static bool is_nothing(const config_node_t *root) {
    return root->kind == CONFIG_NODE_SCALAR && root->is_plain && root->text_size == 0;
}

/* The tops must be maps; those without anything are left out. */
static void judge_roots(struct builder *self) {
    struct config_documents *documents = &self->documents;
    size_t n_kept = 0;
    for (size_t i = 0; i < documents->n; i++) {
        config_node_t *root = documents->roots[i];
        if (is_nothing(root)) {
            config_node_destroy(&root);
            continue;
        }
        documents->roots[n_kept++] = root;
        if (root->kind != CONFIG_NODE_MAP) {
            yaml_mark_t mark = {.line = root->line - 1, .column = root->column - 1};
            stop(self, &mark, CONFIG_YAML_NO_MAP, "the file must be a map: lines like `key: value`");
        }
    }
    documents->n = n_kept;
}

void config_documents_finish(struct config_documents *self) {
    for (size_t i = 0; i < self->n; i++) {
        config_node_destroy(&self->roots[i]);
    }
    memory_free(self->roots);
    *self = (struct config_documents){NULL, 0};
}

static bool read(struct builder *self, struct span text) {
    /* A byte order mark is what some editors put in front; it means nothing in UTF-8. */
    struct span mark = SPAN_LITERAL("\xEF\xBB\xBF");
    if (span_starts_with(text, mark)) {
        text = span_of(text.data + mark.size, text.size - mark.size);
    }
    self->text = text;
    if (text.size > 0 && are_good_bytes(self)) {
        parse(self);
    }
    if (!self->has_failed) {
        judge_roots(self);
    }
    if (self->has_failed) {
        config_documents_finish(&self->documents);
    }
    memory_free(self->name);
    return !self->has_failed;
}

bool config_yaml_read_documents(struct span text, const struct config_yaml_errors *errors,
                                struct config_documents *ret_documents) {
    struct builder self = {.errors = errors, .takes_several = true};
    bool is_good = read(&self, text);
    *ret_documents = self.documents;
    return is_good;
}

config_node_t *config_yaml_read(struct span text, const struct config_yaml_errors *errors) {
    struct builder self = {.errors = errors};
    if (!read(&self, text)) {
        return NULL;
    }
    config_node_t *root;
    if (self.documents.n == 0) { /* a file without anything is an empty map */
        root = memory_alloc_zero(sizeof *root);
        root->kind = CONFIG_NODE_MAP;
        root->line = root->column = root->value_line = root->value_column = 1;
    } else {
        root = self.documents.roots[0];
    }
    memory_free(self.documents.roots);
    return root;
}
