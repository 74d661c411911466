/* Configuration files with places to fill, as a ConfigMap can hold them: without secrets, and the same for every pod.
 *
 *   ${pod-name} ${pod-ip} ${pod-fqdn} ${ordinal}   of this pod
 *   ${sentinel-id}                                 40 hex digits that are this pod's for ever: SHA-1 of namespace/name
 *   ${own-acl}       as #sha256, the password that the agent itself logs in by for renewals (agent_renewal.h)
 *   ${secret:NAME}   the first line of the file NAME among the secrets, quoted as redis.conf needs it
 *   ${acl:NAME}      each line of it as #sha256, for a user line of users.acl: two lines are two passwords, which is
 * how one is changed without an outage
 *
 * Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_AGENT_TEMPLATE_H
#define CALLBOARD_OPERATOR_AGENT_TEMPLATE_H

#include "base/bytes.h"

struct agent_template_values {
    const char *pod_name;
    const char *pod_namespace;
    const char *pod_ip; /* NULL: not known; a template that asks for it fails */
    const char *pod_fqdn;
    unsigned ordinal;
    const char *own_password;
    /* The whole file of this name, to be appended to `out`. False: ret_why. */
    bool (*read_secret)(void *context, const char *name, struct buffer *out, char *ret_why, size_t why_size);
    void *context;
};

/* Appends the filled text. False: ret_error says the line and what is wrong; the secret itself is never in it. */
bool agent_template_fill(struct buffer *out, struct span text, const struct agent_template_values *values,
                         char *ret_error, size_t error_size);

#endif
