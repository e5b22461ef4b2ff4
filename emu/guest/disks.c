// SPDX-License-Identifier: BSD-2-Clause
/* The disks: found, and read as a whole by all CPUs at once. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <unistd.h>

#include "guest.h"

#define MAX_DISKS 16
#define MAX_CPUS 64
#define CHUNK (256u << 10)

static struct guest_disk disks[MAX_DISKS];
static unsigned int found;

void guest_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t length = fd < 0 ? 0 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	if (length < 0)
		length = 0;
	while (length && buf[length - 1] == '\n')
		length--;
	buf[length] = '\0';
}

int guest_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	ssize_t length;

	if (fd < 0)
		return -1;
	length = write(fd, value, strlen(value));
	close(fd);
	return length < 0 ? -1 : 0;
}

static void add_disk(const char *name, const char *function)
{
	struct guest_disk *disk = &disks[found];
	char path[320], *real;

	snprintf(disk->name, sizeof(disk->name), "%s", name);
	disk->nvme = !strncmp(name, "nvme", 4);
	/* Where the PCI function is, seen from the disk's device. */
	snprintf(path, sizeof(path), "/sys/block/%s/device/%s", disk->name, function);
	real = realpath(path, NULL);
	if (!real)
		return;
	snprintf(disk->address, sizeof(disk->address), "%s", basename(real));
	free(real);
	found++;
}

static void scan_for(const char *prefix, const char *function)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;

	while (dir && found < MAX_DISKS && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)))
			add_disk(entry->d_name, function);
	if (dir)
		closedir(dir);
}

static void scan(void)
{
	found = 0;
	scan_for("nvme", "device");
	scan_for("vd", "..");
}

unsigned int guest_find_disks(unsigned int count)
{
	for (int i = 0; i < 600; i++) {
		scan();
		if (found >= count)
			break;
		usleep(100000);
	}
	return found;
}

struct guest_disk *guest_disk(unsigned int index)
{
	return index < found ? &disks[index] : NULL;
}

/* --- what must stand there: the word at byte 8n is splitmix64(seed << 32 | n) --- */

static uint64_t splitmix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* Word 0 tells the seed: splitmix64 backwards. */
static uint64_t unmix64(uint64_t x)
{
	x = (x ^ (x >> 31) ^ (x >> 62)) * 0x319642b2d24d8ec3;
	x = (x ^ (x >> 27) ^ (x >> 54)) * 0x96de1b173f119089;
	x = x ^ (x >> 30) ^ (x >> 60);
	return x - 0x9e3779b97f4a7c15;
}

struct reader {
	pthread_t thread;
	int cpu, cpus;
	int fd;
	uint64_t size, seed;
	uint64_t verified, wrong;
	int error;
};

static void compare(struct reader *reader, const uint64_t *words, uint64_t offset, size_t length)
{
	for (size_t i = 0; i < length / 8; i++) {
		if (words[i] == splitmix64(reader->seed | (offset / 8 + i)))
			reader->verified += 8;
		else
			reader->wrong += 8;
	}
}

/* Each CPU takes every cpus'th piece, and its commands come to the queue that is this CPU's. */
static void *read_pieces(void *arg)
{
	struct reader *reader = arg;
	cpu_set_t set;
	void *buf;

	CPU_ZERO(&set);
	CPU_SET(reader->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	if (posix_memalign(&buf, 65536, CHUNK)) {
		reader->error = ENOMEM;
		return NULL;
	}
	for (uint64_t at = (uint64_t)reader->cpu * CHUNK; at < reader->size;
	     at += (uint64_t)reader->cpus * CHUNK) {
		ssize_t length = pread(reader->fd, buf, CHUNK, at);

		if (length <= 0) {
			reader->error = length < 0 ? errno : EIO;
			break;
		}
		compare(reader, buf, at, length);
	}
	free(buf);
	return NULL;
}

static bool open_disk(const struct guest_disk *disk, struct reader *first)
{
	char path[300];
	uint64_t *buf;
	bool ret = false;

	snprintf(path, sizeof(path), "/dev/%s", disk->name);
	first->fd = open(path, O_RDONLY | O_DIRECT);
	if (first->fd < 0 || posix_memalign((void **)&buf, 65536, CHUNK))
		return false;
	if (!ioctl(first->fd, BLKGETSIZE64, &first->size) &&
	    pread(first->fd, buf, 4096, 0) == 4096) {
		first->seed = unmix64(buf[0]);
		ret = !(first->seed & 0xffffffff);
	}
	free(buf);
	return ret;
}

void guest_verify(const struct guest_disk *disk)
{
	struct reader reader[MAX_CPUS], first = { .fd = -1 };
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), error = 0;
	uint64_t verified = 0, wrong = 0;

	if (cpus > MAX_CPUS)
		cpus = MAX_CPUS;
	if (!open_disk(disk, &first)) {
		guest_say("disk %s at %s cannot be read, or its first word is none of ours", disk->name,
			  disk->address);
		guest_fail("a disk");
		if (first.fd >= 0)
			close(first.fd);
		return;
	}
	for (int i = 0; i < cpus; i++) {
		reader[i] = first;
		reader[i].cpu = i;
		reader[i].cpus = cpus;
		if (pthread_create(&reader[i].thread, NULL, read_pieces, &reader[i])) {
			guest_fail("no thread");
			cpus = i;
		}
	}
	for (int i = 0; i < cpus; i++) {
		pthread_join(reader[i].thread, NULL);
		verified += reader[i].verified;
		wrong += reader[i].wrong;
		if (reader[i].error)
			error = reader[i].error;
	}
	close(first.fd);
	guest_say("disk %s at %s: %llu of %llu bytes verified by %d CPUs%s%s", disk->name,
		  disk->address, (unsigned long long)verified, (unsigned long long)first.size, cpus,
		  error ? ": " : "", error ? strerror(error) : "");
	if (error || wrong || verified != first.size)
		guest_fail("a disk's content");
}
