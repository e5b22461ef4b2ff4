/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's own parts. */
#ifndef GUEST_GUEST_PRIV_H
#define GUEST_GUEST_PRIV_H

#include "guest/base.h"
#include "guest/disturb.h"
#include "guest/dma.h"
#include "guest/smmu.h"

#define GUEST_LPI_FIRST 8192u	/* INTIDs of LPIs start here (IHI 0069 §2.2.1) */

/* What a device driver provides. */
struct guest_driver {
	const char *name;
	bool (*match)(uint16_t vendor, uint16_t device, uint32_t class_code);
	unsigned int dma_bits;	/* address bits of the device's DMA; 0: 64 */
	/* Resets and sets up the device; interrupts are on. Undoes what it did on failure. */
	int (*start)(struct guest_device *gd);
	/* As guest_device_begin() and so on, with gd->io; begin and end may be NULL. */
	int (*begin)(struct guest_device *gd);
	int (*step)(struct guest_device *gd);
	void (*end)(struct guest_device *gd);	/* nothing is in flight when this returns */
	/*
	 * The device was reset, or its DMA was aborted: brings it back to work. What was in flight
	 * is repeated, with guest_irq_cancel() in between.
	 */
	int (*restart)(struct guest_device *gd);
	/*
	 * kick: the device does DMA, if it can without disturbing what is in flight, and raises
	 * vector 0, which the caller accounts for. kicked: takes its completion.
	 */
	void (*kick)(struct guest_device *gd);
	int (*kicked)(struct guest_device *gd);
	/* Has the device write to @giova, which is not mapped. NULL: it cannot. */
	int (*fault)(struct guest_device *gd, uint64_t giova);
	/* The device is quiet when this returns. */
	void (*stop)(struct guest_device *gd);
	/*
	 * Of a driver that does one job after the other, each with its interrupts, by
	 * guest_jobs_step(): how many; the device starts @job; its result is taken.
	 */
	unsigned int (*jobs)(const struct guest_device *gd);
	void (*job_start)(struct guest_device *gd, unsigned int job);
	int (*job_finish)(struct guest_device *gd, unsigned int job);
};

extern const struct guest_driver guest_driver_nvme, guest_driver_bell, guest_driver_edu,
	guest_driver_igb;

struct guest_vector {
	uint64_t raised;	/* by the device, as the driver knows */
	uint64_t arrived;
	uint64_t awaited;	/* guest_irq_wait() ends when arrived reaches this */
	uint64_t maybe;		/* raised while it could not be known whether they would arrive */
	uint64_t cancelled;
	bool in_flight;		/* expected, and not waited for yet */
	bool masked;		/* until somebody waits for it */
};

struct guest_device {
	struct guest *guest;
	struct guest_device_info info;
	const struct guest_driver *driver;
	void *priv;		/* the driver's */
	struct dma_domain domain;
	bool domain_ready, attached, msi_mapped, irqs_on;
	bool msix;
	unsigned int cap;	/* of MSI-X or MSI */
	unsigned int table_bar;
	uint64_t table_off;
	uint32_t first_lpi;
	struct guest_vector *vectors;
	struct guest_io *io;
	unsigned int job;		/* the next one */
	bool job_in_flight;		/* the one before it */
	uint64_t void_giova;		/* a granule that is never mapped; 0: none yet */
	uint64_t faults;		/* event records of accesses to it */
	uint64_t disturbed[GUEST_DISTURB_COUNT];
};

struct guest_lpi {
	struct guest_device *gd;	/* NULL: not in use */
	unsigned int vector;
};

struct guest {
	struct guest_base base;
	struct guest_smmu smmus[VMM_DEVICES];
	struct guest_device *devices[VMM_DEVICES];
	unsigned int n_devices;
	struct guest_lpi *lpis;	/* INTID - GUEST_LPI_FIRST */
	unsigned int n_lpis;
	uint64_t unknown;	/* interrupts without a translation, or of an LPI nobody uses */
	/*
	 * for an interrupt; shrinks as they fail to come, so that thousands of losses end in time
	 */
	int patience_ms;
};

/* --- pci.c: the function's config space and its messages --- */

unsigned int guest_pci_capability(struct vmm_device *dev, uint8_t id);

/*
 * Finds the interrupt capability (MSI-X before MSI); sets info.vectors to what of @wanted (0: all)
 * the device can do.
 */
int guest_pci_probe(struct guest_device *gd, unsigned int wanted);
void guest_pci_enable(struct guest_device *gd);	/* memory and bus mastering on */
void guest_pci_disable(struct guest_device *gd);

/*
 * Programs messages (info.giova, data first_event + i) and unmasks, in the order in which Linux
 * does it; and the reverse.
 */
int guest_pci_irqs_on(struct guest_device *gd);
void guest_pci_irqs_off(struct guest_device *gd);

/* Masks or unmasks one vector. -EOPNOTSUPP: MSI without mask bits. */
int guest_pci_mask(struct guest_device *gd, unsigned int vector, bool masked);
void guest_pci_mask_function(struct guest_device *gd, bool masked);	/* MSI-X only */

/*
 * Gives an armed vector (MSI: all of them) another address. Messages sent to the one before have
 * arrived when it returns.
 */
int guest_pci_readdress(struct guest_device *gd, unsigned int vector, uint64_t giova);

/* --- its.c: EventIDs and LPIs at the device's vITS --- */

int guest_its_alloc(struct guest_device *gd);
void guest_its_free(struct guest_device *gd);

/* --- irq.c: waiting and counting --- */

extern const struct vmm_cpu_ops guest_cpu_ops;	/* ctx is the struct guest */

/* The device is about to raise @vector once more. */
void guest_irq_expect(struct guest_device *gd, unsigned int vector);

/* It raises @vector, but the interrupt may get lost on its way: guest_irq_cancel() will see. */
void guest_irq_maybe(struct guest_device *gd, unsigned int vector);

/*
 * Waits until it has arrived; a masked vector is unmasked first. -ETIMEDOUT: it has not (the count
 * will tell); the device may be used on.
 */
int guest_irq_wait(struct guest_device *gd, unsigned int vector);

/*
 * The device has stopped in the middle of its work and raises nothing more: of what is in flight
 * some has arrived, and the rest will not.
 */
void guest_irq_cancel(struct guest_device *gd);

/* Lets @ms pass, interrupts are taken meanwhile. */
void guest_delay(struct guest *guest, int ms);

/* --- jobs.c: step, and its part of restart, for drivers that do one job after the other --- */

int guest_jobs_step(struct guest_device *gd);
void guest_jobs_end(struct guest_device *gd);
void guest_jobs_repeat(struct guest_device *gd);

/* Driver register access. */
static inline uint32_t guest_read32(struct guest_device *gd, uint64_t offset)
{
	return vmm_bar_read(gd->info.vmm, 0, offset, 4);
}

static inline void guest_write32(struct guest_device *gd, uint64_t offset, uint32_t value)
{
	vmm_bar_write(gd->info.vmm, 0, offset, 4, value);
}

static inline void guest_write64(struct guest_device *gd, uint64_t offset, uint64_t value)
{
	guest_write32(gd, offset, value);
	guest_write32(gd, offset + 4, value >> 32);
}

#endif
