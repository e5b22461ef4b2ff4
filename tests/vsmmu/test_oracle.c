/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * db_vsmmu_translate() against the oracle: scenes of tests/oracle, seen through the registers, the
 * command queue and the event queue of a virtual SMMU. Scenes with a stage 2 are illegal here, and
 * the oracle, which is told the same ID registers, says so too. ORACLE_SCENES and ORACLE_SEED as
 * there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <doorbell/doorbell.h>

#include "generate.h"
#include "arm/smmu_mmio.h"

#define ACCESSES 48
#define CHANGES 6
#define QUEUES 0x10000000ull	/* not in the pool */
#define CMDQ QUEUES
#define EVENTQ (QUEUES + 0x4000)
#define QUEUES_SIZE 0x8000u

struct rig {
	struct world *w;
	struct oracle_machine machine;	/* the world's, with the guest's ID registers */
	struct db_vsmmu *vsmmu;
	bool kicked;			/* the queue can be read only then: no table lies there */
	uint8_t queues[QUEUES_SIZE];
	unsigned int commands;		/* of the log, done so far */
	uint32_t prod;
	unsigned long translated;
};

static int mem_read(void *ctx, uint64_t ipa, void *buf, size_t len)
{
	struct rig *rig = ctx;
	uint64_t *to = buf;

	if (rig->kicked) {
		assert_in_range(ipa, CMDQ, CMDQ + QUEUES_SIZE - len);
		memcpy(buf, rig->queues + (ipa - QUEUES), len);
		return 0;
	}
	for (size_t i = 0; i < len / 8; i++) {
		if (!rig->w->machine.read(rig->w->machine.ctx, ipa + i * 8, &to[i]))
			return -EFAULT;
	}
	return 0;
}

static int mem_write(void *ctx, uint64_t ipa, const void *buf, size_t len)
{
	struct rig *rig = ctx;

	assert_in_range(ipa, EVENTQ, QUEUES + QUEUES_SIZE - len);
	memcpy(rig->queues + (ipa - QUEUES), buf, len);
	return 0;
}

static const struct db_vsmmu_ops ops = {
	.size = sizeof(ops),
	.read = mem_read,
	.write = mem_write,
};

static void write_reg(struct rig *rig, uint32_t offset, unsigned int size, uint64_t value)
{
	assert_int_equal(db_vsmmu_mmio_write(rig->vsmmu, offset, size, value), 0);
}

static void open_scene(struct rig *rig)
{
	struct db_smmu_info host = { 0 }, info;
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &ops, .ctx = rig,
					  .host = &host };

	memcpy(host.idr, rig->w->machine.idr, sizeof(host.idr));
	if (db_vsmmu_create(&config, &rig->vsmmu))
		fail_msg("%s", db_error_message());
	db_vsmmu_info(rig->vsmmu, &info);
	rig->machine = rig->w->machine;
	memcpy(rig->machine.idr, info.idr, sizeof(info.idr));
	write_reg(rig, SMMU_STRTAB_BASE, 8, rig->machine.strtab_base);
	write_reg(rig, SMMU_STRTAB_BASE_CFG, 4, rig->machine.strtab_base_cfg);
	write_reg(rig, SMMU_CMDQ_BASE, 8, CMDQ | 9);
	write_reg(rig, SMMU_EVENTQ_BASE, 8, EVENTQ | 8);
	write_reg(rig, SMMU_CR2, 4, SMMU_CR2_RECINVSID);
	write_reg(rig, SMMU_CR0, 4, SMMU_CR0_WRITABLE);
	rig->prod = 0;
	rig->commands = rig->w->log.count;
}

/* As this SMMU's commands are: without stage 2, and with nothing in the fields that src/arm does not
 * look at. False: there is none. */
static bool convert(const struct op *op, uint64_t cmd[2])
{
	cmd[0] = op->a;
	cmd[1] = op->b;
	switch (FIELD_GET64(SMMU_CMD_0_OP, cmd[0])) {
	case SMMU_CMD_OP_TLBI_S12_VMALL:
		cmd[0] = SMMU_CMD_OP_TLBI_NH_ALL;
		return true;
	case SMMU_CMD_OP_TLBI_S2_IPA:
		return false;
	case SMMU_CMD_OP_TLBI_NH_VAA:
		cmd[0] &= ~SMMU_CMD_TLBI_0_ASID;
		return true;
	case SMMU_CMD_OP_TLBI_NSNH_ALL:
		cmd[0] &= SMMU_CMD_0_OP;
		return true;
	case SMMU_CMD_OP_CFGI_CD_ALL:
		cmd[0] &= SMMU_CMD_0_OP | SMMU_CMD_CFGI_0_SID;
		cmd[1] = 0;
		return true;
	default:
		return true;
	}
}

/* What the scene has sent to its own engine since. */
static void send_commands(struct rig *rig)
{
	const struct log *log = &rig->w->log;
	uint64_t cmd[2];

	for (; rig->commands < log->count; rig->commands++) {
		const struct op *op = &log->ops[rig->commands];

		if (op->kind != OP_COMMAND || !convert(op, cmd))
			continue;
		memcpy(rig->queues + rig->prod % 512 * 16, cmd, sizeof(cmd));
		rig->prod = (rig->prod + 1) % 1024;
	}
	rig->kicked = true;
	if (db_vsmmu_mmio_write(rig->vsmmu, SMMU_CMDQ_PROD, 4, rig->prod))
		fail_msg("%s", db_error_message());
	rig->kicked = false;
	assert_int_equal(db_vsmmu_mmio_read(rig->vsmmu, SMMU_CMDQ_CONS, 4), rig->prod);
}

static bool same_answer(struct rig *rig, const struct oracle_access *access)
{
	struct oracle_answer expected = oracle_translate(&rig->machine, access);
	struct db_vsmmu_translation out = DB_SIZED(struct db_vsmmu_translation);
	unsigned int flags = (access->write ? DB_VSMMU_WRITE : 0) |
			     (access->ssid_valid ? DB_VSMMU_SSID : 0) |
			     (access->privileged ? DB_VSMMU_PRIV : 0) |
			     (access->instruction ? DB_VSMMU_EXEC : 0);
	uint32_t before = db_vsmmu_mmio_read(rig->vsmmu, SMMU_EVENTQ_PROD, 4), after;
	int ret;

	ret = db_vsmmu_translate(rig->vsmmu, access->sid, access->ssid, access->addr, flags, &out);
	if (ret == -ENOENT) {
		if (db_vsmmu_add_emulated(rig->vsmmu, access->sid))
			return true;	/* more bits than StreamIDs have */
		return same_answer(rig, access);
	}
	after = db_vsmmu_mmio_read(rig->vsmmu, SMMU_EVENTQ_PROD, 4);
	write_reg(rig, SMMU_EVENTQ_CONS, 4, after);
	rig->translated += expected.ok;
	if (expected.ok)
		return !ret && out.address == expected.pa && after == before;
	return ret == -EFAULT && out.raz_wi == !expected.abort &&
	       (after != before) == expected.record &&
	       (!expected.record || !memcmp(rig->queues + (EVENTQ - QUEUES) + before % 256 * 32,
					    expected.event, sizeof(expected.event)));
}

static bool run_scene(struct rig *rig, uint64_t seed)
{
	struct rng rng = { .state = seed * 0x9e3779b97f4a7c15ull + 1 };
	struct scene scene;
	bool same = true;

	scene_build(&scene, rig->w, &rng);
	open_scene(rig);
	for (int change = 0; change <= CHANGES && same; change++) {
		for (int i = 0; i < ACCESSES && same; i++) {
			struct oracle_access access = scene_access(&scene);

			same = same_answer(rig, &access);
			if (!same)
				print_message("# scene %#" PRIx64 ": sid %#x %s %#" PRIx64 "\n",
					      seed, access.sid, access.write ? "write" : "read",
					      access.addr);
		}
		scene_change(&scene);
		send_commands(rig);
	}
	db_vsmmu_destroy(rig->vsmmu);
	return same;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void vsmmu_equals_oracle(void **state)
{
	uint64_t seed = setting("ORACLE_SEED", 1), scenes = setting("ORACLE_SCENES", 3000), i;
	struct rig *rig = calloc(1, sizeof(*rig));

	(void)state;
	rig->w = world_new();
	for (i = 0; i < scenes && run_scene(rig, seed + i); i++)
		;
	assert_int_equal(i, scenes);
	print_message("# %lu of %" PRIu64 " translated\n", rig->translated,
		      scenes * ACCESSES * (CHANGES + 1));
	assert_true(scenes < 100 || rig->translated > scenes * ACCESSES / 4);
	world_free(rig->w);
	free(rig);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vsmmu_equals_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
