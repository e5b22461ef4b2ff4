/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMM's life: devices, mode, stage 2, vIOMMUs, interrupts; and its end in the reverse order. */
#include "guest/vmm_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/mman.h>
#include <sys/mman.h>

int vmm_fail(struct vmm *vmm, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(vmm->why, sizeof(vmm->why), format, args);
	va_end(args);
	return err;
}

int vmm_fail_lib(struct vmm *vmm, int err, const char *doing)
{
	const char *why = db_error_message();

	/* the library names the device itself, as a rule */
	return strstr(why, doing) ? vmm_fail(vmm, err, "%s", why)
				  : vmm_fail(vmm, err, "%s: %s", doing, why);
}

const char *vmm_why(const struct vmm *vmm)
{
	return vmm->why[0] ? vmm->why : db_error_message();
}

int vmm_trap_error(struct vmm *vmm)
{
	int err = vmm->trap_error;

	vmm->trap_error = 0;
	return err;
}

int vmm_create(const struct vmm_config *config, struct vmm **out)
{
	struct vmm *vmm = calloc(1, sizeof(*vmm));
	int err;

	if (!vmm)
		return -ENOMEM;
	vmm->config = *config;
	vmm->epoll = -1;
	*out = vmm;	/* also when this fails: it keeps the reason */

	vmm->events = calloc(VMM_EVENTS, sizeof(*vmm->events));
	if (!vmm->events)
		return vmm_fail(vmm, -ENOMEM, "out of memory");
	err = vmm_irq_init(vmm);
	if (err)
		return err;
	err = db_host_open(config->sys, &vmm->host);
	if (err)
		return vmm_fail_lib(vmm, err, "opening the host");
	return 0;
}

static void device_free(struct vmm_device *dev)
{
	vmm_trap_fini(dev);
	if (dev->msi)
		db_msi_destroy(dev->msi);
	vmm_irq_close(dev);
	free(dev->lpis);
	free(dev->vectors);
	dev->msi = NULL;
	dev->lpis = NULL;
	dev->vectors = NULL;
}

void vmm_destroy(struct vmm *vmm)
{
	unsigned int i;

	for (i = vmm->n_devices; i-- > 0;)
		device_free(vmm->devices[i]);
	for (i = vmm->n_devices; i-- > 0;) {
		struct vmm_device *dev = vmm->devices[i];

		if (dev->info.smmu < vmm->n_smmus)
			db_vsmmu_remove_device(vmm->smmus[dev->info.smmu].vsmmu, dev->db);
	}
	for (i = vmm->n_smmus; i-- > 0;)
		db_vsmmu_destroy(vmm->smmus[i].vsmmu);
	if (vmm->ram_mapped)
		db_space_unmap(vmm->space, vmm->ram_base, vmm->config.ram_size);
	if (vmm->space)
		db_space_destroy(vmm->space);
	for (i = vmm->n_devices; i-- > 0;) {
		db_device_close(vmm->devices[i]->db);
		free(vmm->devices[i]);
	}
	if (vmm->ram_raw)
		munmap(vmm->ram_raw, vmm->config.ram_size + VMM_RAM_ALIGN);
	vmm_irq_fini(vmm);
	if (vmm->host)
		db_host_close(vmm->host);
	free(vmm->events);
	free(vmm);
}

int vmm_add(struct vmm *vmm, const char *address, struct vmm_device **out)
{
	struct vmm_device *dev;
	int err;

	if (vmm->n_devices == VMM_DEVICES)
		return vmm_fail(vmm, -ENOSPC, "no more than %u devices", VMM_DEVICES);
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return vmm_fail(vmm, -ENOMEM, "out of memory");
	err = db_device_open(vmm->host, address, vmm->config.open_flags, &dev->db);
	if (err) {
		free(dev);
		return vmm_fail_lib(vmm, err, address);
	}
	dev->info.caps.size = sizeof(dev->info.caps);
	err = db_device_caps(dev->db, &dev->info.caps);
	if (err) {
		vmm_fail_lib(vmm, err, address);
		db_device_close(dev->db);
		free(dev);
		return err;
	}
	dev->vmm = vmm;
	dev->index = vmm->n_devices;
	dev->info.address = db_device_address(dev->db);
	/*
	 * From the guest's bus 0 on, device 1, 2, ...: requester ID, StreamID and DeviceID are the same
	 * number there.
	 */
	dev->info.stream_id = dev->info.device_id = (dev->index + 1) << 3;
	dev->info.smmu = UINT32_MAX;
	dev->info.kind = dev->info.caps.msix_vectors ? DB_MSIX : DB_MSI;
	dev->info.vectors = dev->info.caps.msix_vectors ? dev->info.caps.msix_vectors
							: dev->info.caps.msi_vectors;
	vmm->devices[vmm->n_devices++] = dev;
	if (out)
		*out = dev;
	return 0;
}

/* The mode is one for the whole VM: a guest either has RMRs in its firmware tables or has not. */
static int choose_mode(struct vmm *vmm)
{
	unsigned int mode, i;

	for (i = 0; i < vmm->n_devices; i++) {
		const struct vmm_device_info *info = &vmm->devices[i]->info;

		if (!info->vectors)
			return vmm_fail(vmm, -EOPNOTSUPP,
					"%s has neither MSI nor MSI-X: nothing to pass through",
					info->address);
		if (vmm->config.mode != DB_MODE_AUTO && !info->caps.mode[vmm->config.mode])
			return vmm_fail(vmm, -EOPNOTSUPP, "%s: mode %s is not possible: %s",
					info->address, db_mode_name(vmm->config.mode),
					info->caps.why_not[vmm->config.mode]);
	}
	if (vmm->config.mode != DB_MODE_AUTO) {
		vmm->mode = vmm->config.mode;
		return 0;
	}
	for (mode = DB_MODE_AUTO + 1; mode < DB_MODE_COUNT; mode++) {
		for (i = 0; i < vmm->n_devices; i++)
			if (!vmm->devices[i]->info.caps.mode[mode])
				break;
		if (i == vmm->n_devices) {
			vmm->mode = mode;
			return 0;
		}
	}
	for (i = 0; i < vmm->n_devices - 1; i++)
		if (!vmm->devices[i]->info.caps.mode[DB_MODE_RMR])
			break;
	return vmm_fail(vmm, -EOPNOTSUPP,
			"%s: no mode is possible; the one that needs least, %s, is not because: %s",
			vmm->devices[i]->info.address, db_mode_name(DB_MODE_RMR),
			vmm->devices[i]->info.caps.why_not[DB_MODE_RMR]);
}

/* In huge pages where the host has enough to spare: stage 2 is made of blocks then. */
static void *allocate_ram(uint64_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, huge = MAP_HUGETLB | MAP_HUGE_2MB;
	void *ram = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | huge, -1, 0);

	if (ram != MAP_FAILED)
		return ram;
	return mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, -1, 0);
}

static int map_ram(struct vmm *vmm)
{
	uint64_t size = vmm->config.ram_size;
	int err;

	vmm->ram_raw = allocate_ram(size + VMM_RAM_ALIGN);
	if (vmm->ram_raw == MAP_FAILED) {
		vmm->ram_raw = NULL;
		return vmm_fail(vmm, -ENOMEM, "no memory for the guest's RAM");
	}
	vmm->ram = (void *)(((uintptr_t)vmm->ram_raw + VMM_RAM_ALIGN - 1) & ~(VMM_RAM_ALIGN - 1));
	err = db_space_map(vmm->space, vmm->ram_base, vmm->ram, size, DB_READ | DB_WRITE);
	if (err)
		return vmm_fail_lib(vmm, err, "mapping the guest's RAM into stage 2");
	vmm->ram_mapped = true;
	report_say(&vmm->config.report, "S2", "0x%llx..0x%llx -> guest RAM, %llu MiB",
		   (unsigned long long)vmm->ram_base,
		   (unsigned long long)(vmm->ram_base + size - 1),
		   (unsigned long long)(size >> 20));
	return 0;
}

static int make_msi(struct vmm *vmm, struct vmm_device *dev)
{
	struct db_msi_config config = {
		.size = sizeof(config),
		.dev = dev->db,
		.space = vmm->space,
		.mode = vmm->mode,
		.kind = dev->info.kind,
		.doorbell_ipa = dev->info.doorbell_ipa,
		.fall_through = vmm->config.fall_through,
	};
	unsigned int i;
	int err;

	dev->lpis = calloc(VMM_ITS_EVENTS, sizeof(*dev->lpis));
	dev->vectors = calloc(dev->info.vectors, sizeof(*dev->vectors));
	if (!dev->lpis || !dev->vectors)
		return vmm_fail(vmm, -ENOMEM, "out of memory");
	for (i = 0; i < dev->info.vectors; i++)
		dev->vectors[i].eventfd = -1;
	err = db_msi_create(&config, &dev->msi);
	if (err)
		return vmm_fail_lib(vmm, err, dev->info.address);
	if (vmm->mode == DB_MODE_NATIVE)
		report_say(&vmm->config.report, "S2", "0x%llx -> MSI doorbell %llu of %s",
			   (unsigned long long)dev->info.doorbell_ipa,
			   (unsigned long long)dev->info.caps.doorbell.id, dev->info.address);
	return vmm_trap_init(dev);
}

int vmm_realize(struct vmm *vmm)
{
	unsigned int i;
	int err;

	if (!vmm->n_devices)
		return vmm_fail(vmm, -ENOENT, "no device was given");
	err = choose_mode(vmm);
	if (err)
		return err;
	err = vmm_layout(vmm);
	if (err)
		return err;
	err = db_space_create(vmm->host, &vmm->space);
	if (err)
		return vmm_fail_lib(vmm, err, "creating the guest-physical space");
	err = map_ram(vmm);
	for (i = 0; !err && i < vmm->n_devices; i++)
		err = vmm_smmu_add(vmm, vmm->devices[i]);
	for (i = 0; !err && i < vmm->n_devices; i++)
		err = make_msi(vmm, vmm->devices[i]);
	return err;
}

enum db_mode vmm_mode(const struct vmm *vmm)
{
	return vmm->mode;
}

uint64_t vmm_ram_base(const struct vmm *vmm)
{
	return vmm->ram_base;
}

unsigned int vmm_device_count(const struct vmm *vmm)
{
	return vmm->n_devices;
}

struct vmm_device *vmm_device(const struct vmm *vmm, unsigned int index)
{
	return vmm->devices[index];
}

const struct vmm_device_info *vmm_device_info(const struct vmm_device *dev)
{
	return &dev->info;
}

int vmm_device_message(struct vmm_device *dev, unsigned int index, uint64_t *address,
		       uint32_t *data)
{
	return db_msi_message(dev->msi, index, address, data);
}

int vmm_device_reset(struct vmm_device *dev)
{
	int err = db_device_reset(dev->db);

	if (!err)
		err = db_msi_restore(dev->msi);
	return err ? vmm_fail_lib(dev->vmm, err, dev->info.address) : 0;
}

unsigned int vmm_mappings(const struct vmm *vmm, struct vmm_mapping *out, unsigned int max)
{
	unsigned int i, j, n = 0;

	if (n < max)
		out[n++] = (struct vmm_mapping){
			.ipa = vmm->ram_base,
			.size = vmm->config.ram_size,
			.what = "RAM",
			.va = vmm->ram,
		};
	for (i = 0; vmm->mode == DB_MODE_NATIVE && i < vmm->n_vitses; i++)
		for (j = 0; j < vmm->n_devices && n < max; j++) {
			const struct vmm_device_info *info = &vmm->devices[j]->info;

			if (info->vits != i)
				continue;
			out[n++] = (struct vmm_mapping){
				.ipa = info->doorbell_ipa,
				.size = info->caps.doorbell.size,
				.what = "doorbell",
				.device = info->address,
			};
			break;
		}
	return n;
}

unsigned int vmm_events(const struct vmm *vmm, const uint64_t (**events)[4], uint64_t *lost)
{
	*events = (const uint64_t (*)[4])vmm->events;
	*lost = vmm->events_lost;
	return vmm->n_events;
}

void *vmm_ram(const struct vmm *vmm, uint64_t ipa, uint64_t size)
{
	uint64_t offset = ipa - vmm->ram_base;

	if (ipa < vmm->ram_base || offset >= vmm->config.ram_size ||
	    size > vmm->config.ram_size - offset)
		return NULL;
	return (char *)vmm->ram + offset;
}

bool vmm_rmr(const struct vmm_device *dev, uint64_t *start, uint64_t *size)
{
	*start = dev->info.caps.sw_msi_start;
	*size = dev->info.caps.sw_msi_size;
	return dev->vmm->mode == DB_MODE_RMR;
}
