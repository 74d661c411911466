/* The program as it is called: commands, options, exit codes, and what they print. */
#include "base/bytes.h"
#include "base/curve_keys.h"
#include "operator/cli/operator_program.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 16 };

#define HEADER "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec:\n"

static char folder[] = "/tmp/operator_program_XXXXXX";
static struct buffer out;
static struct buffer messages;

/* ---- calling it ---- */

static const char *path_of(const char *name) {
    static char paths[8][128];
    static size_t n;
    char *path = paths[n++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *write_file(const char *name, const char *text) {
    const char *path = path_of(name);
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
    return path;
}

/* Its exit code; `out` and `messages` are texts afterwards. NULL ends the arguments. */
static int call(const char *first, ...) {
    char *arguments[ARGUMENTS_MAX] = {(char *) "callboard-operator"};
    int n = 1;
    va_list values;
    va_start(values, first);
    for (const char *argument = first; argument != NULL; argument = va_arg(values, const char *)) {
        assert_true(n < ARGUMENTS_MAX);
        arguments[n++] = (char *) argument;
    }
    va_end(values);
    buffer_clear(&out);
    buffer_clear(&messages);
    int exit_code = operator_program_call(n, arguments, &out, &messages);
    buffer_append_char(&out, '\0');
    buffer_append_char(&messages, '\0');
    return exit_code;
}

static const char *text_of(const struct buffer *buffer) {
    return (const char *) buffer->data;
}

static void assert_has(const struct buffer *buffer, const char *part) {
    if (strstr(text_of(buffer), part) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", part, text_of(buffer));
    }
}

/* ---- usage ---- */

static void wrong_usage_is_two_and_says_what(void **state) {
    (void) state;
    assert_int_equal(call(NULL), OPERATOR_USAGE);
    assert_has(&messages, "Commands:");
    assert_int_equal(call("chek", NULL), OPERATOR_USAGE);
    assert_has(&messages, "there is no command chek");
    assert_int_equal(call("check", NULL), OPERATOR_USAGE);
    assert_has(&messages, "name a spec");
    assert_int_equal(call("check", "--quite", "a", NULL), OPERATOR_USAGE);
    assert_has(&messages, "there is no option --quite; did you mean --quiet?");
    assert_int_equal(call("check", "-x", NULL), OPERATOR_USAGE);
    assert_int_equal(call("check", "-o", "xml", "a", NULL), OPERATOR_USAGE);
    assert_has(&messages, "-o xml is not known here; known: text json sarif");
    assert_int_equal(call("check", "--set", "replicas", "a", NULL), OPERATOR_USAGE);
    assert_int_equal(call("check", "--color", "pink", "a", NULL), OPERATOR_USAGE);
    assert_int_equal(call("check", "--warnings", "maybe", "a", NULL), OPERATOR_USAGE);
    assert_int_equal(call("check", "--timeout", "5", "a", NULL), OPERATOR_USAGE);
    assert_int_equal(call("check", "--quiet=1", "a", NULL), OPERATOR_USAGE);
    assert_int_equal(call("check", "a", "-f", NULL), OPERATOR_USAGE);
    assert_has(&messages, "--file needs a value");
    assert_int_equal(call("init", "--profile", "tiny", NULL), OPERATOR_USAGE);
    assert_int_equal(call("schema", "a.yaml", NULL), OPERATOR_USAGE);
}

static void help_and_version_are_done(void **state) {
    (void) state;
    assert_int_equal(call("--help", NULL), OPERATOR_DONE);
    assert_has(&out, "Exit codes: 0 done");
    assert_int_equal(call("check", "-h", NULL), OPERATOR_DONE);
    assert_has(&out, "-o: text json sarif");
    assert_int_equal(call("--version", NULL), OPERATOR_DONE);
    char *plugin[] = {(char *) "/usr/local/bin/kubectl-callboard", (char *) "--help"};
    buffer_clear(&out);
    assert_int_equal(operator_program_call(2, plugin, &out, &messages), OPERATOR_DONE);
    buffer_append_char(&out, '\0');
    assert_has(&out, "Usage: kubectl callboard COMMAND");
}

/* Each would render something else than was meant, or nothing. */
static void what_render_is_asked_for_has_to_be_there(void **state) {
    (void) state;
    const char *path = write_file("good.yaml", HEADER "  profile: dev\n");
    assert_int_equal(call("render", "--only", "Deploymnt", path, NULL), OPERATOR_USAGE);
    assert_has(&messages, "--only Deploymnt: there is none; there are ServiceAccount ConfigMap Service Deployment "
                          "StatefulSet (names: without --only)");
    assert_int_equal(call("render", "--only", "service/nope", path, NULL), OPERATOR_USAGE);
    assert_int_equal(call("render", "--only", "service/shop-gateway", path, NULL), OPERATOR_DONE);
    assert_int_equal(call("render", "-n", "Bad_Name", path, NULL), OPERATOR_USAGE);
    assert_has(&messages, "--namespace: \"Bad_Name\" is no name of one");
    assert_int_equal(call("render", "--kube-version", "1.2x", path, NULL), OPERATOR_INVALID);
    assert_has(&messages, "spec.kubernetes.version: \"1.2x\" has not the form of this field");
    assert_int_equal(call("render", "--kube-version", "1.24", path, NULL), OPERATOR_INVALID);
    assert_int_equal(call("render", "--api-versions", "monitoring", path, NULL), OPERATOR_INVALID);
    struct buffer apis = BUFFER_EMPTY; /* as kubectl api-versions prints them */
    buffer_append_text(&apis, "v1,apps/v1");
    for (int i = 0; i < 200; i++) {
        buffer_append_format(&apis, ",group%d.example.com/v1beta1", i);
    }
    buffer_append_char(&apis, '\0');
    assert_int_equal(call("render", "--api-versions", (const char *) apis.data, path, NULL), OPERATOR_DONE);
    buffer_finish(&apis);
}

/* ---- check ---- */

static void a_good_spec_is_done(void **state) {
    (void) state;
    const char *path = write_file("good.yaml", HEADER "  profile: ha\n");
    assert_int_equal(call("check", path, NULL), OPERATOR_DONE);
    assert_string_equal(text_of(&out), "1 deployment, nothing wrong\n");
    assert_int_equal(call("-q", "check", "-f", path, NULL), OPERATOR_DONE);
    assert_string_equal(text_of(&out), "");
}

static void an_error_is_shown_under_its_line(void **state) {
    (void) state;
    const char *path = write_file("bad.yaml", HEADER "  redis:\n\tmode: x\n");
    assert_int_equal(call("check", path, NULL), OPERATOR_INVALID);
    path = write_file("bad.yaml", HEADER "  profile: ha\n  redis: {sentinel: {replicas: 3, quorum: 1}}\n");
    assert_int_equal(call("check", path, NULL), OPERATOR_INVALID);
    char expected[1024];
    snprintf(expected, sizeof expected,
             "%s:6:43: error[CB2103]: spec.redis.sentinel.quorum: 1 is no majority of 3 sentinels\n"
             "    6 |   redis: {sentinel: {replicas: 3, quorum: 1}}\n"
             "      |                                           ^ two masters could be elected; use 2\n"
             "%s:6:32: note: spec.redis.sentinel.replicas is set here\n"
             "    6 |   redis: {sentinel: {replicas: 3, quorum: 1}}\n"
             "      |                                ^\n"
             "1 error, 0 warnings\n",
             path, path);
    assert_string_equal(text_of(&out), expected);
    assert_int_equal(call("check", "--color", "always", path, NULL), OPERATOR_INVALID);
    assert_has(&out, "\x1b[1;31merror[CB2103]:\x1b[0m");
}

/* No-break space, byte order mark, a turn to the right-to-left. */
static void what_the_eye_cannot_see_is_named(void **state) {
    (void) state;
    const char *path = write_file("bad.yaml", HEADER "  profile:\xC2\xA0"
                                                     "dev\n");
    assert_int_equal(call("check", path, NULL), OPERATOR_INVALID);
    assert_has(&out, "    5 |   profile:?dev\n");
    assert_has(&out, "\n      = column 11 has U+00A0, which looks like a space or like nothing\n");
    path = write_file("bad.yaml", HEADER "  edge: {class: a.b, hosts: [\xE2\x80\xAE"
                                         "a.b]}\n  profile: \xEF\xBB\xBF"
                                         "dev\n");
    assert_int_equal(call("check", path, NULL), OPERATOR_INVALID);
    assert_has(&out, "column 30 has U+202E");
    assert_has(&out, "column 12 has U+FEFF");
    assert_has(&out, "spec.profile: \"???dev\" is not known here");
    assert_null(strstr(text_of(&out), "\xE2\x80\xAE"));
    path = write_file("bad.yaml", HEADER "  edge: {kind: \xE2\x82\xAC\xC3\xA4\xE3\x81\x82}\n");
    assert_int_equal(call("check", path, NULL), OPERATOR_INVALID);
    assert_has(&out, "\"\xE2\x82\xAC\xC3\xA4\xE3\x81\x82\" is not known here");
    assert_null(strstr(text_of(&out), "looks like"));
}

static void a_warning_is_an_error_when_asked_for(void **state) {
    (void) state;
    const char *path = write_file("warned.yaml", HEADER "  redis: {appendfsync: \"no\"}\n");
    assert_int_equal(call("check", path, NULL), OPERATOR_DONE);
    assert_has(&out, "warning[CB1006]");
    assert_int_equal(call("check", "--warnings=error", path, NULL), OPERATOR_INVALID);
}

static void settings_win_over_the_file(void **state) {
    (void) state;
    const char *path = write_file("set.yaml", HEADER "  gateway: {replicas: 2}\n");
    assert_int_equal(call("explain", "--effective", path, "--set", "spec.gateway.replicas=5", "-n", "live", NULL),
                     OPERATOR_DONE);
    assert_has(&out, "gateway.replicas: 5 ");
    assert_has(&out, "# --set spec.gateway.replicas=5\n");
    assert_has(&out, "metadata.namespace: live ");
    assert_int_equal(call("check", path, "--set", "image.tag=1.30", "--set", "edge.hosts=a.example.com,b.example.com",
                          "--set", "edge.kind=ingress", NULL),
                     OPERATOR_DONE);
    assert_int_equal(call("check", path, "--set", "gateway.replicas=0", NULL), OPERATOR_INVALID);
    assert_has(&out, "--set gateway.replicas=0: error[CB2029]: spec.gateway.replicas: 0 is too small\n"
                     "      = write one from 1 to 1000\n");
}

static void folders_are_read_by_name_and_their_names_are_unique(void **state) {
    (void) state;
    assert_int_equal(mkdir(path_of("specs"), 0700), 0);
    write_file("specs/b.yml", HEADER "  profile: dev\n");
    write_file(
        "specs/a.json",
        "{\"apiVersion\": \"callboard.dev/v1alpha1\", \"kind\": \"Callboard\", \"metadata\": {\"name\": \"shop\"}}");
    write_file("specs/notes.txt", "nothing of ours");
    assert_int_equal(call("check", path_of("specs"), NULL), OPERATOR_INVALID);
    assert_has(&out, "specs/b.yml:3:18: error[CB2036]: metadata.name: shop is there already");
    assert_int_equal(call("check", path_of("specs/none.yaml"), NULL), OPERATOR_INVALID);
    assert_has(&out, "none.yaml: error[CB2015]: No such file or directory");
    assert_int_equal(unlink(path_of("specs/b.yml")), 0);
    assert_int_equal(unlink(path_of("specs/a.json")), 0);
    assert_int_equal(call("check", path_of("specs"), NULL), OPERATOR_INVALID);
    assert_int_equal(unlink(path_of("specs/notes.txt")), 0);
    assert_int_equal(rmdir(path_of("specs")), 0);
}

static void files_over_the_bounds_are_refused(void **state) {
    (void) state;
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, HEADER);
    while (text.size <= 256 * 1024) {
        buffer_append_text(&text, "# a comment\n");
    }
    buffer_append_char(&text, '\0');
    assert_int_equal(call("check", write_file("large.yaml", (char *) text.data), NULL), OPERATOR_INVALID);
    assert_has(&out, "error[CB2003]: the file is larger than 256 KiB");
    buffer_clear(&text);
    for (int i = 0; i < 20000; i++) {
        buffer_append_text(&text, i == 0 ? "a:\n" : "- 1\n");
    }
    buffer_append_char(&text, '\0');
    assert_int_equal(call("check", write_file("large.yaml", (char *) text.data), NULL), OPERATOR_INVALID);
    assert_has(&out, "error[CB2005]: more than 20,000 values, keys and brackets");
    buffer_finish(&text);
}

/* ---- what machines read ---- */

static cJSON *parse(const struct buffer *buffer) {
    cJSON *root = cJSON_Parse(text_of(buffer));
    assert_non_null(root);
    return root;
}

static void diagnostics_are_json_and_sarif(void **state) {
    (void) state;
    const char *path = write_file("bad.yaml", HEADER "  profile: ha\n  redis: {sentinel: {replicas: 3, quorum: 1}}\n");
    assert_int_equal(call("check", "-o", "json", path, NULL), OPERATOR_INVALID);
    cJSON *root = parse(&out);
    assert_int_equal(cJSON_GetObjectItem(root, "errors")->valueint, 1);
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "diagnostics"), 0);
    assert_string_equal(cJSON_GetObjectItem(item, "code")->valuestring, "CB2103");
    assert_int_equal(cJSON_GetObjectItem(item, "line")->valueint, 6);
    assert_int_equal(cJSON_GetObjectItem(item, "column")->valueint, 43);
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(item, "other"), "column")->valueint, 32);
    cJSON_Delete(root);
    assert_int_equal(call("check", "-o", "sarif", path, NULL), OPERATOR_INVALID);
    root = parse(&out);
    assert_string_equal(cJSON_GetObjectItem(root, "version")->valuestring, "2.1.0");
    const cJSON *run = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "runs"), 0);
    const cJSON *result = cJSON_GetArrayItem(cJSON_GetObjectItem(run, "results"), 0);
    assert_string_equal(cJSON_GetObjectItem(result, "ruleId")->valuestring, "CB2103");
    assert_string_equal(cJSON_GetObjectItem(result, "level")->valuestring, "error");
    cJSON_Delete(root);
    path = write_file("good.yaml", HEADER);
    assert_int_equal(call("check", "-o", "json", path, NULL), OPERATOR_DONE);
    cJSON_Delete(parse(&out));
    assert_int_equal(call("check", "-o", "sarif", path, NULL), OPERATOR_DONE);
    cJSON_Delete(parse(&out));
}

static const cJSON *descend(const cJSON *from, const char *const *names) {
    for (size_t i = 0; names[i] != NULL; i++) {
        from = cJSON_GetObjectItemCaseSensitive(from, names[i]);
        assert_non_null(from);
    }
    return from;
}

static void the_schema_nests_what_the_tables_have_side_by_side(void **state) {
    (void) state;
    assert_int_equal(call("schema", NULL), OPERATOR_DONE);
    cJSON *root = parse(&out);
    static const char *const quorum[] = {"properties", "spec",       "properties", "redis", "properties",
                                         "sentinel",   "properties", "quorum",     NULL};
    static const char *const port[] = {"properties", "spec",  "properties", "gateway", "properties",
                                       "listeners",  "items", "properties", "port",    NULL};
    assert_int_equal(cJSON_GetObjectItem(descend(root, quorum), "maximum")->valueint, 7);
    assert_string_equal(cJSON_GetObjectItem(descend(root, port), "type")->valuestring, "integer");
    static const char *const spec[] = {"properties", "spec", NULL};
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(descend(root, spec), "additionalProperties")));
    cJSON_Delete(root);
}

/* ---- init and explain ---- */

/* "#key: value" behind blanks becomes "key: value"; comments have a blank behind their mark. */
static void take_marks_away(struct buffer *text) {
    size_t kept = 0;
    bool is_begin = true;
    for (size_t i = 0; i < text->size; i++) {
        uint8_t c = text->data[i];
        bool is_mark = is_begin && c == '#' && i + 1 < text->size && text->data[i + 1] != ' ';
        is_begin = c == '\n' || (is_begin && c == ' ');
        if (!is_mark) {
            text->data[kept++] = c;
        }
    }
    text->size = kept;
}

static void what_init_prints_is_accepted_without_a_warning(void **state) {
    (void) state;
    static const char *const profiles[] = {"dev", "small", "ha", "cluster", "elasticache"};
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        assert_int_equal(call("init", "--profile", profiles[i], NULL), OPERATOR_DONE);
        const char *path = write_file("init.yaml", text_of(&out));
        take_marks_away(&out);
        buffer_append_char(&out, '\0');
        const char *all = write_file("all.yaml", text_of(&out));
        assert_int_equal(call("check", "--warnings", "error", path, NULL), OPERATOR_DONE);
        call("check", "--warnings", "error", all, "--set", "metadata.name=other", NULL);
        assert_string_equal(text_of(&out), "1 deployment, nothing wrong\n");
    }
}

static void fields_sections_and_codes_are_explained(void **state) {
    (void) state;
    assert_int_equal(call("explain", "redis.sentinel.quorum", "CB2103", NULL), OPERATOR_DONE);
    assert_has(&out, "  default   a majority of redis.sentinel.replicas\n");
    assert_has(&out, "CB2103 (error): a quorum that is no majority\n");
    assert_int_equal(call("explain", "spec.gateway.listeners[0].port", "metadata.name", "cb1006", NULL), OPERATOR_DONE);
    assert_int_equal(call("explain", "spec.gateway", NULL), OPERATOR_DONE);
    assert_has(&out, "gateway.replicas ");
    assert_int_equal(call("explain", NULL), OPERATOR_DONE);
    assert_has(&out, "metadata.name ");
    assert_has(&out, "kubernetes.version ");
    assert_int_equal(call("explain", "quorum", NULL), OPERATOR_USAGE);
    assert_has(&messages, "did you mean redis.sentinel.quorum?");
    assert_int_equal(call("explain", "CB9999", NULL), OPERATOR_USAGE);
}

static void what_counts_is_told_with_who_said_so(void **state) {
    (void) state;
    const char *path = write_file("ha.yaml", HEADER "  profile: ha\n  gateway: {replicas: 7}\n");
    assert_int_equal(call("explain", "--effective", "-o", "json", path, NULL), OPERATOR_DONE);
    cJSON *root = parse(&out);
    static const struct {
        const char *path;
        const char *value;
        const char *from;
    } expected[] = {
        {"broker.replicas", "3", "profile ha"},
        {"redis.sentinel.quorum", "2", "a majority of redis.sentinel.replicas"},
        {"redis.appendfsync", "everysec", "default"},
        {"redis.maxmemory", "2457Mi", "60 % of redis.resources.limits.memory, 75 % without a volume"},
        {"redis.persistence.size", "8Gi", "3 × maxmemory, in whole GiB"},
        {"redis.image", "redis:7.2", "redis:<version> or valkey/valkey:<version>"},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, expected[i].path);
        assert_string_equal(cJSON_GetObjectItem(item, "value")->valuestring, expected[i].value);
        assert_string_equal(cJSON_GetObjectItem(item, "from")->valuestring, expected[i].from);
    }
    assert_has(&out, "ha.yaml:6\"");
    cJSON_Delete(root);
}

/* ---- options of all ---- */

static void verbose_tells_why_quiet_no_sums(void **state) {
    (void) state;
    const char *path = write_file("ha.yaml", HEADER "  edge: {kind: ingress, class: nginx, hosts: [a.b]}\n");
    assert_int_equal(call("check", path, NULL), OPERATOR_DONE);
    assert_null(strstr(text_of(&out), "each reload cuts"));
    assert_int_equal(call("check", "-v", path, NULL), OPERATOR_DONE);
    assert_has(&out, "CB1008: ingress-nginx is retired. It gets no fixes since March 2026, and each reload cuts");
    assert_has(&out, "0 errors, 1 warning");
    assert_int_equal(call("check", "-q", path, NULL), OPERATOR_DONE);
    assert_null(strstr(text_of(&out), "0 errors, 1 warning"));
    assert_int_equal(call("check", "--warnings", "error", path, NULL), OPERATOR_INVALID);
    assert_int_equal(call("render", "--color", "always", path, NULL), OPERATOR_DONE);
    assert_has(&messages, "\x1b[");
    assert_int_equal(call("render", "--timeout", "soon", path, NULL), OPERATOR_USAGE);
}

/* ---- secret ---- */

/* The text under "  KEY: |" as a file. */
static void write_block(const char *name, const char *key) {
    char begin[64];
    snprintf(begin, sizeof begin, "  %s: |\n", key);
    const char *at = strstr(text_of(&out), begin);
    assert_non_null(at);
    FILE *stream = fopen(path_of(name), "we");
    assert_non_null(stream);
    assert_int_equal(fchmod(fileno(stream), 0600), 0);
    for (at += strlen(begin); strncmp(at, "    ", 4) == 0; at = strchr(at, '\n') + 1) {
        fprintf(stream, "%.*s\n", (int) strcspn(at + 4, "\n"), at + 4);
    }
    fclose(stream);
}

static void secrets_are_new_each_time_and_keys_are_keys(void **state) {
    (void) state;
    const char *path = write_file("ha.yaml", HEADER "  profile: ha\n  auth: {keys: {redisPassword: redis}}\n");
    assert_int_equal(call("secret", path, NULL), OPERATOR_DONE);
    assert_has(&out, "  name: shop-auth\n");
    assert_has(&out, "\n  token-secret: ");
    assert_has(&out, "\n  redis: ");
    assert_has(&out, "\n  sentinel-password: ");
    assert_has(&messages, "apply them once");
    write_block("broker.key", "broker.key");
    struct curve_keys keys;
    char error[256] = "";
    if (!curve_keys_read(path_of("broker.key"), true, &keys, error, sizeof error)) {
        fail_msg("%s", error);
    }
    char *before = strdup(text_of(&out));
    assert_int_equal(call("secret", path, NULL), OPERATOR_DONE);
    assert_string_not_equal(text_of(&out), before);
    free(before);
    path = write_file("ha.yaml", HEADER "  profile: dev\n");
    assert_int_equal(call("secret", "-q", path, NULL), OPERATOR_DONE);
    assert_null(strstr(text_of(&out), "redis-password"));
    assert_string_equal(text_of(&messages), "");
    assert_int_equal(call("secret", path, "--set", "gateway.replicas=0", NULL), OPERATOR_INVALID);
    assert_string_equal(text_of(&out), "");
}

static int set_up(void **state) {
    (void) state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state) {
    (void) state;
    static const char *const names[] = {"good.yaml", "bad.yaml", "warned.yaml", "set.yaml",  "init.yaml",
                                        "all.yaml",  "ha.yaml",  "large.yaml",  "broker.key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(path_of(names[i]));
    }
    buffer_finish(&out);
    buffer_finish(&messages);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_two_and_says_what),
        cmocka_unit_test(help_and_version_are_done),
        cmocka_unit_test(what_render_is_asked_for_has_to_be_there),
        cmocka_unit_test(a_good_spec_is_done),
        cmocka_unit_test(an_error_is_shown_under_its_line),
        cmocka_unit_test(what_the_eye_cannot_see_is_named),
        cmocka_unit_test(a_warning_is_an_error_when_asked_for),
        cmocka_unit_test(settings_win_over_the_file),
        cmocka_unit_test(folders_are_read_by_name_and_their_names_are_unique),
        cmocka_unit_test(files_over_the_bounds_are_refused),
        cmocka_unit_test(diagnostics_are_json_and_sarif),
        cmocka_unit_test(the_schema_nests_what_the_tables_have_side_by_side),
        cmocka_unit_test(what_init_prints_is_accepted_without_a_warning),
        cmocka_unit_test(fields_sections_and_codes_are_explained),
        cmocka_unit_test(what_counts_is_told_with_who_said_so),
        cmocka_unit_test(verbose_tells_why_quiet_no_sums),
        cmocka_unit_test(secrets_are_new_each_time_and_keys_are_keys),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
