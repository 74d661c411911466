/* Floods through zmq_on_uv: an edge that is missed once stalls for good, so every test here ends or times out. */
#include "base/check.h"
#include "base/zmq_on_uv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000 };

/* One end: echoes, or counts and keeps a window of pings in flight. */
struct end {
    struct world *world;
    void *socket;
    zmq_on_uv_t *on_uv;
    bool echoes;
    unsigned to_send; /* still to be sent */
    unsigned queued;  /* echoes owed */
    unsigned sent;
    unsigned received;
    unsigned expected;
    size_t size; /* of a body */
    size_t n_frames;
    unsigned dropped;
    unsigned full;
    unsigned writable;
    bool send_late;      /* from a prepare callback that runs after ours */
    uv_timer_t *resumes; /* NULL, or this end pauses behind every 100th message, and this lets it go on */
    bool paused;
    unsigned pauses;
};

struct world {
    uv_loop_t loop;
    void *context;
    uv_timer_t deadline;
    uv_prepare_t late; /* started first, so libuv calls it last */
    bool late_active;
    struct end ends[2];
    unsigned open;
    uint64_t opened_ms;
    bool timed_out;
    bool closing;
};

static void on_end_closed(void *context) {
    struct end *end = context;
    zmq_close(end->socket);
    end->world->open--;
}

static void close_world(struct world *world) {
    if (world->closing) {
        return;
    }
    world->closing = true;
    /* The deadline's own wake-up lets a stalled socket be seen again. */
    world->timed_out = uv_now(&world->loop) - world->opened_ms >= DEADLINE_MS;
    for (unsigned i = 0; i < 2; i++) {
        if (world->ends[i].on_uv != NULL) {
            zmq_on_uv_close(&world->ends[i].on_uv, on_end_closed, &world->ends[i]);
        }
    }
    uv_close((uv_handle_t *) &world->deadline, NULL);
    if (world->late_active) {
        uv_close((uv_handle_t *) &world->late, NULL);
    }
}

static void on_deadline(uv_timer_t *timer) {
    struct world *world = timer->data;
    close_world(world);
}

static bool send_one(struct end *end) {
    zmq_msg_t frames[ZMQ_ON_UV_FRAMES_MAX + 8];
    size_t n = end->n_frames == 0 ? 1 : end->n_frames;
    for (size_t i = 0; i < n; i++) {
        zmq_msg_init_size(&frames[i], end->size);
        memset(zmq_msg_data(&frames[i]), 'x', end->size);
    }
    enum zmq_send_result result = zmq_on_uv_send(end->on_uv, frames, n);
    for (size_t i = 0; i < n; i++) {
        zmq_msg_close(&frames[i]);
    }
    assert_true(result == ZMQ_SENT || result == ZMQ_FULL);
    if (result == ZMQ_FULL) {
        end->full++;
    }
    return result == ZMQ_SENT;
}

static void send_what_is_due(struct end *end) {
    unsigned *due = end->echoes ? &end->queued : &end->to_send;
    while (*due > 0 && send_one(end)) {
        (*due)--;
        end->sent++;
    }
}

static void on_flush(void *context) {
    struct end *end = context;
    if (!end->send_late) {
        send_what_is_due(end);
    }
}

static void on_writable(void *context) {
    struct end *end = context;
    end->writable++;
}

static void on_resume(uv_timer_t *timer) {
    struct end *end = timer->data;
    if (end->on_uv != NULL) {
        end->paused = false;
        zmq_on_uv_pause(end->on_uv, false);
    }
}

static void pause_now_and_then(struct end *end) {
    assert_false(end->paused);
    if (end->resumes != NULL && end->received % 100 == 0) {
        end->paused = true;
        end->pauses++;
        zmq_on_uv_pause(end->on_uv, true);
        uv_timer_start(end->resumes, on_resume, 1, 0);
    }
}

static void on_message(void *context, zmq_msg_t *frames, size_t n_frames) {
    struct end *end = context;
    pause_now_and_then(end);
    if (n_frames == 0) {
        end->dropped++;
    } else {
        assert_int_equal(zmq_msg_size(&frames[0]), end->world->ends[0].size);
        assert_int_equal(n_frames, end->world->ends[0].n_frames == 0 ? 1 : end->world->ends[0].n_frames);
    }
    end->received++;
    if (end->echoes) {
        end->queued++;
    }
    const struct end *ends = end->world->ends;
    if (ends[0].received >= ends[0].expected && ends[1].received >= ends[1].expected) {
        close_world(end->world);
    }
}

static const struct zmq_on_uv_callbacks callbacks = {on_message, on_flush, on_writable};

static void on_late_prepare(uv_prepare_t *prepare) {
    struct world *world = prepare->data;
    for (unsigned i = 0; i < 2 && !world->closing; i++) {
        if (world->ends[i].send_late) {
            send_what_is_due(&world->ends[i]);
        }
    }
}

static void bind_anywhere(void *socket, char *ret_endpoint, size_t size) {
    for (int port = 20000 + (int) (uv_hrtime() / 1000 % 5000); port < 32000; port++) {
        snprintf(ret_endpoint, size, "tcp://127.0.0.1:%d", port);
        if (zmq_bind(socket, ret_endpoint) == 0) {
            return;
        }
    }
    fail_msg("no free port");
}

static void open_world(struct world *world, bool over_tcp, int high_water, unsigned receive_bound) {
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->context = zmq_ctx_new();
    uv_timer_init(&world->loop, &world->deadline);
    world->deadline.data = world;
    world->opened_ms = uv_now(&world->loop);
    uv_timer_start(&world->deadline, on_deadline, DEADLINE_MS, 0);
    if (world->ends[0].send_late || world->ends[1].send_late) {
        uv_prepare_init(&world->loop, &world->late);
        world->late.data = world;
        uv_prepare_start(&world->late, on_late_prepare);
        world->late_active = true;
    }
    char endpoint[64] = "inproc://flood";
    for (unsigned i = 0; i < 2; i++) {
        struct end *end = &world->ends[i];
        end->world = world;
        end->socket = zmq_socket(world->context, ZMQ_DEALER);
        int linger = 0;
        zmq_setsockopt(end->socket, ZMQ_LINGER, &linger, sizeof(linger));
        zmq_setsockopt(end->socket, ZMQ_SNDHWM, &high_water, sizeof(high_water));
        zmq_setsockopt(end->socket, ZMQ_RCVHWM, &high_water, sizeof(high_water));
        if (i == 1) {
            assert_int_equal(zmq_connect(end->socket, endpoint), 0);
        } else if (over_tcp) {
            bind_anywhere(end->socket, endpoint, sizeof(endpoint));
        } else {
            assert_int_equal(zmq_bind(end->socket, endpoint), 0);
        }
        end->on_uv = zmq_on_uv_new(&world->loop, end->socket, &callbacks, end, receive_bound);
        assert_non_null(end->on_uv);
        world->open++;
    }
}

static void run_world(struct world *world) {
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->open, 0);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    zmq_ctx_term(world->context);
    assert_false(world->timed_out);
}

static void ping_pong(bool over_tcp, unsigned n, unsigned receive_bound) {
    struct world world = {0};
    world.ends[0] = (struct end){.to_send = n, .expected = n, .size = 100};
    world.ends[1] = (struct end){.echoes = true, .expected = n, .size = 100};
    open_world(&world, over_tcp, 100, receive_bound);
    run_world(&world);
    assert_int_equal(world.ends[0].received, n);
    assert_int_equal(world.ends[1].received, n);
}

static void a_flood_of_pings_comes_back_over_inproc(void **state) {
    (void) state;
    ping_pong(false, 100000, 0);
}

static void a_flood_of_pings_comes_back_over_tcp(void **state) {
    (void) state;
    ping_pong(true, 100000, 0);
}

static void a_bound_of_one_message_a_turn_leaves_nothing_behind(void **state) {
    (void) state;
    ping_pong(false, 5000, 1);
    ping_pong(true, 5000, 1);
}

static void both_directions(bool over_tcp) {
    struct world world = {0};
    for (unsigned i = 0; i < 2; i++) {
        world.ends[i] = (struct end){.to_send = 100000, .expected = 100000, .size = 60};
    }
    open_world(&world, over_tcp, 50, 7);
    run_world(&world);
    assert_int_equal(world.ends[0].received, 100000);
    assert_int_equal(world.ends[1].received, 100000);
    /* The high-water mark was met, and writability told of its end. */
    assert_true(world.ends[0].full > 0);
    assert_true(world.ends[0].writable > 0);
}

static void floods_in_both_directions_at_once_end_over_inproc(void **state) {
    (void) state;
    both_directions(false);
}

static void floods_in_both_directions_at_once_end_over_tcp(void **state) {
    (void) state;
    both_directions(true);
}

static void sends_from_a_later_prepare_callback_do_not_stall(void **state) {
    (void) state;
    for (unsigned over_tcp = 0; over_tcp < 2; over_tcp++) {
        struct world world = {0};
        world.ends[0] = (struct end){.to_send = 50000, .expected = 50000, .size = 100, .send_late = true};
        world.ends[1] = (struct end){.echoes = true, .expected = 50000, .size = 100, .send_late = true};
        open_world(&world, over_tcp != 0, 100, 0);
        run_world(&world);
        assert_int_equal(world.ends[0].received, 50000);
    }
}

static void close_with_the_world(uv_handle_t *handle, void *world) {
    if (((struct world *) world)->closing && !uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void on_turn(uv_prepare_t *turn) {
    uv_walk(turn->loop, close_with_the_world, turn->data);
}

static void a_paused_end_receives_nothing_and_misses_nothing(void **state) {
    (void) state;
    for (unsigned over_tcp = 0; over_tcp < 2; over_tcp++) {
        struct world world = {0};
        uv_timer_t resumes;
        uv_prepare_t turn;
        world.ends[0] = (struct end){.to_send = 5000, .size = 100};
        world.ends[1] = (struct end){.expected = 5000, .size = 100, .resumes = &resumes};
        open_world(&world, over_tcp != 0, 50, 0);
        uv_timer_init(&world.loop, &resumes);
        resumes.data = &world.ends[1];
        uv_prepare_init(&world.loop, &turn);
        turn.data = &world;
        uv_prepare_start(&turn, on_turn);
        run_world(&world);
        assert_int_equal(world.ends[1].received, 5000);
        assert_int_equal(world.ends[1].pauses, 50);
        assert_true(world.ends[0].full > 0); /* the sender waited */
    }
}

/* The send of a callback behind ours eats the edge of a message that came just before it. */
static void on_prepare_that_eats_the_edge(uv_prepare_t *prepare) {
    struct world *world = prepare->data;
    if (world->ends[1].sent > 0) {
        return;
    }
    world->ends[1].sent = 1;
    assert_int_equal(zmq_send(world->ends[0].socket, "hello", 5, 0), 5);
    uv_sleep(20); /* libzmq looks for commands inside a send only when the last look was a while ago */
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    assert_int_equal(zmq_on_uv_send(world->ends[1].on_uv, &frame, 1), ZMQ_SENT);
    zmq_msg_close(&frame);
}

static void a_late_send_that_eats_the_edge_does_not_stall(void **state) {
    (void) state;
    struct world world = {0};
    world.ends[0].size = 5;
    world.ends[1] = (struct end){.expected = 1, .size = 5};
    world.late_active = true;
    open_world(&world, false, 10, 0);
    zmq_on_uv_close(&world.ends[0].on_uv, NULL, NULL);
    uv_prepare_init(&world.loop, &world.late);
    world.late.data = &world;
    uv_run(&world.loop, UV_RUN_NOWAIT);
    zmq_on_uv_close(&world.ends[1].on_uv, NULL, NULL);
    uv_run(&world.loop, UV_RUN_NOWAIT); /* nothing that closes is left to keep the loop awake */
    /* Started before the socket's own prepare handle, so libuv calls it after that. */
    uv_prepare_start(&world.late, on_prepare_that_eats_the_edge);
    world.ends[1].on_uv = zmq_on_uv_new(&world.loop, world.ends[1].socket, &callbacks, &world.ends[1], 0);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    zmq_close(world.ends[0].socket);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    zmq_ctx_term(world.context);
    assert_false(world.timed_out);
    assert_int_equal(world.ends[1].received, 1);
}

static void a_message_of_most_frames_arrives_whole(void **state) {
    (void) state;
    struct world world = {0};
    world.ends[0] = (struct end){.to_send = 50, .size = 40, .n_frames = ZMQ_ON_UV_FRAMES_MAX};
    world.ends[1] = (struct end){.expected = 50};
    open_world(&world, true, 10, 0);
    run_world(&world);
    assert_int_equal(world.ends[1].dropped, 0);
}

static void a_message_of_too_many_frames_is_dropped_and_reported(void **state) {
    (void) state;
    struct world world = {0};
    world.ends[0] = (struct end){.to_send = 3, .size = 40, .n_frames = ZMQ_ON_UV_FRAMES_MAX + 5};
    world.ends[1] = (struct end){.expected = 3};
    open_world(&world, false, 10, 0);
    run_world(&world);
    assert_int_equal(world.ends[1].dropped, 3);
}

static void sending_without_a_peer_says_full_and_keeps_the_frames(void **state) {
    (void) state;
    void *context = zmq_ctx_new();
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct end end = {.socket = zmq_socket(context, ZMQ_DEALER)};
    struct world world = {.open = 1};
    end.world = &world;
    zmq_on_uv_t *on_uv = zmq_on_uv_new(&loop, end.socket, &callbacks, &end, 0);
    zmq_msg_t frame;
    zmq_msg_init_size(&frame, 5);
    memcpy(zmq_msg_data(&frame), "hello", 5);
    assert_int_equal(zmq_on_uv_send(on_uv, &frame, 1), ZMQ_FULL);
    assert_int_equal(zmq_msg_size(&frame), 5);
    assert_memory_equal(zmq_msg_data(&frame), "hello", 5);
    zmq_msg_close(&frame);
    zmq_on_uv_close(&on_uv, on_end_closed, &end);
    assert_null(on_uv);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    zmq_ctx_term(context);
}

static void a_router_that_must_route_says_unroutable(void **state) {
    (void) state;
    void *context = zmq_ctx_new();
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct world world = {.open = 1};
    struct end end = {.socket = zmq_socket(context, ZMQ_ROUTER), .world = &world};
    int mandatory = 1;
    zmq_setsockopt(end.socket, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof(mandatory));
    zmq_on_uv_t *on_uv = zmq_on_uv_new(&loop, end.socket, &callbacks, &end, 0);
    zmq_msg_t frames[2];
    for (unsigned i = 0; i < 2; i++) {
        zmq_msg_init_size(&frames[i], 7);
        memset(zmq_msg_data(&frames[i]), 'n', 7);
    }
    assert_int_equal(zmq_on_uv_send(on_uv, frames, 2), ZMQ_UNROUTABLE);
    assert_int_equal(zmq_msg_size(&frames[0]), 7);
    assert_int_equal(zmq_msg_size(&frames[1]), 7);
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
    zmq_on_uv_close(&on_uv, on_end_closed, &end);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    zmq_ctx_term(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_pings_comes_back_over_inproc),
        cmocka_unit_test(a_flood_of_pings_comes_back_over_tcp),
        cmocka_unit_test(a_bound_of_one_message_a_turn_leaves_nothing_behind),
        cmocka_unit_test(floods_in_both_directions_at_once_end_over_inproc),
        cmocka_unit_test(floods_in_both_directions_at_once_end_over_tcp),
        cmocka_unit_test(sends_from_a_later_prepare_callback_do_not_stall),
        cmocka_unit_test(a_late_send_that_eats_the_edge_does_not_stall),
        cmocka_unit_test(a_message_of_most_frames_arrives_whole),
        cmocka_unit_test(a_message_of_too_many_frames_is_dropped_and_reported),
        cmocka_unit_test(sending_without_a_peer_says_full_and_keeps_the_frames),
        cmocka_unit_test(a_paused_end_receives_nothing_and_misses_nothing),
        cmocka_unit_test(a_router_that_must_route_says_unroutable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
