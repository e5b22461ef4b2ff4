/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/memlock.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>

/* Of the thread; where there is no /proc, nothing is locked, and nobody privileged. */
static void read_status(unsigned long long *locked, bool *privileged)
{
	FILE *status = fopen("/proc/thread-self/status", "re");
	unsigned long long value;
	char line[256];

	*locked = 0;
	*privileged = false;
	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "VmLck: %llu", &value) == 1 ||
		    sscanf(line, "VmPin: %llu", &value) == 1)
			*locked += value << 10;
		else if (sscanf(line, "CapEff: %llx", &value) == 1)
			*privileged = value >> CAP_IPC_LOCK & 1;
	}
	if (status)
		fclose(status);
}

enum memlock memlock_judge(uint64_t len, unsigned long long *limit)
{
	unsigned long long locked;
	struct rlimit memlock;
	bool privileged;

	if (getrlimit(RLIMIT_MEMLOCK, &memlock) || memlock.rlim_cur == RLIM_INFINITY)
		return MEMLOCK_NO_LIMIT;
	read_status(&locked, &privileged);
	if (privileged)
		return MEMLOCK_NO_LIMIT;
	*limit = memlock.rlim_cur;
	return len > *limit || locked > *limit - len ? MEMLOCK_EXCEEDED : MEMLOCK_WITHIN;
}
