/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guest's configuration means for passed-through devices: GBPA while the SMMU is disabled,
 * their stream table entries while it is enabled. */
#include "lib/vsmmu.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/ste.h"
#include "lib/viommu.h"

void vsmmu_config_dirty(struct db_vsmmu *s, uint32_t first, uint32_t last)
{
	struct vsmmu_device *device;

	if (first == last) {
		device = vsmmu_find(s, first);
		if (device && device->dev)
			device->dirty = s->any_dirty = true;
		return;
	}
	for (device = s->passed; device; device = device->next_passed) {
		if (device->sid >= first && device->sid <= last)
			device->dirty = s->any_dirty = true;
	}
}

/* What is in force for @sid; where that is no entry, or not in memory, DMA aborts. */
static void entry_of(struct db_vsmmu *s, uint32_t sid, uint64_t ste[SMMU_STE_DWORDS])
{
	static const uint64_t bypass =
		SMMU_STE_0_V | SMMU_STE_0_CONFIG_BYPASS * FIELD_UNIT64(SMMU_STE_0_CONFIG);

	if (atomic_load(&s->enabled)) {
		if (smmu_fetch_ste(s->engine, sid, ste))
			memcpy(ste, ste_abort, sizeof(ste_abort));
		return;
	}
	memcpy(ste, ste_abort, sizeof(ste_abort));
	if (!(atomic_load(&s->gbpa) & SMMU_GBPA_ABORT))
		ste[0] = bypass;
}

static int install(struct db_vsmmu *s, struct vsmmu_device *device)
{
	struct vsmmu_host *host = device->host;
	uint64_t ste[SMMU_STE_DWORDS];
	bool kept;
	int ret;

	entry_of(s, device->sid, ste);
	ret = viommu_install(host->viommu, device->dev, ste, &kept);
	if (ret == -EIO) {
		/* The hardware has an aborting entry, and will not say what is wrong. */
		const uint64_t event[4] = {
			FIELD_PREP64(SMMU_EVT_0_ID, SMMU_EVT_C_BAD_STE) |
			FIELD_PREP64(SMMU_EVT_0_SID, device->sid),
		};

		vsmmu_report_events(s, &event, 1);
	}
	if (!kept)
		return ret;
	host->cmds[host->kept][0] =
		htole64(FIELD_PREP64(SMMU_CMD_0_OP, SMMU_CMD_OP_CFGI_CD_ALL) |
			FIELD_PREP64(SMMU_CMD_CFGI_0_SID, device->sid));
	host->cmds[host->kept++][1] = 0;
	return 0;
}

int vsmmu_config_update(struct db_vsmmu *s)
{
	struct vsmmu_device *device;
	int ret, first = 0;

	for (device = s->any_dirty ? s->passed : NULL; device; device = device->next_passed) {
		if (!device->dirty)
			continue;
		device->dirty = false;
		ret = install(s, device);
		if (!first)
			first = ret;
	}
	s->any_dirty = false;
	return first;
}

int vsmmu_config_flush(struct db_vsmmu *s)
{
	struct vsmmu_host *host;
	int ret, first = vsmmu_config_update(s);

	for (host = s->hosts; host; host = host->next) {
		ret = db_viommu_invalidate(host->viommu, (const uint64_t(*)[2])host->cmds,
					   host->kept, NULL);
		host->kept = 0;
		if (!first)
			first = ret;
	}
	return first;
}

int vsmmu_config_enable(struct db_vsmmu *s, bool enable)
{
	int ret;

	if (enable)
		smmu_set_stream_table(s->engine, s->strtab, s->strtab_cfg);
	atomic_store(&s->enabled, enable);
	vsmmu_config_dirty(s, 0, UINT32_MAX);
	ret = vsmmu_config_flush(s);
	vsmmu_invalidated_all(s);
	/* Nobody looks at the stream table any more: the next one may be set. */
	readers_wait(&s->readers);
	return ret;
}
