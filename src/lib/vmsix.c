/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSI-X table, PBA and Message Control that a guest sees (PCIe 7.7.2, 6.1.4). A vector is live
 * while MSI-X is enabled, the function is not masked and its entry is not masked. Only when it
 * becomes live is the guest's message looked at: while it is masked, software may write it in
 * parts.
 */
#include <doorbell/msi.h>

#include <errno.h>
#include <stdlib.h>

#include "lib/msi.h"
#include "lib/vmsix.h"
#include "sys/error.h"

#define CONTROL_ENABLE 0x8000u
#define CONTROL_FUNCTION_MASK 0x4000u
#define CONTROL_TABLE_SIZE 0x07ffu

/* Message Address [1:0] must be 0 (7.7.2.5) and read so here. */
#define ADDRESS_LOW_MASK 0xfffffffcu

struct vmsix_vector {
	uint64_t address;
	uint32_t data;
	bool masked;
	bool connected;		/* fd delivers (address, data) */
	bool fresh;		/* connected, and not yet committed */
	int fd;			/* -1: none */
};

struct db_vmsix {
	struct db_msi *msi;
	struct db_msi_guest_ops ops;
	void *ctx;
	unsigned int count;
	pthread_mutex_t lock;	/* what follows; held while ops are called */
	bool enabled, function_masked;
	/* A change of all vectors failed: the next write of Message Control tries it again. */
	bool incomplete;
	struct vmsix_vector *vector;
	struct db_msi_vector *scratch;
	bool *selected;		/* scratch for msi_mask_selected() */
};

static bool live(const struct db_vmsix *vmsix, const struct vmsix_vector *vector)
{
	return vmsix->enabled && !vmsix->function_masked && !vector->masked;
}

static void clear_vectors(struct db_vmsix *vmsix)
{
	unsigned int i;

	for (i = 0; i < vmsix->count; i++)
		vmsix->vector[i] = (struct vmsix_vector){ .masked = true, .fd = -1 };
}

static void release(struct db_vmsix *vmsix)
{
	free(vmsix->vector);
	free(vmsix->scratch);
	free(vmsix->selected);
	free(vmsix);
}

int db_vmsix_create(struct db_msi *msi, const struct db_msi_guest_ops *ops, void *ctx,
		    struct db_vmsix **out)
{
	struct db_vmsix *vmsix;
	int ret;

	if (msi->kind != DB_MSIX) {
		db_error_set(-EINVAL, "a virtual MSI-X table needs a db_msi of kind MSI-X");
		return -EINVAL;
	}
	vmsix = calloc(1, sizeof(*vmsix));
	if (!vmsix)
		goto no_memory;
	vmsix->vector = calloc(msi->count, sizeof(*vmsix->vector));
	vmsix->scratch = calloc(msi->count, sizeof(*vmsix->scratch));
	vmsix->selected = calloc(msi->count, sizeof(*vmsix->selected));
	if (!vmsix->vector || !vmsix->scratch || !vmsix->selected)
		goto no_memory;
	ret = msi_guest_ops(&vmsix->ops, ops);
	if (ret)
		goto release;
	vmsix->msi = msi;
	vmsix->ctx = ctx;
	vmsix->count = msi->count;
	clear_vectors(vmsix);
	pthread_mutex_init(&vmsix->lock, NULL);
	*out = vmsix;
	return 0;

no_memory:
	ret = -ENOMEM;
	db_error_set(ret, "no memory for a virtual MSI-X table");
release:
	if (vmsix)
		release(vmsix);
	return ret;
}

static void disconnect(struct db_vmsix *vmsix, unsigned int index)
{
	struct vmsix_vector *vector = &vmsix->vector[index];

	if (!vector->connected || !vmsix->ops.disconnect)
		return;
	vmsix->ops.disconnect(vmsix->ctx, index);
	vector->connected = false;
}

static void disable(struct db_vmsix *vmsix)
{
	unsigned int i;

	vmsix->enabled = false;
	vmsix->incomplete = false;
	msi_disable(vmsix->msi);
	/* What the VMM does not disconnect it has connected still when the guest enables MSI-X
	 * again. */
	for (i = 0; i < vmsix->count; i++)
		disconnect(vmsix, i);
}

void db_vmsix_reset(struct db_vmsix *vmsix)
{
	pthread_mutex_lock(&vmsix->lock);
	disable(vmsix);
	vmsix->function_masked = false;
	clear_vectors(vmsix);
	pthread_mutex_unlock(&vmsix->lock);
}

void db_vmsix_destroy(struct db_vmsix *vmsix)
{
	if (!vmsix)
		return;
	disable(vmsix);
	pthread_mutex_destroy(&vmsix->lock);
	release(vmsix);
}

/* Asks the VMM for the eventfd of the guest's message, unless it gave one for this very message. */
static int connect_vector(struct db_vmsix *vmsix, unsigned int index)
{
	struct vmsix_vector *vector = &vmsix->vector[index];
	struct db_msi_route route;
	int fd;

	if (vector->connected)
		return 0;
	msi_route(vmsix->msi, vector->address, vector->data, &route);
	fd = vmsix->ops.connect(vmsix->ctx, index, &route);
	if (fd < 0) {
		vector->fd = -1;
		db_error_set(fd, "the VMM does not connect vector %u (address 0x%llx, data 0x%x)",
			     index, (unsigned long long)vector->address, vector->data);
		return fd;
	}
	vector->connected = true;
	vector->fresh = true;
	vector->fd = fd;
	return 0;
}

/* What of [start, start + count) was connected since is in force now, or is not connected. */
static int commit(struct db_vmsix *vmsix, unsigned int start, unsigned int count)
{
	struct vmsix_vector *vector;
	bool fresh = false;
	unsigned int i;
	int ret = 0;

	for (i = start; i < start + count; i++)
		fresh |= vmsix->vector[i].fresh;
	if (fresh && vmsix->ops.commit)
		ret = vmsix->ops.commit(vmsix->ctx);
	for (i = start; i < start + count && fresh; i++) {
		vector = &vmsix->vector[i];
		if (vector->fresh && ret < 0) {
			vector->connected = false;
			vector->fd = -1;
		}
		vector->fresh = false;
	}
	if (ret < 0)
		db_error_set(ret, "the VMM does not connect vectors among [%u, %u)", start,
			     start + count);
	return ret < 0 ? ret : 0;
}

static int activate(struct db_vmsix *vmsix, unsigned int index)
{
	struct vmsix_vector *vector = &vmsix->vector[index];
	struct db_msi_vector armed;
	int ret, refused, failed;

	/* Without a connection there is no eventfd: what the vector delivered before, for another
	 * message, it must not any more. */
	refused = connect_vector(vmsix, index);
	failed = commit(vmsix, index, 1);
	refused = refused ? refused : failed;
	armed = (struct db_msi_vector){ .address = vector->address, .eventfd = vector->fd };
	ret = db_msi_set(vmsix->msi, index, 1, &armed);
	if (ret) {
		disconnect(vmsix, index);
		vector->connected = false;
		return ret;
	}
	return refused ? refused : msi_mask(vmsix->msi, index, 1, false);
}

static int deactivate(struct db_vmsix *vmsix, unsigned int index)
{
	int ret;

	ret = msi_mask(vmsix->msi, index, 1, true);
	disconnect(vmsix, index);
	return ret;
}

/* Masks or unmasks all of which the entries are not masked. */
static int mask_unmasked(struct db_vmsix *vmsix, bool masked)
{
	unsigned int i;

	for (i = 0; i < vmsix->count; i++)
		vmsix->selected[i] = !vmsix->vector[i].masked;
	return msi_mask_selected(vmsix->msi, vmsix->selected, masked);
}

/* Nothing of it is in force: whatever is written next, they are connected and armed anew. */
static void forget_unmasked(struct db_vmsix *vmsix)
{
	unsigned int i;

	for (i = 0; i < vmsix->count; i++) {
		if (vmsix->vector[i].masked)
			continue;
		disconnect(vmsix, i);
		vmsix->vector[i].connected = false;
	}
}

/* All that are not masked become live at once: one change of all vectors. Masked ones stay as they
 * are. */
static int activate_all(struct db_vmsix *vmsix)
{
	struct vmsix_vector *vector;
	int ret, refused = 0;
	unsigned int i;

	for (i = 0; i < vmsix->count; i++) {
		if (vmsix->vector[i].masked)
			continue;
		ret = connect_vector(vmsix, i);
		refused = refused ? refused : ret;
	}
	ret = commit(vmsix, 0, vmsix->count);
	refused = refused ? refused : ret;
	for (i = 0; i < vmsix->count; i++) {
		vector = &vmsix->vector[i];
		vmsix->scratch[i] = vector->masked ? msi_current(vmsix->msi, i) :
			(struct db_msi_vector){ .address = vector->address, .eventfd = vector->fd };
	}
	ret = db_msi_set(vmsix->msi, 0, vmsix->count, vmsix->scratch);
	if (!ret)
		ret = mask_unmasked(vmsix, false);
	vmsix->incomplete = ret;
	if (ret)
		forget_unmasked(vmsix);
	return refused ? refused : ret;
}

static int deactivate_all(struct db_vmsix *vmsix)
{
	unsigned int i;
	int ret;

	vmsix->incomplete = false;
	ret = mask_unmasked(vmsix, true);
	for (i = 0; i < vmsix->count; i++)
		disconnect(vmsix, i);
	return ret;
}

static int enable(struct db_vmsix *vmsix)
{
	int ret = 0, held;

	vmsix->enabled = true;
	if (!vmsix->function_masked)
		ret = activate_all(vmsix);
	/* When no vector was armed by that, the capability is enabled without. */
	held = msi_enable(vmsix->msi);
	return ret ? ret : held;
}

static int change_control(struct db_vmsix *vmsix, bool enabled, bool function_masked)
{
	bool was_live = vmsix->enabled && !vmsix->function_masked;

	vmsix->function_masked = function_masked;
	if (enabled != vmsix->enabled) {
		if (enabled)
			return enable(vmsix);
		disable(vmsix);
		return 0;
	}
	if (!enabled || (was_live == !function_masked && !vmsix->incomplete))
		return 0;
	return function_masked ? deactivate_all(vmsix) : activate_all(vmsix);
}

int vmsix_resume(struct db_vmsix *vmsix)
{
	int ret = 0;

	pthread_mutex_lock(&vmsix->lock);
	if (vmsix->enabled)
		ret = enable(vmsix);
	pthread_mutex_unlock(&vmsix->lock);
	return ret;
}

uint16_t db_vmsix_control_read(struct db_vmsix *vmsix)
{
	uint16_t value;

	pthread_mutex_lock(&vmsix->lock);
	value = ((vmsix->count - 1) & CONTROL_TABLE_SIZE) | (vmsix->enabled ? CONTROL_ENABLE : 0) |
		(vmsix->function_masked ? CONTROL_FUNCTION_MASK : 0);
	pthread_mutex_unlock(&vmsix->lock);
	return value;
}

int db_vmsix_control_write(struct db_vmsix *vmsix, uint16_t value)
{
	int ret;

	pthread_mutex_lock(&vmsix->lock);
	ret = change_control(vmsix, value & CONTROL_ENABLE, value & CONTROL_FUNCTION_MASK);
	pthread_mutex_unlock(&vmsix->lock);
	return ret;
}

static bool access_valid(uint64_t offset, unsigned int size, uint64_t end)
{
	return (size == 4 || size == 8) && !(offset & (size - 1)) && offset < end &&
	       size <= end - offset;
}

static uint32_t read_dword(const struct vmsix_vector *vector, unsigned int field)
{
	switch (field) {
	case MSIX_ENTRY_ADDRESS:
		return vector->address;
	case MSIX_ENTRY_ADDRESS_HIGH:
		return vector->address >> 32;
	case MSIX_ENTRY_DATA:
		return vector->data;
	default:
		return vector->masked ? MSIX_ENTRY_MASKED : 0;
	}
}

uint64_t db_vmsix_table_read(struct db_vmsix *vmsix, uint64_t offset, unsigned int size)
{
	const struct vmsix_vector *vector;
	uint64_t value;

	if (!access_valid(offset, size, (uint64_t)vmsix->count * MSIX_ENTRY))
		return ~0ull;
	pthread_mutex_lock(&vmsix->lock);
	vector = &vmsix->vector[offset / MSIX_ENTRY];
	value = read_dword(vector, offset % MSIX_ENTRY);
	if (size == 8)
		value |= (uint64_t)read_dword(vector, offset % MSIX_ENTRY + 4) << 32;
	pthread_mutex_unlock(&vmsix->lock);
	return value;
}

static void write_dword(struct vmsix_vector *vector, unsigned int field, uint32_t value)
{
	switch (field) {
	case MSIX_ENTRY_ADDRESS:
		vector->address = (vector->address & ~0xffffffffull) | (value & ADDRESS_LOW_MASK);
		break;
	case MSIX_ENTRY_ADDRESS_HIGH:
		vector->address = (vector->address & 0xffffffffull) | (uint64_t)value << 32;
		break;
	case MSIX_ENTRY_DATA:
		vector->data = value;
		break;
	default:
		vector->masked = value & MSIX_ENTRY_MASKED;
	}
}

static int write_entry(struct db_vmsix *vmsix, unsigned int index, unsigned int field,
		       unsigned int size, uint64_t value)
{
	struct vmsix_vector *vector = &vmsix->vector[index], before = *vector;
	bool was_live = live(vmsix, vector);

	write_dword(vector, field, value);
	if (size == 8)
		write_dword(vector, field + 4, value >> 32);
	if (vector->address != before.address || vector->data != before.data)
		vector->connected = false;
	if (!live(vmsix, vector)) {
		if (was_live)
			return deactivate(vmsix, index);
		return vector->address == before.address ? 0 : msi_park(vmsix->msi, index);
	}
	/* A vector that could not be connected is tried again at each write. */
	return was_live && vector->connected ? 0 : activate(vmsix, index);
}

int db_vmsix_table_write(struct db_vmsix *vmsix, uint64_t offset, unsigned int size, uint64_t value)
{
	int ret;

	if (!access_valid(offset, size, (uint64_t)vmsix->count * MSIX_ENTRY))
		return 0;
	pthread_mutex_lock(&vmsix->lock);
	ret = write_entry(vmsix, offset / MSIX_ENTRY, offset % MSIX_ENTRY, size, value);
	pthread_mutex_unlock(&vmsix->lock);
	return ret;
}

uint64_t db_vmsix_pba_read(struct db_vmsix *vmsix, uint64_t offset, unsigned int size)
{
	uint64_t bits;

	if (!access_valid(offset, size, (vmsix->count + 63ull) / 64 * 8))
		return ~0ull;
	bits = msi_pending(vmsix->msi, offset / 8 * 64);
	return size == 8 ? bits : (uint32_t)(bits >> (offset % 8 * 8));
}
