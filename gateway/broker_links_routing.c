/* Which lane serves a channel: the broker that ranks first for its partition, and there its shard. */
#include "gateway/broker_links_parts.h"

uint32_t broker_links_hash(struct span channel) {
    return partition_of(channel, PARTITIONS_MAX);
}

bool broker_links_route(const broker_links_t *self, uint32_t channel_hash, struct broker_route *ret_route) {
    uint32_t n_partitions = broker_directory_partitions(self->directory);
    if (n_partitions == 0) {
        return false;
    }
    uint32_t partition = channel_hash & (n_partitions - 1);
    const struct broker_entry *first = broker_directory_first(self->directory, partition);
    if (first == NULL) {
        return false;
    }
    uplink_t *uplink = ((const struct broker_link *) first->uplink)->uplink;
    if (!uplink_is_live(uplink)) {
        return false; /* dying: on_ranks follows */
    }
    ret_route->uplink = uplink;
    ret_route->shard = (uint16_t) partition_shard(partition, n_partitions, uplink_shards(uplink));
    return true;
}

bool broker_links_route_nth(const broker_links_t *self, uint32_t channel_hash, uint32_t n,
                            struct broker_route *ret_route) {
    uint32_t n_partitions = broker_directory_partitions(self->directory);
    list_for_each (link, broker_directory_entries(self->directory)) {
        const struct broker_entry *entry = list_entry(link, struct broker_entry, link);
        uplink_t *uplink = entry->uplink == NULL ? NULL : ((const struct broker_link *) entry->uplink)->uplink;
        if (n_partitions == 0 || !entry->live || uplink == NULL || !uplink_is_live(uplink) || n-- > 0) {
            continue;
        }
        ret_route->uplink = uplink;
        ret_route->shard =
            (uint16_t) partition_shard(channel_hash & (n_partitions - 1), n_partitions, uplink_shards(uplink));
        return true;
    }
    return false;
}

void broker_links_each_lane(const broker_links_t *self, void (*each)(void *context, const struct broker_route *lane),
                            void *context) {
    list_for_each (link, broker_directory_entries(self->directory)) {
        const struct broker_entry *entry = list_entry(link, struct broker_entry, link);
        uplink_t *uplink = entry->uplink == NULL ? NULL : ((const struct broker_link *) entry->uplink)->uplink;
        uint16_t n_shards = entry->live && uplink != NULL && uplink_is_live(uplink) ? uplink_shards(uplink) : 0;
        for (uint16_t shard = 0; shard < n_shards; shard++) {
            each(context, &(struct broker_route){.uplink = uplink, .shard = shard});
        }
    }
}
