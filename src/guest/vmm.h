/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small VMM over libdoorbell: it lays out the guest's physical space, gives the guest its SMMUs,
 * ITSes and PCI functions, and carries what the guest writes to the host. The second half of this
 * header is the guest's machine: nothing else of the host can be reached from the guest's side.
 *
 * One thread at a time for each struct vmm. Results < 0 are a negative errno; a failure of the
 * library leaves its sentence in db_error_message(), one of the VMM itself in vmm_why().
 */
#ifndef GUEST_VMM_H
#define GUEST_VMM_H

#include <doorbell/doorbell.h>

#include "guest/report.h"

struct vmm;
struct vmm_device;

#define VMM_DEVICES 256
/* GITS_TRANSLATER is in the second 64 KiB frame (IHI 0069 §12.18) */
#define VMM_ITS_FRAME 0x10000u
#define VMM_ITS_TRANSLATER 0x40u	/* ... at this offset */

struct vmm_config {
	struct db_sys *sys;
	enum db_mode mode;
	bool fall_through;
	bool one_vits;			/* all devices behind one vITS, whatever their doorbells */
	bool vits_given;
	uint64_t vits_base;		/* IPA of the first vITS, if given */
	uint64_t ram_base;		/* IPA; 0: the VMM decides */
	uint64_t ram_size;		/* bytes, a multiple of 2 MiB */
	unsigned int open_flags;	/* DB_OPEN_* */
	struct report report;
};

int vmm_create(const struct vmm_config *config, struct vmm **out);
void vmm_destroy(struct vmm *vmm);

/* The sentence for the last failure: the VMM's own, or the library's. */
const char *vmm_why(const struct vmm *vmm);

/*
 * What a trapped access of the guest met on the host since the last call: 0, or the first error
 * (hardware has no way to return one; its sentence is vmm_why()'s).
 */
int vmm_trap_error(struct vmm *vmm);

/* Opens a device and asks what it can do. All devices are added before vmm_realize(). */
int vmm_add(struct vmm *vmm, const char *address, struct vmm_device **out);

/*
 * Takes the mode that all devices allow, lays out the space, maps RAM and doorbells, makes vIOMMUs
 * and interrupts.
 */
int vmm_realize(struct vmm *vmm);

struct vmm_device_info {
	const char *address;		/* on the host */
	uint32_t stream_id, device_id;	/* the guest's numbers for it */
	unsigned int smmu, vits;	/* the guest's SMMU and ITS it is behind */
	enum db_msi_kind kind;
	unsigned int vectors;		/* of the interrupt capability */
	uint64_t vits_base;
	uint64_t doorbell_ipa;		/* the page of its GITS_TRANSLATER */
	struct db_caps caps;
};

enum db_mode vmm_mode(const struct vmm *vmm);
uint64_t vmm_ram_base(const struct vmm *vmm);
unsigned int vmm_device_count(const struct vmm *vmm);
struct vmm_device *vmm_device(const struct vmm *vmm, unsigned int index);
const struct vmm_device_info *vmm_device_info(const struct vmm_device *dev);

/* What stands in the device itself, as db_msi_message(). */
int vmm_device_message(struct vmm_device *dev, unsigned int index, uint64_t *address,
		       uint32_t *data);

/* A mapping of stage 2 that this VMM asked for. */
struct vmm_mapping {
	uint64_t ipa, size;
	const char *what;		/* "RAM", "doorbell" */
	/* of a doorbell: the host's address of the first device behind it; else NULL */
	const char *device;
	const void *va;			/* of RAM, else NULL */
};

unsigned int vmm_mappings(const struct vmm *vmm, struct vmm_mapping *out, unsigned int max);

/*
 * Event records of the guest's SMMUs so far, oldest first (those beyond a bound are counted, not
 * kept).
 */
#define VMM_EVENTS 256
unsigned int vmm_events(const struct vmm *vmm, const uint64_t (**events)[4], uint64_t *lost);

/* --- The guest's machine --- */

/* [ipa, ipa + size) as memory, or NULL when it is not all RAM. */
void *vmm_ram(const struct vmm *vmm, uint64_t ipa, uint64_t size);

/* Windows that the firmware tells the guest to identity-map for @dev (RMR). False: none. */
bool vmm_rmr(const struct vmm_device *dev, uint64_t *start, uint64_t *size);

/*
 * Config space and BARs; 1, 2 or 4 bytes (BAR: or 8), aligned. A device that fails reads as ones.
 */
uint32_t vmm_config_read(struct vmm_device *dev, unsigned int offset, unsigned int size);
void vmm_config_write(struct vmm_device *dev, unsigned int offset, unsigned int size,
		      uint32_t value);
uint64_t vmm_bar_read(struct vmm_device *dev, unsigned int bar, uint64_t offset, unsigned int size);
void vmm_bar_write(struct vmm_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		   uint64_t value);

/*
 * Resets the function, as the guest may ask its firmware to (_RST of ACPI): registers are as after
 * power-on, config space and messages as they were before. -EOPNOTSUPP: the device cannot.
 */
int vmm_device_reset(struct vmm_device *dev);

/*
 * SMMU @smmu of the guest: what it is like, and its registers (IHI 0070 §6.2; 4 or 8 bytes). A write
 * returns when what it asked for is done; < 0: the host refused it, or it is illegal, and the guest
 * was told in the architecture's way.
 */
void vmm_smmu_info(const struct vmm *vmm, unsigned int smmu, struct db_smmu_info *info);
uint64_t vmm_smmu_read(struct vmm *vmm, unsigned int smmu, uint32_t offset, unsigned int size);
int vmm_smmu_write(struct vmm *vmm, unsigned int smmu, uint32_t offset, unsigned int size,
		   uint64_t value);

/*
 * The vITS of @dev: EventID @event of it becomes @lpi (MAPTI); @lpi 0: no longer (DISCARD).
 * -ENOMEM, -EINVAL.
 */
#define VMM_ITS_EVENTS 8192
int vmm_its_map(struct vmm_device *dev, uint32_t event, uint32_t lpi);

/* Who takes the guest's interrupts, during vmm_wait() only. */
struct vmm_cpu_ops {
	/* @lpi was delivered @times; 0: a message came for which the vITS has no translation. */
	void (*interrupt)(void *ctx, uint32_t lpi, uint64_t times);
	/* That of the event queue of @smmu. */
	void (*event)(void *ctx, unsigned int smmu);
};

void vmm_set_cpu(struct vmm *vmm, const struct vmm_cpu_ops *ops, void *ctx);

/*
 * Waits at most @timeout_ms for an interrupt or event and delivers what is there. The number
 * delivered, or -errno.
 */
int vmm_wait(struct vmm *vmm, int timeout_ms);

/*
 * Returns when the interrupts that @dev has raised so far have come as far as vmm_wait() looks: on
 * every CPU that this process may run on.
 */
void vmm_drain(struct vmm_device *dev);

#endif
