/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sysfs files that discovery and binding use. Answers are computed when asked; nothing is
 * stored.
 *
 *   /sys/bus/pci/devices/ADDRESS/       vendor, device, class, revision, driver_override (rw),
 * reset (w, if it can), driver and iommu_group (links), vfio-dev/vfioN/dev (bound to vfio-pci)
 *   /sys/bus/pci/drivers/NAME/          bind (w), unbind (w), a link for each device; NAME:
 * vfio-pci, nvme, bell /sys/bus/pci/drivers_probe (w) /sys/kernel/iommu_groups/N/         type,
 * reserved_regions, devices/ADDRESS (links) /dev/vfio/devices/                  can be listed
 *
 * Unbinding a device in use takes it from its user at once, where Linux would wait for him to close
 * it.
 *
 * And one file that Linux does not have, for `doorbell explain`:
 *
 *   /sys/kernel/debug/doorbell/ADDRESS (rw)  the translation of one access by the device, in its
 * SMMU as it stands. Write a struct sysfs_trace; then read an array of struct smmu_step
 * (arm/smmu.h). Nothing is accessed, cached or recorded.
 */
#ifndef SOFT_UAPI_SYSFS_H
#define SOFT_UAPI_SYSFS_H

#include "soft/uapi/file.h"

#define SYSFS_TRACE_DIR "/sys/kernel/debug/doorbell/"
#define SYSFS_TRACE_STEPS 512	/* more are cut off */

struct sysfs_trace {
	uint64_t iova;
	uint32_t write;		/* 0 read, 1 write */
	uint32_t ssid;		/* SubstreamID, or UINT32_MAX for none */
};

/* -ENOENT, -EACCES, -EISDIR */
int sysfs_open(struct soft_host *host, const char *path, int flags, int *fd);
ssize_t sysfs_readlink(struct soft_host *host, const char *path, char *buf, size_t size);
/* Fills in type, mode, size and device number. */
int sysfs_stat(struct soft_host *host, const char *path, bool follow, struct stat *st);
int sysfs_list(struct soft_host *host, const char *path, int (*entry)(void *arg, const char *name),
	       void *arg);

/* The driver that a kernel without vfio-pci would bind to the device. */
const char *sysfs_native_driver(const struct machine_device *desc);

#endif
