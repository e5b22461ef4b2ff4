/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of MSIs: the SW_MSI window, prepared ones; doorbells in an IOAS. */
#include "guest.h"

#include "soft/uapi/iommufd_private.h"

#define PAGE 4096ull
#define MIB (1ull << 20)
#define GIOVA 0x7000000000ull
#define MSIX 2
#define ITS0 0x08090000ull
#define ITS1 0x080b0000ull
#define OFFSET 0x40

static const char stock[] =
	"kernel stock\n"
	"smmu\n"
	"its its base=0x08080000\n"
	"its its base=0x080a0000\n"
	"device 0000:01:00.0 bell\n"
	"device 0000:02:00.0 bell its=1\n";

/*
 * First come, first served; the same address in every HWPT of the iommufd; there before a device is
 * attached.
 */
static void window(void **state)
{
	uint32_t a, b, hwpt;
	uint64_t at, pa;
	struct fx fx;

	(void)state;
	fx_start(&fx, stock);
	fx_bind_ok(&fx, 0);
	fx_bind_ok(&fx, 1);
	a = fx_ioas_ok(&fx);
	b = fx_ioas_ok(&fx);
	/* Attached to nothing: no address leads anywhere. */
	assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, ITS0 + OFFSET, &at), -EOPNOTSUPP);
	assert_int_equal(fx_translate(&fx, 0, ITS0 + OFFSET, true, &pa), -EFAULT);

	assert_int_equal(fx_attach(&fx, 0, a), 0);
	assert_int_equal(fx_attach(&fx, 1, a), 0);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 0, ITS1 + OFFSET, &at), 0);
	assert_int_equal(at, 0x8000000 + OFFSET);
	assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, ITS0 + OFFSET, &at), 0);
	assert_int_equal(at, 0x8001000 + OFFSET);
	assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 5, ITS0 + OFFSET, &at), 0);
	assert_int_equal(at, 0x8001000 + OFFSET);
	assert_int_equal(fx_translate(&fx, 0, at, true, &pa), 0);
	assert_int_equal(pa, ITS0 + OFFSET);
	/* A new table has the pages of the device that comes, and not those of others. */
	assert_int_equal(fx_hwpt(&fx, 0, b, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	assert_int_equal(fx_attach(&fx, 0, hwpt), 0);
	assert_int_equal(fx_translate(&fx, 0, 0x8001000 + OFFSET, true, &pa), 0);
	assert_int_equal(pa, ITS0 + OFFSET);
	assert_int_equal(fx_translate(&fx, 0, 0x8000000 + OFFSET, true, &pa), -EFAULT);
	assert_int_equal(fx_attach(&fx, 1, hwpt), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x8000000 + OFFSET, true, &pa), 0);
	/* Also after everything was left. */
	iommufd_device_detach(fx.idev[0]);
	iommufd_device_detach(fx.idev[1]);
	assert_int_equal(fx_attach(&fx, 0, a), 0);
	assert_int_equal(fx_translate(&fx, 0, 0x8001000 + OFFSET, true, &pa), 0);
	fx_stop(&fx);
}

static void window_is_finite(void **state)
{
	uint32_t ioas;
	uint64_t at;
	struct fx fx;

	(void)state;
	fx_start(&fx, stock);
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_attach(&fx, 0, ioas), 0);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, 0x10000000 + PAGE * i, &at),
				 0);
	assert_int_equal(at, 0x8000000 + 63 * PAGE);
	assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, 0x20000000, &at), -EOVERFLOW);
	assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, 0x10000000, &at), 0);
	fx_stop(&fx);

	/* 16 pages of 64 KiB fill 1 MiB; our kernel looks at that, mainline does not. */
	for (int ours = 0; ours < 2; ours++) {
		fx_start(&fx, ours ? "page-size 64k\n" : "kernel stock\npage-size 64k\n");
		fx_bind_ok(&fx, 0);
		ioas = fx_ioas_ok(&fx);
		assert_int_equal(fx_attach(&fx, 0, ioas), 0);
		for (unsigned int i = 0; i < 16; i++)
			assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0,
							0x10000000 + (i << 16) + 0x40, &at),
					 0);
		assert_int_equal(at, 0x8000000 + (15 << 16) + 0x40);
		assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, 0x20000000, &at),
				 ours ? -ENOSPC : 0);
		fx_stop(&fx);
	}
}

static int option(struct fx *fx, uint32_t id, uint16_t op, uint32_t object, uint64_t *value)
{
	struct iommu_option arg = {
		.size = sizeof(arg), .option_id = id, .op = op, .object_id = object, .val64 = *value
	};
	int rc = fx_ioctl(fx, IOMMU_OPTION, &arg);

	*value = arg.val64;
	return rc;
}

static int set(struct fx *fx, uint32_t id, uint64_t value)
{
	return option(fx, id, IOMMU_OPTION_OP_SET, fx->dev_id[0], &value);
}

static uint64_t get(struct fx *fx, uint32_t id)
{
	uint64_t value = ~0ull;

	assert_int_equal(option(fx, id, IOMMU_OPTION_OP_GET, fx->dev_id[0], &value), 0);
	return value;
}

static void window_option(void **state)
{
	uint64_t v = 1, at, pa;
	uint32_t ioas;
	struct fx fx;

	(void)state;
	fx_start(&fx,
		 "reserved 0 0xfe000000..0xfe0fffff reserved\ndevice 0000:01:00.0 bell group=0\n");
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(option(&fx, IOMMU_OPTION_SW_MSI_START, IOMMU_OPTION_OP_GET, ioas, &v),
			 -ENOENT);
	assert_int_equal(option(&fx, IOMMU_OPTION_SW_MSI_START, 7, fx.dev_id[0], &v), -EOPNOTSUPP);
	assert_int_equal(get(&fx, IOMMU_OPTION_SW_MSI_START), 0x80);
	assert_int_equal(get(&fx, IOMMU_OPTION_SW_MSI_SIZE), 1);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 2), -EINVAL);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 1ull << 44), -EOVERFLOW);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 0xfe0), -EADDRINUSE);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 0xfdf), 0);
	assert_int_equal(get(&fx, IOMMU_OPTION_SW_MSI_SIZE), 1);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 2), -EADDRINUSE);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 1ull << 44), -EOVERFLOW);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, (1ull << 44) - 1), -EOVERFLOW);
	/* None at all, and one again. */
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 0), 0);
	assert_int_equal(get(&fx, IOMMU_OPTION_SW_MSI_SIZE), 0);
	assert_int_equal(get(&fx, IOMMU_OPTION_SW_MSI_START), 0xfdf);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 0xfe0), 0);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 1), -EADDRINUSE);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 0x100), 0);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 2), 0);
	assert_int_equal(get(&fx, IOMMU_OPTION_SW_MSI_START), 0x100);
	assert_int_equal(get(&fx, IOMMU_OPTION_SW_MSI_SIZE), 2);
	assert_int_equal(fx_attach(&fx, 0, ioas), 0);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 0x80), -EBUSY);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 1), -EBUSY);
	assert_int_equal(get(&fx, IOMMU_OPTION_SW_MSI_START), 0x100);
	/* There, and not where it was: that is ordinary address space now. */
	assert_int_equal(fx_map(&fx, ioas, fx_memory(PAGE), PAGE, 0x8000000), 0);
	assert_int_equal(fx_map(&fx, ioas, fx_memory(PAGE), PAGE, 0x10100000), -EINVAL);
	assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, ITS0 + OFFSET, &at), 0);
	assert_int_equal(at, 0x10000000 + OFFSET);
	assert_int_equal(fx_translate(&fx, 0, at, true, &pa), 0);
	assert_int_equal(pa, ITS0 + OFFSET);
	fx_stop(&fx);

	fx_start(&fx, stock);
	fx_bind_ok(&fx, 0);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 0x100), -EOPNOTSUPP);
	assert_int_equal(
		option(&fx, IOMMU_OPTION_SW_MSI_SIZE, IOMMU_OPTION_OP_GET, fx.dev_id[0], &v),
		-EOPNOTSUPP);
	fx_stop(&fx);
}

/* SIZE 0, which needs no START: nothing is reserved, and nothing handed out. */
static void no_window(void **state)
{
	uint32_t ioas;
	uint64_t at;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 0);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 0), 0);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 1), -EINVAL);
	assert_int_equal(iommufd_check_msi(fx.idev[0], MSIX, 0), -EDESTADDRREQ);
	assert_int_equal(fx_attach(&fx, 0, ioas), 0);
	assert_int_equal(fx_map(&fx, ioas, fx_memory(PAGE), PAGE, 0x8000000), 0);
	assert_int_equal(iommufd_check_msi(fx.idev[0], MSIX, 0), -EDESTADDRREQ);
	assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, ITS0 + OFFSET, &at), -EDESTADDRREQ);
	/* It is the device's: another one has its own, for which there is no room here. */
	assert_int_equal(iommufd_check_msi(fx.idev[1], MSIX, 0), 0);
	assert_int_equal(fx_attach(&fx, 1, ioas), -EADDRINUSE);
	fx_stop(&fx);

	/* A machine whose SMMU translates no MSIs has nothing to place. */
	fx_start(&fx, "sw-msi none\ndevice 0000:01:00.0 bell\n");
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 0), -EOPNOTSUPP);
	assert_int_equal(fx_map_doorbell(&fx, 0, ioas, 0x90000000), -EOPNOTSUPP);
	assert_false(iommufd_can_prepare_msi(fx.idev[0]));
	fx_stop(&fx);
}

/* Where it cannot be addressed, the window is refused by whoever is told first of both. */
static void window_beyond_aperture(void **state)
{
	uint32_t ioas, hwpt, id;
	uint64_t at;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, 0, &hwpt), 0);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 1ull << 28), 0);
	assert_int_equal(fx_attach(&fx, 0, hwpt), -EINVAL);
	assert_int_equal(fx_attach(&fx, 0, ioas), -EINVAL);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, 0, &id), -EINVAL);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &id), -EINVAL);
	/* With one page to spare. */
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, (1ull << 28) - 1), 0);
	assert_int_equal(fx_attach(&fx, 0, hwpt), 0);
	assert_int_equal(iommufd_sw_msi(fx.idev[0], MSIX, 0, ITS0 + OFFSET, &at), 0);
	/* One that has doorbells in it stays where it is. */
	iommufd_device_detach(fx.idev[0]);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_SIZE, 0), -EBUSY);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 0x80), -EBUSY);
	fx_stop(&fx);

	/* A nest parent may reach less far than the table the window was right for. */
	fx_start(&fx, "smmu output-bits=40\ndevice 0000:01:00.0 bell\n");
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	assert_int_equal(set(&fx, IOMMU_OPTION_SW_MSI_START, 1ull << 20), 0);
	assert_int_equal(fx_attach(&fx, 0, fx_ioas_ok(&fx)), 0);
	assert_int_equal(fx_attach(&fx, 0, hwpt), -EINVAL);
	fx_stop(&fx);
}

static void prepared(void **state)
{
	const uint64_t iova[] = { GIOVA + 0xfff, GIOVA + 0x1000, 0 };
	struct guest g;
	struct fx fx;
	uint64_t at, zero = 0;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	assert_true(iommufd_can_prepare_msi(fx.idev[1]));
	assert_int_equal(iommufd_prepare_msi(fx.idev[1], MSIX, 2, 3, iova), 0);
	assert_int_equal(option(&fx, IOMMU_OPTION_SW_MSI_SIZE, IOMMU_OPTION_OP_SET, fx.dev_id[1],
				&zero),
			 0);
	guest_start(&g, &fx, 1);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 2, ITS0 + OFFSET, &at), 0);
	assert_int_equal(at, GIOVA + OFFSET);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 3, ITS0 + OFFSET, &at), 0);
	assert_int_equal(at, GIOVA + 0x1000 + OFFSET);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 4, ITS0 + OFFSET, &at), 0);
	assert_int_equal(at, OFFSET);
	/* Another index, and vectors that got none. */
	assert_int_equal(iommufd_sw_msi(fx.idev[1], 1, 2, ITS0 + OFFSET, &at), -EDESTADDRREQ);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 0, ITS0 + OFFSET, &at), -EDESTADDRREQ);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 5, ITS0 + OFFSET, &at), -EDESTADDRREQ);
	/* The same where the host owns the translation. */
	assert_int_equal(fx_attach(&fx, 1, g.parent), 0);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 0, ITS0 + OFFSET, &at), -EDESTADDRREQ);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 2, ITS0 + OFFSET, &at), 0);
	assert_int_equal(fx_attach(&fx, 1, g.nested), 0);
	/* Some forgotten, with a range beyond what there is. */
	assert_int_equal(iommufd_prepare_msi(fx.idev[1], MSIX, 3, 100, NULL), 0);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 3, ITS0 + OFFSET, &at), -EDESTADDRREQ);
	assert_int_equal(iommufd_sw_msi(fx.idev[1], MSIX, 2, ITS0 + OFFSET, &at), 0);
	fx_stop(&fx);
}

static int copy(struct fx *fx, uint32_t src, uint64_t from, uint32_t dst, uint64_t to,
		uint32_t rights)
{
	struct iommu_ioas_copy arg = { .size = sizeof(arg),
				       .flags = IOMMU_IOAS_MAP_FIXED_IOVA | rights,
				       .src_ioas_id = src,
				       .dst_ioas_id = dst,
				       .src_iova = from,
				       .dst_iova = to,
				       .length = PAGE };

	return fx_ioctl(fx, IOMMU_IOAS_COPY, &arg);
}

static void doorbell(void **state)
{
	const uint64_t ipa = 0x90000000;
	uint64_t pa, unmapped;
	struct guest g;
	uint32_t other;
	struct fx fx;

	(void)state;
	guest_boot(&g, &fx);
	/* A device that is attached to nothing will do. */
	fx_bind_ok(&fx, 0);
	assert_int_equal(fx_map_doorbell(&fx, 0, g.ioas, ipa), 0);
	assert_int_equal(fx_map_doorbell(&fx, 1, g.ioas, ipa), -EEXIST);
	assert_int_equal(fx_map_doorbell(&fx, 1, g.ioas, ipa + 0x10), -EINVAL);
	assert_int_equal(fx_map_doorbell(&fx, 1, g.ioas, ~0ull), -EOVERFLOW);
	assert_int_equal(fx_map_doorbell(&fx, 1, g.ioas, 0x8000000), -EINVAL);
	assert_int_equal(fx_map_doorbell(&fx, 1, g.ioas, 1ull << 60), -EINVAL);
	assert_int_equal(fx_map_doorbell(&fx, 1, fx.dev_id[1], ipa + MIB), -ENOENT);
	assert_int_equal(fx_map_doorbell(&fx, 2, g.ioas, ipa + MIB), -ENOENT);
	assert_int_equal(fx_map_doorbell(&fx, 1, g.ioas, ipa + MIB), 0);
	guest_map(&g, GIOVA, ipa, PAGE);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + OFFSET, true, &pa), 0);
	assert_int_equal(pa, ITS0 + OFFSET);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + OFFSET, false, &pa), -EFAULT);

	/* The device that it was mapped for goes: an area is an area. */
	fx_unbind(&fx, 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + OFFSET, true, &pa), 0);
	other = fx_ioas_ok(&fx);
	assert_int_equal(copy(&fx, g.ioas, ipa, other, 0x1000, IOMMU_IOAS_MAP_READABLE), -EPERM);
	assert_int_equal(copy(&fx, g.ioas, ipa, other, 0x1000, IOMMU_IOAS_MAP_WRITEABLE), 0);
	assert_int_equal(fx_unmap(&fx, g.ioas, ipa, PAGE, &unmapped), 0);
	assert_int_equal(unmapped, PAGE);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + OFFSET, true, &pa), -EFAULT);
	assert_int_equal(copy(&fx, other, 0x1000, g.ioas, ipa, IOMMU_IOAS_MAP_WRITEABLE), 0);
	assert_int_equal(fx_translate(&fx, 1, GIOVA + OFFSET, true, &pa), 0);
	assert_int_equal(pa, ITS0 + OFFSET);
	assert_int_equal(fx_attach(&fx, 1, other), 0);
	assert_int_equal(fx_translate(&fx, 1, 0x1000 + OFFSET, true, &pa), 0);
	assert_int_equal(pa, ITS0 + OFFSET);
	fx_stop(&fx);
}

/* What is not used is zero, and what is longer ends in zeros. */
static void doorbell_hygiene(void **state)
{
	struct {
		struct iommu_get_msi_info arg;
		uint64_t tail;
	} info = { .arg.size = sizeof(info.arg) };
	struct {
		struct iommu_ioas_map_msi arg;
		uint64_t tail;
	} map = { .arg.size = sizeof(map.arg), .arg.iova = 0x90000000 };
	struct guest g;
	struct fx fx;

	(void)state;
	guest_boot(&g, &fx);
	info.arg.dev_id = map.arg.dev_id = fx.dev_id[1];
	map.arg.ioas_id = g.ioas;
	info.arg.flags = map.arg.flags = 1;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_MSI_INFO, &info), -EOPNOTSUPP);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_MAP_MSI, &map), -EOPNOTSUPP);
	info.arg.flags = map.arg.flags = 0;
	info.arg.__reserved = 1;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_MSI_INFO, &info), -EOPNOTSUPP);
	info.arg.__reserved = 0;
	info.arg.size = map.arg.size = 16;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_MSI_INFO, &info), -EINVAL);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_MAP_MSI, &map), -EINVAL);
	info.arg.size = sizeof(info);
	map.arg.size = sizeof(map);
	info.tail = map.tail = 1;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_MSI_INFO, &info), -E2BIG);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_MAP_MSI, &map), -E2BIG);
	info.tail = map.tail = 0;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_MSI_INFO, &info), 0);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_MAP_MSI, &map), 0);
	assert_int_equal(map.arg.out_length, PAGE);
	assert_int_equal(info.arg.out_length, PAGE);
	info.arg.dev_id = g.ioas;
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_MSI_INFO, &info), -ENOENT);
	fx_stop(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window),
		cmocka_unit_test(window_is_finite),
		cmocka_unit_test(window_option),
		cmocka_unit_test(no_window),
		cmocka_unit_test(window_beyond_aperture),
		cmocka_unit_test(prepared),
		cmocka_unit_test(doorbell),
		cmocka_unit_test(doorbell_hygiene),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
