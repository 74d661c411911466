/* What the files of callboardctl doctor share and nobody else includes.
 *
 *   ctl_doctor.c         arguments, order, exit code       ctl_doctor_keys.c    CURVE keys, token secret, file modes
 *   ctl_doctor_config.c  settings, as the programs do      ctl_doctor_host.c    descriptors, backlog, memory
 *   ctl_doctor_redis.c   one survey of each Redis          ctl_doctor_programs.c  which programs, do they agree
 *   ctl_doctor_report.c  text and JSON                     ctl_doctor_pages.c     health and info of one
 *   ctl_doctor_handshake.c  one ZeroMQ handshake, with keys  ctl_doctor_ports.c   ports, backend API
 *
 * Every check appends findings and goes on: what cannot be reached is one, too. Each wait is bounded by
 * DOCTOR_WAIT_MS. */
#ifndef CALLBOARD_TOOLS_CTL_DOCTOR_PARTS_H
#define CALLBOARD_TOOLS_CTL_DOCTOR_PARTS_H

#include "base/curve_keys.h"
#include "base/findings.h"
#include "tools/ctl.h"
#include "tools/ctl_doctor_checks.h"
#include "tools/ctl_http.h"

enum { DOCTOR_WAIT_MS = CTL_HTTP_WAIT_MS, DOCTOR_LIST_MAX = 64, DOCTOR_SOURCES_MAX = 16 };

struct broker_config;
struct gateway_config;

enum doctor_program { DOCTOR_APPLIANCE, DOCTOR_BROKER, DOCTOR_GATEWAY };

/* One reading of settings: a file with what the environment says, or only the latter. */
struct doctor_source {
    const char *file;   /* NULL: none */
    const char *where;  /* the file's name, or "environment" */
    bool is_redis_only; /* --redis without any settings: nothing else of it counts */
    enum doctor_program program;
    struct gateway_config *gateway; /* NULL: not a gateway's */
    struct broker_config *broker;   /* NULL: not a broker's */
};

struct doctor_list {
    const char *items[DOCTOR_LIST_MAX];
    size_t n;
};

struct doctor {
    struct doctor_list configs, brokers, gateways; /* of the command line */
    const char *redis;
    const char *token_file; /* of the internal listeners */
    bool json;
    bool all; /* print what is fine, too */
    const struct ctl_options *options;
    struct doctor_source sources[DOCTOR_SOURCES_MAX];
    size_t n_sources;
    struct findings findings;
    bool has_left; /* a thread of ours waits for a resolver: the end does not wait for it */
};

#define doctor_add(self, check, severity, where, ...)                                                                  \
    findings_add(&(self)->findings, doctor_check_id(check), (severity), (where), __VA_ARGS__)
#define doctor_mend(self, ...) findings_mend(&(self)->findings, __VA_ARGS__)

/* ---- ctl_doctor_config.c ---- */
/* Reads and judges every --config, or CALLBOARD_CONFIG, or what the environment alone says. */
void doctor_read_configs(struct doctor *self);
void doctor_finish_configs(struct doctor *self);
/* Rules between settings that --check does not judge. */
void doctor_check_configs(struct doctor *self);
/* As the pages of running programs tell it, in hexadecimal. */
void doctor_namespaces_hash(const struct doctor_source *source, char *ret_text, size_t size);
/* http://address:port of its internal listener; "" where the port is any free one. */
void doctor_internal_base(const struct doctor_source *source, char *ret_base, size_t size);
const char *doctor_internal_token(const struct doctor_source *source);

/* ---- ctl_doctor_keys.c, ctl_doctor_host.c, ctl_doctor_redis.c ---- */
void doctor_check_keys(struct doctor *self);
/* The brokers' public key that a gateway's settings name; false: none, or it cannot be read (error: why). */
bool doctor_read_broker_key(const struct gateway_config *config, struct curve_keys *ret_keys, char *ret_error,
                            size_t error_size);
void doctor_check_secret_files(struct doctor *self);
void doctor_check_host(struct doctor *self);
void doctor_check_redis(struct doctor *self);

/* ---- ctl_doctor_programs.c ---- */
/* Internal listeners, public ports, ports for gateways, backend API; then what they have to agree on. */
void doctor_check_programs(struct doctor *self);

/* What one running program, or one file, says of itself; "" and 0 where it does not. */
struct doctor_said {
    char where[512];
    char version[32];
    char namespaces_hash[32];
    bool is_file;
    uint64_t partitions;
    bool clock_is_known;
    int64_t clock_ahead_ms;
};

/* ---- ctl_doctor_pages.c ---- */
/* A program's internal listener. config: of the file that names it, or NULL. Findings, and what it says of itself: two
 * of them for an appliance. */
void doctor_check_broker_pages(struct doctor *self, const char *base, const char *path_prefix, const char *token,
                               const struct broker_config *config, struct doctor_said *ret_said);
void doctor_check_gateway_pages(struct doctor *self, const char *base, const char *token, struct doctor_said *ret_said);

/* ---- ctl_doctor_ports.c ---- */
void doctor_check_ports(struct doctor *self);
void doctor_check_backend(struct doctor *self);

/* ---- ctl_doctor_handshake.c ---- */
enum doctor_handshake {
    DOCTOR_HANDSHAKE_DONE,
    DOCTOR_HANDSHAKE_NOT_ALLOWED, /* our key is not on its list */
    DOCTOR_HANDSHAKE_BROKEN_OFF,  /* it has another key than we think, or keys where we have none, or is no ZeroMQ */
    DOCTOR_HANDSHAKE_SILENT,
};
/* own NULL: without CURVE. */
enum doctor_handshake doctor_shake_hands(const char *endpoint, const struct curve_keys *own,
                                         const char *server_public_text);

/* ---- ctl_doctor_report.c ---- */
void doctor_report(const struct doctor *self);

#endif
