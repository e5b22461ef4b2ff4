/* SPDX-License-Identifier: BSD-2-Clause */
/* What is behind the namespace: a file, or memory. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "soft/endpoints/nvme_priv.h"
#include "sys/error.h"

/*
 * A well-mixed word for each position: the finaliser of MurmurHash3 over a Weyl sequence (as
 * SplitMix64 does it).
 */
static uint64_t content_word(uint64_t seed, uint64_t index)
{
	uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void nvme_content(uint64_t seed, uint64_t offset, void *buf, size_t len)
{
	char *to = buf;

	while (len) {
		uint64_t word = htole64(content_word(seed, offset / 8));
		size_t skip = offset % 8, n = 8 - skip < len ? 8 - skip : len;

		memcpy(to, (char *)&word + skip, n);
		to += n;
		offset += n;
		len -= n;
	}
}

static int open_memory(struct nvme_disk *disk, const struct nvme_config *config)
{
	uint64_t size = config->size >> NVME_BLOCK_BITS << NVME_BLOCK_BITS;
	void *memory;

	if (!size)
		return -EINVAL;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	nvme_content(config->seed, 0, memory, size);
	disk->memory = memory;
	disk->blocks = size >> NVME_BLOCK_BITS;
	return 0;
}

/* Why a file cannot be a disk; NULL: it can. */
static const char *check_file(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return "it is a directory";
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (!st->st_size)
		return "it is empty";
	if (st->st_size % (1 << NVME_BLOCK_BITS))
		return "its size is not a multiple of 512 bytes";
	return NULL;
}

static int open_file(struct nvme_disk *disk, const struct nvme_config *config)
{
	int flags = config->read_only ? O_RDONLY : O_RDWR;
	const char *reason;
	struct stat st;
	int err = 0;

	/* Opening a FIFO would wait for its other end. */
	disk->fd = open(config->disk, flags | O_NONBLOCK | O_CLOEXEC);
	if (disk->fd < 0 || fstat(disk->fd, &st)) {
		err = -errno;
		reason = err == -EISDIR ? "it is a directory" : strerror(-err);
	} else {
		reason = check_file(&st);
	}
	if (reason) {
		err = err ? err : -EINVAL;
		db_error_set(err, "disk \"%s\": %s", config->disk, reason);
		nvme_disk_close(disk);
		return err;
	}
	disk->blocks = (uint64_t)st.st_size >> NVME_BLOCK_BITS;
	return 0;
}

int nvme_disk_open(struct nvme_disk *disk, const struct nvme_config *config)
{
	*disk = (struct nvme_disk){ .fd = -1, .read_only = config->read_only };
	return config->disk ? open_file(disk, config) : open_memory(disk, config);
}

void nvme_disk_close(struct nvme_disk *disk)
{
	if (disk->memory)
		munmap(disk->memory, disk->blocks << NVME_BLOCK_BITS);
	if (disk->fd >= 0)
		close(disk->fd);
	disk->memory = NULL;
	disk->fd = -1;
}

int nvme_disk_flush(struct nvme_disk *disk)
{
	return disk->fd >= 0 && fdatasync(disk->fd) ? -errno : 0;
}
