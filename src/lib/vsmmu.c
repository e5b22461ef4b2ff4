/* SPDX-License-Identifier: BSD-2-Clause */
#include <doorbell/vsmmu.h>

#include <errno.h>

#include "sys/error.h"

static int not_yet(void)
{
	db_error_set(-EOPNOTSUPP, "the virtual SMMU is not there yet");
	return -EOPNOTSUPP;
}

int db_vsmmu_create(const struct db_vsmmu_config *config, struct db_vsmmu **out)
{
	(void)config;
	(void)out;
	return not_yet();
}

void db_vsmmu_destroy(struct db_vsmmu *vsmmu)
{
	(void)vsmmu;
}

int db_vsmmu_add_device(struct db_vsmmu *vsmmu, struct db_device *dev, uint32_t sid)
{
	(void)vsmmu;
	(void)dev;
	(void)sid;
	return not_yet();
}

void db_vsmmu_remove_device(struct db_vsmmu *vsmmu, struct db_device *dev)
{
	(void)vsmmu;
	(void)dev;
}

int db_vsmmu_add_emulated(struct db_vsmmu *vsmmu, uint32_t sid)
{
	(void)vsmmu;
	(void)sid;
	return not_yet();
}

void db_vsmmu_remove_emulated(struct db_vsmmu *vsmmu, uint32_t sid)
{
	(void)vsmmu;
	(void)sid;
}

uint64_t db_vsmmu_mmio_read(struct db_vsmmu *vsmmu, uint64_t offset, unsigned int size)
{
	(void)vsmmu;
	(void)offset;
	(void)size;
	return 0;
}

int db_vsmmu_mmio_write(struct db_vsmmu *vsmmu, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)vsmmu;
	(void)offset;
	(void)size;
	(void)value;
	return not_yet();
}

int db_vsmmu_translate(struct db_vsmmu *vsmmu, uint32_t sid, uint32_t ssid, uint64_t iova,
		       unsigned int flags, struct db_vsmmu_translation *out)
{
	(void)vsmmu;
	(void)sid;
	(void)ssid;
	(void)iova;
	(void)flags;
	(void)out;
	return not_yet();
}

unsigned int db_vsmmu_access_begin(struct db_vsmmu *vsmmu)
{
	(void)vsmmu;
	return 0;
}

void db_vsmmu_access_end(struct db_vsmmu *vsmmu, unsigned int token)
{
	(void)vsmmu;
	(void)token;
}

int db_vsmmu_event_fd(struct db_vsmmu *vsmmu)
{
	(void)vsmmu;
	return -1;
}

int db_vsmmu_poll_events(struct db_vsmmu *vsmmu)
{
	(void)vsmmu;
	return 0;
}

int db_vsmmu_reset(struct db_vsmmu *vsmmu)
{
	(void)vsmmu;
	return not_yet();
}

size_t db_vsmmu_save(struct db_vsmmu *vsmmu, void *buf, size_t len)
{
	(void)vsmmu;
	(void)buf;
	(void)len;
	return 0;
}

int db_vsmmu_restore(struct db_vsmmu *vsmmu, const void *buf, size_t len)
{
	(void)vsmmu;
	(void)buf;
	(void)len;
	return not_yet();
}

void db_vsmmu_info(const struct db_vsmmu *vsmmu, struct db_smmu_info *info)
{
	(void)vsmmu;
	*info = (struct db_smmu_info){ 0 };
}
