/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SET_IRQS with VFIO_IRQ_SET_ACTION_PREPARE: which address each vector's message gets
 * (abi/native.h).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "abi/native.h"
#include "soft/alloc.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio_priv.h"

/*
 * The address that stands in the device now: for MSI, what the user wrote to the capability that he
 * sees.
 */
static uint64_t address_in_device(const struct vfio_device *vdev, unsigned int index,
				  unsigned int vector)
{
	struct pci_dev *pci = vdev->dev->pci;
	const struct pci_shape *shape = pci_dev_shape(pci);
	const uint8_t *msi = vdev->vconfig + vdev->msi_cap + PCI_MSI_ADDRESS_LO;
	uint64_t entry, address = 0;

	if (index == VFIO_PCI_MSIX_IRQ_INDEX) {
		entry = shape->msix_table_off + (uint64_t)vector * PCI_MSIX_ENTRY_SIZE;
		return pci_bar_read(pci, shape->msix_bar, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4) |
		       pci_bar_read(pci, shape->msix_bar, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4)
			       << 32;
	}
	for (unsigned int i = 0; i < (shape->msi_64bit ? 8 : 4); i++)
		address |= (uint64_t)msi[i] << (8 * i);
	return address;
}

/* What is to be set for @count vectors; @take says which. */
static int collect(const struct vfio_device *vdev, const struct vfio_irq_set *set, const void *data,
		   uint64_t *iova, uint8_t *take)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);
	bool narrow = set->index == VFIO_PCI_MSI_IRQ_INDEX && !shape->msi_64bit;

	for (unsigned int i = 0; i < set->count; i++) {
		if (set->flags & VFIO_IRQ_SET_DATA_BOOL) {
			if (copy_from_user(&take[i], (const uint8_t *)data + i, 1))
				return -EFAULT;
			if (take[i])
				iova[i] = address_in_device(vdev, set->index, set->start + i);
		} else {
			take[i] = 1;
			if (copy_from_user(&iova[i], (const char *)data + i * sizeof(*iova),
					   sizeof(*iova)))
				return -EFAULT;
		}
		if (take[i] && narrow && iova[i] >> 32)
			return -EINVAL;
	}
	return 0;
}

/*
 * Each run of neighbours is one call, the last run first: it makes room for all vectors up to its
 * own, so that those before it cannot fail for want of memory, and it is all or nothing.
 */
static int store(struct vfio_device *vdev, const struct vfio_irq_set *set, const uint64_t *iova,
		 const uint8_t *take)
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
		ret = iommufd_prepare_msi(vdev->idev, set->index, set->start + start, end - start,
					  iova + start);
		if (ret)
			return ret;
		end = start;
	}
	return 0;
}

int vfio_prepare_irqs(struct vfio_device *vdev, struct vfio_irq_set *set, const void *arg)
{
	const size_t room = set->argsz - offsetof(struct vfio_irq_set, data);
	unsigned int max = vfio_irq_count(vdev, set->index);
	uint32_t type = set->flags & ~(uint32_t)VFIO_IRQ_SET_ACTION_PREPARE;
	size_t size = type == VFIO_IRQ_SET_DATA_MSI_IOVA ? sizeof(uint64_t)
		      : type == VFIO_IRQ_SET_DATA_BOOL	 ? 1
							 : 0;
	uint64_t *iova;
	int ret;

	if (type != VFIO_IRQ_SET_DATA_NONE && !size)
		return -EINVAL;
	if (set->index != VFIO_PCI_MSI_IRQ_INDEX && set->index != VFIO_PCI_MSIX_IRQ_INDEX)
		return -EINVAL;
	if (type == VFIO_IRQ_SET_DATA_NONE && !set->start && !set->count)
		set->count = max;
	if (!set->count || set->start >= max || set->count > max - set->start ||
	    room < set->count * size)
		return -EINVAL;

	if (type == VFIO_IRQ_SET_DATA_NONE) {
		ret = iommufd_prepare_msi(vdev->idev, set->index, set->start, set->count, NULL);
		if (!ret && vdev->irq_type == set->index)
			irq_forget_vectors(vdev->irqs, set->start, set->count);
		return ret;
	}
	iova = soft_calloc(set->count, sizeof(*iova) + 1);
	if (!iova)
		return -ENOMEM;
	ret = collect(vdev, set, arg, iova, (uint8_t *)(iova + set->count));
	if (!ret)
		ret = store(vdev, set, iova, (uint8_t *)(iova + set->count));
	soft_free(iova);
	if (!ret && vdev->irq_type == set->index)
		irq_update_vectors(vdev->irqs, set->start, set->count);
	return ret;
}
