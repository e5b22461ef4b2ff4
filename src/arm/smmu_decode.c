/* SPDX-License-Identifier: BSD-2-Clause */
#include "arm/smmu_decode.h"

#include <stddef.h>
#include <string.h>

#include "arm/smmu_build.h"

/* TxSZ without small translation tables; with them (IDR3.STT) 48, or 47 for 64K granules. */
#define TXSZ_MAX 39
#define TXSZ_MAX_STT 48
#define TXSZ_MIN 16

void smmu_features_decode(struct smmu_features *f, const uint32_t idr[6])
{
	*f = (struct smmu_features){
		.s1 = idr[0] & SMMU_IDR0_S1P,
		.s2 = idr[0] & SMMU_IDR0_S2P,
		.cd_2level = idr[0] & SMMU_IDR0_CD2L,
		.asid16 = idr[0] & SMMU_IDR0_ASID16,
		.vmid16 = idr[0] & SMMU_IDR0_VMID16,
		.raz_wi = !(idr[0] & SMMU_IDR0_TERM_MODEL),
		.had = idr[3] & SMMU_IDR3_HAD,
		.xnx = idr[3] & SMMU_IDR3_XNX,
		.stt = idr[3] & SMMU_IDR3_STT,
		.ril = idr[3] & SMMU_IDR3_RIL,
		.perms_override = idr[1] & SMMU_IDR1_ATTR_PERMS_OVR,
		.granules = (idr[5] & SMMU_IDR5_GRAN4K ? 1 : 0) |
			    (idr[5] & SMMU_IDR5_GRAN16K ? 2 : 0) |
			    (idr[5] & SMMU_IDR5_GRAN64K ? 4 : 0),
		.ssid_bits = FIELD_GET64(SMMU_IDR1_SSIDSIZE, idr[1]),
		.sid_bits = FIELD_GET64(SMMU_IDR1_SIDSIZE, idr[1]),
		.oa_bits = smmu_ps_bits(FIELD_GET64(SMMU_IDR5_OAS, idr[5])),
	};
	/* §6.3.2: larger values are Reserved. */
	if (f->ssid_bits > 20)
		f->ssid_bits = 20;
	if (f->sid_bits > 32)
		f->sid_bits = 32;
}

/* The granule of an encoded TG0 or S2TG; 0 when it is Reserved or not implemented. */
static unsigned int tg0_shift(const struct smmu_features *f, uint64_t tg)
{
	switch (tg) {
	case SMMU_TG0_4K:
		return f->granules & 1 ? 12 : 0;
	case SMMU_TG0_16K:
		return f->granules & 2 ? 14 : 0;
	case SMMU_TG0_64K:
		return f->granules & 4 ? 16 : 0;
	default:
		return 0;
	}
}

static unsigned int tg1_shift(const struct smmu_features *f, uint64_t tg)
{
	switch (tg) {
	case SMMU_TG1_4K:
		return tg0_shift(f, SMMU_TG0_4K);
	case SMMU_TG1_16K:
		return tg0_shift(f, SMMU_TG0_16K);
	case SMMU_TG1_64K:
		return tg0_shift(f, SMMU_TG0_64K);
	default:
		return 0;
	}
}

static bool txsz_valid(const struct smmu_features *f, unsigned int txsz, unsigned int granule_shift)
{
	unsigned int max = TXSZ_MAX;

	if (f->stt)
		max = granule_shift == 16 ? TXSZ_MAX_STT - 1 : TXSZ_MAX_STT;
	return txsz >= TXSZ_MIN && txsz <= max;
}

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * The root of the start level. Address bits below the table's alignment are RES0: the model ignores
 * them (D8.2.5). A table is aligned to its size, and to 64 bytes at least.
 */
static uint64_t aligned_root(const struct vmsa_regime *r, uint64_t ttb)
{
	unsigned int entry_shift = vmsa_level_shift(r->granule_shift, r->start_level);
	uint64_t size = UINT64_C(8) << (r->ia_bits - entry_shift);

	return ttb & ~((size < VMSA_ROOT_MIN ? VMSA_ROOT_MIN : size) - 1);
}

/* --- Stage 2 of an STE --- */

/*
 * The start level of S2SL0 (VTCR_EL2.SL0), or -1 where Reserved or beyond what the PA size allows
 * (S2InvalidSL, J1.1).
 */
static int s2_start_level(const struct smmu_features *f, unsigned int granule_shift,
			  unsigned int sl0)
{
	if (granule_shift == 12) {
		if (sl0 == 3)
			return f->stt ? 3 : -1;
		return sl0 == 2 && f->oa_bits < 44 ? -1 : 2 - (int)sl0;
	}
	if (sl0 == 3)
		return -1;
	if (sl0 == 2 && f->oa_bits < (granule_shift == 14 ? 42 : 44))
		return -1;
	return VMSA_LAST_LEVEL - (int)sl0;
}

/*
 * S2InconsistentSL (J1.1): the start level resolves at least one bit, and at most a table's worth
 * with 16 concatenated.
 */
static bool s2_start_consistent(unsigned int granule_shift, unsigned int start_level,
				unsigned int ia_bits)
{
	unsigned int below = vmsa_level_shift(granule_shift, start_level);

	return ia_bits > below && ia_bits <= below + vmsa_stride(granule_shift) + 4;
}

static const char *decode_s2(const struct smmu_features *f, const uint64_t ste[SMMU_STE_DWORDS],
			     struct smmu_ste *out)
{
	unsigned int t0sz = FIELD_GET64(SMMU_STE_2_S2T0SZ, ste[2]);
	unsigned int granule_shift = tg0_shift(f, FIELD_GET64(SMMU_STE_2_S2TG, ste[2]));
	unsigned int oa_bits = min(smmu_ps_bits(FIELD_GET64(SMMU_STE_2_S2PS, ste[2])), f->oa_bits);
	uint64_t ttb = ste[3] & SMMU_STE_3_S2TTB;
	int start_level;

	if (!f->s2)
		return "stage 2 is enabled but not implemented";
	if (ste[2] & SMMU_STE_2_S2S)
		return "S2S asks for stalls, which are not implemented";
	if (!(ste[2] & SMMU_STE_2_S2AA64))
		return "S2AA64 selects VMSAv8-32, which is not implemented";
	if (ste[2] & (SMMU_STE_2_S2HA | SMMU_STE_2_S2HD))
		return "S2HA or S2HD asks for hardware updates, which are not implemented";
	if (!granule_shift)
		return "S2TG is Reserved or not implemented";
	if (ttb >> oa_bits)
		return "S2TTB lies beyond S2PS";
	/* §5.2: an IPA is no larger than IAS, which equals OAS without AArch32 tables. */
	if (!txsz_valid(f, t0sz, granule_shift) || 64 - t0sz > f->oa_bits)
		return "S2T0SZ is out of range";
	start_level = s2_start_level(f, granule_shift, FIELD_GET64(SMMU_STE_2_S2SL0, ste[2]));
	if (start_level < 0 || !s2_start_consistent(granule_shift, start_level, 64 - t0sz))
		return "S2SL0 does not fit S2T0SZ and S2TG";
	if (ste[2] & SMMU_STE_2_S2ENDI)
		return "S2ENDI asks for big-endian tables, which are not implemented";

	out->s2_regime = (struct vmsa_regime){
		.granule_shift = granule_shift,
		.ia_bits = 64 - t0sz,
		.oa_bits = oa_bits,
		.start_level = start_level,
		.af_fault = !(ste[2] & SMMU_STE_2_S2AFFD),
		.flat = true,
	};
	out->s2_regime.root = aligned_root(&out->s2_regime, ttb);
	out->s2_record = ste[2] & SMMU_STE_2_S2R;
	out->s2_protect_walks = ste[2] & SMMU_STE_2_S2PTW;
	return NULL;
}

/* --- Stage 1 of an STE --- */

static const char *decode_s1(const struct smmu_features *f, const uint64_t ste[SMMU_STE_DWORDS],
			     struct smmu_ste *out)
{
	unsigned int format = FIELD_GET64(SMMU_STE_0_S1FMT, ste[0]);

	if (!f->s1)
		return "stage 1 is enabled but not implemented";
	if (ste[1] & SMMU_STE_1_S1STALLD)
		return "S1STALLD is set but the stall model is not implemented";

	/*
	 * S1CDMax, S1Fmt and S1DSS are ignored where substreams are not implemented, the last two
	 * also where they are disabled.
	 */
	out->cd_max = f->ssid_bits ? FIELD_GET64(SMMU_STE_0_S1CDMAX, ste[0]) : 0;
	if (out->cd_max > f->ssid_bits)
		return "S1CDMax exceeds SSIDSIZE";
	if (format > SMMU_STE_0_S1FMT_64K_L2 || !out->cd_max)
		format = SMMU_STE_0_S1FMT_LINEAR;
	if (format != SMMU_STE_0_S1FMT_LINEAR && !f->cd_2level)
		return "S1Fmt selects two-level tables, which are not implemented";
	out->cd_format = format;
	out->default_substream = FIELD_GET64(SMMU_STE_1_S1DSS, ste[1]);
	if (out->default_substream > SMMU_STE_1_S1DSS_SSID0)
		out->default_substream = SMMU_STE_1_S1DSS_TERMINATE;

	/* §3.4.3 (1), and our choice for (2), where the pointer is an IPA. */
	out->cd_table = ste[0] & SMMU_STE_0_S1CONTEXTPTR;
	if (out->cd_table >> f->oa_bits)
		return "S1ContextPtr is out of range";
	return NULL;
}

static enum smmu_override override(const struct smmu_features *f, uint64_t cfg)
{
	if (!f->perms_override)
		return SMMU_INCOMING;
	if (cfg == SMMU_STE_1_CFG_CLEAR)
		return SMMU_FORCE_CLEAR;
	return cfg == SMMU_STE_1_CFG_SET ? SMMU_FORCE_SET : SMMU_INCOMING;
}

const char *smmu_ste_decode(const struct smmu_features *f, const uint64_t ste[SMMU_STE_DWORDS],
			    struct smmu_ste *out)
{
	uint64_t config = FIELD_GET64(SMMU_STE_0_CONFIG, ste[0]);
	const char *why = NULL;

	memset(out, 0, sizeof(*out));
	if (!(ste[0] & SMMU_STE_0_V))
		return "V is 0";
	out->abort = !(config & SMMU_STE_0_CONFIG_ENABLE_BIT);
	if (out->abort)
		return NULL;
	out->s1 = config & SMMU_STE_0_CONFIG_S1_BIT;
	out->s2 = config & SMMU_STE_0_CONFIG_S2_BIT;
	out->privileged = override(f, FIELD_GET64(SMMU_STE_1_PRIVCFG, ste[1]));
	out->instruction = override(f, FIELD_GET64(SMMU_STE_1_INSTCFG, ste[1]));

	if (out->s1)
		why = decode_s1(f, ste, out);
	if (!why && out->s2)
		why = decode_s2(f, ste, out);
	/* The VMID tags stage 1 too, unless stage 2 does not exist (§3.17). */
	if (!why && f->s2 && (out->s1 || out->s2)) {
		out->vmid = FIELD_GET64(SMMU_STE_2_S2VMID, ste[2]);
		if (!f->vmid16 && out->vmid > 0xff)
			why = "S2VMID has more than 8 bits";
	}
	return why;
}

/* --- Context descriptor --- */

static const char *decode_ttb(const struct smmu_features *f, struct vmsa_regime *r,
			      unsigned int granule_shift, unsigned int txsz, uint64_t ttb,
			      uint64_t cd0, bool flat)
{
	unsigned int ips = min(smmu_ps_bits(FIELD_GET64(SMMU_CD_0_IPS, cd0)), f->oa_bits);
	unsigned int levels;

	if (!granule_shift)
		return "TG0 or TG1 is Reserved or not implemented";
	if (!txsz_valid(f, txsz, granule_shift))
		return "T0SZ or T1SZ is out of range";
	if (ttb >> ips)
		return "TTB0 or TTB1 lies beyond IPS";

	levels = (64 - txsz - granule_shift + vmsa_stride(granule_shift) - 1) /
		 vmsa_stride(granule_shift);
	*r = (struct vmsa_regime){
		.granule_shift = granule_shift,
		.ia_bits = 64 - txsz,
		.oa_bits = ips,
		.start_level = VMSA_LAST_LEVEL + 1 - levels,
		.af_fault = !(cd0 & SMMU_CD_0_AFFD),
		.flat = flat,
	};
	r->root = aligned_root(r, ttb);
	return NULL;
}

const char *smmu_cd_decode(const struct smmu_features *f, const uint64_t cd[SMMU_CD_DWORDS],
			   struct smmu_context *out)
{
	const char *why = NULL;

	memset(out, 0, sizeof(*out));
	if (!(cd[0] & SMMU_CD_0_V))
		return "V is 0";
	if (!f->raz_wi && !(cd[0] & SMMU_CD_0_A))
		return "A is 0 but faults can only abort";
	if (cd[0] & SMMU_CD_0_S)
		return "S asks for stalls, which are not implemented";
	if (!(cd[0] & SMMU_CD_0_AA64))
		return "AA64 selects VMSAv8-32, which is not implemented";
	if (cd[0] & (SMMU_CD_0_HA | SMMU_CD_0_HD))
		return "HA or HD asks for hardware updates, which are not implemented";

	out->epd[0] = cd[0] & SMMU_CD_0_EPD0;
	out->epd[1] = cd[0] & SMMU_CD_0_EPD1;
	if (cd[0] & SMMU_CD_0_ENDI && !(out->epd[0] && out->epd[1]))
		return "ENDI asks for big-endian tables, which are not implemented";
	out->tbi[0] = cd[0] & SMMU_CD_0_TBI0;
	out->tbi[1] = cd[0] & SMMU_CD_0_TBI1;
	out->wxn = cd[0] & SMMU_CD_0_WXN;
	out->pan = cd[0] & SMMU_CD_0_PAN;
	out->record = cd[0] & SMMU_CD_0_R;
	out->abort = cd[0] & SMMU_CD_0_A;
	out->asid = FIELD_GET64(SMMU_CD_0_ASID, cd[0]);
	if (!f->asid16 && out->asid > 0xff)
		return "ASID has more than 8 bits";

	if (!out->epd[0])
		why = decode_ttb(f, &out->ttb[0], tg0_shift(f, FIELD_GET64(SMMU_CD_0_TG0, cd[0])),
				 FIELD_GET64(SMMU_CD_0_T0SZ, cd[0]), cd[1] & SMMU_CD_1_TTB0, cd[0],
				 f->had && cd[1] & SMMU_CD_1_HAD0);
	if (!why && !out->epd[1])
		why = decode_ttb(f, &out->ttb[1], tg1_shift(f, FIELD_GET64(SMMU_CD_0_TG1, cd[0])),
				 FIELD_GET64(SMMU_CD_0_T1SZ, cd[0]), cd[2] & SMMU_CD_2_TTB1, cd[0],
				 f->had && cd[2] & SMMU_CD_2_HAD1);
	return why;
}
