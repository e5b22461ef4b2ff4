/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/msi.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "abi/vfio.h"
#include "abi/native.h"
#include "lib/bytes.h"
#include "lib/sized.h"
#include "sys/error.h"
#include "sys/log.h"

/* now.fd of a vector about which a failed ioctl leaves us in doubt. */
#define FD_UNKNOWN (-2)

static const struct msi_mode_ops *const mode_ops[DB_MODE_COUNT] = {
	[DB_MODE_NATIVE] = &msi_native_ops,
	[DB_MODE_STOCK] = &msi_stock_ops,
	[DB_MODE_RMR] = &msi_rmr_ops,
};

static const char *kind_name(enum db_msi_kind kind)
{
	return kind == DB_MSIX ? "MSI-X" : "MSI";
}

/* --- The ioctl --- */

void *msi_request_data(struct db_msi *msi)
{
	return ((struct vfio_irq_set *)msi->request)->data;
}

int msi_set_irqs(struct db_msi *msi, uint32_t flags, unsigned int start, unsigned int count,
		 size_t size)
{
	struct vfio_irq_set *set = msi->request;

	set->argsz = sizeof(*set) + size;
	set->flags = flags;
	set->index = msi->kind == DB_MSIX ? VFIO_PCI_MSIX_IRQ_INDEX : VFIO_PCI_MSI_IRQ_INDEX;
	set->start = start;
	set->count = count;
	return device_ioctl(msi->dev, VFIO_DEVICE_SET_IRQS, set);
}

static void set_fd(struct db_msi *msi, unsigned int index, int fd)
{
	struct msi_state *now = &msi->vector[index].now;

	msi->armed += (fd >= 0) - (now->fd >= 0);
	now->fd = fd;
}

void msi_shut(struct db_msi *msi)
{
	unsigned int i;

	msi_set_irqs(msi, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, 0);
	for (i = 0; i < msi->count; i++)
		set_fd(msi, i, -1);
	msi->enabled = false;
	msi->allocated = 0;
	pthread_mutex_lock(&msi->dev->lock);
	msi->dev->armed = NULL;
	pthread_mutex_unlock(&msi->dev->lock);
}

/* MSI and MSI-X of a function exclude each other (PCIe 7.7.1, 7.7.2). */
static int claim(struct db_msi *msi)
{
	struct db_device *dev = msi->dev;
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->armed && dev->armed != msi) {
		ret = -EBUSY;
		db_error_set(ret, "%s has vectors of its other interrupt capability armed: disarm "
			     "those first", dev->address);
	} else if (dev->intx) {
		ret = -EBUSY;
		db_error_set(ret, "%s has its INTx armed: disarm that first "
			     "(db_device_irq_set())", dev->address);
	} else {
		dev->armed = msi;
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

int msi_enable_error(int ret)
{
	/* ENODEV: the interrupt controller made no table for the device. A positive result is how
	 * many vectors there would be. */
	return ret > 0 || ret == -ENODEV ? -ENOSPC : ret;
}

void msi_no_interrupts(struct db_msi *msi, unsigned int start, unsigned int count)
{
	if (msi->kind == DB_MSIX && !msi->enabled)
		db_error_set(-ENOSPC, "the host has no interrupts left for MSI-X vectors [%u, %u) "
			     "of %s. An ITS gives a device one for each of its vectors, %u here, "
			     "however few are used: take fewer devices or smaller ones, or give "
			     "the host more (LPIs: IDbits of the GIC)", start, start + count,
			     msi->dev->address, msi->count);
	else
		db_error_set(-ENOSPC, "the host has no interrupts left for %s vectors [%u, %u) of "
			     "%s", kind_name(msi->kind), start, start + count, msi->dev->address);
}

static int trigger(struct db_msi *msi, unsigned int start, unsigned int count,
		   const struct msi_state *to, unsigned int first, unsigned int last)
{
	int *fds = msi_request_data(msi);
	unsigned int i;

	for (i = first; i < last; i++)
		fds[i - first] = i >= start && i < start + count ? to[i].fd : -1;
	return msi_set_irqs(msi, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, first,
			    last - first, (last - first) * sizeof(*fds));
}

/*
 * The first call enables the capability, and says how many vectors the host finds interrupts for:
 * MSI-X that can grow needs no more than what is asked for; MSI-X that cannot gets all now, or as
 * many as there are; for MSI the number must be the guest's, because the device is told it.
 */
static int enable(struct db_msi *msi, unsigned int start, unsigned int count,
		  const struct msi_state *to)
{
	bool fixed = msi->kind == DB_MSI || msi->caps.msix_noresize;
	unsigned int last = !fixed ? start + count : msi->kind == DB_MSIX ? msi->count : msi->asked;
	int ret;

	ret = claim(msi);
	if (ret)
		return ret;
	ret = trigger(msi, start, count, to, fixed ? 0 : start, last);
	/* A positive result is how many there would be. */
	if (ret > 0 && msi->kind == DB_MSIX && fixed && (unsigned int)ret >= start + count) {
		last = ret;
		log_say(DB_LOG_INFO, "%s: the host has interrupts for %u of its %u vectors only",
			msi->dev->address, last, msi->count);
		ret = trigger(msi, start, count, to, 0, last);
	}
	if (!ret) {
		msi->enabled = true;
		msi->allocated = fixed ? last : msi->count;
		return 0;
	}
	pthread_mutex_lock(&msi->dev->lock);
	msi->dev->armed = NULL;
	pthread_mutex_unlock(&msi->dev->lock);
	return msi_enable_error(ret);
}

static int explain_arm(struct db_msi *msi, int error, unsigned int start, unsigned int count)
{
	const char *address = msi->dev->address, *kind = kind_name(msi->kind);
	bool powered;

	pthread_mutex_lock(&msi->dev->lock);
	powered = msi->dev->powered;
	pthread_mutex_unlock(&msi->dev->lock);
	/* What Linux says when it is to enable interrupts of such a device. */
	if (error == -EINVAL && !powered) {
		db_error_set(-EIO, "cannot arm %s vectors [%u, %u) of %s: it is powered down",
			     kind, start, start + count, address);
		return -EIO;
	}
	switch (error) {
	case -EBUSY:	/* said by claim() */
		break;
	case -ENOSPC:
		msi_no_interrupts(msi, start, count);
		break;
	case -EDESTADDRREQ:
		db_error_set(error, "%s vectors [%u, %u) of %s have no address", kind, start,
			     start + count, address);
		break;
	/* Linux says EINVAL of a descriptor that is open, and no eventfd; all else that the request
	 * has was checked. */
	case -EINVAL:
	case -EBADF:
		error = -EBADF;
		db_error_set(error, "a descriptor given for %s vectors [%u, %u) of %s is no "
			     "eventfd", kind, start, start + count, address);
		break;
	default:
		db_error_set(error, "cannot arm %s vectors [%u, %u) of %s", kind, start,
			     start + count, address);
	}
	return error;
}

/* --- Runs: stretches of vectors that one ioctl serves --- */

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
static int mask_again(struct db_msi *msi, unsigned int start, unsigned int count)
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
	return mask_again(msi, start, count);
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
		set_fd(msi, i, ret ? FD_UNKNOWN : -1);
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
				     "begin with more", kind_name(msi->kind), msi->dev->address,
				     msi->allocated);
			return -ENOSPC;
		}
	}
	if (msi->ops->before_arm)
		msi->ops->before_arm(msi, start, count, to);
	ret = msi->enabled ? trigger(msi, start, count, to, start, start + count) :
			     enable(msi, start, count, to);
	/* After an error the kernel has disarmed what it came to, and left the others. */
	for (i = start; i < start + count; i++)
		set_fd(msi, i, !ret ? to[i].fd : msi->enabled ? FD_UNKNOWN : -1);
	if (ret)
		return explain_arm(msi, ret > 0 ? -ENOSPC : ret, start, count);
	if (msi->ops->after_arm)
		ret = msi->ops->after_arm(msi, start, count, to);
	return ret ? ret : mask_again(msi, start, count);
}

/* --- Change, all or nothing --- */

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
		set_fd(msi, i, -1);
		msi->vector[i].eventfd = -1;
		log_say(DB_LOG_WARNING, "%s vector %u of %s could not be put back as it was: it is "
			"disarmed", kind_name(msi->kind), i, msi->dev->address);
	}
}

/* Brings vectors [start, start + count) to msi->want. */
static int apply(struct db_msi *msi, unsigned int start, unsigned int count)
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
static int target_fd(struct db_msi *msi, unsigned int index, int eventfd)
{
	return eventfd >= 0 && msi->vector[index].masked && !msi->table.map ?
		       msi->vector[index].collector :
		       eventfd;
}

/* --- The API --- */

static enum db_mode best_mode(const struct db_caps *caps, enum db_msi_kind kind)
{
	if (caps->mode[DB_MODE_NATIVE])
		return DB_MODE_NATIVE;
	if (caps->mode[DB_MODE_STOCK] && kind == DB_MSIX)
		return DB_MODE_STOCK;
	return DB_MODE_RMR;
}

static int choose_mode(struct db_device *dev, const struct db_caps *caps, enum db_msi_kind kind,
		       enum db_mode *mode)
{
	if ((unsigned int)*mode >= DB_MODE_COUNT) {
		db_error_set(-EINVAL, "%u is no mode", *mode);
		return -EINVAL;
	}
	if (!caps->mode[*mode]) {
		db_error_set(-EOPNOTSUPP, "mode %s is not possible for %s: %s", db_mode_name(*mode),
			     dev->address, caps->why_not[*mode]);
		return -EOPNOTSUPP;
	}
	if (*mode != DB_MODE_AUTO)
		return 0;
	*mode = best_mode(caps, kind);
	log_say(DB_LOG_INFO, "%s: mode auto is %s for %s", dev->address, db_mode_name(*mode),
		kind_name(kind));
	return 0;
}

int db_msi_doorbell_ipa(struct db_device *dev, enum db_mode mode, bool *fixed, uint64_t *ipa)
{
	struct db_caps caps = DB_SIZED(struct db_caps);
	int ret;

	ret = db_device_caps(dev, &caps);
	if (!ret)
		ret = choose_mode(dev, &caps, caps.msix_vectors ? DB_MSIX : DB_MSI, &mode);
	if (ret)
		return ret;
	*fixed = mode == DB_MODE_STOCK;
	*ipa = *fixed ? caps.sw_msi_start : 0;
	return 0;
}

static int check_config(struct db_msi *msi, const struct db_msi_config *config)
{
	struct db_device *dev = config->dev;
	int ret;

	if (config->kind != DB_MSI && config->kind != DB_MSIX) {
		db_error_set(-EINVAL, "%u is no kind of interrupt", config->kind);
		return -EINVAL;
	}
	msi->caps.size = sizeof(msi->caps);
	ret = db_device_caps(dev, &msi->caps);
	if (ret)
		return ret;
	msi->count = config->kind == DB_MSIX ? msi->caps.msix_vectors : msi->caps.msi_vectors;
	if (!msi->count) {
		db_error_set(-EOPNOTSUPP, "%s has no %s", dev->address, kind_name(config->kind));
		return -EOPNOTSUPP;
	}
	msi->mode = config->mode;
	ret = choose_mode(dev, &msi->caps, config->kind, &msi->mode);
	if (ret)
		return ret;
	msi->ops = mode_ops[msi->mode];
	if (msi->mode == DB_MODE_STOCK && config->kind == DB_MSI) {
		db_error_set(-EOPNOTSUPP, "mode stock is for MSI-X: the address of an MSI stands "
			     "in registers that only the kernel writes");
		return -EOPNOTSUPP;
	}
	if (config->fall_through && msi->mode != DB_MODE_NATIVE) {
		db_error_set(-EINVAL, "fall_through is a form of mode native, not of %s",
			     db_mode_name(msi->mode));
		return -EINVAL;
	}
	return 0;
}

static int allocate(struct db_msi *msi)
{
	unsigned int i;

	msi->vector = calloc(msi->count, sizeof(*msi->vector));
	/* At once: release() closes what looks like a descriptor. */
	for (i = 0; msi->vector && i < msi->count; i++) {
		msi->vector[i].now.fd = -1;
		msi->vector[i].eventfd = -1;
		msi->vector[i].collector = -1;
	}
	msi->want = calloc(msi->count, sizeof(*msi->want));
	msi->old = calloc(msi->count, sizeof(*msi->old));
	msi->request = calloc(1, sizeof(struct vfio_irq_set_msi_iova) +
				 msi->count * sizeof(uint64_t));
	if (!msi->vector || !msi->want || !msi->old || !msi->request) {
		db_error_set(-ENOMEM, "no memory for %u vectors", msi->count);
		return -ENOMEM;
	}
	return 0;
}

static void release(struct db_msi *msi)
{
	unsigned int i;

	for (i = 0; msi->vector && i < msi->count; i++) {
		if (msi->vector[i].collector >= 0)
			close(msi->vector[i].collector);
	}
	table_unmap(&msi->table);
	free(msi->vector);
	free(msi->want);
	free(msi->old);
	free(msi->request);
	pthread_mutex_destroy(&msi->lock);
	free(msi);
}

static int start(struct db_msi *msi)
{
	if (msi->mode == DB_MODE_NATIVE && !msi->space) {
		db_error_set(-EINVAL, "mode native maps the doorbell of %s, and needs a db_space "
			     "for that (db_space_adopt() takes an IOAS)", msi->dev->address);
		return -EINVAL;
	}
	return msi->ops->start(msi);
}

static bool is_about_layout(int error)
{
	return error == -EXDEV || error == -EADDRINUSE || error == -EINVAL || error == -EOPNOTSUPP;
}

/*
 * To the guest native and stock are alike: the device has the guest's own address, and the doorbell
 * is where the VMM says. So when mode auto has taken native, and something stands where the
 * doorbell should go, stock may do. Not rmr: that takes a guest that was told to identity-map the
 * window, so it is not for auto to decide unless the host has nothing else.
 */
static int start_auto(struct db_msi *msi)
{
	char why[sizeof(msi->caps.why_not[0])];
	int ret = start(msi), other;

	if (msi->mode != DB_MODE_NATIVE || msi->fall_through || !is_about_layout(ret))
		return ret;
	snprintf(why, sizeof(why), "%s", db_error_message());
	if (!msi->caps.mode[DB_MODE_STOCK] || msi->kind == DB_MSI) {
		db_error_set(ret, "no mode fits %s: native: %s; stock: %s", msi->dev->address, why,
			     msi->kind == DB_MSI ? "is for MSI-X only" :
						   msi->caps.why_not[DB_MODE_STOCK]);
		return ret;
	}
	msi->mode = DB_MODE_STOCK;
	msi->ops = mode_ops[msi->mode];
	other = msi->ops->start(msi);
	if (!other)
		log_say(DB_LOG_INFO, "%s: mode auto takes stock, since native does not fit: %s",
			msi->dev->address, why);
	else
		db_error_set(ret, "no mode fits %s: native: %s; stock: %s", msi->dev->address, why,
			     db_error_message());
	return other ? ret : 0;
}

/* There is one db_msi of a capability: two would each take the device to be as it left it. */
static int enter(struct db_msi *msi)
{
	struct db_device *dev = msi->dev;
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (dev->msi[msi->kind]) {
		ret = -EBUSY;
		db_error_set(ret, "there is a db_msi for the %s of %s already",
			     kind_name(msi->kind), dev->address);
	} else {
		dev->msi[msi->kind] = msi;
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static void leave(struct db_msi *msi)
{
	pthread_mutex_lock(&msi->dev->lock);
	msi->dev->msi[msi->kind] = NULL;
	pthread_mutex_unlock(&msi->dev->lock);
}

static int create(const struct db_msi_config *config, struct db_msi **out)
{
	struct db_msi *msi;
	int ret;

	msi = calloc(1, sizeof(*msi));
	if (!msi) {
		db_error_set(-ENOMEM, "no memory for interrupts");
		return -ENOMEM;
	}
	pthread_mutex_init(&msi->lock, NULL);
	msi->dev = config->dev;
	msi->space = config->space;
	msi->kind = config->kind;
	msi->doorbell_ipa = config->doorbell_ipa;
	msi->fall_through = config->fall_through;
	ret = check_config(msi, config);
	if (!ret)
		ret = allocate(msi);
	if (!ret)
		ret = enter(msi);
	if (ret)
		goto release;
	if (msi->kind == DB_MSIX) {
		ret = table_map(&msi->table, msi->dev, msi->caps.page_size);
		/* Native and rmr do without; stock finds out in start(). */
		if (ret && ret != -EOPNOTSUPP) {
			db_error_set(ret, "cannot map the MSI-X table of %s", msi->dev->address);
			goto leave;
		}
		if (ret)
			log_say(DB_LOG_DEBUG, "%s: its MSI-X table cannot be mapped: vectors are "
				"masked by exchanging their eventfds", msi->dev->address);
	}
	ret = config->mode == DB_MODE_AUTO ? start_auto(msi) : start(msi);
	if (ret)
		goto leave;
	*out = msi;
	return 0;

leave:
	leave(msi);
release:
	release(msi);
	return ret;
}

int db_msi_create(const struct db_msi_config *config, struct db_msi **out)
{
	struct db_msi_config own;
	int ret;

	ret = sized_take(&own, sizeof(own), config, "db_msi_config");
	return ret ? ret : create(&own, out);
}

void db_msi_destroy(struct db_msi *msi)
{
	if (!msi)
		return;
	if (msi->enabled)
		msi_shut(msi);
	msi->ops->stop(msi);
	leave(msi);
	release(msi);
}

enum db_mode db_msi_mode(const struct db_msi *msi)
{
	return msi->mode;
}

unsigned int db_msi_count(const struct db_msi *msi)
{
	return msi->count;
}

/* @count when there is none. */
static unsigned int first_armed(unsigned int count, const struct db_msi_vector *vectors)
{
	unsigned int i;

	for (i = 0; i < count && vectors[i].eventfd < 0; i++)
		;
	return i;
}

/* Would the one address of MSI change under vectors that the call does not speak of? */
static bool moves_others(const struct db_msi *msi, unsigned int start, unsigned int count,
			 uint64_t address)
{
	unsigned int i;

	for (i = 0; i < msi->count; i++)
		if ((i < start || i >= start + count) && msi->vector[i].now.fd >= 0 &&
		    msi->vector[i].now.address != address)
			return true;
	return false;
}

static int check_vectors(struct db_msi *msi, unsigned int start, unsigned int count,
			 const struct db_msi_vector *vectors)
{
	unsigned int i;

	if (start > msi->count || count > msi->count - start) {
		db_error_set(-EINVAL, "%s has %u %s vectors: [%u, +%u) is out of range",
			     msi->dev->address, msi->count, kind_name(msi->kind), start, count);
		return -EINVAL;
	}
	for (i = 0; i < count; i++) {
		if (vectors[i].eventfd < -1) {
			db_error_set(-EINVAL, "%d is no descriptor", vectors[i].eventfd);
			return -EINVAL;
		}
		if (vectors[i].flags) {
			db_error_set(-EINVAL, "no flag 0x%x of a vector is known",
				     vectors[i].flags);
			return -EINVAL;
		}
		if (vectors[i].eventfd < 0 || msi->kind == DB_MSIX || !msi->ops->set_addresses)
			continue;
		if (!msi->dev->msi_64bit && vectors[i].address >> 32) {
			db_error_set(-EINVAL, "the MSI capability of %s holds 32 bits of address "
				     "only", msi->dev->address);
			return -EINVAL;
		}
		if (vectors[first_armed(count, vectors)].address != vectors[i].address ||
		    moves_others(msi, start, count, vectors[i].address)) {
			db_error_set(-EINVAL, "MSI has one address for all vectors");
			return -EINVAL;
		}
	}
	return 0;
}

/* Made when a vector is armed, so that masking it later cannot fail for want of one. */
static int make_collectors(struct db_msi *msi, unsigned int start, unsigned int count,
			   const struct db_msi_vector *vectors)
{
	unsigned int i;
	int fd;

	for (i = 0; i < count && !msi->table.map; i++) {
		if (vectors[i].eventfd < 0 || msi->vector[start + i].collector >= 0)
			continue;
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0) {
			fd = -errno;
			db_error_set(fd, "cannot make an eventfd for the masked state of vector %u",
				     start + i);
			return fd;
		}
		msi->vector[start + i].collector = fd;
	}
	return 0;
}

static int set_vectors(struct db_msi *msi, unsigned int start, unsigned int count,
		       const struct db_msi_vector *vectors)
{
	unsigned int i, first;
	int ret;

	ret = check_vectors(msi, start, count, vectors);
	if (!ret)
		ret = make_collectors(msi, start, count, vectors);
	if (ret)
		return ret;
	first = first_armed(count, vectors);
	msi->asked = start + count;
	for (i = 0; i < count; i++) {
		msi->want[start + i] = msi->vector[start + i].now;
		msi->want[start + i].fd = target_fd(msi, start + i, vectors[i].eventfd);
		if (vectors[i].eventfd >= 0)
			msi->want[start + i].address = vectors[i].address;
		else if (msi->kind == DB_MSI && first < count)
			msi->want[start + i].address = vectors[first].address;
	}
	ret = apply(msi, start, count);
	if (ret)
		return ret;
	for (i = 0; i < count; i++)
		msi->vector[start + i].eventfd = vectors[i].eventfd;
	if (msi->enabled && !msi->armed && !msi->hold)
		msi_shut(msi);
	return 0;
}

int db_msi_set(struct db_msi *msi, unsigned int start, unsigned int count,
	       const struct db_msi_vector *vectors)
{
	int ret;

	pthread_mutex_lock(&msi->lock);
	ret = set_vectors(msi, start, count, vectors);
	pthread_mutex_unlock(&msi->lock);
	return ret;
}

int db_msi_message(struct db_msi *msi, unsigned int index, uint64_t *address, uint32_t *data)
{
	bool was_off;
	int ret;

	if (index >= msi->count) {
		db_error_set(-EINVAL, "%s has %u vectors", msi->dev->address, msi->count);
		return -EINVAL;
	}
	if (!msi->table.map) {
		db_error_set(-EOPNOTSUPP, "the host shows the message of a vector only in an MSI-X "
			     "table that can be mapped");
		return -EOPNOTSUPP;
	}
	pthread_mutex_lock(&msi->lock);
	ret = table_begin(&msi->table, &was_off);
	if (!ret) {
		*address = table_address(&msi->table, index);
		*data = table_data(&msi->table, index);
		table_end(&msi->table, was_off);
	}
	pthread_mutex_unlock(&msi->lock);
	return ret;
}

int db_msi_restore(struct db_msi *msi)
{
	bool was_off;
	int ret = 0;

	pthread_mutex_lock(&msi->lock);
	if (msi->armed && msi->ops->restore) {
		ret = table_begin(&msi->table, &was_off);
		if (!ret) {
			msi->ops->restore(msi);
			table_end(&msi->table, was_off);
		}
	}
	if (!ret)
		ret = mask_again(msi, 0, msi->count);
	pthread_mutex_unlock(&msi->lock);
	return ret;
}

/* --- For the virtual capabilities --- */

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
		ret = enable(msi, 0, 1, msi->want);
		if (ret)
			explain_arm(msi, ret, 0, 1);
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
		msi->want[i].fd = target_fd(msi, i, msi->vector[i].eventfd);
	}
	ret = apply(msi, start, count);
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
		ret = set_vectors(msi, index, 1, &none);
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
