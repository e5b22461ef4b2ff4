/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A software host and devices of it, used as a VMM would through the seam. What fails here ends the
 * test.
 */
#ifndef TESTS_SOFT_UAPI_VFIO_FIXTURE_H
#define TESTS_SOFT_UAPI_VFIO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"
#include "soft/host.h"

/* Devices of the built-in machine. */
#define NVME "0000:01:00.0"
#define BELL "0000:02:00.0"
#define BELL_MSI "0000:03:00.0"

/* Memory that devices reach, at this IOVA in the fixture's IOAS. */
#define FIXTURE_IOVA 0x40000000ull
#define FIXTURE_MEMORY 0x10000

struct fixture {
	struct db_sys *sys;
	struct soft_host *host;
	int iommufd;
	uint32_t ioas;
	void *memory;
};

struct fixture_device {
	struct fixture *f;
	struct soft_device *soft;
	int fd;
	uint32_t id;
};

/* From cmocka's group or test set-up; NULL is the built-in machine. */
void fixture_create(struct fixture *f, const char *machine);
void fixture_destroy(struct fixture *f);

int fixture_ioctl(struct fixture *f, int fd, unsigned long request, void *arg);

/* Opens the cdev; binds it; attaches it to @pt. */
void device_open(struct fixture *f, const char *address, struct fixture_device *dev);
void device_bind(struct fixture_device *dev);
int device_attach(struct fixture_device *dev, uint32_t pt);
void device_close(struct fixture_device *dev);

/* All of it, attached to the fixture's IOAS. */
void device_start(struct fixture *f, const char *address, struct fixture_device *dev);

int device_ioctl(struct fixture_device *dev, unsigned long request, void *arg);

/* SET_IRQS with @size bytes of data. */
int set_irqs(struct fixture_device *dev, uint32_t flags, uint32_t index, uint32_t start,
	     uint32_t count, const void *data, size_t size);

/* ACTION_TRIGGER with eventfds; with none and count 0: disable. */
int arm(struct fixture_device *dev, uint32_t index, uint32_t start, uint32_t count, const int *fds);
int disarm_all(struct fixture_device *dev, uint32_t index);

/*
 * Behind a vIOMMU: a nest parent of the IOAS and a nested HWPT whose stage 1 is bypassed, so that
 * IOVA = IPA; attached. @virt_sid is the device's StreamID there. nest_end() undoes it, the device
 * being closed.
 */
struct nest {
	struct fixture *f;
	uint32_t parent, viommu, vdevice, hwpt;
};

void device_nest(struct fixture_device *dev, uint64_t virt_sid, struct nest *nest);
void nest_end(struct nest *nest);

/* IOMMU_GET_MSI_INFO, and IOMMU_IOAS_MAP_MSI at @ipa of the fixture's IOAS. */
int get_doorbell(struct fixture_device *dev, struct iommu_get_msi_info *doorbell);
int try_map_doorbell(struct fixture_device *dev, uint64_t ipa);
void map_doorbell(struct fixture_device *dev, uint64_t ipa);
void unmap(struct fixture *f, uint64_t iova, uint64_t length);

/* SET of IOMMU_OPTION_SW_MSI_START or _SIZE. */
int set_window(struct fixture_device *dev, uint32_t option, uint64_t mib);
/* No window from here on: detached for it, and attached to the fixture's IOAS again. */
void drop_window(struct fixture_device *dev);

/* ACTION_PREPARE with DATA_MSI_IOVA. */
int prepare(struct fixture_device *dev, uint32_t index, uint32_t start, uint32_t count,
	    const uint64_t *iova);

/* Config space and BARs through the device's file. */
uint32_t config_get(struct fixture_device *dev, unsigned int off, unsigned int size);
void config_set(struct fixture_device *dev, unsigned int off, unsigned int size, uint32_t value);
uint32_t bar_get(struct fixture_device *dev, unsigned int bar, uint64_t off);
void bar_set(struct fixture_device *dev, unsigned int bar, uint64_t off, uint32_t value);
void set_bus_master(struct fixture_device *dev);
void set_power(struct fixture_device *dev, unsigned int state);	/* 0: D0, 3: D3hot */

/* Offset of a capability, as the user sees the list; 0: not there. */
unsigned int find_cap(struct fixture_device *dev, uint8_t id);

/* What stands in the function itself. */
uint64_t msix_address(struct fixture_device *dev, unsigned int vector);
uint32_t msix_data(struct fixture_device *dev, unsigned int vector);
bool msix_masked(struct fixture_device *dev, unsigned int vector);

int new_eventfd(void);
uint64_t take(int eventfd);	/* what it counted since the last time, 0 if nothing */

#endif
