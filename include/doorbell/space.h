/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-physical space of a VM: what stage 2 maps. One IOAS; every device of the VM, behind
 * whichever SMMU, sees it. IPAs, lengths and file offsets are bytes and multiples of the host's
 * page size.
 */
#ifndef DOORBELL_SPACE_H
#define DOORBELL_SPACE_H

#include <doorbell/host.h>

DB_API_BEGIN

struct db_space;

#define DB_READ (1u << 0)
#define DB_WRITE (1u << 1)

int db_space_create(struct db_host *host, struct db_space **out);

/* Ends every mapping. No db_viommu may use the space any more. */
void db_space_destroy(struct db_space *space);

/*
 * Maps [ipa, ipa + len) to the memory at @va, which the host pins: it must stay until unmapped.
 * Errors: -EINVAL (alignment, overflow), -EADDRINUSE (overlaps a mapping or a reserved region; a
 * window in force counts as one), -EFAULT (not the process's memory), -ENOMEM, -EPERM (memlock).
 */
int db_space_map(struct db_space *space, uint64_t ipa, void *va, uint64_t len, unsigned int prot);

/* The same for [offset, offset + len) of a memfd or dma-buf; the descriptor may be closed
 * afterwards. */
int db_space_map_file(struct db_space *space, uint64_t ipa, int fd, uint64_t offset, uint64_t len,
		      unsigned int prot);

/* Unmaps [ipa, ipa + len), whole mappings only. -ENOENT: nothing there; -EBUSY: a doorbell of
 * db_space_map_doorbell() is. When it returns no device reaches that memory. */
int db_space_unmap(struct db_space *space, uint64_t ipa, uint64_t len);

/*
 * Mode native: maps @dev's doorbell page(s) at @ipa. Mapping the same doorbell there again (another
 * device of the same ITS) succeeds and counts; as many db_space_unmap_doorbell() calls end it. The
 * mapping stays until then, also when the devices are closed. The device need not be in a vIOMMU.
 * Errors: -EXDEV (another doorbell stands there: these devices need a vITS each), -EOPNOTSUPP (no
 * native interface), and those of map.
 */
int db_space_map_doorbell(struct db_space *space, struct db_device *dev, uint64_t ipa);
int db_space_unmap_doorbell(struct db_space *space, struct db_device *dev, uint64_t ipa);

DB_API_END

#endif
