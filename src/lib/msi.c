/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a db_msi, and its vectors as the VMM sets them. */
#include "lib/msi_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "abi/vfio.h"
#include "abi/native.h"
#include "lib/sized.h"
#include "sys/error.h"
#include "sys/log.h"

static const struct msi_mode_ops *const mode_ops[DB_MODE_COUNT] = {
	[DB_MODE_NATIVE] = &msi_native_ops,
	[DB_MODE_STOCK] = &msi_stock_ops,
	[DB_MODE_RMR] = &msi_rmr_ops,
};

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
		msi_kind_name(kind));
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
		db_error_set(-EOPNOTSUPP, "%s has no %s", dev->address,
			     msi_kind_name(config->kind));
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
			     msi_kind_name(msi->kind), dev->address);
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
			     msi->dev->address, msi->count, msi_kind_name(msi->kind), start, count);
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

int msi_set_vectors(struct db_msi *msi, unsigned int start, unsigned int count,
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
		msi->want[start + i].fd = msi_target_fd(msi, start + i, vectors[i].eventfd);
		if (vectors[i].eventfd >= 0)
			msi->want[start + i].address = vectors[i].address;
		else if (msi->kind == DB_MSI && first < count)
			msi->want[start + i].address = vectors[first].address;
	}
	ret = msi_apply(msi, start, count);
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
	ret = msi_set_vectors(msi, start, count, vectors);
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
		ret = msi_mask_again(msi, 0, msi->count);
	pthread_mutex_unlock(&msi->lock);
	return ret;
}
