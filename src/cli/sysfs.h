/* SPDX-License-Identifier: BSD-2-Clause */
/* What the command looks up in sysfs by itself: which devices there are. */
#ifndef CLI_SYSFS_H
#define CLI_SYSFS_H

#include <doorbell/sys.h>

#define SYSFS_PCI "/sys/bus/pci/devices"

/* Names of a directory whose entries are PCI devices, in their order. */
struct cli_addresses {
	char (*at)[16];
	unsigned int n, room;
};

/* -errno; free() out->at when done, in any case. */
int cli_sysfs_list(struct db_sys *sys, const char *path, struct cli_addresses *out);

/* A small file, without its last newline; NUL-terminated. -errno. */
int cli_sysfs_read(struct db_sys *sys, char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The driver that @address is bound to, "" when none. -errno only when the device is not there. */
int cli_sysfs_driver(struct db_sys *sys, const char *address, char *buf, size_t size);

/* PCI class of @address (24 bits), or -errno. */
int cli_sysfs_class(struct db_sys *sys, const char *address);

/* IOMMU group of @address, or -errno: -ENOENT when it has none. */
int cli_sysfs_group(struct db_sys *sys, const char *address);

#endif
