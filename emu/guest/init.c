// SPDX-License-Identifier: BSD-2-Clause
/*
 * The only program of a guest that a VMM boots to be tested: Linux's process 1 there. It looks at
 * what the guest's own kernel made of the devices that were passed through, makes them work, and
 * says what it saw, a line each that begins with "guest: ". The last one is "guest: PASS" or
 * "guest: FAIL". Words of the kernel's command line say what else is wanted:
 *
 *   doorbell.do=WORD,WORD   in this order, each followed by another look at every disk:
 *                           rebind   takes the driver from each disk's controller and gives it back
 *                           reset    resets the function under its driver
 *                           affinity moves each interrupt of the disks from CPU to CPU meanwhile
 *                           fault    lets a controller read where nothing is mapped (its driver
 *                                    is taken away: comes last)
 *   doorbell.disks=N        how many disks there are to be waited for (1)
 *
 * Modules of the guest's kernel that lie in /modules are loaded first.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <fcntl.h>
#include <linux/module.h>
#include <sys/syscall.h>

#include "guest.h"

static bool failed;

void guest_fail(const char *what)
{
	guest_say("failed: %s", what);
	failed = true;
}

static void mount_all(void)
{
	static const struct {
		const char *type, *at;
	} mounts[] = { { "proc", "/proc" }, { "sysfs", "/sys" }, { "devtmpfs", "/dev" } };
	int console;

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].at, 0755);
		mount(mounts[i].type, mounts[i].at, mounts[i].type, 0, NULL);
	}
	console = open("/dev/console", O_RDWR);
	if (console >= 0)
		for (int fd = 0; fd < 3; fd++)
			dup2(console, fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static void load_modules(void)
{
	DIR *dir = opendir("/modules");
	struct dirent *entry;
	char path[300];
	int fd, flags;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/modules/%s", entry->d_name);
		flags = strstr(path, ".ko.") ? MODULE_INIT_COMPRESSED_FILE : 0;
		fd = open(path, O_RDONLY);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", flags))
			guest_fail(path);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

/* The value of @key on the kernel's command line, or @otherwise. */
static const char *word(const char *key, const char *otherwise)
{
	static char line[4096];
	static char value[256];
	size_t length = strlen(key);
	char *at = line;

	guest_read("/proc/cmdline", line, sizeof(line));
	while ((at = strstr(at, key))) {
		if (at[length] == '=' && (at == line || at[-1] == ' ')) {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + length + 1, " \n"),
				 at + length + 1);
			return value;
		}
		at += length;
	}
	return otherwise;
}

static void look_at_disks(void)
{
	struct guest_disk *disk;

	for (unsigned int i = 0; (disk = guest_disk(i)); i++)
		guest_verify(disk);
	guest_show_interrupts();
}

static void do_all(char *words)
{
	static const struct {
		const char *name;
		void (*run)(void);
		bool look;
	} actions[] = {
		{ "rebind", guest_rebind, true },
		{ "reset", guest_reset, true },
		{ "affinity", guest_affinity, true },
		{ "fault", guest_fault, false },
	};
	const size_t count = sizeof(actions) / sizeof(actions[0]);
	size_t i;

	for (char *name = strtok(words, ","); name; name = strtok(NULL, ",")) {
		for (i = 0; i < count && strcmp(name, actions[i].name) != 0; i++)
			;
		if (i == count) {
			guest_fail("a word of doorbell.do= is not known");
			continue;
		}
		guest_say("%s", name);
		actions[i].run();
		if (actions[i].look)
			look_at_disks();
	}
}

int main(void)
{
	struct utsname name;
	unsigned int disks;
	char *words;

	mount_all();
	load_modules();
	uname(&name);
	guest_say("kernel %s, %ld CPUs, pages of %ld KiB", name.release, sysconf(_SC_NPROCESSORS_ONLN),
		  sysconf(_SC_PAGESIZE) / 1024);
	disks = strtoul(word("doorbell.disks", "1"), NULL, 0);
	if (guest_find_disks(disks) < disks)
		guest_fail("not all disks came up");
	guest_show_regions();
	look_at_disks();
	words = strdup(word("doorbell.do", ""));
	if (words)
		do_all(words);
	guest_say("%s", failed ? "FAIL" : "PASS");
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
