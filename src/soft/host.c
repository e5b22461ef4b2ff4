/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The software host: a machine and its kernel put together, and the seam's calls sent to whom they
 * concern.
 */
#include "soft/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "soft/alloc.h"
#include "soft/mappings.h"
#include "soft/uapi/sysfs.h"
#include "soft/uapi/user.h"
#include "soft/uapi/vfio.h"
#include "sys/error.h"

static struct soft_host *to_host(struct db_sys *sys)
{
	return (struct soft_host *)sys;
}

uint64_t soft_host_page_size(const struct soft_host *host)
{
	return 1ull << host->machine.page_shift;
}

/* --- Devices by name and by group --- */

static int compare_addresses(const void *a, const void *b)
{
	const struct soft_device *const *x = a, *const *y = b;

	return strcmp((*x)->desc->address, (*y)->desc->address);
}

static int compare_groups(const void *a, const void *b)
{
	const struct soft_device *const *x = a, *const *y = b;

	if ((*x)->desc->group != (*y)->desc->group)
		return (*x)->desc->group < (*y)->desc->group ? -1 : 1;
	return (*x)->index < (*y)->index ? -1 : (*x)->index > (*y)->index;
}

static int sort_devices(struct soft_host *host)
{
	unsigned int n = host->machine.n_devices;

	host->by_address = soft_calloc(n ? n : 1, sizeof(*host->by_address));
	host->by_group = soft_calloc(n ? n : 1, sizeof(*host->by_group));
	if (!host->by_address || !host->by_group)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		host->by_address[i] = host->by_group[i] = &host->devices[i];
	qsort(host->by_address, n, sizeof(*host->by_address), compare_addresses);
	qsort(host->by_group, n, sizeof(*host->by_group), compare_groups);
	return 0;
}

struct soft_device *soft_host_find(struct soft_host *host, const char *address)
{
	unsigned int low = 0, high = host->machine.n_devices;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		int order = strcmp(address, host->by_address[mid]->desc->address);

		if (!order)
			return host->by_address[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Where devices of groups from @group on begin. */
static unsigned int first_of_group(const struct soft_host *host, uint64_t group)
{
	unsigned int low = 0, high = host->machine.n_devices;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (host->by_group[mid]->desc->group < group)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct soft_device **soft_host_group(struct soft_host *host, unsigned int group,
				     unsigned int *count)
{
	unsigned int first = first_of_group(host, group);

	*count = first_of_group(host, (uint64_t)group + 1) - first;
	return &host->by_group[first];
}

/* --- Paths --- */

/* A number as it stands in a path, below @end; false: it is none. */
static bool parse_number(const char *text, unsigned long end, unsigned int *out)
{
	unsigned long number;
	char *rest;

	if (*text < '0' || *text > '9' || (*text == '0' && text[1]))
		return false;
	errno = 0;
	number = strtoul(text, &rest, 10);
	*out = (unsigned int)number;
	return !*rest && !errno && number < end;
}

static const char iommu_node[] = "/dev/iommu", container_node[] = "/dev/vfio/vfio";
static const char cdev_nodes[] = "/dev/vfio/devices/vfio", group_nodes[] = "/dev/vfio/";

static bool begins_with(const char *path, const char *prefix)
{
	return !strncmp(path, prefix, strlen(prefix));
}

static int soft_open(struct db_sys *sys, const char *path, int flags)
{
	struct soft_host *host = to_host(sys);
	unsigned int number;
	int fd, ret = -ENOENT;

	/* Containers are iommufd's: this kernel has no type1 of VFIO's own. */
	if (!strcmp(path, iommu_node) || !strcmp(path, container_node))
		ret = iommufd_open(host, flags, &fd);
	else if (begins_with(path, "/sys/"))
		ret = sysfs_open(host, path, flags, &fd);
	else if (begins_with(path, cdev_nodes) &&
		 parse_number(path + strlen(cdev_nodes), host->machine.n_devices, &number))
		ret = vfio_open(&host->devices[number], flags, &fd);
	else if (begins_with(path, group_nodes) &&
		 parse_number(path + strlen(group_nodes), UINT32_MAX, &number))
		ret = vfio_group_open(host, number, &fd);
	return ret ? ret : fd;
}

static ssize_t soft_readlink(struct db_sys *sys, const char *path, char *buf, size_t size)
{
	return sysfs_readlink(to_host(sys), path, buf, size);
}

static int soft_list(struct db_sys *sys, const char *path,
		     int (*entry)(void *arg, const char *name), void *arg)
{
	return sysfs_list(to_host(sys), path, entry, arg);
}

/* --- Files --- */

static int soft_close(struct db_sys *sys, int fd)
{
	return soft_file_close(to_host(sys), fd);
}

static int soft_ioctl(struct db_sys *sys, int fd, unsigned long request, void *arg)
{
	struct soft_file *file = soft_file_get(to_host(sys), fd);
	int ret;

	if (!file)
		return -EBADF;
	/* A request has 32 bits; a program may have kept it in an int, and that has a sign. */
	ret = file->ops->ioctl ? file->ops->ioctl(file, (uint32_t)request, arg) : -ENOTTY;
	soft_file_put(file);
	return ret;
}

/*
 * The caller's memory may be missing, so what is read and written goes through memory of ours;
 * large accesses in parts, which begin and end where no register does.
 */
#define PART 65536u

static ssize_t read_parts(struct soft_file *file, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0, size = len < PART ? len : PART;
	char few[64], *bytes = size <= sizeof(few) ? few : soft_calloc(1, size);
	ssize_t ret;

	if (!bytes)
		return -ENOMEM;
	do {
		if (size > len - done)
			size = len - done;
		ret = file->ops->pread(file, bytes, size, offset + done);
		if (ret > 0 && copy_to_user((char *)buf + done, bytes, (size_t)ret))
			ret = -EFAULT;
		done += ret > 0 ? (size_t)ret : 0;
	} while (done < len && ret == (ssize_t)size);
	if (bytes != few)
		soft_free(bytes);
	return done ? (ssize_t)done : ret;
}

static ssize_t write_parts(struct soft_file *file, const void *buf, size_t len, uint64_t offset)
{
	size_t done = 0, size = len < PART ? len : PART;
	char few[64], *bytes = size <= sizeof(few) ? few : soft_calloc(1, size);
	ssize_t ret;

	if (!bytes)
		return -ENOMEM;
	do {
		if (size > len - done)
			size = len - done;
		ret = copy_from_user(bytes, (const char *)buf + done, size);
		ret = ret ? ret : file->ops->pwrite(file, bytes, size, offset + done);
		done += ret > 0 ? (size_t)ret : 0;
	} while (done < len && ret == (ssize_t)size);
	if (bytes != few)
		soft_free(bytes);
	return done ? (ssize_t)done : ret;
}

/* @offset NULL: at the file's position, which moves on. */
static ssize_t file_read(struct soft_file *file, void *buf, size_t len, const uint64_t *offset)
{
	ssize_t ret;

	if (file->access == O_WRONLY)
		return -EBADF;
	if (!offset && file->ops->read)
		return file->ops->read(file, buf, len);
	if (!file->ops->pread)
		return -EINVAL;
	if (offset)
		return read_parts(file, buf, len, *offset);
	pthread_mutex_lock(&file->pos_lock);
	ret = read_parts(file, buf, len, file->pos);
	file->pos += ret > 0 ? (uint64_t)ret : 0;
	pthread_mutex_unlock(&file->pos_lock);
	return ret;
}

static ssize_t file_write(struct soft_file *file, const void *buf, size_t len,
			  const uint64_t *offset)
{
	ssize_t ret;

	if (file->access == O_RDONLY)
		return -EBADF;
	if (!file->ops->pwrite)
		return -EINVAL;
	if (offset)
		return write_parts(file, buf, len, *offset);
	pthread_mutex_lock(&file->pos_lock);
	ret = write_parts(file, buf, len, file->pos);
	file->pos += ret > 0 ? (uint64_t)ret : 0;
	pthread_mutex_unlock(&file->pos_lock);
	return ret;
}

ssize_t soft_host_read(struct soft_host *host, int fd, void *buf, size_t len)
{
	struct soft_file *file = soft_file_get(host, fd);
	ssize_t ret;

	if (!file)
		return -EBADF;
	ret = file_read(file, buf, len, NULL);
	soft_file_put(file);
	return ret;
}

ssize_t soft_host_write(struct soft_host *host, int fd, const void *buf, size_t len)
{
	struct soft_file *file = soft_file_get(host, fd);
	ssize_t ret;

	if (!file)
		return -EBADF;
	ret = file_write(file, buf, len, NULL);
	soft_file_put(file);
	return ret;
}

static ssize_t soft_read(struct db_sys *sys, int fd, void *buf, size_t len)
{
	return soft_host_read(to_host(sys), fd, buf, len);
}

static ssize_t soft_pread(struct db_sys *sys, int fd, void *buf, size_t len, uint64_t offset)
{
	struct soft_file *file = soft_file_get(to_host(sys), fd);
	ssize_t ret;

	if (!file)
		return -EBADF;
	ret = file_read(file, buf, len, &offset);
	soft_file_put(file);
	return ret;
}

static ssize_t soft_pwrite(struct db_sys *sys, int fd, const void *buf, size_t len, uint64_t offset)
{
	struct soft_file *file = soft_file_get(to_host(sys), fd);
	ssize_t ret;

	if (!file)
		return -EBADF;
	ret = file_write(file, buf, len, &offset);
	soft_file_put(file);
	return ret;
}

int soft_host_rewind(struct soft_host *host, int fd, int64_t offset)
{
	struct soft_file *file = soft_file_get(host, fd);
	int ret = -ESPIPE;

	if (!file)
		return -EBADF;
	if (file->ops->can_seek) {
		ret = offset < 0 ? -EINVAL : 0;
		pthread_mutex_lock(&file->pos_lock);
		file->pos = ret ? file->pos : (uint64_t)offset;
		pthread_mutex_unlock(&file->pos_lock);
	}
	soft_file_put(file);
	return ret;
}

int soft_host_stat(struct soft_host *host, const char *path, bool follow, struct stat *st)
{
	unsigned int number;

	*st = (struct stat){ .st_nlink = 1, .st_blksize = 4096 };
	/* One number for each path. */
	for (const char *at = path; *at; at++)
		st->st_ino = st->st_ino * 31 + (unsigned char)*at;
	st->st_mode = S_IFCHR | 0600;
	if (!strcmp(path, iommu_node) || !strcmp(path, container_node)) {
		st->st_rdev = iommufd_rdev();
	} else if (begins_with(path, group_nodes) &&
		   parse_number(path + strlen(group_nodes), UINT32_MAX, &number)) {
		st->st_rdev = makedev(VFIO_GROUP_MAJOR, number);
		return vfio_group_there(host, number) ? 0 : -ENOENT;
	} else {
		return sysfs_stat(host, path, follow, st);
	}
	return 0;
}

int soft_host_fstat(struct soft_host *host, int fd, struct stat *st)
{
	struct soft_file *file = soft_file_get(host, fd);

	if (!file)
		return -EBADF;
	if (file->rdev) {
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = file->rdev;
	}
	soft_file_put(file);
	return 0;
}

/* --- Mappings --- */

/* As mmap(2) does for every file. */
static int file_mmap(struct soft_file *file, size_t len, int prot, uint64_t offset, void **out)
{
	uint64_t page = soft_host_page_size(file->host);

	if (!len || len > SIZE_MAX / 2 || offset % page)
		return -EINVAL;
	if (file->access == O_WRONLY || (file->access == O_RDONLY && prot & PROT_WRITE))
		return -EACCES;
	if (!file->ops->mmap)
		return -ENODEV;
	return file->ops->mmap(file, (len + page - 1) & ~(page - 1), prot, offset, out);
}

int soft_host_mmap(struct soft_host *host, size_t len, int prot, int fd, uint64_t offset,
		   void **out)
{
	struct soft_file *file = soft_file_get(host, fd);
	int ret;

	if (!file)
		return -EBADF;
	ret = file_mmap(file, len, prot, offset, out);
	soft_file_put(file);
	return ret;
}

static int soft_mmap(struct db_sys *sys, size_t len, int prot, int fd, uint64_t offset, void **out)
{
	void *addr = NULL;
	int ret = soft_host_mmap(to_host(sys), len, prot, fd, offset, &addr);

	if (!ret)
		*out = addr;
	return ret;
}

static int soft_munmap(struct db_sys *sys, void *addr, size_t len)
{
	struct soft_host *host = to_host(sys);
	uint64_t page = soft_host_page_size(host);

	if (!len || len > SIZE_MAX / 2 || (uintptr_t)addr % (uintptr_t)sysconf(_SC_PAGESIZE))
		return -EINVAL;
	return mappings_remove(host->mappings, (uintptr_t)addr, (len + page - 1) & ~(page - 1));
}

static uint64_t soft_mmio_read(struct db_sys *sys, const volatile void *addr, unsigned int size)
{
	return mappings_read(to_host(sys)->mappings, (uintptr_t)addr, size);
}

static void soft_mmio_write(struct db_sys *sys, volatile void *addr, unsigned int size,
			    uint64_t value)
{
	mappings_write(to_host(sys)->mappings, (uintptr_t)addr, size, value);
}

/* --- Devices --- */

static int create_function(struct soft_device *dev, struct pci_dev **out)
{
	const struct machine_device *desc = dev->desc;
	struct soft_host *host = dev->host;
	struct pci_slot slot = {
		.requester_id = desc->requester_id,
		.smmu = host->smmus[desc->smmu],
		.sid = desc->sid,
		.its = host->itses[desc->its],
		.device_id = desc->device_id,
		.bus = host->bus,
	};

	memcpy(slot.address, desc->address, sizeof(slot.address));
	return desc->kind == MACHINE_BELL ? bell_create(&slot, &desc->bell, out)
					  : nvme_create(&slot, &desc->nvme, out);
}

static bool is_of_the_host(const char *driver)
{
	return driver[0] && strcmp(driver, "vfio-pci");
}

int soft_device_set_driver(struct soft_device *dev, const char *driver)
{
	int ret = is_of_the_host(driver) ? iommufd_driver_binds(dev) : 0;

	if (ret)
		return ret;
	if (is_of_the_host(dev->driver))
		iommufd_driver_unbinds(dev);
	snprintf(dev->driver, sizeof(dev->driver), "%s", driver);
	return 0;
}

int soft_host_unplug(struct soft_host *host, const char *address)
{
	struct soft_device *dev = soft_host_find(host, address);
	struct pci_dev *pci = NULL;

	if (!dev)
		return -ENOENT;
	pthread_mutex_lock(&dev->lock);
	if (dev->pci) {
		vfio_device_removed(dev);
		pthread_rwlock_wrlock(&dev->access);
		pci = dev->pci;
		dev->pci = NULL;
		pthread_rwlock_unlock(&dev->access);
		soft_device_set_driver(dev, "");
		dev->driver_override[0] = '\0';
	}
	pthread_mutex_unlock(&dev->lock);
	if (!pci)
		return -ENOENT;
	pci_dev_destroy(pci);
	return 0;
}

/*
 * As when the machine starts: what is not in use by the host is bound to vfio-pci. What is stays
 * without a driver when an iommufd has its group.
 */
static void bind_at_start(struct soft_device *dev)
{
	const char *vfio = "vfio-pci";

	soft_device_set_driver(dev, dev->desc->bound ? sysfs_native_driver(dev->desc) : vfio);
	snprintf(dev->driver_override, sizeof(dev->driver_override), "%s",
		 dev->desc->bound ? "" : vfio);
}

int soft_host_plug(struct soft_host *host, const char *address)
{
	struct soft_device *dev = soft_host_find(host, address);
	struct pci_dev *pci;
	int ret;

	if (!dev)
		return -ENOENT;
	pthread_mutex_lock(&dev->lock);
	if (dev->pci)
		ret = -EEXIST;
	else if (dev->vfio)
		ret = -EBUSY;
	else
		ret = create_function(dev, &pci);
	if (!ret) {
		pthread_rwlock_wrlock(&dev->access);
		dev->pci = pci;
		pthread_rwlock_unlock(&dev->access);
		bind_at_start(dev);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* Of a disk's file the last message has the reason, after the error's name. */
static void explain_function(int err, const struct machine_device *desc)
{
	const char *why = strstr(db_error_message(), ": disk ");

	if (err == -ENOMEM || !why)
		db_error_set(err, "cannot make device %s", desc->address);
	else
		db_error_set(err, "device %s%s", desc->address, why);
}

static int create_devices(struct soft_host *host)
{
	int ret;

	host->devices = soft_calloc(host->machine.n_devices, sizeof(*host->devices));
	if (!host->devices)
		return -ENOMEM;
	for (unsigned int i = 0; i < host->machine.n_devices; i++) {
		struct soft_device *dev = &host->devices[i];

		dev->host = host;
		dev->desc = &host->machine.devices[i];
		dev->index = i;
		pthread_mutex_init(&dev->lock, NULL);
		pthread_rwlock_init(&dev->access, NULL);
	}
	ret = sort_devices(host);
	ret = ret ? ret : iommufd_host_create(host);
	for (unsigned int i = 0; i < host->machine.n_devices && !ret; i++) {
		ret = create_function(&host->devices[i], &host->devices[i].pci);
		if (ret)
			explain_function(ret, host->devices[i].desc);
		else
			bind_at_start(&host->devices[i]);
	}
	return ret;
}

static void destroy_devices(struct soft_host *host)
{
	for (unsigned int i = 0; host->devices && i < host->machine.n_devices; i++) {
		struct soft_device *dev = &host->devices[i];

		if (dev->pci)
			pci_dev_destroy(dev->pci);
		pthread_rwlock_destroy(&dev->access);
		pthread_mutex_destroy(&dev->lock);
	}
	if (host->iommufd)
		iommufd_host_destroy(host);
	soft_free(host->by_address);
	soft_free(host->by_group);
	soft_free(host->devices);
}

/* --- The machine --- */

static int create_hardware(struct soft_host *host)
{
	const struct machine *m = &host->machine;
	int ret;

	host->bus = bus_create();
	if (!host->bus)
		return -ENOMEM;
	host->gic = gic_create(host->bus, m->processors, m->lpi_bits);
	if (!host->gic)
		return -ENOMEM;
	for (unsigned int i = 0; i < m->n_itses; i++) {
		ret = gic_add_msi_frame(host->gic, &m->itses[i], &host->itses[i]);
		if (ret) {
			db_error_set(ret, "cannot make its %u", i);
			return ret;
		}
	}
	for (unsigned int i = 0; i < m->n_smmus; i++) {
		struct smmu_dev_config config = { .bus = host->bus,
						  .sid_bits = m->smmus[i].sid_bits };

		memcpy(config.idr, m->smmus[i].idr, sizeof(config.idr));
		host->smmus[i] = smmu_dev_create(&config);
		if (!host->smmus[i])
			return -ENOMEM;
	}
	return 0;
}

static void destroy_hardware(struct soft_host *host)
{
	for (unsigned int i = 0; i < host->machine.n_smmus; i++) {
		if (host->smmus[i])
			smmu_dev_destroy(host->smmus[i]);
	}
	if (host->gic)
		gic_destroy(host->gic);
	if (host->bus)
		bus_destroy(host->bus);
}

static void soft_release(struct db_sys *sys)
{
	struct soft_host *host = to_host(sys);

	/* What was not given back is taken back, as at the end of a process. */
	mappings_destroy(host->mappings);
	for (unsigned int fd = 0; fd < host->n_files; fd++)
		soft_file_close(host, (int)fd);
	destroy_devices(host);
	destroy_hardware(host);
	machine_free(&host->machine);
	pthread_mutex_destroy(&host->its_lock);
	pthread_mutex_destroy(&host->lock);
	soft_free(host->files);
	soft_free(host);
}

static uint64_t soft_page_size(struct db_sys *sys)
{
	return soft_host_page_size(to_host(sys));
}

static const struct db_sys_ops soft_ops = {
	.size = sizeof(soft_ops),
	.page_size = soft_page_size,
	.open = soft_open,
	.close = soft_close,
	.ioctl = soft_ioctl,
	.read = soft_read,
	.pread = soft_pread,
	.pwrite = soft_pwrite,
	.mmap = soft_mmap,
	.munmap = soft_munmap,
	.mmio_read = soft_mmio_read,
	.mmio_write = soft_mmio_write,
	.readlink = soft_readlink,
	.list = soft_list,
	.release = soft_release,
};

int db_soft_host_create_in(const char *directory, const char *text, size_t len,
			   struct db_sys **out)
{
	struct soft_host *host = soft_calloc(1, sizeof(*host));
	char why[256];
	int ret;

	if (!host) {
		db_error_set(-ENOMEM, "no memory for a software host");
		return -ENOMEM;
	}
	ret = machine_parse(text, len, &host->machine, why, sizeof(why));
	if (!ret && directory) {
		ret = machine_resolve(&host->machine, directory);
		if (ret)
			machine_free(&host->machine);
	}
	if (ret) {
		db_error_set(ret, "machine description, %s", ret == -EINVAL ? why : "no memory");
		soft_free(host);
		return ret;
	}
	user_start();
	host->sys.ops = &soft_ops;
	pthread_mutex_init(&host->lock, NULL);
	pthread_mutex_init(&host->its_lock, NULL);
	db_error_set(-ENOMEM, "no memory for the machine");
	host->mappings = mappings_create();
	ret = host->mappings ? create_hardware(host) : -ENOMEM;
	if (!ret)
		ret = create_devices(host);
	if (ret) {
		soft_release(&host->sys);
		return ret;
	}
	*out = &host->sys;
	return 0;
}

int db_soft_host_create(const char *text, size_t len, struct db_sys **out)
{
	return db_soft_host_create_in(NULL, text, len, out);
}

int db_soft_host_on_dma_write(struct db_sys *sys, void (*fn)(void *ctx, void *addr, size_t len),
			      void *ctx)
{
	if (sys->ops != &soft_ops) {
		db_error_set(-EINVAL, "only a software host tells of its devices' DMA");
		return -EINVAL;
	}
	bus_on_write(((struct soft_host *)sys)->bus, fn, ctx);
	return 0;
}
