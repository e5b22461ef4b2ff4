/* SPDX-License-Identifier: BSD-2-Clause */
/* Mode rmr: the kernel's own address stays in the device; it is the guest's duty to map it to
 * itself. */
#include "lib/msi.h"

#include "lib/doorbell.h"

static int rmr_start(struct db_msi *msi)
{
	return doorbell_window_need(msi->dev);
}

static void rmr_stop(struct db_msi *msi)
{
	(void)msi;
}

const struct msi_mode_ops msi_rmr_ops = {
	.start = rmr_start,
	.stop = rmr_stop,
};
