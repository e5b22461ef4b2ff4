/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host can do, device by device, and what keeps it from doing more. */
#include "cli/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/session.h"
#include "cli/sysfs.h"

static void look_at(struct probe *p, struct probe_device *d, const struct options *o)
{
	struct db_device *dev;
	int n;

	if (cli_sysfs_driver(p->sys, d->address, d->driver, sizeof(d->driver)) < 0) {
		d->err = -ENOENT;
		snprintf(d->why, sizeof(d->why), "there is no such PCI device");
		return;
	}
	d->class_code = cli_sysfs_class(p->sys, d->address);
	d->group = cli_sysfs_group(p->sys, d->address);
	d->err = db_device_open(p->host, d->address, o->rebind ? DB_OPEN_REBIND : 0, &dev);
	if (!d->err) {
		d->caps.size = sizeof(d->caps);
		d->err = db_device_caps(dev, &d->caps);
		n = d->err ? 0 : db_device_reserved(dev, d->reserved, PROBE_RESERVED,
						    sizeof(d->reserved[0]));
		d->n_reserved = n < 0 ? 0 : n < PROBE_RESERVED ? n : PROBE_RESERVED;
	}
	if (d->err)
		snprintf(d->why, sizeof(d->why), "%s", db_error_message());
	else
		db_device_close(dev);
}

static int add_device(void *arg, const char *name)
{
	struct probe *p = arg;

	if (p->n < PROBE_DEVICES && strlen(name) < sizeof(p->devices[0].address))
		strcpy(p->devices[p->n++].address, name);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct probe_device *)a)->address,
		      ((const struct probe_device *)b)->address);
}

/* Bridges have nothing to pass through, and a server has dozens. */
static bool is_bridge(const struct probe_device *d)
{
	return d->class_code >> 16 == 0x06;
}

static int find_devices(struct probe *p, const struct options *o)
{
	unsigned int i, n = 0;
	int err;

	for (i = 0; i < o->n_devices; i++)
		add_device(p, o->devices[i]);
	if (p->n)
		return 0;
	err = p->sys->ops->list(p->sys, SYSFS_PCI, add_device, p);
	if (err < 0)
		return err;
	qsort(p->devices, p->n, sizeof(p->devices[0]), compare);
	for (i = 0; i < p->n; i++) {
		p->devices[i].class_code = cli_sysfs_class(p->sys, p->devices[i].address);
		if (!is_bridge(&p->devices[i]))
			p->devices[n++] = p->devices[i];
	}
	p->n = n;
	return 0;
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

static int add_mate(void *arg, const char *name)
{
	struct probe_device *d = arg;

	if (strcmp(name, d->address) && d->n_mates < PROBE_MATES)
		snprintf(d->mates[d->n_mates++], sizeof(d->mates[0]), "%.15s", name);
	return 0;
}

/* What can be told without opening it. */
static void identify(struct probe *p, struct probe_device *d)
{
	unsigned int segment, bus, device, function;
	char path[128], text[32];

	if (!cli_sysfs_read(p->sys, text, sizeof(text), SYSFS_PCI "/%s/vendor", d->address))
		d->vendor = strtoul(text, NULL, 16);
	if (!cli_sysfs_read(p->sys, text, sizeof(text), SYSFS_PCI "/%s/device", d->address))
		d->device = strtoul(text, NULL, 16);
	if (sscanf(d->address, "%x:%x:%x.%x", &segment, &bus, &device, &function) == 4)
		d->routed = firmware_route(&p->firmware, segment, bus << 8 | device << 3 | function,
					   &d->route);
	if (d->group < 0)
		return;
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices", d->group);
	p->sys->ops->list(p->sys, path, add_mate, d);
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

static int probe_all(struct probe *p, const struct options *o, struct term *term)
{
	unsigned int i;
	int err;

	err = db_host_open(p->sys, &p->host);
	if (err) {
		term_error(term, "%s", db_error_message());
		return err;
	}
	err = find_devices(p, o);
	if (err)
		term_error(term, SYSFS_PCI ": %s", strerror(-err));
	for (i = 0; !err && i < p->n; i++) {
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

static int make_sys(struct probe *p, const struct options *o, struct term *term)
{
	struct cli_machine machine = { 0 };
	char why[256];
	int err;

	if (o->linux_host) {
		p->linux_host = true;
		p->sys = db_sys_linux();
		firmware_read(p->sys, &p->firmware);
		return 0;
	}
	err = cli_machine_load(&machine, o->machine, NULL, why, sizeof(why));
	if (err) {
		term_error(term, "%s", why);
		return err;
	}
	err = db_soft_host_create(machine.text, machine.len, &p->sys);
	if (err)
		term_error(term, "%s: %s", o->machine ? o->machine : "built-in machine",
			   db_error_message());
	cli_machine_free(&machine);
	return err;
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
		if (!err && options.help)
			command_help("probe");
		free(p);
		return err;
	}
	term_init(&term, options.json);
	err = make_sys(p, &options, &term);
	if (!err)
		err = probe_all(p, &options, &term);
	if (!err) {
		good = any_possible(p);
		if (options.json) {
			json_print(probe_json(p));
		} else {
			probe_text(p, &term);
			term_verdict(&term, good, "%s",
				     good            ? "MSIs can be passed through on this host"
				     : any_opened(p) ? "no device of this host can be passed "
						       "through with its MSIs"
						     : "no device could be looked into");
		}
	}
	firmware_free(&p->firmware);
	if (p->sys)
		p->sys->ops->release(p->sys);
	free(p);
	return good ? 0 : 1;
}
