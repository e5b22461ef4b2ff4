/* SPDX-License-Identifier: BSD-2-Clause */
/* Emulated devices: their stage 1 is walked here, by src/arm and its caches. */
#include "lib/vsmmu.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/error.h"

/* A VM's emulated devices: 256 KiB of cache would be for a machine. */
#define TLB_ENTRIES 4096

static int read64(void *ctx, uint64_t ipa, uint64_t *value)
{
	struct db_vsmmu *s = ctx;
	int ret = s->ops.read(s->ctx, ipa, value, sizeof(*value));

	*value = le64toh(*value);
	return ret;
}

int vsmmu_engine_create(struct db_vsmmu *s)
{
	struct smmu_config config = {
		.mem = { .read64 = read64, .ctx = s },
		.tlb_entries = TLB_ENTRIES,
	};
	void *memory;

	memcpy(config.idr, s->info.idr, sizeof(config.idr));
	if (posix_memalign(&memory, 64, smmu_footprint(&config)))
		return -ENOMEM;
	s->engine = smmu_init(memory, &config);
	return 0;
}

static bool has_device(struct db_vsmmu *s, uint32_t sid)
{
	return !(sid >> s->sid_bits) &&
	       atomic_load_explicit(&s->present[sid / 64], memory_order_relaxed) & BIT64(sid % 64);
}

/*
 * Before the caches are used for the first time. Who executes commands looks at the same variable by
 * a read-modify-write: if that came first, what the guest wrote before those commands is what is
 * read now; if not, the caches are known to be in use.
 */
static inline void use_engine(struct db_vsmmu *s)
{
	if (atomic_load_explicit(&s->engine_used, memory_order_relaxed))
		return;
	atomic_fetch_or(&s->engine_used, 1);
}

/* §3.11: what GBPA says, of an SMMU that is disabled. */
static int bypass(struct db_vsmmu *s, uint64_t iova, struct smmu_result *res)
{
	*res = (struct smmu_result){ .pa = iova, .page_size = BIT64(63), .abort = true };
	return atomic_load(&s->gbpa) & SMMU_GBPA_ABORT ? -EFAULT : 0;
}

static __attribute__((noinline, cold)) int fault(struct db_vsmmu *s, const struct smmu_txn *txn,
						 unsigned int flags, const struct smmu_result *res,
						 struct db_vsmmu_translation *out)
{
	unsigned int id = FIELD_GET64(SMMU_EVT_0_ID, res->event.dw[0]);
	bool record = res->record;

	/* §6.3.12: those of StreamIDs beyond the table only if it is asked for. */
	if (id == SMMU_EVT_C_BAD_STREAMID && !(atomic_load(&s->cr2) & SMMU_CR2_RECINVSID))
		record = false;
	if (record && !(flags & DB_VSMMU_QUIET))
		vsmmu_report_events(s, &res->event.dw, 1);
	out->raz_wi = !res->abort;
	out->event = id;
	db_error_set(-EFAULT, "the guest does not let StreamID 0x%x %s 0x%llx (event 0x%x)",
		     txn->sid, txn->access == SMMU_WRITE ? "write to" : "read from",
		     (unsigned long long)txn->addr, id);
	return -EFAULT;
}

int db_vsmmu_translate(struct db_vsmmu *s, uint32_t sid, uint32_t ssid, uint64_t iova,
		       unsigned int flags, struct db_vsmmu_translation *out)
{
	struct smmu_txn txn = {
		.sid = sid,
		.ssid = flags & DB_VSMMU_SSID ? ssid : 0,
		.ssid_valid = flags & DB_VSMMU_SSID,
		.privileged = flags & DB_VSMMU_PRIV,
		.instruction = flags & DB_VSMMU_EXEC,
		.access = flags & DB_VSMMU_WRITE ? SMMU_WRITE : SMMU_READ,
		.addr = iova,
	};
	struct smmu_result res;
	unsigned int token;
	int ret;

	if (out->size < sizeof(*out)) {
		db_error_set(-EINVAL, "struct db_vsmmu_translation has no size");
		return -EINVAL;
	}
	if (!has_device(s, sid)) {
		db_error_set(-ENOENT, "no device has StreamID 0x%x", sid);
		return -ENOENT;
	}
	res.event.dw[0] = 0;
	res.record = false;
	token = readers_enter(&s->readers);
	if (atomic_load(&s->enabled)) {
		use_engine(s);
		ret = smmu_translate(s->engine, &txn, &res);
	} else {
		ret = bypass(s, iova, &res);
	}
	readers_leave(&s->readers, token);
	if (ret)
		return fault(s, &txn, flags, &res, out);
	out->address = res.pa;
	out->page_size = res.page_size;
	return 0;
}

unsigned int db_vsmmu_access_begin(struct db_vsmmu *s)
{
	return readers_enter(&s->readers);
}

void db_vsmmu_access_end(struct db_vsmmu *s, unsigned int token)
{
	readers_leave(&s->readers, token);
}

static void notify(struct db_vsmmu *s, const uint64_t cmd[2])
{
	struct db_vsmmu_invalidation what = {
		.size = sizeof(what),
		.last_sid = UINT32_MAX,
		.any_asid = true,
		.last = UINT64_MAX,
	};

	switch (FIELD_GET64(SMMU_CMD_0_OP, cmd[0])) {
	case SMMU_CMD_OP_CFGI_STE:
	case SMMU_CMD_OP_CFGI_CD:
	case SMMU_CMD_OP_CFGI_CD_ALL:
		what.first_sid = what.last_sid = FIELD_GET64(SMMU_CMD_CFGI_0_SID, cmd[0]);
		break;
	case SMMU_CMD_OP_CFGI_STE_RANGE:
		vsmmu_command_sids(cmd, &what.first_sid, &what.last_sid);
		break;
	case SMMU_CMD_OP_TLBI_NH_VA:
		what.any_asid = false;
		/* fall through */
	case SMMU_CMD_OP_TLBI_NH_VAA:
		smmu_command_range(s->engine, cmd, &what.first, &what.last);
		break;
	case SMMU_CMD_OP_TLBI_NH_ASID:
		what.any_asid = false;
		break;
	case SMMU_CMD_OP_TLBI_NH_ALL:
	case SMMU_CMD_OP_TLBI_NSNH_ALL:
		break;
	default:
		return;
	}
	if (!what.any_asid)
		what.asid = FIELD_GET64(SMMU_CMD_TLBI_0_ASID, cmd[0]);
	s->ops.invalidated(s->ctx, &what);
}

void vsmmu_invalidated_all(struct db_vsmmu *s)
{
	static const uint64_t all[2] = { SMMU_CMD_OP_TLBI_NSNH_ALL };

	if (s->ops.invalidated)
		notify(s, all);
}

void vsmmu_engine_commands(struct db_vsmmu *s, const uint64_t (*cmds)[2], unsigned int count)
{
	bool used = atomic_fetch_or(&s->engine_used, 0);	/* pairs with use_engine() */
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (used)
			smmu_command(s->engine, cmds[i]);
		if (s->ops.invalidated)
			notify(s, cmds[i]);
	}
	readers_wait(&s->readers);
}
