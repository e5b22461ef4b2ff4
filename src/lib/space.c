/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/space.h"

#include <doorbell/adopt.h>

#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "abi/iommufd.h"
#include "abi/native.h"
#include "lib/device.h"
#include "lib/doorbell.h"
#include "lib/memlock.h"
#include "sys/error.h"

static struct db_space *new_space(struct db_host *host)
{
	struct db_space *space;

	space = calloc(1, sizeof(*space));
	if (!space) {
		db_error_set(-ENOMEM, "no memory for a guest-physical space");
		return NULL;
	}
	space->host = host;
	space->page_size = host_own_page_size(host);
	pthread_mutex_init(&space->lock, NULL);
	return space;
}

static void free_space(struct db_space *space)
{
	pthread_mutex_destroy(&space->lock);
	free(space);
}

int db_space_create(struct db_host *host, struct db_space **out)
{
	struct db_space *space;
	int ret;

	space = new_space(host);
	if (!space)
		return -ENOMEM;
	ret = host_ioas_alloc(host, &space->ioas);
	if (ret) {
		db_error_set(ret, "cannot create a guest-physical space (IOMMU_IOAS_ALLOC)");
		free_space(space);
		return ret;
	}
	*out = space;
	return 0;
}

int db_space_adopt(struct db_host *host, uint32_t ioas_id, unsigned int flags,
		   struct db_space **out)
{
	struct db_space *space;
	uint64_t page;
	int ret;

	if (flags & ~DB_ADOPT_KEEP) {
		db_error_set(-EINVAL, "a space is adopted with DB_ADOPT_KEEP or without");
		return -EINVAL;
	}
	ret = host_page_size(host, ioas_id, &page);
	if (ret) {
		db_error_set(ret, "the iommufd has no IOAS %u", ioas_id);
		return ret;
	}
	space = new_space(host);
	if (!space)
		return -ENOMEM;
	space->ioas = ioas_id;
	space->keep_ioas = flags & DB_ADOPT_KEEP;
	*out = space;
	return 0;
}

uint32_t db_space_id(const struct db_space *space)
{
	return space->ioas;
}


static int check_range(struct db_space *space, uint64_t ipa, uint64_t len)
{
	uint64_t mask = space->page_size - 1;

	if (len && !(ipa & mask) && !(len & mask) && ipa + len - 1 >= ipa)
		return 0;
	db_error_set(-EINVAL, "[0x%llx, +0x%llx) is empty, not a multiple of the page size, or "
		     "leaves 64 bits", (unsigned long long)ipa, (unsigned long long)len);
	return -EINVAL;
}

/* Is [ipa, ipa + len) within what the attached devices leave free? True when the kernel does not
 * say. */
static bool range_allowed(struct db_space *space, uint64_t ipa, uint64_t len)
{
	struct iommu_iova_range ranges[64];
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = space->ioas,
		.num_iovas = sizeof(ranges) / sizeof(ranges[0]),
		.allowed_iovas = (uintptr_t)ranges,
	};
	uint32_t i;

	if (host_ioctl(space->host, IOMMU_IOAS_IOVA_RANGES, &cmd) < 0)
		return true;
	for (i = 0; i < cmd.num_iovas; i++) {
		if (ranges[i].start <= ipa && ipa + len - 1 <= ranges[i].last)
			return true;
	}
	return false;
}

static void explain_memlock(int error, uint64_t len)
{
	unsigned long long mib = len >> 20 ? len >> 20 : 1, limit;

	switch (memlock_judge(len, &limit)) {
	case MEMLOCK_NO_LIMIT:
		db_error_set(error, "cannot pin %llu MiB: the host is out of memory", mib);
		break;
	case MEMLOCK_EXCEEDED:
		db_error_set(error, "cannot pin %llu MiB: the limit of locked memory is %llu MiB "
			     "(ulimit -l, LimitMEMLOCK=)", mib, limit >> 20);
		break;
	case MEMLOCK_WITHIN:
		db_error_set(error, "cannot pin %llu MiB: the host is out of memory, or what else "
			     "this user has pinned reaches the limit of %llu MiB with it (ulimit "
			     "-l, LimitMEMLOCK=)", mib, limit >> 20);
	}
}

/* The kernel says EINVAL for a reserved range and EEXIST for one in use; for a VMM both are a range
 * that is taken. */
static int explain_map(struct db_space *space, int error, uint64_t ipa, uint64_t len)
{
	unsigned long long first = ipa, last = ipa + len - 1;

	if (error == -EEXIST) {
		db_error_set(-EADDRINUSE, "[0x%llx, 0x%llx] overlaps a mapping", first, last);
		return -EADDRINUSE;
	}
	if (error == -EADDRINUSE || (error == -EINVAL && !range_allowed(space, ipa, len))) {
		db_error_set(-EADDRINUSE, "[0x%llx, 0x%llx] overlaps a reserved region or the MSI "
			     "window of an attached device, or is beyond what its SMMU can address",
			     first, last);
		return -EADDRINUSE;
	}
	if (error == -ENOMEM || error == -EPERM)
		explain_memlock(error, len);
	else if (error == -EFAULT)
		db_error_set(error, "[0x%llx, 0x%llx]: the memory to be mapped is not all there",
			     first, last);
	else if (error == -EINVAL)
		db_error_set(error, "[0x%llx, 0x%llx] is not aligned to the host's pages, or the "
			     "file is too short", first, last);
	else
		db_error_set(error, "cannot map [0x%llx, 0x%llx]", first, last);
	return error;
}

static uint32_t map_flags(unsigned int prot)
{
	return IOMMU_IOAS_MAP_FIXED_IOVA | (prot & DB_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
		(prot & DB_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0);
}

static int check_prot(unsigned int prot)
{
	if (prot && !(prot & ~(DB_READ | DB_WRITE)))
		return 0;
	db_error_set(-EINVAL, "a mapping is DB_READ, DB_WRITE or both");
	return -EINVAL;
}

int db_space_map(struct db_space *space, uint64_t ipa, void *va, uint64_t len, unsigned int prot)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = map_flags(prot),
		.ioas_id = space->ioas,
		.user_va = (uintptr_t)va,
		.length = len,
		.iova = ipa,
	};
	int ret;

	ret = check_range(space, ipa, len);
	if (!ret)
		ret = check_prot(prot);
	if (ret)
		return ret;
	ret = host_ioctl(space->host, IOMMU_IOAS_MAP, &cmd);
	return ret < 0 ? explain_map(space, ret, ipa, len) : 0;
}

int db_space_map_file(struct db_space *space, uint64_t ipa, int fd, uint64_t offset, uint64_t len,
		      unsigned int prot)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = map_flags(prot),
		.ioas_id = space->ioas,
		.fd = fd,
		.start = offset,
		.length = len,
		.iova = ipa,
	};
	int ret;

	ret = check_range(space, ipa, len);
	if (!ret)
		ret = check_prot(prot);
	if (ret)
		return ret;
	ret = host_ioctl(space->host, IOMMU_IOAS_MAP_FILE, &cmd);
	return ret < 0 ? explain_map(space, ret, ipa, len) : 0;
}

static int unmap(struct db_space *space, uint64_t ipa, uint64_t len)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = space->ioas,
		.iova = ipa,
		.length = len,
	};
	int ret;

	ret = host_ioctl(space->host, IOMMU_IOAS_UNMAP, &cmd);
	if (ret >= 0 && !cmd.length)
		ret = -ENOENT;
	if (ret >= 0)
		return 0;
	db_error_set(ret,
		     ret == -ENOENT ? "no mapping begins and ends within [0x%llx, 0x%llx]" :
				      "cannot unmap [0x%llx, 0x%llx]",
		     (unsigned long long)ipa, (unsigned long long)(ipa + len - 1));
	return ret;
}

void db_space_destroy(struct db_space *space)
{
	struct space_doorbell *doorbell;

	if (!space)
		return;
	if (!space->keep_ioas)
		host_destroy(space->host, space->ioas);
	while ((doorbell = space->doorbells)) {
		space->doorbells = doorbell->next;
		if (space->keep_ioas)
			unmap(space, doorbell->ipa, doorbell->size);
		tdestroy(doorbell->users, free);
		free(doorbell);
	}
	free_space(space);
}

static struct space_doorbell *find_overlap(struct db_space *space, uint64_t ipa, uint64_t len)
{
	struct space_doorbell *doorbell;

	for (doorbell = space->doorbells; doorbell; doorbell = doorbell->next) {
		if (ipa <= doorbell->ipa + doorbell->size - 1 && doorbell->ipa <= ipa + len - 1)
			return doorbell;
	}
	return NULL;
}

int db_space_unmap(struct db_space *space, uint64_t ipa, uint64_t len)
{
	int ret;

	ret = check_range(space, ipa, len);
	if (ret)
		return ret;
	pthread_mutex_lock(&space->lock);
	if (find_overlap(space, ipa, len)) {
		ret = -EBUSY;
		db_error_set(ret, "[0x%llx, +0x%llx) holds a doorbell that interrupts need: "
			     "db_space_unmap_doorbell() ends it", (unsigned long long)ipa,
			     (unsigned long long)len);
	} else {
		ret = unmap(space, ipa, len);
	}
	pthread_mutex_unlock(&space->lock);
	return ret;
}

static int query_doorbell(struct db_device *dev, struct db_doorbell *doorbell)
{
	int ret;

	ret = doorbell_query(dev, doorbell);
	if (ret == -ENOTTY) {
		ret = -EOPNOTSUPP;
		db_error_set(ret, "this kernel maps no doorbells (mode native): apply the series "
			     "in linux/");
	} else if (ret) {
		db_error_set(ret, "the kernel knows of no doorbell of %s that it could map",
			     dev->address);
	}
	return ret;
}

static int refuse_doorbell(const struct space_doorbell *present, struct db_device *dev,
			   const struct db_doorbell *doorbell, uint64_t ipa)
{
	if (present->id == doorbell->id) {
		db_error_set(-EADDRINUSE, "the doorbell of %s already stands at 0x%llx, which "
			     "0x%llx would overlap", dev->address, (unsigned long long)present->ipa,
			     (unsigned long long)ipa);
		return -EADDRINUSE;
	}
	db_error_set(-EXDEV, "%s signals through another physical doorbell (id 0x%llx; another "
		     "ITS, or another page of the same one, as with a pre-ITS) than the devices at "
		     "IPA 0x%llx (id 0x%llx): give it a vITS of its own",
		     dev->address, (unsigned long long)doorbell->id,
		     (unsigned long long)present->ipa, (unsigned long long)present->id);
	return -EXDEV;
}

static int new_doorbell(struct db_space *space, struct db_device *dev,
			const struct db_doorbell *doorbell, uint64_t ipa,
			struct space_doorbell **out)
{
	struct iommu_ioas_map_msi cmd = {
		.size = sizeof(cmd),
		.ioas_id = space->ioas,
		.dev_id = dev->dev_id,
		.iova = ipa,
	};
	struct space_doorbell *entry;
	int ret;

	entry = calloc(1, sizeof(*entry));
	if (!entry) {
		db_error_set(-ENOMEM, "no memory for a doorbell mapping");
		return -ENOMEM;
	}
	ret = host_ioctl(space->host, IOMMU_IOAS_MAP_MSI, &cmd);
	if (ret < 0) {
		free(entry);
		return explain_map(space, ret, ipa, doorbell->size);
	}
	*entry = (struct space_doorbell){
		.next = space->doorbells,
		.ipa = ipa,
		.size = doorbell->size,
		.id = doorbell->id,
	};
	space->doorbells = entry;
	*out = entry;
	return 0;
}

static int by_device(const void *a, const void *b)
{
	const struct space_doorbell_user *x = a, *y = b;

	return x->dev < y->dev ? -1 : x->dev > y->dev;
}

/* One more call of @dev for @entry. */
static int add_user(struct space_doorbell *entry, struct db_device *dev)
{
	struct space_doorbell_user *fresh = calloc(1, sizeof(*fresh)), **found = NULL;

	if (fresh) {
		fresh->dev = dev;
		found = tsearch(fresh, &entry->users, by_device);
	}
	if (!found) {
		free(fresh);
		db_error_set(-ENOMEM, "no memory for a doorbell mapping");
		return -ENOMEM;
	}
	(*found)->calls++;
	entry->n_users++;
	if (*found != fresh)
		free(fresh);
	return 0;
}

static void remove_user(struct space_doorbell *entry, struct space_doorbell_user *user)
{
	entry->n_users--;
	if (--user->calls)
		return;
	tdelete(user, &entry->users, by_device);
	free(user);
}

/* It has no users, and is not mapped any more. */
static void forget_doorbell(struct db_space *space, struct space_doorbell *entry)
{
	struct space_doorbell **link = &space->doorbells;

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	free(entry);
}

static int use_doorbell(struct db_space *space, struct db_device *dev,
			const struct db_doorbell *doorbell, uint64_t ipa)
{
	struct space_doorbell *entry = find_overlap(space, ipa, doorbell->size);
	int ret = 0;

	if (!entry)
		ret = new_doorbell(space, dev, doorbell, ipa, &entry);
	else if (entry->ipa != ipa || entry->id != doorbell->id)
		ret = refuse_doorbell(entry, dev, doorbell, ipa);
	if (ret)
		return ret;
	ret = add_user(entry, dev);
	if (ret && !entry->n_users) {
		unmap(space, entry->ipa, entry->size);
		forget_doorbell(space, entry);
	}
	return ret;
}

int db_space_map_doorbell(struct db_space *space, struct db_device *dev, uint64_t ipa)
{
	struct db_doorbell doorbell;
	int ret;

	ret = query_doorbell(dev, &doorbell);
	if (!ret)
		ret = check_range(space, ipa, doorbell.size);
	if (ret)
		return ret;
	pthread_mutex_lock(&space->lock);
	ret = use_doorbell(space, dev, &doorbell, ipa);
	pthread_mutex_unlock(&space->lock);
	return ret;
}

static int drop_doorbell(struct db_space *space, struct db_device *dev, uint64_t ipa)
{
	const struct space_doorbell_user key = { .dev = dev };
	struct space_doorbell_user **user = NULL;
	struct space_doorbell *entry;
	int ret;

	for (entry = space->doorbells; entry && entry->ipa != ipa; entry = entry->next)
		;
	if (entry)
		user = tfind(&key, &entry->users, by_device);
	if (!user) {
		db_error_set(-ENOENT, "no doorbell of %s is mapped at 0x%llx", dev->address,
			     (unsigned long long)ipa);
		return -ENOENT;
	}
	if (entry->n_users > 1) {
		remove_user(entry, *user);
		return 0;
	}
	/* The last one's stays when the kernel does not unmap. */
	ret = unmap(space, ipa, entry->size);
	if (ret)
		return ret;
	remove_user(entry, *user);
	forget_doorbell(space, entry);
	return 0;
}

int db_space_unmap_doorbell(struct db_space *space, struct db_device *dev, uint64_t ipa)
{
	int ret;

	pthread_mutex_lock(&space->lock);
	ret = drop_doorbell(space, dev, ipa);
	pthread_mutex_unlock(&space->lock);
	return ret;
}

bool space_has_doorbell(struct db_space *space, struct db_device *dev)
{
	const struct space_doorbell_user key = { .dev = dev };
	const struct space_doorbell *entry;
	bool found = false;

	pthread_mutex_lock(&space->lock);
	for (entry = space->doorbells; entry && !found; entry = entry->next)
		found = tfind(&key, &entry->users, by_device);
	pthread_mutex_unlock(&space->lock);
	return found;
}

static int explain_nest_parent(struct db_device *dev, int error)
{
	if (error == -EOPNOTSUPP)
		db_error_set(error, "the SMMU of %s does not do both stages of translation, or the "
			     "kernel does not allow nesting on it", dev->address);
	else if (error == -EADDRINUSE)
		db_error_set(error, "memory is mapped where %s has a reserved region",
			     dev->address);
	else
		db_error_set(error, "cannot make stage 2 for %s", dev->address);
	return error;
}

static int explain_viommu(struct db_device *dev, int error)
{
	if (error == -EOPNOTSUPP)
		db_error_set(error, "nesting is refused for %s: its SMMU has no S2FWB and firmware "
			     "does not vouch for coherence (CANWBS, IORT memory access flags bit "
			     "2)", dev->address);
	else if (error == -ENOTTY)
		db_error_set(error, "this kernel has no vIOMMUs: Linux 6.15 or later is needed");
	else
		db_error_set(error, "cannot make a vIOMMU for %s", dev->address);
	return error;
}

/* Which SMMU a device is behind is known to the kernel only: a nest parent of another one is
 * refused with EINVAL. */
static int find_parent(struct db_space *space, struct db_device *dev, struct space_parent **parent,
		       uint32_t *viommu)
{
	struct space_parent *candidate;
	int ret = -EINVAL;

	for (candidate = space->parents; candidate && ret == -EINVAL; candidate = candidate->next) {
		ret = host_viommu_alloc(space->host, dev->dev_id, candidate->hwpt, viommu);
		if (!ret) {
			candidate->refs++;
			*parent = candidate;
		}
	}
	return ret;
}

static int make_parent(struct db_space *space, struct db_device *dev, struct space_parent **out,
		       uint32_t *viommu)
{
	struct space_parent *parent;
	int ret;

	parent = calloc(1, sizeof(*parent));
	if (!parent) {
		db_error_set(-ENOMEM, "no memory for stage 2");
		return -ENOMEM;
	}
	ret = host_nest_parent_alloc(space->host, dev->dev_id, space->ioas, &parent->hwpt);
	if (ret < 0) {
		explain_nest_parent(dev, ret);
		goto free_parent;
	}
	ret = host_viommu_alloc(space->host, dev->dev_id, parent->hwpt, viommu);
	if (ret < 0) {
		explain_viommu(dev, ret);
		goto destroy_hwpt;
	}
	parent->refs = 1;
	parent->next = space->parents;
	space->parents = parent;
	*out = parent;
	return 0;

destroy_hwpt:
	host_destroy(space->host, parent->hwpt);
free_parent:
	free(parent);
	return ret;
}

int space_viommu_alloc(struct db_space *space, struct db_device *dev, struct space_parent **parent,
		       uint32_t *viommu)
{
	int ret;

	pthread_mutex_lock(&space->lock);
	ret = find_parent(space, dev, parent, viommu);
	if (ret == -EINVAL)
		ret = make_parent(space, dev, parent, viommu);
	else if (ret)
		explain_viommu(dev, ret);
	pthread_mutex_unlock(&space->lock);
	return ret;
}

void space_parent_put(struct db_space *space, struct space_parent *parent)
{
	struct space_parent **link;

	pthread_mutex_lock(&space->lock);
	if (!--parent->refs) {
		for (link = &space->parents; *link != parent; link = &(*link)->next)
			;
		*link = parent->next;
		host_destroy(space->host, parent->hwpt);
		free(parent);
	}
	pthread_mutex_unlock(&space->lock);
}
