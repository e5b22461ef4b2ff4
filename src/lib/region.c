/* SPDX-License-Identifier: BSD-2-Clause */
#include <doorbell/region.h>

#include <errno.h>

int db_device_region(struct db_device *dev, unsigned int index, struct db_region_info *info)
{
	(void)dev;
	(void)index;
	(void)info;
	return -EOPNOTSUPP;
}

int db_region_map(struct db_device *dev, unsigned int index, uint64_t offset, uint64_t length,
		  unsigned int prot, void **out)
{
	(void)dev;
	(void)index;
	(void)offset;
	(void)length;
	(void)prot;
	(void)out;
	return -EOPNOTSUPP;
}

int db_region_unmap(struct db_device *dev, void *addr, uint64_t length)
{
	(void)dev;
	(void)addr;
	(void)length;
	return -EOPNOTSUPP;
}

int db_space_map_region(struct db_space *space, uint64_t ipa, struct db_device *dev,
			unsigned int index, uint64_t offset, uint64_t length, unsigned int prot)
{
	(void)space;
	(void)ipa;
	(void)dev;
	(void)index;
	(void)offset;
	(void)length;
	(void)prot;
	return -EOPNOTSUPP;
}
