/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMM's own parts. */
#ifndef GUEST_VMM_PRIV_H
#define GUEST_VMM_PRIV_H

#include "guest/vmm.h"

#define VMM_MSI_VECTORS 2048

struct vmm_vector {
	int eventfd;			/* -1: never connected */
	uint32_t event;			/* the guest's data: EventID at its vITS */
};

struct vmm_device {
	struct vmm *vmm;
	unsigned int index;
	struct db_device *db;
	struct vmm_device_info info;
	struct db_msi *msi;
	struct db_vpci *vpci;
	struct vmm_vector *vectors;	/* info.vectors of them */
	/* the vITS's translations: VMM_ITS_EVENTS, by EventID; 0: none */
	uint32_t *lpis;
};

struct vmm_smmu {
	struct vmm *vmm;
	struct db_vsmmu *vsmmu;
	bool event_pending;		/* the interrupt of its event queue */
};

struct vmm_vits {
	uint64_t doorbell_id;		/* of the devices behind it; 0: any */
	uint64_t base, size;
};

struct vmm {
	struct vmm_config config;
	struct db_host *host;
	struct db_space *space;
	enum db_mode mode;
	uint64_t ram_base;
	void *ram;			/* aligned to VMM_RAM_ALIGN */
	void *ram_raw;			/* as mmap gave it */
	bool ram_mapped;
	struct vmm_device *devices[VMM_DEVICES];
	unsigned int n_devices;
	struct vmm_smmu smmus[VMM_DEVICES];
	unsigned int n_smmus;
	struct vmm_vits vitses[VMM_DEVICES];
	unsigned int n_vitses;
	int epoll;
	const struct vmm_cpu_ops *cpu;
	void *cpu_ctx;
	uint64_t (*events)[4];		/* VMM_EVENTS */
	unsigned int n_events;
	uint64_t events_lost;
	int trap_error;
	char why[512];			/* "": the library's sentence holds */
};

#define VMM_RAM_ALIGN (2ull << 20)

/* Leaves @why for vmm_why() and returns @err. */
int vmm_fail(struct vmm *vmm, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * A call of the library failed: its sentence is the reason, after @doing unless it has that in it.
 * Returns @err.
 */
int vmm_fail_lib(struct vmm *vmm, int err, const char *doing);

/*
 * vmm_layout.c: where vITSes and RAM go; fills vmm->vitses, ram_base and the devices' vits and
 * doorbell_ipa.
 */
int vmm_layout(struct vmm *vmm);

/* vmm_trap.c: the function as the guest sees it. */
int vmm_trap_init(struct vmm_device *dev);
void vmm_trap_fini(struct vmm_device *dev);

/*
 * vmm_smmu.c: puts @dev behind the virtual SMMU that stands for its physical one, a new one when it
 * is the first there; takes the events of SMMU @smmu and interrupts the guest. How many, or -errno.
 */
int vmm_smmu_add(struct vmm *vmm, struct vmm_device *dev);
int vmm_smmu_deliver(struct vmm *vmm, unsigned int smmu);

/* vmm_irq.c: epoll over what the host signals. */
int vmm_irq_init(struct vmm *vmm);
void vmm_irq_fini(struct vmm *vmm);
int vmm_irq_add_smmu(struct vmm *vmm, unsigned int smmu);
int vmm_irq_connect(void *ctx, unsigned int index, const struct db_msi_route *route);
void vmm_irq_close(struct vmm_device *dev);

#endif
