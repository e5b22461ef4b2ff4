/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's DMA layer: one stage 1 for each device. What a driver maps gets a gIOVA; what it
 * unmaps is invalidated before its gIOVA, its memory or a table page is used again.
 */
#ifndef GUEST_DMA_H
#define GUEST_DMA_H

#include "arm/vmsa.h"
#include "guest/base.h"
#include "guest/iova.h"

struct guest_smmu;

/* The page of one vITS's GITS_TRANSLATER, mapped once for all vectors that use it. */
struct dma_msi_page {
	uint64_t doorbell_ipa;	/* granule-aligned */
	uint64_t giova;
	unsigned int refs;	/* 0: free slot */
};

#define DMA_MSI_PAGES 4

struct dma_unmapped {
	uint64_t giova, size;
};

#define DMA_BATCH 256

struct dma_domain {
	struct guest_base *base;
	struct vmm_device *dev;
	struct guest_smmu *smmu;
	struct vmsa_table table;
	struct iova_space iova;
	uint64_t limit;			/* the highest address that the device can put on the bus */
	uint64_t cd;			/* IPA of a page with both context descriptors */
	unsigned int current;		/* which of them the STE points at */
	uint16_t asids[2];
	struct dma_msi_page msi_pages[DMA_MSI_PAGES];
	/* Unmapped from the tables, but not invalidated yet: dma_sync(). */
	struct dma_unmapped unmapped[DMA_BATCH];
	unsigned int n_unmapped;
	uint64_t freed_tables;		/* list as of vmsa_unmap() */
};

/*
 * An empty stage 1 for @dev, which is behind @smmu; in rmr mode with the firmware's window identity-mapped and its
 * addresses taken.
 */
int dma_init(struct dma_domain *d, struct guest_base *base, struct guest_smmu *smmu,
	     struct vmm_device *dev, unsigned int dma_bits);
void dma_fini(struct dma_domain *d);	/* the device must not use it any more */

/*
 * Maps [ipa, ipa + size) at a gIOVA of the allocator's choice. VMSA_READ, VMSA_WRITE, VMSA_DEVICE.
 */
int dma_map(struct dma_domain *d, uint64_t ipa, uint64_t size, unsigned int prot, uint64_t *giova);

/*
 * Takes the mapping out of the tables; the device may still reach it until dma_sync() (called here
 * too when many have collected).
 */
int dma_unmap(struct dma_domain *d, uint64_t giova, uint64_t size);

/*
 * TLBI for all that was unmapped and one CMD_SYNC, in one batch; then addresses and tables may be
 * used again.
 */
int dma_sync(struct dma_domain *d);

/* Memory that the CPU and the device share. */
struct dma_buffer {
	uint64_t ipa, giova, size;
	void *cpu;
};

int dma_alloc(struct dma_domain *d, uint64_t size, struct dma_buffer *out);
/* no effect on one that was never allocated (size 0) */
void dma_free(struct dma_domain *d, struct dma_buffer *buffer);

/* The gIOVA of @doorbell_ipa (a GITS_TRANSLATER), mapped on first use; each get wants a put. */
int dma_msi_get(struct dma_domain *d, uint64_t doorbell_ipa, uint64_t *giova);
void dma_msi_put(struct dma_domain *d, uint64_t doorbell_ipa);

/*
 * Maps the page of @doorbell_ipa, which is mapped already, at another gIOVA too; the new one is the
 * page's from now on. dma_msi_forget() ends the former mapping, when no vector uses it any more.
 */
int dma_msi_move(struct dma_domain *d, uint64_t doorbell_ipa, uint64_t *giova);
int dma_msi_forget(struct dma_domain *d, uint64_t giova);

/* A granule that is never mapped: the device's accesses to it fault in stage 1. */
int dma_reserve_void(struct dma_domain *d, uint64_t *giova);

#endif
