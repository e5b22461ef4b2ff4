/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/device.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "abi/vfio.h"
#include "lib/bind.h"
#include "lib/bytes.h"
#include "lib/pci.h"
#include "lib/region.h"
#include "lib/sysfs.h"
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

/* "dddd:bb:dd.f" in lower-case hexadecimal, as sysfs writes it; it becomes part of paths. */
static bool address_valid(const char *address)
{
	static const char form[] = "hhhh:hh:hh.o";
	size_t i;

	if (strlen(address) != sizeof(form) - 1)
		return false;
	for (i = 0; form[i]; i++) {
		if (form[i] == 'h' ? !strchr("0123456789abcdef", address[i]) :
		    form[i] == 'o' ? !strchr("01234567", address[i]) : address[i] != form[i])
			return false;
	}
	return true;
}

/* Linux gives a device for which firmware asks for a 1:1 mapping to nobody who would replace it. */
static bool wants_identity(struct db_device *dev, struct db_reserved *region)
{
	struct db_reserved regions[DEVICE_RESERVED];
	int i, count = db_device_reserved(dev, regions, DEVICE_RESERVED, sizeof(regions[0]));

	for (i = 0; i < count && i < DEVICE_RESERVED; i++)
		if (!strcmp(regions[i].type, "direct")) {
			*region = regions[i];
			return true;
		}
	return false;
}

/* Linux gives the MSIs of devices that the interrupt controller cannot tell apart to nobody, unless
 * told that whoever has them is trusted (iommufd's parameter). */
static bool wants_isolated_msi(struct db_device *dev)
{
	static const char path[] = "/sys/module/iommufd/parameters/allow_unsafe_interrupts";
	char value[8];

	return sysfs_read(dev->host->sys, path, value, sizeof(value)) > 0 && value[0] == 'N';
}

static void explain_not_permitted(struct db_device *dev)
{
	struct bind_user user;

	if (!bind_group_user(dev, &user))
		db_error_set(-EPERM, "%s cannot be taken: the host's driver %s uses %s of the same "
			     "IOMMU group; bind all of /sys/kernel/iommu_groups/%u/devices to "
			     "vfio-pci", dev->address, user.driver, user.address, dev->group);
	else if (wants_isolated_msi(dev))
		db_error_set(-EPERM, "%s cannot be taken: another program has a device of IOMMU "
			     "group %u, or the interrupt controller cannot tell the interrupts of "
			     "devices apart (as a GICv2m, which has no DeviceIDs). The kernel gives "
			     "such a device to a guest that you trust with all interrupts of the "
			     "host: iommufd.allow_unsafe_interrupts=1", dev->address, dev->group);
	else
		db_error_set(-EPERM, "%s cannot be taken: another program has a device of IOMMU "
			     "group %u", dev->address, dev->group);
}

static int explain_bind(struct db_device *dev, int error)
{
	struct db_reserved region;

	if (error == -EPERM)
		explain_not_permitted(dev);
	else if (error == -EBUSY)
		db_error_set(error, "%s cannot be taken: another program has it", dev->address);
	else if (error == -EINVAL && wants_identity(dev, &region))
		db_error_set(error, "%s cannot be taken: firmware asks for a 1:1 mapping of "
			     "[0x%llx, 0x%llx] for it (RMR; \"direct\" in reserved_regions), and "
			     "the kernel lets nobody replace that. Only firmware can drop it: on a "
			     "server a setting of the device or of its management, in a VM a VMM "
			     "that needs no RMR", dev->address, (unsigned long long)region.start,
			     (unsigned long long)region.last);
	else
		db_error_set(error, "cannot bind %s to the iommufd", dev->address);
	return error;
}

static int bind_iommufd(struct db_device *dev)
{
	struct vfio_device_bind_iommufd cmd = { .argsz = sizeof(cmd), .iommufd = dev->host->fd };
	int ret;

	ret = device_ioctl(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
	if (ret < 0)
		return explain_bind(dev, ret);
	dev->dev_id = cmd.out_devid;
	return 0;
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
	if (sys->ops->pread(sys, dev->fd, command, 2, dev->config.offset + PCI_COMMAND) != 2)
		return;
	if (dev->cap_pm && sys->ops->pread(sys, dev->fd, pm, 2,
					   dev->config.offset + dev->cap_pm + PCI_PM_CTRL) != 2)
		return;
	dev->memory_on = (get16(command) & PCI_COMMAND_MEMORY) && !(get16(pm) & PCI_PM_CTRL_STATE_MASK);
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

static int read_irq(struct db_device *dev, unsigned int index, unsigned int *count, bool *noresize)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	int ret;

	ret = device_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, &info);
	if (ret < 0) {
		db_error_set(ret, "cannot ask for the interrupts of %s", dev->address);
		return ret;
	}
	*count = info.flags & VFIO_IRQ_INFO_EVENTFD ? info.count : 0;
	*noresize = info.flags & VFIO_IRQ_INFO_NORESIZE;
	return 0;
}

/* What stays the same for as long as the device is open. */
static int learn(struct db_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	unsigned int i;
	bool noresize;
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
		ret = read_irq(dev, VFIO_PCI_MSI_IRQ_INDEX, &dev->msi_vectors, &noresize);
	if (!ret)
		ret = read_irq(dev, VFIO_PCI_MSIX_IRQ_INDEX, &dev->msix_vectors,
			       &dev->msix_noresize);
	if (!ret)
		device_refresh(dev);
	return ret;
}

int db_device_open(struct db_host *host, const char *address, unsigned int flags,
		   struct db_device **out)
{
	struct db_device *dev;
	int ret;

	if (!address_valid(address) || (flags & ~DB_OPEN_REBIND)) {
		db_error_set(-EINVAL, "\"%s\" is no PCI address such as 0000:01:00.0, or a flag is "
			     "unknown", address);
		return -EINVAL;
	}
	dev = calloc(1, sizeof(*dev));
	if (!dev) {
		db_error_set(-ENOMEM, "no memory for device %s", address);
		return -ENOMEM;
	}
	dev->host = host;
	strcpy(dev->address, address);
	pthread_mutex_init(&dev->lock, NULL);
	ret = bind_open(dev, flags);
	if (ret)
		goto free_device;
	ret = bind_iommufd(dev);
	if (!ret)
		ret = learn(dev);
	if (ret)
		goto close_node;
	*out = dev;
	return 0;

close_node:
	host->sys->ops->close(host->sys, dev->fd);
	bind_restore(dev);
free_device:
	pthread_mutex_destroy(&dev->lock);
	free(dev);
	return ret;
}

void db_device_close(struct db_device *dev)
{
	if (!dev)
		return;
	/* The kernel resets the device when its last descriptor goes, where the device can be reset
	 * at all. */
	dev->host->sys->ops->close(dev->host->sys, dev->fd);
	bind_restore(dev);
	pthread_mutex_destroy(&dev->lock);
	free(dev->caps);
	free(dev);
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
	if (!*was_off || memory_switch(dev, true))
		return 0;
	/* D3: leave the command register as the guest had it. */
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
