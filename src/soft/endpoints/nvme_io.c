/* SPDX-License-Identifier: BSD-2-Clause */
/* NVM commands (NVMe §6): Flush, Read, Write. */
#include <sys/types.h>
#include <unistd.h>

#include "soft/endpoints/nvme_priv.h"

#define NSID 1u

/* Blocks as bytes of the disk, checked. */
struct range {
	uint64_t offset;
	uint32_t len;
};

static uint16_t range_of(const struct nvme *nvme, const struct nvme_sqe *sqe, struct range *range)
{
	uint64_t first = (uint64_t)sqe->cdw11 << 32 | sqe->cdw10;
	uint32_t count = (sqe->cdw12 & 0xffff) + 1;

	if (count > NVME_TRANSFER_MAX >> NVME_BLOCK_BITS)
		return NVME_INVALID_FIELD;
	if (first >= nvme->disk.blocks || count > nvme->disk.blocks - first)
		return NVME_LBA_RANGE;
	range->offset = first << NVME_BLOCK_BITS;
	range->len = count << NVME_BLOCK_BITS;
	return NVME_SUCCESS;
}

/* All of it, or an error: a file may have shrunk since. */
static bool file_transfer(int fd, char *buf, size_t len, uint64_t offset, bool write)
{
	while (len) {
		ssize_t n = write ? pwrite(fd, buf, len, offset) : pread(fd, buf, len, offset);

		if (n <= 0)
			return false;
		buf += n;
		offset += n;
		len -= n;
	}
	return true;
}

static uint16_t transfer(struct nvme *nvme, const struct nvme_segment *segments, unsigned int count,
			 char *data, bool to_host)
{
	for (unsigned int i = 0; i < count; i++) {
		int err =
			to_host ? pci_dma_write(nvme->dev, segments[i].addr, data, segments[i].len)
				: pci_dma_read(nvme->dev, segments[i].addr, data, segments[i].len);

		if (err)
			return NVME_DATA_TRANSFER_ERROR;
		data += segments[i].len;
	}
	return NVME_SUCCESS;
}

static uint16_t read_blocks(struct nvme *nvme, struct nvme_command *cmd)
{
	struct nvme_disk *disk = &nvme->disk;
	struct nvme_segment segments[NVME_SEGMENTS];
	unsigned int count;
	struct range range;
	char *data;
	uint16_t status = range_of(nvme, &cmd->sqe, &range);

	if (!status)
		status = nvme_prp_map(nvme, &cmd->sqe, range.len, segments, &count);
	if (status)
		return status;
	data = disk->memory ? disk->memory + range.offset : cmd->bounce;
	if (!disk->memory && !file_transfer(disk->fd, data, range.len, range.offset, false))
		return NVME_READ_ERROR;
	return transfer(nvme, segments, count, data, true);
}

static uint16_t write_blocks(struct nvme *nvme, struct nvme_command *cmd)
{
	struct nvme_disk *disk = &nvme->disk;
	struct nvme_segment segments[NVME_SEGMENTS];
	unsigned int count;
	struct range range;
	char *data;
	uint16_t status = range_of(nvme, &cmd->sqe, &range);

	if (!status && disk->read_only)
		status = NVME_WRITE_PROTECTED;
	if (!status)
		status = nvme_prp_map(nvme, &cmd->sqe, range.len, segments, &count);
	if (status)
		return status;
	data = disk->memory ? disk->memory + range.offset : cmd->bounce;
	status = transfer(nvme, segments, count, data, false);
	if (!status && !disk->memory && !file_transfer(disk->fd, data, range.len, range.offset, true))
		status = NVME_WRITE_FAULT;
	return status;
}

uint16_t nvme_io_command(struct nvme *nvme, struct nvme_command *cmd)
{
	unsigned int opcode = NVME_CDW0_OPCODE(cmd->sqe.cdw0);

	if (opcode != NVME_IO_FLUSH && opcode != NVME_IO_WRITE && opcode != NVME_IO_READ)
		return NVME_INVALID_OPCODE;
	/* Flush may name all namespaces. */
	if (cmd->sqe.nsid != NSID && !(opcode == NVME_IO_FLUSH && cmd->sqe.nsid == UINT32_MAX))
		return NVME_INVALID_NAMESPACE;
	switch (opcode) {
	case NVME_IO_READ:
		return read_blocks(nvme, cmd);
	case NVME_IO_WRITE:
		return write_blocks(nvme, cmd);
	default:
		return nvme_disk_flush(&nvme->disk) ? NVME_WRITE_FAULT : NVME_SUCCESS;
	}
}
