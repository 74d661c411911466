/* The templates, and sentinel.conf, which is merged with what Sentinel wrote. */
#include "operator/agent/agent_template.h"
#include "operator/agent/sentinel_conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static bool read_secret(void *context, const char *name, struct buffer *out, char *ret_why, size_t why_size) {
    (void) context;
    if (strcmp(name, "one") == 0) {
        buffer_append_text(out, "pass\r\n");
    } else if (strcmp(name, "two") == 0) {
        buffer_append_text(out, "new\n\nold\n");
    } else if (strcmp(name, "odd") == 0) {
        buffer_append_text(out, "a \"b\"\\\xC3\xA9\nuser evil on nopass");
    } else if (strcmp(name, "empty") != 0) {
        snprintf(ret_why, why_size, "no such secret");
        return false;
    }
    return true;
}

static const struct agent_template_values values = {
    .pod_name = "redis-2",
    .pod_namespace = "chat",
    .pod_ip = "10.1.2.3",
    .pod_fqdn = "redis-2.redis.chat.svc.cluster.local",
    .ordinal = 2,
    .own_password = "own",
    .read_secret = read_secret,
};

static void fills_every_place(void **state) {
    static const struct {
        const char *text;
        const char *filled;
    } cases[] = {
        {"port 6379\n", "port 6379\n"},
        {"cluster-announce-ip ${pod-ip}\n", "cluster-announce-ip 10.1.2.3\n"},
        {"${pod-name} ${pod-fqdn} ${ordinal}", "redis-2 redis-2.redis.chat.svc.cluster.local 2"},
        {"sentinel myid ${sentinel-id}", "sentinel myid 838d9a4369cfbd225e3db4d484ddec304a49c3a0"},
        {"masterauth ${secret:one}\n", "masterauth \"pass\"\n"},
        {"masterauth ${secret:odd}\n", "masterauth \"a\\x20\\x22b\\x22\\x5c\\xc3\\xa9\"\n"},
        {"user a on ${acl:one}", "user a on #d74ff0ee8da3b9806b18c877dbf29bbde50b5bd8e4dad7a3a725000feb82e8f1"},
        {"${acl:two}", "#11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437 "
                       "#cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"},
        {"user renewal on ${own-acl}\n",
         "user renewal on #5b3975651c3cab92d044c096dc30a1c2d9525497457472de48c51ecb363d1f4a\n"},
        {"a $ {b} $$ ~* &* %R~x", "a $ {b} $$ ~* &* %R~x"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = BUFFER_EMPTY;
        char error[256] = "";
        assert_true(agent_template_fill(&out, span_of_text(cases[i].text), &values, error, sizeof error));
        buffer_append_char(&out, '\0');
        assert_string_equal((const char *) out.data, cases[i].filled);
        buffer_finish(&out);
    }
}

static void says_what_is_wrong_and_no_secret(void **state) {
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"a\nb ${pod-id}\n", "line 2: no such place"}, {"${pod-ip", "does not end with }"},
        {"${pod-\nip}", "does not end with }"},        {"\n\n${secret:none}", "line 3: no such secret"},
        {"${secret:empty}", "empty first line"},       {"${acl:empty}", "no password in the secret empty"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = BUFFER_EMPTY;
        char error[256] = "";
        assert_false(agent_template_fill(&out, span_of_text(cases[i].text), &values, error, sizeof error));
        if (strstr(error, cases[i].error) == NULL) {
            fail_msg("%s: %s", cases[i].text, error);
        }
        buffer_finish(&out);
    }
    struct agent_template_values other = values;
    struct buffer out = BUFFER_EMPTY;
    char error[256] = "";
    other.pod_ip = "10.0.0.1\nuser evil on nopass"; /* the environment is not ours either */
    assert_false(agent_template_fill(&out, span_of_text("bind ${pod-ip}"), &other, error, sizeof error));
    other.pod_ip = NULL;
    assert_false(agent_template_fill(&out, span_of_text("bind ${pod-ip}"), &other, error, sizeof error));
    buffer_finish(&out);
}

static void expect_merged(const char *template_text, const char *old, bool is_kept, const char *expected) {
    struct buffer out = BUFFER_EMPTY;
    assert_int_equal(sentinel_conf_merge(&out, span_of_text(template_text), span_of_text(old), "set"), is_kept);
    buffer_append_char(&out, '\0');
    assert_string_equal((const char *) out.data, expected);
    buffer_finish(&out);
}

static void keeps_what_sentinel_wrote(void **state) {
    static const char template_text[] = "port 26379\nsentinel monitor set redis-0 6379 3\nsentinel current-epoch 0\n"
                                        "sentinel down-after-milliseconds set 5000\n";
    (void) state;
    expect_merged(template_text,
                  "port 1\nsentinel monitor set redis-2 6379 2\nsentinel down-after-milliseconds set 60000\n"
                  "sentinel config-epoch set 7\nsentinel leader-epoch set 8\nsentinel current-epoch 8\n"
                  "sentinel known-replica set redis-0 6379\nuser default on nopass\n",
                  true,
                  "port 26379\nsentinel monitor set redis-2 6379 3\nsentinel down-after-milliseconds set 5000\n"
                  "sentinel config-epoch set 7\nsentinel leader-epoch set 8\nsentinel current-epoch 8\n"
                  "sentinel known-replica set redis-0 6379\n");
    /* a first life, a file that was cut off, another set: the template alone */
    expect_merged(template_text, "", false, template_text);
    expect_merged(template_text, "sentinel current-epoch 8\nsentinel mon", false, template_text);
    expect_merged(template_text, "sentinel monitor other redis-2 6379 2\nsentinel current-epoch 8\n", false,
                  template_text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_every_place),
        cmocka_unit_test(says_what_is_wrong_and_no_secret),
        cmocka_unit_test(keeps_what_sentinel_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
