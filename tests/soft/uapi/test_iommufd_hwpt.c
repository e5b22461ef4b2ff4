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
	assert_int_equal(
		fx_nested(&fx, 1, viommu,
			  SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_BYPASS),
			  0, &nested),
		0);
	assert_int_equal(fx_attach(&fx, 1, nested), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x40001000, true, &pa), 0);
	assert_int_equal(pa, (uintptr_t)mem + 0x1000);
	assert_int_equal(fx_destroy(&fx, viommu), -EBUSY);
	fx_stop(&fx);
}

/* Automatic HWPTs: one for all devices that can share it, gone with the last. */
static void automatic(void **state)
{
	uint8_t *mem = fx_memory(MIB);
	uint32_t ioas, pt, first, other, manual;
	uint64_t pa;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	for (unsigned int i = 0; i < 4; i++)
		fx_bind_ok(&fx, i);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_map(&fx, ioas, mem, MIB, 0x40000000), 0);
	/* One made by hand is not taken. */
	assert_int_equal(fx_hwpt(&fx, 0, ioas, 0, &manual), 0);
	first = ioas;
	assert_int_equal(iommufd_device_attach(fx.idev[0], &first), 0);
	assert_int_not_equal(first, ioas);
	assert_int_not_equal(first, manual);
	pt = ioas;
	assert_int_equal(iommufd_device_attach(fx.idev[1], &pt), 0);
	assert_int_equal(pt, first);
	/* Behind another SMMU. */
	other = ioas;
	assert_int_equal(iommufd_device_attach(fx.idev[2], &other), 0);
	assert_int_not_equal(other, first);
	/* Again: nothing changes. */
	pt = ioas;
	assert_int_equal(iommufd_device_attach(fx.idev[2], &pt), 0);
	assert_int_equal(pt, other);
	for (unsigned int i = 0; i < 4; i++) {
		/* 3 is in the group of 0, and follows it. */
		assert_int_equal(fx_translate(&fx, i, 0x40000123, true, &pa), 0);
		assert_int_equal(pa, (uintptr_t)mem + 0x123);
	}
	assert_int_equal(fx_destroy(&fx, first), -EBUSY);
	iommufd_device_detach(fx.idev[0]);
	assert_int_equal(fx_translate(&fx, 0, 0x40000123, true, &pa), -EFAULT);
	assert_int_equal(fx_translate(&fx, 3, 0x40000123, true, &pa), -EFAULT);
	assert_int_equal(fx_translate(&fx, 1, 0x40000123, true, &pa), 0);
	iommufd_device_detach(fx.idev[1]);
	assert_int_equal(fx_destroy(&fx, first), -ENOENT);
	/* Replaced: gone too. */
	pt = ioas;
	assert_int_equal(iommufd_device_attach(fx.idev[1], &pt), 0);
	assert_int_equal(fx_attach(&fx, 1, manual), 0);
	assert_int_equal(fx_destroy(&fx, pt), -ENOENT);
	assert_int_equal(fx_translate(&fx, 1, 0x40000123, true, &pa), 0);
	fx_stop(&fx);
}

/* All devices of a group stand on one HWPT, those not bound too. */
static void groups(void **state)
{
	uint8_t *mem = fx_memory(MIB);
	uint32_t ioas, a, b;
	uint64_t pa;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_map(&fx, ioas, mem, MIB, 0x40000000), 0);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, 0, &a), 0);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &b), 0);
	assert_int_equal(fx_attach(&fx, 0, a), 0);
	assert_int_equal(fx_translate(&fx, 3, 0x40000000, true, &pa), 0);
	fx_bind_ok(&fx, 3);
	assert_int_equal(fx_attach(&fx, 3, b), -EINVAL);
	assert_int_equal(fx_attach(&fx, 3, a), 0);
	/* Moved by one, both move. */
	assert_int_equal(fx_attach(&fx, 3, b), 0);
	assert_int_equal(fx_destroy(&fx, a), 0);
	assert_int_equal(fx_translate(&fx, 0, 0x40000000, true, &pa), 0);
	iommufd_device_detach(fx.idev[0]);
	assert_int_equal(fx_translate(&fx, 0, 0x40000000, true, &pa), 0);
	assert_int_equal(fx_destroy(&fx, b), -EBUSY);
	iommufd_device_detach(fx.idev[3]);
	assert_int_equal(fx_translate(&fx, 0, 0x40000000, true, &pa), -EFAULT);
	assert_int_equal(fx_destroy(&fx, b), 0);
	/* Detached already: nothing. */
	iommufd_device_detach(fx.idev[3]);
	fx_stop(&fx);
}

/* One iommufd at a time has a group. */
static void ownership(void **state)
{
	struct iommufd_device *idev;
	struct iommufd_ctx *ctx;
	uint32_t id;
	struct fx fx;
	int other;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 0);
	other = fx.sys->ops->open(fx.sys, "/dev/iommu", 2);
	assert_int_equal(iommufd_ctx_from_fd(fx.host, other, &ctx), 0);
	assert_int_equal(iommufd_device_bind(ctx, &fx.host->devices[3], &idev, &id), -EPERM);
	assert_int_equal(iommufd_device_bind(ctx, &fx.host->devices[1], &idev, &id), 0);
	iommufd_device_unbind(idev);
	fx_unbind(&fx, 0);
	assert_int_equal(iommufd_device_bind(ctx, &fx.host->devices[3], &idev, &id), 0);
	assert_int_equal(fx_bind(&fx, 0), -EPERM);
	iommufd_device_unbind(idev);
	iommufd_ctx_put(ctx);
	assert_int_equal(fx.sys->ops->close(fx.sys, other), 0);
	fx_stop(&fx);
}

static void reserved_regions(void **state)
{
	static const char machine[] =
		"device 0000:01:00.0 bell group=1\n"
		"device 0000:02:00.0 bell group=2\n"
		"device 0000:03:00.0 bell group=3\n"
		"reserved 1 0x20000000..0x20000fff reserved\n"
		"reserved 1 0x30000000..0x30000fff direct-relaxable\n"
		"reserved 2 0x20000000..0x20000fff direct\n"
		"reserved 3 0x20000000..0x20000fff msi\n";
	uint32_t a, b;
	uint64_t pa;
	struct fx fx;

	(void)state;
	fx_start(&fx, machine);
	fx_bind_ok(&fx, 0);
	/* Firmware wants an identity map: not for passing through. */
	assert_int_equal(fx_bind(&fx, 1), -EINVAL);
	fx_bind_ok(&fx, 2);
	a = fx_ioas_ok(&fx);
	b = fx_ioas_ok(&fx);
	assert_int_equal(fx_map(&fx, a, fx_memory(0x1000), 0x1000, 0x20000000), 0);
	assert_int_equal(fx_attach(&fx, 0, a), -EADDRINUSE);
	assert_int_equal(fx_attach(&fx, 2, a), -EADDRINUSE);
	assert_int_equal(fx_attach(&fx, 0, b), 0);
	assert_int_equal(fx_map(&fx, b, fx_memory(0x1000), 0x1000, 0x20000000), -EINVAL);
	assert_int_equal(fx_map(&fx, b, fx_memory(0x1000), 0x1000, 0x30000000), 0);
	/* A replace that cannot be leaves everything as it is. */
	assert_int_equal(fx_attach(&fx, 0, a), -EADDRINUSE);
	assert_int_equal(fx_translate(&fx, 0, 0x30000000, true, &pa), 0);
	assert_int_equal(fx_map(&fx, b, fx_memory(0x1000), 0x1000, 0x20000000), -EINVAL);
	/* One that can be takes the reserved regions along. */
	assert_int_equal(fx_unmap(&fx, a, 0x20000000, 0x1000, NULL), 0);
	assert_int_equal(fx_attach(&fx, 0, a), 0);
	assert_int_equal(fx_map(&fx, b, fx_memory(0x1000), 0x1000, 0x20000000), 0);
	assert_int_equal(fx_map(&fx, a, fx_memory(0x1000), 0x1000, 0x20000000), -EINVAL);
	fx_stop(&fx);
}

/* VMIDs and ASIDs are as many as the SMMU has. */
static void out_of_tags(void **state)
{
	static const char machine[] = "smmu idr0=0x0c09001f\ndevice 0000:01:00.0 bell\n";
	uint32_t ioas, hwpt[256];
	struct fx fx;

	(void)state;
	fx_start(&fx, machine);
	assert_int_equal(fx.host->machine.smmus[0].idr[0] & (SMMU_IDR0_VMID16 | SMMU_IDR0_ASID16),
			 0);
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	for (int i = 0; i < 255; i++)
		assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt[i]), 0);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt[255]), -ENOSPC);
	assert_int_equal(fx_destroy(&fx, hwpt[100]), 0);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt[100]), 0);
	for (int i = 0; i < 255; i++)
		assert_int_equal(fx_hwpt(&fx, 0, ioas, 0, &hwpt[i]), 0);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, 0, &hwpt[255]), -EBUSY);
	fx_stop(&fx);
}

/*
 * Host pages and granules: the tables have the greatest granule that a page of the host is made of.
 */
static void granules(void **state)
{
	static const struct { const char *machine; uint64_t alignment; } cases[] = {
		{ "page-size 4k\nsmmu\ndevice 0000:01:00.0 bell\n", 0x1000 },
		{ "page-size 16k\nsmmu\ndevice 0000:01:00.0 bell\n", 0x4000 },
		{ "page-size 64k\nsmmu\ndevice 0000:01:00.0 bell\n", 0x10000 },
		{ "page-size 64k\nsmmu granules=4k\ndevice 0000:01:00.0 bell\n", 0x1000 },
		{ "page-size 64k\nsmmu granules=4k,16k\ndevice 0000:01:00.0 bell\n", 0x4000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (uint32_t flags = 0; flags < 2; flags++) {
			struct iommu_ioas_iova_ranges ranges = { .size = sizeof(ranges) };
			uint8_t *mem = fx_memory(4 * MIB);
			uint32_t hwpt;
			uint64_t pa;
			struct fx fx;

			fx_start(&fx, cases[i].machine);
			fx_bind_ok(&fx, 0);
			ranges.ioas_id = fx_ioas_ok(&fx);
			assert_int_equal(fx_map(&fx, ranges.ioas_id, mem, 4 * MIB, 0x40000000), 0);
			assert_int_equal(fx_hwpt(&fx, 0, ranges.ioas_id,
						 flags ? IOMMU_HWPT_ALLOC_NEST_PARENT : 0, &hwpt),
					 0);
			assert_int_equal(fx_attach(&fx, 0, hwpt), 0);
			assert_int_equal(fx_translate(&fx, 0, 0x40000000 + 3 * MIB + 5, true, &pa),
					 0);
			assert_int_equal(pa, (uintptr_t)mem + 3 * MIB + 5);
			assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_IOVA_RANGES, &ranges), -EMSGSIZE);
			assert_int_equal(ranges.out_iova_alignment, cases[i].alignment);
			assert_int_equal(fx_unmap(&fx, ranges.ioas_id, 0, UINT64_MAX, NULL), 0);
			assert_int_equal(fx_translate(&fx, 0, 0x40000000, true, &pa), -EFAULT);
			fx_stop(&fx);
		}
}

/* What the SMMU cannot put out is not mapped. */
static void output_size(void **state)
{
	uint32_t ioas;
	struct fx fx;

	(void)state;
	fx_start(&fx, "smmu output-bits=40\ndevice 0000:01:00.0 bell\n");
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_attach(&fx, 0, ioas), 0);
	assert_int_equal(fx_map(&fx, ioas, fx_memory(MIB), MIB, 0x40000000), -ERANGE);
	fx_stop(&fx);
}

/* One range of 1 GiB costs blocks, not pages: a table for each level. */
static void large_range(void **state)
{
	uint8_t *mem = fx_memory(1024 * MIB);
	size_t before;
	uint32_t ioas, hwpt;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	before = bus_allocated(fx.host->bus);
	assert_int_equal(fx_map(&fx, ioas, mem, 1024 * MIB, 0x40000000), 0);
	assert_true(bus_allocated(fx.host->bus) - before <= 3 * 4096);
	assert_int_equal(fx_unmap(&fx, ioas, 0, UINT64_MAX, NULL), 0);
	assert_int_equal(bus_allocated(fx.host->bus), before);
	fx_stop(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(nested_bypass),
		cmocka_unit_test(automatic),
		cmocka_unit_test(groups),
		cmocka_unit_test(ownership),
		cmocka_unit_test(reserved_regions),
		cmocka_unit_test(out_of_tags),
		cmocka_unit_test(granules),
		cmocka_unit_test(output_size),
		cmocka_unit_test(large_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
