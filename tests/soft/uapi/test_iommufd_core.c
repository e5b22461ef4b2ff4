/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all requests have in common: numbers, struct sizes, ids, lifetimes; and those that this
 * kernel's hardware does not support.
 */
#include "iommufd_fixture.h"

#include <fcntl.h>
#include <unistd.h>

struct sizes {
	const char *name;
	unsigned long request;
	uint32_t size, min_size;
};

#define SIZES(request, type, last)                                                                 \
	{                                                                                          \
#request, request, sizeof(struct type),                                            \
			offsetof(struct type, last) + sizeof(((struct type *)NULL)->last)          \
	}

static const struct sizes sizes[] = {
	SIZES(IOMMU_DESTROY, iommu_destroy, id),
	SIZES(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id),
	SIZES(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas),
	SIZES(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova),
	SIZES(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment),
	SIZES(IOMMU_IOAS_MAP, iommu_ioas_map, iova),
	SIZES(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova),
	SIZES(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length),
	SIZES(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved),
	SIZES(IOMMU_IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, out_phys),
	SIZES(IOMMU_OPTION, iommu_option, val64),
	SIZES(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved),
	SIZES(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved),
	SIZES(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved),
	SIZES(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved),
	SIZES(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data),
	SIZES(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved),
	SIZES(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd),
	SIZES(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id),
	SIZES(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id),
	SIZES(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd),
	SIZES(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length),
	SIZES(IOMMU_GET_MSI_INFO, iommu_get_msi_info, out_offset),
	SIZES(IOMMU_IOAS_MAP_MSI, iommu_ioas_map_msi, out_length),
};

/*
 * Each request too short, at its shortest, too long with zeros, and too long with garbage at the
 * end.
 */
static void struct_sizes(void **state)
{
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t buf[32];
		uint32_t *size = (uint32_t *)buf;
		int plain;

		print_message("%s\n", sizes[i].name);
		memset(buf, 0, sizeof(buf));
		*size = sizes[i].min_size - 1;
		assert_int_equal(fx_ioctl(&fx, sizes[i].request, buf), -EINVAL);
		*size = 0;
		assert_int_equal(fx_ioctl(&fx, sizes[i].request, buf), -EINVAL);

		memset(buf, 0, sizeof(buf));
		*size = sizes[i].size;
		plain = fx_ioctl(&fx, sizes[i].request, buf);
		assert_int_not_equal(plain, -E2BIG);
		assert_int_not_equal(plain, -ENOTTY);
		memset(buf, 0, sizeof(buf));
		*size = sizes[i].min_size;
		assert_int_equal(fx_ioctl(&fx, sizes[i].request, buf), plain);
		memset(buf, 0, sizeof(buf));
		*size = sizes[i].size + 16;
		assert_int_equal(fx_ioctl(&fx, sizes[i].request, buf), plain);

		memset(buf, 0, sizeof(buf));
		*size = sizes[i].size + 16;
		((uint8_t *)buf)[sizes[i].size + 15] = 1;
		assert_int_equal(fx_ioctl(&fx, sizes[i].request, buf), -E2BIG);
	}
	fx_stop(&fx);
}

/* No more is written back than the caller says there is room for. */
static void short_answer(void **state)
{
	struct {
		uint32_t size, flags, dev_id, data_len;
		uint64_t data_uptr;
		uint32_t out_type;
		uint8_t pasid, reserved[3], guard[8];
	} arg;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 0);
	memset(&arg, 0, sizeof(arg));
	memset(arg.guard, 0xa5, sizeof(arg.guard));
	arg.size = offsetof(struct iommu_hw_info, out_capabilities);
	arg.dev_id = fx.dev_id[0];
	assert_int_equal(fx_ioctl(&fx, IOMMU_GET_HW_INFO, &arg), 0);
	assert_int_equal(arg.out_type, IOMMU_HW_INFO_TYPE_ARM_SMMUV3);
	for (size_t i = 0; i < sizeof(arg.guard); i++)
		assert_int_equal(arg.guard[i], 0xa5);
	fx_stop(&fx);
}

static void numbers(void **state)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = 1 };
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	assert_int_equal(fx_ioctl(&fx, _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE - 1), &arg), -ENOTTY);
	assert_int_equal(fx_ioctl(&fx, _IO(IOMMUFD_TYPE, 0x98), &arg), -ENOTTY);
	assert_int_equal(fx_ioctl(&fx, _IO('x', IOMMUFD_CMD_DESTROY), &arg), -ENOTTY);
	assert_int_equal(fx_ioctl(&fx, _IOW(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY, uint32_t), &arg),
			 -ENOTTY);
	assert_int_equal(fx_ioctl(&fx, IOMMU_DESTROY, NULL), -EFAULT);
	assert_int_equal(fx_ioctl(&fx, IOMMU_DESTROY, (void *)0x10), -EFAULT);
	fx_stop(&fx);
}

static void contexts(void **state)
{
	struct iommufd_ctx *ctx;
	int null, other;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	null = open("/dev/null", O_RDONLY);
	assert_int_equal(iommufd_ctx_from_fd(fx.host, null, &ctx), -EBADFD);
	close(null);
	assert_int_equal(iommufd_ctx_from_fd(fx.host, null, &ctx), -EBADF);
	assert_int_equal(iommufd_ctx_from_fd(fx.host, -1, &ctx), -EBADF);
	other = fx.sys->ops->open(fx.sys, "/dev/vfio/devices/vfio0", O_RDWR);
	assert_true(other >= 0);
	assert_int_equal(iommufd_ctx_from_fd(fx.host, other, &ctx), -EBADFD);
	assert_int_equal(fx.sys->ops->close(fx.sys, other), 0);
	assert_int_equal(fx.sys->ops->ioctl(fx.sys, other, IOMMU_DESTROY, NULL), -EBADF);
	fx_stop(&fx);
}

static void ids(void **state)
{
	uint32_t a, b, c;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	assert_int_equal(fx_destroy(&fx, 0), -ENOENT);
	assert_int_equal(fx_destroy(&fx, 1), -ENOENT);
	assert_int_equal(fx_destroy(&fx, UINT32_MAX), -ENOENT);
	a = fx_ioas_ok(&fx);
	b = fx_ioas_ok(&fx);
	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	assert_int_equal(fx_destroy(&fx, a), 0);
	assert_int_equal(fx_destroy(&fx, a), -ENOENT);
	c = fx_ioas_ok(&fx);
	assert_int_equal(c, a);
	/* Many, and freed by the close. */
	for (int i = 0; i < 1000; i++)
		fx_ioas_ok(&fx);
	fx_stop(&fx);
}

/* Each object that another one uses: EBUSY until that is gone. */
static void lifetimes(void **state)
{
	uint32_t ioas, hwpt, viommu, vdevice, nested;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	assert_int_equal(fx_destroy(&fx, fx.dev_id[1]), -EBUSY);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	assert_int_equal(fx_destroy(&fx, ioas), -EBUSY);
	assert_int_equal(fx_viommu(&fx, 1, hwpt, &viommu), 0);
	assert_int_equal(fx_destroy(&fx, hwpt), -EBUSY);
	assert_int_equal(fx_vdevice(&fx, 1, viommu, 5, &vdevice), 0);
	assert_int_equal(fx_destroy(&fx, viommu), -EBUSY);
	assert_int_equal(fx_destroy(&fx, vdevice), 0);
	assert_int_equal(fx_nested(&fx, 1, viommu, 0, 0, &nested), 0);
	assert_int_equal(fx_destroy(&fx, viommu), -EBUSY);
	assert_int_equal(fx_attach(&fx, 1, nested), 0);
	assert_int_equal(fx_destroy(&fx, nested), -EBUSY);
	/* To the parent itself, which lets the nested one go. */
	assert_int_equal(fx_attach(&fx, 1, hwpt), 0);
	assert_int_equal(fx_destroy(&fx, nested), 0);
	assert_int_equal(fx_destroy(&fx, viommu), 0);
	assert_int_equal(fx_destroy(&fx, hwpt), -EBUSY);
	iommufd_device_detach(fx.idev[1]);
	assert_int_equal(fx_destroy(&fx, hwpt), 0);
	assert_int_equal(fx_destroy(&fx, ioas), 0);
	fx_stop(&fx);
}

/* The device goes before its vDEVICE: the vDEVICE goes with it, and its id is never found again. */
static void tombstone(void **state)
{
	uint32_t ioas, hwpt, viommu, vdevice, other;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	assert_int_equal(fx_viommu(&fx, 1, hwpt, &viommu), 0);
	assert_int_equal(fx_vdevice(&fx, 1, viommu, 5, &vdevice), 0);
	fx_unbind(&fx, 1);
	assert_int_equal(fx_destroy(&fx, vdevice), -ENOENT);
	for (int i = 0; i < 20; i++) {
		other = fx_ioas_ok(&fx);
		assert_int_not_equal(other, vdevice);
	}
	assert_int_equal(fx_destroy(&fx, viommu), 0);
	fx_stop(&fx);
}

/* A bound device keeps the context; what stands in it goes with the last of both. */
static void close_before_unbind(void **state)
{
	uint32_t ioas;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_attach(&fx, 1, ioas), 0);
	assert_int_equal(fx.sys->ops->close(fx.sys, fx.fd), 0);
	assert_int_equal(fx_ioctl(&fx, IOMMU_DESTROY, NULL), -EBADF);
	fx.fd = -1;
	fx_unbind(&fx, 1);
	fx_stop(&fx);
}

static void wrong_types(void **state)
{
	uint32_t ioas, hwpt, out;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	assert_int_equal(fx_map(&fx, hwpt, fx_memory(4096), 4096, 0x10000), -ENOENT);
	assert_int_equal(fx_unmap(&fx, fx.dev_id[0], 0, 4096, NULL), -ENOENT);
	assert_int_equal(fx_viommu(&fx, 0, ioas, &out), -ENOENT);
	assert_int_equal(fx_vdevice(&fx, 0, hwpt, 1, &out), -ENOENT);
	assert_int_equal(fx_hwpt(&fx, 0, fx.dev_id[0], 0, &out), -EINVAL);
	assert_int_equal(fx_hwpt(&fx, 0, 999, 0, &out), -EINVAL);
	assert_int_equal(fx_hwpt(&fx, 0, hwpt, 0, &out), -EOPNOTSUPP);
	assert_int_equal(fx_attach(&fx, 0, 999), -ENOENT);
	assert_int_equal(fx_attach(&fx, 0, fx.dev_id[0]), -EINVAL);
	fx_stop(&fx);
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

static void rlimit_mode(void **state)
{
	int privileged = geteuid() == 0;
	uint64_t v = 7;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	assert_int_equal(option(&fx, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, &v), 0);
	assert_int_equal(v, 0);
	v = 1;
	assert_int_equal(option(&fx, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &v),
			 privileged ? 0 : -EPERM);
	assert_int_equal(option(&fx, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 0, &v), 0);
	assert_int_equal(v, privileged);
	v = 2;
	assert_int_equal(option(&fx, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &v),
			 privileged ? -EINVAL : -EPERM);
	assert_int_equal(option(&fx, IOMMU_OPTION_RLIMIT_MODE, 2, 0, &v), -EOPNOTSUPP);
	assert_int_equal(option(&fx, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_GET, 1, &v),
			 -EOPNOTSUPP);
	fx_ioas_ok(&fx);
	v = 0;
	assert_int_equal(option(&fx, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &v),
			 privileged ? -EBUSY : -EPERM);
	assert_int_equal(option(&fx, 99, IOMMU_OPTION_OP_GET, 0, &v), -EOPNOTSUPP);
	fx_stop(&fx);
}

static void reserved_fields(void **state)
{
	struct iommu_option opt = { .size = sizeof(opt), .__reserved = 1 };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas), .flags = 1 };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt), .__reserved = 1 };
	struct iommu_ioas_change_process process = { .size = sizeof(process), .__reserved = 1 };
	struct iommu_vfio_ioas vfio = { .size = sizeof(vfio), .__reserved = 1 };
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	assert_int_equal(fx_ioctl(&fx, IOMMU_OPTION, &opt), -EOPNOTSUPP);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_ALLOC, &ioas), -EOPNOTSUPP);
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_ALLOC, &hwpt), -EOPNOTSUPP);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_CHANGE_PROCESS, &process), -EOPNOTSUPP);
	assert_int_equal(fx_ioctl(&fx, IOMMU_VFIO_IOAS, &vfio), -EOPNOTSUPP);
	fx_stop(&fx);
}

/* What no SMMU or device of the machine can do. */
static void not_supported(void **state)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hw_queue_alloc queue = { .size = sizeof(queue),
					      .type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV };
	struct iommu_hwpt_set_dirty_tracking dirty = { .size = sizeof(dirty) };
	struct iommu_hwpt_get_dirty_bitmap bitmap = { .size = sizeof(bitmap),
						      .length = 4096,
						      .page_size = 4096 };
	struct iommu_vfio_ioas vfio = { .size = sizeof(vfio), .op = IOMMU_VFIO_IOAS_GET };
	struct iommu_ioas_noiommu_get_pa get_pa = { .size = sizeof(get_pa), .length = 1 };
	uint32_t ioas, hwpt;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_hwpt(&fx, 0, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	assert_int_equal(fx_ioctl(&fx, IOMMU_FAULT_QUEUE_ALLOC, &fault), -EOPNOTSUPP);
	assert_int_equal(fx_ioctl(&fx, IOMMU_HW_QUEUE_ALLOC, &queue), -EINVAL);
	queue.length = 4096;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HW_QUEUE_ALLOC, &queue), -ENOENT);
	assert_int_equal(fx_viommu(&fx, 0, hwpt, &queue.viommu_id), 0);
	assert_int_equal(fx_ioctl(&fx, IOMMU_HW_QUEUE_ALLOC, &queue), -EOPNOTSUPP);
	queue.nesting_parent_iova = UINT64_MAX - 10;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HW_QUEUE_ALLOC, &queue), -EOVERFLOW);
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_SET_DIRTY_TRACKING, &dirty), -ENOENT);
	dirty.hwpt_id = hwpt;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_SET_DIRTY_TRACKING, &dirty), -EOPNOTSUPP);
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &bitmap), -ENOENT);
	bitmap.hwpt_id = hwpt;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &bitmap), -EOPNOTSUPP);
	bitmap.length = 100;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &bitmap), -EINVAL);
	bitmap.length = 0;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &bitmap), -EINVAL);
	bitmap.length = 4096;
	bitmap.page_size = 0;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &bitmap), -EINVAL);
	bitmap.iova = UINT64_MAX - 100;
	assert_int_equal(fx_ioctl(&fx, IOMMU_HWPT_GET_DIRTY_BITMAP, &bitmap), -EOVERFLOW);
	assert_int_equal(fx_ioctl(&fx, IOMMU_VFIO_IOAS, &vfio), -ENODEV);
	vfio.op = IOMMU_VFIO_IOAS_CLEAR;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VFIO_IOAS, &vfio), 0);
	vfio.op = IOMMU_VFIO_IOAS_SET;
	vfio.ioas_id = 12345;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VFIO_IOAS, &vfio), -ENOENT);
	vfio.op = 77;
	assert_int_equal(fx_ioctl(&fx, IOMMU_VFIO_IOAS, &vfio), -EOPNOTSUPP);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_NOIOMMU_GET_PA, &get_pa), -EOPNOTSUPP);
	fx_stop(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(struct_sizes),
		cmocka_unit_test(short_answer),
		cmocka_unit_test(numbers),
		cmocka_unit_test(contexts),
		cmocka_unit_test(ids),
		cmocka_unit_test(lifetimes),
		cmocka_unit_test(tombstone),
		cmocka_unit_test(close_before_unbind),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(rlimit_mode),
		cmocka_unit_test(reserved_fields),
		cmocka_unit_test(not_supported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
