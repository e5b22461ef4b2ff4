/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical region pages (NVMe §4.3): a first entry that may start anywhere in its page, then one
 * entry, or a list of entries, for whole pages. A list fills pages, the last entry of each leading
 * on to the next.
 *
 * The list is read once, before anything is transferred. A transfer has a bounded number of pages;
 * a list page that is led to starts at its beginning and so gives many entries, and the number of
 * list pages is bounded by that.
 */
#include <endian.h>

#include "soft/endpoints/nvme_priv.h"

#define LIST_BATCH 64

struct list {
	struct nvme *nvme;
	uint64_t page;		/* bytes */
	uint64_t addr;		/* of the next entry */
	uint64_t entries[LIST_BATCH];
	unsigned int at, count;	/* in the batch; entries that lead on are not in it */
};

static unsigned int min_u(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Reads a batch, of @wanted entries at most. */
static uint16_t list_fill(struct list *list, unsigned int wanted)
{
	uint64_t left = (list->page - (list->addr & (list->page - 1))) / 8;

	/*
	 * If the page does not have all entries that are wanted, its last one leads to the next
	 * page.
	 */
	if (left == 1 && wanted > 1) {
		uint64_t next;

		if (pci_dma_read(list->nvme->dev, list->addr, &next, sizeof(next)))
			return NVME_DATA_TRANSFER_ERROR;
		list->addr = le64toh(next);
		if (list->addr & (list->page - 1))
			return NVME_PRP_OFFSET_INVALID;
		left = list->page / 8;
	}
	if (wanted > left)
		wanted = left - 1;
	list->at = 0;
	list->count = min_u(wanted, LIST_BATCH);
	if (pci_dma_read(list->nvme->dev, list->addr, list->entries,
			 list->count * sizeof(uint64_t)))
		return NVME_DATA_TRANSFER_ERROR;
	list->addr += list->count * sizeof(uint64_t);
	return NVME_SUCCESS;
}

static uint16_t list_next(struct list *list, unsigned int wanted, uint64_t *entry)
{
	if (list->at == list->count) {
		uint16_t status = list_fill(list, wanted);

		if (status)
			return status;
	}
	*entry = le64toh(list->entries[list->at++]);
	return NVME_SUCCESS;
}

/* The rest of the transfer by a list at PRP2. */
static uint16_t map_list(struct nvme *nvme, uint64_t prp2, uint32_t len,
			 struct nvme_segment *segments, unsigned int *count)
{
	struct list list = { .nvme = nvme, .page = 1ull << nvme->page_bits, .addr = prp2 };

	if (prp2 % 8)
		return NVME_PRP_OFFSET_INVALID;
	while (len) {
		uint32_t n = min_u(len, list.page);
		unsigned int wanted = (len + list.page - 1) / list.page;
		uint64_t entry;
		uint16_t status = list_next(&list, wanted, &entry);

		if (status)
			return status;
		if (entry & (list.page - 1))
			return NVME_PRP_OFFSET_INVALID;
		segments[(*count)++] = (struct nvme_segment){ .addr = entry, .len = n };
		len -= n;
	}
	return NVME_SUCCESS;
}

uint16_t nvme_prp_map(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t len,
		      struct nvme_segment *segments, unsigned int *count)
{
	uint64_t page = 1ull << nvme->page_bits;
	uint32_t first = min_u(len, page - (sqe->prp1 & (page - 1)));

	if (sqe->prp1 % 4)
		return NVME_PRP_OFFSET_INVALID;
	segments[0] = (struct nvme_segment){ .addr = sqe->prp1, .len = first };
	*count = 1;
	len -= first;
	if (!len)
		return NVME_SUCCESS;
	if (len > page)
		return map_list(nvme, sqe->prp2, len, segments, count);

	if (sqe->prp2 & (page - 1))
		return NVME_PRP_OFFSET_INVALID;
	segments[1] = (struct nvme_segment){ .addr = sqe->prp2, .len = len };
	*count = 2;
	return NVME_SUCCESS;
}

uint16_t nvme_prp_write(struct nvme *nvme, const struct nvme_sqe *sqe, const void *data,
			uint32_t len)
{
	struct nvme_segment segments[NVME_SEGMENTS];
	const char *from = data;
	unsigned int count;
	uint16_t status = nvme_prp_map(nvme, sqe, len, segments, &count);

	for (unsigned int i = 0; !status && i < count; i++) {
		if (pci_dma_write(nvme->dev, segments[i].addr, from, segments[i].len))
			status = NVME_DATA_TRANSFER_ERROR;
		from += segments[i].len;
	}
	return status;
}
