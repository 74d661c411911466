/* See documented_acl.h. */
#include "tests/support/documented_acl.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_MAX = 65536, LINE_MAX_HERE = 2048 };

char *documented_acl_line(const char *source_directory, const char *which, const char *more) {
    char begins[64];
    snprintf(begins, sizeof begins, "<!-- acl of the %s -->\n```\n", which);
    char path[512];
    snprintf(path, sizeof path, "%s/docs/redis.md", source_directory);
    FILE *file = fopen(path, "r");
    check(file != NULL, "%s cannot be read", path);
    char *page = memory_alloc_zero(PAGE_MAX);
    check(fread(page, 1, PAGE_MAX - 1, file) > 0, "%s is empty", path);
    fclose(file);
    const char *rule = strstr(page, begins);
    check(rule != NULL, "%s has no rule for the %s", path, which);
    rule += strlen(begins);
    char line[LINE_MAX_HERE];
    int length =
        snprintf(line, sizeof line, "user callboard on >secret %.*s %s", (int) strcspn(rule, "\n"), rule, more);
    check(length > 0 && length < (int) sizeof line, "the rule is too long");
    memory_free(page);
    return memory_strdup(line);
}

static bool is_allowed(const char *object, const char *const *allowed) {
    for (size_t i = 0; allowed[i] != NULL; i++) {
        if (strcmp(object, allowed[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* ACL LOG: entries of fields and values, a line each. */
void documented_acl_expect_nothing_denied(redis_server_t *server, const char *const *allowed) {
    char *text = redis_server_command(server, "ACL LOG");
    check(text != NULL, "no answer");
    char *rest = text;
    bool is_object = false;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        check(!is_object || is_allowed(line, allowed), "the user of docs/redis.md was denied %s", line);
        is_object = strcmp(line, "object") == 0;
    }
    memory_free(text);
}
