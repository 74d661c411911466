/* Random bytes from the kernel's generator, and the texts we make of them (epochs, ids).
 * Thread: any. */
#ifndef CALLBOARD_BASE_RANDOM_H
#define CALLBOARD_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *ret_bytes, size_t size); /* aborts when the kernel has none: nothing safe could follow */
uint64_t random_u64(void);
uint32_t random_below(uint32_t bound); /* uniform in [0, bound); bound 0 gives 0 */
/* `length` characters of 0-9A-Za-z, uniform, and a NUL. */
void random_base62(char *ret_text, size_t length);
/* 36 characters and a NUL: UUID version 4 (RFC 9562 5.4). */
void random_uuid(char ret_text[37]);

#endif
