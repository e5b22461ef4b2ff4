/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/viommu.h"

#include <doorbell/adopt.h>

#include <endian.h>
#include <errno.h>
#include <sched.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "lib/device.h"
#include "lib/doorbell.h"
#include "lib/ste.h"
#include "sys/error.h"

/* Records the kernel holds for the VMM: a guest that makes its devices fault in a loop loses
 * events, and costs no more than this. */
#define EVENTQ_DEPTH 256
/* Records taken by one read(). */
#define EVENT_BATCH 32
#define EVENT_SEQUENCE 0x7fffffffu

/* Turns that a waiter gets to come to run. */
#define TURNS 1000

void viommu_lock(struct db_viommu *viommu)
{
	atomic_fetch_add(&viommu->waiting, 1);
	pthread_mutex_lock(&viommu->lock);
	atomic_fetch_sub(&viommu->waiting, 1);
}

void viommu_unlock(struct db_viommu *viommu)
{
	pthread_mutex_unlock(&viommu->lock);
}

void viommu_give_way(struct db_viommu *viommu)
{
	unsigned int i;

	for (i = 0; i < TURNS && atomic_load(&viommu->waiting); i++)
		sched_yield();
}

/* The kernel answers with what the hardware is; errors leave the guest with no features, which is
 * safe. */
static void read_smmu(struct db_viommu *viommu, struct db_device *dev)
{
	struct iommu_hw_info_arm_smmuv3 smmu = { 0 };
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = dev->dev_id,
		.data_len = sizeof(smmu),
		.data_uptr = (uintptr_t)&smmu,
	};

	if (host_ioctl(viommu->host, IOMMU_GET_HW_INFO, &cmd) < 0 ||
	    cmd.out_data_type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		return;
	memcpy(viommu->idr, smmu.idr, sizeof(viommu->idr));
	viommu->repeat = smmu.flags & IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI;
}

int db_viommu_create(struct db_space *space, struct db_device *dev, struct db_viommu **out)
{
	struct db_host *host = space->host;
	struct db_viommu *viommu;
	int ret;

	viommu = calloc(1, sizeof(*viommu));
	if (!viommu) {
		db_error_set(-ENOMEM, "no memory for a vIOMMU");
		return -ENOMEM;
	}
	viommu->space = space;
	viommu->host = host;
	ret = space_viommu_alloc(space, dev, &viommu->parent, &viommu->id);
	if (ret)
		goto free_viommu;
	ret = host_veventq_alloc(host, viommu->id, EVENTQ_DEPTH, &viommu->eventq,
				 &viommu->event_fd);
	if (ret) {
		db_error_set(ret, "cannot make an event queue (IOMMU_VEVENTQ_ALLOC, Linux 6.15) "
			     "for the SMMU of %s", dev->address);
		goto destroy_viommu;
	}
	viommu->hwpts.host = host;
	viommu->hwpts.viommu = viommu->id;
	ret = hwpt_get(&viommu->hwpts, dev->dev_id, ste_abort, &viommu->abort);
	if (ret) {
		db_error_set(ret, "cannot make the aborting stage 1 that devices of the vIOMMU "
			     "start with");
		goto destroy_eventq;
	}
	read_smmu(viommu, dev);
	pthread_mutex_init(&viommu->lock, NULL);
	*out = viommu;
	return 0;

destroy_eventq:
	host->sys->ops->close(host->sys, viommu->event_fd);
	host_destroy(host, viommu->eventq);
destroy_viommu:
	host_destroy(host, viommu->id);
	space_parent_put(space, viommu->parent);
free_viommu:
	free(viommu);
	return ret;
}

void db_viommu_destroy(struct db_viommu *viommu)
{
	struct db_host *host;

	if (!viommu)
		return;
	host = viommu->host;
	hwpt_put(&viommu->hwpts, viommu->abort);
	hwpt_purge(&viommu->hwpts);
	host->sys->ops->close(host->sys, viommu->event_fd);
	host_destroy(host, viommu->eventq);
	host_destroy(host, viommu->id);
	space_parent_put(viommu->space, viommu->parent);
	pthread_mutex_destroy(&viommu->lock);
	free(viommu);
}

struct viommu_member *viommu_find_sid(struct db_viommu *viommu, uint32_t sid)
{
	struct viommu_member *member;

	for (member = viommu->members[bucket(sid)]; member && member->sid != sid;
	     member = member->next)
		;
	return member;
}

/* Makes @dev that of @member, unless it is a member elsewhere. */
static bool claim(struct db_device *dev, struct viommu_member *member)
{
	bool free;

	pthread_mutex_lock(&dev->lock);
	free = !dev->member;
	if (free)
		dev->member = member;
	pthread_mutex_unlock(&dev->lock);
	return free;
}

static void disclaim(struct db_device *dev)
{
	pthread_mutex_lock(&dev->lock);
	dev->member = NULL;
	pthread_mutex_unlock(&dev->lock);
}

/* @dev's membership of this very vIOMMU, whose lock is held: it stays. That of another one may end
 * at any time. */
static struct viommu_member *find_member(struct db_viommu *viommu, struct db_device *dev)
{
	struct viommu_member *member;

	pthread_mutex_lock(&dev->lock);
	member = dev->member && dev->member->viommu == viommu ? dev->member : NULL;
	pthread_mutex_unlock(&dev->lock);
	if (member)
		return member;
	db_error_set(-EINVAL, "%s is no member of this vIOMMU", dev->address);
	return NULL;
}

static int vdevice_alloc(struct db_viommu *viommu, struct db_device *dev, uint32_t sid,
			 uint32_t *id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu->id,
		.dev_id = dev->dev_id,
		.virt_id = sid,
	};
	int ret;

	ret = host_ioctl(viommu->host, IOMMU_VDEVICE_ALLOC, &cmd);
	if (ret < 0) {
		if (ret == -EINVAL)
			db_error_set(ret, "%s is behind another SMMU: it needs a vIOMMU of its own",
				     dev->address);
		else if (ret == -EEXIST)
			db_error_set(ret, "%s has a vIOMMU, or StreamID 0x%x has a device",
				     dev->address, sid);
		else
			db_error_set(ret, "cannot add %s to the vIOMMU", dev->address);
		return ret;
	}
	*id = cmd.out_vdevice_id;
	return 0;
}

static int attach_first(struct db_viommu *viommu, struct db_device *dev)
{
	int ret;

	doorbell_window_before_join(dev);
	ret = device_attach(dev, viommu->abort->id);
	if (ret == -EADDRINUSE)
		db_error_set(ret, "something is mapped where %s has a reserved region or its MSI "
			     "window: move the mapping, or the window with db_device_set_window()",
			     dev->address);
	else if (ret)
		db_error_set(ret, "cannot attach %s to the vIOMMU", dev->address);
	return ret;
}

static int by_group(const void *a, const void *b)
{
	const struct viommu_member *x = a, *y = b;

	return x->group < y->group ? -1 : x->group > y->group;
}

/*
 * The kernel gives a stage 1 to a whole IOMMU group: one of two members would get the other's STE
 * in place of its own, unnoticed. So there is one of a group only.
 */
static int enter_group(struct db_viommu *viommu, struct viommu_member *member)
{
	struct viommu_member **found = tsearch(member, &viommu->groups, by_group);

	if (found && *found == member)
		return 0;
	if (!found) {
		db_error_set(-ENOMEM, "no memory for a member of the vIOMMU");
		return -ENOMEM;
	}
	db_error_set(-EOPNOTSUPP, "%s shares IOMMU group %u with %s: the kernel gives a group one "
		     "stage 1, and each of them may want its own", member->dev->address,
		     member->group, (*found)->dev->address);
	return -EOPNOTSUPP;
}

static int add_member(struct db_viommu *viommu, struct db_device *dev, uint32_t sid)
{
	struct viommu_member *member, **link = &viommu->members[bucket(sid)];
	int ret;

	member = calloc(1, sizeof(*member));
	if (!member) {
		db_error_set(-ENOMEM, "no memory for a member of the vIOMMU");
		return -ENOMEM;
	}
	member->viommu = viommu;
	member->dev = dev;
	member->group = dev->group;
	member->sid = sid;
	if (viommu_find_sid(viommu, sid) || !claim(dev, member)) {
		ret = -EEXIST;
		db_error_set(ret, "%s has a vIOMMU, or StreamID 0x%x has a device", dev->address,
			     sid);
		goto free_member;
	}
	ret = enter_group(viommu, member);
	if (ret)
		goto disclaim;
	ret = vdevice_alloc(viommu, dev, sid, &member->vdevice);
	if (ret)
		goto leave_group;
	ret = attach_first(viommu, dev);
	if (ret)
		goto destroy_vdevice;
	viommu->abort->users++;
	member->hwpt = viommu->abort;
	member->next = *link;
	*link = member;
	return 0;

destroy_vdevice:
	host_destroy(viommu->host, member->vdevice);
leave_group:
	tdelete(member, &viommu->groups, by_group);
disclaim:
	disclaim(dev);
free_member:
	free(member);
	return ret;
}

int db_viommu_add(struct db_viommu *viommu, struct db_device *dev, uint32_t virt_sid)
{
	int ret;

	viommu_lock(viommu);
	ret = add_member(viommu, dev, virt_sid);
	viommu_unlock(viommu);
	return ret;
}

void db_viommu_remove(struct db_viommu *viommu, struct db_device *dev)
{
	struct viommu_member *member, **link;

	viommu_lock(viommu);
	member = find_member(viommu, dev);
	if (member) {
		for (link = &viommu->members[bucket(member->sid)]; *link != member;
		     link = &(*link)->next)
			;
		*link = member->next;
		tdelete(member, &viommu->groups, by_group);
		device_detach(dev);
		if (member->hwpt)
			hwpt_put(&viommu->hwpts, member->hwpt);
		host_destroy(viommu->host, member->vdevice);
		disclaim(dev);
		free(member);
	}
	viommu_unlock(viommu);
}

/* The new HWPT is attached before the old one loses its user: the device's traffic never stands
 * still. */
static int switch_to(struct db_viommu *viommu, struct viommu_member *member, const uint64_t ste[2])
{
	struct hwpt *hwpt;
	int ret;

	ret = hwpt_get(&viommu->hwpts, member->dev->dev_id, ste, &hwpt);
	if (ret)
		return ret;
	ret = device_attach(member->dev, hwpt->id);
	if (ret) {
		hwpt_put(&viommu->hwpts, hwpt);
		return ret;
	}
	if (member->hwpt)
		hwpt_put(&viommu->hwpts, member->hwpt);
	member->hwpt = hwpt;
	return 0;
}

/* The configuration that the guest replaced must not stay in force when its new one could not be
 * installed. */
static void fail_closed(struct db_viommu *viommu, struct viommu_member *member)
{
	if (!switch_to(viommu, member, ste_abort))
		return;
	device_detach(member->dev);
	if (member->hwpt)
		hwpt_put(&viommu->hwpts, member->hwpt);
	member->hwpt = NULL;
}

/* *kept: what was installed is equal. */
static int install(struct db_viommu *viommu, struct viommu_member *member, const uint64_t guest[2],
		   bool *kept)
{
	uint64_t ste[2];
	int ret;

	ret = ste_reduce(guest, ste);
	if (!ret) {
		*kept = member->hwpt && member->hwpt->ste[0] == ste[0] &&
			member->hwpt->ste[1] == ste[1];
		ret = *kept ? 0 : switch_to(viommu, member, ste);
	}
	if (!ret)
		return 0;
	fail_closed(viommu, member);
	if (ret == -EIO)
		db_error_set(ret, "the STE of StreamID 0x%x (0x%llx 0x%llx) is illegal for a "
			     "guest: its DMA is aborted", member->sid, (unsigned long long)guest[0],
			     (unsigned long long)guest[1]);
	else
		db_error_set(ret, "cannot install the STE of StreamID 0x%x: its DMA is aborted",
			     member->sid);
	return ret;
}

/* Called with the vIOMMU's lock held. */
static int find_and_install(struct db_viommu *viommu, struct db_device *dev, const uint64_t ste[2],
			    bool *kept)
{
	struct viommu_member *member = find_member(viommu, dev);
	int ret = -EINVAL;

	*kept = false;
	if (member)
		ret = install(viommu, member, ste, kept);
	/* Nothing is cached under an entry without stage 1. */
	*kept = *kept && ste_has_s1(member->hwpt->ste);
	return ret;
}

int viommu_install(struct db_viommu *viommu, struct db_device *dev, const uint64_t ste[2],
		   bool *kept)
{
	int ret;

	viommu_lock(viommu);
	ret = find_and_install(viommu, dev, ste, kept);
	viommu_unlock(viommu);
	return ret;
}

int db_viommu_install_ste(struct db_viommu *viommu, struct db_device *dev, const uint64_t ste[8])
{
	/* Each dword is read once: the entry may be guest memory that changes under us. */
	uint64_t guest[2] = {
		le64toh(__atomic_load_n(&ste[0], __ATOMIC_RELAXED)),
		le64toh(__atomic_load_n(&ste[1], __ATOMIC_RELAXED)),
	};
	bool kept;
	int ret;

	viommu_lock(viommu);
	ret = find_and_install(viommu, dev, guest, &kept);
	if (kept)
		ret = viommu_invalidate_cds(viommu, dev->member->sid);
	viommu_unlock(viommu);
	return ret;
}

int db_viommu_event_fd(struct db_viommu *viommu)
{
	return viommu->event_fd;
}

uint32_t db_viommu_id(const struct db_viommu *viommu)
{
	return viommu->id;
}

uint32_t db_viommu_parent_id(const struct db_viommu *viommu)
{
	return viommu->parent->hwpt;
}

uint32_t db_viommu_vdevice_id(struct db_viommu *viommu, struct db_device *dev)
{
	const struct viommu_member *member;
	uint32_t id;

	viommu_lock(viommu);
	member = find_member(viommu, dev);
	id = member ? member->vdevice : 0;
	viommu_unlock(viommu);
	return id;
}

struct event_record {
	struct iommufd_vevent_header header;
	struct iommu_vevent_arm_smmuv3 event;
};

/*
 * Takes apart what one read() gave: headers with a record each, and bare headers that say that
 * events were lost at the end. The sequence number counts lost events too, so gaps in it are their
 * number.
 */
static int parse_events(struct db_viommu *viommu, const uint8_t *buf, size_t len,
			uint64_t (*events)[4], uint64_t *lost)
{
	struct iommufd_vevent_header header;
	bool bare;
	size_t pos;
	int n = 0;

	for (pos = 0; pos + sizeof(header) <= len;
	     pos += sizeof(header) + (bare ? 0 : sizeof(struct iommu_vevent_arm_smmuv3))) {
		memcpy(&header, buf + pos, sizeof(header));
		bare = header.flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
		if (!bare && len - pos < sizeof(struct event_record))
			break;
		*lost += ((header.sequence + bare - viommu->next_event) & EVENT_SEQUENCE);
		viommu->next_event = (header.sequence + 1) & EVENT_SEQUENCE;
		if (!bare)
			memcpy(events[n++], buf + pos + sizeof(header), sizeof(events[0]));
	}
	return n;
}

int db_viommu_events(struct db_viommu *viommu, uint64_t (*events)[4], size_t max, uint64_t *lost)
{
	struct db_sys *sys = viommu->host->sys;
	uint8_t buf[EVENT_BATCH * sizeof(struct event_record)];
	size_t n = 0, want;
	ssize_t ret = 1;

	*lost = 0;
	viommu_lock(viommu);
	while (n < max && ret > 0) {
		want = max - n < EVENT_BATCH ? max - n : EVENT_BATCH;
		ret = sys->ops->read(sys, viommu->event_fd, buf,
				     want * sizeof(struct event_record));
		if (ret > 0)
			n += parse_events(viommu, buf, ret, events + n, lost);
	}
	viommu_unlock(viommu);
	if (ret < 0 && ret != -EAGAIN && !n) {
		db_error_set(ret, "cannot read the vIOMMU's event queue");
		return ret;
	}
	return n;
}
