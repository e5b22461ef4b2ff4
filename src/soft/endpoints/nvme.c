/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller's life and registers (NVMe §3.1, §7.6). */
#include "soft/endpoints/nvme.h"

#include <errno.h>
#include <string.h>

#include "soft/alloc.h"
#include "soft/endpoints/nvme_priv.h"

#define NVME_CLASS 0x010802
#define NVME_VENDOR 0x1d1d
#define NVME_DEVICE 0x0bad
#define NVME_BAR_SIZE 16384
#define NVME_MSIX_TABLE 0x2000
#define NVME_MSIX_PBA 0x3000

#define CAP                                                                                        \
	(NVME_CAP_MQES(NVME_QUEUE_ENTRIES) | NVME_CAP_CQR | NVME_CAP_TO(10) | NVME_CAP_CSS_NVM |   \
	 NVME_CAP_MPSMAX(NVME_PAGE_BITS_MAX - NVME_PAGE_BITS))

/* --- Enable and disable: under nvme->lock --- */

/* Ends every queue. Commands under way finish first, since their queue locks are waited for. */
static void stop(struct nvme *nvme)
{
	for (unsigned int i = 0; i <= nvme->io_queues; i++) {
		pthread_mutex_lock(&nvme->sq[i].lock);
		nvme->sq[i].live = false;
		pthread_mutex_unlock(&nvme->sq[i].lock);
	}
	for (unsigned int i = 0; i <= nvme->io_queues; i++) {
		pthread_mutex_lock(&nvme->cq[i].lock);
		nvme->cq[i].live = false;
		pthread_mutex_unlock(&nvme->cq[i].lock);
	}
	__atomic_store_n(&nvme->csts, 0, __ATOMIC_SEQ_CST);
}

static bool may_start(const struct nvme *nvme)
{
	return NVME_PAGE_BITS + NVME_CC_MPS(nvme->cc) <= NVME_PAGE_BITS_MAX &&
	       !NVME_CC_CSS(nvme->cc) && !NVME_CC_AMS(nvme->cc) && NVME_AQA_ASQS(nvme->aqa) >= 2 &&
	       NVME_AQA_ACQS(nvme->aqa) >= 2;
}

static void start(struct nvme *nvme)
{
	if (!may_start(nvme)) {
		nvme_fail(nvme);
		return;
	}
	pthread_mutex_lock(&nvme->sq[0].lock);
	nvme->page_bits = NVME_PAGE_BITS + NVME_CC_MPS(nvme->cc);
	pthread_mutex_lock(&nvme->cq[0].lock);
	nvme_cq_start(&nvme->cq[0], nvme->acq, NVME_AQA_ACQS(nvme->aqa), 0, true);
	nvme->cq[0].users = 1;
	pthread_mutex_unlock(&nvme->cq[0].lock);
	nvme_sq_start(&nvme->sq[0], nvme->asq, NVME_AQA_ASQS(nvme->aqa), 0);
	nvme_admin_start(nvme);
	pthread_mutex_unlock(&nvme->sq[0].lock);
	__atomic_fetch_or(&nvme->csts, NVME_CSTS_RDY, __ATOMIC_SEQ_CST);
}

static void write_cc(struct nvme *nvme, uint32_t cc)
{
	uint32_t old = nvme->cc;

	nvme->cc = cc;
	pthread_mutex_lock(&nvme->sq[0].lock);
	nvme->queue_formats_valid =
		NVME_CC_IOSQES(cc) == NVME_SQE_BITS && NVME_CC_IOCQES(cc) == NVME_CQE_BITS;
	pthread_mutex_unlock(&nvme->sq[0].lock);
	if (cc & NVME_CC_EN && !(old & NVME_CC_EN))
		start(nvme);
	else if (!(cc & NVME_CC_EN) && old & NVME_CC_EN)
		stop(nvme);
	/* A shutdown has nothing left to write: it is complete at once. */
	if (NVME_CC_SHN(cc))
		__atomic_fetch_or(&nvme->csts, NVME_CSTS_SHST_DONE, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&nvme->csts, ~NVME_CSTS_SHST, __ATOMIC_SEQ_CST);
}

/* --- Registers --- */

static uint64_t low_page_bits_clear(uint64_t base)
{
	return base & ~((1ull << NVME_PAGE_BITS) - 1);
}

/* The aligned eight bytes at @off. */
static uint64_t registers(struct nvme *nvme, uint64_t off)
{
	switch (off) {
	case NVME_CAP:
		return CAP;
	case NVME_VS:		/* and INTMS, which is not used with MSI-X */
		return NVME_VS_1_4;
	case NVME_INTMC:	/* and CC */
		return (uint64_t)nvme->cc << 32;
	case NVME_CSTS & ~7:
		return (uint64_t)__atomic_load_n(&nvme->csts, __ATOMIC_SEQ_CST) << 32;
	case NVME_AQA & ~7:
		return (uint64_t)nvme->aqa << 32;
	case NVME_ASQ:
		return nvme->asq;
	case NVME_ACQ:
		return nvme->acq;
	default:
		return 0;
	}
}

static uint64_t nvme_read(void *state, unsigned int bar, uint64_t off, unsigned int size)
{
	struct nvme *nvme = state;
	uint64_t value;

	(void)bar;
	pthread_mutex_lock(&nvme->lock);
	value = registers(nvme, off & ~7ull);
	pthread_mutex_unlock(&nvme->lock);
	value >>= off % 8 * 8;
	return size == 8 ? value : value & ((1ull << size * 8) - 1);
}

static void write_half(uint64_t *reg, bool high, uint32_t value)
{
	if (high)
		*reg = (*reg & UINT32_MAX) | (uint64_t)value << 32;
	else
		*reg = (*reg & ~(uint64_t)UINT32_MAX) | value;
	*reg = low_page_bits_clear(*reg);
}

static void write_register(struct nvme *nvme, uint64_t off, uint32_t value)
{
	/* The admin queue's registers are read when the controller is enabled. */
	switch (off) {
	case NVME_CC:
		write_cc(nvme, value);
		break;
	case NVME_AQA:
		nvme->aqa = value;
		break;
	case NVME_ASQ:
	case NVME_ASQ + 4:
		write_half(&nvme->asq, off & 4, value);
		break;
	case NVME_ACQ:
	case NVME_ACQ + 4:
		write_half(&nvme->acq, off & 4, value);
		break;
	}
}

static void ring_doorbell(struct nvme *nvme, uint64_t off, uint32_t value)
{
	unsigned int n = (off - NVME_DOORBELLS) / 4;

	/* Bits [31:16] are reserved. */
	if (n % 2)
		nvme_cq_head(nvme, n / 2, value & 0xffff);
	else
		nvme_sq_tail(nvme, n / 2, value & 0xffff);
}

static void nvme_write(void *state, unsigned int bar, uint64_t off, unsigned int size,
		       uint64_t value)
{
	struct nvme *nvme = state;

	(void)bar;
	if (off >= NVME_DOORBELLS) {
		if (size == 4 && off < NVME_MSIX_TABLE)
			ring_doorbell(nvme, off, value);
		return;
	}
	if (size < 4)
		return;
	pthread_mutex_lock(&nvme->lock);
	write_register(nvme, off, value);
	if (size == 8)
		write_register(nvme, off + 4, value >> 32);
	pthread_mutex_unlock(&nvme->lock);
}

/* --- Life --- */

static void nvme_reset(void *state)
{
	struct nvme *nvme = state;

	pthread_mutex_lock(&nvme->lock);
	stop(nvme);
	nvme->cc = nvme->aqa = 0;
	nvme->asq = nvme->acq = 0;
	pthread_mutex_unlock(&nvme->lock);
}

static void nvme_destroy(void *state)
{
	struct nvme *nvme = state;

	for (unsigned int i = 0; nvme->sq && i <= nvme->io_queues; i++) {
		pthread_mutex_destroy(&nvme->sq[i].lock);
		soft_free(nvme->sq[i].bounce);
	}
	for (unsigned int i = 0; nvme->cq && i <= nvme->io_queues; i++)
		pthread_mutex_destroy(&nvme->cq[i].lock);
	soft_free(nvme->sq);
	soft_free(nvme->cq);
	nvme_disk_close(&nvme->disk);
	pthread_mutex_destroy(&nvme->lock);
	soft_free(nvme);
}

static const struct pci_model nvme_model = {
	.name = "nvme",
	.bar_read = nvme_read,
	.bar_write = nvme_write,
	.reset = nvme_reset,
	.destroy = nvme_destroy,
};

static int make_queues(struct nvme *nvme)
{
	size_t count = nvme->io_queues + 1;

	nvme->sq = soft_calloc_aligned(count, sizeof(*nvme->sq), 64);
	nvme->cq = soft_calloc_aligned(count, sizeof(*nvme->cq), 64);
	if (!nvme->sq || !nvme->cq) {
		/* Nothing in them to be undone. */
		soft_free(nvme->sq);
		soft_free(nvme->cq);
		nvme->sq = NULL;
		nvme->cq = NULL;
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < count; i++) {
		nvme->sq[i].id = i;
		pthread_mutex_init(&nvme->sq[i].lock, NULL);
		pthread_mutex_init(&nvme->cq[i].lock, NULL);
	}
	for (unsigned int i = 1; i < count && !nvme->disk.memory; i++) {
		nvme->sq[i].bounce = soft_calloc(1, NVME_TRANSFER_MAX);
		if (!nvme->sq[i].bounce)
			return -ENOMEM;
	}
	return 0;
}

int nvme_create(const struct pci_slot *slot, const struct nvme_config *config, struct pci_dev **out)
{
	const struct pci_shape shape = {
		.vendor = NVME_VENDOR,
		.device = NVME_DEVICE,
		.class_code = NVME_CLASS,
		.bar_size = { [0] = NVME_BAR_SIZE },
		.msix_vectors = config->io_queues + 1,
		.msix_table_off = NVME_MSIX_TABLE,
		.msix_pba_off = NVME_MSIX_PBA,
	};
	struct nvme *nvme;
	int err;

	if (!config->io_queues || config->io_queues > 255)
		return -EINVAL;
	nvme = soft_calloc(1, sizeof(*nvme));
	if (!nvme)
		return -ENOMEM;
	nvme->io_queues = config->io_queues;
	nvme->disk.fd = -1;
	pthread_mutex_init(&nvme->lock, NULL);
	err = nvme_disk_open(&nvme->disk, config);
	if (!err)
		err = make_queues(nvme);
	if (err) {
		nvme_destroy(nvme);
		return err;
	}
	err = pci_dev_create(slot, &shape, &nvme_model, nvme, out);
	if (!err)
		nvme->dev = *out;
	return err;
}
