/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/signals.h"

#define CHUNK (1u << 20)

struct sha256 {
	SHA2_CTX ctx;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *sha = malloc(sizeof(*sha));

	if (sha)
		SHA256Init(&sha->ctx);
	return sha;
}

void sha256_add(struct sha256 *sha, const void *data, size_t len)
{
	SHA256Update(&sha->ctx, data, len);
}

void sha256_end(struct sha256 *sha, char hex[SHA256_HEX])
{
	SHA256End(&sha->ctx, hex);
	free(sha);
}

/*
 * Adds up to the last whole block: what is left over in the buffer at the end is not part of the
 * disk.
 */
static int add_file(struct sha256 *sha, int fd, unsigned int block, uint64_t *bytes)
{
	unsigned char *buf = malloc(CHUNK);
	size_t have = 0, whole;
	ssize_t n = 0;
	int ret = 0;

	if (!buf)
		return -ENOMEM;
	*bytes = 0;
	while (!signals_caught() && (n = read(fd, buf + have, CHUNK - have)) > 0) {
		have += n;
		if (have < CHUNK)
			continue;
		sha256_add(sha, buf, CHUNK);	/* a multiple of every block size */
		*bytes += CHUNK;
		have = 0;
	}
	if (signals_caught())
		ret = -EINTR;
	else if (n < 0)
		ret = -errno;
	whole = have - have % block;
	sha256_add(sha, buf, whole);
	*bytes += whole;
	free(buf);
	return ret;
}

int sha256_file(const char *path, unsigned int block, uint64_t *bytes, char hex[SHA256_HEX])
{
	struct sha256 *sha;
	struct stat st;
	int fd, ret = -ENOMEM;

	/* Opening a FIFO would wait for its writer. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		close(fd);
		return -ENOTBLK;
	}
	sha = sha256_new();
	if (sha) {
		ret = add_file(sha, fd, block, bytes);
		sha256_end(sha, hex);
	}
	close(fd);
	return ret;
}
