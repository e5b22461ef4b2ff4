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

/* Of an address: the page. The rest comes from the doorbell. */
#define PAGE_BITS (~0xfffull)

#define PREPARE VFIO_IRQ_SET_ACTION_PREPARE

bool vfio_can_prepare(const struct vfio_device *vdev, unsigned int index)
{
	return (index == VFIO_PCI_MSI_IRQ_INDEX || index == VFIO_PCI_MSIX_IRQ_INDEX) &&
	       vfio_irq_count(vdev, index) && iommufd_can_prepare_msi(vdev->idev);
}

/* Where the payload of each kind begins in the argument, and how long it is for a vector. */
static int payload(uint32_t flags, size_t *start, size_t *each)
{
	*start = offsetof(struct vfio_irq_set, data);
	switch (flags) {
	case VFIO_IRQ_SET_DATA_NONE | PREPARE:
		*each = 0;
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL | PREPARE:
		*each = 1;
		return 0;
	case VFIO_IRQ_SET_DATA_MSI_IOVA | PREPARE:
		*start = offsetof(struct vfio_irq_set_msi_iova, iova);
		*each = sizeof(uint64_t);
		return 0;
	default:
		return -EINVAL;
	}
}

static int check(const struct vfio_device *vdev, struct vfio_irq_set *set)
{
	unsigned int max = vfio_irq_count(vdev, set->index);
	size_t start, each;
	int ret;

	ret = payload(set->flags, &start, &each);
	if (ret)
		return ret;
	if (set->index != VFIO_PCI_MSI_IRQ_INDEX && set->index != VFIO_PCI_MSIX_IRQ_INDEX)
		return -EINVAL;
	if (!each && !set->start && !set->count)
		set->count = max;
	if (!set->count || set->start >= max || set->count > max - set->start ||
	    set->argsz < start + set->count * each)
		return -EINVAL;
	/* There is one register. */
	if (set->index == VFIO_PCI_MSI_IRQ_INDEX && set->start)
		return -EINVAL;
	return iommufd_can_prepare_msi(vdev->idev) ? 0 : -EOPNOTSUPP;
}

/* What stands in the table entry; -EIO: the device does not answer. */
static int address_in_table(const struct vfio_device *vdev, unsigned int vector, uint64_t *address)
{
	struct pci_dev *pci = vdev->dev->pci;
	const struct pci_shape *shape = pci_dev_shape(pci);
	uint64_t entry = shape->msix_table_off + (uint64_t)vector * PCI_MSIX_ENTRY_SIZE;

	if (!vfio_memory_enabled(vdev))
		return -EIO;
	*address = pci_bar_read(pci, shape->msix_bar, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4) |
		   pci_bar_read(pci, shape->msix_bar, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4) << 32;
	return *address == UINT64_MAX ? -EIO : 0;
}

/* What the user wrote to the capability that he sees. */
static uint64_t address_in_capability(const struct vfio_device *vdev)
{
	const uint8_t *msi = vdev->vconfig + vdev->msi_cap + PCI_MSI_ADDRESS_LO;
	unsigned int size = pci_dev_shape(vdev->dev->pci)->msi_64bit ? 8 : 4;
	uint64_t address = 0;

	for (unsigned int i = 0; i < size; i++)
		address |= (uint64_t)msi[i] << (8 * i);
	return address;
}

/* DATA_BOOL: the addresses of the vectors that @take names. */
static int collect_from_device(const struct vfio_device *vdev, const struct vfio_irq_set *set,
			       uint64_t *iova, const uint8_t *take)
{
	int ret = vdev->asleep ? -EIO : 0;

	for (unsigned int i = 0; i < set->count && !ret; i++) {
		if (set->index == VFIO_PCI_MSI_IRQ_INDEX)
			iova[i] = address_in_capability(vdev);
		else if (take[i])
			ret = address_in_table(vdev, set->start + i, &iova[i]);
	}
	return ret;
}

/* DATA_MSI_IOVA: what stands in the argument, for all of them. */
static int collect_given(const struct vfio_device *vdev, const struct vfio_irq_set *set,
			 const void *arg, uint64_t *iova, uint8_t *take)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);
	const struct vfio_irq_set_msi_iova *given = arg;
	uint32_t reserved;

	if (copy_from_user(&reserved, &given->__reserved, sizeof(reserved)) ||
	    copy_from_user(iova, given->iova, set->count * sizeof(*iova)))
		return -EFAULT;
	memset(take, 1, set->count);
	for (unsigned int i = 0; i < set->count && set->index == VFIO_PCI_MSI_IRQ_INDEX; i++)
		if ((iova[i] ^ iova[0]) & PAGE_BITS || (!shape->msi_64bit && iova[i] >> 32))
			return -EINVAL;
	return reserved ? -EINVAL : 0;
}

/* The last run of neighbours in [0, *end) that @take names: from *end on, whose length it returns. */
static unsigned int last_run(const uint8_t *take, unsigned int *end)
{
	unsigned int last;

	while (*end && !take[*end - 1])
		--*end;
	for (last = *end; *end && take[*end - 1];)
		--*end;
	return last - *end;
}

/*
 * The last run first: it makes room for all vectors up to its own, so that those before it cannot
 * fail for want of memory, and it is all or nothing.
 */
static int store(struct vfio_device *vdev, const struct vfio_irq_set *set, const uint64_t *iova,
		 const uint8_t *take)
{
	bool enabled = vdev->irq_type == set->index;
	unsigned int at, n;
	int ret;

	for (at = set->count; enabled && (n = last_run(take, &at));)
		if (!irq_can_update(vdev->irqs, set->start + at, n))
			return -EIO;
	for (at = set->count; (n = last_run(take, &at));) {
		ret = iommufd_prepare_msi(vdev->idev, set->index, set->start + at, n, iova + at);
		if (ret)
			return ret;
		if (enabled)
			irq_update_vectors(vdev->irqs, set->start + at, n);
	}
	return 0;
}

/* Some vector among them is to have the one address of a plain MSI capability. */
static void reduce_to_one(struct vfio_irq_set *set, uint8_t *take)
{
	take[0] = !!memchr(take, 1, set->count);
	set->count = 1;
}

static int prepare(struct vfio_device *vdev, struct vfio_irq_set *set, const void *arg,
		   uint64_t *iova, uint8_t *take)
{
	int ret;

	if (set->flags & VFIO_IRQ_SET_DATA_BOOL) {
		if (copy_from_user(take, ((const struct vfio_irq_set *)arg)->data, set->count))
			return -EFAULT;
		for (unsigned int i = 0; i < set->count; i++)
			take[i] = !!take[i];
		ret = collect_from_device(vdev, set, iova, take);
	} else {
		ret = collect_given(vdev, set, arg, iova, take);
	}
	if (ret)
		return ret;
	if (set->index == VFIO_PCI_MSI_IRQ_INDEX)
		reduce_to_one(set, take);
	return store(vdev, set, iova, take);
}

int vfio_prepare_irqs(struct vfio_device *vdev, struct vfio_irq_set *set, const void *arg)
{
	uint64_t *iova;
	int ret;

	ret = check(vdev, set);
	if (ret)
		return ret;
	if (!(set->flags & (VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_MSI_IOVA))) {
		ret = iommufd_prepare_msi(vdev->idev, set->index, set->start, set->count, NULL);
		if (!ret && vdev->irq_type == set->index)
			irq_forget_vectors(vdev->irqs, set->start, set->count);
		return ret;
	}
	iova = soft_calloc(set->count, sizeof(*iova) + 1);
	if (!iova)
		return -ENOMEM;
	ret = prepare(vdev, set, arg, iova, (uint8_t *)(iova + set->count));
	soft_free(iova);
	return ret;
}
