/* The listener: hands descriptors on, shares ports, says why it cannot listen, survives running out of descriptors. */
#include "base/tcp_listener.h"
#include "tests/support/free_port.h"
#include "tests/support/raw_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { CLIENTS = 20 };

struct accepted {
    unsigned n;
    unsigned exhausted;
    int descriptors[CLIENTS];
    struct sockaddr_storage peer;
};

static void on_accept(void *context, int descriptor, const struct sockaddr_storage *peer) {
    struct accepted *self = context;
    self->descriptors[self->n++] = descriptor;
    self->peer = *peer;
}

static void on_exhausted(void *context, int error_number) {
    struct accepted *self = context;
    assert_int_equal(error_number, EMFILE);
    self->exhausted++;
}

static tcp_listener_t *listen_on(uv_loop_t *loop, int port, bool share, struct accepted *accepted) {
    char error[256] = "";
    struct tcp_listener_options options = {.address = "127.0.0.1",
                                           .port = port,
                                           .share_port = share,
                                           .on_accept = on_accept,
                                           .on_exhausted = on_exhausted,
                                           .context = accepted};
    tcp_listener_t *listener = tcp_listener_new(loop, &options, error, sizeof error);
    if (listener == NULL) {
        print_message("%s\n", error);
    }
    return listener;
}

static void close_all(struct accepted *accepted) {
    for (unsigned i = 0; i < accepted->n; i++) {
        close(accepted->descriptors[i]);
    }
    accepted->n = 0;
}

static void run_until(uv_loop_t *loop, const unsigned *value, unsigned wanted) {
    uint64_t give_up = uv_hrtime() + 20ull * 1000000000;
    while (*value < wanted && uv_hrtime() < give_up) {
        uv_run(loop, UV_RUN_NOWAIT);
    }
    assert_true(*value >= wanted);
}

static void accepted_descriptors_are_ready_for_a_loop(void **state) {
    (void) state;
    uv_loop_t loop;
    struct accepted accepted = {0};
    struct raw_client client;
    uv_loop_init(&loop);
    tcp_listener_t *listener = listen_on(&loop, free_port(), false, &accepted);
    raw_client_connect(&client, tcp_listener_port(listener));
    run_until(&loop, &accepted.n, 1);
    int descriptor = accepted.descriptors[0];
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    getsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
    assert_int_not_equal(no_delay, 0);
    assert_int_not_equal(fcntl(descriptor, F_GETFL) & O_NONBLOCK, 0);
    assert_int_not_equal(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
    assert_int_equal(accepted.peer.ss_family, AF_INET);
    close_all(&accepted);
    raw_client_close(&client);
    tcp_listener_close(&listener, NULL, NULL);
    assert_null(listener);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void two_listeners_share_a_port_only_when_both_say_so(void **state) {
    (void) state;
    uv_loop_t loop;
    struct accepted accepted = {0};
    uv_loop_init(&loop);
    tcp_listener_t *first = listen_on(&loop, free_port(), true, &accepted);
    int port = tcp_listener_port(first);
    tcp_listener_t *second = listen_on(&loop, port, true, &accepted);
    assert_non_null(second);
    assert_null(listen_on(&loop, port, false, &accepted));
    struct raw_client clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        raw_client_connect(&clients[i], port);
    }
    run_until(&loop, &accepted.n, CLIENTS);
    close_all(&accepted);
    for (unsigned i = 0; i < CLIENTS; i++) {
        raw_client_close(&clients[i]);
    }
    tcp_listener_close(&first, NULL, NULL);
    tcp_listener_close(&second, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void out_of_descriptors_accepting_pauses_and_goes_on(void **state) {
    (void) state;
    uv_loop_t loop;
    struct accepted accepted = {0};
    struct raw_client client;
    uv_loop_init(&loop);
    tcp_listener_t *listener = listen_on(&loop, free_port(), false, &accepted);
    raw_client_connect(&client, tcp_listener_port(listener));
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    close(next);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t) next, before.rlim_max});
    run_until(&loop, &accepted.exhausted, 2);
    assert_int_equal(accepted.n, 0);
    setrlimit(RLIMIT_NOFILE, &before);
    run_until(&loop, &accepted.n, 1);
    close_all(&accepted);
    raw_client_close(&client);
    tcp_listener_close(&listener, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void after_close_the_port_is_free(void **state) {
    (void) state;
    uv_loop_t loop;
    struct accepted accepted = {0};
    uv_loop_init(&loop);
    int port = free_port();
    for (unsigned i = 0; i < 3; i++) {
        tcp_listener_t *listener = listen_on(&loop, port, false, &accepted);
        assert_non_null(listener);
        tcp_listener_close(&listener, NULL, NULL);
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_descriptors_are_ready_for_a_loop),
        cmocka_unit_test(two_listeners_share_a_port_only_when_both_say_so),
        cmocka_unit_test(out_of_descriptors_accepting_pauses_and_goes_on),
        cmocka_unit_test(after_close_the_port_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
