/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual SMMU's life, and the devices behind it. */
#include "lib/vsmmu.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/device.h"
#include "lib/sized.h"
#include "lib/viommu.h"
#include "sys/error.h"

#define SID_BITS_DEFAULT 16	/* requester IDs of a PCI segment */
/* Event records that one poll moves, and at a time. */
#define POLL_MAX 256
#define POLL_BATCH 32

static int take_config(struct db_vsmmu *s, const struct db_vsmmu_config *theirs,
		       struct db_vsmmu_config *config)
{
	unsigned int i;
	int ret;

	ret = sized_take(config, sizeof(*config), theirs, "db_vsmmu_config");
	if (ret)
		return ret;
	if (!config->ops) {
		db_error_set(-EINVAL, "a virtual SMMU needs operations");
		return -EINVAL;
	}
	ret = sized_take(&s->ops, sizeof(s->ops), config->ops, "db_vsmmu_ops");
	if (ret)
		return ret;
	if (!s->ops.read || !s->ops.write || config->sid_bits > VSMMU_SID_BITS_MAX) {
		db_error_set(-EINVAL, "a virtual SMMU needs to read and to write guest memory, and "
			     "has StreamIDs of at most %u bits", VSMMU_SID_BITS_MAX);
		return -EINVAL;
	}
	for (i = 0; i < DB_VSMMU_IRQS; i++) {
		s->irq_fd[i] = config->irq_fds ? config->irq_fds[i] : -1;
		if (s->irq_fd[i] >= 0 && fcntl(s->irq_fd[i], F_GETFD) < 0) {
			db_error_set(-EBADF, "%d, an eventfd of the virtual SMMU, is not open",
				     s->irq_fd[i]);
			return -EBADF;
		}
	}
	s->space = config->space;
	s->ctx = config->ctx;
	s->one_host_smmu = config->one_host_smmu;
	s->sid_bits = config->sid_bits ? config->sid_bits : SID_BITS_DEFAULT;
	return 0;
}

static int allocate(struct db_vsmmu *s)
{
	size_t words = s->sid_bits > 6 ? (size_t)1 << (s->sid_bits - 6) : 1;

	s->present = calloc(words, sizeof(*s->present));
	s->event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!s->present || vsmmu_engine_create(s)) {
		db_error_set(-ENOMEM, "no memory for a virtual SMMU");
		return -ENOMEM;
	}
	if (s->event_fd < 0) {
		int ret = -errno;

		db_error_set(ret, "no descriptor for a virtual SMMU's events");
		return ret;
	}
	return 0;
}

static void release(struct db_vsmmu *s)
{
	if (s->event_fd >= 0)
		close(s->event_fd);
	free(s->engine);
	free(s->present);
	free(s);
}

int db_vsmmu_create(const struct db_vsmmu_config *theirs, struct db_vsmmu **out)
{
	struct db_vsmmu_config config;
	struct db_vsmmu *s;
	int ret;

	s = calloc(1, sizeof(*s));
	if (!s) {
		db_error_set(-ENOMEM, "no memory for a virtual SMMU");
		return -ENOMEM;
	}
	s->event_fd = -1;
	ret = take_config(s, theirs, &config);
	if (!ret)
		ret = vsmmu_idr_filter(config.host, s->sid_bits, s->ops.msi, &s->info);
	if (!ret)
		ret = allocate(s);
	if (ret) {
		release(s);
		return ret;
	}
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->report, NULL);
	vsmmu_registers_reset(s);
	*out = s;
	return 0;
}

/* --- Devices --- */

static int check_sid(struct db_vsmmu *s, uint32_t sid)
{
	if (sid >> s->sid_bits) {
		db_error_set(-EINVAL, "StreamID 0x%x has more than %u bits", sid, s->sid_bits);
		return -EINVAL;
	}
	if (vsmmu_find(s, sid)) {
		db_error_set(-EEXIST, "StreamID 0x%x has a device", sid);
		return -EEXIST;
	}
	return 0;
}

static void set_present(struct db_vsmmu *s, uint32_t sid, bool present)
{
	if (present)
		atomic_fetch_or(&s->present[sid / 64], BIT64(sid % 64));
	else
		atomic_fetch_and(&s->present[sid / 64], ~BIT64(sid % 64));
}

static struct vsmmu_device *insert(struct db_vsmmu *s, uint32_t sid)
{
	struct vsmmu_device **link = &s->devices[bucket(sid)], *device;

	device = calloc(1, sizeof(*device));
	if (!device) {
		db_error_set(-ENOMEM, "no memory for a device of the virtual SMMU");
		return NULL;
	}
	device->sid = sid;
	device->next = *link;
	*link = device;
	set_present(s, sid, true);
	return device;
}

static void erase(struct db_vsmmu *s, struct vsmmu_device *device)
{
	struct vsmmu_device **link = &s->devices[bucket(device->sid)];

	for (; *link != device; link = &(*link)->next)
		;
	*link = device->next;
	set_present(s, device->sid, false);
	free(device);
}

int db_vsmmu_add_emulated(struct db_vsmmu *s, uint32_t sid)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = check_sid(s, sid);
	if (!ret && !insert(s, sid))
		ret = -ENOMEM;
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void db_vsmmu_remove_emulated(struct db_vsmmu *s, uint32_t sid)
{
	struct vsmmu_device *device;

	pthread_mutex_lock(&s->lock);
	device = vsmmu_find(s, sid);
	if (device && !device->dev)
		erase(s, device);
	pthread_mutex_unlock(&s->lock);
}

static void host_remove(struct db_vsmmu *s, struct vsmmu_host *host)
{
	struct vsmmu_host **link;

	for (link = &s->hosts; *link != host; link = &(*link)->next)
		;
	*link = host->next;
	epoll_ctl(s->event_fd, EPOLL_CTL_DEL, db_viommu_event_fd(host->viommu), NULL);
	db_viommu_destroy(host->viommu);
	free(host->cmds);
	free(host);
}

static int host_create(struct db_vsmmu *s, struct db_device *dev, struct vsmmu_host **out)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct vsmmu_host *host;
	int ret;

	if (s->one_host_smmu && s->hosts) {
		db_error_set(-EXDEV, "%s is behind another SMMU than the other devices of this "
			     "virtual one", db_device_address(dev));
		return -EXDEV;
	}
	host = calloc(1, sizeof(*host));
	if (!host) {
		db_error_set(-ENOMEM, "no memory for a virtual SMMU");
		return -ENOMEM;
	}
	ret = db_viommu_create(s->space, dev, &host->viommu);
	if (ret) {
		free(host);
		return ret;
	}
	host->next = s->hosts;
	s->hosts = host;
	ret = vsmmu_idr_check(&s->info, host->viommu->idr, db_device_address(dev));
	if (!ret && epoll_ctl(s->event_fd, EPOLL_CTL_ADD, db_viommu_event_fd(host->viommu),
			      &event)) {
		ret = -errno;
		db_error_set(ret, "cannot watch the events of %s", db_device_address(dev));
	}
	if (ret) {
		host_remove(s, host);
		return ret;
	}
	*out = host;
	return 0;
}

/* Makes @dev a member of the vIOMMU for its SMMU, which there may be or not. */
static int join(struct db_vsmmu *s, struct db_device *dev, uint32_t sid, struct vsmmu_host **out)
{
	struct vsmmu_host *host;
	int ret;

	for (host = s->hosts; host; host = host->next) {
		ret = db_viommu_add(host->viommu, dev, sid);
		if (!ret)
			*out = host;
		if (ret != -EINVAL)	/* -EINVAL: behind another SMMU */
			return ret;
	}
	ret = host_create(s, dev, &host);
	if (ret)
		return ret;
	ret = db_viommu_add(host->viommu, dev, sid);
	if (ret)
		host_remove(s, host);
	else
		*out = host;
	return ret;
}

static void leave(struct db_vsmmu *s, struct vsmmu_host *host, struct db_device *dev)
{
	db_viommu_remove(host->viommu, dev);
	if (!host->devices)
		host_remove(s, host);
}

/* Room for the commands of one device more. */
static int reserve_commands(struct vsmmu_host *host)
{
	void *cmds = reallocarray(host->cmds, host->devices + 1 + VSMMU_COMMANDS,
				  sizeof(host->cmds[0]));

	if (!cmds) {
		db_error_set(-ENOMEM, "no memory for a device of the virtual SMMU");
		return -ENOMEM;
	}
	host->cmds = cmds;
	return 0;
}

static int add_device(struct db_vsmmu *s, struct db_device *dev, uint32_t sid)
{
	struct vsmmu_device *device;
	struct vsmmu_host *host;
	int ret;

	ret = check_sid(s, sid);
	if (ret)
		return ret;
	if (!s->space) {
		db_error_set(-EINVAL, "the virtual SMMU was made without a space: emulated "
			     "devices only");
		return -EINVAL;
	}
	ret = join(s, dev, sid, &host);
	if (ret)
		return ret;
	ret = reserve_commands(host);
	device = ret ? NULL : insert(s, sid);
	if (!device) {
		leave(s, host, dev);
		return -ENOMEM;
	}
	device->dev = dev;
	device->host = host;
	device->next_passed = s->passed;
	s->passed = device;
	host->devices++;
	vsmmu_config_dirty(s, sid, sid);
	/* What the guest's entry is like is the guest's business. */
	vsmmu_config_flush(s);
	return 0;
}

int db_vsmmu_add_device(struct db_vsmmu *s, struct db_device *dev, uint32_t sid)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = add_device(s, dev, sid);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void db_vsmmu_remove_device(struct db_vsmmu *s, struct db_device *dev)
{
	struct vsmmu_device **link, *device;

	pthread_mutex_lock(&s->lock);
	for (link = &s->passed; *link && (*link)->dev != dev; link = &(*link)->next_passed)
		;
	device = *link;
	if (device) {
		*link = device->next_passed;
		device->host->devices--;
		leave(s, device->host, dev);
		erase(s, device);
	}
	pthread_mutex_unlock(&s->lock);
}

void db_vsmmu_destroy(struct db_vsmmu *s)
{
	unsigned int i;

	if (!s)
		return;
	while (s->passed)
		db_vsmmu_remove_device(s, s->passed->dev);
	for (i = 0; i < BUCKETS; i++) {
		while (s->devices[i])
			erase(s, s->devices[i]);
	}
	pthread_mutex_destroy(&s->report);
	pthread_mutex_destroy(&s->lock);
	release(s);
}

/* --- Events of passed-through devices --- */

int db_vsmmu_event_fd(struct db_vsmmu *s)
{
	return s->event_fd;
}

/* Stage 2 is not the guest's: what faults there is none of its records. */
static unsigned int convert(uint64_t (*records)[4], unsigned int count)
{
	unsigned int i, j, n = 0;

	for (i = 0; i < count; i++) {
		for (j = 0; j < 4; j++)
			records[n][j] = le64toh(records[i][j]);
		n += !(records[n][1] & SMMU_EVT_1_S2);
	}
	return n;
}

static int poll_host(struct db_vsmmu *s, struct vsmmu_host *host, unsigned int *taken)
{
	uint64_t records[POLL_BATCH][4], lost;
	int n;

	do {
		n = db_viommu_events(host->viommu, records, POLL_BATCH, &lost);
		if (n < 0)
			return n;
		*taken += n;
		vsmmu_report_events(s, (const uint64_t(*)[4])records, convert(records, n));
		if (lost)
			vsmmu_report_lost(s);
	} while (n == POLL_BATCH && *taken < POLL_MAX);
	return 0;
}

int db_vsmmu_poll_events(struct db_vsmmu *s)
{
	struct vsmmu_host *host;
	unsigned int taken = 0;
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	for (host = s->hosts; host && !ret && taken < POLL_MAX; host = host->next)
		ret = poll_host(s, host, &taken);
	pthread_mutex_unlock(&s->lock);
	return ret ? ret : (int)taken;
}

/* --- The rest --- */

int db_vsmmu_reset(struct db_vsmmu *s)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&s->report);
	vsmmu_registers_reset(s);
	pthread_mutex_unlock(&s->report);
	ret = vsmmu_config_enable(s, false);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void db_vsmmu_info(const struct db_vsmmu *s, struct db_smmu_info *info)
{
	*info = s->info;
}
