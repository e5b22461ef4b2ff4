/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A software host with an iommufd, as the tests of src/soft/uapi want it. Calls named *_ok assert;
 * the others return what the host says.
 */
#ifndef TESTS_SOFT_UAPI_IOMMUFD_FIXTURE_H
#define TESTS_SOFT_UAPI_IOMMUFD_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <doorbell/soft.h>

#include "abi/iommufd.h"
#include "abi/native.h"
#include "soft/host.h"
#include "soft/uapi/iommufd.h"

#define FX_DEVICES 4

struct fx {
	struct db_sys *sys;
	struct soft_host *host;
	int fd;					/* /dev/iommu */
	struct iommufd_device *idev[FX_DEVICES];
	uint32_t dev_id[FX_DEVICES];
};

/*
 * Two SMMUs, two ITSes: devices 0 and 1 behind the first of each, 2 behind the second, 3 in a group
 * with 0.
 */
extern const char fx_machine[];

/* The machine @text describes (NULL: fx_machine), /dev/iommu open, nothing bound. */
void fx_start(struct fx *fx, const char *text);
void fx_stop(struct fx *fx);	/* and nothing of it is left */

int fx_bind(struct fx *fx, unsigned int device);
void fx_bind_ok(struct fx *fx, unsigned int device);
void fx_unbind(struct fx *fx, unsigned int device);

int fx_ioctl(struct fx *fx, unsigned long request, void *arg);
int fx_destroy(struct fx *fx, uint32_t id);

uint32_t fx_ioas_ok(struct fx *fx);
/* fixed, readable and writable */
int fx_map(struct fx *fx, uint32_t ioas, void *va, uint64_t length, uint64_t iova);
int fx_unmap(struct fx *fx, uint32_t ioas, uint64_t iova, uint64_t length, uint64_t *unmapped);
/* the doorbell of a device */
int fx_map_doorbell(struct fx *fx, unsigned int device, uint32_t ioas, uint64_t iova);
int fx_hwpt(struct fx *fx, unsigned int device, uint32_t pt, uint32_t flags, uint32_t *out);
int fx_viommu(struct fx *fx, unsigned int device, uint32_t hwpt, uint32_t *out);
int fx_vdevice(struct fx *fx, unsigned int device, uint32_t viommu, uint64_t virt_id,
	       uint32_t *out);
int fx_nested(struct fx *fx, unsigned int device, uint32_t viommu, uint64_t ste0, uint64_t ste1,
	      uint32_t *out);
int fx_attach(struct fx *fx, unsigned int device, uint32_t pt);

/* A device's access: 0 and the PA, -EFAULT. Events go their way. */
int fx_translate(struct fx *fx, unsigned int device, uint64_t addr, bool write, uint64_t *pa);

/* Page-aligned memory of the process, @size bytes, zeroed; mapped until the end of the program. */
void *fx_memory(size_t size);

#endif
