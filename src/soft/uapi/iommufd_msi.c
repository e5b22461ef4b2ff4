/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which address stands in a device's message: one that its user prepared, or one of the SW_MSI
 * window that this file hands out, page after page in the order of first use, the same in every
 * HWPT of the iommufd. And the doorbells as their users see and map them (abi/native.h).
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
		if (group->required_msi & 1ull << i)
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

/* Has the device's IOMMU a window at all, whatever its user made of it? */
static bool has_window(const struct soft_host *host)
{
	return host->machine.sw_msi_size;
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
	else if (is_prepared(idev, irq_index, index, address))
		*address |= doorbell & DOORBELL_OFFSET;
	else if (!has_window(idev->ctx->host))
		*address = doorbell;
	else if (!group->msi_size)
		rc = -EDESTADDRREQ;
	else
		rc = window_address(group, doorbell, address);
	pthread_mutex_unlock(&group->lock);
	return rc;
}

int iommufd_check_msi(struct iommufd_device *idev, unsigned int irq_index, unsigned int index)
{
	struct iommufd_group *group = idev->group;
	uint64_t address;
	int rc = 0;

	pthread_mutex_lock(&group->lock);
	if (has_window(idev->ctx->host) && !group->msi_size &&
	    !is_prepared(idev, irq_index, index, &address))
		rc = -EDESTADDRREQ;
	pthread_mutex_unlock(&group->lock);
	return rc;
}

bool iommufd_can_prepare_msi(const struct iommufd_device *idev)
{
	const struct soft_host *host = idev->ctx->host;

	return host->machine.kernel == KERNEL_DOORBELL && has_window(host);
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

int group_check_window(const struct iommufd_group *group, const struct arm_domain *domain)
{
	if (!group->msi_size)
		return 0;
	return group->msi_start + group->msi_size - 1 > arm_domain_last(domain) ? -EINVAL : 0;
}

/* With group->lock. */
static int set_window(struct iommufd_group *group, uint32_t option, uint64_t mib)
{
	uint64_t start = group->msi_start, size = group->msi_size, value, last;

	if (group->hwpt || group->required_msi)
		return -EBUSY;
	if (mib >> (64 - MIB_SHIFT))
		return -EOVERFLOW;
	value = mib << MIB_SHIFT;
	if (option == IOMMU_OPTION_SW_MSI_START)
		start = value;
	else if (!group->msi_start_set && value)
		return -EINVAL;
	else
		size = value;
	if (size && __builtin_add_overflow(start, size - 1, &last))
		return -EOVERFLOW;
	if (size && !window_is_free(group, start, last))
		return -EADDRINUSE;
	group->msi_start = start;
	group->msi_size = size;
	group->msi_start_set |= option == IOMMU_OPTION_SW_MSI_START;
	return 0;
}

/* With group->lock. */
static int window_option(struct iommufd_group *group, struct iommu_option *opt)
{
	bool start = opt->option_id == IOMMU_OPTION_SW_MSI_START;

	if (!has_window(group->ctx->host))
		return -EOPNOTSUPP;
	switch (opt->op) {
	case IOMMU_OPTION_OP_SET:
		return set_window(group, opt->option_id, opt->val64);
	case IOMMU_OPTION_OP_GET:
		opt->val64 = (start ? group->msi_start : group->msi_size) >> MIB_SHIFT;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int option_sw_msi(struct iommufd_ctx *ctx, struct iommu_option *opt)
{
	struct iommufd_device *idev;
	int rc;

	rc = object_get(ctx, opt->object_id, OBJ_DEVICE, &idev);
	if (rc)
		return rc;
	pthread_mutex_lock(&idev->group->lock);
	rc = window_option(idev->group, opt);
	pthread_mutex_unlock(&idev->group->lock);
	object_put(ctx, &idev->obj);
	return rc;
}

/* --- IOMMU_GET_MSI_INFO and IOMMU_IOAS_MAP_MSI --- */

static bool in_pages(uint64_t addr, uint64_t base, uint64_t size, uint64_t page)
{
	return addr >= (base & ~(page - 1)) && addr < ((base + size + page - 1) & ~(page - 1));
}

/*
 * A number for the host page at @pa, which holds a doorbell: which MSI frame of the machine, and
 * which page of a pre-ITS window. Two frames in one page have one number, that of the first.
 */
static uint64_t doorbell_id(const struct soft_host *host, uint64_t pa, uint64_t page)
{
	for (unsigned int i = 0; i < host->machine.n_itses; i++) {
		const struct msi_frame_config *config = &host->machine.itses[i];

		if (config->kind == DOORBELL_PRE_ITS) {
			uint64_t first = config->pre_its_base & ~(page - 1);

			if (in_pages(pa, config->pre_its_base, config->pre_its_size, page))
				return (i + 1) | (pa - first) / page << 16;
		} else if (in_pages(pa, its_dev_doorbell(host->itses[i], 0), 1, page)) {
			return i + 1;
		}
	}
	return 0;
}

/* The register's address on the bus. -EOPNOTSUPP: nobody may know. */
static int find_doorbell(const struct iommufd_device *idev, uint64_t *doorbell)
{
	const struct machine_device *desc = idev->sdev->desc;
	const struct soft_host *host = idev->ctx->host;

	if (!has_window(host))
		return -EOPNOTSUPP;
	*doorbell = its_dev_doorbell(host->itses[desc->its], desc->device_id);
	return 0;
}

int ioctl_get_msi_info(struct iommufd_cmd *cmd)
{
	uint64_t page = cmd->ctx->host->iommufd->page_size, doorbell;
	struct iommu_get_msi_info *arg = cmd->arg;
	struct iommufd_device *idev;
	int rc;

	if (arg->flags || arg->__reserved)
		return -EOPNOTSUPP;
	rc = object_get(cmd->ctx, arg->dev_id, OBJ_DEVICE, &idev);
	if (rc)
		return rc;
	rc = find_doorbell(idev, &doorbell);
	object_put(cmd->ctx, &idev->obj);
	if (rc)
		return rc;
	arg->out_id = doorbell_id(cmd->ctx->host, doorbell & ~(page - 1), page);
	arg->out_length = page;
	arg->out_offset = doorbell & (page - 1);
	return iommufd_respond(cmd, sizeof(*arg));
}

static int map_doorbell(struct iommufd_ctx *ctx, const struct iommu_ioas_map_msi *arg,
			uint64_t doorbell)
{
	uint64_t page = ctx->host->iommufd->page_size, iova = arg->iova;
	struct iopt_slice slice = { .length = page, .may_write = true };
	struct iommufd_ioas *ioas;
	int rc;

	if (iova & (page - 1))
		return -EINVAL;
	rc = object_get(ctx, arg->ioas_id, OBJ_IOAS, &ioas);
	if (rc)
		return rc;
	rc = source_create_doorbell(doorbell & ~(page - 1), &slice.source);
	if (!rc) {
		rc = iopt_map(ioas->iopt, &slice, 1, page, &iova,
			      IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE);
		source_put(slice.source);
	}
	object_put(ctx, &ioas->obj);
	return rc;
}

int ioctl_ioas_map_msi(struct iommufd_cmd *cmd)
{
	struct iommu_ioas_map_msi *arg = cmd->arg;
	struct iommufd_device *idev;
	uint64_t doorbell;
	int rc;

	if (arg->flags)
		return -EOPNOTSUPP;
	if (arg->iova == UINT64_MAX)
		return -EOVERFLOW;
	rc = object_get(cmd->ctx, arg->dev_id, OBJ_DEVICE, &idev);
	if (rc)
		return rc;
	rc = find_doorbell(idev, &doorbell);
	object_put(cmd->ctx, &idev->obj);
	if (!rc)
		rc = map_doorbell(cmd->ctx, arg, doorbell);
	if (rc)
		return rc;
	arg->out_length = cmd->ctx->host->iommufd->page_size;
	return iommufd_respond(cmd, sizeof(*arg));
}
