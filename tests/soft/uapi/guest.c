/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest.h"

static int read64(void *ctx, uint64_t ipa, uint64_t *value)
{
	const struct guest *g = ctx;

	memcpy(value, g->memory + (ipa - GUEST_BASE), sizeof(*value));
	return 0;
}

static int write64(void *ctx, uint64_t ipa, uint64_t value)
{
	const struct guest *g = ctx;

	memcpy(g->memory + (ipa - GUEST_BASE), &value, sizeof(value));
	return 0;
}

static int alloc(void *ctx, uint64_t size, uint64_t *ipa)
{
	struct guest *g = ctx;

	g->next = (g->next + size - 1) & ~(size - 1);
	assert_true(g->next + size <= GUEST_BASE + GUEST_SIZE);
	*ipa = g->next;
	g->next += size;
	return 0;
}

static void nothing(void *ctx, uint64_t ipa, uint64_t size)
{
	(void)ctx;
	(void)ipa;
	(void)size;
}

uint64_t guest_ste0(const struct guest *g)
{
	return SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_S1) | g->cd;
}

void guest_start(struct guest *g, struct fx *fx, unsigned int device)
{
	struct smmu_cd_table ttb0;
	const struct smmu_cd config = { .ttb0 = &ttb0, .asid = 1 };
	uint64_t cd[SMMU_CD_DWORDS];

	*g = (struct guest){ .memory = fx_memory(GUEST_SIZE), .next = GUEST_BASE };
	g->s1.mem = (struct arm_mem){ .read64 = read64, .write64 = write64, .ctx = g };
	g->s1.alloc = alloc;
	g->s1.free = nothing;
	g->s1.ctx = g;
	assert_int_equal(vmsa_format_init(&g->s1.format, VMSA_S1, 12, 39, 48), 0);
	assert_int_equal(vmsa_table_init(&g->s1), 0);
	alloc(g, 64, &g->cd);
	ttb0 = (struct smmu_cd_table){ .format = g->s1.format, .root = g->s1.root };
	smmu_cd_build(cd, &config);
	memcpy(g->memory + (g->cd - GUEST_BASE), cd, sizeof(cd));

	g->ioas = fx_ioas_ok(fx);
	assert_int_equal(fx_map(fx, g->ioas, g->memory, GUEST_SIZE, GUEST_BASE), 0);
	assert_int_equal(fx_hwpt(fx, device, g->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &g->parent), 0);
	assert_int_equal(fx_viommu(fx, device, g->parent, &g->viommu), 0);
	assert_int_equal(fx_vdevice(fx, device, g->viommu, GUEST_VSID, &g->vdevice), 0);
	assert_int_equal(fx_nested(fx, device, g->viommu, guest_ste0(g), 0, &g->nested), 0);
	assert_int_equal(fx_attach(fx, device, g->nested), 0);
}

void guest_boot(struct guest *g, struct fx *fx)
{
	fx_start(fx, NULL);
	fx_bind_ok(fx, 1);
	guest_start(g, fx, 1);
}

void guest_map(struct guest *g, uint64_t giova, uint64_t ipa, uint64_t size)
{
	assert_int_equal(vmsa_map(&g->s1, giova, ipa, size, VMSA_READ | VMSA_WRITE), 0);
}

void guest_unmap(struct guest *g, uint64_t giova, uint64_t size)
{
	uint64_t freed;

	assert_int_equal(vmsa_unmap(&g->s1, giova, size, &freed), 0);
}

int guest_invalidate(struct guest *g, struct fx *fx, const uint64_t (*cmds)[2], uint32_t count,
		     uint32_t *done)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = g->viommu,
		.data_uptr = (uintptr_t)cmds,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(*cmds),
		.entry_num = count,
	};
	int rc = fx_ioctl(fx, IOMMU_HWPT_INVALIDATE, &arg);

	if (done)
		*done = arg.entry_num;
	return rc;
}
