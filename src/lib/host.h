/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the library share about a host. Lock order of the library, outermost first:
 * db_vmsix / db_vmsi, db_msi, db_viommu, db_space, db_device. No lock is held while a VMM's
 * callback waits for another object.
 */
#ifndef LIB_HOST_H
#define LIB_HOST_H

#include <doorbell/host.h>

struct db_host {
	struct db_sys *sys;
	int fd;		/* /dev/iommu */
	bool keep_fd;	/* adopted: the caller's */
};

/* ioctl on the iommufd. */
int host_ioctl(struct db_host *host, unsigned long request, void *arg);

/* IOMMU_DESTROY. What fails here is a reference the library has miscounted: nothing that a caller
 * could mend. */
void host_destroy(struct db_host *host, uint32_t id);

/* A new IOAS. */
int host_ioas_alloc(struct db_host *host, uint32_t *id);

/* Nest parent over @ioas for the SMMU of device @dev_id, and a vIOMMU on a nest parent. The bare
 * ioctls, without a message. */
int host_nest_parent_alloc(struct db_host *host, uint32_t dev_id, uint32_t ioas, uint32_t *id);
int host_viommu_alloc(struct db_host *host, uint32_t dev_id, uint32_t parent, uint32_t *id);
int host_veventq_alloc(struct db_host *host, uint32_t viommu, uint32_t depth, uint32_t *id,
		       int *fd);

/* The host's own page size, in bytes. */
uint64_t host_own_page_size(struct db_host *host);

/* What mappings of @ioas must be aligned to; never less than the host's own page size. */
int host_page_size(struct db_host *host, uint32_t ioas, uint64_t *size);

#endif
