/* SPDX-License-Identifier: BSD-2-Clause */
/* Invalidation commands of a guest, sent to the kernel many at a time. */
#include "lib/viommu.h"

#include <endian.h>
#include <errno.h>

#include "arm/smmu_regs.h"
#include "lib/command.h"
#include "sys/error.h"

/* What the kernel has to do with a command: true for something. */
static bool forwarded(struct db_viommu *viommu, enum command_verdict verdict, const uint64_t cmd[2])
{
	switch (verdict) {
	case COMMAND_TLBI:
		return true;
	case COMMAND_CONFIG:
	case COMMAND_ATC:
		/* Nothing is cached for a StreamID without a passed-through device (an emulated
		 * one, or one unplugged). */
		return viommu_find_sid(viommu, FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]));
	default:
		/* Each call ends with a CMD_SYNC; STEs are the VMM's: db_viommu_install_ste(). */
		return false;
	}
}

/* *handled receives how many the kernel took; all, when 0 is returned. */
static int issue(struct db_viommu *viommu, uint32_t count, uint32_t *handled)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = viommu->id,
		.data_uptr = (uintptr_t)viommu->batch,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(viommu->batch[0]),
		.entry_num = count,
	};
	int ret;

	ret = host_ioctl(viommu->host, IOMMU_HWPT_INVALIDATE, &cmd);
	*handled = ret < 0 && cmd.entry_num < count ? cmd.entry_num : ret < 0 ? 0 : count;
	return ret < 0 ? ret : 0;
}

static int flush(struct db_viommu *viommu, uint32_t count, uint32_t *handled)
{
	uint32_t ignored;
	int ret;

	*handled = 0;
	if (!count)
		return 0;
	ret = issue(viommu, count, handled);
	if (!ret && viommu->repeat)
		ret = issue(viommu, count, handled);
	/*
	 * Linux counts commands that it had looked at but not yet sent when a later one turned out
	 * wrong. Those before the wrong one are sent again: to invalidate twice does no harm, not
	 * to do it does.
	 */
	if (ret && *handled && issue(viommu, *handled, &ignored))
		*handled = 0;
	return ret;
}

int viommu_invalidate_cds(struct db_viommu *viommu, uint32_t sid)
{
	uint32_t handled;
	int ret;

	viommu->batch[0].cmd[0] = htole64(FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_CFGI_CD_ALL) |
					  FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid));
	viommu->batch[0].cmd[1] = 0;
	ret = flush(viommu, 1, &handled);
	if (ret)
		db_error_set(ret, "cannot invalidate what is cached of StreamID 0x%x", sid);
	return ret;
}

/* Commands @first to @first + @count of the caller's, at most VIOMMU_BATCH. */
static int execute(struct db_viommu *viommu, const uint64_t (*cmds)[2], size_t first, size_t count,
		   size_t *done)
{
	enum command_verdict verdict = COMMAND_HINT;
	uint32_t filled = 0, handled;
	uint64_t cmd[2];
	size_t i;
	int ret;

	for (i = first; i < first + count; i++) {
		cmd[0] = le64toh(__atomic_load_n(&cmds[i][0], __ATOMIC_RELAXED));
		cmd[1] = le64toh(__atomic_load_n(&cmds[i][1], __ATOMIC_RELAXED));
		verdict = command_judge(viommu->idr, cmd);
		if (verdict == COMMAND_ILLEGAL)
			break;
		if (forwarded(viommu, verdict, cmd)) {
			viommu->batch[filled].cmd[0] = htole64(cmd[0]);
			viommu->batch[filled].cmd[1] = htole64(cmd[1]);
			viommu->batch_index[filled++] = i;
		}
	}
	ret = flush(viommu, filled, &handled);
	if (ret) {
		*done = viommu->batch_index[handled];
		db_error_set(ret, "the kernel refuses the guest's command %zu", *done);
		return ret;
	}
	*done = i;
	if (verdict != COMMAND_ILLEGAL)
		return 0;
	db_error_set(-EIO, "the guest's command %zu (0x%llx 0x%llx) is illegal: CERROR_ILL", i,
		     (unsigned long long)cmd[0], (unsigned long long)cmd[1]);
	return -EIO;
}

/* The lock is given to others after each batch, however long the caller's array is. */
int db_viommu_invalidate(struct db_viommu *viommu, const uint64_t (*cmds)[2], size_t count,
			 size_t *done)
{
	size_t ignored, first, n;
	int ret = 0;

	if (!done)
		done = &ignored;
	*done = 0;
	for (first = 0; !ret && first < count; first += n) {
		n = count - first < VIOMMU_BATCH ? count - first : VIOMMU_BATCH;
		if (first)
			viommu_give_way(viommu);
		viommu_lock(viommu);
		ret = execute(viommu, cmds, first, n, done);
		viommu_unlock(viommu);
	}
	return ret;
}
