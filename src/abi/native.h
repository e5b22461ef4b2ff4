/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the `native` MSI passthrough interface adds to Linux 7.3's VFIO and IOMMUFD. The kernel
 * series in linux/ and the software host both speak exactly this. A program learns that a host has
 * it by asking: IOMMU_GET_MSI_INFO (ENOTTY: not there) and the bits of VFIO_DEVICE_GET_IRQ_INFO.
 *
 * Everywhere: unused input fields, reserved ones and undefined flags are 0, or the call is refused;
 * a struct that is too short is EINVAL, a longer one whose tail is not 0 is E2BIG, as with all of
 * iommufd. dev_id is what VFIO_DEVICE_BIND_IOMMUFD gave on the same iommufd.
 *
 * Include after abi/iommufd.h and abi/vfio.h, or after the kernel's own <linux/iommufd.h> and
 * <linux/vfio.h>.
 */
#ifndef DOORBELL_ABI_NATIVE_H
#define DOORBELL_ABI_NATIVE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Numbers of iommufd, behind those of 7.3 (its last is 0x95). */
#define IOMMUFD_CMD_IOAS_MAP_MSI 0x96
#define IOMMUFD_CMD_GET_MSI_INFO 0x97

/*
 * IOMMU_GET_MSI_INFO: the doorbell that the device's MSIs must reach, asked of its MSI parent
 * irqchip. Needs no vector, no attachment, no IOAS: a VMM calls it before it lays anything out. No
 * physical address passes through user space.
 *
 * Errors:
 *   EOPNOTSUPP  flags or __reserved are not 0; the irqchip has no doorbell that could be handed
 *               out; the device's IOMMU has no SW_MSI window (its MSIs are not translated, or it
 *               has a region of its own for them); or the kernel has no CONFIG_IRQ_MSI_IOMMU
 *   ENOENT      no such device in this iommufd
 */
struct iommu_get_msi_info {
	__u32 size;
	__u32 flags;			/* in: 0 */
	__u32 dev_id;
	__u32 __reserved;		/* in: 0 */
	/* out: equal, within this iommufd, for devices that share the page(s); never 0 */
	__aligned_u64 out_id;
	__aligned_u64 out_length;	/* out: bytes, whole host pages */
	__aligned_u64 out_offset;	/* out: of the register, in bytes from their start */
};
#define IOMMU_GET_MSI_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_MSI_INFO)

/*
 * IOMMU_IOAS_MAP_MSI: maps the host page(s) that hold the device's doorbell, and nothing else, at
 * @iova of the IOAS, for devices to write to (and not to read, where the format of the tables can
 * say so); no CPU mapping of them exists. The device need not be attached.
 *
 * The area is one like any other: IOAS_COPY copies it (WRITEABLE alone; READABLE: EPERM), and it
 * stays until IOAS_UNMAP or the end of the IOAS, whatever device comes or goes. It is neither
 * pinned nor accounted, and iommufd_access cannot pin it.
 *
 * Errors:
 *   EOPNOTSUPP  as for IOMMU_GET_MSI_INFO
 *   ENOENT      no such device or IOAS
 *   EOVERFLOW   @iova and the length leave 64 bits
 *   EINVAL      @iova is no multiple of the host's page size and of the IOAS's alignment, or lies
 *               in a reserved region or beyond what an attached IOMMU can address
 *   EEXIST      something is mapped there
 *   ENOMEM
 */
struct iommu_ioas_map_msi {
	__u32 size;
	__u32 flags;			/* in: 0 */
	__u32 ioas_id;
	__u32 dev_id;
	__aligned_u64 iova;		/* in */
	__aligned_u64 out_length;	/* out: what was mapped, as IOMMU_GET_MSI_INFO says */
};
#define IOMMU_IOAS_MAP_MSI _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_MSI)

/*
 * IOMMU_OPTION with these ids: the SW_MSI window of one device (and those of its IOMMU group),
 * where the kernel maps a doorbell by itself for a vector that was given no address. object_id is
 * the dev_id, both values are in MiB.
 *
 *   SET START  first address / 1 MiB.
 *   SET SIZE   length / 1 MiB; START must have been set first, else EINVAL. 0: there is no window.
 *              Nothing is mapped but what the user maps, the addresses are his, and arming a vector
 *              that has no address fails with EDESTADDRREQ. Needs no START.
 *   GET        the values in force (the driver's own until set), at any time.
 *
 * Errors:
 *   ENOENT      no such device in this iommufd
 *   EOPNOTSUPP  the device's IOMMU has no SW_MSI window
 *   EBUSY       SET: a device of the group is attached, or a vector has an address in the window
 *   EADDRINUSE  SET: the window would overlap a reserved region of the group
 *   EOVERFLOW   SET: its end would leave 64 bits
 *   EINVAL      SET: SIZE before START. Of IOMMU_HWPT_ALLOC, of attaching and replacing: the window
 *               reaches beyond what the IOMMU can address
 */
#define IOMMU_OPTION_SW_MSI_START 2
#define IOMMU_OPTION_SW_MSI_SIZE 3

/*
 * VFIO_DEVICE_GET_IRQ_INFO, of VFIO_PCI_MSI_IRQ_INDEX and VFIO_PCI_MSIX_IRQ_INDEX: ACTION_PREPARE
 * is there for this device and index, with DATA_MSI_IOVA; with DATA_BOOL too.
 */
#define VFIO_IRQ_INFO_MSI_IOVA (1 << 4)
#define VFIO_IRQ_INFO_MSI_IOVA_DEVICE (1 << 5)

/*
 * VFIO_DEVICE_SET_IRQS with VFIO_IRQ_SET_ACTION_PREPARE, for VFIO_PCI_MSI_IRQ_INDEX and
 * VFIO_PCI_MSIX_IRQ_INDEX: which address (device-visible: gIOVA behind a stage 1, IPA without one)
 * stands in the message of vectors [start, start + count).
 *
 *   DATA_MSI_IOVA  the argument is a struct vfio_irq_set_msi_iova: one address for each vector, of
 *                  which bits [11:0] are ignored (they come from the doorbell's offset). 0 in the
 *                  page bits is a valid address.
 *   DATA_BOOL      data[] is one __u8 for each vector: 1 takes the address that stands in the
 *                  device now (the MSI-X table entry, or the MSI capability as the VMM wrote it: the
 *                  fall-through form), 0 leaves the vector alone.
 *   DATA_NONE      forgets the addresses; start 0 and count 0 forgets all of this index. Armed
 *                  vectors keep their message until they are armed anew.
 *
 * Plain MSI has one register for all its vectors: start must be 0, and all addresses equal.
 *
 * Addresses are kept for each device and index, over SET_IRQS enable and disable, mask, affinity
 * changes, VFIO_DEVICE_RESET, hwpt replace and detach, until cleared or the device is closed. An
 * armed vector gets its new message at once. The address of one that is not armed is only stored,
 * in any power state, and used when it is.
 *
 * Errors; nothing was changed:
 *   EINVAL      range beyond the index's count, another index, PREPARE combined with another
 *               action or another kind of data, argsz too short, __reserved not 0, an address that does not
 *               fit the device's MSI address mask (32-bit MSI capabilities), plain MSI as above
 *   EOPNOTSUPP  the device was not bound through an iommufd, its IOMMU has no SW_MSI window, or the
 *               kernel has no CONFIG_IRQ_MSI_IOMMU
 *   EIO         an armed vector is concerned, and the device is not in D0 or does not answer. With
 *               DATA_BOOL: the device is not in D0, its memory decoding is off (MSI-X), or it reads
 *               as all ones
 *   ENOMEM
 *
 * With ACTION_TRIGGER, arming a vector that has no address fails with EDESTADDRREQ when the device
 * has no window (IOMMU_OPTION_SW_MSI_SIZE 0); no vector is touched then. Plain MSI is not even
 * enabled without an address. Where there is a window, such a vector is given an address in it, as
 * in 7.3. Vectors that are allocated only because vectors above them are armed stay masked, and
 * without an address and a window their messages point at the last page of the address space, where
 * nothing can be mapped.
 */
#define VFIO_IRQ_SET_DATA_MSI_IOVA (1 << 6)
#define VFIO_IRQ_SET_ACTION_PREPARE (1 << 7)

/* struct vfio_irq_set, and its data[] with DATA_MSI_IOVA; argsz is at least 24 + 8 * count. */
struct vfio_irq_set_msi_iova {
	__u32 argsz;
	__u32 flags;
	__u32 index;
	__u32 start;
	__u32 count;
	__u32 __reserved;		/* in: 0 */
	__aligned_u64 iova[];
};

#endif
