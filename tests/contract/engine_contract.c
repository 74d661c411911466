/* The bench of the engine contract: see engine_contract.h. */
#include "tests/contract/engine_contract.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"

#include <stdio.h>

/* ---- bytes that vanish when the call returned ---- */

struct passing {
    uint8_t *bytes[8];
    size_t sizes[8];
    size_t n;
};

static struct span pass(struct passing *self, struct span bytes) {
    if (bytes.size == 0) {
        return SPAN_EMPTY;
    }
    uint8_t *copy = memory_alloc(bytes.size);
    memcpy(copy, bytes.data, bytes.size);
    self->bytes[self->n] = copy;
    self->sizes[self->n++] = bytes.size;
    return span_of(copy, bytes.size);
}

static void vanish(struct passing *self) {
    for (size_t i = 0; i < self->n; i++) {
        memset(self->bytes[i], 0xA5, self->sizes[i]);
        memory_free(self->bytes[i]);
    }
}

/* ---- what the engine tells ---- */

static void note_call_up(struct node *node) {
    node->n_calls_inside += node->in_call;
    node->n_calls_late += node->is_closed;
}

static struct record *add_record(struct node *node, enum record_kind kind) {
    note_call_up(node);
    node->records = memory_realloc(node->records, (node->n_records + 1) * sizeof *node->records);
    struct record *record = &node->records[node->n_records++];
    *record = (struct record){.kind = kind};
    return record;
}

static void on_publication(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication) {
    struct record *record = add_record(context, RECORD_PUBLICATION);
    buffer_append_span(&record->channel, channel);
    record->epoch = *epoch;
    record->offset = offset;
    record->publication = payload_ref(publication);
}

static void fill_member(struct record *record, const struct engine_presence_entry *entry) {
    buffer_append_span(&record->info, entry->info);
    buffer_append_span(&record->gateway_id, entry->gateway_id);
    record->lease_number = entry->lease_number;
}

static void on_presence(void *context, struct span channel, bool joined, const struct engine_presence_entry *entry) {
    struct record *record = add_record(context, joined ? RECORD_JOINED : RECORD_LEFT);
    buffer_append_span(&record->channel, channel);
    fill_member(record, entry);
}

static void on_removed(void *context, struct span channel, const struct position *top) {
    struct record *record = add_record(context, RECORD_REMOVED);
    buffer_append_span(&record->channel, channel);
    record->epoch = top->epoch;
    record->offset = top->offset;
}

static void on_lease_freed(void *context, struct span name) {
    buffer_append_span(&add_record(context, RECORD_FREED)->channel, name);
}

static void on_doubt(void *context, struct span channel) {
    (void) channel;
    note_call_up(context);
}

static void on_partition_doubt(void *context, uint32_t partition) {
    (void) partition;
    note_call_up(context);
}

static void on_leases(void *context, const struct engine_lease *leases, size_t n_leases) {
    struct node *node = context;
    note_call_up(node);
    node->n_lease_calls++;
    node->n_leases = 0;
    for (size_t i = 0; i < n_leases && i < sizeof node->leases / sizeof *node->leases; i++) {
        struct seen_lease *seen = &node->leases[node->n_leases++];
        seen->lease = leases[i];
        snprintf(seen->gateway_id, sizeof seen->gateway_id, "%.*s", (int) leases[i].gateway_id.size,
                 (const char *) leases[i].gateway_id.data);
        seen->lease.gateway_id = SPAN_EMPTY;
    }
}

static void on_state(void *context, bool connected, bool pubsub_connected, const char *reason) {
    struct node *node = context;
    note_call_up(node);
    node->n_states++;
    node->said_connected = connected && pubsub_connected && reason != NULL;
}

static const struct engine_events events = {
    .on_publication = on_publication,
    .on_presence = on_presence,
    .on_doubt = on_doubt,
    .on_partition_doubt = on_partition_doubt,
    .on_leases = on_leases,
    .on_state = on_state,
    .on_removed = on_removed,
    .on_lease_freed = on_lease_freed,
};

static void finish_op(struct op *op, enum engine_outcome outcome) {
    op->outcome = outcome;
    op->n_done++;
    op->done_at = op->node->n_records;
    add_record(op->node, RECORD_DONE)->op = op;
}

static void on_append_done(struct engine_append *request, enum engine_outcome outcome) {
    finish_op(list_entry(request, struct op, append), outcome);
}

static void on_remove_done(struct engine_remove *request, enum engine_outcome outcome) {
    finish_op(list_entry(request, struct op, remove), outcome);
}

static void on_read_done(struct engine_read *request, enum engine_outcome outcome) {
    struct op *op = list_entry(request, struct op, read);
    if (outcome == ENGINE_OK && op->n_done == 0) {
        op->n = request->n_publications;
        op->publications = memory_alloc_array(op->n + 1, sizeof *op->publications);
        for (uint32_t i = 0; i < op->n; i++) {
            op->publications[i] = payload_ref(request->publications[i]);
        }
    }
    finish_op(op, outcome);
}

static void on_members_done(struct engine_presence_read *request, enum engine_outcome outcome) {
    struct op *op = list_entry(request, struct op, presence);
    if (outcome == ENGINE_OK && op->n_done == 0) {
        op->n = request->n_entries;
        op->members = memory_alloc_array(op->n + 1, sizeof *op->members);
        for (uint32_t i = 0; i < op->n; i++) {
            fill_member(&op->members[i], &request->entries[i]);
        }
    }
    finish_op(op, outcome);
}

static void on_service_done(struct engine_service *request, enum engine_outcome outcome) {
    struct op *op = list_entry(request, struct op, service);
    if (outcome == ENGINE_OK && op->n_done == 0) {
        buffer_append_span(&op->content, request->content);
    }
    finish_op(op, outcome);
}

/* ---- waiting ---- */

static void on_timer(uv_timer_t *timer) {
    ((struct bench *) timer->data)->timer_fired = true;
}

static void set_timer(struct bench *bench, uint64_t ms) {
    bench->timer_fired = false;
    uv_update_time(&bench->loop);
    uv_timer_start(&bench->timer, on_timer, ms, 0);
}

void bench_begin_wait(struct bench *bench) {
    set_timer(bench, BENCH_PATIENCE_MS);
}

void bench_turn(struct bench *bench, const char *awaited) {
    if (bench->timer_fired) {
        fail_msg("waited %d ms in vain for: %s", BENCH_PATIENCE_MS, awaited);
    }
    uv_run(&bench->loop, UV_RUN_ONCE);
}

void bench_pass(struct bench *bench, uint64_t ms) {
    set_timer(bench, ms);
    while (!bench->timer_fired) {
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
}

/* ---- asking ---- */

static struct op *new_op(struct node *node) {
    struct op *op = memory_alloc_zero(sizeof *op);
    op->node = node;
    list_push_back(&node->bench->ops, &op->link);
    return op;
}

static uint64_t deadline(void) {
    return clock_monotonic_ms() + BENCH_PATIENCE_MS;
}

struct op *start_append(struct node *node, struct span channel, const struct append_input *input) {
    struct op *op = new_op(node);
    struct passing passing = {.n = 0};
    op->append = (struct engine_append){
        .channel = pass(&passing, channel),
        .options = input->options == NULL ? &node->bench->history : input->options,
        .key = pass(&passing, input->key),
        .data = pass(&passing, input->data),
        .info = pass(&passing, input->info),
        .tags = pass(&passing, input->tags),
        .skip_history = input->skip_history,
        .version = input->version,
        .version_epoch = pass(&passing, input->version_epoch),
        .deadline_ms = deadline(),
        .on_done = on_append_done,
    };
    node->in_call = true;
    engine_append(node->engine, &op->append);
    node->in_call = false;
    vanish(&passing);
    return op;
}

struct op *append_input(struct node *node, struct span channel, const struct append_input *input) {
    struct op *op = start_append(node, channel, input);
    wait_for(node, op->n_done > 0);
    return op;
}

struct op *append_text(struct node *node, struct span channel, const char *text) {
    return append_input(node, channel, &(struct append_input){.data = span_of_text(text)});
}

void append_many(struct node *node, struct span channel, const struct namespace_options *options, unsigned n) {
    struct op *last = NULL;
    for (unsigned i = 0; i < n; i++) {
        last = start_append(node, channel, &(struct append_input){.options = options, .data = span_of_text("{}")});
    }
    wait_for(node, last->n_done > 0);
    assert_outcome(last, ENGINE_OK);
}

struct op *start_read(struct node *node, struct span channel, const struct read_input *input) {
    struct op *op = new_op(node);
    struct passing passing = {.n = 0};
    op->read = (struct engine_read){
        .channel = pass(&passing, channel),
        .options = input->options == NULL ? &node->bench->history : input->options,
        .has_since = input->has_since,
        .since = input->since,
        .reverse = input->reverse,
        .limit = input->limit,
        .bytes_limit = input->bytes_limit,
        .deadline_ms = deadline(),
        .on_done = on_read_done,
    };
    node->in_call = true;
    engine_read(node->engine, &op->read);
    node->in_call = false;
    vanish(&passing);
    return op;
}

struct op *read_input(struct node *node, struct span channel, const struct read_input *input) {
    struct op *op = start_read(node, channel, input);
    wait_for(node, op->n_done > 0);
    assert_outcome(op, ENGINE_OK);
    return op;
}

struct op *start_remove(struct node *node, struct span channel, const struct namespace_options *options) {
    struct op *op = new_op(node);
    struct passing passing = {.n = 0};
    op->remove = (struct engine_remove){
        .channel = pass(&passing, channel), .options = options, .deadline_ms = deadline(), .on_done = on_remove_done};
    node->in_call = true;
    node->engine->methods->remove_history(node->engine, &op->remove);
    node->in_call = false;
    vanish(&passing);
    return op;
}

struct op *remove_history(struct node *node, struct span channel, const struct namespace_options *options) {
    struct op *op = start_remove(node, channel, options);
    wait_for(node, op->n_done > 0);
    assert_outcome(op, ENGINE_OK);
    return op;
}

struct op *start_serve(struct node *node, struct span name, const struct engine_service *model) {
    struct op *op = new_op(node);
    struct passing passing = {.n = 0};
    char nonce[17];
    random_base62(nonce, 16);
    op->service = *model;
    op->service.name = pass(&passing, name);
    op->service.nonce = pass(&passing, model->nonce.size == 0 ? span_of_text(nonce) : model->nonce);
    op->service.value = pass(&passing, model->value);
    op->service.deadline_ms = deadline();
    op->service.on_done = on_service_done;
    node->in_call = true;
    node->engine->methods->serve(node->engine, &op->service);
    node->in_call = false;
    vanish(&passing);
    return op;
}

struct op *serve(struct node *node, struct span name, const struct engine_service *model) {
    struct op *op = start_serve(node, name, model);
    wait_for(node, op->n_done > 0);
    assert_outcome(op, ENGINE_OK);
    return op;
}

struct op *start_members(struct node *node, struct span channel, uint64_t cursor, uint32_t limit) {
    struct op *op = new_op(node);
    struct passing passing = {.n = 0};
    op->presence = (struct engine_presence_read){.channel = pass(&passing, channel),
                                                 .cursor = cursor,
                                                 .limit = limit,
                                                 .deadline_ms = deadline(),
                                                 .on_done = on_members_done};
    node->in_call = true;
    node->engine->methods->presence_read(node->engine, &op->presence);
    node->in_call = false;
    vanish(&passing);
    return op;
}

struct op *read_members_page(struct node *node, struct span channel, uint64_t cursor, uint32_t limit) {
    struct op *op = start_members(node, channel, cursor, limit);
    wait_for(node, op->n_done > 0);
    assert_outcome(op, ENGINE_OK);
    return op;
}

struct op *read_members(struct node *node, struct span channel) {
    struct op *op = read_members_page(node, channel, 0, 0);
    assert_true(op->presence.next == 0);
    return op;
}

void set_member(struct node *node, struct span channel, const struct member_input *input) {
    struct passing passing = {.n = 0};
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.user = span_of_text(input->user),
                                                              .client = span_of_text(input->client),
                                                              .conn_info = input->conn_info});
    const struct engine_presence_entry entry = {.info = pass(&passing, buffer_span(&info)),
                                                .gateway_id = pass(&passing, span_of_text(input->gateway)),
                                                .lease_number = input->lease};
    node->in_call = true;
    node->engine->methods->presence_set(node->engine, pass(&passing, channel), &entry, input->silent);
    node->in_call = false;
    vanish(&passing);
    buffer_finish(&info);
}

void clear_member(struct node *node, struct span channel, const char *client) {
    struct passing passing = {.n = 0};
    node->in_call = true;
    node->engine->methods->presence_clear(node->engine, pass(&passing, channel), pass(&passing, span_of_text(client)),
                                          NULL);
    node->in_call = false;
    vanish(&passing);
}

void clear_member_of(struct node *node, struct span channel, const char *client, const char *gateway, uint64_t lease) {
    struct passing passing = {.n = 0};
    const struct engine_presence_owner owner = {pass(&passing, span_of_text(gateway)), lease};
    node->in_call = true;
    node->engine->methods->presence_clear(node->engine, pass(&passing, channel), pass(&passing, span_of_text(client)),
                                          &owner);
    node->in_call = false;
    vanish(&passing);
}

void renew_lease(struct node *node, const char *gateway, uint64_t boot_nonce, uint32_t connections) {
    struct passing passing = {.n = 0};
    const struct engine_lease lease = {.gateway_id = pass(&passing, span_of_text(gateway)),
                                       .boot_nonce = boot_nonce,
                                       .connections = connections,
                                       .users = 2,
                                       .alive = 3,
                                       .dead = 1};
    node->in_call = true;
    node->engine->methods->lease_renew(node->engine, &lease);
    node->in_call = false;
    vanish(&passing);
}

const struct engine_lease *find_lease(const struct node *node, const char *gateway) {
    for (size_t i = 0; i < node->n_leases; i++) {
        if (strcmp(node->leases[i].gateway_id, gateway) == 0) {
            return &node->leases[i].lease;
        }
    }
    return NULL;
}

void node_hold(struct node *node, struct span channel, const struct namespace_options *options) {
    struct passing passing = {.n = 0};
    node->in_call = true;
    node->engine->methods->hold(node->engine, pass(&passing, channel), options);
    node->in_call = false;
    vanish(&passing);
}

void node_release(struct node *node, struct span channel) {
    struct passing passing = {.n = 0};
    node->in_call = true;
    node->engine->methods->release(node->engine, pass(&passing, channel));
    node->in_call = false;
    vanish(&passing);
}

void hold_and_join(struct node *node, struct span channel, const struct namespace_options *options) {
    node_hold(node, channel, options);
    wait_for(node, node->engine->methods->is_sure(node->engine, channel));
}

struct span new_channel_of(struct node *node, struct span bytes) {
    struct bench *bench = node->bench;
    assert_true(bench->n_names < sizeof bench->names / sizeof *bench->names);
    struct buffer *name = &bench->names[bench->n_names++];
    buffer_append_text(name, bench->prefix);
    buffer_append_span(name, bytes);
    return buffer_span(name);
}

struct span new_channel(struct node *node, const char *text) {
    return new_channel_of(node, span_of_text(text));
}

struct span held_channel(struct node *node, const char *text, const struct namespace_options *options) {
    struct span channel = new_channel(node, text);
    hold_and_join(node, channel, options);
    return channel;
}

/* ---- looking ---- */

static bool is_about(const struct record *record, enum record_kind kind, struct span channel) {
    return record->kind == kind && span_equal(buffer_span(&record->channel), channel);
}

size_t count_records(const struct node *node, enum record_kind kind, struct span channel) {
    size_t n = 0;
    for (size_t i = 0; i < node->n_records; i++) {
        n += is_about(&node->records[i], kind, channel);
    }
    return n;
}

const struct record *nth_record(const struct node *node, enum record_kind kind, struct span channel, size_t nth) {
    size_t n = 0;
    for (size_t i = 0; i < node->n_records; i++) {
        if (is_about(&node->records[i], kind, channel) && n++ == nth) {
            return &node->records[i];
        }
    }
    fail_msg("there is no record %zu of that kind", nth);
    return NULL;
}

struct wire_publication publication_of(const payload_t *encoded) {
    struct wire_publication publication;
    struct cursor cursor = cursor_of(payload_span(encoded));
    assert_true(wire_read_publication(&cursor, &publication));
    assert_true(cursor_is_done(&cursor));
    return publication;
}

struct wire_client_info info_of(const struct buffer *info) {
    struct wire_client_info decoded;
    assert_true(wire_read_client_info(buffer_span(info), &decoded));
    return decoded;
}

void assert_no_publications(const struct op *op) {
    assert_int_equal(op->n, 0);
}

void assert_offsets(const struct op *op, uint64_t first, uint64_t last) {
    uint64_t n = last >= first ? last - first + 1 : first - last + 1;
    assert_int_equal(op->n, n);
    for (uint32_t i = 0; i < op->n; i++) {
        uint64_t expected = last >= first ? first + i : first - i;
        assert_int_equal(publication_of(op->publications[i]).offset, expected);
    }
}

/* ---- life ---- */

static void on_prepare(uv_prepare_t *prepare) {
    struct bench *bench = prepare->data;
    for (size_t i = 0; i < BENCH_NODES; i++) {
        struct node *node = &bench->nodes[i];
        if (node->engine != NULL && !node->is_closed) {
            node->in_call = true;
            node->engine->methods->flush(node->engine);
            node->in_call = false;
        }
    }
}

static void node_start(struct bench *bench, size_t i) {
    struct node *node = &bench->nodes[i];
    static const char *const broker_ids[BENCH_NODES] = {"broker-0", "broker-1"};
    const struct engine_options options = {.loop = &bench->loop,
                                           .shard = 0,
                                           .n_shards = 1,
                                           .n_partitions = 64,
                                           .broker_id = broker_ids[i],
                                           .boot_nonce = random_u64(),
                                           .metrics = bench->metrics,
                                           .namespaces = bench->namespaces,
                                           .events = &events,
                                           .context = node};
    const struct engine_wishes wishes = {.key_ttl_ms = KEY_TTL_MS};
    node->bench = bench;
    node->in_call = true;
    node->engine = bench->suite->factory->new_engine(bench->suite->store, &options, &wishes);
    node->in_call = false;
    assert_non_null(node->engine);
}

struct node *bench_second(struct node *first) {
    node_start(first->bench, 1);
    return &first->bench->nodes[1];
}

static void on_engine_closed(void *context) {
    ((struct node *) context)->is_closed = true;
}

void node_close(struct node *node) {
    engine_t *engine = node->engine;
    node->engine = NULL;
    node->in_call = true;
    engine->methods->close(engine, on_engine_closed, node);
    node->in_call = false;
    assert_false(node->is_closed);
    wait_for(node, node->is_closed);
}

static void finish_record(struct record *record) {
    payload_unref(&record->publication);
    buffer_finish(&record->channel);
    buffer_finish(&record->info);
    buffer_finish(&record->gateway_id);
}

static void finish_node(struct node *node) {
    for (size_t i = 0; i < node->n_records; i++) {
        finish_record(&node->records[i]);
    }
    memory_free(node->records);
}

static void free_op(struct op *op) {
    for (uint32_t i = 0; i < op->n; i++) {
        if (op->publications != NULL) {
            payload_unref(&op->publications[i]);
        }
        if (op->members != NULL) {
            finish_record(&op->members[i]);
        }
    }
    memory_free(op->publications);
    memory_free(op->members);
    buffer_finish(&op->content);
    list_remove(&op->link);
    memory_free(op);
}

static void init_options(struct bench *bench) {
    const int64_t meta_ttl_ms = (int64_t) 24 * 3600 * 1000;
    bench->plain = (struct namespace_options){.name = bench->no_name, .history_meta_ttl_ms = meta_ttl_ms};
    bench->history = (struct namespace_options){
        .name = bench->no_name, .history_size = 1000, .history_ttl_ms = 600000, .history_meta_ttl_ms = meta_ttl_ms};
    bench->short_history = bench->history;
    bench->short_history.history_size = 5;
    bench->brief = bench->history;
    bench->brief.history_ttl_ms = 1000;
    bench->brief.history_meta_ttl_ms = 2000;
    bench->binary = bench->history;
    bench->binary.publication_data_format = PUBLICATION_BINARY;
}

int bench_setup(void **state) {
    struct bench *bench = memory_alloc_zero(sizeof *bench);
    bench->suite = *state;
    *state = bench;
    random_base62(bench->prefix, 10);
    strcat(bench->prefix, ".");
    list_init(&bench->ops);
    init_options(bench);
    uv_loop_init(&bench->loop);
    uv_prepare_init(&bench->loop, &bench->prepare);
    uv_timer_init(&bench->loop, &bench->timer);
    bench->prepare.data = bench;
    bench->timer.data = bench;
    uv_prepare_start(&bench->prepare, on_prepare);
    bench->metrics = metrics_new();
    bench->namespaces = namespace_set_new(&(struct config_section_list){.items = &bench->history, .n = 1});
    node_start(bench, 0);
    return 0;
}

int bench_teardown(void **state) {
    struct bench *bench = *state;
    for (size_t i = 0; i < BENCH_NODES; i++) {
        if (bench->nodes[i].engine != NULL) {
            node_close(&bench->nodes[i]);
        }
    }
    uv_close((uv_handle_t *) &bench->prepare, NULL);
    uv_close((uv_handle_t *) &bench->timer, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
    list_for_each_safe (link, &bench->ops) {
        struct op *op = list_entry(link, struct op, link);
        assert_int_equal(op->n_done, 1);
        free_op(op);
    }
    for (size_t i = 0; i < BENCH_NODES; i++) {
        assert_int_equal(bench->nodes[i].n_calls_inside, 0);
        assert_int_equal(bench->nodes[i].n_calls_late, 0);
        finish_node(&bench->nodes[i]);
    }
    for (size_t i = 0; i < bench->n_names; i++) {
        buffer_finish(&bench->names[i]);
    }
    namespace_set_destroy(&bench->namespaces);
    metrics_destroy(&bench->metrics);
    memory_free(bench);
    return 0;
}

/* ---- the run ---- */

static size_t add_specs(struct CMUnitTest *tests, size_t n, struct specs specs, struct suite *suite) {
    for (size_t i = 0; i < specs.n; i++) {
        tests[n] = specs.tests[i];
        tests[n++].initial_state = suite;
    }
    return n;
}

int engine_contract_run(const struct engine_factory *factory) {
    struct suite suite = {.factory = factory, .store = factory->start == NULL ? NULL : factory->start()};
    struct specs (*const files[])(void) = {append_specs,   key_specs,  version_specs, read_specs,
                                           presence_specs, life_specs, service_specs};
    struct CMUnitTest tests[256];
    size_t n = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        n = add_specs(tests, n, files[i](), &suite);
    }
    if (factory->has_shared_store) {
        n = add_specs(tests, n, shared_specs(), &suite);
        n = add_specs(tests, n, shared_service_specs(), &suite);
    }
    int n_failed = _cmocka_run_group_tests(factory->name, tests, n, NULL, NULL);
    if (factory->stop != NULL) {
        factory->stop(suite.store);
    }
    return n_failed;
}
