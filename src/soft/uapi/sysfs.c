/* SPDX-License-Identifier: BSD-2-Clause */
#include "soft/uapi/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "soft/alloc.h"
#include "soft/hw/rcu.h"
#include "soft/uapi/sysfs_tree.h"
#include "soft/uapi/vfio.h"

#define SYSFS_TEXT 8192		/* the longest answer: a group's reserved regions */

struct sysfs_file {
	struct sysfs_node node;
	pthread_mutex_t lock;	/* what follows */
	struct smmu_step *steps;	/* TRACE: of the last write */
	size_t n_steps;
};

const char *sysfs_native_driver(const struct machine_device *desc)
{
	return desc->kind == MACHINE_NVME ? "nvme" : "bell";
}

/* --- What files say --- */

static int compare_regions(const void *a, const void *b)
{
	const struct machine_reserved *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/*
 * The SMMU driver's own region comes first among equals; it is what the driver recommends, whatever
 * options a user has set.
 */
static size_t reserved_regions(const struct soft_host *host, unsigned int group, char *text,
			       size_t size)
{
	const struct machine *m = &host->machine;
	struct machine_reserved regions[1 + MACHINE_RESERVED] = {
		{
			.start = m->sw_msi_start,
			.last = m->sw_msi_start + m->sw_msi_size - 1,
			.type = "msi",
		},
	};
	size_t n = m->sw_msi_size ? 1 : 0, len = 0;

	for (unsigned int i = 0; i < m->n_reserved; i++) {
		if (m->reserved[i].group == group)
			regions[n++] = m->reserved[i];
	}
	qsort(regions, n, sizeof(regions[0]), compare_regions);
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, size - len, "0x%016llx 0x%016llx %s\n",
					(unsigned long long)regions[i].start,
					(unsigned long long)regions[i].last, regions[i].type);
	return len;
}

/* With the device's lock. */
static ssize_t device_text(const struct sysfs_node *node, char *text, size_t size)
{
	struct soft_device *dev = node->dev;
	uint32_t class_revision;

	if (!dev->pci)
		return -ENODEV;
	class_revision = pci_config_read(dev->pci, PCI_CLASS_REVISION, 4);
	switch (node->kind) {
	case SYSFS_VENDOR:
		return snprintf(text, size, "0x%04x\n",
				pci_config_read(dev->pci, PCI_VENDOR_ID, 2));
	case SYSFS_DEVICE_NUMBER:
		return snprintf(text, size, "0x%04x\n",
				pci_config_read(dev->pci, PCI_DEVICE_ID, 2));
	case SYSFS_CLASS:
		return snprintf(text, size, "0x%06x\n", class_revision >> 8);
	case SYSFS_REVISION:
		return snprintf(text, size, "0x%02x\n", class_revision & 0xff);
	case SYSFS_OVERRIDE:
		return snprintf(text, size, "%s\n",
				dev->driver_override[0] ? dev->driver_override : "(null)");
	default:
		return snprintf(text, size, "%u:%u\n", VFIO_MAJOR,
				dev->index);	/* VFIO_NODE's dev */
	}
}

static ssize_t file_text(const struct soft_host *host, const struct sysfs_node *node, char *text,
			 size_t size)
{
	ssize_t len;

	if (node->kind == SYSFS_TYPE)
		return snprintf(text, size, "DMA\n");
	if (node->kind == SYSFS_RESERVED)
		return (ssize_t)reserved_regions(host, node->group, text, size);
	pthread_mutex_lock(&node->dev->lock);
	len = device_text(node, text, size);
	pthread_mutex_unlock(&node->dev->lock);
	return len;
}

/* --- Binding. With the device's lock --- */

static bool driver_matches(const struct soft_device *dev, const char *driver)
{
	const char *wanted = dev->driver_override[0] ? dev->driver_override
						     : sysfs_native_driver(dev->desc);

	return !strcmp(wanted, driver);
}

static int bind_device(struct soft_device *dev, const char *driver)
{
	if (!dev->pci || !driver_matches(dev, driver))
		return -ENODEV;
	if (dev->driver[0])
		return -EBUSY;
	return soft_device_set_driver(dev, driver);
}

static int unbind_device(struct soft_device *dev, const char *driver)
{
	if (!dev->pci || strcmp(dev->driver, driver))
		return -ENODEV;
	vfio_device_removed(dev);
	return soft_device_set_driver(dev, "");
}

/* A device without a driver gets the one that matches, if there is one; all else is no error. */
static int probe_device(struct soft_device *dev)
{
	const char *wanted = dev->driver_override[0] ? dev->driver_override
						     : sysfs_native_driver(dev->desc);

	if (!dev->pci)
		return -ENODEV;
	if (!dev->driver[0] && sysfs_driver(wanted))
		bind_device(dev, wanted);
	return 0;
}

static int override_device(struct soft_device *dev, const char *text)
{
	if (!dev->pci)
		return -ENODEV;
	if (strlen(text) >= sizeof(dev->driver_override))
		return -EINVAL;
	snprintf(dev->driver_override, sizeof(dev->driver_override), "%s", text);
	return 0;
}

static int reset_device(struct soft_device *dev)
{
	if (!dev->pci)
		return -ENODEV;
	/* The kernel would not reset a device under its user either. */
	if (dev->vfio)
		return -EAGAIN;
	pci_dev_reset(dev->pci);
	return 0;
}

/* Writes of text, without the newline at its end. */
static int write_text(struct soft_host *host, const struct sysfs_node *node, const char *text)
{
	struct soft_device *dev = node->dev;
	int ret;

	if (node->kind != SYSFS_OVERRIDE && node->kind != SYSFS_RESET) {
		dev = soft_host_find(host, text);
		if (!dev)
			return -ENODEV;
	}
	pthread_mutex_lock(&dev->lock);
	switch (node->kind) {
	case SYSFS_OVERRIDE:
		ret = override_device(dev, text);
		break;
	case SYSFS_RESET:
		ret = strcmp(text, "1") ? -EINVAL : reset_device(dev);
		break;
	case SYSFS_BIND:
		ret = bind_device(dev, node->driver);
		break;
	case SYSFS_UNBIND:
		ret = unbind_device(dev, node->driver);
		break;
	default:
		ret = probe_device(dev);
		break;
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* --- The trace of a translation --- */

static void trace_step(void *ctx, const struct smmu_step *step)
{
	struct sysfs_file *sfile = ctx;

	if (sfile->n_steps < SYSFS_TRACE_STEPS)
		sfile->steps[sfile->n_steps++] = *step;
}

static ssize_t trace_write(struct soft_host *host, struct sysfs_file *sfile, const void *buf,
			   size_t len)
{
	const struct machine_device *desc = sfile->node.dev->desc;
	const struct smmu_tracer tracer = { .step = trace_step, .ctx = sfile };
	struct sysfs_trace trace;
	struct smmu_result result;

	if (len != sizeof(trace))
		return -EINVAL;
	memcpy(&trace, buf, sizeof(trace));
	if (trace.write > 1)
		return -EINVAL;
	if (!sfile->steps)
		sfile->steps = soft_calloc(SYSFS_TRACE_STEPS, sizeof(*sfile->steps));
	if (!sfile->steps)
		return -ENOMEM;
	sfile->n_steps = 0;

	hw_read_lock();
	smmu_dev_translate(host->smmus[desc->smmu], &(struct smmu_txn){
		.sid = desc->sid,
		.ssid = trace.ssid,
		.ssid_valid = trace.ssid != UINT32_MAX,
		.access = trace.write ? SMMU_WRITE : SMMU_READ,
		.addr = trace.iova,
		.tracer = &tracer,
	}, &result);
	hw_read_unlock();
	return (ssize_t)len;
}

/* --- Files --- */

static ssize_t copy_part(void *buf, size_t len, uint64_t offset, const void *from, size_t size)
{
	if (offset >= size)
		return 0;
	if (len > size - offset)
		len = (size_t)(size - offset);
	memcpy(buf, (const char *)from + offset, len);
	return (ssize_t)len;
}

/* With the file's lock. */
static ssize_t read_at(struct soft_file *file, void *buf, size_t len, uint64_t offset)
{
	struct sysfs_file *sfile = file->priv;
	char text[SYSFS_TEXT];
	ssize_t size;

	if (sfile->node.kind == SYSFS_TRACE)
		return copy_part(buf, len, offset, sfile->steps,
				 sfile->n_steps * sizeof(*sfile->steps));
	size = file_text(file->host, &sfile->node, text, sizeof(text));
	return size < 0 ? size : copy_part(buf, len, offset, text, (size_t)size);
}

static ssize_t sysfs_pread(struct soft_file *file, void *buf, size_t len, uint64_t offset)
{
	struct sysfs_file *sfile = file->priv;
	ssize_t ret;

	pthread_mutex_lock(&sfile->lock);
	ret = read_at(file, buf, len, offset);
	pthread_mutex_unlock(&sfile->lock);
	return ret;
}

static ssize_t sysfs_pwrite(struct soft_file *file, const void *buf, size_t len, uint64_t offset)
{
	struct sysfs_file *sfile = file->priv;
	char text[128];
	ssize_t ret;

	(void)offset;	/* a write is one value, wherever it goes */
	if (!len)
		return 0;
	if (sfile->node.kind == SYSFS_TRACE) {
		pthread_mutex_lock(&sfile->lock);
		ret = trace_write(file->host, sfile, buf, len);
		pthread_mutex_unlock(&sfile->lock);
		return ret;
	}
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, buf, len);
	text[len] = '\0';
	if (text[len - 1] == '\n')
		text[len - 1] = '\0';
	ret = write_text(file->host, &sfile->node, text);
	return ret ? ret : (ssize_t)len;
}

static void sysfs_release(struct soft_file *file)
{
	struct sysfs_file *sfile = file->priv;

	pthread_mutex_destroy(&sfile->lock);
	soft_free(sfile->steps);
	soft_free(sfile);
}

static const struct soft_file_ops sysfs_ops = {
	.can_seek = true,
	.pread = sysfs_pread,
	.pwrite = sysfs_pwrite,
	.release = sysfs_release,
};

/* As kernfs: a file without a show or store method cannot be opened for it, not even by root. */
static int check_access(enum sysfs_kind kind, int access)
{
	bool readable = true, writable = false;

	switch (kind) {
	case SYSFS_OVERRIDE:
	case SYSFS_TRACE:
		writable = true;
		break;
	case SYSFS_RESET:
	case SYSFS_BIND:
	case SYSFS_UNBIND:
	case SYSFS_PROBE:
		readable = false;
		writable = true;
		break;
	default:
		break;
	}
	if ((access != O_WRONLY && !readable) || (access != O_RDONLY && !writable))
		return -EACCES;
	return 0;
}

int sysfs_open(struct soft_host *host, const char *path, int flags, int *fd)
{
	int access = flags & O_ACCMODE, ret;
	struct sysfs_file *sfile;
	struct sysfs_node node;
	struct soft_file *file;

	ret = sysfs_resolve(host, path, false, &node);
	if (ret)
		return ret;
	if (node.kind < SYSFS_VENDOR)
		return -EISDIR;
	ret = check_access(node.kind, access);
	if (ret)
		return ret;
	sfile = soft_calloc(1, sizeof(*sfile));
	if (!sfile)
		return -ENOMEM;
	sfile->node = node;
	pthread_mutex_init(&sfile->lock, NULL);
	ret = soft_file_new(host, &sysfs_ops, sfile, &file);
	if (ret) {
		pthread_mutex_destroy(&sfile->lock);
		soft_free(sfile);
		return ret;
	}
	file->access = access;
	*fd = soft_file_install(file);
	return 0;
}

int sysfs_stat(struct soft_host *host, const char *path, bool follow, struct stat *st)
{
	char target[256];
	struct sysfs_node node;
	ssize_t len;
	int ret;

	ret = sysfs_resolve(host, path, !follow, &node);
	if (ret)
		return ret;
	len = sysfs_target(&node, target, sizeof(target));
	if (len >= 0) {
		st->st_mode = S_IFLNK | 0777;
		st->st_size = len;
	} else if (node.kind == SYSFS_CDEV) {
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = makedev(VFIO_MAJOR, node.dev->index);
	} else if (node.kind < SYSFS_VENDOR) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
	} else {
		st->st_mode = S_IFREG | (check_access(node.kind, O_RDONLY) ? 0 : 0444) |
			      (check_access(node.kind, O_WRONLY) ? 0 : 0200);
		st->st_size = 4096;
	}
	return 0;
}

ssize_t sysfs_readlink(struct soft_host *host, const char *path, char *buf, size_t size)
{
	struct sysfs_node node;
	int ret;

	ret = sysfs_resolve(host, path, true, &node);
	return ret ? ret : sysfs_target(&node, buf, size);
}

int sysfs_list(struct soft_host *host, const char *path, int (*entry)(void *arg, const char *name),
	       void *arg)
{
	struct sysfs_node node;
	int ret;

	ret = sysfs_resolve(host, path, false, &node);
	return ret ? ret : sysfs_children(host, &node, entry, arg);
}
