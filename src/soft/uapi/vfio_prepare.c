/* SPDX-License-Identifier: BSD-2-Clause */
/* SET_IRQS with VFIO_IRQ_SET_ACTION_PREPARE: which address each vector's message gets (abi/native.h). */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "abi/native.h"
#include "soft/alloc.h"
#include "soft/uapi/vfio_priv.h"

/* The address that stands in the device now: for MSI, what the user wrote to the capability that he sees. */
static uint64_t address_in_device(const struct vfio_device *vdev, unsigned int index, unsigned int vector)
{
	struct pci_dev *pci = vdev->dev->pci;
	const struct pci_shape *shape = pci_dev_shape(pci);
	const uint8_t *msi = vdev->vconfig + vdev->msi_cap + PCI_MSI_ADDRESS_LO;
	uint64_t entry, address = 0;

	if (index == VFIO_PCI_MSIX_IRQ_INDEX) {
		entry = shape->msix_table_off + (uint64_t)vector * PCI_MSIX_ENTRY_SIZE;
		return pci_bar_read(pci, shape->msix_bar, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4) |
		       pci_bar_read(pci, shape->msix_bar, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4) << 32;
	}
	for (unsigned int i = 0; i < (shape->msi_64bit ? 8 : 4); i++)
		address |= (uint64_t)msi[i] << (8 * i);
	return address;
}

/* What is to be set for @count vectors; @take says which. */
static int collect(const struct vfio_device *vdev, const struct vfio_irq_set *set, const void *data, uint64_t *iova, uint8_t *take)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);
	bool narrow = set->index == VFIO_PCI_MSI_IRQ_INDEX && !shape->msi_64bit;

	for (unsigned int i = 0; i < set->count; i++) {
		if (set->flags & VFIO_IRQ_SET_DATA_BOOL) {
			memcpy(&take[i], (const uint8_t *)data + i, 1);
			if (take[i])
				iova[i] = address_in_device(vdev, set->index, set->start + i);
		} else {
			take[i] = 1;
			memcpy(&iova[i], (const char *)data + i * sizeof(*iova), sizeof(*iova));
		}
		if (take[i] && narrow && iova[i] >> 32)
			return -EINVAL;
	}
	return 0;
}

/*
 * Each run of neighbours is one call, the last run first: it makes room for all vectors up to its own, so that those before it cannot
 * fail for want of memory, and it is all or nothing.
 */
static int store(struct vfio_device *vdev, const struct vfio_irq_set *set, const uint64_t *iova, const uint8_t *take)
{
	unsigned int end = set->count, start;
	int ret;

	while (end) {
		if (!take[end - 1]) {
			end--;
			continue;
		}
		for (start = end - 1; start && take[start - 1]; start--)
			;
		ret = iommufd_prepare_msi(vdev->idev, set->index, set->start + start, end - start, iova + start);
		if (ret)
			return ret;
		end = start;
	}
	return 0;
}

static int forget(struct vfio_device *vdev, const struct vfio_irq_set *set)
{
	if (!set->count && set->start)
		return 0;
	return iommufd_prepare_msi(vdev->idev, set->index, set->start, set->count, NULL);
}

int vfio_prepare_irqs(struct vfio_device *vdev, const struct vfio_irq_set *set, const void *arg)
{
	const uint32_t types = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_DATA_MSI_IOVA;
	size_t room = set->argsz - offsetof(struct vfio_irq_set, data), size;
	unsigned int count = set->count;
	uint64_t *iova;
	int ret;

	if ((set->flags & ~types) != VFIO_IRQ_SET_ACTION_PREPARE)
		return -EINVAL;
	if (set->index != VFIO_PCI_MSI_IRQ_INDEX && set->index != VFIO_PCI_MSIX_IRQ_INDEX)
		return -EINVAL;

	switch (set->flags & types) {
	case VFIO_IRQ_SET_DATA_NONE:
		ret = forget(vdev, set);
		if (!set->count && !set->start)
			count = vfio_irq_count(vdev, set->index);
		goto update;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = sizeof(uint8_t);
		break;
	case VFIO_IRQ_SET_DATA_MSI_IOVA:
		size = sizeof(uint64_t);
		break;
	default:
		return -EINVAL;
	}
	if (room < count * size)
		return -EINVAL;
	if (!count)
		return 0;

	iova = soft_calloc(count, sizeof(*iova) + 1);
	if (!iova)
		return -ENOMEM;
	ret = collect(vdev, set, arg, iova, (uint8_t *)(iova + count));
	if (!ret)
		ret = store(vdev, set, iova, (uint8_t *)(iova + count));
	soft_free(iova);
update:
	if (!ret && vdev->irq_type == set->index)
		irq_update_vectors(vdev->irqs, set->start, count);
	return ret;
}
