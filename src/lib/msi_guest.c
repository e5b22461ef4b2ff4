/* SPDX-License-Identifier: BSD-2-Clause */
/* What the virtual capabilities need: enabling, masking, and what is pending. */
#include "lib/msi_parts.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "lib/bytes.h"
#include "lib/sized.h"
#include "sys/error.h"

struct db_msi_vector msi_current(struct db_msi *msi, unsigned int index)
{
	struct db_msi_vector vector = { 0 };

	pthread_mutex_lock(&msi->lock);
	vector.address = msi->vector[index].now.address;
	vector.eventfd = msi->vector[index].eventfd;
	pthread_mutex_unlock(&msi->lock);
	return vector;
}

int msi_enable(struct db_msi *msi)
{
	unsigned int i;
	int ret = 0;

	pthread_mutex_lock(&msi->lock);
	msi->hold = true;
	if (!msi->enabled) {
		for (i = 0; i < msi->count; i++)
			msi->want[i].fd = -1;
		ret = msi_enable_vectors(msi, 0, 1, msi->want);
		if (ret)
			msi_explain_arm(msi, ret, 0, 1);
	}
	pthread_mutex_unlock(&msi->lock);
	return ret;
}

void msi_disable(struct db_msi *msi)
{
	eventfd_t stale;
	unsigned int i;

	pthread_mutex_lock(&msi->lock);
	msi->hold = false;
	if (msi->enabled)
		msi_shut(msi);
	for (i = 0; i < msi->count; i++) {
		/* What waited for its vector to be unmasked goes with the enable bit. */
		if (msi->vector[i].masked && msi->vector[i].collector >= 0)
			eventfd_read(msi->vector[i].collector, &stale);
		msi->vector[i].eventfd = -1;
		msi->vector[i].masked = false;
	}
	pthread_mutex_unlock(&msi->lock);
}

/* What was collected while the vector was masked is delivered, as one: a pending bit counts no
 * higher. */
static void deliver_collected(struct msi_vector *vector)
{
	eventfd_t count;

	if (!eventfd_read(vector->collector, &count))
		eventfd_write(vector->eventfd, 1);
}

static bool is_selected(const bool *selected, unsigned int index)
{
	return !selected || selected[index];
}

static int mask_in_table(struct db_msi *msi, unsigned int start, unsigned int count,
			 const bool *selected, bool masked)
{
	unsigned int i, armed = 0;
	bool was_off;
	int ret;

	for (i = start; i < start + count; i++)
		armed += is_selected(selected, i) && msi->vector[i].now.fd >= 0;
	if (!armed)
		return 0;
	ret = table_begin(&msi->table, &was_off);
	if (ret)
		return ret;
	for (i = start; i < start + count; i++) {
		if (is_selected(selected, i) && msi->vector[i].now.fd >= 0)
			table_set_mask(&msi->table, i, masked);
	}
	table_end(&msi->table, was_off);
	return 0;
}

static int mask_by_collector(struct db_msi *msi, unsigned int start, unsigned int count,
			     const bool *selected, bool masked)
{
	unsigned int i;
	int ret;

	for (i = start; i < start + count; i++) {
		msi->want[i] = msi->vector[i].now;
		msi->want[i].fd = msi_target_fd(msi, i, msi->vector[i].eventfd);
	}
	ret = msi_apply(msi, start, count);
	for (i = start; i < start + count && !ret && !masked; i++) {
		if (is_selected(selected, i) && msi->vector[i].eventfd >= 0)
			deliver_collected(&msi->vector[i]);
	}
	return ret;
}

static int mask(struct db_msi *msi, unsigned int start, unsigned int count, const bool *selected,
		bool masked)
{
	unsigned int i;
	int ret;

	pthread_mutex_lock(&msi->lock);
	for (i = start; i < start + count; i++)
		if (is_selected(selected, i))
			msi->vector[i].masked = masked;
	ret = msi->table.map ? mask_in_table(msi, start, count, selected, masked) :
			       mask_by_collector(msi, start, count, selected, masked);
	pthread_mutex_unlock(&msi->lock);
	return ret;
}

int msi_mask(struct db_msi *msi, unsigned int start, unsigned int count, bool masked)
{
	return mask(msi, start, count, NULL, masked);
}

int msi_mask_selected(struct db_msi *msi, const bool *selected, bool masked)
{
	return mask(msi, 0, msi->count, selected, masked);
}

int msi_guest_ops(struct db_msi_guest_ops *to, const struct db_msi_guest_ops *from)
{
	int ret;

	ret = sized_take(to, sizeof(*to), from, "db_msi_guest_ops");
	if (!ret && !to->connect) {
		ret = -EINVAL;
		db_error_set(ret, "a virtual capability needs db_msi_guest_ops.connect");
	}
	return ret;
}

void msi_route(const struct db_msi *msi, uint64_t giova, uint32_t data, struct db_msi_route *route)
{
	/* The same in gIOVA and IPA whatever the granule of the guest's stage 1. */
	const uint64_t in_page = 0xfff;

	*route = (struct db_msi_route){
		.size = sizeof(*route),
		.doorbell = (msi->doorbell_ipa & ~in_page) | (giova & in_page),
		.giova = giova,
		.data = data,
	};
}

int msi_park(struct db_msi *msi, unsigned int index)
{
	static const struct db_msi_vector none = { .eventfd = -1 };
	int ret = 0;

	pthread_mutex_lock(&msi->lock);
	if (!msi->table.map && msi->ops->set_addresses && msi->vector[index].now.fd >= 0)
		ret = msi_set_vectors(msi, index, 1, &none);
	pthread_mutex_unlock(&msi->lock);
	return ret;
}

uint64_t msi_device_pending(struct db_msi *msi, unsigned int first)
{
	const struct device_msix *msix = &msi->dev->msix;
	uint64_t offset = msix->pba_offset + first / 8;
	uint8_t bytes[8];

	if (msi->kind != DB_MSIX || !msi->enabled)
		return 0;
	if (db_device_bar_read(msi->dev, msix->pba_bar, bytes, sizeof(bytes), offset) !=
	    (ssize_t)sizeof(bytes))
		return 0;
	return get64(bytes);
}

uint64_t msi_pending(struct db_msi *msi, unsigned int first)
{
	unsigned int i, n = msi->count - first < 64 ? msi->count - first : 64;
	struct pollfd collectors[64];
	uint64_t bits;

	pthread_mutex_lock(&msi->lock);
	bits = msi_device_pending(msi, first);
	for (i = 0; i < n; i++)
		collectors[i] = (struct pollfd){ .fd = msi->vector[first + i].collector,
						  .events = POLLIN };
	if (!msi->table.map && poll(collectors, n, 0) > 0) {
		for (i = 0; i < n; i++)
			bits |= (uint64_t)!!(collectors[i].revents & POLLIN) << i;
	}
	pthread_mutex_unlock(&msi->lock);
	return n < 64 ? bits & ((1ull << n) - 1) : bits;
}
