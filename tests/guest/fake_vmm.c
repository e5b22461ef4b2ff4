/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_vmm.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arm/smmu.h"
#include "arm/smmu_mmio.h"

#define CAP 0x40
#define TABLE_BAR 2

struct vmm *fake_vmm_create(void)
{
	/* As QEMU's: stage 1 and 2, all granules, 44-bit addresses, range invalidation. */
	static const struct db_smmu_info smmu = { .idr = { 0x0d44101b, 0x02730010, 0, 0x1414, 0,
							   0x74 } };
	struct vmm *vmm = calloc(1, sizeof(*vmm));
	struct vmm_device *dev;

	vmm->ram = aligned_alloc(2u << 20, FAKE_RAM_SIZE);
	vmm->smmu = smmu;
	dev = &vmm->device;
	dev->vmm = vmm;
	dev->info = (struct vmm_device_info){
		.address = "0000:01:00.0",
		.stream_id = 8,
		.device_id = 8,
		.kind = DB_MSIX,
		.vectors = FAKE_VECTORS,
		.vits_base = 0x0a080000,
		.doorbell_ipa = 0x0a090000,
		.caps = { .sw_msi_start = 0x8000000, .sw_msi_size = 0x100000 },
	};
	dev->config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	dev->config[PCI_VENDOR_ID] = 0x1d;
	dev->config[PCI_VENDOR_ID + 1] = 0x1d;
	dev->config[PCI_DEVICE_ID] = 0x11;
	dev->config[PCI_DEVICE_ID + 1] = 0xbe;
	dev->config[PCI_CAPABILITY_LIST] = CAP;
	dev->config[CAP] = PCI_CAP_ID_MSIX;
	dev->config[CAP + PCI_MSIX_FLAGS] = FAKE_VECTORS - 1;
	dev->config[CAP + PCI_MSIX_TABLE] = TABLE_BAR;
	return vmm;
}

void fake_vmm_destroy(struct vmm *vmm)
{
	free(vmm->ram);
	free(vmm);
}

void fake_vmm_signal(struct vmm *vmm, uint32_t event, uint64_t times)
{
	vmm->pending[vmm->n_pending].event = event;
	vmm->pending[vmm->n_pending++].times = times;
}

static int read64(void *ctx, uint64_t ipa, uint64_t *value)
{
	const uint64_t *at = vmm_ram(ctx, ipa, 8);

	if (!at)
		return -EFAULT;
	*value = *at;
	return 0;
}

int fake_vmm_translate(struct vmm *vmm, uint64_t giova, bool write, uint64_t *ipa)
{
	struct smmu_config config = { .mem = { .read64 = read64, .ctx = vmm } };
	struct smmu_txn txn = { .sid = vmm->device.info.stream_id,
				.addr = giova,
				.access = write ? SMMU_WRITE : SMMU_READ };
	struct smmu_result result;
	struct smmu *smmu;
	void *memory;
	int err;

	memcpy(config.idr, vmm->smmu.idr, sizeof(config.idr));
	if (posix_memalign(&memory, 64, smmu_footprint(&config)))
		abort();
	smmu = smmu_init(memory, &config);
	smmu_set_stream_table(smmu, vmm->strtab,
			      FIELD_PREP64(SMMU_STRTAB_BASE_CFG_LOG2SIZE, vmm->strtab_log2));
	err = smmu_translate(smmu, &txn, &result);
	*ipa = result.pa;
	free(memory);
	return err;
}

static bool covers(const uint64_t cmd[2], uint64_t page, uint64_t granule)
{
	uint64_t first = cmd[1] & SMMU_CMD_TLBI_1_VA, size = granule;

	switch (FIELD_GET64(SMMU_CMD_0_OP, cmd[0])) {
	case SMMU_CMD_OP_TLBI_NH_ASID:
	case SMMU_CMD_OP_TLBI_NH_ALL:
		return true;
	case SMMU_CMD_OP_TLBI_NH_VA:
		if (FIELD_GET64(SMMU_CMD_TLBI_1_TG, cmd[1]))
			size = (FIELD_GET64(SMMU_CMD_TLBI_0_NUM, cmd[0]) + 1) * granule
			       << FIELD_GET64(SMMU_CMD_TLBI_0_SCALE, cmd[0]);
		return page >= first && page - first < size;
	default:
		return false;
	}
}

bool fake_vmm_invalidated(struct vmm *vmm, uint64_t giova, uint64_t size, uint64_t granule)
{
	uint64_t page;
	unsigned int i;

	for (page = giova; page < giova + size; page += granule) {
		for (i = 0; i < vmm->n_commands; i++)
			if (covers(vmm->commands[i], page, granule))
				break;
		if (i == vmm->n_commands)
			return false;
	}
	return true;
}

void fake_vmm_forget(struct vmm *vmm)
{
	vmm->n_commands = vmm->batches = 0;
}

/* --- vmm.h --- */

const char *vmm_why(const struct vmm *vmm)
{
	(void)vmm;
	return "a fake one";
}

int vmm_trap_error(struct vmm *vmm)
{
	(void)vmm;
	return 0;
}

enum db_mode vmm_mode(const struct vmm *vmm)
{
	return vmm->rmr ? DB_MODE_RMR : DB_MODE_STOCK;
}

int vmm_device_reset(struct vmm_device *dev)
{
	(void)dev;
	return 0;
}

uint64_t vmm_ram_base(const struct vmm *vmm)
{
	(void)vmm;
	return FAKE_RAM_BASE;
}

unsigned int vmm_device_count(const struct vmm *vmm)
{
	(void)vmm;
	return 1;
}

struct vmm_device *vmm_device(const struct vmm *vmm, unsigned int index)
{
	(void)index;
	return (struct vmm_device *)&vmm->device;
}

const struct vmm_device_info *vmm_device_info(const struct vmm_device *dev)
{
	return &dev->info;
}

void *vmm_ram(const struct vmm *vmm, uint64_t ipa, uint64_t size)
{
	if (ipa < FAKE_RAM_BASE || ipa - FAKE_RAM_BASE > FAKE_RAM_SIZE - size)
		return NULL;
	return (char *)vmm->ram + (ipa - FAKE_RAM_BASE);
}

bool vmm_rmr(const struct vmm_device *dev, uint64_t *start, uint64_t *size)
{
	*start = dev->info.caps.sw_msi_start;
	*size = dev->info.caps.sw_msi_size;
	return dev->vmm->rmr;
}

uint32_t vmm_config_read(struct vmm_device *dev, unsigned int offset, unsigned int size)
{
	uint32_t value = 0;

	if (offset == CAP + PCI_MSIX_FLAGS && size == 2)
		return (FAKE_VECTORS - 1) | dev->control;
	memcpy(&value, dev->config + offset, size);
	return value;
}

void vmm_config_write(struct vmm_device *dev, unsigned int offset, unsigned int size,
		      uint32_t value)
{
	if (offset == CAP + PCI_MSIX_FLAGS && size == 2)
		dev->control = value & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	else
		memcpy(dev->config + offset, &value, size);
}

uint64_t vmm_bar_read(struct vmm_device *dev, unsigned int bar, uint64_t offset, unsigned int size)
{
	(void)size;
	return bar == TABLE_BAR ? dev->table[offset / 16][offset / 4 % 4] : 0x4c4c4542;	/* "BELL" */
}

void vmm_bar_write(struct vmm_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		   uint64_t value)
{
	uint32_t *entry = dev->table[offset / 16];
	bool live = (dev->control & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)) ==
		    PCI_MSIX_FLAGS_ENABLE;

	(void)size;
	if (bar != TABLE_BAR)
		return;
	if (offset % 16 != PCI_MSIX_ENTRY_VECTOR_CTRL && live && !(entry[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT))
		dev->unmasked_early++;
	entry[offset / 4 % 4] = value;
}

void vmm_smmu_info(const struct vmm *vmm, unsigned int smmu, struct db_smmu_info *info)
{
	(void)smmu;
	*info = vmm->smmu;
}

uint64_t vmm_smmu_read(struct vmm *vmm, unsigned int smmu, uint32_t offset, unsigned int size)
{
	(void)smmu;
	(void)size;
	switch (offset) {
	case SMMU_CR0ACK:
		return vmm->cr0;
	case SMMU_CMDQ_CONS:
		return vmm->cons;
	default:
		return offset <= SMMU_IDR5 ? vmm->smmu.idr[offset / 4] : 0;
	}
}

/* Takes what is in the command queue. */
static void take_commands(struct vmm *vmm, uint32_t prod)
{
	uint32_t entries = 1u << FIELD_GET64(SMMU_Q_BASE_LOG2SIZE, vmm->cmdq);

	for (; vmm->cons != prod; vmm->cons = (vmm->cons + 1) % (2 * entries)) {
		const void *cmd = vmm_ram(vmm, (vmm->cmdq & SMMU_Q_BASE_ADDR) +
					       vmm->cons % entries * 16, 16);

		if (vmm->n_commands < FAKE_COMMANDS)
			memcpy(vmm->commands[vmm->n_commands++], cmd, 16);
	}
	vmm->batches++;
}

int vmm_smmu_write(struct vmm *vmm, unsigned int smmu, uint32_t offset, unsigned int size,
		   uint64_t value)
{
	(void)smmu;
	(void)size;
	if (offset == SMMU_CR0)
		vmm->cr0 = value;
	else if (offset == SMMU_STRTAB_BASE)
		vmm->strtab = value;
	else if (offset == SMMU_STRTAB_BASE_CFG)
		vmm->strtab_log2 = value;
	else if (offset == SMMU_CMDQ_BASE)
		vmm->cmdq = value;
	else if (offset == SMMU_CMDQ_PROD)
		take_commands(vmm, value);
	return 0;
}

int vmm_its_map(struct vmm_device *dev, uint32_t event, uint32_t lpi)
{
	dev->lpis[event] = lpi;
	return 0;
}

void vmm_set_cpu(struct vmm *vmm, const struct vmm_cpu_ops *ops, void *ctx)
{
	vmm->cpu = ops;
	vmm->cpu_ctx = ctx;
}

int vmm_wait(struct vmm *vmm, int timeout_ms)
{
	unsigned int i, n = vmm->n_pending;

	(void)timeout_ms;
	vmm->n_pending = 0;
	for (i = 0; i < n; i++)
		vmm->cpu->interrupt(vmm->cpu_ctx, vmm->device.lpis[vmm->pending[i].event],
				    vmm->pending[i].times);
	return n;
}

void vmm_drain(struct vmm_device *dev)
{
	(void)dev;
}
