/* SPDX-License-Identifier: BSD-2-Clause */
#include "generate.h"

#include <string.h>

#define KEEP(mask, value) ((value) & (mask))
#define FIELD(value, shift) ((uint64_t)(value) << (shift))

uint64_t rng_next(struct rng *rng)
{
	uint64_t drawn;

	if (rng->size >= sizeof(drawn)) {
		memcpy(&drawn, rng->data, sizeof(drawn));
		rng->data += sizeof(drawn);
		rng->size -= sizeof(drawn);
		return drawn;
	}
	/* xorshift64* */
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return rng->state * 0x2545f4914f6cdd1dull;
}

unsigned int rng_below(struct rng *rng, unsigned int n)
{
	return (rng_next(rng) >> 32) % n;
}

bool rng_chance(struct rng *rng, unsigned int percent)
{
	return rng_below(rng, 100) < percent;
}

static uint64_t low_mask(unsigned int n)
{
	return (1ull << n) - 1;
}

/* @size bytes of the pool, naturally aligned; 0 when it is used up. */
static uint64_t allocate(struct scene *s, uint64_t size)
{
	uint64_t at = (s->next_free + size - 1) & ~(size - 1);

	if (at + size > POOL_BASE + POOL_SIZE)
		return 0;
	s->next_free = at + size;
	return at;
}

static void store(struct scene *s, uint64_t pa, uint64_t value)
{
	world_group(s->w);
	world_store(s->w, pa, value);
}

/* --- Tables --- */

static unsigned int level_shift(const struct scene *s, int stage, unsigned int level)
{
	return s->granule[stage] + (s->granule[stage] - 3) * (3 - level);
}

/* A random shape for @stage, and its root. */
static bool choose_tables(struct scene *s, int stage, unsigned int most_bits)
{
	static const unsigned int granules[] = { 12, 14, 16 };
	unsigned int granule = granules[rng_below(s->rng, 3)], stride = granule - 3;
	unsigned int ia_bits = 25 + rng_below(s->rng, most_bits - 24);
	unsigned int levels = (ia_bits - granule + stride - 1) / stride;

	if (stage == 2 && ia_bits < 32)
		ia_bits = 32;	/* the tables' own addresses have to fit */
	levels = (ia_bits - granule + stride - 1) / stride;
	/* Stage 2 may do with a level less by concatenating up to 16 tables, and has no level 0 except with 4K. */
	if (stage == 2 && levels > 1) {
		bool fits = ia_bits <= granule + stride * (levels - 1) + 4;

		if ((fits && rng_chance(s->rng, 50)) || (levels == 4 && granule != 12))
			levels--;
		if (ia_bits > granule + stride * levels + 4)
			return false;
	}
	s->granule[stage] = granule;
	s->ia_bits[stage] = ia_bits;
	s->level[stage] = 4 - levels;

	uint64_t size = 8ull << (ia_bits - level_shift(s, stage, s->level[stage]));

	s->root[stage] = allocate(s, size < 64 ? 64 : size);
	return s->root[stage] != 0;
}

static void note_descriptor(struct scene *s, int stage, uint64_t pa)
{
	if (s->n_descriptors[stage] < 512)
		s->descriptor[stage][s->n_descriptors[stage]++] = pa;
}

static uint64_t leaf_attributes(struct scene *s, int stage)
{
	uint64_t r = rng_next(s->rng);
	uint64_t attributes = FIELD(1, 10);

	if (rng_chance(s->rng, 8))
		attributes = 0;
	if (stage == 1) {
		attributes |= KEEP(FIELD(3, 6) | FIELD(1, 11), r);	/* AP[2:1], nG */
		if (rng_chance(s->rng, 60))
			attributes = (attributes | FIELD(1, 6)) & ~FIELD(1, 7);
		if (rng_chance(s->rng, 40))
			attributes |= KEEP(FIELD(3, 53), r);		/* PXN, UXN */
	} else {
		attributes |= rng_chance(s->rng, 80) ? FIELD(3, 6) : KEEP(FIELD(3, 6), r);
		attributes |= rng_chance(s->rng, 85) ? FIELD(15, 2) : KEEP(FIELD(3, 2), r);
		if (rng_chance(s->rng, 40))
			attributes |= KEEP(FIELD(3, 53), r);
	}
	return attributes;
}

/* Maps one leaf of @level; gives up quietly where something else is already. */
static bool map(struct scene *s, int stage, uint64_t ia, uint64_t oa, unsigned int leaf_level, uint64_t attributes)
{
	uint64_t table = s->root[stage];

	for (unsigned int level = s->level[stage];; level++) {
		unsigned int shift = level_shift(s, stage, level);
		unsigned int top = level == s->level[stage] ? s->ia_bits[stage] : shift + s->granule[stage] - 3;
		uint64_t at = table + 8 * ((ia & low_mask(top)) >> shift);
		uint64_t desc = world_load(s->w, at);

		if (level == leaf_level) {
			if (desc)
				return false;
			store(s, at, (oa & ~low_mask(shift)) | attributes | (level == 3 ? 3 : 1));
			note_descriptor(s, stage, at);
			return true;
		}
		if (desc && (desc & 3) != 3)
			return false;
		if (!desc) {
			uint64_t next = allocate(s, 1ull << s->granule[stage]);

			if (!next)
				return false;
			desc = (next + (stage == 1 ? s->table_offset : 0)) | 3;
			if (stage == 1 && rng_chance(s->rng, 10))
				desc |= KEEP(FIELD(15, 59), rng_next(s->rng));	/* APTable, XNTable, PXNTable */
			store(s, at, desc);
			note_descriptor(s, stage, at);
		}
		table = desc & 0x0000ffffffffffff & ~low_mask(s->granule[stage]);
		if (stage == 1)
			table -= s->table_offset;
	}
}

static unsigned int choose_leaf_level(struct scene *s, int stage)
{
	unsigned int lowest = s->granule[stage] == 12 ? 1 : 2;

	if (lowest < s->level[stage])
		lowest = s->level[stage];
	return rng_chance(s->rng, 60) ? 3 : lowest + rng_below(s->rng, 4 - lowest);
}

/* Stage 2 for the pool itself, where stage-1 tables and CDs are. */
static void map_pool(struct scene *s)
{
	unsigned int level = 3, shift;
	uint64_t attributes = FIELD(1, 10) | FIELD(3, 6) | FIELD(15, 2);

	for (unsigned int l = s->level[2] > 1 ? s->level[2] : 1; l < 3; l++)
		if ((l == 2 || s->granule[2] == 12) && level_shift(s, 2, l) <= 29 && rng_chance(s->rng, 50))
			level = l;
	shift = level_shift(s, 2, level);

	uint64_t slots = low_mask(s->ia_bits[2] > 30 ? s->ia_bits[2] - 30 : 1);

	s->table_offset = ((rng_next(s->rng) & slots) << 30) - POOL_BASE;
	for (uint64_t off = 0; off < POOL_SIZE; off += 1ull << shift)
		map(s, 2, POOL_BASE + s->table_offset + off, POOL_BASE + off, level, attributes);
}

static void map_random(struct scene *s)
{
	unsigned int bits1 = s->s1 ? s->ia_bits[1] : s->ia_bits[2];
	uint64_t ia = rng_next(s->rng) & low_mask(bits1);
	uint64_t ipa = ia, pa = rng_next(s->rng) & low_mask(44);

	if (s->n_addresses && rng_chance(s->rng, 50))	/* a neighbour */
		ia = (s->address[rng_below(s->rng, s->n_addresses)] + (rng_next(s->rng) & low_mask(24))) & low_mask(bits1);
	if (s->s1) {
		unsigned int level = choose_leaf_level(s, 1);

		ipa = rng_next(s->rng) & low_mask(s->s2 ? s->ia_bits[2] : 44);
		if (!map(s, 1, ia, ipa, level, leaf_attributes(s, 1)))
			return;
		unsigned int shift = level_shift(s, 1, level);

		ipa = (ipa & ~low_mask(shift)) | (ia & low_mask(shift));
	} else {
		ipa = ia;
	}
	if (s->s2)
		map(s, 2, ipa, pa, choose_leaf_level(s, 2), leaf_attributes(s, 2));
	if (s->upper && s->s1)
		ia |= ~low_mask(bits1);
	s->address[s->n_addresses] = ia;
	s->ipa[s->n_addresses++] = ipa;
}

/* --- STE and CD --- */

static uint64_t address_code(unsigned int bits)
{
	static const unsigned int size[] = { 32, 36, 40, 42, 44, 48 };
	uint64_t code = 0;

	while (size[code] < bits)
		code++;
	return code;
}

static void store_words(struct scene *s, uint64_t pa, const uint64_t *words, int count)
{
	for (int i = 0; i < count; i++)
		if (words[i])
			store(s, pa + 8 * i, words[i]);
}

static void build_cd(struct scene *s)
{
	static const unsigned int tg0[] = { [12] = 0, [14] = 2, [16] = 1 }, tg1[] = { [12] = 2, [14] = 1, [16] = 3 };
	uint64_t r = rng_next(s->rng), tsz = 64 - s->ia_bits[1];
	uint64_t ttb = s->root[1] + s->table_offset;
	uint64_t cd[8] = {
		FIELD(1, 31) | FIELD(1, 41) | FIELD(1, 46) | FIELD(s->asid, 48) | FIELD(rng_chance(s->rng, 90), 45) |
			FIELD(rng_chance(s->rng, 15) ? rng_below(s->rng, 8) : address_code(48), 32),
	};

	cd[0] |= s->upper ? FIELD(1, 14) | FIELD(tsz, 16) | FIELD(tg1[s->granule[1]], 22) :
			    FIELD(1, 30) | FIELD(tsz, 0) | FIELD(tg0[s->granule[1]], 6);
	cd[s->upper ? 2 : 1] = ttb;
	if (rng_chance(s->rng, 30))
		cd[0] |= KEEP(FIELD(1, 35) | FIELD(1, 36) | FIELD(3, 38) | FIELD(1, 40), r);	/* AFFD, WXN, TBI, PAN */
	if (rng_chance(s->rng, 20))
		cd[1] |= FIELD(1, 1), cd[2] |= FIELD(1, 1);	/* HAD */
	if (rng_chance(s->rng, 8)) {
		cd[0] ^= FIELD(1, rng_below(s->rng, 42));
		s->broken = true;
	}
	store_words(s, s->cd_pa, cd, 8);
}

/* CD tables in their three forms; sets cd_pa. Returns what the STE says of them. */
static uint64_t build_cd_table(struct scene *s)
{
	unsigned int cd_max = rng_chance(s->rng, 40) ? 1 + rng_below(s->rng, 12) : 0;
	unsigned int format = cd_max ? rng_below(s->rng, 3) : 0;
	uint64_t table;

	s->ssid_valid = cd_max && rng_chance(s->rng, 80);
	s->ssid = s->ssid_valid ? rng_below(s->rng, 1u << cd_max) : 0;
	if (!format) {
		table = allocate(s, 64ull << cd_max);
		s->cd_pa = table + 64ull * s->ssid;
	} else {
		unsigned int leaf_bits = format == 1 ? 6 : 10;
		uint64_t leaf = allocate(s, 64ull << leaf_bits);

		table = allocate(s, cd_max > leaf_bits + 3 ? 8ull << (cd_max - leaf_bits) : 64);
		s->cd_pa = leaf + 64 * (s->ssid & low_mask(leaf_bits));
		if (!rng_chance(s->rng, 5))
			store(s, table + 8ull * (s->ssid >> leaf_bits), (leaf + s->table_offset) | 1);
	}
	return (table + s->table_offset) | FIELD(cd_max, 59) | FIELD(format, 4);
}

static void build_ste(struct scene *s, unsigned int config)
{
	static const unsigned int tg[] = { [12] = 0, [14] = 2, [16] = 1 };
	uint64_t r = rng_next(s->rng);
	uint64_t ste[8] = { 1 | FIELD(config, 1) };

	ste[1] = rng_below(s->rng, 4);	/* S1DSS */
	if (rng_chance(s->rng, 20))
		ste[1] |= KEEP(FIELD(15, 48), r);	/* PRIVCFG, INSTCFG */
	if (s->s2) {
		unsigned int first = s->granule[2] == 12 ? 2 : 3;

		ste[2] = s->vmid | FIELD(64 - s->ia_bits[2], 32) | FIELD(first - s->level[2], 38) |
			 FIELD(tg[s->granule[2]], 46) | FIELD(1, 51) | FIELD(rng_chance(s->rng, 90), 58) |
			 FIELD(rng_chance(s->rng, 15) ? rng_below(s->rng, 8) : address_code(48), 48);
		if (rng_chance(s->rng, 30))
			ste[2] |= KEEP(FIELD(3, 53), r);	/* AFFD, PTW */
		ste[3] = s->root[2];
	}
	if (s->s1)
		ste[0] |= build_cd_table(s);
	if (rng_chance(s->rng, 4)) {
		ste[2] ^= FIELD(1, 32 + rng_below(s->rng, 22));
		s->broken = true;
	}
	if (rng_chance(s->rng, 4))
		ste[0] ^= FIELD(1, rng_below(s->rng, 6));
	store_words(s, s->ste_pa, ste, 8);
}

static void build_stream_table(struct scene *s)
{
	unsigned int bits = 1 + rng_below(s->rng, 10);

	s->sid = rng_below(s->rng, 1u << bits);
	if (rng_chance(s->rng, 50)) {
		uint64_t table = allocate(s, 64ull << bits);

		s->w->machine.strtab_base = table;
		s->w->machine.strtab_base_cfg = bits;
		s->ste_pa = table + 64 * (uint64_t)s->sid;
		return;
	}
	static const unsigned int splits[] = { 6, 8, 10 };
	unsigned int split = splits[rng_below(s->rng, 3)];
	unsigned int span = 1 + rng_below(s->rng, split + 1);
	uint64_t l1 = allocate(s, bits > split + 3 ? 8ull << (bits - split) : 64);
	uint64_t l2 = allocate(s, 32ull << span < 64 ? 64 : 32ull << span);

	s->sid &= ~(low_mask(split) & ~low_mask(span - 1));
	s->w->machine.strtab_base = l1;
	s->w->machine.strtab_base_cfg = bits | split << 6 | 1 << 16;
	s->ste_pa = l2 + 64 * (s->sid & low_mask(split));
	store(s, l1 + 8ull * (s->sid >> split), l2 | span);
}

/* A register file like that of a server's SMMU, with the choices that matter drawn at random. */
static void choose_registers(struct scene *s)
{
	uint32_t *idr = s->w->machine.idr;

	idr[0] = 0x0d4c101b;
	idr[1] = 0x02730010 | 12 << 6 | (uint32_t)rng_chance(s->rng, 50) << 26;
	idr[3] = 0x1404 | (rng_chance(s->rng, 50) ? 0x10 : 0);
	idr[5] = 0x70 | (rng_chance(s->rng, 50) ? 5 : 4);
}

void scene_build(struct scene *s, struct world *w, struct rng *rng)
{
	static const unsigned int configs[] = { 7, 7, 7, 7, 5, 5, 6, 6, 4, 0 };
	unsigned int config = configs[rng_below(rng, 10)];

	do {
		*s = (struct scene){ .rng = rng, .w = w, .next_free = POOL_BASE };
		s->s1 = config & 4 && config & 1;
		s->s2 = config & 4 && config & 2;
		s->asid = 1 + rng_below(rng, 3);
		s->vmid = s->s2 ? 1 + rng_below(rng, 3) : 0;
		s->upper = rng_chance(rng, 30);
		choose_registers(s);
		world_restart(w);
		build_stream_table(s);
		/* The registers are known only now; nothing has been looked up yet. */
		world_restart_engine(w);
	} while ((s->s2 && !choose_tables(s, 2, w->machine.idr[5] == 0x74 ? 44 : 48)) ||
		 (s->s1 && !choose_tables(s, 1, 48)));

	if (s->s2)
		map_pool(s);
	for (unsigned int i = 0; i < SCENE_ADDRESSES / 2 && (s->s1 || s->s2); i++)
		map_random(s);
	build_ste(s, config);
	if (s->s1)
		build_cd(s);
	for (int broken = rng_chance(rng, 25) ? 1 + rng_below(rng, 4) : 0; broken > 0; broken--) {
		int stage = 1 + rng_below(rng, 2);

		if (s->n_descriptors[stage]) {
			uint64_t at = s->descriptor[stage][rng_below(rng, s->n_descriptors[stage])];

			/* Not bits 51:48, reserved where the output is 48 bits, nor the contiguous hint and DBM above. */
			store(s, at, world_load(w, at) ^ FIELD(1, rng_below(rng, 48)));
			s->broken = true;
		}
	}
}

struct oracle_access scene_access(struct scene *s)
{
	struct rng *rng = s->rng;
	struct oracle_access a = {
		.sid = s->sid,
		.ssid = s->ssid,
		.ssid_valid = s->ssid_valid,
		.write = rng_chance(rng, 40),
		.privileged = rng_chance(rng, 30),
		.instruction = rng_chance(rng, 15),
		.addr = rng_next(rng) & low_mask(48),
	};

	if (s->n_addresses && rng_chance(rng, 95)) {
		a.addr = s->address[rng_below(rng, s->n_addresses)];
		if (rng_chance(rng, 50))
			a.addr ^= rng_next(rng) & low_mask(rng_chance(rng, 80) ? 12 : 22);
	}
	if (s->s1 && rng_chance(rng, 3))
		a.addr ^= FIELD(1, rng_below(rng, 64));
	if (rng_chance(rng, 2))
		a.sid = rng_below(rng, 2048);
	if (s->s1 && rng_chance(rng, 3)) {
		a.ssid_valid = !a.ssid_valid;
		a.ssid = a.ssid_valid ? rng_below(rng, 4096) : 0;
	}
	return a;
}

/* --- Changes --- */

static void send(struct scene *s, uint64_t a, uint64_t b)
{
	world_command(s->w, a, b);
}

static void send_all_s1(struct scene *s)
{
	uint64_t vmid = FIELD(s->vmid, 32);

	/* Not by ASID: that leaves global entries. */
	switch (rng_below(s->rng, 3)) {
	case 0:
		send(s, 0x10 | vmid, 0);	/* TLBI_NH_ALL */
		break;
	case 1:
		send(s, 0x28 | vmid, 0);	/* TLBI_S12_VMALL */
		break;
	default:
		send(s, 0x30, 0);		/* TLBI_NSNH_ALL */
		break;
	}
}

/* Any entry of stage 1, also a table's: everything of the VMID goes. */
static void change_s1(struct scene *s)
{
	uint64_t at = s->descriptor[1][rng_below(s->rng, s->n_descriptors[1])];

	world_group(s->w);
	world_store(s->w, at, world_load(s->w, at) ^ FIELD(1, rng_chance(s->rng, 50) ? 6 + rng_below(s->rng, 2) : 10));
	send_all_s1(s);
}

/* CFGI_CD_ALL: CDs are fetched through stage 2, and cached with what it said then (§3.21.3). */
static void send_cd_all(struct scene *s)
{
	send(s, 0x06 | FIELD(s->sid, 32), 0);
}

/* TLBI_NH_VA, NH_VAA or S2_IPA for the page of 2^@shift bytes at @level around @address, by one of the forms there are. */
static void send_page(struct scene *s, int stage, uint64_t address, unsigned int shift, unsigned int level)
{
	static const unsigned int tg[] = { [12] = 1, [14] = 2, [16] = 3 };
	uint64_t opcode = stage == 2 ? 0x2a : rng_chance(s->rng, 50) ? 0x12 : 0x13;
	uint64_t a = opcode | FIELD(s->vmid, 32) | (stage == 1 ? FIELD(s->asid, 48) : 0);
	uint64_t b = rng_below(s->rng, 2);	/* Leaf: it is one */

	address ^= rng_next(s->rng) & low_mask(shift);
	if (rng_chance(s->rng, 50)) {
		unsigned int num = rng_below(s->rng, 4), scale = rng_below(s->rng, 3);

		/* The range form, or (one granule, level known) the form with a level hint. */
		a |= FIELD(num, 12) | FIELD(scale, 20);
		b |= FIELD(tg[s->granule[stage]], 10);
		if ((num == 0 && scale == 0) || rng_chance(s->rng, 50))
			b |= FIELD(level, 8);
		address &= ~low_mask(s->granule[stage]);
	}
	send(s, a, b | (address & ~0xfffull));
	/* What was combined from both stages is found by the stage-1 address only (§3.17.1). */
	if (stage == 2 && s->s1) {
		send(s, 0x10 | FIELD(s->vmid, 32), 0);
		send_cd_all(s);
	}
}

/* The entry that decides about a known address now, whatever it is, becomes another: invalidated by address. */
static void change_page(struct scene *s, int stage)
{
	unsigned int which = rng_below(s->rng, s->n_addresses);
	uint64_t ia = stage == 1 ? s->address[which] : s->ipa[which], table = s->root[stage];

	for (unsigned int level = s->level[stage];; level++) {
		unsigned int shift = level_shift(s, stage, level);
		unsigned int top = level == s->level[stage] ? s->ia_bits[stage] : shift + s->granule[stage] - 3;
		uint64_t at = table + 8 * ((ia & low_mask(top)) >> shift);
		uint64_t desc;

		if (at < POOL_BASE || at >= POOL_BASE + POOL_SIZE)
			return;
		desc = world_load(s->w, at);
		if ((desc & 3) == 3 && level < 3) {
			table = desc & 0x0000ffffffffffff & ~low_mask(s->granule[stage]);
			if (stage == 1)
				table -= s->table_offset;
			continue;
		}
		if (!(desc & 1))
			return;
		world_group(s->w);
		world_store(s->w, at, rng_chance(s->rng, 30) ? 0 : desc ^ FIELD(1, shift + rng_below(s->rng, 44 - shift)));
		send_page(s, stage, ia, shift, level);
		return;
	}
}

static void change_s2(struct scene *s)
{
	uint64_t at = s->descriptor[2][rng_below(s->rng, s->n_descriptors[2])];

	world_group(s->w);
	world_store(s->w, at, world_load(s->w, at) ^ FIELD(1, rng_chance(s->rng, 70) ? 6 + rng_below(s->rng, 2) : 10));
	send(s, (rng_chance(s->rng, 50) ? 0x28 : 0x30) | FIELD(s->vmid, 32), 0);
	send_cd_all(s);
}

static void change_cd(struct scene *s)
{
	static const unsigned int which[] = { 31, 35, 36, 40, 45, 45 };

	world_group(s->w);
	world_store(s->w, s->cd_pa, world_load(s->w, s->cd_pa) ^ FIELD(1, which[rng_below(s->rng, 6)]));
	/* CFGI_CD or CFGI_CD_ALL; what is cached from the tables under the old CD goes too (§3.21.3). */
	send(s, (rng_chance(s->rng, 50) ? 0x05 : 0x06) | FIELD(s->ssid, 12) | FIELD(s->sid, 32), 1);
	send_all_s1(s);
}

static void change_ste(struct scene *s)
{
	static const unsigned int word[] = { 0, 0, 1, 1, 2, 2 }, bit[] = { 0, 1, 49, 51, 53, 58 };
	unsigned int i = rng_below(s->rng, 6);

	world_group(s->w);
	world_store(s->w, s->ste_pa + 8 * word[i], world_load(s->w, s->ste_pa + 8 * word[i]) ^ FIELD(1, bit[i]));
	if (rng_chance(s->rng, 70))
		send(s, 0x03 | FIELD(s->sid, 32), 1);	/* CFGI_STE */
	else
		send(s, 0x04 | FIELD(s->sid, 32), 31);	/* CFGI_ALL: a range of 2^32 streams */
	send(s, 0x30, 0);
}

void scene_change(struct scene *s)
{
	unsigned int what = rng_below(s->rng, 10);

	/* Where a table entry, CD or STE is broken it is no longer known what an entry of a table decides about. */
	if (what < 4 && (s->s1 || s->s2) && s->n_addresses && !s->broken)
		change_page(s, s->s1 && (!s->s2 || rng_chance(s->rng, 60)) ? 1 : 2);
	else if (what < 6 && s->n_descriptors[1])
		change_s1(s);
	else if (what < 8 && s->n_descriptors[2])
		change_s2(s);
	else if (what < 9 && s->s1)
		change_cd(s);
	else
		change_ste(s);
}
