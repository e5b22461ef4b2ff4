/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual SMMU of a VM: one for each physical SMMU that its devices are behind. The VMM
 * emulates the registers and queues of an SMMUv3 and hands what the guest wrote to these calls:
 * STEs, invalidation commands; and takes event records. Everything from the guest is validated
 * here.
 */
#ifndef DOORBELL_VIOMMU_H
#define DOORBELL_VIOMMU_H

#include <doorbell/space.h>

DB_API_BEGIN

struct db_viommu;

/*
 * Makes the nest parent over @space for the SMMU of @dev (shared with other vIOMMUs of that SMMU),
 * the vIOMMU and its event queue. Errors: -EOPNOTSUPP (no nesting; the message names the reason,
 * e.g. neither S2FWB nor CANWBS), -ENOMEM.
 */
int db_viommu_create(struct db_space *space, struct db_device *dev, struct db_viommu **out);

/* All devices must have been removed. */
void db_viommu_destroy(struct db_viommu *viommu);

/*
 * Adds @dev under StreamID @virt_sid of the guest; until an STE is installed all its DMA is
 * aborted. Errors: -EINVAL (the device is behind another SMMU), -EEXIST (the StreamID or the device
 * is taken), -EOPNOTSUPP (a device of the same IOMMU group is in the vIOMMU: the kernel would give
 * both the STE of either).
 */
int db_viommu_add(struct db_viommu *viommu, struct db_device *dev, uint32_t virt_sid);
void db_viommu_remove(struct db_viommu *viommu, struct db_device *dev);

/*
 * Installs the guest's STE (8 little-endian dwords as in its stream table, SMMUv3 §5.2), after
 * CMD_CFGI_STE or CFGI_ALL. An STE equal to the installed one in the fields that reach hardware
 * costs no system call, or one if it has stage 1: the context descriptors cached under it go. An
 * STE that is not valid (V = 0) aborts like one that says so; the guest is owed a C_BAD_STE for each
 * access then, which the hardware does not tell. A replace is hitless. Fails closed: on any error
 * the device's DMA is aborted and -EIO (illegal STE: the guest is to get C_BAD_STE) or the host's
 * error is returned.
 */
int db_viommu_install_ste(struct db_viommu *viommu, struct db_device *dev, const uint64_t ste[8]);

/*
 * Executes @count invalidation commands of the guest (two little-endian dwords each, SMMUv3 §4;
 * CMD_SYNC and CFGI_STE are the VMM's and may be among them: they are skipped) with as few ioctls
 * as possible. When it returns no transaction uses what was invalidated. *done (may be NULL)
 * receives how many were executed, skipped ones included. However many there are, other calls on the
 * vIOMMU wait for no more than 512 of them. Errors: -EIO (a command is illegal for a guest, Reserved
 * bits and values included: CERROR_ILL at index *done), and the host's.
 */
int db_viommu_invalidate(struct db_viommu *viommu, const uint64_t (*cmds)[2], size_t count,
			 size_t *done);

/* A descriptor that polls readable when events wait; owned by the vIOMMU. */
int db_viommu_event_fd(struct db_viommu *viommu);

/*
 * Takes up to @max event records (4 little-endian dwords each, SMMUv3 §7.3, StreamIDs are the
 * guest's). Never blocks. *lost receives how many were lost since the last call because the queue
 * was full. Returns the number of records, or a negative errno of the host with nothing taken.
 */
int db_viommu_events(struct db_viommu *viommu, uint64_t (*events)[4], size_t max, uint64_t *lost);

DB_API_END

#endif
