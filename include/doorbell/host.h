/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host and its devices. Order of use: db_host_open -> db_device_open -> db_space_create ->
 * db_viommu_create -> db_msi_create; closed in the reverse order. All objects of one host may be
 * used from several threads; two calls on the same object are serialised inside unless its header
 * says otherwise.
 */
#ifndef DOORBELL_HOST_H
#define DOORBELL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <doorbell/api.h>
#include <doorbell/error.h>
#include <doorbell/sys.h>

DB_API_BEGIN

struct db_host;
struct db_device;

/*
 * Opens /dev/iommu through @sys, which the caller keeps until after db_host_close().
 * Errors: -ENOENT, -EACCES, -ENOMEM, -EINVAL (the seam's operations have no size).
 */
int db_host_open(struct db_sys *sys, struct db_host **out);
void db_host_close(struct db_host *host);
struct db_sys *db_host_sys(struct db_host *host);

/* How MSIs get from the device to the physical ITS; see docs/modes.md. */
enum db_mode {
	DB_MODE_AUTO,	/* the best the host allows, in the order of the following */
	DB_MODE_NATIVE,	/* the kernel programs the gIOVA; doorbell at an IPA of the VMM's choice */
	DB_MODE_STOCK,	/* unmodified kernel; the library writes the gIOVA into the MSI-X table */
	DB_MODE_RMR,	/* the kernel's window address; the guest must identity-map the window */
	DB_MODE_COUNT,
};

#define DB_MODE_ROOM 8	/* of arrays indexed by a mode: there may come others */

const char *db_mode_name(enum db_mode mode);

/* -EINVAL if @name is no mode. */
int db_mode_parse(const char *name, enum db_mode *out);

/*
 * DB_OPEN_REBIND: take the device away from the driver it is bound to. Without it a device in use
 * is refused with -EBUSY.
 */
#define DB_OPEN_REBIND (1u << 0)

/*
 * Opens PCI device @address ("0000:01:00.0") and binds it to the host's iommufd. The device must be
 * bound to vfio-pci (it is bound now when it has no driver). When it is closed it gets back the
 * driver that it was found with.
 *
 * Errors: -EINVAL (not an address, or firmware wants a 1:1 mapping for it), -ENOENT (no such device,
 * or no IOMMU group), -EBUSY (in use by the host, or open already, here or elsewhere), -EACCES,
 * -EOPNOTSUPP (no vfio cdev), -EPERM (its group is in use, or its MSIs are not isolated).
 */
int db_device_open(struct db_host *host, const char *address, unsigned int flags,
		   struct db_device **out);

/* Resets the device and gives it back. Its db_msi, and its place in a db_viommu, must be gone. */
void db_device_close(struct db_device *dev);

/* Of an adopted device: its name. */
const char *db_device_address(const struct db_device *dev);

/* What the kernel says of the SMMU in front of the device: IOMMU_GET_HW_INFO, SMMUv3 (IHI 0070)
 * register values. */
struct db_smmu_info {
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

/*
 * A reserved region of the device's IOMMU group, from sysfs. Of an adopted device the kernel does
 * not tell the type: "msi" is the window where Linux's SMMU drivers have it, "aperture" what the
 * SMMU cannot address, "reserved" all else; of one whose ranges are not known the window alone is
 * there.
 */
struct db_reserved {
	uint64_t start;
	uint64_t last;	/* inclusive */
	char type[32];	/* "msi" is the SW_MSI window on Arm; "direct", "direct-relaxable", ... */
};

/* The doorbell that the device's MSIs must reach; known in advance only on a host with the native
 * interface. */
struct db_doorbell {
	uint64_t id;		/* equal for devices on the same doorbell page(s); 0: unknown */
	uint64_t size;		/* bytes that must be mapped into stage 2 */
	uint64_t offset;	/* byte offset of the register in them */
};

struct db_caps {
	size_t size;				/* doorbell/api.h */
	bool mode[DB_MODE_ROOM];		/* indexed by enum db_mode; AUTO: any */
	/* Why a mode is not allowed, and what would mend it. */
	char why_not[DB_MODE_ROOM][256];
	bool nesting;				/* stage 1 may be given to a guest */
	struct db_smmu_info smmu;
	struct db_doorbell doorbell;
	/* bytes; size 0: the host has no such window, or db_device_set_window() took it away */
	uint64_t sw_msi_start, sw_msi_size;
	unsigned int msi_vectors, msix_vectors;	/* 0: no such capability */
	bool msix_mappable;			/* the pages of the MSI-X table can be mapped */
	bool msix_noresize;			/* VFIO_IRQ_INFO_NORESIZE */
	uint64_t page_size;			/* the host's, bytes */

	/* What device and IOMMU can do, though the library does not use it yet (IOMMU_GET_HW_INFO;
	 * the guest sees none of it). */
	unsigned int pasid_bits;		/* of a PASID that may be attached; 0: none */
	bool pasid_exec, pasid_priv;		/* execute and privileged-mode permissions */
	bool dirty_tracking;			/* of stage 2, in hardware */
	bool ats_not_supported;			/* false: it is, or the kernel is too old to say */
};

/*
 * What this host can do with @dev. Changes nothing that lasts. @caps, whose size the caller has
 * set, is filled whole or not at all. Errors: -EINVAL (size), else only those of a host that fails
 * (-ENOMEM, -EIO, -ENODEV); what a host *cannot* do is in the result.
 */
int db_device_caps(struct db_device *dev, struct db_caps *caps);

/*
 * Moves the window in which the kernel maps doorbells by itself (SW_MSI) to [start, start + size),
 * both multiples of 1 MiB; @size 0: there is none, and all addresses are the VM's. Before the
 * device joins a vIOMMU. On error the window is where it was.
 *
 * Mode native has no use for the window, the others live by it. A VMM that wants mode native gives
 * it up (0, 0) as soon as it knows that. One that does not say so keeps the window, until a db_msi
 * of mode native is created before the device joins: that takes it away, and the next one in another
 * mode has it back, or is refused with -EBUSY while the device is attached.
 *
 * Errors: -EINVAL (alignment, range; also of db_viommu_add(): beyond what the SMMU can address),
 * -EBUSY (attached already), -EADDRINUSE (a reserved region is there), -EOPNOTSUPP (the kernel
 * cannot), -EOVERFLOW.
 */
int db_device_set_window(struct db_device *dev, uint64_t start, uint64_t size);

/* Copies up to @max reserved regions of @size bytes each, sizeof(*regions), and returns how many
 * there are. */
int db_device_reserved(struct db_device *dev, struct db_reserved *regions, unsigned int max,
		       size_t size);

/* Config space through VFIO, as the guest may see it. Bytes read or written, or -errno (-EINVAL
 * beyond the end). */
ssize_t db_device_config_read(struct db_device *dev, void *buf, size_t len, uint64_t offset);
ssize_t db_device_config_write(struct db_device *dev, const void *buf, size_t len, uint64_t offset);

/* BAR @bar through VFIO: size in bytes (0: not there), and register access. The MSI-X table reads
 * as ~0 and ignores writes. */
int db_device_bar_size(struct db_device *dev, unsigned int bar, uint64_t *size);
ssize_t db_device_bar_read(struct db_device *dev, unsigned int bar, void *buf, size_t len,
			   uint64_t offset);
ssize_t db_device_bar_write(struct db_device *dev, unsigned int bar, const void *buf, size_t len,
			    uint64_t offset);

/*
 * VFIO_DEVICE_RESET. Armed vectors stay armed and keep the addresses they were given; call
 * db_msi_restore() afterwards. -EOPNOTSUPP: the device cannot.
 */
int db_device_reset(struct db_device *dev);

DB_API_END

#endif
