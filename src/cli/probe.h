/* SPDX-License-Identifier: BSD-2-Clause */
/* `doorbell probe`: what it found, and its two forms. */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include <doorbell/doorbell.h>
#include <jansson.h>

#include "cli/firmware.h"
#include "cli/options.h"
#include "cli/sysfs.h"
#include "cli/term.h"

struct probe_device {
	char address[16];
	char driver[64];
	int class_code;
	uint16_t vendor, device;
	int group;		/* -1: none, so no IOMMU in front of it */
	struct cli_addresses members;	/* of the group, itself among them */
	bool routed;		/* firmware's tables tell */
	struct firmware_route route;
	uint16_t alias;		/* requester ID that the SMMU sees in its place; 0: its own */
	int err;		/* of opening it; then why */
	char why[512];
	struct db_caps caps;
	struct db_reserved *reserved;
	unsigned int n_reserved;
};

struct probe {
	struct db_sys *sys;
	struct db_host *host;
	bool linux_host;
	struct firmware firmware;
	struct probe_device *devices;
	unsigned int n;
	char why[640];			/* nothing could be probed */
};

void probe_text(const struct probe *p, struct term *term);
json_t *probe_json(const struct probe *p);

/*
 * Shows what the tables named in @o say, of its devices or of all requesters. *good: all of it was
 * there. -errno and a sentence in @why; then there was no output.
 */
int probe_dump(const struct options *o, bool *good, char *why, size_t size);

/* Parts of both. */
void probe_route_text(const struct firmware *fw, const struct firmware_route *r);
json_t *probe_route_json(const struct firmware_route *r);
void probe_itses_text(const struct firmware *fw);
json_t *probe_itses_json(const struct firmware *fw);

#endif
