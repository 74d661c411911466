/* Decoded commands as text, so that tests of every codec compare one line: "2 subscribe channel=news recover offset=6".
 * Thread: any. */
#ifndef CALLBOARD_TESTS_CLIENT_COMMANDS_TEXT_H
#define CALLBOARD_TESTS_CLIENT_COMMANDS_TEXT_H

#include "gateway/protocol/client_protocol.h"

/* All commands of a message, separated by " | "; ends in "BAD" where decoding stopped. The message lies in a block of
 * its exact size, so that the address sanitizer sees a read past its end. To be freed by memory_free. */
char *client_commands_text(const struct client_codec *codec, struct span message);

#endif
