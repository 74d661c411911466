/* Specs of the engine contract: presence and the gateways' leases. */
#include "tests/contract/engine_contract.h"

#include <stdio.h>

static const struct member_input ada = {.client = "client-a", .user = "ada", .gateway = "gw", .lease = 7};
static const struct member_input bob = {.client = "client-b", .user = "bob", .gateway = "gw", .lease = 7};

static const struct record *find_member(const struct op *op, const char *client) {
    for (uint32_t i = 0; i < op->n; i++) {
        if (span_equal_text(info_of(&op->members[i].info).client, client)) {
            return &op->members[i];
        }
    }
    return NULL;
}

static uint64_t lease_of_member(struct node *node, struct span channel, const char *client) {
    const struct record *member = find_member(read_members(node, channel), client);
    return member == NULL ? 0 : member->lease_number;
}

static void wait_members(struct node *node, struct span channel, uint32_t n) {
    wait_for(node, read_members(node, channel)->n == n);
}

static void wait_joined(struct node *node, struct span channel, size_t n) {
    wait_for(node, count_records(node, RECORD_JOINED, channel) >= n);
}

static void a_member_is_read_back_with_its_info_gateway_and_lease(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    set_member(node, channel,
               &(struct member_input){.client = "client-a",
                                      .user = "ada",
                                      .conn_info = SPAN_LITERAL("{\"name\":\"Ada\"}"),
                                      .gateway = "gateway-1",
                                      .lease = 0xfedcba9876543210u});
    wait_members(node, channel, 1);
    const struct record *member = find_member(read_members(node, channel), "client-a");
    assert_non_null(member);
    assert_span(info_of(&member->info).user, "ada");
    assert_span(info_of(&member->info).conn_info, "{\"name\":\"Ada\"}");
    assert_span(buffer_span(&member->gateway_id), "gateway-1");
    assert_true(member->lease_number == 0xfedcba9876543210u);
}

static void a_channel_without_members_reads_as_empty(void **state) {
    struct node *node = bench_node(state);
    assert_int_equal(read_members(node, held_channel(node, "room", &node->bench->plain))->n, 0);
}

static void a_new_member_is_told_as_joined(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    set_member(node, channel, &ada);
    wait_joined(node, channel, 1);
    const struct record *joined = nth_record(node, RECORD_JOINED, channel, 0);
    assert_span(info_of(&joined->info).client, "client-a");
    assert_span(buffer_span(&joined->gateway_id), "gw");
    assert_int_equal(joined->lease_number, 7);
}

static void a_member_set_again_is_not_told_again(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    set_member(node, channel, &ada);
    set_member(node, channel, &ada);
    set_member(node, channel, &bob);
    wait_joined(node, channel, 2);
    assert_int_equal(count_records(node, RECORD_JOINED, channel), 2);
    assert_span(info_of(&nth_record(node, RECORD_JOINED, channel, 1)->info).client, "client-b");
    assert_int_equal(count_records(node, RECORD_LEFT, channel), 0);
    wait_members(node, channel, 2);
}

static void setting_a_member_again_renews_its_info_and_lease(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    set_member(node, channel, &ada);
    struct member_input moved = ada;
    moved.conn_info = SPAN_LITERAL("2");
    moved.gateway = "gw-2";
    moved.lease = 8;
    set_member(node, channel, &moved);
    wait_for(node, lease_of_member(node, channel, "client-a") == 8);
    const struct record *member = find_member(read_members(node, channel), "client-a");
    assert_span(info_of(&member->info).conn_info, "2");
    assert_span(buffer_span(&member->gateway_id), "gw-2");
}

/* It waited at a broker that was cut off, while another one set the member under the gateway's new lease. */
static void a_member_set_under_an_older_lease_keeps_the_newer(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    struct member_input older = ada;
    older.lease = ada.lease - 1;
    older.conn_info = SPAN_LITERAL("2");
    set_member(node, channel, &ada);
    set_member(node, channel, &older);
    set_member(node, channel, &bob);
    wait_joined(node, channel, 2);
    const struct record *member = find_member(read_members(node, channel), "client-a");
    assert_int_equal(member->lease_number, ada.lease);
    assert_int_equal(info_of(&member->info).conn_info.size, 0);
}

static void a_cleared_member_is_told_as_left_and_gone(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    set_member(node, channel, &ada);
    clear_member(node, channel, "client-a");
    wait_for(node, count_records(node, RECORD_LEFT, channel) == 1);
    const struct record *left = nth_record(node, RECORD_LEFT, channel, 0);
    assert_span(info_of(&left->info).client, "client-a");
    assert_span(info_of(&left->info).user, "ada");
    wait_members(node, channel, 0);
}

static void clearing_who_is_not_there_is_not_told(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    clear_member(node, channel, "client-a");
    set_member(node, channel, &bob);
    clear_member(node, channel, "client-a");
    clear_member(node, channel, "client-b");
    wait_for(node, count_records(node, RECORD_LEFT, channel) >= 1);
    assert_int_equal(count_records(node, RECORD_LEFT, channel), 1);
    assert_span(info_of(&nth_record(node, RECORD_LEFT, channel, 0)->info).client, "client-b");
}

/* A broker that sweeps the dead looked before another one set the member anew. */
static void a_member_cleared_of_one_lease_stays_under_another(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    struct member_input anew = ada;
    anew.lease = ada.lease + 1;
    set_member(node, channel, &ada);
    set_member(node, channel, &anew);
    clear_member_of(node, channel, "client-a", anew.gateway, ada.lease);
    clear_member_of(node, channel, "client-a", "another-gateway", anew.lease);
    set_member(node, channel, &bob);
    wait_joined(node, channel, 2);
    assert_int_equal(count_records(node, RECORD_LEFT, channel), 0);
    wait_members(node, channel, 2);
    clear_member_of(node, channel, "client-a", anew.gateway, anew.lease);
    wait_for(node, count_records(node, RECORD_LEFT, channel) == 1);
    assert_span(info_of(&nth_record(node, RECORD_LEFT, channel, 0)->info).client, "client-a");
    wait_members(node, channel, 1);
}

static void a_member_that_comes_again_is_told_again(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    set_member(node, channel, &ada);
    clear_member(node, channel, "client-a");
    set_member(node, channel, &ada);
    wait_joined(node, channel, 2);
    assert_int_equal(count_records(node, RECORD_LEFT, channel), 1);
    wait_members(node, channel, 1);
}

static void a_silent_member_is_there_and_not_told(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    struct member_input silent = ada;
    silent.silent = true;
    set_member(node, channel, &silent);
    set_member(node, channel, &bob);
    wait_joined(node, channel, 1);
    assert_int_equal(count_records(node, RECORD_JOINED, channel), 1);
    assert_span(info_of(&nth_record(node, RECORD_JOINED, channel, 0)->info).client, "client-b");
    wait_members(node, channel, 2);
}

static void a_silent_member_is_told_when_it_leaves(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->plain);
    struct member_input silent = ada;
    silent.silent = true;
    set_member(node, channel, &silent);
    clear_member(node, channel, "client-a");
    wait_for(node, count_records(node, RECORD_LEFT, channel) == 1);
    assert_int_equal(count_records(node, RECORD_JOINED, channel), 0);
}

static void channels_have_members_of_their_own(void **state) {
    struct node *node = bench_node(state);
    struct span one = held_channel(node, "one", &node->bench->plain);
    struct span two = held_channel(node, "two", &node->bench->plain);
    set_member(node, one, &ada);
    set_member(node, two, &ada);
    set_member(node, two, &bob);
    wait_members(node, one, 1);
    wait_members(node, two, 2);
    clear_member(node, two, "client-a");
    wait_members(node, two, 1);
    wait_members(node, one, 1);
}

static void presence_is_told_in_order_with_the_publications(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "room", &node->bench->history);
    set_member(node, channel, &ada);
    start_append(node, channel, &(struct append_input){.data = SPAN_LITERAL("1")});
    clear_member(node, channel, "client-a");
    struct op *last = start_append(node, channel, &(struct append_input){.data = SPAN_LITERAL("2")});
    wait_for(node, last->n_done > 0);
    const struct record *joined = nth_record(node, RECORD_JOINED, channel, 0);
    const struct record *first = nth_record(node, RECORD_PUBLICATION, channel, 0);
    const struct record *left = nth_record(node, RECORD_LEFT, channel, 0);
    const struct record *second = nth_record(node, RECORD_PUBLICATION, channel, 1);
    assert_true(joined < first && first < left && left < second);
}

static void many_members_are_all_read(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "crowd", &node->bench->plain);
    enum { N = 300 };
    for (int i = 0; i < N; i++) {
        char client[32];
        snprintf(client, sizeof client, "client-%d", i);
        set_member(node, channel, &(struct member_input){.client = client, .user = "u", .gateway = "gw", .lease = 7});
    }
    wait_joined(node, channel, N);
    struct op *op = read_members(node, channel);
    assert_int_equal(op->n, N);
    for (int i = 0; i < N; i++) {
        char client[32];
        snprintf(client, sizeof client, "client-%d", i);
        assert_non_null(find_member(op, client));
    }
}

enum { CROWD = 600, PAGE = 50 };

/* The number behind "client-"; what is above 64 bytes keeps Redis from storing small channels in one piece. */
static void set_numbered(struct node *node, struct span channel, unsigned number) {
    static const char info[] = "\"sixty-four bytes and some more, so that the hash of the channel is a real one\"";
    char client[32];
    snprintf(client, sizeof client, "client-%u", number);
    set_member(node, channel,
               &(struct member_input){
                   .client = client, .user = "u", .conn_info = span_of_text(info), .gateway = "gw", .lease = 7});
}

static struct span crowded_channel(struct node *node) {
    struct span channel = held_channel(node, "crowd", &node->bench->plain);
    for (unsigned i = 0; i < CROWD; i++) {
        set_numbered(node, channel, i);
    }
    wait_joined(node, channel, CROWD);
    return channel;
}

static void note_members(const struct op *op, unsigned *n_told) {
    for (uint32_t i = 0; i < op->n; i++) {
        char text[32];
        struct span client = info_of(&op->members[i].info).client;
        snprintf(text, sizeof text, "%.*s", (int) client.size, (const char *) client.data);
        unsigned number = 0;
        assert_int_equal(sscanf(text, "client-%u", &number), 1);
        assert_true(number < 2 * CROWD);
        n_told[number]++;
    }
}

static void a_crowd_is_read_page_by_page(void **state) {
    struct node *node = bench_node(state);
    struct span channel = crowded_channel(node);
    unsigned n_told[2 * CROWD] = {0};
    unsigned n_pages = 0;
    uint64_t cursor = 0;
    do {
        struct op *op = read_members_page(node, channel, cursor, PAGE);
        note_members(op, n_told);
        assert_true(op->n < CROWD / 2);
        cursor = op->presence.next;
        n_pages++;
    } while (cursor != 0);
    assert_true(n_pages > 3);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_true(n_told[i] >= 1);
    }
}

static void who_stays_is_told_though_others_come_and_go_between_the_pages(void **state) {
    struct node *node = bench_node(state);
    struct span channel = crowded_channel(node);
    unsigned n_told[2 * CROWD] = {0};
    unsigned gone = 0;
    uint64_t cursor = 0;
    do {
        struct op *op = read_members_page(node, channel, cursor, PAGE);
        note_members(op, n_told);
        cursor = op->presence.next;
        for (unsigned i = 0; i < 20 && gone < CROWD / 2; i++, gone++) {
            char client[32];
            snprintf(client, sizeof client, "client-%u", 2 * gone); /* those of even numbers go */
            clear_member(node, channel, client);
            set_numbered(node, channel, CROWD + gone);
        }
        wait_joined(node, channel, CROWD + gone);
    } while (cursor != 0);
    for (unsigned i = 1; i < CROWD; i += 2) {
        assert_true(n_told[i] >= 1);
    }
}

static void a_few_members_are_one_page(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "few", &node->bench->plain);
    set_member(node, channel, &ada);
    set_member(node, channel, &bob);
    wait_members(node, channel, 2);
    struct op *op = read_members_page(node, channel, 0, 10);
    assert_int_equal(op->n, 2);
    assert_true(op->presence.next == 0);
    op = read_members_page(node, new_channel(node, "nobody"), 0, 10);
    assert_int_equal(op->n, 0);
    assert_true(op->presence.next == 0);
}

static void the_info_of_a_member_is_bytes(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "bytes", &node->bench->plain);
    static const char bytes[] = "\x00\xff{\"}\r\n\x00";
    struct member_input input = ada;
    input.conn_info = span_of(bytes, sizeof bytes);
    set_member(node, channel, &input);
    wait_members(node, channel, 1);
    const struct record *member = find_member(read_members(node, channel), "client-a");
    assert_true(span_equal(info_of(&member->info).conn_info, span_of(bytes, sizeof bytes)));
}

static void members_and_history_do_not_touch_each_other(void **state) {
    struct node *node = bench_node(state);
    struct span channel = held_channel(node, "both", &node->bench->history);
    set_member(node, channel, &ada);
    append_text(node, channel, "{}");
    remove_history(node, channel, &node->bench->history);
    wait_members(node, channel, 1);
    clear_member(node, channel, "client-a");
    wait_members(node, channel, 0);
    assert_int_equal(append_text(node, channel, "{}")->append.position.offset, 2);
}

/* ---- leases ---- */

/* A gateway's id that is new in the store. */
static const char *new_gateway(struct node *node, const char *name) {
    struct buffer *text = &node->bench->names[node->bench->n_names];
    new_channel(node, name);
    buffer_append_u8(text, 0);
    return (const char *) text->data;
}

static void leases_are_told_soon_after_the_start(void **state) {
    struct node *node = bench_node(state);
    wait_for(node, node->n_lease_calls > 0);
}

static void leases_are_told_again_and_again(void **state) {
    struct node *node = bench_node(state);
    wait_for(node, node->n_lease_calls >= 3);
}

static void a_renewed_lease_is_told_with_its_figures(void **state) {
    struct node *node = bench_node(state);
    const char *gateway = new_gateway(node, "gateway");
    renew_lease(node, gateway, 4711, 42);
    wait_for(node, find_lease(node, gateway) != NULL);
    const struct engine_lease *lease = find_lease(node, gateway);
    assert_true(lease->number != 0);
    assert_true(lease->boot_nonce == 4711);
    assert_int_equal(lease->connections, 42);
    assert_int_equal(lease->users, 2);
    assert_int_equal(lease->alive, 3);
    assert_int_equal(lease->dead, 1);
}

static void renewing_a_lease_keeps_its_number_and_takes_the_new_figures(void **state) {
    struct node *node = bench_node(state);
    const char *gateway = new_gateway(node, "gateway");
    renew_lease(node, gateway, 1, 10);
    wait_for(node, find_lease(node, gateway) != NULL);
    uint64_t number = find_lease(node, gateway)->number;
    renew_lease(node, gateway, 1, 11);
    wait_for(node, find_lease(node, gateway)->connections == 11);
    assert_true(find_lease(node, gateway)->number == number);
}

static void a_gateway_that_started_anew_has_a_new_number(void **state) {
    struct node *node = bench_node(state);
    const char *gateway = new_gateway(node, "gateway");
    renew_lease(node, gateway, 1, 10);
    wait_for(node, find_lease(node, gateway) != NULL);
    uint64_t number = find_lease(node, gateway)->number;
    renew_lease(node, gateway, 2, 10);
    wait_for(node, find_lease(node, gateway)->boot_nonce == 2);
    assert_true(find_lease(node, gateway)->number != number);
}

static void each_gateway_has_a_lease_of_its_own(void **state) {
    struct node *node = bench_node(state);
    const char *one = new_gateway(node, "one");
    const char *two = new_gateway(node, "two");
    renew_lease(node, one, 1, 10);
    renew_lease(node, two, 1, 20);
    wait_for(node, find_lease(node, one) != NULL && find_lease(node, two) != NULL);
    assert_true(find_lease(node, one)->number != find_lease(node, two)->number);
}

static void a_lease_that_is_not_renewed_lapses_and_comes_back_under_a_new_number(void **state) {
    struct node *node = bench_node(state);
    const char *gateway = new_gateway(node, "gateway");
    renew_lease(node, gateway, 1, 10);
    wait_for(node, find_lease(node, gateway) != NULL);
    uint64_t number = find_lease(node, gateway)->number;
    wait_for(node, find_lease(node, gateway) == NULL);
    renew_lease(node, gateway, 1, 10);
    wait_for(node, find_lease(node, gateway) != NULL);
    assert_true(find_lease(node, gateway)->number != number);
}

static void a_renewed_lease_outlives_four_seconds(void **state) {
    struct node *node = bench_node(state);
    const char *gateway = new_gateway(node, "gateway");
    renew_lease(node, gateway, 1, 10);
    wait_for(node, find_lease(node, gateway) != NULL);
    uint64_t number = find_lease(node, gateway)->number;
    for (int i = 0; i < 12; i++) {
        bench_pass(node->bench, 500);
        renew_lease(node, gateway, 1, 10);
        assert_non_null(find_lease(node, gateway));
    }
    assert_true(find_lease(node, gateway)->number == number);
}

struct specs presence_specs(void) {
    static const struct CMUnitTest tests[] = {
        spec(a_member_is_read_back_with_its_info_gateway_and_lease),
        spec(a_channel_without_members_reads_as_empty),
        spec(a_new_member_is_told_as_joined),
        spec(a_member_set_again_is_not_told_again),
        spec(setting_a_member_again_renews_its_info_and_lease),
        spec(a_member_set_under_an_older_lease_keeps_the_newer),
        spec(a_cleared_member_is_told_as_left_and_gone),
        spec(a_member_cleared_of_one_lease_stays_under_another),
        spec(clearing_who_is_not_there_is_not_told),
        spec(a_member_that_comes_again_is_told_again),
        spec(a_silent_member_is_there_and_not_told),
        spec(a_silent_member_is_told_when_it_leaves),
        spec(channels_have_members_of_their_own),
        spec(presence_is_told_in_order_with_the_publications),
        spec(many_members_are_all_read),
        spec(a_crowd_is_read_page_by_page),
        spec(who_stays_is_told_though_others_come_and_go_between_the_pages),
        spec(a_few_members_are_one_page),
        spec(the_info_of_a_member_is_bytes),
        spec(members_and_history_do_not_touch_each_other),
        spec(leases_are_told_soon_after_the_start),
        spec(leases_are_told_again_and_again),
        spec(a_renewed_lease_is_told_with_its_figures),
        spec(renewing_a_lease_keeps_its_number_and_takes_the_new_figures),
        spec(a_gateway_that_started_anew_has_a_new_number),
        spec(each_gateway_has_a_lease_of_its_own),
        spec(a_lease_that_is_not_renewed_lapses_and_comes_back_under_a_new_number),
        spec(a_renewed_lease_outlives_four_seconds),
    };
    return (struct specs){tests, sizeof tests / sizeof *tests};
}
