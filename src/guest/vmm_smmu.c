/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's SMMUs as the VMM emulates them: stream table and command queue. An STE is read from
 * guest memory once, and only when the guest says by CMD_CFGI that it changed; everything else goes
 * to the host in one batch.
 */
#include "guest/vmm_priv.h"

#include <string.h>

#include "arm/smmu_regs.h"

const struct db_smmu_info *vmm_smmu_info(const struct vmm *vmm, unsigned int smmu)
{
	return &vmm->smmus[smmu].idr;
}

void vmm_smmu_set_strtab(struct vmm *vmm, unsigned int smmu, uint64_t ipa, unsigned int log2_size)
{
	vmm->smmus[smmu].strtab = ipa;
	vmm->smmus[smmu].strtab_log2 = log2_size;
}

static int install_ste(struct vmm *vmm, const struct vmm_smmu *smmu, struct vmm_device *dev)
{
	const void *entry;
	uint64_t ste[8];
	int err;

	if (dev->info.stream_id >> smmu->strtab_log2)
		return 0;	/* beyond its table: C_BAD_STREAMID, and the device stays blocked */
	entry = vmm_ram(vmm, smmu->strtab + ((uint64_t)dev->info.stream_id << SMMU_STE_SHIFT),
			sizeof(ste));
	if (!entry)
		return 0;	/* F_STE_FETCH, likewise */
	memcpy(ste, entry, sizeof(ste));
	err = db_viommu_install_ste(smmu->viommu, dev->db, ste);
	return err ? vmm_fail_lib(vmm, err, dev->info.address) : 0;
}

static int configure(struct vmm *vmm, unsigned int index, const uint64_t cmd[2])
{
	uint64_t first = FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]), count = 1;
	unsigned int i;
	int err;

	if (FIELD_GET64(SMMU_CMD_0_OP, cmd[0]) == SMMU_CMD_OP_CFGI_STE_RANGE) {
		count = 2ull << FIELD_GET64(SMMU_CMD_CFGI_1_RANGE, cmd[1]);
		first &= ~(count - 1);
	}
	for (i = 0; i < vmm->n_devices; i++) {
		struct vmm_device *dev = vmm->devices[i];

		if (dev->info.smmu != index || dev->info.stream_id < first ||
		    dev->info.stream_id - first >= count)
			continue;
		err = install_ste(vmm, &vmm->smmus[index], dev);
		if (err)
			return err;
	}
	return 0;
}

int vmm_smmu_commands(struct vmm *vmm, unsigned int smmu, const uint64_t (*cmds)[2], size_t count)
{
	size_t i;
	int err;

	for (i = 0; i < count; i++) {
		uint64_t op = FIELD_GET64(SMMU_CMD_0_OP, cmds[i][0]);

		if (op != SMMU_CMD_OP_CFGI_STE && op != SMMU_CMD_OP_CFGI_STE_RANGE)
			continue;
		err = configure(vmm, smmu, cmds[i]);
		if (err)
			return err;
	}
	err = db_viommu_invalidate(vmm->smmus[smmu].viommu, cmds, count, NULL);
	return err ? vmm_fail_lib(vmm, err, "invalidating") : 0;
}
