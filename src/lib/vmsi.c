/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSI capability that a guest sees (PCIe 7.7.1). It has the shape of the device's own: 32 or 64
 * bits of address, with or without a mask bit for each vector. While it is enabled all its vectors
 * are armed, masked ones with their interrupts held back: the device is told how many it has when
 * it is enabled, once.
 */
#include <doorbell/msi.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/msi.h"
#include "lib/vmsix.h"
#include "sys/error.h"

#define CAPABILITY_ID 0x05
#define MSI_VECTORS 32
#define MSI_SIZE 24

#define CONTROL_ENABLE 0x0001u
#define CONTROL_CAPABLE_SHIFT 1
#define CONTROL_ENABLED_SHIFT 4
#define CONTROL_ENABLED_MASK 0x0070u
#define CONTROL_64BIT 0x0080u
#define CONTROL_MASKABLE 0x0100u
#define ADDRESS 4
#define ADDRESS_LOW_MASK 0xfffffffcu

struct db_vmsi {
	struct db_msi *msi;
	struct db_msi_guest_ops ops;
	void *ctx;
	unsigned int log2_count;
	/* Offsets; mask_at and pending_at are beyond size if they are not there. */
	unsigned int data_at, mask_at, pending_at, size;
	pthread_mutex_t lock;		/* what follows; held while ops are called */
	uint16_t control;		/* Enable and Multiple Message Enable */
	uint64_t address;
	uint16_t data;
	uint32_t mask;
	unsigned int armed;		/* vectors while enabled, else 0 */
	uint32_t connected, fresh;	/* fresh: connected, and not yet committed */
	int fd[MSI_VECTORS];
};

int db_vmsi_create(struct db_msi *msi, const struct db_msi_guest_ops *ops, void *ctx,
		   struct db_vmsi **out)
{
	bool wide = msi->dev->msi_64bit, maskable = msi->dev->msi_maskable;
	struct db_vmsi *vmsi;
	int ret;

	if (msi->kind != DB_MSI || msi->count > MSI_VECTORS) {
		db_error_set(-EINVAL, "a virtual MSI capability needs a db_msi of kind MSI");
		return -EINVAL;
	}
	vmsi = calloc(1, sizeof(*vmsi));
	if (!vmsi) {
		db_error_set(-ENOMEM, "no memory for a virtual MSI capability");
		return -ENOMEM;
	}
	ret = msi_guest_ops(&vmsi->ops, ops);
	if (ret) {
		free(vmsi);
		return ret;
	}
	vmsi->msi = msi;
	vmsi->ctx = ctx;
	while (2u << vmsi->log2_count <= msi->count)
		vmsi->log2_count++;
	vmsi->data_at = ADDRESS + (wide ? 8 : 4);
	vmsi->mask_at = vmsi->data_at + 4;
	vmsi->pending_at = vmsi->mask_at + 4;
	vmsi->size = maskable ? vmsi->pending_at + 4 : vmsi->data_at + 2;
	pthread_mutex_init(&vmsi->lock, NULL);
	*out = vmsi;
	return 0;
}

static void disconnect(struct db_vmsi *vmsi, unsigned int index)
{
	if (!(vmsi->connected >> index & 1) || !vmsi->ops.disconnect)
		return;
	vmsi->ops.disconnect(vmsi->ctx, index);
	vmsi->connected &= ~(1u << index);
}

static void disarm(struct db_vmsi *vmsi)
{
	unsigned int i;

	msi_disable(vmsi->msi);
	for (i = 0; i < vmsi->armed; i++)
		disconnect(vmsi, i);
	vmsi->connected = 0;
	vmsi->armed = 0;
}

void db_vmsi_reset(struct db_vmsi *vmsi)
{
	pthread_mutex_lock(&vmsi->lock);
	disarm(vmsi);
	vmsi->control = 0;
	vmsi->address = 0;
	vmsi->data = 0;
	vmsi->mask = 0;
	pthread_mutex_unlock(&vmsi->lock);
}

void db_vmsi_destroy(struct db_vmsi *vmsi)
{
	if (!vmsi)
		return;
	disarm(vmsi);
	pthread_mutex_destroy(&vmsi->lock);
	free(vmsi);
}

static int connect_vector(struct db_vmsi *vmsi, unsigned int index, unsigned int count)
{
	/* 7.7.1.5: the function replaces the low bits of the data by the number of the vector. */
	uint32_t data = (vmsi->data & ~(count - 1)) | index;
	struct db_msi_route route;
	int fd;

	if (vmsi->connected >> index & 1)
		return 0;
	msi_route(vmsi->msi, vmsi->address, data, &route);
	fd = vmsi->ops.connect(vmsi->ctx, index, &route);
	if (fd < 0) {
		db_error_set(fd, "the VMM does not connect vector %u (address 0x%llx, data 0x%x)",
			     index, (unsigned long long)vmsi->address, data);
		return fd;
	}
	vmsi->fd[index] = fd;
	vmsi->connected |= 1u << index;
	vmsi->fresh |= 1u << index;
	return 0;
}

/* What was connected since is in force now, or is not connected. */
static int commit_routes(struct db_vmsi *vmsi)
{
	int ret = 0;

	if (vmsi->fresh && vmsi->ops.commit)
		ret = vmsi->ops.commit(vmsi->ctx);
	if (ret < 0) {
		vmsi->connected &= ~vmsi->fresh;
		db_error_set(ret, "the VMM does not connect vectors 0x%x", vmsi->fresh);
	}
	vmsi->fresh = 0;
	return ret < 0 ? ret : 0;
}

/* Arms the vectors that the guest enabled, or gives them another message. */
static int arm(struct db_vmsi *vmsi)
{
	unsigned int log2 = (vmsi->control & CONTROL_ENABLED_MASK) >> CONTROL_ENABLED_SHIFT;
	unsigned int i, count;
	struct db_msi_vector vectors[MSI_VECTORS];
	int ret, first_error = 0;

	/* More than the device is capable of, or a reserved encoding: as many as it has. The number
	 * holds until it is disabled. */
	log2 = log2 < vmsi->log2_count ? log2 : vmsi->log2_count;
	count = vmsi->armed ? vmsi->armed : 1u << log2;
	vmsi->armed = count;
	for (i = 0; i < count; i++) {
		ret = connect_vector(vmsi, i, count);
		if (ret && !first_error)
			first_error = ret;
		msi_mask(vmsi->msi, i, 1, vmsi->mask >> i & 1);
	}
	ret = commit_routes(vmsi);
	first_error = first_error ? first_error : ret;
	for (i = 0; i < count; i++)
		vectors[i] = (struct db_msi_vector){
			.address = vmsi->address,
			.eventfd = vmsi->connected >> i & 1 ? vmsi->fd[i] : -1,
		};
	ret = db_msi_set(vmsi->msi, 0, count, vectors);
	if (ret) {
		disarm(vmsi);
		return ret;
	}
	return first_error;
}

static int unmask(struct db_vmsi *vmsi, unsigned int index)
{
	struct db_msi_vector vector = { .address = vmsi->address };
	int ret;

	ret = connect_vector(vmsi, index, vmsi->armed);
	if (!ret)
		ret = commit_routes(vmsi);
	if (ret)
		return ret;
	vector.eventfd = vmsi->fd[index];
	ret = db_msi_set(vmsi->msi, index, 1, &vector);
	return ret ? ret : msi_mask(vmsi->msi, index, 1, false);
}

static int change_mask(struct db_vmsi *vmsi, uint32_t before)
{
	uint32_t changed = before ^ vmsi->mask;
	int ret = 0, first_error = 0;
	unsigned int i;

	for (i = 0; i < vmsi->armed; i++) {
		if (!(changed >> i & 1))
			continue;
		if (vmsi->mask >> i & 1) {
			ret = msi_mask(vmsi->msi, i, 1, true);
			disconnect(vmsi, i);
		} else {
			ret = unmask(vmsi, i);
		}
		if (ret && !first_error)
			first_error = ret;
	}
	return first_error;
}

/* The registers as they read. */
static void image(struct db_vmsi *vmsi, uint8_t bytes[MSI_SIZE + 4])
{
	uint16_t control = vmsi->control | vmsi->log2_count << CONTROL_CAPABLE_SHIFT;
	uint32_t pending;

	memset(bytes, 0, MSI_SIZE + 4);
	if (vmsi->data_at > ADDRESS + 4) {
		control |= CONTROL_64BIT;
		put32(bytes + ADDRESS + 4, vmsi->address >> 32);
	}
	put32(bytes + ADDRESS, vmsi->address);
	put32(bytes + vmsi->data_at, vmsi->data);
	if (vmsi->pending_at < vmsi->size) {
		control |= CONTROL_MASKABLE;
		pending = vmsi->armed ? msi_pending(vmsi->msi, 0) : 0;
		put32(bytes + vmsi->mask_at, vmsi->mask);
		put32(bytes + vmsi->pending_at, pending & vmsi->mask);
	}
	put32(bytes, CAPABILITY_ID | (uint32_t)control << 16);
}

static bool access_valid(const struct db_vmsi *vmsi, unsigned int offset, unsigned int size)
{
	return (size == 1 || size == 2 || size == 4) && !(offset & (size - 1)) &&
	       offset < ((vmsi->size + 3) & ~3u);
}

uint32_t db_vmsi_read(struct db_vmsi *vmsi, unsigned int offset, unsigned int size)
{
	uint8_t bytes[MSI_SIZE + 4];
	uint32_t value = 0;
	unsigned int i;

	if (!access_valid(vmsi, offset, size))
		return ~0u;
	pthread_mutex_lock(&vmsi->lock);
	image(vmsi, bytes);
	pthread_mutex_unlock(&vmsi->lock);
	for (i = 0; i < size; i++)
		value |= (uint32_t)bytes[offset + i] << (8 * i);
	return value;
}

/* Takes over what may be written of the image. */
static int commit(struct db_vmsi *vmsi, const uint8_t bytes[MSI_SIZE + 4])
{
	uint16_t control = (get32(bytes) >> 16) & (CONTROL_ENABLE | CONTROL_ENABLED_MASK);
	uint64_t address = get32(bytes + ADDRESS) & ADDRESS_LOW_MASK;
	uint32_t mask = vmsi->mask;
	uint16_t data = get32(bytes + vmsi->data_at);
	bool changed;

	if (vmsi->data_at > ADDRESS + 4)
		address |= (uint64_t)get32(bytes + ADDRESS + 4) << 32;
	changed = address != vmsi->address || data != vmsi->data;
	vmsi->address = address;
	vmsi->data = data;
	vmsi->control = control;
	if (vmsi->pending_at < vmsi->size)
		vmsi->mask = get32(bytes + vmsi->mask_at);
	if (!(control & CONTROL_ENABLE)) {
		if (vmsi->armed)
			disarm(vmsi);
		return 0;
	}
	if (changed)
		vmsi->connected = 0;
	if (!vmsi->armed || changed)
		return arm(vmsi);
	return change_mask(vmsi, mask);
}

int vmsi_resume(struct db_vmsi *vmsi)
{
	int ret = 0;

	pthread_mutex_lock(&vmsi->lock);
	if (vmsi->control & CONTROL_ENABLE)
		ret = arm(vmsi);
	pthread_mutex_unlock(&vmsi->lock);
	return ret;
}

int db_vmsi_write(struct db_vmsi *vmsi, unsigned int offset, unsigned int size, uint32_t value)
{
	uint8_t bytes[MSI_SIZE + 4];
	unsigned int i;
	int ret;

	if (!access_valid(vmsi, offset, size))
		return 0;
	pthread_mutex_lock(&vmsi->lock);
	image(vmsi, bytes);
	for (i = 0; i < size; i++)
		bytes[offset + i] = value >> (8 * i);
	ret = commit(vmsi, bytes);
	pthread_mutex_unlock(&vmsi->lock);
	return ret;
}
