/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every allocation of a whole life of an iommufd fails once: the request that met it says so and
 * changes nothing, so that the same request then succeeds; and nothing is left at the end.
 */
#include "guest.h"

#include <sys/mman.h>
#include <unistd.h>

#include "soft/alloc.h"

#define PAGE 4096ull
#define MIB (1ull << 20)
#define MSIX 2

static unsigned long failures;

/* Does a step that may run out of memory: if so, it is done again with memory to be had. */
#define STEP(expression) do { \
		int step_rc_ = (expression); \
		if (step_rc_) { \
			if (step_rc_ != -ENOMEM && step_rc_ != -ENFILE) \
				fail_msg("%s: %d", #expression, step_rc_); \
			assert_int_equal(soft_alloc_fail_left(), 0); \
			failures++; \
			assert_int_equal((expression), 0); \
		} \
	} while (0)

static int ioas_alloc(struct fx *fx, uint32_t *out)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int rc = fx_ioctl(fx, IOMMU_IOAS_ALLOC, &arg);

	*out = arg.out_ioas_id;
	return rc;
}

static int automatic(struct fx *fx, uint32_t ioas, const void *va, uint64_t length)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
	};

	return fx_ioctl(fx, IOMMU_IOAS_MAP, &arg);
}

static int file_map(struct fx *fx, uint32_t ioas, int fd, uint64_t length, uint64_t iova,
		    uint32_t flags)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | flags,
		.ioas_id = ioas,
		.fd = fd,
		.length = length,
		.iova = iova,
	};

	return fx_ioctl(fx, IOMMU_IOAS_MAP_FILE, &arg);
}

static int copy(struct fx *fx, uint32_t src, uint32_t dst)
{
	struct iommu_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.src_ioas_id = src,
		.dst_ioas_id = dst,
		.src_iova = 0x40000000 + PAGE,
		.dst_iova = 0x90000000,
		.length = MIB,
	};

	return fx_ioctl(fx, IOMMU_IOAS_COPY, &arg);
}

static int allow(struct fx *fx, uint32_t ioas)
{
	const struct iommu_iova_range range = { 0x1000, 0x7ffffff };
	struct iommu_ioas_allow_iovas arg = { .size = sizeof(arg),
					      .ioas_id = ioas,
					      .num_iovas = 1,
					      .allowed_iovas = (uintptr_t)&range };

	return fx_ioctl(fx, IOMMU_IOAS_ALLOW_IOVAS, &arg);
}

static int veventq(struct fx *fx, uint32_t viommu, int *fd)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = 8,
	};
	int rc = fx_ioctl(fx, IOMMU_VEVENTQ_ALLOC, &arg);

	*fd = (int)arg.out_veventq_fd;
	return rc;
}

static int invalidate(struct fx *fx, uint32_t viommu)
{
	const uint64_t cmd[2] = { FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_TLBI_NSNH_ALL), 0 };
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = viommu,
		.data_uptr = (uintptr_t)cmd,
		.entry_len = sizeof(cmd),
		.entry_num = 1,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	};

	return fx_ioctl(fx, IOMMU_HWPT_INVALIDATE, &arg);
}

static uint8_t *memory;
static int memfd;

static unsigned long life(struct fx *fx)
{
	unsigned long left;
	const uint64_t iova[] = { 0x7000000000, 0x7000001000 };
	uint32_t a, b, parent, viommu, vdevice, nested, plain;
	uint64_t at;
	int fd;

	STEP(fx_bind(fx, 1));
	STEP(fx_bind(fx, 0));
	STEP(ioas_alloc(fx, &a));
	STEP(ioas_alloc(fx, &b));
	STEP(fx_map(fx, a, memory, 4 * MIB, 0x40000000));
	STEP(file_map(fx, a, memfd, 2 * MIB, 0x80000000,
		      IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE));
	STEP(fx_attach(fx, 0, b));
	STEP(allow(fx, b));
	STEP(automatic(fx, b, memory, MIB));
	STEP(iommufd_sw_msi(fx->idev[0], MSIX, 0, 0x08090040, &at));
	STEP(fx_hwpt(fx, 1, a, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	STEP(fx_map_doorbell(fx, 1, a, 0x90000000));
	STEP(fx_viommu(fx, 1, parent, &viommu));
	STEP(fx_vdevice(fx, 1, viommu, 7, &vdevice));
	STEP(fx_nested(fx, 1, viommu,
		       SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_S1) |
			       0x40000000,
		       0, &nested));
	STEP(fx_attach(fx, 1, nested));
	STEP(veventq(fx, viommu, &fd));
	/* An event that finds no memory is lost, and nothing else. */
	assert_int_equal(fx_translate(fx, 1, 0x5000, true, NULL), -EFAULT);
	STEP(invalidate(fx, viommu));
	STEP(iommufd_prepare_msi(fx->idev[1], MSIX, 3, 2, iova));
	STEP(copy(fx, a, b));
	/* Taking away needs no memory: it cannot fail. */
	assert_int_equal(fx_unmap(fx, a, 0x80000000, 2 * MIB, NULL), 0);
	STEP(fx_hwpt(fx, 0, b, 0, &plain));
	STEP(fx_attach(fx, 0, plain));
	STEP(fx_attach(fx, 1, parent));
	iommufd_device_detach(fx->idev[0]);
	assert_int_equal(fx_destroy(fx, plain), 0);
	assert_int_equal(fx->sys->ops->close(fx->sys, fd), 0);
	assert_int_equal(fx_destroy(fx, nested), 0);
	left = soft_alloc_fail_left();
	soft_alloc_fail_nth(0);
	return left;
}

static void each_allocation(void **state)
{
	unsigned long n, left = 0;
	struct fx fx;

	(void)state;
	memory = fx_memory(4 * MIB);
	memfd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(memfd, 2 * MIB), 0);
	for (n = 1; !left; n++) {
		fx_start(&fx, NULL);
		soft_alloc_fail_nth(n);
		/* What is left when it is over: it had fewer than n. */
		left = life(&fx);
		fx_stop(&fx);
	}
	print_message("%lu requests met a failing allocation\n", failures);
	assert_true(failures > 50);
	close(memfd);
}

/* The same of the host itself. */
static void host(void **state)
{
	unsigned long n = 0, left = 0;

	(void)state;
	while (!left) {
		long live = soft_alloc_live();
		struct db_sys *sys;
		int rc;

		soft_alloc_fail_nth(++n);
		rc = db_soft_host_create(fx_machine, strlen(fx_machine), &sys);
		left = soft_alloc_fail_left();
		soft_alloc_fail_nth(0);
		if (!rc)
			sys->ops->release(sys);
		else
			assert_int_equal(rc, -ENOMEM);
		assert_int_equal(soft_alloc_live(), live);
	}
	print_message("%lu allocations\n", n - 1);
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation),
		cmocka_unit_test(host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
