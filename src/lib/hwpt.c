/* SPDX-License-Identifier: BSD-2-Clause */
/* The nested HWPTs of a vIOMMU: one for each distinct vSTE in use, and a few that were. */
#include "lib/viommu.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

static struct viommu_hwpt **bucket_of(struct db_viommu *viommu, const uint64_t ste[2])
{
	return &viommu->hwpts[viommu_bucket(ste[0] ^ (ste[1] << 32))];
}

static int nested_alloc(struct db_viommu *viommu, const uint64_t ste[2], uint32_t *id)
{
	struct iommu_hwpt_arm_smmuv3 data = { .ste = { htole64(ste[0]), htole64(ste[1]) } };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = viommu->dev_id,
		.pt_id = viommu->id,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int ret;

	ret = host_ioctl(viommu->host, IOMMU_HWPT_ALLOC, &cmd);
	if (ret < 0)
		return ret;
	*id = cmd.out_hwpt_id;
	return 0;
}

int viommu_hwpt_get(struct db_viommu *viommu, const uint64_t ste[2], struct viommu_hwpt **out)
{
	struct viommu_hwpt **bucket = bucket_of(viommu, ste), *hwpt;
	int ret;

	for (hwpt = *bucket; hwpt; hwpt = hwpt->next) {
		if (hwpt->ste[0] == ste[0] && hwpt->ste[1] == ste[1]) {
			viommu->spares -= !hwpt->users;
			hwpt->users++;
			*out = hwpt;
			return 0;
		}
	}
	hwpt = calloc(1, sizeof(*hwpt));
	if (!hwpt)
		return -ENOMEM;
	ret = nested_alloc(viommu, ste, &hwpt->id);
	if (ret) {
		free(hwpt);
		return ret;
	}
	hwpt->ste[0] = ste[0];
	hwpt->ste[1] = ste[1];
	hwpt->users = 1;
	hwpt->next = *bucket;
	*bucket = hwpt;
	*out = hwpt;
	return 0;
}

static void destroy(struct db_viommu *viommu, struct viommu_hwpt *hwpt)
{
	struct viommu_hwpt **link;

	for (link = bucket_of(viommu, hwpt->ste); *link != hwpt; link = &(*link)->next)
		;
	*link = hwpt->next;
	host_destroy(viommu->host, hwpt->id);
	free(hwpt);
	viommu->spares--;
}

static struct viommu_hwpt *oldest_spare(struct db_viommu *viommu)
{
	struct viommu_hwpt *hwpt, *oldest = NULL;
	unsigned int i;

	for (i = 0; i < VIOMMU_BUCKETS; i++) {
		for (hwpt = viommu->hwpts[i]; hwpt; hwpt = hwpt->next) {
			if (!hwpt->users && (!oldest || hwpt->left < oldest->left))
				oldest = hwpt;
		}
	}
	return oldest;
}

void viommu_hwpt_put(struct db_viommu *viommu, struct viommu_hwpt *hwpt)
{
	if (--hwpt->users)
		return;
	hwpt->left = ++viommu->clock;
	if (++viommu->spares > VIOMMU_SPARE_HWPTS)
		destroy(viommu, oldest_spare(viommu));
}

void viommu_hwpt_purge(struct db_viommu *viommu)
{
	while (viommu->spares)
		destroy(viommu, oldest_spare(viommu));
}
