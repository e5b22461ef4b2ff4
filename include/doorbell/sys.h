/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between libdoorbell and a host: the few system calls that the library makes. Two hosts
 * implement it: the running Linux kernel (db_sys_linux) and the software host (doorbell/soft.h).
 * Everything above it speaks the Linux uAPI
 * (/dev/iommu, /dev/vfio/devices/vfioN, sysfs) and cannot tell which one it talks to.
 *
 * All calls may be made from any thread. A result < 0 is a negative errno; errno itself is not
 * used.
 */
#ifndef DOORBELL_SYS_H
#define DOORBELL_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <doorbell/api.h>

DB_API_BEGIN

struct db_sys;

struct db_sys_ops {
	size_t size;	/* of this struct: doorbell/api.h */

	/* As open(2), close(2), ioctl(2), pread(2), pwrite(2), read(2). Descriptors are real file
	 * descriptors of this process in both hosts, so that poll(2) works on those that can be
	 * polled and numbers never clash with the program's own. */
	int (*open)(struct db_sys *sys, const char *path, int flags);
	int (*close)(struct db_sys *sys, int fd);
	int (*ioctl)(struct db_sys *sys, int fd, unsigned long request, void *arg);
	ssize_t (*read)(struct db_sys *sys, int fd, void *buf, size_t len);
	ssize_t (*pread)(struct db_sys *sys, int fd, void *buf, size_t len, uint64_t offset);
	ssize_t (*pwrite)(struct db_sys *sys, int fd, const void *buf, size_t len, uint64_t offset);

	/* As mmap(2) with MAP_SHARED of a device region; *out receives the address. */
	int (*mmap)(struct db_sys *sys, size_t len, int prot, int fd, uint64_t offset, void **out);
	int (*munmap)(struct db_sys *sys, void *addr, size_t len);

	/* One access of 1, 2, 4 or 8 bytes, naturally aligned, little-endian, to memory that mmap
	 * gave. Device registers are reached only so, never by a plain load or store: the software
	 * host has no other way to see the access. */
	uint64_t (*mmio_read)(struct db_sys *sys, const volatile void *addr, unsigned int size);
	void (*mmio_write)(struct db_sys *sys, volatile void *addr, unsigned int size,
			   uint64_t value);

	/* As readlink(2), but the result is always NUL-terminated (-ENAMETOOLONG if it does not
	 * fit). */
	ssize_t (*readlink)(struct db_sys *sys, const char *path, char *buf, size_t size);

	/* Calls @entry for each name in directory @path except "." and "..", in no particular
	 * order; stops when it returns non-zero and returns that value, else 0. */
	int (*list)(struct db_sys *sys, const char *path, int (*entry)(void *arg, const char *name),
		    void *arg);

	/* Ends the host; every descriptor and mapping obtained through it must have been given
	 * back. */
	void (*release)(struct db_sys *sys);

	/* Bytes of a page of the host, a power of two: what it maps device regions in. NULL, or
	 * beyond the size: those of the process. */
	uint64_t (*page_size)(struct db_sys *sys);
};

/* A host is a struct whose first member is this. */
struct db_sys {
	const struct db_sys_ops *ops;
};

/* The running kernel. A static object; releasing it does nothing. */
struct db_sys *db_sys_linux(void);

DB_API_END

#endif
