/* Gateways: sockets, handshakes, deliveries. A publication is one message for each gateway worker with a subscriber,
 * so it reaches at most `fanout` of them; what reaches a sleeping thread wakes it, and that costs more than the rest.
 */
#include "operator/plan/sizing_parts.h"

enum { DESCRIPTORS_BESIDE = 64, ZONES_BY_DEFAULT = 3 };

static double connections_max(const struct sizing_work *work) {
    return (double) work->spec->gateway.connections_max;
}

static double cores_of(const struct sizing_work *work) {
    return (double) work->spec->gateway.resources.requests_cpu / 1000;
}

/* One for each core, as the programs do where the configuration says nothing. */
static double workers_of(const struct sizing_work *work) {
    return sizing_most(1, sizing_ceiling(cores_of(work)));
}

/* ---- by connections ---- */

/* What goes with a zone, or one pod where pods are not spread over zones. */
static double lost_of(const struct sizing_work *work, double pods) {
    const struct spec_scheduling *scheduling = &work->spec->scheduling;
    if (scheduling->spread_zone == SPEC_SPREAD_NONE) {
        return 1;
    }
    double zones = scheduling->zones > 0 ? (double) scheduling->zones : ZONES_BY_DEFAULT;
    return sizing_ceiling(pods / zones);
}

static void add_for_connections(const struct sizing_work *work) {
    if (work->connections <= 0) {
        return;
    }
    double share = sizing_constant(CONSTANT_CONNECTIONS_SHARE);
    double pods = sizing_ceiling(work->connections / (share * connections_max(work)));
    bool is_dev = work->spec->profile == SPEC_PROFILE_DEV;
    while (!is_dev && (pods - lost_of(work, pods)) * connections_max(work) < work->connections) {
        pods++;
    }
    sizing_set(work, SIZING_GATEWAYS_FOR_CONNECTIONS, pods, work->gateways,
               "%s / (%s × %s) = %s; without %s of %s: %s for %s", sizing_n(work, work->connections),
               sizing_n(work, share), sizing_n(work, connections_max(work)),
               sizing_n(work, work->connections / (share * connections_max(work))), sizing_n(work, lost_of(work, pods)),
               sizing_n(work, pods), sizing_n(work, (pods - lost_of(work, pods)) * connections_max(work)),
               sizing_n(work, work->connections));
}

/* ---- CPU ---- */

/* What all gateways together do, wherever the sockets are. */
static double shared_cpu(const struct sizing_work *work) {
    return work->connect_rate * sizing_constant_seconds(CONSTANT_HANDSHAKE_CPU) +
           work->connections * sizing_constant_seconds(CONSTANT_IDLE_CPU) +
           work->publish_rate * work->fanout * sizing_constant_seconds(CONSTANT_DELIVERY_CPU);
}

/* Publications a second that reach one worker of so many pods. */
static double reaching(const struct sizing_work *work, double pods) {
    double workers = pods * workers_of(work);
    return work->publish_rate * sizing_least(1, work->fanout / workers);
}

/* What each pod does again. */
static double own_cpu(const struct sizing_work *work, double pods) {
    double rate = reaching(work, pods);
    double wakes = sizing_least(rate * sizing_constant_seconds(CONSTANT_WAKE_CPU), sizing_constant(CONSTANT_WAKES_MAX));
    return workers_of(work) * (wakes + rate * sizing_constant_seconds(CONSTANT_PUBLICATION_CPU));
}

static double cpu_of(const struct sizing_work *work, double pods) {
    return (shared_cpu(work) / pods + own_cpu(work, pods)) / sizing_constant(CONSTANT_CPU_SHARE);
}

static bool has_load(const struct sizing_work *work) {
    return work->connections > 0 || work->publish_rate > 0 || work->connect_rate > 0;
}

static void add_for_cpu(const struct sizing_work *work) {
    if (!has_load(work) || cores_of(work) <= 0) {
        return;
    }
    double pods = 1;
    while (pods <= SIZING_GATEWAYS_MOST && cpu_of(work, pods) > cores_of(work)) {
        pods++;
    }
    sizing_set(work, SIZING_GATEWAYS_FOR_CPU, pods, work->gateways, "%s pods of %s: %s each%s", sizing_n(work, pods),
               sizing_amount(work->arena, SIZING_CORES, cores_of(work)),
               sizing_amount(work->arena, SIZING_CORES, cpu_of(work, pods)),
               pods <= SIZING_GATEWAYS_MOST
                   ? ""
                   : "; more pods alone do not help, as each takes its share of all publications: larger ones do");
}

static void add_cpu(const struct sizing_work *work) {
    if (!has_load(work)) {
        return;
    }
    double pods = sizing_gateways(work);
    double has = cores_of(work) > 0 ? cores_of(work) : -1;
    sizing_set(work, SIZING_GATEWAY_CPU, cpu_of(work, pods), has,
               "((%s + %s + %s) / %s + %s) / %s; r = %s/s for each of %s workers",
               sizing_n(work, work->connect_rate * sizing_constant_seconds(CONSTANT_HANDSHAKE_CPU)),
               sizing_n(work, work->connections * sizing_constant_seconds(CONSTANT_IDLE_CPU)),
               sizing_n(work, work->publish_rate * work->fanout * sizing_constant_seconds(CONSTANT_DELIVERY_CPU)),
               sizing_n(work, pods), sizing_n(work, own_cpu(work, pods)),
               sizing_n(work, sizing_constant(CONSTANT_CPU_SHARE)), sizing_n(work, reaching(work, pods)),
               sizing_n(work, workers_of(work)));
}

/* ---- memory, descriptors ---- */

/* Subscriptions of a connection beyond the first, where channels and fan-out say it. */
static double further_subscriptions(const struct sizing_work *work) {
    bool is_known = work->connections > 0 && work->channels > 0;
    double all = is_known ? work->channels * work->fanout / work->connections : 1;
    return sizing_most(0, all - 1);
}

static void add_memory(const struct sizing_work *work) {
    double further = further_subscriptions(work);
    double each = sizing_constant(CONSTANT_CONNECTION_MEMORY) + sizing_constant(CONSTANT_SOCKET_MEMORY) +
                  further * sizing_constant(CONSTANT_SUBSCRIPTION_MEMORY);
    double all = sizing_constant(CONSTANT_PROCESS_MEMORY) + connections_max(work) * each;
    double has = (double) work->spec->gateway.resources.limits_memory;
    sizing_set(work, SIZING_GATEWAY_MEMORY, all / sizing_constant(CONSTANT_MEMORY_SHARE), has > 0 ? has : -1,
               "(%s + %s × (%s + %s + %s × %s)) / %s",
               sizing_amount(work->arena, SIZING_BYTES, sizing_constant(CONSTANT_PROCESS_MEMORY)),
               sizing_n(work, connections_max(work)), sizing_n(work, sizing_constant(CONSTANT_CONNECTION_MEMORY)),
               sizing_n(work, sizing_constant(CONSTANT_SOCKET_MEMORY)), sizing_n(work, further),
               sizing_n(work, sizing_constant(CONSTANT_SUBSCRIPTION_MEMORY)),
               sizing_n(work, sizing_constant(CONSTANT_MEMORY_SHARE)));
    sizing_set(work, SIZING_GATEWAY_DESCRIPTORS, connections_max(work) + DESCRIPTORS_BESIDE, -1, "%s + 64",
               sizing_n(work, connections_max(work)));
}

/* ---- all ---- */

static void add_for_network(const struct sizing_work *work) {
    double bytes = sizing_need(work, SIZING_EGRESS);
    double network = sizing_constant(CONSTANT_POD_NETWORK);
    if (bytes > 0) {
        sizing_set(work, SIZING_GATEWAYS_FOR_NETWORK, sizing_ceiling(bytes / network), work->gateways, "%s / %s = %s",
                   sizing_amount(work->arena, SIZING_BYTES_A_SECOND, bytes),
                   sizing_amount(work->arena, SIZING_BYTES_A_SECOND, network), sizing_n(work, bytes / network));
    }
}

double sizing_gateways(const struct sizing_work *work) {
    double pods = sizing_most(work->gateways, sizing_need(work, SIZING_GATEWAYS_FOR_CONNECTIONS));
    return sizing_most(1, sizing_most(pods, sizing_need(work, SIZING_GATEWAYS_FOR_NETWORK)));
}

static void add_pods(const struct sizing_work *work) {
    double connections = sizing_need(work, SIZING_GATEWAYS_FOR_CONNECTIONS);
    double cpu = sizing_need(work, SIZING_GATEWAYS_FOR_CPU);
    double network = sizing_need(work, SIZING_GATEWAYS_FOR_NETWORK);
    double most = sizing_most(connections, sizing_most(cpu, network));
    if (most > 0) {
        sizing_set(work, SIZING_GATEWAYS, most, work->gateways, "the most of %s, %s and %s",
                   sizing_n(work, connections), sizing_n(work, cpu), sizing_n(work, network));
    }
}

void sizing_add_gateways(const struct sizing_work *work) {
    add_for_connections(work);
    add_for_cpu(work);
    add_for_network(work);
    add_pods(work);
    work->out->gateways = sizing_gateways(work);
    add_cpu(work);
    add_memory(work);
}
