/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the `native` MSI passthrough interface adds to Linux 7.3's VFIO and IOMMUFD. The kernel series in linux/ and the
 * software host both speak exactly this; a program learns that a host has it by VFIO_DEVICE_FEATURE_PROBE of
 * VFIO_DEVICE_FEATURE_MSI_DOORBELL.
 *
 * Include after abi/iommufd.h and abi/vfio.h, or after the kernel's own <linux/iommufd.h> and <linux/vfio.h>.
 */
#ifndef DOORBELL_ABI_NATIVE_H
#define DOORBELL_ABI_NATIVE_H

#include <linux/types.h>

/*
 * VFIO_DEVICE_FEATURE_MSI_DOORBELL (GET): the doorbell that this device's MSIs must reach, as a dma-buf.
 *
 * The kernel asks the device's MSI parent irqchip for the doorbell; no physical address passes through user space. The
 * dma-buf covers the host page(s) that hold the doorbell register and nothing else, is write-only to devices, cannot be mapped by a
 * CPU, and is what IOMMU_IOAS_MAP_FILE maps at the IPA the VMM chose, with IOMMU_IOAS_MAP_WRITEABLE alone (READABLE: EPERM). It is
 * revoked when the last of the devices that asked for it, and share both the iommufd and the id, is closed: a device access through
 * the mapping then faults, mapping it fails with ENODEV, and unmapping still works.
 *
 * Return: the dma-buf's fd, or -1 with errno:
 *   EOPNOTSUPP  the device was not bound through an iommufd, or its irqchip has no doorbell that could be handed out
 *   EINVAL      open_flags other than O_CLOEXEC and the access modes
 *   ENOTTY      a kernel without this feature (as for any unknown feature)
 */
#define VFIO_DEVICE_FEATURE_MSI_DOORBELL 14

struct vfio_device_feature_msi_doorbell {
	__u32 open_flags;	/* in: flags of the new fd, as for open(2) */
	__u32 flags;		/* out: none defined, 0 */
	__aligned_u64 size;	/* out: bytes in the dma-buf, a multiple of the host's page size */
	__aligned_u64 offset;	/* out: byte offset in it of the register that the MSI is written to */
	__aligned_u64 id;	/* out: equal for devices whose doorbell lies in the same page(s); never 0 */
};

/*
 * VFIO_DEVICE_SET_IRQS with VFIO_IRQ_SET_ACTION_PREPARE, for VFIO_PCI_MSI_IRQ_INDEX and VFIO_PCI_MSIX_IRQ_INDEX: which
 * address (device-visible: gIOVA behind a stage 1, IPA without one) stands in the message of vectors [start, start + count).
 *
 *   DATA_MSI_IOVA  data[] is one __u64 for each vector: the address, of which bits [11:0] are ignored (they come from the
 *                  doorbell's offset). 0 in the page bits is a valid address.
 *   DATA_BOOL      data[] is one __u8 for each vector: 1 takes the address that stands in the device now (the MSI-X
 *                  table entry, or the MSI capability as the VMM wrote it: the fall-through form), 0 leaves the vector alone.
 *   DATA_NONE      forgets the addresses; start 0 and count 0 forgets all of this index.
 *
 * Addresses are kept for each device and index, over SET_IRQS enable and disable, mask, affinity changes, VFIO_DEVICE_RESET
 * and hwpt replace, until cleared or the device is closed. An armed vector gets its new message at once.
 *
 * Errors:
 *   EINVAL      range beyond the index's count, another index, PREPARE combined with another action, an address that does
 *               not fit a 32-bit MSI capability; nothing was changed
 *   EOPNOTSUPP  as for VFIO_DEVICE_FEATURE_MSI_DOORBELL
 *   ENOMEM      nothing was changed
 *
 * With ACTION_TRIGGER, arming a vector that has no address fails with EDESTADDRREQ when the device is attached to a nested
 * hwpt and uses this interface (some vector of it has an address, or its doorbell is mapped in the IOAS beneath): a silent
 * fall-back to the SW_MSI window would write where the guest never mapped. It fails with ENXIO when the vector has an address, but
 * the doorbells that are mapped in the IOAS are all of other devices. No vector is touched then.
 */
#define VFIO_IRQ_SET_DATA_MSI_IOVA (1 << 6)
#define VFIO_IRQ_SET_ACTION_PREPARE (1 << 7)

/*
 * IOMMU_OPTION with these ids: the SW_MSI window of one device; object_id is its dev_id, both values in MiB.
 *
 *   SET START  first address / 1 MiB. EBUSY once the device is attached, or a vector of it has got an address in the window;
 *              EADDRINUSE if the window would overlap a reserved region of the device's group; EOVERFLOW if start + size leaves 64 bits.
 *   SET SIZE   length / 1 MiB; START must have been set first, else EINVAL. The same errors.
 *   GET        the values in force (the driver's own until set), at any time. ENOENT for a device without such a window.
 */
#define IOMMU_OPTION_SW_MSI_START 2
#define IOMMU_OPTION_SW_MSI_SIZE 3

#endif
