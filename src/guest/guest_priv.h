/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's own parts. */
#ifndef GUEST_GUEST_PRIV_H
#define GUEST_GUEST_PRIV_H

#include "guest/dma.h"
#include "guest/guest.h"
#include "guest/mem.h"
#include "guest/smmu.h"

#define GUEST_LPI_FIRST 8192u	/* INTIDs of LPIs start here (IHI 0069 §2.2.1) */

/* What a device driver provides. */
struct guest_driver {
	const char *name;
	bool (*match)(uint16_t vendor, uint16_t device, uint32_t class_code);
	unsigned int dma_bits;	/* address bits of the device's DMA; 0: 64 */
	/* Resets and sets up the device; interrupts are on. Undoes what it did on failure. */
	int (*start)(struct guest_device *gd);
	int (*run)(struct guest_device *gd, struct guest_io *io);
	/* The device is quiet when this returns. */
	void (*stop)(struct guest_device *gd);
};

extern const struct guest_driver guest_driver_nvme, guest_driver_bell, guest_driver_edu,
	guest_driver_igb;

struct guest_vector {
	uint64_t raised;	/* by the device, as the driver knows */
	uint64_t arrived;
	uint64_t awaited;	/* guest_irq_wait() ends when arrived reaches this */
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
};

struct guest_lpi {
	struct guest_device *gd;	/* NULL: not in use */
	unsigned int vector;
};

struct guest {
	struct guest_config config;
	struct vmm *vmm;
	struct gmem mem;
	struct guest_smmu smmus[VMM_DEVICES];
	struct guest_device *devices[VMM_DEVICES];
	unsigned int n_devices;
	struct guest_lpi *lpis;	/* INTID - GUEST_LPI_FIRST */
	unsigned int n_lpis;
	uint16_t next_asid;
	uint64_t unknown;	/* interrupts without a translation, or of an LPI nobody uses */
	/*
	 * for an interrupt; shrinks as they fail to come, so that thousands of losses end in time
	 */
	int patience_ms;
	char why[512];
};

int guest_fail(struct guest *guest, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

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

/* --- its.c: EventIDs and LPIs at the device's vITS --- */

int guest_its_alloc(struct guest_device *gd);
void guest_its_free(struct guest_device *gd);

/* --- irq.c: waiting and counting --- */

extern const struct vmm_cpu_ops guest_cpu_ops;	/* ctx is the struct guest */

/* The device is about to raise @vector once more. */
void guest_irq_expect(struct guest_device *gd, unsigned int vector);

/*
 * Waits until it has arrived. -ETIMEDOUT: it has not (the count will tell); the device may be used
 * on.
 */
int guest_irq_wait(struct guest_device *gd, unsigned int vector);

/* Lets @ms pass, interrupts are taken meanwhile. */
void guest_delay(struct guest *guest, int ms);

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
