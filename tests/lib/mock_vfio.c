/* SPDX-License-Identifier: BSD-2-Clause */
/* The VFIO device of the stand-in kernel, and the MSI-X logic of the device behind it. */
#include "mock.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"

#define CAP_PM 0x40
#define CAP_MSI 0x50
#define CAP_MSIX 0x70

static void put_capability(struct mock_device *dev, unsigned int at, uint8_t id, uint8_t next,
			   uint16_t flags)
{
	dev->config[at] = id;
	dev->config[at + 1] = next;
	dev->config[at + 2] = flags;
	dev->config[at + 3] = flags >> 8;
}

/* Config space and table as after a reset. Command survives, since VFIO restores it. */
void mock_device_reset(struct mock_device *dev)
{
	uint8_t command = dev->config[4];
	unsigned int i, log2 = 0;

	while (1u << log2 < dev->msi)
		log2++;
	memset(dev->config, 0, sizeof(dev->config));
	dev->config[4] = command;
	dev->config[6] = 0x10;
	dev->config[0x34] = CAP_PM;
	put_capability(dev, CAP_PM, 0x01, dev->msi ? CAP_MSI : CAP_MSIX, 0);
	if (dev->msi)
		put_capability(dev, CAP_MSI, 0x05, dev->msix ? CAP_MSIX : 0,
			       log2 << 1 | (dev->msi_64bit ? 0x80 : 0) |
				       (dev->msi_maskable ? 0x100 : 0));
	if (dev->msix) {
		put_capability(dev, CAP_MSIX, 0x11, 0, dev->msix - 1);
		dev->config[CAP_MSIX + 10] =
			0x01; /* PBA at 0x10000 of BAR 0, where the table is at 0 */
	}
	memset(dev->pba, 0, sizeof(dev->pba));
	for (i = 0; i < MOCK_VECTORS; i++) {
		dev->table[i].control = 1;
		if (dev->irq_type < 0)
			dev->trigger[i] = -1;
	}
}

void mock_put_address(struct mock_device *dev, unsigned int index, uint64_t address)
{
	dev->table[index].low = address;
	dev->table[index].high = address >> 32;
}

/* A message goes where the table says. If that is not mapped in the guest's stage 1, it faults
 * there. */
static void send(struct mock_device *dev, unsigned int index)
{
	uint64_t address = dev->table[index].low | (uint64_t)dev->table[index].high << 32;

	if ((dev->expect && address != dev->expect) ||
	    (dev->guest_maps && !dev->guest_maps(dev->ctx, index, address)) ||
	    dev->trigger[index] < 0) {
		dev->lost++;
		return;
	}
	dev->delivered++;
	eventfd_write(dev->trigger[index], 1);
}

void mock_send_pending(struct mock_device *dev, unsigned int index)
{
	uint64_t bit = 1ull << index % 64;

	if (dev->irq_type < 0 || (dev->table[index].control & 1) || !(dev->pba[index / 64] & bit))
		return;
	dev->pba[index / 64] &= ~bit;
	send(dev, index);
}

void mock_raise(struct mock *mock, struct mock_device *dev, unsigned int index)
{
	pthread_mutex_lock(&mock->lock);
	if (dev->irq_type >= 0) {
		dev->pba[index / 64] |= 1ull << index % 64;
		mock_send_pending(dev, index);
	}
	pthread_mutex_unlock(&mock->lock);
}

/* The kernel's message for a vector: its own address in the window, unless it was given one. */
static uint64_t compose(struct mock *mock, struct mock_device *dev, unsigned int index)
{
	/* The one message of MSI is vector 0's. */
	unsigned int given = dev->irq_type == VFIO_PCI_MSI_IRQ_INDEX ? 0 : index;

	if (dev->prepared[given])
		return (dev->iova[given] & ~0xfffull) | (dev->doorbell_offset & 0xfff);
	if (!mock->its_page[dev->its])
		mock->its_page[dev->its] = ++mock->its_pages;
	return mock->window_start + (mock->its_page[dev->its] - 1) * mock->page +
	       (dev->doorbell_offset & 0xfff);
}

static void write_message(struct mock *mock, struct mock_device *dev, unsigned int index)
{
	mock_put_address(dev, index, compose(mock, dev, index));
	dev->table[index].data = 0x100 + index;
	dev->table[index].control = dev->trigger[index] < 0;
	mock_send_pending(dev, index);
}

static void disarm(struct mock_device *dev, unsigned int index)
{
	dev->trigger[index] = -1;
	dev->table[index].control = 1;
}

static void disable_irqs(struct mock_device *dev)
{
	unsigned int i;

	for (i = 0; i < MOCK_VECTORS; i++)
		disarm(dev, i);
	dev->irq_type = -1;
	dev->allocated = 0;
}

static int set_trigger(struct mock *mock, struct mock_device *dev, const struct vfio_irq_set *set)
{
	bool msix = set->index == VFIO_PCI_MSIX_IRQ_INDEX, fresh = dev->irq_type < 0;
	const int *fds = (const int *)set->data;
	unsigned int i, end = set->start + set->count;

	if (!set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE)) {
		assert_int_equal(dev->irq_type, set->index);
		disable_irqs(dev);
		return 0;
	}
	assert_true(set->flags & VFIO_IRQ_SET_DATA_EVENTFD);
	if (!fresh && dev->irq_type != (int)set->index)
		return -EINVAL;
	if (fresh && end > dev->interrupts)
		return dev->interrupts;
	if (fresh) {
		dev->irq_type = set->index;
		dev->allocated = msix && !dev->noresize ? MOCK_VECTORS : end;
	}
	for (i = set->start; i < end; i++) {
		disarm(dev, i);
		if (fds[i - set->start] < 0)
			continue;
		if (i >= dev->allocated || i >= dev->interrupts || fds[i - set->start] == 9999 ||
		    (dev->windowless && !dev->prepared[msix ? i : 0])) {
			for (end = set->start; end <= i; end++)
				disarm(dev, end);
			if (fresh)
				disable_irqs(dev);
			return fds[i - set->start] == 9999 ? -EBADF :
			       i >= dev->interrupts	   ? -ENOSPC :
			       i >= dev->allocated	   ? -EINVAL :
							     -EDESTADDRREQ;
		}
		dev->trigger[i] = fds[i - set->start];
		write_message(mock, dev, i);
	}
	return 0;
}

static int set_prepare(struct mock *mock, struct mock_device *dev, const struct vfio_irq_set *set)
{
	const struct vfio_irq_set_msi_iova *given = (const void *)set;
	const __u64 *iova = given->iova;
	unsigned int i;

	if (!mock->native)
		return -EINVAL;
	if (set->flags & VFIO_IRQ_SET_DATA_MSI_IOVA) {
		assert_int_equal(given->__reserved, 0);
		assert_int_equal(set->argsz, sizeof(*given) + set->count * sizeof(*iova));
	}
	if (set->index == VFIO_PCI_MSI_IRQ_INDEX && set->start)
		return -EINVAL;
	if (!set->count && (set->flags & VFIO_IRQ_SET_DATA_NONE))
		memset(dev->prepared, 0, sizeof(dev->prepared));
	for (i = set->start; i < set->start + set->count; i++) {
		if (set->flags & VFIO_IRQ_SET_DATA_BOOL) {
			assert_int_equal(set->data[i - set->start], 1);
			dev->iova[i] =
				set->index == VFIO_PCI_MSIX_IRQ_INDEX ?
					dev->table[i].low | (uint64_t)dev->table[i].high << 32 :
					*(uint32_t *)&dev->config[CAP_MSI + 4] |
						(uint64_t) * (uint32_t *)&dev->config[CAP_MSI + 8]
							<< 32;
		} else {
			memcpy(&dev->iova[i], &iova[i - set->start], 8);
		}
		dev->prepared[i] = !(set->flags & VFIO_IRQ_SET_DATA_NONE);
		if (dev->trigger[i] >= 0)
			write_message(mock, dev, i);
	}
	for (i = 1; set->index == VFIO_PCI_MSI_IRQ_INDEX && i < dev->msi; i++)
		if (dev->trigger[i] >= 0)
			write_message(mock, dev, i);
	return 0;
}

static int set_irqs(struct mock *mock, struct mock_device *dev, const struct vfio_irq_set *set)
{
	unsigned int count = set->index == VFIO_PCI_MSIX_IRQ_INDEX ? dev->msix : dev->msi;

	if (set->start + set->count > count)
		return -EINVAL;
	return set->flags & VFIO_IRQ_SET_ACTION_PREPARE ? set_prepare(mock, dev, set) :
							  set_trigger(mock, dev, set);
}

static int get_region(struct mock_device *dev, struct vfio_region_info *info)
{
	struct vfio_info_cap_header caps[2] = {
		{ .id = VFIO_REGION_INFO_CAP_SPARSE_MMAP,
		  .version = 1,
		  .next = sizeof(*info) + sizeof(caps[0]) },
		{ .id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, .version = 1 },
	};

	info->offset = (uint64_t)info->index << 40;
	info->size = 0;
	info->flags = 0;
	if (info->index == VFIO_PCI_CONFIG_REGION_INDEX)
		info->size = sizeof(dev->config);
	if (info->index != VFIO_PCI_BAR0_REGION_INDEX)
		return 0;
	info->size = 0x20000;
	info->flags = VFIO_REGION_INFO_FLAG_MMAP;
	if (!dev->mappable)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	assert_true(info->argsz >= sizeof(*info) + sizeof(caps));
	info->cap_offset = sizeof(*info);
	memcpy(info + 1, caps, sizeof(caps));
	return 0;
}

static int attach(struct mock *mock, struct mock_device *dev, uint32_t pt_id)
{
	struct mock_object *object = mock_find(mock, pt_id, MOCK_NESTED);
	unsigned int i;

	if (!object)
		return -ENOENT;
	assert_int_equal(object->smmu, dev->smmu);
	for (i = 0; i < 64 && !mock->no_window && !dev->windowless; i++) {
		if (mock->mapping[i].used &&
		    mock->mapping[i].iova < mock->window_start + mock->window_size &&
		    mock->window_start < mock->mapping[i].iova + mock->mapping[i].length)
			return -EADDRINUSE;
	}
	object->users++;
	if (dev->attached)
		mock_find(mock, dev->attached, MOCK_NONE)->users--;
	dev->attached = pt_id;
	return 0;
}

int mock_vfio_ioctl(struct mock *mock, struct mock_device *dev, unsigned long request, void *arg)
{
	struct vfio_device_bind_iommufd *bind = arg;
	struct vfio_device_info *info = arg;
	struct vfio_irq_info *irq = arg;

	switch (request) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		assert_false(dev->bound);
		dev->bound = true;
		dev->id = mock_new_object(mock, MOCK_DEVICE, 0);
		mock->object[dev->id].dev = dev;
		bind->out_devid = dev->id;
		return 0;
	case VFIO_DEVICE_GET_INFO:
		info->flags = (dev->not_pci ? 0 : VFIO_DEVICE_FLAGS_PCI) |
			      (dev->no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region(dev, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		irq->count = irq->index == VFIO_PCI_MSIX_IRQ_INDEX ? dev->msix : dev->msi;
		irq->flags = VFIO_IRQ_INFO_EVENTFD;
		if (irq->index == VFIO_PCI_MSI_IRQ_INDEX || dev->noresize)
			irq->flags |= VFIO_IRQ_INFO_NORESIZE;
		if (mock->native && irq->count && !dev->no_prepare)
			irq->flags |= VFIO_IRQ_INFO_MSI_IOVA;
		if (mock->native && irq->count && !dev->no_fall_through)
			irq->flags |= VFIO_IRQ_INFO_MSI_IOVA_DEVICE;
		return 0;
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(mock, dev, arg);
	case VFIO_DEVICE_RESET:
		mock_device_reset(dev);
		for (unsigned int i = 0; i < dev->msix && dev->irq_type == VFIO_PCI_MSIX_IRQ_INDEX;
		     i++)
			write_message(mock, dev, i);
		return 0;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return attach(mock, dev, ((struct vfio_device_attach_iommufd_pt *)arg)->pt_id);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		if (dev->attached)
			mock_find(mock, dev->attached, MOCK_NONE)->users--;
		dev->attached = 0;
		return 0;
	default:
		return -ENOTTY;
	}
}
