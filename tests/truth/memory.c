/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects of an iommufd, and memory in an IOAS. */
#include "truth.h"

#include <stdio.h>

#define RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA

struct long_alloc {
	struct iommu_ioas_alloc alloc;
	uint32_t beyond[4];
};

static void ask_requests(struct truth *t)
{
	struct long_alloc request = { .alloc = { .size = sizeof(request) } };

	ASK(t, "ioas.short", t->iommufd, IOMMU_IOAS_ALLOC, iommu_ioas_alloc, .size = 8);
	ASK_IOMMU(t, "ioas.flags", IOMMU_IOAS_ALLOC, iommu_ioas_alloc, .flags = 1);
	answer("ioas.long", call(t, t->iommufd, IOMMU_IOAS_ALLOC, &request));
	request.beyond[3] = 1;
	answer("ioas.long_tail", call(t, t->iommufd, IOMMU_IOAS_ALLOC, &request));
	ASK_IOMMU(t, "destroy", IOMMU_DESTROY, iommu_destroy, .id = request.alloc.out_ioas_id);
	ASK_IOMMU(t, "destroy.again", IOMMU_DESTROY, iommu_destroy, .id = request.alloc.out_ioas_id);
	ASK_IOMMU(t, "destroy.zero", IOMMU_DESTROY, iommu_destroy, .id = 0);
	ASK_IOMMU(t, "destroy.device", IOMMU_DESTROY, iommu_destroy, .id = t->dev_id);
	ASK(t, "iommufd.unknown_request", t->iommufd, _IO(IOMMUFD_TYPE, 0xf0), iommu_destroy, .size = 8);
}

static int map(struct truth *t, uint32_t flags, uint64_t iova, uint64_t va, uint64_t length)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd), .flags = flags, .ioas_id = t->ioas, .user_va = va, .length = length, .iova = iova,
	};

	return call(t, t->iommufd, IOMMU_IOAS_MAP, &cmd);
}

static void unmap(struct truth *t, const char *key, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = t->ioas, .iova = iova, .length = length };
	int ret = call(t, t->iommufd, IOMMU_IOAS_UNMAP, &cmd);

	if (ret)
		answer(key, ret);
	else
		say(key, "0x%llx bytes", (unsigned long long)cmd.length);
}

static void ask_ranges(struct truth *t, const char *name)
{
	struct iommu_iova_range ranges[8] = { 0 };
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd), .ioas_id = t->ioas, .num_iovas = 8, .allowed_iovas = (uintptr_t)ranges,
	};
	char key[32];
	unsigned int i;

	answer(name, call(t, t->iommufd, IOMMU_IOAS_IOVA_RANGES, &cmd));
	for (i = 0; i < cmd.num_iovas && i < 8; i++) {
		snprintf(key, sizeof(key), "%s.%u", name, i);
		say(key, "0x%llx..0x%llx", (unsigned long long)ranges[i].start, (unsigned long long)ranges[i].last);
	}
	snprintf(key, sizeof(key), "%s.alignment", name);
	say(key, "0x%llx", (unsigned long long)cmd.out_iova_alignment);
	cmd.num_iovas = 0;
	snprintf(key, sizeof(key), "%s.no_room", name);
	answer(key, call(t, t->iommufd, IOMMU_IOAS_IOVA_RANGES, &cmd));
	snprintf(key, sizeof(key), "%s.count", name);
	say(key, "%u", cmd.num_iovas);
}

static void ask_maps(struct truth *t)
{
	uint64_t va = (uintptr_t)t->ram;

	answer("map", map(t, FIXED | RW, RAM_IPA, va, RAM_SIZE));
	answer("map.again", map(t, FIXED | RW, RAM_IPA, va, RAM_SIZE));
	answer("map.overlap", map(t, FIXED | RW, RAM_IPA + RAM_SIZE - 4096, va, 8192));
	answer("map.no_right", map(t, FIXED, RAM_IPA * 2, va, 4096));
	answer("map.flags", map(t, FIXED | RW | 1u << 31, RAM_IPA * 2, va, 4096));
	answer("map.no_length", map(t, FIXED | RW, RAM_IPA * 2, va, 0));
	answer("map.no_memory", map(t, FIXED | RW, RAM_IPA * 4, 4096, 4096));
	/* As long as no page table asks for more, any byte will do. */
	answer("map.unaligned", map(t, FIXED | RW, RAM_IPA * 3 + 512, va + 512, 4096));
	answer("map.overflow", map(t, FIXED | RW, -4096ull, va, 8192));
	unmap(t, "unmap.part", RAM_IPA, 4096);
	unmap(t, "unmap.hole", RAM_IPA * 2, 4096);
	unmap(t, "unmap.never_pinned", RAM_IPA * 4, 4096);
	unmap(t, "unmap.no_length", RAM_IPA, 0);
}

/* With a device attached the window is reserved, and the far end is the SMMU's. */
static void ask_attached(struct truth *t)
{
	uint64_t va = (uintptr_t)t->ram;

	ASK_IOMMU(t, "parent.flags", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .flags = 1u << 31, .dev_id = t->dev_id, .pt_id = t->ioas);
	ASK_IOMMU(t, "parent.no_device", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = NO_ID, .pt_id = t->ioas);
	ASK_IOMMU(t, "parent.no_ioas", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = t->dev_id, .pt_id = NO_ID);
	ASK_IOMMU(t, "parent.data", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = t->dev_id, .pt_id = t->ioas,
		  .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3, .data_len = 16, .data_uptr = va);
	ASK_IOMMU(t, "parent.dirty", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = t->dev_id, .pt_id = t->ioas,
		  .flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	ASK_VFIO(t, "attach.nothing", VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, .pt_id = NO_ID);
	ASK_VFIO(t, "attach.flags", VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, .pt_id = t->ioas, .flags = 1u << 31);
	ASK_VFIO(t, "attach.device", VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, .pt_id = t->dev_id);
	answer("attach.unaligned", attach(t, t->ioas));
	unmap(t, "unmap.unaligned", RAM_IPA * 3 + 512, 4096);
	must(answer("attach.ioas", attach(t, t->ioas)), "attaching");
	answer("map.unaligned_attached", map(t, FIXED | RW, RAM_IPA * 3 + 512, va + 512, 4096));
	ask_ranges(t, "ranges.attached");
	answer("map.window", map(t, FIXED | RW, t->window, va, 4096));
	answer("map.far", map(t, FIXED | RW, 1ull << 60, va, 4096));
	ASK_IOMMU(t, "destroy.in_use", IOMMU_DESTROY, iommu_destroy, .id = t->ioas);
	ASK_VFIO(t, "detach", VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, .flags = 0);
	ASK_VFIO(t, "detach.again", VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, .flags = 0);
}

void ask_memory(struct truth *t)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	ask_requests(t);
	must(call(t, t->iommufd, IOMMU_IOAS_ALLOC, &alloc), "IOAS_ALLOC");
	t->ioas = alloc.out_ioas_id;
	ask_ranges(t, "ranges.empty");
	ask_maps(t);
	ask_attached(t);
	ASK_IOMMU(t, "option.unknown", IOMMU_OPTION, iommu_option, .option_id = 99, .op = IOMMU_OPTION_OP_GET);
	ASK_IOMMU(t, "option.bad_op", IOMMU_OPTION, iommu_option, .option_id = IOMMU_OPTION_HUGE_PAGES, .op = 9, .object_id = t->ioas);
}
