/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions to a kernel, and its answers as lines "key = value", in a fixed order and without anything that differs from run to
 * run. The same program asks the real kernel and the software host: see README.md.
 */
#ifndef TESTS_TRUTH_TRUTH_H
#define TESTS_TRUTH_TRUTH_H

#include <stdbool.h>
#include <stdint.h>

#include <doorbell/sys.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"

#define RAM_IPA 0x40000000ull
#define RAM_SIZE (4ull << 20)
#define NO_ID 0xdeadu	/* of no object */

struct rig;

struct truth {
	struct db_sys *sys;
	int iommufd, fd;	/* fd: the device's */
	uint32_t dev_id, ioas, parent, viommu;
	int events;		/* of the vIOMMU's queue */
	struct rig *rig;	/* once ask_interrupts() has attached it */
	uint8_t *ram;		/* mapped at RAM_IPA */
	uint64_t window;	/* start of the SW_MSI window */
	volatile uint8_t *bar0;
	uint64_t bar0_size;
	unsigned int msix_table, msix_count;
};

void say(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "key = 0", a positive number, or the name of the errno. Returns @ret. */
int answer(const char *key, int ret);

/* Where the program cannot go on: it says so and ends. */
void must(int ret, const char *what);

int call(struct truth *t, int fd, unsigned long request, void *arg);

/* Asks and answers; the request's struct by its designated members. */
#define ASK(t, key, fd, request, type, ...) \
	answer(key, call(t, fd, request, &(struct type){ __VA_ARGS__ }))
#define ASK_IOMMU(t, key, request, type, ...) \
	ASK(t, key, (t)->iommufd, request, type, .size = sizeof(struct type), __VA_ARGS__)
#define ASK_VFIO(t, key, request, type, ...) \
	ASK(t, key, (t)->fd, request, type, .argsz = sizeof(struct type), __VA_ARGS__)

int attach(struct truth *t, uint32_t pt);

void open_device(struct truth *t);

/* The device closed, opened and bound anew, its BAR mapped; attached to nothing, bus mastering and memory on. */
void reopen_device(struct truth *t);

/* By config space: power state 0 (D0) or 3 (D3hot), and memory decoding. */
void set_power(struct truth *t, unsigned int state);
void set_memory(struct truth *t, bool on);

/* SET_IRQS for MSI-X with @size bytes of @data. */
int set_irqs(struct truth *t, uint32_t flags, uint32_t start, uint32_t count, const void *data, unsigned int size);

/* Each asks about one subject; they are called in this order. */
void ask_unbound(struct truth *t);
void ask_bound(struct truth *t);
void ask_window(struct truth *t);
void ask_memory(struct truth *t);
void ask_nesting(struct truth *t);
void ask_invalidation(struct truth *t);
void ask_interrupts(struct truth *t);
void ask_faults(struct truth *t);
void ask_native(struct truth *t);

#endif
