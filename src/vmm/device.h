/* SPDX-License-Identifier: BSD-2-Clause */
/* A passed-through function on the VM's bus: db_vpci, and what KVM is told for it. */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include <linux/types.h>

#include "vmm/kvm.h"

struct vm_vector {
	int eventfd;			/* -1: never connected */
	unsigned int gsi;
	uint64_t giova;
	bool told;			/* vm_options.vector() was called for it */
};

struct vm_slot {
	uint32_t slot;			/* KVM's number */
	void *memory;
	uint64_t length;
};

struct vm_device {
	struct kvm *kvm;
	const char *address;		/* the host's */
	uint32_t rid;			/* on the guest's bus, StreamID and DeviceID too */
	struct db_device *dev;
	struct db_vsmmu *vsmmu;
	struct db_vpci *vpci;
	bool behind, map_bars;
	bool dirty;			/* routes were changed since the last commit */

	struct vm_vector *vectors;
	unsigned int n_vectors;
	struct vm_slot slots[DB_REGION_COUNT][DB_REGION_AREAS];
	int req;			/* the host wants it back */
	int intx, resample;
};

struct vm_device_config {
	struct kvm *kvm;
	struct db_host *host;
	const char *address;
	uint32_t rid;
	bool rebind, map_bars;
};

/* Opens the device. What follows is by the library's order. 0, or -errno with db_error_message() or
 * kvm->why. */
int vm_device_open(struct vm_device *device, const struct vm_device_config *config,
		   struct db_caps *caps);
int vm_device_start(struct vm_device *device, struct db_space *space, struct db_vsmmu *vsmmu,
		    enum db_mode mode, uint64_t doorbell_ipa);
void vm_device_close(struct vm_device *device);

/* Calls @tell for each vector that was connected since the last call. */
void vm_device_tell(struct vm_device *device, const struct vm_options *options);

/* An access that may be to one of its BARs: whether it was. */
bool vm_device_access(struct vm_device *device, uint64_t address, uint8_t *data, unsigned int len,
		      bool write);
void vm_device_config(struct vm_device *device, unsigned int offset, uint8_t *data,
		      unsigned int len, bool write);

#endif
