/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Case files: a small SMMU machine as a list of operations, one a line, as the oracle test writes
 * them for a difference it found:
 *
 *   idrN VALUE                        SMMU_IDR0..5
 *   strtab BASE CFG                   SMMU_STRTAB_BASE, SMMU_STRTAB_BASE_CFG
 *   memory BASE SIZE                  what memory there is; everything else aborts
 *   store PA VALUE                    a dword
 *   command DW0 DW1                   to the command queue
 *   access SID SSID|- ADDR read|write|fetch privileged|unprivileged
 *
 * '#' begins a comment. Numbers are as in C. The last access is the one that is explained.
 */
#ifndef CLI_CASE_H
#define CLI_CASE_H

#include "arm/smmu.h"

/*
 * Replays the file at @path; its last access (@txn) is traced to @tracer and its outcome left in
 * @res.
 * Returns 0 (translated), -EFAULT (it faulted), or another error with a sentence in @why (@size
 * bytes).
 */
int case_replay(const char *path, const struct smmu_tracer *tracer, struct smmu_txn *txn,
		struct smmu_result *res, char *why, size_t size);

#endif
