/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host can do, device by device, and what keeps it from doing more. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/decode.h"
#include "cli/json.h"
#include "cli/session.h"
#include "cli/sysfs.h"
#include "cli/term.h"

#define PROBE_DEVICES 256
#define RESERVED_MAX 32

struct probe_device {
	char address[16];
	char driver[64];
	int class_code;
	int group;		/* -1: none, so no IOMMU in front of it */
	int err;		/* of opening it; then why */
	char why[512];
	struct db_caps caps;
	struct db_reserved reserved[RESERVED_MAX];
	unsigned int n_reserved;
};

struct probe {
	struct db_sys *sys;
	struct db_host *host;
	struct probe_device devices[PROBE_DEVICES];
	unsigned int n;
};

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
		d->err = db_device_caps(dev, &d->caps);
		n = d->err ? 0 : db_device_reserved(dev, d->reserved, RESERVED_MAX);
		d->n_reserved = n < 0 ? 0 : n < RESERVED_MAX ? n : RESERVED_MAX;
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

static void text_device(struct term *t, const struct probe_device *d)
{
	const struct db_caps *c = &d->caps;
	unsigned int i;

	printf("%s  class %06x, driver %s, IOMMU group ", d->address, d->class_code,
	       d->driver[0] ? d->driver : "none");
	printf(d->group < 0 ? "none\n" : "%d\n", d->group);
	if (d->err) {
		printf("  %s\n\n", d->why);
		return;
	}
	for (i = DB_MODE_AUTO + 1; i < DB_MODE_COUNT; i++)
		printf("  %-8s %s%s%s%s%s\n", db_mode_name(i),
		       t->colour ? (c->mode[i] ? "\033[1;32m" : "\033[1;31m") : "",
		       c->mode[i] ? "yes" : "no", t->colour ? "\033[0m" : "",
		       c->mode[i] ? "" : ": ", c->why_not[i]);
	printf("  vectors  %u MSI-X (table %s, %s), %u MSI\n", c->msix_vectors,
	       c->msix_mappable ? "mappable" : "not mappable",
	       c->msix_noresize ? "all allocated at once" : "can grow", c->msi_vectors);
	if (c->doorbell.size)
		printf("  doorbell id %llu, %llu bytes, register at +0x%llx\n",
		       (unsigned long long)c->doorbell.id, (unsigned long long)c->doorbell.size,
		       (unsigned long long)c->doorbell.offset);
	if (c->sw_msi_size)
		printf("  window   0x%llx..0x%llx: where the kernel maps doorbells by itself "
		       "(SW_MSI)\n",
		       (unsigned long long)c->sw_msi_start,
		       (unsigned long long)(c->sw_msi_start + c->sw_msi_size - 1));
	for (i = 0; i < d->n_reserved; i++)
		printf("  reserved 0x%llx..0x%llx %s\n", (unsigned long long)d->reserved[i].start,
		       (unsigned long long)d->reserved[i].last, d->reserved[i].type);
	printf("  nesting  %s, host pages of %lluK\n\n",
	       c->nesting ? "yes: stage 1 may be given to a guest" : "no",
	       (unsigned long long)(c->page_size >> 10));
}

/* Each different SMMU once: devices behind equal ones are named together. */
static void text_smmus(const struct probe *p)
{
	struct decode_fields fields;
	unsigned int i, j;

	for (i = 0; i < p->n; i++) {
		const struct db_smmu_info *smmu = &p->devices[i].caps.smmu;

		if (p->devices[i].err || !smmu->idr[0])
			continue;
		for (j = 0; j < i; j++)
			if (!p->devices[j].err &&
			    !memcmp(&p->devices[j].caps.smmu, smmu, sizeof(*smmu)))
				break;
		if (j < i)
			continue;
		printf("SMMU in front of %s", p->devices[i].address);
		for (j = i + 1; j < p->n; j++)
			if (!p->devices[j].err &&
			    !memcmp(&p->devices[j].caps.smmu, smmu, sizeof(*smmu)))
				printf(", %s", p->devices[j].address);
		printf(" (IDR0 0x%08x IDR1 0x%08x IDR3 0x%08x IDR5 0x%08x IIDR 0x%08x)\n",
		       smmu->idr[0], smmu->idr[1], smmu->idr[3], smmu->idr[5], smmu->iidr);
		decode_idr(smmu->idr, &fields);
		for (j = 0; j < fields.n; j++)
			printf("  %-36s %s\n", fields.field[j].name, fields.field[j].value);
		printf("\n");
	}
}

static json_t *json_smmu(const struct db_smmu_info *smmu)
{
	json_t *idr = json_array(), *features = json_object();
	struct decode_fields fields;
	unsigned int i;

	for (i = 0; i < 6; i++)
		json_array_append_new(idr, json_hex(smmu->idr[i]));
	decode_idr(smmu->idr, &fields);
	for (i = 0; i < fields.n; i++)
		json_object_set_new(features, fields.field[i].name,
				    json_string(fields.field[i].value));
	return json_pack("{s:o, s:o, s:o, s:o}", "idr", idr, "iidr", json_hex(smmu->iidr), "aidr",
			 json_hex(smmu->aidr), "features", features);
}

static void json_caps(json_t *out, const struct probe_device *d)
{
	const struct db_caps *c = &d->caps;
	json_t *modes = json_object(), *reserved = json_array();
	unsigned int i;

	for (i = DB_MODE_AUTO + 1; i < DB_MODE_COUNT; i++)
		json_object_set_new(modes, db_mode_name(i),
				    json_pack("{s:b, s:s}", "possible", c->mode[i], "why_not",
					      c->mode[i] ? "" : c->why_not[i]));
	for (i = 0; i < d->n_reserved; i++)
		json_array_append_new(reserved, json_pack("{s:o, s:o, s:s}", "start",
							  json_hex(d->reserved[i].start), "last",
							  json_hex(d->reserved[i].last), "type",
							  d->reserved[i].type));
	json_object_set_new(out, "modes", modes);
	json_object_set_new(out, "nesting", json_boolean(c->nesting));
	json_object_set_new(out, "smmu", json_smmu(&c->smmu));
	json_object_set_new(out, "doorbell",
			    c->doorbell.size
				    ? json_pack("{s:I, s:I, s:o}", "id", (json_int_t)c->doorbell.id,
						"size", (json_int_t)c->doorbell.size, "offset",
						json_hex(c->doorbell.offset))
				    : json_null());
	json_object_set_new(out, "window",
			    c->sw_msi_size
				    ? json_pack("{s:o, s:I}", "start", json_hex(c->sw_msi_start),
						"size", (json_int_t)c->sw_msi_size)
				    : json_null());
	json_object_set_new(out, "reserved", reserved);
	json_object_set_new(out, "msi_vectors", json_integer(c->msi_vectors));
	json_object_set_new(out, "msix_vectors", json_integer(c->msix_vectors));
	json_object_set_new(out, "msix_mappable", json_boolean(c->msix_mappable));
	json_object_set_new(out, "msix_noresize", json_boolean(c->msix_noresize));
	json_object_set_new(out, "page_size", json_integer(c->page_size));
}

static json_t *json_probe(const struct probe *p, bool linux_host)
{
	json_t *devices = json_array();
	unsigned int i;

	for (i = 0; i < p->n; i++) {
		const struct probe_device *d = &p->devices[i];
		char class_code[16];
		json_t *out;

		snprintf(class_code, sizeof(class_code), "%06x", d->class_code);
		out = json_pack("{s:s, s:s, s:s, s:o}", "address", d->address, "class", class_code,
				"driver", d->driver, "group",
				d->group < 0 ? json_null() : json_integer(d->group));
		if (d->err)
			json_object_set_new(out, "error", json_error(d->err, d->why));
		else
			json_caps(out, d);
		json_array_append_new(devices, out);
	}
	return json_pack("{s:s, s:o}", "host", linux_host ? "linux" : "soft", "devices", devices);
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
		p->sys = db_sys_linux();
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
	unsigned int i;
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
			json_print(json_probe(p, options.linux_host));
		} else {
			for (i = 0; i < p->n; i++)
				text_device(&term, &p->devices[i]);
			text_smmus(p);
			term_verdict(&term, good, "%s",
				     good            ? "MSIs can be passed through on this host"
				     : any_opened(p) ? "no device of this host can be passed "
						       "through with its MSIs"
						     : "no device could be looked into");
		}
	}
	if (p->sys)
		p->sys->ops->release(p->sys);
	free(p);
	return good ? 0 : 1;
}
