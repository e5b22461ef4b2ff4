/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine description: a small text file, parsed into this struct and nothing else. Format:
 * docs/machine-file.md.
 */
#ifndef SOFT_MACHINE_H
#define SOFT_MACHINE_H

#include "soft/endpoints/bell.h"
#include "soft/endpoints/nvme.h"

#define MACHINE_SMMUS 16
#define MACHINE_ITSES 16
#define MACHINE_DEVICES 4096
#define MACHINE_RESERVED 64

enum machine_kernel {
	KERNEL_STOCK,		/* mainline 7.3's ABI */
	KERNEL_DOORBELL,	/* with abi/native.h */
};

struct machine_smmu {
	uint32_t idr[6];
	/* S2FWB or CANWBS: without it VIOMMU_ALLOC is refused, as in the arm-smmu-v3 driver */
	bool nesting_coherent;
	unsigned int sid_bits;
};

struct machine_device {
	char address[16];
	uint16_t requester_id;
	unsigned int smmu, its;		/* indices */
	uint32_t sid, device_id;	/* default: requester ID, the segment above it */
	unsigned int group;		/* IOMMU group number */
	enum { MACHINE_BELL, MACHINE_NVME } kind;
	struct bell_config bell;
	struct nvme_config nvme;	/* the path in it is the machine's */
	bool msix_mappable, msix_noresize, resettable;
	bool bound; /* bound to another driver at start ("in use") instead of vfio-pci */
};

/* A reserved region that firmware or hardware adds to a group (sysfs "direct" / "reserved"). */
struct machine_reserved {
	unsigned int group;
	uint64_t start, last;
	char type[20];
};

struct machine {
	enum machine_kernel kernel;
	unsigned int page_shift;	/* host page size: 12, 14, 16 */
	uint64_t ram;			/* bytes that may be pinned and used for tables in all */
	unsigned int processors;
	unsigned int lpi_bits;		/* width of interrupt IDs: 2^lpi_bits - 8192 LPIs */
	uint64_t sw_msi_start, sw_msi_size;	/* 0x8000000, 1 MiB; size 0: none */
	unsigned int n_smmus, n_itses, n_devices, n_reserved;
	struct machine_smmu smmus[MACHINE_SMMUS];
	struct msi_frame_config itses[MACHINE_ITSES];
	struct machine_device *devices;
	struct machine_reserved *reserved;
};

/*
 * Parses @text, or the built-in default when NULL. -EINVAL with a message "line N: ..." in @why
 * (@size bytes), -ENOMEM; then there is nothing to free.
 */
int machine_parse(const char *text, size_t len, struct machine *out, char *why, size_t size);
void machine_free(struct machine *m);

/*
 * Relative names of disks are those of files in @directory from now on. -ENOMEM; then some are still
 * as they were.
 */
int machine_resolve(struct machine *m, const char *directory);

#endif
