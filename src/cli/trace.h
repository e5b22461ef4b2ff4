/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of one translation, and where they come from. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include "arm/smmu.h"
#include "cli/session.h"

/* the longest: 4 levels of stage 1, each fetched through 4 of stage 2, and what is around them */
#define TRACE_STEPS 64

enum trace_source {
	TRACE_HOST,	/* the host's own SMMU told */
	/* the guest's tables walked here, as the SMMU would; stage 2 is the host's secret */
	TRACE_REPLICA,
	TRACE_CASE,	/* a case file (cli/case.h) */
};

struct trace {
	enum trace_source source;
	const char *device;	/* its address on the host, or the case file */
	uint32_t stream_id;	/* the guest's */
	uint64_t iova;
	bool write;
	struct smmu_txn access;	/* TRACE_CASE: all of it */
	struct smmu_step steps[TRACE_STEPS];
	unsigned int n;
	/* what is at the end: "MSI doorbell of ...", "" when nothing is known */
	char end_note[160];
};

/* A tracer that collects into @trace. */
struct smmu_tracer trace_tracer(struct trace *trace);

/*
 * Translates trace->iova for the guest's only device, by the host's trace file where there is one,
 * else by a replica. -errno, s->why.
 */
int trace_session(struct trace *trace, struct session *s);

/* The last step: SMMU_STEP_PA or SMMU_STEP_EVENT; NULL when there is none. */
const struct smmu_step *trace_end(const struct trace *trace);

/* Which granule the tables of @stage have (a shift), as the STE and CD among the steps say. */
unsigned int trace_granule(const struct trace *trace, unsigned int stage);

#endif
