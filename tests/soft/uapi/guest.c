/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest.h"

uint64_t guest_ste0(const struct guest *g)
{
	return SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_S1) | g->s1.cd;
}

void guest_start(struct guest *g, struct fx *fx, unsigned int device)
{
	*g = (struct guest){
		.memory = fx_memory(GUEST_SIZE),
		.s1 = { .ram_ipa = GUEST_BASE, .limit = GUEST_SIZE, .input_bits = 39, .asid = 1 },
	};
	g->s1.ram = g->memory;
	assert_int_equal(stage1_init(&g->s1), 0);

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
	assert_int_equal(vmsa_map(&g->s1.table, giova, ipa, size, VMSA_READ | VMSA_WRITE), 0);
}

void guest_unmap(struct guest *g, uint64_t giova, uint64_t size)
{
	uint64_t freed;

	assert_int_equal(vmsa_unmap(&g->s1.table, giova, size, &freed), 0);
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
