/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every event record that the model writes, with all its fields (Arm IHI 0070, §7.3), and what
 * becomes of the access.
 */
#include "smmu_scene.h"

/* What an event is expected to hold; what is left 0 must be 0. */
struct expect {
	uint64_t id;
	uint64_t dw1;
	uint64_t addr;
	uint64_t dw3;
	bool no_record, no_abort;
};

#define RNW SMMU_EVT_1_RNW
#define S2 SMMU_EVT_1_S2
#define CLASS(c) FIELD_PREP64(SMMU_EVT_1_CLASS, SMMU_EVT_1_CLASS_##c)

static void fault_txn(struct machine *m, const struct smmu_txn *txn, const struct expect *e)
{
	uint64_t dw0 = e->id | (uint64_t)txn->sid << 32;
	struct smmu_result res;
	unsigned int pass;

	if (txn->ssid_valid)
		dw0 |= (uint64_t)txn->ssid << 12 |
		       (e->id == SMMU_EVT_C_BAD_SUBSTREAMID ? 0 : SMMU_EVT_0_SSV);
	/* Twice: what the first one left in the caches must not change the second. */
	for (pass = 0; pass < 2; pass++) {
		memset(&res, 0xff, sizeof(res));
		assert_int_equal(smmu_translate(m->smmu, txn, &res), -EFAULT);
		assert_int_equal(res.event.dw[0], dw0);
		assert_int_equal(res.event.dw[1], e->dw1);
		assert_int_equal(res.event.dw[2], e->addr);
		assert_int_equal(res.event.dw[3], e->dw3);
		assert_int_equal(res.record, !e->no_record);
		assert_int_equal(res.abort, !e->no_abort);
	}
}

static void fault_read(struct scene *s, uint64_t addr, struct expect e)
{
	struct smmu_txn txn = { .sid = SID, .access = SMMU_READ, .addr = addr };

	fault_txn(&s->m, &txn, &e);
}

static void fault_write(struct scene *s, uint64_t addr, struct expect e)
{
	struct smmu_txn txn = { .sid = SID, .access = SMMU_WRITE, .addr = addr };

	fault_txn(&s->m, &txn, &e);
}

static void map_nested(struct scene *s, unsigned int prot1, unsigned int prot2)
{
	assert_int_equal(vmsa_map(&s->s1, VA, IPA, 0x4000, prot1), 0);
	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE, 0x4000, prot2), 0);
}

/* A table of stage 2 that was in use is no memory any more. */
static void break_stage2(struct scene *s)
{
	ram_put(&s->m.ram, s->s2.root + (IPA >> 39) * 8,
		(RAM_BASE + RAM_SIZE) | VMSA_DESC_TYPE_TABLE);
	machine_command(&s->m,
			SMMU_CMD_OP_TLBI_S12_VMALL | FIELD_PREP64(SMMU_CMD_TLBI_0_VMID, VMID), 0);
}

/* --- Configuration --- */

static void bad_streamid(void **state)
{
	struct scene *s = *state;
	struct smmu_txn txn = { .sid = 1 << STREAMS_LOG2, .addr = VA };

	fault_txn(&s->m, &txn, &(struct expect){ SMMU_EVT_C_BAD_STREAMID });
	txn = (struct smmu_txn){ .sid = UINT32_MAX, .ssid_valid = true, .ssid = 0xfffff };
	fault_txn(&s->m, &txn, &(struct expect){ SMMU_EVT_C_BAD_STREAMID });
}

static void ste_fetch(void **state)
{
	struct scene *s = *state;

	/* A stream table that ends with memory: its second half is not there. */
	s->m.strtab = RAM_BASE + RAM_SIZE;
	smmu_set_stream_table(s->m.smmu, s->m.strtab, STREAMS_LOG2);
	fault_read(s, VA, (struct expect){ SMMU_EVT_F_STE_FETCH, .dw3 = s->m.strtab + SID * 64 });
}

static void bad_ste(void **state)
{
	struct scene *s = *state;

	fault_txn(&s->m, &(struct smmu_txn){ .sid = SID + 1, .addr = VA },
		  &(struct expect){ SMMU_EVT_C_BAD_STE });
}

static void ste_abort(void **state)
{
	struct scene *s = *state;
	struct smmu_result res = { .record = true };

	smmu_ste_abort(s->ste_words);
	scene_set_ste(s, s->ste_words);
	assert_int_equal(machine_read(&s->m, SID, VA, &res), -EFAULT);
	assert_false(res.record);
	assert_true(res.abort);
	/* The reserved ones of Config 0b0xx do the same. */
	s->ste_words[0] |= FIELD_PREP64(SMMU_STE_0_CONFIG, 3);
	scene_set_ste(s, s->ste_words);
	assert_int_equal(machine_read(&s->m, SID, VA, &res), -EFAULT);
	assert_false(res.record);
}

static void substreams_refused(void **state)
{
	struct scene *s = *state;
	struct smmu_txn with = { .sid = SID, .ssid_valid = true, .ssid = 3, .addr = VA };
	struct smmu_txn without = { .sid = SID, .addr = VA };
	struct smmu_ste_s1 s1 = scene_ste_s1(s);
	struct smmu_ste_s2 s2 = scene_ste_s2(s);

	/* Substreams disabled, stage 1 disabled, all disabled. */
	fault_txn(&s->m, &with, &(struct expect){ SMMU_EVT_C_BAD_SUBSTREAMID });
	scene_s2_only(s);
	fault_txn(&s->m, &with, &(struct expect){ SMMU_EVT_C_BAD_SUBSTREAMID });
	smmu_ste_bypass(s->ste_words);
	scene_set_ste(s, s->ste_words);
	fault_txn(&s->m, &with, &(struct expect){ SMMU_EVT_C_BAD_SUBSTREAMID });

	/* Beyond S1CDMax; no SubstreamID; SubstreamID 0 where it stands for none. */
	s1.cd_table = ram_new(&s->m.ram, 64 * 4);
	s1.cd_max = 2;
	s1.default_substream = SMMU_STE_1_S1DSS_TERMINATE;
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	fault_txn(&s->m, &without, &(struct expect){ SMMU_EVT_F_STREAM_DISABLED });
	with.ssid = 4;
	fault_txn(&s->m, &with, &(struct expect){ SMMU_EVT_C_BAD_SUBSTREAMID });
	s1.default_substream = SMMU_STE_1_S1DSS_SSID0;
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	with.ssid = 0;
	fault_txn(&s->m, &with, &(struct expect){ SMMU_EVT_F_STREAM_DISABLED });

	/* An invalid first-level descriptor. */
	s1.format = SMMU_STE_0_S1FMT_4K_L2;
	s1.cd_max = 8;
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	with.ssid = 65;
	fault_txn(&s->m, &with, &(struct expect){ SMMU_EVT_C_BAD_SUBSTREAMID });
	/* One that points beyond OAS. */
	ram_put(&s->m.ram, s1.cd_table + 8, SMMU_L1CD_V | UINT64_C(1) << 48);
	fault_txn(&s->m, &with, &(struct expect){ SMMU_EVT_C_BAD_SUBSTREAMID });
}

static void cd_fetch(void **state)
{
	struct scene *s = *state;
	struct smmu_ste_s1 s1 = { .cd_table = RAM_BASE + RAM_SIZE };
	struct smmu_ste_s2 s2 = scene_ste_s2(s);

	smmu_ste_s1(s->ste_words, &s1, VMID);
	scene_set_ste(s, s->ste_words);
	fault_read(s, VA, (struct expect){ SMMU_EVT_F_CD_FETCH, .dw3 = RAM_BASE + RAM_SIZE });

	/* Nested: the address is the PA that stage 2 gave. */
	assert_int_equal(vmsa_map(&s->s2, IPA, RAM_BASE + RAM_SIZE, 0x1000, RW), 0);
	s1.cd_table = IPA + 0x40;
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	fault_read(s, VA,
		   (struct expect){ SMMU_EVT_F_CD_FETCH, .dw3 = RAM_BASE + RAM_SIZE + 0x40 });
}

static void bad_cd(void **state)
{
	struct scene *s = *state;
	uint64_t zero[8] = { 0 };

	scene_set_cd(s, zero);
	fault_read(s, VA, (struct expect){ SMMU_EVT_C_BAD_CD });
}

/* --- Stage 2 of the CD --- */

static void cd_through_stage2(void **state)
{
	struct scene *s = *state;
	struct smmu_ste_s1 s1 = { .cd_table = IPA + 0x1040 };
	struct smmu_ste_s2 s2 = scene_ste_s2(s);
	uint64_t leaf;

	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	fault_write(s, VA,
		    (struct expect){ SMMU_EVT_F_TRANSLATION, S2 | CLASS(CD), VA, IPA + 0x1000 });

	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE, 0x4000, VMSA_WRITE), 0);
	fault_read(
		s, VA,
		(struct expect){ SMMU_EVT_F_PERMISSION, RNW | S2 | CLASS(CD), VA, IPA + 0x1000 });

	leaf = leaf_addr(&s->s2, IPA + 0x1000);
	ram_put(&s->m.ram, leaf, ram_get(&s->m.ram, leaf) & ~VMSA_LEAF_AF);
	fault_read(s, VA,
		   (struct expect){ SMMU_EVT_F_ACCESS, RNW | S2 | CLASS(CD), VA, IPA + 0x1000 });

	/* A table of stage 2 that is not memory. */
	break_stage2(s);
	fault_read(s, VA,
		   (struct expect){ SMMU_EVT_F_WALK_EABT, RNW | S2 | CLASS(CD), VA,
				    RAM_BASE + RAM_SIZE });
}

/* --- Stage 1 --- */

static void stage1(void **state)
{
	struct scene *s = *state;
	uint64_t leaf;

	scene_s1_only(s);
	fault_read(s, VA + 0x123,
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN), VA + 0x123 });
	fault_write(s, VA, (struct expect){ SMMU_EVT_F_TRANSLATION, CLASS(IN), VA });

	assert_int_equal(vmsa_map(&s->s1, VA, PAGE, 0x4000, VMSA_READ), 0);
	assert_pa(&s->m, SID, VA + 0x123, PAGE + 0x123);
	fault_write(s, VA + 0x123, (struct expect){ SMMU_EVT_F_PERMISSION, CLASS(IN), VA + 0x123 });

	leaf = leaf_addr(&s->s1, VA + 0x1000);
	ram_put(&s->m.ram, leaf, ram_get(&s->m.ram, leaf) & ~VMSA_LEAF_AF);
	fault_read(s, VA + 0x1000,
		   (struct expect){ SMMU_EVT_F_ACCESS, RNW | CLASS(IN), VA + 0x1000 });

	/* IPS is 48 bits: make it 40. */
	s->cd_words[0] = (s->cd_words[0] & ~SMMU_CD_0_IPS) | FIELD_PREP64(SMMU_CD_0_IPS, 2);
	scene_set_cd(s, s->cd_words);
	ram_put(&s->m.ram, leaf, UINT64_C(1) << 40 | VMSA_LEAF_AF | VMSA_DESC_TYPE_PAGE);
	fault_read(s, VA + 0x1000,
		   (struct expect){ SMMU_EVT_F_ADDR_SIZE, RNW | CLASS(IN), VA + 0x1000 });

	/* A table that is not memory: CLASS TTD although it is stage 1. */
	ram_put(&s->m.ram, s->s1.root + 8 * 8, (RAM_BASE + RAM_SIZE) | VMSA_DESC_TYPE_TABLE);
	fault_read(s, UINT64_C(8) << 39,
		   (struct expect){ SMMU_EVT_F_WALK_EABT, RNW | CLASS(TTD), UINT64_C(8) << 39,
				    RAM_BASE + RAM_SIZE });
}

static void input_range(void **state)
{
	struct scene *s = *state;

	/* The upper half has no table; the sign bits must agree. */
	fault_read(s, UINT64_C(0xffff000000000000),
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN),
				    UINT64_C(0xffff000000000000) });
	fault_read(s, UINT64_C(0x0001000000000000),
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN),
				    UINT64_C(0x0001000000000000) });
	/* Nothing is read for a disabled half, not even where no bit of the address is too much. */
	fault_read(s, ~UINT64_C(0),
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN), ~UINT64_C(0) });
	assert_int_equal(vmsa_map(&s->s1, VA, RAM_BASE, 0x1000, RW), 0);
	fault_read(s, UINT64_C(0x5a) << 56 | VA,
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN),
				    UINT64_C(0x5a) << 56 | VA });
	/* TBI lets the top byte go; the event has it as it came. */
	s->cd_words[0] |= SMMU_CD_0_TBI0;
	scene_set_cd(s, s->cd_words);
	assert_pa(&s->m, SID, UINT64_C(0x5a) << 56 | VA, RAM_BASE);
	assert_pa(&s->m, SID, UINT64_C(0xa5) << 56 | VA, RAM_BASE);
	fault_read(s, UINT64_C(0x5a) << 56 | (VA + 0x1000),
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN),
				    UINT64_C(0x5a) << 56 | (VA + 0x1000) });
	fault_read(s, UINT64_C(0x5a01) << 48 | VA,
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN),
				    UINT64_C(0x5a01) << 48 | VA });
}

/*
 * CD.R and CD.A: recorded or not, aborted or RAZ/WI; only for the four translation-related faults
 * (§5.5).
 */
static void stage1_fault_flags(void **state)
{
	struct scene *s = *state;

	scene_s1_only(s);
	s->cd_words[0] &= ~SMMU_CD_0_R;
	scene_set_cd(s, s->cd_words);
	fault_read(
		s, VA,
		(struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN), VA, .no_record = true });
	s->cd_words[0] &= ~SMMU_CD_0_A;
	scene_set_cd(s, s->cd_words);
	fault_read(s, VA,
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN), VA, .no_record = true,
				    .no_abort = true });
	s->cd_words[0] |= SMMU_CD_0_R;
	scene_set_cd(s, s->cd_words);
	fault_read(
		s, VA,
		(struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN), VA, .no_abort = true });

	s->cd_words[0] &= ~SMMU_CD_0_R;
	scene_set_cd(s, s->cd_words);
	ram_put(&s->m.ram, s->s1.root, (RAM_BASE + RAM_SIZE) | VMSA_DESC_TYPE_TABLE);
	fault_read(s, VA,
		   (struct expect){ SMMU_EVT_F_WALK_EABT, RNW | CLASS(TTD), VA,
				    RAM_BASE + RAM_SIZE + 8 });
}

static void access_attributes(void **state)
{
	struct scene *s = *state;
	struct smmu_txn txn = {
		.sid = SID, .privileged = true, .instruction = true, .access = SMMU_READ, .addr = VA
	};
	struct expect e = { SMMU_EVT_F_TRANSLATION,
			    RNW | SMMU_EVT_1_PNU | SMMU_EVT_1_IND | CLASS(IN), VA };

	fault_txn(&s->m, &txn, &e);
	/* A write is data whatever it says. */
	txn.access = SMMU_WRITE;
	e.dw1 = SMMU_EVT_1_PNU | CLASS(IN);
	fault_txn(&s->m, &txn, &e);
	/* The STE's overrides. */
	txn.access = SMMU_READ;
	s->ste_words[1] |= FIELD_PREP64(SMMU_STE_1_PRIVCFG, SMMU_STE_1_CFG_CLEAR) |
			   FIELD_PREP64(SMMU_STE_1_INSTCFG, SMMU_STE_1_CFG_CLEAR);
	scene_set_ste(s, s->ste_words);
	e.dw1 = RNW | CLASS(IN);
	fault_txn(&s->m, &txn, &e);
	txn.privileged = txn.instruction = false;
	s->ste_words[1] |= FIELD_PREP64(SMMU_STE_1_PRIVCFG, SMMU_STE_1_CFG_SET) |
			   FIELD_PREP64(SMMU_STE_1_INSTCFG, SMMU_STE_1_CFG_SET);
	scene_set_ste(s, s->ste_words);
	e.dw1 = RNW | SMMU_EVT_1_PNU | SMMU_EVT_1_IND | CLASS(IN);
	fault_txn(&s->m, &txn, &e);
}

/* --- Stage 2 of the access and of stage 1's tables --- */

static void stage2(void **state)
{
	struct scene *s = *state;
	uint64_t leaf;

	assert_int_equal(vmsa_map(&s->s1, VA, IPA, 0x4000, RW | VMSA_EXEC), 0);
	fault_write(s, VA + 0x2345,
		    (struct expect){ SMMU_EVT_F_TRANSLATION, S2 | CLASS(IN), VA + 0x2345,
				     IPA + 0x2000 });
	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE, 0x4000, VMSA_READ), 0);
	assert_pa(&s->m, SID, VA + 0x2345, PAGE + 0x2345);
	fault_write(s, VA + 0x2345,
		    (struct expect){ SMMU_EVT_F_PERMISSION, S2 | CLASS(IN), VA + 0x2345,
				     IPA + 0x2000 });
	fault_txn(&s->m, &(struct smmu_txn){ .sid = SID, .instruction = true, .addr = VA },
		  &(struct expect){ SMMU_EVT_F_PERMISSION, RNW | SMMU_EVT_1_IND | S2 | CLASS(IN),
				    VA, IPA });

	leaf = leaf_addr(&s->s2, IPA + 0x1000);
	ram_put(&s->m.ram, leaf, ram_get(&s->m.ram, leaf) & ~VMSA_LEAF_AF);
	fault_read(s, VA + 0x1000,
		   (struct expect){ SMMU_EVT_F_ACCESS, RNW | S2 | CLASS(IN), VA + 0x1000,
				    IPA + 0x1000 });
	/* S2AFFD: no access flag faults. */
	s->ste_words[2] |= SMMU_STE_2_S2AFFD;
	scene_set_ste(s, s->ste_words);
	assert_pa(&s->m, SID, VA + 0x1000, PAGE + 0x1000);

	/* S2PS 40 bits: the table at RAM_BASE fits, the page does not. */
	s->ste_words[2] = (s->ste_words[2] & ~SMMU_STE_2_S2PS) | FIELD_PREP64(SMMU_STE_2_S2PS, 2);
	scene_set_ste(s, s->ste_words);
	leaf = leaf_addr(&s->s2, IPA + 0x3000);
	ram_put(&s->m.ram, leaf, UINT64_C(1) << 40 | VMSA_LEAF_AF | VMSA_DESC_TYPE_PAGE);
	fault_read(s, VA + 0x3000,
		   (struct expect){ SMMU_EVT_F_ADDR_SIZE, RNW | S2 | CLASS(IN), VA + 0x3000,
				    IPA + 0x3000 });

	break_stage2(s);
	fault_read(s, VA + 0x3000,
		   (struct expect){ SMMU_EVT_F_WALK_EABT, RNW | S2 | CLASS(IN), VA + 0x3000,
				    RAM_BASE + RAM_SIZE });

	/* S2R = 0: suppressed, but not the external abort. */
	s->ste_words[2] &= ~SMMU_STE_2_S2R;
	scene_set_ste(s, s->ste_words);
	fault_read(s, VA + 0x3000,
		   (struct expect){ SMMU_EVT_F_WALK_EABT, RNW | S2 | CLASS(IN), VA + 0x3000,
				    RAM_BASE + RAM_SIZE });
	ram_put(&s->m.ram, s->s2.root + (IPA >> 39) * 8, 0);
	fault_read(s, VA + 0x3000,
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | S2 | CLASS(IN), VA + 0x3000,
				    IPA + 0x3000, .no_record = true });
}

static void tables_through_stage2(void **state)
{
	struct scene *s = *state;
	uint64_t entry = s->s1.root + 9 * 8;
	uint64_t va = (UINT64_C(9) << 39) + (UINT64_C(5) << 30);
	uint64_t leaf;

	/* A table of stage 1 at an IPA that is not mapped: CLASS TTD, with the descriptor's IPA. */
	ram_put(&s->m.ram, entry, IPA | VMSA_DESC_TYPE_TABLE);
	fault_read(s, va,
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | S2 | CLASS(TTD), va, IPA });
	fault_write(s, va, (struct expect){ SMMU_EVT_F_TRANSLATION, S2 | CLASS(TTD), va, IPA });
	/* Not readable: the permission fault says that the table was read. */
	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE, 0x2000, VMSA_WRITE), 0);
	fault_write(s, va,
		    (struct expect){ SMMU_EVT_F_PERMISSION, S2 | SMMU_EVT_1_TTRNW | CLASS(TTD), va,
				     IPA });
	/* AF. */
	leaf = leaf_addr(&s->s2, IPA);
	ram_put(&s->m.ram, leaf, ram_get(&s->m.ram, leaf) & ~VMSA_LEAF_AF);
	fault_write(s, va, (struct expect){ SMMU_EVT_F_ACCESS, S2 | CLASS(TTD), va, IPA });
	/* Stage 2's own table is not memory. */
	break_stage2(s);
	fault_write(
		s, va,
		(struct expect){ SMMU_EVT_F_WALK_EABT, S2 | CLASS(TTD), va, RAM_BASE + RAM_SIZE });
	/* Another stage 2, of 42 bits and empty: now the CD itself is not to be had. */
	s->ste_words[2] = (s->ste_words[2] & ~(SMMU_STE_2_S2T0SZ | SMMU_STE_2_S2SL0)) |
			  FIELD_PREP64(SMMU_STE_2_S2T0SZ, 64 - 42) |
			  FIELD_PREP64(SMMU_STE_2_S2SL0, 1);
	s->ste_words[3] = ram_new(&s->m.ram, 4096 * 8);
	scene_set_ste(s, s->ste_words);
	machine_command(&s->m,
			SMMU_CMD_OP_TLBI_S12_VMALL | FIELD_PREP64(SMMU_CMD_TLBI_0_VMID, VMID), 0);
	fault_write(s, va,
		    (struct expect){ SMMU_EVT_F_TRANSLATION, S2 | CLASS(CD), va,
				     s->cd & ~UINT64_C(0xfff) });
}

/* Stage 2 leads a table of stage 1 to what is not memory: stage 1's fault, with the PA. */
static void table_not_memory(void **state)
{
	struct scene *s = *state;
	uint64_t va = UINT64_C(9) << 39;

	ram_put(&s->m.ram, s->s1.root + 9 * 8, IPA | VMSA_DESC_TYPE_TABLE);
	assert_int_equal(vmsa_map(&s->s2, IPA, RAM_BASE + RAM_SIZE, 0x1000, RW), 0);
	fault_read(
		s, va,
		(struct expect){ SMMU_EVT_F_WALK_EABT, RNW | CLASS(TTD), va, RAM_BASE + RAM_SIZE });
}

static void protected_walks(void **state)
{
	struct scene *s = *state;
	uint64_t va = UINT64_C(9) << 39;

	ram_put(&s->m.ram, s->s1.root + 9 * 8, IPA | VMSA_DESC_TYPE_TABLE);
	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE, 0x1000, RW | VMSA_DEVICE), 0);
	fault_read(s, va, (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | CLASS(IN), va });
	s->ste_words[2] |= SMMU_STE_2_S2PTW;
	scene_set_ste(s, s->ste_words);
	fault_read(s, va,
		   (struct expect){ SMMU_EVT_F_PERMISSION, RNW | S2 | SMMU_EVT_1_TTRNW | CLASS(TTD),
				    va, IPA });
}

/* Stage 1 in bypass: an address beyond OAS is stage 1's, one beyond S2T0SZ is stage 2's (§3.4). */
static void address_sizes(void **state)
{
	struct scene *s = *state;
	uint64_t beyond = UINT64_C(1) << 48;

	scene_s2_only(s);
	fault_read(s, beyond, (struct expect){ SMMU_EVT_F_ADDR_SIZE, RNW | CLASS(IN), beyond });
	fault_read(s, UINT64_MAX,
		   (struct expect){ SMMU_EVT_F_ADDR_SIZE, RNW | CLASS(IN), UINT64_MAX });
	s->s2 = table_make(&s->m.ram, VMSA_S2, 12, 40, 48);
	scene_s2_only(s);
	fault_read(s, UINT64_C(1) << 40,
		   (struct expect){ SMMU_EVT_F_TRANSLATION, RNW | S2 | CLASS(IN), UINT64_C(1) << 40,
				    UINT64_C(1) << 40 });
	smmu_ste_bypass(s->ste_words);
	scene_set_ste(s, s->ste_words);
	assert_pa(&s->m, SID, beyond - 1, beyond - 1);
	fault_read(s, beyond, (struct expect){ SMMU_EVT_F_ADDR_SIZE, RNW | CLASS(IN), beyond });
}

/* --- Hostile tables: each descriptor read once, and not many --- */

static void self_reference(void **state)
{
	struct scene *s = *state;
	struct smmu_result res;
	uint64_t i, reads;

	for (i = 0; i < 512; i++)
		ram_put(&s->m.ram, s->s1.root + i * 8, s->s1.root | VMSA_DESC_TYPE_TABLE);
	machine_start(&s->m);
	reads = s->m.ram.reads;
	/* At level 3 the table descriptor is a page: the guest maps its own table, and gets it. */
	ram_put(&s->m.ram, s->s1.root,
		s->s1.root | VMSA_LEAF_AF | VMSA_DESC_TYPE_TABLE | VMSA_S1_AP_UNPRIV);
	assert_int_equal(machine_read(&s->m, SID, 0, &res), 0);
	assert_int_equal(res.pa, s->s1.root);
	assert_in_range(s->m.ram.reads - reads, 1, 8 + 8 + 24 + 4);
}

static void nonsense_everywhere(void **state)
{
	struct scene *s = *state;
	static const uint64_t patterns[] = {
		UINT64_MAX, 1, 2, 3, UINT64_C(0x5555555555555555), UINT64_C(0x8000000000000003)
	};
	size_t i;
	unsigned int j;

	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		uint64_t words[8];
		struct smmu_result res;
		uint64_t reads;

		for (j = 0; j < 8; j++)
			words[j] = patterns[i];
		/* As tables, as a CD, as an STE. */
		put_dwords(&s->m.ram, s->s1.root, words, 8);
		reads = s->m.ram.reads;
		machine_read(&s->m, SID, VA, &res);
		scene_set_cd(s, words);
		machine_read(&s->m, SID, VA, &res);
		scene_set_ste(s, words);
		machine_read(&s->m, SID, VA, &res);
		assert_in_range(s->m.ram.reads - reads, 1, 3 * 44);
		scene_set_cd(s, s->cd_words);
		scene_set_ste(s, s->ste_words);
	}
}

static void nested_permissions(void **state)
{
	struct scene *s = *state;

	/* The stage that forbids is the one that is named; stage 1 first. */
	map_nested(s, VMSA_READ, VMSA_READ);
	fault_write(s, VA, (struct expect){ SMMU_EVT_F_PERMISSION, CLASS(IN), VA });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(bad_streamid),
		scene_test(ste_fetch),
		scene_test(bad_ste),
		scene_test(ste_abort),
		scene_test(substreams_refused),
		scene_test(cd_fetch),
		scene_test(bad_cd),
		scene_test(cd_through_stage2),
		scene_test(stage1),
		scene_test(input_range),
		scene_test(stage1_fault_flags),
		scene_test(access_attributes),
		scene_test(stage2),
		scene_test(tables_through_stage2),
		scene_test(table_not_memory),
		scene_test(protected_walks),
		scene_test(address_sizes),
		scene_test(self_reference),
		scene_test(nonsense_everywhere),
		scene_test(nested_permissions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
