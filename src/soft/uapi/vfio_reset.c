/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reset of a vfio-pci device as the kernel does it: what the kernel set up survives, what the user
 * set up in the device does not.
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "soft/uapi/vfio_priv.h"

void vfio_reset_device(struct vfio_device *vdev)
{
	struct pci_dev *pci = vdev->dev->pci;
	uint32_t command, devctl = 0, devctl2 = 0, cache_line;

	vfio_wake(vdev);
	/* No access is under way, and none sees the device without its BARs. */
	pthread_rwlock_wrlock(&vdev->dev->access);
	command = pci_config_read(pci, PCI_COMMAND, 2);
	cache_line = pci_config_read(pci, PCI_CACHE_LINE_SIZE, 2);
	if (vdev->exp_cap) {
		devctl = pci_config_read(pci, vdev->exp_cap + PCI_EXP_DEVCTL, 2);
		devctl2 = pci_config_read(pci, vdev->exp_cap + PCI_EXP_DEVCTL2, 2);
	}
	pci_config_write(pci, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	pci_dev_reset(pci);

	if (vdev->exp_cap) {
		pci_config_write(pci, vdev->exp_cap + PCI_EXP_DEVCTL, 2,
				 devctl & ~PCI_EXP_DEVCTL_BCR_FLR);
		pci_config_write(pci, vdev->exp_cap + PCI_EXP_DEVCTL2, 2, devctl2);
	}
	for (unsigned int bar = 0; bar < PCI_BARS; bar++)
		pci_config_write(pci, PCI_BASE_ADDRESS_0 + 4 * bar, 4, vdev->bars[bar]);
	pci_config_write(pci, PCI_CACHE_LINE_SIZE, 2, cache_line);
	pci_config_write(pci, PCI_COMMAND, 2, command);
	irq_restore(vdev->irqs);
	pthread_rwlock_unlock(&vdev->dev->access);
}

int vfio_reset(struct vfio_device *vdev)
{
	if (!vdev->reset_works)
		return -EINVAL;
	vfio_reset_device(vdev);
	return 0;
}
