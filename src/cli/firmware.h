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

struct firmware_tree;

struct firmware_its {
	uint32_t id;		/* by which the IORT names it */
	uint64_t base;		/* physical; GITS_TRANSLATER is at base + 0x10040 */
};

struct firmware {
	uint8_t *iort;		/* NULL: there is none (a device-tree machine, or no access) */
	size_t iort_size;
	struct firmware_its *its;
	unsigned int n_itses;
	struct firmware_tree *tree;	/* of a device-tree machine, else NULL */
};

/* Whatever there is of the host's tables. -ENOMEM; firmware_free() in any case. */
int firmware_read(struct db_sys *sys, struct firmware *fw);

/* The same from tables in memory, which are copied; NULL: none. */
int firmware_parse(struct firmware *fw, const void *iort, size_t iort_size, const void *madt,
		   size_t madt_size);

/*
 * From dumps of a machine that is not at hand, binary as in /sys/firmware/acpi/tables; @madt may be
 * NULL. -errno and a sentence that names the file in @why.
 */
int firmware_load(struct firmware *fw, const char *iort, const char *madt, char *why,
		  size_t why_size);
void firmware_free(struct firmware *fw);

int firmware_add_its(struct firmware *fw, uint32_t id, uint64_t base);

#define FIRMWARE_GROUP 32	/* ITSes of an ITS group that are told one by one */

/* What is in front of a PCI function. */
struct firmware_route {
	bool smmu;			/* an SMMUv3 is */
	uint64_t smmu_base;
	uint32_t stream_id;
	bool its;			/* its MSIs go to an ITS */
	uint32_t device_id;
	unsigned int n_itses;
	uint32_t its_ids[FIRMWARE_GROUP];
	unsigned int more_itses;	/* in the group, and not among these */
	bool single;			/* every requester has these IDs */
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
bool firmware_route(const struct firmware *fw, uint32_t segment, uint16_t requester_id,
		    struct firmware_route *out);

/*
 * The same of requester @first and all to *@last (included), whose IDs are each one more, or with
 * route.single the same.
 */
bool firmware_range(const struct firmware *fw, uint32_t segment, uint16_t first, uint16_t *last,
		    struct firmware_route *out);

/* The segment of the @index-th root complex of the IORT. False: there are no more. */
bool firmware_segment(const struct firmware *fw, unsigned int index, uint32_t *segment);

/* What is in front of a function as seen from the SMMU and from the ITS. */
struct firmware_requester {
	uint16_t dma, msi;	/* requester IDs: its own, or of a bridge that stands in for it */
};

/*
 * PCIe-to-PCI bridges, and conventional ones, take ownership of what devices behind them send, as
 * sysfs and the bridges' config space tell (which root alone can read far enough; otherwise it is
 * the function's own ID). @id: the function's own.
 */
void firmware_aliases(struct db_sys *sys, const char *address, uint16_t id,
		      struct firmware_requester *out);

/*
 * The route of the function @address of this host, from its IORT or device tree; *alias: the
 * requester ID of its DMA where that is not its own, else 0. False: nothing is known.
 */
bool firmware_device(struct db_sys *sys, const struct firmware *fw, const char *address,
		     struct firmware_route *out, uint16_t *alias);

/*
 * "0000:01:00.0" as segment and requester ID. False: it is none.
 */
bool firmware_parse_address(const char *address, uint32_t *segment, uint16_t *requester_id);

/* The ITS with this id, or NULL. */
const struct firmware_its *firmware_its(const struct firmware *fw, uint32_t id);

#endif
