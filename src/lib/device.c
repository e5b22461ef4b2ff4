/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/device.h"

#include <doorbell/adopt.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "abi/vfio.h"
#include "lib/bytes.h"
#include "lib/pci.h"
#include "lib/region.h"
#include "sys/error.h"

int device_ioctl(struct db_device *dev, unsigned long request, void *arg)
{
	return dev->host->sys->ops->ioctl(dev->host->sys, dev->fd, request, arg);
}

int device_attach(struct db_device *dev, uint32_t pt_id)
{
	struct vfio_device_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = pt_id };
	int ret;

	pthread_mutex_lock(&dev->lock);
	ret = device_ioctl(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
	if (ret >= 0)
		dev->attached = true;
	pthread_mutex_unlock(&dev->lock);
	return ret < 0 ? ret : 0;
}

void device_detach(struct db_device *dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	pthread_mutex_lock(&dev->lock);
	device_ioctl(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
	dev->attached = false;
	pthread_mutex_unlock(&dev->lock);
}

static void read_msix(struct db_device *dev, const uint8_t *cap)
{
	struct device_msix *msix = &dev->msix;
	uint32_t table = get32(cap + PCI_MSIX_TABLE), pba = get32(cap + PCI_MSIX_PBA);

	msix->count = (get16(cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1;
	msix->table_bar = table & PCI_MSIX_TABLE_BIR;
	msix->table_offset = table & ~PCI_MSIX_TABLE_BIR;
	msix->pba_bar = pba & PCI_MSIX_PBA_BIR;
	msix->pba_offset = pba & ~PCI_MSIX_PBA_BIR;
	/* Reserved: there is no such BAR (PCIe 7.7.2.3), so none that others could index with. */
	if (msix->table_bar >= DEVICE_BARS || msix->pba_bar >= DEVICE_BARS)
		*msix = (struct device_msix){ 0 };
}

void device_refresh(struct db_device *dev)
{
	uint8_t command[2], pm[2] = { 0 };
	struct db_sys *sys = dev->host->sys;

	dev->memory_on = false;
	dev->powered = false;
	if (sys->ops->pread(sys, dev->fd, command, 2, dev->config.offset + PCI_COMMAND) != 2)
		return;
	if (dev->cap_pm && sys->ops->pread(sys, dev->fd, pm, 2,
					   dev->config.offset + dev->cap_pm + PCI_PM_CTRL) != 2)
		return;
	dev->powered = !(get16(pm) & PCI_PM_CTRL_STATE_MASK);
	dev->memory_on = (get16(command) & PCI_COMMAND_MEMORY) && dev->powered;
}

static int read_capabilities(struct db_device *dev)
{
	struct pci_capability caps[PCI_CAPABILITIES];
	struct db_sys *sys = dev->host->sys;
	uint8_t config[PCI_CFG_SPACE_SIZE];
	unsigned int i, count;
	uint16_t flags;
	ssize_t ret;

	ret = sys->ops->pread(sys, dev->fd, config, sizeof(config), dev->config.offset);
	if (ret != (ssize_t)sizeof(config)) {
		ret = ret < 0 ? ret : -EIO;
		db_error_set(ret, "cannot read the config space of %s", dev->address);
		return ret;
	}
	count = pci_capabilities(config, sizeof(config), caps);
	for (i = 0; i < count; i++) {
		/* One that does not fit is none. */
		if (caps[i].at > sizeof(config) - PCI_CAP_MSIX_SIZEOF)
			continue;
		flags = get16(config + caps[i].at + PCI_MSI_FLAGS);
		switch (caps[i].id) {
		case PCI_CAP_ID_PM:
			dev->cap_pm = caps[i].at;
			break;
		case PCI_CAP_ID_MSI:
			dev->cap_msi = caps[i].at;
			dev->msi_64bit = flags & PCI_MSI_FLAGS_64BIT;
			dev->msi_maskable = flags & PCI_MSI_FLAGS_MASKBIT;
			break;
		case PCI_CAP_ID_MSIX:
			read_msix(dev, config + caps[i].at);
			break;
		}
	}
	return 0;
}

static int read_irq(struct db_device *dev, unsigned int index, unsigned int *count, uint32_t *flags)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	int ret;

	ret = device_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, &info);
	if (ret < 0) {
		db_error_set(ret, "cannot ask for the interrupts of %s", dev->address);
		return ret;
	}
	*count = info.flags & VFIO_IRQ_INFO_EVENTFD ? info.count : 0;
	*flags = *count ? info.flags : 0;
	return 0;
}

int device_learn(struct db_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	unsigned int i;
	int ret;

	ret = device_ioctl(dev, VFIO_DEVICE_GET_INFO, &info);
	if (ret < 0) {
		db_error_set(ret, "cannot ask VFIO for %s", dev->address);
		return ret;
	}
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI)) {
		db_error_set(-EOPNOTSUPP, "%s is no PCI device for VFIO", dev->address);
		return -EOPNOTSUPP;
	}
	dev->resettable = info.flags & VFIO_DEVICE_FLAGS_RESET;
	for (i = 0; i < DEVICE_BARS; i++) {
		ret = region_learn(dev, VFIO_PCI_BAR0_REGION_INDEX + i, &dev->bar[i]);
		if (ret)
			return ret;
	}
	ret = region_learn(dev, VFIO_PCI_ROM_REGION_INDEX, &dev->rom);
	if (!ret)
		ret = region_learn(dev, VFIO_PCI_CONFIG_REGION_INDEX, &dev->config);
	if (!ret)
		ret = read_capabilities(dev);
	if (!ret)
		ret = read_irq(dev, VFIO_PCI_MSI_IRQ_INDEX, &dev->msi_vectors,
			       &dev->msi_irq_flags);
	if (!ret)
		ret = read_irq(dev, VFIO_PCI_MSIX_IRQ_INDEX, &dev->msix_vectors,
			       &dev->msix_irq_flags);
	if (!ret)
		device_refresh(dev);
	return ret;
}

int db_device_fd(const struct db_device *dev)
{
	return dev->fd;
}

uint32_t db_device_id(const struct db_device *dev)
{
	return dev->dev_id;
}

const char *db_device_address(const struct db_device *dev)
{
	return dev->address;
}

static int range_check(struct db_device *dev, const struct device_region *region, size_t len,
		       uint64_t offset)
{
	if (offset <= region->size && len <= region->size - offset)
		return 0;
	db_error_set(-EINVAL, "%s: access of %zu bytes at 0x%llx is beyond the end (0x%llx)",
		     dev->address, len, (unsigned long long)offset,
		     (unsigned long long)region->size);
	return -EINVAL;
}

static ssize_t accessed(struct db_device *dev, ssize_t ret, const char *what, uint64_t offset)
{
	if (ret < 0)
		db_error_set(ret, "%s: cannot %s at 0x%llx", dev->address, what,
			     (unsigned long long)offset);
	return ret;
}

ssize_t device_region_read(struct db_device *dev, const struct device_region *region, void *buf,
			   size_t len, uint64_t offset)
{
	struct db_sys *sys = dev->host->sys;
	ssize_t ret = range_check(dev, region, len, offset);

	if (ret)
		return ret;
	ret = sys->ops->pread(sys, dev->fd, buf, len, region->offset + offset);
	return accessed(dev, ret, "read", offset);
}

static ssize_t region_write(struct db_device *dev, const struct device_region *region,
			    const void *buf, size_t len, uint64_t offset)
{
	struct db_sys *sys = dev->host->sys;
	ssize_t ret = range_check(dev, region, len, offset);

	if (ret)
		return ret;
	ret = sys->ops->pwrite(sys, dev->fd, buf, len, region->offset + offset);
	return accessed(dev, ret, "write", offset);
}

ssize_t db_device_config_read(struct db_device *dev, void *buf, size_t len, uint64_t offset)
{
	return device_region_read(dev, &dev->config, buf, len, offset);
}

static bool overlaps(uint64_t offset, size_t len, uint64_t reg, size_t size)
{
	return offset < reg + size && reg < offset + len;
}

ssize_t db_device_config_write(struct db_device *dev, const void *buf, size_t len, uint64_t offset)
{
	ssize_t ret;

	pthread_mutex_lock(&dev->lock);
	ret = region_write(dev, &dev->config, buf, len, offset);
	/* Also after an error: the write may have been done in part. */
	if (overlaps(offset, len, PCI_COMMAND, 2) ||
	    (dev->cap_pm && overlaps(offset, len, dev->cap_pm + PCI_PM_CTRL, 2)))
		device_refresh(dev);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

static const struct device_region *find_bar(struct db_device *dev, unsigned int bar)
{
	if (bar < DEVICE_BARS)
		return &dev->bar[bar];
	db_error_set(-EINVAL, "%s: a PCI function has no BAR %u", dev->address, bar);
	return NULL;
}

int db_device_bar_size(struct db_device *dev, unsigned int bar, uint64_t *size)
{
	const struct device_region *region = find_bar(dev, bar);

	if (!region)
		return -EINVAL;
	*size = region->size;
	return 0;
}

ssize_t db_device_bar_read(struct db_device *dev, unsigned int bar, void *buf, size_t len,
			   uint64_t offset)
{
	const struct device_region *region = find_bar(dev, bar);

	return region ? device_region_read(dev, region, buf, len, offset) : -EINVAL;
}

ssize_t db_device_bar_write(struct db_device *dev, unsigned int bar, const void *buf, size_t len,
			    uint64_t offset)
{
	const struct device_region *region = find_bar(dev, bar);

	return region ? region_write(dev, region, buf, len, offset) : -EINVAL;
}

int db_device_reset(struct db_device *dev)
{
	int ret;

	if (!dev->resettable) {
		db_error_set(-EOPNOTSUPP, "%s has no reset that affects it alone", dev->address);
		return -EOPNOTSUPP;
	}
	pthread_mutex_lock(&dev->lock);
	ret = device_ioctl(dev, VFIO_DEVICE_RESET, NULL);
	device_refresh(dev);
	pthread_mutex_unlock(&dev->lock);
	if (ret < 0)
		db_error_set(ret, "cannot reset %s", dev->address);
	return ret < 0 ? ret : 0;
}

static bool memory_switch(struct db_device *dev, bool on)
{
	struct db_sys *sys = dev->host->sys;
	uint64_t offset = dev->config.offset + PCI_COMMAND;
	uint8_t command[2];

	if (sys->ops->pread(sys, dev->fd, command, 2, offset) != 2)
		return false;
	command[0] = (command[0] & ~PCI_COMMAND_MEMORY) | (on ? PCI_COMMAND_MEMORY : 0);
	if (sys->ops->pwrite(sys, dev->fd, command, 2, offset) != 2)
		return false;
	device_refresh(dev);
	return dev->memory_on == on;
}

int device_memory_begin(struct db_device *dev, bool *was_off)
{
	pthread_mutex_lock(&dev->lock);
	*was_off = !dev->memory_on;
	if (!*was_off || (dev->powered && memory_switch(dev, true)))
		return 0;
	/* Leave the command register as the guest had it: in D3 decoding may well be on. */
	if (dev->powered)
		memory_switch(dev, false);
	pthread_mutex_unlock(&dev->lock);
	db_error_set(-EIO, "%s does not answer (powered down, or gone): its MSI-X table cannot be "
		     "reached", dev->address);
	return -EIO;
}

void device_memory_end(struct db_device *dev, bool was_off)
{
	if (was_off)
		memory_switch(dev, false);
	pthread_mutex_unlock(&dev->lock);
}
