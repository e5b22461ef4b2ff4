/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doorbell-pci: a PCI function of the host, passed through by libdoorbell. The library's trap layer
 * (db_vpci) is the function that the guest sees; QEMU places its BARs and delivers its interrupts.
 */
#include "qemu/osdep.h"
#include <sys/eventfd.h>
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "exec/address-spaces.h"
#include "hw/irq.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "hw/qdev-properties.h"
#include "doorbell.h"

typedef struct DoorbellPCI DoorbellPCI;

/* Its interrupts arrive at @fd; @data is the guest's. */
typedef struct DoorbellVector {
    DoorbellPCI *owner;
    int fd;                     /* -1: never connected */
    uint32_t data;
    uint64_t address;           /* of the guest's doorbell in IPA space */
    uint64_t giova;             /* as the guest wrote it */
    uint64_t count;             /* interrupts */
} DoorbellVector;

typedef struct DoorbellBar {
    DoorbellPCI *owner;
    unsigned int index;
    MemoryRegion mr;
} DoorbellBar;

struct DoorbellPCI {
    PCIDevice parent_obj;

    char *address;              /* the host's: 0000:01:00.0 */
    bool rebind, report;

    DoorbellSMMU *smmu;
    struct db_device *dev;
    struct db_vpci *vpci;
    uint32_t sid;
    bool placed;                /* behind the vSMMU under @sid */

    DoorbellBar bar[DB_REGION_ROM + 1];
    DoorbellVector *vectors;
    unsigned int vector_count;

    EventNotifier intx;
    bool has_intx, intx_asserted;
};

DECLARE_INSTANCE_CHECKER(DoorbellPCI, DOORBELL_PCI, TYPE_DOORBELL_PCI)

/* --- behind the vSMMU --- */

static void leave_smmu(DoorbellPCI *d)
{
    if (d->placed) {
        db_vsmmu_remove_device(d->smmu->vsmmu, d->dev);
    }
    d->placed = false;
}

/*
 * The StreamID is the requester ID. A function behind a root port has one when the guest has given
 * its bus a number, and another if that changes: so each access to its config space looks. An ID
 * that another function still has is tried again at the next one.
 */
static bool enter_smmu(DoorbellPCI *d)
{
    PCIBus *bus = pci_get_bus(&d->parent_obj);
    uint32_t sid = pci_requester_id(&d->parent_obj);

    if (d->placed && d->sid == sid) {
        return true;
    }
    leave_smmu(d);
    if (!pci_bus_is_root(bus) && !pci_bus_num(bus)) {
        return true;
    }
    d->sid = sid;
    d->placed = !db_vsmmu_add_device(d->smmu->vsmmu, d->dev, sid);
    return d->placed;
}

/* --- interrupts --- */

/* With report=on, when it first fires: then it is known that all of it is in force. */
static void report_vector(const DoorbellVector *vector)
{
    DoorbellPCI *d = vector->owner;
    unsigned int index = vector - d->vectors;
    g_autofree char *in_device = g_strdup("does not show it");
    uint64_t address;
    uint32_t data;
    struct db_msi *msi = db_vpci_msi(d->vpci, DB_MSIX);

    if (msi && !db_msi_message(msi, index, &address, &data)) {
        g_free(in_device);
        in_device = g_strdup_printf("has 0x%" PRIx64 " data 0x%x", address, data);
    }
    info_report("doorbell-pci: %s: vector %u: guest wrote 0x%" PRIx64 " data 0x%x; the device %s",
                d->address, index, vector->giova, vector->data, in_device);
}

static void vector_fired(void *opaque)
{
    DoorbellVector *vector = opaque;
    MemTxAttrs attrs = { .requester_id = pci_requester_id(&vector->owner->parent_obj) };
    eventfd_t count;

    if (eventfd_read(vector->fd, &count) < 0) {
        return;
    }
    if (!vector->count && vector->owner->report) {
        report_vector(vector);
    }
    vector->count += count;
    address_space_stl_le(&address_space_memory, vector->address, vector->data, attrs, NULL);
}

/* The guest's ITS finds the interrupt by its doorbell's IPA, not by the gIOVA that the device uses. */
static int connect_vector(void *ctx, unsigned int index, const struct db_msi_route *route)
{
    DoorbellPCI *d = ctx;
    DoorbellVector *vector;

    if (index >= d->vector_count) {
        return -ENODEV;
    }
    vector = &d->vectors[index];
    if (vector->fd < 0) {
        vector->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (vector->fd < 0) {
            return -errno;
        }
        qemu_set_fd_handler(vector->fd, vector_fired, NULL, vector);
    }
    vector->data = route->data;
    vector->address = route->doorbell;
    vector->giova = route->giova;
    return vector->fd;
}

static const struct db_msi_guest_ops msi_ops = {
    .size = sizeof(msi_ops),
    .connect = connect_vector,
};

static void make_vectors(DoorbellPCI *d, const struct db_caps *caps)
{
    d->vector_count = MAX(caps->msix_vectors, caps->msi_vectors);
    d->vectors = g_new0(DoorbellVector, d->vector_count);
    for (unsigned int i = 0; i < d->vector_count; i++) {
        d->vectors[i].owner = d;
        d->vectors[i].fd = -1;
    }
}

static void free_vectors(DoorbellPCI *d)
{
    for (unsigned int i = 0; i < d->vector_count; i++) {
        if (d->vectors[i].fd >= 0) {
            qemu_set_fd_handler(d->vectors[i].fd, NULL, NULL, NULL);
            close(d->vectors[i].fd);
        }
    }
    g_free(d->vectors);
    d->vectors = NULL;
    d->vector_count = 0;
}

static void intx_fired(void *opaque)
{
    DoorbellPCI *d = opaque;

    if (event_notifier_test_and_clear(&d->intx)) {
        d->intx_asserted = true;
        pci_irq_assert(&d->parent_obj);
    }
}

/* The guest's handler has looked at the device: then the level is asked for anew. */
static void intx_served(DoorbellPCI *d)
{
    if (!d->intx_asserted) {
        return;
    }
    d->intx_asserted = false;
    pci_irq_deassert(&d->parent_obj);
    db_vpci_intx_unmask(d->vpci);
}

static void start_intx(DoorbellPCI *d)
{
    if (event_notifier_init(&d->intx, false) < 0) {
        return;
    }
    /* A device without a pin, or a host that cannot: the guest is shown none. */
    d->has_intx = !db_vpci_set_intx(d->vpci, event_notifier_get_fd(&d->intx), -1);
    if (d->has_intx) {
        qemu_set_fd_handler(event_notifier_get_fd(&d->intx), intx_fired, NULL, d);
    } else {
        event_notifier_cleanup(&d->intx);
    }
}

static void stop_intx(DoorbellPCI *d)
{
    if (d->has_intx) {
        qemu_set_fd_handler(event_notifier_get_fd(&d->intx), NULL, NULL, NULL);
        db_vpci_set_intx(d->vpci, -1, -1);
        event_notifier_cleanup(&d->intx);
        d->has_intx = false;
    }
}

/* --- what the guest accesses --- */

static uint64_t bar_read(void *opaque, hwaddr offset, unsigned size)
{
    DoorbellBar *bar = opaque;
    uint64_t value = db_vpci_bar_read(bar->owner->vpci, bar->index, offset, size);

    intx_served(bar->owner);
    return value;
}

static void bar_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    DoorbellBar *bar = opaque;

    if (db_vpci_bar_write(bar->owner->vpci, bar->index, offset, size, value) < 0) {
        warn_report("doorbell-pci: %s: BAR %u at 0x%" HWADDR_PRIx ": %s", bar->owner->address,
                    bar->index, offset, db_error_message());
    }
    intx_served(bar->owner);
}

static const MemoryRegionOps bar_ops = {
    .read = bar_read,
    .write = bar_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static uint32_t config_read(PCIDevice *pdev, uint32_t offset, int len)
{
    DoorbellPCI *d = DOORBELL_PCI(pdev);

    enter_smmu(d);
    return db_vpci_config_read(d->vpci, offset, len);
}

/* QEMU keeps its own copy of the header, by which it maps BARs; both see each write. */
static void config_write(PCIDevice *pdev, uint32_t offset, uint32_t value, int len)
{
    DoorbellPCI *d = DOORBELL_PCI(pdev);

    if (!enter_smmu(d)) {
        warn_report_once("doorbell-pci: %s: StreamID 0x%x: %s", d->address, d->sid,
                         db_error_message());
    }
    if (db_vpci_config_write(d->vpci, offset, len, value) < 0) {
        warn_report("doorbell-pci: %s: config space at 0x%x: %s", d->address, offset,
                    db_error_message());
    }
    pci_default_write_config(pdev, offset, value, len);
}

/* --- life --- */

static bool add_bars(DoorbellPCI *d, Error **errp)
{
    struct db_vpci_bar bar = DB_SIZED(struct db_vpci_bar);

    for (unsigned int i = 0; i <= DB_REGION_ROM; i++) {
        uint8_t type = PCI_BASE_ADDRESS_SPACE_MEMORY;
        g_autofree char *name = g_strdup_printf("doorbell-bar%u", i);

        if (db_vpci_bar(d->vpci, i, &bar) < 0) {
            doorbell_error(errp, "BARs");
            return false;
        }
        if (!bar.length) {
            continue;
        }
        if (bar.io) {
            type = PCI_BASE_ADDRESS_SPACE_IO;
        } else if (bar.prefetchable) {
            type |= PCI_BASE_ADDRESS_MEM_PREFETCH;
        }
        if (bar.wide) {
            type |= PCI_BASE_ADDRESS_MEM_TYPE_64;
        }
        d->bar[i].owner = d;
        d->bar[i].index = i;
        memory_region_init_io(&d->bar[i].mr, OBJECT(d), &bar_ops, &d->bar[i], name, bar.length);
        pci_register_bar(&d->parent_obj, i == DB_REGION_ROM ? PCI_ROM_SLOT : i, type,
                         &d->bar[i].mr);
    }
    return true;
}

/* What QEMU's PCI core itself reads of a header: identity, and whether there is a pin. */
static void copy_header(DoorbellPCI *d)
{
    static const uint8_t fields[] = {
        PCI_VENDOR_ID, PCI_DEVICE_ID, PCI_CLASS_DEVICE, PCI_SUBSYSTEM_VENDOR_ID, PCI_SUBSYSTEM_ID,
    };
    uint8_t *config = d->parent_obj.config;

    for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
        pci_set_word(config + fields[i], db_vpci_config_read(d->vpci, fields[i], 2));
    }
    config[PCI_REVISION_ID] = db_vpci_config_read(d->vpci, PCI_REVISION_ID, 1);
    config[PCI_CLASS_PROG] = db_vpci_config_read(d->vpci, PCI_CLASS_PROG, 1);
    config[PCI_INTERRUPT_PIN] = d->has_intx ? 1 : 0;
}

static void unrealize(PCIDevice *pdev)
{
    DoorbellPCI *d = DOORBELL_PCI(pdev);

    if (d->vpci) {
        stop_intx(d);
        db_vpci_destroy(d->vpci);
    }
    free_vectors(d);
    if (d->dev) {
        leave_smmu(d);
        db_device_close(d->dev);
    }
    d->vpci = NULL;
    d->dev = NULL;
}

static bool open_device(DoorbellPCI *d, Error **errp)
{
    struct db_caps caps = DB_SIZED(struct db_caps);
    struct db_vpci_config config = DB_SIZED(struct db_vpci_config, .space = d->smmu->space,
                                            .mode = d->smmu->mode,
                                            .doorbell_ipa = d->smmu->doorbell_ipa,
                                            .msi_ops = &msi_ops, .ctx = d);

    if (db_device_open(d->smmu->host, d->address, d->rebind ? DB_OPEN_REBIND : 0, &d->dev) < 0) {
        doorbell_error(errp, d->address);
        return false;
    }
    if (db_device_caps(d->dev, &caps) < 0) {
        doorbell_error(errp, d->address);
        return false;
    }
    if (!caps.mode[d->smmu->mode]) {
        error_setg(errp, "%s: mode %s: %s", d->address, db_mode_name(d->smmu->mode),
                   caps.why_not[d->smmu->mode]);
        return false;
    }
    if (!doorbell_smmu_start(d->smmu, d->dev, errp)) {
        return false;
    }
    /* virt's doorbell lies where the kernel has its window: native needs none. */
    if (caps.mode[DB_MODE_NATIVE] && d->smmu->mode != DB_MODE_STOCK &&
        db_device_set_window(d->dev, 0, 0) < 0) {
        doorbell_error(errp, d->address);
        return false;
    }
    if (!enter_smmu(d)) {
        doorbell_error(errp, d->address);
        return false;
    }
    make_vectors(d, &caps);
    config.dev = d->dev;
    if (db_vpci_create(&config, &d->vpci) < 0) {
        doorbell_error(errp, d->address);
        return false;
    }
    return true;
}

static void realize(PCIDevice *pdev, Error **errp)
{
    DoorbellPCI *d = DOORBELL_PCI(pdev);

    d->smmu = doorbell_smmu(errp);
    if (!d->smmu) {
        return;
    }
    if (!d->address) {
        error_setg(errp, "host=DOMAIN:BUS:DEVICE.FUNCTION says which function is meant");
        return;
    }
    if (!open_device(d, errp) || !add_bars(d, errp)) {
        unrealize(pdev);
        return;
    }
    start_intx(d);
    copy_header(d);
}

static void reset_hold(Object *obj, ResetType type)
{
    DoorbellPCI *d = DOORBELL_PCI(obj);

    if (d->intx_asserted) {
        d->intx_asserted = false;
        pci_irq_deassert(&d->parent_obj);
    }
    if (d->vpci && db_vpci_reset(d->vpci) < 0) {
        warn_report("doorbell-pci: %s: reset: %s", d->address, db_error_message());
    }
}

static void instance_init(Object *obj)
{
    PCI_DEVICE(obj)->cap_present |= QEMU_PCI_CAP_EXPRESS;
}

static const Property properties[] = {
    DEFINE_PROP_STRING("host", DoorbellPCI, address),
    DEFINE_PROP_BOOL("rebind", DoorbellPCI, rebind, false),
    DEFINE_PROP_BOOL("report", DoorbellPCI, report, false),
};

static void class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    dc->desc = "a PCI function of the host behind doorbell-smmu, its MSIs at the guest's addresses";
    pc->realize = realize;
    pc->exit = unrealize;
    pc->config_read = config_read;
    pc->config_write = config_write;
    RESETTABLE_CLASS(klass)->phases.hold = reset_hold;
    device_class_set_props(dc, properties);
    object_class_property_set_description(klass, "host", "the function's address on the host");
    object_class_property_set_description(klass, "rebind",
        "take it away from the host's driver, and give it back at the end");
    object_class_property_set_description(klass, "report",
        "say which address and data each vector has, when it first fires");
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo pci_types[] = {
    {
        .name = TYPE_DOORBELL_PCI,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(DoorbellPCI),
        .instance_init = instance_init,
        .class_init = class_init,
        .interfaces = (InterfaceInfo[]) { { INTERFACE_PCIE_DEVICE }, { } },
    },
};

DEFINE_TYPES(pci_types)
