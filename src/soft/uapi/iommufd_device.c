/* SPDX-License-Identifier: BSD-2-Clause */
/* Bound devices, their groups, and what these are attached to. */
#include <errno.h>
#include <search.h>
#include <string.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

struct arm_master *device_master(const struct soft_device *sdev)
{
	struct soft_host *host = sdev->host;

	return &host->iommufd->masters[sdev - host->devices];
}

/* --- groups --- */

/*
 * Calls @each for the ranges that firmware or hardware reserve of the group's addresses, until it
 * returns non-zero.
 */
static int each_reserved(const struct iommufd_group *group,
			 int (*each)(void *ctx, const struct machine_reserved *r), void *ctx)
{
	const struct machine *m = &group->ctx->host->machine;
	int rc = 0;

	for (unsigned int i = 0; i < m->n_reserved && !rc; i++)
		if (m->reserved[i].group == group->dma->number)
			rc = each(ctx, &m->reserved[i]);
	return rc;
}

static bool group_needs_identity(const struct machine *m, unsigned int number)
{
	for (unsigned int i = 0; i < m->n_reserved; i++)
		if (m->reserved[i].group == number && !strcmp(m->reserved[i].type, "direct"))
			return true;
	return false;
}

/* DMA of a group belongs to one iommufd at a time, or to drivers of the host's own. */
static int claim_group(struct iommufd_host *ih, struct dma_group *g, struct iommufd_ctx *ctx)
{
	int rc = 0;

	pthread_mutex_lock(&ih->lock);
	if (g->drivers || (g->owned && g->owner != ctx)) {
		rc = -EPERM;
	} else {
		g->owner = ctx;
		g->owned++;
	}
	pthread_mutex_unlock(&ih->lock);
	return rc;
}

static void disclaim_group(struct iommufd_host *ih, struct dma_group *g)
{
	pthread_mutex_lock(&ih->lock);
	if (!--g->owned)
		g->owner = NULL;
	pthread_mutex_unlock(&ih->lock);
}

int iommufd_driver_binds(struct soft_device *dev)
{
	struct dma_group *g = device_master(dev)->group;
	struct iommufd_host *ih = dev->host->iommufd;
	int rc = 0;

	pthread_mutex_lock(&ih->lock);
	if (g->owned)
		rc = -EBUSY;
	else
		g->drivers++;
	pthread_mutex_unlock(&ih->lock);
	return rc;
}

void iommufd_driver_unbinds(struct soft_device *dev)
{
	struct iommufd_host *ih = dev->host->iommufd;

	pthread_mutex_lock(&ih->lock);
	device_master(dev)->group->drivers--;
	pthread_mutex_unlock(&ih->lock);
}

static int by_dma(const void *a, const void *b)
{
	const struct iommufd_group *x = a, *y = b;

	return x->dma < y->dma ? -1 : x->dma > y->dma;
}

static struct iommufd_group *group_get(struct iommufd_ctx *ctx, struct dma_group *dma)
{
	struct iommufd_group *fresh = soft_calloc(1, sizeof(*fresh)), *group = NULL, **found;

	if (!fresh)
		return NULL;
	fresh->ctx = ctx;
	fresh->dma = dma;
	fresh->msi_start = ctx->host->machine.sw_msi_start;
	fresh->msi_size = ctx->host->machine.sw_msi_size;
	pthread_mutex_lock(&ctx->lock);
	found = soft_alloc_fails() ? NULL : tsearch(fresh, &ctx->groups, by_dma);
	if (found) {
		group = *found;
		group->devices++;
		if (group == fresh)
			pthread_mutex_init(&group->lock, NULL);
	}
	pthread_mutex_unlock(&ctx->lock);
	if (group != fresh)
		soft_free(fresh);
	return group;
}

static void group_put(struct iommufd_group *group)
{
	struct iommufd_ctx *ctx = group->ctx;
	bool gone;

	pthread_mutex_lock(&ctx->lock);
	gone = !--group->devices;
	if (gone)
		tdelete(group, &ctx->groups, by_dma);
	pthread_mutex_unlock(&ctx->lock);
	if (!gone)
		return;
	pthread_mutex_destroy(&group->lock);
	soft_free(group);
}

/* --- bind --- */

int iommufd_device_bind(struct iommufd_ctx *ctx, struct soft_device *sdev,
			struct iommufd_device **out, uint32_t *id)
{
	struct dma_group *dma = device_master(sdev)->group;
	struct iommufd_host *ih = ctx->host->iommufd;
	struct iommufd_device *idev;
	int rc;

	/*
	 * Model choice: GICv2m frames, whose interrupts any device can raise, are let through as
	 * with Linux's allow_unsafe_interrupts=1.
	 */
	if (group_needs_identity(&ctx->host->machine, dma->number))
		return -EINVAL;
	rc = object_alloc(ctx, OBJ_DEVICE, sizeof(*idev), &idev);
	if (rc)
		return rc;
	idev->ctx = ctx;
	idev->sdev = sdev;
	idev->group = group_get(ctx, dma);
	if (!idev->group) {
		rc = -ENOMEM;
		goto abort;
	}
	rc = claim_group(ih, dma, ctx);
	if (rc)
		goto put_group;
	/*
	 * The file lives as long as a device is bound to it; the driver that binds is a user of the
	 * object.
	 */
	soft_file_hold(ctx->file);
	idev->obj.users++;
	pthread_mutex_lock(&idev->group->lock);
	idev->next_bound = idev->group->bound;
	idev->group->bound = idev;
	pthread_mutex_unlock(&idev->group->lock);
	*id = idev->obj.id;
	*out = idev;
	object_publish(ctx, &idev->obj);
	return 0;

put_group:
	group_put(idev->group);
abort:
	object_abort(ctx, &idev->obj);
	return rc;
}

void iommufd_device_unbind(struct iommufd_device *idev)
{
	iommufd_device_detach(idev);
	device_remove_vdevice(idev);
	object_destroy_wait(idev->ctx, &idev->obj, false);
}

void device_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev = (struct iommufd_device *)obj, **at = &idev->group->bound;

	pthread_mutex_lock(&idev->group->lock);
	while (*at != idev)
		at = &(*at)->next_bound;
	*at = idev->next_bound;
	pthread_mutex_unlock(&idev->group->lock);
	device_forget_msi(idev);
	disclaim_group(idev->ctx->host->iommufd, idev->group->dma);
	group_put(idev->group);
	iommufd_ctx_put(idev->ctx);
}

/* --- reserved ranges --- */

struct reserving {
	struct iopt *iopt;
	const void *owner;
};

static int reserve_one(void *ctx, const struct machine_reserved *r)
{
	const struct reserving *what = ctx;

	/* An identity map that may be given up once the device has a driver. */
	if (!strcmp(r->type, "direct-relaxable"))
		return 0;
	return iopt_reserve(what->iopt, r->start, r->last, what->owner);
}

/* Keeps what the device cannot use free of mappings, or finds it mapped (-EADDRINUSE). */
static int reserve_for(struct iommufd_device *idev, struct iopt *iopt)
{
	struct iommufd_group *group = idev->group;
	struct reserving what = { .iopt = iopt, .owner = idev->sdev };
	int rc = 0;

	if (group->msi_size)
		rc = iopt_reserve(iopt, group->msi_start, group->msi_start + group->msi_size - 1,
				  idev->sdev);
	if (!rc)
		rc = each_reserved(group, reserve_one, &what);
	if (rc)
		iopt_unreserve(iopt, idev->sdev);
	return rc;
}

/* --- attach --- */

/* What a device of the group is to be attached to. */
static int target_for(const struct iommufd_group *group, const struct arm_master *m,
		      struct iommufd_object *hwpt, struct arm_target *t)
{
	struct iommufd_hwpt_paging *paging = hwpt_paging_of(hwpt);

	*t = (struct arm_target){ .domain = &paging->domain };
	if (paging->domain.smmu != m->smmu)
		return -EINVAL;
	if (hwpt->type == OBJ_HWPT_NESTED) {
		struct iommufd_hwpt_nested *nested = (struct iommufd_hwpt_nested *)hwpt;

		t->vste = nested->ste;
		if (viommu_find_device(group, nested->viommu, m->sdev, &t->vsid))
			t->viommu = nested->viommu;
		else if (arm_vste_translates(nested->ste))
			/*
			 * Commands and events of a translating stream need a StreamID that the
			 * guest knows.
			 */
			return -ENOENT;
	}
	return 0;
}

/*
 * Attaches all devices of the group, bound or not, to @hwpt (NULL: to nothing), or leaves them at
 * what group->hwpt says.
 */
static int attach_group(struct iommufd_group *group, struct iommufd_object *hwpt)
{
	struct arm_target t = { 0 };
	struct arm_master *m;
	int rc = 0;

	for (m = group->dma->masters; m; m = m->next_in_group) {
		rc = hwpt ? target_for(group, m, hwpt, &t) : 0;
		if (!rc)
			rc = arm_master_attach(m, &t);
		if (rc)
			goto undo;
	}
	return 0;

undo:
	for (struct arm_master *done = group->dma->masters; done != m; done = done->next_in_group) {
		t = (struct arm_target){ 0 };
		if (group->hwpt)
			(void)target_for(group, done, group->hwpt, &t);
		if (!arm_master_attach(done, &t))
			continue;
		/*
		 * No memory for the way back either: rather nothing, which needs none, than a table
		 * that its owner may free.
		 */
		t = (struct arm_target){ 0 };
		(void)arm_master_attach(done, &t);
	}
	return rc;
}

/* One use of a HWPT given back; an automatic one goes with the last. Without locks. */
static void hwpt_put(struct iommufd_ctx *ctx, struct iommufd_object *hwpt)
{
	if (hwpt->type == OBJ_HWPT_PAGING && ((struct iommufd_hwpt_paging *)hwpt)->automatic)
		object_release_and_try_destroy(ctx, hwpt);
	else
		object_release(ctx, hwpt);
}

/* With group->lock. */
static int attach_first(struct iommufd_device *idev, struct iommufd_object *hwpt)
{
	struct iommufd_hwpt_paging *paging = hwpt_paging_of(hwpt);
	struct iommufd_group *group = idev->group;
	int rc;

	if (group->hwpt && group->hwpt != hwpt)
		return -EINVAL;
	rc = group_check_window(group, &paging->domain);
	if (!rc)
		rc = reserve_for(idev, paging->ioas->iopt);
	if (rc)
		return rc;
	if (!group->hwpt) {
		rc = group_setup_msi(group, paging);
		if (!rc)
			rc = attach_group(group, hwpt);
		if (rc) {
			iopt_unreserve(paging->ioas->iopt, idev->sdev);
			return rc;
		}
		group->hwpt = hwpt;
	}
	object_hold(idev->ctx, hwpt);
	idev->is_attached = true;
	idev->next_attached = group->attached;
	group->attached = idev;
	return 0;
}

static int reserve_for_all(struct iommufd_group *group, struct iopt *iopt)
{
	struct iommufd_device *d;
	int rc = 0;

	for (d = group->attached; d && !rc; d = d->next_attached)
		rc = reserve_for(d, iopt);
	return rc;
}

static void unreserve_for_all(struct iommufd_group *group, struct iopt *iopt)
{
	for (const struct iommufd_device *d = group->attached; d; d = d->next_attached)
		iopt_unreserve(iopt, d->sdev);
}

/* The whole group moves. With group->lock; *uses: of the old HWPT, for the caller to give back. */
static int replace(struct iommufd_group *group, struct iommufd_object *hwpt, unsigned int *uses)
{
	struct iopt *old = hwpt_paging_of(group->hwpt)->ioas->iopt;
	struct iopt *new = hwpt_paging_of(hwpt)->ioas->iopt;
	int rc;

	rc = group_check_window(group, &hwpt_paging_of(hwpt)->domain);
	if (rc)
		return rc;
	if (old != new)
		rc = reserve_for_all(group, new);
	if (!rc)
		rc = group_setup_msi(group, hwpt_paging_of(hwpt));
	if (!rc)
		rc = attach_group(group, hwpt);
	if (rc) {
		if (old != new)
			unreserve_for_all(group, new);
		return rc;
	}
	if (old != new)
		unreserve_for_all(group, old);
	for (const struct iommufd_device *d = group->attached; d; d = d->next_attached) {
		object_hold(group->ctx, hwpt);
		(*uses)++;
	}
	group->hwpt = hwpt;
	return 0;
}

static int change_hwpt(struct iommufd_device *idev, struct iommufd_object *hwpt)
{
	struct iommufd_group *group = idev->group;
	struct iommufd_object *old = NULL;
	unsigned int uses = 0;
	int rc = 0;

	pthread_mutex_lock(&group->lock);
	if (!idev->is_attached) {
		rc = attach_first(idev, hwpt);
	} else if (group->hwpt != hwpt) {
		old = group->hwpt;
		rc = replace(group, hwpt, &uses);
	}
	pthread_mutex_unlock(&group->lock);
	while (uses--)
		hwpt_put(idev->ctx, old);
	return rc;
}

/* A HWPT of the IOAS that is made for attaching to the IOAS itself, and that the device can use. */
static int attach_automatic(struct iommufd_device *idev, struct iommufd_ioas *ioas, uint32_t *pt_id)
{
	struct iommufd_ctx *ctx = idev->ctx;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	pthread_mutex_lock(&ioas->mutex);
	for (hwpt = ioas->automatic; hwpt; hwpt = hwpt->next_automatic) {
		/* One whose last device has just left, goes. */
		if (!object_try_hold(ctx, &hwpt->obj))
			continue;
		rc = change_hwpt(idev, &hwpt->obj);
		if (!rc)
			*pt_id = hwpt->obj.id;
		/* It has the device as user now, or those it had. */
		object_release(ctx, &hwpt->obj);
		/* -EINVAL: another IOMMU's. */
		if (rc != -EINVAL)
			goto unlock;
	}
	rc = hwpt_paging_create(ctx, ioas, idev, 0, &hwpt);
	if (rc)
		goto unlock;
	rc = change_hwpt(idev, &hwpt->obj);
	if (rc) {
		hwpt_paging_fini(ctx, hwpt);
		object_abort(ctx, &hwpt->obj);
		goto unlock;
	}
	hwpt->automatic = true;
	hwpt->next_automatic = ioas->automatic;
	ioas->automatic = hwpt;
	*pt_id = hwpt->obj.id;
	object_publish(ctx, &hwpt->obj);
unlock:
	pthread_mutex_unlock(&ioas->mutex);
	return rc;
}

int iommufd_device_attach(struct iommufd_device *idev, uint32_t *pt_id)
{
	struct iommufd_object *obj;
	int rc;

	rc = object_get(idev->ctx, *pt_id, OBJ_ANY, &obj);
	if (rc)
		return rc;
	switch (obj->type) {
	case OBJ_HWPT_PAGING:
	case OBJ_HWPT_NESTED:
		rc = change_hwpt(idev, obj);
		break;
	case OBJ_IOAS:
		rc = attach_automatic(idev, (struct iommufd_ioas *)obj, pt_id);
		break;
	default:
		rc = -EINVAL;
	}
	object_put(idev->ctx, obj);
	return rc;
}

void iommufd_device_detach(struct iommufd_device *idev)
{
	struct iommufd_group *group = idev->group;
	struct iommufd_device **at = &group->attached;
	struct iommufd_object *hwpt;

	pthread_mutex_lock(&group->lock);
	if (!idev->is_attached) {
		pthread_mutex_unlock(&group->lock);
		return;
	}
	hwpt = group->hwpt;
	while (*at != idev)
		at = &(*at)->next_attached;
	*at = idev->next_attached;
	idev->is_attached = false;
	if (!group->attached) {
		/*
		 * To nothing: cannot fail, since the stream tables hold all of its StreamIDs
		 * already.
		 */
		(void)attach_group(group, NULL);
		group->hwpt = NULL;
	}
	iopt_unreserve(hwpt_paging_of(hwpt)->ioas->iopt, idev->sdev);
	pthread_mutex_unlock(&group->lock);
	hwpt_put(idev->ctx, hwpt);
}

/* --- what stands behind a device --- */

int ioctl_get_hw_info(struct iommufd_cmd *cmd)
{
	struct iommu_hw_info *arg = cmd->arg;
	struct iommu_hw_info_arm_smmuv3 info = { 0 };
	struct iommufd_device *idev;
	uint32_t copied;
	int rc;

	if (arg->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		return -EOPNOTSUPP;
	if (arg->__reserved[0] || arg->__reserved[1] || arg->__reserved[2])
		return -EOPNOTSUPP;
	if (!(arg->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE))
		arg->in_data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
	rc = object_get(cmd->ctx, arg->dev_id, OBJ_DEVICE, &idev);
	if (rc)
		return rc;
	if (arg->in_data_type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    arg->in_data_type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3) {
		rc = -EOPNOTSUPP;
		goto put;
	}
	/*
	 * IIDR and AIDR of the model: no implementer, and the architecture's version 3.2
	 * (§6.3.15).
	 */
	memcpy(info.idr, device_master(idev->sdev)->smmu->idr, sizeof(info.idr));
	info.aidr = 0x2;
	copied = arg->data_len < sizeof(info) ? arg->data_len : sizeof(info);
	rc = user_write(arg->data_uptr, &info, copied);
	if (!rc)
		rc = user_clear(arg->data_uptr + copied, arg->data_len - copied);
	if (rc)
		goto put;
	arg->data_len = sizeof(info);
	arg->out_data_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	/*
	 * The machine's devices have neither ATS nor PASID, and its SMMUs do not track dirty pages.
	 */
	arg->out_capabilities = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	arg->out_max_pasid_log2 = 0;
	rc = iommufd_respond(cmd, sizeof(*arg));
put:
	object_put(cmd->ctx, &idev->obj);
	return rc;
}
