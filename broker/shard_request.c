/* One block each: the struct, then the bytes of its spans. */
#include "broker/shard_request.h"

#include "base/memory.h"

static struct span move_into(uint8_t **at, struct span bytes) {
    struct span copy = {bytes.size == 0 ? NULL : *at, bytes.size};
    if (bytes.size > 0) {
        memcpy(*at, bytes.data, bytes.size);
        *at += bytes.size;
    }
    return copy;
}

struct shard_request *shard_request_new(const struct shard_request *model) {
    size_t bytes = model->channel.size + model->key.size + model->data.size + model->info.size + model->tags.size +
                   model->version_epoch.size;
    struct shard_request *request = memory_alloc(sizeof *request + bytes);
    uint8_t *at = (uint8_t *) (request + 1);
    *request = *model;
    request->message.bytes = sizeof *request + bytes;
    request->channel = move_into(&at, model->channel);
    request->key = move_into(&at, model->key);
    request->data = move_into(&at, model->data);
    request->info = move_into(&at, model->info);
    request->tags = move_into(&at, model->tags);
    request->version_epoch = move_into(&at, model->version_epoch);
    return request;
}

struct shard_reply *shard_reply_new(const struct shard_reply *model) {
    struct shard_reply *reply = memory_alloc(sizeof *reply + model->bytes.size);
    uint8_t *at = (uint8_t *) (reply + 1);
    *reply = *model;
    reply->message.bytes = sizeof *reply + model->bytes.size;
    reply->bytes = move_into(&at, model->bytes);
    return reply;
}
