/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/signals.h"
#include "cli/sysfs.h"

#define RAM_SIZE (128ull << 20)
#define CLASS_NVME 0x010802

int session_fail(struct session *s, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->why, sizeof(s->why), format, args);
	va_end(args);
	return err;
}

int session_stopped(struct session *s)
{
	char reason[48];

	return signals_caught() ? session_fail(s, -EINTR, "%s", signals_reason(reason)) : 0;
}

static int make_host(struct session *s)
{
	const struct options *o = s->options;
	int err;

	if (o->linux_host) {
		s->sys = db_sys_linux();
		report_say(&s->report, "host", "the running Linux kernel");
		return 0;
	}
	err = cli_machine_load(&s->machine, o->machine, o->disks[0], s->why, sizeof(s->why));
	if (err)
		return err;
	err = cli_machine_host(&s->machine, &s->sys);
	if (err)
		return session_fail(s, err, "%s: %s", o->machine ? o->machine : "built-in machine",
				    db_error_message());
	report_say(&s->report, "host", "software host, %s%s",
		   o->machine ? "machine " : "built-in machine", o->machine ? o->machine : "");
	return 0;
}

/*
 * On the real kernel only what is bound to vfio-pci (or a variant of it) was meant for us; the
 * software host has no other purpose. Its built-in machine is there to show an NVMe device passed
 * through.
 */
static bool is_meant(struct session *s, const char *address)
{
	const struct options *o = s->options;
	char driver[64];

	if (cli_sysfs_driver(s->sys, address, driver, sizeof(driver)))
		return false;
	if (!strstr(driver, "vfio") && (driver[0] || o->linux_host))
		return false;
	return o->linux_host || o->machine || cli_sysfs_class(s->sys, address) == CLASS_NVME;
}

static int choose_devices(struct session *s, const struct cli_addresses *all)
{
	unsigned int most = s->options->first_only ? 1 : VMM_DEVICES, i, n = 0;

	for (i = 0; i < all->n; i++) {
		if (!is_meant(s, all->at[i]))
			continue;
		if (n < most)
			strcpy(s->addresses[s->n++], all->at[i]);
		n++;
	}
	if (n > most && !s->options->first_only)
		return session_fail(s, -E2BIG,
				    "there are %u devices to pass through, and at most %u go into "
				    "one guest: name those that are meant with --device",
				    n, most);
	return 0;
}

static int find_devices(struct session *s)
{
	const struct options *o = s->options;
	struct cli_addresses all;
	unsigned int i;
	int err;

	for (i = 0; i < o->n_devices; i++) {
		if (strlen(o->devices[i]) >= sizeof(s->addresses[0]))
			return session_fail(s, -EINVAL,
					    "--device %s: not a PCI address such as 0000:01:00.0",
					    o->devices[i]);
		strcpy(s->addresses[s->n++], o->devices[i]);
	}
	if (s->n)
		return 0;
	err = cli_sysfs_list(s->sys, SYSFS_PCI, &all);
	if (err)
		session_fail(s, err, SYSFS_PCI ": %s", strerror(-err));
	else
		err = choose_devices(s, &all);
	free(all.at);
	if (err)
		return err;
	if (!s->n)
		return session_fail(s, -ENODEV,
				    "no device is bound to vfio-pci: name one with --device (and "
				    "--rebind, if a driver uses it)");
	return 0;
}

struct group_search {
	const char *address;
	char other[16];
};

static int find_other(void *arg, const char *name)
{
	struct group_search *search = arg;

	if (strcmp(name, search->address))
		snprintf(search->other, sizeof(search->other), "%s", name);
	return search->other[0] != 0;
}

/*
 * The kernel gives a stage 1 to a whole group; devices that share one would see each other's
 * mappings.
 */
static int check_groups(struct session *s)
{
	struct group_search search;
	char path[128];
	unsigned int i;
	int group;

	for (i = 0; i < s->n; i++) {
		group = cli_sysfs_group(s->sys, s->addresses[i]);
		if (group < 0)
			continue;	/* opening it will say so */
		search = (struct group_search){ .address = s->addresses[i] };
		snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices", group);
		s->sys->ops->list(s->sys, path, find_other, &search);
		if (search.other[0])
			return session_fail(
				s, -EOPNOTSUPP,
				"%s shares IOMMU group %d with %s, and only a whole group "
				"can be given a stage 1: choose a device that is alone in "
				"its group",
				s->addresses[i], group, search.other);
	}
	return 0;
}

int session_host(struct session *s, const struct options *options, const struct report *report)
{
	int err;

	*s = (struct session){ .options = options, .report = *report };
	err = make_host(s);
	if (!err)
		err = find_devices(s);
	return err ? err : check_groups(s);
}

static void say_host(struct session *s, const struct vmm_device_info *info)
{
	const struct db_caps *caps = &info->caps;
	unsigned int mode;

	report_say(&s->report, "host", "%s: %u %s vectors, %s, host pages of %lluK", info->address,
		   info->vectors, info->kind == DB_MSIX ? "MSI-X" : "MSI",
		   caps->nesting ? "stage 1 may be the guest's" : "no nested translation",
		   (unsigned long long)(caps->page_size >> 10));
	for (mode = DB_MODE_AUTO + 1; mode < DB_MODE_COUNT; mode++)
		report_say(&s->report, "host", "%s: mode %-6s %s%s", info->address,
			   db_mode_name(mode), caps->mode[mode] ? "yes" : "no: ",
			   caps->mode[mode] ? "" : caps->why_not[mode]);
}

static int boot_vmm(struct session *s)
{
	const struct options *o = s->options;
	struct vmm_config config = {
		.sys = s->sys,
		.mode = o->mode,
		.fall_through = o->fall_through,
		.one_vits = o->one_vits,
		.vits_given = o->vits_given,
		.vits_base = o->vits,
		.ram_base = o->ram_base,
		.ram_size = RAM_SIZE,
		.open_flags = o->rebind ? DB_OPEN_REBIND : 0,
		.report = s->report,
	};
	struct vmm_device *dev;
	unsigned int i;
	int err;

	for (i = 0; o->rebind && i < s->n; i++)
		cli_sysfs_driver(s->sys, s->addresses[i], s->drivers[i], sizeof(s->drivers[i]));
	err = vmm_create(&config, &s->vmm);
	for (i = 0; !err && i < s->n; i++) {
		if (session_stopped(s))
			return -EINTR;
		err = vmm_add(s->vmm, s->addresses[i], &dev);
		if (!err)
			say_host(s, vmm_device_info(dev));
	}
	if (!err)
		err = vmm_realize(s->vmm);
	if (err)
		return session_fail(s, err, "%s", s->vmm ? vmm_why(s->vmm) : strerror(-err));
	report_say(&s->report, "layout", "mode %s%s", db_mode_name(vmm_mode(s->vmm)),
		   o->fall_through ? ", addresses fall through to the device" : "");
	return 0;
}

int session_boot(struct session *s)
{
	struct guest_config config = {
		.ram_size = RAM_SIZE,
		.granule_shift = s->options->granule_shift,
		.report = s->report,
	};
	unsigned int i;
	int err;

	err = boot_vmm(s);
	if (err)
		return err;
	config.vmm = s->vmm;
	err = guest_create(&config, &s->guest);
	for (i = 0; !err && i < s->n; i++) {
		if (session_stopped(s))
			return -EINTR;
		err = guest_device_add(s->guest, vmm_device(s->vmm, i), s->options->vectors,
				       &s->devices[i]);
	}
	if (err)
		return session_fail(s, err, "%s", s->guest ? guest_why(s->guest) : strerror(-err));
	return 0;
}

/* Whether the drivers that devices were taken away from have them again. */
static void check_given_back(struct session *s)
{
	char driver[sizeof(s->drivers[0])];
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		if (!s->drivers[i][0])
			continue;
		cli_sysfs_driver(s->sys, s->addresses[i], driver, sizeof(driver));
		if (!strcmp(driver, s->drivers[i]))
			report_say(&s->report, "host", "%s: %s drives it again", s->addresses[i],
				   driver);
		else
			report_say(&s->report, "error",
				   "%s: %s does not drive it again; it has %s now", s->addresses[i],
				   s->drivers[i], driver[0] ? driver : "no driver");
	}
}

void session_close(struct session *s)
{
	if (s->guest)
		guest_destroy(s->guest);
	if (s->vmm)
		vmm_destroy(s->vmm);
	if (s->sys) {
		check_given_back(s);
		s->sys->ops->release(s->sys);
	}
	cli_machine_free(&s->machine);
}
