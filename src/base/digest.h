/* digest.h: SHA-256 (FIPS 180-4), for names of pairs without an id and for files that must be what they claim. */
#ifndef AG_BASE_DIGEST_H
#define AG_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

typedef struct ag_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} ag_sha256;

void ag_sha256_begin(ag_sha256 *s);
void ag_sha256_add(ag_sha256 *s, const void *bytes, size_t n);
void ag_sha256_end(ag_sha256 *s, unsigned char digest[32]);
/* Lower-case hexadecimal of a digest, NUL terminated. */
void ag_sha256_hex(const unsigned char digest[32], char hex[65]);
/* Digest of n bytes, in hexadecimal. */
void ag_sha256_of(char hex[65], const void *bytes, size_t n);
/* Digest of a file as it lies on disk (not gunzipped). */
ag_status ag_sha256_file(const char *path, char hex[65], ag_error *err);

#endif
