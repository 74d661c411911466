/* Channel names are judged byte by byte against one set, so whatever passes is safe inside Redis keys, patterns and
 * log lines. The parts (namespace, users) are spans of the name. All work is linear in the name, but matching, which
 * is at most pattern × name. */
#include "base/channel_name.h"

/* Printable ASCII without what means something to key tags, patterns or quoting. */
static bool is_name_byte(uint8_t byte) {
    switch (byte) {
    case '{':
    case '}':
    case '*':
    case '?':
    case '[':
    case ']':
    case '\\':
    case '"':
    case '\'':
    case '`':
        return false;
    default:
        return byte >= 0x21 && byte <= 0x7E;
    }
}

enum channel_name_outcome channel_name_check(struct span name) {
    if (name.size == 0) {
        return CHANNEL_NAME_EMPTY;
    }
    if (name.size > CHANNEL_NAME_MAX) {
        return CHANNEL_NAME_TOO_LONG;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (!is_name_byte(name.data[i])) {
            return CHANNEL_NAME_BAD_BYTE;
        }
    }
    return CHANNEL_NAME_OK;
}

bool channel_name_is_own(struct span name) {
    return span_equal_text(name, REVOCATIONS_CHANNEL);
}

bool channel_name_is_private(struct span name) {
    return name.size > 0 && name.data[0] == '$';
}

struct span channel_name_namespace(struct span name) {
    if (channel_name_is_private(name)) {
        name = span_of(name.data + 1, name.size - 1);
    }
    const uint8_t *colon = name.size == 0 ? NULL : memchr(name.data, ':', name.size);
    return colon == NULL ? SPAN_EMPTY : span_of(name.data, (size_t) (colon - name.data));
}

/* What stands behind the last #; false without one. */
static bool find_users(struct span name, struct span *ret_users) {
    const uint8_t *mark = name.size == 0 ? NULL : memrchr(name.data, '#', name.size);
    if (mark == NULL) {
        return false;
    }
    *ret_users = span_of(mark + 1, (size_t) (name.data + name.size - (mark + 1)));
    return true;
}

bool channel_name_is_user_limited(struct span name) {
    struct span users;
    return find_users(name, &users);
}

bool channel_name_allows_user(struct span name, struct span user) {
    struct span users;
    if (user.size == 0 || !find_users(name, &users)) {
        return false;
    }
    while (users.size > 0) {
        const uint8_t *comma = memchr(users.data, ',', users.size);
        size_t size = comma == NULL ? users.size : (size_t) (comma - users.data);
        if (span_equal(span_of(users.data, size), user)) {
            return true;
        }
        size_t taken = comma == NULL ? size : size + 1;
        users = span_of(users.data + taken, users.size - taken);
    }
    return false;
}

static bool is_namespace_byte(uint8_t byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '_';
}

bool namespace_name_is_valid(struct span name) {
    if (name.size < 2 || name.size > NAMESPACE_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (!is_namespace_byte(name.data[i])) {
            return false;
        }
    }
    return true;
}

/* Each star first takes nothing. On a mismatch only the last one passed takes one byte more: giving bytes to an earlier
 * one could never help. */
bool channel_name_matches(struct span pattern, struct span name) {
    size_t at_pattern = 0;
    size_t at_name = 0;
    size_t behind_star = 0; /* 0: no star passed */
    size_t star_took_to = 0;
    while (at_name < name.size) {
        if (at_pattern < pattern.size && pattern.data[at_pattern] == '*') {
            behind_star = ++at_pattern;
            star_took_to = at_name;
        } else if (at_pattern < pattern.size && pattern.data[at_pattern] == name.data[at_name]) {
            at_pattern++;
            at_name++;
        } else if (behind_star > 0) {
            at_pattern = behind_star;
            at_name = ++star_took_to;
        } else {
            return false;
        }
    }
    while (at_pattern < pattern.size && pattern.data[at_pattern] == '*') {
        at_pattern++;
    }
    return at_pattern == pattern.size;
}
