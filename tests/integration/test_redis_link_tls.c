/* redis_link.c through TLS, over unix sockets and with logins, on a real redis-server: what is greeted, what is refused
 * and with which words, and that replies larger than a record and cuts are what they are in plain. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/redis/link/redis_link.h"
#include "broker/redis/link/redis_request.h"
#include "tests/support/free_port.h"
#include "tests/support/redis_server.h"
#include "tests/support/tls_directory.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { AWAIT_MS = 20000, BIG = 3000000 };

/* ---- a server with TLS beside its plain port, which the tests steer it by ---- */

struct world {
    tls_directory_t *directory;
    redis_server_t *server;
    int tls_port;
    char socket_path[96];
};

static void path_of(const struct world *world, const char *file, char ret_path[TLS_PATH_MAX]) {
    tls_directory_file(world->directory, file, ret_path);
}

static int start_world(void **state) {
    signal(SIGPIPE, SIG_IGN); /* as our programs do */
    struct world *world = memory_alloc_zero(sizeof *world);
    world->directory = tls_directory_new();
    world->tls_port = free_port();
    snprintf(world->socket_path, sizeof world->socket_path, "%s/redis.sock", tls_directory_path(world->directory));
    char lines[TLS_LINES + 2][TLS_LINE_MAX];
    const char *pointers[TLS_LINES + 3] = {NULL};
    tls_directory_lines(world->directory, world->tls_port, lines);
    snprintf(lines[TLS_LINES], TLS_LINE_MAX, "unixsocket %s", world->socket_path);
    snprintf(lines[TLS_LINES + 1], TLS_LINE_MAX, "user app on >secret ~cb:* &cb:* +@all");
    for (size_t i = 0; i < TLS_LINES + 2; i++) {
        pointers[i] = lines[i];
    }
    world->server = redis_server_start(pointers);
    *state = world;
    return 0;
}

static int stop_world(void **state) {
    struct world *world = *state;
    redis_server_stop(&world->server);
    unlink(world->socket_path);
    tls_directory_destroy(&world->directory);
    memory_free(world);
    return 0;
}

/* The server shows this certificate from now on. */
static void show(struct world *world, const char *name) {
    redis_server_expect(world->server, "OK", "CONFIG SET tls-cert-file %s/%s.crt tls-key-file %s/%s.key",
                        tls_directory_path(world->directory), name, tls_directory_path(world->directory), name);
}

/* ---- a link and what it told ---- */

struct client {
    uv_loop_t loop;
    uv_timer_t timer;
    redis_tls_t *tls;
    redis_link_t *link;
    unsigned n_up;
    unsigned n_down;
    char reason[256];
    char reply[64];
    size_t reply_size;
    unsigned n_replies;
    unsigned n_cut;  /* replies that did not come */
    bool is_refused; /* as it was down last */
    bool is_closed;
};

static void on_up(void *context) {
    ((struct client *) context)->n_up++;
}

static void on_down(void *context, const char *reason) {
    struct client *self = context;
    self->n_down++;
    self->is_refused = redis_link_is_refused(self->link);
    snprintf(self->reason, sizeof self->reason, "%s", reason);
}

static void on_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static void on_wake(uv_timer_t *timer) {
    (void) timer;
}

static const struct redis_link_events link_events = {on_up, on_down, on_push};

static void open_client(struct client *self, const char *url, const struct redis_tls_options *tls) {
    *self = (struct client){.link = NULL};
    uv_loop_init(&self->loop);
    uv_timer_init(&self->loop, &self->timer);
    uv_timer_start(&self->timer, on_wake, 10, 10);
    struct redis_link_options options = {.loop = &self->loop,
                                         .client_name = "test",
                                         .commands_max = 1000,
                                         .bytes_max = 1 << 24,
                                         .reply_limits = {.bytes = 1 << 24, .elements = 1000},
                                         .command_timeout_ms = 5000,
                                         .events = &link_events,
                                         .context = self};
    char error[512] = "";
    assert_true(redis_url_parse(span_of_text(url), &options.url, error, sizeof error));
    if (options.url.tls) {
        self->tls = redis_tls_new(tls, error, sizeof error);
        if (self->tls == NULL) {
            fail_msg("%s", error);
        }
        options.tls = self->tls;
    }
    self->link = redis_link_new(&options);
}

static void on_closed(void *context) {
    ((struct client *) context)->is_closed = true;
}

static void close_client(struct client *self) {
    redis_link_close(self->link, on_closed, self);
    uv_close((uv_handle_t *) &self->timer, NULL);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    assert_true(self->is_closed);
    assert_int_equal(uv_loop_close(&self->loop), 0);
    redis_tls_destroy(&self->tls);
}

static bool run_until(struct client *self, const unsigned *counter, unsigned count) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    while (*counter < count && clock_monotonic_ms() < deadline_ms) {
        uv_run(&self->loop, UV_RUN_ONCE);
    }
    return *counter >= count;
}

static void on_reply(void *context, void *request, const struct redis_reply *reply) {
    struct client *self = context;
    (void) request;
    if (reply == NULL) {
        self->n_cut++;
        return;
    }
    struct span text = reply->text;
    self->reply_size = text.size;
    snprintf(self->reply, sizeof self->reply, "%.*s", text.size < 60 ? (int) text.size : 60,
             text.size == 0 ? "" : (const char *) text.data);
    self->n_replies++;
}

static void send_texts(struct client *self, size_t n, const char *const *texts) {
    redis_request_texts(redis_link_out(self->link), n, texts);
    redis_link_sent(self->link, on_reply, NULL);
}

static void assert_answers(struct client *self, const char *command, const char *argument, const char *expected) {
    unsigned n = self->n_replies;
    send_texts(self, 2, (const char *const[]){command, argument});
    redis_link_flush(self->link);
    assert_true(run_until(self, &self->n_replies, n + 1));
    assert_string_equal(self->reply, expected);
}

static void assert_greeted(const char *url, const struct redis_tls_options *tls) {
    struct client client;
    open_client(&client, url, tls);
    if (!run_until(&client, &client.n_up, 1)) {
        fail_msg("%s: %s", url, client.reason);
    }
    assert_answers(&client, "ECHO", "hello", "hello");
    close_client(&client);
}

static void assert_refused(const char *url, const struct redis_tls_options *tls, const char *words) {
    struct client client;
    open_client(&client, url, tls);
    assert_true(run_until(&client, &client.n_down, 2)); /* it goes on trying, and says the same */
    if (strstr(client.reason, words) == NULL) {
        fail_msg("%s: \"%s\" does not say \"%s\"", url, client.reason, words);
    }
    assert_true(client.is_refused);
    assert_int_equal(client.n_up, 0);
    close_client(&client);
}

/* ---- TLS ---- */

static void tls_url(const struct world *world, const char *host, char ret_url[128]) {
    snprintf(ret_url, 128, "rediss://%s:%d", host, world->tls_port);
}

static void a_server_of_our_authority_is_greeted_by_address_and_by_name(void **state) {
    struct world *world = *state;
    char url[128];
    char ca[128];
    path_of(world, "authority.crt", ca);
    tls_url(world, "127.0.0.1", url);
    assert_greeted(url, &(struct redis_tls_options){.ca_file = ca});
    assert_greeted(url, &(struct redis_tls_options){.ca_file = ca, .server_name = "redis.test"});
}

static void replies_and_requests_of_many_records_come_whole(void **state) {
    struct world *world = *state;
    char url[128];
    char ca[128];
    path_of(world, "authority.crt", ca);
    tls_url(world, "127.0.0.1", url);
    struct client client;
    open_client(&client, url, &(struct redis_tls_options){.ca_file = ca});
    assert_true(run_until(&client, &client.n_up, 1));
    char *big = memory_alloc(BIG + 1);
    memset(big, 'x', BIG);
    big[BIG] = '\0';
    send_texts(&client, 3, (const char *const[]){"SET", "big", big});
    send_texts(&client, 2, (const char *const[]){"GET", "big"});
    for (int i = 0; i < 200; i++) {
        send_texts(&client, 2, (const char *const[]){"ECHO", "x"});
    }
    send_texts(&client, 2, (const char *const[]){"GET", "big"});
    redis_link_flush(client.link);
    assert_true(run_until(&client, &client.n_replies, 203));
    assert_int_equal(client.reply_size, BIG);
    memory_free(big);
    close_client(&client);
    redis_server_expect(world->server, "1", "DEL big");
}

static void a_cut_is_a_cut_and_the_next_connection_is_greeted(void **state) {
    struct world *world = *state;
    char url[128];
    char ca[128];
    path_of(world, "authority.crt", ca);
    tls_url(world, "127.0.0.1", url);
    struct client client;
    open_client(&client, url, &(struct redis_tls_options){.ca_file = ca});
    for (unsigned i = 1; i <= 3; i++) {
        assert_true(run_until(&client, &client.n_up, i));
        assert_answers(&client, "ECHO", "hello", "hello");
        unsigned n_cut = client.n_cut;
        send_texts(&client, 3, (const char *const[]){"BLPOP", "nothing", "0"});
        redis_link_flush(client.link);
        redis_server_await(world->server, "cmd=blpop", "CLIENT LIST");
        redis_server_expect(world->server, "1", "CLIENT KILL TYPE normal SKIPME yes");
        assert_true(run_until(&client, &client.n_down, i));
        assert_string_equal(client.reason, "the connection was cut");
        assert_int_equal(client.n_cut, n_cut + 1);
    }
    close_client(&client);
}

static void a_server_that_is_killed_and_comes_back_is_greeted_again(void **state) {
    struct world *world = *state;
    char url[128];
    char ca[128];
    path_of(world, "authority.crt", ca);
    tls_url(world, "127.0.0.1", url);
    struct client client;
    open_client(&client, url, &(struct redis_tls_options){.ca_file = ca});
    assert_true(run_until(&client, &client.n_up, 1));
    redis_server_kill(world->server);
    assert_true(run_until(&client, &client.n_down, 1));
    redis_server_restart(world->server);
    assert_true(run_until(&client, &client.n_up, 2));
    assert_answers(&client, "ECHO", "hello", "hello");
    close_client(&client);
}

static void another_authority_another_name_and_a_date_gone_by_are_refused(void **state) {
    struct world *world = *state;
    char url[128];
    char ca[128];
    char stranger[128];
    path_of(world, "authority.crt", ca);
    path_of(world, "stranger.crt", stranger);
    tls_url(world, "127.0.0.1", url);
    assert_refused(url, &(struct redis_tls_options){.ca_file = stranger}, "redis.tls_ca_file");
    assert_refused(url, &(struct redis_tls_options){.ca_file = NULL}, "redis.tls_ca_file");
    assert_refused(url, &(struct redis_tls_options){.ca_file = ca, .server_name = "wrong.test"},
                   "redis.tls_server_name");
    show(world, "other_name");
    assert_refused(url, &(struct redis_tls_options){.ca_file = ca}, "made for another name");
    show(world, "expired");
    assert_refused(url, &(struct redis_tls_options){.ca_file = ca}, "has expired");
    show(world, "server");
    assert_greeted(url, &(struct redis_tls_options){.ca_file = ca});
}

static void a_certificate_of_ours_is_shown_where_it_is_asked_for(void **state) {
    struct world *world = *state;
    char url[128];
    char ca[128];
    char crt[128];
    char key[128];
    path_of(world, "authority.crt", ca);
    tls_url(world, "127.0.0.1", url);
    redis_server_expect(world->server, "OK", "CONFIG SET tls-auth-clients yes");
    assert_refused(url, &(struct redis_tls_options){.ca_file = ca}, "redis.tls_certificate_file");
    path_of(world, "strange_client.crt", crt);
    path_of(world, "strange_client.key", key);
    assert_refused(url, &(struct redis_tls_options){.ca_file = ca, .certificate_file = crt, .key_file = key},
                   "refused our certificate");
    path_of(world, "client.crt", crt);
    path_of(world, "client.key", key);
    assert_greeted(url, &(struct redis_tls_options){.ca_file = ca, .certificate_file = crt, .key_file = key});
    redis_server_expect(world->server, "OK", "CONFIG SET tls-auth-clients optional");
}

/* A server in plain reads our hello as a command, or waits for more of it. */
/* ---- sessions ---- */

static void await_socket(int fd, enum redis_tls_result result) {
    assert_true(result == REDIS_TLS_WANT_READ || result == REDIS_TLS_WANT_WRITE);
    struct pollfd one = {.fd = fd, .events = result == REDIS_TLS_WANT_READ ? POLLIN : POLLOUT};
    assert_int_equal(poll(&one, 1, AWAIT_MS), 1);
}

/* One connection: handshake, PING and its answer (with TLS 1.3 the session comes before that), goodbye. */
static bool ping_resumes(struct world *world, redis_tls_t *tls, const char *host) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t) world->tls_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof to), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    redis_tls_stream_t *stream = redis_tls_stream_new(tls, fd, host, (uint16_t) world->tls_port);
    assert_non_null(stream);
    enum redis_tls_result result;
    while ((result = redis_tls_stream_handshake(stream)) != REDIS_TLS_DONE) {
        await_socket(fd, result);
    }
    bool is_resumed = redis_tls_stream_is_resumed(stream);
    size_t size = 0;
    while ((result = redis_tls_stream_write(stream, "PING\r\n", 6, &size)) != REDIS_TLS_DONE) {
        await_socket(fd, result);
    }
    char answer[16];
    while ((result = redis_tls_stream_read(stream, answer, sizeof answer, &size)) != REDIS_TLS_DONE) {
        await_socket(fd, result);
    }
    assert_memory_equal(answer, "+PONG\r\n", 7);
    redis_tls_stream_destroy(&stream);
    close(fd);
    return is_resumed;
}

static redis_tls_t *new_tls(struct world *world) {
    char authority[TLS_PATH_MAX];
    char error[512];
    path_of(world, "authority.crt", authority);
    redis_tls_t *tls = redis_tls_new(&(struct redis_tls_options){.ca_file = authority}, error, sizeof error);
    assert_non_null(tls);
    return tls;
}

static void a_second_connection_to_the_same_place_resumes_the_session(void **state) {
    struct world *world = *state;
    for (unsigned i = 0; i < 2; i++) {
        redis_server_expect(world->server, "OK", "CONFIG SET tls-protocols %s", i == 0 ? "TLSv1.2" : "TLSv1.3");
        redis_tls_t *tls = new_tls(world);
        assert_false(ping_resumes(world, tls, "127.0.0.1"));
        assert_true(ping_resumes(world, tls, "127.0.0.1"));
        assert_true(ping_resumes(world, tls, "127.0.0.1"));
        assert_false(ping_resumes(world, tls, "redis.test")); /* another place: judged anew */
        redis_tls_t *other = new_tls(world);
        assert_false(ping_resumes(world, other, "127.0.0.1"));
        redis_tls_destroy(&other);
        redis_tls_destroy(&tls);
    }
    redis_server_expect(world->server, "OK", "CONFIG SET tls-protocols %s", "");
}

static void a_session_that_the_server_has_forgotten_is_made_anew(void **state) {
    struct world *world = *state;
    redis_tls_t *tls = new_tls(world);
    ping_resumes(world, tls, "127.0.0.1");
    show(world, "server"); /* a new context there: other ticket keys */
    assert_false(ping_resumes(world, tls, "127.0.0.1"));
    assert_true(ping_resumes(world, tls, "127.0.0.1"));
    redis_tls_destroy(&tls);
}

static void a_port_without_tls_is_told(void **state) {
    struct world *world = *state;
    char url[128];
    char ca[128];
    path_of(world, "authority.crt", ca);
    snprintf(url, sizeof url, "rediss://127.0.0.1:%d", redis_server_port(world->server));
    struct client client;
    open_client(&client, url, &(struct redis_tls_options){.ca_file = ca});
    assert_true(run_until(&client, &client.n_down, 1));
    bool is_told = strstr(client.reason, "speaks no TLS") != NULL || strstr(client.reason, "tls-port") != NULL ||
                   strcmp(client.reason, "the connection was cut") == 0;
    if (!is_told) {
        fail_msg("%s", client.reason);
    }
    close_client(&client);
}

static void files_that_cannot_be_used_are_refused_by_their_setting(void **state) {
    struct world *world = *state;
    char ca[128];
    char crt[128];
    char key[128];
    char error[512];
    path_of(world, "authority.crt", ca);
    path_of(world, "client.crt", crt);
    path_of(world, "server.key", key);
    assert_null(redis_tls_new(&(struct redis_tls_options){.ca_file = "/nowhere"}, error, sizeof error));
    assert_non_null(strstr(error, "redis.tls_ca_file: /nowhere"));
    assert_null(
        redis_tls_new(&(struct redis_tls_options){.ca_file = ca, .certificate_file = "/nowhere", .key_file = key},
                      error, sizeof error));
    assert_non_null(strstr(error, "redis.tls_certificate_file: /nowhere"));
    assert_null(redis_tls_new(&(struct redis_tls_options){.ca_file = ca, .certificate_file = crt, .key_file = key},
                              error, sizeof error));
    assert_non_null(strstr(error, "redis.tls_key_file"));
    assert_null(
        redis_tls_new(&(struct redis_tls_options){.ca_file = ca, .certificate_file = crt}, error, sizeof error));
    assert_non_null(strstr(error, "redis.tls_key_file"));
}

/* ---- renewed files ---- */

/* As a Secret's volume exchanges what is behind a name. */
static void link_to(struct world *world, const char *name, const char *target) {
    char path[TLS_PATH_MAX];
    path_of(world, name, path);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

static void expect_figures(const redis_tls_t *tls, uint64_t n_renewals, uint64_t n_failures, bool is_refused) {
    struct redis_tls_figures figures;
    redis_tls_read_figures(tls, &figures);
    assert_int_equal(figures.n_renewals, n_renewals);
    assert_int_equal(figures.n_failures, n_failures);
    assert_int_equal(figures.is_refused, is_refused);
}

static bool handshake_succeeds(struct world *world, redis_tls_t *tls, redis_tls_stream_t **ret_stream, int *ret_fd) {
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t) world->tls_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(*ret_fd, (struct sockaddr *) &to, sizeof to), 0);
    assert_int_equal(fcntl(*ret_fd, F_SETFL, O_NONBLOCK), 0);
    *ret_stream = redis_tls_stream_new(tls, *ret_fd, "127.0.0.1", (uint16_t) world->tls_port);
    assert_non_null(*ret_stream);
    enum redis_tls_result result;
    while ((result = redis_tls_stream_handshake(*ret_stream)) != REDIS_TLS_DONE) {
        if (result == REDIS_TLS_CUT) {
            return false;
        }
        await_socket(*ret_fd, result);
    }
    return true;
}

static bool ping_is_answered(redis_tls_stream_t *stream, int fd) {
    enum redis_tls_result result;
    char answer[16];
    size_t size = 0;
    result = redis_tls_stream_write(stream, "PING\r\n", 6, &size);
    if (result == REDIS_TLS_CUT) {
        return false; /* TLS 1.3: the server's word on our certificate comes behind the handshake, and may be here
                         already */
    }
    assert_int_equal(result, REDIS_TLS_DONE);
    while ((result = redis_tls_stream_read(stream, answer, sizeof answer, &size)) != REDIS_TLS_DONE) {
        if (result == REDIS_TLS_CUT) {
            return false;
        }
        await_socket(fd, result);
    }
    return size == 7 && memcmp(answer, "+PONG\r\n", 7) == 0;
}

/* The authority changes here first, at the server later: both work all the time, and so does a connection of before. */
static void another_authority_is_taken_up_by_the_next_connection_and_the_former_is_still_trusted(void **state) {
    struct world *world = *state;
    char ca[TLS_PATH_MAX];
    char error[512];
    int old_fd;
    int fd;
    redis_tls_stream_t *old;
    redis_tls_stream_t *stream;
    link_to(world, "ca.crt", "stranger.crt");
    path_of(world, "ca.crt", ca);
    redis_tls_t *tls = redis_tls_new(&(struct redis_tls_options){.ca_file = ca}, error, sizeof error);
    assert_non_null(tls);
    assert_false(handshake_succeeds(world, tls, &old, &old_fd));
    redis_tls_stream_destroy(&old);
    close(old_fd);
    link_to(world, "ca.crt", "authority.crt");
    assert_true(handshake_succeeds(world, tls, &old, &old_fd));
    expect_figures(tls, 1, 0, false);
    link_to(world, "ca.crt", "stranger.crt");
    assert_true(handshake_succeeds(world, tls, &stream, &fd)); /* the server still shows the one of before */
    expect_figures(tls, 2, 0, false);
    assert_true(ping_is_answered(stream, fd));
    assert_true(ping_is_answered(old, old_fd));
    redis_tls_stream_destroy(&stream);
    redis_tls_stream_destroy(&old);
    close(fd);
    close(old_fd);
    unlink(ca);
    redis_tls_destroy(&tls);
}

static void our_own_certificate_is_renewed_whole_or_not_at_all(void **state) {
    struct world *world = *state;
    char ca[TLS_PATH_MAX];
    char crt[TLS_PATH_MAX];
    char key[TLS_PATH_MAX];
    char error[512];
    int fd;
    redis_tls_stream_t *stream;
    path_of(world, "authority.crt", ca);
    link_to(world, "own.crt", "client.crt");
    link_to(world, "own.key", "client.key");
    path_of(world, "own.crt", crt);
    path_of(world, "own.key", key);
    redis_server_expect(world->server, "OK", "CONFIG SET tls-auth-clients %s", "yes");
    redis_tls_t *tls = redis_tls_new(
        &(struct redis_tls_options){.ca_file = ca, .certificate_file = crt, .key_file = key}, error, sizeof error);
    assert_non_null(tls);
    static const struct {
        const char *certificate, *key;
        uint64_t n_renewals, n_failures;
        bool is_refused, is_let_in;
    } steps[] = {
        {"client.crt", "client.key", 0, 0, false, true},
        {"server.crt", "client.key", 0, 1, true, true}, /* half of a pair: the old one is shown */
        {"server.crt", "server.key", 1, 1, false, true},
        {"expired.crt", "expired.key", 1, 2, true, true},
        {"strange_client.crt", "strange_client.key", 2, 2, false, false}, /* so it is the new one that is shown */
        {"client.crt", "client.key", 3, 2, false, true},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (i > 0) {
            link_to(world, "own.crt", steps[i].certificate);
            link_to(world, "own.key", steps[i].key);
        }
        bool is_let_in = handshake_succeeds(world, tls, &stream, &fd) && ping_is_answered(stream, fd);
        assert_int_equal(is_let_in, steps[i].is_let_in);
        expect_figures(tls, steps[i].n_renewals, steps[i].n_failures, steps[i].is_refused);
        redis_tls_stream_destroy(&stream);
        close(fd);
    }
    struct redis_tls_figures figures;
    redis_tls_read_figures(tls, &figures);
    assert_true(figures.expires_at_s > clock_wall_ms() / 1000);
    redis_server_expect(world->server, "OK", "CONFIG SET tls-auth-clients %s", "optional");
    unlink(crt);
    unlink(key);
    redis_tls_destroy(&tls);
}

/* ---- logins, unix sockets ---- */

static void a_user_with_its_password_is_greeted_and_may_what_its_acl_allows(void **state) {
    struct world *world = *state;
    char url[160];
    char ca[128];
    path_of(world, "authority.crt", ca);
    snprintf(url, sizeof url, "rediss://app:secret@127.0.0.1:%d", world->tls_port);
    struct client client;
    open_client(&client, url, &(struct redis_tls_options){.ca_file = ca});
    assert_true(run_until(&client, &client.n_up, 1));
    assert_answers(&client, "ACL", "WHOAMI", "app");
    assert_answers(&client, "GET", "cb:x", "");
    assert_answers(&client, "GET", "other", "NOPERM this user has no permissions to access one of the key");
    close_client(&client);
}

static void a_wrong_password_is_refused(void **state) {
    struct world *world = *state;
    char url[160];
    snprintf(url, sizeof url, "redis://app:wrong@127.0.0.1:%d", redis_server_port(world->server));
    assert_refused(url, NULL, "refused user or password");
    redis_server_expect(world->server, "OK", "CONFIG SET requirepass needed");
    redis_server_set_login(world->server, NULL, "needed");
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis_server_port(world->server));
    assert_refused(url, NULL, "asks for a password");
    snprintf(url, sizeof url, "redis://:needed@127.0.0.1:%d", redis_server_port(world->server));
    assert_greeted(url, NULL);
    redis_server_expect(world->server, "OK", "CONFIG SET requirepass %s", "");
}

static void a_unix_socket_is_greeted_with_login_and_database(void **state) {
    struct world *world = *state;
    char url[160];
    snprintf(url, sizeof url, "unix://%s", world->socket_path);
    assert_greeted(url, NULL);
    snprintf(url, sizeof url, "unix://app:secret@%s?db=3", world->socket_path);
    struct client client;
    open_client(&client, url, NULL);
    assert_true(run_until(&client, &client.n_up, 1));
    redis_server_await(world->server, "db=3", "CLIENT LIST");
    close_client(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_of_our_authority_is_greeted_by_address_and_by_name),
        cmocka_unit_test(replies_and_requests_of_many_records_come_whole),
        cmocka_unit_test(a_cut_is_a_cut_and_the_next_connection_is_greeted),
        cmocka_unit_test(another_authority_another_name_and_a_date_gone_by_are_refused),
        cmocka_unit_test(a_certificate_of_ours_is_shown_where_it_is_asked_for),
        cmocka_unit_test(a_second_connection_to_the_same_place_resumes_the_session),
        cmocka_unit_test(a_session_that_the_server_has_forgotten_is_made_anew),
        cmocka_unit_test(a_port_without_tls_is_told),
        cmocka_unit_test(another_authority_is_taken_up_by_the_next_connection_and_the_former_is_still_trusted),
        cmocka_unit_test(our_own_certificate_is_renewed_whole_or_not_at_all),
        cmocka_unit_test(files_that_cannot_be_used_are_refused_by_their_setting),
        cmocka_unit_test(a_user_with_its_password_is_greeted_and_may_what_its_acl_allows),
        cmocka_unit_test(a_wrong_password_is_refused),
        cmocka_unit_test(a_unix_socket_is_greeted_with_login_and_database),
        cmocka_unit_test(a_server_that_is_killed_and_comes_back_is_greeted_again),
    };
    return cmocka_run_group_tests(tests, start_world, stop_world);
}
