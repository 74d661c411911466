/* spec.workload ─▶ work (doubles) ─▶ one function a part ─▶ values by figure
 *
 * What the workload does not say makes those figures unknown that need it, instead of a guess. */
#include "operator/plan/sizing.h"

#include "base/check.h"
#include "operator/plan/sizing_parts.h"
#include "operator/spec/spec_derive.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define FIGURE(figure, group, key, label, unit, formula, margin, constants)                                            \
    [SIZING_##figure] = {group, key, label, unit, formula, margin, constants},
static const struct sizing_figure_row rows[SIZING_FIGURES_N] = {SIZING_FIGURES(FIGURE)};

const struct sizing_figure_row *sizing_figure_row(enum sizing_figure figure) {
    check(figure < SIZING_FIGURES_N, "figure %d", (int) figure);
    return &rows[figure];
}

bool sizing_is_short(const struct sizing *self, enum sizing_figure figure) {
    const struct sizing_value *value = &self->values[figure];
    return value->is_known && value->has >= 0 && value->need > value->has;
}

/* ---- what the parts use ---- */

double sizing_ceiling(double value) {
    double whole = (double) (int64_t) value;
    return whole < value ? whole + 1 : whole;
}

void sizing_set(const struct sizing_work *work, enum sizing_figure figure, double need, double has, const char *format,
                ...) {
    char text[512];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    work->out->values[figure] =
        (struct sizing_value){.is_known = true, .need = need, .has = has, .worked = arena_text(work->arena, text)};
}

double sizing_need(const struct sizing_work *work, enum sizing_figure figure) {
    const struct sizing_value *value = &work->out->values[figure];
    return value->is_known ? value->need : 0;
}

const char *sizing_n(const struct sizing_work *work, double value) {
    return sizing_number(work->arena, value);
}

/* ---- the workload ---- */

/* Publications that a channel keeps: history.size, or fewer where ttl takes them before. */
static double kept_of(const struct sizing_work *work, const struct spec_workload *workload) {
    double size = (double) workload->history_size;
    if (workload->history_ttl_ms == 0 || work->publish_rate <= 0 || work->channels <= 0) {
        return size;
    }
    double by_ttl = sizing_ceiling(work->publish_rate / work->channels * (double) workload->history_ttl_ms / 1000);
    return sizing_least(size, sizing_most(by_ttl, 1));
}

/* Connections end between 80 % of the age and all of it. */
double sizing_handshakes(const struct spec *spec) {
    double age_s = 0.9 * (double) spec->gateway.connection_age_max_ms / 1000;
    double aged = age_s > 0 ? (double) spec->workload.connections / age_s : 0;
    return (double) spec->workload.connect_rate + aged;
}

static double primaries_of(const struct spec *spec) {
    switch ((enum spec_redis_mode) spec->redis.mode) {
    case SPEC_REDIS_EMBEDDED:
        return 0;
    case SPEC_REDIS_STANDALONE:
    case SPEC_REDIS_SENTINEL:
        return 1;
    case SPEC_REDIS_CLUSTER:
        return (double) spec->redis.cluster.shards;
    case SPEC_REDIS_EXTERNAL:
        return spec->redis.external.cluster_mode ? (double) spec->redis.external.shards : 1;
    }
    return 0;
}

static struct sizing_work work_of(arena_t *arena, const struct spec *spec, struct sizing *out) {
    const struct spec_workload *workload = &spec->workload;
    const struct spec_gateway *gateway = &spec->gateway;
    struct sizing_work work = {
        .arena = arena,
        .spec = spec,
        .out = out,
        .connections = (double) workload->connections,
        .connect_rate = sizing_handshakes(spec),
        .publish_rate = (double) workload->publish_rate,
        .message_bytes = (double) workload->message_bytes,
        .fanout = (double) workload->fanout,
        .channels = (double) workload->channels,
        .gateways = (double) (gateway->autoscaling.max > 0 ? gateway->autoscaling.max : gateway->replicas),
        .brokers = (double) spec->broker.replicas,
        .primaries = primaries_of(spec),
    };
    work.kept = kept_of(&work, workload);
    return work;
}

const struct sizing *sizing_of(arena_t *arena, const struct spec *spec) {
    struct sizing *self = arena_alloc(arena, sizeof *self);
    struct sizing_work work = work_of(arena, spec, self);
    if (work.connections <= 0 && work.publish_rate <= 0 && work.connect_rate <= 0 && work.channels <= 0) {
        return self;
    }
    sizing_add_egress(&work);
    sizing_add_gateways(&work);
    sizing_add_brokers(&work);
    sizing_add_redis(&work);
    sizing_add_network(&work);
    sizing_add_times(&work);
    return self;
}
