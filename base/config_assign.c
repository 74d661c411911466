/* From (path, text) to fields.
 *
 * Happy path: the path is looked up in the tables of all parts of the scope, the text is parsed into the field of each
 * that has it, and the place is recorded.
 *
 * Failure modes: a value that is wrong is told and leaves the fields as they were. A secret on a command line, a
 * password in a URL that too many can read, or a secret that is given twice in one source is refused. Nothing of a
 * secret's value gets into a line, and what was read from its file is wiped. */
#include "base/config_assign.h"

#include "base/cleanup.h"
#include "base/config_nearest.h"
#include "base/config_values.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_FILE_MAX = 64 * 1024 };

static const char file_suffix[] = "_file";

char *config_join(const char *a, const char *b) {
    size_t size_a = strlen(a);
    size_t size_b = strlen(b);
    char *joined = memory_alloc(size_a + size_b + 1);
    memcpy(joined, a, size_a);
    memcpy(joined + size_a, b, size_b + 1);
    return joined;
}

/* ---- looking up ---- */

const struct config_key *config_find_key_in_table(const struct config_table *table, struct span path) {
    for (size_t i = 0; i < table->n_keys; i++) {
        if (span_equal_text(path, table->keys[i].path)) {
            return &table->keys[i];
        }
    }
    return NULL;
}

const struct config_key *config_find_key(const struct config_scope *scope, struct span path) {
    const struct config_key *key = NULL;
    for (size_t i = 0; i < scope->n_parts && key == NULL; i++) {
        key = config_find_key_in_table(scope->parts[i].table, path);
    }
    return key;
}

/* Is it the beginning, up to a dot, of some key? */
bool config_is_section(const struct config_scope *scope, const char *path) {
    size_t size = strlen(path);
    for (size_t i = 0; i < scope->n_parts; i++) {
        const struct config_table *table = scope->parts[i].table;
        for (size_t k = 0; k < table->n_keys; k++) {
            if (strncmp(table->keys[k].path, path, size) == 0 && table->keys[k].path[size] == '.') {
                return true;
            }
        }
    }
    return false;
}

/* The secret that <path> names a file for; NULL when it is something else. */
static const struct config_key *find_secret_of_file(const struct config_scope *scope, const char *path) {
    struct span text = span_of_text(path);
    size_t suffix_size = sizeof file_suffix - 1;
    if (text.size <= suffix_size || strcmp(path + text.size - suffix_size, file_suffix) != 0) {
        return NULL;
    }
    const struct config_key *key = config_find_key(scope, span_of(text.data, text.size - suffix_size));
    return key != NULL && key->type == CONFIG_SECRET ? key : NULL;
}

static size_t count_dots(struct span path) {
    size_t n = 0;
    for (size_t i = 0; i < path.size; i++) {
        n += path.data[i] == '.';
    }
    return n;
}

/* The first parts of a path, with n dots between them. */
static struct span cut_path(const char *path, size_t n_dots) {
    struct span cut = span_of_text(path);
    for (size_t i = 0; i < cut.size; i++) {
        if (path[i] == '.' && n_dots-- == 0) {
            cut.size = i;
        }
    }
    return cut;
}

static const char *last_part(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot == NULL ? path : dot + 1;
}

/* A key spelt almost so, else one of the same name elsewhere; empty when there is neither. */
static struct span guess_path(const struct config_scope *scope, const char *path) {
    struct config_nearest nearest = config_nearest_to(span_of_text(path));
    size_t n_dots = count_dots(nearest.name);
    struct span elsewhere = SPAN_EMPTY;
    for (size_t i = 0; i < scope->n_parts; i++) {
        const struct config_table *table = scope->parts[i].table;
        for (size_t k = 0; k < table->n_keys; k++) {
            config_nearest_consider(&nearest, cut_path(table->keys[k].path, n_dots));
            if (elsewhere.size == 0 && strcmp(last_part(table->keys[k].path), last_part(path)) == 0) {
                elsewhere = span_of_text(table->keys[k].path);
            }
        }
    }
    return nearest.best.size > 0 ? nearest.best : elsewhere;
}

void config_tell_unknown(config_errors_t *errors, const struct config_scope *scope, struct config_place place,
                         const char *path) {
    auto_destroy(memory_free_text) char *full_path = config_join(scope->prefix, path);
    struct span guess = guess_path(scope, path);
    if (guess.size == 0) {
        config_errors_add(errors, place, full_path, "there is no such key; --help lists all");
    } else {
        config_errors_add(errors, place, full_path, "there is no such key; did you mean %s%.*s?", scope->prefix,
                          (int) guess.size, (const char *) guess.data);
    }
}

/* ---- setting one value ---- */

static void tell_value(config_errors_t *errors, const struct config_scope *scope,
                       const struct config_assignment *assignment, const struct config_key *key,
                       const struct buffer *why) {
    auto_destroy(memory_free_text) char *full_path = config_join(scope->prefix, assignment->path);
    struct buffer value = BUFFER_EMPTY;
    if (key->type != CONFIG_SECRET && (key->flags & CONFIG_PASSWORD_URL) == 0) {
        config_append_quoted(&value, assignment->text);
        buffer_append_char(&value, ' ');
    }
    config_errors_add(errors, assignment->place, full_path, "%.*s%.*s", (int) value.size, (const char *) value.data,
                      (int) why->size, (const char *) why->data);
    buffer_finish(&value);
}

/* What only some sources may hold (security.md S38). */
static const char *why_not_here(const struct config_key *key, const struct config_assignment *assignment) {
    enum config_origin origin = assignment->place.origin;
    if (key->type == CONFIG_SECRET && origin == CONFIG_FROM_SETTINGS && !assignment->is_by_file) {
        return "a secret on the command line is seen by everybody on the machine; put it into a file and name that "
               "with the same key and _file behind it, or set it in the environment";
    }
    if ((key->flags & CONFIG_PASSWORD_URL) != 0 && origin != CONFIG_FROM_ENVIRONMENT &&
        config_url_password(assignment->text).size > 0) {
        return "a password inside a URL is seen by too many here; take it out and set the password's own key (or that "
               "key with _file behind it), or give the whole URL in the environment";
    }
    return NULL;
}

/* Into every part that has the key. The first mistake is told; they are all alike. */
static bool assign(config_errors_t *errors, const struct config_scope *scope,
                   const struct config_assignment *assignment, struct span path) {
    struct buffer why = BUFFER_EMPTY;
    bool is_good = true;
    for (size_t i = 0; i < scope->n_parts && is_good; i++) {
        const struct config_key *key = config_find_key_in_table(scope->parts[i].table, path);
        if (key == NULL) {
            continue;
        }
        const char *reason = why_not_here(key, assignment);
        if (reason != NULL) {
            buffer_append_text(&why, reason);
        }
        is_good = reason == NULL && config_value_parse(key, scope->parts[i].target, assignment->text, &why);
        if (!is_good) {
            tell_value(errors, scope, assignment, key, &why);
        }
    }
    buffer_finish(&why);
    return is_good;
}

/* Both a secret and the name of its file, in one source: which one counts would be a guess. */
static bool is_set_both_ways(config_errors_t *errors, const char *secret_path,
                             const struct config_assignment *assignment, bool is_by_file) {
    const struct config_record *record = config_errors_find(errors, secret_path);
    if (record == NULL || record->place.origin != assignment->place.origin || record->is_by_file == is_by_file) {
        return false;
    }
    config_errors_add(errors, assignment->place, secret_path, "set either %s or %s%s, not both", secret_path,
                      secret_path, file_suffix);
    return true;
}

static void set_text(config_errors_t *errors, const struct config_scope *scope,
                     const struct config_assignment *assignment, const struct config_key *key) {
    auto_destroy(memory_free_text) char *full_path = config_join(scope->prefix, assignment->path);
    bool is_clear = key->type != CONFIG_SECRET || !is_set_both_ways(errors, full_path, assignment, false);
    if (is_clear && assign(errors, scope, assignment, span_of_text(assignment->path))) {
        config_errors_record(errors, full_path, assignment->place, false);
    }
}

/* ---- secrets from files ---- */

/* A name from the configuration file is relative to that file's folder. */
static char *resolve_file_name(const config_errors_t *errors, const struct config_assignment *assignment,
                               const char *name) {
    const char *slash = errors->file_name == NULL ? NULL : strrchr(errors->file_name, '/');
    if (assignment->place.origin != CONFIG_FROM_FILE || name[0] == '/' || slash == NULL) {
        return memory_strdup(name);
    }
    auto_destroy(memory_free_text) char *folder =
        memory_strndup(errors->file_name, (size_t) (slash + 1 - errors->file_name));
    return config_join(folder, name);
}

/* Editors and echo end a file with a line feed that is no part of the secret. */
static struct span without_line_end(struct span text) {
    if (text.size > 0 && text.data[text.size - 1] == '\n') {
        text.size--;
        if (text.size > 0 && text.data[text.size - 1] == '\r') {
            text.size--;
        }
    }
    return text;
}

bool config_read_file(const char *path, size_t limit, struct buffer *ret_text, const char **ret_reason) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        *ret_reason = strerrordesc_np(errno);
        return false;
    }
    uint8_t block[4096];
    size_t left = limit;
    ssize_t n = 0;
    bool fits = true;
    do {
        n = read(file, block, sizeof block);
        fits = n <= 0 || (size_t) n <= left;
        if (n > 0 && fits) {
            buffer_append(ret_text, block, (size_t) n);
            left -= (size_t) n;
        }
    } while (fits && (n > 0 || (n < 0 && errno == EINTR)));
    int error = errno;
    explicit_bzero(block, sizeof block);
    close(file);
    if (n < 0) {
        *ret_reason = strerrordesc_np(error);
    } else if (!fits) {
        *ret_reason = "larger than allowed";
    }
    return fits && n == 0;
}

static void wipe_buffer(struct buffer *text) {
    if (text->data != NULL) {
        explicit_bzero(text->data, text->capacity);
    }
    buffer_finish(text);
}

/* With its end. */
static struct span first_line(struct span text) {
    const uint8_t *end = text.size == 0 ? NULL : memchr(text.data, '\n', text.size);
    return end == NULL ? text : span_of(text.data, (size_t) (end - text.data) + 1);
}

static void set_secret_from_file(config_errors_t *errors, const struct config_scope *scope,
                                 const struct config_assignment *assignment, const struct config_key *secret) {
    auto_destroy(memory_free_text) char *secret_path = config_join(scope->prefix, secret->path);
    auto_destroy(memory_free_text) char *name = memory_strndup(assignment->text.data, assignment->text.size);
    if (is_set_both_ways(errors, secret_path, assignment, true)) {
        return;
    }
    auto_destroy(memory_free_text) char *file_name = resolve_file_name(errors, assignment, name);
    /* Reserved at once, so that no copy is left behind by growing. */
    struct buffer text;
    buffer_init(&text, SECRET_FILE_MAX);
    buffer_reserve(&text, SECRET_FILE_MAX);
    const char *reason = NULL;
    bool is_read = config_read_file(file_name, SECRET_FILE_MAX, &text, &reason);
    struct span value = without_line_end((secret->flags & CONFIG_FIRST_LINE) == 0 ? buffer_span(&text)
                                                                                  : first_line(buffer_span(&text)));
    if (is_read && value.size == 0) {
        reason = "it is empty";
    }
    if (reason != NULL) {
        config_errors_add(errors, assignment->place, assignment->path, "cannot take the secret from the file %s: %s",
                          file_name, reason);
    } else {
        struct config_assignment of_secret = {assignment->place, assignment->path, value, .is_by_file = true};
        if (assign(errors, scope, &of_secret, span_of_text(secret->path))) {
            config_errors_record(errors, secret_path, assignment->place, true);
        }
    }
    wipe_buffer(&text);
}

bool config_assign(config_errors_t *errors, const struct config_scope *scope,
                   const struct config_assignment *assignment) {
    const struct config_key *key = config_find_key(scope, span_of_text(assignment->path));
    if (key != NULL) {
        set_text(errors, scope, assignment, key);
        return true;
    }
    const struct config_key *secret = find_secret_of_file(scope, assignment->path);
    if (secret != NULL) {
        set_secret_from_file(errors, scope, assignment, secret);
    }
    return secret != NULL;
}
