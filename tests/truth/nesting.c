/* SPDX-License-Identifier: BSD-2-Clause */
/* Nest parent, vIOMMU, vDEVICE, nested HWPTs, event queue, invalidation. */
#include "truth.h"

#include <endian.h>
#include <stdio.h>

#include "arm/smmu_build.h"

#define VIRT_SID 0x10

/* Tries a vSTE; a HWPT that came of it is destroyed. */
static void ask_vste(struct truth *t, const char *key, uint64_t dw0, uint64_t dw1)
{
	struct iommu_hwpt_arm_smmuv3 data = { { htole64(dw0), htole64(dw1) } };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .dev_id = t->dev_id, .pt_id = t->viommu, .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data), .data_uptr = (uintptr_t)&data,
	};

	if (!answer(key, call(t, t->iommufd, IOMMU_HWPT_ALLOC, &cmd)))
		must(call(t, t->iommufd, IOMMU_DESTROY, &(struct iommu_destroy){ .size = 8, .id = cmd.out_hwpt_id }), "DESTROY");
}

static void ask_vstes(struct truth *t)
{
	uint64_t s1 = SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_S1) | RAM_IPA;

	ask_vste(t, "vste.s1", s1, 0);
	ask_vste(t, "vste.invalid", 0, 0);
	ask_vste(t, "vste.abort", SMMU_STE_0_V, 0);
	ask_vste(t, "vste.bypass", SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_BYPASS), 0);
	ask_vste(t, "vste.s2", SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_S2), 0);
	ask_vste(t, "vste.nested", SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_NESTED), 0);
	ask_vste(t, "vste.reserved_config", SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, 1), 0);
	ask_vste(t, "vste.reserved_bit_0", s1 | 1ull << 55, 0);
	ask_vste(t, "vste.cd_max", s1 | FIELD_PREP64(SMMU_STE_0_S1CDMAX, 31), 0);
	ask_vste(t, "vste.stalld", s1, SMMU_STE_1_S1STALLD);
	ask_vste(t, "vste.eats_trans", s1, FIELD_PREP64(SMMU_STE_1_EATS, SMMU_STE_1_EATS_TRANS));
	ask_vste(t, "vste.eats_split", s1, FIELD_PREP64(SMMU_STE_1_EATS, SMMU_STE_1_EATS_SPLIT));
	ask_vste(t, "vste.mev", s1, SMMU_STE_1_MEV);
	ask_vste(t, "vste.strw", s1, FIELD_PREP64(SMMU_STE_1_STRW, 1));
	ask_vste(t, "vste.shcfg", s1, FIELD_PREP64(SMMU_STE_1_SHCFG, 1));
	ask_vste(t, "vste.garbage_behind_invalid", 1ull << 55, -1ull);
}

static void ask_nested_requests(struct truth *t)
{
	uint64_t data = (uintptr_t)t->ram;

	ASK_IOMMU(t, "nested.no_data", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = t->dev_id, .pt_id = t->viommu);
	ASK_IOMMU(t, "nested.other_data", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = t->dev_id, .pt_id = t->viommu,
		  .data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = 16, .data_uptr = data);
	ASK_IOMMU(t, "nested.short_data", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = t->dev_id, .pt_id = t->viommu,
		  .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3, .data_len = 8, .data_uptr = data);
	ASK_IOMMU(t, "nested.bad_pointer", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = t->dev_id, .pt_id = t->viommu,
		  .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3, .data_len = 16, .data_uptr = 16);
	ASK_IOMMU(t, "nested.parent_flag", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		  .dev_id = t->dev_id, .pt_id = t->viommu, .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3, .data_len = 16, .data_uptr = data);
	ASK_IOMMU(t, "nested.on_parent", IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = t->dev_id, .pt_id = t->parent,
		  .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3, .data_len = 16, .data_uptr = data);
}

static void ask_viommu(struct truth *t)
{
	struct iommu_hwpt_alloc parent = {
		.size = sizeof(parent), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT, .dev_id = t->dev_id, .pt_id = t->ioas,
	}, plain = { .size = sizeof(plain), .dev_id = t->dev_id, .pt_id = t->ioas };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu), .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3, .dev_id = t->dev_id };

	must(answer("parent", call(t, t->iommufd, IOMMU_HWPT_ALLOC, &parent)), "nest parent");
	must(call(t, t->iommufd, IOMMU_HWPT_ALLOC, &plain), "plain HWPT");
	t->parent = viommu.hwpt_id = parent.out_hwpt_id;
	ASK_IOMMU(t, "viommu.plain_parent", IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		  .dev_id = t->dev_id, .hwpt_id = plain.out_hwpt_id);
	ASK_IOMMU(t, "viommu.type", IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, .type = 99, .dev_id = t->dev_id, .hwpt_id = t->parent);
	ASK_IOMMU(t, "viommu.default_type", IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, .dev_id = t->dev_id, .hwpt_id = t->parent);
	ASK_IOMMU(t, "viommu.flags", IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, .flags = 1, .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		  .dev_id = t->dev_id, .hwpt_id = t->parent);
	ASK_IOMMU(t, "viommu.no_hwpt", IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		  .dev_id = t->dev_id, .hwpt_id = NO_ID);
	must(answer("viommu", call(t, t->iommufd, IOMMU_VIOMMU_ALLOC, &viommu)), "vIOMMU");
	t->viommu = viommu.out_viommu_id;
	ASK_IOMMU(t, "plain.destroy", IOMMU_DESTROY, iommu_destroy, .id = plain.out_hwpt_id);
	ASK_IOMMU(t, "parent.destroy_in_use", IOMMU_DESTROY, iommu_destroy, .id = t->parent);
}

static uint32_t make_nested(struct truth *t, uint64_t dw0)
{
	struct iommu_hwpt_arm_smmuv3 ste = { { htole64(dw0), 0 } };
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested), .dev_id = t->dev_id, .pt_id = t->viommu, .data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(ste), .data_uptr = (uintptr_t)&ste,
	};

	must(call(t, t->iommufd, IOMMU_HWPT_ALLOC, &nested), "nested HWPT");
	return nested.out_hwpt_id;
}

/* A vDEVICE that is there to see whether it can be: it is destroyed again. */
static void try_vdevice(struct truth *t, const char *key, uint64_t virt_id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = t->viommu, .dev_id = t->dev_id, .virt_id = virt_id,
	};

	if (!answer(key, call(t, t->iommufd, IOMMU_VDEVICE_ALLOC, &cmd)))
		ASK_IOMMU(t, "vdevice.destroy", IOMMU_DESTROY, iommu_destroy, .id = cmd.out_vdevice_id);
}

static void ask_vdevice(struct truth *t)
{
	uint32_t bypass = make_nested(t, SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_BYPASS));
	uint32_t s1 = make_nested(t, SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_S1) | RAM_IPA);

	answer("attach.bypass_without_vdevice", attach(t, bypass));
	answer("attach.s1_without_vdevice", attach(t, s1));
	ASK_IOMMU(t, "vdevice.no_viommu", IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, .viommu_id = NO_ID, .dev_id = t->dev_id);
	try_vdevice(t, "vdevice.wide_id", 1ull << 32);
	ASK_IOMMU(t, "vdevice", IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, .viommu_id = t->viommu, .dev_id = t->dev_id, .virt_id = VIRT_SID);
	ASK_IOMMU(t, "vdevice.again", IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, .viommu_id = t->viommu, .dev_id = t->dev_id,
		  .virt_id = VIRT_SID + 8);
	answer("attach.nested", attach(t, bypass));
	ASK_IOMMU(t, "nested.destroy_attached", IOMMU_DESTROY, iommu_destroy, .id = bypass);
	answer("attach.parent", attach(t, t->parent));
	ASK_IOMMU(t, "nested.destroy", IOMMU_DESTROY, iommu_destroy, .id = bypass);
	ASK_IOMMU(t, "nested.destroy_s1", IOMMU_DESTROY, iommu_destroy, .id = s1);
}

static void ask_veventq(struct truth *t)
{
	/* None may be lost: QEMU's device tries a page that it cannot write in a thousand pieces. */
	struct iommu_veventq_alloc queue = {
		.size = sizeof(queue), .viommu_id = t->viommu, .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.veventq_depth = 4096,
	};
	uint8_t event[64];

	ASK_IOMMU(t, "veventq.no_depth", IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, .viommu_id = t->viommu,
		  .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3);
	ASK_IOMMU(t, "veventq.deep", IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, .viommu_id = t->viommu,
		  .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, .veventq_depth = 1u << 20);
	ASK_IOMMU(t, "veventq.default_type", IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, .viommu_id = t->viommu, .veventq_depth = 1);
	ASK_IOMMU(t, "veventq.flags", IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, .flags = 1, .viommu_id = t->viommu,
		  .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, .veventq_depth = 1);
	must(answer("veventq", call(t, t->iommufd, IOMMU_VEVENTQ_ALLOC, &queue)), "event queue");
	t->events = queue.out_veventq_fd;
	ASK_IOMMU(t, "veventq.again", IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, .viommu_id = t->viommu,
		  .type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, .veventq_depth = 16);
	answer("veventq.read_empty", t->sys->ops->read(t->sys, t->events, event, sizeof(event)));
	ASK_IOMMU(t, "veventq.destroy_open", IOMMU_DESTROY, iommu_destroy, .id = queue.out_veventq_id);
}

void ask_nesting(struct truth *t)
{
	ask_viommu(t);
	ask_nested_requests(t);
	ask_vstes(t);
	ask_vdevice(t);
	ask_veventq(t);
}

static void ask_commands(struct truth *t, const char *key, const uint64_t (*commands)[2], unsigned int n)
{
	struct iommu_viommu_arm_smmuv3_invalidate entries[4];
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd), .hwpt_id = t->viommu, .data_uptr = (uintptr_t)entries,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, .entry_len = sizeof(entries[0]), .entry_num = n,
	};
	char count[64];
	unsigned int i;

	for (i = 0; i < n; i++) {
		entries[i].cmd[0] = htole64(commands[i][0]);
		entries[i].cmd[1] = htole64(commands[i][1]);
	}
	answer(key, call(t, t->iommufd, IOMMU_HWPT_INVALIDATE, &cmd));
	snprintf(count, sizeof(count), "%s.taken", key);
	say(count, "%u", cmd.entry_num);
}

static void ask_command(struct truth *t, const char *key, uint64_t dw0, uint64_t dw1)
{
	const uint64_t command[1][2] = { { dw0, dw1 } };

	ask_commands(t, key, command, 1);
}

void ask_invalidation(struct truth *t)
{
	const uint64_t sid = FIELD_PREP64(SMMU_CMD_CFGI_0_SID, VIRT_SID);
	const uint64_t mixed[3][2] = { { SMMU_CMD_OP_TLBI_NH_ALL, 0 }, { SMMU_CMD_OP_TLBI_EL2_ALL, 0 }, { SMMU_CMD_OP_TLBI_NH_ALL, 0 } };

	ask_command(t, "invalidate.nsnh_all", SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	ask_command(t, "invalidate.nh_all", SMMU_CMD_OP_TLBI_NH_ALL, 0);
	ask_command(t, "invalidate.nh_asid", SMMU_CMD_OP_TLBI_NH_ASID, 0);
	ask_command(t, "invalidate.nh_va", SMMU_CMD_OP_TLBI_NH_VA, 0x1000);
	ask_command(t, "invalidate.nh_vaa", SMMU_CMD_OP_TLBI_NH_VAA, 0x1000);
	ask_command(t, "invalidate.cfgi_cd", SMMU_CMD_OP_CFGI_CD | sid, 1);
	ask_command(t, "invalidate.cfgi_cd_all", SMMU_CMD_OP_CFGI_CD_ALL | sid, 0);
	ask_command(t, "invalidate.cfgi_cd_other_sid", SMMU_CMD_OP_CFGI_CD | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, 0x999), 1);
	ask_command(t, "invalidate.cfgi_ste", SMMU_CMD_OP_CFGI_STE | sid, 1);
	ask_command(t, "invalidate.s12_vmall", SMMU_CMD_OP_TLBI_S12_VMALL, 0);
	ask_command(t, "invalidate.s2_ipa", SMMU_CMD_OP_TLBI_S2_IPA, 0);
	ask_command(t, "invalidate.el2_all", SMMU_CMD_OP_TLBI_EL2_ALL, 0);
	ask_command(t, "invalidate.sync", SMMU_CMD_OP_SYNC, 0);
	ask_command(t, "invalidate.resume", SMMU_CMD_OP_RESUME, 0);
	ask_command(t, "invalidate.secure", SMMU_CMD_OP_TLBI_NH_ALL | SMMU_CMD_0_SSEC, 0);
	ask_commands(t, "invalidate.second_is_wrong", mixed, 3);
	ask_commands(t, "invalidate.none", mixed, 0);
	ASK_IOMMU(t, "invalidate.entry_len", IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, .hwpt_id = t->viommu,
		  .data_uptr = (uintptr_t)mixed, .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, .entry_len = 8, .entry_num = 1);
	ASK_IOMMU(t, "invalidate.type", IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, .hwpt_id = t->viommu,
		  .data_uptr = (uintptr_t)mixed, .data_type = 99, .entry_len = 16, .entry_num = 1);
	ASK_IOMMU(t, "invalidate.bad_pointer", IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, .hwpt_id = t->viommu,
		  .data_uptr = 16, .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, .entry_len = 16, .entry_num = 1);
	ASK_IOMMU(t, "invalidate.parent", IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, .hwpt_id = t->parent,
		  .data_uptr = (uintptr_t)mixed, .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, .entry_len = 16, .entry_num = 1);
	ASK_IOMMU(t, "invalidate.nothing", IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, .hwpt_id = NO_ID,
		  .data_uptr = (uintptr_t)mixed, .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, .entry_len = 16, .entry_num = 1);
}
