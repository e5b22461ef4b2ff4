/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command queue (IHI 0070 §3.5, §4, §7.1).
 *
 * All that is in the queue at a kick is one unit: the commands are read, once; those before the
 * first that is illegal or not in memory are executed, entries of the stream table first and then
 * every invalidation in one batch; then CONS moves and the CMD_SYNCs among them complete, in their
 * order. So each CMD_SYNC completes after all that stands before it, and what stands after it in
 * the same kick may have been done too: the guest has asked for that already.
 */
#include "lib/vsmmu.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/command.h"
#include "sys/error.h"

struct kick {
	unsigned int count;	/* commands in vsmmu.cmds, all legal */
	uint32_t error;		/* CERROR of the one after them, or SMMU_CERROR_NONE */
};

void vsmmu_command_sids(const uint64_t cmd[2], uint32_t *first, uint32_t *last)
{
	uint32_t sid = FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]), mask = 0;

	if (FIELD_GET64(SMMU_CMD_0_OP, cmd[0]) == SMMU_CMD_OP_CFGI_STE_RANGE)
		mask = (UINT64_C(2) << FIELD_GET64(SMMU_CMD_CFGI_1_RANGE, cmd[1])) - 1;
	*first = sid & ~mask;
	*last = sid | mask;
}

/* Reads @count commands from entry @index of the queue on. How many are in memory. */
static unsigned int read_commands(struct db_vsmmu *s, uint32_t index, uint64_t (*to)[2],
				  unsigned int count)
{
	uint64_t ipa = vsmmu_queue_base(s->cmdq.base, sizeof(*to)) + index * sizeof(*to);
	unsigned int i;

	if (!count || !s->ops.read(s->ctx, ipa, to, count * sizeof(*to)))
		return count;
	for (i = 0; i < count && !s->ops.read(s->ctx, ipa + i * sizeof(*to), to[i], sizeof(*to));
	     i++)
		;
	return i;
}

static void fetch(struct db_vsmmu *s, struct kick *kick)
{
	uint32_t size = vsmmu_queue_size(s->cmdq.base), index = s->cmdq.cons & (size - 1);
	uint32_t waiting = (s->cmdq.prod - s->cmdq.cons) & (2 * size - 1);
	unsigned int straight, i;

	/* A PROD that no queue can have: no more than the queue holds. */
	if (waiting > size)
		waiting = size;
	straight = waiting < size - index ? waiting : size - index;
	kick->count = read_commands(s, index, s->cmds, straight);
	if (kick->count == straight)
		kick->count += read_commands(s, 0, s->cmds + straight, waiting - straight);
	kick->error = kick->count == waiting ? SMMU_CERROR_NONE : SMMU_CERROR_ABT;
	for (i = 0; i < kick->count; i++) {
		s->cmds[i][0] = le64toh(s->cmds[i][0]);
		s->cmds[i][1] = le64toh(s->cmds[i][1]);
	}
}

/* Cuts off what is illegal, and marks the devices whose entries are to be read again. */
static void judge(struct db_vsmmu *s, struct kick *kick)
{
	enum command_verdict verdict;
	uint32_t first, last;
	unsigned int i;

	for (i = 0; i < kick->count; i++) {
		verdict = command_judge(s->info.idr, s->cmds[i]);
		if (verdict == COMMAND_ILLEGAL) {
			kick->count = i;
			kick->error = SMMU_CERROR_ILL;
			return;
		}
		if (verdict != COMMAND_STE)
			continue;
		vsmmu_command_sids(s->cmds[i], &first, &last);
		vsmmu_config_dirty(s, first, last);
	}
}

/* What the host did not do is cut off, too. */
static int invalidate(struct db_vsmmu *s, struct vsmmu_host *host, struct kick *kick)
{
	size_t done, kept = host->kept;
	unsigned int i;
	int ret;

	for (i = 0; i < kick->count; i++) {
		host->cmds[kept + i][0] = htole64(s->cmds[i][0]);
		host->cmds[kept + i][1] = htole64(s->cmds[i][1]);
	}
	host->kept = 0;
	ret = db_viommu_invalidate(host->viommu, (const uint64_t(*)[2])host->cmds,
				   kept + kick->count, &done);
	if (ret) {
		kick->count = done < kept ? 0 : done - kept;
		/* What only the host knows to fail is tried again when the guest says so. */
		kick->error = ret == -EIO && done >= kept ? SMMU_CERROR_ILL : SMMU_CERROR_ABT;
	}
	return ret;
}

static int execute(struct db_vsmmu *s, struct kick *kick)
{
	unsigned int legal = kick->count;
	struct vsmmu_host *host;
	int ret, first;

	first = vsmmu_config_update(s);
	for (host = s->hosts; host; host = host->next) {
		ret = invalidate(s, host, kick);
		if (!first)
			first = ret;
	}
	vsmmu_engine_commands(s, (const uint64_t(*)[2])s->cmds, legal);
	return first;
}

static void complete(struct db_vsmmu *s, const struct kick *kick)
{
	uint32_t wrap = 2 * vsmmu_queue_size(s->cmdq.base) - 1;
	unsigned int i;

	s->cmdq.cons = (s->cmdq.cons & SMMU_CMDQ_CONS_ERR) | ((s->cmdq.cons + kick->count) & wrap);
	for (i = 0; i < kick->count; i++) {
		const uint64_t *cmd = s->cmds[i];

		if (FIELD_GET64(SMMU_CMD_0_OP, cmd[0]) == SMMU_CMD_OP_SYNC &&
		    FIELD_GET64(SMMU_CMD_SYNC_0_CS, cmd[0]) == SMMU_CMD_SYNC_0_CS_IRQ)
			vsmmu_report_sync(s, cmd[1] & SMMU_CMD_SYNC_1_MSIADDRESS,
					  FIELD_GET64(SMMU_CMD_SYNC_0_MSIDATA, cmd[0]));
	}
	if (kick->error == SMMU_CERROR_NONE)
		return;
	s->cmdq.cons &= ~SMMU_CMDQ_CONS_ERR;
	s->cmdq.cons |= FIELD_PREP64(SMMU_CMDQ_CONS_ERR, kick->error);
	vsmmu_report_error(s, SMMU_GERROR_CMDQ);
}

int vsmmu_cmdq_kick(struct db_vsmmu *s)
{
	struct kick kick;
	int ret;

	/* §7.1: after an error nothing is consumed until the guest has acknowledged it. */
	if (!(s->cr0 & SMMU_CR0_CMDQEN) || vsmmu_report_active(s, SMMU_GERROR_CMDQ))
		return 0;
	fetch(s, &kick);
	judge(s, &kick);
	if (!kick.count && kick.error == SMMU_CERROR_NONE)
		return 0;
	ret = execute(s, &kick);
	complete(s, &kick);
	if (ret || kick.error == SMMU_CERROR_NONE)
		return ret;
	ret = kick.error == SMMU_CERROR_ILL ? -EIO : -EFAULT;
	db_error_set(ret, "the guest's command at 0x%llx of its queue %s: CERROR",
		     (unsigned long long)(s->cmdq.cons & SMMU_Q_INDEX),
		     ret == -EIO ? "is illegal" : "cannot be read");
	return ret;
}
