/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void warn(const struct vm_device *device, const char *what)
{
	fprintf(stderr, "doorbell: %s: %s: %s\n", device->address, what, db_error_message());
}

/* --- interrupts --- */

static int make_vector(struct vm_device *device, struct vm_vector *vector)
{
	int gsi = kvm_add_route(device->kvm), fd, ret;

	if (gsi < 0)
		return gsi;
	fd = eventfd(0, EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	vector->gsi = gsi;
	ret = kvm_irqfd(device->kvm, vector->gsi, fd, -1);
	if (ret)
		close(fd);
	else
		__atomic_store_n(&vector->eventfd, fd, __ATOMIC_RELEASE);
	return ret;
}

static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
	struct vm_device *device = ctx;
	struct vm_vector *vector;
	int ret;

	if (index >= device->n_vectors)
		return -ENODEV;
	vector = &device->vectors[index];
	vector->giova = route->giova;
	if (vector->eventfd < 0) {
		ret = make_vector(device, vector);
		if (ret)
			return ret;
	}
	kvm_set_route(device->kvm, vector->gsi, device->rid, route);
	__atomic_store_n(&device->dirty, true, __ATOMIC_RELEASE);
	return vector->eventfd;
}

/* All routes that one access of the guest changed are told to KVM at once. */
static int commit_routes(void *ctx)
{
	struct vm_device *device = ctx;

	if (!__atomic_exchange_n(&device->dirty, false, __ATOMIC_ACQ_REL))
		return 0;
	return kvm_commit_routes(device->kvm);
}

static const struct db_msi_guest_ops msi_ops = {
	.size = sizeof(msi_ops),
	.connect = connect_vector,
	.commit = commit_routes,
};

/* --- BARs as memory of the guest --- */

static void map_area(struct vm_device *device, unsigned int index, uint64_t address,
		     const struct db_region_area *area, struct vm_slot *slot)
{
	int ret;

	if (db_region_map(device->dev, index, area->offset, area->length, DB_READ | DB_WRITE,
			  &slot->memory) < 0) {
		warn(device, "a BAR is trapped where it could have been mapped");
		slot->memory = NULL;
		return;
	}
	slot->length = area->length;
	ret = kvm_add_memory(device->kvm, address + area->offset, area->length, slot->memory);
	if (ret > 0) {
		slot->slot = ret;
		return;
	}
	/* The guest put it over something else: then it is trapped, and finds out. */
	db_region_unmap(device->dev, slot->memory, slot->length);
	slot->memory = NULL;
}

static void map_region(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io)
{
	struct vm_device *device = ctx;
	struct db_region_info info = DB_SIZED(struct db_region_info);

	(void)length;
	if (io || !device->map_bars || db_device_region(device->dev, index, &info) < 0)
		return;
	for (unsigned int i = 0; i < info.area_count && i < DB_REGION_AREAS; i++)
		map_area(device, index, address, &info.areas[i], &device->slots[index][i]);
}

static void unmap_region(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io)
{
	struct vm_device *device = ctx;

	(void)address, (void)length, (void)io;
	for (unsigned int i = 0; i < DB_REGION_AREAS; i++) {
		struct vm_slot *slot = &device->slots[index][i];

		if (!slot->memory)
			continue;
		kvm_remove_memory(device->kvm, slot->slot);
		db_region_unmap(device->dev, slot->memory, slot->length);
		slot->memory = NULL;
	}
}

static const struct db_vpci_ops pci_ops = {
	.size = sizeof(pci_ops),
	.map = map_region,
	.unmap = unmap_region,
};

/* --- life --- */

int vm_device_open(struct vm_device *device, const struct vm_device_config *config,
		   struct db_caps *caps)
{
	int ret;

	*device = (struct vm_device){
		.kvm = config->kvm,
		.address = config->address,
		.rid = config->rid,
		.map_bars = config->map_bars,
		.req = -1,
		.intx = -1,
		.resample = -1,
	};
	ret = db_device_open(config->host, config->address, config->rebind ? DB_OPEN_REBIND : 0,
			     &device->dev);
	if (ret < 0)
		return ret;
	ret = db_device_caps(device->dev, caps);
	if (ret < 0)
		return ret;
	device->n_vectors = caps->msix_vectors > caps->msi_vectors ? caps->msix_vectors :
								     caps->msi_vectors;
	device->vectors = calloc(device->n_vectors, sizeof(*device->vectors));
	if (!device->vectors && device->n_vectors)
		return -ENOMEM;
	for (unsigned int i = 0; i < device->n_vectors; i++)
		device->vectors[i].eventfd = -1;
	return 0;
}

/* A device without a pin, or a host that cannot, has none in the guest. */
static int start_intx(struct vm_device *device)
{
	int ret;

	if (db_device_irq_count(device->dev, DB_IRQ_INTX) <= 0)
		return 0;
	device->intx = eventfd(0, EFD_CLOEXEC);
	device->resample = eventfd(0, EFD_CLOEXEC);
	if (device->intx < 0 || device->resample < 0)
		return -errno;
	ret = kvm_irqfd(device->kvm, SPI_INTX, device->intx, device->resample);
	if (ret)
		return ret;
	return db_vpci_set_intx(device->vpci, device->intx, device->resample);
}

int vm_device_start(struct vm_device *device, struct db_space *space, struct db_vsmmu *vsmmu,
		    enum db_mode mode, uint64_t doorbell_ipa)
{
	struct db_vpci_config config = DB_SIZED(struct db_vpci_config, .dev = device->dev,
						.space = space, .mode = mode,
						.doorbell_ipa = doorbell_ipa, .msi_ops = &msi_ops,
						.ops = &pci_ops, .ctx = device);
	int ret = 0;

	/* In native the kernel is to map nothing by itself; said before the device is attached. */
	if (mode == DB_MODE_NATIVE)
		ret = db_device_set_window(device->dev, 0, 0);
	if (!ret)
		ret = db_vsmmu_add_device(vsmmu, device->dev, device->rid);
	if (ret < 0)
		return ret;
	device->vsmmu = vsmmu;
	device->behind = true;
	ret = db_vpci_create(&config, &device->vpci);
	if (ret < 0)
		return ret;
	ret = start_intx(device);
	if (ret < 0)
		return ret;
	if (db_device_irq_count(device->dev, DB_IRQ_REQ) <= 0)
		return 0;
	device->req = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->req < 0)
		return -errno;
	return db_device_irq_set(device->dev, DB_IRQ_REQ, device->req);
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

void vm_device_close(struct vm_device *device)
{
	if (device->vpci)
		db_vpci_destroy(device->vpci);
	if (device->behind)
		db_vsmmu_remove_device(device->vsmmu, device->dev);
	if (device->dev)
		db_device_close(device->dev);
	for (unsigned int i = 0; device->vectors && i < device->n_vectors; i++)
		close_one(device->vectors[i].eventfd);
	free(device->vectors);
	close_one(device->req);
	close_one(device->intx);
	close_one(device->resample);
}

void vm_device_tell(struct vm_device *device, const struct vm_options *options)
{
	struct db_msi *msi = db_vpci_msi(device->vpci, DB_MSIX);
	uint64_t address = 0;
	uint32_t data = 0;
	int ret;

	for (unsigned int i = 0; i < device->n_vectors; i++) {
		struct vm_vector *vector = &device->vectors[i];

		if (vector->told || __atomic_load_n(&vector->eventfd, __ATOMIC_ACQUIRE) < 0)
			continue;
		ret = msi ? db_msi_message(msi, i, &address, &data) : -EOPNOTSUPP;
		/* Connected, and about to be armed: the next time. */
		if (!ret && address != vector->giova)
			continue;
		vector->told = true;
		options->vector(options->ctx, device->address, i, vector->giova, !ret, address,
				data);
	}
}

/* --- the guest's accesses --- */

static uint64_t get(const uint8_t *data, unsigned int len)
{
	uint64_t value = 0;

	memcpy(&value, data, len);	/* arm64 Linux is little-endian, as the bus is */
	return value;
}

bool vm_device_access(struct vm_device *device, uint64_t address, uint8_t *data, unsigned int len,
		      bool write)
{
	unsigned int index;
	uint64_t offset, value;

	if (db_vpci_find(device->vpci, address, false, &index, &offset) < 0)
		return false;
	if (write) {
		if (db_vpci_bar_write(device->vpci, index, offset, len, get(data, len)) < 0)
			warn(device, "an access to a BAR");
	} else {
		value = db_vpci_bar_read(device->vpci, index, offset, len);
		memcpy(data, &value, len);
	}
	return true;
}

void vm_device_config(struct vm_device *device, unsigned int offset, uint8_t *data,
		      unsigned int len, bool write)
{
	uint32_t value;

	if (write) {
		if (db_vpci_config_write(device->vpci, offset, len, get(data, len)) < 0)
			warn(device, "an access to config space");
	} else {
		value = db_vpci_config_read(device->vpci, offset, len);
		memcpy(data, &value, len);
	}
}
