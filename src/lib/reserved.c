/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/reserved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/iommufd.h"
#include "lib/sized.h"
#include "lib/sysfs.h"
#include "sys/error.h"
#include "sys/log.h"

/* The window of Linux's SMMU drivers (MSI_IOVA_BASE, MSI_IOVA_LENGTH in arm-smmu-v3.c). */
#define WINDOW_START 0x8000000ull
#define WINDOW_LAST (WINDOW_START + 0x100000 - 1)

/* --- From what an IOAS leaves free --- */

struct list {
	struct db_reserved *regions;
	unsigned int count, room;
};

static void add(struct list *list, uint64_t start, uint64_t last, const char *type)
{
	struct db_reserved *region;

	if (start > last || list->count == list->room)
		return;
	region = &list->regions[list->count++];
	region->start = start;
	region->last = last;
	snprintf(region->type, sizeof(region->type), "%s", type);
}

/* The ioctl does not say what a range is reserved for; the window is known by where it is. */
static void add_gap(struct list *list, uint64_t start, uint64_t last)
{
	if (start > WINDOW_START || last < WINDOW_LAST) {
		add(list, start, last, last == UINT64_MAX ? "aperture" : "reserved");
		return;
	}
	if (start < WINDOW_START)
		add(list, start, WINDOW_START - 1, "reserved");
	add(list, WINDOW_START, WINDOW_LAST, "msi");
	if (last > WINDOW_LAST)
		add(list, WINDOW_LAST + 1, last, last == UINT64_MAX ? "aperture" : "reserved");
}

int reserved_learn_from(struct db_device *dev, uint32_t ioas)
{
	struct iommu_iova_range ranges[DEVICE_RESERVED];
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = DEVICE_RESERVED,
		.allowed_iovas = (uintptr_t)ranges,
	};
	/* A gap before each range and one behind, each of which may be cut in three. */
	struct list list = { .room = DEVICE_RESERVED + 3 };
	uint64_t next = 0;
	uint32_t i;
	int ret;

	ret = host_ioctl(dev->host, IOMMU_IOAS_IOVA_RANGES, &cmd);
	if (ret < 0)
		return ret;
	list.regions = calloc(list.room, sizeof(*list.regions));
	if (!list.regions)
		return -ENOMEM;
	for (i = 0; i < cmd.num_iovas; i++) {
		if (ranges[i].start > next)
			add_gap(&list, next, ranges[i].start - 1);
		next = ranges[i].last + 1;
		if (!next)
			break;
	}
	if (next || !cmd.num_iovas)
		add_gap(&list, next, UINT64_MAX);
	dev->reserved = list.regions;
	dev->n_reserved = list.count;
	return 0;
}

void reserved_learn(struct db_device *dev)
{
	const char *step = "IOMMU_IOAS_ALLOC";
	uint32_t ioas;
	int ret;

	ret = host_ioas_alloc(dev->host, &ioas);
	if (ret)
		goto out;
	step = "VFIO_DEVICE_ATTACH_IOMMUFD_PT";
	ret = device_attach(dev, ioas);
	if (!ret) {
		step = "IOMMU_IOAS_IOVA_RANGES";
		ret = reserved_learn_from(dev, ioas);
		device_detach(dev);
	}
	host_destroy(dev->host, ioas);
out:
	if (ret)
		log_say(DB_LOG_WARNING, "the reserved ranges of %s are not known: %s: %s",
			dev->address, step, strerrorname_np(-ret));
}

/* --- From sysfs --- */

static int parse(const char *line, struct db_reserved *region)
{
	unsigned long long start, last;

	if (sscanf(line, "0x%llx 0x%llx %31s", &start, &last, region->type) != 3 || last < start)
		return -EINVAL;
	region->start = start;
	region->last = last;
	return 0;
}

static void give(struct db_reserved *regions, size_t size, unsigned int index,
		 const struct db_reserved *region)
{
	sized_give_element((char *)regions + index * size, size, region, sizeof(*region));
}

static int read_sysfs(struct db_device *dev, struct db_reserved *regions, unsigned int max,
		      size_t size)
{
	char path[SYSFS_PATH], text[4096], *line, *next;
	struct db_reserved region;
	unsigned int count = 0;
	int ret;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/reserved_regions", dev->group);
	ret = sysfs_read(dev->host->sys, path, text, sizeof(text));
	if (ret < 0) {
		db_error_set(ret, "cannot read %s", path);
		return ret;
	}
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		if (parse(line, &region))
			continue;
		if (count < max)
			give(regions, size, count, &region);
		count++;
	}
	return count;
}

int db_device_reserved(struct db_device *dev, struct db_reserved *regions, unsigned int max,
		       size_t size)
{
	static const struct db_reserved window = { WINDOW_START, WINDOW_LAST, "msi" };
	unsigned int i;

	if (!size) {
		db_error_set(-EINVAL, "the size of an element is sizeof(struct db_reserved)");
		return -EINVAL;
	}
	if (!dev->adopted)
		return read_sysfs(dev, regions, max, size);
	if (!dev->reserved) {
		if (max)
			give(regions, size, 0, &window);
		return 1;
	}
	for (i = 0; i < dev->n_reserved && i < max; i++)
		give(regions, size, i, &dev->reserved[i]);
	return dev->n_reserved;
}
