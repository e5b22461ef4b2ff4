/* SPDX-License-Identifier: BSD-2-Clause */
/* `doorbell probe --iort FILE`: what dumped tables say of a machine that is not at hand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/probe.h"

struct range {
	uint16_t first, last;
	struct firmware_route route;
};

struct ranges {
	struct range *at;
	unsigned int n;
};

/* Whether @b goes on as @a would have. */
static bool goes_on(const struct range *a, const struct range *b)
{
	const struct firmware_route *x = &a->route, *y = &b->route;
	uint32_t step = x->single ? 0 : b->first - a->first;

	return x->single == y->single && x->smmu == y->smmu && x->smmu_base == y->smmu_base &&
	       x->its == y->its && x->n_itses == y->n_itses && x->more_itses == y->more_itses &&
	       !memcmp(x->its_ids, y->its_ids, sizeof(x->its_ids)) &&
	       (!x->smmu || x->stream_id + step == y->stream_id) &&
	       (!x->its || x->device_id + step == y->device_id);
}

/* All requesters of a segment, as few ranges as possible. */
static int collect(const struct firmware *fw, uint32_t segment, struct ranges *out)
{
	struct range next, *grown;
	uint32_t first;

	*out = (struct ranges){ 0 };
	for (first = 0; first <= UINT16_MAX; first = (uint32_t)next.last + 1) {
		next.first = first;
		firmware_range(fw, segment, first, &next.last, &next.route);
		if (out->n && goes_on(&out->at[out->n - 1], &next)) {
			out->at[out->n - 1].last = next.last;
			continue;
		}
		grown = realloc(out->at, (out->n + 1) * sizeof(*grown));
		if (!grown) {
			free(out->at);
			return -ENOMEM;
		}
		out->at = grown;
		out->at[out->n++] = next;
	}
	return 0;
}

static void print_requester(uint32_t segment, uint16_t id)
{
	printf("%04x:%02x:%02x.%x", segment, id >> 8, id >> 3 & 0x1f, id & 7);
}

static void text_ranges(const struct firmware *fw, uint32_t segment, const struct ranges *ranges)
{
	unsigned int i;

	printf("Root complex of segment %04x: IDs are those of the first function of each range%s\n",
	       segment, ranges->n ? "" : " (there is none)");
	for (i = 0; i < ranges->n; i++) {
		const struct range *r = &ranges->at[i];

		printf("  ");
		print_requester(segment, r->first);
		printf(" to ");
		print_requester(segment, r->last);
		printf("%s  ", r->route.single ? ", the same for all" : "");
		probe_route_text(fw, &r->route);
	}
	printf("\n");
}

static json_t *json_ranges(uint32_t segment, const struct ranges *ranges)
{
	json_t *list = json_array(), *one;
	unsigned int i;

	for (i = 0; i < ranges->n; i++) {
		one = probe_route_json(&ranges->at[i].route);
		json_object_set_new(one, "first", json_hex(ranges->at[i].first));
		json_object_set_new(one, "last", json_hex(ranges->at[i].last));
		json_array_append_new(list, one);
	}
	return json_pack("{s:i, s:o}", "segment", (int)segment, "requesters", list);
}

/* All root complexes; Linux takes the first of those that have the same segment. */
static int show_segments(const struct firmware *fw, json_t *list)
{
	struct ranges ranges;
	uint32_t segment;
	unsigned int i;
	int err;

	for (i = 0; firmware_segment(fw, i, &segment); i++) {
		err = collect(fw, segment, &ranges);
		if (err)
			return err;
		if (list)
			json_array_append_new(list, json_ranges(segment, &ranges));
		else
			text_ranges(fw, segment, &ranges);
		free(ranges.at);
	}
	if (!i && !list)
		printf("It has no root complex: nothing is said of PCI devices.\n");
	return 0;
}

/* False: nothing is said of its segment. */
static bool show_device(const struct firmware *fw, const char *address, json_t *list)
{
	struct firmware_route route;
	unsigned int segment;
	uint16_t requester;
	bool known;

	firmware_parse_address(address, &segment, &requester);
	known = firmware_route(fw, segment, requester, &route);
	if (list) {
		json_array_append_new(list, json_pack("{s:o, s:o}", "address", json_text(address),
						      "route",
						      known ? probe_route_json(&route)
							    : json_null()));
	} else {
		printf("%s  ", address);
		if (known)
			probe_route_text(fw, &route);
		else
			printf("no root complex has this segment\n");
	}
	return known;
}

int probe_dump(const struct options *o, bool *good, char *why, size_t size)
{
	json_t *root = NULL, *devices = NULL, *segments = NULL;
	unsigned int segment, i;
	struct firmware fw;
	uint16_t requester;
	int err;

	for (i = 0; i < o->n_devices; i++)
		if (!firmware_parse_address(o->devices[i], &segment, &requester)) {
			snprintf(why, size, "--device %s: not a PCI address such as 0000:01:00.0",
				 o->devices[i]);
			return -EINVAL;
		}
	err = firmware_load(&fw, o->iort, o->madt, why, size);
	if (err)
		return err;
	if (o->json) {
		devices = json_array();
		segments = json_array();
		root = json_pack("{s:s, s:o, s:o, s:o}", "host", "tables", "itses",
				 probe_itses_json(&fw), "devices", devices, "segments", segments);
	} else {
		probe_itses_text(&fw);
	}
	*good = true;
	for (i = 0; i < o->n_devices; i++)
		*good &= show_device(&fw, o->devices[i], devices);
	if (!o->n_devices)
		err = show_segments(&fw, segments);
	firmware_free(&fw);
	if (err) {
		json_decref(root);
		snprintf(why, size, "out of memory");
	} else if (o->json) {
		*good &= !json_print(root);
	}
	return err;
}
