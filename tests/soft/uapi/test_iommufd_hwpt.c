/* SPDX-License-Identifier: BSD-2-Clause */
/* HWPTs and attachment: plain, nest parent, nested; what a device reaches through them. */
#include "iommufd_fixture.h"

#include "arm/smmu_regs.h"

#define MIB (1ull << 20)

static void plain(void **state)
{
	uint8_t *mem = fx_memory(4 * MIB);
	uint32_t ioas, hwpt;
	uint64_t pa;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_map(&fx, ioas, mem, 4 * MIB, 0x40000000), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x40000000, false, &pa), -EFAULT);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, 0, &hwpt), 0);
	assert_int_equal(fx_attach(&fx, 1, hwpt), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x40000000, true, &pa), 0);
	assert_int_equal(pa, (uintptr_t)mem);
	assert_int_equal(fx_translate(&fx, 1, 0x40000000 + 3 * MIB + 0x123, false, &pa), 0);
	assert_int_equal(pa, (uintptr_t)mem + 3 * MIB + 0x123);
	assert_int_equal(fx_unmap(&fx, ioas, 0x40000000, 4 * MIB, NULL), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x40000000, false, &pa), -EFAULT);
	/* And mapped while attached. */
	assert_int_equal(fx_map(&fx, ioas, mem, MIB, 0x50000000), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x50000000, false, &pa), 0);
	assert_int_equal(fx_destroy(&fx, hwpt), -EBUSY);
	assert_int_equal(fx_destroy(&fx, ioas), -EBUSY);
	iommufd_device_detach(fx.idev[1]);
	assert_int_equal(fx_translate(&fx, 1, 0x50000000, false, &pa), -EFAULT);
	assert_int_equal(fx_destroy(&fx, hwpt), 0);
	assert_int_equal(fx_destroy(&fx, ioas), 0);
	fx_stop(&fx);
}

static void nested_bypass(void **state)
{
	uint8_t *mem = fx_memory(4 * MIB);
	uint32_t ioas, hwpt, viommu, vdevice, nested;
	uint64_t pa;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_map(&fx, ioas, mem, 4 * MIB, 0x40000000), 0);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	assert_int_equal(fx_viommu(&fx, 1, hwpt, &viommu), 0);
	assert_int_equal(fx_vdevice(&fx, 1, viommu, 0x1234, &vdevice), 0);
	assert_int_equal(fx_nested(&fx, 1, viommu, SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_BYPASS), 0, &nested), 0);
	assert_int_equal(fx_attach(&fx, 1, nested), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x40001000, true, &pa), 0);
	assert_int_equal(pa, (uintptr_t)mem + 0x1000);
	assert_int_equal(fx_destroy(&fx, viommu), -EBUSY);
	fx_stop(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(nested_bypass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
