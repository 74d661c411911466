/* What was asked of the simulated Redis, what it answered and published, and what it holds in the end, in a file that
 * fidelity.py plays to a real one. A record is its letter, then spans, each behind its length (u32):
 *   C  n spans (u32 before them): a command, then its reply as RESP     M  topic, message
 *   H  key, then n (u32) field and value                                S  key, then n (u32) id and entry's value
 *   T  key, text                                                        E  key, n (u32), members of a set */
#ifndef CALLBOARD_TESTS_SIMULATION_TRANSCRIPT_H
#define CALLBOARD_TESTS_SIMULATION_TRANSCRIPT_H

/* After world_begin: the server takes that replid, since scripts are told it. */
void transcript_begin(const char *file, const char *replid);
/* Before world_end. Nothing where none was begun. */
void transcript_end(void);

#endif
