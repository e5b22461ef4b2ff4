/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/vpci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/msi.h"
#include "lib/sized.h"
#include "lib/vmsix.h"
#include "sys/error.h"

#define HEADER_TYPE_MASK 0x7f
#define HEADER_TYPE_MULTI 0x80

/* --- Registers of the library's own --- */

uint32_t vpci_get(const uint8_t *bytes, unsigned int size)
{
	uint32_t value = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		value |= (uint32_t)bytes[i] << 8 * i;
	return value;
}

void vpci_put(uint8_t *bytes, unsigned int size, uint32_t value)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		bytes[i] = value >> 8 * i;
}

void vpci_own(struct db_vpci *vpci, unsigned int at, unsigned int size, uint32_t own,
	      uint32_t value, uint32_t writable)
{
	vpci_put(vpci->value + at, size, (vpci_get(vpci->value + at, size) & ~own) | (value & own));
	vpci_put(vpci->writable + at, size,
		 (vpci_get(vpci->writable + at, size) & ~own) | (writable & own));
	vpci_put(vpci->own + at, size, vpci_get(vpci->own + at, size) | own);
}

static void own_header(struct db_vpci *vpci)
{
	vpci_own(vpci, PCI_HEADER_TYPE, 1, HEADER_TYPE_MULTI, 0, 0);
	vpci_own(vpci, PCI_INTERRUPT_LINE, 1, 0xff, 0, 0xff);
	vpci_own(vpci, PCI_INTERRUPT_PIN, 1, 0xff, 0, 0);
}

/* --- The device's registers --- */

static uint32_t device_read(struct db_vpci *vpci, unsigned int at, unsigned int size)
{
	uint8_t bytes[4];

	if (db_device_config_read(vpci->dev, bytes, size, at) != (ssize_t)size)
		return ~0u;
	return vpci_get(bytes, size);
}

static int device_write(struct db_vpci *vpci, unsigned int at, unsigned int size, uint32_t value)
{
	uint8_t bytes[4];
	ssize_t ret;

	vpci_put(bytes, size, value);
	ret = db_device_config_write(vpci->dev, bytes, size, at);
	return ret < 0 ? ret : 0;
}

/* What the device made of a write. A device that does not answer decodes nothing. */
static void refresh(struct db_vpci *vpci)
{
	uint32_t command = device_read(vpci, PCI_COMMAND, 2);
	uint32_t pm = vpci->pm ? device_read(vpci, vpci->pm + PCI_PM_CTRL, 2) : 0;

	vpci->command = command == ~0u ? 0 : command;
	vpci->powered = !(pm & PCI_PM_CTRL_STATE_MASK);
	vpci_bars_update(vpci, vpci->command);
}

/* --- INTx: while neither MSI nor MSI-X is enabled --- */

static bool messages_enabled(struct db_vpci *vpci)
{
	return (vpci->vmsix && (db_vmsix_control_read(vpci->vmsix) & PCI_MSIX_FLAGS_ENABLE)) ||
	       (vpci->vmsi &&
		(db_vmsi_read(vpci->vmsi, PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE));
}

static int arm_intx(struct db_vpci *vpci)
{
	int ret;

	if (vpci->intx < 0 || vpci->intx_armed || messages_enabled(vpci))
		return 0;
	ret = db_device_irq_set(vpci->dev, DB_IRQ_INTX, vpci->intx);
	if (ret)
		return ret;
	vpci->intx_armed = true;
	return vpci->intx_resample < 0 ? 0 :
		       db_device_intx_resample(vpci->dev, vpci->intx_resample);
}

static void disarm_intx(struct db_vpci *vpci)
{
	if (vpci->intx_armed)
		db_device_irq_set(vpci->dev, DB_IRQ_INTX, -1);
	vpci->intx_armed = false;
}

int db_vpci_set_intx(struct db_vpci *vpci, int eventfd, int resample)
{
	uint32_t pin = 0;
	int ret = 0;

	pthread_mutex_lock(&vpci->lock);
	disarm_intx(vpci);
	vpci->intx = eventfd < 0 ? -1 : eventfd;
	vpci->intx_resample = resample < 0 ? -1 : resample;
	if (vpci->intx >= 0) {
		ret = arm_intx(vpci);
		pin = device_read(vpci, PCI_INTERRUPT_PIN, 1);
	}
	if (ret) {
		disarm_intx(vpci);
		vpci->intx = -1;
		pin = 0;
	}
	vpci->value[PCI_INTERRUPT_PIN] = pin;
	pthread_mutex_unlock(&vpci->lock);
	return ret;
}

int db_vpci_intx_unmask(struct db_vpci *vpci)
{
	int ret = 0;

	pthread_mutex_lock(&vpci->lock);
	if (vpci->intx_armed)
		ret = db_device_intx_unmask(vpci->dev);
	pthread_mutex_unlock(&vpci->lock);
	return ret;
}

/* --- Reset and power --- */

/* The registers as after power-on; the device's own too where it can be reset. */
static int reset_function(struct db_vpci *vpci)
{
	int ret = 0, off;

	vpci_bars_update(vpci, 0);
	if (vpci->vmsix)
		db_vmsix_reset(vpci->vmsix);
	if (vpci->vmsi)
		db_vmsi_reset(vpci->vmsi);
	if (vpci->dev->resettable)
		ret = db_device_reset(vpci->dev);
	vpci_bars_reset(vpci);
	vpci->value[PCI_INTERRUPT_LINE] = 0;
	/* VFIO puts command and power state back. */
	if (vpci->pm && !vpci->powered)
		device_write(vpci, vpci->pm + PCI_PM_CTRL, 2, 0);
	off = device_write(vpci, PCI_COMMAND, 2, 0);
	refresh(vpci);
	ret = ret ? ret : off;
	off = arm_intx(vpci);
	return ret ? ret : off;
}

int db_vpci_reset(struct db_vpci *vpci)
{
	int ret;

	pthread_mutex_lock(&vpci->lock);
	ret = reset_function(vpci);
	pthread_mutex_unlock(&vpci->lock);
	return ret;
}

/* Back in D0: the kernel has put its own messages into the device, or nothing was there. */
static int resume(struct db_vpci *vpci)
{
	int ret = 0, next;

	if (vpci->vmsix) {
		ret = db_msi_restore(vpci->msix);
		next = vmsix_resume(vpci->vmsix);
		ret = ret ? ret : next;
	}
	if (vpci->vmsi) {
		next = db_msi_restore(vpci->msi);
		ret = ret ? ret : next;
		next = vmsi_resume(vpci->vmsi);
		ret = ret ? ret : next;
	}
	return ret;
}

/* --- Config space --- */

/* One that PCI can express: byte enables of one dword. */
static bool access_valid(unsigned int offset, unsigned int size)
{
	return (size == 1 || size == 2 || size == 4) && offset < PCI_SPACE &&
	       offset % 4 + size <= 4;
}

/* Does the access have the byte at @reg, and if so, which value? */
static bool has_byte(unsigned int at, unsigned int size, uint32_t value, unsigned int reg,
		     uint8_t *byte)
{
	if (reg < at || reg >= at + size)
		return false;
	*byte = value >> 8 * (reg - at);
	return true;
}

static bool touches(unsigned int at, unsigned int size, unsigned int reg, unsigned int reg_size)
{
	return at < reg + reg_size && reg < at + size;
}

/* The registers of db_vmsi and db_vmsix as they are now, where the dword at @at has some. */
static void load_messages(struct db_vpci *vpci, unsigned int at)
{
	unsigned int offset = at - vpci->msi_cap;
	uint32_t dword;

	if (vpci->msi_cap && at >= vpci->msi_cap && offset < vpci->msi_length) {
		dword = db_vmsi_read(vpci->vmsi, offset, 4);
		if (offset)
			vpci_put(vpci->value + at, 4, dword);
		else
			vpci_put(vpci->value + at + PCI_MSI_FLAGS, 2, dword >> 16);
	}
	if (vpci->msix_cap && at == vpci->msix_cap)
		vpci_put(vpci->value + at + PCI_MSIX_FLAGS, 2,
			 db_vmsix_control_read(vpci->vmsix));
}

uint32_t db_vpci_config_read(struct db_vpci *vpci, unsigned int offset, unsigned int size)
{
	uint32_t own, value = ~0u;

	if (access_valid(offset, size) && offset < vpci->config_size) {
		pthread_mutex_lock(&vpci->lock);
		load_messages(vpci, offset & ~3u);
		own = vpci_get(vpci->own + offset, size);
		if (own == ~0u >> (32 - 8 * size))
			value = own;
		else
			value = device_read(vpci, offset, size);
		value = (value & ~own) | (vpci_get(vpci->value + offset, size) & own);
		pthread_mutex_unlock(&vpci->lock);
	}
	return size < 4 ? value & ((1u << 8 * size) - 1) : value;
}

/* The dword at @at, which has registers of db_vmsi or db_vmsix, is to become what is in value. */
static int store_messages(struct db_vpci *vpci, unsigned int at)
{
	bool msix = vpci->msix_cap && at == vpci->msix_cap;
	uint16_t flags = vpci_get(vpci->value + at + PCI_MSI_FLAGS, 2);
	int ret, armed;

	if (msix ? flags & PCI_MSIX_FLAGS_ENABLE :
		   at == vpci->msi_cap && (flags & PCI_MSI_FLAGS_ENABLE))
		disarm_intx(vpci);
	if (msix)
		ret = db_vmsix_control_write(vpci->vmsix, flags);
	else if (at == vpci->msi_cap)
		ret = db_vmsi_write(vpci->vmsi, PCI_MSI_FLAGS, 2, flags);
	else
		ret = db_vmsi_write(vpci->vmsi, at - vpci->msi_cap, 4,
				    vpci_get(vpci->value + at, 4));
	armed = arm_intx(vpci);
	return ret ? ret : armed;
}

static bool is_message_dword(const struct db_vpci *vpci, unsigned int at)
{
	return (vpci->msi_cap && at >= vpci->msi_cap && at < vpci->msi_cap + vpci->msi_length) ||
	       (vpci->msix_cap && at == vpci->msix_cap);
}

/* Before a write reaches the device: what stops to decode by it is taken away first. */
static void announce(struct db_vpci *vpci, unsigned int at, unsigned int size, uint32_t value)
{
	uint8_t byte;

	if (vpci->pm && has_byte(at, size, value, vpci->pm + PCI_PM_CTRL, &byte) &&
	    (byte & PCI_PM_CTRL_STATE_MASK))
		vpci->powered = false;
	if (has_byte(at, size, value, PCI_COMMAND, &byte))
		vpci->command &= byte;
	vpci_bars_update(vpci, vpci->command);
}

/* The guest resets the function: FLR in Device Control or in Advanced Features. */
static bool resets(const struct db_vpci *vpci, unsigned int at, unsigned int size, uint32_t value)
{
	uint8_t byte;

	if (!vpci->dev->resettable)
		return false;
	if (vpci->exp && has_byte(at, size, value, vpci->exp + PCI_EXP_DEVCTL + 1, &byte) &&
	    (byte & PCI_EXP_DEVCTL_BCR_FLR >> 8))
		return true;
	return vpci->af && has_byte(at, size, value, vpci->af + PCI_AF_CTRL, &byte) &&
	       (byte & PCI_AF_CTRL_FLR);
}

/* A write of registers that are not db_vmsi's or db_vmsix's: the library's bits, then the
 * device's, then what they bring about. */
static int write_registers(struct db_vpci *vpci, unsigned int at, unsigned int size, uint32_t value)
{
	uint32_t own = vpci_get(vpci->own + at, size), all = ~0u >> (32 - 8 * size);
	bool state = touches(at, size, PCI_COMMAND, 2) ||
		     (vpci->pm && touches(at, size, vpci->pm + PCI_PM_CTRL, 2));
	bool was_powered = vpci->powered;
	int ret = 0, resumed;

	if (state)
		announce(vpci, at, size, value);
	if (own != all)
		ret = device_write(vpci, at, size, value & ~own);
	if (state)
		refresh(vpci);
	else if (touches(at, size, PCI_BASE_ADDRESS_0, 4 * DB_REGION_BARS) ||
		 touches(at, size, PCI_ROM_ADDRESS, 4))
		vpci_bars_update(vpci, vpci->command);
	if (!was_powered && vpci->powered) {
		resumed = resume(vpci);
		ret = ret ? ret : resumed;
	}
	if (resets(vpci, at, size, value)) {
		ret = reset_function(vpci);
		if (vpci->ops.reset)
			vpci->ops.reset(vpci->ctx);
	}
	return ret;
}

static int write_dword(struct db_vpci *vpci, unsigned int at, unsigned int size, uint32_t value)
{
	uint32_t writable;

	load_messages(vpci, at & ~3u);
	writable = vpci_get(vpci->writable + at, size);
	vpci_put(vpci->value + at, size,
		 (vpci_get(vpci->value + at, size) & ~writable) | (value & writable));
	return is_message_dword(vpci, at & ~3u) ? store_messages(vpci, at & ~3u) :
						  write_registers(vpci, at, size, value);
}

int db_vpci_config_write(struct db_vpci *vpci, unsigned int offset, unsigned int size,
			 uint32_t value)
{
	int ret, second;

	if (!access_valid(offset, size) || offset >= vpci->config_size)
		return 0;
	pthread_mutex_lock(&vpci->lock);
	if (offset % size) {
		/* Two bytes across the middle of a dword: VFIO has them one by one. */
		ret = write_dword(vpci, offset, 1, value & 0xff);
		second = write_dword(vpci, offset + 1, 1, value >> 8 & 0xff);
		ret = ret ? ret : second;
	} else {
		ret = write_dword(vpci, offset, size, value);
	}
	pthread_mutex_unlock(&vpci->lock);
	return ret;
}

/* --- Life --- */

static int check_msi(const struct db_vpci_config *config, const struct db_msi *msi,
		     enum db_msi_kind kind)
{
	if (!msi || (msi->kind == kind && msi->dev == config->dev))
		return 0;
	db_error_set(-EINVAL, "the db_msi that was given is of the other kind, or of another "
		     "device");
	return -EINVAL;
}

static int make_msi(const struct db_vpci_config *config, enum db_msi_kind kind, enum db_mode mode,
		    struct db_msi **out)
{
	struct db_msi_config msi = DB_SIZED(struct db_msi_config,
		.dev = config->dev,
		.space = config->space,
		.mode = mode,
		.kind = kind,
		.doorbell_ipa = config->doorbell_ipa,
		.fall_through = config->fall_through);

	return db_msi_create(&msi, out);
}

static int make_msis(struct db_vpci *vpci, const struct db_vpci_config *config)
{
	struct db_device *dev = vpci->dev;
	enum db_mode mode = config->mode;
	int ret;

	if (dev->msix_vectors && !(config->flags & DB_VPCI_NO_MSIX)) {
		ret = make_msi(config, DB_MSIX, mode, &vpci->msix);
		if (ret)
			return ret;
		vpci->own_msix = true;
		mode = db_msi_mode(vpci->msix);
	}
	if (dev->msi_vectors && dev->cap_msi && !(config->flags & DB_VPCI_NO_MSI)) {
		ret = make_msi(config, DB_MSI, mode, &vpci->msi);
		if (!ret)
			vpci->own_msi = true;
		else if (!vpci->msix || ret != -EOPNOTSUPP)
			return ret;
		else
			snprintf(vpci->why_no_msi, sizeof(vpci->why_no_msi), "%s",
				 db_error_message());
	}
	return 0;
}

/* With messages that the VMM made, or that are made here. */
static int init_messages(struct db_vpci *vpci, const struct db_vpci_config *config)
{
	int ret;

	snprintf(vpci->why_no_msi, sizeof(vpci->why_no_msi), "the VMM wants it hidden");
	ret = check_msi(config, config->msi, DB_MSI);
	if (!ret)
		ret = check_msi(config, config->msix, DB_MSIX);
	if (ret)
		return ret;
	vpci->msi = config->msi;
	vpci->msix = config->msix;
	if (!vpci->msi && !vpci->msix && config->space)
		ret = make_msis(vpci, config);
	if (!ret && (vpci->msi || vpci->msix) && !config->msi_ops) {
		ret = -EINVAL;
		db_error_set(ret, "a function with interrupts needs db_vpci_config.msi_ops");
	}
	if (!ret && vpci->msix)
		ret = db_vmsix_create(vpci->msix, config->msi_ops, config->ctx, &vpci->vmsix);
	if (!ret && vpci->msi)
		ret = db_vmsi_create(vpci->msi, config->msi_ops, config->ctx, &vpci->vmsi);
	return ret;
}

static void own_messages(struct db_vpci *vpci)
{
	unsigned int i;

	for (i = 4; vpci->msi_cap && i < vpci->msi_length; i += 4)
		vpci_own(vpci, vpci->msi_cap + i, 4, ~0u, 0, ~0u);
	if (vpci->msi_cap)
		vpci_own(vpci, vpci->msi_cap + PCI_MSI_FLAGS, 2, 0xffff, 0, 0xffff);
	if (vpci->msix_cap)
		vpci_own(vpci, vpci->msix_cap + PCI_MSIX_FLAGS, 2, 0xffff, 0, 0xffff);
}

static int init_registers(struct db_vpci *vpci, const struct db_vpci_config *config)
{
	struct db_device *dev = vpci->dev;
	uint8_t bytes[PCI_SPACE];
	ssize_t ret;

	vpci->config_size = dev->config.size < PCI_SPACE ? PCI_CFG_SPACE_SIZE : PCI_SPACE;
	ret = db_device_config_read(dev, bytes, vpci->config_size, 0);
	if (ret != vpci->config_size)
		return ret < 0 ? ret : -EIO;
	if ((bytes[PCI_HEADER_TYPE] & HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL) {
		db_error_set(-EOPNOTSUPP, "%s is no endpoint, but a bridge", dev->address);
		return -EOPNOTSUPP;
	}
	own_header(vpci);
	vpci_caps_init(vpci, bytes);
	own_messages(vpci);
	vpci_bars_init(vpci, bytes, !(config->flags & DB_VPCI_NO_ROM));
	ret = device_write(vpci, PCI_COMMAND, 2, 0);
	if (!ret)
		refresh(vpci);
	return ret;
}

static void release(struct db_vpci *vpci)
{
	db_vmsix_destroy(vpci->vmsix);
	db_vmsi_destroy(vpci->vmsi);
	if (vpci->own_msi)
		db_msi_destroy(vpci->msi);
	if (vpci->own_msix)
		db_msi_destroy(vpci->msix);
	pthread_mutex_destroy(&vpci->lock);
	free(vpci);
}

static int take_config(struct db_vpci_config *own, struct db_vpci_ops *ops,
		       const struct db_vpci_config *config)
{
	const uint32_t known = DB_VPCI_NO_MSI | DB_VPCI_NO_MSIX | DB_VPCI_NO_ROM;
	int ret;

	ret = sized_take(own, sizeof(*own), config, "db_vpci_config");
	if (!ret && own->ops)
		ret = sized_take(ops, sizeof(*ops), own->ops, "db_vpci_ops");
	if (!ret && (!own->dev || (own->flags & ~known))) {
		ret = -EINVAL;
		db_error_set(ret, "a db_vpci needs a device, and flags that are known");
	}
	return ret;
}

int db_vpci_create(const struct db_vpci_config *config, struct db_vpci **out)
{
	struct db_vpci_ops ops = { 0 };
	struct db_vpci_config own;
	struct db_vpci *vpci;
	int ret;

	ret = take_config(&own, &ops, config);
	if (ret)
		return ret;
	vpci = calloc(1, sizeof(*vpci));
	if (!vpci) {
		db_error_set(-ENOMEM, "no memory for the registers of %s", own.dev->address);
		return -ENOMEM;
	}
	pthread_mutex_init(&vpci->lock, NULL);
	vpci->dev = own.dev;
	vpci->ops = ops;
	vpci->ctx = own.ctx;
	vpci->intx = -1;
	vpci->intx_resample = -1;
	ret = init_messages(vpci, &own);
	if (!ret)
		ret = init_registers(vpci, &own);
	if (ret) {
		release(vpci);
		return ret;
	}
	*out = vpci;
	return 0;
}

void db_vpci_destroy(struct db_vpci *vpci)
{
	if (!vpci)
		return;
	vpci_bars_update(vpci, 0);
	disarm_intx(vpci);
	device_write(vpci, PCI_COMMAND, 2, 0);
	release(vpci);
}

struct db_msi *db_vpci_msi(struct db_vpci *vpci, enum db_msi_kind kind)
{
	return kind == DB_MSIX ? vpci->msix : vpci->msi;
}

int db_vpci_hidden(struct db_vpci *vpci, unsigned int index, struct db_vpci_hidden *out)
{
	int ret;

	ret = sized_check(out, "db_vpci_hidden");
	if (ret)
		return ret;
	if (index >= vpci->hidden_count) {
		db_error_set(-ENOENT, "%u capabilities of %s are hidden", vpci->hidden_count,
			     vpci->dev->address);
		return -ENOENT;
	}
	sized_give(out, &vpci->hidden[index], sizeof(vpci->hidden[index]));
	return 0;
}
