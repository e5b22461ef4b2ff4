/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold between the statements of a machine file. */
#include <errno.h>
#include <stdlib.h>

#include "soft/alloc.h"
#include "soft/machine_parser.h"

#define ITS_SIZE 0x20000ull
#define V2M_SIZE 0x1000ull

/* What a frame occupies on the bus; a pre-ITS is reached by its window alone. */
static void frame_range(const struct msi_frame_config *its, uint64_t *start, uint64_t *size)
{
	*start = its->kind == DOORBELL_PRE_ITS ? its->pre_its_base : its->base;
	switch (its->kind) {
	case DOORBELL_PRE_ITS:
		*size = its->pre_its_size;
		break;
	case DOORBELL_ITS:
		*size = ITS_SIZE;
		break;
	default:
		*size = V2M_SIZE;
		break;
	}
}

static int check_itses(struct machine_parser *p)
{
	struct machine *m = p->m;
	uint64_t start, size, other, other_size;

	for (unsigned int i = 0; i < m->n_itses; i++) {
		frame_range(&m->itses[i], &start, &size);
		if ((m->itses[i].kind == DOORBELL_ITS && start % 0x10000) || start % 0x1000)
			return lex_error(&p->lex, p->its_lines[i],
					 "its: %#llx is not aligned to its frame",
					 (unsigned long long)start);
		if (start + size > BUS_MMIO_TOP)
			return lex_error(&p->lex, p->its_lines[i],
					 "its: it does not fit below 4 GiB");
		for (unsigned int j = 0; j < i; j++) {
			frame_range(&m->itses[j], &other, &other_size);
			if (start < other + other_size && other < start + size)
				return lex_error(&p->lex, p->its_lines[i],
						 "its: it overlaps that of line %u",
						 p->its_lines[j]);
		}
	}
	return 0;
}

static int check_smmus(struct machine_parser *p)
{
	for (unsigned int i = 0; i < p->m->n_smmus; i++) {
		/* IDR5.GRANxK: 4, 16, 64 KiB; the kernel needs one that divides its own pages. */
		uint32_t up_to = (2u << ((p->m->page_shift - 12) / 2)) - 1;

		if (!(p->m->smmus[i].idr[5] >> 4 & up_to))
			return lex_error(
				&p->lex, p->smmu_lines[i],
				"smmu: no granule of at most the host's page size (%u KiB)",
				1u << (p->m->page_shift - 10));
	}
	return 0;
}

struct claim {
	uint64_t key;
	unsigned int device;
};

static int compare_claims(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->device < y->device ? -1 : x->device > y->device;
}

static uint64_t address_key(const struct machine_device *dev)
{
	return (uint64_t)strtoul(dev->address, NULL, 16) << 16 | dev->requester_id;
}

static uint64_t sid_key(const struct machine_device *dev)
{
	return (uint64_t)dev->smmu << 32 | dev->sid;
}

static uint64_t device_id_key(const struct machine_device *dev)
{
	return (uint64_t)dev->its << 32 | dev->device_id;
}

/*
 * No two devices may have the same of what @key gives, except, where it is @shared, in one group:
 * functions behind a PCIe-to-PCI bridge, which stands in for all of them.
 */
static int check_unique(struct machine_parser *p, struct claim *claims,
			uint64_t (*key)(const struct machine_device *dev), const char *what,
			bool shared)
{
	unsigned int n = p->m->n_devices;

	for (unsigned int i = 0; i < n; i++)
		claims[i] = (struct claim){ key(&p->m->devices[i]), i };
	qsort(claims, n, sizeof(*claims), compare_claims);
	for (unsigned int i = 1; i < n; i++) {
		unsigned int first = claims[i - 1].device, second = claims[i].device;

		if (claims[i].key != claims[i - 1].key ||
		    (shared && p->m->devices[first].group == p->m->devices[second].group))
			continue;
		return lex_error(&p->lex, p->device_lines[second],
				 "device %s: %s is taken by %s (line %u)%s",
				 p->m->devices[second].address, what, p->m->devices[first].address,
				 p->device_lines[first],
				 shared ? "; only one group= can share it" : "");
	}
	return 0;
}

static int check_device(struct machine_parser *p, unsigned int i)
{
	const struct machine_device *dev = &p->m->devices[i];
	unsigned int line = p->device_lines[i];

	if (dev->smmu >= p->m->n_smmus)
		return lex_error(&p->lex, line, "device %s: there is no smmu %u", dev->address,
				 dev->smmu);
	if (dev->its >= p->m->n_itses)
		return lex_error(&p->lex, line, "device %s: there is no its %u", dev->address,
				 dev->its);
	if (dev->sid >> p->m->smmus[dev->smmu].sid_bits)
		return lex_error(
			&p->lex, line,
			"device %s: StreamID %#x has more than the SMMU's %u bits (set sid= or sid-bits=)",
			dev->address, dev->sid, p->m->smmus[dev->smmu].sid_bits);
	if (p->m->itses[dev->its].kind != DOORBELL_V2M &&
	    dev->device_id >> p->m->itses[dev->its].device_bits)
		return lex_error(
			&p->lex, line,
			"device %s: DeviceID %#x has more than the ITS's %u bits (set device-id= or device-bits=)",
			dev->address, dev->device_id, p->m->itses[dev->its].device_bits);
	return 0;
}

/* Devices without a group of their own choice get the numbers above those chosen. */
static void number_groups(struct machine_parser *p)
{
	unsigned int next = 0;

	for (unsigned int i = 0; i < p->m->n_devices; i++) {
		if (p->own_group[i] && p->m->devices[i].group >= next)
			next = p->m->devices[i].group + 1;
	}
	for (unsigned int i = 0; i < p->m->n_devices; i++) {
		if (!p->own_group[i])
			p->m->devices[i].group = next++;
	}
}

static uint64_t group_key(const struct machine_device *dev)
{
	return dev->group;
}

/*
 * A group is what an SMMU can tell apart: its devices are behind one. And a reserved region is some
 * group's.
 */
static int check_groups(struct machine_parser *p, struct claim *claims)
{
	const struct machine_device *devices = p->m->devices;
	unsigned int n = p->m->n_devices, i, j;

	for (i = 0; i < n; i++)
		claims[i] = (struct claim){ group_key(&devices[i]), i };
	qsort(claims, n, sizeof(*claims), compare_claims);
	for (i = 1; i < n; i++) {
		unsigned int first = claims[i - 1].device, second = claims[i].device;

		if (claims[i].key == claims[i - 1].key &&
		    devices[first].smmu != devices[second].smmu)
			return lex_error(&p->lex, p->device_lines[second],
					 "device %s: %s of the same group is behind another SMMU",
					 devices[second].address, devices[first].address);
	}
	for (i = 0; i < p->m->n_reserved; i++) {
		for (j = 0; j < n && devices[j].group != p->m->reserved[i].group; j++)
			;
		if (j == n)
			return lex_error(&p->lex, p->reserved_lines[i],
					 "reserved: there is no group %u", p->m->reserved[i].group);
	}
	return 0;
}

static int check_devices(struct machine_parser *p)
{
	struct claim *claims;
	int ret = 0;

	for (unsigned int i = 0; i < p->m->n_devices && !ret; i++)
		ret = check_device(p, i);
	if (ret)
		return ret;
	number_groups(p);
	claims = soft_calloc(p->m->n_devices, sizeof(*claims));
	if (!claims)
		return -ENOMEM;
	ret = check_unique(p, claims, address_key, "the address", false);
	if (!ret)
		ret = check_unique(p, claims, sid_key, "the StreamID", true);
	if (!ret)
		ret = check_unique(p, claims, device_id_key, "the DeviceID", true);
	if (!ret)
		ret = check_groups(p, claims);
	soft_free(claims);
	return ret;
}

int machine_check(struct machine_parser *p)
{
	int ret;

	if ((p->m->sw_msi_start | p->m->sw_msi_size) & ((1ull << p->m->page_shift) - 1))
		return lex_error(&p->lex, 0,
				 "sw-msi: start and size must be multiples of the page size");
	ret = check_smmus(p);
	if (!ret)
		ret = check_itses(p);
	return ret ? ret : check_devices(p);
}
