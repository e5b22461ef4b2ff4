/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stream tables, STEs, CDs and substreams: finding, decoding, refusing, building, and their cache.
 */
#include "smmu_scene.h"

#include "arm/smmu_decode.h"

static void map_one(struct scene *s)
{
	assert_int_equal(vmsa_map(&s->s1, VA, PAGE, 0x4000, RW | VMSA_NOT_GLOBAL), 0);
}

static uint64_t read_event(struct machine *m, const struct smmu_txn *txn)
{
	struct smmu_result res = { 0 };

	return smmu_translate(m->smmu, txn, &res) ? event_id(&res) : 0;
}

static int read_substream(struct scene *s, uint32_t ssid, uint64_t *pa)
{
	struct smmu_txn txn = { .sid = SID, .ssid_valid = true, .ssid = ssid, .addr = VA };
	struct smmu_result res = { 0 };
	int rc = smmu_translate(s->m.smmu, &txn, &res);

	*pa = rc ? event_id(&res) : res.pa;
	return rc;
}

/* --- Stream tables --- */

static void two_level_streams(void **state)
{
	struct scene *s = *state;
	static const unsigned int splits[] = { 6, 8, 10 };
	uint64_t l1, l2;
	size_t i;

	map_one(s);
	for (i = 0; i < 3; i++) {
		unsigned int split = splits[i];
		uint32_t sid = (5u << split) + 3;
		struct smmu_txn txn = { .sid = sid, .addr = VA };

		/* 16 bits of StreamID; the second-level table at 5 has eight entries. */
		l1 = ram_new(&s->m.ram, 8 << (16 - split));
		l2 = ram_new(&s->m.ram, 64 * 8);
		smmu_set_stream_table(s->m.smmu, l1, 16 | split << 6 | 1 << 16);
		assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_C_BAD_STREAMID);
		ram_put(&s->m.ram, l1 + 5 * 8, l2 | 4);
		assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_C_BAD_STE);
		put_dwords(&s->m.ram, l2 + 3 * 64, s->ste_words, 8);
		assert_pa(&s->m, sid, VA, PAGE);
		/* Beyond the span, beyond the table. */
		txn.sid = (5u << split) + 8;
		assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_C_BAD_STREAMID);
		txn.sid = 1 << 16;
		assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_C_BAD_STREAMID);
		/* Spans that are Reserved or more than the split. */
		txn.sid = (6u << split) + 3;
		ram_put(&s->m.ram, l1 + 6 * 8, l2 | 12);
		assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_C_BAD_STREAMID);
		ram_put(&s->m.ram, l1 + 6 * 8, l2 | (split + 2));
		assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_C_BAD_STREAMID);
		/* A table that is not memory, second and first level. */
		ram_put(&s->m.ram, l1 + 6 * 8, (RAM_BASE + RAM_SIZE) | 4);
		assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_F_STE_FETCH);
		smmu_set_stream_table(s->m.smmu, RAM_BASE + RAM_SIZE, 16 | split << 6 | 1 << 16);
		assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_F_STE_FETCH);
	}
}

/*
 * Without two-level support FMT is ignored; LOG2SIZE is no more than SIDSIZE; the base is aligned
 * to the table's size.
 */
static void stream_table_registers(void **state)
{
	struct scene *s = *state;
	struct smmu_txn txn = { .sid = 1 << 16, .addr = VA };

	map_one(s);
	smmu_set_stream_table(s->m.smmu, s->m.strtab | 0x40, STREAMS_LOG2);
	assert_pa(&s->m, SID, VA, PAGE);
	smmu_set_stream_table(s->m.smmu, s->m.strtab, 40);
	assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_C_BAD_STREAMID);
	s->m.config.idr[0] &= ~SMMU_IDR0_ST_LEVEL;
	machine_start(&s->m);
	smmu_set_stream_table(s->m.smmu, s->m.strtab, STREAMS_LOG2 | 1 << 16);
	assert_pa(&s->m, SID, VA, PAGE);
}

/* --- The four ways through --- */

static void ways(void **state)
{
	struct scene *s = *state;
	struct smmu_result res;

	assert_int_equal(vmsa_map(&s->s1, VA, IPA, 0x1000, RW), 0);
	assert_int_equal(vmsa_map(&s->s2, IPA, PAGE, 0x1000, RW), 0);
	assert_pa(&s->m, SID, VA + 1, PAGE + 1);
	scene_s1_only(s);
	assert_pa(&s->m, SID, VA + 1, IPA + 1);
	scene_s2_only(s);
	assert_pa(&s->m, SID, IPA + 1, PAGE + 1);
	smmu_ste_bypass(s->ste_words);
	scene_set_ste(s, s->ste_words);
	assert_int_equal(machine_write(&s->m, SID, VA + 1, &res), 0);
	assert_int_equal(res.pa, VA + 1);
}

static void both_halves(void **state)
{
	struct scene *s = *state;
	struct vmsa_table high = table_make(&s->m.ram, VMSA_S1, 14, 36, 48);
	struct smmu_cd_table ttb0 = { s->s1.format, s->s1.root }, ttb1 = { high.format, high.root };
	struct smmu_cd cd = { .ttb0 = &ttb0, .ttb1 = &ttb1, .asid = ASID, .tbi1 = true };
	uint64_t top = UINT64_C(0xfffffff000000000);
	struct smmu_txn txn = { .sid = SID, .addr = top - 1 };

	map_one(s);
	assert_int_equal(vmsa_map(&high, 0x8000, PAGE + 0x8000, 0x4000, RW), 0);
	smmu_cd_build(s->cd_words, &cd);
	scene_set_cd(s, s->cd_words);
	assert_pa(&s->m, SID, VA, PAGE);
	assert_pa(&s->m, SID, top + 0x9234, PAGE + 0x9234);
	/* TBI of the upper half: VA[55] decides, bits 63:56 are anything. */
	assert_pa(&s->m, SID, (top + 0x9234) & ~(UINT64_C(0xff) << 56), PAGE + 0x9234);
	assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_F_TRANSLATION);
	/* Only the upper half. */
	cd.ttb0 = NULL;
	smmu_cd_build(s->cd_words, &cd);
	scene_set_cd(s, s->cd_words);
	machine_command(&s->m, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	assert_pa(&s->m, SID, top + 0x8000, PAGE + 0x8000);
	txn.addr = VA;
	assert_int_equal(read_event(&s->m, &txn), SMMU_EVT_F_TRANSLATION);
}

/* Permissions taken away by tables above, unless HAD. */
static void hierarchy(void **state)
{
	struct scene *s = *state;
	struct smmu_result res;
	uint64_t entry = s->s1.root;

	map_one(s);
	ram_put(&s->m.ram, entry, ram_get(&s->m.ram, entry) | VMSA_TABLE_AP_RDONLY);
	assert_int_equal(machine_write(&s->m, SID, VA, &res), -EFAULT);
	assert_int_equal(event_id(&res), SMMU_EVT_F_PERMISSION);
	/* Again, with the table known to the walk cache. */
	assert_pa(&s->m, SID, VA + 0x1000, PAGE + 0x1000);
	assert_int_equal(machine_write(&s->m, SID, VA + 0x2000, &res), -EFAULT);
	s->cd_words[1] |= SMMU_CD_1_HAD0;
	scene_set_cd(s, s->cd_words);
	machine_command(&s->m, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	assert_int_equal(machine_write(&s->m, SID, VA, &res), 0);
}

/* --- Substreams --- */

/*
 * @count CDs, each with a page of its own at VA: PAGE + n * 4096. Returns the CD of substream
 * @ssid.
 */
static void make_cd(struct scene *s, uint64_t addr, uint32_t n)
{
	struct vmsa_table t = table_make(&s->m.ram, VMSA_S1, 12, 32, 48);
	struct smmu_cd_table ttb0 = { t.format, t.root };
	struct smmu_cd cd = { .ttb0 = &ttb0, .asid = 100 + n };
	uint64_t words[8];

	assert_int_equal(vmsa_map(&t, VA, PAGE + n * 4096, 4096, RW | VMSA_NOT_GLOBAL), 0);
	smmu_cd_build(words, &cd);
	put_dwords(&s->m.ram, addr, words, 8);
}

static void substreams_linear(void **state)
{
	struct scene *s = *state;
	struct smmu_ste_s1 s1 = { .cd_table = ram_new(&s->m.ram, 64 * 8), .cd_max = 3 };
	struct smmu_ste_s2 s2 = scene_ste_s2(s);
	struct smmu_txn without = { .sid = SID, .addr = VA };
	uint64_t pa;
	uint32_t n;

	for (n = 0; n < 8; n++)
		make_cd(s, s1.cd_table + n * 64, n);
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	for (n = 0; n < 8; n++) {
		assert_int_equal(read_substream(s, n, &pa), 0);
		assert_int_equal(pa, PAGE + n * 4096);
	}
	/* Without a substream: refused, bypass of stage 1, the CD of substream 0 (§5.2 S1DSS). */
	assert_int_equal(read_event(&s->m, &without), SMMU_EVT_F_STREAM_DISABLED);
	s1.default_substream = SMMU_STE_1_S1DSS_BYPASS;
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	assert_pa(&s->m, SID, PAGE + 5, PAGE + 5);
	assert_int_equal(read_substream(s, 0, &pa), 0);
	smmu_ste_s1(s->ste_words, &s1, VMID);
	scene_set_ste(s, s->ste_words);
	assert_pa(&s->m, SID, 5, 5);
	s1.default_substream = SMMU_STE_1_S1DSS_SSID0;
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	assert_pa(&s->m, SID, VA + 5, PAGE + 5);
	assert_int_equal(read_substream(s, 7, &pa), 0);
	assert_int_equal(pa, PAGE + 7 * 4096);
	assert_int_equal(read_substream(s, 0, &pa), -EFAULT);
	assert_int_equal(pa, SMMU_EVT_F_STREAM_DISABLED);
	/* 0b11 is Reserved and terminates. */
	s1.default_substream = 3;
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	assert_int_equal(read_event(&s->m, &without), SMMU_EVT_F_STREAM_DISABLED);
}

static void substreams_two_level(void **state)
{
	static const unsigned int splits[] = { 6, 10 };
	struct scene *s = *state;
	struct smmu_ste_s2 s2 = scene_ste_s2(s);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		unsigned int split = splits[i];
		uint32_t ssid = (3u << split) + 33;
		struct smmu_ste_s1 s1 = {
			.cd_table = ram_new(&s->m.ram, 8 << (14 - split)),
			.cd_max = 14,
			.format = i ? SMMU_STE_0_S1FMT_64K_L2 : SMMU_STE_0_S1FMT_4K_L2,
			.default_substream = SMMU_STE_1_S1DSS_SSID0,
		};
		uint64_t l2 = ram_new(&s->m.ram, 64 << split), pa;

		/* The second-level pointer is an IPA, too. */
		assert_int_equal(vmsa_map(&s->s2, IPA + i * 0x100000, l2, 64 << split, RW), 0);
		ram_put(&s->m.ram, s1.cd_table + 3 * 8, (IPA + i * 0x100000) | SMMU_L1CD_V);
		make_cd(s, l2 + 33 * 64, 10 + i);
		smmu_ste_nested(s->ste_words, &s1, &s2);
		scene_set_ste(s, s->ste_words);
		assert_int_equal(read_substream(s, ssid, &pa), 0);
		assert_int_equal(pa, PAGE + (10 + i) * 4096);
		assert_int_equal(read_substream(s, ssid + 1, &pa), -EFAULT);
		assert_int_equal(pa, SMMU_EVT_C_BAD_CD);
		/* The table of substream 0 is not there, for those without one either. */
		assert_int_equal(read_event(&s->m, &(struct smmu_txn){ .sid = SID, .addr = VA }),
				 SMMU_EVT_C_BAD_SUBSTREAMID);
	}
}

/* --- What makes an STE or a CD ILLEGAL (§5.2.2, §5.4.2) --- */

struct change {
	unsigned int dword;
	uint64_t clear, set;
};

/* Each change alone, made to a legal structure of eight dwords. */
static void each_is_illegal(struct scene *s, const struct change *changes, size_t count,
			    const uint64_t legal[8],
			    void (*set)(struct scene *s, const uint64_t words[8]),
			    unsigned int event)
{
	for (size_t i = 0; i < count; i++) {
		const struct change *c = &changes[i];
		uint64_t words[8];

		memcpy(words, legal, sizeof(words));
		words[c->dword] = (words[c->dword] & ~c->clear) | c->set;
		set(s, words);
		if (read_event(&s->m, &(struct smmu_txn){ .sid = SID, .addr = VA }) != event)
			fail_msg("change %zu is not seen as illegal", i);
	}
}

static void ste_illegal(void **state)
{
	static const struct change changes[] = {
		{ 0, SMMU_STE_0_V, 0 },
		{ 0, SMMU_STE_0_S1CDMAX, FIELD_PREP64(SMMU_STE_0_S1CDMAX, 17) },
		{ 0, 0, UINT64_C(1) << 48 }, /* S1ContextPtr beyond OAS */
		{ 1, 0, SMMU_STE_1_S1STALLD },
		{ 2, 0, SMMU_STE_2_S2S },
		{ 2, SMMU_STE_2_S2AA64, 0 },
		{ 2, 0, SMMU_STE_2_S2HA },
		{ 2, 0, SMMU_STE_2_S2HD },
		{ 2, 0, SMMU_STE_2_S2ENDI },
		{ 2, 0, FIELD_PREP64(SMMU_STE_2_S2TG, 3) },
		{ 2, SMMU_STE_2_S2T0SZ, FIELD_PREP64(SMMU_STE_2_S2T0SZ, 15) },
		{ 2, SMMU_STE_2_S2T0SZ, FIELD_PREP64(SMMU_STE_2_S2T0SZ, 49) },
		{ 2, SMMU_STE_2_S2SL0,
		  FIELD_PREP64(SMMU_STE_2_S2SL0, 1) }, /* 48 bits from level 1 */
		{ 2, SMMU_STE_2_S2SL0, FIELD_PREP64(SMMU_STE_2_S2SL0, 3) },
		{ 2, SMMU_STE_2_S2PS,
		  FIELD_PREP64(SMMU_STE_2_S2PS,
			       0) }, /* S2TTB beyond S2PS: the memory is above 4 GiB */
		{ 3, 0, UINT64_C(1) << 49 },
	};
	struct scene *s = *state;

	map_one(s);
	each_is_illegal(s, changes, sizeof(changes) / sizeof(changes[0]), s->ste_words,
			scene_set_ste, SMMU_EVT_C_BAD_STE);
	scene_set_ste(s, s->ste_words);
	assert_pa(&s->m, SID, VA, PAGE);
}

static void cd_illegal(void **state)
{
	static const struct change changes[] = {
		{ 0, SMMU_CD_0_V, 0 },
		{ 0, SMMU_CD_0_AA64, 0 },
		{ 0, 0, SMMU_CD_0_S },
		{ 0, 0, SMMU_CD_0_HA },
		{ 0, 0, SMMU_CD_0_HD },
		{ 0, 0, SMMU_CD_0_ENDI },
		{ 0, SMMU_CD_0_T0SZ, FIELD_PREP64(SMMU_CD_0_T0SZ, 15) },
		{ 0, SMMU_CD_0_T0SZ, FIELD_PREP64(SMMU_CD_0_T0SZ, 49) },
		{ 0, 0, FIELD_PREP64(SMMU_CD_0_TG0, 3) },
		{ 0, SMMU_CD_0_EPD1 | SMMU_CD_0_TG1,
		  FIELD_PREP64(SMMU_CD_0_T1SZ, 16) }, /* TG1 0 is Reserved */
		{ 0, SMMU_CD_0_IPS, 0 }, /* TTB0 beyond IPS */
		{ 1, 0, UINT64_C(1) << 48 },
	};
	struct scene *s = *state;

	map_one(s);
	each_is_illegal(s, changes, sizeof(changes) / sizeof(changes[0]), s->cd_words,
			scene_set_cd, SMMU_EVT_C_BAD_CD);
	/* What belongs to a half that is disabled is ignored. */
	s->cd_words[0] |= FIELD_PREP64(SMMU_CD_0_T1SZ, 3);
	s->cd_words[2] = UINT64_C(1) << 50;
	scene_set_cd(s, s->cd_words);
	assert_pa(&s->m, SID, VA, PAGE);
}

/* What is legal depends on the identification registers. */
static void illegal_by_features(void **state)
{
	struct scene *s = *state;
	struct smmu_features f, less;
	struct smmu_context cd;
	struct smmu_ste ste;
	uint64_t words[8];

	smmu_features_decode(&f, s->m.config.idr);
	assert_null(smmu_ste_decode(&f, s->ste_words, &ste));
	assert_null(smmu_cd_decode(&f, s->cd_words, &cd));
	assert_int_equal(ste.vmid, VMID);
	assert_int_equal(cd.asid, ASID);

	less = f;
	less.s1 = false;
	assert_non_null(smmu_ste_decode(&less, s->ste_words, &ste));
	less = f;
	less.s2 = false;
	assert_non_null(smmu_ste_decode(&less, s->ste_words, &ste));
	less = f;
	less.granules = 6;
	assert_non_null(smmu_ste_decode(&less, s->ste_words, &ste));
	assert_non_null(smmu_cd_decode(&less, s->cd_words, &cd));
	less = f;
	less.oa_bits = 40;
	assert_non_null(smmu_ste_decode(&less, s->ste_words, &ste));
	less = f;
	less.raz_wi = false;
	memcpy(words, s->cd_words, sizeof(words));
	words[0] &= ~SMMU_CD_0_A;
	assert_null(smmu_cd_decode(&f, words, &cd));
	assert_non_null(smmu_cd_decode(&less, words, &cd));
	less = f;
	less.asid16 = less.vmid16 = false;
	words[0] |= UINT64_C(1) << 60;
	assert_null(smmu_cd_decode(&f, words, &cd));
	assert_non_null(smmu_cd_decode(&less, words, &cd));
	memcpy(words, s->ste_words, sizeof(words));
	words[2] |= 0x100;
	assert_non_null(smmu_ste_decode(&less, words, &ste));
	/* Two-level CD tables, and without substreams S1Fmt and S1CDMax mean nothing. */
	memcpy(words, s->ste_words, sizeof(words));
	words[0] |= FIELD_PREP64(SMMU_STE_0_S1FMT, 1) | FIELD_PREP64(SMMU_STE_0_S1CDMAX, 4);
	less = f;
	less.cd_2level = false;
	assert_null(smmu_ste_decode(&f, words, &ste));
	assert_non_null(smmu_ste_decode(&less, words, &ste));
	less.ssid_bits = 0;
	assert_null(smmu_ste_decode(&less, words, &ste));
	assert_int_equal(ste.cd_max, 0);
}

/* @check gets a fresh scene for every granule and every number of address bits. */
static void each_shape(void (*check)(struct scene *s, unsigned int granule, unsigned int bits))
{
	for (unsigned int granule = 12; granule <= 16; granule += 2) {
		for (unsigned int bits = 25; bits <= 48; bits++) {
			struct scene *s = malloc(sizeof(*s));

			assert_non_null(s);
			scene_init(s);
			check(s, granule, bits);
			scene_fini(s);
			free(s);
		}
	}
}

static void stage2_shape(struct scene *s, unsigned int granule, unsigned int bits)
{
	uint64_t size = UINT64_C(1) << granule, top = (UINT64_C(1) << bits) - size;

	s->s2 = table_make(&s->m.ram, VMSA_S2, granule, bits, 48);
	assert_int_equal(vmsa_map(&s->s2, top, PAGE, size, RW), 0);
	scene_s2_only(s);
	assert_pa(&s->m, SID, top + 0x123, PAGE + 0x123);
}

/*
 * Every start level and concatenation that the builder makes is one that the decoder takes, and
 * translates.
 */
static void every_stage2_shape(void **state)
{
	(void)state;
	each_shape(stage2_shape);
}

static void stage1_shape(struct scene *s, unsigned int granule, unsigned int bits)
{
	unsigned int other = 12 + 16 - granule;
	uint64_t size = UINT64_C(1) << granule, top = (UINT64_C(1) << bits) - size;
	struct vmsa_table low = table_make(&s->m.ram, VMSA_S1, granule, bits, 48);
	struct vmsa_table high = table_make(&s->m.ram, VMSA_S1, other, bits, 48);
	struct smmu_cd_table ttb0 = { low.format, low.root }, ttb1 = { high.format, high.root };
	struct smmu_cd cd = { .ttb0 = &ttb0, .ttb1 = &ttb1, .asid = ASID };

	assert_int_equal(vmsa_map(&low, top, PAGE, size, RW), 0);
	assert_int_equal(vmsa_map(&high, 0, PAGE + 0x10000, UINT64_C(1) << other, RW), 0);
	smmu_cd_build(s->cd_words, &cd);
	scene_set_cd(s, s->cd_words);
	assert_pa(&s->m, SID, top + 0x123, PAGE + 0x123);
	assert_pa(&s->m, SID, -(UINT64_C(1) << bits) + 0x456, PAGE + 0x10456);
}

static void every_stage1_shape(void **state)
{
	(void)state;
	each_shape(stage1_shape);
}

/* --- The guest's STE --- */

static void vste(void **state)
{
	struct scene *s = *state;
	struct smmu_ste_s2 s2 = scene_ste_s2(s);
	struct smmu_ste_s1 s1 = scene_ste_s1(s);
	uint64_t guest[8], host[8], expected[8];
	uint64_t bad[2];

	smmu_ste_s1(guest, &s1, 0);
	guest[1] &= ~SMMU_STE_1_SHCFG;
	assert_int_equal(smmu_vste_check(guest), 0);
	smmu_ste_from_vste(host, guest, &s2);
	smmu_ste_nested(expected, &s1, &s2);
	assert_memory_equal(host, expected, sizeof(host));

	/* Bypass of the guest is stage 2 alone; abort and invalid are abort. */
	bad[0] = SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_BYPASS);
	bad[1] = 0;
	assert_int_equal(smmu_vste_check(bad), 0);
	smmu_ste_from_vste(host, bad, &s2);
	smmu_ste_s2(expected, &s2);
	assert_memory_equal(host, expected, sizeof(host));
	bad[0] = 0;
	bad[1] = UINT64_MAX;
	assert_int_equal(smmu_vste_check(bad), 0);
	smmu_ste_from_vste(host, bad, &s2);
	smmu_ste_abort(expected);
	assert_memory_equal(host, expected, sizeof(host));

	/* A stage 2 of its own; fields that are the host's; split ATS. */
	bad[1] = 0;
	bad[0] = SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_NESTED);
	assert_int_equal(smmu_vste_check(bad), -EIO);
	bad[0] = SMMU_STE_0_V | FIELD_PREP64(SMMU_STE_0_CONFIG, SMMU_STE_0_CONFIG_S2);
	assert_int_equal(smmu_vste_check(bad), -EIO);
	bad[0] = guest[0] | UINT64_C(1) << 56;
	assert_int_equal(smmu_vste_check(bad), -EIO);
	bad[0] = guest[0];
	bad[1] = SMMU_STE_1_S2FWB;
	assert_int_equal(smmu_vste_check(bad), -EIO);
	bad[1] = FIELD_PREP64(SMMU_STE_1_EATS, SMMU_STE_1_EATS_SPLIT);
	assert_int_equal(smmu_vste_check(bad), -EIO);
	bad[1] = FIELD_PREP64(SMMU_STE_1_EATS, SMMU_STE_1_EATS_TRANS);
	assert_int_equal(smmu_vste_check(bad), 0);
}

/* --- The configuration cache --- */

static void set_asid_silently(struct scene *s, uint64_t cd, uint16_t asid)
{
	uint64_t dw0 = ram_get(&s->m.ram, cd);

	ram_put(&s->m.ram, cd, (dw0 & ~SMMU_CD_0_ASID) | FIELD_PREP64(SMMU_CD_0_ASID, asid));
}

/* Is the configuration read from memory again? An STE that became invalid tells. */
static bool refetched(struct scene *s, const struct smmu_txn *txn, uint64_t dw0, uint64_t dw1)
{
	bool gone;

	assert_int_equal(read_event(&s->m, txn), 0);
	ram_put(&s->m.ram, s->m.strtab + SID * 64, 0);
	machine_command(&s->m, dw0, dw1);
	gone = read_event(&s->m, txn) == SMMU_EVT_C_BAD_STE;
	ram_put(&s->m.ram, s->m.strtab + SID * 64, s->ste_words[0]);
	return gone;
}

#define CFGI(op, sid) (SMMU_CMD_OP_##op | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid))
#define SSID(n) FIELD_PREP64(SMMU_CMD_CFGI_0_SSID, n)

static void configuration_cache(void **state)
{
	struct scene *s = *state;
	struct smmu_ste_s1 s1 = { .cd_table = ram_new(&s->m.ram, 64 * 8),
				  .cd_max = 3,
				  .default_substream = SMMU_STE_1_S1DSS_SSID0 };
	struct smmu_ste_s2 s2 = scene_ste_s2(s);
	struct smmu_txn plain = { .sid = SID, .addr = VA },
			sub = { .sid = SID, .ssid_valid = true, .ssid = 2, .addr = VA };

	make_cd(s, s1.cd_table, 0);
	make_cd(s, s1.cd_table + 2 * 64, 2);
	smmu_ste_nested(s->ste_words, &s1, &s2);
	scene_set_ste(s, s->ste_words);
	/* Before any substream was seen, and after. */
	assert_false(refetched(s, &plain, CFGI(CFGI_STE, SID + 1), 1));
	assert_true(refetched(s, &plain, CFGI(CFGI_STE, SID), 1));
	assert_int_equal(read_event(&s->m, &sub), 0);

	assert_false(refetched(s, &plain, CFGI(CFGI_STE, SID + 1), 0));
	assert_true(refetched(s, &plain, CFGI(CFGI_STE, SID), 0));
	assert_true(refetched(s, &sub, CFGI(CFGI_STE, SID), 0));
	/* Ranges of 2^(n + 1) StreamIDs, aligned. */
	assert_true(refetched(s, &sub, CFGI(CFGI_STE_RANGE, SID), 0));
	assert_true(refetched(s, &sub, CFGI(CFGI_STE_RANGE, SID ^ 1), 0));
	assert_false(refetched(s, &sub, CFGI(CFGI_STE_RANGE, SID ^ 2), 0));
	assert_true(refetched(s, &sub, CFGI(CFGI_STE_RANGE, SID ^ 2), 1));
	assert_false(refetched(s, &sub, CFGI(CFGI_STE_RANGE, 0x80000000u), 30));
	assert_true(
		refetched(s, &sub, CFGI(CFGI_STE_RANGE, 0xffffffffu), SMMU_CMD_CFGI_1_RANGE_ALL));
	/* By CD: substream 0's is also that of accesses without a substream. */
	assert_true(refetched(s, &plain, CFGI(CFGI_CD, SID) | SSID(0), 0));
	assert_false(refetched(s, &plain, CFGI(CFGI_CD, SID) | SSID(2), 0));
	assert_true(refetched(s, &sub, CFGI(CFGI_CD, SID) | SSID(2), 0));
	assert_false(refetched(s, &sub, CFGI(CFGI_CD, SID) | SSID(0), 0));
	assert_true(refetched(s, &sub, CFGI(CFGI_CD_ALL, SID), 0));
	assert_false(refetched(s, &sub, CFGI(CFGI_CD_ALL, SID + 1), 0));
}

/* A changed CD acts when it was invalidated, not before. */
static void cd_change(void **state)
{
	struct scene *s = *state;
	uint64_t before;

	map_one(s);
	assert_pa(&s->m, SID, VA, PAGE);
	set_asid_silently(s, s->cd, ASID + 1);
	before = s->m.ram.reads;
	assert_pa(&s->m, SID, VA, PAGE);
	assert_int_equal(s->m.ram.reads, before);
	machine_command(&s->m, CFGI(CFGI_CD, SID), 0);
	assert_pa(&s->m, SID, VA, PAGE);
	assert_int_not_equal(s->m.ram.reads, before);
}

/* §6.3.2: more bits than there can be are Reserved, and count as all that there can be. */
static void reserved_sizes(void **state)
{
	uint32_t idr[6] = { 0 };
	struct smmu_features f;

	(void)state;
	idr[1] = FIELD_PREP64(SMMU_IDR1_SIDSIZE, 63) | FIELD_PREP64(SMMU_IDR1_SSIDSIZE, 31);
	smmu_features_decode(&f, idr);
	assert_int_equal(f.sid_bits, 32);
	assert_int_equal(f.ssid_bits, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserved_sizes),
		scene_test(two_level_streams),
		scene_test(stream_table_registers),
		scene_test(ways),
		scene_test(both_halves),
		scene_test(hierarchy),
		scene_test(substreams_linear),
		scene_test(substreams_two_level),
		scene_test(ste_illegal),
		scene_test(cd_illegal),
		scene_test(illegal_by_features),
		cmocka_unit_test(every_stage2_shape),
		cmocka_unit_test(every_stage1_shape),
		scene_test(vste),
		scene_test(configuration_cache),
		scene_test(cd_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
