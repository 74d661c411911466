/* The notes of each spec of k8s/specs are those of k8s/notes; UPDATE_GOLDEN=1 writes them anew: read the difference. Of
 * other specs: what each provider and class must say. */
#include "operator/notes/notes.h"

#include "base/bytes.h"
#include "operator/cli/operator_program.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K8S CALLBOARD_SOURCE_DIR "/k8s"

enum { ARGUMENTS_MAX = 24 };

static struct buffer out;
static struct buffer messages;

/* Of a spec with settings (NULL ends them): `out` is a text afterwards. */
static int notes_of(const char *spec, const char *const *settings) {
    char *arguments[ARGUMENTS_MAX] = {(char *) "callboard-operator", (char *) "notes", (char *) "-q", (char *) spec};
    int n = 4;
    for (; settings != NULL && *settings != NULL; settings++) {
        arguments[n++] = (char *) "--set";
        arguments[n++] = (char *) *settings;
    }
    buffer_clear(&out);
    buffer_clear(&messages);
    int exit_code = operator_program_call(n, arguments, &out, &messages);
    buffer_append_char(&out, '\0');
    buffer_append_char(&messages, '\0');
    return exit_code;
}

/* ---- goldens ---- */

static void write_golden(const char *path) {
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fwrite(out.data, 1, out.size - 1, stream);
    fclose(stream);
}

static void compare_golden(const char *path) {
    struct buffer golden = BUFFER_EMPTY;
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        fail_msg("%s is missing: UPDATE_GOLDEN=1 writes it", path);
    }
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stream)) > 0) {
        buffer_append(&golden, part, n);
    }
    fclose(stream);
    buffer_append_char(&golden, '\0');
    if (!span_equal(buffer_span(&golden), buffer_span(&out))) {
        fail_msg("%s is not what notes prints: UPDATE_GOLDEN=1 writes it anew, read the difference", path);
    }
    buffer_finish(&golden);
}

static void notes_of_the_examples_are_the_goldens(void **state) {
    (void) state;
    struct dirent **entries;
    int n = scandir(K8S "/specs", &entries, NULL, alphasort);
    assert_true(n > 2);
    for (int i = 0; i < n; i++) {
        const char *dot = strrchr(entries[i]->d_name, '.');
        if (dot != NULL && strcmp(dot, ".yaml") == 0) {
            char spec[512];
            char golden[512];
            snprintf(spec, sizeof spec, K8S "/specs/%s", entries[i]->d_name);
            snprintf(golden, sizeof golden, K8S "/notes/%.*s.md", (int) (dot - entries[i]->d_name), entries[i]->d_name);
            assert_int_equal(notes_of(spec, NULL), OPERATOR_DONE);
            getenv("UPDATE_GOLDEN") != NULL ? write_golden(golden) : compare_golden(golden);
        }
        free(entries[i]);
    }
    free(entries);
}

/* ---- what must be said ---- */

static void each_provider_says_what_bites(void **state) {
    (void) state;
    static const struct {
        const char *provider;
        const char *says;
    } rows[] = {
        {"memorystore", "--engine-configs maxmemory-policy=noeviction"},
        {"azure", "port **10000**"},
        {"upstash", "Each command is billed"},
        {"rediscloud", "ROLE is not supported"},
        {"other", "maxmemory-policy noeviction"},
        {"elasticache", "create-replication-group --replication-group-id dev"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char provider[64];
        snprintf(provider, sizeof provider, "redis.external.provider=%s", rows[i].provider);
        const char *const settings[] = {"metadata.name=dev", "redis.mode=external", provider,
                                        "redis.external.endpoint=redis.example.com:10000", NULL};
        assert_int_equal(notes_of(K8S "/specs/dev.yaml", settings), OPERATOR_DONE);
        if (strstr((char *) out.data, rows[i].says) == NULL) {
            fail_msg("%s does not say: %s", rows[i].provider, rows[i].says);
        }
    }
}

static void each_class_says_what_bites(void **state) {
    (void) state;
    static const struct {
        const char *class;
        const char *says;
    } rows[] = {
        {"nginx", "retired"},
        {"haproxy", "timeout-tunnel"},
        {"alb", "pod-readiness-gate-inject=enabled"},
        {"gce", "lifetime of a WebSocket"},
        {"mine", "not known here"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char class[64];
        snprintf(class, sizeof class, "edge.class=%s", rows[i].class);
        const char *const settings[] = {"edge.kind=ingress", class, "edge.hosts=push.example.com", NULL};
        assert_int_equal(notes_of(K8S "/specs/dev.yaml", settings), OPERATOR_DONE);
        assert_non_null(strstr((char *) out.data, rows[i].says));
        assert_non_null(strstr((char *) out.data, "`push.example.com` → "));
    }
}

static void capacity_has_the_figures_of_a_workload(void **state) {
    (void) state;
    const char *const settings[] = {"workload.gateway.connections=60000", NULL};
    assert_int_equal(notes_of(K8S "/specs/ha-sentinel.yaml", settings), OPERATOR_DONE);
    assert_non_null(strstr((char *) out.data, "For 60,000 connections"));
    assert_non_null(strstr((char *) out.data, "| gateways: pods | 5 | 3 **too little** |"));
}

static int finish(void **state) {
    (void) state;
    buffer_finish(&out);
    buffer_finish(&messages);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_of_the_examples_are_the_goldens),
        cmocka_unit_test(each_provider_says_what_bites),
        cmocka_unit_test(each_class_says_what_bites),
        cmocka_unit_test(capacity_has_the_figures_of_a_workload),
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
