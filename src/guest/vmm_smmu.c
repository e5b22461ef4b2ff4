/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's SMMUs: one db_vsmmu for each physical SMMU that its devices are behind. */
#include "guest/vmm_priv.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "arm/smmu_mmio.h"

static int read_ram(void *ctx, uint64_t ipa, void *buf, size_t len)
{
	const struct vmm_smmu *smmu = ctx;
	const uint64_t *from = vmm_ram(smmu->vmm, ipa, len);
	uint64_t *to = buf;
	size_t i;

	if (!from)
		return -EFAULT;
	for (i = 0; i < len / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
	return 0;
}

/* Without MSIs an SMMU writes nothing but event records: the VMM keeps them for whoever asks. */
static void note_event(struct vmm *vmm, const uint64_t *record)
{
	unsigned int i;

	if (vmm->n_events == VMM_EVENTS) {
		vmm->events_lost++;
		return;
	}
	for (i = 0; i < SMMU_EVT_DWORDS; i++)
		vmm->events[vmm->n_events][i] = le64toh(record[i]);
	vmm->n_events++;
}

static int write_ram(void *ctx, uint64_t ipa, const void *buf, size_t len)
{
	const struct vmm_smmu *smmu = ctx;
	uint64_t *to = vmm_ram(smmu->vmm, ipa, len);
	const uint64_t *from = buf;
	size_t i;

	note_event(smmu->vmm, from);
	if (!to)
		return -EFAULT;
	for (i = 0; i < len / sizeof(*to); i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE);
	return 0;
}

/* The guest polls for the end of its commands. */
static void raise(void *ctx, enum db_vsmmu_irq irq)
{
	struct vmm_smmu *smmu = ctx;

	if (irq == DB_VSMMU_IRQ_EVENTQ)
		smmu->event_pending = true;
}

static const struct db_vsmmu_ops ops = {
	.size = sizeof(ops),
	.read = read_ram,
	.write = write_ram,
	.irq = raise,
};

static int create(struct vmm *vmm, struct vmm_device *dev)
{
	struct vmm_smmu *smmu = &vmm->smmus[vmm->n_smmus];
	struct db_vsmmu_config config = {
		.size = sizeof(config),
		.space = vmm->space,
		.ops = &ops,
		.ctx = smmu,
		.host = &dev->info.caps.smmu,
		.one_host_smmu = true,
	};
	int err;

	smmu->vmm = vmm;
	err = db_vsmmu_create(&config, &smmu->vsmmu);
	if (err)
		return vmm_fail_lib(vmm, err, dev->info.address);
	vmm->n_smmus++;
	return vmm_irq_add_smmu(vmm, vmm->n_smmus - 1);
}

int vmm_smmu_add(struct vmm *vmm, struct vmm_device *dev)
{
	int err = -EXDEV;
	unsigned int i;

	for (i = 0; err == -EXDEV && i <= vmm->n_smmus; i++) {
		if (i == vmm->n_smmus) {
			err = create(vmm, dev);
			if (err)
				return err;
		}
		err = db_vsmmu_add_device(vmm->smmus[i].vsmmu, dev->db, dev->info.stream_id);
		dev->info.smmu = i;
	}
	if (!err)
		return 0;
	dev->info.smmu = UINT32_MAX;
	return vmm_fail_lib(vmm, err, dev->info.address);
}

int vmm_smmu_deliver(struct vmm *vmm, unsigned int index)
{
	struct vmm_smmu *smmu = &vmm->smmus[index];
	int n = db_vsmmu_poll_events(smmu->vsmmu);

	if ((vmm_smmu_read(vmm, index, SMMU_EVENTQ_PROD, 4) ^
	     vmm_smmu_read(vmm, index, SMMU_EVENTQ_CONS, 4)) & SMMU_EVENTQ_OVERFLOW)
		vmm->events_lost++;
	if (smmu->event_pending && vmm->cpu && vmm->cpu->event) {
		smmu->event_pending = false;
		vmm->cpu->event(vmm->cpu_ctx, index);
	}
	return n;
}

void vmm_smmu_info(const struct vmm *vmm, unsigned int smmu, struct db_smmu_info *info)
{
	db_vsmmu_info(vmm->smmus[smmu].vsmmu, info);
}

uint64_t vmm_smmu_read(struct vmm *vmm, unsigned int smmu, uint32_t offset, unsigned int size)
{
	return db_vsmmu_mmio_read(vmm->smmus[smmu].vsmmu, offset, size);
}

int vmm_smmu_write(struct vmm *vmm, unsigned int smmu, uint32_t offset, unsigned int size,
		   uint64_t value)
{
	int err = db_vsmmu_mmio_write(vmm->smmus[smmu].vsmmu, offset, size, value);

	return err ? vmm_fail_lib(vmm, err, "the virtual SMMU") : 0;
}
