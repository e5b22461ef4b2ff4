/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doorbell-smmu: libdoorbell's virtual SMMUv3 on machine virt. It stands where virt's own would
 * (iommu=smmuv3), and behind it are the functions that doorbell-pci passes through, whose stage 1
 * the hardware walks, and QEMU's own PCI devices, whose stage 1 the library walks.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "exec/address-spaces.h"
#include "exec/exec-all.h"
#include "exec/memory.h"
#include "exec/ram_addr.h"
#include "hw/arm/fdt.h"
#include "hw/irq.h"
#include "hw/pci/pci_bus.h"
#include "hw/qdev-properties.h"
#include "migration/blocker.h"
#include "system/device_tree.h"
#include "system/reset.h"
#include "system/runstate.h"
#include "system/tcg.h"
#include "doorbell.h"

/* virt's wires of an SMMU, in the order of its device tree. */
enum { WIRE_EVENTQ, WIRE_PRIQ, WIRE_SYNC, WIRE_GERROR, WIRES };

/* Guest RAM that the host has mapped. */
struct DoorbellMapping {
    hwaddr ipa;
    uint64_t length;
    uint8_t *host;
    ram_addr_t ram_addr;
    QLIST_ENTRY(DoorbellMapping) next;
};

#define TYPE_DOORBELL_STREAM "doorbell-stream"
OBJECT_DECLARE_SIMPLE_TYPE(DoorbellRegion, DOORBELL_STREAM)

struct DoorbellRegion {
    IOMMUMemoryRegion iommu;
    DoorbellStream *stream;
};

/* An emulated device: where it is says its StreamID, which changes when the guest numbers buses. */
struct DoorbellStream {
    DoorbellSMMU *smmu;
    PCIBus *bus;
    int devfn;
    uint32_t sid;
    bool added;
    DoorbellRegion region;
    AddressSpace as;
    QLIST_ENTRY(DoorbellStream) next;
};

void doorbell_error(Error **errp, const char *what)
{
    error_setg(errp, "%s: %s", what, db_error_message());
}

DoorbellSMMU *doorbell_smmu(Error **errp)
{
    Object *obj = object_resolve_path_type("", TYPE_DOORBELL_SMMU, NULL);

    if (!obj || !DOORBELL_SMMU(obj)->space) {
        error_setg(errp, "there is no doorbell-smmu: give -device doorbell-smmu first");
        return NULL;
    }
    return DOORBELL_SMMU(obj);
}

/* --- guest RAM: in stage 2 --- */

/* RAM alone, and whole pages of the host: nothing else can be reached by a passed-through device. */
static bool section_to_map(const MemoryRegionSection *section, hwaddr *ipa, uint64_t *length,
                           hwaddr *skip)
{
    uint64_t page = qemu_real_host_page_size();
    hwaddr end = section->offset_within_address_space + int128_get64(section->size);

    if (!memory_region_is_ram(section->mr) || memory_region_is_ram_device(section->mr)) {
        return false;
    }
    *ipa = ROUND_UP(section->offset_within_address_space, page);
    *skip = *ipa - section->offset_within_address_space;
    end = ROUND_DOWN(end, page);
    *length = end > *ipa ? end - *ipa : 0;
    return *length;
}

static void mapping_failed(hwaddr ipa, uint64_t length)
{
    error_report("doorbell-smmu: RAM at 0x%" HWADDR_PRIx " (0x%" PRIx64 " bytes): %s", ipa, length,
                 db_error_message());
    /* A guest whose devices do not reach its RAM must not run. */
    if (phase_check(PHASE_MACHINE_READY)) {
        vm_stop(RUN_STATE_INTERNAL_ERROR);
    } else {
        exit(EXIT_FAILURE);
    }
}

static void region_add(MemoryListener *listener, MemoryRegionSection *section)
{
    DoorbellSMMU *s = container_of(listener, DoorbellSMMU, listener);
    unsigned int prot = section->readonly ? DB_READ : DB_READ | DB_WRITE;
    DoorbellMapping *mapping;
    hwaddr ipa, skip, within;
    uint64_t length;

    if (!section_to_map(section, &ipa, &length, &skip)) {
        return;
    }
    within = section->offset_within_region + skip;
    mapping = g_new0(DoorbellMapping, 1);
    mapping->ipa = ipa;
    mapping->length = length;
    mapping->host = (uint8_t *)memory_region_get_ram_ptr(section->mr) + within;
    mapping->ram_addr = memory_region_get_ram_addr(section->mr) + within;
    memory_region_ref(section->mr);
    WITH_QEMU_LOCK_GUARD(&s->mappings_lock) {
        QLIST_INSERT_HEAD(&s->mappings, mapping, next);
    }
    if (db_space_map(s->space, ipa, mapping->host, length, prot) < 0) {
        mapping_failed(ipa, length);
    }
}

static void region_del(MemoryListener *listener, MemoryRegionSection *section)
{
    DoorbellSMMU *s = container_of(listener, DoorbellSMMU, listener);
    DoorbellMapping *mapping;
    hwaddr ipa, skip;
    uint64_t length;

    if (!section_to_map(section, &ipa, &length, &skip)) {
        return;
    }
    if (db_space_unmap(s->space, ipa, length) < 0) {
        warn_report("doorbell-smmu: RAM at 0x%" HWADDR_PRIx ": %s", ipa, db_error_message());
    }
    WITH_QEMU_LOCK_GUARD(&s->mappings_lock) {
        QLIST_FOREACH(mapping, &s->mappings, next) {
            if (mapping->ipa == ipa) {
                QLIST_REMOVE(mapping, next);
                g_free(mapping);
                break;
            }
        }
    }
    memory_region_unref(section->mr);
}

/*
 * The software host's devices write guest RAM behind TCG's back: what it has translated of that
 * memory is dropped. In a thread of the software host's.
 */
static void dma_written(void *ctx, void *addr, size_t len)
{
    DoorbellSMMU *s = ctx;
    DoorbellMapping *mapping;
    uint8_t *at = addr;

    QEMU_LOCK_GUARD(&s->mappings_lock);
    QLIST_FOREACH(mapping, &s->mappings, next) {
        if (at >= mapping->host && at < mapping->host + mapping->length) {
            ram_addr_t first = mapping->ram_addr + (at - mapping->host);

            tb_invalidate_phys_range(first, first + len - 1);
            return;
        }
    }
}

/* --- what the vSMMU needs of us --- */

/* Guest RAM at @ipa, NULL if not all of it is RAM. Under RCU. */
static void *ram_at(uint64_t ipa, size_t len, bool is_write)
{
    hwaddr within, left = len;
    MemoryRegion *mr = address_space_translate(&address_space_memory, ipa, &within, &left, is_write,
                                               MEMTXATTRS_UNSPECIFIED);

    if (left < len || !memory_access_is_direct(mr, is_write, MEMTXATTRS_UNSPECIFIED)) {
        return NULL;
    }
    return (uint8_t *)memory_region_get_ram_ptr(mr) + within;
}

static int guest_read(void *ctx, uint64_t ipa, void *buf, size_t len)
{
    void *ram;

    RCU_READ_LOCK_GUARD();
    ram = ram_at(ipa, len, false);
    if (!ram) {
        return -EFAULT;
    }
    memcpy(buf, ram, len);
    return 0;
}

static int guest_write(void *ctx, uint64_t ipa, const void *buf, size_t len)
{
    RCU_READ_LOCK_GUARD();
    if (!ram_at(ipa, len, true)) {
        return -EFAULT;
    }
    /* This, and not a copy, so that dirty pages and translated code are seen to. */
    return address_space_write(&address_space_memory, ipa, MEMTXATTRS_UNSPECIFIED, buf, len) ?
               -EFAULT : 0;
}

static void pulse(DoorbellSMMU *s, enum db_vsmmu_irq irq)
{
    static const int wire[] = {
        [DB_VSMMU_IRQ_EVENTQ] = WIRE_EVENTQ,
        [DB_VSMMU_IRQ_GERROR] = WIRE_GERROR,
        [DB_VSMMU_IRQ_SYNC] = WIRE_SYNC,
    };

    qemu_irq_pulse(s->irq[wire[irq]]);
}

static void pulse_eventq(void *opaque)
{
    pulse(opaque, DB_VSMMU_IRQ_EVENTQ);
}

static void pulse_gerror(void *opaque)
{
    pulse(opaque, DB_VSMMU_IRQ_GERROR);
}

static void pulse_sync(void *opaque)
{
    pulse(opaque, DB_VSMMU_IRQ_SYNC);
}

/* An emulated device may fault in a thread that has not the big lock, and must not wait for it. */
static void smmu_irq(void *ctx, enum db_vsmmu_irq irq)
{
    DoorbellSMMU *s = ctx;

    if (bql_locked()) {
        pulse(s, irq);
    } else {
        qemu_bh_schedule(s->irq_bh[irq]);
    }
}

static void smmu_invalidated(void *ctx, const struct db_vsmmu_invalidation *what)
{
    DoorbellSMMU *s = ctx;
    DoorbellStream *stream;
    IOMMUNotifier *notifier;

    QLIST_FOREACH(stream, &s->streams, next) {
        if (!stream->added || stream->sid < what->first_sid || stream->sid > what->last_sid) {
            continue;
        }
        IOMMU_NOTIFIER_FOREACH(notifier, &stream->region.iommu) {
            memory_region_unmap_iommu_notifier_range(notifier);
        }
    }
}

static const struct db_vsmmu_ops vsmmu_ops = {
    .size = sizeof(vsmmu_ops),
    .read = guest_read,
    .write = guest_write,
    .irq = smmu_irq,
    .invalidated = smmu_invalidated,
};

static void host_faulted(void *opaque)
{
    DoorbellSMMU *s = opaque;

    if (db_vsmmu_poll_events(s->vsmmu) < 0) {
        warn_report_once("doorbell-smmu: events of the host: %s", db_error_message());
    }
}

bool doorbell_smmu_start(DoorbellSMMU *s, struct db_device *dev, Error **errp)
{
    struct db_caps caps = DB_SIZED(struct db_caps);
    struct db_vsmmu_config config = DB_SIZED(struct db_vsmmu_config, .space = s->space,
                                             .ops = &vsmmu_ops, .ctx = s, .sid_bits = 16);

    if (s->vsmmu) {
        return true;
    }
    if (dev) {
        if (db_device_caps(dev, &caps) < 0) {
            doorbell_error(errp, "what the host can do");
            return false;
        }
        config.host = &caps.smmu;
    }
    if (db_vsmmu_create(&config, &s->vsmmu) < 0) {
        doorbell_error(errp, "virtual SMMU");
        return false;
    }
    if (db_vsmmu_event_fd(s->vsmmu) >= 0) {
        qemu_set_fd_handler(db_vsmmu_event_fd(s->vsmmu), host_faulted, NULL, s);
    }
    return true;
}

/* --- its registers --- */

static uint64_t smmu_read(void *opaque, hwaddr offset, unsigned size)
{
    DoorbellSMMU *s = opaque;

    return s->vsmmu ? db_vsmmu_mmio_read(s->vsmmu, offset, size) : 0;
}

static void smmu_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
    DoorbellSMMU *s = opaque;

    if (s->vsmmu && db_vsmmu_mmio_write(s->vsmmu, offset, size, value) < 0) {
        qemu_log_mask(LOG_GUEST_ERROR, "doorbell-smmu: 0x%" PRIx64 " to 0x%" HWADDR_PRIx ": %s\n",
                      value, offset, db_error_message());
    }
}

static const MemoryRegionOps smmu_mmio_ops = {
    .read = smmu_read,
    .write = smmu_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 8 },
    .impl = { .min_access_size = 4, .max_access_size = 8 },
};

/* --- QEMU's own PCI devices --- */

/* Takes the StreamID that the device has now, since the guest may have given its bus a number. */
static void place_stream(DoorbellStream *stream)
{
    DoorbellSMMU *s = stream->smmu;
    uint32_t sid = PCI_BUILD_BDF(pci_bus_num(stream->bus), stream->devfn);

    if (stream->added && stream->sid == sid) {
        return;
    }
    if (stream->added) {
        db_vsmmu_remove_emulated(s->vsmmu, stream->sid);
    }
    stream->sid = sid;
    stream->added = !db_vsmmu_add_emulated(s->vsmmu, sid);
}

static IOMMUTLBEntry stream_translate(IOMMUMemoryRegion *mr, hwaddr addr, IOMMUAccessFlags flag,
                                      int index)
{
    DoorbellStream *stream = container_of(mr, DoorbellRegion, iommu)->stream;
    DoorbellSMMU *s = stream->smmu;
    struct db_vsmmu_translation result = DB_SIZED(struct db_vsmmu_translation);
    unsigned int how = flag & IOMMU_WO ? DB_VSMMU_WRITE : 0;
    IOMMUTLBEntry entry = {
        .target_as = &address_space_memory,
        .iova = addr,
        .addr_mask = 0xfff,
        .perm = IOMMU_NONE,
    };

    if (!s->vsmmu) {
        return entry;
    }
    if (flag == IOMMU_NONE) {
        how |= DB_VSMMU_QUIET;
    }
    place_stream(stream);
    if (!stream->added ||
        db_vsmmu_translate(s->vsmmu, stream->sid, 0, addr, how, &result) < 0) {
        return entry;
    }
    entry.addr_mask = result.page_size - 1;     /* 0: all addresses alike */
    entry.iova = addr & ~entry.addr_mask;
    entry.translated_addr = result.address & ~entry.addr_mask;
    entry.perm = flag & IOMMU_WO ? IOMMU_WO : IOMMU_RO;
    return entry;
}

static AddressSpace *find_address_space(PCIBus *bus, void *opaque, int devfn)
{
    DoorbellSMMU *s = opaque;
    DoorbellStream *stream;
    g_autofree char *name = NULL;

    QLIST_FOREACH(stream, &s->streams, next) {
        if (stream->bus == bus && stream->devfn == devfn) {
            return &stream->as;
        }
    }
    stream = g_new0(DoorbellStream, 1);
    stream->smmu = s;
    stream->bus = bus;
    stream->devfn = devfn;
    name = g_strdup_printf("doorbell-stream-%02x.%x", PCI_SLOT(devfn), PCI_FUNC(devfn));
    memory_region_init_iommu(&stream->region, sizeof(stream->region), TYPE_DOORBELL_STREAM,
                             OBJECT(s), name, UINT64_MAX);
    /* Not before: initialising an object clears it. */
    stream->region.stream = stream;
    address_space_init(&stream->as, MEMORY_REGION(&stream->region.iommu), name);
    QLIST_INSERT_HEAD(&s->streams, stream, next);
    return &stream->as;
}

static const PCIIOMMUOps pci_iommu_ops = {
    .get_address_space = find_address_space,
};

/* --- what the guest is told of it --- */

static void add_to_device_tree(DoorbellSMMU *s)
{
    static const char compatible[] = "arm,smmu-v3", names[] = "eventq\0priq\0cmdq-sync\0gerror";
    VirtMachineState *vms = s->vms;
    void *fdt = MACHINE(vms)->fdt;
    hwaddr base = vms->memmap[VIRT_SMMU].base;
    uint32_t phandle = qemu_fdt_alloc_phandle(fdt), irqs[3 * WIRES];
    g_autofree char *node = g_strdup_printf("/smmuv3@%" PRIx64, base);

    for (int i = 0; i < WIRES; i++) {
        irqs[3 * i] = cpu_to_be32(GIC_FDT_IRQ_TYPE_SPI);
        irqs[3 * i + 1] = cpu_to_be32(vms->irqmap[VIRT_SMMU] + i);
        irqs[3 * i + 2] = cpu_to_be32(GIC_FDT_IRQ_FLAGS_EDGE_LO_HI);
    }
    qemu_fdt_add_subnode(fdt, node);
    qemu_fdt_setprop(fdt, node, "compatible", compatible, sizeof(compatible));
    qemu_fdt_setprop_sized_cells(fdt, node, "reg", 2, base, 2, (uint64_t)DB_VSMMU_SIZE);
    qemu_fdt_setprop(fdt, node, "interrupts", irqs, sizeof(irqs));
    qemu_fdt_setprop(fdt, node, "interrupt-names", names, sizeof(names));
    qemu_fdt_setprop(fdt, node, "dma-coherent", NULL, 0);
    qemu_fdt_setprop_cell(fdt, node, "#iommu-cells", 1);
    qemu_fdt_setprop_cell(fdt, node, "phandle", phandle);
    qemu_fdt_setprop_cells(fdt, vms->pciehb_nodename, "iommu-map", 0, phandle, 0, 0x10000);
}

/* Runs before the machine's own, which loads the device tree and builds the ACPI tables. */
static void machine_done(Notifier *notifier, void *data)
{
    DoorbellSMMU *s = container_of(notifier, DoorbellSMMU, machine_done);
    Error *err = NULL;

    if (!doorbell_smmu_start(s, NULL, &err)) {
        error_reportf_err(err, "doorbell-smmu: ");
        exit(EXIT_FAILURE);
    }
    add_to_device_tree(s);
    /* The IORT gets an SMMUv3 at the same place and wires; none of its nodes is an RMR. */
    s->vms->iommu = VIRT_IOMMU_SMMUV3;
}

static void smmu_reset(void *opaque)
{
    DoorbellSMMU *s = opaque;

    if (s->vsmmu && db_vsmmu_reset(s->vsmmu) < 0) {
        warn_report("doorbell-smmu: reset: %s", db_error_message());
    }
}

/* --- life --- */

static bool open_host(DoorbellSMMU *s, Error **errp)
{
    g_autofree char *text = NULL;
    gsize length = 0;

    if (s->machine && s->soft) {
        error_setg(errp, "machine= and soft= say the same twice");
        return false;
    }
    if (s->machine && !g_file_get_contents(s->machine, &text, &length, NULL)) {
        error_setg(errp, "cannot read the machine file %s", s->machine);
        return false;
    }
    if (s->soft) {
        text = g_strdup(s->soft);
        g_strdelimit(text, ";", '\n');
        length = strlen(text);
    }
    s->sys = db_sys_linux();
    if (text) {
        if (db_soft_host_create(text, length, &s->sys) < 0) {
            doorbell_error(errp, "software host");
            return false;
        }
        s->sys_is_soft = true;
        if (tcg_enabled()) {
            db_soft_host_on_dma_write(s->sys, dma_written, s);
        }
    }
    if (db_host_open(s->sys, &s->host) < 0 || db_space_create(s->host, &s->space) < 0) {
        doorbell_error(errp, "host");
        return false;
    }
    return true;
}

static void close_host(DoorbellSMMU *s)
{
    if (s->space) {
        db_space_destroy(s->space);
    }
    if (s->host) {
        db_host_close(s->host);
    }
    if (s->sys_is_soft) {
        s->sys->ops->release(s->sys);
    }
    s->space = NULL;
    s->host = NULL;
    s->sys_is_soft = false;
}

static void smmu_realize(DeviceState *dev, Error **errp)
{
    static void (*const pulses[DB_VSMMU_IRQS])(void *) = { pulse_eventq, pulse_gerror, pulse_sync };
    DoorbellSMMU *s = DOORBELL_SMMU(dev);
    VirtMachineState *vms = (VirtMachineState *)object_dynamic_cast(OBJECT(current_machine),
                                                                    TYPE_VIRT_MACHINE);
    bool ambiguous = false;

    object_resolve_path_type("", TYPE_DOORBELL_SMMU, &ambiguous);
    if (!vms || ambiguous || vms->iommu != VIRT_IOMMU_NONE ||
        vms->msi_controller != VIRT_MSI_CTRL_ITS) {
        error_setg(errp, "one doorbell-smmu on machine virt, with gic-version=3, its=on and without iommu=");
        return;
    }
    if (db_mode_parse(s->mode_name ? s->mode_name : "auto", &s->mode) < 0 ||
        s->mode == DB_MODE_RMR) {
        error_setg(errp, "mode=%s: auto, native or stock; a guest of rmr would have to be told "
                   "by its firmware", s->mode_name);
        return;
    }
    s->vms = vms;
    s->doorbell_ipa = vms->memmap[VIRT_GIC_ITS].base + 0x10000;
    QLIST_INIT(&s->mappings);
    QLIST_INIT(&s->streams);
    qemu_mutex_init(&s->mappings_lock);
    if (!open_host(s, errp)) {
        close_host(s);
        return;
    }
    error_setg(&s->migration_blocker, "doorbell-smmu: passed-through devices cannot be migrated");
    if (migrate_add_blocker(&s->migration_blocker, errp) < 0) {
        close_host(s);
        return;
    }
    if (ram_block_discard_disable(true) < 0) {
        error_setg(errp, "the guest's RAM is given back piecemeal (balloon), but devices reach all "
                   "of it");
        migrate_del_blocker(&s->migration_blocker);
        close_host(s);
        return;
    }
    memory_region_init_io(&s->mmio, OBJECT(s), &smmu_mmio_ops, s, TYPE_DOORBELL_SMMU,
                          DB_VSMMU_SIZE);
    memory_region_add_subregion(get_system_memory(), vms->memmap[VIRT_SMMU].base, &s->mmio);
    for (int i = 0; i < WIRES; i++) {
        s->irq[i] = qdev_get_gpio_in(vms->gic, vms->irqmap[VIRT_SMMU] + i);
    }
    for (int i = 0; i < DB_VSMMU_IRQS; i++) {
        s->irq_bh[i] = qemu_bh_new(pulses[i], s);
    }
    s->listener = (MemoryListener) {
        .name = TYPE_DOORBELL_SMMU,
        .region_add = region_add,
        .region_del = region_del,
    };
    memory_listener_register(&s->listener, &address_space_memory);
    pci_setup_iommu(vms->bus, &pci_iommu_ops, s);
    s->machine_done.notify = machine_done;
    qemu_add_machine_init_done_notifier(&s->machine_done);
    qemu_register_reset(smmu_reset, s);
}

static const Property smmu_properties[] = {
    DEFINE_PROP_STRING("machine", DoorbellSMMU, machine),
    DEFINE_PROP_STRING("soft", DoorbellSMMU, soft),
    DEFINE_PROP_STRING("mode", DoorbellSMMU, mode_name),
};

static void smmu_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->desc = "SMMUv3 whose stage 1 is the guest's, for doorbell-pci and QEMU's PCI devices";
    dc->realize = smmu_realize;
    dc->hotpluggable = false;
    dc->user_creatable = true;
    device_class_set_props(dc, smmu_properties);
    object_class_property_set_description(klass, "machine",
        "file that describes a software host; without it and soft= the host is the running kernel");
    object_class_property_set_description(klass, "soft", "the same as text, with ; for a new line");
    object_class_property_set_description(klass, "mode",
        "how MSIs reach the host's ITS: auto, native or stock");
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static void stream_class_init(ObjectClass *klass, void *data)
{
    IOMMU_MEMORY_REGION_CLASS(klass)->translate = stream_translate;
}

static const TypeInfo smmu_types[] = {
    {
        .name = TYPE_DOORBELL_SMMU,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(DoorbellSMMU),
        .class_init = smmu_class_init,
    },
    {
        .name = TYPE_DOORBELL_STREAM,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .instance_size = sizeof(DoorbellRegion),
        .class_init = stream_class_init,
    },
};

DEFINE_TYPES(smmu_types)
