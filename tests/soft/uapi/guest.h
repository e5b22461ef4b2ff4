/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest keeps in its memory for its stage 1: a context descriptor and tables, at IPAs. */
#ifndef TESTS_SOFT_UAPI_GUEST_H
#define TESTS_SOFT_UAPI_GUEST_H

#include "iommufd_fixture.h"
#include "vm/stage1.h"

#define GUEST_BASE 0x40000000ull
#define GUEST_SIZE (4ull << 20)
#define GUEST_VSID 0x1234

struct guest {
	uint8_t *memory;		/* at GUEST_BASE */
	struct stage1 s1;
	/* Of the host. */
	uint32_t ioas, parent, viommu, vdevice, nested;
};

/*
 * Memory mapped into a nest parent, a vIOMMU, a vDEVICE for @device, and its stage 1 attached;
 * nothing mapped in it.
 */
void guest_start(struct guest *g, struct fx *fx, unsigned int device);
/* The same on a host of its own, @fx, with device 1. */
void guest_boot(struct guest *g, struct fx *fx);

/* The guest's own map, and its unmap without any invalidation. */
void guest_map(struct guest *g, uint64_t giova, uint64_t ipa, uint64_t size);
void guest_unmap(struct guest *g, uint64_t giova, uint64_t size);

/* STE dwords of a stage 1 with the guest's CD. */
uint64_t guest_ste0(const struct guest *g);

/* Commands in one request; *done is entry_num. */
int guest_invalidate(struct guest *g, struct fx *fx, const uint64_t (*cmds)[2], uint32_t count,
		     uint32_t *done);

#endif
