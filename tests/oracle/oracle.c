/* SPDX-License-Identifier: BSD-2-Clause */
#include "oracle.h"

#include <string.h>

/* Event numbers, IHI0070 §7.3. */
enum {
	C_BAD_STREAMID = 0x02,
	F_STE_FETCH = 0x03,
	C_BAD_STE = 0x04,
	F_STREAM_DISABLED = 0x06,
	C_BAD_SUBSTREAMID = 0x08,
	F_CD_FETCH = 0x09,
	C_BAD_CD = 0x0a,
	F_WALK_EABT = 0x0b,
	F_TRANSLATION = 0x10,
	F_ADDR_SIZE = 0x11,
	F_ACCESS = 0x12,
	F_PERMISSION = 0x13,
};

/* CLASS of a fault: what was being translated when it happened. */
enum class {
	CLASS_CD = 0,
	CLASS_TT = 1,
	CLASS_IN = 2,
};

/* One translation from start to end. A step that fails fills answer and returns false. */
struct run {
	const struct oracle_machine *m;
	struct oracle_access a;		/* after the overrides of the STE */
	uint64_t ste[8], cd[8];
	struct oracle_answer answer;
};

/* What is asked of one stage for one address. */
struct want {
	bool read, write, execute, privileged;
};

static uint64_t bits(uint64_t value, unsigned int high, unsigned int low)
{
	return value << (63 - high) >> (63 - high + low);
}

static bool bit(uint64_t value, unsigned int n)
{
	return value >> n & 1;
}

static uint64_t low_mask(unsigned int n)
{
	return n >= 64 ? ~0ull : (1ull << n) - 1;
}

static bool fail(struct run *r, unsigned int type, bool record)
{
	r->answer = (struct oracle_answer){
		.record = record,
		.abort = true,
		.event[0] = type | (uint64_t)r->a.sid << 32,
	};
	/* C_BAD_SUBSTREAMID needs no SSV to say that there is one (§7.3.9). */
	if (r->a.ssid_valid)
		r->answer.event[0] |= (uint64_t)(type != C_BAD_SUBSTREAMID) << 11 | (uint64_t)r->a.ssid << 12;
	return false;
}

static bool fail_fetch(struct run *r, unsigned int type, uint64_t pa)
{
	fail(r, type, true);
	r->answer.event[3] = pa & 0x000ffffffffffff8;
	return false;
}

static bool fail_access(struct run *r, unsigned int type, bool record, int stage, enum class class, uint64_t dw3)
{
	fail(r, type, record);
	r->answer.event[1] = (uint64_t)r->a.privileged << 33 | (uint64_t)r->a.instruction << 34 |
			     (uint64_t)!r->a.write << 35 | (uint64_t)(stage == 2) << 39 | (uint64_t)class << 40;
	r->answer.event[2] = r->a.addr;
	r->answer.event[3] = dw3;
	return false;
}

static bool fail_s1(struct run *r, unsigned int type)
{
	fail_access(r, type, bit(r->cd[0], 45), 1, CLASS_IN, 0);
	r->answer.abort = bit(r->cd[0], 46);
	return false;
}

static bool fail_s2(struct run *r, unsigned int type, enum class class, uint64_t ipa)
{
	fail_access(r, type, bit(r->ste[2], 58), 2, class, ipa & 0x000ffffffffff000);
	/* TTRnW: the table was read, not updated (§7.3.16). */
	if (type == F_PERMISSION && class == CLASS_TT)
		r->answer.event[1] |= 1ull << 44;
	return false;
}

/* Address size of the 3-bit encoding of IDR5.OAS, STE.S2PS and CD.IPS, limited to what the SMMU can output. */
static unsigned int address_bits(const struct run *r, unsigned int code)
{
	static const unsigned int size[] = { 32, 36, 40, 42, 44, 48, 48, 48 };
	unsigned int oas = size[r->m->idr[5] & 7];

	return size[code] < oas ? size[code] : oas;
}

static unsigned int oas(const struct run *r)
{
	return address_bits(r, r->m->idr[5] & 7);
}

static bool granule_implemented(const struct run *r, unsigned int shift)
{
	return bit(r->m->idr[5], shift == 12 ? 4 : shift == 14 ? 5 : 6);
}

static bool read_block(const struct run *r, uint64_t pa, uint64_t *words, int count)
{
	for (int i = 0; i < count; i++)
		if (!r->m->read(r->m->ctx, pa + 8 * i, &words[i]))
			return false;
	return true;
}

/* --- Stream table, §5.1, §5.2 --- */

static bool find_ste(struct run *r, uint64_t *pa)
{
	uint64_t base = r->m->strtab_base & 0x000fffffffffffc0;
	uint32_t cfg = r->m->strtab_base_cfg;
	unsigned int log2size = bits(cfg, 5, 0), split = bits(cfg, 10, 6);
	uint32_t sid = r->a.sid;
	uint64_t l1;

	if (log2size < 32 && sid >> log2size)
		return fail(r, C_BAD_STREAMID, true);
	if (bits(cfg, 17, 16) == 0) {
		*pa = (base & ~low_mask(log2size + 6)) + 64 * (uint64_t)sid;
		return true;
	}
	/* Two levels: the first is 8 bytes an entry, each for 2^split streams. */
	unsigned int l1_bits = log2size > split ? log2size - split : 0;
	uint64_t l1_pa = (base & ~low_mask(l1_bits + 3 > 6 ? l1_bits + 3 : 6)) + 8 * (uint64_t)(sid >> split);

	if (!read_block(r, l1_pa, &l1, 1))
		return fail_fetch(r, F_STE_FETCH, l1_pa);
	unsigned int span = bits(l1, 4, 0);

	if (span == 0 || span > split + 1 || (sid & low_mask(split)) >> (span - 1))
		return fail(r, C_BAD_STREAMID, true);
	*pa = (l1 & 0x000fffffffffffc0 & ~low_mask(5 + span)) + 64 * (sid & low_mask(split));
	return true;
}

/* Geometry of one stage's walk. */
struct walk {
	int stage;
	unsigned int granule, ia_bits, oa_bits, level;
	uint64_t root;
	bool af_ignored;
};

/* Geometry of stage 2 from the STE; false if the STE is illegal there. */
static bool s2_walk(const struct run *r, struct walk *w)
{
	static const unsigned int granules[] = { 12, 16, 14, 0 };
	uint64_t dw = r->ste[2];
	unsigned int t0sz = bits(dw, 37, 32), sl0 = bits(dw, 39, 38);

	*w = (struct walk){
		.stage = 2,
		.granule = granules[bits(dw, 47, 46)],
		.ia_bits = 64 - t0sz,
		.oa_bits = address_bits(r, bits(dw, 50, 48)),
		.root = r->ste[3] & 0x000ffffffffffff0,
		.af_ignored = bit(dw, 53),
	};
	if (!w->granule || !granule_implemented(r, w->granule) || t0sz < 16 || t0sz > 39 || w->ia_bits > oas(r) || sl0 == 3)
		return false;
	w->level = (w->granule == 12 ? 2 : 3) - sl0;

	/* At the start level up to four extra bits may be resolved, by concatenated tables; at least one must be (DDI0487 D8.2.2). */
	unsigned int stride = w->granule - 3, below = w->granule + stride * (3 - w->level);

	if (w->ia_bits <= below || w->ia_bits > below + stride + 4)
		return false;
	if (w->root >> w->oa_bits)
		return false;
	w->root &= ~low_mask(w->ia_bits - below + 3);
	return true;
}

/* S1Fmt; its reserved value means linear (§5.2). */
static unsigned int s1_format(const struct run *r)
{
	unsigned int format = bits(r->ste[0], 5, 4);

	return format == 3 ? 0 : format;
}

static bool ste_legal(const struct run *r)
{
	uint64_t config = bits(r->ste[0], 3, 1);
	bool s1 = config & 1, s2 = config & 2;
	bool no_stall = bits(r->m->idr[0], 25, 24) == 1;
	struct walk w;

	if (s1) {
		unsigned int cd_max = bits(r->ste[0], 63, 59);

		if (!bit(r->m->idr[0], 1) || cd_max > bits(r->m->idr[1], 10, 6))
			return false;
		if ((r->ste[0] & 0x000fffffffffffc0) >> oas(r))
			return false;
		if (cd_max && s1_format(r) && !bit(r->m->idr[0], 19))
			return false;
		/* Without stage 2 a stream world other than NS-EL1 needs IDR0.Hyp. */
		if (!s2 && bits(r->ste[1], 31, 30) && !bit(r->m->idr[0], 9))
			return false;
	}
	if (s2) {
		if (!bit(r->m->idr[0], 0) || !bit(r->ste[2], 51) || bit(r->ste[2], 52))
			return false;
		if (no_stall && bit(r->ste[2], 57))
			return false;
		if (!s2_walk(r, &w))
			return false;
	}
	return true;
}

/* --- Tables, DDI0487 D8 --- */

static bool leaf_allowed(unsigned int granule, unsigned int level)
{
	return level == 3 || level == 2 || (granule == 12 && level == 1);
}

enum walk_result {
	WALK_OK,
	WALK_TRANSLATION,
	WALK_ADDR_SIZE,
	WALK_ABORT,	/* external */
	WALK_FAILED,	/* of a nested step; answer is filled */
};

struct leaf {
	uint64_t oa, desc;
	uint64_t tables;	/* hierarchical attributes of the tables above, or'ed */
};

static bool stage2(struct run *r, uint64_t ipa, struct want want, enum class class, uint64_t *pa);

static enum walk_result do_walk(struct run *r, const struct walk *w, bool nested, uint64_t ia, struct leaf *leaf, uint64_t *fetch)
{
	unsigned int stride = w->granule - 3;
	uint64_t table = w->root;
	uint64_t addr_mask = 0x0000ffffffffffff & ~low_mask(w->granule);

	leaf->tables = 0;
	for (unsigned int level = w->level;; level++) {
		unsigned int shift = w->granule + stride * (3 - level);
		unsigned int top = level == w->level ? w->ia_bits : shift + stride;
		uint64_t at = table + 8 * bits(ia, top - 1, shift);
		uint64_t pa = at, desc;

		if (nested) {
			/* §3.4.3: tables of stage 1 are IPAs, read with a privileged data read. */
			struct want want = { .read = true, .privileged = true };

			if (!stage2(r, at, want, CLASS_TT, &pa))
				return WALK_FAILED;
		}
		*fetch = pa;
		if (!r->m->read(r->m->ctx, pa, &desc))
			return WALK_ABORT;

		unsigned int type = desc & 3;

		if (type != 3 && !(type == 1 && level < 3 && leaf_allowed(w->granule, level)))
			return WALK_TRANSLATION;
		if ((desc & addr_mask) >> w->oa_bits)
			return WALK_ADDR_SIZE;
		if (type == 3 && level < 3) {
			leaf->tables |= desc;
			/* APTable[0] takes away, so it is or'ed like the others. */
			table = desc & addr_mask;
			continue;
		}
		leaf->desc = desc;
		leaf->oa = (desc & addr_mask & ~low_mask(shift)) | (ia & low_mask(shift));
		return WALK_OK;
	}
}

static bool stage2(struct run *r, uint64_t ipa, struct want want, enum class class, uint64_t *pa)
{
	struct walk w;
	struct leaf leaf;
	uint64_t fetch;

	s2_walk(r, &w);
	if (ipa >> w.ia_bits)
		return fail_s2(r, F_TRANSLATION, class, ipa);
	switch (do_walk(r, &w, false, ipa, &leaf, &fetch)) {
	case WALK_TRANSLATION:
		return fail_s2(r, F_TRANSLATION, class, ipa);
	case WALK_ADDR_SIZE:
		return fail_s2(r, F_ADDR_SIZE, class, ipa);
	case WALK_ABORT:
		return fail_access(r, F_WALK_EABT, true, 2, class, fetch & 0x000ffffffffffff8);
	default:
		break;
	}
	if (!bit(leaf.desc, 10) && !w.af_ignored)
		return fail_s2(r, F_ACCESS, class, ipa);

	/* S2AP[0] read, [1] write; XN[1:0] in bits 54:53, of which bit 53 counts with IDR3.XNX (D8.4.2). */
	unsigned int xn = bits(leaf.desc, 54, 53);
	bool may_execute;

	if (!bit(r->m->idr[3], 4))
		xn &= 2;
	may_execute = xn == 0 || (xn == 1 && !want.privileged) || (xn == 3 && want.privileged);
	if ((want.read && !bit(leaf.desc, 6)) || (want.write && !bit(leaf.desc, 7)) || (want.execute && !may_execute))
		return fail_s2(r, F_PERMISSION, class, ipa);
	/* S2PTW: neither stage-1 tables nor CDs may lie in Device memory. */
	if (class != CLASS_IN && bit(r->ste[2], 54) && bits(leaf.desc, 5, 4) == 0)
		return fail_s2(r, F_PERMISSION, class, ipa);
	*pa = leaf.oa;
	return true;
}

/* --- Context descriptor, §5.3, §5.4 --- */

static bool fetch_cd_words(struct run *r, bool nested, uint64_t addr, uint64_t *words, int count)
{
	uint64_t pa = addr;
	struct want want = { .read = true, .privileged = true };

	if (nested && !stage2(r, addr, want, CLASS_CD, &pa))
		return false;
	if (!read_block(r, pa, words, count))
		return fail_fetch(r, F_CD_FETCH, pa);
	return true;
}

/* The half of the address space that an address is in, and its walk; false if the CD is illegal there. */
static bool s1_walk(const struct run *r, bool upper, struct walk *w)
{
	static const unsigned int granules[2][4] = { { 12, 16, 14, 0 }, { 0, 14, 12, 16 } };
	uint64_t dw = r->cd[0];
	unsigned int tsz = upper ? bits(dw, 21, 16) : bits(dw, 5, 0);

	*w = (struct walk){
		.stage = 1,
		.granule = granules[upper][upper ? bits(dw, 23, 22) : bits(dw, 7, 6)],
		.ia_bits = 64 - tsz,
		.oa_bits = address_bits(r, bits(dw, 34, 32)),
		.root = (upper ? r->cd[2] : r->cd[1]) & 0x000ffffffffffff0,
		.af_ignored = bit(dw, 35),
	};
	if (!w->granule || !granule_implemented(r, w->granule) || tsz < 16 || tsz > 39 || w->root >> w->oa_bits)
		return false;

	unsigned int stride = w->granule - 3;
	unsigned int levels = (w->ia_bits - w->granule + stride - 1) / stride;
	unsigned int top_bits = w->ia_bits - w->granule - stride * (levels - 1);

	w->level = 4 - levels;
	w->root &= ~low_mask(top_bits + 3 > 6 ? top_bits + 3 : 6);
	return true;
}

static bool cd_legal(const struct run *r)
{
	uint64_t dw = r->cd[0];
	struct walk w;

	if (!bit(dw, 31) || !bit(dw, 41) || bit(dw, 15))
		return false;
	if (bits(r->m->idr[0], 25, 24) == 1 && bit(dw, 44))
		return false;
	if (bit(r->m->idr[0], 26) && !bit(dw, 46))
		return false;
	return (bit(dw, 14) || s1_walk(r, false, &w)) && (bit(dw, 30) || s1_walk(r, true, &w));
}

static bool get_cd(struct run *r, bool nested)
{
	uint64_t table = r->ste[0] & 0x000fffffffffffc0;
	unsigned int cd_max = bits(r->ste[0], 63, 59), format = s1_format(r);
	uint64_t index = r->a.ssid_valid ? r->a.ssid : 0;

	if (cd_max && format) {
		unsigned int leaf_bits = format == 1 ? 6 : 10;
		uint64_t l1, l1_at;

		table &= ~low_mask(cd_max > leaf_bits ? cd_max - leaf_bits + 3 : 3);
		l1_at = table + 8 * (index >> leaf_bits);
		if (!fetch_cd_words(r, nested, l1_at, &l1, 1))
			return false;
		/* A pointer beyond what the SMMU can address counts as an invalid one (§7.3.9, a choice of §3.4.3). */
		table = l1 & 0x000ffffffffff000 & ~low_mask(leaf_bits + 6);
		if (!bit(l1, 0) || table >> oas(r))
			return fail(r, C_BAD_SUBSTREAMID, true);
		index &= low_mask(leaf_bits);
	} else {
		/* Address bits below the size of the table are RES0 (§5.2 S1ContextPtr). */
		table &= ~low_mask(cd_max + 6);
	}
	if (!fetch_cd_words(r, nested, table + 64 * index, r->cd, 8))
		return false;
	if (!cd_legal(r))
		return fail(r, C_BAD_CD, true);
	return true;
}

/* --- Stage 1 --- */

static bool s1_permitted(const struct run *r, const struct leaf *leaf, bool upper, struct want want)
{
	/* Hierarchical controls count unless CD.HAD switches them off (IDR3.HAD). */
	bool had = bit(r->m->idr[3], 2) && bit(upper ? r->cd[2] : r->cd[1], 1);
	uint64_t tables = had ? 0 : leaf->tables;
	bool user = bit(leaf->desc, 6) && !bit(tables, 61);
	bool writable = !bit(leaf->desc, 7) && !bit(tables, 62);
	bool pxn = bit(leaf->desc, 53) || bit(tables, 59);
	bool uxn = bit(leaf->desc, 54) || bit(tables, 60);
	bool wxn = bit(r->cd[0], 36), pan = bit(r->cd[0], 40);

	if (want.execute) {
		if (want.privileged)
			return !pxn && !(user && writable) && !(wxn && writable);
		return !uxn && !(wxn && user && writable);
	}
	if (want.privileged ? pan && user : !user)
		return false;
	return !want.write || writable;
}

static bool stage1(struct run *r, bool nested, struct want want, uint64_t *ipa)
{
	bool upper = bit(r->a.addr, 55);
	bool tbi = bit(r->cd[0], upper ? 39 : 38);
	uint64_t va = r->a.addr;
	struct walk w;
	struct leaf leaf;
	uint64_t fetch;

	if (bit(r->cd[0], upper ? 30 : 14))	/* EPDn */
		return fail_s1(r, F_TRANSLATION);
	s1_walk(r, upper, &w);

	/* D8.1.3: the bits above the input size are all copies of bit 55, or ignored in the top byte. */
	uint64_t above = bits(va, tbi ? 55 : 63, w.ia_bits);

	if (above != (upper ? low_mask((tbi ? 56 : 64) - w.ia_bits) : 0))
		return fail_s1(r, F_TRANSLATION);
	va &= low_mask(w.ia_bits);
	switch (do_walk(r, &w, nested, va, &leaf, &fetch)) {
	case WALK_TRANSLATION:
		return fail_s1(r, F_TRANSLATION);
	case WALK_ADDR_SIZE:
		return fail_s1(r, F_ADDR_SIZE);
	case WALK_ABORT:
		return fail_access(r, F_WALK_EABT, true, 1, CLASS_TT, fetch & 0x000ffffffffffff8);
	case WALK_FAILED:
		return false;
	case WALK_OK:
		break;
	}
	if (!bit(leaf.desc, 10) && !w.af_ignored)
		return fail_s1(r, F_ACCESS);
	if (!s1_permitted(r, &leaf, upper, want))
		return fail_s1(r, F_PERMISSION);
	*ipa = leaf.oa;
	return true;
}

/* --- The whole, §3.3, §3.4, §3.9 --- */

static void apply_overrides(struct run *r)
{
	unsigned int priv = bits(r->ste[1], 49, 48), inst = bits(r->ste[1], 51, 50);

	/* IDR1.ATTR_PERMS_OVR: whether there are such overrides. */
	if (bit(r->m->idr[1], 26) && priv & 2)
		r->a.privileged = priv & 1;
	if (bit(r->m->idr[1], 26) && inst & 2)
		r->a.instruction = inst & 1;
	if (r->a.write)
		r->a.instruction = false;
}

static bool translate(struct run *r)
{
	uint64_t ste_pa = 0, addr = r->a.addr;

	if (!find_ste(r, &ste_pa))
		return false;
	if (!read_block(r, ste_pa, r->ste, 8))
		return fail_fetch(r, F_STE_FETCH, ste_pa);
	if (!bit(r->ste[0], 0))
		return fail(r, C_BAD_STE, true);

	unsigned int config = bits(r->ste[0], 3, 1);
	bool s1 = config & 1, s2 = config & 2;

	if (!(config & 4))
		return fail(r, 0, false);
	if (!ste_legal(r))
		return fail(r, C_BAD_STE, true);
	apply_overrides(r);

	struct want want = {
		.read = !r->a.write && !r->a.instruction,
		.write = r->a.write,
		.execute = r->a.instruction,
		.privileged = r->a.privileged,
	};

	/* §3.9: a substream without a stage 1 to select in. */
	if (!s1 && r->a.ssid_valid)
		return fail(r, C_BAD_SUBSTREAMID, true);
	if (s1) {
		unsigned int cd_max = bits(r->ste[0], 63, 59), dss = bits(r->ste[1], 1, 0);

		if (r->a.ssid_valid && (cd_max == 0 || r->a.ssid >> cd_max))
			return fail(r, C_BAD_SUBSTREAMID, true);
		if (cd_max && !r->a.ssid_valid && (dss == 0 || dss == 3))
			return fail(r, F_STREAM_DISABLED, true);
		if (cd_max && r->a.ssid_valid && r->a.ssid == 0 && dss == 2)
			return fail(r, F_STREAM_DISABLED, true);
		if (cd_max && !r->a.ssid_valid && dss == 1)
			s1 = false;
	}
	if (s1) {
		if (!get_cd(r, s2))
			return false;
		if (!stage1(r, s2, want, &addr))
			return false;
	} else if (addr >> oas(r)) {
		/* §3.4: an address that bypasses stage 1 has to fit the SMMU's own size. */
		return fail_access(r, F_ADDR_SIZE, true, 1, CLASS_IN, 0);
	}
	if (s2 && !stage2(r, addr, want, CLASS_IN, &addr))
		return false;
	r->answer = (struct oracle_answer){ .ok = true, .pa = addr };
	return true;
}

struct oracle_answer oracle_translate(const struct oracle_machine *m, const struct oracle_access *access)
{
	struct run r = { .m = m, .a = *access };

	translate(&r);
	return r.answer;
}
