/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 by libmd. */
#ifndef CLI_SHA256_H
#define CLI_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65	/* with the NUL */

struct sha256;

struct sha256 *sha256_new(void);	/* NULL: no memory */
void sha256_add(struct sha256 *sha, const void *data, size_t len);
/* Frees it too. */
void sha256_end(struct sha256 *sha, char hex[SHA256_HEX]);

/*
 * Of a file's content, rounded down to blocks of @block bytes, whose length comes back in *bytes.
 * -errno.
 */
int sha256_file(const char *path, unsigned int block, uint64_t *bytes, char hex[SHA256_HEX]);

#endif
