/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/smmu_regs.h"
#include "soft/uapi/sysfs.h"

static void collect(void *ctx, const struct smmu_step *step)
{
	struct trace *trace = ctx;

	if (trace->n < TRACE_STEPS)
		trace->steps[trace->n++] = *step;
}

struct smmu_tracer trace_tracer(struct trace *trace)
{
	return (struct smmu_tracer){ .step = collect, .ctx = trace };
}

const struct smmu_step *trace_end(const struct trace *trace)
{
	const struct smmu_step *last = trace->n ? &trace->steps[trace->n - 1] : NULL;

	return last && (last->kind == SMMU_STEP_PA || last->kind == SMMU_STEP_EVENT) ? last : NULL;
}

static const struct smmu_step *find_step(const struct trace *trace, enum smmu_step_kind kind)
{
	unsigned int i;

	for (i = 0; i < trace->n; i++)
		if (trace->steps[i].kind == kind)
			return &trace->steps[i];
	return NULL;
}

unsigned int trace_granule(const struct trace *trace, unsigned int stage)
{
	static const unsigned int tg0_shifts[] = { 12, 16, 14, 12 },
				  tg1_shifts[] = { 12, 14, 12, 16 };
	const struct smmu_step *step = find_step(trace, stage == 1 ? SMMU_STEP_CD : SMMU_STEP_STE);

	if (!step)
		return 12;
	if (stage == 2)
		return tg0_shifts[FIELD_GET64(SMMU_STE_2_S2TG, step->data[2])];
	if (trace->iova >> 55 & 1)	/* the upper half is TTB1's (§3.4.1) */
		return tg1_shifts[FIELD_GET64(SMMU_CD_0_TG1, step->data[0])];
	return tg0_shifts[FIELD_GET64(SMMU_CD_0_TG0, step->data[0])];
}

/* Stage 2 of a replica: what the VMM asked for is known, where it lies is not. */
static void note_ipa(struct trace *trace, struct session *s, uint64_t ipa)
{
	const struct db_caps *caps = &vmm_device_info(vmm_device(s->vmm, 0))->caps;
	struct vmm_mapping mappings[VMM_DEVICES + 1];
	unsigned int i, n = vmm_mappings(s->vmm, mappings, VMM_DEVICES + 1);

	for (i = 0; i < n; i++) {
		const struct vmm_mapping *m = &mappings[i];

		if (ipa < m->ipa || ipa - m->ipa >= m->size)
			continue;
		if (m->device)
			snprintf(trace->end_note, sizeof(trace->end_note),
				 "stage 2: the MSI doorbell page of %s, mapped by the VMM",
				 m->device);
		else
			snprintf(trace->end_note, sizeof(trace->end_note),
				 "stage 2: guest RAM + 0x%llx, mapped by the VMM",
				 (unsigned long long)(ipa - m->ipa));
		return;
	}
	if (vmm_mode(s->vmm) != DB_MODE_NATIVE && ipa - caps->sw_msi_start < caps->sw_msi_size)
		snprintf(trace->end_note, sizeof(trace->end_note),
			 "stage 2: the kernel's MSI window (SW_MSI)");
	else
		snprintf(trace->end_note, sizeof(trace->end_note),
			 "stage 2: nothing is mapped there, a fault of stage 2");
}

/*
 * The SMMU model over the guest's memory: guest-physical addresses are its physical ones, so only
 * stage 1 is there.
 */
static int trace_replica(struct trace *trace, struct session *s)
{
	const struct vmm_device_info *info = vmm_device_info(vmm_device(s->vmm, 0));
	struct smmu_config config = { .mem = guest_arm_mem(s->guest) };
	struct smmu_tracer tracer = trace_tracer(trace);
	struct smmu_txn txn = {
		.sid = info->stream_id,
		.addr = trace->iova,
		.access = trace->write ? SMMU_WRITE : SMMU_READ,
		.tracer = &tracer,
	};
	const struct smmu_step *end;
	struct smmu_result result;
	unsigned int log2_size;
	struct db_smmu_info smmu_info;
	struct smmu *smmu;
	uint64_t strtab;
	void *memory;

	vmm_smmu_info(s->vmm, info->smmu, &smmu_info);
	memcpy(config.idr, smmu_info.idr, sizeof(config.idr));
	if (posix_memalign(&memory, 64, smmu_footprint(&config)))
		return session_fail(s, -ENOMEM, "out of memory");
	smmu = smmu_init(memory, &config);
	guest_stream_table(s->guest, info->smmu, &strtab, &log2_size);
	smmu_set_stream_table(smmu, strtab, FIELD_PREP64(SMMU_STRTAB_BASE_CFG_LOG2SIZE, log2_size));
	trace->source = TRACE_REPLICA;
	smmu_translate(smmu, &txn, &result);
	free(memory);
	end = trace_end(trace);
	if (end && end->kind == SMMU_STEP_PA)
		note_ipa(trace, s, end->pa);
	return 0;
}

/* An event record names the stream by the host's number; the guest is told its own. */
static void rename_stream(struct trace *trace)
{
	struct smmu_step *end = trace->n ? &trace->steps[trace->n - 1] : NULL;

	if (end && end->kind == SMMU_STEP_EVENT)
		end->data[0] = (end->data[0] & ~SMMU_EVT_0_SID) |
			       FIELD_PREP64(SMMU_EVT_0_SID, trace->stream_id);
}

/* The software host's SMMU shows its steps in a file. -ENOENT: this host has none. */
static int trace_host(struct trace *trace, struct session *s)
{
	struct sysfs_trace request = { .iova = trace->iova,
				       .write = trace->write,
				       .ssid = UINT32_MAX };
	struct db_sys *sys = s->sys;
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), SYSFS_TRACE_DIR "%s", trace->device);
	fd = sys->ops->open(sys, path, O_RDWR);
	if (fd < 0)
		return -ENOENT;
	n = sys->ops->pwrite(sys, fd, &request, sizeof(request), 0);
	if (n >= 0)
		n = sys->ops->pread(sys, fd, trace->steps, sizeof(trace->steps), 0);
	sys->ops->close(sys, fd);
	if (n < 0)
		return session_fail(s, n, "%s: %s", path, strerror(-n));
	trace->source = TRACE_HOST;
	trace->n = n / sizeof(trace->steps[0]);
	rename_stream(trace);
	return 0;
}

/* What the physical address at the end is, as far as it follows from what the VMM asked for. */
static void note_pa(struct trace *trace, struct session *s)
{
	const struct smmu_step *end = trace_end(trace);
	struct vmm_mapping mappings[VMM_DEVICES + 1];
	unsigned int i, n = vmm_mappings(s->vmm, mappings, VMM_DEVICES + 1);
	uint64_t ipa = 0;

	if (!end || end->kind != SMMU_STEP_PA)
		return;
	for (i = 0; i < trace->n; i++)
		if (trace->steps[i].kind == SMMU_STEP_S2 && !trace->steps[i].depth)
			ipa = trace->steps[i].input;
	for (i = 0; i < n; i++) {
		const struct vmm_mapping *m = &mappings[i];

		if (ipa < m->ipa || ipa - m->ipa >= m->size)
			continue;
		if (m->device)
			snprintf(trace->end_note, sizeof(trace->end_note), "MSI doorbell of %s",
				 m->device);
		else
			snprintf(trace->end_note, sizeof(trace->end_note), "guest RAM + 0x%llx",
				 (unsigned long long)(ipa - m->ipa));
		return;
	}
	snprintf(trace->end_note, sizeof(trace->end_note),
		 "mapped by the kernel itself (SW_MSI): MSI doorbell of %s", trace->device);
}

int trace_session(struct trace *trace, struct session *s)
{
	int err = s->options->linux_host ? -ENOENT : trace_host(trace, s);

	if (err == -ENOENT)
		return trace_replica(trace, s);
	if (!err)
		note_pa(trace, s);
	return err;
}
