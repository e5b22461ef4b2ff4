/* SPDX-License-Identifier: BSD-2-Clause */
/* A PCI function's life, its BARs, and its reset. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "soft/alloc.h"
#include "soft/hw/pci_priv.h"

#define PAGE 4096u

/* --- Life --- */

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static bool table_fits(const struct pci_shape *shape)
{
	uint64_t table = (uint64_t)shape->msix_vectors * PCI_MSIX_ENTRY_SIZE;
	uint64_t pba = (shape->msix_vectors + 63) / 64 * 8;
	uint64_t size;

	if (shape->msix_vectors > PCI_MSIX_MAX || shape->msix_bar >= PCI_BARS)
		return false;
	size = shape->bar_size[shape->msix_bar];
	if ((shape->msix_table_off | shape->msix_pba_off) % PAGE)
		return false;
	if (shape->msix_table_off + table > size || shape->msix_pba_off + pba > size)
		return false;
	return shape->msix_table_off + table <= shape->msix_pba_off ||
	       shape->msix_pba_off + pba <= shape->msix_table_off;
}

static bool is_valid(const struct pci_shape *shape)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		if (shape->bar_size[i] &&
		    (!is_power_of_two(shape->bar_size[i]) || shape->bar_size[i] < PAGE))
			return false;
	}
	if (shape->msi_vectors && (!is_power_of_two(shape->msi_vectors) || shape->msi_vectors > 32))
		return false;
	return !shape->msix_vectors || table_fits(shape);
}

static int make_msix_memory(struct pci_dev *dev)
{
	const struct pci_shape *shape = &dev->shape;
	void *memory;

	dev->bar_size = shape->bar_size[shape->msix_bar];
	dev->memfd = memfd_create("pci-bar", MFD_CLOEXEC);
	if (dev->memfd < 0 || ftruncate(dev->memfd, dev->bar_size))
		return -errno;
	memory = mmap(NULL, dev->bar_size, PROT_READ | PROT_WRITE, MAP_SHARED, dev->memfd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	dev->bar_memory = memory;
	dev->msix = (struct msix_entry *)(dev->bar_memory + shape->msix_table_off);
	dev->pba = (uint64_t *)(dev->bar_memory + shape->msix_pba_off);
	pci_msi_reset(dev);
	return 0;
}

static void free_memory(struct pci_dev *dev)
{
	if (dev->bar_memory)
		munmap(dev->bar_memory, dev->bar_size);
	if (dev->memfd >= 0)
		close(dev->memfd);
	pthread_mutex_destroy(&dev->config_lock);
	pthread_mutex_destroy(&dev->intx_lock);
	soft_free(dev);
}

int pci_dev_create(const struct pci_slot *slot, const struct pci_shape *shape,
		   const struct pci_model *model, void *state, struct pci_dev **out)
{
	struct pci_dev *dev = NULL;
	int err = -EINVAL;

	if (!is_valid(shape))
		goto destroy_state;
	err = -ENOMEM;
	dev = soft_calloc(1, sizeof(*dev));
	if (!dev)
		goto destroy_state;
	*dev = (struct pci_dev){
		.slot = *slot,
		.shape = *shape,
		.model = model,
		.state = state,
		.memfd = -1,
		.msi_count = 1,
	};
	pthread_mutex_init(&dev->config_lock, NULL);
	pthread_mutex_init(&dev->intx_lock, NULL);
	if (shape->msix_vectors) {
		err = make_msix_memory(dev);
		if (err)
			goto free_memory;
	}
	pci_config_init(dev);
	*out = dev;
	return 0;

free_memory:
	free_memory(dev);
destroy_state:
	model->destroy(state);
	return err;
}

void pci_dev_destroy(struct pci_dev *dev)
{
	if (!dev)
		return;
	/* Nothing leaves the function any more, and what was leaving has arrived. */
	__atomic_store_n(&dev->mode, 0, __ATOMIC_SEQ_CST);
	hw_synchronize();
	dev->model->destroy(dev->state);
	free_memory(dev);
}

const struct pci_slot *pci_dev_slot(const struct pci_dev *dev)
{
	return &dev->slot;
}

const struct pci_shape *pci_dev_shape(const struct pci_dev *dev)
{
	return &dev->shape;
}

const struct pci_model *pci_dev_model(const struct pci_dev *dev)
{
	return dev->model;
}

void pci_dev_reset(struct pci_dev *dev)
{
	/*
	 * Bus mastering is off from here: the model's work under way fails at its next access, so
	 * its reset does not wait long.
	 */
	pci_config_reset(dev);
	hw_synchronize();
	dev->model->reset(dev->state);
	pci_msi_reset(dev);
}

/* --- INTx --- */

void pci_set_intx(struct pci_dev *dev, bool asserted)
{
	if (!dev->shape.intx)
		return;
	pthread_mutex_lock(&dev->intx_lock);
	__atomic_store_n(&dev->intx, asserted, __ATOMIC_SEQ_CST);
	if (dev->intx_changed)
		dev->intx_changed(dev->intx_ctx);
	pthread_mutex_unlock(&dev->intx_lock);
}

void pci_intx_hook(struct pci_dev *dev, void (*changed)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&dev->intx_lock);
	dev->intx_changed = changed;
	dev->intx_ctx = ctx;
	pthread_mutex_unlock(&dev->intx_lock);
}

bool pci_intx_asserted(const struct pci_dev *dev)
{
	return __atomic_load_n(&dev->intx, __ATOMIC_SEQ_CST);
}

void pci_thread_exit(void)
{
	hw_rcu_unregister();
}

/* --- BARs --- */

enum bar_part {
	BAR_NOTHING,
	BAR_MODEL,
	BAR_TABLE,
	BAR_PBA,
};

static enum bar_part find_part(const struct pci_dev *dev, unsigned int bar, uint64_t off,
			       unsigned int size)
{
	const struct pci_shape *shape = &dev->shape;

	if (bar >= PCI_BARS || (size != 1 && size != 2 && size != 4 && size != 8) || off % size)
		return BAR_NOTHING;
	if (off >= shape->bar_size[bar])
		return BAR_NOTHING;
	if (!shape->msix_vectors || bar != shape->msix_bar)
		return BAR_MODEL;
	if (off >= shape->msix_table_off &&
	    off - shape->msix_table_off < shape->msix_vectors * PCI_MSIX_ENTRY_SIZE)
		return BAR_TABLE;
	if (off >= shape->msix_pba_off &&
	    off - shape->msix_pba_off < (shape->msix_vectors + 63) / 64 * 8)
		return BAR_PBA;
	return BAR_MODEL;
}

static uint32_t *dword_at(const struct pci_dev *dev, uint64_t off)
{
	return (uint32_t *)(dev->bar_memory + (off & ~3ull));
}

static uint64_t memory_read(const struct pci_dev *dev, uint64_t off, unsigned int size)
{
	uint64_t value = le32toh(__atomic_load_n(dword_at(dev, off), __ATOMIC_SEQ_CST));

	if (size == 8)
		return value |
		       (uint64_t)le32toh(__atomic_load_n(dword_at(dev, off + 4), __ATOMIC_SEQ_CST))
			       << 32;
	value >>= off % 4 * 8;
	return size == 4 ? value : value & ((1ull << size * 8) - 1);
}

static void table_write_dword(struct pci_dev *dev, uint64_t off, uint32_t value)
{
	uint64_t at = off - dev->shape.msix_table_off;
	uint32_t old;

	if (at % PCI_MSIX_ENTRY_SIZE != 12) {
		__atomic_store_n(dword_at(dev, off), htole32(value), __ATOMIC_SEQ_CST);
		return;
	}
	value &= MSIX_ENTRY_MASKED;
	old = le32toh(__atomic_exchange_n(dword_at(dev, off), htole32(value), __ATOMIC_SEQ_CST));
	if (!value)
		pci_msix_resend_vector(dev, at / PCI_MSIX_ENTRY_SIZE);
	else if (!(old & MSIX_ENTRY_MASKED))
		hw_synchronize();
}

uint64_t pci_bar_read(struct pci_dev *dev, unsigned int bar, uint64_t off, unsigned int size)
{
	switch (find_part(dev, bar, off, size)) {
	case BAR_MODEL:
		return dev->model->bar_read ? dev->model->bar_read(dev->state, bar, off, size) : 0;
	case BAR_TABLE:
	case BAR_PBA:
		return memory_read(dev, off, size);
	default:
		return ~0ull;
	}
}

void pci_bar_write(struct pci_dev *dev, unsigned int bar, uint64_t off, unsigned int size,
		   uint64_t value)
{
	switch (find_part(dev, bar, off, size)) {
	case BAR_MODEL:
		if (dev->model->bar_write)
			dev->model->bar_write(dev->state, bar, off, size, value);
		break;
	case BAR_TABLE:
		/* Dwords and aligned quadwords only (§7.7.2); the PBA is read-only. */
		if (size < 4)
			break;
		table_write_dword(dev, off, value);
		if (size == 8)
			table_write_dword(dev, off + 4, value >> 32);
		break;
	default:
		break;
	}
}

int pci_bar_memfd(struct pci_dev *dev, unsigned int bar, int *memfd)
{
	if (!dev->shape.msix_vectors || bar != dev->shape.msix_bar)
		return -EOPNOTSUPP;
	*memfd = dev->memfd;
	return 0;
}
