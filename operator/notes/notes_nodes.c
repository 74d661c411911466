/* What nodes must have: descriptors, sysctls, room. */
#include "operator/notes/notes_parts.h"

void notes_append_nodes(const struct spec *spec, struct buffer *out) {
    long long connections = spec->gateway.connections_max;
    buffer_append_format(
        out,
        "\n## Nodes\n\n- Open files: a gateway with %lld connections needs %lld. The programs raise their soft "
        "limit to the hard one themselves; containerd 2 leaves a pod soft 1,024, hard 524,288. Kubernetes has no "
        "field for it: where the hard limit is smaller, the runtime's unit sets it (`LimitNOFILE`), and a gateway "
        "lowers its cap and says so.\n",
        connections, connections + 64);
    buffer_append_text(
        out,
        "- `net.netfilter.nf_conntrack_max`: one entry for each connection through kube-proxy; `fs.file-max` above "
        "the sum of all pods. Both are of the node.\n- `net.core.somaxconn` is no safe sysctl of a pod (the "
        "kubelet must allow it); current kernels have 4,096, which is enough.\n- Safe for a pod under Pod Security "
        "`restricted`: `net.ipv4.ip_local_port_range`, `net.ipv4.tcp_syncookies`, `net.ipv4.ping_group_range`, "
        "`net.ipv4.ip_unprivileged_port_start`, `kernel.shm_rmid_forced`, `net.ipv4.ip_local_reserved_ports` (1.27), "
        "`net.ipv4.tcp_keepalive_time` (1.29).\n  Others that are said to be (tcp_rmem, tcp_wmem, tcp_fin_timeout): "
        "look up for your version. Nothing of it is needed, and none is rendered.\n- Sockets' memory in the kernel "
        "counts to the pod's limit: more with default buffers under load.\n- Nodes: ");
    if (spec->scheduling.nodes > 0) {
        buffer_append_format(out, "%lld are counted on (`scheduling.nodes`).\n", (long long) spec->scheduling.nodes);
    } else {
        buffer_append_text(out,
                           "`scheduling.nodes` is not set, so `check` cannot say whether a required spread fits.\n");
    }
    buffer_append_text(out,
                       "- Autoscaled nodes: a gateway that is moved moves its clients; let them go one at a time.\n");
}
