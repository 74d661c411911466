/* base/clock.h, base/random.h and base/log.h in the simulation: virtual time, the seed's randomness, and lines only
 * where a schedule is traced. Each function of the real modules is here, so that none of theirs is linked. */
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "tests/simulation/sim_process.h"

#include <stdio.h>
#include <string.h>

/* ---- clocks ---- */

uint64_t clock_monotonic_us(void) {
    return sim_now_us();
}

uint64_t clock_monotonic_ms(void) {
    return sim_now_us() / MS;
}

int64_t clock_wall_ms(void) {
    const struct sim_process *process = sim_process_current();
    return (int64_t) (1700000000000U + sim_now_us() / MS + (process == NULL ? 0 : process->clock_ahead_ms));
}

void clock_replace(uint64_t (*monotonic_us)(void), int64_t (*wall_ms)(void)) {
    (void) monotonic_us;
    (void) wall_ms;
}

/* ---- randomness ---- */

void random_bytes(void *ret_bytes, size_t size) {
    unsigned char *at = ret_bytes;
    while (size > 0) {
        uint64_t value = sim_random();
        size_t n = size < sizeof value ? size : sizeof value;
        memcpy(at, &value, n);
        at += n;
        size -= n;
    }
}

uint64_t random_u64(void) {
    return sim_random();
}

uint32_t random_below(uint32_t bound) {
    return (uint32_t) sim_below(bound);
}

void random_base62(char *ret_text, size_t length) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t pool = 0;
    for (size_t i = 0; i < length; i++) {
        pool = i % 8 == 0 ? sim_random() : pool / 62;
        ret_text[i] = digits[pool % 62];
    }
    ret_text[length] = '\0';
}

void random_uuid(char ret_text[37]) {
    random_base62(ret_text, 36);
}

/* ---- log ---- */

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n_fields) {
    (void) level;
    if (!sim_traces()) {
        return;
    }
    char text[512];
    size_t size = 0;
    for (size_t i = 0; i < n_fields && size < sizeof text; i++) {
        const struct log_field *field = &fields[i];
        size_t room = sizeof text - size;
        int n = 0;
        switch (field->type) {
        case LOG_FIELD_TEXT:
            n = snprintf(text + size, room, " %s=%s", field->name, field->value.text);
            break;
        case LOG_FIELD_SPAN:
            n = snprintf(text + size, room, " %s=%.*s", field->name, (int) field->value.span.size,
                         (const char *) field->value.span.data);
            break;
        case LOG_FIELD_U64:
            n = snprintf(text + size, room, " %s=%llu", field->name, (unsigned long long) field->value.u64);
            break;
        case LOG_FIELD_I64:
            n = snprintf(text + size, room, " %s=%lld", field->name, (long long) field->value.i64);
            break;
        case LOG_FIELD_BOOL:
            n = snprintf(text + size, room, " %s=%d", field->name, field->value.boolean);
            break;
        case LOG_FIELD_NONE:
            break;
        }
        size += n < 0 ? 0 : (size_t) n;
    }
    text[size < sizeof text ? size : sizeof text - 1] = '\0';
    const struct sim_process *process = sim_process_current();
    sim_trace_line(process == NULL ? "-" : process->name, "log %s%s", event, text);
}

void log_set_level(enum log_level level) {
    (void) level;
}

bool log_level_parse(struct span text, enum log_level *ret_level) {
    (void) text;
    (void) ret_level;
    return false;
}

void log_set_rate(unsigned lines_per_second) {
    (void) lines_per_second;
}

void log_report_suppressed(void) {}

void log_set_context(const char *name, const char *value) {
    (void) name;
    (void) value;
}

void log_set_sink(void (*sink)(void *context, struct span line), void *context) {
    (void) sink;
    (void) context;
}

uint64_t log_lost_total(void) {
    return 0;
}

uint64_t log_suppressed_total(void) {
    return 0;
}
