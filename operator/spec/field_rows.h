/* How the tables of fields_*.c are written. Thread: any (macros). */
#ifndef CALLBOARD_OPERATOR_SPEC_FIELD_ROWS_H
#define CALLBOARD_OPERATOR_SPEC_FIELD_ROWS_H

#include "operator/spec/spec_table.h"

#define FIELD(field_path, field_type, member, ...)                                                                     \
    { .path = (field_path), .type = (field_type), .offset = offsetof(struct spec, member), __VA_ARGS__ }
#define ITEM(item_struct, field_path, field_type, member, ...)                                                         \
    { .path = (field_path), .type = (field_type), .offset = offsetof(struct item_struct, member), __VA_ARGS__ }
#define FIELDS_OF(array) .fields = (array), .n = sizeof(array) / sizeof((array)[0])

#define RANGE(from, to)                                .minimum = (from), .maximum = (to)
#define DEFAULT(text)                                  .by_default = (text)
#define CHOICES(words)                                 .choices = (words)
#define FORMAT(name)                                   .format = SPEC_FORMAT_##name
#define EFFECT(name)                                   .effect = SPEC_EFFECT_##name
#define HELP(text)                                     .help = (text)
#define CHANGES(text)                                  .changes = (text)
#define DERIVED(text)                                  .derived = (text)
#define PROFILES(dev, small, ha, cluster, elasticache) .by_profile = {dev, small, ha, cluster, elasticache}

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

/* requests and limits of a container; `dev`… are "cpu" and "memory" of the profiles. */
#define RESOURCES(prefix, member, what, cpus, memories)                                                                \
    FIELD(prefix ".requests.cpu", SPEC_CPU, member.requests_cpu, RANGE(0, 256000), cpus, EFFECT(ROLLS),                \
          HELP("CPU that " what " is sure of. 0: none asked for."),                                                    \
          CHANGES("resources.requests.cpu of its container")),                                                         \
        FIELD(prefix ".requests.memory", SPEC_MEMORY, member.requests_memory, RANGE(32 * MIB, 4096 * GIB), memories,   \
              EFFECT(ROLLS), HELP("Memory that " what " is sure of."),                                                 \
              CHANGES("resources.requests.memory of its container")),                                                  \
        FIELD(prefix ".limits.cpu", SPEC_CPU, member.limits_cpu, RANGE(0, 256000), DEFAULT("0"), EFFECT(ROLLS),        \
              HELP("CPU that " what " is held to. 0: no limit, so that a burst is not throttled."),                    \
              CHANGES("resources.limits.cpu of its container")),                                                       \
        FIELD(prefix ".limits.memory", SPEC_MEMORY, member.limits_memory, RANGE(32 * MIB, 4096 * GIB), EFFECT(ROLLS),  \
              HELP("Memory above which the kernel ends " what "."), DERIVED("requests.memory"),                        \
              CHANGES("resources.limits.memory of its container"))

#endif
