/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's ITS driver: which EventIDs a device's messages carry and which LPIs they become.
 *
 * EventIDs start at ITS_FIRST_EVENT, where a host kernel's start at 0: so the guest's data and the
 * host's never agree by chance, and a message that reaches the hardware with the guest's data goes
 * visibly wrong.
 */
#include <errno.h>
#include <stdlib.h>

#include "guest/guest_priv.h"

/* a multiple of 32: plain MSI puts the vector into the low bits of the data */
#define ITS_FIRST_EVENT 64u

int guest_its_alloc(struct guest_device *gd)
{
	struct guest *guest = gd->guest;
	unsigned int first = guest->n_lpis, n = gd->info.vectors, i;
	struct guest_lpi *lpis = realloc(guest->lpis, (first + n) * sizeof(*lpis));
	int err;

	if (!lpis)
		return guest_fail(&guest->base, -ENOMEM, "out of memory");
	guest->lpis = lpis;
	guest->n_lpis = first + n;
	for (i = 0; i < n; i++)
		lpis[first + i] = (struct guest_lpi){ gd, i };
	gd->first_lpi = GUEST_LPI_FIRST + first;
	gd->info.first_event = ITS_FIRST_EVENT;
	for (i = 0; i < n; i++) {
		err = vmm_its_map(gd->info.vmm, ITS_FIRST_EVENT + i, gd->first_lpi + i);
		if (err)
			return guest_fail(&guest->base, err, "the vITS has no room for EventID %u",
					  ITS_FIRST_EVENT + i);
	}
	return 0;
}

void guest_its_free(struct guest_device *gd)
{
	struct guest_lpi *lpis;
	unsigned int i;

	if (!gd->first_lpi)
		return;
	lpis = gd->guest->lpis + (gd->first_lpi - GUEST_LPI_FIRST);
	for (i = 0; i < gd->info.vectors; i++) {
		vmm_its_map(gd->info.vmm, ITS_FIRST_EVENT + i, 0);
		lpis[i].gd = NULL;
	}
	gd->first_lpi = 0;
}
