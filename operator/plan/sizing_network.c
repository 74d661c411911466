/* Bandwidth: to clients, from them, and inside. */
#include "operator/plan/sizing_parts.h"

double sizing_delivery_bytes(const struct sizing_work *work) {
    double bytes = work->message_bytes + sizing_constant(CONSTANT_PUSH_BYTES);
    double segments = sizing_ceiling(bytes / sizing_constant(CONSTANT_SEGMENT_BYTES));
    return bytes + segments * sizing_constant(CONSTANT_PACKET_BYTES);
}

/* Pings and handshakes: as much in as out. */
static double keeping_bytes(const struct sizing_work *work) {
    return work->connections / sizing_constant(CONSTANT_PING_INTERVAL) * sizing_constant(CONSTANT_PACKET_BYTES) +
           work->connect_rate * sizing_constant(CONSTANT_HANDSHAKE_BYTES);
}

void sizing_add_egress(const struct sizing_work *work) {
    double deliveries = work->publish_rate * work->fanout;
    double bytes = deliveries * sizing_delivery_bytes(work) + keeping_bytes(work);
    if (bytes <= 0) {
        return;
    }
    sizing_set(work, SIZING_EGRESS, bytes, -1, "%s × %s × %s B + %s", sizing_n(work, work->publish_rate),
               sizing_n(work, work->fanout), sizing_n(work, sizing_delivery_bytes(work)),
               sizing_amount(work->arena, SIZING_BYTES_A_SECOND, keeping_bytes(work)));
    sizing_set(work, SIZING_EGRESS_A_MONTH, bytes * 2592000, -1, "%s × 2,592,000",
               sizing_amount(work->arena, SIZING_BYTES_A_SECOND, bytes));
}

static void add_inside(const struct sizing_work *work) {
    double pods = sizing_least(work->fanout, sizing_gateways(work));
    double each = work->message_bytes + sizing_constant(CONSTANT_PUSH_BYTES) + sizing_constant(CONSTANT_PACKET_BYTES);
    sizing_set(work, SIZING_INSIDE, work->publish_rate * pods * each, -1, "%s × %s × %s B",
               sizing_n(work, work->publish_rate), sizing_n(work, pods), sizing_n(work, each));
    if (work->primaries > 0 && work->kept > 0) {
        double append = work->message_bytes + sizing_constant(CONSTANT_APPEND_DISK);
        sizing_set(work, SIZING_REDIS_INGRESS, work->publish_rate * append, -1, "%s × %s B",
                   sizing_n(work, work->publish_rate), sizing_n(work, append));
    }
}

void sizing_add_network(const struct sizing_work *work) {
    double egress = sizing_need(work, SIZING_EGRESS);
    double pods = sizing_gateways(work);
    if (egress > 0) {
        sizing_set(work, SIZING_EGRESS_A_POD, egress / pods, sizing_constant(CONSTANT_POD_NETWORK), "%s / %s",
                   sizing_amount(work->arena, SIZING_BYTES_A_SECOND, egress), sizing_n(work, pods));
        sizing_set(work, SIZING_INGRESS, work->publish_rate * sizing_delivery_bytes(work) + keeping_bytes(work), -1,
                   "%s × %s B + %s", sizing_n(work, work->publish_rate), sizing_n(work, sizing_delivery_bytes(work)),
                   sizing_amount(work->arena, SIZING_BYTES_A_SECOND, keeping_bytes(work)));
    }
    if (work->publish_rate > 0) {
        add_inside(work);
    }
}
