/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK (1u << 20)

struct sha256 {
	EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *sha = malloc(sizeof(*sha));

	if (!sha)
		return NULL;
	sha->ctx = EVP_MD_CTX_new();
	if (sha->ctx && EVP_DigestInit_ex(sha->ctx, EVP_sha256(), NULL))
		return sha;
	EVP_MD_CTX_free(sha->ctx);
	free(sha);
	return NULL;
}

int sha256_add(struct sha256 *sha, const void *data, size_t len)
{
	return EVP_DigestUpdate(sha->ctx, data, len) ? 0 : -EIO;
}

int sha256_end(struct sha256 *sha, char hex[SHA256_HEX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0, i;
	int ok;

	hex[0] = 0;
	if (!sha)
		return -ENOMEM;
	ok = EVP_DigestFinal_ex(sha->ctx, digest, &len);
	EVP_MD_CTX_free(sha->ctx);
	free(sha);
	for (i = 0; ok && i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return ok ? 0 : -EIO;
}

/*
 * Adds up to the last whole block: what is left over in the buffer at the end is not part of the
 * disk.
 */
static int add_file(struct sha256 *sha, int fd, unsigned int block, uint64_t *bytes)
{
	unsigned char *buf = malloc(CHUNK);
	size_t have = 0;
	ssize_t n;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	*bytes = 0;
	while (!err && (n = read(fd, buf + have, CHUNK - have)) > 0) {
		size_t whole;

		have += n;
		whole = have - have % block;
		if (have < CHUNK)
			continue;
		err = sha256_add(sha, buf, whole);
		*bytes += whole;
		have = 0;	/* CHUNK is a multiple of every block size */
	}
	if (!err && n < 0)
		err = -errno;
	if (!err && have >= block) {
		err = sha256_add(sha, buf, have - have % block);
		*bytes += have - have % block;
	}
	free(buf);
	return err;
}

int sha256_file(const char *path, unsigned int block, uint64_t *bytes, char hex[SHA256_HEX])
{
	struct sha256 *sha;
	int fd, err, end;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	sha = sha256_new();
	err = sha ? add_file(sha, fd, block, bytes) : -ENOMEM;
	end = sha256_end(sha, hex);
	close(fd);
	return err ? err : end;
}
