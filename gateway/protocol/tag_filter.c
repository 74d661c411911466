/* A filter is kept as the bytes that judging reads from front to back: of a node its op; of a leaf comparison, key,
 * value and list of values; of the others their nodes. Equal filters have equal bytes, whatever encoding they came in.
 *
 * Failure modes: a request that is malformed or over a bound gives no filter; one whose hash is another's by chance is
 * kept apart, and judged by itself. */
#include "gateway/protocol/tag_filter.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/wire.h"
#include "gateway/key_table.h"

#include <xxhash.h>

enum op { OP_LEAF, OP_AND, OP_OR, OP_NOT };
enum comparison {
    COMPARE_EQ,
    COMPARE_NEQ,
    COMPARE_IN,
    COMPARE_NIN,
    COMPARE_EX,
    COMPARE_NEX,
    COMPARE_SW,
    COMPARE_EW,
    COMPARE_CT,
    COMPARE_LT,
    COMPARE_LTE,
    COMPARE_GT,
    COMPARE_GTE,
};
static const char *const ops[] = {"", "and", "or", "not"};
static const char *const comparisons[] = {"eq", "neq", "in", "nin", "ex", "nex", "sw",
                                          "ew", "ct",  "lt", "lte", "gt", "gte"};

struct tag_filter_set {
    struct key_table filters; /* XXH64 of the bytes → filter */
    size_t n;
};

struct tag_filter {
    tag_filter_set_t *set;
    uint64_t hash;
    unsigned n_references;
    bool is_listed;
    bool last_answer;
    uint64_t last_serial;
    size_t size;
    uint8_t bytes[];
};

/* ---- decimal numbers ---- */

struct decimal {
    bool is_negative;
    struct span whole;    /* without leading zeros */
    struct span fraction; /* without trailing zeros */
};

static struct span take_digits(struct cursor *cursor) {
    const uint8_t *start = cursor->at;
    size_t size = 0;
    while (size < cursor->left && start[size] >= '0' && start[size] <= '9') {
        size++;
    }
    return cursor_bytes(cursor, size);
}

static bool read_decimal(struct span text, struct decimal *ret_decimal) {
    struct cursor cursor = cursor_of(text);
    *ret_decimal = (struct decimal){.is_negative = text.size > 0 && text.data[0] == '-'};
    if (ret_decimal->is_negative) {
        cursor_u8(&cursor);
    }
    struct span whole = take_digits(&cursor);
    struct span fraction = SPAN_EMPTY;
    if (cursor.left > 0 && cursor.at[0] == '.') {
        cursor_u8(&cursor);
        fraction = take_digits(&cursor);
        if (fraction.size == 0) {
            return false;
        }
    }
    if (whole.size == 0 || cursor.left > 0) {
        return false;
    }
    while (whole.size > 0 && whole.data[0] == '0') {
        whole = span_of(whole.data + 1, whole.size - 1);
    }
    while (fraction.size > 0 && fraction.data[fraction.size - 1] == '0') {
        fraction.size--;
    }
    ret_decimal->is_negative = ret_decimal->is_negative && whole.size + fraction.size > 0;
    ret_decimal->whole = whole;
    ret_decimal->fraction = fraction;
    return true;
}

/* As strcmp; a prefix is less. */
static int compare_digits(struct span a, struct span b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_decimals(const struct decimal *a, const struct decimal *b) {
    if (a->is_negative != b->is_negative) {
        return a->is_negative ? -1 : 1;
    }
    int order = (a->whole.size > b->whole.size) - (a->whole.size < b->whole.size);
    order = order != 0 ? order : compare_digits(a->whole, b->whole);
    order = order != 0 ? order : compare_digits(a->fraction, b->fraction);
    return a->is_negative ? -order : order;
}

/* ---- judging ---- */

static bool find_tag(struct span tags, struct span key, struct span *ret_value) {
    struct cursor cursor = cursor_of(tags);
    struct wire_tag tag;
    while (wire_next_tag(&cursor, &tag)) {
        if (span_equal(tag.key, key)) {
            *ret_value = tag.value;
            return true;
        }
    }
    return false;
}

static bool contains(struct span text, struct span part) {
    return part.size == 0 || (text.size > 0 && memmem(text.data, text.size, part.data, part.size) != NULL);
}

static bool ends_with(struct span text, struct span end) {
    return text.size >= end.size && span_equal(span_of(text.data + text.size - end.size, end.size), end);
}

static bool holds_for_numbers(enum comparison comparison, struct span tag, struct span value) {
    struct decimal a;
    struct decimal b;
    if (!read_decimal(tag, &a) || !read_decimal(value, &b)) {
        return false;
    }
    int order = compare_decimals(&a, &b);
    bool wants_less = comparison == COMPARE_LT || comparison == COMPARE_LTE;
    bool takes_equal = comparison == COMPARE_LTE || comparison == COMPARE_GTE;
    return order == 0 ? takes_equal : wants_less == (order < 0);
}

/* A tag that is there. `is_listed`: among the values. */
static bool holds(enum comparison comparison, struct span tag, struct span value, bool is_listed) {
    switch (comparison) {
    case COMPARE_EQ:
        return span_equal(tag, value);
    case COMPARE_NEQ:
        return !span_equal(tag, value);
    case COMPARE_IN:
        return is_listed;
    case COMPARE_NIN:
        return !is_listed;
    case COMPARE_EX:
        return true;
    case COMPARE_NEX:
        return false;
    case COMPARE_SW:
        return span_starts_with(tag, value);
    case COMPARE_EW:
        return ends_with(tag, value);
    case COMPARE_CT:
        return contains(tag, value);
    case COMPARE_LT:
    case COMPARE_LTE:
    case COMPARE_GT:
    case COMPARE_GTE:
        return holds_for_numbers(comparison, tag, value);
    }
    unreachable("comparison %d", (int) comparison);
}

static bool judge_leaf(struct cursor *filter, struct span tags) {
    enum comparison comparison = (enum comparison) cursor_u8(filter);
    struct span key = cursor_sized(filter);
    struct span value = cursor_sized(filter);
    struct span tag = SPAN_EMPTY;
    bool is_there = find_tag(tags, key, &tag);
    bool is_listed = false;
    for (unsigned n = cursor_u8(filter); n > 0; n--) {
        is_listed = span_equal(cursor_sized(filter), tag) || is_listed;
    }
    if (!is_there) {
        return comparison == COMPARE_NEQ || comparison == COMPARE_NIN || comparison == COMPARE_NEX;
    }
    return holds(comparison, tag, value, is_listed);
}

static bool judge(struct cursor *filter, struct span tags) {
    enum op op = (enum op) cursor_u8(filter);
    if (op == OP_LEAF) {
        return judge_leaf(filter, tags);
    }
    bool all = true;
    bool any = false;
    for (unsigned n = cursor_u8(filter); n > 0; n--) {
        bool passes = judge(filter, tags); /* always: it moves the cursor */
        all = all && passes;
        any = any || passes;
    }
    return op == OP_AND ? all : op == OP_OR ? any : !any;
}

bool tag_filter_passes(const tag_filter_t *self, struct span tags) {
    struct cursor cursor = cursor_of(span_of(self->bytes, self->size));
    return judge(&cursor, tags);
}

bool tag_filter_passes_once(tag_filter_t *self, struct span tags, uint64_t serial) {
    if (self->last_serial != serial) {
        self->last_serial = serial;
        self->last_answer = tag_filter_passes(self, tags);
    }
    return self->last_answer;
}

/* ---- reading ---- */

struct reader {
    struct buffer out;
    struct buffer text; /* scratch */
    unsigned n_nodes;
    unsigned n_vals;
};

/* Of a string or of nothing, which is "". */
static bool read_text(struct reader *self, struct json_value value) {
    buffer_clear(&self->text);
    return value.type == JSON_NONE || value.type == JSON_NULL ||
           (value.type == JSON_STRING && json_decode_string(value, &self->text));
}

static bool find_word(struct span word, const char *const *words, size_t n, uint8_t *ret_index) {
    for (size_t i = 0; i < n; i++) {
        if (span_equal_text(word, words[i])) {
            *ret_index = (uint8_t) i;
            return true;
        }
    }
    return false;
}

/* Returns how many; more than fit into a byte: malformed. */
static unsigned count_items(struct json_value list) {
    struct json_iterator iterator = json_iterate(list);
    struct json_value name;
    struct json_value value;
    unsigned n = 0;
    while (n <= UINT8_MAX && json_next(&iterator, &name, &value)) {
        n++;
    }
    return n;
}

static bool is_list(struct json_value value) {
    return value.type == JSON_ARRAY || value.type == JSON_NONE || value.type == JSON_NULL;
}

static bool read_vals(struct reader *self, struct json_value vals, enum comparison comparison) {
    bool wants_some = comparison == COMPARE_IN || comparison == COMPARE_NIN;
    unsigned n = count_items(vals);
    self->n_vals += n;
    if (!is_list(vals) || (n > 0) != wants_some || self->n_vals > TAG_FILTER_VALS_MAX) {
        return false;
    }
    buffer_append_u8(&self->out, (uint8_t) n);
    struct json_iterator iterator = json_iterate(vals);
    struct json_value name;
    struct json_value value;
    while (json_next(&iterator, &name, &value)) {
        if (value.type != JSON_STRING || !read_text(self, value)) {
            return false;
        }
        buffer_append_sized(&self->out, buffer_span(&self->text));
    }
    return true;
}

static bool read_leaf(struct reader *self, struct json_value node) {
    uint8_t comparison = 0;
    struct decimal decimal;
    if (!read_text(self, json_member(node, "cmp")) ||
        !find_word(buffer_span(&self->text), comparisons, sizeof comparisons / sizeof comparisons[0], &comparison)) {
        return false;
    }
    buffer_append_u8(&self->out, comparison);
    if (!read_text(self, json_member(node, "key")) || self->text.size == 0) {
        return false;
    }
    buffer_append_sized(&self->out, buffer_span(&self->text));
    if (!read_text(self, json_member(node, "val")) ||
        (comparison >= COMPARE_LT && !read_decimal(buffer_span(&self->text), &decimal))) {
        return false;
    }
    buffer_append_sized(&self->out, buffer_span(&self->text));
    return read_vals(self, json_member(node, "vals"), (enum comparison) comparison);
}

static bool read_node(struct reader *self, struct json_value node, unsigned depth);

static bool read_nodes(struct reader *self, struct json_value nodes, uint8_t op, unsigned depth) {
    unsigned n = count_items(nodes);
    if (nodes.type != JSON_ARRAY || n == 0 || n > TAG_FILTER_NODES_MAX || (op == OP_NOT && n != 1)) {
        return false;
    }
    buffer_append_u8(&self->out, (uint8_t) n);
    struct json_iterator iterator = json_iterate(nodes);
    struct json_value name;
    struct json_value value;
    while (json_next(&iterator, &name, &value)) {
        if (!read_node(self, value, depth + 1)) {
            return false;
        }
    }
    return true;
}

static bool read_node(struct reader *self, struct json_value node, unsigned depth) {
    uint8_t op = 0;
    if (node.type != JSON_OBJECT || depth > TAG_FILTER_DEPTH_MAX || ++self->n_nodes > TAG_FILTER_NODES_MAX ||
        !read_text(self, json_member(node, "op")) ||
        !find_word(buffer_span(&self->text), ops, sizeof ops / sizeof ops[0], &op)) {
        return false;
    }
    buffer_append_u8(&self->out, op);
    return op == OP_LEAF ? read_leaf(self, node) : read_nodes(self, json_member(node, "nodes"), op, depth);
}

/* ---- the set ---- */

static tag_filter_t *share(tag_filter_set_t *set, struct span bytes) {
    uint64_t hash = XXH64(bytes.data, bytes.size, 0);
    tag_filter_t *twin = key_table_find(&set->filters, hash);
    if (twin != NULL && span_equal(span_of(twin->bytes, twin->size), bytes)) {
        twin->n_references++;
        return twin;
    }
    tag_filter_t *self = memory_alloc_zero(sizeof *self + bytes.size);
    self->set = set;
    self->hash = hash;
    self->n_references = 1;
    self->size = bytes.size;
    memcpy(self->bytes, bytes.data, bytes.size);
    set->n++;
    if (twin == NULL) {
        self->is_listed = true;
        key_table_put(&set->filters, hash, self);
    }
    return self;
}

tag_filter_t *tag_filter_take(tag_filter_set_t *set, struct json_value request) {
    struct reader reader = {.n_nodes = 0};
    buffer_init(&reader.out, TAG_FILTER_BYTES_MAX);
    bool is_sound = read_node(&reader, request, 1) && !reader.out.overflow;
    tag_filter_t *self = is_sound ? share(set, buffer_span(&reader.out)) : NULL;
    buffer_finish(&reader.out);
    buffer_finish(&reader.text);
    return self;
}

void tag_filter_release(tag_filter_t **self_p) {
    tag_filter_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL || --self->n_references > 0) {
        return;
    }
    if (self->is_listed) {
        key_table_take(&self->set->filters, self->hash);
    }
    self->set->n--;
    memory_free(self);
}

tag_filter_set_t *tag_filter_set_new(void) {
    tag_filter_set_t *self = memory_alloc_zero(sizeof *self);
    key_table_init(&self->filters);
    return self;
}

void tag_filter_set_destroy(tag_filter_set_t **self_p) {
    tag_filter_set_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    check(self->n == 0, "%zu tags filters outlive their set", self->n);
    key_table_finish(&self->filters);
    memory_free(self);
}

size_t tag_filter_set_count(const tag_filter_set_t *self) {
    return self->n;
}
