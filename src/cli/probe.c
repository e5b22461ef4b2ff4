/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host can do, device by device, and what keeps it from doing more. */
#include "cli/probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "cli/sysfs.h"

static int probe_fail(struct probe *p, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Leaves the sentence and returns @err. */
static int probe_fail(struct probe *p, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(p->why, sizeof(p->why), format, args);
	va_end(args);
	return err;
}

/* As many as there are. */
static int read_reserved(struct db_device *dev, struct probe_device *d)
{
	int n = db_device_reserved(dev, NULL, 0, sizeof(*d->reserved));

	if (n <= 0)
		return n;
	d->reserved = calloc(n, sizeof(*d->reserved));
	if (!d->reserved)
		return -ENOMEM;
	d->n_reserved = n;
	n = db_device_reserved(dev, d->reserved, d->n_reserved, sizeof(*d->reserved));
	return n < 0 ? n : 0;
}

static void look_at(struct probe *p, struct probe_device *d, const struct options *o)
{
	struct db_device *dev;

	if (cli_sysfs_driver(p->sys, d->address, d->driver, sizeof(d->driver)) < 0) {
		d->err = -ENOENT;
		snprintf(d->why, sizeof(d->why), "there is no such PCI device");
		return;
	}
	d->class_code = cli_sysfs_class(p->sys, d->address);
	d->group = cli_sysfs_group(p->sys, d->address);
	d->err = db_device_open(p->host, d->address, o->rebind ? DB_OPEN_REBIND : 0, &dev);
	if (d->err) {
		snprintf(d->why, sizeof(d->why), "%s", db_error_message());
		return;
	}
	d->caps.size = sizeof(d->caps);
	d->err = db_device_caps(dev, &d->caps);
	if (!d->err)
		d->err = read_reserved(dev, d);
	if (d->err)
		snprintf(d->why, sizeof(d->why), "%s",
			 d->err == -ENOMEM ? "out of memory" : db_error_message());
	db_device_close(dev);
}

/* Bridges have nothing to pass through, and a server has dozens. */
static bool is_bridge(const struct probe_device *d)
{
	return d->class_code >> 16 == 0x06;
}

/* Without --device: all but bridges. */
static int take_all(struct probe *p, const struct cli_addresses *all)
{
	unsigned int i;

	p->devices = calloc(all->n ? all->n : 1, sizeof(*p->devices));
	if (!p->devices)
		return -ENOMEM;
	for (i = 0; i < all->n; i++) {
		struct probe_device *d = &p->devices[p->n];

		strcpy(d->address, all->at[i]);
		d->class_code = cli_sysfs_class(p->sys, d->address);
		if (!is_bridge(d))
			p->n++;
	}
	return 0;
}

static int take_named(struct probe *p, const struct options *o)
{
	unsigned int i;

	p->devices = calloc(o->n_devices, sizeof(*p->devices));
	if (!p->devices)
		return probe_fail(p, -ENOMEM, "out of memory");
	for (i = 0; i < o->n_devices; i++) {
		if (strlen(o->devices[i]) >= sizeof(p->devices[0].address))
			return probe_fail(p, -EINVAL,
					  "--device %s: not a PCI address such as 0000:01:00.0",
					  o->devices[i]);
		strcpy(p->devices[p->n++].address, o->devices[i]);
	}
	return 0;
}

static int find_devices(struct probe *p, const struct options *o)
{
	struct cli_addresses all;
	int err;

	if (o->n_devices)
		return take_named(p, o);
	err = cli_sysfs_list(p->sys, SYSFS_PCI, &all);
	if (!err)
		err = take_all(p, &all);
	free(all.at);
	return err ? probe_fail(p, err, SYSFS_PCI ": %s", strerror(-err)) : 0;
}

/*
 * Without --device, what another driver uses is named and left alone. A device without a driver is
 * bound to vfio-pci for the moment.
 */
static bool to_open(struct probe *p, struct probe_device *d, const struct options *o)
{
	if (o->n_devices)
		return true;
	if (cli_sysfs_driver(p->sys, d->address, d->driver, sizeof(d->driver)))
		return true;	/* opening it will say what is wrong */
	return o->rebind || !d->driver[0] || strstr(d->driver, "vfio");
}

/* What can be told without opening it. */
static void identify(struct probe *p, struct probe_device *d)
{
	char path[128], text[32];

	if (!cli_sysfs_read(p->sys, text, sizeof(text), SYSFS_PCI "/%s/vendor", d->address))
		d->vendor = strtoul(text, NULL, 16);
	if (!cli_sysfs_read(p->sys, text, sizeof(text), SYSFS_PCI "/%s/device", d->address))
		d->device = strtoul(text, NULL, 16);
	d->routed = firmware_device(p->sys, &p->firmware, d->address, &d->route, &d->alias);
	if (d->group < 0)
		return;
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices", d->group);
	cli_sysfs_list(p->sys, path, &d->members);
}

static void look_only(struct probe *p, struct probe_device *d)
{
	char driver[sizeof(d->driver)];

	memcpy(driver, d->driver, sizeof(driver));
	d->group = cli_sysfs_group(p->sys, d->address);
	d->err = -EBUSY;
	if (d->group < 0)
		snprintf(d->why, sizeof(d->why),
			 "no IOMMU group: there is no IOMMU in front of it, or its driver is not "
			 "running");
	else
		snprintf(d->why, sizeof(d->why),
			 "not looked into: %s drives it; name it with --device and --rebind",
			 driver);
}

static bool any_opened(const struct probe *p)
{
	unsigned int i;

	for (i = 0; i < p->n; i++)
		if (!p->devices[i].err)
			return true;
	return false;
}

static bool any_possible(const struct probe *p)
{
	unsigned int i, mode;

	for (i = 0; i < p->n; i++)
		for (mode = DB_MODE_AUTO + 1; mode < DB_MODE_COUNT; mode++)
			if (!p->devices[i].err && p->devices[i].caps.mode[mode])
				return true;
	return false;
}

static int probe_all(struct probe *p, const struct options *o)
{
	char reason[48];
	unsigned int i;
	int err;

	err = db_host_open(p->sys, &p->host);
	if (err)
		return probe_fail(p, err, "%s", db_error_message());
	err = find_devices(p, o);
	for (i = 0; !err && i < p->n; i++) {
		if (signals_caught()) {
			err = probe_fail(p, -EINTR, "%s", signals_reason(reason));
			break;
		}
		p->devices[i].group = -1;
		if (to_open(p, &p->devices[i], o))
			look_at(p, &p->devices[i], o);
		else
			look_only(p, &p->devices[i]);
		identify(p, &p->devices[i]);
	}
	db_host_close(p->host);
	return err;
}

static int make_sys(struct probe *p, const struct options *o)
{
	struct cli_machine machine = { 0 };
	int err;

	if (o->linux_host) {
		p->linux_host = true;
		p->sys = db_sys_linux();
		err = firmware_read(p->sys, &p->firmware);
		return err ? probe_fail(p, err, "out of memory") : 0;
	}
	err = cli_machine_load(&machine, o->machine, NULL, p->why, sizeof(p->why));
	if (err)
		return err;
	err = cli_machine_host(&machine, &p->sys);
	if (err)
		probe_fail(p, err, "%s: %s", o->machine ? o->machine : "built-in machine",
			   db_error_message());
	cli_machine_free(&machine);
	return err;
}

/* -errno and p->why, before any output. */
static int probe_host(struct probe *p, const struct options *o, struct term *term, bool *good)
{
	int err = make_sys(p, o);

	if (!err)
		err = probe_all(p, o);
	if (err)
		return err;
	*good = any_possible(p);
	if (o->json) {
		*good &= !json_print(probe_json(p));
		return 0;
	}
	probe_text(p, term);
	term_verdict(term, *good, "%s",
		     *good           ? "MSIs can be passed through on this host"
		     : any_opened(p) ? "no device of this host can be passed through with its MSIs"
				     : "no device could be looked into");
	return 0;
}

static void free_probe(struct probe *p)
{
	unsigned int i;

	for (i = 0; i < p->n; i++) {
		free(p->devices[i].members.at);
		free(p->devices[i].reserved);
	}
	free(p->devices);
	firmware_free(&p->firmware);
	if (p->sys)
		p->sys->ops->release(p->sys);
	free(p);
}

int command_probe(int argc, char **argv)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct options options;
	struct term term;
	bool good = false;
	int err;

	err = options_parse(OPTIONS_PROBE, argc, argv, &options);
	if (err || options.help || !p) {
		free(p);
		return options_end(OPTIONS_PROBE, err, &options);
	}
	term_init(&term, options.json);
	json_begin();
	signals_catch();
	if (options.iort)
		err = probe_dump(&options, &good, p->why, sizeof(p->why));
	else
		err = probe_host(p, &options, &term, &good);
	if (err) {
		term_error(&term, "%s", p->why);
		if (options.json)
			json_print(json_pack("{s:o}", "error", json_error(err, p->why)));
	}
	free_probe(p);
	return signals_status(good ? 0 : EXIT_FAILED);
}
