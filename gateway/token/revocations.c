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
    int64_t time_s; /* of users: not_before */
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

static bool take_name(revocations_t *self, struct json_value value, struct span *ret_name) {
    size_t before = self->names.size;
    if (!json_decode_string(value, &self->names) || self->names.size == before) {
        return false;
    }
    *ret_name = span_of(self->names.data + before, self->names.size - before);
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

/* NULL: it is fine. */
static const char *read_line(revocations_t *self, struct span line, int64_t now_s) {
    struct json_value members[NAMES];
    struct json_value object;
    struct span name;
    int64_t time_s = 0;
    if (json_scan(line, &JSON_LIMITS_DEFAULT, &object, NULL) != JSON_OK || object.type != JSON_OBJECT) {
        return "it is no JSON object";
    }
    json_members(object, names, NAMES, members);
    bool is_user = members[NAME_USER].type != JSON_NONE;
    bool has_until = members[NAME_UNTIL].type != JSON_NONE;
    if (count_names(object) != (is_user || has_until ? 2U : 1U)) {
        return "it must have user and not_before, or jti and perhaps until, and nothing else";
    }
    if (is_user) {
        if (!json_to_i64(members[NAME_NOT_BEFORE], &time_s) || time_s < 0) {
            return "not_before must be whole seconds since 1970";
        }
        if (!take_name(self, members[NAME_USER], &name)) {
            return "user must be a text that is not empty";
        }
        add(&self->users, name, time_s);
        return NULL;
    }
    if (has_until && (!json_to_i64(members[NAME_UNTIL], &time_s) || time_s < 0)) {
        return "until must be whole seconds since 1970";
    }
    if (!take_name(self, members[NAME_JTI], &name)) {
        return "jti must be a text that is not empty";
    }
    if (!has_until || time_s > now_s) {
        add(&self->tokens, name, time_s);
    }
    return NULL;
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
    revocations_t *self = memory_alloc_zero(sizeof *self);
    atomic_init(&self->references, 1);
    buffer_reserve(&self->names, text.size + 1); /* decoded texts are no longer than they stand there */
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
