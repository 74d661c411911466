/* Any bytes as a server's answers to the survey: facts are taken from whatever they are, each check still yields one
 * finding, and what is told of them is JSON. The first byte says which question the first answer belongs to. */
#include "base/check.h"
#include "base/json_scan.h"
#include "broker/redis/survey/redis_settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 1 << 20, ELEMENTS_MAX = 10000, QUESTIONS = 8 };

static void take(struct redis_facts *facts, unsigned question, const struct redis_reply *reply) {
    switch (question % QUESTIONS) {
    case 0:
        redis_facts_take_time(facts, reply, 1700000000000, 1000);
        break;
    case 1:
        redis_facts_take_role(facts, reply);
        break;
    case 2:
        redis_facts_take_info(facts, reply);
        break;
    case 3:
        redis_facts_take_sharded(facts, reply);
        break;
    case 4:
        redis_facts_take_partitions(facts, reply);
        break;
    case 5:
        redis_facts_take_cluster(facts, reply);
        break;
    case 6:
        redis_facts_take_slowlog(facts, reply, 1700000000);
        break;
    default:
        redis_facts_take_config(facts, reply);
        break;
    }
}

static void judge(const struct redis_facts *facts, uint8_t bits) {
    const struct redis_setup setup = {.where = "here",
                                      .is_replicated = (bits & 1) != 0,
                                      .is_cluster = (bits & 2) != 0,
                                      .is_replica = (bits & 4) != 0,
                                      .keeps_history = (bits & 8) != 0,
                                      .has_safe = (bits & 16) != 0,
                                      .confirms_by_disk = (bits & 32) != 0,
                                      .confirm_replicas = 1,
                                      .n_partitions = 256,
                                      .n_links = 12,
                                      .message_bytes = 2 << 20,
                                      .patience_ms = 2000};
    struct findings findings = FINDINGS_EMPTY;
    struct buffer json = BUFFER_EMPTY;
    struct json_value list;
    const struct json_limits limits = JSON_LIMITS_PAYLOAD;
    redis_settings_judge(facts, &setup, &findings);
    check(findings.n == REDIS_CHECKS_COUNT, "%zu findings", findings.n);
    findings_append_json(&findings, FINDING_FINE, &json);
    check(json_scan(buffer_span(&json), &limits, &list, NULL) == JSON_OK, "no JSON");
    buffer_finish(&json);
    findings_finish(&findings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    const struct redis_reply_limits limits = {.bytes = BYTES_MAX, .elements = ELEMENTS_MAX};
    redis_reader_t *reader = redis_reader_new(&limits);
    struct redis_facts facts = {.info_is_known = false};
    unsigned question = data[0];
    if (redis_reader_feed(reader, span_of(data + 1, size - 1))) {
        const struct redis_reply *reply = NULL;
        while (redis_reader_next(reader, &reply) == REDIS_READ_REPLY) {
            take(&facts, question++, reply);
        }
    }
    check(facts.n_replica_addresses <= REDIS_FACTS_REPLICAS_MAX, "too many replicas");
    judge(&facts, data[0]);
    redis_reader_destroy(&reader);
    return 0;
}
