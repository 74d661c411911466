/* The file is the input. Whatever it holds, reading it tells what is wrong or fills the structs; both can be finished,
 * compared and hashed, and the lines of errors are bounded, printable and ended. */
#include "base/check.h"
#include "base/config_reader.h"
#include "base/namespace_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
    int64_t port;
    int64_t bytes;
    int64_t timeout_ms;
    bool is_on;
    int level;
    char *name;
    char *secret;
    char *url;
    struct config_text_list list;
    struct config_section_list namespaces;
};

#define KEY(key_path, key_type, field, ...)                                                                            \
    { .path = (key_path), .type = (key_type), .offset = offsetof(struct settings, field), .help = "H.", __VA_ARGS__ }

static const char *const levels[] = {"debug", "info", NULL};
static const struct config_key keys[] = {
    KEY("http.port", CONFIG_INT, port, .minimum = 1, .maximum = 65535, .default_text = "8000"),
    KEY("http.bytes", CONFIG_BYTES, bytes, .default_text = "1MiB"),
    KEY("http.timeout", CONFIG_DURATION, timeout_ms, .default_text = "10s"),
    KEY("http.demo", CONFIG_BOOL, is_on, .flags = CONFIG_RELOADABLE),
    KEY("log.level", CONFIG_CHOICE, level, .choices = levels),
    KEY("name", CONFIG_TEXT, name, .maximum = 100),
    KEY("token.secret", CONFIG_SECRET, secret, .minimum = 8, .maximum = 100),
    KEY("redis.url", CONFIG_TEXT, url, .flags = CONFIG_PASSWORD_URL),
    KEY("http.allowed_origins", CONFIG_TEXT_LIST, list, .default_text = "a,b"),
    KEY("namespaces", CONFIG_SECTION_LIST, namespaces, .section = &namespace_options_table),
};

static void verify(const void *self, const char *prefix, config_errors_t *errors) {
    namespace_set_verify(&((const struct settings *) self)->namespaces, prefix, errors);
}

static const struct config_table table = {"Fuzz", keys, sizeof keys / sizeof keys[0], sizeof(struct settings), verify};

static void check_lines(const struct buffer *lines, bool is_good) {
    check(is_good == (lines->size == 0), "lines tell errors");
    unsigned n_lines = 0;
    for (size_t i = 0; i < lines->size; i++) {
        uint8_t c = lines->data[i];
        check(c == '\n' || (c >= 0x20 && c != 0x7F), "printable");
        n_lines += c == '\n';
    }
    check(lines->size == 0 || lines->data[lines->size - 1] == '\n', "ended");
    check(n_lines <= 51, "bounded");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = span_of(data, size);
    /* A file name that would be opened makes the run depend on the machine. */
    if (size > 0 && memmem(data, size, "_file", 5) != NULL) {
        return 0;
    }
    struct settings settings[2];
    struct config_part parts[] = {{&table, &settings[0]}, {&table, &settings[1]}};
    struct config_source source = {.file_name = "f.yaml", .file_text = text};
    struct buffer lines;
    buffer_init(&lines, 0);
    bool is_good = config_read(parts, 2, &source, &lines);
    check_lines(&lines, is_good);
    check(settings[0].port >= 1 && settings[0].port <= 65535, "in bounds");
    check(config_hash(&parts[0]) == config_hash(&parts[1]), "read alike");
    struct buffer differences;
    buffer_init(&differences, 0);
    config_compare(&parts[0], &parts[1], 1, &differences);
    check(differences.size == 0, "read alike");
    namespace_set_t *set = namespace_set_new(&settings[0].namespaces);
    namespace_set_find(set, text);
    namespace_set_destroy(&set);
    buffer_finish(&differences);
    buffer_finish(&lines);
    config_finish(parts, 2);
    return 0;
}
