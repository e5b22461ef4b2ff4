/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trap layer of a passed-through PCI function: the VMM hands it every access that the guest
 * makes to the function's config space, and those to its BARs that are not mapped into the guest.
 * It dispatches to db_vmsix and db_vmsi, keeps the BARs (sizing, moves), does the function's resets
 * and power states, and hides the capabilities that cannot work.
 * Source: PCI Express Base Specification 6.0, chapter 7; VFIO.
 *
 * What the guest sees at first is a function after power-on: BARs 0, command register 0, whatever
 * the host had there.
 *
 *   - BARs and ROM are registers of the library's own: they hold guest addresses. Types and sizes
 *     are the device's. db_vpci_ops.map() and unmap() tell the VMM where they are.
 *   - Command: memory and I/O decoding and bus mastering reach the device; INTx disable too.
 *   - MSI and MSI-X: db_vmsi, db_vmsix. Accesses to table and PBA come by db_vpci_bar_*().
 *   - FLR (Device Control, or Advanced Features) by VFIO_DEVICE_RESET; the function is as after
 *     power-on then. A device that cannot be reset alone does not say that it can.
 *   - D3hot: BARs are unmapped and read as ones. Back in D0 the MSIs work as before.
 *   - Interrupt Pin is the device's if the VMM gives an eventfd by db_vpci_set_intx(), else 0.
 *   - Header Type never says "multi-function": where the function is put is the VMM's affair.
 *
 * Hidden capabilities: out of the list, and their registers read 0 and ignore writes:
 *
 *   MSI, MSI-X                  if the mode cannot do it, or the VMM wants it hidden
 *   Advanced Features           if the device cannot be reset alone
 *   AGP, PCI-X, HyperTransport, CompactPCI, debug port, hot-plug, slot ID, secure device
 *                               of the host's bus or slot; the guest's is virtual
 *   Enhanced Allocation, Resizable BAR
 *                               sizes and places of BARs are the host's to choose
 *   SR-IOV, MR-IOV              virtual functions are the host's to make
 *   ARI, ACS, multicast, root complex link and event collector
 *                               of the routing in the host's topology
 *   ATS, PRI, PASID             need a virtual SMMU that has them; SMMU_IDR0 and IDR1 say no
 *   TPH requester               steering tags name CPUs of the host
 *   VC, MFVC, power budgeting, DPA, LTR, L1 substates, PTM, DPC, secondary PCIe, physical layers,
 *   data link feature           of the host's link, which others use too
 *   DOE, IDE                    keys and measurements are between the host and the device
 *   all others                  not known to be harmless
 *
 * What passes: power management, VPD, vendor-specific, subsystem ID, SATA, PCI Express (its FLR bit
 * as above), AER, serial number, vendor-specific and designated vendor-specific extended ones, as
 * far as VFIO shows them. db_vpci_hidden() lists what was hidden for this device.
 *
 * Hostile guests: any access of any size at any offset does bounded work; one that PCI does not
 * allow reads as ones and is ignored when written.
 *
 * Threads: all calls from any thread, also two at once for one function; only destroy alone. BAR
 * accesses do not wait for each other here.
 */
#ifndef DOORBELL_VPCI_H
#define DOORBELL_VPCI_H

#include <doorbell/irq.h>
#include <doorbell/msi.h>
#include <doorbell/region.h>

DB_API_BEGIN

struct db_vpci;

/*
 * What the VMM does. Calls come from within the db_vpci_ call that caused them, in its thread, and
 * must not call back into the same db_vpci. All are optional.
 */
struct db_vpci_ops {
	size_t size;	/* of this struct */

	/*
	 * Region @index (a BAR, or DB_REGION_ROM) answers at [address, address + length) of the
	 * guest's memory space, or of its I/O space (@io). unmap() with the same numbers comes
	 * before the next map() of the region, and at db_vpci_destroy(). Called when the guest
	 * moves a BAR, turns decoding on or off, changes the power state or resets the function. A
	 * BAR at address 0, or at the end of the address space (as while it is sized), is not
	 * mapped. Nothing keeps a guest from putting BARs over each other or over RAM: the VMM
	 * checks what it is told.
	 */
	void (*map)(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io);
	void (*unmap)(void *ctx, unsigned int index, uint64_t address, uint64_t length, bool io);

	/* The guest reset the function (FLR); the registers are as after power-on. */
	void (*reset)(void *ctx);
};

/* Leave it out, whatever the device has. */
#define DB_VPCI_NO_MSI (1u << 0)
#define DB_VPCI_NO_MSIX (1u << 1)
#define DB_VPCI_NO_ROM (1u << 2)

struct db_vpci_config {
	size_t size;			/* of this struct */
	struct db_device *dev;
	uint32_t flags;			/* DB_VPCI_* */

	/*
	 * Either the VMM makes the db_msi, or one of them, and keeps it until after
	 * db_vpci_destroy(); what is NULL is hidden. Or, with both NULL and @space, db_vpci makes
	 * and ends one for each capability as db_msi_create() would with what follows. MSI beside
	 * MSI-X gets the mode that MSI-X got, and is hidden if it cannot be in that.
	 */
	struct db_msi *msi, *msix;
	struct db_space *space;
	enum db_mode mode;
	uint64_t doorbell_ipa;
	bool fall_through;

	const struct db_msi_guest_ops *msi_ops;	/* for both; needed if there is a db_msi */
	const struct db_vpci_ops *ops;		/* may be NULL */
	void *ctx;				/* of both sets of ops */
};

/*
 * Turns memory decoding and bus mastering of the device off.
 * Errors: -EINVAL (config), -EOPNOTSUPP (no endpoint; no capability works in this mode), -EIO,
 * those of db_msi_create(), -ENOMEM.
 */
int db_vpci_create(const struct db_vpci_config *config, struct db_vpci **out);
void db_vpci_destroy(struct db_vpci *vpci);

/* The db_msi in use; NULL: hidden. */
struct db_msi *db_vpci_msi(struct db_vpci *vpci, enum db_msi_kind kind);

/*
 * Config space: @size 1, 2 or 4 at @offset below 4096, not across a dword. Others read as ones and
 * are ignored. A write returns 0 or an error of the host's, for the VMM's log: in the guest the
 * register has its value all the same.
 */
uint32_t db_vpci_config_read(struct db_vpci *vpci, unsigned int offset, unsigned int size);
int db_vpci_config_write(struct db_vpci *vpci, unsigned int offset, unsigned int size,
			 uint32_t value);

/*
 * BAR or ROM @index: @size 1, 2, 4 or 8 at @offset of it, not across a naturally aligned 8 bytes.
 * Others, and all while the region does not decode, read as ones and are ignored.
 */
uint64_t db_vpci_bar_read(struct db_vpci *vpci, unsigned int index, uint64_t offset,
			  unsigned int size);
int db_vpci_bar_write(struct db_vpci *vpci, unsigned int index, uint64_t offset, unsigned int size,
		      uint64_t value);

struct db_vpci_bar {
	size_t size;		/* of this struct, set by the caller */
	uint64_t address;	/* as the register has it */
	uint64_t length;	/* 0: no such BAR */
	bool mapped;		/* it decodes: map() was called for it */
	bool io, wide, prefetchable;	/* wide: 64 bits, with the next register */
};

/* -EINVAL: no such index. */
int db_vpci_bar(struct db_vpci *vpci, unsigned int index, struct db_vpci_bar *bar);

/* Which mapped region holds address @address of the memory (or I/O) space, and where in it.
 * -ENOENT: none. For VMMs that trap a whole window. */
int db_vpci_find(struct db_vpci *vpci, uint64_t address, bool io, unsigned int *index,
		 uint64_t *offset);

/*
 * The function's INTx pin: @eventfd is signalled while it is asserted, and then masked until
 * @resample is (the resamplefd of a KVM irqfd), or, if that is -1, until db_vpci_intx_unmask(). It
 * is armed whenever neither MSI nor MSI-X is enabled. @eventfd -1: no pin. Both stay open while
 * set. Before the guest runs: the pin is in config space. Errors: those of db_device_irq_set().
 */
int db_vpci_set_intx(struct db_vpci *vpci, int eventfd, int resample);
int db_vpci_intx_unmask(struct db_vpci *vpci);

/*
 * As after power-on: for the VMM's own reset of the machine, and after db_device_hot_reset(). The
 * device is reset too if it can be alone. Errors: -EIO (the registers are reset all the same).
 */
int db_vpci_reset(struct db_vpci *vpci);

struct db_vpci_hidden {
	size_t size;		/* of this struct, set by the caller */
	uint16_t id;		/* capability ID */
	bool extended;
	uint16_t offset;	/* in config space */
	const char *why;	/* a sentence; valid as long as the db_vpci */
};

/* The @index-th hidden capability, in the order of the device's lists. -ENOENT: no more. */
int db_vpci_hidden(struct db_vpci *vpci, unsigned int index, struct db_vpci_hidden *out);

DB_API_END

#endif
