/* The input is `pattern\nname\nuser`. Parts lie inside the name, the rules agree with each other, and matching agrees
 * with a slow matcher that is evidently right. */
#include "base/channel_name.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span take_line(struct span *rest) {
    const uint8_t *feed = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    size_t size = feed == NULL ? rest->size : (size_t) (feed - rest->data);
    struct span line = span_of(rest->data, size);
    size_t taken = feed == NULL ? size : size + 1;
    *rest = taken == 0 ? SPAN_EMPTY : span_of(rest->data + taken, rest->size - taken);
    return line;
}

enum { TABLE_SIDE = 48 };

/* reach[j]: the pattern read so far matches the first j bytes of the name. */
static bool matches_by_table(struct span pattern, struct span name) {
    bool reach[TABLE_SIDE + 1] = {true};
    for (size_t i = 0; i < pattern.size; i++) {
        bool next[TABLE_SIDE + 1] = {false};
        bool is_star = pattern.data[i] == '*';
        next[0] = is_star && reach[0];
        for (size_t j = 0; j < name.size; j++) {
            next[j + 1] = is_star ? reach[j + 1] || next[j] : reach[j] && pattern.data[i] == name.data[j];
        }
        memcpy(reach, next, sizeof reach);
    }
    return reach[name.size];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span rest = span_of(data, size);
    struct span pattern = take_line(&rest);
    struct span name = take_line(&rest);
    struct span user = rest;

    bool is_match = channel_name_matches(pattern, name);
    if (pattern.size <= TABLE_SIDE && name.size <= TABLE_SIDE) {
        check(is_match == matches_by_table(pattern, name), "both matchers agree");
    }
    struct span namespace = channel_name_namespace(name);
    check(namespace.size == 0 ||
              (namespace.data >= name.data && namespace.data + namespace.size < name.data + name.size),
          "a namespace lies inside");
    if (channel_name_allows_user(name, user)) {
        check(channel_name_is_user_limited(name) && user.size > 0 && user.size < name.size, "a listed user");
    }
    if (namespace_name_is_valid(name)) {
        check(channel_name_check(name) == CHANNEL_NAME_OK, "a namespace is a good name");
    }
    if (channel_name_check(name) == CHANNEL_NAME_OK) {
        check(channel_name_matches(SPAN_LITERAL("*"), name) && channel_name_matches(name, name), "it matches itself");
    }
    return 0;
}
