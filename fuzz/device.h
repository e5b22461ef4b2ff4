/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vfio-pci device of a software host, as the targets that make system calls use it: the first of
 * the machine, a bell with MSI-X.
 */
#ifndef FUZZ_DEVICE_H
#define FUZZ_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <doorbell/soft.h>

struct fuzz_device {
	struct db_sys *sys;
	int iommufd, fd, eventfd;
	uint32_t ioas;
};

/* A finding, unless @ok. */
void fuzz_check(bool ok);

/*
 * The host of @machine: one for all inputs, since each closes what it opened, and closing must undo
 * what was done.
 */
struct db_sys *fuzz_host(const char *machine);

/* An iommufd with an IOAS, an eventfd, and the device bound and attached; and all of it closed. */
void fuzz_begin(struct fuzz_device *d, struct db_sys *sys);
void fuzz_end(struct fuzz_device *d);

/* The device's file alone: opened, bound and attached. */
void fuzz_open(struct fuzz_device *d);
void fuzz_close(struct fuzz_device *d);

/* ioctl on the device's file. */
int fuzz_call(struct fuzz_device *d, unsigned long request, void *arg);

/* pread or pwrite of @size bytes (16 at most) at @offset of a region of file @fd. */
void fuzz_access(struct db_sys *sys, int fd, bool write, unsigned int region, uint64_t offset,
		 size_t size, uint64_t value);

/* Closed and opened again, the device answers and interrupts as if nothing had been. */
void fuzz_must_work(struct fuzz_device *d);

#endif
