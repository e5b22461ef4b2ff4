/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gIOVA allocation, from the top of the space down, as Linux's DMA layer does: below 4 GiB first,
 * then anywhere; each range aligned to its size rounded up to a power of two, so that large leaves
 * can map it. One caller at a time.
 */
#ifndef GUEST_IOVA_H
#define GUEST_IOVA_H

#include <stdint.h>

struct iova_range {
	uint64_t start, last;
};

struct iova_space {
	uint64_t granule;
	uint64_t last;			/* the highest address that stage 1 translates */
	struct iova_range *ranges;	/* in use, highest first, none overlapping */
	unsigned int n, room;
};

void iova_init(struct iova_space *space, unsigned int granule_shift, unsigned int ia_bits);
void iova_fini(struct iova_space *space);

/*
 * @size bytes, rounded up to granules, at addresses no higher than @limit. -ENOSPC, -ENOMEM,
 * -EINVAL (no size).
 */
int iova_alloc(struct iova_space *space, uint64_t size, uint64_t limit, uint64_t *out);

/* Takes exactly [start, start + size). -EADDRINUSE: part of it is taken; -EINVAL, -ENOMEM. */
int iova_reserve(struct iova_space *space, uint64_t start, uint64_t size);

/* Gives back what iova_alloc() or iova_reserve() gave at @start. -ENOENT: nothing starts there. */
int iova_free(struct iova_space *space, uint64_t start);

#endif
