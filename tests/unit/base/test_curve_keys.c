/* CURVE key files and options: what is accepted, what is refused and with which words. */
#include "aborts.h"
#include "base/curve_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

static char folder[64];

static int make_folder(void **state) {
    (void) state;
    strcpy(folder, "/tmp/callboard-keys-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state) {
    (void) state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, mode_t mode, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static void what_was_written_is_read_back(void **state) {
    (void) state;
    char error[512];
    struct curve_keys keys;
    struct curve_keys back;
    struct stat status;
    curve_keys_generate(&keys);
    assert_true(curve_keys_write(path_of("broker"), &keys, error, sizeof error));
    assert_true(curve_keys_read(path_of("broker"), true, &back, error, sizeof error));
    assert_string_equal(back.public_text, keys.public_text);
    assert_string_equal(back.secret_text, keys.secret_text);
    assert_int_equal(stat(path_of("broker"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(path_of("broker.pub"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_true(curve_keys_read(path_of("broker.pub"), false, &back, error, sizeof error));
    assert_string_equal(back.public_text, keys.public_text);
    assert_string_equal(back.secret_text, "");
}

static void the_public_half_of_a_pair_is_read_without_the_secret(void **state) {
    (void) state;
    char error[512];
    struct curve_keys keys;
    struct curve_keys back;
    curve_keys_generate(&keys);
    assert_true(curve_keys_write(path_of("pair"), &keys, error, sizeof error));
    assert_true(curve_keys_read(path_of("pair"), false, &back, error, sizeof error));
    assert_string_equal(back.public_text, keys.public_text);
    assert_string_equal(back.secret_text, "");
}

static void two_pairs_differ_and_a_wiped_one_is_empty(void **state) {
    (void) state;
    static const char zeros[sizeof(struct curve_keys)];
    struct curve_keys first;
    struct curve_keys second;
    curve_keys_generate(&first);
    curve_keys_generate(&second);
    assert_string_not_equal(first.secret_text, second.secret_text);
    assert_int_equal(strlen(first.public_text), CURVE_KEY_TEXT_LENGTH);
    curve_keys_wipe(&first);
    assert_memory_equal(&first, zeros, sizeof first);
}

static void keys_are_not_overwritten(void **state) {
    (void) state;
    char error[512];
    struct curve_keys keys;
    curve_keys_generate(&keys);
    write_file("taken", 0600, "something");
    assert_false(curve_keys_write(path_of("taken"), &keys, error, sizeof error));
    assert_non_null(strstr(error, "exists already"));
    write_file("half.pub", 0600, "something");
    assert_false(curve_keys_write(path_of("half"), &keys, error, sizeof error));
    assert_non_null(strstr(error, "half.pub: exists already"));
    assert_int_equal(access(path_of("half"), F_OK), -1); /* no half of a pair stays behind */
    assert_false(curve_keys_write("/no/such/folder/key", &keys, error, sizeof error));
    assert_non_null(strstr(error, "No such file"));
}

#define PUBLIC "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define SECRET "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"

/* The pair of zmq_curve_keypair(3) and its test vectors in libzmq. */
static void comments_spaces_and_line_ends_do_not_matter(void **state) {
    (void) state;
    static const char *const texts[] = {
        "public = " PUBLIC "\nsecret = " SECRET "\n",
        "public=" PUBLIC "\nsecret=" SECRET,
        "# made by hand\n\nsecret   =   " SECRET "\npublic = " PUBLIC "  \n# end",
        "public = " PUBLIC "\r\nsecret = " SECRET "\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char error[512] = "";
        struct curve_keys keys;
        write_file("spelled", 0400, texts[i]);
        if (!curve_keys_read(path_of("spelled"), true, &keys, error, sizeof error)) {
            fail_msg("%s", error);
        }
        assert_string_equal(keys.public_text, PUBLIC);
        assert_string_equal(keys.secret_text, SECRET);
        remove(path_of("spelled"));
    }
}

static void files_that_hold_something_else_are_refused_with_the_reason(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *reason;
    } rows[] = {
        {"", "no line \"public"},
        {"secret = " SECRET "\n", "no line \"public"},
        {"public = " PUBLIC "\n", "no line \"secret"},
        {"public = Yne@\nsecret = " SECRET "\n", "the public key is not 40"},
        {"public = \nsecret = " SECRET "\n", "the public key is not 40"},
        {"public = " PUBLIC "x\nsecret = " SECRET "\n", "the public key is not 40"},
        {"public = " PUBLIC "\nsecret = \"\"\n", "the secret key is not 40"},
        {"public = " PUBLIC "\nsecret = D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%~~\n", "the secret key is not 40"},
        {"public = " SECRET "\nsecret = " SECRET "\n", "not that of the secret"},
        {"public = " PUBLIC "\npublic = " PUBLIC "\n", "no line \"secret"},
        {"public = " PUBLIC "\npublic = " PUBLIC "\npublic = " PUBLIC "\n", "stands too often"},
        {"public = " PUBLIC "\npublic = " PUBLIC "\nsecret = " SECRET "\n", "a pair has one public key"},
        {"public = " PUBLIC "\nsecret = " SECRET "\nsecret = " SECRET "\n", "stands too often"},
        {"public " PUBLIC "\n", "a line is neither"},
        {"curve\n    public-key = \"" PUBLIC "\"\n", "a line is neither"}, /* czmq's format */
        {PUBLIC "\n", "a line is neither"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char error[512] = "";
        struct curve_keys keys = {.public_text = "kept"};
        write_file("wrong", 0600, rows[i].text);
        assert_false(curve_keys_read(path_of("wrong"), true, &keys, error, sizeof error));
        if (strstr(error, rows[i].reason) == NULL) {
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, error, rows[i].reason);
        }
        assert_string_equal(keys.public_text, "kept");
        assert_null(strstr(error, SECRET));
    }
    char large[5001];
    memset(large, '#', 5000);
    large[5000] = '\0';
    char error[512];
    struct curve_keys keys;
    write_file("large", 0600, large);
    assert_false(curve_keys_read(path_of("large"), true, &keys, error, sizeof error));
    assert_non_null(strstr(error, "too large"));
}

static void a_public_file_may_have_two_keys(void **state) {
    (void) state;
    char keys[CURVE_PUBLIC_KEYS][CURVE_KEY_TEXT_LENGTH + 1];
    struct curve_keys one;
    char error[512] = "";
    write_file("two", 0644, "public = " PUBLIC "\n# the next one\npublic = " SECRET "\n");
    assert_true(curve_keys_read_public(path_of("two"), keys, error, sizeof error));
    assert_string_equal(keys[0], PUBLIC);
    assert_string_equal(keys[1], SECRET);
    assert_true(curve_keys_read(path_of("two"), false, &one, error, sizeof error));
    assert_string_equal(one.public_text, PUBLIC);
    write_file("one", 0644, "public = " PUBLIC "\n");
    assert_true(curve_keys_read_public(path_of("one"), keys, error, sizeof error));
    assert_string_equal(keys[0], PUBLIC);
    assert_string_equal(keys[1], "");
    assert_false(curve_keys_read_public(path_of("none"), keys, error, sizeof error));
}

static void a_secret_that_others_may_read_or_change_is_refused(void **state) {
    (void) state;
    static const mode_t modes[] = {0644, 0604, 0640, 0620, 0602, 0660, 0666, 0777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char error[512] = "";
        struct curve_keys keys;
        write_file("open", modes[i], "public = " PUBLIC "\nsecret = " SECRET "\n");
        assert_false(curve_keys_read(path_of("open"), true, &keys, error, sizeof error));
        assert_non_null(strstr(error, "chmod 600"));
        assert_false(curve_keys_read(path_of("open"), false, &keys, error, sizeof error));
    }
    char error[512] = "";
    struct curve_keys keys;
    write_file("shared.pub", 0666, "public = " PUBLIC "\n");
    assert_true(curve_keys_read(path_of("shared.pub"), false, &keys, error, sizeof error));
}

/* As Kubernetes mounts a Secret: root's, readable by the pod's group. */
static void a_secret_of_another_owner_may_be_readable_by_the_group(void **state) {
    (void) state;
    if (geteuid() != 0) {
        skip();
    }
    char error[512] = "";
    struct curve_keys keys;
    write_file("mounted", 0440, "public = " PUBLIC "\nsecret = " SECRET "\n");
    assert_int_equal(chown(path_of("mounted"), 12345, 0), 0);
    assert_true(curve_keys_read(path_of("mounted"), true, &keys, error, sizeof error));
    assert_int_equal(chmod(path_of("mounted"), 0444), 0);
    assert_false(curve_keys_read(path_of("mounted"), true, &keys, error, sizeof error));
}

static void what_is_no_file_is_refused(void **state) {
    (void) state;
    char error[512] = "";
    struct curve_keys keys;
    assert_false(curve_keys_read(path_of("missing"), true, &keys, error, sizeof error));
    assert_non_null(strstr(error, "No such file"));
    assert_false(curve_keys_read(folder, true, &keys, error, sizeof error));
    assert_non_null(strstr(error, "not a regular file"));
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_false(curve_keys_read(path_of("fifo"), true, &keys, error, sizeof error)); /* and does not wait */
    assert_non_null(strstr(error, "not a regular file"));
}

static void what_is_no_key_is_not_put_on_a_socket(void **state) {
    (void) state;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    struct curve_keys keys;
    curve_keys_generate(&keys);
    struct curve_keys only_public = keys;
    only_public.secret_text[0] = '\0';
    assert_false(curve_keys_apply_client(socket, &keys, ""));
    assert_false(curve_keys_apply_client(socket, &keys, "not a key"));
    assert_false(curve_keys_apply_client(socket, &only_public, keys.public_text));
    assert_false(curve_keys_apply_server(socket, &only_public, "domain"));
    assert_true(curve_keys_apply_client(socket, &keys, keys.public_text));
    zmq_close(socket);
    zmq_ctx_term(context);
}

static void apply_without_a_domain(void) {
    struct curve_keys keys;
    curve_keys_generate(&keys);
    curve_keys_apply_server(zmq_socket(zmq_ctx_new(), ZMQ_ROUTER), &keys, "");
}

static void a_server_without_a_domain_is_a_bug(void **state) {
    (void) state;
    assert_true(aborts(apply_without_a_domain, NULL, 0));
}

static void endpoints_that_libzmq_could_not_take_are_told_apart(void **state) {
    (void) state;
    static const char *const good[] = {
        "inproc://a",      "ipc:///run/a.sock", "ipc://@a",     "tcp://127.0.0.1:7700",        "tcp://*:7700",
        "tcp://0.0.0.0:*", "tcp://[::1]:7700",  "tcp://[::]:0", "tcp://broker-0.broker:65535",
    };
    static const char *const bad[] = {
        "",
        "tcp://",
        "tcp://:7700",
        "tcp://a",
        "tcp://a:",
        "tcp://a:65536",
        "tcp://a:b",
        "tcp://a:-1",
        "tcp://a:7700/",
        "tcp://a b:7700",
        "tcp://::1:7700",
        "tcp://[]:7700",
        "a:7700",
        "http://a:80",
        "udp://a:1",
        "inproc://",
        "ipc://",
        "tcp://u@a:7700",
        "tcp://a:1;b:7700",
        "TCP://a:7700",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!curve_endpoint_is_well_formed(good[i])) {
            fail_msg("%s", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (curve_endpoint_is_well_formed(bad[i])) {
            fail_msg("%s", bad[i]);
        }
    }
}

static void only_endpoints_inside_the_machine_are_local(void **state) {
    (void) state;
    static const char *const local[] = {
        "inproc://shard-1",        "ipc:///run/callboard.sock", "ipc://@abstract",  "tcp://127.0.0.1:7700",
        "tcp://127.255.255.254:1", "tcp://localhost:7700",      "tcp://[::1]:7700", "tcp://::1:7700",
        "tcp://127.0.0.1:*",       "tcp://127.0.0.1",
    };
    static const char *const remote[] = {
        "tcp://*:7700",
        "tcp://0.0.0.0:7700",
        "tcp://[::]:7700",
        "tcp://10.0.0.1:7700",
        "tcp://broker:7700",
        "tcp://127.0.0.1.evil.example:7700",
        "tcp://localhost.evil.example:7700",
        "tcp://127.1:7700",
        "tcp://0127.0.0.1:7700",
        "tcp://128.0.0.1:7700",
        "tcp://[::ffff:10.0.0.1]:7700",
        "tcp://lo:7700",
        "tcp://127.0.0.1:0;10.0.0.1:7700",
        "tcp://eth0;127.0.0.1:7700",
        "udp://127.0.0.1:7700",
        "TCP://127.0.0.1:7700",
        "tcp://",
        "tcp://:7700",
        "",
        "127.0.0.1:7700",
        "pgm://127.0.0.1;239.0.0.1:1",
        "ws://127.0.0.1:80",
        "tcp://127.0.0.1 :7700",
        "tcp://LOCALHOST.:7700",
        "tcp://[::1:7700",
    };
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        if (!curve_endpoint_is_local(local[i])) {
            fail_msg("%s", local[i]);
        }
    }
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++) {
        if (curve_endpoint_is_local(remote[i])) {
            fail_msg("%s", remote[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(the_public_half_of_a_pair_is_read_without_the_secret),
        cmocka_unit_test(two_pairs_differ_and_a_wiped_one_is_empty),
        cmocka_unit_test(keys_are_not_overwritten),
        cmocka_unit_test(comments_spaces_and_line_ends_do_not_matter),
        cmocka_unit_test(files_that_hold_something_else_are_refused_with_the_reason),
        cmocka_unit_test(a_public_file_may_have_two_keys),
        cmocka_unit_test(a_secret_that_others_may_read_or_change_is_refused),
        cmocka_unit_test(a_secret_of_another_owner_may_be_readable_by_the_group),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(what_is_no_key_is_not_put_on_a_socket),
        cmocka_unit_test(a_server_without_a_domain_is_a_bug),
        cmocka_unit_test(endpoints_that_libzmq_could_not_take_are_told_apart),
        cmocka_unit_test(only_endpoints_inside_the_machine_are_local),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
