/* SPDX-License-Identifier: BSD-2-Clause */
/* Event records (§7.3) and what becomes of the transaction (§5.5). */
#include <errno.h>

#include "arm/smmu_internal.h"

/* Fields that an event does not define are 0; UNKNOWN ones too (model choice). */
static uint64_t who(const struct smmu_walk *w, uint64_t id)
{
	const struct smmu_txn *txn = w->txn;
	uint64_t dw = FIELD_PREP64(SMMU_EVT_0_ID, id) | FIELD_PREP64(SMMU_EVT_0_SID, txn->sid);

	if (!txn->ssid_valid)
		return dw;
	/* §7.3.9: C_BAD_SUBSTREAMID implies a SubstreamID and has no SSV bit. */
	return dw | (id == SMMU_EVT_C_BAD_SUBSTREAMID ? 0 : SMMU_EVT_0_SSV) |
	       FIELD_PREP64(SMMU_EVT_0_SSID, txn->ssid);
}

/* The access as it arrived, with the STE's overrides. */
static uint64_t access(const struct smmu_walk *w)
{
	return (w->txn->access == SMMU_READ ? SMMU_EVT_1_RNW : 0) |
	       (w->privileged ? SMMU_EVT_1_PNU : 0) |
	       (w->instruction ? SMMU_EVT_1_IND : 0);
}

static int finish(struct smmu_walk *w, const struct smmu_event *event, bool record, bool abort)
{
	w->res->event = *event;
	w->res->record = record;
	w->res->abort = abort;
	if (smmu_traced(w)) {
		struct smmu_step step = { .kind = SMMU_STEP_EVENT, .input = w->txn->addr };
		unsigned int i;

		for (i = 0; i < SMMU_EVT_DWORDS; i++)
			step.data[i] = event->dw[i];
		smmu_trace(w, &step);
	}
	return -EFAULT;
}

int smmu_fault_config(struct smmu_walk *w, uint64_t id)
{
	struct smmu_event e = { .dw = { who(w, id) } };

	return finish(w, &e, true, true);
}

int smmu_fault_fetch(struct smmu_walk *w, uint64_t id, uint64_t pa)
{
	struct smmu_event e = { .dw = { who(w, id), 0, 0, pa & SMMU_EVT_3_FETCH_ADDR } };

	return finish(w, &e, true, true);
}

int smmu_fault_walk(struct smmu_walk *w, bool stage2, uint64_t class, uint64_t pa)
{
	struct smmu_event e = {
		.dw = {
			who(w, SMMU_EVT_F_WALK_EABT),
			access(w) | (stage2 ? SMMU_EVT_1_S2 : 0) |
				FIELD_PREP64(SMMU_EVT_1_CLASS, class),
			w->txn->addr,
			pa & SMMU_EVT_3_FETCH_ADDR,
		},
	};

	return finish(w, &e, true, true);
}

int smmu_fault_s1(struct smmu_walk *w, uint64_t id)
{
	struct smmu_event e = {
		.dw = {
			who(w, id),
			access(w) | FIELD_PREP64(SMMU_EVT_1_CLASS, SMMU_EVT_1_CLASS_IN),
			w->txn->addr,
		},
	};
	bool s1 = w->b.mode == SMMU_MODE_S1 || w->b.mode == SMMU_MODE_NESTED;

	/* Stage 1 in bypass has no CD to say otherwise: recorded, and aborted (§3.4). */
	return finish(w, &e, !s1 || w->b.s1_record, !s1 || w->b.s1_abort);
}

int smmu_fault_s2(struct smmu_walk *w, uint64_t id, uint64_t class, uint64_t ipa)
{
	bool table_read = id == SMMU_EVT_F_PERMISSION && class == SMMU_EVT_1_CLASS_TTD;
	struct smmu_event e = {
		.dw = {
			who(w, id),
			access(w) | SMMU_EVT_1_S2 | FIELD_PREP64(SMMU_EVT_1_CLASS, class) |
				(table_read ? SMMU_EVT_1_TTRNW : 0),
			w->txn->addr,
			ipa & SMMU_EVT_3_IPA,
		},
	};

	return finish(w, &e, w->b.s2_record, true);
}
