/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual SMMUv3 (Arm IHI 0070, Non-secure programming interface, version 3.2): all that stands
 * between a guest's register accesses and the host. Registers, command and event queue, stream
 * table; passed-through devices, whose stage 1 the hardware walks, and emulated ones, whose stage 1
 * is walked here (db_vsmmu_translate()), behind one and the same.
 *
 * Order of use: db_vsmmu_create(); db_vsmmu_add_device() and db_vsmmu_add_emulated() for what is
 * behind it, before the guest runs or while it does; db_vsmmu_mmio_read() and _write() for each
 * access that the guest makes to the DB_VSMMU_SIZE bytes; db_vsmmu_poll_events() whenever
 * db_vsmmu_event_fd() is readable.
 *
 * Threads: every call may be made from any thread at any time, except that nothing may be under way
 * when db_vsmmu_destroy() is called. db_vsmmu_translate() waits for no lock.
 *
 * A guest is not trusted: what it writes is validated, its memory is read once, and a register
 * write does a bounded amount of work: one pass over a command queue of at most 512 commands, with
 * one stream table entry installed for each device and one ioctl for all invalidations.
 */
#ifndef DOORBELL_VSMMU_H
#define DOORBELL_VSMMU_H

#include <doorbell/viommu.h>

DB_API_BEGIN

struct db_vsmmu;

/* Bytes of its register space: two pages of 64 KiB (§6.1). */
#define DB_VSMMU_SIZE 0x20000u

/* Its interrupts, each rising edge a new one (§3.18). */
enum db_vsmmu_irq {
	DB_VSMMU_IRQ_EVENTQ,	/* the event queue has records */
	DB_VSMMU_IRQ_GERROR,	/* a global error became active */
	DB_VSMMU_IRQ_SYNC,	/* a CMD_SYNC that asked for an interrupt is complete */
	DB_VSMMU_IRQS,
};

/* What the guest asked to be forgotten. Ranges are inclusive. Filled by the library. */
struct db_vsmmu_invalidation {
	size_t size;			/* of this struct, as the library knows it */
	uint32_t first_sid, last_sid;	/* the streams; 0 and ~0: all */
	bool any_asid;			/* else only translations with @asid, which are not global */
	uint16_t asid;
	uint64_t first, last;		/* all that hold one of these gIOVAs; 0 and ~0: all */
};

/*
 * What the vSMMU needs of its VMM. The calls come from within the db_vsmmu_ call that causes them,
 * in its thread, and must not call back into the same vSMMU, db_vsmmu_translate() excepted, nor wait
 * for a thread that is in such a call. What db_vsmmu_translate() causes may: @irq and @msi are
 * called without a lock there. @ctx is that of the configuration.
 */
struct db_vsmmu_ops {
	size_t size;			/* doorbell/api.h */

	/*
	 * Copies @len bytes (a multiple of 8, at most 8192) at guest-physical address @ipa, which
	 * is a multiple of 8, to @buf, and the other way round. 0, or a negative errno when not all
	 * of it is RAM: the guest sees an external abort. Aligned dwords must be copied whole
	 * (single-copy atomic). Both may be called by several threads at once.
	 */
	int (*read)(void *ctx, uint64_t ipa, void *buf, size_t len);
	int (*write)(void *ctx, uint64_t ipa, const void *buf, size_t len);

	/* Interrupt @irq rises. NULL: by the configuration's eventfds. */
	void (*irq)(void *ctx, enum db_vsmmu_irq irq);

	/*
	 * The vSMMU writes @data (4 bytes, little-endian) to guest-physical @address: an MSI to the
	 * guest's ITS, or to its RAM (Linux has CMD_SYNC do that). 0, or a negative errno: an abort.
	 * NULL: IDR0.MSI is 0, and the guest has the wired interrupts only.
	 */
	int (*msi)(void *ctx, uint64_t address, uint32_t data);

	/*
	 * Whoever keeps results of db_vsmmu_translate() drops those that @what covers before it
	 * returns: the guest's CMD_SYNC completes after that. Also called with everything when the
	 * guest enables or disables the SMMU, and on reset and restore. NULL: nobody keeps any.
	 */
	void (*invalidated)(void *ctx, const struct db_vsmmu_invalidation *what);
};

struct db_vsmmu_config {
	size_t size;			/* doorbell/api.h */

	/* Where passed-through devices of it are attached. May be NULL: emulated ones only. Must
	 * stay until after db_vsmmu_destroy(). */
	struct db_space *space;

	const struct db_vsmmu_ops *ops;	/* copied; read and write are needed */
	void *ctx;

	/* DB_VSMMU_IRQS eventfds (KVM irqfds of edge-triggered SPIs), -1 for none; copied, and the
	 * descriptors stay the caller's. Not looked at when ops->irq is set. NULL: none. */
	const int *irq_fds;

	/*
	 * What the guest's SMMU can do is what this one can (db_caps.smmu of a device) through the
	 * filter of docs/vmm-guide.md, frozen here: a device that is added later must be behind an
	 * SMMU that can do as much. A VMM that wants the guest to see less clears bits of a copy.
	 * NULL: what emulated devices can.
	 */
	const struct db_smmu_info *host;

	unsigned int sid_bits;		/* of StreamIDs (IDR1.SIDSIZE), at most 20; 0: 16 */

	/* Its passed-through devices are all behind one physical SMMU: db_vsmmu_add_device() of
	 * another is -EXDEV. Else each physical SMMU gets a db_viommu, and invalidations go to
	 * every one. */
	bool one_host_smmu;
};

/*
 * Errors: -EINVAL (a struct without a size, no read or write, sid_bits), -E2BIG, -EOPNOTSUPP (@host
 * lacks what any guest needs: AArch64 tables, little-endian, stage 1), -EBADF (an irq_fd), -ENOMEM.
 */
int db_vsmmu_create(const struct db_vsmmu_config *config, struct db_vsmmu **out);

/* Devices that are still behind it leave it as by db_vsmmu_remove_device(). */
void db_vsmmu_destroy(struct db_vsmmu *vsmmu);

/*
 * Puts @dev behind it under StreamID @sid: makes or finds the db_viommu for its physical SMMU, adds
 * the device, and installs what the guest's stream table (or, while the SMMU is disabled, GBPA)
 * says for it. The device must be removed before it is closed.
 * Errors: -EINVAL (@sid, no space), -EEXIST (StreamID or device taken), -EXDEV (one_host_smmu),
 * -EOPNOTSUPP (its SMMU cannot do what the guest was told; the message names it), and those of
 * db_viommu_create() and db_viommu_add(). What the guest's own entry is like is no error: the
 * device's DMA is aborted then.
 */
int db_vsmmu_add_device(struct db_vsmmu *vsmmu, struct db_device *dev, uint32_t sid);
void db_vsmmu_remove_device(struct db_vsmmu *vsmmu, struct db_device *dev);

/* An emulated device takes StreamID @sid, and gives it back. -EINVAL, -EEXIST, -ENOMEM; removing
 * what is not there does nothing. */
int db_vsmmu_add_emulated(struct db_vsmmu *vsmmu, uint32_t sid);
void db_vsmmu_remove_emulated(struct db_vsmmu *vsmmu, uint32_t sid);

/*
 * An access of the guest to its registers, 4 or 8 bytes, naturally aligned, @offset <
 * DB_VSMMU_SIZE, value in host byte order; others, and what is Reserved, read as 0 and are ignored.
 *
 * A write returns when everything that it asked for is done. 0, or what the host refused (the
 * message says what): the guest has been told in the architecture's way (GERROR, an event) all the
 * same, and the VMM may log it. -EIO: a command or an entry that is illegal for a guest.
 */
uint64_t db_vsmmu_mmio_read(struct db_vsmmu *vsmmu, uint64_t offset, unsigned int size);
int db_vsmmu_mmio_write(struct db_vsmmu *vsmmu, uint64_t offset, unsigned int size, uint64_t value);

/* How an emulated device makes an access. */
#define DB_VSMMU_WRITE (1u << 0)	/* else it reads */
#define DB_VSMMU_SSID (1u << 1)		/* with a SubstreamID (PASID) */
#define DB_VSMMU_PRIV (1u << 2)		/* privileged */
#define DB_VSMMU_EXEC (1u << 3)		/* instruction fetch */
#define DB_VSMMU_QUIET (1u << 4)	/* only asks: a fault records no event */

struct db_vsmmu_translation {
	size_t size;		/* set by the caller, once (doorbell/api.h) */
	uint64_t address;	/* guest-physical, of the access */
	uint64_t page_size;	/* the naturally aligned block around it that is translated alike */
	/* On -EFAULT: reads give 0 and writes are ignored; false: the access is terminated. */
	bool raz_wi;
	unsigned int event;	/* on -EFAULT: the event's number (§7.3), or 0 */
};

/*
 * Translates @iova for an access of the device under @sid (@ssid counts with DB_VSMMU_SSID only).
 * It may be a passed-through device too: what its access would meet.
 *
 * A fault is recorded in the guest's event queue. A result holds until it is invalidated; see
 * db_vsmmu_access_begin(). Errors: -EFAULT, -ENOENT (no device has this StreamID), -EINVAL (size).
 */
int db_vsmmu_translate(struct db_vsmmu *vsmmu, uint32_t sid, uint32_t ssid, uint64_t iova,
		       unsigned int flags, struct db_vsmmu_translation *out);

/*
 * Bracket a translation and the access made with it, of a thread that runs beside the guest's CPUs:
 * a CMD_SYNC of the guest (or its enabling and disabling of the SMMU) waits for those begun before
 * it, so that no access uses an old translation after it. Between the two the thread must not wait
 * for anything that waits for a register access. They never block, may be nested, and
 * db_vsmmu_access_end() gets what the other returned.
 */
unsigned int db_vsmmu_access_begin(struct db_vsmmu *vsmmu);
void db_vsmmu_access_end(struct db_vsmmu *vsmmu, unsigned int token);

/* A descriptor that polls readable when passed-through devices have faulted; owned by the vSMMU. */
int db_vsmmu_event_fd(struct db_vsmmu *vsmmu);

/*
 * Moves what waits there to the guest's event queue, at most 256 records a call (the descriptor
 * stays readable when there are more). How many were taken, or the error of db_viommu_events().
 */
int db_vsmmu_poll_events(struct db_vsmmu *vsmmu);

/* As after power-on: disabled, queues empty, devices as GBPA's reset value says (they bypass stage
 * 1). The error of a device that could not be given that; it aborts then. */
int db_vsmmu_reset(struct db_vsmmu *vsmmu);

/*
 * All that the guest could see of it, in a form that a later version of the library reads too.
 * db_vsmmu_save() writes at most @len bytes to @buf and returns how many there are (call it with
 * NULL, 0 to learn that). The guest must be stopped, and the event queue was polled.
 *
 * db_vsmmu_restore() puts that state into a vSMMU that was created alike and has its devices: they
 * are configured anew from the guest's memory, which must be back already. Errors: -EINVAL (not
 * such a state, or one that no guest can have made: nothing was changed), -EOPNOTSUPP (its ID
 * registers are not those of this vSMMU), and as db_vsmmu_mmio_write().
 */
size_t db_vsmmu_save(struct db_vsmmu *vsmmu, void *buf, size_t len);
int db_vsmmu_restore(struct db_vsmmu *vsmmu, const void *buf, size_t len);

/* The ID registers that the guest sees; iidr is 0. */
void db_vsmmu_info(const struct db_vsmmu *vsmmu, struct db_smmu_info *info);

DB_API_END

#endif
