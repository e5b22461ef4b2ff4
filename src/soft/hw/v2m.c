/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GICv2m frame (Arm Server Base System Architecture, appendix E): a write of a SPI's number to
 * MSI_SETSPI_NS raises it.
 */
#include "soft/hw/gic_priv.h"

#include <errno.h>

#include "soft/alloc.h"

#define V2M_FRAME 4096
#define V2M_MSI_TYPER 0x008	/* RO: first SPI [25:16], number of SPIs [9:0] */
#define V2M_MSI_SETSPI_NS 0x040	/* WO */

static int v2m_write(void *ctx, uint64_t off, unsigned int size, uint64_t value, uint32_t device_id,
		     struct bus_effect *effect)
{
	struct its_dev *its = ctx;
	const struct msi_frame_config *c = &its->config;

	/* Nobody looks at who writes: that is what a GICv2m is (see its_dev_isolated()). */
	(void)device_id;
	if (off != V2M_MSI_SETSPI_NS)
		return 0;
	if (size != 4 || value < c->spi_base || value - c->spi_base >= c->spi_count) {
		__atomic_fetch_add(&its->discarded, 1, __ATOMIC_RELAXED);
		return 0;
	}
	gic_raise_spi(its->gic, value, effect);
	return 0;
}

static int v2m_read(void *ctx, uint64_t off, unsigned int size, uint64_t *value)
{
	const struct msi_frame_config *c = &((struct its_dev *)ctx)->config;

	*value = off == V2M_MSI_TYPER && size == 4 ? c->spi_base << 16 | c->spi_count : 0;
	return 0;
}

int v2m_create(struct gic *gic, const struct msi_frame_config *config, struct its_dev **out)
{
	struct bus_frame frame = {
		.base = config->base, .size = V2M_FRAME, .write = v2m_write, .read = v2m_read
	};
	struct its_dev *its;
	int err;

	if (!config->spi_count || config->spi_base < GIC_SPI_FIRST ||
	    config->spi_base > GIC_SPI_END || config->spi_count > GIC_SPI_END - config->spi_base)
		return -EINVAL;
	its = soft_calloc(1, sizeof(*its));
	if (!its)
		return -ENOMEM;
	its->gic = gic;
	its->config = *config;
	frame.ctx = its;
	err = bus_add_frame(gic->bus, &frame);
	if (err)
		soft_free(its);
	else
		*out = its;
	return err;
}

void v2m_destroy(struct its_dev *its)
{
	soft_free(its);
}
