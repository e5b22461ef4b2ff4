/* SPDX-License-Identifier: BSD-2-Clause */
/* What people see: events and commands in words, and the steps of a traced translation. */
#include "smmu_scene.h"

#include "arm/smmu_text.h"

static void assert_event(const struct smmu_event *event, const char *expected)
{
	char text[256];

	size_t length = smmu_event_describe(event, text, sizeof(text));

	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected));
}

static void events(void **state)
{
	struct scene *s = *state;
	struct smmu_txn txn = { .sid = SID, .access = SMMU_WRITE, .addr = VA + 0x40 };
	struct smmu_result res;

	assert_int_equal(smmu_translate(s->m.smmu, &txn, &res), -EFAULT);
	assert_event(
		&res.event,
		"F_TRANSLATION sid 0x5 stage 1 class IN write data unprivileged addr 0x40000040");
	assert_int_equal(vmsa_map(&s->s1, VA, IPA, 0x1000, RW), 0);
	assert_int_equal(smmu_translate(s->m.smmu, &txn, &res), -EFAULT);
	assert_event(
		&res.event,
		"F_TRANSLATION sid 0x5 stage 2 class IN write data unprivileged addr 0x40000040 ipa 0x8000000000");
	txn.ssid_valid = true;
	txn.ssid = 0x12;
	assert_int_equal(smmu_translate(s->m.smmu, &txn, &res), -EFAULT);
	assert_event(&res.event, "C_BAD_SUBSTREAMID sid 0x5 ssid 0x12");
	txn.sid = 6;
	assert_int_equal(smmu_translate(s->m.smmu, &txn, &res), -EFAULT);
	assert_event(&res.event, "C_BAD_STE sid 0x6 ssid 0x12");
	assert_event(&(struct smmu_event){ { 0x3 | UINT64_C(7) << 32, 0, 0, 0x123456789abcdef8 } },
		     "F_STE_FETCH sid 0x7 fetch 0x456789abcdef8");
	assert_event(
		&(struct smmu_event){ { 0x13, UINT64_C(0x118800000000), 0x1000, 0x2000 } },
		"F_PERMISSION sid 0x0 stage 2 class TTD read data unprivileged table read addr 0x1000 ipa 0x2000");
	assert_event(
		&(struct smmu_event){ { 0xe0, 1, 2, 3 } },
		"event 0xe0 0x00000000000000e0 0x0000000000000001 0x0000000000000002 0x0000000000000003");
	assert_string_equal(smmu_event_name(SMMU_EVT_F_WALK_EABT), "F_WALK_EABT");
	assert_null(smmu_event_name(0xe0));
}

static void assert_command(uint64_t dw0, uint64_t dw1, const char *expected)
{
	uint64_t cmd[2] = { dw0, dw1 };
	char text[256];
	size_t length = smmu_command_describe(cmd, text, sizeof(text));

	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected));
}

static void commands(void **state)
{
	(void)state;
	assert_command(SMMU_CMD_OP_CFGI_STE_RANGE | UINT64_C(8) << 32, 2,
		       "CMD_CFGI_STE_RANGE sid 0x8 range 2");
	assert_command(SMMU_CMD_OP_CFGI_STE | UINT64_C(9) << 32, 1, "CMD_CFGI_STE sid 0x9");
	assert_command(SMMU_CMD_OP_CFGI_CD | UINT64_C(9) << 32 | 3 << 12, 0,
		       "CMD_CFGI_CD sid 0x9 ssid 0x3");
	assert_command(SMMU_CMD_OP_TLBI_NH_ASID | UINT64_C(0x00070003) << 32, 0,
		       "CMD_TLBI_NH_ASID vmid 0x3 asid 0x7");
	assert_command(
		SMMU_CMD_OP_TLBI_NH_VA | UINT64_C(0x00070003) << 32 | 5 << 12 | 2 << 20, 0x40000701,
		"CMD_TLBI_NH_VA vmid 0x3 asid 0x7 va 0x40000000 num 5 scale 2 ttl 3 tg 4K leaf");
	assert_command(SMMU_CMD_OP_TLBI_S2_IPA | UINT64_C(3) << 32, UINT64_C(0xfff0000012345000),
		       "CMD_TLBI_S2_IPA vmid 0x3 ipa 0x12345000");
	assert_command(SMMU_CMD_OP_SYNC, 0, "CMD_SYNC");
	assert_command(0xee, 1, "command 0xee 0x00000000000000ee 0x0000000000000001");
	assert_string_equal(smmu_command_name(SMMU_CMD_OP_TLBI_NSNH_ALL), "CMD_TLBI_NSNH_ALL");
	assert_null(smmu_command_name(0xee));
}

/*
 * A buffer that is too small holds a beginning, with its terminator; one of no size is left alone.
 */
static void truncation(void **state)
{
	uint64_t cmd[2] = { SMMU_CMD_OP_TLBI_NSNH_ALL, 0 };
	char text[9] = "xxxxxxxx";

	(void)state;
	assert_int_equal(smmu_command_describe(cmd, text, 0), 17);
	assert_string_equal(text, "xxxxxxxx");
	assert_int_equal(smmu_command_describe(cmd, text, 8), 17);
	assert_string_equal(text, "CMD_TLB");
}

/* --- Tracing --- */

struct log {
	struct smmu_step steps[64];
	unsigned int count;
};

static void record(void *ctx, const struct smmu_step *step)
{
	struct log *log = ctx;

	assert_in_range(log->count, 0, 63);
	log->steps[log->count++] = *step;
}

static void traced(void **state)
{
	static const enum smmu_step_kind order[] = {
		/* the STE; the CD through four (here: three, to a 2 MiB block) levels of stage 2 */
		SMMU_STEP_STE, SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_CD,
		/* four tables of stage 1, each through stage 2 */
		SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S1,
		SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S1,
		SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S1,
		SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S1,
		/* the access itself */
		SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_S2, SMMU_STEP_PA,
	};
	struct scene *s = *state;
	struct log log = { .count = 0 };
	struct smmu_tracer tracer = { .step = record, .ctx = &log };
	struct smmu_txn txn = { .sid = SID, .addr = VA + 0x2345, .tracer = &tracer };
	const struct smmu_step *last;
	struct smmu_result res;
	unsigned int i;

	assert_int_equal(vmsa_map(&s->s1, VA, IPA, 0x4000, RW), 0);
	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE, 0x4000, RW), 0);
	/* Cached or not, a traced translation walks. */
	assert_pa(&s->m, SID, VA + 0x2345, PAGE + 0x2345);
	assert_int_equal(smmu_translate(s->m.smmu, &txn, &res), 0);
	assert_int_equal(log.count, sizeof(order) / sizeof(order[0]));
	for (i = 0; i < log.count; i++)
		assert_int_equal(log.steps[i].kind, order[i]);

	assert_memory_equal(log.steps[0].data, s->ste_words, 64);
	assert_int_equal(log.steps[0].pa, s->m.strtab + SID * 64);
	assert_memory_equal(log.steps[4].data, s->cd_words, 64);
	assert_int_equal(log.steps[4].addr, s->cd);
	/* Stage 1's levels, indices and descriptors. */
	for (i = 0; i < 4; i++) {
		const struct smmu_step *step = &log.steps[8 + 4 * i];

		assert_int_equal(step->level, i);
		assert_int_equal(step->index, (VA + 0x2345) >> (39 - 9 * i) & 511);
		assert_int_equal(step->input, VA + 0x2345);
		assert_int_equal(step->data[0], ram_get(&s->m.ram, step->pa));
		assert_int_equal(step->depth, 0);
		assert_int_equal(log.steps[7 + 4 * i].depth, 1);
		assert_int_equal(log.steps[7 + 4 * i].input, step->addr);
		assert_int_equal(log.steps[7 + 4 * i].level, 2);
	}
	assert_int_equal(log.steps[21].depth, 0);
	assert_int_equal(log.steps[24].input, IPA + 0x2345);
	last = &log.steps[log.count - 1];
	assert_int_equal(last->pa, PAGE + 0x2345);

	/* A fault ends with the event. */
	log.count = 0;
	txn.addr = VA + 0x10000;
	assert_int_equal(smmu_translate(s->m.smmu, &txn, &res), -EFAULT);
	last = &log.steps[log.count - 1];
	assert_int_equal(last->kind, SMMU_STEP_EVENT);
	assert_memory_equal(last->data, res.event.dw, sizeof(res.event.dw));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(events),
		cmocka_unit_test(commands),
		cmocka_unit_test(truncation),
		scene_test(traced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
