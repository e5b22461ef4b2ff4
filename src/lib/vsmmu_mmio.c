/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers (IHI 0070 §6.3). What the architecture leaves open is done so:
 * - an access of a wrong size or alignment, or to what is not there, reads 0 and is ignored; 8
 *   bytes reach registers of 64 bits only;
 * - a write at a time when the register must not change is ignored (bases and their configuration
 *   while what they are of is enabled; PROD of the event queue and CONS of the command queue too);
 * - what CR0, IRQ_CTRL and GBPA ask for is done, and acknowledged, when the write returns;
 * - the event queue's indices can be reached at their page-0 offsets, too.
 */
#include "lib/vsmmu.h"

static bool queues_on(const struct db_vsmmu *s)
{
	return s->cr0 & (SMMU_CR0_CMDQEN | SMMU_CR0_EVENTQEN);
}

/* A register of 64 bits: where it is kept, what of it can be written, and whether it can be now. */
static uint64_t *wide(struct db_vsmmu *s, uint64_t offset, uint64_t *mask, bool *open)
{
	switch (offset & ~UINT64_C(7)) {
	case SMMU_STRTAB_BASE:
		*mask = SMMU_STRTAB_BASE_RA | SMMU_STRTAB_BASE_ADDR;
		*open = !(s->cr0 & SMMU_CR0_SMMUEN);
		return &s->strtab;
	case SMMU_CMDQ_BASE:
		*mask = SMMU_Q_BASE_ALL;
		*open = !(s->cr0 & SMMU_CR0_CMDQEN);
		return &s->cmdq.base;
	case SMMU_EVENTQ_BASE:
		*mask = SMMU_Q_BASE_ALL;
		*open = !(s->cr0 & SMMU_CR0_EVENTQEN);
		return &s->eventq.base;
	case SMMU_GERROR_IRQ_CFG0:
		*mask = s->ops.msi ? SMMU_IRQ_CFG0_ADDR : 0;
		*open = !(s->irq_ctrl & SMMU_IRQ_CTRL_GERROR);
		return &s->gerror_irq.address;
	case SMMU_EVENTQ_IRQ_CFG0:
		*mask = s->ops.msi ? SMMU_IRQ_CFG0_ADDR : 0;
		*open = !(s->irq_ctrl & SMMU_IRQ_CTRL_EVENTQ);
		return &s->eventq_irq.address;
	default:
		return NULL;
	}
}

static uint32_t read_narrow(struct db_vsmmu *s, uint64_t offset)
{
	if (offset <= SMMU_IDR5)
		return s->info.idr[offset / 4];
	switch (offset) {
	case SMMU_IIDR:
		return s->info.iidr;
	case SMMU_AIDR:
		return s->info.aidr;
	case SMMU_CR0:
	case SMMU_CR0ACK:
		return s->cr0;
	case SMMU_CR1:
		return s->cr1;
	case SMMU_CR2:
		return atomic_load(&s->cr2);
	case SMMU_GBPA:
		return atomic_load(&s->gbpa);
	case SMMU_IRQ_CTRL:
	case SMMU_IRQ_CTRLACK:
		return s->irq_ctrl;
	case SMMU_GERROR:
		return s->gerror;
	case SMMU_GERRORN:
		return s->gerrorn;
	case SMMU_GERROR_IRQ_CFG1:
		return s->gerror_irq.data;
	case SMMU_GERROR_IRQ_CFG2:
		return s->gerror_irq.attributes;
	case SMMU_STRTAB_BASE_CFG:
		return s->strtab_cfg;
	case SMMU_CMDQ_PROD:
		return s->cmdq.prod;
	case SMMU_CMDQ_CONS:
		return s->cmdq.cons;
	case SMMU_EVENTQ_PROD:
	case SMMU_EVENTQ_PROD & 0xffff:
		return s->eventq.prod;
	case SMMU_EVENTQ_CONS:
	case SMMU_EVENTQ_CONS & 0xffff:
		return s->eventq.cons;
	case SMMU_EVENTQ_IRQ_CFG1:
		return s->eventq_irq.data;
	case SMMU_EVENTQ_IRQ_CFG2:
		return s->eventq_irq.attributes;
	default:
		return 0;
	}
}

static bool well_formed(uint64_t offset, unsigned int size)
{
	return (size == 4 || size == 8) && offset < DB_VSMMU_SIZE && !(offset % size);
}

uint64_t db_vsmmu_mmio_read(struct db_vsmmu *s, uint64_t offset, unsigned int size)
{
	uint64_t value, mask, *reg;
	bool open;

	if (!well_formed(offset, size))
		return 0;
	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&s->report);
	reg = wide(s, offset, &mask, &open);
	if (size == 8)
		value = reg ? *reg : 0;
	else if (reg)
		value = (uint32_t)(*reg >> (offset & 4) * 8);
	else
		value = read_narrow(s, offset);
	pthread_mutex_unlock(&s->report);
	pthread_mutex_unlock(&s->lock);
	return value;
}

/* §7.5: the guest acknowledges an active error by making the bits equal; it cannot make one. */
static int write_gerrorn(struct db_vsmmu *s, uint32_t value)
{
	uint32_t active;

	pthread_mutex_lock(&s->report);
	active = s->gerror ^ s->gerrorn;
	s->gerrorn = (s->gerrorn & ~active) | (value & active);
	pthread_mutex_unlock(&s->report);
	return vsmmu_cmdq_kick(s);
}

/* In the order that makes what is enabled last see what is enabled first. */
static int write_cr0(struct db_vsmmu *s, uint32_t value)
{
	uint32_t changed;
	int ret = 0, kick;

	value &= SMMU_CR0_WRITABLE;
	changed = s->cr0 ^ value;
	s->cr0 = value;
	pthread_mutex_lock(&s->report);
	s->eventq.on = value & SMMU_CR0_EVENTQEN;
	pthread_mutex_unlock(&s->report);
	if (changed & SMMU_CR0_SMMUEN)
		ret = vsmmu_config_enable(s, value & SMMU_CR0_SMMUEN);
	kick = changed & SMMU_CR0_CMDQEN ? vsmmu_cmdq_kick(s) : 0;
	return ret ? ret : kick;
}

/* §6.3.14: without Update nothing changes; the update is done when it can be read back. */
static int write_gbpa(struct db_vsmmu *s, uint32_t value)
{
	int ret;

	if (!(value & SMMU_GBPA_UPDATE))
		return 0;
	atomic_store(&s->gbpa, value & (SMMU_GBPA_ABORT | SMMU_GBPA_ATTRIBUTES));
	if (s->cr0 & SMMU_CR0_SMMUEN)
		return 0;
	vsmmu_config_dirty(s, 0, UINT32_MAX);
	ret = vsmmu_config_flush(s);
	vsmmu_invalidated_all(s);
	readers_wait(&s->readers);
	return ret;
}

static void write_cr1(struct db_vsmmu *s, uint32_t value)
{
	uint32_t open = (queues_on(s) ? 0 : SMMU_CR1_QUEUES) |
			(s->cr0 & SMMU_CR0_SMMUEN ? 0 : SMMU_CR1_TABLE);

	s->cr1 = (s->cr1 & ~open) | (value & open);
}

/* Registers of what is reported to the guest; true if @offset is one. */
static bool write_report(struct db_vsmmu *s, uint64_t offset, uint32_t value)
{
	bool gerror_open = s->ops.msi && !(s->irq_ctrl & SMMU_IRQ_CTRL_GERROR);
	bool eventq_open = s->ops.msi && !(s->irq_ctrl & SMMU_IRQ_CTRL_EVENTQ);

	switch (offset) {
	case SMMU_IRQ_CTRL:
		s->irq_ctrl = value & SMMU_IRQ_CTRL_WRITABLE;
		return true;
	case SMMU_GERROR_IRQ_CFG1:
		if (gerror_open)
			s->gerror_irq.data = value;
		return true;
	case SMMU_GERROR_IRQ_CFG2:
		if (gerror_open)
			s->gerror_irq.attributes = value & SMMU_IRQ_CFG2_ATTRIBUTES;
		return true;
	case SMMU_EVENTQ_IRQ_CFG1:
		if (eventq_open)
			s->eventq_irq.data = value;
		return true;
	case SMMU_EVENTQ_IRQ_CFG2:
		if (eventq_open)
			s->eventq_irq.attributes = value & SMMU_IRQ_CFG2_ATTRIBUTES;
		return true;
	case SMMU_EVENTQ_PROD:
	case SMMU_EVENTQ_PROD & 0xffff:
		if (!s->eventq.on)
			s->eventq.prod = value & (SMMU_EVENTQ_OVERFLOW | SMMU_Q_INDEX);
		return true;
	case SMMU_EVENTQ_CONS:
	case SMMU_EVENTQ_CONS & 0xffff:
		s->eventq.cons = value & (SMMU_EVENTQ_OVERFLOW | SMMU_Q_INDEX);
		return true;
	default:
		return false;
	}
}

static int write_narrow(struct db_vsmmu *s, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case SMMU_CR0:
		return write_cr0(s, value);
	case SMMU_CR1:
		write_cr1(s, value);
		return 0;
	case SMMU_CR2:
		if (!(s->cr0 & SMMU_CR0_SMMUEN))
			atomic_store(&s->cr2, value & SMMU_CR2_RECINVSID);
		return 0;
	case SMMU_GBPA:
		return write_gbpa(s, value);
	case SMMU_GERRORN:
		return write_gerrorn(s, value);
	case SMMU_STRTAB_BASE_CFG:
		if (!(s->cr0 & SMMU_CR0_SMMUEN))
			s->strtab_cfg = value & SMMU_STRTAB_BASE_CFG_ALL;
		return 0;
	case SMMU_CMDQ_PROD:
		s->cmdq.prod = value & SMMU_Q_INDEX;
		return vsmmu_cmdq_kick(s);
	case SMMU_CMDQ_CONS:
		if (!(s->cr0 & SMMU_CR0_CMDQEN))
			s->cmdq.cons = value & (SMMU_CMDQ_CONS_ERR | SMMU_Q_INDEX);
		return 0;
	default:
		return 0;
	}
}

/* True if @offset is in a register of 64 bits. */
static bool write_wide(struct db_vsmmu *s, uint64_t offset, unsigned int size, uint64_t value)
{
	uint64_t mask, *reg;
	bool open;

	reg = wide(s, offset, &mask, &open);
	if (!reg)
		return false;
	if (size == 4)
		value = offset & 4 ? (uint32_t)*reg | value << 32
				   : (*reg & ~GENMASK64(31, 0)) | (uint32_t)value;
	if (open)
		*reg = value & mask;
	return true;
}

int db_vsmmu_mmio_write(struct db_vsmmu *s, uint64_t offset, unsigned int size, uint64_t value)
{
	bool done;
	int ret = 0;

	if (!well_formed(offset, size))
		return 0;
	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&s->report);
	done = write_wide(s, offset, size, value) || size == 8 || write_report(s, offset, value);
	pthread_mutex_unlock(&s->report);
	if (!done)
		ret = write_narrow(s, offset, value);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void vsmmu_registers_reset(struct db_vsmmu *s)
{
	s->cr0 = s->cr1 = s->strtab_cfg = 0;
	s->strtab = 0;
	s->cmdq.base = s->eventq.base = 0;
	s->cmdq.prod = s->cmdq.cons = s->eventq.prod = s->eventq.cons = 0;
	s->eventq.on = false;
	s->irq_ctrl = s->gerror = s->gerrorn = 0;
	s->gerror_irq = s->eventq_irq = (struct vsmmu_irq_cfg){ 0 };
	atomic_store(&s->cr2, 0);
	atomic_store(&s->gbpa, SMMU_GBPA_RESET);
}
