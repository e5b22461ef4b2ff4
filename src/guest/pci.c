/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's PCI code: finds the interrupt capability and programs messages as a guest kernel
 * does.
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "guest/guest_priv.h"

#define PCI_CAPS_MAX 48	/* that many fit: bounds the walk of a broken list */

unsigned int guest_pci_capability(struct vmm_device *dev, uint8_t id)
{
	unsigned int at, i;

	if (!(vmm_config_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	at = vmm_config_read(dev, PCI_CAPABILITY_LIST, 1) & ~3u;
	for (i = 0; at >= 0x40 && i < PCI_CAPS_MAX; i++) {
		if (vmm_config_read(dev, at, 1) == id)
			return at;
		at = vmm_config_read(dev, at + 1, 1) & ~3u;
	}
	return 0;
}

static unsigned int power_of_two_below(unsigned int n)
{
	return 1u << (31 - __builtin_clz(n));
}

int guest_pci_probe(struct guest_device *gd, unsigned int wanted)
{
	struct vmm_device *dev = gd->info.vmm;
	unsigned int available;
	uint32_t control;

	gd->cap = guest_pci_capability(dev, PCI_CAP_ID_MSIX);
	gd->msix = gd->cap != 0;
	if (gd->msix) {
		uint32_t table = vmm_config_read(dev, gd->cap + PCI_MSIX_TABLE, 4);

		gd->table_bar = table & PCI_MSIX_TABLE_BIR;
		gd->table_off = table & ~PCI_MSIX_TABLE_BIR;
		control = vmm_config_read(dev, gd->cap + PCI_MSIX_FLAGS, 2);
		available = (control & PCI_MSIX_FLAGS_QSIZE) + 1;
	} else {
		gd->cap = guest_pci_capability(dev, PCI_CAP_ID_MSI);
		if (!gd->cap)
			return guest_fail(&gd->guest->base, -EOPNOTSUPP,
					  "the device has neither MSI-X nor MSI");
		control = vmm_config_read(dev, gd->cap + PCI_MSI_FLAGS, 2);
		available = 1u << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
	}
	if (wanted > available)
		return guest_fail(&gd->guest->base, -EINVAL, "%s has %u %s vectors, not %u",
				  vmm_device_info(dev)->address, available,
				  gd->msix ? "MSI-X" : "MSI", wanted);
	gd->info.vectors = wanted ? wanted : available;
	if (!gd->msix)
		gd->info.vectors = power_of_two_below(gd->info.vectors);
	return 0;
}

void guest_pci_enable(struct guest_device *gd)
{
	uint32_t command = vmm_config_read(gd->info.vmm, PCI_COMMAND, 2);

	vmm_config_write(gd->info.vmm, PCI_COMMAND, 2,
			 command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}

void guest_pci_disable(struct guest_device *gd)
{
	uint32_t command = vmm_config_read(gd->info.vmm, PCI_COMMAND, 2);

	vmm_config_write(gd->info.vmm, PCI_COMMAND, 2, command & ~PCI_COMMAND_MASTER);
}

static void write_entry(struct guest_device *gd, unsigned int index, unsigned int field,
			uint32_t value)
{
	vmm_bar_write(gd->info.vmm, gd->table_bar, gd->table_off + index * PCI_MSIX_ENTRY_SIZE + field,
		      4, value);
}

static void write_address(struct guest_device *gd, unsigned int index, uint64_t giova)
{
	write_entry(gd, index, PCI_MSIX_ENTRY_LOWER_ADDR, giova);
	write_entry(gd, index, PCI_MSIX_ENTRY_UPPER_ADDR, giova >> 32);
}

/*
 * Masks all by the function mask, which is in force at once; then entry by entry, for which the
 * function mask is lifted only when all messages are complete; a vector is unmasked when its
 * interrupt is requested.
 */
static void msix_on(struct guest_device *gd)
{
	struct vmm_device *dev = gd->info.vmm;
	uint32_t control =
		vmm_config_read(dev, gd->cap + PCI_MSIX_FLAGS, 2) & ~PCI_MSIX_FLAGS_MASKALL;
	unsigned int i;

	vmm_config_write(dev, gd->cap + PCI_MSIX_FLAGS, 2,
			 control | PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (i = 0; i < gd->info.vectors; i++) {
		write_entry(gd, i, PCI_MSIX_ENTRY_VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
		write_address(gd, i, gd->info.giova);
		write_entry(gd, i, PCI_MSIX_ENTRY_DATA, gd->info.first_event + i);
	}
	vmm_config_write(dev, gd->cap + PCI_MSIX_FLAGS, 2, control | PCI_MSIX_FLAGS_ENABLE);
	for (i = 0; i < gd->info.vectors; i++)
		write_entry(gd, i, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
}

static void msix_off(struct guest_device *gd)
{
	uint32_t control = vmm_config_read(gd->info.vmm, gd->cap + PCI_MSIX_FLAGS, 2);
	unsigned int i;

	for (i = 0; i < gd->info.vectors; i++)
		write_entry(gd, i, PCI_MSIX_ENTRY_VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
	vmm_config_write(gd->info.vmm, gd->cap + PCI_MSIX_FLAGS, 2,
			 control & ~PCI_MSIX_FLAGS_ENABLE);
}

/* Where the data stands in the MSI capability, and after it the mask bits. */
static unsigned int msi_data(const struct guest_device *gd, uint32_t control)
{
	return gd->cap + PCI_MSI_ADDRESS_LO + (control & PCI_MSI_FLAGS_64BIT ? 8 : 4);
}

static int write_msi_address(struct guest_device *gd, uint32_t control, uint64_t giova)
{
	bool wide = control & PCI_MSI_FLAGS_64BIT;

	if (!wide && giova >> 32)
		return guest_fail(&gd->guest->base, -EOPNOTSUPP,
				  "the device's MSI takes 32-bit addresses, and gIOVA 0x%llx is "
				  "none",
				  (unsigned long long)giova);
	vmm_config_write(gd->info.vmm, gd->cap + PCI_MSI_ADDRESS_LO, 4, giova);
	if (wide)
		vmm_config_write(gd->info.vmm, gd->cap + PCI_MSI_ADDRESS_LO + 4, 4, giova >> 32);
	return 0;
}

static int msi_on(struct guest_device *gd)
{
	struct vmm_device *dev = gd->info.vmm;
	uint32_t control = vmm_config_read(dev, gd->cap + PCI_MSI_FLAGS, 2);
	unsigned int data = msi_data(gd, control);
	int err;

	control &= ~PCI_MSI_FLAGS_ENABLE;
	control &= ~PCI_MSI_FLAGS_QSIZE;
	control |= (31 - __builtin_clz(gd->info.vectors)) << 4;
	vmm_config_write(dev, gd->cap + PCI_MSI_FLAGS, 2, control);
	if (control & PCI_MSI_FLAGS_MASKBIT)
		vmm_config_write(dev, data + 4, 4, UINT32_MAX >> (32 - gd->info.vectors));
	err = write_msi_address(gd, control, gd->info.giova);
	if (err)
		return err;
	vmm_config_write(dev, data, 2, gd->info.first_event);
	vmm_config_write(dev, gd->cap + PCI_MSI_FLAGS, 2, control | PCI_MSI_FLAGS_ENABLE);
	if (control & PCI_MSI_FLAGS_MASKBIT)
		vmm_config_write(dev, data + 4, 4, 0);
	return 0;
}

static void msi_off(struct guest_device *gd)
{
	uint32_t control = vmm_config_read(gd->info.vmm, gd->cap + PCI_MSI_FLAGS, 2);

	vmm_config_write(gd->info.vmm, gd->cap + PCI_MSI_FLAGS, 2,
			 control & ~PCI_MSI_FLAGS_ENABLE);
}

int guest_pci_irqs_on(struct guest_device *gd)
{
	int err = 0;

	if (gd->msix)
		msix_on(gd);
	else
		err = msi_on(gd);
	if (err)
		return err;
	/* What a guest would only notice by its silence, we can ask the VMM for. */
	err = vmm_trap_error(gd->guest->base.vmm);
	return err ? guest_fail(&gd->guest->base, err, "%s", vmm_why(gd->guest->base.vmm)) : 0;
}

void guest_pci_irqs_off(struct guest_device *gd)
{
	if (gd->msix)
		msix_off(gd);
	else
		msi_off(gd);
}

int guest_pci_mask(struct guest_device *gd, unsigned int vector, bool masked)
{
	struct vmm_device *dev = gd->info.vmm;
	uint32_t control, bits;
	unsigned int at;

	if (gd->msix) {
		write_entry(gd, vector, PCI_MSIX_ENTRY_VECTOR_CTRL, masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
	} else {
		control = vmm_config_read(dev, gd->cap + PCI_MSI_FLAGS, 2);
		if (!(control & PCI_MSI_FLAGS_MASKBIT))
			return guest_fail(&gd->guest->base, -EOPNOTSUPP,
					  "%s: its MSI cannot be masked by vector",
					  vmm_device_info(dev)->address);
		at = msi_data(gd, control) + 4;
		bits = vmm_config_read(dev, at, 4) & ~(1u << vector);
		vmm_config_write(dev, at, 4, bits | (uint32_t)masked << vector);
	}
	gd->vectors[vector].masked = masked;
	return 0;
}

void guest_pci_mask_function(struct guest_device *gd, bool masked)
{
	unsigned int at = gd->cap + PCI_MSIX_FLAGS;
	uint32_t control = vmm_config_read(gd->info.vmm, at, 2) & ~PCI_MSIX_FLAGS_MASKALL;

	vmm_config_write(gd->info.vmm, at, 2, control | (masked ? PCI_MSIX_FLAGS_MASKALL : 0));
}

/* An MSI-X entry changes only while it is masked (PCIe §6.1.4.2). */
int guest_pci_readdress(struct guest_device *gd, unsigned int vector, uint64_t giova)
{
	struct vmm_device *dev = gd->info.vmm;
	bool masked = gd->vectors[vector].masked;
	uint32_t control;
	int err;

	if (gd->msix) {
		guest_pci_mask(gd, vector, true);
		write_address(gd, vector, giova);
		guest_pci_mask(gd, vector, masked);
	} else {
		control = vmm_config_read(dev, gd->cap + PCI_MSI_FLAGS, 2);
		err = write_msi_address(gd, control, giova);
		if (err)
			return err;
	}
	/* The answer to a read pushes the device's writes before it (PCIe §2.4.1). */
	vmm_config_read(dev, PCI_COMMAND, 2);
	return 0;
}
