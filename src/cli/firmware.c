/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/firmware.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define TABLES "/sys/firmware/acpi/tables/"
#define TABLE_MAX (1u << 20)

/* ACPI's table header, and in the IORT what follows it (DEN 0049, table 2). */
#define HEADER_LENGTH 4
#define HEADER_SIZE 36
#define IORT_NODE_COUNT 36
#define IORT_NODE_OFFSET 40

/* A node's header (table 3), and data of the kinds that are looked at, from the node's start. */
enum iort_kind {
	IORT_ITS_GROUP = 0,
	IORT_ROOT_COMPLEX = 2,
	IORT_SMMU_V3 = 4,
};
#define NODE_HEADER 16
#define NODE_LENGTH 1
#define NODE_MAPPING_COUNT 8
#define NODE_MAPPING_OFFSET 12
#define ITS_GROUP_COUNT 16
#define ITS_GROUP_IDS 20
#define RC_COHERENCY 16
#define RC_MEMORY_FLAGS 23
#define RC_MEMORY_CANWBS (1u << 2)
#define RC_SEGMENT 28
#define SMMU_V3_BASE 16

/* An ID mapping (table 4). */
#define MAPPING_SIZE 20
#define MAPPING_COUNT 4		/* of IDs, minus 1 */
#define MAPPING_OUTPUT 8
#define MAPPING_REFERENCE 12
#define MAPPING_FLAGS 16
#define MAPPING_SINGLE (1u << 0)	/* not of an ID that comes in, but of the node itself */

/* MADT (ACPI 6.5, §5.2.12): entries after 8 more bytes; the GIC ITS structure. */
#define MADT_ENTRIES 44
#define MADT_GIC_ITS 0x0f
#define MADT_GIC_ITS_SIZE 20

static uint32_t le(const uint8_t *at, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

static uint64_t le64(const uint8_t *at)
{
	return le(at, 4) | (uint64_t)le(at + 4, 4) << 32;
}

/* --- Reading --- */

static uint8_t *read_table(struct db_sys *sys, const char *path, size_t *size)
{
	uint8_t *table = malloc(TABLE_MAX);
	ssize_t n = 0;
	size_t at;
	int fd;

	*size = 0;
	fd = table ? sys->ops->open(sys, path, O_RDONLY) : -1;
	for (at = 0; fd >= 0 && at < TABLE_MAX; at += n) {
		n = sys->ops->read(sys, fd, table + at, TABLE_MAX - at);
		if (n <= 0)
			break;
	}
	if (fd >= 0)
		sys->ops->close(sys, fd);
	if (fd < 0 || n) {	/* not there, unreadable, or larger than any */
		free(table);
		return NULL;
	}
	*size = at;
	return table;
}

static bool is_table(const uint8_t *table, size_t size, const char *signature)
{
	return table && size >= HEADER_SIZE && !memcmp(table, signature, 4) &&
	       le(table + HEADER_LENGTH, 4) == size;
}

static void parse_madt(struct firmware *fw, const uint8_t *madt, size_t size)
{
	size_t at, len;

	if (!is_table(madt, size, "APIC"))
		return;
	for (at = MADT_ENTRIES; at + 2 <= size; at += len) {
		len = madt[at + 1];
		if (len < 2 || len > size - at)
			return;
		if (madt[at] == MADT_GIC_ITS && len >= MADT_GIC_ITS_SIZE &&
		    fw->n_itses < FIRMWARE_ITSES)
			fw->its[fw->n_itses++] = (struct firmware_its){
				.id = le(madt + at + 4, 4),
				.base = le64(madt + at + 8),
			};
	}
}

void firmware_parse(struct firmware *fw, const void *iort, size_t iort_size, const void *madt,
		    size_t madt_size)
{
	*fw = (struct firmware){ 0 };
	parse_madt(fw, madt, madt_size);
	if (!is_table(iort, iort_size, "IORT"))
		return;
	fw->iort = malloc(iort_size);
	if (!fw->iort)
		return;
	memcpy(fw->iort, iort, iort_size);
	fw->iort_size = iort_size;
}

void firmware_read(struct db_sys *sys, struct firmware *fw)
{
	size_t iort_size, madt_size;
	uint8_t *iort = read_table(sys, TABLES "IORT", &iort_size);
	uint8_t *madt = read_table(sys, TABLES "APIC", &madt_size);

	firmware_parse(fw, iort, iort_size, madt, madt_size);
	free(iort);
	free(madt);
}

void firmware_free(struct firmware *fw)
{
	free(fw->iort);
	fw->iort = NULL;
}

const struct firmware_its *firmware_its(const struct firmware *fw, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < fw->n_itses; i++)
		if (fw->its[i].id == id)
			return &fw->its[i];
	return NULL;
}

/* --- The IORT --- */

/* The node at @offset, if all of it is in the table; its length in *len. */
static const uint8_t *node_at(const struct firmware *fw, size_t offset, size_t *len)
{
	const uint8_t *node;

	if (offset < HEADER_SIZE || offset > fw->iort_size ||
	    fw->iort_size - offset < NODE_HEADER)
		return NULL;
	node = fw->iort + offset;
	*len = le(node + NODE_LENGTH, 2);
	return *len >= NODE_HEADER && *len <= fw->iort_size - offset ? node : NULL;
}

/*
 * Where @node sends @id: the output ID in *id, and the offset of the node it goes to; 0: nowhere.
 */
static size_t map_id(const uint8_t *node, size_t len, uint32_t *id)
{
	size_t count = le(node + NODE_MAPPING_COUNT, 4), at = le(node + NODE_MAPPING_OFFSET, 4);

	for (; count && at <= len && len - at >= MAPPING_SIZE; count--, at += MAPPING_SIZE) {
		const uint8_t *mapping = node + at;
		uint32_t first = le(mapping, 4);

		if (le(mapping + MAPPING_FLAGS, 4) & MAPPING_SINGLE || *id < first ||
		    *id - first > le(mapping + MAPPING_COUNT, 4))
			continue;
		*id = *id - first + le(mapping + MAPPING_OUTPUT, 4);
		return le(mapping + MAPPING_REFERENCE, 4);
	}
	return 0;
}

static const uint8_t *find_root_complex(const struct firmware *fw, uint16_t segment, size_t *len)
{
	uint32_t count;
	const uint8_t *node;
	size_t at;

	if (fw->iort_size < IORT_NODE_OFFSET + 4)
		return NULL;
	count = le(fw->iort + IORT_NODE_COUNT, 4);
	for (at = le(fw->iort + IORT_NODE_OFFSET, 4); count; count--, at += *len) {
		node = node_at(fw, at, len);
		if (!node)
			return NULL;
		if (node[0] == IORT_ROOT_COMPLEX && *len >= RC_SEGMENT + 4 &&
		    le(node + RC_SEGMENT, 4) == segment)
			return node;
	}
	return NULL;
}

static void take_its_group(struct firmware_route *out, const uint8_t *node, size_t len, uint32_t id)
{
	uint32_t n = len >= ITS_GROUP_IDS ? le(node + ITS_GROUP_COUNT, 4) : 0;

	out->its = true;
	out->device_id = id;
	for (; out->n_itses < n && out->n_itses < FIRMWARE_GROUP &&
	       ITS_GROUP_IDS + 4 * (out->n_itses + 1) <= len;
	     out->n_itses++)
		out->its_ids[out->n_itses] = le(node + ITS_GROUP_IDS + 4 * out->n_itses, 4);
}

bool firmware_route(const struct firmware *fw, uint16_t segment, uint16_t requester_id,
		    struct firmware_route *out)
{
	size_t len, at;
	const uint8_t *node = fw->iort ? find_root_complex(fw, segment, &len) : NULL;
	uint32_t id = requester_id;

	*out = (struct firmware_route){ 0 };
	if (!node)
		return false;
	out->coherent = le(node + RC_COHERENCY, 4) == 1;
	out->canwbs = node[RC_MEMORY_FLAGS] & RC_MEMORY_CANWBS;
	/* From the root complex to an SMMU and on to an ITS group, or to the latter at once. */
	while ((at = map_id(node, len, &id)) && (node = node_at(fw, at, &len))) {
		if (node[0] == IORT_ITS_GROUP) {
			take_its_group(out, node, len, id);
			break;
		}
		if (node[0] != IORT_SMMU_V3 || len < SMMU_V3_BASE + 8 || out->smmu)
			break;
		out->smmu = true;
		out->smmu_base = le64(node + SMMU_V3_BASE);
		out->stream_id = id;
	}
	return true;
}
