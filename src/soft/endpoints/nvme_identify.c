/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identify (NVMe §5.15): what the controller and its namespace say of themselves. Fields are put by
 * their offsets in the figures there.
 */
#include <endian.h>
#include <string.h>

#include "soft/endpoints/nvme_priv.h"

#define IDENTIFY_BYTES 4096
#define NSID 1u

static void put16(char *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, sizeof(value));
}

static void put32(char *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static void put64(char *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

/* ASCII, filled up with spaces */
static void put_text(char *at, const char *text, size_t size)
{
	size_t len = strlen(text);

	memset(at, ' ', size);
	memcpy(at, text, len < size ? len : size);
}

static void identify_controller(const struct nvme *nvme, char *data)
{
	const struct pci_shape *shape = pci_dev_shape(nvme->dev);

	put16(data + 0, shape->vendor);
	put16(data + 2, shape->vendor);
	put_text(data + 4, pci_dev_slot(nvme->dev)->address, 20);	/* serial number */
	put_text(data + 24, "Doorbell NVMe", 40);
	put_text(data + 64, "1.0", 8);
	data[77] = NVME_MDTS;
	put16(data + 78, 1);		/* CNTLID */
	put32(data + 80, NVME_VS_1_4);
	data[111] = 1;			/* CNTRLTYPE: I/O controller */
	data[258] = 3;			/* ACL: 4 Aborts at once */
	data[259] = NVME_ASYNC_EVENTS - 1;
	data[260] = 1 << 1 | 1;		/* FRMW: one slot, read-only */
	put16(data + 266, 343);		/* WCTEMP, CCTEMP: kelvin */
	put16(data + 268, 353);
	data[512] = NVME_SQE_BITS << 4 | NVME_SQE_BITS;
	data[513] = (char)(NVME_CQE_BITS << 4 | NVME_CQE_BITS);
	put32(data + 516, 1);		/* NN */
	put_text(data + 768, "nqn.2014-08.org.nvmexpress:doorbell:", 36);
	memcpy(data + 768 + 36, pci_dev_slot(nvme->dev)->address,
	       strlen(pci_dev_slot(nvme->dev)->address));
	put16(data + 2048, 2500);	/* power state 0: 25 W */
}

static void identify_namespace(const struct nvme *nvme, char *data)
{
	put64(data + 0, nvme->disk.blocks);	/* NSZE, NCAP, NUSE */
	put64(data + 8, nvme->disk.blocks);
	put64(data + 16, nvme->disk.blocks);
	data[99] = nvme->disk.read_only;	/* NSATTR: write protected */
	data[128 + 2] = NVME_BLOCK_BITS;	/* LBA format 0 */
}

/* One descriptor: an EUI-64 made from the requester's number. */
static void identify_descriptors(const struct nvme *nvme, char *data)
{
	data[0] = 1;
	data[1] = 8;
	put64(data + 4, 0xbe11ull << 48 | pci_dev_slot(nvme->dev)->requester_id);
}

uint16_t nvme_identify(struct nvme *nvme, const struct nvme_sqe *sqe)
{
	char data[IDENTIFY_BYTES] = { 0 };

	switch (sqe->cdw10 & 0xff) {
	case NVME_CNS_NAMESPACE:
		/* All ones asks for what namespaces have in common. */
		if (sqe->nsid != NSID && sqe->nsid != UINT32_MAX)
			return NVME_INVALID_NAMESPACE;
		identify_namespace(nvme, data);
		break;
	case NVME_CNS_CONTROLLER:
		identify_controller(nvme, data);
		break;
	case NVME_CNS_ACTIVE_NAMESPACES:
		/* Those above the one given */
		if (sqe->nsid >= UINT32_MAX - 1)
			return NVME_INVALID_NAMESPACE;
		if (sqe->nsid < NSID)
			put32(data, NSID);
		break;
	case NVME_CNS_NAMESPACE_DESCRIPTORS:
		if (sqe->nsid != NSID)
			return NVME_INVALID_NAMESPACE;
		identify_descriptors(nvme, data);
		break;
	default:
		return NVME_INVALID_FIELD;
	}
	return nvme_prp_write(nvme, sqe, data, sizeof(data));
}
