/* The parts of the protobuf codec; everybody else uses client_codec_protobuf. Thread: any (no state). */
#ifndef CALLBOARD_GATEWAY_CLIENT_PROTOCOL_PROTOBUF_H
#define CALLBOARD_GATEWAY_CLIENT_PROTOCOL_PROTOBUF_H

#include "gateway/protocol/client_protocol.h"

enum {
    CLIENT_PROTOBUF_DEPTH_MAX = 8,     /* messages inside one another; the command is the first */
    CLIENT_PROTOBUF_REPEATED_MAX = 64, /* of each repeated field and each kind of message, in a whole command */
    CLIENT_PROTOBUF_SUBS_MAX = 128,    /* the exception: connect.subs, as many as a session may have channels */
    CLIENT_PROTOBUF_UNKNOWN_MAX = 64,  /* fields that are not ours, in a whole command */
    CLIENT_PROTOBUF_FIELDS_MAX = 2048, /* all of them */
    CLIENT_PROTOBUF_VARINT_MAX = 10,
    CLIENT_PROTOBUF_REQUEST_MAX = 15, /* the highest field number of a request in a command */
};

/* A command that was found sound. */
struct client_protobuf_command {
    uint32_t id;
    /* By field number: the last one there is; data NULL: there is none. */
    struct span requests[CLIENT_PROTOBUF_REQUEST_MAX + 1];
    size_t room; /* what its parts take at most when they are unpacked */
};

/* The next delimited entry of a message. False: its length is none, or more than what is left. */
bool client_protobuf_next_entry(struct cursor *message, struct span *ret_entry);
/* Judges a whole command before anything is allocated for it. */
bool client_protobuf_scan(struct span entry, struct client_protobuf_command *ret_command);

/* EmulationRequest, which carries a message of a client without a WebSocket (client-protocol.md 25); what is absent is
 * empty. False: it is none. */
bool client_protobuf_read_emulation(struct span body, struct span *ret_session, struct span *ret_node,
                                    struct span *ret_data);

enum client_decode_outcome client_protobuf_decode_next(struct cursor *message, struct buffer *scratch,
                                                       struct client_command *ret_command);

#endif
