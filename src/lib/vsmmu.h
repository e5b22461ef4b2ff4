/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual SMMUv3. One file a subject:
 *   vsmmu.c		its life, and the devices behind it
 *   vsmmu_idr.c	what it can do
 *   vsmmu_mmio.c	registers
 *   vsmmu_cmdq.c	command queue
 *   vsmmu_report.c	event queue, global errors, interrupts
 *   vsmmu_config.c	what the guest's configuration means for passed-through devices
 *   vsmmu_translate.c	emulated devices
 *   vsmmu_state.c	save and restore
 */
#ifndef LIB_VSMMU_H
#define LIB_VSMMU_H

#include <pthread.h>
#include <doorbell/vsmmu.h>

#include "arm/smmu.h"
#include "lib/bucket.h"
#include "lib/readers.h"
#include "arm/smmu_mmio.h"

/*
 * IDR1.CMDQS and EVENTQS. A kick of the largest command queue is one batch of a vIOMMU: this is
 * what bounds the work of a register write.
 */
#define VSMMU_QUEUE_LOG2 9
#define VSMMU_COMMANDS (1u << VSMMU_QUEUE_LOG2)
#define VSMMU_SID_BITS_MAX 20

struct vsmmu_device {
	struct vsmmu_device *next;		/* of the same bucket */
	struct vsmmu_device *next_passed;	/* passed-through ones */
	uint32_t sid;
	struct db_device *dev;			/* NULL: emulated */
	struct vsmmu_host *host;
	bool dirty;				/* its entry is to be read again */
};

/* A physical SMMU that passed-through devices are behind. */
struct vsmmu_host {
	struct vsmmu_host *next;
	struct db_viommu *viommu;
	unsigned int devices;
	/* Of a kick: CMD_CFGI_CD_ALL of devices whose entry is as it was, then the guest's own.
	 * Little-endian; room for one of each device and VSMMU_COMMANDS. */
	uint64_t (*cmds)[2];
	size_t kept;
};

struct vsmmu_irq_cfg {
	uint64_t address;			/* 0: wired */
	uint32_t data, attributes;
};

struct db_vsmmu {
	/* Fixed once made. */
	struct db_space *space;
	struct db_vsmmu_ops ops;
	void *ctx;
	int irq_fd[DB_VSMMU_IRQS];
	struct db_smmu_info info;
	unsigned int sid_bits;
	bool one_host_smmu;
	int event_fd;				/* an epoll of the vIOMMUs' */

	/* For translations, which take no lock. */
	struct smmu *engine;			/* its stream table changes while !enabled only */
	struct readers readers;			/* of all of these */
	atomic_bool enabled;			/* CR0.SMMUEN */
	atomic_uint engine_used;		/* 1: it may have something cached */
	_Atomic uint32_t gbpa, cr2;
	_Atomic uint64_t *present;		/* a bit for each StreamID that has a device */

	/* What the guest configures. Lock order: this, report; then that of a db_viommu. */
	pthread_mutex_t lock;
	uint32_t cr0, cr1, strtab_cfg;
	uint64_t strtab;
	struct {
		uint64_t base;
		uint32_t prod, cons;
	} cmdq;
	uint64_t cmds[VSMMU_COMMANDS][2];	/* of a kick, in host order */
	bool any_dirty;
	struct vsmmu_device *devices[BUCKETS];	/* by StreamID */
	struct vsmmu_device *passed;
	struct vsmmu_host *hosts;

	/* What it reports. Translations that fault take this lock only: CMD_SYNC waits for them
	 * with the other one held. */
	pthread_mutex_t report;
	struct {
		bool on;			/* CR0.EVENTQEN */
		uint64_t base;
		uint32_t prod, cons;
	} eventq;
	uint32_t irq_ctrl, gerror, gerrorn;
	struct vsmmu_irq_cfg gerror_irq, eventq_irq;
};

static inline struct vsmmu_device *vsmmu_find(struct db_vsmmu *vsmmu, uint32_t sid)
{
	struct vsmmu_device *device;

	for (device = vsmmu->devices[bucket(sid)]; device && device->sid != sid;
	     device = device->next)
		;
	return device;
}

/* Entries of the queue whose BASE register is @base. */
static inline uint32_t vsmmu_queue_size(uint64_t base)
{
	uint32_t log2 = FIELD_GET64(SMMU_Q_BASE_LOG2SIZE, base);

	return 1u << (log2 < VSMMU_QUEUE_LOG2 ? log2 : VSMMU_QUEUE_LOG2);
}

/* §3.5.1: the queue is aligned to its size, or to 32 bytes; bits below are ignored. @entry: bytes. */
static inline uint64_t vsmmu_queue_base(uint64_t base, uint32_t entry)
{
	uint64_t size = (uint64_t)vsmmu_queue_size(base) * entry;

	return base & SMMU_Q_BASE_ADDR & ~((size > 32 ? size : 32) - 1);
}

/* --- vsmmu_idr.c --- */

/* What a guest sees of an SMMU with @host (NULL: none); -EOPNOTSUPP with the message set. */
int vsmmu_idr_filter(const struct db_smmu_info *host, unsigned int sid_bits, bool msi,
		     struct db_smmu_info *out);

/* Can the SMMU with ID registers @host do all that @info says? Else -EOPNOTSUPP. */
int vsmmu_idr_check(const struct db_smmu_info *info, const uint32_t host[6], const char *device);

/* --- vsmmu_config.c; called with the lock held --- */

/* Has the entries of [first, last] read again by vsmmu_config_update(). */
void vsmmu_config_dirty(struct db_vsmmu *vsmmu, uint32_t first, uint32_t last);

/*
 * Installs what is in force for devices that are dirty; those that had it already are in their
 * host's cmds. 0, or the first error (the device aborts, and the others are installed).
 */
int vsmmu_config_update(struct db_vsmmu *vsmmu);

/* The same, with the caches of those invalidated. */
int vsmmu_config_flush(struct db_vsmmu *vsmmu);

/* CR0.SMMUEN becomes @enable; all devices follow, and nobody translates by the old one after it. */
int vsmmu_config_enable(struct db_vsmmu *vsmmu, bool enable);

/* --- vsmmu_cmdq.c; called with the lock held --- */

int vsmmu_cmdq_kick(struct db_vsmmu *vsmmu);

/* The StreamIDs [*first, *last] of a CMD_CFGI_STE, _STE_RANGE or _ALL. */
void vsmmu_command_sids(const uint64_t cmd[2], uint32_t *first, uint32_t *last);

/* --- vsmmu_report.c --- */

/* All of them take the lock "report" by themselves. */
void vsmmu_report_events(struct db_vsmmu *vsmmu, const uint64_t (*events)[4], unsigned int count);
void vsmmu_report_lost(struct db_vsmmu *vsmmu);
void vsmmu_report_error(struct db_vsmmu *vsmmu, uint32_t bit);
bool vsmmu_report_active(struct db_vsmmu *vsmmu, uint32_t bit);

/* A CMD_SYNC (CS = IRQ) is complete: by MSI if @address is not 0. */
void vsmmu_report_sync(struct db_vsmmu *vsmmu, uint64_t address, uint32_t data);

/* --- vsmmu_translate.c; called with the lock held --- */

int vsmmu_engine_create(struct db_vsmmu *vsmmu);

/* Executes legal commands for emulated devices. Waits until no access uses what they invalidate. */
void vsmmu_engine_commands(struct db_vsmmu *vsmmu, const uint64_t (*cmds)[2], unsigned int count);

/* Tells the VMM that everything is invalid. */
void vsmmu_invalidated_all(struct db_vsmmu *vsmmu);

/* --- vsmmu_mmio.c --- */

/* All registers as after power-on, with both locks held. */
void vsmmu_registers_reset(struct db_vsmmu *vsmmu);

#endif
