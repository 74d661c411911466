/* Until when a certificate is good. Thread: any. */
#ifndef CALLBOARD_OPERATOR_STATUS_STATUS_CERTIFICATE_H
#define CALLBOARD_OPERATOR_STATUS_STATUS_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

/* `text`: base64 of PEM, as a Secret has it; of a chain the first one, which is the own one. */
bool status_certificate_expiry(const char *text, int64_t *ret_ms);

#endif
