/* SPDX-License-Identifier: BSD-2-Clause */
/* The device tree that the guest is given. */
#ifndef VMM_TREE_H
#define VMM_TREE_H

#include <stddef.h>
#include <stdint.h>

struct tree {
	const char *command_line;
	uint64_t ram, initrd, initrd_size;
	unsigned int cpus;
	uint64_t its;			/* base of the vITS */
};

/* Writes it to @buf. 0, or -ENOSPC. */
int tree_make(const struct tree *tree, void *buf, size_t size);

#endif
