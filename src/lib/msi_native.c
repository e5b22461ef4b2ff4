/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mode native: the kernel is told each vector's gIOVA and composes the message of it and its own
 * data (abi/native.h). Where the message goes is not its concern: that the doorbell is mapped, and
 * the right one, is seen to here and in space.c.
 */
#include "lib/msi.h"

#include <errno.h>
#include <string.h>

#include "abi/vfio.h"
#include "abi/native.h"
#include "lib/bytes.h"
#include "lib/doorbell.h"
#include "lib/space.h"
#include "sys/error.h"

/* The kernel takes these bits from the doorbell's offset. */
#define LOW_BITS 0xfffull

/* PCIe 7.7.1: Message Address and, in 64-bit capabilities, Message Upper Address. */
#define PCI_MSI_ADDRESS 4
#define PCI_MSI_ADDRESS_HIGH 8

static uint32_t irq_flags(const struct db_msi *msi)
{
	return msi->kind == DB_MSIX ? msi->dev->msix_irq_flags : msi->dev->msi_irq_flags;
}

static int native_start(struct db_msi *msi)
{
	uint64_t within = msi->caps.doorbell.offset & ~LOW_BITS;
	int ret;

	if (msi->fall_through && !(irq_flags(msi) & VFIO_IRQ_INFO_MSI_IOVA_DEVICE)) {
		db_error_set(-EOPNOTSUPP, "this kernel does not take addresses from the registers "
			     "of %s: leave fall_through out", msi->dev->address);
		return -EOPNOTSUPP;
	}
	if (msi->fall_through && msi->kind == DB_MSIX && !msi->table.map) {
		db_error_set(-EOPNOTSUPP, "fall_through needs an MSI-X table that can be mapped; "
			     "BAR %u of %s cannot be", msi->dev->msix.table_bar, msi->dev->address);
		return -EOPNOTSUPP;
	}
	/* On hosts with large pages the register may lie further in: then the pages begin before
	 * what the guest sees as its page. */
	if (msi->doorbell_ipa < within) {
		db_error_set(-EINVAL, "the doorbell lies 0x%llx bytes into its host page, which "
			     "would have to begin below IPA 0", (unsigned long long)within);
		return -EINVAL;
	}
	msi->mapped_ipa = msi->doorbell_ipa - within;
	ret = db_space_map_doorbell(msi->space, msi->dev, msi->mapped_ipa);
	msi->mapped = !ret;
	if (!ret)
		doorbell_window_take(msi->dev);
	return ret;
}

static void native_stop(struct db_msi *msi)
{
	msi_set_irqs(msi, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_PREPARE, 0, 0, 0);
	if (msi->mapped) {
		db_space_unmap_doorbell(msi->space, msi->dev, msi->mapped_ipa);
		doorbell_window_give(msi->dev);
	}
}

/* Bytes of the data before the addresses. */
#define MSI_IOVA_HEAD \
	(offsetof(struct vfio_irq_set_msi_iova, iova) - offsetof(struct vfio_irq_set, data))

static int explain(struct db_msi *msi, int error, unsigned int start, unsigned int count)
{
	if (error == -EOPNOTSUPP)
		db_error_set(error, "the kernel takes no addresses for the interrupts of %s",
			     msi->dev->address);
	else if (error == -EIO)
		db_error_set(error, "the messages of %s cannot be rewritten: it does not answer "
			     "(powered down, or gone)", msi->dev->address);
	else
		db_error_set(error, "cannot give vectors [%u, %u) of %s their addresses", start,
			     start + count, msi->dev->address);
	return error;
}

static int hand_over(struct db_msi *msi, unsigned int start, unsigned int count,
		     const struct msi_state *to)
{
	struct vfio_irq_set_msi_iova *set = msi->request;
	unsigned int i;
	int ret;

	set->__reserved = 0;
	for (i = 0; i < count; i++)
		set->iova[i] = to[start + i].address;
	ret = msi_set_irqs(msi, VFIO_IRQ_SET_DATA_MSI_IOVA | VFIO_IRQ_SET_ACTION_PREPARE, start,
			   count, MSI_IOVA_HEAD + count * sizeof(set->iova[0]));
	return ret < 0 ? explain(msi, ret, start, count) : 0;
}

static int write_table(struct db_msi *msi, unsigned int start, unsigned int count,
		       const struct msi_state *to)
{
	const struct msi_vector *vector;
	bool was_off;
	unsigned int i;
	int ret;

	ret = table_begin(&msi->table, &was_off);
	if (ret)
		return ret;
	for (i = start; i < start + count; i++) {
		vector = &msi->vector[i];
		table_set_address(&msi->table, i, to[i].address,
				  vector->now.fd < 0 || vector->masked);
	}
	table_end(&msi->table, was_off);
	return 0;
}

static int write_capability(struct db_msi *msi, uint64_t address)
{
	uint8_t bytes[8];
	unsigned int i, size = msi->dev->msi_64bit ? 8 : 4;
	ssize_t ret;

	put64(bytes, address);
	for (i = 0; i < size; i += 4) {
		ret = db_device_config_write(msi->dev, bytes + i, 4,
					     msi->dev->cap_msi + PCI_MSI_ADDRESS + i);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* The address goes where the guest would write it, and the kernel reads it from there. */
static int fall_through(struct db_msi *msi, unsigned int start, unsigned int count,
			const struct msi_state *to)
{
	uint8_t *take = msi_request_data(msi);
	unsigned int i;
	int ret;

	ret = msi->kind == DB_MSIX ? write_table(msi, start, count, to) :
				     write_capability(msi, to[start].address);
	if (ret)
		return ret;
	memset(take, 1, count);
	ret = msi_set_irqs(msi, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_PREPARE, start, count,
			   count);
	if (ret >= 0)
		return 0;
	/* They stand in the device all the same: what is to be in force is written anew. */
	for (i = start; i < start + count; i++)
		msi->vector[i].now.addressed = false;
	return explain(msi, ret, start, count);
}

static int native_set_addresses(struct db_msi *msi, unsigned int start, unsigned int count,
				const struct msi_state *to)
{
	if (!space_has_doorbell(msi->space, msi->dev)) {
		db_error_set(-ENXIO, "the doorbell of %s is not mapped any more: its interrupts "
			     "would not arrive", msi->dev->address);
		return -ENXIO;
	}
	if (msi->kind == DB_MSI) {
		/* One register for all vectors, which is vector 0's to the kernel. */
		to += start;
		start = 0;
		count = 1;
	}
	return msi->fall_through ? fall_through(msi, start, count, to) :
				   hand_over(msi, start, count, to);
}

const struct msi_mode_ops msi_native_ops = {
	.start = native_start,
	.stop = native_stop,
	.set_addresses = native_set_addresses,
};
