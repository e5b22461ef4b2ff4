/* SPDX-License-Identifier: BSD-2-Clause */
/* Hardware page tables: of an IOAS, and nested ones of a guest. */
#include <errno.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

/* Linux's bounds of an invalidation request, and how many commands its driver sends at once. */
#define INVALIDATE_MAX (1u << 19)
#define INVALIDATE_BATCH 63

struct iommufd_hwpt_paging *hwpt_paging_of(struct iommufd_object *hwpt)
{
	if (hwpt->type == OBJ_HWPT_PAGING)
		return (struct iommufd_hwpt_paging *)hwpt;
	return ((struct iommufd_hwpt_nested *)hwpt)->viommu->parent;
}

int hwpt_paging_create(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		       struct iommufd_device *idev, uint32_t flags,
		       struct iommufd_hwpt_paging **out)
{
	const uint32_t known = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			       IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	/* Dirty tracking: not by this machine's SMMUs. */
	if (flags & ~known || flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_FAULT_ID_VALID && flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return -EOPNOTSUPP;
	rc = object_alloc(ctx, OBJ_HWPT_PAGING, sizeof(*hwpt), &hwpt);
	if (rc)
		return rc;
	rc = arm_domain_init(&hwpt->domain, device_master(idev->sdev)->smmu,
			     flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID);
	if (rc)
		goto abort;
	pthread_mutex_lock(&idev->group->lock);
	rc = group_check_window(idev->group, &hwpt->domain);
	pthread_mutex_unlock(&idev->group->lock);
	if (rc)
		goto fini_domain;
	hwpt->ctx = ctx;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	hwpt->in_iopt.arm = &hwpt->domain;
	rc = iopt_add_domain(ioas->iopt, &hwpt->in_iopt);
	if (rc)
		goto fini_domain;
	hwpt->ioas = ioas;
	object_hold(ctx, &ioas->obj);
	*out = hwpt;
	return 0;

fini_domain:
	arm_domain_fini(&hwpt->domain);
abort:
	object_abort(ctx, &hwpt->obj);
	return rc;
}

/* Undoes hwpt_paging_create() for one that is in no list. */
void hwpt_paging_fini(struct iommufd_ctx *ctx, struct iommufd_hwpt_paging *hwpt)
{
	iopt_remove_domain(hwpt->ioas->iopt, &hwpt->in_iopt);
	arm_domain_fini(&hwpt->domain);
	object_release(ctx, &hwpt->ioas->obj);
}

void hwpt_paging_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_paging *hwpt = (struct iommufd_hwpt_paging *)obj;
	struct iommufd_ioas *ioas = hwpt->ioas;

	if (hwpt->automatic) {
		struct iommufd_hwpt_paging **at = &ioas->automatic;

		pthread_mutex_lock(&ioas->mutex);
		while (*at != hwpt)
			at = &(*at)->next_automatic;
		*at = hwpt->next_automatic;
		pthread_mutex_unlock(&ioas->mutex);
	}
	hwpt_paging_fini(hwpt->ctx, hwpt);
}

static int nested_create(struct iommufd_viommu *viommu, const struct iommu_hwpt_alloc *arg,
			 struct iommufd_hwpt_nested **out)
{
	struct iommu_hwpt_arm_smmuv3 data;
	struct iommufd_hwpt_nested *hwpt;
	uint64_t in[2], ste[2];
	int rc;

	if (arg->flags & ~(uint32_t)(IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID) ||
	    !arg->data_len)
		return -EOPNOTSUPP;
	/* The SMMU's driver has no flags for a nested table. */
	if (arg->flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID)
		return -EOPNOTSUPP;
	if (arg->data_type != IOMMU_HWPT_DATA_ARM_SMMUV3 || arg->data_len != sizeof(data))
		return -EINVAL;
	rc = user_read(&data, arg->data_uptr, sizeof(data));
	if (rc)
		return rc;
	in[0] = le64toh(data.ste[0]);
	in[1] = le64toh(data.ste[1]);
	rc = arm_vste_check(in, ste);
	if (rc)
		return rc;
	rc = object_alloc(viommu->ctx, OBJ_HWPT_NESTED, sizeof(*hwpt), &hwpt);
	if (rc)
		return rc;
	hwpt->ste[0] = ste[0];
	hwpt->ste[1] = ste[1];
	hwpt->viommu = viommu;
	object_hold(viommu->ctx, &viommu->obj);
	*out = hwpt;
	return 0;
}

void hwpt_nested_destroy(struct iommufd_object *obj)
{
	struct iommufd_hwpt_nested *hwpt = (struct iommufd_hwpt_nested *)obj;

	object_release(hwpt->viommu->ctx, &hwpt->viommu->obj);
}

/* Gives the new HWPT its id. There are no fault queues, so a fault_id is never found. */
static int finish_alloc(struct iommufd_cmd *cmd, struct iommufd_object *hwpt)
{
	struct iommu_hwpt_alloc *arg = cmd->arg;
	int rc;

	if (arg->flags & IOMMU_HWPT_FAULT_ID_VALID)
		return -ENOENT;
	arg->out_hwpt_id = hwpt->id;
	rc = iommufd_respond(cmd, sizeof(*arg));
	if (!rc)
		object_publish(cmd->ctx, hwpt);
	return rc;
}

static int alloc_paging(struct iommufd_cmd *cmd, struct iommufd_ioas *ioas,
			struct iommufd_device *idev)
{
	const struct iommu_hwpt_alloc *arg = cmd->arg;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (arg->data_len)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&ioas->mutex);
	rc = hwpt_paging_create(cmd->ctx, ioas, idev, arg->flags, &hwpt);
	if (!rc) {
		rc = finish_alloc(cmd, &hwpt->obj);
		if (rc) {
			hwpt_paging_fini(cmd->ctx, hwpt);
			object_abort(cmd->ctx, &hwpt->obj);
		}
	}
	pthread_mutex_unlock(&ioas->mutex);
	return rc;
}

static int alloc_nested(struct iommufd_cmd *cmd, struct iommufd_viommu *viommu,
			struct iommufd_device *idev)
{
	struct iommufd_hwpt_nested *hwpt;
	int rc;

	if (viommu->smmu != device_master(idev->sdev)->smmu)
		return -EINVAL;
	rc = nested_create(viommu, cmd->arg, &hwpt);
	if (rc)
		return rc;
	rc = finish_alloc(cmd, &hwpt->obj);
	if (rc) {
		hwpt_nested_destroy(&hwpt->obj);
		object_abort(cmd->ctx, &hwpt->obj);
	}
	return rc;
}

int ioctl_hwpt_alloc(struct iommufd_cmd *cmd)
{
	const struct iommu_hwpt_alloc *arg = cmd->arg;
	struct iommufd_device *idev;
	struct iommufd_object *pt;
	int rc;

	if (arg->__reserved)
		return -EOPNOTSUPP;
	if ((arg->data_type == IOMMU_HWPT_DATA_NONE) != !arg->data_len)
		return -EINVAL;
	rc = object_get(cmd->ctx, arg->dev_id, OBJ_DEVICE, &idev);
	if (rc)
		return rc;
	if (object_get(cmd->ctx, arg->pt_id, OBJ_ANY, &pt)) {
		object_put(cmd->ctx, &idev->obj);
		return -EINVAL;
	}
	switch (pt->type) {
	case OBJ_IOAS:
		rc = alloc_paging(cmd, (struct iommufd_ioas *)pt, idev);
		break;
	case OBJ_VIOMMU:
		rc = alloc_nested(cmd, (struct iommufd_viommu *)pt, idev);
		break;
	case OBJ_HWPT_PAGING:
		/* Nested without a vIOMMU: not with an SMMUv3. */
		rc = -EOPNOTSUPP;
		break;
	default:
		rc = -EINVAL;
	}
	object_put(cmd->ctx, pt);
	object_put(cmd->ctx, &idev->obj);
	return rc;
}

/* --- invalidation --- */

/* The caller's commands in host byte order; *out to be freed. */
static int load_commands(const struct iommu_hwpt_invalidate *arg, uint64_t (**out)[2])
{
	uint64_t (*cmds)[2];
	int rc = 0;

	if (arg->data_type != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 || !arg->entry_num)
		return -EINVAL;
	cmds = soft_calloc(arg->entry_num, sizeof(*cmds));
	if (!cmds)
		return -ENOMEM;
	if (arg->entry_len == sizeof(*cmds))
		rc = user_read(cmds, arg->data_uptr, (size_t)arg->entry_num * sizeof(*cmds));
	else
		for (uint32_t i = 0; i < arg->entry_num && !rc; i++)
			rc = user_copy_struct(cmds[i], sizeof(*cmds),
					      arg->data_uptr + (uint64_t)i * arg->entry_len,
					      arg->entry_len);
	for (uint32_t i = 0; i < arg->entry_num && !rc; i++) {
		cmds[i][0] = le64toh(cmds[i][0]);
		cmds[i][1] = le64toh(cmds[i][1]);
	}
	if (rc) {
		soft_free(cmds);
		return rc;
	}
	*out = cmds;
	return 0;
}

/* *done: commands that were taken, also on failure. */
static int invalidate(struct iommufd_viommu *viommu, const struct iommu_hwpt_invalidate *arg,
		      uint32_t *done)
{
	uint64_t (*cmds)[2];
	uint32_t n, send;
	int rc;

	*done = 0;
	rc = load_commands(arg, &cmds);
	if (rc)
		return rc;
	for (n = 0; n < arg->entry_num && !rc; n++)
		rc = arm_vsmmu_convert(viommu->smmu, viommu->parent->domain.tag, viommu_vsid_to_sid,
				       viommu, cmds[n]);
	if (rc)
		n--;
	/*
	 * As Linux 7.3 does: the batch that the illegal one would have been in is not sent, though
	 * those before it count as taken.
	 */
	send = rc ? n - n % INVALIDATE_BATCH : n;
	if (send)
		arm_vsmmu_send(viommu->smmu, (const uint64_t (*)[2])cmds, send);
	*done = n;
	soft_free(cmds);
	return rc;
}

int ioctl_hwpt_invalidate(struct iommufd_cmd *cmd)
{
	struct iommu_hwpt_invalidate *arg = cmd->arg;
	struct iommufd_object *pt = NULL;
	uint32_t done = 0;
	int rc = 0;

	if (arg->__reserved)
		rc = -EOPNOTSUPP;
	else if (arg->entry_num &&
		 (!arg->data_uptr || !arg->entry_len || arg->entry_num > INVALIDATE_MAX ||
		  arg->entry_len > cmd->ctx->host->iommufd->page_size))
		rc = -EINVAL;
	else
		rc = object_get(cmd->ctx, arg->hwpt_id, OBJ_ANY, &pt);
	if (!rc && pt->type == OBJ_VIOMMU)
		rc = invalidate((struct iommufd_viommu *)pt, arg, &done);
	else if (!rc)
		/* An SMMUv3's nested HWPT has no invalidation of its own. */
		rc = pt->type == OBJ_HWPT_NESTED ? -EOPNOTSUPP : -EINVAL;
	if (pt)
		object_put(cmd->ctx, pt);
	arg->entry_num = done;
	if (iommufd_respond(cmd, sizeof(*arg)))
		return -EFAULT;
	return rc;
}

/* --- dirty tracking, which the machine's SMMUs do not do --- */

int ioctl_hwpt_set_dirty_tracking(struct iommufd_cmd *cmd)
{
	const struct iommu_hwpt_set_dirty_tracking *arg = cmd->arg;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (arg->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	rc = object_get(cmd->ctx, arg->hwpt_id, OBJ_HWPT_PAGING, &hwpt);
	if (rc)
		return rc;
	object_put(cmd->ctx, &hwpt->obj);
	return -EOPNOTSUPP;
}

int ioctl_hwpt_get_dirty_bitmap(struct iommufd_cmd *cmd)
{
	const struct iommu_hwpt_get_dirty_bitmap *arg = cmd->arg;
	struct iommufd_hwpt_paging *hwpt;
	uint64_t last, mask;
	int rc;

	if (arg->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR || arg->__reserved)
		return -EOPNOTSUPP;
	rc = object_get(cmd->ctx, arg->hwpt_id, OBJ_HWPT_PAGING, &hwpt);
	if (rc)
		return rc;
	pthread_mutex_lock(&hwpt->ioas->iopt->lock);
	mask = hwpt->ioas->iopt->alignment - 1;
	pthread_mutex_unlock(&hwpt->ioas->iopt->lock);
	object_put(cmd->ctx, &hwpt->obj);
	if (!arg->length)
		return -EINVAL;
	if (__builtin_add_overflow(arg->iova, arg->length - 1, &last))
		return -EOVERFLOW;
	if (!arg->page_size)
		return -EINVAL;
	mask |= arg->page_size - 1;
	return arg->iova & mask || (last + 1) & mask ? -EINVAL : -EOPNOTSUPP;
}
