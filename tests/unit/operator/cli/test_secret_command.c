/* secret --rotate and --service: what they make of the Secrets, and what they refuse. That servers and clients of
 * neighbouring steps take each other is told by tests/e2e/operator_render.test.mjs. */
#include "base/base64.h"
#include "base/bytes.h"
#include "operator/cli/operator_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec:\n"

static char folder[] = "/tmp/secret_command_XXXXXX";
static char spec_path[64];
static char current_path[64];
static struct buffer out;
static struct buffer messages;

static void write_file(const char *path, const char *text) {
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

static int call(const char *first, const char *second, const char *third, const char *fourth) {
    const char *arguments[] = {"callboard-operator", "secret", spec_path, first, second, third, fourth};
    int n = 3;
    while (n < 7 && arguments[n] != NULL) {
        n++;
    }
    buffer_clear(&out);
    buffer_clear(&messages);
    int exit_code = operator_program_call(n, (char **) arguments, &out, &messages);
    buffer_append_char(&out, '\0');
    buffer_append_char(&messages, '\0');
    return exit_code;
}

static int rotate(const char *step) {
    return call("--rotate", step, "--current", current_path);
}

static void assert_said(const char *text) {
    if (strstr((const char *) messages.data, text) == NULL) {
        fail_msg("\"%s\" is not in: %s", text, (const char *) messages.data);
    }
}

/* The value of a key of `data` in what was printed, decoded; the caller frees it. */
static char *value_of(const char *key) {
    char begin[64];
    snprintf(begin, sizeof begin, "\n  %s: ", key);
    const char *at = strstr((const char *) out.data, begin);
    if (at == NULL) {
        return strdup("");
    }
    at += strlen(begin);
    struct buffer decoded = BUFFER_EMPTY;
    assert_true(base64_decode(&decoded, span_of(at, strcspn(at, "\n"))));
    buffer_append_char(&decoded, '\0');
    char *value = strdup((const char *) decoded.data);
    buffer_finish(&decoded);
    return value;
}

static void assert_value(const char *key, const char *expected) {
    char *value = value_of(key);
    assert_string_equal(value, expected);
    free(value);
}

/* "old", without and with a line end, as kubectl prints a list of Secrets. */
#define CURRENT                                                                                                        \
    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: other}\n  data: {}\n"    \
    "- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: shop-auth\n    namespace: shop\n"                        \
    "    resourceVersion: \"7\"\n    annotations: {kubectl.kubernetes.io/last-applied-configuration: x, a: b}\n"       \
    "  data: {redis-password: b2xk, sentinel-password: b2xkCg==, token-secret: a2VlcA==}\n"

/* The length of a key's plain value in stringData; 0: it is not there. */
static size_t plain_length(const char *key) {
    char begin[64];
    snprintf(begin, sizeof begin, "\n  %s: ", key);
    const char *at = strstr((const char *) out.data, begin);
    return at == NULL ? 0 : strcspn(at + strlen(begin), "\n");
}

static void each_secret_is_there_where_it_is_needed_long_and_another_one(void **state) {
    (void) state;
    static const struct {
        const char *spec;
        const char *keys[6]; /* and no others */
    } rows[] = {
        {"  profile: dev\n", {"token-secret", "internal-token"}},
        {"  profile: dev\n  monitoring: {exporter: \"a/b:1\"}\n", {"token-secret", "internal-token"}},
        {"  profile: small\n", {"token-secret", "internal-token", "redis-password"}},
        {"  profile: small\n  monitoring: {exporter: \"a/b:1\"}\n",
         {"token-secret", "internal-token", "redis-password", "exporter-password"}},
        {"  profile: ha\n", {"token-secret", "internal-token", "redis-password", "sentinel-password"}},
        {"  profile: elasticache\n  redis: {external: {endpoint: \"a:1\"}}\n", {"token-secret", "internal-token"}},
    };
    static const char *const all[] = {"token-secret", "internal-token", "redis-password", "sentinel-password",
                                      "exporter-password"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s%s", HEAD, rows[i].spec);
        write_file(spec_path, text);
        assert_int_equal(call(NULL, NULL, NULL, NULL), OPERATOR_DONE);
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
            bool is_wanted = false;
            for (size_t j = 0; j < 6 && rows[i].keys[j] != NULL; j++) {
                is_wanted |= strcmp(rows[i].keys[j], all[k]) == 0;
            }
            if (plain_length(all[k]) != (is_wanted ? 48 : 0)) {
                fail_msg("%s of\n%s\nhas %zu characters", all[k], rows[i].spec, plain_length(all[k]));
            }
        }
        char first[64];
        snprintf(first, sizeof first, "%.48s", strstr((const char *) out.data, "token-secret: ") + 14);
        assert_int_equal(call(NULL, NULL, NULL, NULL), OPERATOR_DONE);
        assert_null(strstr((const char *) out.data, first));
    }
}

static void a_password_becomes_another_one_in_three_steps(void **state) {
    (void) state;
    write_file(spec_path, HEAD "  profile: ha\n");
    write_file(current_path, CURRENT);
    assert_int_equal(rotate("add"), OPERATOR_DONE);
    assert_said("statefulset/shop-redis, then statefulset/shop-sentinel. Then --rotate use");
    assert_null(strstr((const char *) out.data, "resourceVersion"));
    assert_null(strstr((const char *) out.data, "last-applied"));
    assert_non_null(strstr((const char *) out.data, "    a: b\n"));
    assert_value("token-secret", "keep"); /* what is not rotated is there, too: the Secret is replaced whole */
    char *both = value_of("redis-password");
    assert_int_equal(strlen(both), 4 + 48 + 1);
    assert_memory_equal(both, "old\n", 4);
    char *sentinel = value_of("sentinel-password");
    assert_memory_equal(sentinel, "old\n", 4);
    assert_string_not_equal(both, sentinel);
    char new[64];
    snprintf(new, sizeof new, "%.48s", both + 4);
    write_file(current_path, (const char *) out.data);
    assert_int_equal(rotate("add"), OPERATOR_UNSAFE); /* one is under way */
    assert_said("redis-password has two passwords already");
    assert_string_equal((const char *) out.data, "");
    assert_int_equal(rotate("use"), OPERATOR_DONE);
    assert_said("then statefulset/shop-broker. Then --rotate drop");
    char expected[80];
    snprintf(expected, sizeof expected, "%s\nold\n", new);
    assert_value("redis-password", expected);
    write_file(current_path, (const char *) out.data);
    assert_int_equal(rotate("drop"), OPERATOR_DONE);
    snprintf(expected, sizeof expected, "%s\n", new);
    assert_value("redis-password", expected);
    write_file(current_path, (const char *) out.data);
    assert_int_equal(rotate("drop"), OPERATOR_UNSAFE);
    assert_said("there is nothing to drop");
    assert_int_equal(rotate("use"), OPERATOR_UNSAFE);
    assert_said("begin with add");
    free(both);
    free(sentinel);
}

static void what_cannot_be_rotated_is_refused(void **state) {
    (void) state;
    write_file(spec_path, HEAD "  profile: ha\n");
    write_file(current_path, "kind: Secret\nmetadata: {name: shop-auth}\ndata: {redis-password: b2xk}\n");
    assert_int_equal(rotate("add"), OPERATOR_UNSAFE);
    assert_said("no key sentinel-password");
    write_file(current_path,
               "kind: Secret\nmetadata: {name: shop-auth}\ndata: {redis-password: '?', sentinel-password: b2xk}\n");
    assert_int_equal(rotate("add"), OPERATOR_UNSAFE);
    assert_said("no key redis-password, or it is no base64");
    write_file(current_path, "kind: Secret\nmetadata: {name: another}\ndata: {}\n");
    assert_int_equal(rotate("add"), OPERATOR_UNSAFE);
    assert_said("there is no Secret shop-auth");
    write_file(current_path, "kind: [Secret\n");
    assert_int_equal(rotate("add"), OPERATOR_UNSAFE);
    assert_said("the current Secret, line");
    assert_int_equal(call("--rotate", "add", "--current", "/nowhere/at/all"), OPERATOR_OUTSIDE);
    assert_int_equal(call("--rotate", "add", NULL, NULL), OPERATOR_USAGE);
    assert_int_equal(rotate("turn"), OPERATOR_USAGE);
    write_file(spec_path, HEAD "  profile: dev\n");
    assert_int_equal(rotate("add"), OPERATOR_USAGE);
    assert_said("a Redis of ours");
}

static void write_printed(void) {
    write_file(current_path, (const char *) out.data);
}

/* Of both sides: whatever one has, the other takes, in each two neighbouring states. */
static void curve_pairs_become_others_in_three_steps(void **state) {
    (void) state;
    write_file(spec_path, HEAD "  profile: dev\n");
    write_file(current_path, "kind: Secret\nmetadata: {name: shop-curve}\ndata:\n"
                             "  broker.key: cHVibGljID0gQgpzZWNyZXQgPSBiCg==\n  broker.key.pub: cHVibGljID0gQg==\n"
                             "  gateway.key: cHVibGljID0gRwpzZWNyZXQgPSBnCg==\n  gateway.key.pub: cHVibGljID0gRwo=\n");
    assert_int_equal(rotate("use"), OPERATOR_UNSAFE);
    assert_said("begin with add");
    assert_int_equal(rotate("drop"), OPERATOR_UNSAFE);
    assert_int_equal(rotate("add"), OPERATOR_DONE);
    assert_said("deployment/shop-gateway. Then --rotate use");
    assert_value("broker.key", "public = B\nsecret = b\n");
    char *next = value_of("broker.key.next");
    char *publics = value_of("broker.key.pub");
    char expected[128];
    snprintf(expected, sizeof expected, "public = B\n%.50s", next);
    assert_string_equal(publics, expected);
    char *gateway = value_of("gateway.key.pub");
    assert_memory_equal(gateway, "public = G\npublic = ", 20);
    write_printed();
    assert_int_equal(rotate("add"), OPERATOR_UNSAFE);
    assert_said("go on with use or drop");
    assert_int_equal(rotate("drop"), OPERATOR_UNSAFE); /* the new one is not in use yet */
    assert_int_equal(rotate("use"), OPERATOR_DONE);
    assert_said("statefulset/shop-broker, then deployment/shop-gateway. Then --rotate drop");
    assert_value("broker.key", next);
    assert_value("broker.key.next", "");
    snprintf(expected, sizeof expected, "%.50spublic = B\n", next);
    assert_value("broker.key.pub", expected);
    write_printed();
    assert_int_equal(rotate("use"), OPERATOR_UNSAFE);
    assert_int_equal(rotate("drop"), OPERATOR_DONE);
    snprintf(expected, sizeof expected, "%.50s", next);
    assert_value("broker.key.pub", expected);
    assert_value("broker.key", next);
    write_file(current_path, "kind: Secret\nmetadata: {name: shop-curve}\ndata: {broker.key: Yg==}\n");
    assert_int_equal(rotate("add"), OPERATOR_UNSAFE);
    assert_said("lacks broker.key or broker.key.pub");
    free(next);
    free(publics);
    free(gateway);
}

static void a_service_gets_keys_that_brokers_let_in(void **state) {
    (void) state;
    write_file(spec_path, HEAD "  profile: dev\n");
    assert_int_equal(call("--service", "orders", NULL, NULL), OPERATOR_DONE);
    assert_non_null(strstr((const char *) out.data, "  name: shop-curve-service-orders\n"));
    assert_non_null(strstr((const char *) out.data, "  name: shop-curve-services\n"));
    assert_null(strstr((const char *) out.data, "shop-auth")); /* nobody else's */
    char *own = value_of("service.key");
    char *public_half = value_of("orders.pub");
    assert_int_equal(strlen(public_half), strlen("public = \n") + 40);
    assert_memory_equal(own, public_half, strlen(public_half));
    assert_non_null(strstr(own, "\nsecret = "));
    assert_said("--field-manager=callboard-service-orders");
    assert_int_equal(call("--service", "../x", NULL, NULL), OPERATOR_USAGE);
    free(own);
    free(public_half);
}

static int set_up(void **state) {
    (void) state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(spec_path, sizeof spec_path, "%s/spec.yaml", folder);
    snprintf(current_path, sizeof current_path, "%s/current.yaml", folder);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    unlink(spec_path);
    unlink(current_path);
    buffer_finish(&out);
    buffer_finish(&messages);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_secret_is_there_where_it_is_needed_long_and_another_one),
        cmocka_unit_test(a_password_becomes_another_one_in_three_steps),
        cmocka_unit_test(what_cannot_be_rotated_is_refused),
        cmocka_unit_test(curve_pairs_become_others_in_three_steps),
        cmocka_unit_test(a_service_gets_keys_that_brokers_let_in),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
