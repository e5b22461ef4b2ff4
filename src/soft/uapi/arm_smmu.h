/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's driver of an SMMUv3: page tables of both stages, ASIDs and VMIDs, stream table
 * entries, invalidation, and what a guest may ask of it. It decides and answers as Linux 7.3's
 * arm-smmu-v3 does.
 *
 * Locks: arm_domain.lock, then the hardware's. arm_master.lock stands apart: it is taken by the
 * event handler, inside the RCU section of a device's access, so nobody may wait for a grace period
 * under it.
 */
#ifndef SOFT_UAPI_ARM_SMMU_H
#define SOFT_UAPI_ARM_SMMU_H

#include <pthread.h>

#include "arm/vmsa.h"
#include "soft/host.h"

struct arm_ids;
struct arm_smmu;
struct dma_group;
struct iommufd_viommu;

/* A device behind an SMMU. */
struct arm_master {
	struct arm_smmu *smmu;
	struct soft_device *sdev;
	struct dma_group *group;
	struct arm_master *next_in_group;
	uint32_t sid;
	pthread_mutex_t lock;
	struct iommufd_viommu *viommu;	/* under lock: who takes its events, or NULL */
	uint32_t vsid;
	/* what it is attached to, the nest parent of a nested one; by the group's lock */
	struct arm_domain *domain;
};

struct arm_smmu {
	struct soft_host *host;
	struct smmu_dev *hw;
	const uint32_t *idr;
	bool nesting_coherent;
	unsigned int oas;		/* output address size, bits */
	/* of the kernel's tables, 0: none that the host's pages fit in */
	unsigned int granule_shift;
	struct arm_ids *asids, *vmids;
	struct arm_master **masters;	/* by StreamID */
	unsigned int n_masters;
	/* commands of the kernel that the hardware refused: none, ever; relaxed atomic */
	unsigned long command_errors;
};

/* A page table, of stage 1 with its context descriptor or of stage 2. */
struct arm_domain {
	struct arm_smmu *smmu;
	bool nest_parent;
	uint16_t tag;			/* ASID or VMID */
	uint64_t cd;			/* stage 1: PA of the context descriptor */
	pthread_mutex_t lock;		/* table and masters */
	struct vmsa_table table;
	unsigned int masters;		/* attached; 0: no TLB entry with the tag exists */
};

/* What a device is to be attached to. */
struct arm_target {
	struct arm_domain *domain;	/* NULL: nothing, all accesses abort */
	/* nested: the guest's dwords 0 and 1, as arm_vste_check() left them */
	const uint64_t *vste;
	struct iommufd_viommu *viommu;	/* nested with a vDEVICE: where its events go */
	uint32_t vsid;
};

/* -ENOMEM */
int arm_smmu_init(struct arm_smmu *smmu, struct soft_host *host, unsigned int index);
void arm_smmu_fini(struct arm_smmu *smmu);

/* Can stand beneath a guest's stage 1; and coherently enough for a vIOMMU. */
bool arm_smmu_nesting(const struct arm_smmu *smmu);

/* Commands of the kernel's own, and a CMD_SYNC that waits for them. */
void arm_smmu_send(struct arm_smmu *smmu, const uint64_t (*cmds)[2], size_t count);

/*
 * All or nothing; afterwards no access through the old attachment is under way. -ERANGE: the
 * StreamID is none of the SMMU's.
 */
int arm_master_attach(struct arm_master *m, const struct arm_target *target);

/*
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT, _PASID or _DIRTY_TRACKING. -EOPNOTSUPP, -ENOMEM, -ENOSPC
 * (no VMID left), -EBUSY (no ASID left), -EINVAL (no granule fits the host's page).
 */
int arm_domain_init(struct arm_domain *d, struct arm_smmu *smmu, uint32_t flags);
void arm_domain_fini(struct arm_domain *d);

/* Sizes that the domain maps, as a bit mask; its last input address. */
uint64_t arm_domain_page_sizes(const struct arm_domain *d);
uint64_t arm_domain_last(const struct arm_domain *d);

/*
 * @prot: VMSA_*; @piece: no leaf spans more bytes than this (0: any). All or nothing. -ENOMEM,
 * -EEXIST, -ERANGE.
 */
int arm_domain_map(struct arm_domain *d, uint64_t iova, uint64_t pa, uint64_t size,
		   unsigned int prot, uint64_t piece);

/*
 * Removes what one arm_domain_map() put there; tables that became empty are added to *freed, until
 * arm_domain_sync().
 */
void arm_domain_unmap(struct arm_domain *d, uint64_t iova, uint64_t size, uint64_t *freed);

/*
 * When it returns nothing uses a translation of [iova, iova + size) from before; then frees the
 * tables.
 */
void arm_domain_sync(struct arm_domain *d, uint64_t iova, uint64_t size, uint64_t freed);

/*
 * Forgets all TLB entries of the domain's tag. With lock held, or when nobody else knows the
 * domain.
 */
void arm_domain_flush(struct arm_domain *d);

/* Takes a guest's STE dwords in: -EIO when illegal; *ste is what arm_target.vste wants. */
int arm_vste_check(const uint64_t in[2], uint64_t ste[2]);

/* Whether attaching it needs a vDEVICE: all but abort and bypass. */
bool arm_vste_translates(const uint64_t ste[2]);

/*
 * Turns a guest's command in *cmd into one of the kernel's: VMID @vmid, and the StreamID that
 * @vsid_to_sid(@ctx) gives. -EIO: illegal, or no such virtual StreamID.
 */
int arm_vsmmu_convert(const struct arm_smmu *smmu, uint16_t vmid,
		      int (*vsid_to_sid)(void *ctx, uint32_t vsid, uint32_t *sid), void *ctx,
		      uint64_t cmd[2]);

/* Sends them as the driver does: a command that the hardware refuses is skipped. */
void arm_vsmmu_send(struct arm_smmu *smmu, const uint64_t (*cmds)[2], size_t count);

#endif
