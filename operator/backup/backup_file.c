/* See backup_file.h. The last nine bytes are held back from the checksum: 0xFF, which ends an RDB, and eight bytes of
 * CRC-64 over all that stands before them. Failures: a disk that is full or a pipe that is closed (the system's words),
 * and bytes that are no RDB or not all of one. */
#include "operator/backup/backup_file.h"

#include "base/check.h"
#include "base/memory.h"
#include "operator/backup/rdb_crc.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/evp.h>

enum { HEAD = 9, END = 9, END_OF_RDB = 0xFF };

struct backup_file {
    int fd;
    EVP_MD_CTX *digest;
    uint64_t bytes;
    uint64_t crc; /* of all but the tail */
    uint8_t head[HEAD];
    uint8_t tail[END];
    size_t tail_size;
    char error[BACKUP_ERROR_MAX];
};

backup_file_t *backup_file_new(int fd) {
    backup_file_t *self = memory_alloc_zero(sizeof *self);
    self->fd = fd;
    self->digest = EVP_MD_CTX_new();
    check(self->digest != NULL && EVP_DigestInit_ex(self->digest, EVP_sha256(), NULL) == 1, "SHA-256");
    return self;
}

void backup_file_destroy(backup_file_t **self_p) {
    backup_file_t *self = *self_p;
    if (self != NULL) {
        EVP_MD_CTX_free(self->digest);
        memory_free(self);
        *self_p = NULL;
    }
}

static bool write_all(backup_file_t *self, struct span bytes) {
    while (bytes.size > 0 && self->fd != BACKUP_FILE_NOWHERE) {
        ssize_t n = write(self->fd, bytes.data, bytes.size);
        if (n < 0 && errno != EINTR) {
            snprintf(self->error, sizeof self->error, "it cannot be written: %s", strerror(errno));
            return false;
        }
        if (n > 0) {
            bytes = span_of(bytes.data + n, bytes.size - (size_t) n);
        }
    }
    return true;
}

/* All but the newest nine bytes into the checksum. */
static void add_to_crc(backup_file_t *self, struct span bytes) {
    size_t all = self->tail_size + bytes.size;
    size_t out = all > END ? all - END : 0;
    size_t of_tail = out < self->tail_size ? out : self->tail_size;
    self->crc = rdb_crc(self->crc, span_of(self->tail, of_tail));
    self->crc = rdb_crc(self->crc, span_of(bytes.data, out - of_tail));
    memmove(self->tail, self->tail + of_tail, self->tail_size - of_tail);
    self->tail_size -= of_tail;
    size_t kept = bytes.size - (out - of_tail);
    memcpy(self->tail + self->tail_size, bytes.data + bytes.size - kept, kept);
    self->tail_size += kept;
}

bool backup_file_take(void *context, struct span bytes) {
    backup_file_t *self = context;
    if (bytes.size == 0) {
        return true;
    }
    if (self->bytes < HEAD) {
        size_t wanted = HEAD - (size_t) self->bytes;
        memcpy(self->head + self->bytes, bytes.data, bytes.size < wanted ? bytes.size : wanted);
    }
    self->bytes += bytes.size;
    add_to_crc(self, bytes);
    check(EVP_DigestUpdate(self->digest, bytes.data, bytes.size) == 1, "SHA-256");
    return write_all(self, bytes);
}

/* REDIS0010, or VALKEY080 of newer ones. */
static bool read_head(const uint8_t head[HEAD], unsigned *ret_version) {
    size_t name = memcmp(head, "REDIS", 5) == 0 ? 5 : memcmp(head, "VALKEY", 6) == 0 ? 6 : 0;
    *ret_version = 0;
    for (size_t i = name; i < HEAD; i++) {
        if (name == 0 || head[i] < '0' || head[i] > '9') {
            return false;
        }
        *ret_version = *ret_version * 10 + (unsigned) (head[i] - '0');
    }
    return true;
}

static uint64_t read_crc(const uint8_t bytes[8]) {
    struct cursor cursor = cursor_of(span_of(bytes, 8));
    return cursor_u64(&cursor);
}

bool backup_file_finish(backup_file_t *self, struct backup_file_facts *ret_facts) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    *ret_facts = (struct backup_file_facts){.bytes = self->bytes};
    if (self->bytes < HEAD + END || !read_head(self->head, &ret_facts->rdb_version) || self->tail[0] != END_OF_RDB) {
        snprintf(self->error, sizeof self->error, "the %llu bytes that came are no whole RDB",
                 (unsigned long long) self->bytes);
        return false;
    }
    uint64_t told = read_crc(self->tail + 1);
    uint64_t own = rdb_crc(self->crc, span_of(self->tail, 1));
    if (told != 0 && told != own) {
        snprintf(self->error, sizeof self->error, "the RDB's checksum is %016llx, that of what came %016llx",
                 (unsigned long long) told, (unsigned long long) own);
        return false;
    }
    ret_facts->is_checked = told != 0;
    check(EVP_DigestFinal_ex(self->digest, digest, &size) == 1 && size == 32, "SHA-256");
    for (unsigned i = 0; i < size; i++) {
        snprintf(ret_facts->sha256 + 2 * i, 3, "%02x", digest[i]);
    }
    return true;
}

const char *backup_file_error(const backup_file_t *self) {
    return self->error;
}
