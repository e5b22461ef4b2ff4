/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/dma.h"

#include <errno.h>
#include <string.h>

#include "guest/smmu.h"

static int table_alloc(void *ctx, uint64_t size, uint64_t *addr)
{
	struct guest_base *base = ctx;

	return gmem_alloc(&base->mem, size, size < 4096 ? 4096 : size, addr);
}

static void table_free(void *ctx, uint64_t addr, uint64_t size)
{
	struct guest_base *base = ctx;

	gmem_free(&base->mem, addr, size);
}

static uint64_t granule(const struct dma_domain *d)
{
	return 1ull << d->table.format.granule_shift;
}

static uint64_t to_granules(const struct dma_domain *d, uint64_t size)
{
	return (size + granule(d) - 1) & ~(granule(d) - 1);
}

/*
 * RMR (Arm DEN0049, IORT): the device keeps on using these addresses, so they must translate to
 * themselves.
 */
static int map_rmr(struct dma_domain *d)
{
	uint64_t start, size;
	int err;

	if (!vmm_rmr(d->dev, &start, &size))
		return 0;
	err = iova_reserve(&d->iova, start, size);
	if (err)
		return err;
	err = vmsa_map(&d->table, start, start, size,
		       VMSA_READ | VMSA_WRITE | VMSA_DEVICE | VMSA_NOT_GLOBAL);
	if (!err)
		report_say(&d->base->report, "S1",
			   "%s: 0x%llx..0x%llx -> itself (RMR: the kernel's MSI window)",
			   vmm_device_info(d->dev)->address, (unsigned long long)start,
			   (unsigned long long)(start + size - 1));
	return err;
}

int dma_init(struct dma_domain *d, struct guest_base *base, struct guest_smmu *smmu,
	     struct vmm_device *dev, unsigned int dma_bits)
{
	int err;

	*d = (struct dma_domain){
		.base = base,
		.dev = dev,
		.smmu = smmu,
		.limit = dma_bits && dma_bits < 64 ? (1ull << dma_bits) - 1 : UINT64_MAX,
		.asids = { base->next_asid, base->next_asid + 1 },
		.table = {
			.mem = gmem_arm(&base->mem),
			.alloc = table_alloc,
			.free = table_free,
			.ctx = base,
		},
	};
	base->next_asid += 2;
	err = guest_smmu_format(d->smmu, base->granule_shift, &d->table.format);
	if (err)
		return guest_fail(base, err,
				  "the SMMU has no %uK granule for stage 1 (IDR5 0x%x): choose "
				  "another with --granule",
				  1u << (base->granule_shift - 10), d->smmu->info.idr[5]);
	err = gmem_alloc(&base->mem, 4096, 4096, &d->cd);
	if (err)
		return guest_fail(base, err, "guest memory is used up");
	err = vmsa_table_init(&d->table);
	if (err) {
		gmem_free(&base->mem, d->cd, 4096);
		return guest_fail(base, err, "guest memory is used up");
	}
	iova_init(&d->iova, d->table.format.granule_shift, d->table.format.ia_bits);
	err = map_rmr(d);
	if (err) {
		dma_fini(d);
		return guest_fail(base, err, "identity-mapping the MSI window failed: %s",
				  strerror(-err));
	}
	return 0;
}

void dma_fini(struct dma_domain *d)
{
	vmsa_release(&d->table, d->freed_tables);
	vmsa_table_fini(&d->table);
	iova_fini(&d->iova);
	gmem_free(&d->base->mem, d->cd, 4096);
}

int dma_map(struct dma_domain *d, uint64_t ipa, uint64_t size, unsigned int prot, uint64_t *giova)
{
	int err;

	size = to_granules(d, size);
	err = iova_alloc(&d->iova, size, d->limit, giova);
	if (err)
		return guest_fail(d->base, err, "no gIOVA for %llu bytes: %s",
				  (unsigned long long)size, strerror(-err));
	err = vmsa_map(&d->table, *giova, ipa, size, prot | VMSA_NOT_GLOBAL);
	if (err) {
		iova_free(&d->iova, *giova);
		return guest_fail(d->base, err, "mapping gIOVA 0x%llx in stage 1: %s",
				  (unsigned long long)*giova, strerror(-err));
	}
	return 0;
}

int dma_unmap(struct dma_domain *d, uint64_t giova, uint64_t size)
{
	uint64_t freed = 0, last;
	int err;

	if (d->n_unmapped == DMA_BATCH) {
		err = dma_sync(d);
		if (err)
			return err;
	}
	size = to_granules(d, size);
	err = vmsa_unmap(&d->table, giova, size, &freed);
	if (err)
		return guest_fail(d->base, err, "unmapping gIOVA 0x%llx: %s",
				  (unsigned long long)giova, strerror(-err));
	d->unmapped[d->n_unmapped++] = (struct dma_unmapped){ giova, size };
	if (!freed)
		return 0;
	/* Append to the list of those that wait for the invalidation. */
	if (d->freed_tables) {
		uint64_t next;

		for (last = freed; !d->table.mem.read64(d->table.mem.ctx, last, &next) && next;
		     last = next)
			;
		d->table.mem.write64(d->table.mem.ctx, last, d->freed_tables);
	}
	d->freed_tables = freed;
	return 0;
}

int dma_sync(struct dma_domain *d)
{
	unsigned int i;
	int err;

	if (!d->n_unmapped)
		return 0;
	err = guest_smmu_invalidate(d, d->unmapped, d->n_unmapped);
	if (err)
		/* addresses and tables stay out of use: the device may still reach them */
		return err;
	vmsa_release(&d->table, d->freed_tables);
	d->freed_tables = 0;
	for (i = 0; i < d->n_unmapped; i++)
		iova_free(&d->iova, d->unmapped[i].giova);
	d->n_unmapped = 0;
	return 0;
}

int dma_alloc(struct dma_domain *d, uint64_t size, struct dma_buffer *out)
{
	struct gmem *mem = &d->base->mem;
	int err;

	*out = (struct dma_buffer){ 0 };
	size = to_granules(d, size);
	err = gmem_alloc(mem, size, granule(d), &out->ipa);
	if (err)
		return guest_fail(d->base, err, "guest memory is used up");
	err = dma_map(d, out->ipa, size, VMSA_READ | VMSA_WRITE, &out->giova);
	if (err) {
		gmem_free(mem, out->ipa, size);
		return err;
	}
	out->size = size;
	out->cpu = vmm_ram(mem->vmm, out->ipa, size);
	return 0;
}

void dma_free(struct dma_domain *d, struct dma_buffer *buffer)
{
	if (!buffer->size)
		return;
	/* If the device may still reach it, leaking is the only safe thing. */
	if (!dma_unmap(d, buffer->giova, buffer->size) && !dma_sync(d))
		gmem_free(&d->base->mem, buffer->ipa, buffer->size);
	buffer->size = 0;
}

int dma_reserve_void(struct dma_domain *d, uint64_t *giova)
{
	int err = iova_alloc(&d->iova, granule(d), d->limit, giova);

	return err ? guest_fail(d->base, err, "no gIOVA left: %s", strerror(-err)) : 0;
}

static struct dma_msi_page *find_msi_page(struct dma_domain *d, uint64_t ipa)
{
	struct dma_msi_page *unused = NULL;
	unsigned int i;

	for (i = 0; i < DMA_MSI_PAGES; i++) {
		struct dma_msi_page *page = &d->msi_pages[i];

		if (page->refs && page->doorbell_ipa == ipa)
			return page;
		if (!page->refs)
			unused = page;
	}
	return unused;
}

/*
 * The limit is that of the DMA engine; a message has 64 bits (MSI without them is refused by who
 * writes it).
 */
static int map_msi_page(struct dma_domain *d, uint64_t page_ipa, uint64_t *giova)
{
	uint64_t limit = d->limit;
	int err;

	d->limit = UINT64_MAX;
	err = dma_map(d, page_ipa, granule(d), VMSA_WRITE | VMSA_READ | VMSA_DEVICE, giova);
	d->limit = limit;
	return err;
}

int dma_msi_get(struct dma_domain *d, uint64_t doorbell_ipa, uint64_t *giova)
{
	uint64_t offset = doorbell_ipa & (granule(d) - 1);
	struct dma_msi_page *page = find_msi_page(d, doorbell_ipa - offset);
	int err;

	if (!page)
		return guest_fail(d->base, -ENOSPC, "a device has no more than %u MSI pages",
				  DMA_MSI_PAGES);
	if (!page->refs) {
		err = map_msi_page(d, doorbell_ipa - offset, &page->giova);
		if (err)
			return err;
		page->doorbell_ipa = doorbell_ipa - offset;
		report_say(&d->base->report, "S1",
			   "%s: gIOVA 0x%llx -> IPA 0x%llx, its vITS's doorbell page (%lluK)",
			   vmm_device_info(d->dev)->address, (unsigned long long)page->giova,
			   (unsigned long long)page->doorbell_ipa,
			   (unsigned long long)(granule(d) >> 10));
	}
	page->refs++;
	*giova = page->giova + offset;
	return 0;
}

void dma_msi_put(struct dma_domain *d, uint64_t doorbell_ipa)
{
	uint64_t ipa = doorbell_ipa & ~(granule(d) - 1);
	struct dma_msi_page *page = find_msi_page(d, ipa);

	if (!page || !page->refs || --page->refs)
		return;
	if (!dma_unmap(d, page->giova, granule(d)))
		dma_sync(d);
}

int dma_msi_move(struct dma_domain *d, uint64_t doorbell_ipa, uint64_t *giova)
{
	uint64_t offset = doorbell_ipa & (granule(d) - 1);
	struct dma_msi_page *page = find_msi_page(d, doorbell_ipa - offset);
	int err;

	if (!page || !page->refs)
		return guest_fail(d->base, -ENOENT, "no MSI page to move");
	err = map_msi_page(d, page->doorbell_ipa, giova);
	if (err)
		return err;
	page->giova = *giova;
	*giova += offset;
	return 0;
}

int dma_msi_forget(struct dma_domain *d, uint64_t giova)
{
	int err = dma_unmap(d, giova & ~(granule(d) - 1), granule(d));

	return err ? err : dma_sync(d);
}
