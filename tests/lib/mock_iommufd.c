/* SPDX-License-Identifier: BSD-2-Clause */
/* iommufd of the stand-in kernel: objects that hold each other, so that a wrong order of
 * destruction or a leak shows. */
#include "mock.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "abi/iommufd.h"
#include "abi/native.h"

uint32_t mock_new_object(struct mock *mock, enum mock_type type, uint32_t under)
{
	uint32_t id = ++mock->next_id;

	assert_in_range(id, 1, MOCK_OBJECTS - 1);
	mock->object[id] = (struct mock_object){ .type = type, .under = under };
	if (under)
		mock->object[under].users++;
	return id;
}

struct mock_object *mock_find(struct mock *mock, uint32_t id, enum mock_type type)
{
	if (id >= MOCK_OBJECTS || mock->object[id].type == MOCK_NONE)
		return NULL;
	return type == MOCK_NONE || mock->object[id].type == type ? &mock->object[id] : NULL;
}

/* The library must never try to destroy what is in use, nor twice. */
void mock_drop(struct mock *mock, uint32_t id)
{
	struct mock_object *object = mock_find(mock, id, MOCK_NONE);
	unsigned int i;

	assert_non_null(object);
	assert_int_equal(object->users, 0);
	for (i = 0; i < 64 && object->type == MOCK_IOAS; i++)
		mock->mapping[i].used &= mock->mapping[i].ioas != id;
	if (object->under)
		mock->object[object->under].users--;
	object->type = MOCK_NONE;
}

static int add_mapping(struct mock *mock, uint32_t ioas, uint64_t iova, uint64_t length,
		       uint64_t doorbell)
{
	unsigned int i;

	if ((iova | length) & (mock->page - 1))
		return -EINVAL;
	if (mock->reserved_last && iova <= mock->reserved_last &&
	    mock->reserved_start < iova + length)
		return -EINVAL;
	for (i = 0; i < 64; i++) {
		if (mock->mapping[i].used &&
		    iova < mock->mapping[i].iova + mock->mapping[i].length &&
		    mock->mapping[i].iova < iova + length)
			return -EEXIST;
	}
	for (i = 0; mock->mapping[i].used; i++)
		;
	mock->mapping[i] = (struct mock_mapping){ true, ioas, iova, length, doorbell };
	return 0;
}

static int unmap(struct mock *mock, struct iommu_ioas_unmap *cmd)
{
	uint64_t done = 0;
	unsigned int i;

	for (i = 0; i < 64; i++) {
		struct mock_mapping *m = &mock->mapping[i];

		if (!m->used || m->iova < cmd->iova ||
		    m->iova + m->length > cmd->iova + cmd->length)
			continue;
		m->used = false;
		done += m->length;
	}
	cmd->length = done;
	return done ? 0 : -ENOENT;
}

static int iova_ranges(struct mock *mock, struct iommu_ioas_iova_ranges *cmd)
{
	struct iommu_iova_range *ranges = (void *)(uintptr_t)cmd->allowed_iovas;
	uint32_t room = cmd->num_iovas;

	cmd->out_iova_alignment = mock->page;
	cmd->num_iovas = mock->reserved_last ? 2 : 1;
	if (room < cmd->num_iovas)
		return -EMSGSIZE;
	ranges[0] = (struct iommu_iova_range){ 0, mock->reserved_last ? mock->reserved_start - 1 :
									 ~0ull };
	ranges[1] = (struct iommu_iova_range){ mock->reserved_last + 1, ~0ull };
	return 0;
}

static int hwpt_alloc(struct mock *mock, struct iommu_hwpt_alloc *cmd)
{
	struct iommu_hwpt_arm_smmuv3 *data = (void *)(uintptr_t)cmd->data_uptr;
	struct mock_object *dev = mock_find(mock, cmd->dev_id, MOCK_DEVICE),
			   *under = mock_find(mock, cmd->pt_id, MOCK_NONE);

	assert_non_null(dev);
	assert_non_null(under);
	if (under->type == MOCK_IOAS) {
		assert_int_equal(cmd->flags, IOMMU_HWPT_ALLOC_NEST_PARENT);
		cmd->out_hwpt_id = mock_new_object(mock, MOCK_PARENT, cmd->pt_id);
		mock->object[cmd->out_hwpt_id].smmu = dev->dev->smmu;
		return 0;
	}
	assert_int_equal(under->type, MOCK_VIOMMU);
	assert_int_equal(cmd->data_len, sizeof(*data));
	/* S1ContextPtr 0xbad000: what only the driver finds wrong. */
	if ((data->ste[0] & 0xffffff000ull) == 0xbad000)
		return -EIO;
	cmd->out_hwpt_id = mock_new_object(mock, MOCK_NESTED, cmd->pt_id);
	mock->object[cmd->out_hwpt_id].smmu = under->smmu;
	memcpy(mock->object[cmd->out_hwpt_id].ste, data->ste, sizeof(data->ste));
	return 0;
}

static int viommu_alloc(struct mock *mock, struct iommu_viommu_alloc *cmd)
{
	struct mock_object *dev = mock_find(mock, cmd->dev_id, MOCK_DEVICE),
			   *parent = mock_find(mock, cmd->hwpt_id, MOCK_PARENT);

	if (!mock->nesting)
		return -EOPNOTSUPP;
	if (parent->smmu != dev->dev->smmu)
		return -EINVAL;
	cmd->out_viommu_id = mock_new_object(mock, MOCK_VIOMMU, cmd->hwpt_id);
	mock->object[cmd->out_viommu_id].smmu = parent->smmu;
	return 0;
}

static int vdevice_alloc(struct mock *mock, struct iommu_vdevice_alloc *cmd)
{
	struct mock_object *viommu = mock_find(mock, cmd->viommu_id, MOCK_VIOMMU),
			   *dev = mock_find(mock, cmd->dev_id, MOCK_DEVICE);
	unsigned int i;

	if (viommu->smmu != dev->dev->smmu)
		return -EINVAL;
	for (i = 0; i < MOCK_OBJECTS; i++) {
		if (mock->object[i].type == MOCK_VDEVICE && mock->object[i].dev == dev->dev)
			return -EEXIST;
	}
	cmd->out_vdevice_id = mock_new_object(mock, MOCK_VDEVICE, cmd->viommu_id);
	mock->object[cmd->out_vdevice_id].dev = dev->dev;
	return 0;
}

static int hw_info(struct mock *mock, struct iommu_hw_info *cmd)
{
	struct iommu_hw_info_arm_smmuv3 *info = (void *)(uintptr_t)cmd->data_uptr;

	cmd->out_data_type =
		mock->other_iommu ? IOMMU_HW_INFO_TYPE_INTEL_VTD : IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	info->flags = mock->repeat ? IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI : 0;
	/* Stage 1, AArch64, ATS, ASIDs of 16 bits, little-endian; ranges; 4K, 48 bits. */
	info->idr[0] = 1 << 1 | 2 << 2 | 1 << 10 | 1 << 12 | 2 << 21;
	info->idr[1] = 10 << 6;
	info->idr[3] = 1 << 10 | (mock->fwb ? 1 << 8 : 0);
	info->idr[5] = 1 << 4 | 5;
	return 0;
}

static int invalidate(struct mock *mock, struct iommu_hwpt_invalidate *cmd)
{
	struct iommu_viommu_arm_smmuv3_invalidate *entries = (void *)(uintptr_t)cmd->data_uptr;

	assert_non_null(mock_find(mock, cmd->hwpt_id, MOCK_VIOMMU));
	assert_int_equal(cmd->entry_len, sizeof(*entries));
	mock->invalidate_calls++;
	if (mock->invalidate_bad >= 0 && (unsigned int)mock->invalidate_bad < cmd->entry_num) {
		cmd->entry_num = mock->invalidate_bad;
		return -EIO;
	}
	mock->invalidated += cmd->entry_num;
	memcpy(mock->last_command, entries[cmd->entry_num - 1].cmd, 16);
	return 0;
}

static int option(struct mock *mock, struct iommu_option *cmd)
{
	bool start = cmd->option_id == IOMMU_OPTION_SW_MSI_START;
	uint64_t *value = start ? &mock->window_start : &mock->window_size;
	struct mock_object *dev = mock_find(mock, cmd->object_id, MOCK_DEVICE);

	if (!mock->native || mock->no_window)
		return -EOPNOTSUPP;
	if (cmd->op == IOMMU_OPTION_OP_GET) {
		cmd->val64 = !start && dev->dev->windowless ? 0 : *value >> 20;
		return 0;
	}
	if (dev->dev->attached)
		return -EBUSY;
	if (!start)
		dev->dev->windowless = !cmd->val64;
	if (start || cmd->val64)
		*value = cmd->val64 << 20;
	return 0;
}

static int get_msi_info(struct mock *mock, struct iommu_get_msi_info *cmd)
{
	struct mock_object *dev = mock_find(mock, cmd->dev_id, MOCK_DEVICE);

	if (!mock->native)
		return -ENOTTY;
	cmd->out_id = 100 + dev->dev->its;
	cmd->out_length = mock->page;
	cmd->out_offset = dev->dev->doorbell_offset;
	return 0;
}

static int map_msi(struct mock *mock, struct iommu_ioas_map_msi *cmd)
{
	struct mock_object *dev = mock_find(mock, cmd->dev_id, MOCK_DEVICE);

	if (!mock->native)
		return -ENOTTY;
	cmd->out_length = mock->page;
	return add_mapping(mock, cmd->ioas_id, cmd->iova, mock->page, 100 + dev->dev->its);
}

int mock_iommufd_ioctl(struct mock *mock, unsigned long request, void *arg)
{
	struct iommu_veventq_alloc *eventq = arg;
	struct iommu_ioas_map_file *file = arg;
	struct iommu_ioas_map *map = arg;

	switch (request) {
	case IOMMU_DESTROY:
		mock_drop(mock, ((struct iommu_destroy *)arg)->id);
		return 0;
	case IOMMU_IOAS_ALLOC:
		((struct iommu_ioas_alloc *)arg)->out_ioas_id = mock_new_object(mock, MOCK_IOAS, 0);
		return 0;
	case IOMMU_IOAS_MAP:
		return add_mapping(mock, map->ioas_id, map->iova, map->length, 0);
	case IOMMU_IOAS_MAP_FILE:
		return add_mapping(mock, file->ioas_id, file->iova, file->length, 0);
	case IOMMU_IOAS_MAP_MSI:
		return map_msi(mock, arg);
	case IOMMU_GET_MSI_INFO:
		return get_msi_info(mock, arg);
	case IOMMU_IOAS_UNMAP:
		return unmap(mock, arg);
	case IOMMU_IOAS_IOVA_RANGES:
		return iova_ranges(mock, arg);
	case IOMMU_HWPT_ALLOC:
		return hwpt_alloc(mock, arg);
	case IOMMU_VIOMMU_ALLOC:
		return viommu_alloc(mock, arg);
	case IOMMU_VDEVICE_ALLOC:
		return vdevice_alloc(mock, arg);
	case IOMMU_VEVENTQ_ALLOC:
		if (mock->no_eventq)
			return -ENOTTY;
		eventq->out_veventq_id = mock_new_object(mock, MOCK_EVENTQ, eventq->viommu_id);
		eventq->out_veventq_fd = mock_new_fd(mock, "veventq", NULL);
		return 0;
	case IOMMU_GET_HW_INFO:
		return hw_info(mock, arg);
	case IOMMU_HWPT_INVALIDATE:
		return invalidate(mock, arg);
	case IOMMU_OPTION:
		return option(mock, arg);
	default:
		return -ENOTTY;
	}
}
