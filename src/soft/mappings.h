/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which address of the process is which BAR: what mmap of a vfio file gave, and accesses to it.
 *
 * A mapping has addresses of its own, with memory behind them where the function shares some
 * (pci_bar_memfd); registers in it are reached by mappings_read() and mappings_write() only. It
 * holds its file, as a VMA does.
 */
#ifndef SOFT_MAPPINGS_H
#define SOFT_MAPPINGS_H

#include "soft/uapi/file.h"

struct mappings;

struct mapping {
	uintptr_t start;
	size_t len;
	struct soft_device *dev;
	struct soft_file *file;		/* one reference is the mapping's */
	unsigned int bar;
	uint64_t offset;		/* in the BAR */
	bool readable, writable;
};

struct mappings *mappings_create(void);
void mappings_destroy(struct mappings *maps);

/* -ENOMEM: the reference stays the caller's. */
int mappings_add(struct mappings *maps, const struct mapping *mapping);

/*
 * Ends what is mapped within [start, start + len), be it a part of a mapping, and unmaps its
 * memory. -EINVAL: there is nothing; -ENOMEM.
 */
int mappings_remove(struct mappings *maps, uintptr_t start, size_t len);

/* mprotect(2): the same of its protection. -EACCES: the file is open for reading only. */
int mappings_protect(struct mappings *maps, uintptr_t start, size_t len, int prot);

/* Is any of it mapped? */
bool mappings_overlap(struct mappings *maps, uintptr_t start, size_t len);

/*
 * What Linux would make of an access: 0; -ENOENT, none of these mappings; -EACCES, a SIGSEGV; -EIO,
 * a SIGBUS, since the device does not answer.
 */
int mappings_check(struct mappings *maps, uintptr_t addr, unsigned int size, bool write);

/*
 * Accesses of 1, 2, 4 or 8 aligned bytes. Where nothing is mapped, or the device does not answer:
 * ~0, or nothing happens.
 */
uint64_t mappings_read(struct mappings *maps, uintptr_t addr, unsigned int size);
void mappings_write(struct mappings *maps, uintptr_t addr, unsigned int size, uint64_t value);

#endif
