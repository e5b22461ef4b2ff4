/* SPDX-License-Identifier: BSD-2-Clause */
/* What every part of the guest stands on: its machine, its memory, and the reason of a failure. */
#ifndef GUEST_BASE_H
#define GUEST_BASE_H

#include "guest/mem.h"
#include "guest/report.h"
#include "guest/vmm.h"

struct guest_base {
	struct vmm *vmm;
	struct gmem mem;
	struct report report;
	unsigned int granule_shift; /* of every stage 1 */
	uint16_t next_asid;
	char why[512];
};

/* Keeps the sentence, and returns @ret. */
int guest_fail(struct guest_base *base, int ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
