// SPDX-License-Identifier: BSD-2-Clause
/* What the parts of the guest's init share. */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define guest_say(...) (printf("guest: " __VA_ARGS__), putchar('\n'))

/* Says what went wrong; the guest's verdict is FAIL then. */
void guest_fail(const char *what);

/* Reads a file of /proc or /sys as a string without its last newline; "" if it cannot be read. */
void guest_read(const char *path, char *buf, size_t size);

/* 0, or -1 with errno. */
int guest_write(const char *path, const char *value);

/* --- disks (disks.c) --- */

struct guest_disk {
	char name[256];		/* nvme0n1, vda */
	bool nvme;		/* else virtio */
	char address[16];	/* of its PCI function: 0000:01:00.0 */
};

/* Waits until there are @count disks, NVMe and virtio together, for a minute at the most, and returns how many there are. */
unsigned int guest_find_disks(unsigned int count);

/* The disk of number @index, or NULL; NVMe disks come first. */
struct guest_disk *guest_disk(unsigned int index);

/* Reads all of it by a thread on each CPU and compares every word with what it must be. */
void guest_verify(const struct guest_disk *disk);

/* --- devices (devices.c) --- */

void guest_show_interrupts(void);
void guest_show_regions(void);
void guest_rebind(void);
void guest_reset(void);
void guest_affinity(void);
void guest_fault(void);

#endif
