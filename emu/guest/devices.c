// SPDX-License-Identifier: BSD-2-Clause
/* The PCI functions of the disks: their interrupts and regions, and what is done to them. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

static void device_path(char *path, size_t size, const struct guest_disk *disk, const char *file)
{
	snprintf(path, size, "/sys/bus/pci/devices/%s/%s", disk->address, file);
}

/* --- interrupts --- */

/* A line of /proc/interrupts: number, a count for each CPU, controller, name. */
struct line {
	unsigned int irq;
	unsigned long long total;
	char rest[128];
};

static bool parse_line(const char *text, struct line *line)
{
	char *at;

	line->irq = strtoul(text, &at, 10);
	if (*at != ':')
		return false;
	at++;
	line->total = 0;
	for (;;) {
		while (*at == ' ')
			at++;
		if (!isdigit((unsigned char)*at))
			break;
		line->total += strtoull(at, &at, 10);
	}
	snprintf(line->rest, sizeof(line->rest), "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

/* Calls @each for every interrupt of an NVMe queue. */
static void for_interrupts(void (*each)(const struct line *line, void *ctx), void *ctx)
{
	FILE *file = fopen("/proc/interrupts", "r");
	struct line line;
	char text[2048];

	if (!file)
		return;
	while (fgets(text, sizeof(text), file))
		if (parse_line(text, &line) && strstr(line.rest, "nvme"))
			each(&line, ctx);
	fclose(file);
}

struct sums {
	unsigned int vectors, fired;
	unsigned long long total;
};

static void show_one(const struct line *line, void *ctx)
{
	struct sums *sums = ctx;

	guest_say("interrupt %u: %llu  %s", line->irq, line->total, line->rest);
	sums->vectors++;
	sums->fired += line->total != 0;
	sums->total += line->total;
}

void guest_show_interrupts(void)
{
	struct sums sums = { 0 };

	for_interrupts(show_one, &sums);
	guest_say("%llu interrupts on %u of %u vectors", sums.total, sums.fired, sums.vectors);
	if (!sums.total)
		guest_fail("no interrupt arrived");
}

static void move_one(const struct line *line, void *ctx)
{
	unsigned int *moved = ctx;
	char path[64], cpu[16];

	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity_list", line->irq);
	snprintf(cpu, sizeof(cpu), "%ld", *moved % sysconf(_SC_NPROCESSORS_ONLN));
	/* The kernel manages those of the I/O queues by itself and refuses. */
	*moved += !guest_write(path, cpu);
}

void guest_affinity(void)
{
	unsigned int moved = 0;

	for_interrupts(move_one, &moved);
	guest_say("%u interrupts moved", moved);
}

/* --- what is reserved --- */

void guest_show_regions(void)
{
	struct guest_disk *disk;
	char path[128], text[1024];

	for (unsigned int i = 0; (disk = guest_disk(i)); i++) {
		device_path(path, sizeof(path), disk, "iommu_group/type");
		guest_read(path, text, sizeof(text));
		guest_say("%s: IOMMU domain %s", disk->address, *text ? text : "none");
		device_path(path, sizeof(path), disk, "iommu_group/reserved_regions");
		guest_read(path, text, sizeof(text));
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
			guest_say("%s: reserved %s", disk->address, line);
			if (strstr(line, "direct"))
				guest_fail("firmware asked for a 1:1 mapping");
		}
	}
}

/* --- what is done to a function --- */

static void change(const char *file, const char *value)
{
	if (guest_write(file, value)) {
		guest_say("%s: %s", file, strerror(errno));
		guest_fail("a change");
	}
}

/* Does @each to every NVMe disk's function, and waits until all disks are there again. */
static void for_functions(void (*each)(const struct guest_disk *disk))
{
	struct guest_disk *disk;
	unsigned int count;

	for (count = 0; (disk = guest_disk(count)); count++)
		if (disk->nvme)
			each(disk);
	if (guest_find_disks(count) < count)
		guest_fail("a disk did not come back");
}

static void rebind_one(const struct guest_disk *disk)
{
	char path[128];

	device_path(path, sizeof(path), disk, "driver/unbind");
	change(path, disk->address);
	change("/sys/bus/pci/drivers/nvme/bind", disk->address);
}

/* The driver starts the controller again by itself. */
static void reset_one(const struct guest_disk *disk)
{
	char path[128];

	device_path(path, sizeof(path), disk, "reset");
	change(path, "1");
}

void guest_rebind(void)
{
	for_functions(rebind_one);
}

void guest_reset(void)
{
	for_functions(reset_one);
}

/* Registers of an NVMe controller (NVM Express base specification, 3.1). */
enum { CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, SQ0TDBL = 0x1000 };

static void set_register(volatile uint8_t *regs, unsigned int at, uint32_t value)
{
	*(volatile uint32_t *)(regs + at) = value;
}

static void wait_ready(volatile uint8_t *regs, uint32_t ready)
{
	for (int i = 0; i < 200 && (*(volatile uint32_t *)(regs + CSTS) & 1) != ready; i++)
		usleep(10000);
}

/* The admin queue is put where no stage 1 maps anything, and the controller sent there. */
static void read_nowhere(volatile uint8_t *regs)
{
	set_register(regs, CC, 0);
	wait_ready(regs, 0);
	set_register(regs, AQA, 31 << 16 | 31);
	set_register(regs, ASQ, 0xdead0000);
	set_register(regs, ASQ + 4, 0);
	set_register(regs, ACQ, 0xbeef0000);
	set_register(regs, ACQ + 4, 0);
	set_register(regs, CC, 4 << 20 | 6 << 16 | 1);
	wait_ready(regs, 1);
	set_register(regs, SQ0TDBL, 1);
	usleep(500000);
}

/* How often the kernel's log has @what. */
static unsigned int in_log(const char *what)
{
	static char record[8192];
	unsigned int count = 0;
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ssize_t length;

	while (fd >= 0 && ((length = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE)) {
		record[length > 0 ? length : 0] = '\0';
		count += strstr(record, what) != NULL;
	}
	if (fd >= 0)
		close(fd);
	return count;
}

void guest_fault(void)
{
	struct guest_disk *disk = guest_disk(0);
	const uint16_t memory_and_master = 6;
	unsigned int before = in_log("dead0000");
	volatile uint8_t *regs;
	char path[128];
	int fd;

	if (!disk || !disk->nvme)
		return;
	device_path(path, sizeof(path), disk, "driver/unbind");
	change(path, disk->address);
	device_path(path, sizeof(path), disk, "enable");
	change(path, "1");
	device_path(path, sizeof(path), disk, "config");
	fd = open(path, O_RDWR);
	if (fd < 0 || pwrite(fd, &memory_and_master, 2, 4) != 2)
		guest_fail("config space");
	close(fd);
	device_path(path, sizeof(path), disk, "resource0");
	fd = open(path, O_RDWR);
	regs = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (regs == MAP_FAILED) {
		guest_fail("the controller's registers cannot be mapped");
		return;
	}
	read_nowhere(regs);
	munmap((void *)regs, 0x2000);
	if (in_log("dead0000") > before)
		guest_say("the SMMU's driver reported the fault");
	else
		guest_fail("no event for a fault");
}
