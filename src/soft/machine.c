/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soft/alloc.h"
#include "soft/machine_parser.h"

/*
 * SMMU_IDR fields that a file may change (IHI 0070 §6.3). The default is what a server has:
 * two-level stream tables, 16-bit StreamIDs and SubstreamIDs, range invalidation, all granules;
 * 48-bit output, since the machine's PAs are addresses of this process.
 */
#define IDR0_STAGES 0x00000003u
#define IDR0_S2P (1u << 0)
#define IDR0_S1P (1u << 1)
#define IDR0_ST_LEVEL (3u << 27)
#define IDR1_SSIDSIZE (0x1fu << 6)
#define IDR3_RIL (1u << 10)
#define IDR5_OAS 7u
#define IDR5_GRANULES (7u << 4)

static const struct machine_smmu default_smmu = {
	.idr = { 0x0d4c101b, 0x02730410, 0, 0x00001414, 0, 0x00000075 },
	.nesting_coherent = true,
	.sid_bits = 16,
};

static const struct msi_frame_config default_its = {
	.kind = DOORBELL_ITS, .base = 0x08080000, .device_bits = 16, .event_bits = 16,
};

static const char default_devices[] =
	"device 0000:01:00.0 nvme\n"
	"device 0000:02:00.0 bell\n"
	"device 0000:03:00.0 bell msi=32\n";

#define DEFAULT_IO_QUEUES 64
#define DEFAULT_DISK (16ull << 20)

#define OPTIONS_MAX 32		/* of a statement; there are fewer */

/* --- Options --- */

static int bad_value(struct machine_parser *p, const struct word *word, const char *want)
{
	return lex_error(&p->lex, 0, "%.*s must be %s, not \"%.*s\"", SLICE_ARG(word->key), want,
			 SLICE_ARG(word->value));
}

static int number(struct machine_parser *p, const struct word *word, uint64_t min, uint64_t max,
		  uint64_t *out)
{
	if (!slice_number(word->value, false, min, max, out))
		return 0;
	return lex_error(&p->lex, 0, "%.*s must be a number from %llu to %llu, not \"%.*s\"",
			 SLICE_ARG(word->key), (unsigned long long)min, (unsigned long long)max,
			 SLICE_ARG(word->value));
}

static int number_u32(struct machine_parser *p, const struct word *word, uint32_t min, uint32_t max,
		      uint32_t *out)
{
	uint64_t value;
	int ret = number(p, word, min, max, &value);

	if (!ret)
		*out = (uint32_t)value;
	return ret;
}

static int unknown_option(struct machine_parser *p, const struct word *word, const char *statement)
{
	return lex_error(&p->lex, 0, "%s: unknown option \"%.*s\"", statement,
			 SLICE_ARG(word->key));
}

/* The one argument of a statement such as "kernel". */
static int argument(struct machine_parser *p, const char *statement, struct word *word)
{
	int ret = lex_word(&p->lex, word);

	if (ret < 0)
		return ret;
	if (!ret || word->has_value)
		return lex_error(&p->lex, 0, "%s: an argument is missing", statement);
	word->value = word->key;
	word->key = (struct slice){ statement, strlen(statement) };
	return 0;
}

/* Runs @option for each further word of the line. */
static int options(struct machine_parser *p,
		   int (*option)(struct machine_parser *p, const struct word *word, void *arg), void *arg)
{
	struct slice said[OPTIONS_MAX];
	unsigned int n = 0, i;
	struct word word;
	int ret;

	while ((ret = lex_word(&p->lex, &word)) > 0) {
		for (i = 0; i < n; i++)
			if (said[i].len == word.key.len &&
			    !memcmp(said[i].p, word.key.p, word.key.len))
				return lex_error(&p->lex, 0, "%.*s is given twice",
						 SLICE_ARG(word.key));
		if (n == OPTIONS_MAX)
			return lex_error(&p->lex, 0, "more than %u options", OPTIONS_MAX);
		said[n++] = word.key;
		ret = option(p, &word, arg);
		if (ret)
			return ret;
	}
	return ret;
}

/* --- smmu --- */

static int granules(struct machine_parser *p, const struct word *word, uint32_t *idr5)
{
	static const char *const names[] = { "4k", "16k", "64k" };
	struct slice rest = word->value, name;
	unsigned int i;

	*idr5 &= ~IDR5_GRANULES;
	while (rest.len) {
		if (!slice_split(rest, ",", &name, &rest)) {
			name = rest;
			rest.len = 0;
		}
		for (i = 0; i < 3 && !slice_is(name, names[i]); i++)
			;
		if (i == 3)
			return bad_value(p, word, "a list of 4k, 16k and 64k");
		*idr5 |= 1u << (4 + i);
	}
	return *idr5 & IDR5_GRANULES ? 0 : bad_value(p, word, "a list of 4k, 16k and 64k");
}

static int output_bits(struct machine_parser *p, const struct word *word, uint32_t *idr5)
{
	static const unsigned int sizes[] = { 32, 36, 40, 42, 44, 48 };
	uint64_t bits;

	if (!slice_number(word->value, false, 32, 48, &bits)) {
		for (uint32_t i = 0; i < 6; i++) {
			if (sizes[i] == bits) {
				*idr5 = (*idr5 & ~IDR5_OAS) | i;
				return 0;
			}
		}
	}
	return bad_value(p, word, "32, 36, 40, 42, 44 or 48");
}

static int stages(struct machine_parser *p, const struct word *word, uint32_t *idr0)
{
	*idr0 &= ~IDR0_STAGES;
	if (slice_is(word->value, "1"))
		*idr0 |= IDR0_S1P;
	else if (slice_is(word->value, "2"))
		*idr0 |= IDR0_S2P;
	else if (slice_is(word->value, "both"))
		*idr0 |= IDR0_S1P | IDR0_S2P;
	else
		return bad_value(p, word, "1, 2 or both");
	return 0;
}

static int smmu_option(struct machine_parser *p, const struct word *word, void *arg)
{
	struct machine_smmu *smmu = arg;
	struct slice key = word->key;

	if (key.len == 4 && !memcmp(key.p, "idr", 3) && key.p[3] >= '0' && key.p[3] <= '5')
		return number_u32(p, word, 0, UINT32_MAX, &smmu->idr[key.p[3] - '0']);
	if (slice_is(key, "sid-bits"))
		return number_u32(p, word, 1, 24, &smmu->sid_bits);
	if (slice_is(key, "granules"))
		return granules(p, word, &smmu->idr[5]);
	if (slice_is(key, "output-bits"))
		return output_bits(p, word, &smmu->idr[5]);
	if (slice_is(key, "stages"))
		return stages(p, word, &smmu->idr[0]);
	if (word->has_value)
		return unknown_option(p, word, "smmu");
	if (slice_is(key, "not-coherent"))
		smmu->nesting_coherent = false;
	else if (slice_is(key, "no-range-invalidation"))
		smmu->idr[3] &= ~IDR3_RIL;
	else if (slice_is(key, "no-substreams"))
		smmu->idr[1] &= ~IDR1_SSIDSIZE;
	else if (slice_is(key, "linear-streams"))
		smmu->idr[0] &= ~IDR0_ST_LEVEL;
	else
		return unknown_option(p, word, "smmu");
	return 0;
}

static int smmu_statement(struct machine_parser *p)
{
	struct machine_smmu *smmu = &p->m->smmus[p->m->n_smmus];
	int ret;

	if (p->m->n_smmus == MACHINE_SMMUS)
		return lex_error(&p->lex, 0, "more than %u SMMUs", MACHINE_SMMUS);
	*smmu = default_smmu;
	ret = options(p, smmu_option, smmu);
	if (ret)
		return ret;
	/* SIDSIZE follows the number of bits in use, whatever the file says of IDR1 otherwise. */
	smmu->idr[1] = (smmu->idr[1] & ~0x3fu) | smmu->sid_bits;
	p->smmu_lines[p->m->n_smmus++] = p->lex.line;
	return 0;
}

/* --- its --- */

static int its_spis(struct machine_parser *p, const struct word *word, struct msi_frame_config *its)
{
	struct slice base, count;
	uint64_t first, n;

	if (!slice_split(word->value, "+", &base, &count) ||
	    slice_number(base, false, 32, 1019, &first) ||
	    slice_number(count, false, 1, 1020 - first, &n))
		return bad_value(p, word, "FIRST+COUNT within 32 to 1019");
	its->spi_base = (uint32_t)first;
	its->spi_count = (uint32_t)n;
	return 0;
}

static int its_option(struct machine_parser *p, const struct word *word, void *arg)
{
	struct msi_frame_config *its = arg;

	if (slice_is(word->key, "base"))
		return number(p, word, 0, BUS_MMIO_TOP - 1, &its->base);
	if (slice_is(word->key, "window") && its->kind == DOORBELL_PRE_ITS)
		return number(p, word, 0, BUS_MMIO_TOP - 1, &its->pre_its_base);
	if (slice_is(word->key, "spis") && its->kind == DOORBELL_V2M)
		return its_spis(p, word, its);
	if (slice_is(word->key, "device-bits") && its->kind != DOORBELL_V2M)
		return number_u32(p, word, 1, 24, &its->device_bits);
	if (slice_is(word->key, "event-bits") && its->kind != DOORBELL_V2M)
		return number_u32(p, word, 1, 16, &its->event_bits);
	return unknown_option(p, word, "its");
}

static int its_statement(struct machine_parser *p)
{
	static const char *const kinds[] = {
		[DOORBELL_ITS] = "its", [DOORBELL_PRE_ITS] = "pre-its", [DOORBELL_V2M] = "v2m",
	};
	struct msi_frame_config *its = &p->m->itses[p->m->n_itses];
	struct word word;
	unsigned int kind;
	int ret;

	if (p->m->n_itses == MACHINE_ITSES)
		return lex_error(&p->lex, 0, "more than %u ITSes and frames", MACHINE_ITSES);
	ret = argument(p, "its", &word);
	if (ret)
		return ret;
	for (kind = 0; kind < 3 && !slice_is(word.value, kinds[kind]); kind++)
		;
	if (kind == 3)
		return bad_value(p, &word, "its, pre-its or v2m");
	*its = (struct msi_frame_config){
		.kind = kind, .base = UINT64_MAX, .pre_its_base = UINT64_MAX,
		.device_bits = default_its.device_bits, .event_bits = default_its.event_bits,
	};
	ret = options(p, its_option, its);
	if (ret)
		return ret;
	if (its->base == UINT64_MAX)
		return lex_error(&p->lex, 0, "its: base= is missing");
	if (its->kind == DOORBELL_PRE_ITS) {
		if (its->pre_its_base == UINT64_MAX)
			return lex_error(&p->lex, 0, "its: window= is missing");
		its->pre_its_size = 4ull << its->device_bits;
		if (its->pre_its_size < 0x1000)
			its->pre_its_size = 0x1000;
	}
	if (its->kind == DOORBELL_V2M && !its->spi_count)
		return lex_error(&p->lex, 0, "its: spis= is missing");
	p->its_lines[p->m->n_itses++] = p->lex.line;
	return 0;
}

/* --- device --- */

struct device_spec {
	struct machine_device dev;
	struct slice disk;
	uint32_t count;
	bool sid, device_id, group, seed;	/* given, not the default */
};

/* "0000:01:00.0": segment, bus, device (5 bits), function (3 bits), in hexadecimal. */
static int parse_address(struct slice s, uint32_t *segment_and_rid)
{
	static const char form[] = "xxxx:xx:xx.x";
	unsigned int digits[9], n = 0;
	uint64_t value;

	if (s.len != sizeof(form) - 1)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		char hex[3] = { '0', 'x', s.p[i] };

		if (form[i] != 'x') {
			if (s.p[i] != form[i])
				return -EINVAL;
			continue;
		}
		if (slice_number((struct slice){ hex, 3 }, false, 0, 15, &value))
			return -EINVAL;
		digits[n++] = (unsigned int)value;
	}
	if (digits[6] > 1 || digits[8] > 7)
		return -EINVAL;
	*segment_and_rid = digits[0] << 28 | digits[1] << 24 | digits[2] << 20 | digits[3] << 16 |
			   digits[4] << 12 | digits[5] << 8 | (digits[6] << 4 | digits[7]) << 3 |
			   digits[8];
	return 0;
}

static void format_address(struct machine_device *dev, uint32_t segment_and_rid)
{
	dev->requester_id = (uint16_t)segment_and_rid;
	snprintf(dev->address, sizeof(dev->address), "%04x:%02x:%02x.%x", segment_and_rid >> 16,
		 segment_and_rid >> 8 & 0xff, segment_and_rid >> 3 & 0x1f, segment_and_rid & 7);
}

static int bell_option(struct machine_parser *p, const struct word *word, struct bell_config *bell)
{
	int ret;

	if (slice_is(word->key, "vectors"))
		return number_u32(p, word, 1, PCI_MSIX_MAX, &bell->msix_vectors);
	if (slice_is(word->key, "msi")) {
		ret = number_u32(p, word, 1, 32, &bell->msi_vectors);
		if (!ret && bell->msi_vectors & (bell->msi_vectors - 1))
			return bad_value(p, word, "a power of two");
		return ret;
	}
	if (slice_is(word->key, "intx")) {
		if (word->has_value)
			return lex_error(&p->lex, 0, "intx takes no value");
		bell->intx = true;
		return 0;
	}
	if (slice_is(word->key, "msi-bits")) {
		if (!slice_is(word->value, "32") && !slice_is(word->value, "64"))
			return bad_value(p, word, "32 or 64");
		bell->msi_narrow = slice_is(word->value, "32");
		return 0;
	}
	return unknown_option(p, word, "bell");
}

static int nvme_option(struct machine_parser *p, const struct word *word, struct device_spec *spec)
{
	struct nvme_config *nvme = &spec->dev.nvme;

	if (slice_is(word->key, "io-queues"))
		return number_u32(p, word, 1, 255, &nvme->io_queues);
	if (slice_is(word->key, "seed")) {
		spec->seed = true;
		return number(p, word, 0, UINT64_MAX, &nvme->seed);
	}
	if (slice_is(word->key, "size")) {
		if (slice_number(word->value, true, 512, 1ull << 40, &nvme->size) ||
		    nvme->size % 512)
			return bad_value(p, word, "a number of 512-byte blocks, with k, m, g");
		return 0;
	}
	if (slice_is(word->key, "disk") && word->value.len) {
		spec->disk = word->value;
		return 0;
	}
	if (slice_is(word->key, "read-only") && !word->has_value) {
		nvme->read_only = true;
		return 0;
	}
	return unknown_option(p, word, "nvme");
}

static int device_flag(struct machine_parser *p, const struct word *word, struct machine_device *dev,
		       bool *found)
{
	bool *flag = NULL, value = false;

	*found = true;
	if (slice_is(word->key, "not-mappable"))
		flag = &dev->msix_mappable;
	else if (slice_is(word->key, "no-reset"))
		flag = &dev->resettable;
	else if (slice_is(word->key, "noresize")) {
		flag = &dev->msix_noresize;
		value = true;
	} else if (slice_is(word->key, "in-use")) {
		flag = &dev->bound;
		value = true;
	}
	if (!flag) {
		*found = false;
		return 0;
	}
	if (word->has_value)
		return lex_error(&p->lex, 0, "%.*s takes no value", SLICE_ARG(word->key));
	*flag = value;
	return 0;
}

static int device_option(struct machine_parser *p, const struct word *word, void *arg)
{
	struct device_spec *spec = arg;
	struct machine_device *dev = &spec->dev;
	bool found;
	int ret;

	ret = device_flag(p, word, dev, &found);
	if (ret || found)
		return ret;
	if (slice_is(word->key, "smmu"))
		return number_u32(p, word, 0, MACHINE_SMMUS - 1, &dev->smmu);
	if (slice_is(word->key, "its"))
		return number_u32(p, word, 0, MACHINE_ITSES - 1, &dev->its);
	if (slice_is(word->key, "count"))
		return number_u32(p, word, 1, MACHINE_DEVICES, &spec->count);
	if (slice_is(word->key, "sid")) {
		spec->sid = true;
		return number_u32(p, word, 0, (1u << 24) - 1, &dev->sid);
	}
	if (slice_is(word->key, "device-id")) {
		spec->device_id = true;
		return number_u32(p, word, 0, (1u << 24) - 1, &dev->device_id);
	}
	if (slice_is(word->key, "group")) {
		spec->group = true;
		return number_u32(p, word, 0, 1u << 20, &dev->group);
	}
	return dev->kind == MACHINE_BELL ? bell_option(p, word, &dev->bell)
					 : nvme_option(p, word, spec);
}

/* What the options of a device leave open, and what they say against each other. */
static int complete_device(struct machine_parser *p, struct device_spec *spec)
{
	struct bell_config *bell = &spec->dev.bell;
	struct nvme_config *nvme = &spec->dev.nvme;

	if (bell->msi_vectors && bell->msix_vectors)
		return lex_error(&p->lex, 0, "bell: vectors= (MSI-X) and msi= exclude each other");
	if (!bell->msi_vectors && !bell->msix_vectors)
		bell->msix_vectors = PCI_MSIX_MAX;
	if (spec->disk.p && (nvme->size || spec->seed))
		return lex_error(&p->lex, 0,
				 "nvme: a disk= has its own size and content, without size= and seed=");
	if (!nvme->size)
		nvme->size = DEFAULT_DISK;
	if (!spec->seed)
		nvme->seed = 1;
	return 0;
}

static int grow_devices(struct machine_parser *p, unsigned int want)
{
	unsigned int room = p->device_room ? p->device_room : 8;
	void *grown;

	while (room < want)
		room *= 2;
	if (room == p->device_room)
		return 0;
	grown = soft_grow(p->m->devices, p->device_room, room, sizeof(*p->m->devices));
	if (!grown)
		return -ENOMEM;
	p->m->devices = grown;
	grown = soft_grow(p->device_lines, p->device_room, room, sizeof(*p->device_lines));
	if (!grown)
		return -ENOMEM;
	p->device_lines = grown;
	grown = soft_grow(p->own_group, p->device_room, room, sizeof(*p->own_group));
	if (!grown)
		return -ENOMEM;
	p->own_group = grown;
	p->device_room = room;
	return 0;
}

/* One of the devices of a statement: the @i-th one up from @id. */
static int add_device(struct machine_parser *p, const struct device_spec *spec, uint32_t id, uint32_t i)
{
	struct machine_device dev = spec->dev;
	char *disk;

	format_address(&dev, id + 8 * i);
	dev.sid = spec->sid ? dev.sid + i : id + 8 * i;
	dev.device_id = spec->device_id ? dev.device_id + i : id + 8 * i;
	if (spec->disk.p) {
		disk = soft_calloc(1, spec->disk.len + 1);
		if (!disk)
			return -ENOMEM;
		memcpy(disk, spec->disk.p, spec->disk.len);
		dev.nvme.disk = disk;
	}
	p->m->devices[p->m->n_devices] = dev;
	p->device_lines[p->m->n_devices] = p->lex.line;
	p->own_group[p->m->n_devices] = spec->group;
	p->m->n_devices++;
	return 0;
}

static int device_statement(struct machine_parser *p)
{
	struct device_spec spec = {
		.count = 1,
		.dev = {
			.nvme = { .io_queues = DEFAULT_IO_QUEUES },
			.msix_mappable = true, .resettable = true,
		},
	};
	struct word word;
	uint32_t id;
	int ret;

	ret = argument(p, "device", &word);
	if (ret)
		return ret;
	if (parse_address(word.value, &id))
		return bad_value(p, &word, "an address like 0000:01:00.0");
	ret = argument(p, "device", &word);
	if (ret)
		return ret;
	if (slice_is(word.value, "bell"))
		spec.dev.kind = MACHINE_BELL;
	else if (slice_is(word.value, "nvme"))
		spec.dev.kind = MACHINE_NVME;
	else
		return bad_value(p, &word, "bell or nvme");

	ret = options(p, device_option, &spec);
	if (!ret)
		ret = complete_device(p, &spec);
	if (ret)
		return ret;
	if (spec.count > MACHINE_DEVICES - p->m->n_devices)
		return lex_error(&p->lex, 0, "more than %u devices", MACHINE_DEVICES);
	if ((id & 0xffff) + 8 * (spec.count - 1) > 0xffff)
		return lex_error(&p->lex, 0, "%u devices from there on do not fit into the segment",
				 spec.count);
	ret = grow_devices(p, p->m->n_devices + spec.count);
	for (uint32_t i = 0; i < spec.count && !ret; i++)
		ret = add_device(p, &spec, id, i);
	return ret;
}

/* --- The other statements --- */

static int kernel_statement(struct machine_parser *p)
{
	struct word word;
	int ret = argument(p, "kernel", &word);

	if (ret)
		return ret;
	if (slice_is(word.value, "stock"))
		p->m->kernel = KERNEL_STOCK;
	else if (slice_is(word.value, "doorbell"))
		p->m->kernel = KERNEL_DOORBELL;
	else
		return bad_value(p, &word, "stock or doorbell");
	return 0;
}

static int page_size_statement(struct machine_parser *p)
{
	struct word word;
	int ret = argument(p, "page-size", &word);

	if (ret)
		return ret;
	if (slice_is(word.value, "4k"))
		p->m->page_shift = 12;
	else if (slice_is(word.value, "16k"))
		p->m->page_shift = 14;
	else if (slice_is(word.value, "64k"))
		p->m->page_shift = 16;
	else
		return bad_value(p, &word, "4k, 16k or 64k");
	return 0;
}

static int ram_statement(struct machine_parser *p)
{
	struct word word;
	int ret = argument(p, "ram", &word);

	if (!ret && slice_number(word.value, true, 1 << 20, 1ull << 47, &p->m->ram))
		ret = bad_value(p, &word, "a size of at least 1m, with k, m, g, t");
	return ret;
}

static int processors_statement(struct machine_parser *p)
{
	struct word word;
	int ret = argument(p, "processors", &word);

	return ret ? ret : number_u32(p, &word, 1, 512, &p->m->processors);
}

static int lpi_bits_statement(struct machine_parser *p)
{
	struct word word;
	int ret = argument(p, "lpi-bits", &word);

	return ret ? ret : number_u32(p, &word, 14, 24, &p->m->lpi_bits);
}

static int sw_msi_statement(struct machine_parser *p)
{
	struct word word;
	int ret = argument(p, "sw-msi", &word);

	if (ret)
		return ret;
	if (slice_is(word.value, "none")) {
		p->m->sw_msi_start = 0;
		p->m->sw_msi_size = 0;
		return 0;
	}
	if (slice_number(word.value, true, 0, (1ull << 48) - 1, &p->m->sw_msi_start))
		return bad_value(p, &word, "an address, or none");
	ret = argument(p, "sw-msi", &word);
	if (ret)
		return ret;
	if (slice_number(word.value, true, 1, (1ull << 48) - p->m->sw_msi_start,
			 &p->m->sw_msi_size))
		return bad_value(p, &word, "a size within 48 bits");
	return 0;
}

static int reserved_statement(struct machine_parser *p)
{
	static const char *const types[] = { "direct", "direct-relaxable", "reserved", "msi" };
	struct machine_reserved *region = &p->m->reserved[p->m->n_reserved];
	struct slice first, last;
	struct word word;
	uint64_t group;
	int ret;

	if (p->m->n_reserved == MACHINE_RESERVED)
		return lex_error(&p->lex, 0, "more than %u reserved regions", MACHINE_RESERVED);
	ret = argument(p, "reserved", &word);
	if (ret)
		return ret;
	ret = number(p, &word, 0, 1u << 20, &group);
	if (ret)
		return ret;
	region->group = (unsigned int)group;
	ret = argument(p, "reserved", &word);
	if (ret)
		return ret;
	if (!slice_split(word.value, "..", &first, &last) ||
	    slice_number(first, false, 0, UINT64_MAX, &region->start) ||
	    slice_number(last, false, region->start, UINT64_MAX, &region->last))
		return bad_value(p, &word, "FIRST..LAST");
	ret = argument(p, "reserved", &word);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < 4; i++) {
		if (slice_is(word.value, types[i])) {
			snprintf(region->type, sizeof(region->type), "%s", types[i]);
			p->reserved_lines[p->m->n_reserved++] = p->lex.line;
			return 0;
		}
	}
	return bad_value(p, &word, "direct, direct-relaxable, reserved or msi");
}

static int statement(struct machine_parser *p)
{
	static const struct {
		const char *name;
		int (*parse)(struct machine_parser *p);
		bool once;
	} statements[MACHINE_STATEMENTS] = {
		{ "kernel", kernel_statement, true },
		{ "page-size", page_size_statement, true },
		{ "ram", ram_statement, true },
		{ "processors", processors_statement, true },
		{ "lpi-bits", lpi_bits_statement, true },
		{ "sw-msi", sw_msi_statement, true },
		{ "smmu", smmu_statement },
		{ "its", its_statement },
		{ "device", device_statement },
		{ "reserved", reserved_statement },
	};
	struct word word, extra;
	int ret;

	ret = lex_word(&p->lex, &word);
	if (ret <= 0)
		return ret;
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		if (word.has_value || !slice_is(word.key, statements[i].name))
			continue;
		if (statements[i].once && p->said[i])
			return lex_error(&p->lex, 0, "%s: line %u says it already",
					 statements[i].name, p->said[i]);
		p->said[i] = p->lex.line;
		ret = statements[i].parse(p);
		if (ret)
			return ret;
		ret = lex_word(&p->lex, &extra);
		if (ret > 0)
			ret = lex_error(&p->lex, 0, "%s: \"%.*s\" is too much", statements[i].name,
					SLICE_ARG(extra.key));
		return ret;
	}
	return lex_error(&p->lex, 0, "unknown statement \"%.*s\"", SLICE_ARG(word.key));
}

static int parse_text(struct machine_parser *p, const char *text, size_t len)
{
	int ret = 0;

	/* Some editors put a byte order mark before what is UTF-8 anyway. */
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		len -= 3;
	}
	p->lex.p = text;
	p->lex.end = text + len;
	p->lex.line = 0;
	while (!ret && lex_line(&p->lex))
		ret = statement(p);
	return ret;
}

int machine_parse(const char *text, size_t len, struct machine *out, char *why, size_t size)
{
	struct machine_parser p = { .lex = { .why = why, .why_size = size }, .m = out };
	int ret = 0;

	memset(out, 0, sizeof(*out));
	if (size)
		why[0] = '\0';
	*out = (struct machine){
		.kernel = KERNEL_DOORBELL,
		.page_shift = 12,
		.ram = 16ull << 30,
		.processors = 4,
		.lpi_bits = 16,
		.sw_msi_start = 0x8000000,
		.sw_msi_size = 0x100000,
	};
	out->reserved = soft_calloc(MACHINE_RESERVED, sizeof(*out->reserved));
	if (!out->reserved)
		ret = -ENOMEM;

	if (!ret && text)
		ret = parse_text(&p, text, len);
	/* What the file does not speak of is as in the built-in machine. */
	if (!ret && !out->n_smmus)
		out->smmus[out->n_smmus++] = default_smmu;
	if (!ret && !out->n_itses)
		out->itses[out->n_itses++] = default_its;
	if (!ret && !out->n_devices)
		ret = parse_text(&p, default_devices, sizeof(default_devices) - 1);
	if (!ret)
		ret = machine_check(&p);

	soft_free(p.device_lines);
	soft_free(p.own_group);
	if (ret)
		machine_free(out);
	return ret;
}

int machine_resolve(struct machine *m, const char *directory)
{
	for (unsigned int i = 0; i < m->n_devices; i++) {
		const char *name = m->devices[i].nvme.disk;
		size_t size;
		char *path;

		if (!name || name[0] == '/')
			continue;
		size = strlen(directory) + strlen(name) + 2;
		path = soft_calloc(1, size);
		if (!path)
			return -ENOMEM;
		snprintf(path, size, "%s/%s", directory, name);
		soft_free((void *)name);
		m->devices[i].nvme.disk = path;
	}
	return 0;
}

void machine_free(struct machine *m)
{
	for (unsigned int i = 0; i < m->n_devices; i++)
		soft_free((void *)m->devices[i].nvme.disk);
	soft_free(m->devices);
	soft_free(m->reserved);
	m->devices = NULL;
	m->reserved = NULL;
	m->n_devices = 0;
	m->n_reserved = 0;
}
