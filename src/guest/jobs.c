/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps of a driver that does one job after the other: one is in flight between two steps. */
#include "guest/guest_priv.h"

int guest_jobs_step(struct guest_device *gd)
{
	int err;

	if (gd->job_in_flight) {
		gd->job_in_flight = false;
		err = gd->driver->job_finish(gd, gd->job - 1);
		if (err)
			return err;
	}
	if (gd->job == gd->driver->jobs(gd))
		return 0;
	gd->driver->job_start(gd, gd->job++);
	gd->job_in_flight = true;
	return 1;
}

void guest_jobs_end(struct guest_device *gd)
{
	if (gd->job_in_flight)
		gd->driver->job_finish(gd, gd->job - 1);
	gd->job_in_flight = false;
}

void guest_jobs_repeat(struct guest_device *gd)
{
	guest_irq_cancel(gd);
	if (gd->job_in_flight)
		gd->driver->job_start(gd, gd->job - 1);
}
