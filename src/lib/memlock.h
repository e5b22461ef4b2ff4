/* SPDX-License-Identifier: BSD-2-Clause */
/* Why memory cannot be pinned, as far as a process can tell. */
#ifndef LIB_MEMLOCK_H
#define LIB_MEMLOCK_H

#include <stdint.h>

enum memlock {
	MEMLOCK_NO_LIMIT,	/* for this process: it is none, or the process has CAP_IPC_LOCK */
	MEMLOCK_EXCEEDED,	/* what the process has locked and pinned, and this, are more */
	MEMLOCK_WITHIN,		/* not more; but the kernel may count for the user */
};

/* Judges @len bytes more; *limit receives the limit in bytes where there is one. */
enum memlock memlock_judge(uint64_t len, unsigned long long *limit);

#endif
