/* SPDX-License-Identifier: BSD-2-Clause */
#include <doorbell/irq.h>

#include <errno.h>

int db_device_irq_count(struct db_device *dev, enum db_irq irq)
{
	(void)dev;
	(void)irq;
	return -EOPNOTSUPP;
}

int db_device_irq_set(struct db_device *dev, enum db_irq irq, int eventfd)
{
	(void)dev;
	(void)irq;
	(void)eventfd;
	return -EOPNOTSUPP;
}

int db_device_intx_mask(struct db_device *dev)
{
	(void)dev;
	return -EOPNOTSUPP;
}

int db_device_intx_unmask(struct db_device *dev)
{
	(void)dev;
	return -EOPNOTSUPP;
}

int db_device_intx_resample(struct db_device *dev, int eventfd)
{
	(void)dev;
	(void)eventfd;
	return -EOPNOTSUPP;
}

int db_device_hot_reset_function(struct db_device *dev, unsigned int index,
				 struct db_reset_function *out)
{
	(void)dev;
	(void)index;
	(void)out;
	return -EOPNOTSUPP;
}

int db_device_hot_reset(struct db_device *dev)
{
	(void)dev;
	return -EOPNOTSUPP;
}
