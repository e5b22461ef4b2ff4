/* SPDX-License-Identifier: BSD-2-Clause */
/* From the state that is in force to another, all or nothing, with few ioctls. */
#include "lib/msi_parts.h"

#include <errno.h>

#include "abi/vfio.h"
#include "sys/error.h"
#include "sys/log.h"

typedef bool (*changed_fn)(const struct msi_state *now, const struct msi_state *to);

static bool address_changes(const struct msi_state *now, const struct msi_state *to)
{
	return to->fd >= 0 && (!now->addressed || now->address != to->address);
}

static bool fd_changes(const struct msi_state *now, const struct msi_state *to)
{
	return now->fd != to->fd;
}

/* An armed vector that gets another message altogether. */
static bool both_change(const struct msi_state *now, const struct msi_state *to)
{
	return now->fd >= 0 && address_changes(now, to) && fd_changes(now, to);
}

/*
 * Such a vector may be part of any run: nothing happens to it, or it is masked by its collector and
 * stays so; what comes meanwhile waits in the device or there. (Not so for MSI, where the kernel
 * has no mask bit to use.) Others that are armed and stay so must not be touched.
 */
static bool idle(const struct db_msi *msi, const struct msi_vector *vector,
		 const struct msi_state *to)
{
	const struct msi_state *now = &vector->now;

	if (now->fd != to->fd)
		return false;
	return now->fd == -1 || (msi->kind == DB_MSIX && now->fd == vector->collector &&
				 now->fd >= 0 && !address_changes(now, to));
}

/* The next run in [*start, end); its length, 0: there is none. */
static unsigned int find_run(struct db_msi *msi, unsigned int *start, unsigned int end,
			     const struct msi_state *to, changed_fn changed)
{
	unsigned int i, last;

	while (*start < end && !changed(&msi->vector[*start].now, &to[*start]))
		++*start;
	for (i = last = *start; i < end; i++) {
		if (changed(&msi->vector[i].now, &to[i]))
			last = i + 1;
		else if (!idle(msi, &msi->vector[i], &to[i]))
			break;
	}
	return last - *start;
}

/* The kernel unmasks what it arms or rewrites. */
int msi_mask_again(struct db_msi *msi, unsigned int start, unsigned int count)
{
	bool was_off, begun = false;
	unsigned int i;
	int ret;

	for (i = start; i < start + count; i++) {
		if (!msi->table.map || !msi->vector[i].masked || msi->vector[i].now.fd < 0)
			continue;
		if (!begun) {
			ret = table_begin(&msi->table, &was_off);
			if (ret)
				return ret;
			begun = true;
		}
		table_set_mask(&msi->table, i, true);
	}
	if (begun)
		table_end(&msi->table, was_off);
	return 0;
}

static int address_run(struct db_msi *msi, unsigned int start, unsigned int count,
		       const struct msi_state *to)
{
	unsigned int i;
	int ret;

	ret = msi->ops->set_addresses(msi, start, count, to);
	if (ret)
		return ret;
	/* MSI has one register for all vectors. */
	for (i = msi->kind == DB_MSI ? 0 : start;
	     i < (msi->kind == DB_MSI ? msi->count : start + count); i++) {
		msi->vector[i].now.address = to[msi->kind == DB_MSI ? start : i].address;
		msi->vector[i].now.addressed = true;
	}
	return msi_mask_again(msi, start, count);
}

static int disarm_run(struct db_msi *msi, unsigned int start, unsigned int count)
{
	int *fds = msi_request_data(msi);
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		fds[i] = -1;
		msi->vector[start + i].was_live =
			msi->vector[start + i].now.fd >= 0 && !msi->vector[start + i].masked;
	}
	ret = msi_set_irqs(msi, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, start,
			   count, count * sizeof(*fds));
	for (i = start; i < start + count; i++)
		msi_set_fd(msi, i, ret ? FD_UNKNOWN : -1);
	if (ret < 0)
		db_error_set(ret, "cannot disarm vectors [%u, %u) of %s", start, start + count,
			     msi->dev->address);
	return ret;
}

static int arm_run(struct db_msi *msi, unsigned int start, unsigned int count,
		   const struct msi_state *to)
{
	unsigned int i;
	int ret;

	for (i = start; i < start + count && msi->enabled; i++) {
		if (to[i].fd >= 0 && i >= msi->allocated) {
			db_error_set(-ENOSPC, "%s of %s was enabled with %u vectors: disarm all to "
				     "begin with more", msi_kind_name(msi->kind), msi->dev->address,
				     msi->allocated);
			return -ENOSPC;
		}
	}
	if (msi->ops->before_arm)
		msi->ops->before_arm(msi, start, count, to);
	ret = msi->enabled ? msi_trigger(msi, start, count, to, start, start + count) :
			     msi_enable_vectors(msi, start, count, to);
	/* After an error the kernel has disarmed what it came to, and left the others. */
	for (i = start; i < start + count; i++)
		msi_set_fd(msi, i, !ret ? to[i].fd : msi->enabled ? FD_UNKNOWN : -1);
	if (ret)
		return msi_explain_arm(msi, ret > 0 ? -ENOSPC : ret, start, count);
	if (msi->ops->after_arm)
		ret = msi->ops->after_arm(msi, start, count, to);
	return ret ? ret : msi_mask_again(msi, start, count);
}

static int go(struct db_msi *msi, unsigned int start, unsigned int end, const struct msi_state *to)
{
	unsigned int i, len;
	int ret;

	/*
	 * Of a vector that gets another address and another eventfd neither may come first: an
	 * interrupt in between would go to an address that the guest gave up, or to the old
	 * eventfd. While it is disarmed the device keeps it.
	 */
	for (i = start; msi->ops->set_addresses && (len = find_run(msi, &i, end, to, both_change));
	     i += len) {
		ret = disarm_run(msi, i, len);
		if (ret)
			return ret;
	}
	/* Addresses first: a vector must not be live for a moment without its own. */
	for (i = start;
	     msi->ops->set_addresses && (len = find_run(msi, &i, end, to, address_changes));
	     i += len) {
		ret = address_run(msi, i, len, to);
		if (ret)
			return ret;
	}
	for (i = start; (len = find_run(msi, &i, end, to, fd_changes)); i += len) {
		ret = arm_run(msi, i, len, to);
		if (ret)
			return ret;
	}
	return 0;
}

/* Puts things back as they were, as far as that goes. What it fails for is disarmed, so that
 * nothing fires that the caller does not expect. */
static void undo(struct db_msi *msi, unsigned int start, unsigned int end, bool was_enabled)
{
	unsigned int i;

	if (!was_enabled) {
		if (msi->enabled)
			msi_shut(msi);
		return;
	}
	if (!go(msi, start, end, msi->old))
		return;
	for (i = start; i < end; i++) {
		if (!fd_changes(&msi->vector[i].now, &msi->old[i]) &&
		    !(msi->ops->set_addresses &&
		      address_changes(&msi->vector[i].now, &msi->old[i])))
			continue;
		disarm_run(msi, i, 1);
		msi_set_fd(msi, i, -1);
		msi->vector[i].eventfd = -1;
		log_say(DB_LOG_WARNING, "%s vector %u of %s could not be put back as it was: it is "
			"disarmed", msi_kind_name(msi->kind), i, msi->dev->address);
	}
}

/* Brings vectors [start, start + count) to msi->want. */
int msi_apply(struct db_msi *msi, unsigned int start, unsigned int count)
{
	bool was_enabled = msi->enabled;
	unsigned int i, end = start + count;
	struct error_saved cause;
	int ret;

	for (i = start; i < end; i++)
		msi->old[i] = msi->vector[i].now;
	ret = go(msi, start, end, msi->want);
	if (!ret)
		return 0;
	error_save(&cause);
	undo(msi, start, end, was_enabled);
	error_restore(&cause);
	return ret;
}

/* What the kernel is to signal for vector @index when its eventfd is @eventfd. */
int msi_target_fd(struct db_msi *msi, unsigned int index, int eventfd)
{
	return eventfd >= 0 && msi->vector[index].masked && !msi->table.map ?
		       msi->vector[index].collector :
		       eventfd;
}
