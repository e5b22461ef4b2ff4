/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sysfs files that discovery reads: /sys/bus/pci/devices/<addr>/{vendor,device,class,driver,driver_override,iommu_group,vfio-dev,...},
 * /sys/kernel/iommu_groups/N/{devices,reserved_regions,type}, /sys/bus/pci/drivers/..., /sys/bus/pci/drivers_probe, and the trace file of
 * `doorbell explain`. Answers are computed when asked; nothing is stored.
 */
#ifndef SOFT_UAPI_SYSFS_H
#define SOFT_UAPI_SYSFS_H

#include "soft/uapi/file.h"

int sysfs_open(struct soft_host *host, const char *path, int flags, int *fd);	/* -ENOENT, -EACCES */
ssize_t sysfs_readlink(struct soft_host *host, const char *path, char *buf, size_t size);
int sysfs_list(struct soft_host *host, const char *path, int (*entry)(void *arg, const char *name), void *arg);

#endif
