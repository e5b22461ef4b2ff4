/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libdoorbell in QEMU's machine virt: one doorbell-smmu, which is the VM's SMMUv3 and its way to the
 * host, and a doorbell-pci for each function that is passed through. What the two share.
 */
#ifndef HW_ARM_DOORBELL_H
#define HW_ARM_DOORBELL_H

#include "hw/arm/virt.h"
#include "hw/pci/pci_device.h"
#include "qemu/queue.h"
#include "qom/object.h"
#include <doorbell/doorbell.h>

#define TYPE_DOORBELL_SMMU "doorbell-smmu"
#define TYPE_DOORBELL_PCI "doorbell-pci"

/* GITS_TRANSLATER in its page (Arm IHI 0069, 12.18). */
#define DOORBELL_TRANSLATER 0x40

typedef struct DoorbellMapping DoorbellMapping;
typedef struct DoorbellStream DoorbellStream;

typedef struct DoorbellSMMU {
    DeviceState parent_obj;

    char *machine;              /* machine file of a software host */
    char *soft;                 /* the same as text, ';' for a new line */
    char *mode_name;
    enum db_mode mode;

    struct db_sys *sys;         /* released at unrealize if it is a software host */
    bool sys_is_soft;
    struct db_host *host;
    struct db_space *space;
    struct db_vsmmu *vsmmu;     /* made with the first device, or when the machine is done */

    VirtMachineState *vms;
    uint64_t doorbell_ipa;      /* of the page that holds the vITS's GITS_TRANSLATER */
    MemoryRegion mmio;
    qemu_irq irq[4];
    QEMUBH *irq_bh[DB_VSMMU_IRQS];
    Notifier machine_done;
    MemoryListener listener;
    Error *migration_blocker;

    QemuMutex mappings_lock;
    QLIST_HEAD(, DoorbellMapping) mappings;     /* RAM that devices reach */
    QLIST_HEAD(, DoorbellStream) streams;       /* emulated devices */
} DoorbellSMMU;

OBJECT_DECLARE_SIMPLE_TYPE(DoorbellSMMU, DOORBELL_SMMU)

/* The machine's doorbell-smmu, or NULL and @errp. */
DoorbellSMMU *doorbell_smmu(Error **errp);

/* Makes sure that there is a vSMMU; the first @dev decides what its ID registers say. NULL: none. */
bool doorbell_smmu_start(DoorbellSMMU *s, struct db_device *dev, Error **errp);

/* Sets @errp to "@what: " and the library's own sentence. */
void doorbell_error(Error **errp, const char *what);

#endif
