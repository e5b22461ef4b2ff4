/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/host.h"

#include <doorbell/adopt.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/iommufd.h"
#include "sys/error.h"
#include "sys/log.h"

#define IOMMU_NODE "/dev/iommu"

/* The operations that a seam has had from the beginning. */
#define SEAM_SIZE (offsetof(struct db_sys_ops, release) + sizeof(((struct db_sys_ops *)0)->release))

static const char *const mode_names[DB_MODE_COUNT] = {
	[DB_MODE_AUTO] = "auto",
	[DB_MODE_NATIVE] = "native",
	[DB_MODE_STOCK] = "stock",
	[DB_MODE_RMR] = "rmr",
};

const char *db_mode_name(enum db_mode mode)
{
	return (unsigned int)mode < DB_MODE_COUNT ? mode_names[mode] : "unknown";
}

int db_mode_parse(const char *name, enum db_mode *out)
{
	unsigned int mode;

	for (mode = 0; mode < DB_MODE_COUNT; mode++) {
		if (!strcmp(name, mode_names[mode])) {
			*out = mode;
			return 0;
		}
	}
	db_error_set(-EINVAL, "\"%s\" is no mode: auto, native, stock or rmr", name);
	return -EINVAL;
}

static int new_host(struct db_sys *sys, struct db_host **out)
{
	struct db_host *host;

	if (sys->ops->size < SEAM_SIZE) {
		db_error_set(-EINVAL, "the seam's struct db_sys_ops has %zu bytes: it needs %zu at "
			     "least", sys->ops->size, SEAM_SIZE);
		return -EINVAL;
	}
	host = calloc(1, sizeof(*host));
	if (!host) {
		db_error_set(-ENOMEM, "no memory for a host");
		return -ENOMEM;
	}
	host->sys = sys;
	*out = host;
	return 0;
}

int db_host_open(struct db_sys *sys, struct db_host **out)
{
	struct db_host *host;
	int fd, ret;

	ret = new_host(sys, &host);
	if (ret)
		return ret;
	fd = sys->ops->open(sys, IOMMU_NODE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		if (fd == -ENOENT)
			db_error_set(fd,
				     "no " IOMMU_NODE
					 ": the kernel needs CONFIG_IOMMUFD (modprobe iommufd)");
		else if (fd == -EACCES)
			db_error_set(fd,
				     "no right to open " IOMMU_NODE
					 ": run as root or give this user access to it");
		else
			db_error_set(fd, "cannot open " IOMMU_NODE);
		free(host);
		return fd;
	}
	host->fd = fd;
	*out = host;
	return 0;
}

int db_host_adopt(struct db_sys *sys, int iommufd, unsigned int flags, struct db_host **out)
{
	struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd) };
	struct db_host *host;
	int ret;

	if (flags & ~DB_ADOPT_KEEP) {
		db_error_set(-EINVAL, "a host is adopted with DB_ADOPT_KEEP or without");
		return -EINVAL;
	}
	ret = new_host(sys, &host);
	if (ret)
		return ret;
	host->fd = iommufd;
	host->keep_fd = flags & DB_ADOPT_KEEP;
	/* An iommufd knows the request, and has no object 0. */
	if (host_ioctl(host, IOMMU_IOAS_IOVA_RANGES, &cmd) != -ENOENT) {
		db_error_set(-EBADF, "descriptor %d is no open " IOMMU_NODE, iommufd);
		free(host);
		return -EBADF;
	}
	*out = host;
	return 0;
}

void db_host_close(struct db_host *host)
{
	if (!host)
		return;
	if (!host->keep_fd)
		host->sys->ops->close(host->sys, host->fd);
	free(host);
}

int db_host_fd(const struct db_host *host)
{
	return host->fd;
}

struct db_sys *db_host_sys(struct db_host *host)
{
	return host->sys;
}

int host_ioctl(struct db_host *host, unsigned long request, void *arg)
{
	return host->sys->ops->ioctl(host->sys, host->fd, request, arg);
}

void host_destroy(struct db_host *host, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };
	int ret;

	ret = host_ioctl(host, IOMMU_DESTROY, &cmd);
	if (ret < 0)
		log_say(DB_LOG_ERROR, "object %u of the iommufd stays: IOMMU_DESTROY: %s", id,
			strerrorname_np(-ret));
}

int host_ioas_alloc(struct db_host *host, uint32_t *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int ret;

	ret = host_ioctl(host, IOMMU_IOAS_ALLOC, &cmd);
	if (ret < 0)
		return ret;
	*id = cmd.out_ioas_id;
	return 0;
}

int host_nest_parent_alloc(struct db_host *host, uint32_t dev_id, uint32_t ioas, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = dev_id,
		.pt_id = ioas,
	};
	int ret;

	ret = host_ioctl(host, IOMMU_HWPT_ALLOC, &cmd);
	if (ret < 0)
		return ret;
	*id = cmd.out_hwpt_id;
	return 0;
}

int host_viommu_alloc(struct db_host *host, uint32_t dev_id, uint32_t parent, uint32_t *id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = dev_id,
		.hwpt_id = parent,
	};
	int ret;

	ret = host_ioctl(host, IOMMU_VIOMMU_ALLOC, &cmd);
	if (ret < 0)
		return ret;
	*id = cmd.out_viommu_id;
	return 0;
}

int host_veventq_alloc(struct db_host *host, uint32_t viommu, uint32_t depth, uint32_t *id, int *fd)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = depth,
	};
	int ret;

	ret = host_ioctl(host, IOMMU_VEVENTQ_ALLOC, &cmd);
	if (ret < 0)
		return ret;
	*id = cmd.out_veventq_id;
	*fd = (int)cmd.out_veventq_fd;
	return 0;
}

uint64_t host_own_page_size(struct db_host *host)
{
	const struct db_sys_ops *ops = host->sys->ops;

	if (ops->size >= offsetof(struct db_sys_ops, page_size) + sizeof(ops->page_size) &&
	    ops->page_size)
		return ops->page_size(host->sys);
	return sysconf(_SC_PAGESIZE);
}

int host_page_size(struct db_host *host, uint32_t ioas, uint64_t *size)
{
	struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = ioas };
	uint64_t own = host_own_page_size(host);
	int ret;

	/* EMSGSIZE: there are more ranges than the none that were asked for; the alignment is
	 * filled in all the same. */
	ret = host_ioctl(host, IOMMU_IOAS_IOVA_RANGES, &cmd);
	if (ret < 0 && ret != -EMSGSIZE)
		return ret;
	*size = cmd.out_iova_alignment > own ? cmd.out_iova_alignment : own;
	return 0;
}
