/* SPDX-License-Identifier: BSD-2-Clause */
#include "arm_fixture.h"

static void nested(void **state)
{
	struct machine m;
	struct smmu_result res;
	(void)state;
	machine_init(&m);
	struct vmsa_table s2 = table_make(&m.ram, VMSA_S2, 12, 48, 48);
	struct vmsa_table s1 = table_make(&m.ram, VMSA_S1, 12, 48, 48);
	uint64_t cdp = ram_new(&m.ram, 64), ste[8], cd[8];
	assert_int_equal(vmsa_map(&s2, RAM_BASE, RAM_BASE, RAM_SIZE, VMSA_READ | VMSA_WRITE), 0);
	assert_int_equal(vmsa_map(&s2, 0x8000000, RAM_BASE + 0x5000, 0x1000, VMSA_WRITE|VMSA_DEVICE), 0);
	assert_int_equal(vmsa_map(&s1, 0xffff0000, 0x8000000, 0x1000, VMSA_WRITE|VMSA_NOT_GLOBAL), 0);
	smmu_cd_build(cd, &(struct smmu_cd){ .ttb0 = &(struct smmu_cd_table){ s1.format, s1.root }, .asid = 7 });
	put_dwords(&m.ram, cdp, cd, 8);
	smmu_ste_nested(ste, &(struct smmu_ste_s1){ .cd_table = cdp }, &(struct smmu_ste_s2){ .format = s2.format, .root = s2.root, .vmid = 3 });
	machine_set_ste(&m, 5, ste);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(machine_write(&m, 5, 0xffff0040, &res), 0);
		assert_int_equal(res.pa, RAM_BASE + 0x5040);
		assert_int_equal(res.page_size, 4096);
	}
	assert_int_equal(machine_read(&m, 5, 0xffff0040, &res), -EFAULT);
	assert_int_equal(event_id(&res), SMMU_EVT_F_PERMISSION);
	assert_int_equal(machine_read(&m, 6, 0xffff0040, &res), -EFAULT);
	assert_int_equal(event_id(&res), SMMU_EVT_C_BAD_STE);
	machine_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nested) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
