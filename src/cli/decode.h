/* SPDX-License-Identifier: BSD-2-Clause */
/* SMMUv3 structures in words: event records, STEs, CDs, table descriptors, ID registers. */
#ifndef CLI_DECODE_H
#define CLI_DECODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <doorbell/host.h>

/* An event record (§7.3). */
json_t *decode_event_json(const uint64_t record[4]);

/* A field or property of a structure. */
struct decode_field {
	const char *name;
	char value[48];
};

#define DECODE_FIELDS 40

struct decode_fields {
	struct decode_field field[DECODE_FIELDS];
	unsigned int n;
};

/* The event's fields that its type has. */
void decode_event(const uint64_t record[4], struct decode_fields *out);
void decode_ste(const uint64_t ste[8], struct decode_fields *out);
void decode_cd(const uint64_t cd[8], struct decode_fields *out);

/* A translation table descriptor at @level of stage 1 or 2, tables of 2^@granule_shift. */
void decode_descriptor(unsigned int stage, unsigned int level, unsigned int granule_shift,
		       uint64_t desc, struct decode_fields *out);

/* What the SMMU is and can do, from its ID registers (§6.3). */
void decode_idr(const struct db_smmu_info *smmu, struct decode_fields *out);

/* "NAME value, NAME value" into @buf, which is returned. */
const char *decode_join(const struct decode_fields *fields, char *buf, size_t size);

#endif
