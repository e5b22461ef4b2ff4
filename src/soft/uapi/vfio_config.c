/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Config space as vfio-pci shows it: some bits are virtual (BARs, the MSI capability, the
 * capability list), some are the device's own, some cannot be written; and some writes have effects
 * that the kernel brings about in its own way (FLR, MSI enable).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "soft/uapi/vfio_priv.h"

#define CONFIG_STANDARD 256
#define CONFIG_HEADER 64

static uint32_t get(const uint8_t *bytes, unsigned int size)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < size; i++)
		value |= (uint32_t)bytes[i] << (8 * i);
	return value;
}

static void put(uint8_t *bytes, unsigned int size, uint32_t value)
{
	for (unsigned int i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static void set_bits(struct vfio_device *vdev, unsigned int off, unsigned int size, uint32_t virt,
		     uint32_t writable)
{
	put(vdev->virt + off, size, virt);
	put(vdev->writable + off, size, writable);
}

bool vfio_memory_enabled(const struct vfio_device *vdev)
{
	return !__atomic_load_n(&vdev->asleep, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&vdev->vconfig[PCI_COMMAND], __ATOMIC_RELAXED) & PCI_COMMAND_MEMORY;
}

/*
 * The device's own register. A device that has no function-level reset does not say that it has
 * (machine file: no-reset).
 */
static uint32_t hardware_read(struct vfio_device *vdev, unsigned int off, unsigned int size)
{
	uint32_t value = pci_config_read(vdev->dev->pci, off, size);
	unsigned int flr = vdev->exp_cap + PCI_EXP_DEVCAP + 3;

	if (vdev->exp_cap && !vdev->reset_works && off <= flr && flr < off + size)
		value &= ~((uint32_t)(PCI_EXP_DEVCAP_FLR >> 24) << (8 * (flr - off)));
	return value;
}

/* --- Which bits are virtual and which can be written --- */

static void init_header(struct vfio_device *vdev)
{
	set_bits(vdev, 0, 4, 0, 0);
	memset(vdev->writable, 0, CONFIG_HEADER);
	set_bits(vdev, PCI_VENDOR_ID, 4, UINT32_MAX, 0);
	set_bits(vdev, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE, UINT16_MAX);
	set_bits(vdev, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
	set_bits(vdev, PCI_CACHE_LINE_SIZE, 1, 0, UINT8_MAX);
	set_bits(vdev, PCI_LATENCY_TIMER, 1, 0, UINT8_MAX);
	set_bits(vdev, PCI_BIST, 1, 0, UINT8_MAX);
	for (unsigned int bar = 0; bar < PCI_BARS; bar++)
		set_bits(vdev, PCI_BASE_ADDRESS_0 + 4 * bar, 4, UINT32_MAX, UINT32_MAX);
	set_bits(vdev, PCI_ROM_ADDRESS, 4, UINT32_MAX, UINT32_MAX);
	set_bits(vdev, PCI_CAPABILITY_LIST, 1, UINT8_MAX, 0);
	set_bits(vdev, PCI_INTERRUPT_LINE, 1, UINT8_MAX, UINT8_MAX);
	set_bits(vdev, PCI_INTERRUPT_PIN, 1, UINT8_MAX, 0);
	put(vdev->vconfig + PCI_ROM_ADDRESS, 4, 0);
}

static unsigned int init_msi(struct vfio_device *vdev, unsigned int cap)
{
	uint16_t flags = (uint16_t)get(vdev->vconfig + cap + PCI_MSI_FLAGS, 2);
	bool wide = flags & PCI_MSI_FLAGS_64BIT;

	/*
	 * The message is the kernel's; the user's own is kept for him to read back. The mask bits
	 * are the device's.
	 */
	set_bits(vdev, cap + PCI_MSI_FLAGS, 1, UINT8_MAX, UINT8_MAX);
	set_bits(vdev, cap + PCI_MSI_ADDRESS_LO, 4, UINT32_MAX, UINT32_MAX);
	if (wide)
		set_bits(vdev, cap + PCI_MSI_ADDRESS_HI, 4, UINT32_MAX, UINT32_MAX);
	set_bits(vdev, cap + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, UINT16_MAX, UINT16_MAX);
	vdev->msi_cap = cap;
	if (!(flags & PCI_MSI_FLAGS_MASKBIT))
		return wide ? 14 : 10;
	set_bits(vdev, cap + (wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 4, 0, UINT32_MAX);
	set_bits(vdev, cap + (wide ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32), 4, 0, UINT32_MAX);
	return wide ? 24 : 20;
}

static unsigned int init_express(struct vfio_device *vdev, unsigned int cap)
{
	set_bits(vdev, cap + PCI_EXP_DEVCTL, 2,
		 PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ,
		 (uint16_t)~PCI_EXP_DEVCTL_PHANTOM);
	set_bits(vdev, cap + PCI_EXP_DEVCTL2, 2, 0, (uint16_t)~PCI_EXP_DEVCTL2_ARI);
	vdev->exp_cap = cap;
	return 60;
}

/* Length of the capability at @cap, with its bits set; 0: one that the user does not see. */
static unsigned int init_capability(struct vfio_device *vdev, uint8_t id, unsigned int cap)
{
	static const uint8_t lengths[] = {
		[PCI_CAP_ID_PM] = 8,
		[PCI_CAP_ID_MSI] = 10,
		[PCI_CAP_ID_MSIX] = 12,
		[PCI_CAP_ID_EXP] = 60,
	};
	unsigned int length = id < sizeof(lengths) ? lengths[id] : 0;

	if (!length || cap + length > CONFIG_STANDARD)
		return 0;
	/* Nothing can be written but what follows; the way to the next capability is virtual. */
	memset(vdev->writable + cap, 0, length);
	for (unsigned int i = 0; i < length; i += 2)
		put(vdev->vconfig + cap + i, 2, pci_config_read(vdev->dev->pci, cap + i, 2));
	vdev->virt[cap + PCI_CAP_LIST_NEXT] = UINT8_MAX;
	if (id == PCI_CAP_ID_MSI)
		return init_msi(vdev, cap);
	if (id == PCI_CAP_ID_EXP)
		return init_express(vdev, cap);
	if (id == PCI_CAP_ID_PM)
		vdev->pm_cap = cap;
	return length;
}

static void init_capabilities(struct vfio_device *vdev)
{
	struct pci_dev *pci = vdev->dev->pci;
	uint8_t *previous = &vdev->vconfig[PCI_CAPABILITY_LIST];
	unsigned int cap = pci_config_read(pci, PCI_CAPABILITY_LIST, 1) & ~3u, seen = 0;

	for (unsigned int bound = 0; cap && bound < (CONFIG_STANDARD - CONFIG_HEADER) / 4;
	     bound++) {
		uint8_t id = (uint8_t)pci_config_read(pci, cap, 1);
		uint8_t next = (uint8_t)pci_config_read(pci, cap + PCI_CAP_LIST_NEXT, 1);

		if (init_capability(vdev, id, cap)) {
			previous = &vdev->vconfig[cap + PCI_CAP_LIST_NEXT];
			seen++;
		} else {
			*previous = next;
		}
		cap = next & ~3u;
	}
	if (!seen)
		put(vdev->vconfig + PCI_STATUS, 2,
		    get(vdev->vconfig + PCI_STATUS, 2) & ~PCI_STATUS_CAP_LIST);
}

void vfio_config_init(struct vfio_device *vdev)
{
	struct pci_dev *pci = vdev->dev->pci;

	/* What belongs to no capability is the device's own affair, as vfio-pci has it. */
	memset(vdev->writable, UINT8_MAX, sizeof(vdev->writable));
	for (unsigned int i = 0; i < CONFIG_HEADER; i += 4)
		put(vdev->vconfig + i, 4, pci_config_read(pci, i, 4));
	for (unsigned int bar = 0; bar < PCI_BARS; bar++)
		vdev->bars[bar] = pci_config_read(pci, PCI_BASE_ADDRESS_0 + 4 * bar, 4);
	init_header(vdev);
	init_capabilities(vdev);

	/* The list of extended capabilities is shown empty. */
	set_bits(vdev, CONFIG_STANDARD, 4, UINT32_MAX, 0);
}

/* --- Effects --- */

/* A BAR that was written reads back with its size bits clear and its type bits set. */
static void fix_bars(struct vfio_device *vdev)
{
	const struct pci_shape *shape = pci_dev_shape(vdev->dev->pci);

	for (unsigned int bar = 0; bar < PCI_BARS; bar++) {
		uint8_t *low = vdev->vconfig + PCI_BASE_ADDRESS_0 + 4 * bar, *high = low + 4;
		uint64_t mask = ~(shape->bar_size[bar] - 1);
		uint32_t flags = vdev->bars[bar] & ~PCI_BASE_ADDRESS_MEM_MASK;

		if (!shape->bar_size[bar]) {
			put(low, 4, 0);
			continue;
		}
		put(low, 4, (get(low, 4) & (uint32_t)mask & PCI_BASE_ADDRESS_MEM_MASK) | flags);
		if (flags & PCI_BASE_ADDRESS_MEM_TYPE_64) {
			put(high, 4, get(high, 4) & (uint32_t)(mask >> 32));
			bar++;
		}
	}
}

/*
 * MSI is enabled by SET_IRQS: only then the user's enable bit and number of vectors reach the
 * device.
 */
static void msi_flags_written(struct vfio_device *vdev)
{
	uint8_t *at = vdev->vconfig + vdev->msi_cap + PCI_MSI_FLAGS;
	uint32_t flags = get(at, 2);

	if (vdev->irq_type != VFIO_PCI_MSI_IRQ_INDEX)
		flags &= ~PCI_MSI_FLAGS_ENABLE;
	if ((flags & PCI_MSI_FLAGS_QSIZE) >> 4 > vdev->msi_qmax)
		flags = (flags & ~PCI_MSI_FLAGS_QSIZE) | vdev->msi_qmax << 4;
	put(at, 2, flags);
	pci_config_write(vdev->dev->pci, vdev->msi_cap + PCI_MSI_FLAGS, 2, flags);
}

static void devctl_written(struct vfio_device *vdev)
{
	uint8_t *at = vdev->vconfig + vdev->exp_cap + PCI_EXP_DEVCTL;
	uint32_t devctl = get(at, 2);

	if (!(devctl & PCI_EXP_DEVCTL_BCR_FLR))
		return;
	put(at, 2, devctl & ~PCI_EXP_DEVCTL_BCR_FLR);
	if (vdev->reset_works)
		vfio_reset(vdev);
}

/*
 * Linux takes the device to the state that is asked for by itself. These here have D0 and D3hot, and
 * keep what they know in D3hot (No_Soft_Reset).
 */
static void set_power(struct vfio_device *vdev, unsigned int state)
{
	if (state && state != 3)
		return;
	/* As with memory decoding: no access is under way any more. */
	pthread_rwlock_wrlock(&vdev->dev->access);
	pci_config_write(vdev->dev->pci, vdev->pm_cap + PCI_PM_CTRL, 2, state);
	__atomic_store_n(&vdev->asleep, state, __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&vdev->dev->access);
}

void vfio_wake(struct vfio_device *vdev)
{
	if (vdev->asleep)
		set_power(vdev, 0);
}

static bool touches(unsigned int off, unsigned int size, unsigned int reg, unsigned int reg_size)
{
	return off < reg + reg_size && reg < off + size;
}

/* --- Access: 1, 2 or 4 bytes, aligned --- */

static uint32_t config_read(struct vfio_device *vdev, unsigned int off, unsigned int size)
{
	uint32_t virt = get(vdev->virt + off, size);

	return (get(vdev->vconfig + off, size) & virt) | (hardware_read(vdev, off, size) & ~virt);
}

static void config_write(struct vfio_device *vdev, unsigned int off, unsigned int size,
			 uint32_t value)
{
	uint32_t virt = get(vdev->virt + off, size), writable = get(vdev->writable + off, size);
	uint32_t own = writable & virt, through = writable & ~virt, old;

	put(vdev->vconfig + off, size, (get(vdev->vconfig + off, size) & ~own) | (value & own));
	if (through) {
		old = pci_config_read(vdev->dev->pci, off, size);
		pci_config_write(vdev->dev->pci, off, size, (old & ~through) | (value & through));
	}

	if (touches(off, size, PCI_COMMAND, 1)) {
		uint8_t command = (uint8_t)(value >> (8 * (PCI_COMMAND - off)));
		uint8_t kept = vdev->vconfig[PCI_COMMAND] & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_IO);

		/*
		 * Waits for accesses under way: none reaches the BARs after memory decoding was
		 * turned off.
		 */
		pthread_rwlock_wrlock(&vdev->dev->access);
		__atomic_store_n(&vdev->vconfig[PCI_COMMAND],
				 kept | (command & (PCI_COMMAND_MEMORY | PCI_COMMAND_IO)),
				 __ATOMIC_RELAXED);
		pthread_rwlock_unlock(&vdev->dev->access);
	}
	if (touches(off, size, PCI_COMMAND, 2))
		vfio_intx_disable_bit(vdev, get(vdev->vconfig + PCI_COMMAND, 2) &
					    PCI_COMMAND_INTX_DISABLE);
	if (touches(off, size, PCI_BASE_ADDRESS_0, 4 * PCI_BARS))
		fix_bars(vdev);
	if (touches(off, size, PCI_ROM_ADDRESS, 4))
		put(vdev->vconfig + PCI_ROM_ADDRESS, 4, 0);
	if (vdev->msi_cap && touches(off, size, vdev->msi_cap + PCI_MSI_FLAGS, 2))
		msi_flags_written(vdev);
	if (vdev->exp_cap && touches(off, size, vdev->exp_cap + PCI_EXP_DEVCTL, 2))
		devctl_written(vdev);
	if (vdev->pm_cap && off == vdev->pm_cap + PCI_PM_CTRL)
		set_power(vdev, value & PCI_PM_CTRL_STATE_MASK);
}

ssize_t vfio_config_rw(struct vfio_device *vdev, void *buf, size_t len, uint64_t offset, bool write)
{
	uint8_t *bytes = buf;

	if (offset >= PCI_CONFIG_SIZE || len > PCI_CONFIG_SIZE - offset)
		return -EFAULT;
	for (size_t done = 0, size; done < len; done += size) {
		unsigned int off = (unsigned int)(offset + done);

		for (size = 4; size > len - done || off % size; size /= 2)
			;
		if (write)
			config_write(vdev, off, (unsigned int)size,
				     get(bytes + done, (unsigned int)size));
		else
			put(bytes + done, (unsigned int)size,
			    config_read(vdev, off, (unsigned int)size));
	}
	return (ssize_t)len;
}
