/* The checksum that RDB files and DUMP payloads end with: CRC-64 (Jones), reflected, begun with 0. Thread: any. */
#ifndef CALLBOARD_OPERATOR_RDB_CRC_H
#define CALLBOARD_OPERATOR_RDB_CRC_H

#include "base/bytes.h"

/* Goes on from `crc`; 0 begins. */
uint64_t rdb_crc(uint64_t crc, struct span bytes);

#endif
