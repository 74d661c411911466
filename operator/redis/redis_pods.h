/* A list of pods by ordinal, as it is written: host[:port],host[:port],… where name-{0..5}.domain stands for six of
 * them. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_REDIS_PODS_H
#define CALLBOARD_OPERATOR_REDIS_PODS_H

#include "base/bytes.h"

enum { REDIS_PODS_MAX = 540, REDIS_POD_NAME_MAX = 253 };

struct redis_pod {
    char host[REDIS_POD_NAME_MAX + 1];
    uint16_t port;
};

struct redis_pods {
    struct redis_pod *pods;
    size_t n;
};

/* text NULL or empty: none. False: ret_error says what is wrong with it; the list is empty then. */
bool redis_pods_parse(struct redis_pods *self, const char *text, uint16_t default_port, char *ret_error,
                      size_t error_size);
void redis_pods_finish(struct redis_pods *self);

/* The number at the end of a StatefulSet's pod name: 12 of redis-12. False: there is none. */
bool redis_pod_ordinal(const char *pod_name, uint64_t *ret_ordinal);

#endif
