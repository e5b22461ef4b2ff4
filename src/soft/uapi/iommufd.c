/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts and the table of requests. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "soft/alloc.h"
#include "soft/uapi/iommufd_private.h"
#include "soft/uapi/user.h"

/* /dev/iommu */
#define MISC_MAJOR 10
#define IOMMU_MINOR 125

#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))

int iommufd_respond(const struct iommufd_cmd *cmd, size_t size)
{
	return copy_to_user(cmd->user, cmd->arg, cmd->user_size < size ? cmd->user_size : size);
}

static int ioctl_destroy(struct iommufd_cmd *cmd)
{
	const struct iommu_destroy *arg = cmd->arg;

	return object_destroy_id(cmd->ctx, arg->id);
}

static int option_rlimit_mode(struct iommufd_ctx *ctx, struct iommu_option *opt)
{
	int rc = 0;

	if (opt->object_id)
		return -EOPNOTSUPP;
	if (opt->op == IOMMU_OPTION_OP_GET) {
		opt->val64 = ctx->account_process;
		return 0;
	}
	if (opt->op != IOMMU_OPTION_OP_SET)
		return -EOPNOTSUPP;
	if (geteuid())
		return -EPERM;
	pthread_mutex_lock(&ctx->lock);
	if (ctx->n_live)
		rc = -EBUSY;
	else if (opt->val64 > 1)
		rc = -EINVAL;
	else
		ctx->account_process = opt->val64;
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

static int ioctl_option(struct iommufd_cmd *cmd)
{
	struct iommu_option *opt = cmd->arg;
	int rc;

	if (opt->__reserved)
		return -EOPNOTSUPP;
	switch (opt->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = option_rlimit_mode(cmd->ctx, opt);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = option_huge_pages(cmd->ctx, opt);
		break;
	case IOMMU_OPTION_SW_MSI_START:
	case IOMMU_OPTION_SW_MSI_SIZE:
		rc = cmd->ctx->host->machine.kernel == KERNEL_DOORBELL
			     ? option_sw_msi(cmd->ctx, opt)
			     : -EOPNOTSUPP;
		break;
	default:
		return -EOPNOTSUPP;
	}
	return rc ? rc : iommufd_respond(cmd, sizeof(*opt));
}

/* Page requests, and queues in hardware: no device or SMMU of the machine has them. */
static int ioctl_fault_queue_alloc(struct iommufd_cmd *cmd)
{
	(void)cmd;
	return -EOPNOTSUPP;
}

static int ioctl_noiommu_get_pa(struct iommufd_cmd *cmd)
{
	(void)cmd;
	return -EOPNOTSUPP;
}

union any_arg {
	struct iommu_destroy destroy;
	struct iommu_fault_alloc fault;
	struct iommu_hw_info info;
	struct iommu_hw_queue_alloc hw_queue;
	struct iommu_hwpt_alloc hwpt;
	struct iommu_hwpt_get_dirty_bitmap dirty_bitmap;
	struct iommu_hwpt_invalidate invalidate;
	struct iommu_get_msi_info msi_info;
	struct iommu_hwpt_set_dirty_tracking dirty_tracking;
	struct iommu_ioas_alloc ioas;
	struct iommu_ioas_allow_iovas allow;
	struct iommu_ioas_change_process change_process;
	struct iommu_ioas_copy copy;
	struct iommu_ioas_iova_ranges ranges;
	struct iommu_ioas_map map;
	struct iommu_ioas_map_file map_file;
	struct iommu_ioas_map_msi map_msi;
	struct iommu_ioas_noiommu_get_pa get_pa;
	struct iommu_ioas_unmap unmap;
	struct iommu_option option;
	struct iommu_vdevice_alloc vdevice;
	struct iommu_veventq_alloc veventq;
	struct iommu_vfio_ioas vfio_ioas;
	struct iommu_viommu_alloc viommu;
};

struct request {
	unsigned long number;
	uint32_t size, min_size;	/* min_size: up to the last member of the first version */
	bool native;			/* of abi/native.h: not in mainline */
	int (*execute)(struct iommufd_cmd *cmd);
};

#define REQUEST(_number, _execute, _struct, _last) \
	[_IOC_NR(_number) - IOMMUFD_CMD_BASE] = { \
		.number = _number, .size = sizeof(struct _struct), \
		.min_size = offsetofend(struct _struct, _last), .execute = _execute, \
	}

#define NATIVE(_number, _execute, _struct, _last) \
	[_IOC_NR(_number) - IOMMUFD_CMD_BASE] = { \
		.number = _number, .size = sizeof(struct _struct), .native = true, \
		.min_size = offsetofend(struct _struct, _last), .execute = _execute, \
	}

static const struct request requests[] = {
	REQUEST(IOMMU_DESTROY, ioctl_destroy, iommu_destroy, id),
	REQUEST(IOMMU_IOAS_ALLOC, ioctl_ioas_alloc, iommu_ioas_alloc, out_ioas_id),
	REQUEST(IOMMU_IOAS_ALLOW_IOVAS, ioctl_ioas_allow_iovas, iommu_ioas_allow_iovas,
		allowed_iovas),
	REQUEST(IOMMU_IOAS_COPY, ioctl_ioas_copy, iommu_ioas_copy, src_iova),
	REQUEST(IOMMU_IOAS_IOVA_RANGES, ioctl_ioas_iova_ranges, iommu_ioas_iova_ranges,
		out_iova_alignment),
	REQUEST(IOMMU_IOAS_MAP, ioctl_ioas_map, iommu_ioas_map, iova),
	REQUEST(IOMMU_IOAS_MAP_FILE, ioctl_ioas_map_file, iommu_ioas_map_file, iova),
	REQUEST(IOMMU_IOAS_UNMAP, ioctl_ioas_unmap, iommu_ioas_unmap, length),
	REQUEST(IOMMU_IOAS_CHANGE_PROCESS, ioctl_ioas_change_process, iommu_ioas_change_process,
		__reserved),
	REQUEST(IOMMU_IOAS_NOIOMMU_GET_PA, ioctl_noiommu_get_pa, iommu_ioas_noiommu_get_pa,
		out_phys),
	REQUEST(IOMMU_OPTION, ioctl_option, iommu_option, val64),
	REQUEST(IOMMU_VFIO_IOAS, ioctl_vfio_ioas, iommu_vfio_ioas, __reserved),
	REQUEST(IOMMU_HWPT_ALLOC, ioctl_hwpt_alloc, iommu_hwpt_alloc, __reserved),
	REQUEST(IOMMU_GET_HW_INFO, ioctl_get_hw_info, iommu_hw_info, __reserved),
	REQUEST(IOMMU_HWPT_SET_DIRTY_TRACKING, ioctl_hwpt_set_dirty_tracking,
		iommu_hwpt_set_dirty_tracking, __reserved),
	REQUEST(IOMMU_HWPT_GET_DIRTY_BITMAP, ioctl_hwpt_get_dirty_bitmap,
		iommu_hwpt_get_dirty_bitmap, data),
	REQUEST(IOMMU_HWPT_INVALIDATE, ioctl_hwpt_invalidate, iommu_hwpt_invalidate, __reserved),
	REQUEST(IOMMU_FAULT_QUEUE_ALLOC, ioctl_fault_queue_alloc, iommu_fault_alloc, out_fault_fd),
	REQUEST(IOMMU_VIOMMU_ALLOC, ioctl_viommu_alloc, iommu_viommu_alloc, out_viommu_id),
	REQUEST(IOMMU_VDEVICE_ALLOC, ioctl_vdevice_alloc, iommu_vdevice_alloc, virt_id),
	REQUEST(IOMMU_VEVENTQ_ALLOC, ioctl_veventq_alloc, iommu_veventq_alloc, out_veventq_fd),
	REQUEST(IOMMU_HW_QUEUE_ALLOC, ioctl_hw_queue_alloc, iommu_hw_queue_alloc, length),
	NATIVE(IOMMU_IOAS_MAP_MSI, ioctl_ioas_map_msi, iommu_ioas_map_msi, out_length),
	NATIVE(IOMMU_GET_MSI_INFO, ioctl_get_msi_info, iommu_get_msi_info, out_offset),
};

static int iommufd_ioctl(struct soft_file *file, unsigned long number, void *arg)
{
	unsigned int index = _IOC_NR(number) - IOMMUFD_CMD_BASE;
	struct iommufd_cmd cmd = { .ctx = file->priv, .user = arg };
	bool native = cmd.ctx->host->machine.kernel == KERNEL_DOORBELL;
	const struct request *r;
	union any_arg copy;
	int rc;

	if (_IOC_NR(number) < IOMMUFD_CMD_BASE)
		return iommufd_vfio_ioctl(cmd.ctx, number, arg);
	if (index >= sizeof(requests) / sizeof(requests[0]) || (requests[index].native && !native))
		return -ENOTTY;
	rc = copy_from_user(&cmd.user_size, arg, sizeof(cmd.user_size));
	if (rc)
		return rc;
	r = &requests[index];
	if (r->number != number)
		return -ENOTTY;
	if (cmd.user_size < r->min_size)
		return -EINVAL;
	rc = copy_struct_from_user(&copy, r->size, arg, cmd.user_size);
	if (rc)
		return rc;
	cmd.arg = &copy;
	return r->execute(&cmd);
}

static void iommufd_release(struct soft_file *file)
{
	struct iommufd_ctx *ctx = file->priv;

	objects_destroy_all(ctx);
	pthread_mutex_destroy(&ctx->msi_lock);
	pthread_cond_destroy(&ctx->idle);
	pthread_mutex_destroy(&ctx->lock);
	soft_free(ctx);
}

/* Only what a driver of hardware queues offers can be mapped, and there is none. */
static int iommufd_mmap(struct soft_file *file, size_t len, int prot, uint64_t offset, void **out)
{
	(void)file;
	(void)len;
	(void)offset;
	(void)out;
	return prot & PROT_EXEC ? -EPERM : -ENXIO;
}

static const struct soft_file_ops iommufd_ops = {
	.ioctl = iommufd_ioctl,
	.mmap = iommufd_mmap,
	.release = iommufd_release,
};

dev_t iommufd_rdev(void)
{
	return makedev(MISC_MAJOR, IOMMU_MINOR);
}

int iommufd_open(struct soft_host *host, int flags, int *fd)
{
	struct iommufd_ctx *ctx = soft_calloc(1, sizeof(*ctx));
	int rc;

	if (!ctx)
		return -ENOMEM;
	ctx->host = host;
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_cond_init(&ctx->idle, NULL);
	pthread_mutex_init(&ctx->msi_lock, NULL);
	rc = soft_file_new(host, &iommufd_ops, ctx, &ctx->file);
	if (rc) {
		pthread_mutex_destroy(&ctx->msi_lock);
		pthread_cond_destroy(&ctx->idle);
		pthread_mutex_destroy(&ctx->lock);
		soft_free(ctx);
		return rc;
	}
	ctx->file->access = flags & O_ACCMODE;
	ctx->file->rdev = iommufd_rdev();
	*fd = soft_file_install(ctx->file);
	return 0;
}

int iommufd_ctx_from_fd(struct soft_host *host, int fd, struct iommufd_ctx **out)
{
	struct soft_file *file = soft_file_get(host, fd);

	if (!file)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EBADFD;
	if (file->ops != &iommufd_ops) {
		soft_file_put(file);
		return -EBADFD;
	}
	*out = file->priv;
	return 0;
}

void iommufd_ctx_get(struct iommufd_ctx *ctx)
{
	soft_file_hold(ctx->file);
}

void iommufd_ctx_put(struct iommufd_ctx *ctx)
{
	soft_file_put(ctx->file);
}

static int by_group(const void *a, const void *b)
{
	const struct arm_master *const *l = a, *const *r = b;
	unsigned int lg = (*l)->sdev->desc->group, rg = (*r)->sdev->desc->group;

	return (lg > rg) - (lg < rg);
}

/* The groups of the machine's devices, each with its own. */
static int collect_groups(struct iommufd_host *ih, unsigned int n)
{
	struct arm_master **sorted = soft_calloc(n ? n : 1, sizeof(struct arm_master *));
	struct dma_group *g = NULL;

	ih->groups = soft_calloc(n ? n : 1, sizeof(*ih->groups));
	if (!sorted || !ih->groups) {
		soft_free(sorted);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < n; i++)
		sorted[i] = &ih->masters[i];
	if (n)
		qsort(sorted, n, sizeof(*sorted), by_group);
	for (unsigned int i = 0; i < n; i++) {
		struct arm_master *m = sorted[i];

		if (!g || g->number != m->sdev->desc->group) {
			g = g ? g + 1 : ih->groups;
			g->number = m->sdev->desc->group;
		}
		m->group = g;
		m->next_in_group = g->masters;
		g->masters = m;
	}
	soft_free(sorted);
	return 0;
}

int iommufd_host_create(struct soft_host *host)
{
	const struct machine *m = &host->machine;
	struct iommufd_host *ih = soft_calloc(1, sizeof(*ih));
	int rc = -ENOMEM;

	if (!ih)
		return -ENOMEM;
	pthread_mutex_init(&ih->lock, NULL);
	ih->bus = host->bus;
	ih->page_size = 1ull << m->page_shift;
	ih->ram = m->ram;
	host->iommufd = ih;
	ih->masters = soft_calloc(m->n_devices ? m->n_devices : 1, sizeof(*ih->masters));
	if (!ih->masters)
		goto fail;
	for (unsigned int i = 0; i < m->n_devices; i++) {
		ih->masters[i].sdev = &host->devices[i];
		ih->masters[i].sid = host->devices[i].desc->sid;
		pthread_mutex_init(&ih->masters[i].lock, NULL);
	}
	rc = collect_groups(ih, m->n_devices);
	for (unsigned int i = 0; i < m->n_smmus && !rc; i++) {
		rc = arm_smmu_init(&ih->smmus[i], host, i);
		if (!rc)
			ih->n_smmus++;
	}
	if (!rc)
		return 0;
fail:
	iommufd_host_destroy(host);
	return rc;
}

void iommufd_host_destroy(struct soft_host *host)
{
	struct iommufd_host *ih = host->iommufd;

	if (!ih)
		return;
	for (unsigned int i = 0; i < ih->n_smmus; i++)
		arm_smmu_fini(&ih->smmus[i]);
	for (unsigned int i = 0; ih->masters && i < host->machine.n_devices; i++)
		pthread_mutex_destroy(&ih->masters[i].lock);
	soft_free(ih->masters);
	soft_free(ih->groups);
	pthread_mutex_destroy(&ih->lock);
	soft_free(ih);
	host->iommufd = NULL;
}
