/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfio-pci inside: what it keeps for a device from bind to close, and its parts. Everything here is
 * called with soft_device.lock held unless it says otherwise.
 */
#ifndef SOFT_UAPI_VFIO_PRIV_H
#define SOFT_UAPI_VFIO_PRIV_H

#include "abi/vfio.h"
#include "soft/uapi/irq.h"
#include "soft/uapi/vfio.h"

/* Offsets of the device's file: the region's index above bit 40, as vfio-pci places them. */
#define VFIO_OFFSET_SHIFT 40
#define VFIO_OFFSET_MASK ((1ull << VFIO_OFFSET_SHIFT) - 1)

/*
 * Where an interrupt goes: a descriptor of our own for the eventfd, so that the user may close his.
 */
struct vfio_trigger {
	uint64_t one;			/* what is written to it */
	int fd;
	void (*signal)(void *trigger);	/* by whether the descriptor blocks */
	/* vectors that were given the same eventfd in one call; under soft_device.lock */
	unsigned int refs;
};

/* Its lock is taken under those of the device. */
struct vfio_intx {
	pthread_mutex_t lock;
	struct vfio_trigger *trigger;	/* NULL: not enabled, or no eventfd */
	bool masked;
	bool disabled;			/* by the user's command register */
	/* What unmasks it, and who waits for that; under soft_device.lock. */
	struct vfio_trigger *resample;
	pthread_t thread;
	int stop;
};

struct vfio_device {
	struct soft_device *dev;
	struct iommufd_ctx *ctx;
	struct iommufd_device *idev;
	uint32_t id;			/* of it, in the ctx */
	bool attached;
	bool removed;			/* the device went away under its user */
	bool reset_works;

	/*
	 * Config space: what the user sees where virt has a 1, and what he may change where
	 * writable has one.
	 */
	uint8_t vconfig[PCI_CONFIG_SIZE];
	uint8_t virt[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];
	uint32_t bars[PCI_BARS];	/* as the machine assigned them */
	unsigned int msi_cap, exp_cap, pm_cap;	/* offsets, or 0 */
	bool asleep;			/* not in D0; changes like the command register */
	unsigned int msi_qmax;		/* log2 of the MSI vectors that are enabled */

	/* Interrupts. */
	/* VFIO_PCI_MSI(X)_IRQ_INDEX when enabled, else VFIO_PCI_NUM_IRQS */
	unsigned int irq_type;
	struct irq_domain *irqs;
	struct vfio_trigger **vectors;	/* of irq_type: NULL where none is set */
	unsigned int n_vectors;
	struct vfio_trigger *err, *req;
	struct vfio_intx intx;
};

/*
 * VFIO_GROUP_GET_DEVICE_FD: a new file, bound to the container and attached to its IOAS. The
 * descriptor, or -errno. Takes soft_device.lock.
 */
int vfio_open_in_container(struct soft_device *dev, struct iommufd_ctx *ctx);

/* vfio_config.c */
void vfio_config_init(struct vfio_device *vdev);
ssize_t vfio_config_rw(struct vfio_device *vdev, void *buf, size_t len, uint64_t offset,
		       bool write);
/* Memory decoding is on, and the device in D0. With soft_device.lock or .access. */
bool vfio_memory_enabled(const struct vfio_device *vdev);
/* Back to D0. */
void vfio_wake(struct vfio_device *vdev);

/* vfio_region.c */
int vfio_region_info(struct vfio_device *vdev, void *arg);
ssize_t vfio_region_rw(struct vfio_device *vdev, void *buf, size_t len, uint64_t offset,
		       bool write);
int vfio_region_mmap(struct vfio_device *vdev, struct soft_file *file, size_t len, int prot,
		     uint64_t offset, void **out);

/* vfio_irqs.c */
unsigned int vfio_irq_count(const struct vfio_device *vdev, unsigned int index);
int vfio_irq_info(struct vfio_device *vdev, void *arg);
int vfio_set_irqs(struct vfio_device *vdev, void *arg);
void vfio_irqs_request_device(struct vfio_device *vdev);	/* signals the request eventfd */
void vfio_irqs_disable(struct vfio_device *vdev);
void vfio_irqs_free(struct vfio_device *vdev);

/* A descriptor of the host's own for an eventfd. -EBADF, -EINVAL, -ENOMEM, -EMFILE. */
int vfio_trigger_get(struct soft_host *host, int fd, struct vfio_trigger **out);
void vfio_trigger_put(struct vfio_trigger *trigger);

/* vfio_intx.c */
int vfio_intx_set(struct vfio_device *vdev, const struct vfio_irq_set *set, const void *data);
void vfio_intx_disable(struct vfio_device *vdev);
void vfio_intx_disable_bit(struct vfio_device *vdev, bool disabled);

/* vfio_prepare.c: SET_IRQS with ACTION_PREPARE; @set is the head of @arg, read once. */
int vfio_prepare_irqs(struct vfio_device *vdev, struct vfio_irq_set *set, const void *arg);
bool vfio_can_prepare(const struct vfio_device *vdev, unsigned int index);

/* vfio_feature.c */
int vfio_feature(void *arg);

/*
 * vfio_reset.c: function-level reset with everything the kernel had set put back. Takes
 * soft_device.access.
 */
int vfio_reset(struct vfio_device *vdev);
/* The same for a device that cannot be reset alone, with others of its bus. */
void vfio_reset_device(struct vfio_device *vdev);

/*
 * vfio_hot_reset.c: VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET. Takes the
 * locks of all devices on the bus, so none may be held.
 */
int vfio_hot_reset_ioctl(struct soft_device *dev, unsigned long request, void *arg);

#endif
