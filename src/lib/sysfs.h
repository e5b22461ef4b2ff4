/* SPDX-License-Identifier: BSD-2-Clause */
/* The few sysfs accesses that discovery needs, through the seam. All return 0 or a length, or a
 * negative errno, and set no message. */
#ifndef LIB_SYSFS_H
#define LIB_SYSFS_H

#include <stddef.h>
#include <sys/types.h>
#include <doorbell/sys.h>

#define SYSFS_PATH 256

/* The path of @name below PCI device @address, in @path (SYSFS_PATH bytes). */
void sysfs_device_path(char *path, const char *address, const char *name);

/* The whole of a small file, NUL-terminated, without its last newline; -EFBIG if it
 * does not fit. */
ssize_t sysfs_read(struct db_sys *sys, const char *path, char *buf, size_t size);
int sysfs_write(struct db_sys *sys, const char *path, const char *text);

/* The last component of what the link points to. */
int sysfs_link_name(struct db_sys *sys, const char *path, char *buf, size_t size);

/* The first name in directory @path that begins with @prefix; -ENOENT if there is none. */
int sysfs_find(struct db_sys *sys, const char *path, const char *prefix, char *buf, size_t size);

#endif
