/* See rdb_crc.h. By a table that is made once; the check value of "123456789" is e9c6d914c4b8d9ca. */
#include "operator/backup/rdb_crc.h"

#include <pthread.h>

#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5) /* ad93d23594c935a9, its bits the other way round */

static uint64_t table[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        }
        table[i] = crc;
    }
}

uint64_t rdb_crc(uint64_t crc, struct span bytes) {
    pthread_once(&once, make_table);
    for (size_t i = 0; i < bytes.size; i++) {
        crc = table[(uint8_t) crc ^ bytes.data[i]] ^ (crc >> 8);
    }
    return crc;
}
