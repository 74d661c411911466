/* See sentinel_conf.h. Sentinel's memory is in its file: whom it follows, epochs, votes, the others it knows. Losing it
 * lets it vote twice in an epoch or follow a primary of last week. So:
 *
 *   lines of the template     taken, but for those that are state
 *   state lines of the old    taken: monitor (host and port; the quorum is the template's), config-epoch, leader-epoch,
 *                             current-epoch, known-replica, known-sentinel
 *   everything else           the template's word only: a setting that was taken out is gone
 *
 * Order: what the template says first, the state behind it, where `monitor` of the set stands before its other lines.
 */
#include "operator/agent/sentinel_conf.h"

enum { WORDS_MAX = 8 };

struct words {
    struct span word[WORDS_MAX];
    size_t n;
};

static struct span next_line(struct span *rest) {
    const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    struct span line = span_of(rest->data, end == NULL ? rest->size : (size_t) (end - rest->data));
    size_t taken = end == NULL ? line.size : line.size + 1;
    *rest = span_of(rest->data + taken, rest->size - taken);
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    return line;
}

static struct words split(struct span line) {
    struct words words = {.n = 0};
    size_t at = 0;
    while (at < line.size && words.n < WORDS_MAX) {
        size_t begin = at;
        while (at < line.size && line.data[at] != ' ' && line.data[at] != '\t') {
            at++;
        }
        if (at > begin) {
            words.word[words.n++] = span_of(line.data + begin, at - begin);
        }
        at++;
    }
    return words;
}

static bool is_directive(const struct words *words, const char *name) {
    return words->n >= 2 && span_equal_text(words->word[0], "sentinel") && span_equal_text(words->word[1], name);
}

static bool is_monitor_of(const struct words *words, const char *master_set) {
    return words->n == 6 && is_directive(words, "monitor") && span_equal_text(words->word[2], master_set);
}

static bool is_state(const struct words *words) {
    static const char *const names[] = {"config-epoch",  "leader-epoch",   "current-epoch",
                                        "known-replica", "known-sentinel", "known-slave"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (is_directive(words, names[i])) {
            return true;
        }
    }
    return false;
}

static bool find_monitor(struct span text, const char *master_set, struct words *ret_words) {
    while (text.size > 0) {
        *ret_words = split(next_line(&text));
        if (is_monitor_of(ret_words, master_set)) {
            return true;
        }
    }
    return false;
}

static void append_line(struct buffer *out, struct span line) {
    buffer_append_span(out, line);
    buffer_append_char(out, '\n');
}

static void append_monitor(struct buffer *out, const struct words *old, const struct words *ours) {
    for (size_t i = 0; i < old->n; i++) {
        buffer_append_span(out, i + 1 == old->n ? ours->word[ours->n - 1] : old->word[i]);
        buffer_append_char(out, i + 1 == old->n ? '\n' : ' ');
    }
}

bool sentinel_conf_merge(struct buffer *out, struct span template_text, struct span old, const char *master_set) {
    struct words monitor;
    bool has_state = find_monitor(old, master_set, &monitor);
    while (template_text.size > 0) {
        struct span line = next_line(&template_text);
        struct words words = split(line);
        if (has_state && is_monitor_of(&words, master_set)) {
            append_monitor(out, &monitor, &words);
        } else if (!has_state || !is_state(&words)) {
            append_line(out, line);
        }
    }
    while (has_state && old.size > 0) {
        struct span line = next_line(&old);
        struct words words = split(line);
        if (is_state(&words)) {
            append_line(out, line);
        }
    }
    return has_state;
}
