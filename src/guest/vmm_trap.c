/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VMM does with the guest's accesses to a passed-through function: they are db_vpci's. */
#include "guest/vmm_priv.h"

static const struct db_msi_guest_ops guest_ops = {
	.size = sizeof(guest_ops),
	.connect = vmm_irq_connect,
};

int vmm_trap_init(struct vmm_device *dev)
{
	bool msix = dev->info.kind == DB_MSIX;
	struct db_vpci_config config = DB_SIZED(struct db_vpci_config,
		.dev = dev->db,
		.msi = msix ? NULL : dev->msi,
		.msix = msix ? dev->msi : NULL,
		.msi_ops = &guest_ops,
		.ctx = dev);
	int err;

	err = db_vpci_create(&config, &dev->vpci);
	return err ? vmm_fail_lib(dev->vmm, err, dev->info.address) : 0;
}

void vmm_trap_fini(struct vmm_device *dev)
{
	db_vpci_destroy(dev->vpci);
	dev->vpci = NULL;
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

uint32_t vmm_config_read(struct vmm_device *dev, unsigned int offset, unsigned int size)
{
	return db_vpci_config_read(dev->vpci, offset, size);
}

void vmm_config_write(struct vmm_device *dev, unsigned int offset, unsigned int size,
		      uint32_t value)
{
	trap_result(dev, db_vpci_config_write(dev->vpci, offset, size, value),
		    "writing config space");
}

uint64_t vmm_bar_read(struct vmm_device *dev, unsigned int bar, uint64_t offset, unsigned int size)
{
	return db_vpci_bar_read(dev->vpci, bar, offset, size);
}

void vmm_bar_write(struct vmm_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		   uint64_t value)
{
	trap_result(dev, db_vpci_bar_write(dev->vpci, bar, offset, size, value),
		    "writing a register");
}
