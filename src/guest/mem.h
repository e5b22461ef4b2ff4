/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's RAM: pages by guest-physical address (IPA). One caller at a time. */
#ifndef GUEST_MEM_H
#define GUEST_MEM_H

#include "arm/mem.h"
#include "guest/vmm.h"

struct gmem {
	struct vmm *vmm;
	uint64_t base;
	unsigned int pages;	/* of 4 KiB */
	unsigned int hint;	/* no free page below this one */
	uint8_t *used;		/* one for each page */
};

int gmem_init(struct gmem *mem, struct vmm *vmm, uint64_t size);	/* -ENOMEM */
void gmem_fini(struct gmem *mem);

/*
 * Zeroed memory of @size bytes, contiguous and aligned to @align (a power of two >= 4096). -ENOMEM.
 */
int gmem_alloc(struct gmem *mem, uint64_t size, uint64_t align, uint64_t *ipa);
void gmem_free(struct gmem *mem, uint64_t ipa, uint64_t size);

/* For src/arm: dwords of RAM by IPA. */
struct arm_mem gmem_arm(struct gmem *mem);

#endif
