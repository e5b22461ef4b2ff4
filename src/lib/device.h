/* SPDX-License-Identifier: BSD-2-Clause */
/* A PCI device that is open and bound to the host's iommufd, as the other parts of the library use
 * it. */
#ifndef LIB_DEVICE_H
#define LIB_DEVICE_H

#include <pthread.h>
#include <doorbell/host.h>
#include <doorbell/region.h>

#include "lib/host.h"

#define DEVICE_BARS 6
#define DEVICE_NAME 64
#define DEVICE_RESERVED 64	/* reserved regions looked at */

struct db_msi;
struct db_viommu;
struct viommu_member;

struct device_region {
	uint64_t size;		/* 0: not there */
	uint64_t offset;	/* in the device's file */
	uint32_t flags;		/* VFIO_REGION_INFO_FLAG_* */
	bool mappable;
	bool msix_mappable;	/* the MSI-X table in it may be mapped too */
	/* If there are any, only these parts can be mapped. */
	unsigned int sparse_count;
	struct db_region_area sparse[DB_REGION_AREAS];
};

/* The MSI-X capability (PCIe 7.7.2), as the hardware has it. */
struct device_msix {
	unsigned int count;	/* 0: no such capability */
	unsigned int table_bar, pba_bar;
	uint32_t table_offset, pba_offset;
};

struct db_device {
	/* Fixed once open. */
	struct db_host *host;
	char address[16];
	int fd;
	uint32_t dev_id;
	unsigned int group;	/* adopted: not known, a number of its own */
	bool resettable;
	struct device_region config;
	struct device_region bar[DEVICE_BARS];
	struct device_region rom;
	uint8_t cap_msi, cap_pm;	/* offsets in config space, 0: none */
	struct device_msix msix;
	unsigned int msi_vectors, msix_vectors;	/* VFIO_DEVICE_GET_IRQ_INFO */
	uint32_t msi_irq_flags, msix_irq_flags;	/* of the same; 0: no vectors */
	bool msi_64bit, msi_maskable;
	/* How the device was found, to leave it so. */
	char former_driver[DEVICE_NAME], former_override[DEVICE_NAME];
	bool rebound;
	/* Adopted: there is no sysfs. */
	bool adopted, keep_fd;
	struct db_reserved *reserved;	/* of an adopted device; NULL: not known */
	unsigned int n_reserved;

	/* What follows, and the order of config, reset and table accesses. */
	pthread_mutex_t lock;
	bool attached;			/* to a HWPT */
	bool powered;			/* D0 */
	bool memory_on;			/* memory decoding and D0: the BARs answer */
	struct db_caps *caps;		/* what db_device_caps() found, or NULL */
	struct db_msi *msi[2];		/* of each enum db_msi_kind, or NULL */
	struct db_msi *armed;		/* whose vectors are enabled: MSI or MSI-X */
	bool intx;			/* INTx is: not with them */
	/* The kernel's MSI window (lib/doorbell.h). */
	struct {
		unsigned int users;	/* db_msi in mode native */
		bool taken;		/* by us: this was it */
		uint64_t start, size;
	} window;
	/* Set while a member of a vIOMMU, whose lock is needed too to look into it. */
	struct viommu_member *member;
};

/* Fills in what stays the same for as long as the device is open. 0, or an error with its
 * message. */
int device_learn(struct db_device *dev);

int device_ioctl(struct db_device *dev, unsigned long request, void *arg);

/* Looks whether the BARs answer, after something may have changed that. With the device's lock. */
void device_refresh(struct db_device *dev);

/* As db_device_bar_read(), of any region. */
ssize_t device_region_read(struct db_device *dev, const struct device_region *region, void *buf,
			   size_t len, uint64_t offset);

/* VFIO_DEVICE_ATTACH_IOMMUFD_PT: replaces what was attached. */
int device_attach(struct db_device *dev, uint32_t pt_id);
void device_detach(struct db_device *dev);

/*
 * Makes sure that the BARs answer while the table is accessed, and holds the device's lock till
 * device_memory_end(). A guest that switched memory decoding off has it on for the moment (as the
 * kernel does for its own accesses); one that put the device into D3 gets -EIO: an access to a
 * mapping would be a bus error.
 */
int device_memory_begin(struct db_device *dev, bool *was_off);
void device_memory_end(struct db_device *dev, bool was_off);

#endif
