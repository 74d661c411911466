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
    config_node_t *root;
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

static void tell(struct builder *self, const yaml_mark_t *mark, const char *text) {
    self->errors->on_error(self->errors->context, (unsigned) mark->line + 1, (unsigned) mark->column + 1, text);
}

static void stop(struct builder *self, const yaml_mark_t *mark, const char *text) {
    tell(self, mark, text);
    self->has_failed = true;
}

static void stop_at_offset(struct builder *self, size_t offset, const char *text) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < self->text.size; i++) {
        bool is_line_end = self->text.data[i] == '\n';
        mark.line += is_line_end;
        mark.column = is_line_end ? 0 : mark.column + 1;
    }
    stop(self, &mark, text);
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
        stop_at_offset(self, parser->problem_offset, problem);
        return;
    }
    if (is_indented_by_tab(self->text, parser->problem_mark.line)) {
        stop(self, &parser->problem_mark, "a tab in the indentation; YAML wants spaces");
        return;
    }
    char text[256];
    snprintf(text, sizeof text, "%s%s%s; look at the indentation, quotes and brackets here and above", problem,
             parser->context == NULL ? "" : " ", parser->context == NULL ? "" : parser->context);
    stop(self, &parser->problem_mark, text);
}

/* ---- one node ---- */

/* A node at the place where the reading stands, in the map or list around it. */
static config_node_t *add_node(struct builder *self, enum config_node_kind kind, const yaml_mark_t *mark) {
    config_node_t *node = memory_alloc_zero(sizeof *node);
    node->kind = kind;
    node->line = (unsigned) mark->line + 1;
    node->column = (unsigned) mark->column + 1;
    if (self->depth == 0) {
        check(self->root == NULL, "two tops");
        self->root = node;
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
        stop(self, &event->start_mark, "a key must be plain text, not a map or a list");
        return;
    }
    if (self->depth == CONFIG_YAML_DEPTH_MAX) {
        stop(self, &event->start_mark, "nested too deeply; 32 levels are the most");
        return;
    }
    config_node_t *node = add_node(self, kind, &event->start_mark);
    self->open[self->depth++] = node;
    if (has_anchor) {
        tell(self, &event->start_mark, "anchors are not allowed; write the value where it is needed");
    }
    if (has_tag) {
        tell(self, &event->start_mark, "tags (!) are not allowed; leave it out");
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
    self->errors->on_error(self->errors->context, node->line, node->column, text);
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
        stop(self, &event->start_mark, "a key has a NUL byte inside");
        return;
    }
    if (strcmp(text, merge_key) == 0) {
        tell(self, &event->start_mark, "merge keys (<<) are not allowed; write the keys where they are needed");
    }
    self->name = memory_strndup(text, size);
    self->name_line = (unsigned) event->start_mark.line + 1;
    self->name_column = (unsigned) event->start_mark.column + 1;
}

static void on_scalar(struct builder *self, const yaml_event_t *event) {
    if (event->data.scalar.anchor != NULL) {
        tell(self, &event->start_mark, "anchors are not allowed; write the value where it is needed");
    }
    if (event->data.scalar.tag != NULL) {
        tell(self, &event->start_mark, "tags (!) are not allowed; leave it out");
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
        stop(self, &event->start_mark, "aliases (*) are not allowed; write the key itself");
        return;
    }
    tell(self, &event->start_mark, "aliases (*) are not allowed; write the value itself");
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
        if (++self->n_documents > 1) {
            stop(self, &event->start_mark, "a second document; keep one, without a --- line inside");
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
        stop_at_offset(self, 0, "the file is larger than 256 KiB");
        return false;
    }
    if (!utf8_is_valid(self->text)) {
        stop_at_offset(self, offset_of_bad_line(self->text), "this line is not UTF-8; save the file as UTF-8");
        return false;
    }
    for (size_t i = 0; i < self->text.size; i++) {
        if (self->text.data[i] == '%' && (i == 0 || self->text.data[i - 1] == '\n' || self->text.data[i - 1] == '\r')) {
            stop_at_offset(self, i, "directives (%) are not allowed; leave the line out");
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
        stop(self, &event.start_mark, "more than 20,000 values, keys and brackets");
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

/* The top must be a map; a file without anything is an empty one. */
static void judge_root(struct builder *self) {
    config_node_t *root = self->root;
    bool is_nothing = root == NULL || (root->kind == CONFIG_NODE_SCALAR && root->is_plain && root->text_size == 0);
    if (is_nothing) {
        config_node_destroy(&self->root);
        self->root = memory_alloc_zero(sizeof *self->root);
        self->root->kind = CONFIG_NODE_MAP;
        self->root->line = 1;
        self->root->column = 1;
    } else if (root->kind != CONFIG_NODE_MAP) {
        self->errors->on_error(self->errors->context, root->line, root->column,
                               "the file must be a map: lines like `key: value`");
        self->has_failed = true;
    }
}

config_node_t *config_yaml_read(struct span text, const struct config_yaml_errors *errors) {
    /* A byte order mark is what some editors put in front; it means nothing in UTF-8. */
    struct span mark = SPAN_LITERAL("\xEF\xBB\xBF");
    if (span_starts_with(text, mark)) {
        text = span_of(text.data + mark.size, text.size - mark.size);
    }
    struct builder self = {.errors = errors, .text = text};
    if (text.size > 0 && are_good_bytes(&self)) {
        parse(&self);
    }
    if (!self.has_failed) {
        judge_root(&self);
    }
    if (self.has_failed) {
        config_node_destroy(&self.root);
    }
    memory_free(self.name);
    return self.root;
}
