/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Invalidation commands of a guest (IHI 0070 §4.3 to §4.7). Whatever is not well-formed stays
 * here: the kernel puts the commands of all VMs on one queue, and one illegal command stops that.
 */
#include "lib/viommu.h"

#include <endian.h>
#include <errno.h>

#include "arm/smmu_regs.h"
#include "sys/error.h"

/* The fields of dwords 0 and 1 that may be other than 0. */
struct command_form {
	uint64_t field[2];
	uint64_t range[2];	/* those that exist with range invalidation (IDR3.RIL) */
	uint64_t substream[2];	/* those that exist with substreams (IDR1.SSIDSIZE) */
	bool has_sid, has_asid;
};

#define TLBI_0_RANGE (SMMU_CMD_TLBI_0_NUM | SMMU_CMD_TLBI_0_SCALE)
#define TLBI_1_RANGE (SMMU_CMD_TLBI_1_TTL | SMMU_CMD_TLBI_1_TG)
/* CMD_ATC_INV, §4.5.1 */
#define ATC_INV_0_GLOBAL BIT64(9)
#define ATC_INV_1_SIZE GENMASK64(5, 0)
#define ATC_INV_1_ADDR GENMASK64(63, 12)
#define ASID_HIGH GENMASK64(63, 56)	/* of ASIDs of 16 bits */

static const struct command_form forms[] = {
	[SMMU_CMD_OP_CFGI_CD] = {
		.field = { SMMU_CMD_CFGI_0_SID, SMMU_CMD_CFGI_1_LEAF },
		.substream = { SMMU_CMD_CFGI_0_SSID },
		.has_sid = true,
	},
	[SMMU_CMD_OP_CFGI_CD_ALL] = { .field = { SMMU_CMD_CFGI_0_SID }, .has_sid = true },
	[SMMU_CMD_OP_TLBI_NH_ALL] = { .field = { SMMU_CMD_TLBI_0_VMID } },
	[SMMU_CMD_OP_TLBI_NH_ASID] = {
		.field = { SMMU_CMD_TLBI_0_VMID | SMMU_CMD_TLBI_0_ASID },
		.has_asid = true,
	},
	[SMMU_CMD_OP_TLBI_NH_VA] = {
		.field = {
			SMMU_CMD_TLBI_0_VMID | SMMU_CMD_TLBI_0_ASID,
			SMMU_CMD_TLBI_1_VA | SMMU_CMD_TLBI_1_LEAF,
		},
		.range = { TLBI_0_RANGE, TLBI_1_RANGE },
		.has_asid = true,
	},
	[SMMU_CMD_OP_TLBI_NH_VAA] = {
		.field = { SMMU_CMD_TLBI_0_VMID, SMMU_CMD_TLBI_1_VA | SMMU_CMD_TLBI_1_LEAF },
		.range = { TLBI_0_RANGE, TLBI_1_RANGE },
	},
	[SMMU_CMD_OP_TLBI_NSNH_ALL] = { .field = { 0 } },
	[SMMU_CMD_OP_ATC_INV] = {
		.field = { SMMU_CMD_CFGI_0_SID, ATC_INV_1_ADDR | ATC_INV_1_SIZE },
		.substream = { SMMU_CMD_0_SSV | SMMU_CMD_CFGI_0_SSID | ATC_INV_0_GLOBAL },
		.has_sid = true,
	},
};

enum verdict {
	SKIP,		/* nothing for the kernel to do */
	FORWARD,
	ILLEGAL,
};

static bool well_formed(struct db_viommu *viommu, const struct command_form *form,
			const uint64_t cmd[2])
{
	bool substreams = viommu->idr[1] & SMMU_IDR1_SSIDSIZE;
	bool range = viommu->idr[3] & SMMU_IDR3_RIL;
	uint64_t allowed;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		allowed = form->field[i] | (i ? 0 : SMMU_CMD_0_OP);
		if (range)
			allowed |= form->range[i];
		if (substreams)
			allowed |= form->substream[i];
		if (!i && form->has_asid && !(viommu->idr[0] & SMMU_IDR0_ASID16))
			allowed &= ~ASID_HIGH;
		if (cmd[i] & ~allowed)
			return false;
	}
	return true;
}

static enum verdict judge(struct db_viommu *viommu, const uint64_t cmd[2])
{
	unsigned int opcode = cmd[0] & SMMU_CMD_0_OP;

	switch (opcode) {
	case SMMU_CMD_OP_SYNC:			/* each call ends with one */
	case SMMU_CMD_OP_CFGI_STE:		/* the VMM's: db_viommu_install_ste() */
	case SMMU_CMD_OP_CFGI_STE_RANGE:
	case SMMU_CMD_OP_PREFETCH_CONFIG:	/* hints */
	case SMMU_CMD_OP_PREFETCH_ADDR:
		return SKIP;
	case SMMU_CMD_OP_ATC_INV:
		if (!(viommu->idr[0] & SMMU_IDR0_ATS))
			return ILLEGAL;
		break;
	case SMMU_CMD_OP_CFGI_CD:
	case SMMU_CMD_OP_CFGI_CD_ALL:
	case SMMU_CMD_OP_TLBI_NH_ALL:
	case SMMU_CMD_OP_TLBI_NH_ASID:
	case SMMU_CMD_OP_TLBI_NH_VA:
	case SMMU_CMD_OP_TLBI_NH_VAA:
	case SMMU_CMD_OP_TLBI_NSNH_ALL:
		break;
	default:
		return ILLEGAL;
	}
	if (!well_formed(viommu, &forms[opcode], cmd))
		return ILLEGAL;
	/* Nothing is cached for a StreamID without a passed-through device (an emulated one, or one
	 * unplugged). */
	if (forms[opcode].has_sid &&
	    !viommu_find_sid(viommu, FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0])))
		return SKIP;
	return FORWARD;
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

static int execute(struct db_viommu *viommu, const uint64_t (*cmds)[2], size_t count, size_t *done)
{
	uint32_t filled = 0, handled;
	enum verdict verdict = SKIP;
	uint64_t cmd[2];
	size_t i;
	int ret;

	for (i = 0; i < count && verdict != ILLEGAL; i++) {
		cmd[0] = le64toh(__atomic_load_n(&cmds[i][0], __ATOMIC_RELAXED));
		cmd[1] = le64toh(__atomic_load_n(&cmds[i][1], __ATOMIC_RELAXED));
		verdict = judge(viommu, cmd);
		if (verdict == FORWARD) {
			viommu->batch[filled].cmd[0] = htole64(cmd[0]);
			viommu->batch[filled].cmd[1] = htole64(cmd[1]);
			viommu->batch_index[filled++] = i;
		}
		if (filled == VIOMMU_BATCH || verdict == ILLEGAL || i + 1 == count) {
			ret = flush(viommu, filled, &handled);
			if (ret) {
				*done = viommu->batch_index[handled];
				db_error_set(ret, "the kernel refuses the guest's command %zu",
					     *done);
				return ret;
			}
			filled = 0;
		}
	}
	if (verdict == ILLEGAL) {
		*done = i - 1;
		db_error_set(-EIO, "the guest's command %zu of %zu (0x%llx 0x%llx) is illegal: "
			     "CERROR_ILL", i - 1, count, (unsigned long long)cmd[0],
			     (unsigned long long)cmd[1]);
		return -EIO;
	}
	*done = count;
	return 0;
}

int db_viommu_invalidate(struct db_viommu *viommu, const uint64_t (*cmds)[2], size_t count,
			 size_t *done)
{
	size_t ignored;
	int ret;

	pthread_mutex_lock(&viommu->lock);
	ret = execute(viommu, cmds, count, done ? done : &ignored);
	pthread_mutex_unlock(&viommu->lock);
	return ret;
}
