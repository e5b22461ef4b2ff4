/* SPDX-License-Identifier: BSD-2-Clause */
/* What a host can do with a device: asked for where the uAPI answers, tried (and undone) where it
 * does not. */
#include <doorbell/host.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"
#include "arm/smmu_regs.h"
#include "lib/device.h"
#include "lib/doorbell.h"
#include "lib/sized.h"
#include "sys/error.h"

struct trial {
	const char *step;	/* what was refused, NULL: nothing */
	int error;
};

/* Each of these means that the host is ailing or the device gone, not that it lacks a feature. */
static bool is_failure(int error)
{
	return error == -ENOMEM || error == -EIO || error == -ENODEV || error == -EMFILE ||
	       error == -ENFILE;
}

/*
 * Makes everything that a nested set-up needs, then takes it back: whether the SMMU driver allows a
 * vIOMMU is told nowhere else.
 */
static int try_nesting(struct db_device *dev, struct db_caps *caps, struct trial *trial)
{
	struct db_host *host = dev->host;
	uint32_t ioas, parent, viommu, eventq;
	int ret, fd;

	trial->step = "IOMMU_IOAS_ALLOC";
	ret = host_ioas_alloc(host, &ioas);
	if (ret < 0)
		goto out;
	trial->step = "IOMMU_HWPT_ALLOC(NEST_PARENT)";
	ret = host_nest_parent_alloc(host, dev->dev_id, ioas, &parent);
	if (ret < 0)
		goto destroy_ioas;
	trial->step = "IOMMU_IOAS_IOVA_RANGES";
	ret = host_page_size(host, ioas, &caps->page_size);
	if (ret < 0)
		goto destroy_parent;
	trial->step = "IOMMU_VIOMMU_ALLOC";
	ret = host_viommu_alloc(host, dev->dev_id, parent, &viommu);
	if (ret < 0)
		goto destroy_parent;
	trial->step = "IOMMU_VEVENTQ_ALLOC";
	ret = host_veventq_alloc(host, viommu, 1, &eventq, &fd);
	if (ret < 0)
		goto destroy_viommu;
	trial->step = NULL;
	host->sys->ops->close(host->sys, fd);
	host_destroy(host, eventq);
destroy_viommu:
	host_destroy(host, viommu);
destroy_parent:
	host_destroy(host, parent);
destroy_ioas:
	host_destroy(host, ioas);
out:
	trial->error = ret;
	return ret < 0 && is_failure(ret) ? ret : 0;
}

static int read_hw_info(struct db_device *dev, struct db_caps *caps, bool *is_smmu)
{
	struct iommu_hw_info_arm_smmuv3 smmu = { 0 };
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = dev->dev_id,
		.data_len = sizeof(smmu),
		.data_uptr = (uintptr_t)&smmu,
	};
	int ret;

	ret = host_ioctl(dev->host, IOMMU_GET_HW_INFO, &cmd);
	if (ret >= 0) {
		caps->pasid_bits = cmd.out_max_pasid_log2;
		caps->pasid_exec = cmd.out_capabilities & IOMMU_HW_CAP_PCI_PASID_EXEC;
		caps->pasid_priv = cmd.out_capabilities & IOMMU_HW_CAP_PCI_PASID_PRIV;
		caps->dirty_tracking = cmd.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING;
		caps->ats_not_supported =
			cmd.out_capabilities & IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	}
	*is_smmu = ret >= 0 && cmd.out_data_type == IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	if (*is_smmu) {
		memcpy(caps->smmu.idr, smmu.idr, sizeof(caps->smmu.idr));
		caps->smmu.iidr = smmu.iidr;
		caps->smmu.aidr = smmu.aidr;
	}
	return ret < 0 && is_failure(ret) ? ret : 0;
}

/* The reason why nesting was refused, as the arm-smmu-v3 driver decides it, and
 * what would mend it. */
static void explain_nesting(const struct db_caps *caps, bool is_smmu, const struct trial *trial,
			    char *why, size_t size)
{
	if (!is_smmu)
		snprintf(why, size, "the device is not behind an SMMUv3 that iommufd knows: this "
			 "needs an Arm host (or the software host)");
	else if (trial->error == -ENOTTY)
		snprintf(why, size, "the kernel has no %s: Linux 6.15 or later is needed",
			 trial->step);
	else if (!strcmp(trial->step, "IOMMU_VIOMMU_ALLOC") && trial->error == -EOPNOTSUPP &&
		 !(caps->smmu.idr[3] & SMMU_IDR3_FWB))
		snprintf(why, size, "the SMMU has no S2FWB and firmware does not vouch for "
			 "coherence: set CANWBS (IORT root complex, memory access flags bit 2) if "
			 "the hardware is coherent");
	else if (!strcmp(trial->step, "IOMMU_HWPT_ALLOC(NEST_PARENT)") &&
		 trial->error == -EOPNOTSUPP)
		snprintf(why, size, "the SMMU does not do both stages of translation, or the "
			 "kernel does not allow nesting on it");
	else
		snprintf(why, size, "%s was refused (%s)", trial->step,
			 strerrorname_np(-trial->error));
}

/* The window in force: what IOMMU_OPTION says on a host that can move it, else the "msi" region
 * that the driver recommends. */
static int read_window(struct db_device *dev, struct db_caps *caps)
{
	struct db_reserved regions[DEVICE_RESERVED];
	int i, count;

	if (!doorbell_window_get(dev, &caps->sw_msi_start, &caps->sw_msi_size))
		return 0;
	count = db_device_reserved(dev, regions, DEVICE_RESERVED, sizeof(regions[0]));
	if (count < 0)
		return is_failure(count) ? count : 0;
	for (i = 0; i < count && i < DEVICE_RESERVED; i++) {
		if (!strcmp(regions[i].type, "msi")) {
			caps->sw_msi_start = regions[i].start;
			caps->sw_msi_size = regions[i].last - regions[i].start + 1;
		}
	}
	return 0;
}

__attribute__((format(printf, 3, 4)))
static void refuse(struct db_caps *caps, enum db_mode mode, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(caps->why_not[mode], sizeof(caps->why_not[mode]), fmt, args);
	va_end(args);
	caps->mode[mode] = false;
}

/* Is ACTION_PREPARE there for each capability that the device has? */
static bool takes_addresses(const struct db_device *dev)
{
	return (!dev->msi_vectors || dev->msi_irq_flags & VFIO_IRQ_INFO_MSI_IOVA) &&
	       (!dev->msix_vectors || dev->msix_irq_flags & VFIO_IRQ_INFO_MSI_IOVA);
}

static int judge_native(struct db_device *dev, struct db_caps *caps)
{
	int ret;

	ret = doorbell_query(dev, &caps->doorbell);
	if (ret == -ENOTTY)
		refuse(caps, DB_MODE_NATIVE, "this kernel has no IOMMU_GET_MSI_INFO: apply the "
		       "series in linux/, or use the stock mode");
	else if (ret == -EOPNOTSUPP)
		refuse(caps, DB_MODE_NATIVE, "the kernel knows of no doorbell for this device: its "
		       "interrupts do not go through an irqchip with one (ITS, v2m), or "
		       "CONFIG_IRQ_MSI_IOMMU is off");
	else if (ret < 0 && is_failure(ret))
		return ret;
	else if (ret < 0)
		refuse(caps, DB_MODE_NATIVE, "IOMMU_GET_MSI_INFO failed (%s)",
		       strerrorname_np(-ret));
	else if (!takes_addresses(dev))
		refuse(caps, DB_MODE_NATIVE, "the kernel maps doorbells, but takes no addresses "
		       "for the interrupts of this device (no VFIO_IRQ_INFO_MSI_IOVA): its vfio-pci "
		       "lacks the series in linux/");
	return 0;
}

/* Why there is no window, for the modes that live by it. */
static const char *no_window(struct db_device *dev)
{
	uint64_t start, size;

	return doorbell_window_get(dev, &start, &size) ?
		       "the host has no SW_MSI window: its MSIs are not translated by the SMMU" :
		       "the device has no SW_MSI window: db_device_set_window() took it away";
}

static void judge_stock(struct db_device *dev, struct db_caps *caps)
{
	if (!caps->sw_msi_size)
		refuse(caps, DB_MODE_STOCK, "%s", no_window(dev));
	else if (!caps->msix_vectors)
		refuse(caps, DB_MODE_STOCK, "the device has no MSI-X: for MSI the kernel must "
		       "program the address (mode native), or the guest identity-map the window "
		       "(mode rmr)");
	else if (!caps->msix_mappable)
		refuse(caps, DB_MODE_STOCK, "BAR %u with the MSI-X table cannot be mapped (no "
		       "VFIO_REGION_INFO_CAP_MSIX_MAPPABLE): use native or rmr",
		       dev->msix.table_bar);
}

static void judge_rmr(struct db_device *dev, struct db_caps *caps)
{
	if (!caps->sw_msi_size)
		refuse(caps, DB_MODE_RMR, "%s", no_window(dev));
}

static int judge(struct db_device *dev, struct db_caps *caps, bool is_smmu,
		 const struct trial *trial)
{
	enum db_mode mode;
	int ret;

	for (mode = DB_MODE_NATIVE; mode < DB_MODE_COUNT; mode++)
		caps->mode[mode] = true;
	ret = judge_native(dev, caps);
	if (ret)
		return ret;
	judge_stock(dev, caps);
	judge_rmr(dev, caps);
	for (mode = DB_MODE_NATIVE; mode < DB_MODE_COUNT; mode++) {
		if (!caps->msi_vectors && !caps->msix_vectors)
			refuse(caps, mode, "the device has neither MSI nor MSI-X");
		if (!caps->nesting) {
			caps->mode[mode] = false;
			explain_nesting(caps, is_smmu, trial, caps->why_not[mode],
					sizeof(caps->why_not[mode]));
		}
		caps->mode[DB_MODE_AUTO] |= caps->mode[mode];
	}
	if (!caps->mode[DB_MODE_AUTO])
		snprintf(caps->why_not[DB_MODE_AUTO], sizeof(caps->why_not[0]),
			 "no mode is possible; for rmr: %.200s", caps->why_not[DB_MODE_RMR]);
	return 0;
}

static int find_caps(struct db_device *dev, struct db_caps *caps)
{
	const struct device_region *table = &dev->bar[dev->msix.table_bar];
	struct trial trial = { 0 };
	bool is_smmu;
	int ret;

	caps->page_size = host_own_page_size(dev->host);
	caps->msi_vectors = dev->msi_vectors;
	caps->msix_vectors = dev->msix_vectors;
	caps->msix_noresize = dev->msix_irq_flags & VFIO_IRQ_INFO_NORESIZE;
	caps->msix_mappable = dev->msix.count && table->mappable && table->msix_mappable;
	ret = read_hw_info(dev, caps, &is_smmu);
	if (!ret)
		ret = read_window(dev, caps);
	if (!ret)
		ret = try_nesting(dev, caps, &trial);
	if (ret)
		return ret;
	caps->nesting = is_smmu && !trial.step;
	return judge(dev, caps, is_smmu, &trial);
}

int db_device_caps(struct db_device *dev, struct db_caps *caps)
{
	struct db_caps *found;
	int ret;

	ret = sized_check(caps, "db_caps");
	if (ret)
		return ret;
	pthread_mutex_lock(&dev->lock);
	if (!dev->caps) {
		found = calloc(1, sizeof(*found));
		ret = found ? find_caps(dev, found) : -ENOMEM;
		if (ret) {
			free(found);
			db_error_set(ret, "cannot find out what the host can do with %s",
				     dev->address);
			goto unlock;
		}
		dev->caps = found;
	}
	sized_give(caps, dev->caps, sizeof(*dev->caps));
unlock:
	pthread_mutex_unlock(&dev->lock);
	return ret;
}
