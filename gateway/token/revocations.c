/* Two sorted arrays over one block of text: a look-up is a binary search, nothing is ever changed.
 *
 * Failure modes: a line that is not understood refuses the file as a whole. Passing it over would let in whom somebody
 * meant to lock out. */
#include "gateway/token/revocations.h"

#include "base/json_scan.h"
#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct entry {
    struct span name;
    int64_t time_s; /* of users: not_before; of tokens: 0 */
};

struct entry_list {
    struct entry *items;
    size_t n;
    size_t capacity;
};

struct revocations {
    atomic_uint references;
    struct buffer names; /* never grows after its first reservation: entries point into it */
    struct entry_list users;
    struct entry_list tokens;
};

enum name { NAME_USER, NAME_NOT_BEFORE, NAME_JTI, NAME_UNTIL, NAMES };

static const struct span names[NAMES] = {
    [NAME_USER] = JSON_NAME("user"),
    [NAME_NOT_BEFORE] = JSON_NAME("not_before"),
    [NAME_JTI] = JSON_NAME("jti"),
    [NAME_UNTIL] = JSON_NAME("until"),
};

/* ---- life ---- */

static revocations_t *new_list(size_t bytes) {
    revocations_t *self = memory_alloc_zero(sizeof *self);
    atomic_init(&self->references, 1);
    buffer_reserve(&self->names, bytes + 1);
    return self;
}

revocations_t *revocations_ref(revocations_t *self) {
    atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
    return self;
}

void revocations_unref(revocations_t **self_p) {
    revocations_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    buffer_finish(&self->names);
    memory_free(self->users.items);
    memory_free(self->tokens.items);
    memory_free(self);
}

size_t revocations_count(const revocations_t *self) {
    return self == NULL ? 0 : self->users.n + self->tokens.n;
}

/* ---- reading ---- */

static void add(struct entry_list *list, struct span name, int64_t time_s) {
    if (list->n == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        list->items = memory_realloc(list->items, list->capacity * sizeof *list->items);
    }
    list->items[list->n++] = (struct entry){name, time_s};
}

static bool take_name(struct buffer *decoded, struct json_value value, struct span *ret_name) {
    size_t before = decoded->size;
    if (!json_decode_string(value, decoded) || decoded->size == before) {
        return false;
    }
    *ret_name = span_of(decoded->data + before, decoded->size - before);
    return true;
}

static size_t count_names(struct json_value object) {
    struct json_iterator iterator = json_iterate(object);
    struct json_value name;
    struct json_value value;
    size_t n = 0;
    while (json_next(&iterator, &name, &value)) {
        n++;
    }
    return n;
}

static bool take_time(struct json_value value, int64_t *ret_time_s) {
    return json_to_i64(value, ret_time_s) && *ret_time_s >= 0;
}

const char *revocation_read(struct span line, struct buffer *decoded, struct revocation *ret_revocation) {
    struct json_value members[NAMES];
    struct json_value object;
    struct revocation read = {.until_s = REVOCATION_WITHOUT_END};
    if (json_scan(line, &JSON_LIMITS_DEFAULT, &object, NULL) != JSON_OK || object.type != JSON_OBJECT) {
        return "it is no JSON object";
    }
    json_members(object, names, NAMES, members);
    read.is_user = members[NAME_USER].type != JSON_NONE;
    bool has_until = members[NAME_UNTIL].type != JSON_NONE;
    if (count_names(object) != (read.is_user ? 2U : 1U) + (has_until ? 1U : 0U)) {
        return "it must have user and not_before, or jti, perhaps until, and nothing else";
    }
    if (read.is_user && !take_time(members[NAME_NOT_BEFORE], &read.not_before_s)) {
        return "not_before must be whole seconds since 1970";
    }
    if (has_until && !take_time(members[NAME_UNTIL], &read.until_s)) {
        return "until must be whole seconds since 1970";
    }
    if (!take_name(decoded, members[read.is_user ? NAME_USER : NAME_JTI], &read.name)) {
        return read.is_user ? "user must be a text that is not empty" : "jti must be a text that is not empty";
    }
    *ret_revocation = read;
    return NULL;
}

void revocation_append(struct buffer *out, const struct revocation *revocation) {
    buffer_append_text(out, revocation->is_user ? "{\"user\":" : "{\"jti\":");
    buffer_append_json_string(out, revocation->name);
    if (revocation->is_user) {
        buffer_append_format(out, ",\"not_before\":%lld", (long long) revocation->not_before_s);
    }
    if (revocation->until_s != REVOCATION_WITHOUT_END) {
        buffer_append_format(out, ",\"until\":%lld", (long long) revocation->until_s);
    }
    buffer_append_char(out, '}');
}

/* NULL: it is fine. */
static const char *read_line(revocations_t *self, struct span line, int64_t now_s) {
    struct revocation read;
    const char *reason = revocation_read(line, &self->names, &read);
    if (reason == NULL && read.until_s > now_s) {
        add(read.is_user ? &self->users : &self->tokens, read.name, read.not_before_s);
    }
    return reason;
}

static int compare_names(struct span a, struct span b) {
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* By name, of one name the latest time first. */
static int compare(const void *a, const void *b) {
    const struct entry *first = a;
    const struct entry *second = b;
    int order = compare_names(first->name, second->name);
    return order != 0 ? order : (first->time_s < second->time_s) - (first->time_s > second->time_s);
}

static void sort(struct entry_list *list) {
    if (list->n == 0) {
        return;
    }
    qsort(list->items, list->n, sizeof *list->items, compare);
    size_t kept = 1;
    for (size_t i = 1; i < list->n; i++) {
        if (!span_equal(list->items[i].name, list->items[kept - 1].name)) {
            list->items[kept++] = list->items[i];
        }
    }
    list->n = kept;
}

static struct span cut_line(struct span *rest) {
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    size_t size = end == NULL ? rest->size : (size_t) (end - rest->data);
    struct span line = span_of(rest->data, size);
    size_t used = end == NULL ? size : size + 1;
    *rest = span_of(rest->data + used, rest->size - used);
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    return line;
}

revocations_t *revocations_read(struct span text, int64_t now_s, char *ret_error, size_t error_size) {
    revocations_t *self = new_list(text.size); /* decoded texts are no longer than they stand there */
    struct span rest = text;
    for (size_t number = 1; rest.size > 0; number++) {
        struct span line = cut_line(&rest);
        const char *reason = line.size == 0 || line.data[0] == '#' ? NULL : read_line(self, line, now_s);
        if (reason != NULL) {
            snprintf(ret_error, error_size, "line %zu: %s", number, reason);
            revocations_unref(&self);
            return NULL;
        }
    }
    sort(&self->users);
    sort(&self->tokens);
    return self;
}

/* ---- joining ---- */

static void add_all(revocations_t *self, struct entry_list *list, const struct entry_list *others) {
    for (size_t i = 0; i < others->n; i++) {
        size_t before = self->names.size;
        buffer_append_span(&self->names, others->items[i].name);
        add(list, span_of(self->names.data + before, others->items[i].name.size), others->items[i].time_s);
    }
}

static size_t names_size(const revocations_t *self) {
    return self == NULL ? 0 : self->names.size;
}

static void add_list(revocations_t *self, const revocations_t *other) {
    if (other != NULL) {
        add_all(self, &self->users, &other->users);
        add_all(self, &self->tokens, &other->tokens);
    }
}

revocations_t *revocations_union(const revocations_t *a, const revocations_t *b) {
    revocations_t *self = new_list(names_size(a) + names_size(b));
    add_list(self, a);
    add_list(self, b);
    sort(&self->users);
    sort(&self->tokens);
    return self;
}

/* ---- asking ---- */

static const struct entry *find(const struct entry_list *list, struct span name) {
    size_t from = 0;
    size_t to = list->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = compare_names(list->items[middle].name, name);
        if (order == 0) {
            return &list->items[middle];
        }
        if (order < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return NULL;
}

bool revocations_have(const revocations_t *self, struct span user, bool has_issued_at, int64_t issued_at_s,
                      struct span jti) {
    if (self == NULL) {
        return false;
    }
    if (jti.size > 0 && find(&self->tokens, jti) != NULL) {
        return true;
    }
    const struct entry *entry = user.size == 0 ? NULL : find(&self->users, user);
    return entry != NULL && (!has_issued_at || issued_at_s < entry->time_s);
}
