/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-process guest: what a guest kernel does with a passed-through device, against libdoorbell as its VMM. It owns stage 1: it picks
 * gIOVAs from the top of its space, builds tables in its own memory, maps the MSI page through its DMA layer, writes CD and STE, and
 * invalidates after unmapping.
 */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <doorbell/doorbell.h>

#endif
