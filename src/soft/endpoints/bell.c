/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/endpoints/bell.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>

#include "soft/alloc.h"

#define BELL_MAGIC 0x4c4c4542u	/* "BELL" */
#define BELL_NO_VECTOR UINT32_MAX
#define BELL_LEN_MAX (1u << 20)

#define BELL_CLASS 0x088000	/* base system peripheral, other */
#define BELL_REGISTERS 4096
#define BELL_MSIX_BAR 2
#define BELL_MSIX_BAR_SIZE 65536
#define BELL_PBA 0x8000

enum bell_status {
	BELL_DONE,
	BELL_READ_ABORTED,
	BELL_WRITE_ABORTED,
	BELL_BAD_LEN,
};

struct bell {
	struct pci_dev *dev;
	unsigned int vectors;
	uint64_t rung;		/* atomic */

	/* Covers the DMA engine. Vectors are raised without it, from any thread at once. */
	pthread_mutex_t lock;
	uint64_t src, dst;
	uint32_t len, status;
	char *buffer;		/* BELL_LEN_MAX bytes */
};

static void ring(struct bell *bell, uint32_t vector)
{
	if (vector >= bell->vectors)
		return;
	__atomic_fetch_add(&bell->rung, 1, __ATOMIC_RELAXED);
	pci_raise(bell->dev, vector);
}

static void ring_first(struct bell *bell, uint32_t count)
{
	if (count > bell->vectors)
		count = bell->vectors;
	__atomic_fetch_add(&bell->rung, count, __ATOMIC_RELAXED);
	pci_raise_first(bell->dev, count);
}

static enum bell_status copy(struct bell *bell)
{
	if (bell->len > BELL_LEN_MAX)
		return BELL_BAD_LEN;
	if (pci_dma_read(bell->dev, bell->src, bell->buffer, bell->len))
		return BELL_READ_ABORTED;
	if (pci_dma_write(bell->dev, bell->dst, bell->buffer, bell->len))
		return BELL_WRITE_ABORTED;
	return BELL_DONE;
}

static void go(struct bell *bell, uint32_t vector)
{
	pthread_mutex_lock(&bell->lock);
	bell->status = copy(bell);
	pthread_mutex_unlock(&bell->lock);
	if (vector != BELL_NO_VECTOR)
		ring(bell, vector);
}

static uint64_t bell_read(void *state, unsigned int bar, uint64_t off, unsigned int size)
{
	struct bell *bell = state;
	uint64_t value = 0;

	if (bar || size < 4)
		return 0;
	pthread_mutex_lock(&bell->lock);
	switch (off & ~7ull) {
	case BELL_ID:
		value = BELL_MAGIC | (uint64_t)bell->vectors << 32;
		break;
	case BELL_SRC:
		value = bell->src;
		break;
	case BELL_DST:
		value = bell->dst;
		break;
	case BELL_LEN:
		value = bell->len;
		break;
	case BELL_STATUS:
		value = bell->status | (uint64_t)pci_intx_asserted(bell->dev) << 32;
		break;
	case BELL_RUNG:
		value = __atomic_load_n(&bell->rung, __ATOMIC_RELAXED);
		break;
	}
	pthread_mutex_unlock(&bell->lock);
	if (size == 8)
		return value;
	return off & 4 ? value >> 32 : value & UINT32_MAX;
}

/* @value into the half of *@reg at @off, or into all of it. */
static void write_wide(struct bell *bell, uint64_t *reg, uint64_t off, unsigned int size,
		       uint64_t value)
{
	pthread_mutex_lock(&bell->lock);
	if (size == 8)
		*reg = value;
	else if (off & 4)
		*reg = (*reg & UINT32_MAX) | value << 32;
	else
		*reg = (*reg & ~(uint64_t)UINT32_MAX) | (value & UINT32_MAX);
	pthread_mutex_unlock(&bell->lock);
}

static void bell_write(void *state, unsigned int bar, uint64_t off, unsigned int size,
		       uint64_t value)
{
	struct bell *bell = state;

	if (bar || size < 4)
		return;
	switch (off) {
	case BELL_SRC:
	case BELL_SRC + 4:
		write_wide(bell, &bell->src, off, size, value);
		return;
	case BELL_DST:
	case BELL_DST + 4:
		write_wide(bell, &bell->dst, off, size, value);
		return;
	}
	/* The others have 32 bits. */
	if (size != 4)
		return;
	switch (off) {
	case BELL_RING:
		ring(bell, value);
		break;
	case BELL_RINGS:
		ring_first(bell, value);
		break;
	case BELL_LEN:
		pthread_mutex_lock(&bell->lock);
		bell->len = value;
		pthread_mutex_unlock(&bell->lock);
		break;
	case BELL_GO:
		go(bell, value);
		break;
	case BELL_INTX:
		pci_set_intx(bell->dev, value & 1);
		break;
	}
}

static void bell_reset(void *state)
{
	struct bell *bell = state;

	pthread_mutex_lock(&bell->lock);
	bell->src = bell->dst = 0;
	bell->len = bell->status = 0;
	__atomic_store_n(&bell->rung, 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&bell->lock);
	pci_set_intx(bell->dev, false);
}

static void bell_destroy(void *state)
{
	struct bell *bell = state;

	pthread_mutex_destroy(&bell->lock);
	soft_free(bell->buffer);
	soft_free(bell);
}

static const struct pci_model bell_model = {
	.name = "bell",
	.bar_read = bell_read,
	.bar_write = bell_write,
	.reset = bell_reset,
	.destroy = bell_destroy,
};

int bell_create(const struct pci_slot *slot, const struct bell_config *config, struct pci_dev **out)
{
	struct pci_shape shape = {
		.vendor = BELL_VENDOR,
		.device = BELL_DEVICE,
		.class_code = BELL_CLASS,
		.bar_size = { [0] = BELL_REGISTERS },
		.msix_vectors = config->msix_vectors,
		.msi_vectors = config->msi_vectors,
		.msi_64bit = !config->msi_narrow,
		.msi_maskable = true,
		.intx = config->intx,
	};
	struct bell *bell;
	int err;

	if (!config->msix_vectors == !config->msi_vectors)
		return -EINVAL;
	if (config->msix_vectors) {
		shape.bar_size[BELL_MSIX_BAR] = BELL_MSIX_BAR_SIZE;
		shape.msix_bar = BELL_MSIX_BAR;
		shape.msix_pba_off = BELL_PBA;
	}
	bell = soft_calloc(1, sizeof(*bell));
	if (!bell)
		return -ENOMEM;
	bell->vectors = config->msix_vectors ? config->msix_vectors : config->msi_vectors;
	pthread_mutex_init(&bell->lock, NULL);
	bell->buffer = soft_calloc(1, BELL_LEN_MAX);
	if (!bell->buffer) {
		bell_destroy(bell);
		return -ENOMEM;
	}
	err = pci_dev_create(slot, &shape, &bell_model, bell, out);
	if (!err)
		bell->dev = *out;
	return err;
}
