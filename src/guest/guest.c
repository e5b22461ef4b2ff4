/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "guest/guest_priv.h"

#define PATIENCE_MS 4000

static const struct guest_driver *const drivers[] = {
	&guest_driver_nvme, &guest_driver_bell, &guest_driver_edu, &guest_driver_igb,
};

const char *guest_why(const struct guest *guest)
{
	return guest->base.why;
}

static int add_smmu(struct guest *guest, unsigned int index)
{
	return guest_smmu_init(&guest->smmus[index], &guest->base, index);
}

int guest_create(const struct guest_config *config, struct guest **out)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	unsigned int i;
	int err;

	if (!guest)
		return -ENOMEM;
	*out = guest;
	guest->base.report = config->report;
	guest->base.granule_shift = config->granule_shift;
	guest->base.vmm = config->vmm;
	guest->base.next_asid = 1;
	guest->patience_ms = PATIENCE_MS;
	err = gmem_init(&guest->base.mem, config->vmm, config->ram_size);
	if (err)
		return guest_fail(&guest->base, err, "out of memory");
	vmm_set_cpu(guest->base.vmm, &guest_cpu_ops, guest);
	for (i = 0; i < vmm_device_count(guest->base.vmm); i++) {
		err = add_smmu(guest, vmm_device_info(vmm_device(guest->base.vmm, i))->smmu);
		if (err)
			return err;
	}
	if (!guest->base.granule_shift)
		guest->base.granule_shift = guest_smmu_granule(&guest->smmus[0]);
	return 0;
}

void guest_destroy(struct guest *guest)
{
	while (guest->n_devices)
		guest_device_remove(guest->devices[guest->n_devices - 1]);
	vmm_set_cpu(guest->base.vmm, NULL, NULL);
	gmem_fini(&guest->base.mem);
	free(guest->lpis);
	free(guest);
}

static const struct guest_driver *find_driver(struct vmm_device *dev)
{
	uint16_t vendor = vmm_config_read(dev, PCI_VENDOR_ID, 2),
		 device = vmm_config_read(dev, PCI_DEVICE_ID, 2);
	uint32_t class_code = vmm_config_read(dev, PCI_CLASS_REVISION, 4) >> 8;
	size_t i;

	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (drivers[i]->match(vendor, device, class_code))
			return drivers[i];
	return NULL;
}

/* Messages: EventIDs, the doorbell's gIOVA, then the device's registers. */
static int setup_interrupts(struct guest_device *gd)
{
	const struct vmm_device_info *info = vmm_device_info(gd->info.vmm);
	uint64_t translater = info->doorbell_ipa + VMM_ITS_TRANSLATER;
	unsigned int i;
	int err;

	err = guest_its_alloc(gd);
	if (err)
		return err;
	for (i = 0; i < gd->info.vectors; i++) {
		err = dma_msi_get(&gd->domain, translater, &gd->info.giova);
		if (err) {
			while (i-- > 0)
				dma_msi_put(&gd->domain, translater);
			return err;
		}
	}
	gd->msi_mapped = true;
	err = guest_pci_irqs_on(gd);
	gd->irqs_on = true;	/* also when only some are */
	return err;
}

static int boot_device(struct guest_device *gd, unsigned int vectors)
{
	struct guest *guest = gd->guest;
	const struct vmm_device_info *info = vmm_device_info(gd->info.vmm);
	int err;

	err = guest_pci_probe(gd, vectors);
	if (err)
		return err;
	gd->vectors = calloc(gd->info.vectors, sizeof(*gd->vectors));
	if (!gd->vectors)
		return guest_fail(&guest->base, -ENOMEM, "out of memory");
	err = dma_init(&gd->domain, &guest->base, &guest->smmus[info->smmu], gd->info.vmm,
		       gd->driver->dma_bits);
	if (err)
		return err;
	gd->domain_ready = true;
	err = guest_smmu_attach(&gd->domain);
	if (err)
		return err;
	gd->attached = true;
	report_say(&guest->base.report, "S1",
		   "%s: guest's own tables at IPA 0x%llx (%uK granule, %u-bit gIOVAs), ASID %u, CD "
		   "at 0x%llx",
		   info->address, (unsigned long long)gd->domain.table.root,
		   1u << (gd->info.granule_shift - 10), gd->domain.table.format.ia_bits,
		   gd->domain.asids[0], (unsigned long long)gd->domain.cd);
	guest_pci_enable(gd);
	err = setup_interrupts(gd);
	if (err)
		return err;
	return gd->driver->start(gd);
}

int guest_device_add(struct guest *guest, struct vmm_device *dev, unsigned int vectors,
		     struct guest_device **out)
{
	const struct guest_driver *driver = find_driver(dev);
	struct guest_device *gd;
	int err;

	if (!driver)
		return guest_fail(&guest->base, -ENODEV,
				  "%s (%04x:%04x, class %06x): the guest has drivers for NVMe "
				  "controllers, the test device bell, QEMU's edu "
				  "and igb only",
				  vmm_device_info(dev)->address,
				  vmm_config_read(dev, PCI_VENDOR_ID, 2),
				  vmm_config_read(dev, PCI_DEVICE_ID, 2),
				  vmm_config_read(dev, PCI_CLASS_REVISION, 4) >> 8);
	if (guest->n_devices == VMM_DEVICES)
		return guest_fail(&guest->base, -ENOSPC, "no more than %u devices", VMM_DEVICES);
	gd = calloc(1, sizeof(*gd));
	if (!gd)
		return guest_fail(&guest->base, -ENOMEM, "out of memory");
	gd->guest = guest;
	gd->driver = driver;
	gd->info.driver = driver->name;
	gd->info.vmm = dev;
	gd->info.granule_shift = guest->base.granule_shift;
	guest->devices[guest->n_devices++] = gd;
	err = boot_device(gd, vectors);
	if (err) {
		gd->driver = NULL;	/* not started: nothing to stop */
		guest_device_remove(gd);
		return err;
	}
	*out = gd;
	return 0;
}

void guest_device_remove(struct guest_device *gd)
{
	struct guest *guest = gd->guest;
	unsigned int i;

	if (gd->driver)
		gd->driver->stop(gd);
	guest_pci_disable(gd);
	if (gd->irqs_on)
		guest_pci_irqs_off(gd);
	for (i = 0; gd->msi_mapped && i < gd->info.vectors; i++)
		dma_msi_put(&gd->domain,
			    vmm_device_info(gd->info.vmm)->doorbell_ipa + VMM_ITS_TRANSLATER);
	if (gd->attached)
		guest_smmu_detach(&gd->domain);
	if (gd->domain_ready)
		dma_fini(&gd->domain);
	guest_its_free(gd);
	for (i = 0; i < guest->n_devices; i++)
		if (guest->devices[i] == gd)
			break;
	guest->n_devices--;
	memmove(guest->devices + i, guest->devices + i + 1,
		(guest->n_devices - i) * sizeof(guest->devices[0]));
	free(gd->vectors);
	free(gd);
}

const struct guest_device_info *guest_device_info(const struct guest_device *gd)
{
	return &gd->info;
}

bool guest_device_masked(const struct guest_device *gd, unsigned int vector)
{
	return gd->vectors[vector].masked;
}

void guest_stream_table(const struct guest *guest, unsigned int smmu, uint64_t *ipa,
			unsigned int *log2_size)
{
	*ipa = guest->smmus[smmu].strtab;
	*log2_size = GUEST_STRTAB_LOG2;
}

struct arm_mem guest_arm_mem(struct guest *guest)
{
	return gmem_arm(&guest->base.mem);
}

int guest_device_begin(struct guest_device *gd, struct guest_io *io)
{
	io->is_disk = false;
	io->bytes = 0;
	gd->io = io;
	gd->job = 0;
	return gd->driver->begin ? gd->driver->begin(gd) : 0;
}

int guest_device_step(struct guest_device *gd)
{
	return gd->driver->step(gd);
}

void guest_device_end(struct guest_device *gd)
{
	if (gd->driver->end)
		gd->driver->end(gd);
	gd->io = NULL;
}

int guest_device_run(struct guest_device *gd, struct guest_io *io)
{
	int err = guest_device_begin(gd, io);

	if (!err)
		do {
			err = guest_device_step(gd);
		} while (err > 0);
	guest_device_end(gd);
	return err;
}
