/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An SMMUv3 of the machine: the translation engine, its stream table in the machine's memory, and
 * its events.
 *
 * A device access translates and then touches memory inside one RCU read-side section (urcu-memb:
 * threads must be registered; pci.h does both), and CMD_SYNC waits for a grace period; so after it
 * no access through an old translation is under way.
 */
#ifndef SOFT_HW_SMMU_DEV_H
#define SOFT_HW_SMMU_DEV_H

#include "arm/smmu.h"
#include "soft/hw/bus.h"

struct smmu_dev;

struct smmu_dev_config {
	struct bus *bus;
	uint32_t idr[6];
	unsigned int sid_bits;
};

/* All streams abort until the kernel writes an STE. */
struct smmu_dev *smmu_dev_create(const struct smmu_dev_config *config);
void smmu_dev_destroy(struct smmu_dev *smmu);

const uint32_t *smmu_dev_idr(const struct smmu_dev *smmu);

/*
 * Writes the STE in memory so that no mixture of old and new is ever valid (§3.21.3); the caller
 * then sends CMD_CFGI_STE and CMD_SYNC. Where the SMMU has two-level stream tables the stream is
 * not without an entry in between. -ERANGE: sid; -ENOMEM: the old entry stays (never for an STE
 * that aborts, all else 0).
 */
int smmu_dev_write_ste(struct smmu_dev *smmu, uint32_t sid, const uint64_t ste[8]);

/*
 * Executes commands in order, CMD_SYNC as above (so not inside an RCU section). 0 or the CERROR
 * code, with *done (may be NULL) the index of the command it stopped at.
 */
int smmu_dev_commands(struct smmu_dev *smmu, const uint64_t (*cmds)[2], size_t count, size_t *done);

/*
 * Sets the function that gets the event records. It is called in the thread of the faulting access,
 * inside the RCU section, and must not block. When this call returns, the previous handler is not
 * running any more. -ENOMEM: there is no handler then.
 */
int smmu_dev_set_event_handler(struct smmu_dev *smmu,
			       void (*handler)(void *ctx, const struct smmu_event *event),
			       void *ctx);

/*
 * One access' translation; records the event on a fault. Call inside an RCU read-side section. 0,
 * -EFAULT (abort), -ENXIO (RAZ/WI).
 */
int smmu_dev_translate(struct smmu_dev *smmu, const struct smmu_txn *txn, struct smmu_result *res);

#endif
