/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event records and commands in words, for people. Names and fields as in Arm IHI 0070, §7.3 and
 * §4.
 */
#ifndef ARM_SMMU_TEXT_H
#define ARM_SMMU_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "arm/smmu.h"

/*
 * "F_TRANSLATION" for SMMU_EVT_F_TRANSLATION, "CMD_TLBI_NH_VA" for its opcode; NULL for a number
 * without a name.
 */
const char *smmu_event_name(uint64_t id);
const char *smmu_command_name(uint64_t op);

/*
 * One line, with every field that the record or command defines, e.g.
 *	F_TRANSLATION sid 0x5 stage 2 class IN write data unprivileged addr 0xff40 ipa 0x8090000
 * Truncated to @size with its terminating 0, as snprintf() does; returns the length of the whole
 * text.
 */
size_t smmu_event_describe(const struct smmu_event *event, char *buf, size_t size);
size_t smmu_command_describe(const uint64_t cmd[2], char *buf, size_t size);

#endif
