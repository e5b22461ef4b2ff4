/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The physical address space of the software host's machine.
 *
 * Below 4 GiB lie the device frames that the machine description places; from there up, a page of
 * memory has the process's own virtual address as its PA. (Model choice: pinning then costs nothing
 * and a contiguous buffer is physically contiguous. Nothing trusts it: only what the kernel side
 * put into stage 2 is reachable for a device behind it.) Memory of the process that lies below 4 GiB itself, as that of a program that is not
 * position-independent, has its PAs in a part of the process's addresses that is kept free for it.
 */
#ifndef SOFT_HW_BUS_H
#define SOFT_HW_BUS_H

#include <stddef.h>
#include <stdint.h>

#include "arm/mem.h"

#define BUS_MMIO_TOP (1ull << 32)
#define BUS_NO_DEVICE_ID UINT32_MAX

struct bus;

/*
 * What a write causes: an interrupt that a processor takes. Who wrote runs it when the write is
 * done, in the same RCU section.
 */
struct bus_effect {
	void (*fn)(void *ctx);	/* NULL: nothing */
	void *ctx;
};

static inline void bus_effect_run(const struct bus_effect *effect)
{
	if (effect->fn)
		effect->fn(effect->ctx);
}

struct bus_frame {
	uint64_t base, size;	/* page-aligned, below BUS_MMIO_TOP, not overlapping another */
	/*
	 * A write of @size bytes at offset @off; @device_id is what the bus carries for an ITS. 0
	 * or -errno (bus abort). *@effect has no function yet.
	 */
	int (*write)(void *ctx, uint64_t off, unsigned int size, uint64_t value,
		     uint32_t device_id, struct bus_effect *effect);
	int (*read)(void *ctx, uint64_t off, unsigned int size, uint64_t *value);
	void *ctx;
};

/*
 * The PA of memory of this process, and back. 0: there is none, since no room could be kept free
 * for memory below 4 GiB.
 */
uint64_t bus_pa(const void *memory);
void *bus_memory(uint64_t pa);

struct bus *bus_create(void);
void bus_destroy(struct bus *bus);
/* @fn is called after each write to memory, in the writer's thread. Before any device works. */
void bus_on_write(struct bus *bus, void (*fn)(void *ctx, void *addr, size_t len), void *ctx);
/* -EADDRINUSE, -EINVAL; -ENOMEM: there are 64 */
int bus_add_frame(struct bus *bus, const struct bus_frame *frame);

/*
 * Accesses by the machine's agents; -EFAULT for a hole. Frames take 1, 2, 4 or 8 aligned bytes.
 * Thread-safe after the frames are added.
 */
int bus_read(struct bus *bus, uint64_t pa, void *buf, size_t len);
int bus_write(struct bus *bus, uint64_t pa, const void *buf, size_t len, uint32_t device_id);

/*
 * Writes the 32 bits of a message, and leaves its effect to the caller: *@effect, which was nothing
 * before. A handler makes a system call, and after one a processor mispredicts the return from
 * every function that was entered before: the fewer of these the better.
 */
int bus_post32(struct bus *bus, uint64_t pa, uint32_t value, uint32_t device_id,
	       struct bus_effect *effect);

/* The same for src/arm: memory only. */
struct arm_mem bus_arm_mem(struct bus *bus);

/*
 * Zeroed kernel memory of the machine (page tables, stream tables, ITTs): naturally aligned; PA in
 * *pa. Counted, for leak checks.
 */
void *bus_alloc(struct bus *bus, size_t size, size_t align, uint64_t *pa);
void bus_free(struct bus *bus, uint64_t pa, size_t size);
size_t bus_allocated(const struct bus *bus);

#endif
