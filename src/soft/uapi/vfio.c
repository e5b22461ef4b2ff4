/* SPDX-License-Identifier: BSD-2-Clause */
/* The vfio cdev: open, bind, attach, close; and which ioctl goes where. */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "soft/alloc.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

/* An open file of the cdev. */
struct vfio_file {
	struct soft_device *dev;
	struct vfio_device *vdev;	/* NULL before bind; set once */
};

static struct vfio_device *bound(const struct soft_file *file)
{
	const struct vfio_file *vfile = file->priv;

	return __atomic_load_n(&vfile->vdev, __ATOMIC_ACQUIRE);
}

/* --- The device, from bind to close --- */

static void set_command(struct soft_device *dev, uint16_t clear, uint16_t set)
{
	uint32_t command = pci_config_read(dev->pci, PCI_COMMAND, 2);

	pci_config_write(dev->pci, PCI_COMMAND, 2, (command & ~(uint32_t)clear) | set);
}

static void device_disable(struct vfio_device *vdev)
{
	vfio_wake(vdev);
	set_command(vdev->dev, PCI_COMMAND_MASTER, 0);
	vfio_irqs_free(vdev);
	vfio_reset(vdev);
}

static int device_enable(struct soft_device *dev, struct iommufd_device *idev,
			 struct vfio_device **out)
{
	struct vfio_device *vdev = soft_calloc(1, sizeof(*vdev));
	int ret;

	if (!vdev)
		return -ENOMEM;
	ret = irq_domain_create(dev, idev, &vdev->irqs);
	if (ret) {
		soft_free(vdev);
		return ret;
	}
	vdev->dev = dev;
	vdev->idev = idev;
	vdev->irq_type = VFIO_PCI_NUM_IRQS;
	pthread_mutex_init(&vdev->intx.lock, NULL);
	vdev->reset_works = dev->desc->resettable;
	set_command(dev, PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY);
	vfio_config_init(vdev);
	vfio_reset(vdev);
	*out = vdev;
	return 0;
}

static int read_bind(struct vfio_device_bind_iommufd *bind, const void *arg)
{
	uint32_t argsz;
	int ret;

	ret = copy_from_user(&argsz, arg, sizeof(argsz));
	if (ret)
		return ret;
	if (argsz < sizeof_through(struct vfio_device_bind_iommufd, out_devid))
		return -EINVAL;
	return copy_struct_from_user(bind, sizeof(*bind), arg, argsz);
}

/* With the device's lock. */
static int bind_locked(struct soft_file *file, struct iommufd_ctx *ctx, uint32_t *id)
{
	struct vfio_file *vfile = file->priv;
	struct soft_device *dev = vfile->dev;
	struct vfio_device *vdev;
	int ret;

	if (dev->vfio)
		return -EINVAL;	/* bound through another file */
	if (!dev->pci || strcmp(dev->driver, "vfio-pci"))
		return -ENODEV;
	ret = iommufd_device_bind(ctx, dev, &dev->idev, id);
	if (ret)
		return ret;
	ret = device_enable(dev, dev->idev, &vdev);
	if (ret) {
		iommufd_device_unbind(dev->idev);
		dev->idev = NULL;
		return ret;
	}
	vdev->ctx = ctx;
	vdev->id = *id;
	pthread_rwlock_wrlock(&dev->access);
	dev->vfio = vdev;
	pthread_rwlock_unlock(&dev->access);
	dev->opened = file;
	__atomic_store_n(&vfile->vdev, vdev, __ATOMIC_RELEASE);
	return 0;
}

static int bind_iommufd(struct soft_file *file, void *arg)
{
	struct vfio_device_bind_iommufd bind, *reply = arg;
	struct vfio_file *vfile = file->priv;
	struct iommufd_ctx *ctx;
	int ret;

	ret = read_bind(&bind, arg);
	if (ret)
		return ret;
	if (bind.iommufd < 0 || (bind.flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN))
		return -EINVAL;

	pthread_mutex_lock(&vfile->dev->lock);
	/* tokens are for SR-IOV */
	ret = vfile->vdev || (bind.flags & VFIO_DEVICE_BIND_FLAG_TOKEN) ? -EINVAL : 0;
	if (!ret)
		ret = iommufd_ctx_from_fd(file->host, bind.iommufd, &ctx);
	if (ret) {
		pthread_mutex_unlock(&vfile->dev->lock);
		return ret;
	}
	ret = bind_locked(file, ctx, &bind.out_devid);
	pthread_mutex_unlock(&vfile->dev->lock);
	if (ret) {
		iommufd_ctx_put(ctx);
		return ret;
	}
	return copy_to_user(&reply->out_devid, &bind.out_devid, sizeof(bind.out_devid));
}

static void close_device(struct vfio_device *vdev)
{
	struct soft_device *dev = vdev->dev;
	struct iommufd_ctx *ctx = vdev->ctx;

	pthread_mutex_lock(&dev->lock);
	if (!vdev->removed)
		device_disable(vdev);
	vfio_irqs_free(vdev);
	irq_domain_destroy(vdev->irqs);
	iommufd_device_unbind(vdev->idev);
	pthread_rwlock_wrlock(&dev->access);
	dev->vfio = NULL;
	pthread_rwlock_unlock(&dev->access);
	dev->opened = NULL;
	dev->idev = NULL;
	pthread_mutex_unlock(&dev->lock);
	iommufd_ctx_put(ctx);
	pthread_mutex_destroy(&vdev->intx.lock);
	soft_free(vdev);
}

void vfio_device_removed(struct soft_device *dev)
{
	struct vfio_device *vdev = dev->vfio;

	if (!vdev || vdev->removed)
		return;
	vfio_irqs_request_device(vdev);
	device_disable(vdev);
	irq_device_removed(vdev->irqs);
	pthread_rwlock_wrlock(&dev->access);
	vdev->removed = true;
	pthread_rwlock_unlock(&dev->access);
}

/* --- Attach --- */

static int attach_pt(struct vfio_device *vdev, void *arg)
{
	struct vfio_device_attach_iommufd_pt attach, *reply = arg;
	int ret;

	ret = copy_from_user(&attach, arg,
			     sizeof_through(struct vfio_device_attach_iommufd_pt, pt_id));
	if (ret)
		return ret;
	if (attach.argsz < sizeof_through(struct vfio_device_attach_iommufd_pt, pt_id))
		return -EINVAL;
	/*
	 * PASIDs: known, but no device here has them; Linux then finds the hwpt unfit, or argsz too
	 * short.
	 */
	if (attach.flags)
		return -EINVAL;
	ret = iommufd_device_attach(vdev->idev, &attach.pt_id);
	if (ret)
		return ret;
	vdev->attached = true;
	return copy_to_user(&reply->pt_id, &attach.pt_id, sizeof(attach.pt_id));
}

static int detach_pt(struct vfio_device *vdev, void *arg)
{
	struct vfio_device_detach_iommufd_pt detach;
	int ret;

	ret = copy_from_user(&detach, arg,
			     sizeof_through(struct vfio_device_detach_iommufd_pt, flags));
	if (ret)
		return ret;
	if (detach.argsz < sizeof_through(struct vfio_device_detach_iommufd_pt, flags))
		return -EINVAL;
	if (detach.flags & ~VFIO_DEVICE_DETACH_PASID)
		return -EINVAL;
	/* No PASID is ever attached, and detaching what is not attached succeeds. */
	if (detach.flags & VFIO_DEVICE_DETACH_PASID)
		return detach.argsz < sizeof(detach) ? -EINVAL : 0;
	if (vdev->attached)
		iommufd_device_detach(vdev->idev);
	vdev->attached = false;
	return 0;
}

/* --- The rest --- */

static int get_info(struct vfio_device *vdev, void *arg)
{
	const size_t least = sizeof_through(struct vfio_device_info, num_irqs);
	struct vfio_device_info info = { 0 };
	int ret;

	ret = copy_from_user(&info, arg, least);
	if (ret)
		return ret;
	if (info.argsz < least)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PCI | (vdev->reset_works ? VFIO_DEVICE_FLAGS_RESET : 0);
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(arg, &info, info.argsz < sizeof(info) ? info.argsz : sizeof(info));
}

static int ioctl_locked(struct vfio_device *vdev, unsigned long request, void *arg)
{
	/* The iommufd side outlives the device; everything else is gone with it. */
	if (vdev->removed && request != VFIO_DEVICE_DETACH_IOMMUFD_PT)
		return -ENODEV;
	switch (request) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return attach_pt(vdev, arg);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return detach_pt(vdev, arg);
	case VFIO_DEVICE_FEATURE:
		return vfio_feature(arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vfio_region_info(vdev, arg);
	case VFIO_DEVICE_GET_INFO:
		return get_info(vdev, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vfio_irq_info(vdev, arg);
	case VFIO_DEVICE_SET_IRQS:
		return vfio_set_irqs(vdev, arg);
	case VFIO_DEVICE_RESET:
		return vfio_reset(vdev);
	default:
		return -ENOTTY;
	}
}

static int vfio_ioctl(struct soft_file *file, unsigned long request, void *arg)
{
	struct vfio_device *vdev = bound(file);
	int ret;

	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		return bind_iommufd(file, arg);
	if (!vdev)
		return -EINVAL;
	if (request == VFIO_DEVICE_GET_PCI_HOT_RESET_INFO || request == VFIO_DEVICE_PCI_HOT_RESET)
		return vfio_hot_reset_ioctl(vdev->dev, request, arg);
	pthread_mutex_lock(&vdev->dev->lock);
	ret = ioctl_locked(vdev, request, arg);
	pthread_mutex_unlock(&vdev->dev->lock);
	return ret;
}

static ssize_t vfio_pread(struct soft_file *file, void *buf, size_t len, uint64_t offset)
{
	struct vfio_device *vdev = bound(file);

	return vdev ? vfio_region_rw(vdev, buf, len, offset, false) : -EINVAL;
}

static ssize_t vfio_pwrite(struct soft_file *file, const void *buf, size_t len, uint64_t offset)
{
	struct vfio_device *vdev = bound(file);

	return vdev ? vfio_region_rw(vdev, (void *)buf, len, offset, true) : -EINVAL;
}

static int vfio_mmap(struct soft_file *file, size_t len, int prot, uint64_t offset, void **out)
{
	struct vfio_device *vdev = bound(file);
	int ret;

	if (!vdev)
		return -EINVAL;
	pthread_mutex_lock(&vdev->dev->lock);
	ret = vdev->removed ? -ENODEV : vfio_region_mmap(vdev, file, len, prot, offset, out);
	pthread_mutex_unlock(&vdev->dev->lock);
	return ret;
}

static void vfio_release(struct soft_file *file)
{
	struct vfio_file *vfile = file->priv;

	if (vfile->vdev)
		close_device(vfile->vdev);
	soft_free(vfile);
}

static const struct soft_file_ops vfio_ops = {
	.ioctl = vfio_ioctl,
	.pread = vfio_pread,
	.pwrite = vfio_pwrite,
	.mmap = vfio_mmap,
	.release = vfio_release,
};

int vfio_open(struct soft_device *dev, int flags, int *fd)
{
	struct vfio_file *vfile;
	struct soft_file *file;
	bool there;
	int ret;

	pthread_mutex_lock(&dev->lock);
	there = dev->pci && !strcmp(dev->driver, "vfio-pci");
	pthread_mutex_unlock(&dev->lock);
	if (!there)
		return -ENOENT;	/* the node is gone with the driver */

	vfile = soft_calloc(1, sizeof(*vfile));
	if (!vfile)
		return -ENOMEM;
	vfile->dev = dev;
	ret = soft_file_new(dev->host, &vfio_ops, vfile, &file);
	if (ret) {
		soft_free(vfile);
		return ret;
	}
	file->access = flags & O_ACCMODE;
	file->rdev = makedev(VFIO_MAJOR, dev->index);
	*fd = soft_file_install(file);
	return 0;
}

/* A file has a reference of the context that it is bound to: take one of the same context. */
int vfio_open_in_container(struct soft_device *dev, struct iommufd_ctx *ctx)
{
	struct vfio_file *vfile = soft_calloc(1, sizeof(*vfile));
	struct soft_file *file;
	uint32_t id;
	int ret;

	if (!vfile)
		return -ENOMEM;
	vfile->dev = dev;
	ret = soft_file_new(dev->host, &vfio_ops, vfile, &file);
	if (ret) {
		soft_free(vfile);
		return ret;
	}
	iommufd_ctx_get(ctx);
	pthread_mutex_lock(&dev->lock);
	ret = bind_locked(file, ctx, &id);
	pthread_mutex_unlock(&dev->lock);
	if (ret) {
		iommufd_ctx_put(ctx);
		soft_file_abandon(file);
		soft_free(vfile);
		return ret;
	}
	pthread_mutex_lock(&dev->lock);
	ret = iommufd_vfio_ioas_id(ctx, &id);
	ret = ret ? ret : iommufd_device_attach(vfile->vdev->idev, &id);
	vfile->vdev->attached = !ret;
	pthread_mutex_unlock(&dev->lock);
	if (ret) {
		close_device(vfile->vdev);
		soft_file_abandon(file);
		soft_free(vfile);
		return ret;
	}
	return soft_file_install(file);
}
