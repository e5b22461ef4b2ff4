/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *at(struct guest *g, uint64_t ipa, size_t len)
{
	if (ipa < RAM_IPA || ipa - RAM_IPA >= RAM_SIZE || len > RAM_SIZE - (ipa - RAM_IPA))
		return NULL;
	if (g->hole_size && ipa < g->hole + g->hole_size && g->hole < ipa + len)
		return NULL;
	return g->ram + (ipa - RAM_IPA);
}

static int mem_read(void *ctx, uint64_t ipa, void *buf, size_t len)
{
	struct guest *g = ctx;
	uint64_t *from = at(g, ipa, len), *to = buf;
	size_t i;

	assert_int_equal(ipa % 8 | len % 8, 0);
	assert_in_range(len, 8, 8192);
	atomic_fetch_add(&g->reads, 1);
	if (!from)
		return -EFAULT;
	for (i = 0; i < len / 8; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
	return 0;
}

static int mem_write(void *ctx, uint64_t ipa, const void *buf, size_t len)
{
	struct guest *g = ctx;
	uint64_t *to = at(g, ipa, len);
	const uint64_t *from = buf;
	size_t i;

	if (!to)
		return -EFAULT;
	for (i = 0; i < len / 8; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE);
	return 0;
}

static void irq(void *ctx, enum db_vsmmu_irq which)
{
	struct guest *g = ctx;

	__atomic_fetch_add(&g->irqs[which], 1, __ATOMIC_RELAXED);
}

static int msi(void *ctx, uint64_t address, uint32_t data)
{
	struct guest *g = ctx;

	if (g->msi_fails)
		return -EFAULT;
	g->msis++;
	g->msi_address = address;
	g->msi_data = data;
	return 0;
}

static void invalidated(void *ctx, const struct db_vsmmu_invalidation *what)
{
	struct guest *g = ctx;

	g->invalidations++;
	g->last = *what;
}

const struct db_vsmmu_ops guest_ops = {
	.size = sizeof(guest_ops),
	.read = mem_read,
	.write = mem_write,
	.irq = irq,
	.invalidated = invalidated,
};

const struct db_vsmmu_ops guest_msi_ops = {
	.size = sizeof(guest_ops),
	.read = mem_read,
	.write = mem_write,
	.irq = irq,
	.msi = msi,
	.invalidated = invalidated,
};

void guest_init(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	g->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(g->ram != MAP_FAILED);
	g->used = FREE_IPA;
}

void guest_create(struct guest *g, const struct db_vsmmu_config *more)
{
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &guest_ops };

	if (more)
		config = *more;
	if (!config.ops)
		config.ops = &guest_ops;
	config.ctx = g;
	if (db_vsmmu_create(&config, &g->vsmmu))
		fail_msg("%s", db_error_message());
}

void guest_fini(struct guest *g)
{
	db_vsmmu_destroy(g->vsmmu);
	munmap(g->ram, RAM_SIZE);
}

void guest_put(struct guest *g, uint64_t ipa, uint64_t value)
{
	__atomic_store_n((uint64_t *)(g->ram + (ipa - RAM_IPA)), value, __ATOMIC_RELEASE);
}

uint64_t guest_get(struct guest *g, uint64_t ipa)
{
	return __atomic_load_n((uint64_t *)(g->ram + (ipa - RAM_IPA)), __ATOMIC_ACQUIRE);
}

uint64_t guest_alloc(struct guest *g, uint64_t size)
{
	uint64_t ipa = (g->used + size - 1) & ~(size - 1);

	g->used = ipa + size;
	assert_true(g->used <= RAM_IPA + RAM_SIZE);
	return ipa;
}

uint32_t guest_read(struct guest *g, uint32_t offset)
{
	return db_vsmmu_mmio_read(g->vsmmu, offset, 4);
}

uint64_t guest_read64(struct guest *g, uint32_t offset)
{
	return db_vsmmu_mmio_read(g->vsmmu, offset, 8);
}

int guest_write(struct guest *g, uint32_t offset, uint32_t value)
{
	return db_vsmmu_mmio_write(g->vsmmu, offset, 4, value);
}

int guest_write64(struct guest *g, uint32_t offset, uint64_t value)
{
	return db_vsmmu_mmio_write(g->vsmmu, offset, 8, value);
}

void guest_start(struct guest *g, bool enable)
{
	uint32_t cr0 = SMMU_CR0_CMDQEN | SMMU_CR0_EVENTQEN | (enable ? SMMU_CR0_SMMUEN : 0);

	guest_write64(g, SMMU_STRTAB_BASE, STRTAB_IPA);
	guest_write(g, SMMU_STRTAB_BASE_CFG, STRTAB_LOG2);
	guest_write64(g, SMMU_CMDQ_BASE, CMDQ_IPA | QUEUE_LOG2);
	guest_write64(g, SMMU_EVENTQ_BASE, EVENTQ_IPA | QUEUE_LOG2);
	guest_write(g, SMMU_IRQ_CTRL, SMMU_IRQ_CTRL_WRITABLE);
	if (guest_write(g, SMMU_CR0, cr0))
		fail_msg("%s", db_error_message());
	assert_int_equal(guest_read(g, SMMU_CR0ACK), cr0);
	g->prod = guest_read(g, SMMU_CMDQ_PROD);
}

void guest_command(struct guest *g, uint64_t dw0, uint64_t dw1)
{
	uint64_t entry = CMDQ_IPA + (g->prod & ((1u << QUEUE_LOG2) - 1)) * 16;

	guest_put(g, entry, dw0);
	guest_put(g, entry + 8, dw1);
	g->prod = (g->prod + 1) & ((2u << QUEUE_LOG2) - 1);
}

int guest_kick(struct guest *g)
{
	return guest_write(g, SMMU_CMDQ_PROD, g->prod);
}

void guest_do(struct guest *g, uint64_t dw0, uint64_t dw1)
{
	guest_command(g, dw0, dw1);
	guest_command(g, SMMU_CMD_OP_SYNC, 0);
	if (guest_kick(g))
		fail_msg("%s", db_error_message());
	assert_int_equal(guest_read(g, SMMU_CMDQ_CONS), g->prod);
}

uint32_t guest_events(struct guest *g)
{
	return (guest_read(g, SMMU_EVENTQ_PROD) - guest_read(g, SMMU_EVENTQ_CONS)) &
	       ((2u << QUEUE_LOG2) - 1);
}

void guest_event(struct guest *g, uint64_t event[4])
{
	uint32_t cons = guest_read(g, SMMU_EVENTQ_CONS);
	uint32_t index = cons & ((1u << QUEUE_LOG2) - 1);
	unsigned int i;

	assert_int_not_equal(guest_events(g), 0);
	for (i = 0; i < 4; i++)
		event[i] = guest_get(g, EVENTQ_IPA + index * 32 + i * 8);
	guest_write(g, SMMU_EVENTQ_CONS, (cons & SMMU_EVENTQ_OVERFLOW) |
						 ((cons + 1) & ((2u << QUEUE_LOG2) - 1)));
}

void guest_set_ste(struct guest *g, uint32_t sid, const uint64_t ste[8])
{
	unsigned int i;

	for (i = 8; i-- > 0;)
		guest_put(g, STRTAB_IPA + sid * 64 + i * 8, ste[i]);
}

static int table_read(void *ctx, uint64_t ipa, uint64_t *value)
{
	*value = guest_get(ctx, ipa);
	return 0;
}

static int table_write(void *ctx, uint64_t ipa, uint64_t value)
{
	guest_put(ctx, ipa, value);
	return 0;
}

static int table_alloc(void *ctx, uint64_t size, uint64_t *ipa)
{
	*ipa = guest_alloc(ctx, size);
	return 0;
}

static void table_free(void *ctx, uint64_t ipa, uint64_t size)
{
	(void)ctx;
	(void)ipa;
	(void)size;
}

void stream_init(struct stream *s, struct guest *g, uint32_t sid, unsigned int granule_shift,
		 unsigned int asid)
{
	struct smmu_cd_table ttb0;
	struct smmu_cd cd = { .ttb0 = &ttb0, .asid = asid };
	struct smmu_ste_s1 s1;
	uint64_t dw[8];
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->guest = g;
	s->table.mem = (struct arm_mem){ table_read, table_write, g };
	s->table.alloc = table_alloc;
	s->table.free = table_free;
	s->table.ctx = g;
	assert_int_equal(vmsa_format_init(&s->table.format, VMSA_S1, granule_shift, 48, 48), 0);
	assert_int_equal(vmsa_table_init(&s->table), 0);
	ttb0 = (struct smmu_cd_table){ s->table.format, s->table.root };
	smmu_cd_build(dw, &cd);
	s->cd = guest_alloc(g, 64);
	for (i = 0; i < 8; i++)
		guest_put(g, s->cd + i * 8, dw[i]);
	s1 = (struct smmu_ste_s1){ .cd_table = s->cd };
	smmu_ste_s1(s->ste, &s1, 0);
	guest_set_ste(g, sid, s->ste);
	guest_do(g, SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid), 1);
}

void stream_map(struct stream *s, uint64_t iova, uint64_t ipa, uint64_t size)
{
	assert_int_equal(vmsa_map(&s->table, iova, ipa, size,
				  VMSA_READ | VMSA_WRITE | VMSA_NOT_GLOBAL), 0);
}

int guest_translate(struct guest *g, uint32_t sid, uint64_t iova, unsigned int flags,
		    uint64_t *ipa)
{
	struct db_vsmmu_translation out = { .size = sizeof(out) };
	int ret = db_vsmmu_translate(g->vsmmu, sid, 0, iova, flags, &out);

	*ipa = out.address;
	return ret;
}
