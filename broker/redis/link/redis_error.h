/* What an error reply of Redis means for us. Whatever the meaning but REDIS_ERROR_OTHER: nothing was done. Redis 7
 * begins the reply of a failed script with the code; 6.2 wraps it: "ERR Error running script (call to f_…):
 * @user_script:12: -OOM command …". Thread: any. */
#ifndef CALLBOARD_BROKER_REDIS_ERROR_H
#define CALLBOARD_BROKER_REDIS_ERROR_H

#include "base/bytes.h"

enum redis_error {
    REDIS_ERROR_REFUSED, /* OOM, MISCONF, NOREPLICAS: this server takes no writes now; may pass by itself */
    REDIS_ERROR_AGAIN,   /* TRYAGAIN, ASK, CLUSTERDOWN, BUSY: the right server, most likely, which cannot just now: the
                            same again there a little later, to the deadline */
    REDIS_ERROR_MOVED,   /* MOVED: another server has the slot; redis_error_parse_moved */
    REDIS_ERROR_UNFIT,   /* READONLY, LOADING, MASTERDOWN, CROSSSLOT: not the server to speak to now */
    REDIS_ERROR_NO_SCRIPT, /* NOSCRIPT: send the text */
    REDIS_ERROR_DENIED,    /* NOPERM, NOAUTH, WRONGPASS: does not pass by itself */
    REDIS_ERROR_CORRUPT,   /* WRONGTYPE: foreign bytes in our keys */
    REDIS_ERROR_OTHER,     /* a mistake of ours or something unheard of: what was done is not known */
};

enum redis_error redis_error_classify(struct span text);
/* "MOVED 3999 127.0.0.1:6381" (ASK alike): slot and address, which redis_topology_moved takes. False: neither. */
bool redis_error_parse_moved(struct span text, uint32_t *ret_slot, struct span *ret_address);
/* "OOM", "READONLY": static text, for logs and health. */
const char *redis_error_code(struct span text);

#endif
