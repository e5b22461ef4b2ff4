/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables of the kernel: stage 1 for a device of its own, stage 2 beneath a guest's; and their
 * invalidation.
 */
#include <errno.h>

#include "abi/iommufd.h"
#include "arm/smmu_build.h"
#include "soft/uapi/arm_ids.h"
#include "soft/uapi/arm_smmu.h"

/* Input addresses of the kernel's stage 1: what it gives its own processes. */
#define S1_IA_BITS 48

#define CD_BYTES (1ul << SMMU_CD_SHIFT)

#define RANGE_NUM_MAX FIELD_GET64(SMMU_CMD_TLBI_0_NUM, ~0ull)

static int table_alloc(void *ctx, uint64_t size, uint64_t *addr)
{
	return bus_alloc(ctx, size, size, addr) ? 0 : -ENOMEM;
}

static void table_free(void *ctx, uint64_t addr, uint64_t size)
{
	bus_free(ctx, addr, size);
}

/*
 * The context descriptor of a stage-1 domain (§5.4). One for all devices attached: none uses
 * SubstreamIDs.
 */
static int make_cd(struct arm_domain *d)
{
	const struct smmu_cd_table ttb0 = { .format = d->table.format, .root = d->table.root };
	const struct smmu_cd config = { .ttb0 = &ttb0, .asid = d->tag };
	uint64_t *cd = bus_alloc(d->smmu->host->bus, CD_BYTES, CD_BYTES, &d->cd);

	if (!cd)
		return -ENOMEM;
	smmu_cd_build(cd, &config);
	for (unsigned int i = 0; i < SMMU_CD_DWORDS; i++)
		cd[i] = htole64(cd[i]);
	return 0;
}

/* Which stage a set of flags asks for; 0: none that the hardware or the kernel has. */
static unsigned int choose_stage(const struct arm_smmu *smmu, uint32_t flags)
{
	bool s1 = smmu->idr[0] & SMMU_IDR0_S1P;

	switch (flags) {
	case 0:
		return s1 ? VMSA_S1 : VMSA_S2;
	case IOMMU_HWPT_ALLOC_NEST_PARENT:
		return arm_smmu_nesting(smmu) ? VMSA_S2 : 0;
	case IOMMU_HWPT_ALLOC_PASID:
		return s1 ? VMSA_S1 : 0;
	default:
		/* Dirty tracking among them: the machine's SMMUs do not update descriptors. */
		return 0;
	}
}

static struct arm_ids *tags(const struct arm_domain *d)
{
	return d->table.format.stage == VMSA_S1 ? d->smmu->asids : d->smmu->vmids;
}

int arm_domain_init(struct arm_domain *d, struct arm_smmu *smmu, uint32_t flags)
{
	unsigned int stage = choose_stage(smmu, flags);
	struct bus *bus = smmu->host->bus;
	int tag, rc;

	if (!stage)
		return -EOPNOTSUPP;
	if (!smmu->granule_shift)
		return -EINVAL;
	*d = (struct arm_domain){ 0 };
	d->smmu = smmu;
	d->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	d->table.mem = bus_arm_mem(bus);
	d->table.alloc = table_alloc;
	d->table.free = table_free;
	d->table.ctx = bus;
	rc = vmsa_format_init(&d->table.format, stage, smmu->granule_shift,
			      stage == VMSA_S1 ? S1_IA_BITS : smmu->oas, smmu->oas);
	if (rc)
		return rc;
	rc = vmsa_table_init(&d->table);
	if (rc)
		return rc;
	tag = arm_ids_alloc(tags(d));
	if (tag < 0) {
		rc = stage == VMSA_S1 ? -EBUSY : -ENOSPC;
		goto fini_table;
	}
	d->tag = (uint16_t)tag;
	if (stage == VMSA_S1) {
		rc = make_cd(d);
		if (rc)
			goto free_tag;
	}
	pthread_mutex_init(&d->lock, NULL);
	return 0;

free_tag:
	arm_ids_free(tags(d), d->tag);
fini_table:
	vmsa_table_fini(&d->table);
	return rc;
}

void arm_domain_fini(struct arm_domain *d)
{
	/* Nothing is attached, so the TLB holds nothing of the tag. */
	arm_ids_free(tags(d), d->tag);
	if (d->cd)
		bus_free(d->smmu->host->bus, d->cd, CD_BYTES);
	vmsa_table_fini(&d->table);
	pthread_mutex_destroy(&d->lock);
}

uint64_t arm_domain_page_sizes(const struct arm_domain *d)
{
	return vmsa_leaf_sizes(&d->table.format);
}

uint64_t arm_domain_last(const struct arm_domain *d)
{
	return (1ull << d->table.format.ia_bits) - 1;
}

int arm_domain_map(struct arm_domain *d, uint64_t iova, uint64_t pa, uint64_t size,
		   unsigned int prot, uint64_t piece)
{
	uint64_t done = 0, freed = 0, step = piece ? piece : size;
	int rc = 0;

	/*
	 * PAs are 64-bit process addresses on this machine, and may be more than the SMMU can put
	 * out.
	 */
	if ((pa + size - 1) >> d->table.format.oa_bits)
		return -ERANGE;
	if (d->table.format.stage == VMSA_S1)
		prot |= VMSA_NOT_GLOBAL;
	pthread_mutex_lock(&d->lock);
	while (done < size && !rc) {
		rc = vmsa_map(&d->table, iova + done, pa + done, step, prot);
		if (!rc)
			done += step;
	}
	if (rc && done)
		vmsa_unmap(&d->table, iova, done, &freed);
	pthread_mutex_unlock(&d->lock);
	if (rc && done)
		arm_domain_sync(d, iova, done, freed);
	return rc;
}

/* Puts list @more, linked as vmsa_unmap() does, in front of *freed. */
static void add_freed(struct arm_domain *d, uint64_t *freed, uint64_t more)
{
	const struct arm_mem *mem = &d->table.mem;
	uint64_t next = 0, tail = more;

	if (!more)
		return;
	while (!mem->read64(mem->ctx, tail, &next) && next)
		tail = next;
	mem->write64(mem->ctx, tail, *freed);
	*freed = more;
}

void arm_domain_unmap(struct arm_domain *d, uint64_t iova, uint64_t size, uint64_t *freed)
{
	uint64_t more = 0;

	pthread_mutex_lock(&d->lock);
	/* No leaf reaches outside what one call mapped, so none is split, and it cannot fail. */
	(void)vmsa_unmap(&d->table, iova, size, &more);
	pthread_mutex_unlock(&d->lock);
	add_freed(d, freed, more);
}

static uint64_t tagged(const struct arm_domain *d, uint64_t op)
{
	return d->table.format.stage == VMSA_S1 ? op | FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, d->tag)
						: op | FIELD_PREP64(SMMU_CMD_TLBI_0_VMID, d->tag);
}

void arm_domain_flush(struct arm_domain *d)
{
	uint64_t op = d->table.format.stage == VMSA_S1 ? SMMU_CMD_OP_TLBI_NH_ASID
						       : SMMU_CMD_OP_TLBI_S12_VMALL;
	const uint64_t cmd[1][2] = { { tagged(d, op), 0 } };

	arm_smmu_send(d->smmu, cmd, 1);
}

/*
 * Range commands (§4.4.1.1): each takes off as many pages as its 5 bits of NUM hold, from the
 * lowest up.
 */
static void flush_by_ranges(struct arm_domain *d, uint64_t op, uint64_t iova, uint64_t pages)
{
	unsigned int shift = d->table.format.granule_shift;
	uint64_t cmds[64][2];
	size_t n = 0;

	while (pages > 1) {
		unsigned int scale = (unsigned int)__builtin_ctzll(pages);
		uint64_t num = (pages >> scale) & RANGE_NUM_MAX;

		/* NUM 0 with SCALE 0 is reserved: an odd page goes alone, below. */
		if (num == 1 && scale == 0) {
			cmds[n][0] = tagged(d, op);
			cmds[n][1] = iova & SMMU_CMD_TLBI_1_VA;
		} else {
			cmds[n][0] = tagged(d, op) | FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, num - 1) |
				     FIELD_PREP64(SMMU_CMD_TLBI_0_SCALE, scale);
			cmds[n][1] = FIELD_PREP64(SMMU_CMD_TLBI_1_TG, (shift - 10) / 2) |
				     (iova & SMMU_CMD_TLBI_1_VA);
		}
		n++;
		iova += num << (scale + shift);
		pages -= num << scale;
	}
	if (pages) {
		cmds[n][0] = tagged(d, op);
		cmds[n][1] = iova & SMMU_CMD_TLBI_1_VA;
		n++;
	}
	arm_smmu_send(d->smmu, (const uint64_t (*)[2])cmds, n);
}

/* One command a page, as long as these are fewer than an OS thinks worth while; false: too many. */
static bool flush_by_pages(struct arm_domain *d, uint64_t op, uint64_t iova, uint64_t pages)
{
	unsigned int shift = d->table.format.granule_shift;
	uint64_t cmds[64][2];

	if (pages >= 1ull << (shift - 3))
		return false;
	while (pages) {
		size_t n;

		for (n = 0; n < 64 && pages; n++, pages--, iova += 1ull << shift) {
			cmds[n][0] = tagged(d, op);
			cmds[n][1] = iova & SMMU_CMD_TLBI_1_VA;
		}
		arm_smmu_send(d->smmu, (const uint64_t (*)[2])cmds, n);
	}
	return true;
}

static void invalidate(struct arm_domain *d, uint64_t iova, uint64_t size)
{
	const uint64_t nested[1][2] = { { tagged(d, SMMU_CMD_OP_TLBI_NH_ALL), 0 } };
	uint64_t op = d->table.format.stage == VMSA_S1 ? SMMU_CMD_OP_TLBI_NH_VA
						       : SMMU_CMD_OP_TLBI_S2_IPA;
	uint64_t pages = size >> d->table.format.granule_shift;

	if (d->smmu->idr[3] & SMMU_IDR3_RIL) {
		flush_by_ranges(d, op, iova, pages);
	} else if (!flush_by_pages(d, op, iova, pages)) {
		arm_domain_flush(d);
		return;
	}
	/*
	 * TLBI_S2_IPA does not reach entries that hold the result of both stages (§4.4.3), and
	 * whose gIOVAs the kernel does not know: all of the guest's go, after those of stage 2 so
	 * that none is made anew from one.
	 */
	if (d->nest_parent)
		arm_smmu_send(d->smmu, nested, 1);
}

void arm_domain_sync(struct arm_domain *d, uint64_t iova, uint64_t size, uint64_t freed)
{
	bool live;

	/*
	 * A device that is attached after this look sees the changed table; one that was detached
	 * before has left no entry behind (arm_master_attach()).
	 */
	pthread_mutex_lock(&d->lock);
	live = d->masters;
	pthread_mutex_unlock(&d->lock);
	if (live)
		invalidate(d, iova, size);
	vmsa_release(&d->table, freed);
}
