/* What the engines of one broker found out about the servers they use: for the log (each change once), for health, and
 * as callboard_redis_findings. Several shards speak to the same server: who claims it examines it for all.
 * Thread: any (a mutex, taken a few times a minute). */
#ifndef CALLBOARD_BROKER_FINDING_BOARD_H
#define CALLBOARD_BROKER_FINDING_BOARD_H

#include "base/findings.h"
#include "base/metrics.h"

typedef struct finding_board finding_board_t;

finding_board_t *finding_board_new(metrics_t *metrics);
void finding_board_destroy(finding_board_t **self_p);

/* Is this place (host:port) due, its last claim every_ms old or more, or given back? Then it is the caller's to
 * examine: finding_board_post or finding_board_give_back follows. */
bool finding_board_claim(finding_board_t *self, const char *place, uint64_t now_ms, uint64_t every_ms);
void finding_board_give_back(finding_board_t *self, const char *place);
/* Replaces what is known of the place, and logs what became a warning or worse, and what is over. Takes the findings.
 * Places that were not posted for keep_ms are forgotten: no longer used. */
void finding_board_post(finding_board_t *self, const char *place, struct findings *findings, uint64_t now_ms,
                        uint64_t keep_ms);

/* Appends [{"id","severity"},…] of warnings and errors, each pair once: for everybody who may ask for health. */
void finding_board_append_ids(finding_board_t *self, struct buffer *out);
/* Appends [{"id","severity","where","what","mend"},…] of what is not fine. */
void finding_board_append_json(finding_board_t *self, struct buffer *out);

#endif
