/* Read, sort, and put together what has one name. How many there are is the workers' word, so memory goes by the bytes
 * that came. */
#include "base/channel_list.h"

#include "base/memory.h"

#include <stdlib.h>

enum { ENTRY_BYTES_MIN = 2 * sizeof(uint32_t) /* a name's size, and its clients */ };

struct entry {
    struct span name;
    uint32_t n_clients;
};

static int compare_names(struct span a, struct span b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_entries(const void *a, const void *b) {
    return compare_names(((const struct entry *) a)->name, ((const struct entry *) b)->name);
}

static bool belongs(const struct channel_list_page *page, struct span name) {
    return (page->behind.size == 0 || compare_names(name, page->behind) > 0) &&
           (page->admits == NULL || page->admits(page->context, name));
}

/* Returns how many belong. */
static size_t read_entries(struct span listed, const struct channel_list_page *page, struct entry *entries) {
    struct cursor cursor = cursor_of(listed);
    size_t n = 0;
    while (cursor.left > 0) {
        struct entry entry = {.name = cursor_sized(&cursor)};
        entry.n_clients = cursor_u32(&cursor);
        if (cursor.failed) {
            break;
        }
        if (belongs(page, entry.name)) {
            entries[n++] = entry;
        }
    }
    return n;
}

/* Those of one name, from the first of them; returns where the next name begins. */
static size_t append_channel(struct buffer *out, const struct entry *entries, size_t first, size_t n) {
    uint64_t n_clients = 0;
    size_t next = first;
    while (next < n && span_equal(entries[next].name, entries[first].name)) {
        n_clients += entries[next++].n_clients;
    }
    buffer_append_text(out, first == 0 ? "" : ",");
    buffer_append_json_string(out, entries[first].name);
    buffer_append_format(out, ":{\"num_clients\":%llu}", (unsigned long long) n_clients);
    return next;
}

struct span channel_list_append_page(struct buffer *out, struct span listed, const struct channel_list_page *page) {
    struct entry *entries = memory_alloc_array(listed.size / ENTRY_BYTES_MIN + 1, sizeof entries[0]);
    size_t n = read_entries(listed, page, entries);
    size_t n_written = 0;
    size_t next = 0;
    qsort(entries, n, sizeof entries[0], compare_entries);
    buffer_append_char(out, '{');
    while (next < n && (page->limit == 0 || n_written < page->limit)) {
        next = append_channel(out, entries, next, n);
        n_written++;
    }
    buffer_append_char(out, '}');
    struct span last = next > 0 && next < n ? entries[next - 1].name : SPAN_EMPTY;
    memory_free(entries);
    return last;
}
