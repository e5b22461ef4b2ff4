/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The software host as its own parts see it: the machine's hardware, and the kernel's devices.
 */
#ifndef SOFT_HOST_H
#define SOFT_HOST_H

#include <pthread.h>
#include <sys/stat.h>
#include <doorbell/soft.h>

#include "soft/hw/pci.h"
#include "soft/machine.h"

struct iommufd_device;
struct iommufd_host;
struct mappings;
struct soft_file;

struct vfio_device;

/*
 * A PCI device as the kernel knows it.
 *
 * Lock order: soft_device.lock, the locks of iommufd, soft_device.access, host->lock; hardware has
 * its own below these. None of them is held while a file's release() runs.
 */
struct soft_device {
	struct soft_host *host;
	const struct machine_device *desc;
	unsigned int index;		/* N in /dev/vfio/devices/vfioN */
	pthread_mutex_t lock;		/* what follows, and the state of the vfio driver */
	struct pci_dev *pci;		/* NULL after hot-unplug; changes under access too */
	char driver[32];		/* "" none, "vfio-pci", or another's name */
	char driver_override[32];	/* "" none */
	/* what vfio-pci keeps while the device is bound to an iommufd, else NULL */
	struct vfio_device *vfio;
	struct soft_file *opened;	/* the file it is bound through (one at a time, as cdev) */
	struct iommufd_device *idev;	/* its iommufd object */
	/* read: an access to its BARs is under way; write: reset, unplug */
	pthread_rwlock_t access;
};

struct soft_host {
	struct db_sys sys;		/* the seam; first */
	struct machine machine;
	struct bus *bus;
	struct gic *gic;
	struct smmu_dev *smmus[MACHINE_SMMUS];
	struct its_dev *itses[MACHINE_ITSES];
	/* by iommufd_host_create(), once the hardware and devices[] stand */
	struct iommufd_host *iommufd;
	struct soft_device *devices;
	struct soft_device **by_address, **by_group;	/* the same, sorted */
	pthread_mutex_t lock;		/* files */
	struct soft_file **files;	/* indexed by descriptor */
	unsigned int n_files;
	/* told, under the lock, of each descriptor that becomes a file's or is one no more */
	void (*watch_fd)(int fd, bool there);
	struct mappings *mappings;
	pthread_mutex_t its_lock;	/* below soft_device.lock, above the hardware's */
	struct irq_events *its_events;	/* of each DeviceID in use */
};

/*
 * Changes dev->driver; with the device's lock. -EBUSY: a driver of the host's own cannot have it,
 * since a device of its IOMMU group is in use by an iommufd.
 */
int soft_device_set_driver(struct soft_device *dev, const char *driver);

struct soft_device *soft_host_find(struct soft_host *host, const char *address);

/* The devices of an IOMMU group: *@count of them, one after the other. */
struct soft_device **soft_host_group(struct soft_host *host, unsigned int group,
				     unsigned int *count);

/* Size of the machine's pages, bytes. */
uint64_t soft_host_page_size(const struct soft_host *host);

/*
 * mmap(2) of a file of the host: as the seam's, at *@out if that is not NULL, in place of what is
 * mapped there.
 */
int soft_host_mmap(struct soft_host *host, size_t len, int prot, int fd, uint64_t offset,
		   void **out);

/* fstat(2) of a descriptor of the host: what the kernel says, where that differs. -EBADF. */
int soft_host_fstat(struct soft_host *host, int fd, struct stat *st);

/*
 * stat(2) of a path that the seam's open() or list() knows: type, mode, size of a link's target,
 * number of a character device. -ENOENT, -ENOTDIR.
 */
int soft_host_stat(struct soft_host *host, const char *path, bool follow, struct stat *st);

/* lseek(2) with SEEK_SET; -ESPIPE: there is no position to seek. -EBADF, -EINVAL. */
int soft_host_rewind(struct soft_host *host, int fd, int64_t offset);

/* read(2) and write(2), at the file's position. */
ssize_t soft_host_read(struct soft_host *host, int fd, void *buf, size_t len);
ssize_t soft_host_write(struct soft_host *host, int fd, const void *buf, size_t len);

/*
 * Hot-plug, for tests. Unplug is a surprise removal: it takes the device's mappings away and
 * signals the request eventfd, but does not wait for the files to be closed. -ENOENT. Plug fails
 * with -EBUSY as long as one of before is bound, -EEXIST when it is there.
 */
int soft_host_unplug(struct soft_host *host, const char *address);
int soft_host_plug(struct soft_host *host, const char *address);

#endif
