/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an Arm server's ACPI tables say of the way from a PCI device to its SMMU and ITS: the IORT
 * (Arm DEN 0049) and the MADT. They come from firmware, so nothing in them is taken for granted:
 * what is malformed is as if it were not there.
 */
#ifndef CLI_FIRMWARE_H
#define CLI_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <doorbell/sys.h>

#define FIRMWARE_ITSES 64

struct firmware_its {
	uint32_t id;		/* by which the IORT names it */
	uint64_t base;		/* physical; GITS_TRANSLATER is at base + 0x10040 */
};

struct firmware {
	uint8_t *iort;		/* NULL: there is none (a device-tree machine, or no access) */
	size_t iort_size;
	struct firmware_its its[FIRMWARE_ITSES];
	unsigned int n_itses;
};

/* Whatever there is of the host's tables. */
void firmware_read(struct db_sys *sys, struct firmware *fw);

/* The same from tables in memory, which are copied; NULL: none. */
void firmware_parse(struct firmware *fw, const void *iort, size_t iort_size, const void *madt,
		    size_t madt_size);
void firmware_free(struct firmware *fw);

#define FIRMWARE_GROUP 8	/* ITSes of an ITS group that are looked at */

/* What is in front of a PCI function. */
struct firmware_route {
	bool smmu;			/* an SMMUv3 is */
	uint64_t smmu_base;
	uint32_t stream_id;
	bool its;			/* its MSIs go to an ITS */
	uint32_t device_id;
	unsigned int n_itses;
	uint32_t its_ids[FIRMWARE_GROUP];
	/*
	 * of the root complex: coherent (CCA); coherent accesses stay write-back whatever stage 1
	 * says
	 */
	bool coherent, canwbs;
};

/*
 * Of function @requester_id (bus, device, function) of PCI segment @segment. False: the IORT has no
 * word on it.
 */
bool firmware_route(const struct firmware *fw, uint16_t segment, uint16_t requester_id,
		    struct firmware_route *out);

/* The ITS with this id, or NULL. */
const struct firmware_its *firmware_its(const struct firmware *fw, uint32_t id);

#endif
