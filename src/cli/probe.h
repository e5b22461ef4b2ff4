/* SPDX-License-Identifier: BSD-2-Clause */
/* `doorbell probe`: what it found, and its two forms. */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include <doorbell/doorbell.h>
#include <jansson.h>

#include "cli/firmware.h"
#include "cli/term.h"

#define PROBE_DEVICES 256
#define PROBE_RESERVED 32
#define PROBE_MATES 8

struct probe_device {
	char address[16];
	char driver[64];
	int class_code;
	uint16_t vendor, device;
	int group;		/* -1: none, so no IOMMU in front of it */
	char mates[PROBE_MATES][16];	/* others of the group */
	unsigned int n_mates;
	bool routed;		/* firmware's tables tell */
	struct firmware_route route;
	int err;		/* of opening it; then why */
	char why[512];
	struct db_caps caps;
	struct db_reserved reserved[PROBE_RESERVED];
	unsigned int n_reserved;
};

struct probe {
	struct db_sys *sys;
	struct db_host *host;
	bool linux_host;
	struct firmware firmware;
	struct probe_device devices[PROBE_DEVICES];
	unsigned int n;
};

void probe_text(const struct probe *p, struct term *term);
json_t *probe_json(const struct probe *p);

#endif
