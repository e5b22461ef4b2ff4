/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every request of src/abi, by table: structs short and long, ids of the wrong kind, of nothing,
 * and freed ones. A request that is in a header of src/abi and not in the table fails the test.
 */
#include "soft/uapi/vfio_fixture.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soft/uapi/iommufd_private.h"

#define BELL "0000:02:00.0"

/* Objects of an iommufd, as bits. */
enum kind {
	DEVICE = 1,
	IOAS = 2,
	PARENT = 4,
	VIOMMU = 8,
	VDEVICE = 16,
	NESTED = 32,
	VEVENTQ = 64,
	KINDS = 7,
};

struct id_field {
	uint32_t offset;
	unsigned int takes; /* kinds */
};

struct request {
	const char *name;
	unsigned long number;
	uint32_t size, least; /* @least: up to the last member of its first version */
	struct id_field ids[2];
	/* Whether a longer struct must end in zeros. iommufd's all must. */
	bool tail_checked;
	bool has_array;		/* room for more than the struct changes the answer */
	bool of_containers_too;	/* the number means something to /dev/iommu */
	/* Whether it works without @least bytes of argument at all. */
	bool no_argument;
};

#define END(type, member) (offsetof(struct type, member) + sizeof(((struct type *)NULL)->member))
#define ID(type, member, takes)                                                                    \
	{                                                                                          \
		offsetof(struct type, member), takes                                               \
	}
#define IOMMU(request, type, last, ...)                                                            \
	{                                                                                          \
#request, request, sizeof(struct type), END(type, last),                           \
			{ __VA_ARGS__ }, .tail_checked = true                                      \
	}
#define VFIO(request, type, last, ...)                                                             \
	{                                                                                          \
#request, request, sizeof(struct type), END(type, last),                           \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static const struct request requests[] = {
	/* Anything may be destroyed that is not in use; devices never. */
	IOMMU(IOMMU_DESTROY, iommu_destroy, id),
	IOMMU(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id),
	IOMMU(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas,
	      ID(iommu_ioas_allow_iovas, ioas_id, IOAS)),
	IOMMU(IOMMU_IOAS_COPY, iommu_ioas_copy, src_iova, ID(iommu_ioas_copy, dst_ioas_id, IOAS),
	      ID(iommu_ioas_copy, src_ioas_id, IOAS)),
	IOMMU(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment,
	      ID(iommu_ioas_iova_ranges, ioas_id, IOAS)),
	IOMMU(IOMMU_IOAS_MAP, iommu_ioas_map, iova, ID(iommu_ioas_map, ioas_id, IOAS)),
	IOMMU(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, iova,
	      ID(iommu_ioas_map_file, ioas_id, IOAS)),
	IOMMU(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length, ID(iommu_ioas_unmap, ioas_id, IOAS)),
	IOMMU(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved),
	IOMMU(IOMMU_IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, out_phys,
	      ID(iommu_ioas_noiommu_get_pa, ioas_id, 0)),
	IOMMU(IOMMU_OPTION, iommu_option, val64, ID(iommu_option, object_id, IOAS)),
	IOMMU(IOMMU_VFIO_IOAS, iommu_vfio_ioas, __reserved, ID(iommu_vfio_ioas, ioas_id, 0)),
	IOMMU(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved, ID(iommu_hwpt_alloc, dev_id, DEVICE),
	      ID(iommu_hwpt_alloc, pt_id, IOAS | VIOMMU)),
	IOMMU(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved, ID(iommu_hw_info, dev_id, DEVICE)),
	IOMMU(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved,
	      ID(iommu_hwpt_set_dirty_tracking, hwpt_id, 0)),
	IOMMU(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data,
	      ID(iommu_hwpt_get_dirty_bitmap, hwpt_id, 0)),
	IOMMU(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved,
	      ID(iommu_hwpt_invalidate, hwpt_id, VIOMMU)),
	IOMMU(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd),
	IOMMU(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id,
	      ID(iommu_viommu_alloc, dev_id, DEVICE), ID(iommu_viommu_alloc, hwpt_id, PARENT)),
	IOMMU(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id,
	      ID(iommu_vdevice_alloc, viommu_id, VIOMMU), ID(iommu_vdevice_alloc, dev_id, DEVICE)),
	IOMMU(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd,
	      ID(iommu_veventq_alloc, viommu_id, VIOMMU)),
	IOMMU(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length,
	      ID(iommu_hw_queue_alloc, viommu_id, 0)),
	IOMMU(IOMMU_GET_MSI_INFO, iommu_get_msi_info, out_offset,
	      ID(iommu_get_msi_info, dev_id, DEVICE)),
	IOMMU(IOMMU_IOAS_MAP_MSI, iommu_ioas_map_msi, out_length,
	      ID(iommu_ioas_map_msi, ioas_id, IOAS), ID(iommu_ioas_map_msi, dev_id, DEVICE)),

	VFIO(VFIO_DEVICE_GET_INFO, vfio_device_info, num_irqs),
	VFIO(VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, offset),
	VFIO(VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, count),
	VFIO(VFIO_DEVICE_SET_IRQS, vfio_irq_set, count),
	{ "VFIO_DEVICE_RESET", VFIO_DEVICE_RESET, 8, 0, .no_argument = true },
	/* What is behind their struct is an array; their numbers are a container's requests, too. */
	{ "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
	  sizeof(struct vfio_pci_hot_reset_info), END(vfio_pci_hot_reset_info, count),
	  .has_array = true, .of_containers_too = true },
	{ "VFIO_DEVICE_PCI_HOT_RESET", VFIO_DEVICE_PCI_HOT_RESET,
	  sizeof(struct vfio_pci_hot_reset), END(vfio_pci_hot_reset, count),
	  .of_containers_too = true },
	VFIO(VFIO_DEVICE_FEATURE, vfio_device_feature, flags),
	/* The newest: its struct is copied as iommufd's are. */
	{ "VFIO_DEVICE_BIND_IOMMUFD", VFIO_DEVICE_BIND_IOMMUFD,
	  sizeof(struct vfio_device_bind_iommufd), END(vfio_device_bind_iommufd, out_devid),
	  .tail_checked = true },
	VFIO(VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, pt_id,
	     ID(vfio_device_attach_iommufd_pt, pt_id, IOAS | PARENT | NESTED)),
	VFIO(VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, flags),
};

#define N_REQUESTS (sizeof(requests) / sizeof(*requests))

/* --- The world: one object of each kind --- */

#define ARG_BYTES 512

struct world {
	struct fixture f;
	struct fixture_device dev;
	struct nest nest;
	uint32_t ids[KINDS]; /* by bit */
	uint32_t freed;
	int veventq;
	void *arg; /* ARG_BYTES of memory without a type */
};

static int setup(void **state)
{
	static struct world w;
	struct iommu_veventq_alloc veventq = {
		.size = sizeof(veventq),
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = 4,
	};
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_destroy destroy = { .size = sizeof(destroy) };

	w.arg = calloc(1, ARG_BYTES);
	fixture_create(&w.f, NULL);
	device_start(&w.f, BELL, &w.dev);
	device_nest(&w.dev, 1, &w.nest);
	veventq.viommu_id = w.nest.viommu;
	assert_int_equal(fixture_ioctl(&w.f, w.f.iommufd, IOMMU_VEVENTQ_ALLOC, &veventq), 0);
	w.veventq = veventq.out_veventq_fd;
	assert_int_equal(fixture_ioctl(&w.f, w.f.iommufd, IOMMU_IOAS_ALLOC, &ioas), 0);
	w.freed = destroy.id = ioas.out_ioas_id;
	assert_int_equal(fixture_ioctl(&w.f, w.f.iommufd, IOMMU_DESTROY, &destroy), 0);
	memcpy(w.ids,
	       (uint32_t[KINDS]){ w.dev.id, w.f.ioas, w.nest.parent, w.nest.viommu, w.nest.vdevice,
				  w.nest.hwpt, veventq.out_veventq_id },
	       sizeof(w.ids));
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	device_close(&w->dev);
	w->f.sys->ops->close(w->f.sys, w->veventq);
	fixture_destroy(&w->f);
	free(w->arg);
	return 0;
}

static bool is_vfio(const struct request *r)
{
	/* They have one type, and iommufd's numbers come after. */
	return _IOC_NR(r->number) < IOMMUFD_CMD_BASE;
}

static int issue(struct world *w, const struct request *r, void *arg)
{
	return fixture_ioctl(&w->f, is_vfio(r) ? w->dev.fd : w->f.iommufd, r->number, arg);
}

/* Objects that live in the iommufd. */
static uint32_t live_objects(struct world *w)
{
	struct iommufd_ctx *ctx;
	uint32_t n;

	assert_int_equal(iommufd_ctx_from_fd(w->f.host, w->f.iommufd, &ctx), 0);
	n = ctx->n_live;
	iommufd_ctx_put(ctx);
	return n;
}

/* An argument as good as can be without an id, so that it is the id that is refused. */
static void fill(struct world *w, const struct request *r, void *arg)
{
	static const uint8_t bypass[16] = { 1 | 4 << 1 };
	static uint8_t buffer[4096] __attribute__((aligned(4096)));

	memset(arg, 0, ARG_BYTES);
	*(uint32_t *)arg = r->size;
	switch (r->number) {
	case IOMMU_IOAS_COPY:
		((struct iommu_ioas_copy *)arg)->dst_ioas_id = w->f.ioas;
		((struct iommu_ioas_copy *)arg)->src_ioas_id = w->f.ioas;
		((struct iommu_ioas_copy *)arg)->length = 4096;
		((struct iommu_ioas_copy *)arg)->src_iova = FIXTURE_IOVA;
		((struct iommu_ioas_copy *)arg)->flags = IOMMU_IOAS_MAP_READABLE;
		break;
	case IOMMU_IOAS_MAP:
		((struct iommu_ioas_map *)arg)->length = 4096;
		((struct iommu_ioas_map *)arg)->user_va = (uintptr_t)buffer;
		((struct iommu_ioas_map *)arg)->flags = IOMMU_IOAS_MAP_READABLE;
		break;
	case IOMMU_IOAS_MAP_FILE:
		((struct iommu_ioas_map_file *)arg)->fd = -1;
		((struct iommu_ioas_map_file *)arg)->length = 4096;
		((struct iommu_ioas_map_file *)arg)->flags = IOMMU_IOAS_MAP_READABLE;
		break;
	case IOMMU_IOAS_MAP_MSI:
		((struct iommu_ioas_map_msi *)arg)->ioas_id = w->f.ioas;
		((struct iommu_ioas_map_msi *)arg)->dev_id = w->dev.id;
		((struct iommu_ioas_map_msi *)arg)->iova = 0x90000000;
		break;
	case IOMMU_IOAS_UNMAP:
		((struct iommu_ioas_unmap *)arg)->iova = FIXTURE_IOVA;
		((struct iommu_ioas_unmap *)arg)->length = FIXTURE_MEMORY;
		break;
	case IOMMU_OPTION:
		((struct iommu_option *)arg)->option_id = IOMMU_OPTION_HUGE_PAGES;
		break;
	case IOMMU_HWPT_ALLOC:
		((struct iommu_hwpt_alloc *)arg)->dev_id = w->dev.id;
		((struct iommu_hwpt_alloc *)arg)->pt_id = w->f.ioas;
		break;
	case IOMMU_HWPT_GET_DIRTY_BITMAP:
		((struct iommu_hwpt_get_dirty_bitmap *)arg)->length = 4096;
		((struct iommu_hwpt_get_dirty_bitmap *)arg)->page_size = 4096;
		break;
	case IOMMU_HWPT_INVALIDATE:
		((struct iommu_hwpt_invalidate *)arg)->data_type =
			IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
		((struct iommu_hwpt_invalidate *)arg)->data_uptr = (uintptr_t)bypass;
		((struct iommu_hwpt_invalidate *)arg)->entry_len = 16;
		break;
	case IOMMU_VIOMMU_ALLOC:
		((struct iommu_viommu_alloc *)arg)->type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
		((struct iommu_viommu_alloc *)arg)->dev_id = w->dev.id;
		((struct iommu_viommu_alloc *)arg)->hwpt_id = w->nest.parent;
		break;
	case IOMMU_VDEVICE_ALLOC:
		((struct iommu_vdevice_alloc *)arg)->viommu_id = w->nest.viommu;
		((struct iommu_vdevice_alloc *)arg)->dev_id = w->dev.id;
		((struct iommu_vdevice_alloc *)arg)->virt_id = 2;
		break;
	case IOMMU_VEVENTQ_ALLOC:
		((struct iommu_veventq_alloc *)arg)->type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3;
		((struct iommu_veventq_alloc *)arg)->veventq_depth = 4;
		break;
	case IOMMU_HW_QUEUE_ALLOC:
		((struct iommu_hw_queue_alloc *)arg)->type = IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV;
		((struct iommu_hw_queue_alloc *)arg)->length = 4096;
		break;
	}
}

/* --- Tests --- */

/* The names of requests in a header of src/abi: lines "#define NAME _IO(...)". */
static unsigned int check_header(const char *name)
{
	char path[4096], line[256], word[128];
	unsigned int found = 0;
	FILE *header;

	snprintf(path, sizeof(path), ABI_DIR "/%s", name);
	header = fopen(path, "r");
	assert_non_null(header);
	while (fgets(line, sizeof(line), header)) {
		unsigned int i;

		if (sscanf(line, "#define %127s _IO(", word) != 1 || !strstr(line, " _IO("))
			continue;
		found++;
		for (i = 0; i < N_REQUESTS && strcmp(requests[i].name, word); i++)
			;
		if (i == N_REQUESTS)
			fail_msg("%s of %s is not in the table", word, name);
	}
	fclose(header);
	return found;
}

static void table_is_complete(void **state)
{
	(void)state;
	assert_int_equal(check_header("iommufd.h") + check_header("vfio.h") +
				 check_header("native.h"),
			 N_REQUESTS);
}

static void short_structs(void **state)
{
	struct world *w = *state;
	void *arg = w->arg;

	for (unsigned int i = 0; i < N_REQUESTS; i++) {
		const struct request *r = &requests[i];

		for (uint32_t size = 0; size < r->least; size++) {
			memset(arg, 0xff, ARG_BYTES);
			*(uint32_t *)arg = size;
			if (issue(w, r, arg) != -EINVAL)
				fail_msg("%s takes %u bytes", r->name, size);
		}
		if (!r->no_argument)
			assert_int_equal(issue(w, r, NULL), -EFAULT);
	}
}

/* Longer with zeros is the same as its own length; with garbage, that is told or not looked at. */
static void long_structs(void **state)
{
	struct world *w = *state;
	void *arg = w->arg;

	for (unsigned int i = 0; i < N_REQUESTS; i++) {
		const struct request *r = &requests[i];
		int plain, ret;

		if (r->has_array)
			continue;
		memset(arg, 0, ARG_BYTES);
		*(uint32_t *)arg = r->size;
		plain = issue(w, r, arg);
		memset(arg, 0, ARG_BYTES);
		*(uint32_t *)arg = r->size + 16;
		ret = issue(w, r, arg);
		if (ret != plain)
			fail_msg("%s: %d with its size, %d with zeros behind", r->name, plain, ret);
		memset(arg, 0, ARG_BYTES);
		*(uint32_t *)arg = r->size + 16;
		((uint8_t *)arg)[r->size + 15] = 1;
		ret = issue(w, r, arg);
		if (ret != (r->tail_checked ? -E2BIG : plain))
			fail_msg("%s: %d with garbage behind", r->name, ret);
	}
}

static void refuse_id(struct world *w, const struct request *r, unsigned int field, uint32_t id,
		      const char *what)
{
	uint32_t before = live_objects(w);
	void *arg = w->arg;
	int ret;

	fill(w, r, arg);
	memcpy((uint8_t *)arg + r->ids[field].offset, &id, sizeof(id));
	ret = issue(w, r, arg);
	/* What this host has not at all may be said first. */
	if (ret != -ENOENT && ret != -EINVAL && ret != -EOPNOTSUPP && ret != -ENODEV)
		fail_msg("%s: %d for %s as id at %u", r->name, ret, what, r->ids[field].offset);
	assert_int_equal(live_objects(w), before);
}

static void wrong_ids(void **state)
{
	static const char *const kinds[KINDS] = { "a device", "an IOAS",   "a nest parent",
						  "a vIOMMU", "a vDEVICE", "a nested HWPT",
						  "a vEVENTQ" };
	struct world *w = *state;
	unsigned int refused = 0;

	for (unsigned int i = 0; i < N_REQUESTS; i++) {
		const struct request *r = &requests[i];

		for (unsigned int field = 0; field < 2 && r->ids[field].offset; field++) {
			for (unsigned int kind = 0; kind < KINDS; kind++) {
				if (r->ids[field].takes & 1u << kind)
					continue;
				refuse_id(w, r, field, w->ids[kind], kinds[kind]);
				refused++;
			}
			/* HUGE_PAGES and others take 0 for what it is: nothing there. */
			refuse_id(w, r, field, 0, "0");
			refuse_id(w, r, field, w->freed, "a freed id");
			refuse_id(w, r, field, w->freed + 1000, "an id of nothing");
			refuse_id(w, r, field, UINT32_MAX, "the last id");
		}
	}
	assert_true(refused > 100);
	/* All works as before. */
	assert_int_equal(device_attach(&w->dev, w->f.ioas), 0);
	assert_int_equal(device_attach(&w->dev, w->nest.hwpt), 0);
}

/* Whatever is in use stays: each object but the vDEVICE and the queue, which nothing else needs. */
static void ids_in_use(void **state)
{
	struct world *w = *state;
	uint32_t before = live_objects(w);

	for (unsigned int kind = 0; kind < KINDS; kind++) {
		struct iommu_destroy destroy = { .size = sizeof(destroy), .id = w->ids[kind] };

		if (1u << kind == VDEVICE || 1u << kind == VEVENTQ)
			continue;
		assert_int_equal(fixture_ioctl(&w->f, w->f.iommufd, IOMMU_DESTROY, &destroy),
				 -EBUSY);
	}
	assert_int_equal(live_objects(w), before);
}

/* A VFIO request on an iommufd, and the other way round; and on files of neither kind. */
static void wrong_files(void **state)
{
	struct world *w = *state;
	void *arg = w->arg;

	for (unsigned int i = 0; i < N_REQUESTS; i++) {
		const struct request *r = &requests[i];
		int wrong = is_vfio(r) ? w->f.iommufd : w->dev.fd;

		fill(w, r, arg);
		if (!r->of_containers_too)
			assert_int_equal(fixture_ioctl(&w->f, wrong, r->number, arg), -ENOTTY);
		assert_int_equal(fixture_ioctl(&w->f, w->veventq, r->number, arg), -ENOTTY);
		assert_int_equal(fixture_ioctl(&w->f, 0, r->number, arg), -EBADF);
		assert_int_equal(fixture_ioctl(&w->f, -1, r->number, arg), -EBADF);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_complete),
		cmocka_unit_test_setup_teardown(short_structs, setup, teardown),
		cmocka_unit_test_setup_teardown(long_structs, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(ids_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_files, setup, teardown),
	};

	return cmocka_run_group_tests_name("soft/uapi/ioctls", tests, NULL, NULL);
}
