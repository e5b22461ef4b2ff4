/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/arm_smmu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arm/smmu_build.h"
#include "soft/alloc.h"
#include "soft/uapi/arm_ids.h"
#include "soft/uapi/iommufd_private.h"

#define SEND_BATCH 64

/*
 * One granule for all tables of the SMMU: the host's page, else the greatest that divides it.
 * Greater ones are of no use, since a page of the host could not be mapped.
 */
static unsigned int choose_granule(const struct arm_smmu *smmu)
{
	static const struct { uint64_t bit; unsigned int shift; } grans[] = {
		{ SMMU_IDR5_GRAN64K, 16 }, { SMMU_IDR5_GRAN16K, 14 }, { SMMU_IDR5_GRAN4K, 12 },
	};

	for (size_t i = 0; i < sizeof(grans) / sizeof(grans[0]); i++)
		if (smmu->idr[5] & grans[i].bit && grans[i].shift <= smmu->host->machine.page_shift)
			return grans[i].shift;
	return 0;
}

static int by_sid(const void *a, const void *b)
{
	const struct arm_master *const *l = a, *const *r = b;

	return ((*l)->sid > (*r)->sid) - ((*l)->sid < (*r)->sid);
}

static struct arm_master *find_master(struct arm_smmu *smmu, uint32_t sid)
{
	const struct arm_master key = { .sid = sid }, *k = &key;
	struct arm_master **found;

	if (!smmu->n_masters)
		return NULL;
	found = bsearch(&k, smmu->masters, smmu->n_masters, sizeof(*smmu->masters), by_sid);
	return found ? *found : NULL;
}

/*
 * Event records, in the thread of the access that faulted. Stage-2 faults are the host's affair: a
 * guest hears of its own stage 1 and of its own configuration only.
 */
static void handle_event(void *ctx, const struct smmu_event *event)
{
	struct arm_smmu *smmu = ctx;
	struct arm_master *m;
	uint64_t evt[4];

	switch (FIELD_GET64(SMMU_EVT_0_ID, event->dw[0])) {
	case SMMU_EVT_C_BAD_STE:
	case SMMU_EVT_F_STREAM_DISABLED:
	case SMMU_EVT_C_BAD_SUBSTREAMID:
	case SMMU_EVT_C_BAD_CD:
	case SMMU_EVT_F_TRANSLATION:
	case SMMU_EVT_F_ADDR_SIZE:
	case SMMU_EVT_F_ACCESS:
	case SMMU_EVT_F_PERMISSION:
		break;
	default:
		return;
	}
	/* A stalled transaction would go to a fault queue; the machine's SMMUs terminate. */
	if (event->dw[1] & (SMMU_EVT_1_STALL | SMMU_EVT_1_S2))
		return;
	m = find_master(smmu, FIELD_GET64(SMMU_EVT_0_SID, event->dw[0]));
	if (!m)
		return;
	memcpy(evt, event->dw, sizeof(evt));
	pthread_mutex_lock(&m->lock);
	if (m->viommu) {
		evt[0] = (evt[0] & ~SMMU_EVT_0_SID) | FIELD_PREP64(SMMU_EVT_0_SID, m->vsid);
		iommufd_viommu_report(m->viommu, evt);
	}
	pthread_mutex_unlock(&m->lock);
}

int arm_smmu_init(struct arm_smmu *smmu, struct soft_host *host, unsigned int index)
{
	struct iommufd_host *ih = host->iommufd;
	unsigned int n = host->machine.n_devices;

	*smmu = (struct arm_smmu){
		.host = host,
		.hw = host->smmus[index],
		.idr = smmu_dev_idr(host->smmus[index]),
		.nesting_coherent = host->machine.smmus[index].nesting_coherent,
	};
	smmu->oas = smmu_ps_bits(FIELD_GET64(SMMU_IDR5_OAS, smmu->idr[5]));
	smmu->granule_shift = choose_granule(smmu);
	smmu->asids = arm_ids_create(smmu->idr[0] & SMMU_IDR0_ASID16 ? 16 : 8);
	smmu->vmids = arm_ids_create(smmu->idr[0] & SMMU_IDR0_VMID16 ? 16 : 8);
	smmu->masters = soft_calloc(n ? n : 1, sizeof(struct arm_master *));
	if (!smmu->asids || !smmu->vmids || !smmu->masters) {
		arm_smmu_fini(smmu);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < n; i++)
		if (host->devices[i].desc->smmu == index) {
			ih->masters[i].smmu = smmu;
			smmu->masters[smmu->n_masters++] = &ih->masters[i];
		}
	if (smmu->n_masters)
		qsort(smmu->masters, smmu->n_masters, sizeof(*smmu->masters), by_sid);
	if (smmu_dev_set_event_handler(smmu->hw, handle_event, smmu)) {
		arm_smmu_fini(smmu);
		return -ENOMEM;
	}
	return 0;
}

void arm_smmu_fini(struct arm_smmu *smmu)
{
	if (smmu->hw)
		smmu_dev_set_event_handler(smmu->hw, NULL, NULL);
	arm_ids_destroy(smmu->asids);
	arm_ids_destroy(smmu->vmids);
	soft_free(smmu->masters);
}

bool arm_smmu_nesting(const struct arm_smmu *smmu)
{
	return (smmu->idr[0] & SMMU_IDR0_S1P) && (smmu->idr[0] & SMMU_IDR0_S2P);
}

void arm_smmu_send(struct arm_smmu *smmu, const uint64_t (*cmds)[2], size_t count)
{
	uint64_t batch[SEND_BATCH + 1][2];
	size_t n;

	do {
		n = count < SEND_BATCH ? count : SEND_BATCH;
		memcpy(batch, cmds, n * sizeof(*batch));
		cmds += n;
		count -= n;
		if (!count) {
			batch[n][0] = SMMU_CMD_OP_SYNC;
			batch[n][1] = 0;
			n++;
		}
		if (smmu_dev_commands(smmu->hw, (const uint64_t (*)[2])batch, n, NULL))
			__atomic_fetch_add(&smmu->command_errors, 1, __ATOMIC_RELAXED);
	} while (count);
}

static void make_ste(const struct arm_target *t, uint64_t ste[SMMU_STE_DWORDS])
{
	const struct arm_domain *d = t->domain;
	struct smmu_ste_s2 s2;

	if (!d) {
		smmu_ste_abort(ste);
		return;
	}
	if (d->table.format.stage == VMSA_S1) {
		const struct smmu_ste_s1 s1 = { .cd_table = d->cd };

		/* VMID 0 is the kernel's own. */
		smmu_ste_s1(ste, &s1, 0);
		return;
	}
	/*
	 * No S2FWB even where the SMMU has it: the tables' memory attributes are of the other kind,
	 * and the machine is coherent anyway (a model choice).
	 */
	s2 = (struct smmu_ste_s2){ .format = d->table.format,
				   .root = d->table.root,
				   .vmid = d->tag,
				   .protect_walks = true };
	if (!t->vste) {
		smmu_ste_s2(ste, &s2);
		return;
	}
	smmu_ste_from_vste(ste, t->vste, &s2);
	/* Merged events keep one guest's faults from flooding the queue. */
	if (arm_vste_translates(t->vste))
		ste[1] |= SMMU_STE_1_MEV;
}

int arm_master_attach(struct arm_master *m, const struct arm_target *t)
{
	const uint64_t cfgi[1][2] = { { SMMU_CMD_OP_CFGI_STE |
						FIELD_PREP64(SMMU_CMD_CFGI_0_SID, m->sid),
					SMMU_CMD_CFGI_1_LEAF } };
	struct arm_domain *old = m->domain;
	bool last = false;
	uint64_t ste[SMMU_STE_DWORDS];
	int rc;

	make_ste(t, ste);
	/*
	 * From here on a change of the new table must be invalidated; of the old one until no
	 * access can use it any more.
	 */
	if (t->domain) {
		pthread_mutex_lock(&t->domain->lock);
		t->domain->masters++;
		pthread_mutex_unlock(&t->domain->lock);
	}
	rc = smmu_dev_write_ste(m->smmu->hw, m->sid, ste);
	if (rc)
		goto forget_new;
	arm_smmu_send(m->smmu, cfgi, 1);
	m->domain = t->domain;

	pthread_mutex_lock(&m->lock);
	m->viommu = t->viommu;
	m->vsid = t->vsid;
	pthread_mutex_unlock(&m->lock);

	if (old) {
		pthread_mutex_lock(&old->lock);
		last = --old->masters == 0;
		if (last)
			arm_domain_flush(old);
		pthread_mutex_unlock(&old->lock);
	}
	return 0;

forget_new:
	if (t->domain) {
		pthread_mutex_lock(&t->domain->lock);
		t->domain->masters--;
		pthread_mutex_unlock(&t->domain->lock);
	}
	return rc;
}
