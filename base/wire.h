/* The wire between gateway and broker: wire.md. This header is the contract, both sides include it and nothing else.
 * One ZeroMQ message is one batch (header of 32 bytes, then frames), all integers little-endian.
 *
 *   batch:  0 u16 magic 0x4243 | 2 u8 version | 3 u8 flags (0) | 4 u16 shard | 6 u16 zero | 8 u64 link epoch
 *           16 u32 number | 20 u32 ack | 24 u32 credit frames | 28 u32 credit bytes | 32 frames…
 *   frame:  0 u8 kind | 1 u8 flags | 2 u16 zero | 4 u32 body length | 8 body
 *
 * A lane is one direction pair between a gateway worker and one shard. Numbers count batches of a lane from 1; number 0
 * carries only ack and credit. See wire_lane.h. Lane 0xffff is the switchboard's own (HELLO and RESET up; WELCOME,
 * RESET and DRAIN down): it has neither numbers nor credit, its batches carry number 0 and their frames are handled all
 * the same. Bump WIRE_VERSION whenever a frame, a field or its meaning changes; a newer side may only write new forms
 * one release after it can read them. The first release freezes version 1: until then it is what the sources say.
 * Decoders take any bytes without harm (tests/fuzz/fuzz_wire.c). Thread: any (no state). Decoded spans point into the
 * batch. */
#ifndef CALLBOARD_BASE_WIRE_H
#define CALLBOARD_BASE_WIRE_H

#include "base/bytes.h"
#include "base/position.h"

enum {
    WIRE_VERSION_MIN = 1,
    WIRE_VERSION = 1,
    WIRE_MAGIC = 0x4243,
    WIRE_BATCH_HEADER_SIZE = 32,
    WIRE_FRAME_HEADER_SIZE = 8,
    WIRE_SHARD_SWITCHBOARD = 0xffff,
};
#define WIRE_FRAME_MAX         ((size_t) (1024 + 64) * 1024)
#define WIRE_BATCH_MAX         ((size_t) 4 * 1024 * 1024)
#define WIRE_BATCH_CLOSE       ((size_t) 8 * 1024) /* a batch that reached it is sent */
#define WIRE_BATCH_CLOSE_CURVE ((size_t) 32 * 1024)

/* Flag of a frame: a receiver that does not know the kind skips it; without the flag it resets the link. */
enum { WIRE_FRAME_SKIP = 1 };

/* clang-format off */
/* ---- the list: X(NAME, struct and function suffix, kind, direction); 17 is not given again: an older broker knows it ---- */
#define WIRE_FRAMES(X)                                                                            \
    X(HELLO, hello, 1, "up")                                                                      \
    X(WELCOME, welcome, 2, "down")                                                                \
    X(SUBSCRIBE, subscribe, 3, "up")                                                              \
    X(SUBSCRIBED, subscribed, 4, "down")                                                          \
    X(UNSUBSCRIBE, unsubscribe, 5, "up")                                                          \
    X(PUBLISH, publish, 6, "up")                                                                  \
    X(PUBLISHED, published, 7, "down")                                                            \
    X(PRESENCE_SET, presence_set, 8, "up")                                                        \
    X(PRESENCE_CLEAR, presence_clear, 9, "up")                                                    \
    X(PRESENCE, presence, 10, "up")                                                               \
    X(PRESENCE_STATS, presence_stats, 11, "up")                                                   \
    X(HISTORY, history, 12, "up")                                                                 \
    X(HISTORY_REMOVE, history_remove, 13, "up")                                                   \
    X(CALL, call, 14, "up")                                                                       \
    X(RESULT, result, 15, "down")                                                                 \
    X(ERROR, error, 16, "down")                                                                   \
    X(BEAT, beat, 18, "up")                                                                       \
    X(BEAT_ANSWER, beat_answer, 19, "down")                                                       \
    X(PUSH, push, 20, "down")                                                                     \
    X(JOIN, join, 21, "down")                                                                     \
    X(LEAVE, leave, 22, "down")                                                                   \
    X(LAGGING, lagging, 23, "down")                                                               \
    X(LOST, lost, 24, "down")                                                                     \
    X(RESYNC, resync, 25, "down")                                                                 \
    X(COMMAND, command, 26, "both")                                                               \
    X(TOTALS, totals, 27, "down")                                                                 \
    X(DRAIN, drain, 28, "down")                                                                   \
    X(RESET, reset, 29, "both")                                                                   \
    X(EMULATE, emulate, 30, "up")                                                                 \
    X(DELIVER, deliver, 31, "down")                                                               \
    X(DELIVERED, delivered, 32, "up")                                                       \
    X(COMMANDED, commanded, 33, "up")                                                             \
    X(USER_TAKE, user_take, 34, "up")                                                             \
    X(USER_COUNTS, user_counts, 35, "up")

enum wire_kind {
#define WIRE_KIND_MEMBER(NAME, name, kind, direction) WIRE_##NAME = kind,
    WIRE_FRAMES(WIRE_KIND_MEMBER)
#undef WIRE_KIND_MEMBER
};

/* ---- fields: F(type, name); types: u8 u16 u32 u64 i64, epoch (sized text), bytes (u32 length and bytes) ---- */

/* First on lane 0xffff. boot_nonce is new at every start of the process, link epoch stands in the batch header. */
#define WIRE_FIELDS_hello(F)                                                                      \
    F(u16, version_min) F(u16, version_max) F(bytes, gateway_id) F(u32, worker) F(u64, boot_nonce) \
        F(u64, config_hash)
/* Credit: what the broker grants each lane at the start. mode: enum wire_mode. */
#define WIRE_FIELDS_welcome(F)                                                                    \
    F(u16, version) F(bytes, broker_id) F(u64, boot_nonce) F(u16, shards) F(u32, partitions)      \
        F(u8, mode) F(u8, degraded) F(u32, heartbeat_ms) F(u32, credit_frames) F(u32, credit_bytes) \
            F(u64, config_hash)
/* flags: WIRE_SUBSCRIBE_*. since_* only with SINCE. limit: most publications to send back, 0 = the broker's bound. */
#define WIRE_FIELDS_subscribe(F)                                                                  \
    F(u32, request) F(u32, handle) F(u8, flags) F(epoch, since_epoch) F(u64, since_offset)        \
        F(u32, limit) F(bytes, channel)
/* flags: WIRE_SUBSCRIBED_*. publications: wire_publication after wire_publication, oldest first. */
#define WIRE_FIELDS_subscribed(F)                                                                 \
    F(u32, request) F(u32, handle) F(u8, flags) F(epoch, epoch) F(u64, offset) F(u32, n_publications) \
        F(bytes, publications)
#define WIRE_FIELDS_unsubscribe(F) F(u32, handle)
/* request 0: no answer is wanted. flags: WIRE_PUBLISH_*. info: wire_client_info or empty. tags: wire_tags or empty.
 * version 0: none; else, with a version epoch that may be empty, only where it is newer than the channel's. */
#define WIRE_FIELDS_publish(F)                                                                    \
    F(u32, request) F(u8, flags) F(u32, deadline_ms) F(bytes, channel) F(bytes, key) F(bytes, data) \
        F(bytes, info) F(bytes, tags) F(u64, version) F(bytes, version_epoch)
/* flags: WIRE_PUBLISHED_*. The epoch is empty where the channel has no history. */
#define WIRE_FIELDS_published(F) F(u32, request) F(u8, flags) F(epoch, epoch) F(u64, offset)
/* flags: WIRE_PRESENCE_*. info: wire_client_info. The handle must be subscribed. */
#define WIRE_FIELDS_presence_set(F) F(u32, handle) F(u8, flags) F(bytes, info)
#define WIRE_FIELDS_presence_clear(F) F(u32, handle) F(bytes, client) F(bytes, user)
#define WIRE_FIELDS_presence(F) F(u32, request) F(bytes, channel)
#define WIRE_FIELDS_presence_stats(F) F(u32, request) F(bytes, channel)
/* flags: WIRE_HISTORY_*. limit 0: only the position. */
#define WIRE_FIELDS_history(F)                                                                    \
    F(u32, request) F(u8, flags) F(epoch, since_epoch) F(u64, since_offset) F(u32, limit)         \
        F(bytes, channel)
#define WIRE_FIELDS_history_remove(F) F(u32, request) F(bytes, channel)
/* A question for backend services. info: wire_client_info. details: a JSON object whose members the worker gets beside
 * what stands here, or empty. Answered by RESULT or ERROR. */
#define WIRE_FIELDS_call(F)                                                                       \
    F(u32, request) F(u32, deadline_ms) F(bytes, method) F(bytes, channel) F(bytes, info)         \
        F(bytes, details) F(bytes, data)
/* of: the kind of the request it answers. HISTORY: epoch, offset, n = publications, bytes = wire_publication…
 * PRESENCE: n = entries, bytes = wire_client_info each sized. PRESENCE_STATS: n = clients, m = users.
 * CALL: n = enum wire_call_outcome, m = the worker's code, bytes = its JSON or message, and its payload, each sized. */
#define WIRE_FIELDS_result(F)                                                                     \
    F(u32, request) F(u8, of) F(epoch, epoch) F(u64, offset) F(u32, n) F(u32, m) F(bytes, bytes)
/* code: enum error_code. flags: WIRE_ERROR_*. handle: the subscription's, where it answers SUBSCRIBE, else 0. */
#define WIRE_FIELDS_error(F) F(u32, request) F(u32, handle) F(u16, code) F(u8, flags) F(bytes, message)
/* Every heartbeat on every lane of a shard. The figures are those of the whole gateway process. flags: WIRE_BEAT_*. */
#define WIRE_FIELDS_beat(F)                                                                       \
    F(u64, sent_us) F(u8, flags) F(u32, connections) F(u32, users) F(u32, alive) F(u32, dead) F(u32, load_permille)
/* From the shard itself. tops: per channel that changed lately, u32 handle and u64 offset. degraded: Redis is away, or
 * memory stands in for it. */
#define WIRE_FIELDS_beat_answer(F) F(u64, sent_us) F(u8, degraded) F(u32, n_tops) F(bytes, tops)
/* rest: one wire_publication up to the end of the frame, see wire_append_push. */
#define WIRE_FIELDS_push(F) F(u32, handle) F(rest, publication)
#define WIRE_FIELDS_join(F) F(u32, handle) F(bytes, info)
#define WIRE_FIELDS_leave(F) F(u32, handle) F(bytes, info)
#define WIRE_FIELDS_lagging(F) F(u32, handle)
/* An empty epoch: the channel has no positions any more. */
#define WIRE_FIELDS_lost(F) F(u32, handle) F(epoch, epoch) F(u64, offset)
/* Presence of these partitions (u32 each) again, of the channels that this broker serves; n 0: of all. A partition with
 * WIRE_RESYNC_EVERYWHERE: of every channel, over whatever broker serves it. */
#define WIRE_FIELDS_resync(F) F(u32, n) F(bytes, partitions)
/* Something to be done by every gateway worker. Up: a worker asks for it, and is answered by RESULT (n: sessions that it
 * concerned or channels, m: workers, bytes) or ERROR. Down: the same frame under a request number of the shard's own,
 * to every worker that is linked, the asking one too; each answers COMMANDED. action: enum wire_command_action.
 * client may be empty: every session of the user. channel: UNSUBSCRIBE: empty is all; CHANNELS: the pattern. detail: the
 * service's JSON object where the action needs more. limit: CHANNELS, CONNECTIONS: most names of one worker. DISCONNECT:
 * user may be empty where there is a client. MESSAGE: to everybody who is connected; detail is the message, any JSON. */
#define WIRE_FIELDS_command(F)                                                                    \
    F(u32, request) F(u8, action) F(u32, deadline_ms) F(bytes, user) F(bytes, client)             \
        F(bytes, channel) F(u16, code) F(bytes, reason) F(bytes, detail) F(u32, limit)
/* n_workers: how many the gateway has, so that the shard knows whether all were asked. error: 0 or enum error_code.
 * CHANNELS: n names, bytes = name sized and u32 sessions, each. CONNECTIONS: n, bytes = wire_client_info each sized. */
#define WIRE_FIELDS_commanded(F)                                                                  \
    F(u32, request) F(u32, n_workers) F(u16, error) F(u32, n) F(bytes, bytes)
#define WIRE_FIELDS_totals(F)                                                                     \
    F(u32, gateways) F(u32, brokers) F(u64, connections) F(u64, users) F(u64, alive) F(u64, dead)
#define WIRE_FIELDS_drain(F) F(u32, within_ms)
/* The link is of no use any more: start anew with HELLO and a new link epoch. reason: enum wire_reset_reason. */
#define WIRE_FIELDS_reset(F) F(u16, reason) F(bytes, message)

/* A message of a client whose stream another gateway's worker has (a POST to /emulation). Answered by RESULT (n: 1
 * delivered, 0 no such gateway worker, or it has no such session) or ERROR. The three are written with WIRE_FRAME_SKIP:
 * who does not know them yet leaves the asker to its deadline. */
#define WIRE_FIELDS_emulate(F) F(u32, request) F(u32, worker) F(bytes, node) F(bytes, session) F(bytes, data)
/* The same to the worker that has it. origin and request come back in DELIVERED; the broker keeps nothing. */
#define WIRE_FIELDS_deliver(F) F(u32, origin) F(u32, request) F(bytes, session) F(bytes, data)
#define WIRE_FIELDS_delivered(F) F(u32, origin) F(u32, request) F(u8, found)

/* May this worker have one more connection of a user (user_count_key of the id), so that all workers together have at most
 * `most`? mine: how many it has then. Answered by RESULT (n: 1 it may, 0 it may not; m: how many the others have); what
 * it has is known from now on. Both are written with WIRE_FRAME_SKIP: who does not know them leaves the asker to its
 * deadline, and the gateway judges alone. */
#define WIRE_FIELDS_user_take(F) F(u32, request) F(u64, user) F(u32, mine) F(u32, most)
/* How many connections of users this worker has: u64 user_count_key and u32 connections, each. flags:
 * WIRE_USER_COUNTS_*. */
#define WIRE_FIELDS_user_counts(F) F(u8, flags) F(bytes, counts)

enum { WIRE_USER_COUNTS_ANEW = 1 /* what was told on this lane before is void */ };
enum { WIRE_USER_COUNT_SIZE = 12 };
enum wire_mode { WIRE_MODE_MEMORY = 1, WIRE_MODE_REDIS = 2 };
enum { WIRE_SUBSCRIBE_SINCE = 1, WIRE_SUBSCRIBE_OWN = 2 /* the worker's own position: evidence, and paged */ };
enum {
    WIRE_SUBSCRIBED_HISTORY = 1,   /* the channel has positions */
    WIRE_SUBSCRIBED_RECOVERED = 2, /* since was given, and publications carry since+1…offset (or up to `more`) */
    WIRE_SUBSCRIBED_MORE = 4,      /* own only: offset is where this page ends; SUBSCRIBE again from there */
};
enum { WIRE_PUBLISH_SKIP_HISTORY = 1, WIRE_PUBLISH_DELTA = 2 /* as WIRE_PUBLICATION_DELTA, for this one */ };
enum { WIRE_VERSION_EPOCH_MAX = 64 /* bytes of PUBLISH's version epoch */ };
enum {
    WIRE_PUBLISHED_DUPLICATE = 1,
    WIRE_PUBLISHED_NOT_DURABLE = 2,
    WIRE_PUBLISHED_SUPPRESSED = 4, /* the version was no news: the position is where the channel stands */
};
enum { WIRE_PRESENCE_JOIN_LEAVE = 1, WIRE_PRESENCE_RESYNC = 2 /* silent: an answer to RESYNC or a move */ };
#define WIRE_RESYNC_EVERYWHERE UINT32_C(0x80000000)
enum { WIRE_HISTORY_SINCE = 1, WIRE_HISTORY_REVERSE = 2 };
enum wire_call_outcome { WIRE_CALL_RESULT, WIRE_CALL_ERROR, WIRE_CALL_DISCONNECT, WIRE_CALL_ERROR_TEMPORARY };
enum { WIRE_ERROR_TEMPORARY = 1, WIRE_ERROR_UNKNOWN_OUTCOME = 2 };
enum {
    WIRE_BEAT_RENEW_LEASE = 1, /* keep my lease: on the lane of my id's partition; in mode memory on every lane */
    WIRE_BEAT_DRAINING = 2,
};
enum wire_command_action {
    WIRE_COMMAND_DISCONNECT = 1,
    WIRE_COMMAND_UNSUBSCRIBE = 2,
    WIRE_COMMAND_SUBSCRIBE = 3,
    WIRE_COMMAND_REFRESH = 4,
    WIRE_COMMAND_CHANNELS = 5,
    WIRE_COMMAND_CONNECTIONS = 6,
    WIRE_COMMAND_MESSAGE = 7,
};
/* Without an answer of everybody nothing was done, and nobody needs to wonder. */
static inline bool wire_command_only_reads(uint8_t action) {
    return action == WIRE_COMMAND_CHANNELS || action == WIRE_COMMAND_CONNECTIONS;
}
enum wire_reset_reason {
    WIRE_RESET_UNKNOWN_LINK = 1, /* no HELLO was seen for this link epoch */
    WIRE_RESET_HOLE = 2,
    WIRE_RESET_BAD_FRAME = 3,
    WIRE_RESET_VERSION = 4,
    WIRE_RESET_OVERFLOW = 5,
    WIRE_RESET_MODE = 6, /* a second broker where one is in mode memory; the broker's mode is another one now */
    WIRE_RESET_REPLACED = 7,
    WIRE_RESET_NOT_ALLOWED = 8, /* the gateway's CURVE key was taken off the list */
};

/* clang-format on */
/* ---- structs, one for each frame: struct wire_hello … ---- */
#define WIRE_MEMBER_u8(name)    uint8_t name;
#define WIRE_MEMBER_u16(name)   uint16_t name;
#define WIRE_MEMBER_u32(name)   uint32_t name;
#define WIRE_MEMBER_u64(name)   uint64_t name;
#define WIRE_MEMBER_i64(name)   int64_t name;
#define WIRE_MEMBER_epoch(name) struct epoch name;
#define WIRE_MEMBER_bytes(name) struct span name;
#define WIRE_MEMBER_rest(name)  struct span name;
#define WIRE_MEMBER(type, name) WIRE_MEMBER_##type(name)
#define WIRE_DEFINE(NAME, suffix, kind, direction)                                                                     \
    struct wire_##suffix {                                                                                             \
        WIRE_FIELDS_##suffix(WIRE_MEMBER)                                                                              \
    };                                                                                                                 \
    /* Appends the frame to a batch. False: over WIRE_FRAME_MAX or the buffer's limit; nothing was appended. */        \
    bool wire_encode_##suffix(struct buffer *batch, const struct wire_##suffix *frame);                                \
    /* False: truncated, trailing bytes, or a length that does not fit. */                                             \
    bool wire_decode_##suffix(struct span body, struct wire_##suffix *ret_frame);
WIRE_FRAMES(WIRE_DEFINE)

/* The frame that was encoded at this place of the buffer gets WIRE_FRAME_SKIP. Returns `encoded`; false: there is none.
 */
bool wire_mark_skippable(struct buffer *batch, size_t start, bool encoded);

/* For logs and docs; "unknown" for a number that is none. */
const char *wire_kind_name(uint8_t kind);

/* ---- batches ---- */
struct wire_batch_header {
    uint8_t version;
    uint16_t shard;
    uint64_t link_epoch;
    uint32_t number;
    uint32_t ack;
    uint32_t credit_frames;
    uint32_t credit_bytes;
};

/* Starts a batch: the buffer is cleared, limited to WIRE_BATCH_MAX, and has room for the header. */
void wire_batch_begin(struct buffer *batch);
/* Writes the header into a begun batch. */
void wire_batch_seal(struct buffer *batch, const struct wire_batch_header *header);

enum wire_outcome {
    WIRE_OK,
    WIRE_END, /* no more frames */
    WIRE_TRUNCATED,
    WIRE_BAD_MAGIC,
    WIRE_BAD_VERSION,
    WIRE_BAD_HEADER, /* reserved bits or over a bound */
};
/* Reads the header; *ret_frames stands on the first frame. */
enum wire_outcome wire_batch_open(struct span batch, struct wire_batch_header *ret_header, struct cursor *ret_frames);

struct wire_frame {
    uint8_t kind;
    uint8_t flags;
    struct span body;
};
/* WIRE_OK, WIRE_END or what is wrong. */
enum wire_outcome wire_frame_next(struct cursor *frames, struct wire_frame *ret_frame);
const char *wire_outcome_text(enum wire_outcome outcome);

/* ---- parts inside frames ---- */

/* One publication: u64 offset (0: none), i64 time, u8 flags, data, info, tags sized. Stored so in tails and (with a
 * version byte before it) in Redis, and copied as it is into PUSH. */
struct wire_publication {
    uint64_t offset;
    int64_t time_ms; /* wall clock of the broker that took it; 0: unknown */
    uint8_t flags;   /* WIRE_PUBLICATION_* */
    struct span data;
    struct span info; /* wire_client_info or empty */
    struct span tags; /* wire_tags or empty */
};
/* Set by the broker that takes the publication, where the namespace says publication_data_format: binary. JSON clients
 * then get `data` as a string of base64; without it the data is valid JSON and is embedded as it is. */
/* DELTA: the namespace says delta_publish, or its publisher delta; subscribers that negotiated delta may get a patch of
 * the one before it. */
enum { WIRE_PUBLICATION_BINARY = 1, WIRE_PUBLICATION_DELTA = 2 };
enum { WIRE_PUBLICATION_OVERHEAD = 8 + 8 + 1 + 3 * 4 }; /* beside data, info and tags */
bool wire_append_publication(struct buffer *out, const struct wire_publication *publication);
bool wire_read_publication(struct cursor *cursor, struct wire_publication *ret_publication);
/* A PUSH frame around already encoded publication bytes: the hot path's one copy. */
bool wire_append_push(struct buffer *batch, uint32_t handle, struct span publication);

struct wire_client_info {
    struct span user;
    struct span client;
    struct span conn_info; /* JSON or binary, empty: none */
    struct span chan_info;
};
bool wire_append_client_info(struct buffer *out, const struct wire_client_info *info);
/* The whole span is one info. */
bool wire_read_client_info(struct span bytes, struct wire_client_info *ret_info);

struct wire_tag {
    struct span key;
    struct span value;
};
bool wire_append_tag(struct buffer *out, const struct wire_tag *tag);
/* False at the end and on malformed bytes (cursor->failed). */
bool wire_next_tag(struct cursor *tags, struct wire_tag *ret_tag);

#endif
