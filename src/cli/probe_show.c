/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/decode.h"
#include "cli/json.h"
#include "cli/probe.h"

#define ITS_DOORBELL_PAGE 0x10000	/* of an ITS, where GITS_TRANSLATER is (IHI 0069 §12.18) */

/* Class codes as far as what is passed through has them (PCI Code and ID Assignment). */
static const char *class_name(int class_code)
{
	static const struct {
		int code, mask;
		const char *name;
	} names[] = {
		{ 0x010802, 0xffffff, "NVMe controller" }, { 0x010000, 0xff0000, "storage" },
		{ 0x020000, 0xff0000, "network" },	   { 0x030000, 0xff0000, "display" },
		{ 0x040000, 0xff0000, "multimedia" },	   { 0x060000, 0xff0000, "bridge" },
		{ 0x0c0300, 0xffff00, "USB" },		   { 0x0c0000, 0xff0000, "serial bus" },
		{ 0x100000, 0xff0000, "cryptography" },	   { 0x120000, 0xff0000, "accelerator" },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((class_code & names[i].mask) == names[i].code)
			return names[i].name;
	return "device";
}

/* --- For a person --- */

static void text_host(const struct probe *p)
{
	struct rlimit memlock = { .rlim_cur = RLIM_INFINITY };
	struct utsname name;

	if (!p->linux_host)
		return;
	if (!uname(&name))
		printf("Linux %s on %s, pages of %ldK", name.release, name.machine,
		       sysconf(_SC_PAGESIZE) >> 10);
	getrlimit(RLIMIT_MEMLOCK, &memlock);
	if (memlock.rlim_cur == RLIM_INFINITY || !geteuid())
		printf(", no limit of locked memory");
	else
		printf(", locked memory up to %llu MiB (guest RAM is locked: ulimit -l)",
		       (unsigned long long)memlock.rlim_cur >> 20);
	printf("; KVM %s\n", access("/dev/kvm", F_OK) ? "no" : "yes");
	probe_itses_text(&p->firmware);
	if (!p->firmware.iort && !p->firmware.tree)
		printf("  neither an ACPI IORT nor a device tree can be read: which SMMU and ITS a "
		       "device is behind is not shown\n");
	printf("\n");
}

static void text_modes(const struct term *t, const struct db_caps *c)
{
	unsigned int i;

	if (!c->nesting) {
		printf("  modes    none: %s\n", c->why_not[DB_MODE_RMR]);
		return;
	}
	for (i = DB_MODE_AUTO + 1; i < DB_MODE_COUNT; i++)
		printf("  %-8s %s%s%s%s%s\n", db_mode_name(i),
		       t->colour ? (c->mode[i] ? "\033[1;32m" : "\033[1;31m") : "",
		       c->mode[i] ? "yes" : "no", t->colour ? "\033[0m" : "",
		       c->mode[i] ? "" : ": ", c->why_not[i]);
}

void probe_itses_text(const struct firmware *fw)
{
	unsigned int i;

	for (i = 0; i < fw->n_itses; i++)
		printf("  ITS %u at 0x%llx, its doorbell page at 0x%llx\n", fw->its[i].id,
		       (unsigned long long)fw->its[i].base,
		       (unsigned long long)fw->its[i].base + ITS_DOORBELL_PAGE);
}

void probe_route_text(const struct firmware *fw, const struct firmware_route *r)
{
	const struct firmware_its *its;
	unsigned int i;

	if (r->smmu)
		printf("StreamID 0x%x at the SMMU at 0x%llx", r->stream_id,
		       (unsigned long long)r->smmu_base);
	else
		printf("no SMMUv3");
	if (r->its)
		printf("; DeviceID 0x%x at ITS", r->device_id);
	else
		printf("; no ITS");
	for (i = 0; i < r->n_itses; i++) {
		its = firmware_its(fw, r->its_ids[i]);
		printf(its ? "%s %u (0x%llx)" : "%s %u", i ? "," : "", r->its_ids[i],
		       its ? (unsigned long long)its->base : 0);
	}
	if (r->more_itses)
		printf(" and %u more", r->more_itses);
	printf("; %s%s\n", r->coherent ? "coherent" : "not coherent", r->canwbs ? ", CANWBS" : "");
}

static void text_device(const struct probe *p, const struct term *t, const struct probe_device *d)
{
	const struct db_caps *c = &d->caps;
	unsigned int others = 0, i;

	printf("%s  %s %04x:%04x (class %06x), driver %s, IOMMU group ", d->address,
	       class_name(d->class_code), d->vendor, d->device, d->class_code,
	       d->driver[0] ? d->driver : "none");
	printf(d->group < 0 ? "none" : "%d", d->group);
	for (i = 0; i < d->members.n; i++)
		if (strcmp(d->members.at[i], d->address))
			printf("%s%s", others++ ? ", " : " together with ", d->members.at[i]);
	printf("\n");
	if (d->routed) {
		printf("  route    ");
		if (d->alias)
			printf("as %02x:%02x.%x (a bridge stands in for it): ", d->alias >> 8,
			       d->alias >> 3 & 0x1f, d->alias & 7);
		probe_route_text(&p->firmware, &d->route);
	}
	if (d->err) {
		printf("  %s\n\n", d->why);
		return;
	}
	text_modes(t, c);
	if (c->msix_vectors)
		printf("  MSI-X    %u vectors, %s; the table %s\n", c->msix_vectors,
		       c->msix_noresize ? "allocated all at once" : "allocated as they are enabled",
		       c->msix_mappable ? "can be mapped" : "cannot be mapped");
	if (c->msi_vectors)
		printf("  MSI      %u vector%s\n", c->msi_vectors, c->msi_vectors == 1 ? "" : "s");
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
		if (strcmp(d->reserved[i].type, "msi"))
			printf("  reserved 0x%llx..0x%llx %s\n",
			       (unsigned long long)d->reserved[i].start,
			       (unsigned long long)d->reserved[i].last, d->reserved[i].type);
	printf("\n");
}

/* What nesting cannot do without. */
static const char *what_for(const struct probe_device *d, const struct decode_field *field)
{
	static const char *const needed[] = { "stage 1", "stage 2", "coherent walks (COHACC)" };
	size_t i;

	if (strcmp(field->value, "no"))
		return "";
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!strcmp(field->name, needed[i]))
			return "; nesting needs it";
	if (strcmp(field->name, "forced write-back (S2FWB)"))
		return "";
	if (d->caps.nesting)
		return "; firmware vouches for coherence instead (CANWBS)";
	return "; nesting needs it, or CANWBS from firmware";
}

static bool same_smmu(const struct probe_device *a, const struct probe_device *b)
{
	if (a->err || b->err)
		return false;
	if (a->routed && b->routed && a->route.smmu && b->route.smmu)
		return a->route.smmu_base == b->route.smmu_base;
	return !memcmp(&a->caps.smmu, &b->caps.smmu, sizeof(a->caps.smmu));
}

/* Each SMMU once, as far as they can be told apart. */
static void text_smmus(const struct probe *p)
{
	struct decode_fields fields;
	unsigned int i, j;

	for (i = 0; i < p->n; i++) {
		const struct probe_device *d = &p->devices[i];
		const struct db_smmu_info *smmu = &d->caps.smmu;

		if (d->err || !smmu->idr[0])
			continue;
		for (j = 0; j < i && !same_smmu(&p->devices[j], d); j++)
			;
		if (j < i)
			continue;
		printf("SMMU ");
		if (d->routed && d->route.smmu)
			printf("at 0x%llx, ", (unsigned long long)d->route.smmu_base);
		printf("in front of %s", d->address);
		for (j = i + 1; j < p->n; j++)
			if (same_smmu(d, &p->devices[j]))
				printf(", %s", p->devices[j].address);
		printf("\n");
		decode_idr(smmu, &fields);
		for (j = 0; j < fields.n; j++)
			printf("  %-36s %s%s\n", fields.field[j].name, fields.field[j].value,
			       what_for(d, &fields.field[j]));
		printf("\n");
	}
}

void probe_text(const struct probe *p, struct term *term)
{
	unsigned int i;

	text_host(p);
	for (i = 0; i < p->n; i++)
		text_device(p, term, &p->devices[i]);
	text_smmus(p);
}

/* --- JSON --- */

static json_t *json_smmu(const struct db_smmu_info *smmu)
{
	json_t *idr = json_array(), *features = json_object();
	struct decode_fields fields;
	unsigned int i;

	for (i = 0; i < 6; i++)
		json_array_append_new(idr, json_hex(smmu->idr[i]));
	decode_idr(smmu, &fields);
	for (i = 0; i < fields.n; i++)
		json_object_set_new(features, fields.field[i].name,
				    json_string(fields.field[i].value));
	return json_pack("{s:o, s:o, s:o, s:o}", "idr", idr, "iidr", json_hex(smmu->iidr), "aidr",
			 json_hex(smmu->aidr), "features", features);
}

json_t *probe_route_json(const struct firmware_route *r)
{
	json_t *itses = json_array(), *out;
	unsigned int i;

	for (i = 0; i < r->n_itses; i++)
		json_array_append_new(itses, json_integer(r->its_ids[i]));
	out = json_pack("{s:o, s:I, s:I, s:o, s:b, s:b}", "smmu",
			 r->smmu ? json_hex(r->smmu_base) : json_null(), "stream_id",
			 (json_int_t)r->stream_id, "device_id", (json_int_t)r->device_id, "itses",
			 itses, "coherent", r->coherent, "canwbs", r->canwbs);
	if (r->more_itses)
		json_object_set_new(out, "more_itses", json_integer(r->more_itses));
	return out;
}

static void json_caps(json_t *out, const struct probe_device *d)
{
	const struct db_caps *c = &d->caps;
	json_t *modes = json_object(), *reserved = json_array();
	unsigned int i;

	for (i = DB_MODE_AUTO + 1; i < DB_MODE_COUNT; i++)
		json_object_set_new(modes, db_mode_name(i),
				    json_pack("{s:b, s:o}", "possible", c->mode[i], "why_not",
					      json_text(c->mode[i] ? "" : c->why_not[i])));
	for (i = 0; i < d->n_reserved; i++)
		json_array_append_new(reserved, json_pack("{s:o, s:o, s:o}", "start",
							  json_hex(d->reserved[i].start), "last",
							  json_hex(d->reserved[i].last), "type",
							  json_text(d->reserved[i].type)));
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

static json_t *json_device(const struct probe_device *d)
{
	json_t *mates = json_array(), *route = json_null(), *out;
	unsigned int i;

	if (d->routed) {
		route = probe_route_json(&d->route);
		if (d->alias)
			json_object_set_new(route, "alias", json_hex(d->alias));
	}

	for (i = 0; i < d->members.n; i++)
		if (strcmp(d->members.at[i], d->address))
			json_array_append_new(mates, json_text(d->members.at[i]));
	out = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "address", json_text(d->address), "id",
			json_sprintf("%04x:%04x", d->vendor, d->device), "class",
			json_sprintf("%06x", d->class_code), "driver", json_text(d->driver), "group",
			d->group < 0 ? json_null() : json_integer(d->group), "group_mates", mates,
			"route", route);
	if (d->err)
		json_object_set_new(out, "error", json_error(d->err, d->why));
	else
		json_caps(out, d);
	return out;
}

json_t *probe_itses_json(const struct firmware *fw)
{
	json_t *itses = json_array();
	unsigned int i;

	for (i = 0; i < fw->n_itses; i++)
		json_array_append_new(itses, json_pack("{s:I, s:o}", "id",
						       (json_int_t)fw->its[i].id, "base",
						       json_hex(fw->its[i].base)));
	return itses;
}

json_t *probe_json(const struct probe *p)
{
	json_t *devices = json_array();
	unsigned int i;

	for (i = 0; i < p->n; i++)
		json_array_append_new(devices, json_device(&p->devices[i]));
	return json_pack("{s:s, s:o, s:o}", "host", p->linux_host ? "linux" : "soft", "itses",
			 probe_itses_json(&p->firmware), "devices", devices);
}
