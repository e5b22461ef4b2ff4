/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-process guest: what a guest kernel does with passed-through devices, on the machine that a
 * VMM gives it (vmm.h). It owns stage 1: it picks gIOVAs from the top of its space, builds tables
 * in its own memory, maps the MSI page through its DMA layer, writes CD and STE, and invalidates
 * after unmapping. Its drivers do real I/O and count every interrupt.
 *
 * One thread at a time for each struct guest. Results < 0 are a negative errno; guest_why() then
 * has the sentence.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include "guest/vmm.h"

struct guest;
struct guest_device;

struct guest_config {
	struct vmm *vmm;		/* realized; stays the caller's */
	uint64_t ram_size;		/* bytes, as the VMM was told */
	/* of stage 1: 12, 14, 16; 0: the smallest that the SMMU has */
	unsigned int granule_shift;
	struct report report;
};

/* On failure too *out is set (unless -ENOMEM) and must be destroyed: it keeps the reason. */
int guest_create(const struct guest_config *config, struct guest **out);
void guest_destroy(struct guest *guest);
const char *guest_why(const struct guest *guest);

/*
 * Boots a device: finds its driver, makes its stage 1, maps the MSI page, and programs and unmasks
 * @vectors interrupt vectors (0: all it has). -ENODEV: no driver for it.
 */
int guest_device_add(struct guest *guest, struct vmm_device *dev, unsigned int vectors,
		     struct guest_device **out);

/* Stops the driver, masks its interrupts and gives everything back. */
void guest_device_remove(struct guest_device *gd);

/* Addresses and numbers the guest chose. */
struct guest_device_info {
	const char *driver;
	struct vmm_device *vmm;
	/* of its vITS's GITS_TRANSLATER, as it stands in the guest's messages */
	uint64_t giova;
	unsigned int granule_shift;
	unsigned int vectors;		/* in use */
	uint32_t first_event;		/* data of vector i: first_event + i */
};

const struct guest_device_info *guest_device_info(const struct guest_device *gd);

/*
 * Whether the guest has @vector masked just now: then what it wrote last need not be in the device
 * yet.
 */
bool guest_device_masked(const struct guest_device *gd, unsigned int vector);

/*
 * Where the guest's SMMU structures are, in IPA, for who wants to walk them: stream table base, its
 * log2 size.
 */
void guest_stream_table(const struct guest *guest, unsigned int smmu, uint64_t *ipa,
			unsigned int *log2_size);

/* The guest's memory as src/arm reads it, by IPA. */
struct arm_mem guest_arm_mem(struct guest *guest);

struct guest_io {
	/*
	 * The next @len bytes of the device's data, in order; @done of @total with them. Non-zero
	 * stops the I/O with that value.
	 */
	int (*data)(void *ctx, const void *buf, size_t len, uint64_t done, uint64_t total);
	void *ctx;
	/*
	 * out: the data is the whole content of a disk; else a pattern that the driver itself
	 * verified
	 */
	bool is_disk;
	uint64_t bytes;		/* out */
};

/*
 * The driver's I/O: nvme reads its whole disk, bell and edu copy memory and ring every vector, igb
 * rings every vector. It goes in steps, between which the device has commands in flight: so several
 * devices work at once, and what happens to one meanwhile (disturb.h) happens under load.
 *
 * guest_device_begin() comes first, and guest_device_end() last, also after a failure; @io stays
 * the caller's until then. guest_device_step() takes what has completed and starts more: 1: there
 * is more to do; 0: done. -EIO: the device reported an error or data was not what was written;
 * -ETIMEDOUT: it did not answer.
 */
int guest_device_begin(struct guest_device *gd, struct guest_io *io);
int guest_device_step(struct guest_device *gd);
void guest_device_end(struct guest_device *gd);

/* All of it at once. */
int guest_device_run(struct guest_device *gd, struct guest_io *io);

/*
 * Whether an event record is one that a driver brought about (GUEST_DISTURB_FAULT); every other one
 * tells of an access that should not have been.
 */
bool guest_event_expected(const struct guest *guest, const uint64_t record[4]);

struct guest_interrupts {
	/* raised by the device on the driver's behalf, less those cancelled */
	uint64_t expected;
	uint64_t delivered;	/* arrived on the vector they were raised on */
	uint64_t lost;		/* never arrived */
	uint64_t spurious;	/* arrived, and nothing was raised */
	uint64_t misrouted;	/* arrived on another vector */
	/* never arrived, since the command they belonged to was given up and repeated */
	uint64_t cancelled;
};

/* Waits a moment for late ones, then counts. */
void guest_device_interrupts(struct guest_device *gd, struct guest_interrupts *out);

#endif
