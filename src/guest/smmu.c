/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/smmu.h"

#include <errno.h>

#include "arm/smmu_build.h"
#include "arm/smmu_mmio.h"

#define STRTAB_BYTES (1ull << (GUEST_STRTAB_LOG2 + SMMU_STE_SHIFT))
#define IA_BITS_MAX 48

/* Above so many pages the whole ASID is invalidated at once: cheaper than a list of commands. */
#define TLBI_PAGES_MAX 64
#define COMMANDS_MAX 128

/* Entries of the queues, as log2; the SMMU has them as large, and a batch of commands fits. */
#define QUEUE_LOG2 8u
#define QUEUE_ENTRIES (1u << QUEUE_LOG2)
#define QUEUE_WRAP (2 * QUEUE_ENTRIES - 1)
#define CMDQ_BYTES (QUEUE_ENTRIES * sizeof(uint64_t[SMMU_CMD_DWORDS]))
#define EVENTQ_BYTES (QUEUE_ENTRIES * sizeof(uint64_t[SMMU_EVT_DWORDS]))

/* A queue being filled; sent when full. */
struct commands {
	struct dma_domain *domain;
	uint64_t cmd[COMMANDS_MAX][2];
	unsigned int n;
};

static uint32_t read32(struct guest_smmu *smmu, uint32_t offset)
{
	return vmm_smmu_read(smmu->base->vmm, smmu->index, offset, 4);
}

static int write_reg(struct guest_smmu *smmu, uint32_t offset, unsigned int size, uint64_t value)
{
	return vmm_smmu_write(smmu->base->vmm, smmu->index, offset, size, value);
}

static int allocate(struct guest_smmu *smmu)
{
	struct gmem *mem = &smmu->base->mem;
	int err;

	err = gmem_alloc(mem, STRTAB_BYTES, STRTAB_BYTES, &smmu->strtab);
	if (!err)
		err = gmem_alloc(mem, CMDQ_BYTES, CMDQ_BYTES, &smmu->cmdq);
	if (!err)
		err = gmem_alloc(mem, EVENTQ_BYTES, EVENTQ_BYTES, &smmu->eventq);
	return err ? guest_fail(smmu->base, err, "guest memory is used up") : 0;
}

/* The order of §6.3.9.6 is for an SMMU that was enabled: this one has been reset. */
static int enable(struct guest_smmu *smmu)
{
	uint32_t cr0 = SMMU_CR0_SMMUEN | SMMU_CR0_CMDQEN | SMMU_CR0_EVENTQEN;
	int err;

	write_reg(smmu, SMMU_STRTAB_BASE, 8, smmu->strtab);
	write_reg(smmu, SMMU_STRTAB_BASE_CFG, 4, GUEST_STRTAB_LOG2);
	write_reg(smmu, SMMU_CMDQ_BASE, 8, smmu->cmdq | QUEUE_LOG2);
	write_reg(smmu, SMMU_EVENTQ_BASE, 8, smmu->eventq | QUEUE_LOG2);
	write_reg(smmu, SMMU_IRQ_CTRL, 4, SMMU_IRQ_CTRL_EVENTQ);
	err = write_reg(smmu, SMMU_CR0, 4, cr0);
	if (!err && read32(smmu, SMMU_CR0ACK) != cr0)
		err = -EIO;
	return err ? guest_fail(smmu->base, err, "%s", vmm_why(smmu->base->vmm)) : 0;
}

int guest_smmu_init(struct guest_smmu *smmu, struct guest_base *base, unsigned int index)
{
	struct arm_mem mem = gmem_arm(&base->mem);
	uint64_t ste[SMMU_STE_DWORDS];
	unsigned int sid, i;
	int err;

	if (smmu->ready)
		return 0;
	smmu->index = index;
	smmu->base = base;
	for (i = 0; i < sizeof(smmu->info.idr) / sizeof(smmu->info.idr[0]); i++)
		smmu->info.idr[i] = read32(smmu, SMMU_IDR0 + 4 * i);
	err = allocate(smmu);
	if (err)
		return err;
	smmu_ste_abort(ste);
	for (sid = 0; sid < 1u << GUEST_STRTAB_LOG2; sid++)
		for (i = 0; i < SMMU_STE_DWORDS; i++)
			mem.write64(mem.ctx,
				    smmu->strtab + ((uint64_t)sid << SMMU_STE_SHIFT) + 8 * i,
				    ste[i]);
	err = enable(smmu);
	smmu->ready = !err;
	return err;
}

bool guest_smmu_event(struct guest_smmu *smmu, uint64_t record[4])
{
	uint32_t prod = read32(smmu, SMMU_EVENTQ_PROD), cons = read32(smmu, SMMU_EVENTQ_CONS);
	struct arm_mem mem = gmem_arm(&smmu->base->mem);
	uint64_t at = smmu->eventq + (cons % QUEUE_ENTRIES) * sizeof(uint64_t[SMMU_EVT_DWORDS]);
	unsigned int i;

	if (!((prod ^ cons) & QUEUE_WRAP))
		return false;
	for (i = 0; i < SMMU_EVT_DWORDS; i++)
		mem.read64(mem.ctx, at + 8 * i, &record[i]);
	/* And what was lost meanwhile is acknowledged. */
	write_reg(smmu, SMMU_EVENTQ_CONS, 4,
		  (prod & SMMU_EVENTQ_OVERFLOW) | ((cons + 1) & QUEUE_WRAP));
	return true;
}

static const struct {
	unsigned int shift;
	uint32_t idr5;
	uint64_t tlbi_tg;
} granules[] = {
	{ 12, SMMU_IDR5_GRAN4K, SMMU_CMD_TLBI_1_TG_4K },
	{ 14, SMMU_IDR5_GRAN16K, SMMU_CMD_TLBI_1_TG_16K },
	{ 16, SMMU_IDR5_GRAN64K, SMMU_CMD_TLBI_1_TG_64K },
};

#define N_GRANULES (sizeof(granules) / sizeof(granules[0]))

unsigned int guest_smmu_granule(const struct guest_smmu *smmu)
{
	size_t i;

	for (i = 0; i < N_GRANULES; i++)
		if (smmu->info.idr[5] & granules[i].idr5)
			return granules[i].shift;
	return 0;
}

int guest_smmu_format(const struct guest_smmu *smmu, unsigned int granule_shift,
		      struct vmsa_format *out)
{
	unsigned int oas = smmu_ps_bits(FIELD_GET64(SMMU_IDR5_OAS, smmu->info.idr[5]));
	size_t i;

	for (i = 0; i < N_GRANULES; i++)
		if (granules[i].shift == granule_shift && smmu->info.idr[5] & granules[i].idr5)
			return vmsa_format_init(out, VMSA_S1, granule_shift, IA_BITS_MAX, oas);
	return -EOPNOTSUPP;
}

static void put(struct guest_smmu *smmu, const uint64_t cmd[SMMU_CMD_DWORDS])
{
	uint64_t at = smmu->cmdq + (smmu->prod % QUEUE_ENTRIES) * sizeof(uint64_t[SMMU_CMD_DWORDS]);
	struct arm_mem mem = gmem_arm(&smmu->base->mem);

	mem.write64(mem.ctx, at, cmd[0]);
	mem.write64(mem.ctx, at + 8, cmd[1]);
	smmu->prod = (smmu->prod + 1) & QUEUE_WRAP;
}

static int flush(struct commands *c)
{
	struct guest_smmu *smmu = c->domain->smmu;
	unsigned int i;
	int err;

	c->cmd[c->n][0] = FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_SYNC);
	c->cmd[c->n][1] = 0;
	for (i = 0; i <= c->n; i++)
		put(smmu, c->cmd[i]);
	c->n = 0;
	err = write_reg(smmu, SMMU_CMDQ_PROD, 4, smmu->prod);
	/* The queue of this machine is empty again when the write is done, or stands at CERROR. */
	if (!err && read32(smmu, SMMU_CMDQ_CONS) % (QUEUE_WRAP + 1) != smmu->prod)
		err = -EIO;
	return err ? guest_fail(smmu->base, err, "%s", vmm_why(smmu->base->vmm)) : 0;
}

/* Room for the CMD_SYNC at the end is always left. */
static int add(struct commands *c, uint64_t dw0, uint64_t dw1)
{
	int err = c->n == COMMANDS_MAX - 1 ? flush(c) : 0;

	if (err)
		return err;
	c->cmd[c->n][0] = dw0;
	c->cmd[c->n][1] = dw1;
	c->n++;
	return 0;
}

static uint64_t command(const struct dma_domain *d, uint64_t op)
{
	return FIELD_PREP64(SMMU_CMD_0_OP, op) |
	       FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, d->asids[d->current]);
}

/*
 * Puts the STE into the table, dword 0 last, since it has V (§3.21.3.1), and has it and the CD read
 * again.
 */
static int install(struct dma_domain *d, const uint64_t ste[SMMU_STE_DWORDS])
{
	uint32_t sid = vmm_device_info(d->dev)->stream_id;
	uint64_t at = d->smmu->strtab + ((uint64_t)sid << SMMU_STE_SHIFT);
	struct arm_mem mem = d->table.mem;
	struct commands c = { .domain = d };
	unsigned int i;

	for (i = SMMU_STE_DWORDS; i-- > 0;)
		mem.write64(mem.ctx, at + 8 * i, ste[i]);
	add(&c,
	    FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_CFGI_STE) |
		    FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid),
	    SMMU_CMD_CFGI_1_LEAF);
	add(&c,
	    FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_CFGI_CD) |
		    FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid),
	    SMMU_CMD_CFGI_1_LEAF);
	return flush(&c);
}

/*
 * What is cached of an earlier use of the ASID goes first: with the new STE the device reaches it
 * at once.
 */
int guest_smmu_attach(struct dma_domain *d)
{
	struct smmu_cd_table ttb0 = { .format = d->table.format, .root = d->table.root };
	struct smmu_cd config = { .ttb0 = &ttb0, .asid = d->asids[d->current] };
	uint64_t at = d->cd + d->current * sizeof(uint64_t[SMMU_CD_DWORDS]);
	struct smmu_ste_s1 s1 = { .cd_table = at };
	uint64_t cd[SMMU_CD_DWORDS], ste[SMMU_STE_DWORDS];
	struct commands c = { .domain = d };
	unsigned int i;
	int err;

	add(&c, command(d, SMMU_CMD_OP_TLBI_NH_ASID), 0);
	err = flush(&c);
	if (err)
		return err;
	smmu_cd_build(cd, &config);
	for (i = SMMU_CD_DWORDS; i-- > 0;)
		d->table.mem.write64(d->table.mem.ctx, at + 8 * i, cd[i]);
	smmu_ste_s1(ste, &s1, 0);
	return install(d, ste);
}

int guest_smmu_switch_cd(struct dma_domain *d)
{
	d->current = !d->current;
	return guest_smmu_attach(d);
}

int guest_smmu_detach(struct dma_domain *d)
{
	uint64_t ste[SMMU_STE_DWORDS];

	smmu_ste_abort(ste);
	return install(d, ste);
}

int guest_smmu_bypass(struct dma_domain *d)
{
	uint64_t ste[SMMU_STE_DWORDS];

	smmu_ste_bypass(ste);
	return install(d, ste);
}

/*
 * Range invalidation (IDR3.RIL, §4.4.1.1): each command covers (NUM + 1) << SCALE granules from its
 * address on. A count of pages is cut into groups of five bits, lowest first, a command for each
 * group that is not 0. A single granule is no range (NUM, SCALE and TTL of 0 are Reserved together
 * with a TG): it takes the plain form.
 */
static int add_ranges(struct commands *c, uint64_t tg, uint64_t giova, uint64_t pages)
{
	struct dma_domain *d = c->domain;
	unsigned int shift = d->table.format.granule_shift, scale;
	uint64_t num;
	int err = 0;

	for (scale = 0; !err && pages; scale += 5) {
		num = pages >> scale & 31;
		if (!num)
			continue;
		err = add(c,
			  command(d, SMMU_CMD_OP_TLBI_NH_VA) |
				  FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, num - 1) |
				  FIELD_PREP64(SMMU_CMD_TLBI_0_SCALE, scale),
			  (giova & SMMU_CMD_TLBI_1_VA) |
				  FIELD_PREP64(SMMU_CMD_TLBI_1_TG, scale || num > 1 ? tg : 0));
		giova += num << (scale + shift);
		pages -= num << scale;
	}
	return err;
}

static int add_pages(struct commands *c, uint64_t giova, uint64_t pages)
{
	struct dma_domain *d = c->domain;
	uint64_t i;
	int err = 0;

	for (i = 0; !err && i < pages; i++)
		err = add(c, command(d, SMMU_CMD_OP_TLBI_NH_VA),
			  (giova + (i << d->table.format.granule_shift)) & SMMU_CMD_TLBI_1_VA);
	return err;
}

static uint64_t tlbi_granule(unsigned int shift)
{
	size_t i;

	for (i = 0; granules[i].shift != shift; i++)
		;
	return granules[i].tlbi_tg;
}

int guest_smmu_invalidate(struct dma_domain *d, const struct dma_unmapped *ranges,
			  unsigned int count)
{
	unsigned int shift = d->table.format.granule_shift, i;
	bool by_range = d->smmu->info.idr[3] & SMMU_IDR3_RIL;
	struct commands c = { .domain = d };
	uint64_t pages = 0;
	int err = 0;

	for (i = 0; i < count; i++)
		pages += ranges[i].size >> shift;
	if (!by_range && pages > TLBI_PAGES_MAX) {
		err = add(&c, command(d, SMMU_CMD_OP_TLBI_NH_ASID), 0);
		return err ? err : flush(&c);
	}
	for (i = 0; !err && i < count; i++) {
		if (by_range)
			err = add_ranges(&c, tlbi_granule(shift), ranges[i].giova,
					 ranges[i].size >> shift);
		else
			err = add_pages(&c, ranges[i].giova, ranges[i].size >> shift);
	}
	return err ? err : flush(&c);
}
