/* SPDX-License-Identifier: BSD-2-Clause */
/* vIOMMUs, and the devices as their guests know them. */
#include <errno.h>
#include <search.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

int ioctl_viommu_alloc(struct iommufd_cmd *cmd)
{
	struct iommu_viommu_alloc *arg = cmd->arg;
	struct iommufd_hwpt_paging *parent;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	struct arm_smmu *smmu;
	int rc;

	if (arg->flags || arg->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	rc = object_get(cmd->ctx, arg->dev_id, OBJ_DEVICE, &idev);
	if (rc)
		return rc;
	smmu = device_master(idev->sdev)->smmu;
	/*
	 * A guest that could make its device's accesses bypass the caches would see memory that the
	 * host has not written back.
	 */
	if (arg->type != IOMMU_VIOMMU_TYPE_ARM_SMMUV3 || !arm_smmu_nesting(smmu) ||
	    !smmu->nesting_coherent) {
		rc = -EOPNOTSUPP;
		goto put_device;
	}
	rc = object_get(cmd->ctx, arg->hwpt_id, OBJ_HWPT_PAGING, &parent);
	if (rc)
		goto put_device;
	if (!parent->nest_parent || parent->domain.smmu != smmu) {
		rc = -EINVAL;
		goto put_parent;
	}
	rc = object_alloc(cmd->ctx, OBJ_VIOMMU, sizeof(*viommu), &viommu);
	if (rc)
		goto put_parent;
	viommu->ctx = cmd->ctx;
	viommu->smmu = smmu;
	viommu->parent = parent;
	object_hold(cmd->ctx, &parent->obj);
	pthread_rwlock_init(&viommu->vdevices_lock, NULL);
	pthread_mutex_init(&viommu->alloc_lock, NULL);
	pthread_mutex_init(&viommu->events_lock, NULL);
	arg->out_viommu_id = viommu->obj.id;
	rc = iommufd_respond(cmd, sizeof(*arg));
	if (rc) {
		viommu_destroy(&viommu->obj);
		object_abort(cmd->ctx, &viommu->obj);
		goto put_parent;
	}
	object_publish(cmd->ctx, &viommu->obj);
put_parent:
	object_put(cmd->ctx, &parent->obj);
put_device:
	object_put(cmd->ctx, &idev->obj);
	return rc;
}

void viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu = (struct iommufd_viommu *)obj;

	pthread_mutex_destroy(&viommu->events_lock);
	pthread_mutex_destroy(&viommu->alloc_lock);
	pthread_rwlock_destroy(&viommu->vdevices_lock);
	object_release(viommu->ctx, &viommu->parent->obj);
}

/* --- vDEVICEs --- */

static int by_virt_id(const void *a, const void *b)
{
	const struct iommufd_vdevice *l = a, *r = b;

	return (l->virt_id > r->virt_id) - (l->virt_id < r->virt_id);
}

int viommu_vsid_to_sid(void *ctx, uint32_t vsid, uint32_t *sid)
{
	struct iommufd_viommu *viommu = ctx;
	const struct iommufd_vdevice key = { .virt_id = vsid };
	struct iommufd_vdevice **found;
	int rc = -ENOENT;

	pthread_rwlock_rdlock(&viommu->vdevices_lock);
	found = tfind(&key, &viommu->vdevices, by_virt_id);
	if (found) {
		*sid = device_master((*found)->idev->sdev)->sid;
		rc = 0;
	}
	pthread_rwlock_unlock(&viommu->vdevices_lock);
	return rc;
}

bool viommu_find_device(const struct iommufd_group *group, const struct iommufd_viommu *viommu,
			const struct soft_device *sdev, uint32_t *vsid)
{
	for (const struct iommufd_device *d = group->bound; d; d = d->next_bound)
		if (d->sdev == sdev && d->vdevice && d->vdevice->viommu == viommu) {
			*vsid = (uint32_t)d->vdevice->virt_id;
			return true;
		}
	return false;
}

/* Puts it into the vIOMMU's tree: -EEXIST, -ENOMEM. */
static int enter(struct iommufd_viommu *viommu, struct iommufd_vdevice *vdevice)
{
	struct iommufd_vdevice **found;

	if (soft_alloc_fails())
		return -ENOMEM;
	pthread_rwlock_wrlock(&viommu->vdevices_lock);
	found = tsearch(vdevice, &viommu->vdevices, by_virt_id);
	pthread_rwlock_unlock(&viommu->vdevices_lock);
	if (!found)
		return -ENOMEM;
	return *found == vdevice ? 0 : -EEXIST;
}

/* With the group's lock. */
static int vdevice_create(struct iommufd_cmd *cmd, struct iommufd_viommu *viommu,
			  struct iommufd_device *idev)
{
	struct iommu_vdevice_alloc *arg = cmd->arg;
	struct iommufd_vdevice *vdevice;
	int rc;

	if (idev->going)
		return -ENOENT;
	if (idev->vdevice)
		return -EEXIST;
	rc = object_alloc(cmd->ctx, OBJ_VDEVICE, sizeof(*vdevice), &vdevice);
	if (rc)
		return rc;
	vdevice->virt_id = arg->virt_id;
	vdevice->viommu = viommu;
	vdevice->idev = idev;
	arg->out_vdevice_id = vdevice->obj.id;
	rc = iommufd_respond(cmd, sizeof(*arg));
	rc = rc ? rc : enter(viommu, vdevice);
	if (rc) {
		object_abort(cmd->ctx, &vdevice->obj);
		return rc;
	}
	object_hold(cmd->ctx, &viommu->obj);
	idev->vdevice = vdevice;
	object_publish(cmd->ctx, &vdevice->obj);
	return 0;
}

int ioctl_vdevice_alloc(struct iommufd_cmd *cmd)
{
	const struct iommu_vdevice_alloc *arg = cmd->arg;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	int rc;

	rc = object_get(cmd->ctx, arg->viommu_id, OBJ_VIOMMU, &viommu);
	if (rc)
		return rc;
	rc = object_get(cmd->ctx, arg->dev_id, OBJ_DEVICE, &idev);
	if (rc)
		goto put_viommu;
	if (viommu->smmu != device_master(idev->sdev)->smmu) {
		rc = -EINVAL;
	} else {
		pthread_mutex_lock(&idev->group->lock);
		rc = vdevice_create(cmd, viommu, idev);
		pthread_mutex_unlock(&idev->group->lock);
	}
	/* A vDEVICE keeps this use of its device as a call that does not end before it. */
	if (rc)
		object_put(cmd->ctx, &idev->obj);
put_viommu:
	object_put(cmd->ctx, &viommu->obj);
	return rc;
}

void vdevice_destroy(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdevice = (struct iommufd_vdevice *)obj;
	struct iommufd_viommu *viommu = vdevice->viommu;
	struct iommufd_device *idev = vdevice->idev;

	pthread_mutex_lock(&idev->group->lock);
	pthread_rwlock_wrlock(&viommu->vdevices_lock);
	tdelete(vdevice, &viommu->vdevices, by_virt_id);
	pthread_rwlock_unlock(&viommu->vdevices_lock);
	idev->vdevice = NULL;
	pthread_mutex_unlock(&idev->group->lock);
	object_release(viommu->ctx, &viommu->obj);
	/* Last: it lets a waiting unbind go on. */
	object_put(idev->ctx, &idev->obj);
}

void device_remove_vdevice(struct iommufd_device *idev)
{
	struct iommufd_vdevice *vdevice;

	pthread_mutex_lock(&idev->group->lock);
	idev->going = true;
	vdevice = idev->vdevice;
	/* One that is being destroyed already goes by itself; unbind waits for it. */
	if (vdevice && !object_try_hold(idev->ctx, &vdevice->obj))
		vdevice = NULL;
	pthread_mutex_unlock(&idev->group->lock);
	/* Its id stays taken: whoever knows it must not find another object under it. */
	if (vdevice)
		object_destroy_wait(idev->ctx, &vdevice->obj, true);
}

/* Command queues of a guest in hardware: only a Tegra241 CMDQV has such. */
int ioctl_hw_queue_alloc(struct iommufd_cmd *cmd)
{
	const struct iommu_hw_queue_alloc *arg = cmd->arg;
	struct iommufd_viommu *viommu;
	uint64_t last;
	int rc;

	if (arg->flags || arg->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!arg->length)
		return -EINVAL;
	if (__builtin_add_overflow(arg->nesting_parent_iova, arg->length - 1, &last))
		return -EOVERFLOW;
	rc = object_get(cmd->ctx, arg->viommu_id, OBJ_VIOMMU, &viommu);
	if (rc)
		return rc;
	object_put(cmd->ctx, &viommu->obj);
	return -EOPNOTSUPP;
}
