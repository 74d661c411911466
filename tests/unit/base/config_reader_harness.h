/* A program's settings of every kind, and reading them from texts. */
#ifndef CALLBOARD_TESTS_CONFIG_READER_HARNESS_H
#define CALLBOARD_TESTS_CONFIG_READER_HARNESS_H

#include "base/config_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- a program's settings ---- */

struct room {
    char *name;
    int64_t size;
    bool is_open;
};

static inline void verify_room(const void *self, const char *prefix, config_errors_t *errors) {
    const struct room *room = self;
    if (room->is_open && room->size == 0) {
        config_error(errors, prefix, "size", "an open room needs a size");
    }
}

static const struct config_key room_keys[] = {
    {.path = "name",
     .type = CONFIG_TEXT,
     .flags = CONFIG_REQUIRED,
     .offset = offsetof(struct room, name),
     .help = "H."},
    {.path = "size", .type = CONFIG_INT, .offset = offsetof(struct room, size), .maximum = 100, .help = "H."},
    {.path = "is_open", .type = CONFIG_BOOL, .offset = offsetof(struct room, is_open), .help = "H."},
};
static const struct config_table room_table = {"Room", room_keys, N_OF(room_keys), sizeof(struct room), verify_room};

struct settings {
    int64_t port;
    char *address;
    struct config_text_list origins;
    int64_t timeout_ms;
    int64_t bytes;
    bool is_on;
    int level;
    char *secret;
    char *url;
    char *password;
    struct config_section_list rooms;
};

static inline void verify_settings(const void *self, const char *prefix, config_errors_t *errors) {
    const struct settings *settings = self;
    if (settings->port == 666) {
        config_error(errors, prefix, "http.port", "%d is not a lucky port", 666);
    }
}

static const char *const levels[] = {"debug", "info", "warn", NULL};
static const struct config_key keys[] = {
    {.path = "http.port",
     .type = CONFIG_INT,
     .offset = offsetof(struct settings, port),
     .default_text = "8000",
     .minimum = 1,
     .maximum = 65535,
     .help = "H."},
    {.path = "http.address",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, address),
     .default_text = "0.0.0.0",
     .minimum = 1,
     .maximum = 100,
     .help = "H."},
    {.path = "http.allowed_origins",
     .type = CONFIG_TEXT_LIST,
     .flags = CONFIG_RELOADABLE,
     .offset = offsetof(struct settings, origins),
     .help = "H."},
    {.path = "http.timeout",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct settings, timeout_ms),
     .default_text = "10s",
     .help = "H."},
    {.path = "http.bytes",
     .type = CONFIG_BYTES,
     .offset = offsetof(struct settings, bytes),
     .default_text = "64KiB",
     .help = "H."},
    {.path = "is_on", .type = CONFIG_BOOL, .offset = offsetof(struct settings, is_on), .help = "H."},
    {.path = "log.level",
     .type = CONFIG_CHOICE,
     .flags = CONFIG_RELOADABLE,
     .offset = offsetof(struct settings, level),
     .default_text = "info",
     .choices = levels,
     .help = "H."},
    {.path = "token.secret",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, secret),
     .minimum = 4,
     .maximum = 64,
     .help = "H."},
    {.path = "redis.url",
     .type = CONFIG_TEXT,
     .flags = CONFIG_PASSWORD_URL,
     .offset = offsetof(struct settings, url),
     .help = "H."},
    {.path = "redis.password",
     .type = CONFIG_SECRET,
     .flags = CONFIG_FIRST_LINE,
     .offset = offsetof(struct settings, password),
     .help = "H."},
    {.path = "rooms",
     .type = CONFIG_SECTION_LIST,
     .flags = CONFIG_RELOADABLE,
     .offset = offsetof(struct settings, rooms),
     .section = &room_table,
     .help = "H."},
};
static const struct config_table table = {"Test", keys, N_OF(keys), sizeof(struct settings), verify_settings};

/* A second program's part that shares two keys with the first. */
struct other {
    int64_t port;
    int64_t shards;
    struct config_section_list rooms;
};
static const struct config_key other_keys[] = {
    {.path = "http.port",
     .type = CONFIG_INT,
     .offset = offsetof(struct other, port),
     .default_text = "9001",
     .minimum = 1,
     .maximum = 65535,
     .help = "H."},
    {.path = "broker.shards",
     .type = CONFIG_INT,
     .offset = offsetof(struct other, shards),
     .maximum = 16,
     .help = "H."},
    {.path = "rooms",
     .type = CONFIG_SECTION_LIST,
     .offset = offsetof(struct other, rooms),
     .section = &room_table,
     .help = "H."},
};
static const struct config_table other_table = {"Other", other_keys, N_OF(other_keys), sizeof(struct other), NULL};

/* ---- reading ---- */

struct outcome {
    struct settings settings;
    struct config_part part;
    struct buffer errors;
    bool is_good;
};

static inline void read_sources(struct outcome *self, const char *file, const char *const *environment,
                                const char *const *settings) {
    self->part = (struct config_part){&table, &self->settings};
    buffer_init(&self->errors, 0);
    struct config_source source = {
        .file_name = file == NULL ? NULL : "etc/test.yaml",
        .file_text = span_of_text(file),
        .environment = environment,
        .settings = settings,
    };
    self->is_good = config_read(&self->part, 1, &source, &self->errors);
    assert_int_equal(self->is_good, self->errors.size == 0);
    buffer_append_char(&self->errors, '\0');
}

static inline void finish(struct outcome *self) {
    config_finish(&self->part, 1);
    buffer_finish(&self->errors);
}

static const char *errors_of(const struct outcome *self) {
    return (const char *) self->errors.data;
}

static inline void expect_file(struct outcome *self, const char *file) {
    read_sources(self, file, NULL, NULL);
    if (!self->is_good) {
        fail_msg("%s", errors_of(self));
    }
}

static inline void expect_errors(const char *file, const char *expected) {
    struct outcome outcome;
    read_sources(&outcome, file, NULL, NULL);
    assert_string_equal(errors_of(&outcome), expected);
    finish(&outcome);
}

static inline void expect_variable_error(const char *variable, const char *expected) {
    const char *const environment[] = {variable, NULL};
    struct outcome outcome;
    read_sources(&outcome, NULL, environment, NULL);
    assert_string_equal(errors_of(&outcome), expected);
    finish(&outcome);
}

static inline void expect_setting_error(const char *setting, const char *expected) {
    const char *const settings[] = {setting, NULL};
    struct outcome outcome;
    read_sources(&outcome, NULL, NULL, settings);
    assert_string_equal(errors_of(&outcome), expected);
    finish(&outcome);
}

/* A file with this text; the path is good until the next call. */
static inline char *write_file(const void *text, size_t size) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/callboard_secret_XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, size), size);
    close(file);
    return path;
}

#endif
