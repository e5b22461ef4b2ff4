/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The software host as its own parts see it: the machine's hardware, and the kernel's devices.
 */
#ifndef SOFT_HOST_H
#define SOFT_HOST_H

#include <pthread.h>
#include <doorbell/soft.h>

#include "soft/hw/pci.h"
#include "soft/machine.h"

struct soft_file;
struct iommufd_device;

/* A PCI device as the kernel knows it. Lock order in the kernel side: host->lock, iommufd ctx, soft_device.lock, hardware. */
struct soft_device {
	struct soft_host *host;
	const struct machine_device *desc;
	struct pci_dev *pci;		/* NULL after hot-unplug */
	unsigned int index;		/* N in /dev/vfio/devices/vfioN */
	pthread_mutex_t lock;
	char driver[32];		/* "" none, "vfio-pci", or another's name */
	struct soft_file *opened;	/* the vfio cdev's open file, or NULL (one opener at a time, as cdev) */
	struct iommufd_device *idev;	/* bound through opened */
};

struct soft_host {
	struct db_sys sys;		/* the seam; first */
	struct machine machine;
	struct bus *bus;
	struct gic *gic;
	struct smmu_dev *smmus[MACHINE_SMMUS];
	struct its_dev *itses[MACHINE_ITSES];
	struct soft_device *devices;
	pthread_mutex_t lock;		/* files, drivers, hot-plug */
	struct soft_file **files;	/* indexed by descriptor */
	unsigned int n_files;
};

struct soft_device *soft_host_find(struct soft_host *host, const char *address);

/* Hot-plug, for tests: unplug revokes what the device handed out, as the kernel's remove path does. */
int soft_host_unplug(struct soft_host *host, const char *address);
int soft_host_plug(struct soft_host *host, const char *address);

#endif
