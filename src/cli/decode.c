/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/decode.h"

#include <stdarg.h>
#include <stdio.h>

#include "arm/smmu_build.h"
#include "arm/smmu_regs.h"
#include "arm/smmu_text.h"
#include "arm/vmsa_desc.h"
#include "cli/json.h"

static void put(struct decode_fields *out, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void put(struct decode_fields *out, const char *name, const char *format, ...)
{
	struct decode_field *field;
	va_list args;

	if (out->n == DECODE_FIELDS)
		return;
	field = &out->field[out->n++];
	field->name = name;
	va_start(args, format);
	vsnprintf(field->value, sizeof(field->value), format, args);
	va_end(args);
}

static void put_hex(struct decode_fields *out, const char *name, uint64_t value)
{
	put(out, name, "0x%llx", (unsigned long long)value);
}

static void put_flag(struct decode_fields *out, const char *name, uint64_t value)
{
	put(out, name, "%u", value != 0);
}

const char *decode_join(const struct decode_fields *fields, char *buf, size_t size)
{
	size_t at = 0;
	unsigned int i;

	buf[0] = 0;
	for (i = 0; i < fields->n && at < size; i++)
		at += snprintf(buf + at, size - at, "%s%s %s", i ? ", " : "", fields->field[i].name,
			       fields->field[i].value);
	return buf;
}

/* --- Events --- */

#define EVENT_ADDRESS (1u << 0)		/* InputAddr, RnW, InD, PnU */
#define EVENT_STAGE (1u << 1)		/* S2, CLASS, IPA, STALL */
#define EVENT_FETCH (1u << 2)		/* FetchAddr */

/* Which fields the type's record has (§7.3). */
static unsigned int event_has(const uint64_t record[4])
{
	switch (FIELD_GET64(SMMU_EVT_0_ID, record[0])) {
	case SMMU_EVT_F_TRANSLATION:
	case SMMU_EVT_F_ADDR_SIZE:
	case SMMU_EVT_F_ACCESS:
	case SMMU_EVT_F_PERMISSION:
		return EVENT_ADDRESS | EVENT_STAGE;
	case SMMU_EVT_F_WALK_EABT:
		return EVENT_ADDRESS | EVENT_STAGE | EVENT_FETCH;
	case SMMU_EVT_F_STE_FETCH:
	case SMMU_EVT_F_CD_FETCH:
	case SMMU_EVT_F_VMS_FETCH:
		return EVENT_FETCH;
	case SMMU_EVT_F_UUT:
	case SMMU_EVT_F_TRANSL_FORBIDDEN:
	case SMMU_EVT_F_BAD_ATS_TREQ:
	case SMMU_EVT_F_TLB_CONFLICT:
	case SMMU_EVT_E_PAGE_REQUEST:
		return EVENT_ADDRESS;
	default:
		return 0;
	}
}

static const char *event_name(const uint64_t record[4])
{
	const char *name = smmu_event_name(FIELD_GET64(SMMU_EVT_0_ID, record[0]));

	return name ? name : "unknown";
}

static const char *event_class(const uint64_t record[4])
{
	static const char *const names[] = { "CD", "TTD", "IN", "?" };

	return names[FIELD_GET64(SMMU_EVT_1_CLASS, record[1])];
}

void decode_event(const uint64_t record[4], struct decode_fields *out)
{
	unsigned int has = event_has(record);

	out->n = 0;
	put(out, "event", "%s (0x%02llx)", event_name(record),
	    (unsigned long long)FIELD_GET64(SMMU_EVT_0_ID, record[0]));
	put_hex(out, "StreamID", FIELD_GET64(SMMU_EVT_0_SID, record[0]));
	if (record[0] & SMMU_EVT_0_SSV)
		put_hex(out, "SubstreamID", FIELD_GET64(SMMU_EVT_0_SSID, record[0]));
	if (has & EVENT_ADDRESS) {
		put_hex(out, "address", record[2]);
		put(out, "access", "%s%s%s", record[1] & SMMU_EVT_1_RNW ? "read" : "write",
		    record[1] & SMMU_EVT_1_IND ? ", instruction" : "",
		    record[1] & SMMU_EVT_1_PNU ? ", privileged" : "");
	}
	if (has & EVENT_STAGE) {
		put(out, "stage", "%u", record[1] & SMMU_EVT_1_S2 ? 2 : 1);
		put(out, "class", "%s", event_class(record));
		if (record[1] & SMMU_EVT_1_S2)
			put_hex(out, "IPA", record[3] & SMMU_EVT_3_IPA);
		if (record[1] & SMMU_EVT_1_STALL)
			put(out, "stalled, tag", "%llu",
			    (unsigned long long)FIELD_GET64(SMMU_EVT_1_STAG, record[1]));
	}
	if (has & EVENT_FETCH)
		put_hex(out, "fetched from", record[3] & SMMU_EVT_3_FETCH_ADDR);
}

json_t *decode_event_json(const uint64_t record[4])
{
	unsigned int has = event_has(record);
	json_t *event = json_pack("{s:s, s:I, s:I}", "type", event_name(record), "id",
				  (json_int_t)FIELD_GET64(SMMU_EVT_0_ID, record[0]), "stream_id",
				  (json_int_t)FIELD_GET64(SMMU_EVT_0_SID, record[0]));

	if (record[0] & SMMU_EVT_0_SSV)
		json_object_set_new(event, "substream_id",
				    json_integer(FIELD_GET64(SMMU_EVT_0_SSID, record[0])));
	if (has & EVENT_ADDRESS) {
		json_object_set_new(event, "address", json_hex(record[2]));
		json_object_set_new(event, "rnw", json_boolean(record[1] & SMMU_EVT_1_RNW));
		json_object_set_new(event, "ind", json_boolean(record[1] & SMMU_EVT_1_IND));
		json_object_set_new(event, "pnu", json_boolean(record[1] & SMMU_EVT_1_PNU));
	}
	if (has & EVENT_STAGE) {
		json_object_set_new(event, "stage",
				    json_integer(record[1] & SMMU_EVT_1_S2 ? 2 : 1));
		json_object_set_new(event, "class", json_string(event_class(record)));
		if (record[1] & SMMU_EVT_1_S2)
			json_object_set_new(event, "ipa", json_hex(record[3] & SMMU_EVT_3_IPA));
	}
	if (has & EVENT_FETCH)
		json_object_set_new(event, "fetch_address",
				    json_hex(record[3] & SMMU_EVT_3_FETCH_ADDR));
	json_object_set_new(event, "raw",
			    json_pack("[o, o, o, o]", json_hex(record[0]), json_hex(record[1]),
				      json_hex(record[2]), json_hex(record[3])));
	return event;
}

/* --- Configuration --- */

static const char *granule_name(uint64_t tg0)
{
	return tg0 == SMMU_TG0_4K    ? "4K"
	       : tg0 == SMMU_TG0_16K ? "16K"
	       : tg0 == SMMU_TG0_64K ? "64K"
				     : "reserved";
}

void decode_ste(const uint64_t ste[8], struct decode_fields *out)
{
	static const char *const configs[] = { "abort",  "abort",   "abort",   "abort",
					       "bypass", "stage 1", "stage 2", "stage 1 + 2" };
	uint64_t config = FIELD_GET64(SMMU_STE_0_CONFIG, ste[0]);

	out->n = 0;
	put_flag(out, "V", ste[0] & SMMU_STE_0_V);
	put(out, "Config", "%s", configs[config]);
	if (!(config & SMMU_STE_0_CONFIG_ENABLE_BIT))
		return;
	if (config & SMMU_STE_0_CONFIG_S1_BIT) {
		put_hex(out, "S1ContextPtr", ste[0] & SMMU_STE_0_S1CONTEXTPTR);
		put(out, "S1CDMax", "%llu",
		    (unsigned long long)FIELD_GET64(SMMU_STE_0_S1CDMAX, ste[0]));
	}
	if (config & SMMU_STE_0_CONFIG_S2_BIT) {
		put(out, "S2VMID", "%llu",
		    (unsigned long long)FIELD_GET64(SMMU_STE_2_S2VMID, ste[2]));
		put(out, "S2T0SZ", "%llu (%llu-bit IPA)",
		    (unsigned long long)FIELD_GET64(SMMU_STE_2_S2T0SZ, ste[2]),
		    (unsigned long long)(64 - FIELD_GET64(SMMU_STE_2_S2T0SZ, ste[2])));
		put(out, "S2TG", "%s", granule_name(FIELD_GET64(SMMU_STE_2_S2TG, ste[2])));
		put(out, "S2SL0", "%llu",
		    (unsigned long long)FIELD_GET64(SMMU_STE_2_S2SL0, ste[2]));
		put(out, "S2PS", "%u bits", smmu_ps_bits(FIELD_GET64(SMMU_STE_2_S2PS, ste[2])));
		put_flag(out, "S2R", ste[2] & SMMU_STE_2_S2R);
		put_hex(out, "S2TTB", ste[3] & SMMU_STE_3_S2TTB);
	}
}

void decode_cd(const uint64_t cd[8], struct decode_fields *out)
{
	out->n = 0;
	put_flag(out, "V", cd[0] & SMMU_CD_0_V);
	put(out, "ASID", "%llu", (unsigned long long)FIELD_GET64(SMMU_CD_0_ASID, cd[0]));
	put(out, "T0SZ", "%llu (%llu-bit gIOVA)",
	    (unsigned long long)FIELD_GET64(SMMU_CD_0_T0SZ, cd[0]),
	    (unsigned long long)(64 - FIELD_GET64(SMMU_CD_0_T0SZ, cd[0])));
	put(out, "TG0", "%s", granule_name(FIELD_GET64(SMMU_CD_0_TG0, cd[0])));
	put(out, "IPS", "%u bits", smmu_ps_bits(FIELD_GET64(SMMU_CD_0_IPS, cd[0])));
	put_flag(out, "EPD0", cd[0] & SMMU_CD_0_EPD0);
	put_flag(out, "EPD1", cd[0] & SMMU_CD_0_EPD1);
	put_flag(out, "R", cd[0] & SMMU_CD_0_R);
	put_flag(out, "A", cd[0] & SMMU_CD_0_A);
	put_hex(out, "TTB0", cd[1] & SMMU_CD_1_TTB0);
	put_hex(out, "MAIR", cd[3]);
}

/* --- Descriptors --- */

static void decode_leaf_s1(uint64_t desc, struct decode_fields *out)
{
	put(out, "AP", "%s%s", desc & VMSA_S1_AP_RDONLY ? "read-only" : "read-write",
	    desc & VMSA_S1_AP_UNPRIV ? "" : ", privileged only");
	put(out, "AttrIndx", "%llu%s", (unsigned long long)FIELD_GET64(VMSA_S1_ATTRINDX, desc),
	    FIELD_GET64(VMSA_S1_ATTRINDX, desc) == VMSA_ATTRINDX_DEVICE ? " (Device)" : "");
	put_flag(out, "nG", desc & VMSA_S1_NG);
	put(out, "XN", "%s%s", desc & VMSA_S1_UXN ? "U" : "", desc & VMSA_S1_PXN ? "P" : "");
}

static void decode_leaf_s2(uint64_t desc, struct decode_fields *out)
{
	put(out, "S2AP", "%s%s", desc & VMSA_S2_S2AP_READ ? "r" : "-",
	    desc & VMSA_S2_S2AP_WRITE ? "w" : "-");
	put_hex(out, "MemAttr", FIELD_GET64(VMSA_S2_MEMATTR, desc));
}

void decode_descriptor(unsigned int stage, unsigned int level, unsigned int granule_shift,
		       uint64_t desc, struct decode_fields *out)
{
	uint64_t type = desc & VMSA_DESC_TYPE;
	unsigned int shift = vmsa_level_shift(granule_shift, level);

	out->n = 0;
	if (!(desc & VMSA_DESC_VALID)) {
		put(out, "invalid", "0x%llx", (unsigned long long)desc);
		return;
	}
	if (level < VMSA_LAST_LEVEL && type == VMSA_DESC_TYPE_TABLE) {
		put_hex(out, "table", desc & VMSA_DESC_ADDR & ~(BIT64(granule_shift) - 1));
		return;
	}
	if (level == VMSA_LAST_LEVEL ? type != VMSA_DESC_TYPE_PAGE
				     : !vmsa_leaf_allowed(granule_shift, level)) {
		put(out, "reserved encoding", "0x%llx", (unsigned long long)desc);
		return;
	}
	put_hex(out, level == VMSA_LAST_LEVEL ? "page" : "block",
		desc & VMSA_DESC_ADDR & ~(BIT64(shift) - 1));
	if (shift >= 30)
		put(out, "size", "%lluG", 1ull << (shift - 30));
	else if (shift >= 20)
		put(out, "size", "%lluM", 1ull << (shift - 20));
	else
		put(out, "size", "%lluK", 1ull << (shift - 10));
	if (desc & VMSA_LEAF_CONT)
		put_flag(out, "Contiguous", 1);
	put_flag(out, "AF", desc & VMSA_LEAF_AF);
	if (stage == 1)
		decode_leaf_s1(desc, out);
	else
		decode_leaf_s2(desc, out);
}

/* --- ID registers --- */

static const char *yes(uint64_t bit)
{
	return bit ? "yes" : "no";
}

/* IIDR: ProductID, Variant, Revision, Implementer (a JEP106 code; 0x43b is Arm). */
static void put_implementation(struct decode_fields *out, uint32_t iidr)
{
	static const struct {
		uint32_t id;
		const char *name;
	} products[] = {
		{ 0x483, "Arm MMU-600" }, { 0x487, "Arm MMU-700" }, { 0x498, "Arm MMU S3" },
	};
	uint32_t product = iidr >> 20;
	size_t i;

	if (!iidr) {
		put(out, "implementation", "not told");
		return;
	}
	for (i = 0; i < sizeof(products) / sizeof(products[0]); i++)
		if ((iidr & 0xfff) == 0x43b && product == products[i].id)
			break;
	if (i < sizeof(products) / sizeof(products[0]))
		put(out, "implementation", "%s r%up%u", products[i].name, iidr >> 16 & 0xf,
		    iidr >> 12 & 0xf);
	else
		put(out, "implementation", "implementer 0x%03x product 0x%03x r%up%u", iidr & 0xfff,
		    product, iidr >> 16 & 0xf, iidr >> 12 & 0xf);
}

void decode_idr(const struct db_smmu_info *smmu, struct decode_fields *out)
{
	const uint32_t *idr = smmu->idr;
	static const char *const aarch[] = { "none", "AArch32", "AArch64", "AArch32 and AArch64" };
	static const char *const stall[] = { "stall and terminate", "terminate only",
					     "stall forced", "reserved" };

	out->n = 0;
	put(out, "architecture", "SMMUv3.%u", smmu->aidr & 0xf);
	put_implementation(out, smmu->iidr);
	put(out, "stage 1", "%s", yes(idr[0] & SMMU_IDR0_S1P));
	put(out, "stage 2", "%s", yes(idr[0] & SMMU_IDR0_S2P));
	put(out, "tables", "%s", aarch[FIELD_GET64(SMMU_IDR0_TTF, idr[0])]);
	put(out, "granules", "%s%s%s", idr[5] & SMMU_IDR5_GRAN4K ? "4K " : "",
	    idr[5] & SMMU_IDR5_GRAN16K ? "16K " : "", idr[5] & SMMU_IDR5_GRAN64K ? "64K" : "");
	put(out, "addresses (OAS)", "%u bits", smmu_ps_bits(FIELD_GET64(SMMU_IDR5_OAS, idr[5])));
	put(out, "coherent walks (COHACC)", "%s", yes(idr[0] & SMMU_IDR0_COHACC));
	put(out, "forced write-back (S2FWB)", "%s", yes(idr[3] & SMMU_IDR3_FWB));
	put(out, "range invalidation (RIL)", "%s", yes(idr[3] & SMMU_IDR3_RIL));
	put(out, "broadcast TLB maintenance (BTM)", "%s", yes(idr[0] & SMMU_IDR0_BTM));
	put(out, "break-before-make level", "%llu",
	    (unsigned long long)FIELD_GET64(SMMU_IDR3_BBML, idr[3]));
	put(out, "StreamID bits", "%llu",
	    (unsigned long long)FIELD_GET64(SMMU_IDR1_SIDSIZE, idr[1]));
	put(out, "SubstreamID bits", "%llu",
	    (unsigned long long)FIELD_GET64(SMMU_IDR1_SSIDSIZE, idr[1]));
	put(out, "two-level stream table", "%s",
	    yes(FIELD_GET64(SMMU_IDR0_ST_LEVEL, idr[0]) == SMMU_IDR0_ST_LEVEL_TWO));
	put(out, "two-level CD table", "%s", yes(idr[0] & SMMU_IDR0_CD2L));
	put(out, "ASID bits", "%u", idr[0] & SMMU_IDR0_ASID16 ? 16 : 8);
	put(out, "VMID bits", "%u", idr[0] & SMMU_IDR0_VMID16 ? 16 : 8);
	put(out, "faults", "%s", stall[FIELD_GET64(SMMU_IDR0_STALL_MODEL, idr[0])]);
	put(out, "ATS / PRI", "%s / %s", yes(idr[0] & SMMU_IDR0_ATS), yes(idr[0] & SMMU_IDR0_PRI));
	put(out, "own interrupts by MSI", "%s", yes(idr[0] & SMMU_IDR0_MSI));
	put(out, "IDR0 IDR1 IDR3 IDR5", "%08x %08x %08x %08x", idr[0], idr[1], idr[3], idr[5]);
	put(out, "IIDR AIDR", "%08x %08x", smmu->iidr, smmu->aidr);
}
