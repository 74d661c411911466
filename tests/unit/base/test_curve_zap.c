/* The ZAP handler with real CURVE sockets: who comes in, under which name, and who does not. Sockets meet on abstract
 * Unix sockets, so no port is taken. */
#include "base/clock.h"
#include "base/curve_keys.h"
#include "base/curve_zap.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { DEADLINE_MS = 20000 };

/* A context with a server in it, its allow-list, and the handler. */
struct fixture {
    char folder[64];
    void *context;
    curve_zap_t *zap;
    void *server;
    void *monitor;
    char endpoint[64];
    struct curve_keys server_keys;
};

static const char *path_of(const struct fixture *self, const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", self->folder, name);
    return path;
}

/* Whole at once, so that no reading sees half a file. */
static void allow(const struct fixture *self, const char *name, const struct curve_keys *keys) {
    char file_name[80];
    char unfinished[256];
    snprintf(unfinished, sizeof unfinished, "%s", path_of(self, "unfinished"));
    FILE *file = fopen(unfinished, "w");
    assert_non_null(file);
    fprintf(file, "public = %s\n", keys->public_text);
    fclose(file);
    snprintf(file_name, sizeof file_name, "%s.pub", name);
    assert_int_equal(rename(unfinished, path_of(self, file_name)), 0);
}

static void remove_key(const struct fixture *self, const char *name) {
    char file_name[80];
    snprintf(file_name, sizeof file_name, "%s.pub", name);
    assert_int_equal(unlink(path_of(self, file_name)), 0);
}

static void *socket_of(const struct fixture *self, int type) {
    int zero = 0;
    int deadline = DEADLINE_MS;
    void *socket = zmq_socket(self->context, type);
    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &deadline, sizeof deadline);
    return socket;
}

static void start_server(struct fixture *self) {
    char id[17];
    char monitor_endpoint[64];
    random_base62(id, 16);
    snprintf(self->endpoint, sizeof self->endpoint, "ipc://@callboard-test-%s", id);
    snprintf(monitor_endpoint, sizeof monitor_endpoint, "inproc://monitor-%s", id);
    curve_keys_generate(&self->server_keys);
    self->server = socket_of(self, ZMQ_ROUTER);
    self->monitor = socket_of(self, ZMQ_PAIR);
    assert_true(curve_keys_apply_server(self->server, &self->server_keys, "callboard-test"));
    assert_int_equal(zmq_socket_monitor(self->server, monitor_endpoint,
                                        ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                                            ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL),
                     0);
    assert_int_equal(zmq_connect(self->monitor, monitor_endpoint), 0);
    assert_int_equal(zmq_bind(self->server, self->endpoint), 0);
}

static void begin_without_handler(struct fixture *self) {
    memset(self, 0, sizeof *self);
    strcpy(self->folder, "/tmp/callboard-zap-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    self->context = zmq_ctx_new();
}

static void begin(struct fixture *self) {
    char error[512] = "";
    begin_without_handler(self);
    self->zap = curve_zap_new(self->context, self->folder, error, sizeof error);
    if (self->zap == NULL) {
        fail_msg("%s", error);
    }
    start_server(self);
}

static void end(struct fixture *self) {
    if (self->server != NULL) {
        zmq_socket_monitor(self->server, NULL, 0);
        zmq_close(self->server);
        zmq_close(self->monitor);
    }
    curve_zap_destroy(&self->zap);
    zmq_ctx_term(self->context);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    assert_int_equal(system(command), 0);
}

/* What the server's monitor says next about a handshake. */
static unsigned next_event(const struct fixture *self, uint32_t *ret_value) {
    uint8_t frame[6];
    uint16_t event;
    assert_int_equal(zmq_recv(self->monitor, frame, sizeof frame, 0), sizeof frame);
    memcpy(&event, frame, 2);
    memcpy(ret_value, frame + 2, 4);
    zmq_msg_t address;
    zmq_msg_init(&address);
    assert_true(zmq_msg_recv(&address, self->monitor, 0) >= 0);
    zmq_msg_close(&address);
    return event;
}

static void *connect_with(const struct fixture *self, const struct curve_keys *keys, const char *server_public_text) {
    void *client = socket_of(self, ZMQ_DEALER);
    if (keys != NULL) {
        assert_true(curve_keys_apply_client(client, keys, server_public_text));
    }
    assert_int_equal(zmq_connect(client, self->endpoint), 0);
    assert_int_equal(zmq_send(client, "hello", 5, 0), 5);
    return client;
}

/* Receives one message at the server and compares its sender's User-Id. */
static void assert_heard_as(const struct fixture *self, const char *name) {
    zmq_msg_t identity;
    zmq_msg_t payload;
    zmq_msg_init(&identity);
    zmq_msg_init(&payload);
    assert_true(zmq_msg_recv(&identity, self->server, 0) >= 0);
    assert_true(zmq_msg_recv(&payload, self->server, 0) >= 0);
    assert_int_equal(zmq_msg_size(&payload), 5);
    const char *user_id = zmq_msg_gets(&payload, "User-Id");
    assert_non_null(user_id);
    assert_string_equal(user_id, name);
    zmq_msg_close(&identity);
    zmq_msg_close(&payload);
}

static void assert_let_in_as(const struct fixture *self, const struct curve_keys *keys, const char *name) {
    uint32_t value;
    void *client = connect_with(self, keys, self->server_keys.public_text);
    assert_int_equal(next_event(self, &value), ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    assert_heard_as(self, name);
    zmq_close(client);
}

static void assert_nothing_heard(const struct fixture *self) {
    char byte;
    assert_int_equal(zmq_recv(self->server, &byte, 1, ZMQ_DONTWAIT), -1);
    assert_int_equal(zmq_errno(), EAGAIN);
}

/* Refused by the handler: the monitor says 400, the counter goes up, no message came through. */
static void assert_refused(const struct fixture *self, const struct curve_keys *keys) {
    uint32_t value = 0;
    uint64_t before = curve_zap_refused_total(self->zap);
    void *client = connect_with(self, keys, self->server_keys.public_text);
    assert_int_equal(next_event(self, &value), ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    assert_int_equal(value, 400);
    assert_int_equal(curve_zap_refused_total(self->zap), before + 1);
    assert_nothing_heard(self);
    zmq_close(client);
}

static bool wait_until_allowed_is(const struct fixture *self, const char *name, bool wanted) {
    uint64_t deadline = clock_monotonic_ms() + DEADLINE_MS;
    while (curve_zap_allows(self->zap, name) != wanted) {
        if (clock_monotonic_ms() > deadline) {
            return false;
        }
        poll(NULL, 0, 5);
    }
    return true;
}

static void an_allowed_key_comes_in_under_the_name_of_its_file(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys first;
    struct curve_keys second;
    curve_keys_generate(&first);
    curve_keys_generate(&second);
    begin_without_handler(&fixture);
    allow(&fixture, "gateway-1.zone_a", &first);
    allow(&fixture, "gateway-2", &second);
    char error[512];
    fixture.zap = curve_zap_new(fixture.context, fixture.folder, error, sizeof error);
    assert_non_null(fixture.zap);
    start_server(&fixture);
    assert_let_in_as(&fixture, &first, "gateway-1.zone_a");
    assert_let_in_as(&fixture, &second, "gateway-2");
    assert_int_equal(curve_zap_refused_total(fixture.zap), 0);
    end(&fixture);
}

static void a_key_that_is_not_in_the_directory_is_refused(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys allowed;
    struct curve_keys stranger;
    curve_keys_generate(&allowed);
    curve_keys_generate(&stranger);
    begin(&fixture);
    assert_refused(&fixture, &stranger); /* also while nobody at all is allowed */
    allow(&fixture, "gateway", &allowed);
    assert_refused(&fixture, &stranger);
    assert_let_in_as(&fixture, &allowed, "gateway");
    end(&fixture);
}

static void a_peer_without_curve_is_refused(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys allowed;
    uint32_t value;
    curve_keys_generate(&allowed);
    begin(&fixture);
    allow(&fixture, "gateway", &allowed);
    void *plain = connect_with(&fixture, NULL, NULL);
    assert_int_equal(next_event(&fixture, &value), ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL);
    assert_nothing_heard(&fixture);
    zmq_close(plain);
    end(&fixture);
}

/* A socket of the same context that asks the handler about peers without CURVE. */
static void assert_mechanism_is_refused(const struct fixture *self, bool is_plain) {
    int one = 1;
    uint32_t value = 0;
    uint64_t before = curve_zap_refused_total(self->zap);
    void *server = socket_of(self, ZMQ_ROUTER);
    void *client = socket_of(self, ZMQ_DEALER);
    void *monitor = socket_of(self, ZMQ_PAIR);
    char endpoint[80];
    const char *monitor_endpoint = is_plain ? "inproc://plain" : "inproc://null";
    snprintf(endpoint, sizeof endpoint, "%s-%s", self->endpoint, is_plain ? "plain" : "null");
    assert_int_equal(zmq_setsockopt(server, ZMQ_ZAP_DOMAIN, "other", 5), 0);
    if (is_plain) {
        assert_int_equal(zmq_setsockopt(server, ZMQ_PLAIN_SERVER, &one, sizeof one), 0);
        assert_int_equal(zmq_setsockopt(client, ZMQ_PLAIN_USERNAME, "admin", 5), 0);
        assert_int_equal(zmq_setsockopt(client, ZMQ_PLAIN_PASSWORD, "admin", 5), 0);
    }
    assert_int_equal(zmq_socket_monitor(server, monitor_endpoint, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH), 0);
    assert_int_equal(zmq_connect(monitor, monitor_endpoint), 0);
    assert_int_equal(zmq_bind(server, endpoint), 0);
    assert_int_equal(zmq_connect(client, endpoint), 0);
    struct fixture other = *self;
    other.monitor = monitor;
    assert_int_equal(next_event(&other, &value), ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    assert_int_equal(value, 400);
    assert_true(curve_zap_refused_total(self->zap) > before);
    zmq_socket_monitor(server, NULL, 0);
    zmq_close(monitor);
    zmq_close(client);
    zmq_close(server);
}

static void the_handler_knows_no_mechanism_but_curve(void **state) {
    (void) state;
    struct fixture fixture;
    begin(&fixture);
    assert_mechanism_is_refused(&fixture, false);
    assert_mechanism_is_refused(&fixture, true);
    end(&fixture);
}

static void a_peer_that_knows_another_server_key_is_refused(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys allowed;
    struct curve_keys other_server;
    uint32_t value;
    curve_keys_generate(&allowed);
    curve_keys_generate(&other_server);
    begin(&fixture);
    allow(&fixture, "gateway", &allowed);
    void *client = connect_with(&fixture, &allowed, other_server.public_text);
    assert_int_equal(next_event(&fixture, &value), ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL);
    assert_nothing_heard(&fixture);
    zmq_close(client);
    end(&fixture);
}

static void a_removed_key_is_refused_and_no_longer_allowed(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys keys;
    curve_keys_generate(&keys);
    begin(&fixture);
    allow(&fixture, "gateway", &keys);
    assert_let_in_as(&fixture, &keys, "gateway");
    assert_true(curve_zap_allows(fixture.zap, "gateway"));
    remove_key(&fixture, "gateway");
    assert_refused(&fixture, &keys); /* at once: the directory changed */
    assert_false(curve_zap_allows(fixture.zap, "gateway"));
    allow(&fixture, "gateway", &keys);
    assert_let_in_as(&fixture, &keys, "gateway");
    end(&fixture);
}

static void holders_of_links_learn_of_a_removed_key_without_any_request(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys keys;
    curve_keys_generate(&keys);
    begin(&fixture);
    allow(&fixture, "gateway", &keys);
    assert_true(wait_until_allowed_is(&fixture, "gateway", true));
    assert_false(curve_zap_allows(fixture.zap, "gatewa"));
    assert_false(curve_zap_allows(fixture.zap, ""));
    remove_key(&fixture, "gateway");
    assert_true(wait_until_allowed_is(&fixture, "gateway", false));
    end(&fixture);
}

/* A file rewritten in place changes no directory: the reading of every second sees it. */
static void a_file_rewritten_in_place_changes_the_key(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys keys;
    curve_keys_generate(&keys);
    begin(&fixture);
    allow(&fixture, "gateway", &keys);
    assert_true(wait_until_allowed_is(&fixture, "gateway", true));
    FILE *file = fopen(path_of(&fixture, "gateway.pub"), "r+");
    assert_non_null(file);
    fputs("# none ", file);
    fclose(file);
    assert_true(wait_until_allowed_is(&fixture, "gateway", false));
    assert_refused(&fixture, &keys);
    end(&fixture);
}

static void a_directory_that_is_gone_allows_nobody(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys keys;
    curve_keys_generate(&keys);
    begin(&fixture);
    allow(&fixture, "gateway", &keys);
    assert_true(wait_until_allowed_is(&fixture, "gateway", true));
    char moved[80];
    snprintf(moved, sizeof moved, "%s.moved", fixture.folder);
    assert_int_equal(rename(fixture.folder, moved), 0);
    assert_true(wait_until_allowed_is(&fixture, "gateway", false));
    assert_refused(&fixture, &keys);
    assert_int_equal(rename(moved, fixture.folder), 0);
    assert_true(wait_until_allowed_is(&fixture, "gateway", true));
    end(&fixture);
}

static void files_that_are_no_public_keys_are_left_out(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys keys;
    struct curve_keys good;
    curve_keys_generate(&keys);
    curve_keys_generate(&good);
    begin(&fixture);
    allow(&fixture, "with space", &keys);
    allow(&fixture, ".hidden", &keys);
    allow(&fixture, "12345678901234567890123456789012345678901234567890123456789012345", &keys);
    FILE *file = fopen(path_of(&fixture, "empty.pub"), "w");
    fclose(file);
    file = fopen(path_of(&fixture, "no-suffix"), "w");
    fprintf(file, "public = %s\n", keys.public_text);
    fclose(file);
    assert_int_equal(mkdir(path_of(&fixture, "folder.pub"), 0700), 0);
    assert_int_equal(symlink("nowhere", path_of(&fixture, "dangling.pub")), 0);
    allow(&fixture, "good", &good);
    assert_refused(&fixture, &keys);
    assert_let_in_as(&fixture, &good, "good");
    end(&fixture);
}

/* As Kubernetes mounts a ConfigMap: links to a folder that is replaced whole. */
static void files_behind_links_are_read(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys keys;
    curve_keys_generate(&keys);
    begin(&fixture);
    assert_int_equal(mkdir(path_of(&fixture, "..data"), 0700), 0);
    allow(&fixture, "..data/gateway", &keys);
    assert_int_equal(symlink("..data/gateway.pub", path_of(&fixture, "gateway.pub")), 0);
    assert_let_in_as(&fixture, &keys, "gateway");
    end(&fixture);
}

/* libzmq alone would let in any key here. */
static void a_server_without_a_handler_lets_nobody_in(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys keys;
    uint32_t value;
    curve_keys_generate(&keys);
    begin_without_handler(&fixture);
    start_server(&fixture);
    void *client = connect_with(&fixture, &keys, fixture.server_keys.public_text);
    assert_int_equal(next_event(&fixture, &value), ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
    assert_nothing_heard(&fixture);
    zmq_close(client);
    end(&fixture);
}

static void a_server_whose_handler_was_stopped_lets_nobody_in(void **state) {
    (void) state;
    struct fixture fixture;
    struct curve_keys keys;
    uint32_t value;
    curve_keys_generate(&keys);
    begin(&fixture);
    allow(&fixture, "gateway", &keys);
    assert_let_in_as(&fixture, &keys, "gateway");
    curve_zap_destroy(&fixture.zap);
    assert_null(fixture.zap);
    void *client = connect_with(&fixture, &keys, fixture.server_keys.public_text);
    assert_int_equal(next_event(&fixture, &value), ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
    zmq_close(client);
    end(&fixture);
}

static void a_context_has_one_handler_and_may_have_another_one_later(void **state) {
    (void) state;
    struct fixture fixture;
    char error[512] = "";
    begin(&fixture);
    assert_null(curve_zap_new(fixture.context, fixture.folder, error, sizeof error));
    assert_non_null(strstr(error, "Address already in use"));
    for (int i = 0; i < 3; i++) {
        curve_zap_destroy(&fixture.zap);
        fixture.zap = curve_zap_new(fixture.context, fixture.folder, error, sizeof error);
        if (fixture.zap == NULL) {
            fail_msg("%s", error);
        }
    }
    end(&fixture);
}

static void a_missing_directory_is_told(void **state) {
    (void) state;
    char error[512] = "";
    void *context = zmq_ctx_new();
    assert_null(curve_zap_new(context, "/no/such/directory", error, sizeof error));
    assert_non_null(strstr(error, "/no/such/directory"));
    assert_non_null(strstr(error, "No such file"));
    zmq_ctx_term(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allowed_key_comes_in_under_the_name_of_its_file),
        cmocka_unit_test(a_key_that_is_not_in_the_directory_is_refused),
        cmocka_unit_test(a_peer_without_curve_is_refused),
        cmocka_unit_test(the_handler_knows_no_mechanism_but_curve),
        cmocka_unit_test(a_peer_that_knows_another_server_key_is_refused),
        cmocka_unit_test(a_removed_key_is_refused_and_no_longer_allowed),
        cmocka_unit_test(holders_of_links_learn_of_a_removed_key_without_any_request),
        cmocka_unit_test(a_file_rewritten_in_place_changes_the_key),
        cmocka_unit_test(a_directory_that_is_gone_allows_nobody),
        cmocka_unit_test(files_that_are_no_public_keys_are_left_out),
        cmocka_unit_test(files_behind_links_are_read),
        cmocka_unit_test(a_server_without_a_handler_lets_nobody_in),
        cmocka_unit_test(a_server_whose_handler_was_stopped_lets_nobody_in),
        cmocka_unit_test(a_context_has_one_handler_and_may_have_another_one_later),
        cmocka_unit_test(a_missing_directory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
