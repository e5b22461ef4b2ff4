/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of the machine: LPI configuration and pending state as the redistributors keep it (IHI
 * 0069 §5.1), SPIs of GICv2m frames, handlers.
 *
 * An enabled interrupt is taken at once, in the thread that signals it; so it is pending in memory
 * only while it is disabled. Signalling and enabling may race: each first says what it has to say
 * (pending, enabled), then looks at the other's word, and who clears the pending bit takes the
 * interrupt. None is lost, none is taken twice.
 */
#include "soft/hw/gic_priv.h"

#include <errno.h>

#include "soft/alloc.h"

#define LPI_PRIORITY 0xa0u

bool gic_is_lpi(const struct gic *gic, uint32_t intid)
{
	return intid >= GIC_LPI_FIRST && intid < gic->intids;
}

static bool is_spi(uint32_t intid)
{
	return intid >= GIC_SPI_FIRST && intid < GIC_SPI_END;
}

static void take(struct gic *gic, uint32_t intid)
{
	struct bus_effect effect = { 0 };

	gic_take(gic, intid, &effect);
	bus_effect_run(&effect);
}

static bool pending_set(struct gic *gic, uint32_t rd, uint32_t intid)
{
	uint8_t bit = 1u << intid % 8;

	return __atomic_fetch_or(&gic->pending[rd][intid / 8], bit, __ATOMIC_SEQ_CST) & bit;
}

static bool pending_clear(struct gic *gic, uint32_t rd, uint32_t intid)
{
	uint8_t bit = 1u << intid % 8;

	return __atomic_fetch_and(&gic->pending[rd][intid / 8], (uint8_t)~bit, __ATOMIC_SEQ_CST) &
	       bit;
}

bool gic_pend_lpi(struct gic *gic, uint32_t rd, uint32_t intid, struct bus_effect *effect)
{
	pending_set(gic, rd, intid);
	/*
	 * Pairs with lpi_invalidate(): the interrupt may have been enabled after that looked for
	 * pending ones and before this one was marked as pending.
	 */
	if (!gic_lpi_enabled(gic, intid) || !pending_clear(gic, rd, intid))
		return false;
	gic_take(gic, intid, effect);
	return true;
}

static void lpi_set_pending(void *ctx, uint32_t rd, uint32_t intid)
{
	struct bus_effect effect = { 0 };

	gic_raise_lpi(ctx, rd, intid, &effect);
	bus_effect_run(&effect);
}

static void lpi_clear_pending(void *ctx, uint32_t rd, uint32_t intid)
{
	pending_clear(ctx, rd, intid);
}

static void lpi_read_configuration(struct gic *gic, uint32_t intid)
{
	uint8_t property = __atomic_load_n(&gic->property[intid - GIC_LPI_FIRST], __ATOMIC_ACQUIRE);

	/* Most have not changed: the cache line of one that is not in use is then not written. */
	if (gic->lines[intid].configured != property)
		__atomic_store_n(&gic->lines[intid].configured, property, __ATOMIC_SEQ_CST);
}

static void lpi_take_if_pending(struct gic *gic, uint32_t rd, uint32_t intid)
{
	if (gic_lpi_enabled(gic, intid) && pending_clear(gic, rd, intid))
		take(gic, intid);
}

/* Calls @each for what is pending on @rd. */
static void lpi_for_pending(struct gic *gic, uint32_t rd,
			    void (*each)(struct gic *gic, uint32_t rd, uint32_t to, uint32_t intid),
			    uint32_t to)
{
	for (uint32_t byte = GIC_LPI_FIRST / 8; byte < gic->intids / 8; byte++) {
		uint8_t bits = __atomic_load_n(&gic->pending[rd][byte], __ATOMIC_SEQ_CST);

		for (unsigned int bit = 0; bits; bit++, bits >>= 1) {
			if (bits & 1)
				each(gic, rd, to, byte * 8 + bit);
		}
	}
}

static void take_one(struct gic *gic, uint32_t rd, uint32_t to, uint32_t intid)
{
	(void)to;
	lpi_take_if_pending(gic, rd, intid);
}

static void lpi_invalidate(void *ctx, uint32_t rd, uint32_t intid)
{
	struct gic *gic = ctx;

	if (intid) {
		lpi_read_configuration(gic, intid);
		lpi_take_if_pending(gic, rd, intid);
		return;
	}
	/*
	 * All redistributors of this model share one copy of the configuration, so it is read
	 * whole.
	 */
	for (uint32_t i = GIC_LPI_FIRST; i < gic->intids; i++)
		lpi_read_configuration(gic, i);
	lpi_for_pending(gic, rd, take_one, 0);
}

static void move_one(struct gic *gic, uint32_t rd, uint32_t to, uint32_t intid)
{
	if (!pending_clear(gic, rd, intid))
		return;
	pending_set(gic, to, intid);
	lpi_take_if_pending(gic, to, intid);
}

static void lpi_move(void *ctx, uint32_t from, uint32_t to, uint32_t intid)
{
	if (intid)
		move_one(ctx, from, to, intid);
	else
		lpi_for_pending(ctx, from, move_one, to);
}

const struct its_lpi_ops gic_lpi_ops = {
	.set_pending = lpi_set_pending,
	.clear_pending = lpi_clear_pending,
	.invalidate = lpi_invalidate,
	.move = lpi_move,
};

void gic_raise_spi(struct gic *gic, uint32_t intid, struct bus_effect *effect)
{
	struct gic_line *line = &gic->lines[intid];

	if (!__atomic_load_n(&line->spi_enabled, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&line->spi_pending, 1, __ATOMIC_SEQ_CST);
		/* Pairs with gic_set_enabled(). */
		if (!__atomic_load_n(&line->spi_enabled, __ATOMIC_SEQ_CST) ||
		    !__atomic_exchange_n(&line->spi_pending, 0, __ATOMIC_SEQ_CST))
			return;
	}
	gic_take(gic, intid, effect);
}

void gic_set_enabled(struct gic *gic, uint32_t intid, bool enabled)
{
	if (gic_is_lpi(gic, intid)) {
		__atomic_store_n(&gic->property[intid - GIC_LPI_FIRST],
				 LPI_PRIORITY | (enabled ? GIC_LPI_ENABLED : 0), __ATOMIC_RELEASE);
		return;
	}
	if (!is_spi(intid))
		return;
	hw_read_lock();
	__atomic_store_n(&gic->lines[intid].spi_enabled, enabled, __ATOMIC_SEQ_CST);
	if (enabled && __atomic_exchange_n(&gic->lines[intid].spi_pending, 0, __ATOMIC_SEQ_CST))
		take(gic, intid);
	hw_read_unlock();
}

bool gic_is_pending(struct gic *gic, uint32_t intid)
{
	if (is_spi(intid))
		return __atomic_load_n(&gic->lines[intid].spi_pending, __ATOMIC_SEQ_CST);
	if (!gic_is_lpi(gic, intid))
		return false;
	for (unsigned int rd = 0; rd < gic->processors; rd++) {
		if (__atomic_load_n(&gic->pending[rd][intid / 8], __ATOMIC_SEQ_CST) &
		    1u << intid % 8)
			return true;
	}
	return false;
}

uint64_t gic_unhandled(const struct gic *gic)
{
	return __atomic_load_n(&gic->unhandled, __ATOMIC_RELAXED);
}

/* --- Handlers --- */

int gic_set_handler(struct gic *gic, uint32_t intid, void (*fn)(void *ctx), void *ctx)
{
	struct gic_handler *old, *handler = NULL;
	struct gic_line *line;

	if (!is_spi(intid) && !gic_is_lpi(gic, intid))
		return -EINVAL;
	line = &gic->lines[intid];
	pthread_mutex_lock(&gic->handler_lock);
	old = line->handler;
	if (fn) {
		/*
		 * Of the two slots, the one that is not @old is free: the change before waited
		 * until nobody used it any more.
		 */
		handler = old == &line->slot[0] ? &line->slot[1] : &line->slot[0];
		*handler = (struct gic_handler){ .fn = fn, .ctx = ctx };
	}
	__atomic_store_n(&line->handler, handler, __ATOMIC_RELEASE);
	if (old)
		hw_synchronize();
	pthread_mutex_unlock(&gic->handler_lock);
	return 0;
}

void gic_clear_handlers(struct gic *gic, uint32_t first, unsigned int count)
{
	bool ended = false;

	pthread_mutex_lock(&gic->handler_lock);
	for (uint64_t intid = first; intid < (uint64_t)first + count && intid < gic->intids;
	     intid++) {
		if (!gic->lines[intid].handler)
			continue;
		__atomic_store_n(&gic->lines[intid].handler, NULL, __ATOMIC_RELEASE);
		ended = true;
	}
	if (ended)
		hw_synchronize();
	pthread_mutex_unlock(&gic->handler_lock);
}

/* --- INTIDs --- */

static bool is_allocated(const struct gic *gic, uint32_t intid)
{
	return gic->allocated[intid / 8] & 1u << intid % 8;
}

static void set_allocated(struct gic *gic, uint32_t first, unsigned int count, bool on)
{
	for (uint32_t intid = first; intid < first + count; intid++) {
		if (on)
			gic->allocated[intid / 8] |= 1u << intid % 8;
		else
			gic->allocated[intid / 8] &= ~(1u << intid % 8);
	}
}

/* First free run of @count at a multiple of @align in [low, high), or @high. */
static uint64_t find_free(const struct gic *gic, uint64_t low, uint64_t high, unsigned int count,
			  unsigned int align)
{
	for (uint64_t first = (low + align - 1) & ~(uint64_t)(align - 1); first + count <= high;
	     first += align) {
		unsigned int n = 0;

		while (n < count && !is_allocated(gic, first + n))
			n++;
		if (n == count)
			return first;
	}
	return high;
}

int gic_alloc_interrupts(struct gic *gic, struct its_dev *its, unsigned int count, uint32_t *first)
{
	bool spi = its->config.kind == DOORBELL_V2M;
	uint64_t high = spi ? its->config.spi_base + its->config.spi_count : gic->intids;
	unsigned int align = 1;
	uint64_t low, at;
	int ret = -ENOSPC;

	if (!count || count > gic->intids)
		return -ENOSPC;
	while (align < count)
		align *= 2;

	pthread_mutex_lock(&gic->lock);
	low = spi ? its->config.spi_base : gic->search_from;
	at = find_free(gic, low, high, count, align);
	if (at < high) {
		set_allocated(gic, at, count, true);
		if (!spi && at == low)
			gic->search_from = at + count;
		*first = at;
		ret = 0;
	}
	pthread_mutex_unlock(&gic->lock);
	return ret;
}

void gic_free_interrupts(struct gic *gic, struct its_dev *its, uint32_t first, unsigned int count)
{
	pthread_mutex_lock(&gic->lock);
	set_allocated(gic, first, count, false);
	if (its->config.kind != DOORBELL_V2M && first < gic->search_from)
		gic->search_from = first;
	pthread_mutex_unlock(&gic->lock);
}

/* --- The whole --- */

struct gic *gic_create(struct bus *bus, unsigned int processors, unsigned int lpi_bits)
{
	struct gic *gic;

	if (lpi_bits < 14 || lpi_bits > 24 || !processors || processors > 65536)
		return NULL;
	gic = soft_calloc(1, sizeof(*gic));
	if (!gic)
		return NULL;
	pthread_mutex_init(&gic->handler_lock, NULL);
	pthread_mutex_init(&gic->lock, NULL);
	gic->bus = bus;
	gic->processors = processors;
	gic->lpi_bits = lpi_bits;
	gic->intids = 1u << lpi_bits;
	gic->search_from = GIC_LPI_FIRST;

	gic->lines = soft_map(gic->intids * sizeof(struct gic_line));
	gic->allocated = soft_calloc(1, gic->intids / 8);
	gic->pending = soft_calloc(processors, sizeof(*gic->pending));
	gic->pending_pa = soft_calloc(processors, sizeof(*gic->pending_pa));
	gic->property = bus_alloc(bus, gic->intids - GIC_LPI_FIRST, 4096, &gic->property_pa);
	if (!gic->lines || !gic->allocated || !gic->pending || !gic->pending_pa || !gic->property)
		goto destroy;
	for (unsigned int i = 0; i < processors; i++) {
		gic->pending[i] = bus_alloc(bus, gic->intids / 8, 65536, &gic->pending_pa[i]);
		if (!gic->pending[i])
			goto destroy;
	}
	return gic;

destroy:
	gic_destroy(gic);
	return NULL;
}

void gic_destroy(struct gic *gic)
{
	struct its_dev *its, *next;

	if (!gic)
		return;
	for (its = gic->frames; its; its = next) {
		next = its->next;
		if (its->its)
			its_dev_destroy(its);
		else
			v2m_destroy(its);
	}
	for (unsigned int i = 0; gic->pending_pa && i < gic->processors; i++)
		bus_free(gic->bus, gic->pending_pa[i], gic->intids / 8);
	bus_free(gic->bus, gic->property_pa, gic->intids - GIC_LPI_FIRST);
	soft_free(gic->pending_pa);
	soft_free(gic->pending);
	soft_free(gic->allocated);
	soft_unmap(gic->lines, gic->intids * sizeof(struct gic_line));
	pthread_mutex_destroy(&gic->lock);
	pthread_mutex_destroy(&gic->handler_lock);
	soft_free(gic);
}

int gic_add_msi_frame(struct gic *gic, const struct msi_frame_config *config, struct its_dev **out)
{
	struct its_dev *its;
	int err = config->kind == DOORBELL_V2M ? v2m_create(gic, config, &its)
					       : its_dev_create(gic, config, &its);

	if (err)
		return err;
	pthread_mutex_lock(&gic->lock);
	its->next = gic->frames;
	gic->frames = its;
	pthread_mutex_unlock(&gic->lock);
	*out = its;
	return 0;
}
