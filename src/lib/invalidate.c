/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Invalidation commands of a guest (IHI 0070 §4.3 to §4.7). Whatever is not well-formed stays here: the kernel puts the commands of all VMs on
 * one queue, and one illegal command stops that.
 */
#include "lib/viommu.h"

#include <endian.h>
#include <errno.h>

#include "sys/error.h"

#define BITS(hi, lo) (((~0ull) >> (63 - (hi))) & ((~0ull) << (lo)))

/* §4.1.2 opcodes, of those that a guest with stage 1 only may use. */
enum {
	CMD_PREFETCH_CONFIG = 0x01,
	CMD_PREFETCH_ADDR = 0x02,
	CMD_CFGI_STE = 0x03,
	CMD_CFGI_STE_RANGE = 0x04,	/* CFGI_ALL is its widest form */
	CMD_CFGI_CD = 0x05,
	CMD_CFGI_CD_ALL = 0x06,
	CMD_TLBI_NH_ALL = 0x10,
	CMD_TLBI_NH_ASID = 0x11,
	CMD_TLBI_NH_VA = 0x12,
	CMD_TLBI_NH_VAA = 0x13,
	CMD_TLBI_NSNH_ALL = 0x30,
	CMD_ATC_INV = 0x40,
	CMD_SYNC = 0x46,
};

#define CMD_0_OPCODE BITS(7, 0)
#define CMD_0_SID_SHIFT 32

#define IDR0_ATS (1u << 10)
#define IDR0_ASID16 (1u << 12)
#define IDR1_SSIDSIZE BITS(10, 6)
#define IDR3_RIL (1u << 10)

/* The fields of dwords 0 and 1 that may be other than 0. */
struct command_form {
	uint64_t field[2];
	uint64_t range[2];	/* those that exist with range invalidation (IDR3.RIL) */
	uint64_t substream[2];	/* those that exist with substreams (IDR1.SSIDSIZE) */
	bool has_sid, has_asid;
};

static const struct command_form forms[] = {
	[CMD_CFGI_CD] = { .field = { BITS(63, 32), BITS(0, 0) }, .substream = { BITS(31, 12) }, .has_sid = true },
	[CMD_CFGI_CD_ALL] = { .field = { BITS(63, 32) }, .has_sid = true },
	[CMD_TLBI_NH_ALL] = { .field = { BITS(47, 32) } },
	[CMD_TLBI_NH_ASID] = { .field = { BITS(63, 32) }, .has_asid = true },
	[CMD_TLBI_NH_VA] = {
		.field = { BITS(63, 32), BITS(63, 12) | BITS(0, 0) },
		.range = { BITS(16, 12) | BITS(25, 20), BITS(11, 8) },
		.has_asid = true,
	},
	[CMD_TLBI_NH_VAA] = {
		.field = { BITS(47, 32), BITS(63, 12) | BITS(0, 0) },
		.range = { BITS(16, 12) | BITS(25, 20), BITS(11, 8) },
	},
	[CMD_TLBI_NSNH_ALL] = { .field = { 0 } },
	[CMD_ATC_INV] = {
		.field = { BITS(63, 32), BITS(63, 12) | BITS(5, 0) },
		.substream = { BITS(31, 11) | BITS(9, 9) },
		.has_sid = true,
	},
};

enum verdict {
	SKIP,		/* nothing for the kernel to do */
	FORWARD,
	ILLEGAL,
};

static bool well_formed(struct db_viommu *viommu, const struct command_form *form, const uint64_t cmd[2])
{
	bool range = viommu->idr[3] & IDR3_RIL, substreams = viommu->idr[1] & IDR1_SSIDSIZE;
	uint64_t allowed;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		allowed = form->field[i] | (i ? 0 : CMD_0_OPCODE);
		if (range)
			allowed |= form->range[i];
		if (substreams)
			allowed |= form->substream[i];
		if (!i && form->has_asid && !(viommu->idr[0] & IDR0_ASID16))
			allowed &= ~BITS(63, 56);
		if (cmd[i] & ~allowed)
			return false;
	}
	return true;
}

static enum verdict judge(struct db_viommu *viommu, const uint64_t cmd[2])
{
	unsigned int opcode = cmd[0] & CMD_0_OPCODE;

	switch (opcode) {
	case CMD_SYNC:			/* each call ends with one */
	case CMD_CFGI_STE:		/* the VMM's: db_viommu_install_ste() */
	case CMD_CFGI_STE_RANGE:
	case CMD_PREFETCH_CONFIG:	/* hints */
	case CMD_PREFETCH_ADDR:
		return SKIP;
	case CMD_ATC_INV:
		if (!(viommu->idr[0] & IDR0_ATS))
			return ILLEGAL;
		break;
	case CMD_CFGI_CD:
	case CMD_CFGI_CD_ALL:
	case CMD_TLBI_NH_ALL:
	case CMD_TLBI_NH_ASID:
	case CMD_TLBI_NH_VA:
	case CMD_TLBI_NH_VAA:
	case CMD_TLBI_NSNH_ALL:
		break;
	default:
		return ILLEGAL;
	}
	if (!well_formed(viommu, &forms[opcode], cmd))
		return ILLEGAL;
	/* Nothing is cached for a StreamID without a passed-through device (an emulated one, or one unplugged). */
	if (forms[opcode].has_sid && !viommu_find_sid(viommu, cmd[0] >> CMD_0_SID_SHIFT))
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
	 * Linux counts commands that it had looked at but not yet sent when a later one turned out wrong. Those before the wrong one are
	 * sent again: to invalidate twice does no harm, not to do it does.
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
				db_error_set(ret, "the kernel refuses the guest's command %zu of %zu", *done, count);
				return ret;
			}
			filled = 0;
		}
	}
	if (verdict == ILLEGAL) {
		*done = i - 1;
		db_error_set(-EIO, "the guest's command %zu of %zu (0x%llx 0x%llx) is illegal: CERROR_ILL", i - 1, count,
			     (unsigned long long)cmd[0], (unsigned long long)cmd[1]);
		return -EIO;
	}
	*done = count;
	return 0;
}

int db_viommu_invalidate(struct db_viommu *viommu, const uint64_t (*cmds)[2], size_t count, size_t *done)
{
	size_t ignored;
	int ret;

	pthread_mutex_lock(&viommu->lock);
	ret = execute(viommu, cmds, count, done ? done : &ignored);
	pthread_mutex_unlock(&viommu->lock);
	return ret;
}
