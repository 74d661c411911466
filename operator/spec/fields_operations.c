/* monitoring, backup, workload, overrides. */
#include "operator/spec/field_rows.h"

static const struct spec_field override_fields[] = {
    ITEM(spec_override, "target.kind", SPEC_TEXT, kind, RANGE(1, 63), FORMAT(WORD), .is_required = true, EFFECT(ROLLS),
         HELP("The object's kind."), CHANGES("the object itself")),
    ITEM(spec_override, "target.name", SPEC_TEXT, name, RANGE(1, 253), FORMAT(NAME), .is_required = true, EFFECT(ROLLS),
         HELP("The object's name."), CHANGES("the object itself")),
    ITEM(spec_override, "patch", SPEC_RAW_LIST, patch, .items_max = 64, .is_required = true, EFFECT(ROLLS),
         HELP("JSON Patch (RFC 6902): a list of {op, path, value}."), CHANGES("the object itself")),
};
static const struct spec_fields overrides = {
    .title = "overrides[]",
    .intro = "One change of a rendered object.",
    FIELDS_OF(override_fields),
    .item_size = sizeof(struct spec_override),
};

static const struct spec_field fields[] = {
    FIELD("monitoring.podMonitor", SPEC_BOOL, monitoring.pod_monitor, DEFAULT("false"), EFFECT(HOT),
          HELP("Prometheus (its operator) scrapes the pods."), CHANGES("the PodMonitors")),
    FIELD("monitoring.rules", SPEC_BOOL, monitoring.rules, DEFAULT("false"), EFFECT(HOT), HELP("Our alarms."),
          CHANGES("the PrometheusRule")),
    FIELD("monitoring.dashboards", SPEC_BOOL, monitoring.dashboards, DEFAULT("false"), EFFECT(HOT),
          HELP("Our dashboards for Grafana's sidecar."), CHANGES("ConfigMaps with the label grafana_dashboard")),
    FIELD("monitoring.exporter", SPEC_TEXT, monitoring.exporter, RANGE(1, 512), FORMAT(IMAGE), EFFECT(ROLLS),
          HELP("Image of a redis_exporter that runs beside each Redis. Not set: none."),
          CHANGES("a container of the Redis pods")),
    FIELD("monitoring.labels", SPEC_PAIRS, monitoring.labels, .items_max = 32, FORMAT(WORD), RANGE(0, 63), EFFECT(HOT),
          HELP("Labels by which your Prometheus finds these objects, like release: prometheus."),
          CHANGES("metadata.labels of PodMonitors and PrometheusRule")),
    FIELD("backup.schedule", SPEC_TEXT, backup.schedule, RANGE(9, 128), FORMAT(CRON), EFFECT(HOT),
          HELP("When Redis is copied, as cron writes it. Not set: never."),
          CHANGES("spec.schedule of the backup's CronJob")),
    FIELD("backup.retention", SPEC_COUNT, backup.retention, RANGE(1, 1000), DEFAULT("7"), EFFECT(HOT),
          HELP("Copies that are kept."), CHANGES("arguments of the backup's CronJob")),
    FIELD("backup.target", SPEC_TEXT, backup.target, FORMAT(NAME), EFFECT(HOT),
          HELP("A PersistentVolumeClaim that they are written to."), CHANGES("a volume of the backup's CronJob")),
    FIELD("workload.gateway.connections", SPEC_COUNT, workload.connections, RANGE(0, 100000000), DEFAULT("0"),
          EFFECT(NOTHING), HELP("Connections at the busiest time. 0: unknown."),
          CHANGES("nothing; plan and check read it")),
    FIELD("workload.gateway.connectRate", SPEC_COUNT, workload.connect_rate, RANGE(0, 1000000), DEFAULT("0"),
          EFFECT(NOTHING), HELP("New connections a second."), CHANGES("nothing; plan and check read it")),
    FIELD("workload.publishRate", SPEC_COUNT, workload.publish_rate, RANGE(0, 100000000), DEFAULT("0"), EFFECT(NOTHING),
          HELP("Publications a second."), CHANGES("nothing; plan and check read it")),
    FIELD("workload.messageBytes", SPEC_MEMORY, workload.message_bytes, RANGE(0, 16 * MIB), DEFAULT("200"),
          EFFECT(NOTHING), HELP("Bytes of one."), CHANGES("nothing; plan and check read it")),
    FIELD("workload.fanout", SPEC_COUNT, workload.fanout, RANGE(0, 100000000), DEFAULT("1"), EFFECT(NOTHING),
          HELP("Subscribers that get it, on average."), CHANGES("nothing; plan and check read it")),
    FIELD("workload.history.size", SPEC_COUNT, workload.history_size, RANGE(0, 1000000), DEFAULT("0"), EFFECT(NOTHING),
          HELP("Publications that a channel keeps."), CHANGES("nothing; plan and check read it")),
    FIELD("workload.history.ttl", SPEC_DURATION, workload.history_ttl_ms, RANGE(0, 366 * DAY), DEFAULT("0"),
          EFFECT(NOTHING), HELP("For how long."), CHANGES("nothing; plan and check read it")),
    FIELD("workload.channels", SPEC_COUNT, workload.channels, RANGE(0, 100000000), DEFAULT("0"), EFFECT(NOTHING),
          HELP("Channels in use at a time. 0: unknown."), CHANGES("nothing; plan and check read it")),
    FIELD("overrides", SPEC_ITEM_LIST, overrides, .items = &overrides, .items_max = 64, EFFECT(ROLLS),
          HELP("Changes of rendered objects, applied last: the way out where no field does it."),
          CHANGES("the objects that they name")),
};

const struct spec_fields spec_fields_operations = {
    .title = "monitoring, backup, workload, overrides",
    .intro = "What is watched and kept, what is expected, and the way out.",
    FIELDS_OF(fields),
};
