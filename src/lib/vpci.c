/* SPDX-License-Identifier: BSD-2-Clause */
#include <doorbell/vpci.h>

#include <errno.h>

int db_vpci_create(const struct db_vpci_config *config, struct db_vpci **out)
{
	(void)config;
	(void)out;
	return -EOPNOTSUPP;
}

void db_vpci_destroy(struct db_vpci *vpci)
{
	(void)vpci;
}

struct db_msi *db_vpci_msi(struct db_vpci *vpci, enum db_msi_kind kind)
{
	(void)vpci;
	(void)kind;
	return NULL;
}

uint32_t db_vpci_config_read(struct db_vpci *vpci, unsigned int offset, unsigned int size)
{
	(void)vpci;
	(void)offset;
	(void)size;
	return (uint32_t)-1;
}

int db_vpci_config_write(struct db_vpci *vpci, unsigned int offset, unsigned int size,
			 uint32_t value)
{
	(void)vpci;
	(void)offset;
	(void)size;
	(void)value;
	return -EOPNOTSUPP;
}

uint64_t db_vpci_bar_read(struct db_vpci *vpci, unsigned int index, uint64_t offset,
			  unsigned int size)
{
	(void)vpci;
	(void)index;
	(void)offset;
	(void)size;
	return (uint64_t)-1;
}

int db_vpci_bar_write(struct db_vpci *vpci, unsigned int index, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	(void)vpci;
	(void)index;
	(void)offset;
	(void)size;
	(void)value;
	return -EOPNOTSUPP;
}

int db_vpci_bar(struct db_vpci *vpci, unsigned int index, struct db_vpci_bar *bar)
{
	(void)vpci;
	(void)index;
	(void)bar;
	return -EOPNOTSUPP;
}

int db_vpci_find(struct db_vpci *vpci, uint64_t address, bool io, unsigned int *index,
		 uint64_t *offset)
{
	(void)vpci;
	(void)address;
	(void)io;
	(void)index;
	(void)offset;
	return -EOPNOTSUPP;
}

int db_vpci_set_intx(struct db_vpci *vpci, int eventfd, int resample)
{
	(void)vpci;
	(void)eventfd;
	(void)resample;
	return -EOPNOTSUPP;
}

int db_vpci_intx_unmask(struct db_vpci *vpci)
{
	(void)vpci;
	return -EOPNOTSUPP;
}

int db_vpci_reset(struct db_vpci *vpci)
{
	(void)vpci;
	return -EOPNOTSUPP;
}

int db_vpci_hidden(struct db_vpci *vpci, unsigned int index, struct db_vpci_hidden *out)
{
	(void)vpci;
	(void)index;
	(void)out;
	return -EOPNOTSUPP;
}
