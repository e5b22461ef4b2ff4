/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/hw/bus.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "soft/alloc.h"

/* The end of user space: an address at or above it is memory of nobody. */
#ifdef __x86_64__
#define BUS_RAM_TOP (1ull << 47)
#else
#define BUS_RAM_TOP (1ull << 48)
#endif

#define BUS_PAGE 4096ull

/*
 * Up to this size, aligned pieces are accessed whole and in ascending order, as descriptor rings
 * expect of a device.
 */
#define BUS_ORDERED 64

/* Enough for all ITSes of a machine, each with a pre-ITS. */
#define BUS_FRAMES 64

struct bus {
	unsigned int n_frames;
	/*
	 * Sorted by base address. Kept in the struct, not behind a pointer, since each access
	 * searches it.
	 */
	struct bus_frame frames[BUS_FRAMES];
	size_t allocated;		/* atomic */
	/* Told of each write to memory; NULL: nobody. Set before any device works. */
	void (*written)(void *ctx, void *addr, size_t len);
	void *written_ctx;
};

struct bus *bus_create(void)
{
	return soft_calloc(1, sizeof(struct bus));
}

void bus_destroy(struct bus *bus)
{
	soft_free(bus);
}

void bus_on_write(struct bus *bus, void (*fn)(void *ctx, void *addr, size_t len), void *ctx)
{
	bus->written = fn;
	bus->written_ctx = ctx;
}

int bus_add_frame(struct bus *bus, const struct bus_frame *frame)
{
	unsigned int at;

	if (!frame->size || (frame->base | frame->size) % BUS_PAGE)
		return -EINVAL;
	if (frame->base >= BUS_MMIO_TOP || frame->size > BUS_MMIO_TOP - frame->base)
		return -EINVAL;

	for (at = 0; at < bus->n_frames && bus->frames[at].base < frame->base; at++)
		;
	if (at && bus->frames[at - 1].base + bus->frames[at - 1].size > frame->base)
		return -EADDRINUSE;
	if (at < bus->n_frames && frame->base + frame->size > bus->frames[at].base)
		return -EADDRINUSE;

	if (bus->n_frames == BUS_FRAMES)
		return -ENOMEM;
	memmove(&bus->frames[at + 1], &bus->frames[at], (bus->n_frames - at) * sizeof(*frame));
	bus->frames[at] = *frame;
	bus->n_frames++;
	return 0;
}

static inline const struct bus_frame *find_frame(const struct bus *bus, uint64_t pa)
{
	unsigned int low = 0, high = bus->n_frames;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct bus_frame *frame = &bus->frames[mid];

		if (pa < frame->base)
			high = mid;
		else if (pa - frame->base >= frame->size)
			low = mid + 1;
		else
			return frame;
	}
	return NULL;
}

static bool is_ram(uint64_t pa, size_t len)
{
	return pa >= BUS_MMIO_TOP && pa < BUS_RAM_TOP && len <= BUS_RAM_TOP - pa;
}

/*
 * A frame's registers take one naturally aligned access of 1, 2, 4 or 8 bytes; anything else is a
 * bus abort.
 */
static const struct bus_frame *frame_for(const struct bus *bus, uint64_t pa, size_t len)
{
	if (len != 1 && len != 2 && len != 4 && len != 8)
		return NULL;
	if (pa % len)
		return NULL;
	return find_frame(bus, pa);
}

/* Keeps blocks of stage 2 aligned. */
#define LOW_ALIGN (1ull << 30)

/* Where PAs of memory below 4 GiB begin; 0: not needed yet. */
static uint64_t low_base;

static uint64_t reserve_low(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	void *room;

	pthread_mutex_lock(&lock);
	if (!low_base) {
		room = mmap(NULL, BUS_MMIO_TOP + LOW_ALIGN, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (room != MAP_FAILED)
			__atomic_store_n(&low_base, ((uintptr_t)room + LOW_ALIGN - 1) &
					 ~(LOW_ALIGN - 1), __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&lock);
	return low_base;
}

uint64_t bus_pa(const void *memory)
{
	uint64_t va = (uintptr_t)memory, low;

	if (va >= BUS_MMIO_TOP)
		return va;
	low = reserve_low();
	return low ? low + va : 0;
}

void *bus_memory(uint64_t pa)
{
	uint64_t low = __atomic_load_n(&low_base, __ATOMIC_RELAXED);

	/* Without one, nothing is: a PA of memory is not below 4 GiB. */
	return (void *)(uintptr_t)(pa - low < BUS_MMIO_TOP ? pa - low : pa);
}

static void ram_read(uint64_t pa, void *buf, size_t len)
{
	const char *at = bus_memory(pa);
	char *to = buf;

	if (len <= BUS_ORDERED && pa % 8 == 0) {
		for (; len >= 8; len -= 8, at += 8, to += 8) {
			uint64_t v = __atomic_load_n((uint64_t *)at, __ATOMIC_ACQUIRE);

			memcpy(to, &v, 8);
		}
	}
	if (len == 4 && pa % 4 == 0) {
		uint32_t v = __atomic_load_n((uint32_t *)at, __ATOMIC_ACQUIRE);

		memcpy(to, &v, 4);
		return;
	}
	memcpy(to, at, len);
}

static void ram_write(uint64_t pa, const void *buf, size_t len)
{
	const char *from = buf;
	char *at = bus_memory(pa);

	if (len <= BUS_ORDERED && pa % 8 == 0) {
		for (; len >= 8; len -= 8, at += 8, from += 8) {
			uint64_t v;

			memcpy(&v, from, 8);
			__atomic_store_n((uint64_t *)at, v, __ATOMIC_RELEASE);
		}
	}
	if (len == 4 && pa % 4 == 0) {
		uint32_t v;

		memcpy(&v, from, 4);
		__atomic_store_n((uint32_t *)at, v, __ATOMIC_RELEASE);
		return;
	}
	memcpy(at, from, len);
}

int bus_read(struct bus *bus, uint64_t pa, void *buf, size_t len)
{
	const struct bus_frame *frame;
	uint64_t value = 0;
	int ret;

	if (is_ram(pa, len)) {
		ram_read(pa, buf, len);
		return 0;
	}
	frame = frame_for(bus, pa, len);
	if (!frame || !frame->read)
		return -EFAULT;
	ret = frame->read(frame->ctx, pa - frame->base, len, &value);
	if (ret)
		return ret;
	value = htole64(value);
	memcpy(buf, &value, len);
	return 0;
}

int bus_write(struct bus *bus, uint64_t pa, const void *buf, size_t len, uint32_t device_id)
{
	struct bus_effect effect = { 0 };
	const struct bus_frame *frame;
	uint64_t value = 0;
	int err;

	if (is_ram(pa, len)) {
		ram_write(pa, buf, len);
		if (bus->written)
			bus->written(bus->written_ctx, bus_memory(pa), len);
		return 0;
	}
	frame = frame_for(bus, pa, len);
	if (!frame || !frame->write)
		return -EFAULT;
	memcpy(&value, buf, len);
	err = frame->write(frame->ctx, pa - frame->base, len, le64toh(value), device_id, &effect);
	bus_effect_run(&effect);
	return err;
}

__attribute__((hot)) int bus_post32(struct bus *bus, uint64_t pa, uint32_t value,
				    uint32_t device_id, struct bus_effect *effect)
{
	const struct bus_frame *frame = pa % 4 ? NULL : find_frame(bus, pa);

	if (frame && frame->write)
		return frame->write(frame->ctx, pa - frame->base, 4, value, device_id, effect);
	value = htole32(value);
	return bus_write(bus, pa, &value, sizeof(value), device_id);
}

static int arm_read64(void *ctx, uint64_t pa, uint64_t *value)
{
	(void)ctx;
	if (pa % 8 || !is_ram(pa, 8))
		return -EFAULT;
	*value = le64toh(__atomic_load_n((uint64_t *)bus_memory(pa), __ATOMIC_ACQUIRE));
	return 0;
}

static int arm_write64(void *ctx, uint64_t pa, uint64_t value)
{
	(void)ctx;
	if (pa % 8 || !is_ram(pa, 8))
		return -EFAULT;
	__atomic_store_n((uint64_t *)bus_memory(pa), htole64(value), __ATOMIC_RELEASE);
	return 0;
}

struct arm_mem bus_arm_mem(struct bus *bus)
{
	return (struct arm_mem){ .read64 = arm_read64, .write64 = arm_write64, .ctx = bus };
}

void *bus_alloc(struct bus *bus, size_t size, size_t align, uint64_t *pa)
{
	void *memory;

	if (!size || align & (align - 1))
		return NULL;
	memory = soft_calloc_aligned(1, size, align);
	if (!memory)
		return NULL;
	*pa = bus_pa(memory);
	if (!*pa) {
		soft_free(memory);
		return NULL;
	}
	__atomic_fetch_add(&bus->allocated, size, __ATOMIC_RELAXED);
	return memory;
}

void bus_free(struct bus *bus, uint64_t pa, size_t size)
{
	if (!pa)
		return;
	__atomic_fetch_sub(&bus->allocated, size, __ATOMIC_RELAXED);
	soft_free(bus_memory(pa));
}

size_t bus_allocated(const struct bus *bus)
{
	return __atomic_load_n(&bus->allocated, __ATOMIC_RELAXED);
}
