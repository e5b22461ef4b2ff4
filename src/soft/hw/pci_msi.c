/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI and MSI-X: a message is a 32-bit memory write through the function's SMMU.
 *
 * A masked vector that is raised becomes pending; raising first sets the bit, then looks at the
 * mask again; unmasking first changes the mask, then looks at the bit; who clears the bit sends. So
 * no message is lost between the two, and none is sent twice.
 */
#include <endian.h>

#include "soft/hw/pci_priv.h"

/*
 * Whoever owns the table could change it between any two looks. After this many, the mixture is
 * sent that he made himself.
 */
#define SNAPSHOT_TRIES 4

struct message {
	uint64_t address;
	uint32_t data;
};

/*
 * Inside the RCU section in which it was found that it may be sent, and in which the caller runs
 * *@effect.
 */
static inline void send(struct pci_dev *dev, const struct message *message,
			struct bus_effect *effect)
{
	const struct pci_slot *slot = &dev->slot;
	struct smmu_txn txn = { .sid = slot->sid,
				.access = SMMU_WRITE,
				.addr = message->address & ~3ull };
	struct smmu_result res;

	/*
	 * A message that reaches nothing is lost without a trace, except for the event that the
	 * SMMU records.
	 */
	if (!slot->smmu)
		bus_post32(slot->bus, txn.addr, message->data, slot->device_id, effect);
	else if (!smmu_dev_translate(slot->smmu, &txn, &res))
		bus_post32(slot->bus, res.pa, message->data, slot->device_id, effect);
}

static bool may_send(const struct pci_dev *dev, uint32_t which)
{
	uint32_t mode = __atomic_load_n(&dev->mode, __ATOMIC_SEQ_CST);

	return (mode & (which | PCI_MODE_DMA | PCI_MODE_MSIX_MASKED)) == (which | PCI_MODE_DMA);
}

/* --- MSI-X --- */

/*
 * The message of an unmasked vector. Its owner masks it, changes address and data, and unmasks it;
 * the same address and data before and after a look at the mask that finds it unmasked are a
 * message that stood there, never a mixture of two.
 */
static inline bool msix_message(const struct pci_dev *dev, unsigned int vector, struct message *message)
{
	const struct msix_entry *entry = &dev->msix[vector];

	for (unsigned int i = 0; i < SNAPSHOT_TRIES; i++) {
		uint64_t address = __atomic_load_n(&entry->address, __ATOMIC_ACQUIRE);
		uint32_t data = __atomic_load_n(&entry->data, __ATOMIC_ACQUIRE);

		if (le32toh(__atomic_load_n(&entry->control, __ATOMIC_SEQ_CST)) & MSIX_ENTRY_MASKED)
			return false;
		*message = (struct message){ .address = le64toh(address), .data = le32toh(data) };
		if (__atomic_load_n(&entry->address, __ATOMIC_ACQUIRE) == address &&
		    __atomic_load_n(&entry->data, __ATOMIC_ACQUIRE) == data)
			break;
	}
	return true;
}

/* Pending bits are little-endian dwords in the BAR; a bit's byte is where it is on any machine. */
static uint8_t *pba_byte(const struct pci_dev *dev, unsigned int vector)
{
	return (uint8_t *)dev->pba + vector / 8;
}

static void msix_resend_vector(struct pci_dev *dev, unsigned int vector, struct bus_effect *effect)
{
	uint8_t bit = 1u << vector % 8;
	struct message message;

	if (!(__atomic_load_n(pba_byte(dev, vector), __ATOMIC_SEQ_CST) & bit))
		return;
	if (!may_send(dev, PCI_MODE_MSIX) || !msix_message(dev, vector, &message))
		return;
	if (__atomic_fetch_and(pba_byte(dev, vector), (uint8_t)~bit, __ATOMIC_SEQ_CST) & bit)
		send(dev, &message, effect);
}

static void msix_raise(struct pci_dev *dev, unsigned int vector, uint32_t mode,
		       struct bus_effect *effect)
{
	struct message message;

	if (vector >= dev->shape.msix_vectors)
		return;
	if (!(mode & PCI_MODE_MSIX_MASKED) && msix_message(dev, vector, &message)) {
		send(dev, &message, effect);
		return;
	}
	__atomic_fetch_or(pba_byte(dev, vector), (uint8_t)(1u << vector % 8), __ATOMIC_SEQ_CST);
	msix_resend_vector(dev, vector, effect);
}

static void msix_resend(struct pci_dev *dev)
{
	unsigned int bytes = (dev->shape.msix_vectors + 7) / 8;

	for (unsigned int byte = 0; byte < bytes; byte++) {
		uint8_t bits = __atomic_load_n(pba_byte(dev, byte * 8), __ATOMIC_SEQ_CST);

		for (unsigned int bit = 0; bits; bit++, bits >>= 1) {
			struct bus_effect effect = { 0 };

			if (bits & 1 && byte * 8 + bit < dev->shape.msix_vectors)
				msix_resend_vector(dev, byte * 8 + bit, &effect);
			bus_effect_run(&effect);
		}
	}
}

/* --- MSI --- */

/* As msix_message(). The vector's number goes into the low bits of the data. */
static bool msi_message(const struct pci_dev *dev, unsigned int vector, struct message *message)
{
	for (unsigned int i = 0; i < SNAPSHOT_TRIES; i++) {
		uint64_t address = __atomic_load_n(&dev->msi_address, __ATOMIC_ACQUIRE);
		uint32_t data = __atomic_load_n(&dev->msi_data, __ATOMIC_ACQUIRE);
		uint32_t count = __atomic_load_n(&dev->msi_count, __ATOMIC_ACQUIRE);

		if (__atomic_load_n(&dev->msi_mask, __ATOMIC_SEQ_CST) & 1u << vector)
			return false;
		*message = (struct message){ .address = address,
					     .data = (data & ~(count - 1)) | vector };
		if (__atomic_load_n(&dev->msi_address, __ATOMIC_ACQUIRE) == address &&
		    __atomic_load_n(&dev->msi_data, __ATOMIC_ACQUIRE) == data)
			break;
	}
	return true;
}

static void msi_resend_vector(struct pci_dev *dev, unsigned int vector, struct bus_effect *effect)
{
	struct message message;

	if (!may_send(dev, PCI_MODE_MSI) || !msi_message(dev, vector, &message))
		return;
	if (__atomic_fetch_and(&dev->msi_pending, ~(1u << vector), __ATOMIC_SEQ_CST) & 1u << vector)
		send(dev, &message, effect);
}

static void msi_raise(struct pci_dev *dev, unsigned int vector, struct bus_effect *effect)
{
	struct message message;

	if (vector >= dev->shape.msi_vectors)
		return;
	/* With fewer vectors granted than asked for, several share one (§6.1.4.4). */
	vector &= __atomic_load_n(&dev->msi_count, __ATOMIC_ACQUIRE) - 1;
	if (msi_message(dev, vector, &message)) {
		send(dev, &message, effect);
		return;
	}
	__atomic_fetch_or(&dev->msi_pending, 1u << vector, __ATOMIC_SEQ_CST);
	msi_resend_vector(dev, vector, effect);
}

static void msi_resend(struct pci_dev *dev)
{
	uint32_t bits = __atomic_load_n(&dev->msi_pending, __ATOMIC_SEQ_CST);

	for (unsigned int vector = 0; bits; vector++, bits >>= 1) {
		struct bus_effect effect = { 0 };

		if (bits & 1)
			msi_resend_vector(dev, vector, &effect);
		bus_effect_run(&effect);
	}
}

/* --- Both --- */

static inline void raise_vector(struct pci_dev *dev, unsigned int vector)
{
	struct bus_effect effect = { 0 };
	uint32_t mode;

	/* Nearly every message needs all three: fetched at once, not one after the other. */
	__builtin_prefetch(dev->slot.smmu);
	__builtin_prefetch(dev->slot.bus);
	__builtin_prefetch(dev->slot.its);

	hw_read_lock();
	mode = __atomic_load_n(&dev->mode, __ATOMIC_ACQUIRE);
	if (mode & PCI_MODE_DMA) {
		if (mode & PCI_MODE_MSIX)
			msix_raise(dev, vector, mode, &effect);
		else if (mode & PCI_MODE_MSI)
			msi_raise(dev, vector, &effect);
	}
	bus_effect_run(&effect);
	hw_read_unlock();
}

__attribute__((hot)) void pci_raise(struct pci_dev *dev, unsigned int vector)
{
	raise_vector(dev, vector);
}

__attribute__((hot)) void pci_raise_first(struct pci_dev *dev, unsigned int count)
{
	for (unsigned int vector = 0; vector < count; vector++)
		raise_vector(dev, vector);
}

void pci_resend(struct pci_dev *dev)
{
	hw_read_lock();
	if (may_send(dev, PCI_MODE_MSIX))
		msix_resend(dev);
	else if (may_send(dev, PCI_MODE_MSI))
		msi_resend(dev);
	hw_read_unlock();
}

void pci_msix_resend_vector(struct pci_dev *dev, unsigned int vector)
{
	struct bus_effect effect = { 0 };

	hw_read_lock();
	msix_resend_vector(dev, vector, &effect);
	bus_effect_run(&effect);
	hw_read_unlock();
}

void pci_msix_rescan(struct pci_dev *dev)
{
	/* A full barrier: the stores made to the table come before the look at what is pending. */
	__atomic_fetch_or(&dev->mode, 0, __ATOMIC_SEQ_CST);
	pci_resend(dev);
}

void pci_msi_reset(struct pci_dev *dev)
{
	__atomic_store_n(&dev->msi_pending, 0, __ATOMIC_SEQ_CST);
	for (unsigned int vector = 0; vector < dev->shape.msix_vectors; vector++) {
		struct msix_entry *entry = &dev->msix[vector];

		__atomic_store_n(&entry->control, htole32(MSIX_ENTRY_MASKED), __ATOMIC_SEQ_CST);
		__atomic_store_n(&entry->address, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&entry->data, 0, __ATOMIC_RELEASE);
		__atomic_store_n(pba_byte(dev, vector), 0, __ATOMIC_SEQ_CST);
	}
}
