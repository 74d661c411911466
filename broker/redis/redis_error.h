/* What an error reply of Redis means for us: pitfalls.md 4.4, redis.md "Failures". Redis 7 begins the reply of a failed
 * script with the code; 6.2 wraps it: "ERR Error running script (call to f_…): @user_script:12: -OOM command …".
 * Thread: any. */
#ifndef CALLBOARD_BROKER_REDIS_ERROR_H
#define CALLBOARD_BROKER_REDIS_ERROR_H

#include "base/bytes.h"

enum redis_error {
    REDIS_ERROR_REFUSED,   /* OOM, MISCONF, NOREPLICAS, BUSY, TRYAGAIN: nothing was done, may pass by itself */
    REDIS_ERROR_UNFIT,     /* READONLY, LOADING, MASTERDOWN, MOVED, ASK, CLUSTERDOWN, CROSSSLOT: nothing was done, and
                              this is not the server to speak to now */
    REDIS_ERROR_NO_SCRIPT, /* NOSCRIPT: nothing was done, send the text */
    REDIS_ERROR_DENIED,    /* NOPERM, NOAUTH, WRONGPASS: nothing was done */
    REDIS_ERROR_CORRUPT,   /* WRONGTYPE: foreign bytes in our keys; nothing was done */
    REDIS_ERROR_OTHER,     /* a mistake of ours or something unheard of: what was done is not known */
};

enum redis_error redis_error_classify(struct span text);
/* "OOM", "READONLY": static text, for logs and health. */
const char *redis_error_code(struct span text);

#endif
