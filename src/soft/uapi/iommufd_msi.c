/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which address stands in a device's message: one that its user prepared, or one of the SW_MSI
 * window that this file hands out, page after page in the order of first use, the same in every
 * HWPT of the iommufd.
 */
#include <errno.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"

/* The bits of a prepared address that come from the doorbell instead (abi/native.h). */
#define DOORBELL_OFFSET 0xfffull

#define MIB_SHIFT 20

/*
 * The page of the doorbell in the group's window: its number in ctx->msi_pages. With ctx->msi_lock.
 */
static int find_page(struct iommufd_group *group, uint64_t doorbell, unsigned int *index)
{
	struct iommufd_ctx *ctx = group->ctx;
	uint64_t page = ctx->host->iommufd->page_size;
	unsigned int slot = 0;

	for (unsigned int i = 0; i < ctx->n_msi_pages; i++) {
		const struct sw_msi_page *p = &ctx->msi_pages[i];

		if (p->window != group->msi_start)
			continue;
		if (p->doorbell == (doorbell & ~(page - 1))) {
			*index = i;
			return 0;
		}
		if (p->slot >= slot)
			slot = p->slot + 1;
	}
	if (ctx->n_msi_pages == SW_MSI_PAGES)
		return -EOVERFLOW;
	/* Mainline does not look at the window's length. */
	if (ctx->host->machine.kernel == KERNEL_DOORBELL && (slot + 1ull) * page > group->msi_size)
		return -ENOSPC;
	*index = ctx->n_msi_pages++;
	ctx->msi_pages[*index] = (struct sw_msi_page){ .window = group->msi_start,
						       .doorbell = doorbell & ~(page - 1),
						       .slot = slot };
	return 0;
}

static uint64_t page_iova(const struct iommufd_ctx *ctx, unsigned int index)
{
	const struct sw_msi_page *p = &ctx->msi_pages[index];

	return p->window + p->slot * ctx->host->iommufd->page_size;
}

/* With ctx->msi_lock. */
static int install_page(struct iommufd_ctx *ctx, struct iommufd_hwpt_paging *hwpt,
			unsigned int index)
{
	int rc;

	if (hwpt->present_msi & 1ull << index)
		return 0;
	rc = arm_domain_map(&hwpt->domain, page_iova(ctx, index), ctx->msi_pages[index].doorbell,
			    ctx->host->iommufd->page_size, VMSA_READ | VMSA_WRITE | VMSA_DEVICE, 0);
	if (!rc)
		hwpt->present_msi |= 1ull << index;
	return rc;
}

int group_setup_msi(struct iommufd_group *group, struct iommufd_hwpt_paging *hwpt)
{
	struct iommufd_ctx *ctx = group->ctx;
	int rc = 0;

	pthread_mutex_lock(&ctx->msi_lock);
	for (unsigned int i = 0; i < ctx->n_msi_pages && !rc; i++)
		if (group->required_msi & 1ull << i && ctx->msi_pages[i].window == group->msi_start)
			rc = install_page(ctx, hwpt, i);
	pthread_mutex_unlock(&ctx->msi_lock);
	return rc;
}

static bool is_prepared(const struct iommufd_device *idev, unsigned int irq_index,
			unsigned int vector, uint64_t *address)
{
	const struct prepared_msi *p = &idev->prepared[irq_index];

	if (vector >= p->count || p->address[vector] == MSI_UNPREPARED)
		return false;
	*address = p->address[vector];
	return true;
}

static bool any_prepared(const struct iommufd_device *idev)
{
	uint64_t address;

	for (unsigned int i = 0; i < PREPARED_INDICES; i++)
		for (unsigned int v = 0; v < idev->prepared[i].count; v++)
			if (is_prepared(idev, i, v, &address))
				return true;
	return false;
}

/*
 * The device's user has taken its doorbell into its own hands: behind a guest's stage 1 the window
 * would be the wrong address.
 */
static bool must_be_prepared(const struct iommufd_device *idev, uint64_t doorbell)
{
	struct iommufd_object *hwpt = idev->group->hwpt;

	if (idev->ctx->host->machine.kernel != KERNEL_DOORBELL || hwpt->type != OBJ_HWPT_NESTED)
		return false;
	return any_prepared(idev) || iopt_has_doorbell(hwpt_paging_of(hwpt)->ioas->iopt, doorbell);
}

/* With group->lock. */
static int window_address(struct iommufd_group *group, uint64_t doorbell, uint64_t *address)
{
	struct iommufd_ctx *ctx = group->ctx;
	unsigned int index;
	int rc;

	pthread_mutex_lock(&ctx->msi_lock);
	rc = find_page(group, doorbell, &index);
	if (!rc)
		rc = install_page(ctx, hwpt_paging_of(group->hwpt), index);
	if (!rc) {
		group->required_msi |= 1ull << index;
		*address = page_iova(ctx, index) + (doorbell & (ctx->host->iommufd->page_size - 1));
	}
	pthread_mutex_unlock(&ctx->msi_lock);
	return rc;
}

int iommufd_sw_msi(struct iommufd_device *idev, unsigned int irq_index, unsigned int index,
		   uint64_t doorbell, uint64_t *address)
{
	struct iommufd_group *group = idev->group;
	int rc = 0;

	pthread_mutex_lock(&group->lock);
	if (!group->hwpt)
		/* DMA is blocked then, and Linux asks nobody for an address. */
		rc = -EOPNOTSUPP;
	else if (irq_index < PREPARED_INDICES && is_prepared(idev, irq_index, index, address))
		*address |= doorbell & DOORBELL_OFFSET;
	else if (!group->msi_size)
		*address = doorbell;
	else if (must_be_prepared(idev, doorbell))
		rc = -EDESTADDRREQ;
	else
		rc = window_address(group, doorbell, address);
	pthread_mutex_unlock(&group->lock);
	return rc;
}

int iommufd_check_msi(struct iommufd_device *idev, unsigned int irq_index, unsigned int index,
		      uint64_t doorbell)
{
	struct iommufd_group *group = idev->group;
	uint64_t address;
	int rc = 0;

	pthread_mutex_lock(&group->lock);
	if (is_prepared(idev, irq_index, index, &address)) {
		struct iopt *iopt = group->hwpt ? hwpt_paging_of(group->hwpt)->ioas->iopt : NULL;

		if (iopt && iopt_has_dmabuf(iopt) && !iopt_has_doorbell(iopt, doorbell))
			rc = -ENXIO;
	} else if (group->hwpt && must_be_prepared(idev, doorbell)) {
		rc = -EDESTADDRREQ;
	}
	pthread_mutex_unlock(&group->lock);
	return rc;
}

static void forget(struct prepared_msi *p)
{
	soft_free(p->address);
	*p = (struct prepared_msi){ 0 };
}

void device_forget_msi(struct iommufd_device *idev)
{
	for (unsigned int i = 0; i < PREPARED_INDICES; i++)
		forget(&idev->prepared[i]);
}

/* Makes the table reach vector @end. */
static int extend(struct prepared_msi *p, unsigned int end)
{
	uint64_t *address;

	if (end <= p->count)
		return 0;
	address = soft_grow(p->address, p->count, end, sizeof(*address));
	if (!address)
		return -ENOMEM;
	for (unsigned int v = p->count; v < end; v++)
		address[v] = MSI_UNPREPARED;
	p->address = address;
	p->count = end;
	return 0;
}

int iommufd_prepare_msi(struct iommufd_device *idev, unsigned int irq_index, unsigned int start,
			unsigned int count, const uint64_t *iova)
{
	struct prepared_msi *p = &idev->prepared[irq_index];
	int rc = 0;

	pthread_mutex_lock(&idev->group->lock);
	if (iova)
		rc = extend(p, start + count);
	else if (!start && !count)
		forget(p);
	for (unsigned int i = 0; i < count && !rc && start + i < p->count; i++)
		p->address[start + i] = iova ? iova[i] & ~DOORBELL_OFFSET : MSI_UNPREPARED;
	pthread_mutex_unlock(&idev->group->lock);
	return rc;
}

/* --- IOMMU_OPTION_SW_MSI_START and _SIZE --- */

static bool window_is_free(const struct iommufd_group *group, uint64_t start, uint64_t last)
{
	const struct machine *m = &group->ctx->host->machine;

	for (unsigned int i = 0; i < m->n_reserved; i++)
		if (m->reserved[i].group == group->dma->number && m->reserved[i].start <= last &&
		    m->reserved[i].last >= start)
			return false;
	return true;
}

/* With group->lock. */
static int set_window(struct iommufd_group *group, uint32_t option, uint64_t mib)
{
	uint64_t start = group->msi_start, size = group->msi_size, value, last;

	if (group->hwpt)
		return -EBUSY;
	if (mib >> (64 - MIB_SHIFT))
		return -EOVERFLOW;
	value = mib << MIB_SHIFT;
	if (option == IOMMU_OPTION_SW_MSI_START)
		start = value;
	else if (!group->msi_start_set || !value)
		return -EINVAL;
	else
		size = value;
	if (size && __builtin_add_overflow(start, size - 1, &last))
		return -EOVERFLOW;
	if (size && !window_is_free(group, start, last))
		return -EADDRINUSE;
	if (start != group->msi_start)
		/*
		 * Pages of the former window are not the devices' any more; their messages are
		 * composed anew.
		 */
		group->required_msi = 0;
	group->msi_start = start;
	group->msi_size = size;
	group->msi_start_set = true;
	return 0;
}

int option_sw_msi(struct iommufd_ctx *ctx, struct iommu_option *opt)
{
	struct iommufd_device *idev;
	struct iommufd_group *group;
	int rc;

	rc = object_get(ctx, opt->object_id, OBJ_DEVICE, &idev);
	if (rc)
		return rc;
	group = idev->group;
	pthread_mutex_lock(&group->lock);
	switch (opt->op) {
	case IOMMU_OPTION_OP_SET:
		rc = set_window(group, opt->option_id, opt->val64);
		break;
	case IOMMU_OPTION_OP_GET:
		if (!group->msi_size)
			rc = -ENOENT;
		else if (opt->option_id == IOMMU_OPTION_SW_MSI_START)
			opt->val64 = group->msi_start >> MIB_SHIFT;
		else
			opt->val64 = group->msi_size >> MIB_SHIFT;
		break;
	default:
		rc = -EOPNOTSUPP;
	}
	pthread_mutex_unlock(&group->lock);
	object_put(ctx, &idev->obj);
	return rc;
}
