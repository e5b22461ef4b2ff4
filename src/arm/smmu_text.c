/* SPDX-License-Identifier: BSD-2-Clause */
#include "arm/smmu_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "arm/smmu_regs.h"

/* Text that grows in a buffer; what does not fit is only counted. */
struct text {
	char *buf;
	size_t size, len;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
	size_t room = t->len < t->size ? t->size - t->len : 0;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(room ? t->buf + t->len : NULL, room, format, args);
	va_end(args);
	if (n > 0)
		t->len += n;
}

/* --- Events --- */

/* Which groups of fields an event defines (§7.3.2 to §7.3.20). */
#define HAS_SSID (1u << 0)		/* SSV, SubstreamID */
#define HAS_ACCESS (1u << 1)		/* RnW, InD, PnU */
#define HAS_ADDR (1u << 2)		/* InputAddr */
#define HAS_STAGE (1u << 3)		/* S2, CLASS */
#define HAS_IPA (1u << 4)		/* with S2 = 1 */
#define HAS_FETCH (1u << 5)		/* FetchAddr */
#define HAS_TTRNW (1u << 6)		/* with CLASS = TTD */
#define IMPLIED_SSID (1u << 7)		/* SubstreamID without SSV */

#define HAS_TRANSLATION (HAS_SSID | HAS_ACCESS | HAS_ADDR | HAS_STAGE | HAS_IPA)

static const struct event_kind {
	uint8_t id;
	uint8_t fields;
	const char *name;
} event_kinds[] = {
	{ SMMU_EVT_F_UUT, HAS_SSID | HAS_ACCESS | HAS_ADDR, "F_UUT" },
	{ SMMU_EVT_C_BAD_STREAMID, HAS_SSID, "C_BAD_STREAMID" },
	{ SMMU_EVT_F_STE_FETCH, HAS_SSID | HAS_FETCH, "F_STE_FETCH" },
	{ SMMU_EVT_C_BAD_STE, HAS_SSID, "C_BAD_STE" },
	{ SMMU_EVT_F_BAD_ATS_TREQ, HAS_SSID | HAS_ADDR, "F_BAD_ATS_TREQ" },
	{ SMMU_EVT_F_STREAM_DISABLED, HAS_SSID, "F_STREAM_DISABLED" },
	{ SMMU_EVT_F_TRANSL_FORBIDDEN, HAS_SSID | HAS_ADDR, "F_TRANSL_FORBIDDEN" },
	{ SMMU_EVT_C_BAD_SUBSTREAMID, IMPLIED_SSID, "C_BAD_SUBSTREAMID" },
	{ SMMU_EVT_F_CD_FETCH, HAS_SSID | HAS_FETCH, "F_CD_FETCH" },
	{ SMMU_EVT_C_BAD_CD, HAS_SSID, "C_BAD_CD" },
	{ SMMU_EVT_F_WALK_EABT, HAS_SSID | HAS_ACCESS | HAS_ADDR | HAS_STAGE | HAS_FETCH,
	  "F_WALK_EABT" },
	{ SMMU_EVT_F_TRANSLATION, HAS_TRANSLATION, "F_TRANSLATION" },
	{ SMMU_EVT_F_ADDR_SIZE, HAS_TRANSLATION, "F_ADDR_SIZE" },
	{ SMMU_EVT_F_ACCESS, HAS_TRANSLATION, "F_ACCESS" },
	{ SMMU_EVT_F_PERMISSION, HAS_TRANSLATION | HAS_TTRNW, "F_PERMISSION" },
	{ SMMU_EVT_F_TLB_CONFLICT, HAS_TRANSLATION, "F_TLB_CONFLICT" },
	{ SMMU_EVT_F_CFG_CONFLICT, HAS_SSID, "F_CFG_CONFLICT" },
	{ SMMU_EVT_E_PAGE_REQUEST, HAS_SSID | HAS_ADDR, "E_PAGE_REQUEST" },
	{ SMMU_EVT_F_VMS_FETCH, HAS_SSID | HAS_FETCH, "F_VMS_FETCH" },
};

static const struct event_kind *find_event(uint64_t id)
{
	size_t i;

	for (i = 0; i < sizeof(event_kinds) / sizeof(event_kinds[0]); i++) {
		if (event_kinds[i].id == id)
			return &event_kinds[i];
	}
	return NULL;
}

const char *smmu_event_name(uint64_t id)
{
	const struct event_kind *kind = find_event(id);

	return kind ? kind->name : NULL;
}

static const char *class_name(uint64_t class)
{
	static const char *const names[] = { "CD", "TTD", "IN", "Reserved" };

	return names[class & 3];
}

size_t smmu_event_describe(const struct smmu_event *event, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };
	const uint64_t *dw = event->dw;
	uint64_t id = FIELD_GET64(SMMU_EVT_0_ID, dw[0]);
	uint64_t class = FIELD_GET64(SMMU_EVT_1_CLASS, dw[1]);
	const struct event_kind *kind = find_event(id);

	if (!kind) {
		add(&t,
		    "event 0x%02" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64
		    " 0x%016" PRIx64,
		    id, dw[0], dw[1], dw[2], dw[3]);
		return t.len;
	}
	add(&t, "%s sid 0x%" PRIx64, kind->name, FIELD_GET64(SMMU_EVT_0_SID, dw[0]));
	if (kind->fields & IMPLIED_SSID || (kind->fields & HAS_SSID && dw[0] & SMMU_EVT_0_SSV))
		add(&t, " ssid 0x%" PRIx64, FIELD_GET64(SMMU_EVT_0_SSID, dw[0]));
	if (kind->fields & HAS_STAGE)
		add(&t, " stage %d class %s", dw[1] & SMMU_EVT_1_S2 ? 2 : 1, class_name(class));
	if (kind->fields & HAS_ACCESS)
		add(&t, " %s %s %s", dw[1] & SMMU_EVT_1_RNW ? "read" : "write",
		    dw[1] & SMMU_EVT_1_IND ? "instruction" : "data",
		    dw[1] & SMMU_EVT_1_PNU ? "privileged" : "unprivileged");
	if (kind->fields & HAS_TTRNW && dw[1] & SMMU_EVT_1_S2 && class == SMMU_EVT_1_CLASS_TTD)
		add(&t, " table %s", dw[1] & SMMU_EVT_1_TTRNW ? "read" : "write");
	if (kind->fields & HAS_ADDR)
		add(&t, " addr 0x%" PRIx64, dw[2]);
	if (kind->fields & HAS_IPA && dw[1] & SMMU_EVT_1_S2)
		add(&t, " ipa 0x%" PRIx64, dw[3] & SMMU_EVT_3_IPA);
	if (kind->fields & HAS_FETCH)
		add(&t, " fetch 0x%" PRIx64, dw[3] & SMMU_EVT_3_FETCH_ADDR);
	return t.len;
}

/* --- Commands --- */

#define HAS_SID (1u << 0)
#define HAS_CMD_SSID (1u << 1)
#define HAS_RANGE (1u << 2)	/* CFGI_STE_RANGE */
#define HAS_VMID (1u << 3)
#define HAS_ASID (1u << 4)
#define HAS_VA (1u << 5)
#define HAS_CMD_IPA (1u << 6)

static const struct command_kind {
	uint8_t op;
	uint8_t fields;
	const char *name;
} command_kinds[] = {
	{ SMMU_CMD_OP_PREFETCH_CONFIG, HAS_SID | HAS_CMD_SSID, "CMD_PREFETCH_CONFIG" },
	{ SMMU_CMD_OP_PREFETCH_ADDR, HAS_SID | HAS_CMD_SSID, "CMD_PREFETCH_ADDR" },
	{ SMMU_CMD_OP_CFGI_STE, HAS_SID, "CMD_CFGI_STE" },
	{ SMMU_CMD_OP_CFGI_STE_RANGE, HAS_SID | HAS_RANGE, "CMD_CFGI_STE_RANGE" },
	{ SMMU_CMD_OP_CFGI_CD, HAS_SID | HAS_CMD_SSID, "CMD_CFGI_CD" },
	{ SMMU_CMD_OP_CFGI_CD_ALL, HAS_SID, "CMD_CFGI_CD_ALL" },
	{ SMMU_CMD_OP_CFGI_VMS_PIDM, HAS_VMID, "CMD_CFGI_VMS_PIDM" },
	{ SMMU_CMD_OP_TLBI_NH_ALL, HAS_VMID, "CMD_TLBI_NH_ALL" },
	{ SMMU_CMD_OP_TLBI_NH_ASID, HAS_VMID | HAS_ASID, "CMD_TLBI_NH_ASID" },
	{ SMMU_CMD_OP_TLBI_NH_VA, HAS_VMID | HAS_ASID | HAS_VA, "CMD_TLBI_NH_VA" },
	{ SMMU_CMD_OP_TLBI_NH_VAA, HAS_VMID | HAS_VA, "CMD_TLBI_NH_VAA" },
	{ SMMU_CMD_OP_TLBI_EL3_ALL, 0, "CMD_TLBI_EL3_ALL" },
	{ SMMU_CMD_OP_TLBI_EL3_VA, HAS_VA, "CMD_TLBI_EL3_VA" },
	{ SMMU_CMD_OP_TLBI_EL2_ALL, 0, "CMD_TLBI_EL2_ALL" },
	{ SMMU_CMD_OP_TLBI_EL2_ASID, HAS_ASID, "CMD_TLBI_EL2_ASID" },
	{ SMMU_CMD_OP_TLBI_EL2_VA, HAS_ASID | HAS_VA, "CMD_TLBI_EL2_VA" },
	{ SMMU_CMD_OP_TLBI_EL2_VAA, HAS_VA, "CMD_TLBI_EL2_VAA" },
	{ SMMU_CMD_OP_TLBI_S12_VMALL, HAS_VMID, "CMD_TLBI_S12_VMALL" },
	{ SMMU_CMD_OP_TLBI_S2_IPA, HAS_VMID | HAS_CMD_IPA, "CMD_TLBI_S2_IPA" },
	{ SMMU_CMD_OP_TLBI_NSNH_ALL, 0, "CMD_TLBI_NSNH_ALL" },
	{ SMMU_CMD_OP_ATC_INV, HAS_SID | HAS_CMD_SSID, "CMD_ATC_INV" },
	{ SMMU_CMD_OP_PRI_RESP, HAS_SID | HAS_CMD_SSID, "CMD_PRI_RESP" },
	{ SMMU_CMD_OP_RESUME, HAS_SID, "CMD_RESUME" },
	{ SMMU_CMD_OP_STALL_TERM, HAS_SID, "CMD_STALL_TERM" },
	{ SMMU_CMD_OP_SYNC, 0, "CMD_SYNC" },
};

static const struct command_kind *find_command(uint64_t op)
{
	size_t i;

	for (i = 0; i < sizeof(command_kinds) / sizeof(command_kinds[0]); i++) {
		if (command_kinds[i].op == op)
			return &command_kinds[i];
	}
	return NULL;
}

const char *smmu_command_name(uint64_t op)
{
	const struct command_kind *kind = find_command(op);

	return kind ? kind->name : NULL;
}

/* The range and level hint of an address-based TLBI. */
static void add_range(struct text *t, const uint64_t cmd[2])
{
	static const char *const granules[] = { NULL, "4K", "16K", "64K" };
	uint64_t tg = FIELD_GET64(SMMU_CMD_TLBI_1_TG, cmd[1]);

	if (tg)
		add(t, " num %" PRIu64 " scale %" PRIu64 " ttl %" PRIu64 " tg %s",
		    FIELD_GET64(SMMU_CMD_TLBI_0_NUM, cmd[0]),
		    FIELD_GET64(SMMU_CMD_TLBI_0_SCALE, cmd[0]),
		    FIELD_GET64(SMMU_CMD_TLBI_1_TTL, cmd[1]), granules[tg]);
	if (cmd[1] & SMMU_CMD_TLBI_1_LEAF)
		add(t, " leaf");
}

size_t smmu_command_describe(const uint64_t cmd[2], char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };
	const struct command_kind *kind = find_command(FIELD_GET64(SMMU_CMD_0_OP, cmd[0]));

	if (!kind) {
		add(&t, "command 0x%02" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64,
		    FIELD_GET64(SMMU_CMD_0_OP, cmd[0]), cmd[0], cmd[1]);
		return t.len;
	}
	add(&t, "%s", kind->name);
	if (kind->fields & HAS_SID)
		add(&t, " sid 0x%" PRIx64, FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]));
	if (kind->fields & HAS_CMD_SSID)
		add(&t, " ssid 0x%" PRIx64, FIELD_GET64(SMMU_CMD_CFGI_0_SSID, cmd[0]));
	if (kind->fields & HAS_RANGE)
		add(&t, " range %" PRIu64, FIELD_GET64(SMMU_CMD_CFGI_1_RANGE, cmd[1]));
	if (kind->fields & HAS_VMID)
		add(&t, " vmid 0x%" PRIx64, FIELD_GET64(SMMU_CMD_TLBI_0_VMID, cmd[0]));
	if (kind->fields & HAS_ASID)
		add(&t, " asid 0x%" PRIx64, FIELD_GET64(SMMU_CMD_TLBI_0_ASID, cmd[0]));
	if (kind->fields & HAS_VA)
		add(&t, " va 0x%" PRIx64, cmd[1] & SMMU_CMD_TLBI_1_VA);
	if (kind->fields & HAS_CMD_IPA)
		add(&t, " ipa 0x%" PRIx64, cmd[1] & SMMU_CMD_TLBI_1_IPA);
	if (kind->fields & (HAS_VA | HAS_CMD_IPA))
		add_range(&t, cmd);
	return t.len;
}
