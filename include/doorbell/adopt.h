/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For a VMM that has its descriptors already, opened by itself or handed over by its launcher: it
 * gives them to the library instead of having them opened, and takes what it needs of it. Nothing
 * is looked up in sysfs then, nor opened, so that it works in a sandbox; all else is as with what
 * the library opened. And the other way round: the descriptors and ids of what the library has.
 *
 * What is adopted must stay what it is for as long as the object: not closed, not bound elsewhere.
 * A device that the VMM attaches by itself (VFIO_DEVICE_ATTACH_IOMMUFD_PT), and for which it has
 * stage 2 and vIOMMU of its own, needs only a db_msi: see db_msi_config.space.
 */
#ifndef DOORBELL_ADOPT_H
#define DOORBELL_ADOPT_H

#include <doorbell/viommu.h>

DB_API_BEGIN

/* The descriptor (of a space: the IOAS) stays the caller's, and as it is, when the object is
 * closed. Without it, it belongs to the library once the call has succeeded, which closes it then;
 * after an error it is the caller's in any case. */
#define DB_ADOPT_KEEP (1u << 0)

/* The device is bound to the host's iommufd (VFIO_DEVICE_BIND_IOMMUFD). */
#define DB_ADOPT_BOUND (1u << 1)

/*
 * Takes @iommufd, an open /dev/iommu, as the host. @flags: DB_ADOPT_KEEP.
 * Errors: -EBADF (no iommufd), -EINVAL (flags, or the seam's operations have no size), -ENOMEM.
 */
int db_host_adopt(struct db_sys *sys, int iommufd, unsigned int flags, struct db_host **out);

struct db_device_adoption {
	size_t size;		/* doorbell/api.h */
	int fd;			/* an open /dev/vfio/devices/vfioN, or a group's device */
	uint32_t flags;		/* DB_ADOPT_* */
	uint32_t dev_id;	/* with DB_ADOPT_BOUND: what binding returned (out_devid) */
	/*
	 * With DB_ADOPT_BOUND: the IOAS that the device is attached to, itself or through a nest
	 * parent; 0: not attached, or not told. It is asked for the device's reserved ranges. (The
	 * ranges of a device that the library binds are learnt by attaching it to an empty IOAS for
	 * a moment.)
	 */
	uint32_t ioas_id;
	const char *name;	/* for messages, at most 15 characters count; NULL: "fd N" */
};

/*
 * Takes an open VFIO device, and binds it to the iommufd of @host unless it is bound. Its driver
 * stays what it is. The library does not know its IOMMU group: two devices of one group must not
 * be put into one db_viommu.
 *
 * Errors: -EBADF (no VFIO device), -EINVAL (flags), -E2BIG, -ENOENT (no device dev_id in the
 * iommufd), -EBUSY (bound already, and DB_ADOPT_BOUND was not given), -EPERM (the kernel does not
 * give the device away), -EOPNOTSUPP (not PCI), -EIO, -ENOMEM.
 */
int db_device_adopt(struct db_host *host, const struct db_device_adoption *adoption,
		    struct db_device **out);

/*
 * Takes IOAS @ioas_id of the host's iommufd as a guest-physical space. What is mapped there
 * already, and what is mapped by others later, is the caller's. @flags: DB_ADOPT_KEEP. With it
 * doorbells that the library mapped are unmapped by db_space_destroy(), all else stays.
 * Errors: -ENOENT (no such IOAS), -EINVAL (flags), -ENOMEM.
 */
int db_space_adopt(struct db_host *host, uint32_t ioas_id, unsigned int flags,
		   struct db_space **out);

/* What the library has, opened or adopted. Descriptors stay the library's (or whose they were). */
int db_host_fd(const struct db_host *host);		/* /dev/iommu */
int db_device_fd(const struct db_device *dev);		/* the VFIO device */
uint32_t db_device_id(const struct db_device *dev);	/* dev_id in the iommufd */
uint32_t db_space_id(const struct db_space *space);	/* IOAS */
uint32_t db_viommu_id(const struct db_viommu *viommu);
uint32_t db_viommu_parent_id(const struct db_viommu *viommu);	/* nest parent HWPT */
/* The vDEVICE of @dev; 0: it is not in @viommu. */
uint32_t db_viommu_vdevice_id(struct db_viommu *viommu, struct db_device *dev);

DB_API_END

#endif
