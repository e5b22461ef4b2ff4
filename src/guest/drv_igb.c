/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Just enough of an Intel 82576 (igb) to have every MSI-X vector raised by software (82576
 * datasheet, §7.3 and §8.8): no frames, no DMA. Each vector is its own cause in the extended
 * interrupt registers. A virtual function has these registers at the same places, but for
 * GPIE, which is its physical function's and has to be set there.
 */
#include <errno.h>

#include "guest/guest_priv.h"

#define IGB_VENDOR_ID 0x8086
#define IGB_82576 0x10c9
#define IGB_82576_VF 0x10ca

enum igb_register {
	REG_CTRL = 0x0000,
	REG_STATUS = 0x0008,
	REG_IMC = 0x150c,
	REG_GPIE = 0x1514,
	REG_EICS = 0x1520,	/* sets causes */
	REG_EIMS = 0x1524,	/* enables them */
	REG_EIMC = 0x1528,	/* disables them */
	REG_EIAC = 0x152c,	/* which are cleared by the message itself */
	REG_EICR = 0x1580,	/* the causes; write 1 to clear */
};

#define CTRL_RST (1u << 26)
#define GPIE_MULTIPLE_MSIX (1u << 4)
#define GPIE_EIAME (1u << 30)
#define GPIE_PBA_SUPPORT (1u << 31)
#define ROUNDS 4u
#define RESET_MS 100

static bool igb_match(uint16_t vendor, uint16_t device, uint32_t class_code)
{
	(void)class_code;
	return vendor == IGB_VENDOR_ID && (device == IGB_82576 || device == IGB_82576_VF);
}

static uint32_t causes(const struct guest_device *gd)
{
	return gd->info.vectors >= 32 ? UINT32_MAX : (1u << gd->info.vectors) - 1;
}

static int igb_start(struct guest_device *gd)
{
	if (!gd->msix)
		return guest_fail(&gd->guest->base, -EOPNOTSUPP, "%s: the igb driver needs MSI-X",
				  vmm_device_info(gd->info.vmm)->address);
	guest_write32(gd, REG_CTRL, guest_read32(gd, REG_CTRL) | CTRL_RST);
	guest_delay(gd->guest, RESET_MS);
	if (guest_read32(gd, REG_STATUS) == UINT32_MAX)
		return guest_fail(&gd->guest->base, -EIO, "%s: its registers read as ones",
				  vmm_device_info(gd->info.vmm)->address);
	guest_write32(gd, REG_IMC, UINT32_MAX);
	guest_write32(gd, REG_EIMC, UINT32_MAX);
	guest_write32(gd, REG_EICR, UINT32_MAX);
	guest_write32(gd, REG_GPIE, GPIE_MULTIPLE_MSIX | GPIE_EIAME | GPIE_PBA_SUPPORT);
	guest_write32(gd, REG_EIAC, causes(gd));
	guest_write32(gd, REG_EIMS, causes(gd));
	return 0;
}

/* Job i raises the vector of cause i, round by round. */
static unsigned int n_causes(const struct guest_device *gd)
{
	return gd->info.vectors < 32 ? gd->info.vectors : 32;
}

static unsigned int igb_jobs(const struct guest_device *gd)
{
	return ROUNDS * n_causes(gd);
}

static void igb_job_start(struct guest_device *gd, unsigned int job)
{
	guest_irq_expect(gd, job % n_causes(gd));
	guest_write32(gd, REG_EICS, 1u << (job % n_causes(gd)));
}

static int igb_job_finish(struct guest_device *gd, unsigned int job)
{
	guest_irq_wait(gd, job % n_causes(gd));
	guest_write32(gd, REG_EICR, 1u << (job % n_causes(gd)));
	return 0;
}

static int igb_restart(struct guest_device *gd)
{
	int err = igb_start(gd);

	if (!err)
		guest_jobs_repeat(gd);
	return err;
}

static void igb_kick(struct guest_device *gd)
{
	guest_write32(gd, REG_EICS, 1);
}

static int igb_kicked(struct guest_device *gd)
{
	guest_write32(gd, REG_EICR, 1);
	return 0;
}

static void igb_stop(struct guest_device *gd)
{
	guest_write32(gd, REG_EIMC, UINT32_MAX);
}

const struct guest_driver guest_driver_igb = {
	.name = "igb",
	.match = igb_match,
	.start = igb_start,
	.step = guest_jobs_step,
	.end = guest_jobs_end,
	.restart = igb_restart,
	.kick = igb_kick,
	.kicked = igb_kicked,
	.stop = igb_stop,
	.jobs = igb_jobs,
	.job_start = igb_job_start,
	.job_finish = igb_job_finish,
};
