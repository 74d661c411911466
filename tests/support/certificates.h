/* Certificates for a test: an authority of its own, and what it signs, as PEM files in one directory. Thread: any. */
#ifndef CALLBOARD_TESTS_CERTIFICATES_H
#define CALLBOARD_TESTS_CERTIFICATES_H

#include <stdbool.h>

/* Makes <directory>/<name>.crt and .key: an authority that signs itself. */
void certificates_make_authority(const char *directory, const char *name);

struct certificate_wish {
    const char *name;      /* <directory>/<name>.crt and .key are made */
    const char *authority; /* name of the one that signs */
    const char *names;     /* subjectAltName as openssl writes it: "IP:127.0.0.1,DNS:redis.test" */
    bool is_expired;       /* valid from two days ago to yesterday */
    bool is_early;         /* from tomorrow on */
};
void certificates_make(const char *directory, const struct certificate_wish *wish);

#endif
