/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/file.h"
#include "cli/firmware_tree.h"

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
	IORT_SMMU = 3,		/* versions 1 and 2 */
	IORT_SMMU_V3 = 4,
};
#define IORT_HOPS 8		/* from node to node: more are a circle */
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
/*
 * Of a root complex: whatever comes in has this one output. Of an SMMU it is the output of its own
 * MSIs, and of no ID that comes in.
 */
#define MAPPING_SINGLE (1u << 0)

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

/*
 * How long the table itself is; a dump may have more after it. 0: it is none, or part of it is
 * missing.
 */
static size_t table_length(const uint8_t *table, size_t size, const char *signature)
{
	size_t length;

	if (!table || size < HEADER_SIZE || memcmp(table, signature, 4))
		return 0;
	length = le(table + HEADER_LENGTH, 4);
	return length >= HEADER_SIZE && length <= size ? length : 0;
}

int firmware_add_its(struct firmware *fw, uint32_t id, uint64_t base)
{
	struct firmware_its *grown = realloc(fw->its, (fw->n_itses + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	fw->its = grown;
	fw->its[fw->n_itses++] = (struct firmware_its){ id, base };
	return 0;
}

static int parse_madt(struct firmware *fw, const uint8_t *madt, size_t size)
{
	size_t at, len;
	int err = 0;

	for (at = MADT_ENTRIES; !err && at + 2 <= size; at += len) {
		len = madt[at + 1];
		if (len < 2 || len > size - at)
			break;
		if (madt[at] == MADT_GIC_ITS && len >= MADT_GIC_ITS_SIZE)
			err = firmware_add_its(fw, le(madt + at + 4, 4), le64(madt + at + 8));
	}
	return err;
}

int firmware_parse(struct firmware *fw, const void *iort, size_t iort_size, const void *madt,
		   size_t madt_size)
{
	int err;

	*fw = (struct firmware){ 0 };
	err = parse_madt(fw, madt, table_length(madt, madt_size, "APIC"));
	iort_size = table_length(iort, iort_size, "IORT");
	if (err || !iort_size)
		return err;
	fw->iort = malloc(iort_size);
	if (!fw->iort)
		return -ENOMEM;
	memcpy(fw->iort, iort, iort_size);
	fw->iort_size = iort_size;
	return 0;
}

int firmware_read(struct db_sys *sys, struct firmware *fw)
{
	size_t iort_size, madt_size;
	uint8_t *iort = read_table(sys, TABLES "IORT", &iort_size);
	uint8_t *madt = read_table(sys, TABLES "APIC", &madt_size);
	int err = firmware_parse(fw, iort, iort_size, madt, madt_size);

	free(iort);
	free(madt);
	return err || fw->iort ? err : firmware_tree_read(sys, fw);
}

/* A dump that somebody gave us; not being one is an error here. */
static int read_dump(const char *path, const char *signature, uint8_t **table, size_t *size,
		     char *why, size_t why_size)
{
	int err = cli_read_file(path, TABLE_MAX, (char **)table, size);

	if (err)
		return cli_file_error(err, path, why, why_size);
	if (table_length(*table, *size, signature))
		return 0;
	snprintf(why, why_size,
		 "%s: not a whole %s table in binary form, as /sys/firmware/acpi/tables/%s has it",
		 path, signature, signature);
	free(*table);
	*table = NULL;
	return -EINVAL;
}

int firmware_load(struct firmware *fw, const char *iort_path, const char *madt_path, char *why,
		  size_t why_size)
{
	uint8_t *iort = NULL, *madt = NULL;
	size_t iort_size = 0, madt_size = 0;
	int err;

	err = read_dump(iort_path, "IORT", &iort, &iort_size, why, why_size);
	if (!err && madt_path)
		err = read_dump(madt_path, "APIC", &madt, &madt_size, why, why_size);
	if (!err) {
		err = firmware_parse(fw, iort, iort_size, madt, madt_size);
		if (err)
			snprintf(why, why_size, "out of memory");
	}
	free(iort);
	free(madt);
	return err;
}

void firmware_free(struct firmware *fw)
{
	free(fw->iort);
	free(fw->its);
	firmware_tree_free(fw->tree);
	*fw = (struct firmware){ 0 };
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

/* A walk with one ID; what is found holds for @alike IDs more, each mapped one further. */
struct walk {
	uint32_t id, alike;
	bool single;		/* the output is the same whatever the ID */
};

/* IDs from @limit on are mapped otherwise. */
static void limit_alike(struct walk *w, uint64_t limit)
{
	if (!w->single && limit > w->id && limit - w->id - 1 < w->alike)
		w->alike = limit - w->id - 1;
}

/*
 * Where @node sends the walk's ID: the offset of the node it goes to; 0: nowhere. Counts are of IDs
 * minus 1, but firmware wrote the number itself often enough that the last ID of a range is taken
 * only when no other range starts there. Linux does the same (drivers/acpi/arm64/iort.c).
 */
static size_t map_id(const uint8_t *node, size_t len, struct walk *w)
{
	size_t count = le(node + NODE_MAPPING_COUNT, 4), at = le(node + NODE_MAPPING_OFFSET, 4);
	size_t target = 0, i;
	uint32_t out = 0;

	for (i = 0; count && at <= len && len - at >= MAPPING_SIZE;
	     count--, at += MAPPING_SIZE, i++) {
		const uint8_t *mapping = node + at;
		uint32_t first = le(mapping, 4), last = le(mapping + MAPPING_COUNT, 4);
		uint32_t base = le(mapping + MAPPING_OUTPUT, 4);

		if (!i && !le(mapping + MAPPING_REFERENCE, 4))
			return 0;	/* Linux takes none of them then */
		if (le(mapping + MAPPING_FLAGS, 4) & MAPPING_SINGLE) {
			if (node[0] != IORT_ROOT_COMPLEX)
				continue;
			w->id = base;
			w->single = true;
			return le(mapping + MAPPING_REFERENCE, 4);
		}
		limit_alike(w, first);
		limit_alike(w, (uint64_t)first + last);
		limit_alike(w, (uint64_t)first + last + 1);
		if (w->id < first || w->id - first > last || (target && w->id != first))
			continue;
		target = le(mapping + MAPPING_REFERENCE, 4);
		out = base + (w->id - first);
		if (!last || w->id - first != last)
			break;
	}
	/* What comes after the break may start within the range, but does not count there. */
	if (target) {
		w->id = out;
		limit_alike(w, 1ull << 32);	/* from 0 on again */
	}
	return target;
}

static const uint8_t *find_root_complex(const struct firmware *fw, uint32_t segment, size_t *len)
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
	if (!n)
		return;
	if (n > (len - ITS_GROUP_IDS) / 4)
		n = (len - ITS_GROUP_IDS) / 4;
	for (; out->n_itses < n && out->n_itses < FIRMWARE_GROUP; out->n_itses++)
		out->its_ids[out->n_itses] = le(node + ITS_GROUP_IDS + 4 * out->n_itses, 4);
	out->more_itses = n - out->n_itses;
}

static void take_smmu(struct firmware_route *out, const uint8_t *node, size_t len, uint32_t id)
{
	if (node[0] != IORT_SMMU_V3 || len < SMMU_V3_BASE + 8)
		return;
	out->smmu = true;
	out->smmu_base = le64(node + SMMU_V3_BASE);
	out->stream_id = id;
}

/*
 * From the root complex to an SMMU, whatever else is on the way, and to an ITS group. The first
 * SMMU is the one that translates.
 */
static void follow(const struct firmware *fw, const uint8_t *node, size_t len, struct walk *w,
		   struct firmware_route *out)
{
	unsigned int hops;
	bool smmu = false;
	size_t at;

	for (hops = 0; hops < IORT_HOPS && (at = map_id(node, len, w)); hops++) {
		node = node_at(fw, at, &len);
		if (!node)
			return;
		if (node[0] == IORT_ITS_GROUP) {
			take_its_group(out, node, len, w->id);
			return;
		}
		if (!smmu && (node[0] == IORT_SMMU || node[0] == IORT_SMMU_V3))
			take_smmu(out, node, len, w->id);
		smmu |= node[0] == IORT_SMMU || node[0] == IORT_SMMU_V3;
	}
}

static uint32_t route_alike(const struct firmware *fw, uint32_t segment, uint16_t requester_id,
			    struct firmware_route *out)
{
	size_t len;
	const uint8_t *node = fw->iort ? find_root_complex(fw, segment, &len) : NULL;
	struct walk w = { .id = requester_id, .alike = UINT16_MAX - requester_id };

	*out = (struct firmware_route){ 0 };
	if (!node)
		return UINT32_MAX;
	out->coherent = le(node + RC_COHERENCY, 4) == 1;
	out->canwbs = node[RC_MEMORY_FLAGS] & RC_MEMORY_CANWBS;
	follow(fw, node, len, &w, out);
	out->single = w.single;
	return w.alike;
}

bool firmware_route(const struct firmware *fw, uint32_t segment, uint16_t requester_id,
		    struct firmware_route *out)
{
	return route_alike(fw, segment, requester_id, out) != UINT32_MAX;
}

bool firmware_range(const struct firmware *fw, uint32_t segment, uint16_t first, uint16_t *last,
		    struct firmware_route *out)
{
	uint32_t alike = route_alike(fw, segment, first, out);

	*last = first + (alike == UINT32_MAX ? 0 : alike);
	return alike != UINT32_MAX;
}

bool firmware_segment(const struct firmware *fw, unsigned int index, uint32_t *segment)
{
	uint32_t count;
	const uint8_t *node;
	size_t at, len;

	if (!fw->iort || fw->iort_size < IORT_NODE_OFFSET + 4)
		return false;
	count = le(fw->iort + IORT_NODE_COUNT, 4);
	for (at = le(fw->iort + IORT_NODE_OFFSET, 4); count; count--, at += len) {
		node = node_at(fw, at, &len);
		if (!node)
			return false;
		if (node[0] != IORT_ROOT_COMPLEX || len < RC_SEGMENT + 4 || index--)
			continue;
		*segment = le(node + RC_SEGMENT, 4);
		return true;
	}
	return false;
}

bool firmware_parse_address(const char *address, uint32_t *segment, uint16_t *requester_id)
{
	unsigned int bus, device, function;
	int end = 0;

	if (strspn(address, "0123456789abcdefABCDEF:.") != strlen(address) ||
	    sscanf(address, "%8x:%2x:%2x.%1x%n", segment, &bus, &device, &function, &end) != 4 ||
	    address[end] || device > 31 || function > 7)
		return false;
	*requester_id = bus << 8 | device << 3 | function;
	return true;
}
