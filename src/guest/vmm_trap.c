/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VMM does with the guest's accesses to a passed-through function: all goes to the device,
 * except the registers of its interrupt capability, which the library emulates.
 */
#include "guest/vmm_priv.h"

#include <errno.h>
#include <string.h>

#include "guest/pci_regs.h"

#define PCI_CAPS_MAX 48	/* that many fit into the first 256 bytes: bounds a loop in a broken list */

static uint32_t config_read(struct vmm_device *dev, unsigned int offset, unsigned int size)
{
	uint8_t bytes[4] = { 0 };

	if (db_device_config_read(dev->db, bytes, size, offset) != (ssize_t)size)
		return UINT32_MAX >> (32 - 8 * size);
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static unsigned int find_capability(struct vmm_device *dev, uint8_t id)
{
	unsigned int at, i;

	if (!(config_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAPS))
		return 0;
	at = config_read(dev, PCI_CAP_POINTER, 1) & ~3u;
	for (i = 0; at >= 0x40 && i < PCI_CAPS_MAX; i++) {
		if (config_read(dev, at, 1) == id)
			return at;
		at = config_read(dev, at + 1, 1) & ~3u;
	}
	return 0;
}

static unsigned int msi_length(uint16_t control)
{
	unsigned int len = control & PCI_MSI_CONTROL_64BIT ? 14 : 10;

	return control & PCI_MSI_CONTROL_MASKABLE ? len + 10 : len;
}

static const struct db_msi_guest_ops guest_ops = {
	.size = sizeof(guest_ops),
	.connect = vmm_irq_connect,
};

static int init_msix(struct vmm_device *dev)
{
	struct vmm_msi_regs *regs = &dev->regs;
	uint32_t table, pba;
	int err;

	table = config_read(dev, regs->cap + PCI_MSIX_TABLE, 4);
	pba = config_read(dev, regs->cap + PCI_MSIX_PBA, 4);
	regs->cap_len = PCI_MSIX_LENGTH;
	regs->table_bar = table & PCI_MSIX_BIR;
	regs->table_off = table & ~PCI_MSIX_BIR;
	regs->table_len = (uint64_t)dev->info.vectors * PCI_MSIX_ENTRY;
	regs->pba_bar = pba & PCI_MSIX_BIR;
	regs->pba_off = pba & ~PCI_MSIX_BIR;
	regs->pba_len = (dev->info.vectors + 63) / 64 * 8;
	err = db_vmsix_create(dev->msi, &guest_ops, dev, &dev->vmsix);
	return err ? vmm_fail_lib(dev->vmm, err, dev->info.address) : 0;
}

static int init_msi(struct vmm_device *dev)
{
	int err;

	dev->regs.cap_len = msi_length(config_read(dev, dev->regs.cap + PCI_MSI_CONTROL, 2));
	err = db_vmsi_create(dev->msi, &guest_ops, dev, &dev->vmsi);
	return err ? vmm_fail_lib(dev->vmm, err, dev->info.address) : 0;
}

int vmm_trap_init(struct vmm_device *dev)
{
	bool msix = dev->info.kind == DB_MSIX;

	dev->regs.cap = find_capability(dev, msix ? PCI_CAP_MSIX : PCI_CAP_MSI);
	if (!dev->regs.cap)
		return vmm_fail(dev->vmm, -EIO, "%s: the %s capability is not in its config space",
				dev->info.address, msix ? "MSI-X" : "MSI");
	return msix ? init_msix(dev) : init_msi(dev);
}

void vmm_trap_fini(struct vmm_device *dev)
{
	if (dev->vmsix)
		db_vmsix_destroy(dev->vmsix);
	if (dev->vmsi)
		db_vmsi_destroy(dev->vmsi);
	dev->vmsix = NULL;
	dev->vmsi = NULL;
}

/*
 * The guest's accesses cannot fail for it; the first host error among them is kept for who runs the
 * VM.
 */
static void trap_result(struct vmm_device *dev, int err, const char *doing)
{
	if (err >= 0 || dev->vmm->trap_error)
		return;
	dev->vmm->trap_error = err;
	vmm_fail_lib(dev->vmm, err, doing);
	report_say(&dev->vmm->config.report, "error", "%s: %s", dev->info.address, dev->vmm->why);
}

/* Is this access in the part of the emulated capability after its ID and next pointer? */
static bool in_capability(const struct vmm_device *dev, unsigned int offset)
{
	return offset >= dev->regs.cap + 2 && offset < dev->regs.cap + dev->regs.cap_len;
}

uint32_t vmm_config_read(struct vmm_device *dev, unsigned int offset, unsigned int size)
{
	if (offset == dev->regs.cap && size == 4)
		return vmm_config_read(dev, offset, 2) | vmm_config_read(dev, offset + 2, 2) << 16;
	if (!in_capability(dev, offset))
		return config_read(dev, offset, size);
	if (dev->vmsi)
		return db_vmsi_read(dev->vmsi, offset - dev->regs.cap, size);
	if (offset == dev->regs.cap + PCI_MSIX_CONTROL && size == 2)
		return db_vmsix_control_read(dev->vmsix);
	return config_read(dev, offset, size);
}

void vmm_config_write(struct vmm_device *dev, unsigned int offset, unsigned int size,
		      uint32_t value)
{
	uint8_t bytes[4] = { value, value >> 8, value >> 16, value >> 24 };

	if (offset == dev->regs.cap && size == 4) {
		/* ID and next are read-only */
		vmm_config_write(dev, offset + 2, 2, value >> 16);
	} else if (!in_capability(dev, offset)) {
		trap_result(dev, db_device_config_write(dev->db, bytes, size, offset),
			    "writing config space");
	} else if (dev->vmsi) {
		trap_result(dev, db_vmsi_write(dev->vmsi, offset - dev->regs.cap, size, value),
			    "setting MSI vectors");
	} else if (offset == dev->regs.cap + PCI_MSIX_CONTROL && size == 2) {
		trap_result(dev, db_vmsix_control_write(dev->vmsix, value),
			    "setting MSI-X vectors");
	}
}

uint64_t vmm_bar_read(struct vmm_device *dev, unsigned int bar, uint64_t offset, unsigned int size)
{
	const struct vmm_msi_regs *regs = &dev->regs;
	uint8_t bytes[8] = { 0 };
	uint64_t value = 0;
	unsigned int i;

	if (dev->vmsix && bar == regs->table_bar && offset - regs->table_off < regs->table_len)
		return db_vmsix_table_read(dev->vmsix, offset - regs->table_off, size);
	if (dev->vmsix && bar == regs->pba_bar && offset - regs->pba_off < regs->pba_len)
		return db_vmsix_pba_read(dev->vmsix, offset - regs->pba_off, size);
	if (db_device_bar_read(dev->db, bar, bytes, size, offset) != (ssize_t)size)
		return UINT64_MAX >> (64 - 8 * size);
	for (i = 0; i < size; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

void vmm_bar_write(struct vmm_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		   uint64_t value)
{
	const struct vmm_msi_regs *regs = &dev->regs;
	uint8_t bytes[8];
	unsigned int i;

	if (dev->vmsix && bar == regs->table_bar && offset - regs->table_off < regs->table_len) {
		trap_result(dev,
			    db_vmsix_table_write(dev->vmsix, offset - regs->table_off, size, value),
			    "setting an MSI-X vector");
		return;
	}
	if (dev->vmsix && bar == regs->pba_bar && offset - regs->pba_off < regs->pba_len)
		return;
	for (i = 0; i < size; i++)
		bytes[i] = value >> (8 * i);
	trap_result(dev, db_device_bar_write(dev->db, bar, bytes, size, offset),
		    "writing a register");
}
