/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NVMe driver that reads a whole disk (NVM Express Base Specification 1.4). One I/O queue pair
 * for each vector after the admin queue's; one command at a time on each queue, all queues at once,
 * so that each completion is exactly one interrupt. The data buffers are mapped for the transfer
 * and unmapped and invalidated after it, as a kernel's block layer does, while the other queues are
 * at work. There is one buffer more than queues: so a gIOVA that is used again leads to other
 * memory, and data that a stale translation took to the old place is missed.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/guest_priv.h"

/* Registers, §3.1 */
#define NVME_CAP 0x00
#define NVME_CAP_MQES(lo) ((lo) & 0xffff)
#define NVME_CAP_TO_MS(lo) (((lo) >> 24) * 500)
#define NVME_CAP_DSTRD(hi) ((hi) & 0xf)
#define NVME_CAP_MPSMIN(hi) ((hi) >> 16 & 0xf)
#define NVME_CC 0x14
#define NVME_CC_EN (1u << 0)
#define NVME_CC_ENTRIES (6u << 16 | 4u << 20)	/* 64-byte SQ entries, 16-byte CQ entries */
#define NVME_CSTS 0x1c
#define NVME_CSTS_RDY (1u << 0)
#define NVME_CSTS_CFS (1u << 1)
#define NVME_AQA 0x24
#define NVME_ASQ 0x28
#define NVME_ACQ 0x30
#define NVME_DOORBELLS 0x1000

/* Commands, §5 and §6 */
#define NVME_ADMIN_CREATE_SQ 0x01
#define NVME_ADMIN_CREATE_CQ 0x05
#define NVME_ADMIN_IDENTIFY 0x06
#define NVME_ADMIN_SET_FEATURES 0x09
#define NVME_FEATURE_QUEUES 0x07
#define NVME_READ 0x02
#define NVME_CNS_NAMESPACE 0
#define NVME_CNS_CONTROLLER 1

#define NVME_PAGE 4096u		/* CC.MPS = 0 */
#define NVME_DEPTH 16u
#define NVME_MAX_TRANSFER (128u << 10)
#define NVME_DATA_BUDGET (16u << 20)	/* for the buffers of all queues together */

/* Layout of a queue's shared memory, a page each. */
#define QUEUE_SQ 0
#define QUEUE_CQ NVME_PAGE
#define QUEUE_PRP (2 * NVME_PAGE)
#define QUEUE_BYTES (3 * NVME_PAGE)

struct nvme_cqe {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head, sq_id;
	uint16_t cid;
	uint16_t status;	/* bit 0: phase */
};

struct nvme_queue {
	struct dma_buffer mem;
	unsigned int id, vector;
	unsigned int tail, head;
	unsigned int phase;
	uint16_t cid;
	/* The transfer under way: @len bytes of the disk from @from on; 0: none. */
	uint64_t from, data_giova;
	uint32_t len;
	uint64_t data_ipa;
};

struct nvme {
	struct guest_device *gd;
	unsigned int stride;
	int timeout_ms;
	struct nvme_queue admin;
	struct nvme_queue *io;
	unsigned int n_io;
	struct dma_buffer page;		/* for Identify */
	uint64_t blocks;
	unsigned int block_shift;
	uint32_t max_transfer;
	/* The reading: */
	unsigned int next;		/* the queue that has waited longest */
	uint64_t asked;			/* bytes of the disk */
	uint64_t buffer_size, spare_ipa;	/* of the buffers; the one that no queue has */
};

static bool nvme_match(uint16_t vendor, uint16_t device, uint32_t class_code)
{
	(void)vendor;
	(void)device;
	return class_code == 0x010802;
}

static int fail(struct nvme *nvme, int err, const char *what)
{
	return guest_fail(&nvme->gd->guest->base, err, "%s: %s",
			  vmm_device_info(nvme->gd->info.vmm)->address, what);
}

static int queue_alloc(struct nvme *nvme, struct nvme_queue *q, unsigned int id,
		       unsigned int vector)
{
	q->id = id;
	q->vector = vector;
	return dma_alloc(&nvme->gd->domain, QUEUE_BYTES, &q->mem);
}

/* As the controller sees it when it is created. */
static void queue_reset(struct nvme_queue *q)
{
	memset(q->mem.cpu, 0, QUEUE_PRP);
	q->tail = q->head = 0;
	q->phase = 1;
}

static uint64_t doorbell(const struct nvme *nvme, const struct nvme_queue *q, bool completion)
{
	return NVME_DOORBELLS + (uint64_t)(2 * q->id + completion) * nvme->stride;
}

static void put(struct nvme *nvme, struct nvme_queue *q, uint32_t cmd[16])
{
	uint32_t *entry = (uint32_t *)((char *)q->mem.cpu + QUEUE_SQ) + q->tail * 16;
	unsigned int i;

	cmd[0] |= (uint32_t)++q->cid << 16;
	for (i = 0; i < 16; i++)
		entry[i] = htole32(cmd[i]);
	q->tail = (q->tail + 1) % NVME_DEPTH;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	guest_write32(nvme->gd, doorbell(nvme, q, false), q->tail);
}

static void submit(struct nvme *nvme, struct nvme_queue *q, uint32_t cmd[16])
{
	guest_irq_expect(nvme->gd, q->vector);
	put(nvme, q, cmd);
}

static const volatile struct nvme_cqe *next_completion(const struct nvme_queue *q)
{
	return (const volatile struct nvme_cqe *)((char *)q->mem.cpu + QUEUE_CQ) + q->head;
}

static bool completed(const struct nvme_queue *q)
{
	return (le16toh(next_completion(q)->status) & 1) == q->phase;
}

/* Takes the completion of the one command on @q, as soon as it is there; its status in *status. */
static int reap(struct nvme *nvme, struct nvme_queue *q, uint32_t *result, uint16_t *status)
{
	const volatile struct nvme_cqe *entry = next_completion(q);
	uint16_t cid;
	int waited;

	for (waited = 0; !completed(q) && waited < nvme->timeout_ms; waited++) {
		if (guest_read32(nvme->gd, NVME_CSTS) & NVME_CSTS_CFS)
			return fail(nvme, -EIO,
				    "the controller reports a fatal error (a DMA of it was "
				    "aborted?)");
		guest_delay(nvme->gd->guest, 1);
	}
	if (!completed(q))
		return fail(nvme, -ETIMEDOUT, "a command did not complete");
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*status = le16toh(entry->status) >> 1;
	cid = le16toh(entry->cid);
	if (result)
		*result = le32toh(entry->result);
	q->head = (q->head + 1) % NVME_DEPTH;
	if (!q->head)
		q->phase ^= 1;
	guest_write32(nvme->gd, doorbell(nvme, q, true), q->head);
	return cid == q->cid ? 0 : fail(nvme, -EIO, "a completion names another command");
}

/* A lost interrupt is counted, and does not stop us if the completion is there. */
static int complete(struct nvme *nvme, struct nvme_queue *q, uint32_t *result)
{
	uint16_t status;
	int err;

	guest_irq_wait(nvme->gd, q->vector);
	err = reap(nvme, q, result, &status);
	if (err || !status)
		return err;
	return guest_fail(&nvme->gd->guest->base, -EIO, "%s: a command failed with status 0x%x",
			  vmm_device_info(nvme->gd->info.vmm)->address, status);
}

static int admin(struct nvme *nvme, uint32_t cmd[16], uint32_t *result)
{
	submit(nvme, &nvme->admin, cmd);
	return complete(nvme, &nvme->admin, result);
}

static void set64(uint32_t *dwords, uint64_t value)
{
	dwords[0] = value;
	dwords[1] = value >> 32;
}

static int wait_ready(struct nvme *nvme, uint32_t ready)
{
	int waited;

	for (waited = 0; waited <= nvme->timeout_ms; waited++) {
		uint32_t status = guest_read32(nvme->gd, NVME_CSTS);

		if (status == UINT32_MAX)
			return fail(nvme, -EIO, "its registers read as ones");
		if ((status & NVME_CSTS_RDY) == ready)
			return 0;
		guest_delay(nvme->gd->guest, 1);
	}
	return fail(nvme, -ETIMEDOUT,
		    ready ? "the controller does not become ready"
			  : "the controller does not stop");
}

static int disable(struct nvme *nvme)
{
	guest_write32(nvme->gd, NVME_CC, 0);
	return wait_ready(nvme, 0);
}

/* After disable(). */
static int enable(struct nvme *nvme)
{
	struct guest_device *gd = nvme->gd;
	uint32_t low = guest_read32(gd, NVME_CAP), high = guest_read32(gd, NVME_CAP + 4);

	nvme->stride = 4u << NVME_CAP_DSTRD(high);
	nvme->timeout_ms = NVME_CAP_TO_MS(low) + 500;
	if (NVME_CAP_MPSMIN(high) || NVME_CAP_MQES(low) + 1 < NVME_DEPTH)
		return fail(nvme, -EOPNOTSUPP,
			    "the controller needs larger pages or shorter queues than the driver "
			    "has");
	queue_reset(&nvme->admin);
	guest_write32(gd, NVME_AQA, (NVME_DEPTH - 1) << 16 | (NVME_DEPTH - 1));
	guest_write64(gd, NVME_ASQ, nvme->admin.mem.giova + QUEUE_SQ);
	guest_write64(gd, NVME_ACQ, nvme->admin.mem.giova + QUEUE_CQ);
	guest_write32(gd, NVME_CC, NVME_CC_EN | NVME_CC_ENTRIES);
	return wait_ready(nvme, NVME_CSTS_RDY);
}

static void identify_command(uint32_t cmd[16], unsigned int cns, uint64_t giova)
{
	cmd[0] = NVME_ADMIN_IDENTIFY;
	cmd[1] = cns == NVME_CNS_NAMESPACE ? 1 : 0;
	cmd[10] = cns;
	set64(cmd + 6, giova);
}

static int identify(struct nvme *nvme, unsigned int cns)
{
	uint32_t cmd[16] = { 0 };

	identify_command(cmd, cns, nvme->page.giova);
	return admin(nvme, cmd, NULL);
}

static void trim(char *text, const uint8_t *from, size_t len)
{
	memcpy(text, from, len);
	while (len && (text[len - 1] == ' ' || !text[len - 1]))
		len--;
	text[len] = 0;
}

static int identify_disk(struct nvme *nvme)
{
	struct guest_device *gd = nvme->gd;
	const uint8_t *bytes = nvme->page.cpu;
	char model[41];
	uint32_t format;
	int err;

	err = identify(nvme, NVME_CNS_CONTROLLER);
	if (err)
		return err;
	trim(model, bytes + 24, 40);
	nvme->max_transfer = NVME_MAX_TRANSFER;
	if (bytes[77] && bytes[77] < 20 && (NVME_PAGE << bytes[77]) < nvme->max_transfer)
		nvme->max_transfer = NVME_PAGE << bytes[77];	/* MDTS */
	err = identify(nvme, NVME_CNS_NAMESPACE);
	if (err)
		return err;
	memcpy(&nvme->blocks, bytes, 8);
	nvme->blocks = le64toh(nvme->blocks);
	memcpy(&format, bytes + 128 + 4 * (bytes[26] & 0xf), 4);
	nvme->block_shift = le32toh(format) >> 16 & 0xff;
	if (nvme->block_shift < 9 || nvme->block_shift > 12)
		return fail(nvme, -EOPNOTSUPP,
			    "namespace 1 has blocks that are not 512 to 4096 bytes");
	report_say(&gd->guest->base.report, "nvme", "%s: \"%s\", %llu blocks of %u bytes",
		   vmm_device_info(gd->info.vmm)->address, model, (unsigned long long)nvme->blocks,
		   1u << nvme->block_shift);
	return 0;
}

static int create_queue(struct nvme *nvme, struct nvme_queue *q)
{
	uint32_t cq[16] = {
		[0] = NVME_ADMIN_CREATE_CQ,
		[10] = (NVME_DEPTH - 1) << 16 | q->id,
		[11] = q->vector << 16 | 3,	/* interrupts on, contiguous */
	};
	uint32_t sq[16] = {
		[0] = NVME_ADMIN_CREATE_SQ,
		[10] = (NVME_DEPTH - 1) << 16 | q->id,
		[11] = q->id << 16 | 1,		/* its CQ has the same number; contiguous */
	};
	int err;

	queue_reset(q);
	set64(cq + 6, q->mem.giova + QUEUE_CQ);
	err = admin(nvme, cq, NULL);
	if (err)
		return err;
	set64(sq + 6, q->mem.giova + QUEUE_SQ);
	return admin(nvme, sq, NULL);
}

/* Asks for *count I/O queues; what was granted in *count. */
static int ask_for_queues(struct nvme *nvme, unsigned int *count)
{
	unsigned int granted;
	uint32_t cmd[16] = { NVME_ADMIN_SET_FEATURES, [10] = NVME_FEATURE_QUEUES,
			     [11] = (*count - 1) << 16 | (*count - 1) };
	uint32_t result;
	int err;

	err = admin(nvme, cmd, &result);
	if (err)
		return err;
	granted = ((result & 0xffff) < result >> 16 ? result & 0xffff : result >> 16) + 1;
	if (granted < *count)
		*count = granted;
	return 0;
}

static int create_queues(struct nvme *nvme)
{
	struct guest_device *gd = nvme->gd;
	unsigned int wanted = gd->info.vectors > 1 ? gd->info.vectors - 1 : 1, i;
	int err;

	err = ask_for_queues(nvme, &wanted);
	if (err)
		return err;
	nvme->io = calloc(wanted, sizeof(*nvme->io));
	if (!nvme->io)
		return fail(nvme, -ENOMEM, "out of memory");
	for (i = 0; i < wanted; i++) {
		err = queue_alloc(nvme, &nvme->io[i], i + 1, gd->info.vectors > 1 ? i + 1 : 0);
		if (err)
			return err;
		nvme->n_io++;
		err = create_queue(nvme, &nvme->io[i]);
		if (err)
			return err;
	}
	while (nvme->max_transfer > NVME_PAGE &&
	       (uint64_t)nvme->max_transfer * nvme->n_io > NVME_DATA_BUDGET)
		nvme->max_transfer /= 2;
	report_say(&gd->guest->base.report, "nvme", "%s: %u I/O queue%s, a vector each",
		   vmm_device_info(gd->info.vmm)->address, nvme->n_io, nvme->n_io == 1 ? "" : "s");
	return 0;
}

static void nvme_stop(struct guest_device *gd)
{
	struct nvme *nvme = gd->priv;
	unsigned int i;

	disable(nvme);
	for (i = 0; i < nvme->n_io; i++)
		dma_free(&gd->domain, &nvme->io[i].mem);
	dma_free(&gd->domain, &nvme->page);
	dma_free(&gd->domain, &nvme->admin.mem);
	free(nvme->io);
	free(nvme);
	gd->priv = NULL;
}

static int nvme_start(struct guest_device *gd)
{
	struct nvme *nvme = calloc(1, sizeof(*nvme));
	int err;

	if (!nvme)
		return guest_fail(&gd->guest->base, -ENOMEM, "out of memory");
	nvme->gd = gd;
	gd->priv = nvme;
	err = queue_alloc(nvme, &nvme->admin, 0, 0);
	if (!err)
		err = dma_alloc(&gd->domain, NVME_PAGE, &nvme->page);
	if (!err)
		err = disable(nvme);
	if (!err)
		err = enable(nvme);
	if (!err)
		err = identify_disk(nvme);
	if (!err)
		err = create_queues(nvme);
	if (err)
		nvme_stop(gd);
	return err;
}

/*
 * Reads q->len bytes from q->from on into the buffer, which is mapped; PRPs point at each of its
 * pages (§4.3).
 */
static void submit_read(struct nvme *nvme, struct nvme_queue *q)
{
	uint64_t *list = (uint64_t *)((char *)q->mem.cpu + QUEUE_PRP);
	uint64_t block = q->from >> nvme->block_shift;
	uint32_t cmd[16] = {
		[0] = NVME_READ,
		[1] = 1,
		[10] = block,
		[11] = block >> 32,
		[12] = (q->len >> nvme->block_shift) - 1,
	};
	unsigned int pages = (q->len + NVME_PAGE - 1) / NVME_PAGE, i;

	set64(cmd + 6, q->data_giova);
	for (i = 1; i < pages; i++)
		list[i - 1] = htole64(q->data_giova + (uint64_t)i * NVME_PAGE);
	if (pages == 2)
		set64(cmd + 8, q->data_giova + NVME_PAGE);
	else if (pages > 2)
		set64(cmd + 8, q->mem.giova + QUEUE_PRP);
	submit(nvme, q, cmd);
}

/* The next part of the disk on @q, if there is one. */
static int start_read(struct nvme *nvme, struct nvme_queue *q)
{
	uint64_t left = (nvme->blocks << nvme->block_shift) - nvme->asked;
	uint32_t len = left < nvme->max_transfer ? left : nvme->max_transfer;
	int err;

	if (!len)
		return 0;
	err = dma_map(&nvme->gd->domain, q->data_ipa, len, VMSA_WRITE | VMSA_READ, &q->data_giova);
	if (err)
		return err;
	q->from = nvme->asked;
	q->len = len;
	nvme->asked += len;
	submit_read(nvme, q);
	return 0;
}

static int unmap_data(struct nvme *nvme, struct nvme_queue *q)
{
	int err = dma_unmap(&nvme->gd->domain, q->data_giova, q->len);

	q->len = 0;
	return err ? err : dma_sync(&nvme->gd->domain);
}

static int finish_read(struct nvme *nvme, struct nvme_queue *q)
{
	struct guest_io *io = nvme->gd->io;
	uint64_t ipa = q->data_ipa;
	uint32_t len = q->len;
	int err = complete(nvme, q, NULL), unmapped = unmap_data(nvme, q);

	if (err || unmapped)
		return err ? err : unmapped;
	q->data_ipa = nvme->spare_ipa;
	nvme->spare_ipa = ipa;
	io->bytes += len;
	return io->data(io->ctx, vmm_ram(nvme->gd->guest->base.vmm, ipa, len), len, io->bytes,
			nvme->blocks << nvme->block_shift);
}

static int nvme_begin(struct guest_device *gd)
{
	struct nvme *nvme = gd->priv;
	struct gmem *mem = &gd->guest->base.mem;
	uint64_t align = 1ull << gd->info.granule_shift;
	unsigned int i;
	int err;

	gd->io->is_disk = true;
	nvme->next = 0;
	nvme->asked = 0;
	nvme->buffer_size = nvme->max_transfer > align ? nvme->max_transfer : align;
	err = gmem_alloc(mem, nvme->buffer_size, align, &nvme->spare_ipa);
	for (i = 0; !err && i < nvme->n_io; i++)
		err = gmem_alloc(mem, nvme->buffer_size, align, &nvme->io[i].data_ipa);
	return err ? guest_fail(&gd->guest->base, err, "guest memory is used up") : 0;
}

/* Queues take turns, so what completes is in the disk's order. */
static int nvme_step(struct guest_device *gd)
{
	struct nvme *nvme = gd->priv;
	struct nvme_queue *q = &nvme->io[nvme->next];
	int err;

	nvme->next = (nvme->next + 1) % nvme->n_io;
	if (q->len) {
		err = finish_read(nvme, q);
		if (err)
			return err;
	}
	err = start_read(nvme, q);
	return err ? err : gd->io->bytes < nvme->blocks << nvme->block_shift;
}

static void free_buffer(struct nvme *nvme, uint64_t *ipa)
{
	if (*ipa)
		gmem_free(&nvme->gd->guest->base.mem, *ipa, nvme->buffer_size);
	*ipa = 0;
}

static void nvme_end(struct guest_device *gd)
{
	struct nvme *nvme = gd->priv;
	unsigned int i;
	int err = 0;

	for (i = 0; i < nvme->n_io; i++) {
		struct nvme_queue *q = &nvme->io[i];

		/*
		 * A controller that does not answer is stopped, and with it all that was in flight.
		 */
		if (q->len && !err) {
			err = complete(nvme, q, NULL);
			if (err)
				disable(nvme);
		}
		if (q->len)
			unmap_data(nvme, q);
		free_buffer(nvme, &q->data_ipa);
	}
	free_buffer(nvme, &nvme->spare_ipa);
}

static int nvme_restart(struct guest_device *gd)
{
	struct nvme *nvme = gd->priv;
	unsigned int granted = nvme->n_io, i;
	int err;

	err = disable(nvme);
	if (err)
		return err;
	guest_irq_cancel(gd);
	err = enable(nvme);
	if (!err)
		err = ask_for_queues(nvme, &granted);
	if (!err && granted < nvme->n_io)
		err = fail(nvme, -EIO, "it has fewer queues than before its reset");
	for (i = 0; !err && i < nvme->n_io; i++)
		err = create_queue(nvme, &nvme->io[i]);
	for (i = 0; !err && i < nvme->n_io; i++)
		if (nvme->io[i].len)
			submit_read(nvme, &nvme->io[i]);
	return err;
}

static void nvme_kick(struct guest_device *gd)
{
	struct nvme *nvme = gd->priv;
	uint32_t cmd[16] = { 0 };

	identify_command(cmd, NVME_CNS_CONTROLLER, nvme->page.giova);
	put(nvme, &nvme->admin, cmd);
}

static int nvme_kicked(struct guest_device *gd)
{
	struct nvme *nvme = gd->priv;
	uint16_t status;
	int err = reap(nvme, &nvme->admin, NULL, &status);

	return err || !status ? err : fail(nvme, -EIO, "Identify failed");
}

/*
 * Identify data, of which the first 8 bytes go to the end of the page that is not mapped: one
 * access. Whether the command fails by it is the controller's matter (QEMU's takes no notice).
 */
static int nvme_fault(struct guest_device *gd, uint64_t giova)
{
	struct nvme *nvme = gd->priv;
	uint32_t cmd[16] = { 0 };
	uint16_t status;

	guest_irq_wait(gd, 0);	/* with a single vector there may be I/O that uses it */
	identify_command(cmd, NVME_CNS_CONTROLLER, giova + NVME_PAGE - 8);
	set64(cmd + 8, nvme->page.giova);
	submit(nvme, &nvme->admin, cmd);
	guest_irq_wait(gd, 0);
	return reap(nvme, &nvme->admin, NULL, &status);
}

const struct guest_driver guest_driver_nvme = {
	.name = "nvme",
	.match = nvme_match,
	.start = nvme_start,
	.begin = nvme_begin,
	.step = nvme_step,
	.end = nvme_end,
	.restart = nvme_restart,
	.kick = nvme_kick,
	.kicked = nvme_kicked,
	.fault = nvme_fault,
	.stop = nvme_stop,
};
