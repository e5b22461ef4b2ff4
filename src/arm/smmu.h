/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMMUv3 (Arm IHI 0070): translation of device accesses by stream table, context descriptors and
 * VMSAv8-64 tables of both stages, with a configuration cache and a TLB.
 *
 * smmu_translate() may be called by any number of threads at once, together with one caller at a
 * time of smmu_command(). It takes no lock and writes nothing shared when it hits. A command is
 * finished for later translations when smmu_command() returns; a translation that began before may
 * still return the old result: who performs the access after translating must make CMD_SYNC wait
 * for those (the software host does so by RCU), since that is the point where the architecture
 * promises that no old translation is in use (§4.7).
 */
#ifndef ARM_SMMU_H
#define ARM_SMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm/mem.h"

struct smmu;

/* What the guest or the kernel configures: the registers that translation depends on (§6.3). */
struct smmu_config {
	struct arm_mem mem;
	uint32_t idr[6];	/* SMMU_IDR0..5 as they read; behaviour follows them */
	uint32_t tlb_entries;	/* rounded up to a power of two; 0 = a default */
};

/*
 * Bytes of memory that smmu_init() needs for @config; the caller allocates (64-byte aligned) and
 * later frees it.
 */
size_t smmu_footprint(const struct smmu_config *config);
struct smmu *smmu_init(void *memory, const struct smmu_config *config);

/*
 * SMMU_STRTAB_BASE and SMMU_STRTAB_BASE_CFG (§6.3.24, §6.3.25); the caches forget all. Not
 * concurrent with translations.
 */
void smmu_set_stream_table(struct smmu *smmu, uint64_t strtab_base, uint32_t strtab_base_cfg);

enum smmu_access {
	SMMU_READ,
	SMMU_WRITE,
};

struct smmu_txn {
	uint32_t sid;
	uint32_t ssid;
	bool ssid_valid;
	bool privileged;	/* PnU */
	bool instruction;	/* InD */
	enum smmu_access access;
	uint64_t addr;
	/* NULL, or be told of every step; the caches are then bypassed */
	const struct smmu_tracer *tracer;
};

/*
 * Event record, as it would be written to the event queue (§7.3): four little-endian dwords in host
 * byte order.
 */
struct smmu_event {
	uint64_t dw[4];
};

struct smmu_result {
	uint64_t pa;
	uint64_t page_size;	/* bytes around pa that this translation holds for, at least */
	bool record;		/* on a fault: event is to be recorded (CD.R, S2R, ...) */
	bool abort;		/* on a fault: terminate with abort; false: RAZ/WI (CD.A) */
	struct smmu_event event;
};

/* 0 and res->pa, or -EFAULT and the fault's fields. Only the fields that apply are written. */
int smmu_translate(struct smmu *smmu, const struct smmu_txn *txn, struct smmu_result *res);

/*
 * The stream table entry of @sid as memory has it now (8 dwords, host order), legal or not; the
 * caches are not looked at. -EFAULT: there is none, or not in memory. As smmu_translate(), by any
 * number of threads.
 */
int smmu_fetch_ste(struct smmu *smmu, uint32_t sid, uint64_t ste[8]);

/*
 * The input addresses [*first, *last] that a CMD_TLBI_NH_VA or _VAA names (an entry is meant that
 * holds one of them, however large). 0, or SMMU_CERROR_ILL.
 */
int smmu_command_range(const struct smmu *smmu, const uint64_t cmd[2], uint64_t *first,
		       uint64_t *last);

/*
 * Executes one command (§4.1; two dwords). 0, or the CERROR code (§7.1): 1 CERROR_ILL, ... Memory
 * is never touched by a command.
 */
#define SMMU_CERROR_NONE 0
#define SMMU_CERROR_ILL 1
#define SMMU_CERROR_ABT 2
int smmu_command(struct smmu *smmu, const uint64_t cmd[2]);

/* A step of a traced translation, in order. */
enum smmu_step_kind {
	SMMU_STEP_STE,		/* data = 8 dwords */
	SMMU_STEP_CD,		/* data = 8 dwords; also L1CD / L1STD pointers as _PTR */
	SMMU_STEP_PTR,		/* first-level stream table or CD table entry; data[0] */
	SMMU_STEP_S1,		/* stage-1 descriptor */
	SMMU_STEP_S2,		/* stage-2 descriptor */
	SMMU_STEP_PA,		/* the end: pa */
	SMMU_STEP_EVENT,	/* the end: data[0..3] = event record */
};

struct smmu_step {
	enum smmu_step_kind kind;
	unsigned int level;	/* table level of a descriptor */
	unsigned int index;	/* index in its table */
	/* IA of this stage: gIOVA, or IPA (of the access or of a stage-1 table) */
	uint64_t input;
	/* address the data was read from, in the space it was fetched from before stage 2 */
	uint64_t addr;
	uint64_t pa;		/* its PA */
	uint64_t data[8];
	unsigned int depth;	/* 0: the access itself; 1: stage 2 of a stage-1 or CD fetch */
};

struct smmu_tracer {
	void (*step)(void *ctx, const struct smmu_step *step);
	void *ctx;
};

#endif
