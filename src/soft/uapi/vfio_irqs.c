/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts of a vfio-pci device: GET_IRQ_INFO, SET_IRQS, and the eventfds behind them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "abi/native.h"
#include "soft/alloc.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

/* --- Eventfds --- */

/*
 * 0, or -EBADF / -EINVAL as eventfd_ctx_fdget. The host's own files are eventfds only underneath.
 */
static int check_eventfd(struct soft_host *host, int fd)
{
	static const char name[] = "anon_inode:[eventfd]";
	char path[32], link[sizeof(name)];
	struct soft_file *file;
	ssize_t len;

	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	file = soft_file_get(host, fd);
	if (file) {
		soft_file_put(file);
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link));
	if (len < 0)
		return -errno;
	return (size_t)len == sizeof(name) - 1 && !memcmp(link, name, (size_t)len) ? 0 : -EINVAL;
}

/*
 * Adds 1, and never blocks: this is a device's thread. An eventfd at its limit (2^64 - 2) stays
 * there, as with the kernel's eventfd_signal. The descriptor's flags are shared with its user's and
 * so cannot be changed for this.
 */
static void signal_blocking(void *ctx)
{
	const struct vfio_trigger *trigger = ctx;
	struct pollfd poll_out = { .fd = trigger->fd, .events = POLLOUT };
	ssize_t done;

	if (poll(&poll_out, 1, 0) != 1 || !(poll_out.revents & POLLOUT))
		return;
	do {
		done = write(trigger->fd, &trigger->one, sizeof(trigger->one));
	} while (done < 0 && errno == EINTR);
}

/* Where a write cannot block, no signal interrupts it: nothing is left to do after it. */
__attribute__((hot)) static void signal_nonblocking(void *ctx)
{
	const struct vfio_trigger *trigger = ctx;
	ssize_t done = write(trigger->fd, &trigger->one, sizeof(trigger->one));

	(void)done;
}

int vfio_trigger_get(struct soft_host *host, int fd, struct vfio_trigger **out)
{
	struct vfio_trigger *trigger;
	int ret;

	ret = check_eventfd(host, fd);
	if (ret)
		return ret;
	trigger = soft_calloc(1, sizeof(*trigger));
	if (!trigger)
		return -ENOMEM;
	trigger->fd = soft_alloc_fails() ? (errno = EMFILE, -1) : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (trigger->fd < 0) {
		ret = -errno;
		soft_free(trigger);
		return ret;
	}
	trigger->one = 1;
	trigger->signal = fcntl(trigger->fd, F_GETFL) & O_NONBLOCK ? signal_nonblocking
								   : signal_blocking;
	trigger->refs = 1;
	*out = trigger;
	return 0;
}

void vfio_trigger_put(struct vfio_trigger *trigger)
{
	if (!trigger || --trigger->refs)
		return;
	close(trigger->fd);
	soft_free(trigger);
}

static void trigger_signal(struct vfio_trigger *trigger)
{
	trigger->signal(trigger);
}

/* --- VFIO_DEVICE_GET_IRQ_INFO --- */

unsigned int vfio_irq_count(const struct vfio_device *vdev, unsigned int index)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);

	switch (index) {
	case VFIO_PCI_MSI_IRQ_INDEX:
		return shape->msi_vectors;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return shape->msix_vectors;
	case VFIO_PCI_ERR_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	case VFIO_PCI_INTX_IRQ_INDEX:
		return shape->intx;
	default:
		return 0;
	}
}

int vfio_irq_info(struct vfio_device *vdev, void *arg)
{
	struct vfio_irq_info info;
	int ret;

	ret = copy_from_user(&info, arg, sizeof(info));
	if (ret)
		return ret;
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;

	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = vfio_irq_count(vdev, info.index);
	if (vfio_can_prepare(vdev, info.index))
		info.flags |= VFIO_IRQ_INFO_MSI_IOVA | VFIO_IRQ_INFO_MSI_IOVA_DEVICE;
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (info.index != VFIO_PCI_MSIX_IRQ_INDEX || !info.count || !irq_can_grow(vdev->dev))
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	return copy_to_user(arg, &info, sizeof(info));
}

/* --- MSI and MSI-X --- */

static void disarm(struct vfio_device *vdev, unsigned int start, unsigned int count)
{
	irq_stop_vectors(vdev->irqs, start, count);
	for (unsigned int i = start; i < start + count; i++) {
		vfio_trigger_put(vdev->vectors[i]);
		vdev->vectors[i] = NULL;
	}
}

/* @same: a trigger of the same call for the same descriptor, or NULL. */
static int arm(struct vfio_device *vdev, unsigned int vector, int fd, struct vfio_trigger *same)
{
	int ret = 0;

	if (!irq_has_vector(vdev->irqs, vector)) {
		if (vdev->irq_type != VFIO_PCI_MSIX_IRQ_INDEX || !irq_can_grow(vdev->dev))
			return -EINVAL;
		ret = irq_alloc_vector(vdev->irqs, vector);
		if (ret)
			return ret;
	}
	if (same)
		same->refs++;
	else
		ret = vfio_trigger_get(vdev->dev->host, fd, &same);
	if (ret)
		return ret;
	vdev->vectors[vector] = same;
	ret = irq_start_vector(vdev->irqs, vector, same->signal, same);
	if (ret) {
		vfio_trigger_put(vdev->vectors[vector]);
		vdev->vectors[vector] = NULL;
	}
	return ret;
}

/* On error, the vectors up to the one that failed end disarmed, as in Linux. */
static int set_block(struct vfio_device *vdev, unsigned int start, unsigned int count,
		     const int32_t *fds)
{
	struct vfio_trigger *last = NULL;
	unsigned int i = 0, run;
	int ret;

	while (i < count) {
		for (run = 0; i + run < count && fds[i + run] < 0; run++)
			;
		if (run) {
			disarm(vdev, start + i, run);
			i += run;
			continue;
		}
		disarm(vdev, start + i, 1);
		ret = arm(vdev, start + i, fds[i], i && fds[i] == fds[i - 1] ? last : NULL);
		if (ret) {
			disarm(vdev, start, i);
			return ret;
		}
		last = vdev->vectors[start + i++];
	}
	return 0;
}

static int enable(struct vfio_device *vdev, unsigned int index, unsigned int nvec)
{
	unsigned int size = vfio_irq_count(vdev, index);
	int ret;

	vdev->vectors = soft_calloc(size, sizeof(*vdev->vectors));
	if (!vdev->vectors)
		return -ENOMEM;
	ret = irq_alloc_vectors(vdev->irqs, index, nvec);
	if (ret) {
		soft_free(vdev->vectors);
		vdev->vectors = NULL;
		return ret;
	}
	vdev->n_vectors = size;
	vdev->irq_type = index;
	for (vdev->msi_qmax = 0; index == VFIO_PCI_MSI_IRQ_INDEX && 1u << vdev->msi_qmax < nvec;)
		vdev->msi_qmax++;
	return 0;
}

void vfio_irqs_disable(struct vfio_device *vdev)
{
	vfio_intx_disable(vdev);
	if (vdev->irq_type == VFIO_PCI_NUM_IRQS)
		return;
	disarm(vdev, 0, vdev->n_vectors);
	irq_free_vectors(vdev->irqs);
	soft_free(vdev->vectors);
	vdev->vectors = NULL;
	vdev->n_vectors = 0;
	vdev->irq_type = VFIO_PCI_NUM_IRQS;
}

/*
 * A vector that must have an address and was given none is refused before any is touched. MSI has
 * one message, that of vector 0, which the device may use from when it is enabled.
 */
static int check_addresses(const struct vfio_device *vdev, const struct vfio_irq_set *set,
			   const int32_t *fds)
{
	bool msix = set->index == VFIO_PCI_MSIX_IRQ_INDEX;
	bool enables = vdev->irq_type == VFIO_PCI_NUM_IRQS;
	int ret = 0;

	for (unsigned int i = 0; i < set->count && !ret; i++)
		if (fds[i] >= 0 || (enables && !msix))
			ret = iommufd_check_msi(vdev->idev, set->index, msix ? set->start + i : 0);
	return ret;
}

static int set_msi_trigger(struct vfio_device *vdev, const struct vfio_irq_set *set,
			   const void *data)
{
	const uint8_t *bools = data;
	int ret;

	if (vdev->irq_type == set->index && !set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE)) {
		vfio_irqs_disable(vdev);
		return 0;
	}
	if (vdev->irq_type != set->index && vdev->irq_type != VFIO_PCI_NUM_IRQS)
		return -EINVAL;

	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		ret = check_addresses(vdev, set, data);
		if (ret)
			return ret;
		if (vdev->irq_type == set->index)
			return set_block(vdev, set->start, set->count, data);
		ret = enable(vdev, set->index, set->start + set->count);
		if (ret)
			return ret;
		ret = set_block(vdev, set->start, set->count, data);
		if (ret)
			vfio_irqs_disable(vdev);
		return ret;
	}

	if (vdev->irq_type != set->index)
		return -EINVAL;
	for (unsigned int i = 0; i < set->count; i++) {
		struct vfio_trigger *trigger = vdev->vectors[set->start + i];

		if (trigger && ((set->flags & VFIO_IRQ_SET_DATA_NONE) || bools[i]))
			trigger_signal(trigger);
	}
	return 0;
}

/* --- Errors and requests: one eventfd each --- */

static int set_single_eventfd(struct vfio_device *vdev, struct vfio_trigger **slot, int fd)
{
	struct vfio_trigger *trigger = NULL;
	int ret;

	if (fd < -1)
		return -EINVAL;
	if (fd >= 0) {
		ret = vfio_trigger_get(vdev->dev->host, fd, &trigger);
		if (ret)
			return ret;
	}
	vfio_trigger_put(*slot);
	*slot = trigger;
	return 0;
}

static int set_single_trigger(struct vfio_device *vdev, struct vfio_trigger **slot,
			      const struct vfio_irq_set *set, const void *data)
{
	if (set->flags & VFIO_IRQ_SET_DATA_NONE) {
		if (!*slot)
			return -EINVAL;
		if (!set->count)
			return set_single_eventfd(vdev, slot, -1);
		trigger_signal(*slot);
		return 0;
	}
	if (!set->count)
		return -EINVAL;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set_single_eventfd(vdev, slot, *(const int32_t *)data);
	if (*(const uint8_t *)data && *slot)
		trigger_signal(*slot);
	return 0;
}

void vfio_irqs_request_device(struct vfio_device *vdev)
{
	if (vdev->req)
		trigger_signal(vdev->req);
}

void vfio_irqs_free(struct vfio_device *vdev)
{
	vfio_irqs_disable(vdev);
	vfio_trigger_put(vdev->err);
	vfio_trigger_put(vdev->req);
	vdev->err = NULL;
	vdev->req = NULL;
}

/* --- VFIO_DEVICE_SET_IRQS --- */

static int dispatch(struct vfio_device *vdev, const struct vfio_irq_set *set, const void *data)
{
	if (set->index == VFIO_PCI_INTX_IRQ_INDEX)
		return vfio_intx_set(vdev, set, data);
	/* Masking is not for the others. */
	if ((set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	switch (set->index) {
	case VFIO_PCI_ERR_IRQ_INDEX:
		return set_single_trigger(vdev, &vdev->err, set, data);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return set_single_trigger(vdev, &vdev->req, set, data);
	default:
		return set_msi_trigger(vdev, set, data);
	}
}

static int data_size(uint32_t flags, size_t *size)
{
	switch (flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		*size = 0;
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		*size = sizeof(uint8_t);
		return 0;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		*size = sizeof(int32_t);
		return 0;
	default:
		return -EINVAL;
	}
}

int vfio_set_irqs(struct vfio_device *vdev, void *arg)
{
	const uint32_t known = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;
	const size_t header = offsetof(struct vfio_irq_set, data);
	struct vfio_irq_set set;
	void *data = NULL;
	unsigned int max;
	size_t size;
	int ret;

	ret = copy_from_user(&set, arg, header);
	if (ret)
		return ret;
	if (set.argsz < header || set.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if ((set.flags & VFIO_IRQ_SET_ACTION_PREPARE) &&
	    vdev->dev->host->machine.kernel == KERNEL_DOORBELL)
		return vfio_prepare_irqs(vdev, &set, arg);
	max = vfio_irq_count(vdev, set.index);
	if (set.count >= UINT32_MAX - set.start || (set.flags & ~known) || set.start >= max ||
	    set.start + set.count > max)
		return -EINVAL;

	ret = data_size(set.flags, &size);
	if (ret)
		return ret;
	size *= set.count;
	if (set.argsz - header < size)
		return -EINVAL;
	if (size) {
		data = soft_calloc(1, size);
		if (!data)
			return -ENOMEM;
		ret = copy_from_user(data, (const char *)arg + header, size);
	}
	ret = ret ? ret : dispatch(vdev, &set, data);
	soft_free(data);
	return ret;
}
