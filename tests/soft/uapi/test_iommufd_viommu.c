/* SPDX-License-Identifier: BSD-2-Clause */
/* vIOMMUs: nested translation, vSTEs, vDEVICEs, invalidation, hardware information. */
#include "guest.h"

#define CFG(c) FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_##c)
#define GIOVA 0x7000000000ull
#define MIB (1ull << 20)

static void translates(void **state)
{
	struct guest g;
	uint64_t pa;
	struct fx fx;

	(void)state;
	guest_boot(&g, &fx);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), -EFAULT);
	guest_map(&g, GIOVA, GUEST_BASE + MIB, 0x2000);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + 0x1040, true, &pa), 0);
	assert_int_equal(pa, (uintptr_t)g.memory + MIB + 0x1040);
	/* To nowhere in stage 2. */
	guest_map(&g, GIOVA + MIB, 0x123000, 0x1000);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + MIB, false, &pa), -EFAULT);
	/* Stage 2 under a live stage 1. */
	assert_int_equal(fx_unmap(&fx, g.ioas, GUEST_BASE, GUEST_SIZE, NULL), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), -EFAULT);
	assert_int_equal(fx_map(&fx, g.ioas, g.memory, GUEST_SIZE, GUEST_BASE), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), 0);
	fx_stop(&fx);
}

/*
 * A remap of one page in both stages without range invalidation, with it, and of more than is worth
 * doing by pages.
 */
static void stage2_changes(void **state)
{
	static const char *const machines[] = {
		"smmu\ndevice 0000:01:00.0 bell\n",
		"smmu no-range-invalidation\ndevice 0000:01:00.0 bell\n"
	};
	static const uint64_t sizes[] = { 0x1000, 0x3000, 0x21000, 4 * MIB };

	(void)state;
	for (size_t m = 0; m < 2; m++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint8_t *a = fx_memory(4 * MIB), *b = fx_memory(4 * MIB);
			const uint64_t ipa = 0x80000000;
			uint64_t pa, last = sizes[i] - 0x1000;
			struct guest g;
			struct fx fx;

			fx_start(&fx, machines[m]);
			fx_bind_ok(&fx, 0);
			guest_start(&g, &fx, 0);
			guest_map(&g, GIOVA, ipa, sizes[i]);
			assert_int_equal(fx_map(&fx, g.ioas, a, sizes[i], ipa), 0);
			for (uint64_t at = 0; at < sizes[i]; at += 0x1000)
				assert_int_equal(fx_translate(&fx, 0, GIOVA + at, true, &pa), 0);
			assert_int_equal(fx_unmap(&fx, g.ioas, ipa, sizes[i], NULL), 0);
			for (uint64_t at = 0; at < sizes[i]; at += 0x1000)
				assert_int_equal(fx_translate(&fx, 0, GIOVA + at, true, &pa),
						 -EFAULT);
			assert_int_equal(fx_map(&fx, g.ioas, b, sizes[i], ipa), 0);
			assert_int_equal(fx_translate(&fx, 0, GIOVA + last, true, &pa), 0);
			assert_int_equal(pa, (uintptr_t)b + last);
			fx_stop(&fx);
		}
}

static void vste_rules(void **state)
{
	const uint64_t s1 = SMMU_STE_0_V | CFG(S1);
	static const struct { uint64_t ste0, ste1; int rc;
	} cases[] = {
		{ 0, 0, 0 },
		/* Not valid: whatever else it says. */
		{ ~1ull, ~0ull, 0 },
		{ SMMU_STE_0_V | CFG(ABORT), 0, 0 },
		{ SMMU_STE_0_V | CFG(BYPASS), 0, 0 },
		{ SMMU_STE_0_V | CFG(S1), 0, 0 },
		{ SMMU_STE_0_V | CFG(S2), 0, -EIO },
		{ SMMU_STE_0_V | CFG(NESTED), 0, -EIO },
		{ SMMU_STE_0_V | 1 << 1, 0, -EIO },
		{ SMMU_STE_0_V | CFG(S1) | 1ull << 52, 0, -EIO },
		{ SMMU_STE_0_V | CFG(S1),
		  SMMU_STE_1_S1DSS | SMMU_STE_1_S1CIR | SMMU_STE_1_S1COR | SMMU_STE_1_S1CSH, 0 },
		{ SMMU_STE_0_V | CFG(S1), SMMU_STE_1_MEV, -EIO },
		{ SMMU_STE_0_V | CFG(S1), SMMU_STE_1_S2FWB, -EIO },
		{ SMMU_STE_0_V | CFG(S1), SMMU_STE_1_STRW, -EIO },
		{ SMMU_STE_0_V | CFG(S1), SMMU_STE_1_SHCFG, -EIO },
		{ SMMU_STE_0_V | CFG(S1), SMMU_STE_1_PRIVCFG, -EIO },
		{ SMMU_STE_0_V | CFG(S1), FIELD_PREP64(SMMU_STE_1_EATS, 1), 0 },
		{ SMMU_STE_0_V | CFG(S1), FIELD_PREP64(SMMU_STE_1_EATS, 2), -EIO },
		{ SMMU_STE_0_V | CFG(S1), FIELD_PREP64(SMMU_STE_1_EATS, 3), -EIO },
	};
	struct iommu_hwpt_arm_smmuv3 data[2] = { { .ste = { htole64(s1), 0 } } };
	struct iommu_hwpt_alloc arg;
	uint32_t nested, ioas, plain;
	struct guest g;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	fx_bind_ok(&fx, 2);
	guest_start(&g, &fx, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = fx_nested(&fx, 1, g.viommu, cases[i].ste0, cases[i].ste1, &nested);

		if (rc != cases[i].rc)
			fail_msg("case %zu: %d instead of %d", i, rc, cases[i].rc);
		if (!rc)
			assert_int_equal(fx_destroy(&fx, nested), 0);
	}
	/* The request around it. */
	arg = (struct iommu_hwpt_alloc){ .size = sizeof(arg),
					 .dev_id = fx.dev_id[1],
					 .pt_id = g.viommu,
					 .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
					 .data_len = sizeof(data[0]),
					 .data_uptr = (uintptr_t)data };
	arg.data_len = 8;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EINVAL);
	arg.data_len = sizeof(data);
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EINVAL);
	arg.data_len = 0;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EINVAL);
	arg.data_type = IOMMU_HWPT_DATA_NONE;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EOPNOTSUPP);
	arg.data_len = sizeof(data[0]);
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EINVAL);
	arg.data_type = IOMMU_HWPT_DATA_VTD_S1;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EINVAL);
	arg.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3;
	arg.data_uptr = 0x10;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EFAULT);
	arg.data_uptr = (uintptr_t)data;
	arg.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EOPNOTSUPP);
	arg.flags = IOMMU_HWPT_ALLOC_PASID;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EOPNOTSUPP);
	arg.flags = IOMMU_HWPT_FAULT_ID_VALID;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -ENOENT);
	arg.flags = 0;
	arg.dev_id = 999;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -ENOENT);
	/* A device behind another SMMU. */
	arg.dev_id = fx.dev_id[2];
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EINVAL);
	assert_int_equal(fx_attach(&fx, 2, g.nested), -EINVAL);
	/* Data for a plain table: not taken. */
	ioas = fx_ioas_ok(&fx);
	arg.dev_id = fx.dev_id[1];
	arg.pt_id = ioas;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &arg), -EOPNOTSUPP);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &plain),
			 -EOPNOTSUPP);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, 1 << 8, &plain), -EOPNOTSUPP);
	assert_int_equal(fx_hwpt(&fx, 1, ioas,
				 IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID, &plain),
			 -EOPNOTSUPP);
	assert_int_equal(fx_hwpt(&fx, 1, ioas,
				 IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID, &plain),
			 -EOPNOTSUPP);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_FAULT_ID_VALID, &plain), -ENOENT);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_ALLOC_PASID, &plain), 0);
	fx_stop(&fx);
}

/* What each vSTE makes of an access. */
static void vste_effects(void **state)
{
	uint32_t abort, bypass, invalid, before;
	struct guest g;
	uint64_t pa;
	struct fx fx;

	(void)state;
	guest_boot(&g, &fx);
	guest_map(&g, GIOVA, GUEST_BASE + MIB, 0x1000);
	assert_int_equal(fx_nested(&fx, 1, g.viommu, SMMU_STE_0_V | CFG(ABORT), 0, &abort), 0);
	assert_int_equal(fx_nested(&fx, 1, g.viommu, SMMU_STE_0_V | CFG(BYPASS), 0, &bypass), 0);
	assert_int_equal(fx_nested(&fx, 1, g.viommu, 0, 0, &invalid), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), 0);
	assert_int_equal(fx_attach(&fx, 1, abort), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), -EFAULT);
	assert_int_equal(fx_attach(&fx, 1, bypass), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), -EFAULT);
	assert_int_equal(fx_translate(&fx, 1, GUEST_BASE + MIB, true, &pa), 0);
	assert_int_equal(fx_attach(&fx, 1, invalid), 0);
	assert_int_equal(fx_translate(&fx, 1, GUEST_BASE + MIB, true, &pa), -EFAULT);
	assert_int_equal(fx_attach(&fx, 1, g.nested), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), 0);
	/* Without a vDEVICE: bypass and abort only; what was attached stays. */
	assert_int_equal(fx_attach(&fx, 1, bypass), 0);
	assert_int_equal(fx_destroy(&fx, g.vdevice), 0);
	assert_int_equal(fx_attach(&fx, 1, g.nested), -ENOENT);
	assert_int_equal(fx_translate(&fx, 1, GUEST_BASE + MIB, true, &pa), 0);
	assert_int_equal(fx_attach(&fx, 1, abort), 0);
	before = g.nested;
	assert_int_equal(fx_destroy(&fx, before), 0);
	fx_stop(&fx);
}

static void viommu_errors(void **state)
{
	struct iommu_viommu_alloc arg = { .size = sizeof(arg),
					  .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3 };
	uint32_t ioas, plain, parent, other, out;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	fx_bind_ok(&fx, 2);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, 0, &plain), 0);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	assert_int_equal(fx_hwpt(&fx, 2, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &other), 0);
	arg.dev_id = 999;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VIOMMU_ALLOC, &arg), -ENOENT);
	arg.dev_id = fx.dev_id[1];
	arg.type = IOMMU_VIOMMU_TYPE_DEFAULT;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VIOMMU_ALLOC, &arg), -EOPNOTSUPP);
	arg.type = IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VIOMMU_ALLOC, &arg), -EOPNOTSUPP);
	arg.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
	arg.flags = 1;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VIOMMU_ALLOC, &arg), -EOPNOTSUPP);
	assert_int_equal(fx_viommu(&fx, 1, 999, &out), -ENOENT);
	assert_int_equal(fx_viommu(&fx, 1, plain, &out), -EINVAL);
	assert_int_equal(fx_viommu(&fx, 1, other, &out), -EINVAL);
	assert_int_equal(fx_viommu(&fx, 1, parent, &out), 0);
	/* The domain of one SMMU is none for a device of another. */
	assert_int_equal(fx_attach(&fx, 2, parent), -EINVAL);
	fx_stop(&fx);

	fx_start(&fx, "smmu not-coherent\ndevice 0000:01:00.0 bell\n");
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	assert_int_equal(fx_viommu(&fx, 0, parent, &out), -EOPNOTSUPP);
	fx_stop(&fx);

	fx_start(&fx, "smmu stages=2\ndevice 0000:01:00.0 bell\n");
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), -EOPNOTSUPP);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_PASID, &parent), -EOPNOTSUPP);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, 0, &plain), 0);
	assert_int_equal(fx_viommu(&fx, 0, plain, &out), -EOPNOTSUPP);
	fx_stop(&fx);
}

static void vdevice_errors(void **state)
{
	uint32_t ioas, parent, viommu, a, b, out;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	for (unsigned int i = 0; i < 4; i++)
		fx_bind_ok(&fx, i);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	assert_int_equal(fx_viommu(&fx, 1, parent, &viommu), 0);
	assert_int_equal(fx_vdevice(&fx, 1, 999, 1, &out), -ENOENT);
	fx.dev_id[2] += 100;
	assert_int_equal(fx_vdevice(&fx, 2, viommu, 1, &out), -ENOENT);
	fx.dev_id[2] -= 100;
	assert_int_equal(fx_vdevice(&fx, 2, viommu, 1, &out), -EINVAL);
	assert_int_equal(fx_vdevice(&fx, 1, viommu, 1, &a), 0);
	assert_int_equal(fx_vdevice(&fx, 1, viommu, 2, &out), -EEXIST);
	assert_int_equal(fx_vdevice(&fx, 0, viommu, 1, &out), -EEXIST);
	assert_int_equal(fx_vdevice(&fx, 0, viommu, 1ull << 40, &b), 0);
	assert_int_equal(fx_destroy(&fx, a), 0);
	assert_int_equal(fx_vdevice(&fx, 1, viommu, 1, &a), 0);
	fx_stop(&fx);
}

static void hw_info(void **state)
{
	struct iommu_hw_info_arm_smmuv3 info[2];
	struct iommu_hw_info arg = { .size = sizeof(arg),
				     .data_len = sizeof(info),
				     .data_uptr = (uintptr_t)info };
	const uint8_t *tail = (const uint8_t *)&info[1];
	struct fx fx;

	(void)state;
	memset(info, 0xff, sizeof(info));
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), -ENOENT);
	arg.dev_id = fx.dev_id[1];
	arg.flags = 2;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), -EOPNOTSUPP);
	arg.flags = 0;
	arg.__reserved[1] = 1;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), -EOPNOTSUPP);
	arg.__reserved[1] = 0;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), 0);
	assert_int_equal(arg.out_data_type, IOMMU_HW_INFO_TYPE_ARM_SMMUV3);
	assert_int_equal(arg.data_len, sizeof(info[0]));
	assert_int_equal(arg.out_capabilities, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	assert_memory_equal(info[0].idr, fx.host->machine.smmus[0].idr, sizeof(info[0].idr));
	for (size_t i = 0; i < sizeof(info[1]); i++)
		assert_int_equal(tail[i], 0);
	/* A short buffer gets the beginning; the length is the kernel's. */
	memset(info, 0xff, sizeof(info));
	arg.data_len = 12;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), 0);
	assert_int_equal(arg.data_len, sizeof(info[0]));
	assert_int_equal(info[0].idr[0], fx.host->machine.smmus[0].idr[0]);
	assert_int_equal(info[0].idr[1], UINT32_MAX);
	arg.data_len = 0;
	arg.data_uptr = 0;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), 0);
	arg.data_len = 64;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), -EFAULT);
	arg.data_len = 0;
	arg.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	arg.in_data_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), 0);
	arg.in_data_type = IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), -EOPNOTSUPP);
	fx_stop(&fx);
}

#define OP(o) FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_##o)
#define ASID(a) FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, a)
#define SID(s) FIELD_PREP64(SMMU_CMD_CFGI_0_SID, s)

/* Each command, and each way for it to be illegal. */
static void command_rules(void **state)
{
	static const struct { uint64_t cmd[2]; int rc;
	} cases[] = {
		{ { OP(TLBI_NSNH_ALL), 0 }, 0 },
		{ { OP(TLBI_NSNH_ALL) | 1ull << 32, 0 }, -EIO },
		{ { OP(TLBI_NH_ALL) | FIELD_PREP64(SMMU_CMD_TLBI_0_VMID, 77), 0 }, 0 },
		{ { OP(TLBI_NH_ALL) | ASID(1), 0 }, -EIO },
		{ { OP(TLBI_NH_ASID) | ASID(0xffff), 0 }, 0 },
		{ { OP(TLBI_NH_ASID) | ASID(1), 0x1000 }, -EIO },
		{ { OP(TLBI_NH_VA) | ASID(1), 0x1001 }, 0 },
		{ { OP(TLBI_NH_VA) | ASID(1), 0x1002 }, -EIO },
		{ { OP(TLBI_NH_VAA), 0x1000 }, 0 },
		{ { OP(TLBI_NH_VAA) | ASID(1), 0x1000 }, -EIO },
		/* Range fields: with a granule only, and not all 0 then. */
		{ { OP(TLBI_NH_VA) | FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, 3),
		    FIELD_PREP64(SMMU_CMD_TLBI_1_TG, 1) },
		  0 },
		{ { OP(TLBI_NH_VA) | FIELD_PREP64(SMMU_CMD_TLBI_0_NUM, 3), 0 }, -EIO },
		{ { OP(TLBI_NH_VA), FIELD_PREP64(SMMU_CMD_TLBI_1_TG, 1) }, -EIO },
		{ { OP(TLBI_NH_VA), FIELD_PREP64(SMMU_CMD_TLBI_1_TTL, 1) }, -EIO },
		{ { OP(TLBI_NH_VA),
		    FIELD_PREP64(SMMU_CMD_TLBI_1_TG, 1) | FIELD_PREP64(SMMU_CMD_TLBI_1_TTL, 3) },
		  0 },
		{ { OP(TLBI_NH_VA),
		    FIELD_PREP64(SMMU_CMD_TLBI_1_TG, 2) | FIELD_PREP64(SMMU_CMD_TLBI_1_TTL, 1) },
		  -EIO },
		{ { OP(TLBI_NH_VA) | 1ull << 25 | 1ull << 20, FIELD_PREP64(SMMU_CMD_TLBI_1_TG, 1) },
		  -EIO },
		{ { OP(CFGI_CD) | SID(GUEST_VSID), SMMU_CMD_CFGI_1_LEAF }, 0 },
		{ { OP(CFGI_CD) | SID(GUEST_VSID + 1), 0 }, -EIO },
		{ { OP(CFGI_CD_ALL) | SID(GUEST_VSID), 0 }, 0 },
		{ { OP(CFGI_CD_ALL) | SID(GUEST_VSID), 1 }, -EIO },
		/* No device has ATS. */
		{ { OP(ATC_INV) | SID(GUEST_VSID), 0 }, -EIO },
		/* Not for a guest. */
		{ { OP(CFGI_STE) | SID(GUEST_VSID), 0 }, -EIO },
		{ { OP(CFGI_STE_RANGE), 31 }, -EIO },
		{ { OP(TLBI_S12_VMALL), 0 }, -EIO },
		{ { OP(TLBI_S2_IPA), 0 }, -EIO },
		{ { OP(TLBI_EL2_ALL), 0 }, -EIO },
		{ { OP(SYNC), 0 }, -EIO },
		{ { OP(RESUME), 0 }, -EIO },
		{ { 0xff, 0 }, -EIO },
		{ { 0, 0 }, -EIO },
		{ { OP(TLBI_NH_ALL) | SMMU_CMD_0_SSEC, 0 }, -EIO },
		{ { ~0ull, ~0ull }, -EIO },
	};
	struct guest g;
	struct fx fx;

	(void)state;
	guest_boot(&g, &fx);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t done;
		int rc = guest_invalidate(&g, &fx, &cases[i].cmd, 1, &done);

		if (rc != cases[i].rc || done != (rc ? 0 : 1))
			fail_msg("case %zu: %d instead of %d, %u done", i, rc, cases[i].rc, done);
	}
	fx_stop(&fx);
}

/* ATC_INV, where the SMMU has ATS: by the guest's StreamID, and no more than everything. */
static void ats_commands(void **state)
{
	static const struct { uint64_t cmd[2]; int rc; } cases[] = {
		{ { OP(ATC_INV) | SID(GUEST_VSID), 0x1000 }, 0 },
		{ { OP(ATC_INV) | SID(GUEST_VSID), 52 }, 0 },
		{ { OP(ATC_INV) | SID(GUEST_VSID), 53 }, -EIO },
		{ { OP(ATC_INV) | SID(GUEST_VSID), 1 << 6 }, -EIO },
		{ { OP(ATC_INV) | SID(GUEST_VSID) | SMMU_CMD_0_SSV | 1 << 12 | 1 << 9, 0 }, 0 },
		{ { OP(ATC_INV) | SID(GUEST_VSID) | 1 << 10, 0 }, -EIO },
		{ { OP(ATC_INV) | SID(GUEST_VSID + 1), 0 }, -EIO },
	};
	struct guest g;
	struct fx fx;

	(void)state;
	fx_start(&fx, "smmu idr0=0x0d44141b\ndevice 0000:01:00.0 bell\n");
	fx_bind_ok(&fx, 0);
	guest_start(&g, &fx, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = guest_invalidate(&g, &fx, &cases[i].cmd, 1, NULL);

		if (rc != cases[i].rc)
			fail_msg("case %zu: %d instead of %d", i, rc, cases[i].rc);
	}
	fx_stop(&fx);
}

static void request_rules(void **state)
{
	const uint64_t cmds[2][2] = { { OP(TLBI_NSNH_ALL), 0 }, { OP(TLBI_NSNH_ALL), 0 } };
	const uint64_t wide[2][3] = { { OP(TLBI_NSNH_ALL), 0, 0 }, { OP(TLBI_NSNH_ALL), 0, 1 } };
	struct iommu_hwpt_invalidate arg, good;
	struct guest g;
	struct fx fx;

	(void)state;
	guest_boot(&g, &fx);
	good = (struct iommu_hwpt_invalidate){ .size = sizeof(good),
					       .hwpt_id = g.viommu,
					       .data_uptr = (uintptr_t)cmds,
					       .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
					       .entry_len = 16,
					       .entry_num = 2 };
#define TRY(change, rc, num) do { \
		arg = good; \
		change; \
		assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_INVALIDATE, &arg), rc); \
		assert_int_equal(arg.entry_num, num); \
	} while (0)
	TRY((void)0, 0, 2);
	TRY(arg.__reserved = 1, -EOPNOTSUPP, 0);
	TRY(arg.hwpt_id = 999, -ENOENT, 0);
	TRY(arg.hwpt_id = g.ioas, -EINVAL, 0);
	TRY(arg.hwpt_id = g.parent, -EINVAL, 0);
	TRY(arg.hwpt_id = g.nested, -EOPNOTSUPP, 0);
	TRY(arg.data_uptr = 0, -EINVAL, 0);
	TRY(arg.data_uptr = 0x10, -EFAULT, 0);
	TRY(arg.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, -EINVAL, 0);
	TRY(arg.entry_len = 0, -EINVAL, 0);
	TRY(arg.entry_len = 4097, -EINVAL, 0);
	TRY(arg.entry_num = (1 << 19) + 1, -EINVAL, 0);
	TRY(arg.entry_num = 0, -EINVAL, 0);
	/* Longer entries: zeros only behind what is known. */
	TRY((arg.data_uptr = (uintptr_t)wide, arg.entry_len = 24), -E2BIG, 0);
	TRY((arg.data_uptr = (uintptr_t)wide, arg.entry_len = 24, arg.entry_num = 1), 0, 1);
	/* Shorter ones are completed with zeros. */
	TRY((arg.data_uptr = (uintptr_t)wide, arg.entry_len = 8, arg.entry_num = 2), -EIO, 1);
#undef TRY
	fx_stop(&fx);
}

/*
 * A stale translation is gone after the guest's own invalidation, and with a batch that fails, as
 * Linux does it.
 */
static void invalidates(void **state)
{
	uint64_t cmds[130][2];
	uint32_t done;
	struct guest g;
	uint64_t pa;
	struct fx fx;

	(void)state;
	guest_boot(&g, &fx);
	for (int i = 0; i < 130; i++) {
		cmds[i][0] = OP(TLBI_NH_VA) | ASID(1);
		cmds[i][1] = GIOVA + 0x1000ull * i;
	}
	guest_map(&g, GIOVA, GUEST_BASE + MIB, 130 * 0x1000);
	for (int i = 0; i < 130; i++)
		assert_int_equal(fx_translate(&fx, 1, GIOVA + 0x1000 * i, true, &pa), 0);
	guest_unmap(&g, GIOVA, 130 * 0x1000);
	/* Entry 100 is illegal: 100 were taken, of which the first batch of 63 was sent. */
	cmds[100][0] = OP(SYNC);
	assert_int_equal(guest_invalidate(&g, &fx, (const uint64_t (*)[2])cmds, 130, &done), -EIO);
	assert_int_equal(done, 100);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), -EFAULT);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + 62 * 0x1000, true, &pa), -EFAULT);
	/* Sent again, all of it. */
	cmds[100][0] = OP(TLBI_NH_VA) | ASID(1);
	assert_int_equal(guest_invalidate(&g, &fx, (const uint64_t (*)[2])cmds, 130, &done), 0);
	assert_int_equal(done, 130);
	for (int i = 0; i < 130; i++)
		assert_int_equal(fx_translate(&fx, 1, GIOVA + 0x1000 * i, true, &pa), -EFAULT);
	fx_stop(&fx);
}

/* Two guests behind one SMMU: neither one's "everything" is the other's. */
static void vmids_apart(void **state)
{
	const uint64_t all[1][2] = { { OP(TLBI_NSNH_ALL), 0 } };
	struct guest a, b;
	uint64_t pa;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 0);
	fx_bind_ok(&fx, 1);
	guest_start(&b, &fx, 1);
	/* Device 0 shares its group with 3, whose StreamID the vIOMMU must know too. */
	fx_bind_ok(&fx, 3);
	a = (struct guest){ 0 };
	assert_int_equal(fx_attach(&fx, 0, b.nested), -ENOENT);
	assert_int_equal(fx_vdevice(&fx, 0, b.viommu, 8, &a.vdevice), 0);
	assert_int_equal(fx_attach(&fx, 0, b.nested), -ENOENT);
	assert_int_equal(fx_vdevice(&fx, 3, b.viommu, 9, &a.nested), 0);
	assert_int_equal(fx_attach(&fx, 0, b.nested), 0);
	guest_map(&b, GIOVA, GUEST_BASE + MIB, 0x1000);
	assert_int_equal(fx_translate(&fx, 0, GIOVA, true, &pa), 0);
	assert_int_equal(fx_translate(&fx, 3, GIOVA, true, &pa), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA, true, &pa), 0);
	assert_int_equal(guest_invalidate(&b, &fx, all, 1, NULL), 0);
	assert_int_equal(fx_translate(&fx, 3, GIOVA, true, &pa), 0);
	fx_stop(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(translates),
		cmocka_unit_test(stage2_changes),
		cmocka_unit_test(vste_rules),
		cmocka_unit_test(vste_effects),
		cmocka_unit_test(viommu_errors),
		cmocka_unit_test(vdevice_errors),
		cmocka_unit_test(hw_info),
		cmocka_unit_test(command_rules),
		cmocka_unit_test(ats_commands),
		cmocka_unit_test(request_rules),
		cmocka_unit_test(invalidates),
		cmocka_unit_test(vmids_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
