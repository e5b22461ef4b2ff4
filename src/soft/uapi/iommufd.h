/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iommufd of the software host, as the vfio driver uses it. The uAPI itself is in abi/iommufd.h.
 */
#ifndef SOFT_UAPI_IOMMUFD_H
#define SOFT_UAPI_IOMMUFD_H

#include "soft/uapi/file.h"

struct iommufd_ctx;
struct iommufd_device;

/*
 * The kernel's IOMMU side of a host: drivers of its SMMUs and the owners of its groups, in
 * host->iommufd. Created after the hardware and host->devices[] (desc and host set in each),
 * destroyed after every file is gone and before the hardware. -ENOMEM.
 */
int iommufd_host_create(struct soft_host *host);
void iommufd_host_destroy(struct soft_host *host);

/* open("/dev/iommu"): a new context behind a new file. */
int iommufd_open(struct soft_host *host, int flags, int *fd);

/* The number of its character device. */
dev_t iommufd_rdev(void);

/* The context behind @fd with a reference. -EBADF: no open file; -EBADFD: not an iommufd. */
int iommufd_ctx_from_fd(struct soft_host *host, int fd, struct iommufd_ctx **out);
void iommufd_ctx_get(struct iommufd_ctx *ctx);	/* one more reference */
void iommufd_ctx_put(struct iommufd_ctx *ctx);

/*
 * The IOAS of the VFIO container that it is: made unless there is one; its id, -ENODEV: there is
 * none.
 */
int iommufd_vfio_make_ioas(struct iommufd_ctx *ctx);
int iommufd_vfio_ioas_id(struct iommufd_ctx *ctx, uint32_t *id);

/*
 * VFIO_DEVICE_BIND_IOMMUFD: takes the device's group for @ctx; DMA is blocked until attach. *id is
 * the dev_id. -EPERM: the group belongs to another iommufd, or one of its devices to a driver of
 * the host's own; -EINVAL: firmware wants a 1:1 mapping of the device ("direct" reserved region);
 * -ENOMEM. Unbind detaches; no other call for @idev may be under way or follow.
 */
int iommufd_device_bind(struct iommufd_ctx *ctx, struct soft_device *dev,
			struct iommufd_device **out, uint32_t *id);
void iommufd_device_unbind(struct iommufd_device *idev);

/*
 * A driver of the host's own takes @dev, and leaves it again: it does DMA as the kernel maps it,
 * and so nobody else may have the group. -EBUSY: an iommufd has it.
 */
int iommufd_driver_binds(struct soft_device *dev);
void iommufd_driver_unbinds(struct soft_device *dev);

/*
 * VFIO_DEVICE_ATTACH/DETACH_IOMMUFD_PT: *pt_id is an IOAS (an automatic HWPT is made and *pt_id
 * updated) or a HWPT; replaces when attached.
 */
int iommufd_device_attach(struct iommufd_device *idev, uint32_t *pt_id);
void iommufd_device_detach(struct iommufd_device *idev);

/*
 * The address that stands in the message of vector @index (MSI or MSI-X number @irq_index) for the
 * doorbell at @doorbell (a PA, with the register's offset): the one prepared for it, or that of the
 * SW_MSI window, mapped there now if need be; with the doorbell's low bits. -EOPNOTSUPP (the device
 * is detached, prepared or not), -EDESTADDRREQ (no address, no window), -EOVERFLOW (64 pages in the
 * window), -ENOSPC (the window is too short), -ENOMEM, -EEXIST (the user mapped something there
 * while detached).
 */
int iommufd_sw_msi(struct iommufd_device *idev, unsigned int irq_index, unsigned int index,
		   uint64_t doorbell, uint64_t *address);

/* Can vector @index be armed? -EDESTADDRREQ: it has no address, and there is no window. */
int iommufd_check_msi(struct iommufd_device *idev, unsigned int irq_index, unsigned int index);

/* May messages of the device be prepared: does the kernel know how, and the SMMU translate them? */
bool iommufd_can_prepare_msi(const struct iommufd_device *idev);

/*
 * VFIO_IRQ_SET_ACTION_PREPARE: @iova[i] for vectors [start, start + count); NULL forgets. All or
 * nothing. The caller has checked the range. -ENOMEM.
 */
int iommufd_prepare_msi(struct iommufd_device *idev, unsigned int irq_index, unsigned int start,
			unsigned int count, const uint64_t *iova);

#endif
