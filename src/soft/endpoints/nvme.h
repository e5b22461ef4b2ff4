/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nvme: an NVM Express controller (NVMe base spec 1.4, PCIe transport) with one namespace of
 * 512-byte blocks over a file or
 * memory: admin queue, up to N I/O queue pairs, one MSI-X vector each, PRP lists; Identify,
 * Create/Delete I/O SQ/CQ, Set/Get Features (number of queues), Abort, Async Event Request, Get Log
 * Page; Read, Write, Flush. Registers in BAR0, MSI-X table in BAR0 at 0x2000 (so as in QEMU's), PBA
 * at 0x3000 for up to 256 vectors.
 */
#ifndef SOFT_ENDPOINTS_NVME_H
#define SOFT_ENDPOINTS_NVME_H

#include "soft/hw/pci.h"

struct nvme_config {
	unsigned int io_queues;		/* 1..255; vectors = io_queues + 1 */
	/* Path of a file (its size is rounded down to blocks), or NULL: ... */
	const char *disk;
	/* ... memory of this many bytes with a pseudo-random content made from @seed */
	uint64_t size;
	uint64_t seed;
	bool read_only;
};

/*
 * The content that memory is made of: bytes [offset, offset + len) of the disk of @seed. For who
 * wants to check what was read.
 */
void nvme_content(uint64_t seed, uint64_t offset, void *buf, size_t len);

/*
 * Commands are executed to the end in the thread that writes the doorbell; different queues may be
 * rung by different threads at once. -EINVAL: no queues, a disk of no blocks; errors of open(2);
 * -ENOMEM.
 */
int nvme_create(const struct pci_slot *slot, const struct nvme_config *config,
		struct pci_dev **out);

#endif
