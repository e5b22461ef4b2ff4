/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/vfio/N: an IOMMU group and, by it, its devices (Linux: drivers/vfio/group.c). Its container
 * is an iommufd, be it opened as /dev/vfio/vfio or as /dev/iommu.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "abi/vfio_container.h"
#include "soft/alloc.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

#define NAME_MAX_SIZE 64

struct vfio_group {
	struct soft_host *host;
	unsigned int number;
	pthread_mutex_t lock;		/* outermost */
	struct iommufd_ctx *ctx;	/* the container, or NULL */
};

static bool has_open_devices(const struct vfio_group *group)
{
	unsigned int n;
	struct soft_device **devices = soft_host_group(group->host, group->number, &n);
	bool open = false;

	for (unsigned int i = 0; i < n && !open; i++) {
		pthread_mutex_lock(&devices[i]->lock);
		open = devices[i]->vfio;
		pthread_mutex_unlock(&devices[i]->lock);
	}
	return open;
}

static int get_status(struct vfio_group *group, void *arg)
{
	struct vfio_group_status status;
	int ret = copy_from_user(&status, arg, sizeof(status));

	if (ret)
		return ret;
	if (status.argsz < sizeof(status))
		return -EINVAL;
	status.flags = VFIO_GROUP_FLAGS_VIABLE | (group->ctx ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
	return copy_to_user(arg, &status, sizeof(status));
}

static int set_container(struct vfio_group *group, const void *arg)
{
	struct iommufd_ctx *ctx;
	int32_t fd;
	int ret;

	ret = copy_from_user(&fd, arg, sizeof(fd));
	if (ret)
		return ret;
	if (group->ctx)
		return -EINVAL;
	ret = iommufd_ctx_from_fd(group->host, fd, &ctx);
	if (ret)
		return ret;
	ret = iommufd_vfio_make_ioas(ctx);
	if (ret)
		iommufd_ctx_put(ctx);
	else
		group->ctx = ctx;
	return ret;
}

static int unset_container(struct vfio_group *group)
{
	if (!group->ctx)
		return -EINVAL;
	if (has_open_devices(group))
		return -EBUSY;
	iommufd_ctx_put(group->ctx);
	group->ctx = NULL;
	return 0;
}

/* A device of the group by its name, which may be followed by options for virtual functions. */
static int get_device_fd(struct vfio_group *group, const void *arg)
{
	struct soft_device *dev;
	char name[NAME_MAX_SIZE];
	size_t len = 0;

	do {
		if (len == sizeof(name))
			return -ENODEV;
		if (copy_from_user(&name[len], (const char *)arg + len, 1))
			return -EFAULT;
	} while (name[len++]);
	dev = soft_host_find(group->host, name);
	if (!dev || dev->desc->group != group->number)
		return -ENODEV;
	if (!group->ctx)
		return -EINVAL;
	return vfio_open_in_container(dev, group->ctx);
}

static int group_ioctl(struct soft_file *file, unsigned long request, void *arg)
{
	struct vfio_group *group = file->priv;
	int ret;

	pthread_mutex_lock(&group->lock);
	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		ret = get_status(group, arg);
		break;
	case VFIO_GROUP_SET_CONTAINER:
		ret = set_container(group, arg);
		break;
	case VFIO_GROUP_UNSET_CONTAINER:
		ret = unset_container(group);
		break;
	case VFIO_GROUP_GET_DEVICE_FD:
		ret = get_device_fd(group, arg);
		break;
	default:
		ret = -ENOTTY;
		break;
	}
	pthread_mutex_unlock(&group->lock);
	return ret;
}

static void group_release(struct soft_file *file)
{
	struct vfio_group *group = file->priv;

	if (group->ctx)
		iommufd_ctx_put(group->ctx);
	pthread_mutex_destroy(&group->lock);
	soft_free(group);
}

static const struct soft_file_ops group_ops = {
	.ioctl = group_ioctl,
	.release = group_release,
};

bool vfio_group_there(struct soft_host *host, unsigned int number)
{
	unsigned int n;
	struct soft_device **devices = soft_host_group(host, number, &n);
	bool there = false;

	for (unsigned int i = 0; i < n && !there; i++) {
		pthread_mutex_lock(&devices[i]->lock);
		there = devices[i]->pci && !strcmp(devices[i]->driver, "vfio-pci");
		pthread_mutex_unlock(&devices[i]->lock);
	}
	return there;
}

int vfio_group_open(struct soft_host *host, unsigned int number, int *fd)
{
	struct vfio_group *group;
	struct soft_file *file;
	int ret;

	if (!vfio_group_there(host, number))
		return -ENOENT;
	group = soft_calloc(1, sizeof(*group));
	if (!group)
		return -ENOMEM;
	group->host = host;
	group->number = number;
	pthread_mutex_init(&group->lock, NULL);
	ret = soft_file_new(host, &group_ops, group, &file);
	if (ret) {
		pthread_mutex_destroy(&group->lock);
		soft_free(group);
		return ret;
	}
	file->rdev = makedev(VFIO_GROUP_MAJOR, number);
	*fd = soft_file_install(file);
	return 0;
}
