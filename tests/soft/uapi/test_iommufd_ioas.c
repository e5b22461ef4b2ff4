/* SPDX-License-Identifier: BSD-2-Clause */
/* IOAS: map, map_file, copy, unmap, ranges, allow, the choice of IOVAs, small pages. */
#include "iommufd_fixture.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ull
#define MIB (1ull << 20)
#define RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA

static int map(struct fx *fx, uint32_t ioas, const void *va, uint64_t length, uint32_t flags,
	       uint64_t *iova)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = *iova,
	};
	int rc = fx_ioctl(fx, IOMMU_IOAS_MAP, &arg);

	*iova = arg.iova;
	return rc;
}

static int map_file(struct fx *fx, uint32_t ioas, int fd, uint64_t start, uint64_t length,
		    uint32_t flags, uint64_t *iova)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = flags,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = *iova,
	};
	int rc = fx_ioctl(fx, IOMMU_IOAS_MAP_FILE, &arg);

	*iova = arg.iova;
	return rc;
}

static int copy(struct fx *fx, uint32_t dst, uint32_t src, uint64_t src_iova, uint64_t length,
		uint32_t flags, uint64_t *dst_iova)
{
	struct iommu_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	int rc = fx_ioctl(fx, IOMMU_IOAS_COPY, &arg);

	*dst_iova = arg.dst_iova;
	return rc;
}

static int ranges(struct fx *fx, uint32_t ioas, struct iommu_iova_range *r, uint32_t *n,
		  uint64_t *alignment)
{
	struct iommu_ioas_iova_ranges arg = {
		.size = sizeof(arg), .ioas_id = ioas, .num_iovas = *n, .allowed_iovas = (uintptr_t)r
	};
	int rc = fx_ioctl(fx, IOMMU_IOAS_IOVA_RANGES, &arg);

	*n = arg.num_iovas;
	if (alignment)
		*alignment = arg.out_iova_alignment;
	return rc;
}

static int allow(struct fx *fx, uint32_t ioas, const struct iommu_iova_range *r, uint32_t n)
{
	struct iommu_ioas_allow_iovas arg = {
		.size = sizeof(arg), .ioas_id = ioas, .num_iovas = n, .allowed_iovas = (uintptr_t)r
	};

	return fx_ioctl(fx, IOMMU_IOAS_ALLOW_IOVAS, &arg);
}

static void map_errors(void **state)
{
	struct iommu_ioas_map reserved = { .size = sizeof(reserved), .__reserved = 1, .flags = RW };
	uint8_t *mem = fx_memory(MIB);
	uint64_t iova = 0x10000;
	uint32_t ioas;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_MAP, &reserved), -EOPNOTSUPP);
	assert_int_equal(map(&fx, ioas, mem, PAGE, 1 << 3 | RW, &iova), -EOPNOTSUPP);
	assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED, &iova), -EINVAL);
	assert_int_equal(map(&fx, 99, mem, PAGE, FIXED | RW, &iova), -ENOENT);
	assert_int_equal(map(&fx, ioas, mem, 0, FIXED | RW, &iova), -EINVAL);
	assert_int_equal(map(&fx, ioas, mem, UINT64_MAX, FIXED | RW, &iova), -EOVERFLOW);
	assert_int_equal(map(&fx, ioas, (void *)(UINTPTR_MAX - 10), PAGE, FIXED | RW, &iova),
			 -EOVERFLOW);
	iova = UINT64_MAX;
	assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED | RW, &iova), -EOVERFLOW);
	iova = UINT64_MAX - 100;
	assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED | RW, &iova), -EOVERFLOW);
	/* Nothing of that has left anything behind. */
	assert_int_equal(fx_unmap(&fx, ioas, 0, UINT64_MAX, &iova), 0);
	assert_int_equal(iova, 0);

	iova = 0x10000;
	assert_int_equal(map(&fx, ioas, mem, 4 * PAGE, FIXED | RW, &iova), 0);
	assert_int_equal(map(&fx, ioas, mem, 4 * PAGE, FIXED | RW, &iova), -EEXIST);
	iova = 0x10000 + 3 * PAGE;
	assert_int_equal(map(&fx, ioas, mem, 4 * PAGE, FIXED | RW, &iova), -EEXIST);
	iova = 0x10000 - PAGE;
	assert_int_equal(map(&fx, ioas, mem, 8 * PAGE, FIXED | RW, &iova), -EEXIST);
	fx_stop(&fx);
}

/* What a kernel finds out when it pins: at once when there is a HWPT. */
static void pin_errors(void **state)
{
	uint8_t *mem = fx_memory(MIB);
	uint64_t iova = 0x10000;
	uint32_t ioas, hwpt;
	struct fx fx;
	uint8_t *hole, *ro;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	hole = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(hole + PAGE, PAGE);
	ro = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Without a HWPT nothing is looked at; making one then fails. */
	assert_int_equal(map(&fx, ioas, hole, 4 * PAGE, FIXED | RW, &iova), 0);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, 0, &hwpt), -EFAULT);
	assert_int_equal(fx_unmap(&fx, ioas, iova, 4 * PAGE, NULL), 0);

	assert_int_equal(fx_hwpt(&fx, 1, ioas, 0, &hwpt), 0);
	assert_int_equal(map(&fx, ioas, hole, 4 * PAGE, FIXED | RW, &iova), -EFAULT);
	assert_int_equal(map(&fx, ioas, (void *)PAGE, PAGE, FIXED | RW, &iova), -EFAULT);
	assert_int_equal(map(&fx, ioas, (void *)(1ull << 60), PAGE, FIXED | RW, &iova), -EFAULT);
	assert_int_equal(map(&fx, ioas, ro, 4 * PAGE, FIXED | RW, &iova), -EFAULT);
	assert_int_equal(map(&fx, ioas, ro, 4 * PAGE, FIXED | IOMMU_IOAS_MAP_READABLE, &iova), 0);
	iova += MIB;
	/* Alignment is asked for from now on. */
	assert_int_equal(map(&fx, ioas, mem + 16, PAGE, FIXED | RW, &iova), -EINVAL);
	assert_int_equal(map(&fx, ioas, mem, PAGE + 16, FIXED | RW, &iova), -EINVAL);
	iova += 16;
	assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED | RW, &iova), -EINVAL);
	/* And the HWPT's 48 bits. */
	iova = 1ull << 48;
	assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED | RW, &iova), -EINVAL);
	iova = (1ull << 48) - PAGE;
	assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED | RW, &iova), 0);
	munmap(hole, PAGE);
	munmap(hole + 2 * PAGE, 2 * PAGE);
	fx_stop(&fx);
	munmap(ro, 4 * PAGE);
}

static void unaligned_before_hwpt(void **state)
{
	uint8_t *mem = fx_memory(MIB);
	uint64_t iova = 0x10001, alignment;
	uint32_t ioas, hwpt, n = 0;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(ranges(&fx, ioas, NULL, &n, &alignment), -EMSGSIZE);
	assert_int_equal(alignment, 1);
	assert_int_equal(map(&fx, ioas, mem, 3, FIXED | RW, &iova), 0);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, 0, &hwpt), -EADDRINUSE);
	assert_int_equal(fx_unmap(&fx, ioas, 0x10001, 3, NULL), 0);
	assert_int_equal(fx_hwpt(&fx, 1, ioas, 0, &hwpt), 0);
	n = 0;
	assert_int_equal(ranges(&fx, ioas, NULL, &n, &alignment), -EMSGSIZE);
	assert_int_equal(alignment, PAGE);
	assert_int_equal(fx_destroy(&fx, hwpt), 0);
	n = 0;
	assert_int_equal(ranges(&fx, ioas, NULL, &n, &alignment), -EMSGSIZE);
	assert_int_equal(alignment, 1);
	fx_stop(&fx);
}

static void unmap_rules(void **state)
{
	uint8_t *mem = fx_memory(MIB);
	uint64_t iova, n;
	uint32_t ioas;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	ioas = fx_ioas_ok(&fx);
	for (iova = 0x10000; iova < 0x10000 + 8 * PAGE; iova += 2 * PAGE)
		assert_int_equal(map(&fx, ioas, mem, 2 * PAGE, FIXED | RW, &iova), 0);
	assert_int_equal(fx_unmap(&fx, 99, 0, PAGE, NULL), -ENOENT);
	assert_int_equal(fx_unmap(&fx, ioas, 0x10000, 0, NULL), -EINVAL);
	assert_int_equal(fx_unmap(&fx, ioas, UINT64_MAX, 1, NULL), -EOVERFLOW);
	assert_int_equal(fx_unmap(&fx, ioas, 1, UINT64_MAX, NULL), -EOVERFLOW);
	assert_int_equal(fx_unmap(&fx, ioas, UINT64_MAX - 2, 8, NULL), -EOVERFLOW);
	assert_int_equal(fx_unmap(&fx, ioas, 0x900000, PAGE, NULL), -ENOENT);
	/* A part of a mapping: not. Of the second, after the first whole one: the first is gone. */
	assert_int_equal(fx_unmap(&fx, ioas, 0x10000, PAGE, NULL), -ENOENT);
	assert_int_equal(fx_unmap(&fx, ioas, 0x10000 + PAGE, PAGE, NULL), -ENOENT);
	assert_int_equal(fx_unmap(&fx, ioas, 0x10000, 3 * PAGE, NULL), -ENOENT);
	assert_int_equal(fx_unmap(&fx, ioas, 0x10000, 2 * PAGE, NULL), -ENOENT);
	/* A range with more than what is mapped: fine. */
	assert_int_equal(fx_unmap(&fx, ioas, 0, 0x10000 + 4 * PAGE, &n), 0);
	assert_int_equal(n, 2 * PAGE);
	assert_int_equal(fx_unmap(&fx, ioas, 0, UINT64_MAX, &n), 0);
	assert_int_equal(n, 4 * PAGE);
	assert_int_equal(fx_unmap(&fx, ioas, 0, UINT64_MAX, &n), 0);
	assert_int_equal(n, 0);
	/* The very first and last addresses. */
	iova = 0;
	assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED | RW, &iova), 0);
	iova = UINT64_MAX - PAGE + 1;
	assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED | RW, &iova), 0);
	assert_int_equal(fx_unmap(&fx, ioas, UINT64_MAX - PAGE + 1, PAGE, &n), 0);
	assert_int_equal(fx_unmap(&fx, ioas, 0, PAGE, &n), 0);
	fx_stop(&fx);
}

/* Areas side by side, with holes, some of files: taken out together, and none that is not meant. */
static void unmap_runs(void **state)
{
	static const unsigned int at[] = { 0, 1, 2, 4, 5, 8 };
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint8_t *mem = fx_memory(MIB);
	uint64_t iova, n;
	uint32_t ioas;
	struct fx fx;

	(void)state;
	assert_int_equal(ftruncate(fd, MIB), 0);
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_attach(&fx, 1, ioas), 0);
	for (unsigned int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 6; i++) {
			iova = 0x100000 + at[i] * PAGE;
			if (i % 3 == 1)
				assert_int_equal(map_file(&fx, ioas, fd, 0, PAGE, FIXED | RW, &iova), 0);
			else
				assert_int_equal(map(&fx, ioas, mem, PAGE, FIXED | RW, &iova), 0);
		}
		for (size_t i = 0; i < 6; i++)
			assert_int_equal(fx_translate(&fx, 1, 0x100000 + at[i] * PAGE, true, NULL), 0);
		assert_int_equal(fx_unmap(&fx, ioas, 0x100000, 7 * PAGE, &n), 0);
		assert_int_equal(n, 5 * PAGE);
		for (size_t i = 0; i < 5; i++)
			assert_int_equal(fx_translate(&fx, 1, 0x100000 + at[i] * PAGE, true, NULL), -EFAULT);
		assert_int_equal(fx_translate(&fx, 1, 0x100000 + 8 * PAGE, true, NULL), 0);
		assert_int_equal(fx_unmap(&fx, ioas, 0x100000 + 8 * PAGE, PAGE, NULL), 0);
	}
	fx_stop(&fx);
	close(fd);
}

static void automatic_iova(void **state)
{
	const struct iommu_iova_range allowed[] = { { 0x200000, 0x2fffff },
						    { 0x800000, 0x8fffff } };
	uint8_t *mem = fx_memory(8 * MIB);
	uint64_t iova = 0, first;
	uint32_t ioas;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	/* The lowest, never 0; with the memory's own offset in its page. */
	assert_int_equal(map(&fx, ioas, mem, PAGE, RW, &iova), 0);
	assert_int_equal(iova, PAGE);
	assert_int_equal(map(&fx, ioas, mem + 0x123, 1, RW, &iova), 0);
	assert_int_equal(iova % PAGE, 0x123);
	/* Large memory keeps its alignment up to a huge page. */
	assert_int_equal(map(&fx, ioas, mem, 4 * MIB, RW, &iova), 0);
	assert_int_equal(iova % (2 * MIB), 0);
	assert_int_equal(map(&fx, ioas, mem, UINT64_MAX / 2, RW, &iova), -EFAULT);
	assert_int_equal(fx_unmap(&fx, ioas, 0, UINT64_MAX, NULL), 0);
	/* Reserved ranges are left out. */
	assert_int_equal(fx_attach(&fx, 1, ioas), 0);
	first = 0x8000000 - 2 * MIB;
	assert_int_equal(map(&fx, ioas, mem, 2 * MIB, RW, &iova), 0);
	assert_int_equal(iova, 2 * MIB);
	assert_int_equal(fx_map(&fx, ioas, mem, MIB, first), 0);
	while (iova < first + MIB)
		assert_int_equal(map(&fx, ioas, mem, 2 * MIB, RW, &iova), 0);
	assert_true(iova >= 0x8000000 + MIB);
	assert_int_equal(fx_unmap(&fx, ioas, 0, UINT64_MAX, NULL), 0);
	/* Only what is allowed, once something is. */
	assert_int_equal(allow(&fx, ioas, allowed, 2), 0);
	assert_int_equal(map(&fx, ioas, mem, MIB, RW, &iova), 0);
	assert_int_equal(iova, 0x200000);
	assert_int_equal(map(&fx, ioas, mem, MIB, RW, &iova), 0);
	assert_int_equal(iova, 0x800000);
	assert_int_equal(map(&fx, ioas, mem, PAGE, RW, &iova), -ENOSPC);
	/* A fixed one may lie elsewhere. */
	assert_int_equal(fx_map(&fx, ioas, mem, PAGE, 0x100000), 0);
	assert_int_equal(allow(&fx, ioas, NULL, 0), 0);
	assert_int_equal(map(&fx, ioas, mem, PAGE, RW, &iova), 0);
	fx_stop(&fx);
}

static void iova_ranges(void **state)
{
	struct iommu_ioas_iova_ranges arg = { .size = sizeof(arg), .__reserved = 1 };
	struct iommu_iova_range r[4];
	uint32_t ioas, n = 4;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_IOVA_RANGES, &arg), -EOPNOTSUPP);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(ranges(&fx, 99, r, &n, NULL), -ENOENT);
	assert_int_equal(ranges(&fx, ioas, r, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(r[0].start, 0);
	assert_int_equal(r[0].last, UINT64_MAX);
	/* The MSI window and the end of 48 bits. */
	assert_int_equal(fx_attach(&fx, 1, ioas), 0);
	n = 4;
	assert_int_equal(ranges(&fx, ioas, r, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(r[0].start, 0);
	assert_int_equal(r[0].last, 0x8000000 - 1);
	assert_int_equal(r[1].start, 0x8100000);
	assert_int_equal(r[1].last, (1ull << 48) - 1);
	n = 1;
	memset(r, 0, sizeof(r));
	assert_int_equal(ranges(&fx, ioas, r, &n, NULL), -EMSGSIZE);
	assert_int_equal(n, 2);
	assert_int_equal(r[0].last, 0x8000000 - 1);
	assert_int_equal(r[1].last, 0);
	n = 4;
	assert_int_equal(ranges(&fx, ioas, (void *)0x10, &n, NULL), -EFAULT);
	iommufd_device_detach(fx.idev[1]);
	n = 4;
	assert_int_equal(ranges(&fx, ioas, r, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(r[0].last, UINT64_MAX);
	fx_stop(&fx);
}

static void allow_iovas(void **state)
{
	const struct iommu_iova_range good = { 0x100000, 0x1fffff },
				      window = { 0x8080000, 0x8090000 }, empty = { 5, 5 },
				      turned = { 6, 5 };
	const struct iommu_iova_range overlap[] = { { 0x300000, 0x3fffff },
						    { 0x100000, 0x300000 } };
	struct iommu_ioas_allow_iovas arg = { .size = sizeof(arg), .__reserved = 1 };
	uint32_t ioas, other;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_ALLOW_IOVAS, &arg), -EOPNOTSUPP);
	assert_int_equal(allow(&fx, 99, &good, 1), -ENOENT);
	assert_int_equal(allow(&fx, ioas, (void *)0x10, 1), -EFAULT);
	assert_int_equal(allow(&fx, ioas, &good, UINT32_MAX), -EFAULT);
	assert_int_equal(allow(&fx, ioas, &empty, 1), -EINVAL);
	assert_int_equal(allow(&fx, ioas, &turned, 1), -EINVAL);
	assert_int_equal(allow(&fx, ioas, overlap, 2), -EINVAL);
	assert_int_equal(allow(&fx, ioas, &good, 1), 0);
	/* A promise that the device cannot keep. */
	assert_int_equal(allow(&fx, ioas, &window, 1), 0);
	assert_int_equal(fx_attach(&fx, 1, ioas), -EADDRINUSE);
	assert_int_equal(allow(&fx, ioas, &good, 1), 0);
	assert_int_equal(fx_attach(&fx, 1, ioas), 0);
	assert_int_equal(allow(&fx, ioas, &window, 1), -EADDRINUSE);
	/* A device does not come in where something is mapped in its window. */
	other = fx_ioas_ok(&fx);
	assert_int_equal(fx_map(&fx, other, fx_memory(PAGE), PAGE, 0x8000000), 0);
	assert_int_equal(fx_attach(&fx, 1, other), -EADDRINUSE);
	assert_int_equal(fx_map(&fx, ioas, fx_memory(PAGE), PAGE, 0x8000000), -EINVAL);
	fx_stop(&fx);
}

static void copies(void **state)
{
	uint8_t *mem = fx_memory(MIB);
	uint64_t iova = 0, dst, pa;
	uint32_t src, to;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	src = fx_ioas_ok(&fx);
	to = fx_ioas_ok(&fx);
	assert_int_equal(fx_attach(&fx, 1, to), 0);
	iova = 0x10000;
	assert_int_equal(map(&fx, src, mem, 2 * PAGE, FIXED | RW, &iova), 0);
	iova = 0x12000;
	assert_int_equal(
		map(&fx, src, mem + 0x8000, 2 * PAGE, FIXED | IOMMU_IOAS_MAP_READABLE, &iova), 0);

	dst = 0x900000;
	assert_int_equal(copy(&fx, to, src, 0x10000, PAGE, FIXED | RW | 1 << 5, &dst), -EOPNOTSUPP);
	assert_int_equal(copy(&fx, to, src, 0x10000, PAGE, FIXED, &dst), -EINVAL);
	assert_int_equal(copy(&fx, to, 99, 0x10000, PAGE, FIXED | RW, &dst), -ENOENT);
	assert_int_equal(copy(&fx, 99, src, 0x10000, PAGE, FIXED | RW, &dst), -ENOENT);
	assert_int_equal(copy(&fx, to, src, 0x10000, 0, FIXED | RW, &dst), -EINVAL);
	assert_int_equal(copy(&fx, to, src, 0x10000, UINT64_MAX, FIXED | RW, &dst), -EOVERFLOW);
	assert_int_equal(copy(&fx, to, src, UINT64_MAX, PAGE, FIXED | RW, &dst), -EOVERFLOW);
	assert_int_equal(copy(&fx, to, src, UINT64_MAX - 5, PAGE, FIXED | RW, &dst), -EOVERFLOW);
	assert_int_equal(
		copy(&fx, to, src, 0x13000, 2 * PAGE, FIXED | IOMMU_IOAS_MAP_READABLE, &dst),
		-ENOENT);
	assert_int_equal(copy(&fx, to, src, 0xf000, 2 * PAGE, FIXED | RW, &dst), -ENOENT);
	/* More than the source may: nothing of it is made, not even the first area, which could. */
	assert_int_equal(copy(&fx, to, src, 0x10000, 4 * PAGE, FIXED | RW, &dst), -EPERM);
	assert_int_equal(fx_translate(&fx, 1, dst, false, &pa), -EFAULT);
	assert_int_equal(fx_unmap(&fx, to, dst, 2 * PAGE, NULL), -ENOENT);

	assert_int_equal(
		copy(&fx, to, src, 0x11000, 2 * PAGE, FIXED | IOMMU_IOAS_MAP_READABLE, &dst), 0);
	assert_int_equal(fx_translate(&fx, 1, dst, false, &pa), 0);
	assert_int_equal(pa, (uintptr_t)mem + PAGE);
	assert_int_equal(fx_translate(&fx, 1, dst + PAGE, false, &pa), 0);
	assert_int_equal(pa, (uintptr_t)mem + 0x8000);
	assert_int_equal(fx_translate(&fx, 1, dst, true, &pa), -EFAULT);
	assert_int_equal(copy(&fx, to, src, 0x10000, PAGE, FIXED | RW, &dst), -EEXIST);
	/* It does not depend on where it came from. */
	assert_int_equal(fx_unmap(&fx, src, 0, UINT64_MAX, NULL), 0);
	assert_int_equal(fx_destroy(&fx, src), 0);
	assert_int_equal(fx_translate(&fx, 1, dst, false, &pa), 0);
	fx_stop(&fx);
}

static void files(void **state)
{
	int fd = memfd_create("guest", MFD_CLOEXEC),
	    null = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING), pipes[2];
	uint64_t iova = 0x200000, pa;
	uint8_t *mem;
	uint32_t ioas, lazy, hwpt;
	struct fx fx;

	(void)state;
	assert_int_equal(ftruncate(fd, 8 * MIB), 0);
	mem = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_attach(&fx, 1, ioas), 0);
	assert_int_equal(map_file(&fx, ioas, -1, 0, PAGE, FIXED | RW, &iova), -EBADF);
	assert_int_equal(map_file(&fx, ioas, fd, 0, 0, FIXED | RW, &iova), -EINVAL);
	assert_int_equal(map_file(&fx, ioas, fd, UINT64_MAX, 2, FIXED | RW, &iova), -EOVERFLOW);
	assert_int_equal(map_file(&fx, ioas, fd, 0, UINT64_MAX, FIXED | RW, &iova), -EOVERFLOW);
	assert_int_equal(map_file(&fx, ioas, fd, 0, PAGE, FIXED | RW | 1 << 9, &iova), -EOPNOTSUPP);
	assert_int_equal(map_file(&fx, ioas, fd, 0, PAGE, FIXED, &iova), -EINVAL);
	assert_int_equal(map_file(&fx, 99, fd, 0, PAGE, FIXED | RW, &iova), -ENOENT);
	assert_int_equal(map_file(&fx, ioas, fd, 8 * MIB - PAGE, 2 * PAGE, FIXED | RW, &iova),
			 -EINVAL);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(map_file(&fx, ioas, pipes[0], 0, PAGE, FIXED | RW, &iova), -EINVAL);
	/* Without a HWPT it is found out later. */
	lazy = fx_ioas_ok(&fx);
	assert_int_equal(map_file(&fx, lazy, pipes[0], 0, PAGE, FIXED | RW, &iova), 0);
	assert_int_equal(fx_hwpt(&fx, 1, lazy, 0, &hwpt), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);

	assert_int_equal(map_file(&fx, ioas, fd, 4 * MIB, 4 * MIB, FIXED | RW, &iova), 0);
	assert_int_equal(fx_translate(&fx, 1, iova + MIB, true, &pa), 0);
	mem[5 * MIB] = 0x5a;
	assert_int_equal(*(uint8_t *)(uintptr_t)pa, 0x5a);
	/* It stays, whatever becomes of the descriptor. */
	close(fd);
	mem[5 * MIB] = 0xa5;
	assert_int_equal(*(uint8_t *)(uintptr_t)pa, 0xa5);
	assert_int_equal(fx_unmap(&fx, ioas, iova, 4 * MIB, NULL), 0);
	close(null);
	fx_stop(&fx);
	munmap(mem, 8 * MIB);
}

static void change_process(void **state)
{
	struct iommu_ioas_change_process arg = { .size = sizeof(arg) };
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint64_t iova = 0x200000;
	uint32_t ioas;
	struct fx fx;

	(void)state;
	assert_int_equal(ftruncate(fd, MIB), 0);
	fx_start(&fx, NULL);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_CHANGE_PROCESS, &arg), 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(map_file(&fx, ioas, fd, 0, MIB, FIXED | RW, &iova), 0);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_CHANGE_PROCESS, &arg), 0);
	assert_int_equal(fx_map(&fx, ioas, fx_memory(PAGE), PAGE, 0x1000), 0);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_CHANGE_PROCESS, &arg), -EINVAL);
	assert_int_equal(fx_unmap(&fx, ioas, 0x1000, PAGE, NULL), 0);
	assert_int_equal(fx_ioctl(&fx, IOMMU_IOAS_CHANGE_PROCESS, &arg), 0);
	fx_stop(&fx);
	close(fd);
}

static int huge_pages(struct fx *fx, uint32_t ioas, uint16_t op, uint64_t *v)
{
	struct iommu_option arg = { .size = sizeof(arg),
				    .option_id = IOMMU_OPTION_HUGE_PAGES,
				    .op = op,
				    .object_id = ioas,
				    .val64 = *v };
	int rc = fx_ioctl(fx, IOMMU_OPTION, &arg);

	*v = arg.val64;
	return rc;
}

static void small_pages(void **state)
{
	uint8_t *mem = fx_memory(4 * MIB);
	size_t before, blocks, pages;
	uint64_t v = 9, pa;
	uint32_t ioas;
	struct fx fx;

	(void)state;
	fx_start(&fx, NULL);
	fx_bind_ok(&fx, 1);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(huge_pages(&fx, 99, IOMMU_OPTION_OP_GET, &v), -ENOENT);
	assert_int_equal(huge_pages(&fx, ioas, 5, &v), -EOPNOTSUPP);
	assert_int_equal(huge_pages(&fx, ioas, IOMMU_OPTION_OP_SET, &v), -EINVAL);
	assert_int_equal(huge_pages(&fx, ioas, IOMMU_OPTION_OP_GET, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(fx_attach(&fx, 1, ioas), 0);
	before = bus_allocated(fx.host->bus);
	assert_int_equal(fx_map(&fx, ioas, mem, 4 * MIB, 0x40000000), 0);
	blocks = bus_allocated(fx.host->bus) - before;
	v = 0;
	assert_int_equal(huge_pages(&fx, ioas, IOMMU_OPTION_OP_SET, &v), -EINVAL);
	assert_int_equal(fx_unmap(&fx, ioas, 0x40000000, 4 * MIB, NULL), 0);
	assert_int_equal(huge_pages(&fx, ioas, IOMMU_OPTION_OP_SET, &v), 0);
	assert_int_equal(huge_pages(&fx, ioas, IOMMU_OPTION_OP_GET, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(bus_allocated(fx.host->bus), before);
	assert_int_equal(fx_map(&fx, ioas, mem, 4 * MIB, 0x40000000), 0);
	pages = bus_allocated(fx.host->bus) - before;
	/* Two more tables of the last level. */
	assert_int_equal(pages, blocks + 2 * PAGE);
	assert_int_equal(fx_translate(&fx, 1, 0x40000000 + 3 * MIB, true, &pa), 0);
	assert_int_equal(pa, (uintptr_t)mem + 3 * MIB);
	v = 1;
	assert_int_equal(huge_pages(&fx, ioas, IOMMU_OPTION_OP_SET, &v), 0);
	fx_stop(&fx);
}

/* The machine's memory is an end to pinning. */
static void out_of_ram(void **state)
{
	uint8_t *mem = fx_memory(64 * MIB);
	uint64_t iova = 0x40000000;
	uint32_t ioas;
	struct fx fx;

	(void)state;
	fx_start(&fx, "ram 32m\n");
	fx_bind_ok(&fx, 0);
	ioas = fx_ioas_ok(&fx);
	assert_int_equal(fx_attach(&fx, 0, ioas), 0);
	assert_int_equal(map(&fx, ioas, mem, 64 * MIB, FIXED | RW, &iova), -ENOMEM);
	assert_int_equal(map(&fx, ioas, mem, 16 * MIB, FIXED | RW, &iova), 0);
	fx_stop(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_errors),
		cmocka_unit_test(pin_errors),
		cmocka_unit_test(unaligned_before_hwpt),
		cmocka_unit_test(unmap_rules),
		cmocka_unit_test(unmap_runs),
		cmocka_unit_test(automatic_iova),
		cmocka_unit_test(iova_ranges),
		cmocka_unit_test(allow_iovas),
		cmocka_unit_test(copies),
		cmocka_unit_test(files),
		cmocka_unit_test(change_process),
		cmocka_unit_test(small_pages),
		cmocka_unit_test(out_of_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
