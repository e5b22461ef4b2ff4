/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INTx of a vfio-pci device: level-triggered, and masked by the kernel each time that it was
 * signalled, until the user unmasks it: by SET_IRQS, or by an eventfd that the kernel waits for.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "soft/uapi/vfio_priv.h"

/* With intx.lock, and INTx enabled. */
static void fire(struct vfio_intx *intx)
{
	intx->masked = true;
	intx->trigger->signal(intx->trigger);
}

/* The pin changed. */
static void level_changed(void *ctx)
{
	struct vfio_device *vdev = ctx;
	struct vfio_intx *intx = &vdev->intx;

	pthread_mutex_lock(&intx->lock);
	if (intx->trigger && !intx->masked && pci_intx_asserted(vdev->dev->pci))
		fire(intx);
	pthread_mutex_unlock(&intx->lock);
}

static void unmask(struct vfio_device *vdev)
{
	struct vfio_intx *intx = &vdev->intx;

	pthread_mutex_lock(&intx->lock);
	if (intx->trigger && intx->masked && !intx->disabled) {
		intx->masked = false;
		if (pci_intx_asserted(vdev->dev->pci))
			fire(intx);
	}
	pthread_mutex_unlock(&intx->lock);
}

static void mask(struct vfio_device *vdev)
{
	pthread_mutex_lock(&vdev->intx.lock);
	vdev->intx.masked = true;
	pthread_mutex_unlock(&vdev->intx.lock);
}

void vfio_intx_disable_bit(struct vfio_device *vdev, bool disabled)
{
	bool changed = vdev->intx.disabled != disabled;

	if (!changed)
		return;
	pthread_mutex_lock(&vdev->intx.lock);
	vdev->intx.disabled = disabled;
	pthread_mutex_unlock(&vdev->intx.lock);
	if (disabled)
		mask(vdev);
	else
		unmask(vdev);
}

/* --- The eventfd that unmasks --- */

static void *wait_for_resample(void *arg)
{
	struct vfio_device *vdev = arg;
	struct vfio_intx *intx = &vdev->intx;
	struct pollfd fds[2] = {
		{ .fd = intx->resample->fd, .events = POLLIN },
		{ .fd = intx->stop, .events = POLLIN },
	};
	eventfd_t count;

	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if (fds[1].revents)
			break;
		if (!(fds[0].revents & POLLIN))
			continue;
		/* Another reader of it may have been faster. */
		fds[0].revents = 0;
		if (!eventfd_read(intx->resample->fd, &count))
			unmask(vdev);
	}
	pci_thread_exit();
	return NULL;
}

static void stop_resample(struct vfio_intx *intx)
{
	if (!intx->resample)
		return;
	eventfd_write(intx->stop, 1);
	pthread_join(intx->thread, NULL);
	close(intx->stop);
	vfio_trigger_put(intx->resample);
	intx->resample = NULL;
}

static int start_resample(struct vfio_device *vdev, int fd)
{
	struct vfio_intx *intx = &vdev->intx;
	int ret;

	if (intx->resample)
		return -EBUSY;
	ret = vfio_trigger_get(vdev->dev->host, fd, &intx->resample);
	if (ret)
		return ret;
	intx->stop = eventfd(0, EFD_CLOEXEC);
	ret = intx->stop < 0 ? -errno : -pthread_create(&intx->thread, NULL, wait_for_resample,
							vdev);
	if (!ret)
		return 0;
	if (intx->stop >= 0)
		close(intx->stop);
	vfio_trigger_put(intx->resample);
	intx->resample = NULL;
	return ret;
}

/* --- VFIO_DEVICE_SET_IRQS --- */

static int set_signal(struct vfio_device *vdev, int fd)
{
	struct vfio_trigger *trigger = NULL, *old;
	struct vfio_intx *intx = &vdev->intx;
	int ret;

	if (fd >= 0) {
		ret = vfio_trigger_get(vdev->dev->host, fd, &trigger);
		if (ret)
			return ret;
	}
	pthread_mutex_lock(&intx->lock);
	old = intx->trigger;
	intx->trigger = trigger;
	if (trigger && !intx->masked && pci_intx_asserted(vdev->dev->pci))
		fire(intx);
	pthread_mutex_unlock(&intx->lock);
	vfio_trigger_put(old);
	return 0;
}

void vfio_intx_disable(struct vfio_device *vdev)
{
	if (vdev->irq_type != VFIO_PCI_INTX_IRQ_INDEX)
		return;
	pci_intx_hook(vdev->dev->pci, NULL, NULL);
	stop_resample(&vdev->intx);
	set_signal(vdev, -1);
	vdev->irq_type = VFIO_PCI_NUM_IRQS;
}

static int trigger_action(struct vfio_device *vdev, const struct vfio_irq_set *set,
			  const void *data)
{
	bool is_intx = vdev->irq_type == VFIO_PCI_INTX_IRQ_INDEX;
	int ret;

	if (is_intx && !set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE)) {
		vfio_intx_disable(vdev);
		return 0;
	}
	if ((!is_intx && vdev->irq_type != VFIO_PCI_NUM_IRQS) || set->start || set->count != 1)
		return -EINVAL;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (!is_intx) {
			vdev->intx.masked = vdev->intx.disabled;
			vdev->irq_type = VFIO_PCI_INTX_IRQ_INDEX;
			pci_intx_hook(vdev->dev->pci, level_changed, vdev);
		}
		ret = set_signal(vdev, *(const int32_t *)data);
		if (ret && !is_intx)
			vfio_intx_disable(vdev);
		return ret;
	}
	if (!is_intx)
		return -EINVAL;
	pthread_mutex_lock(&vdev->intx.lock);
	if (vdev->intx.trigger &&
	    ((set->flags & VFIO_IRQ_SET_DATA_NONE) || *(const uint8_t *)data))
		vdev->intx.trigger->signal(vdev->intx.trigger);
	pthread_mutex_unlock(&vdev->intx.lock);
	return 0;
}

static int unmask_by_eventfd(struct vfio_device *vdev, int fd)
{
	if (fd >= 0)
		return start_resample(vdev, fd);
	stop_resample(&vdev->intx);
	return 0;
}

int vfio_intx_set(struct vfio_device *vdev, const struct vfio_irq_set *set, const void *data)
{
	uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

	if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
		return trigger_action(vdev, set, data);
	if (action != VFIO_IRQ_SET_ACTION_MASK && action != VFIO_IRQ_SET_ACTION_UNMASK)
		return -ENOTTY;
	if (vdev->irq_type != VFIO_PCI_INTX_IRQ_INDEX || set->start || set->count != 1)
		return -EINVAL;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return action == VFIO_IRQ_SET_ACTION_MASK ?
			       -ENOTTY : unmask_by_eventfd(vdev, *(const int32_t *)data);
	if ((set->flags & VFIO_IRQ_SET_DATA_BOOL) && !*(const uint8_t *)data)
		return 0;
	if (action == VFIO_IRQ_SET_ACTION_MASK)
		mask(vdev);
	else
		unmask(vdev);
	return 0;
}
