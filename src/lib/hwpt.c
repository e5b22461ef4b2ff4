/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/hwpt.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "abi/iommufd.h"

/* Unused HWPTs that are kept: a guest that goes S1 -> bypass -> S1 finds its own again. */
#define SPARES_MAX 4

static struct hwpt **bucket_of(struct hwpt_cache *cache, const uint64_t ste[2])
{
	return &cache->buckets[bucket(ste[0] ^ (ste[1] << 32))];
}

static int nested_alloc(struct hwpt_cache *cache, uint32_t dev_id, const uint64_t ste[2],
			uint32_t *id)
{
	struct iommu_hwpt_arm_smmuv3 data = { .ste = { htole64(ste[0]), htole64(ste[1]) } };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = dev_id,
		.pt_id = cache->viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int ret;

	ret = host_ioctl(cache->host, IOMMU_HWPT_ALLOC, &cmd);
	if (ret < 0)
		return ret;
	*id = cmd.out_hwpt_id;
	return 0;
}

int hwpt_get(struct hwpt_cache *cache, uint32_t dev_id, const uint64_t ste[2], struct hwpt **out)
{
	struct hwpt **link = bucket_of(cache, ste), *hwpt;
	int ret;

	for (hwpt = *link; hwpt; hwpt = hwpt->next) {
		if (hwpt->ste[0] == ste[0] && hwpt->ste[1] == ste[1]) {
			cache->spares -= !hwpt->users;
			hwpt->users++;
			*out = hwpt;
			return 0;
		}
	}
	hwpt = calloc(1, sizeof(*hwpt));
	if (!hwpt)
		return -ENOMEM;
	ret = nested_alloc(cache, dev_id, ste, &hwpt->id);
	if (ret) {
		free(hwpt);
		return ret;
	}
	hwpt->ste[0] = ste[0];
	hwpt->ste[1] = ste[1];
	hwpt->users = 1;
	hwpt->next = *link;
	*link = hwpt;
	*out = hwpt;
	return 0;
}

static void destroy(struct hwpt_cache *cache, struct hwpt *hwpt)
{
	struct hwpt **link;

	for (link = bucket_of(cache, hwpt->ste); *link != hwpt; link = &(*link)->next)
		;
	*link = hwpt->next;
	host_destroy(cache->host, hwpt->id);
	free(hwpt);
	cache->spares--;
}

static struct hwpt *oldest_spare(struct hwpt_cache *cache)
{
	struct hwpt *hwpt, *oldest = NULL;
	unsigned int i;

	for (i = 0; i < BUCKETS; i++) {
		for (hwpt = cache->buckets[i]; hwpt; hwpt = hwpt->next) {
			if (!hwpt->users && (!oldest || hwpt->left < oldest->left))
				oldest = hwpt;
		}
	}
	return oldest;
}

void hwpt_put(struct hwpt_cache *cache, struct hwpt *hwpt)
{
	if (--hwpt->users)
		return;
	hwpt->left = ++cache->clock;
	if (++cache->spares > SPARES_MAX)
		destroy(cache, oldest_spare(cache));
}

void hwpt_purge(struct hwpt_cache *cache)
{
	while (cache->spares)
		destroy(cache, oldest_spare(cache));
}
