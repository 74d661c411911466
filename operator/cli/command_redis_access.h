/* The options that say how Redis and its Sentinels are reached, for the commands that work on them (redis, rehearse).
 * Each is a row of operator/redis/redis_options.c, which has the bounds and defaults; a test compares the names. */
#ifndef CALLBOARD_OPERATOR_CLI_COMMAND_REDIS_ACCESS_H
#define CALLBOARD_OPERATOR_CLI_COMMAND_REDIS_ACCESS_H

#define COMMAND_REDIS_ACCESS_OPTIONS                                                                                   \
    {"sentinels", "LIST", "the Sentinel pods, written like --peers (redis: for roll of a set)"},                       \
        {"master-set", "NAME", "the name that the Sentinels know the set by (callboard)"},                             \
        {"sentinel-user", "NAME", "ACL user at the Sentinels"},                                                        \
        {"sentinel-password-file", "FILE", "as --password-file, for the Sentinels"},                                   \
        {"user", "NAME", "ACL user at Redis; without: the default one"},                                               \
        {"password-file", "FILE", "its first line is the password"},                                                   \
        {"tls", NULL, "speak TLS to Redis and the Sentinels"}, {"tls-ca-file", "FILE", "authorities in PEM"},          \
        {"tls-certificate-file", "FILE", "our certificate in PEM, where one is asked for"},                            \
        {"tls-key-file", "FILE", "its private key in PEM"},                                                            \
        {"tls-server-name", "NAME", "what certificates have to be made for; without: the host of --peers"},            \
        {"hosts-file", "FILE", "names that are looked for here before DNS (/etc/hosts)"},                              \
        {"nameserver", "ADDRESS", "the DNS server to ask instead of /etc/resolv.conf's"}, {                            \
        "command-timeout-ms", "MS", "for a connect to Redis, and for each command (1000)"                              \
    }

#endif
