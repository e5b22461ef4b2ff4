/* SPDX-License-Identifier: BSD-2-Clause */
/* Save and restore: a list of little-endian dwords in the order of enum word. A later version adds
 * at the end. */
#include "lib/vsmmu.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "sys/error.h"

#define MAGIC UINT64_C(0x31554d4d53564244)	/* "DBVSMMU1" */

enum word {
	WORD_MAGIC,
	WORD_COUNT,		/* of words, these two included */
	WORD_IDR,		/* 6, and AIDR */
	WORD_CR0 = WORD_IDR + 7,
	WORD_CR1,
	WORD_CR2,
	WORD_GBPA,
	WORD_STRTAB,
	WORD_STRTAB_CFG,
	WORD_CMDQ,
	WORD_CMDQ_PROD,
	WORD_CMDQ_CONS,
	WORD_EVENTQ,
	WORD_EVENTQ_PROD,
	WORD_EVENTQ_CONS,
	WORD_IRQ_CTRL,
	WORD_GERROR,
	WORD_GERRORN,
	WORD_GERROR_IRQ,	/* address, data, attributes */
	WORD_EVENTQ_IRQ = WORD_GERROR_IRQ + 3,
	WORDS = WORD_EVENTQ_IRQ + 3,
};

/* The bits that a guest can have set; of the ID registers, all. */
static void allowed(const struct db_vsmmu *s, uint64_t mask[WORDS])
{
	uint64_t msi = s->ops.msi ? ~UINT64_C(0) : 0;
	unsigned int i;

	memset(mask, 0xff, WORDS * sizeof(mask[0]));
	mask[WORD_CR0] = SMMU_CR0_WRITABLE;
	mask[WORD_CR1] = SMMU_CR1_QUEUES | SMMU_CR1_TABLE;
	mask[WORD_CR2] = SMMU_CR2_RECINVSID;
	mask[WORD_GBPA] = SMMU_GBPA_ABORT | SMMU_GBPA_ATTRIBUTES;
	mask[WORD_STRTAB] = SMMU_STRTAB_BASE_RA | SMMU_STRTAB_BASE_ADDR;
	mask[WORD_STRTAB_CFG] = SMMU_STRTAB_BASE_CFG_ALL;
	mask[WORD_CMDQ] = mask[WORD_EVENTQ] = SMMU_Q_BASE_ALL;
	mask[WORD_CMDQ_PROD] = SMMU_Q_INDEX;
	mask[WORD_CMDQ_CONS] = SMMU_CMDQ_CONS_ERR | SMMU_Q_INDEX;
	mask[WORD_EVENTQ_PROD] = mask[WORD_EVENTQ_CONS] = SMMU_EVENTQ_OVERFLOW | SMMU_Q_INDEX;
	mask[WORD_IRQ_CTRL] = SMMU_IRQ_CTRL_WRITABLE;
	mask[WORD_GERROR] = mask[WORD_GERRORN] = SMMU_GERROR_ALL;
	for (i = WORD_GERROR_IRQ; i <= WORD_EVENTQ_IRQ; i += 3) {
		mask[i] = SMMU_IRQ_CFG0_ADDR & msi;
		mask[i + 1] = GENMASK64(31, 0) & msi;
		mask[i + 2] = SMMU_IRQ_CFG2_ATTRIBUTES & msi;
	}
}

static void put_irq(uint64_t *word, const struct vsmmu_irq_cfg *irq)
{
	word[0] = irq->address;
	word[1] = irq->data;
	word[2] = irq->attributes;
}

static void get_irq(const uint64_t *word, struct vsmmu_irq_cfg *irq)
{
	irq->address = word[0];
	irq->data = word[1];
	irq->attributes = word[2];
}

/* Both with both locks held. */
static void gather(const struct db_vsmmu *s, uint64_t word[WORDS])
{
	unsigned int i;

	word[WORD_MAGIC] = MAGIC;
	word[WORD_COUNT] = WORDS;
	for (i = 0; i < 6; i++)
		word[WORD_IDR + i] = s->info.idr[i];
	word[WORD_IDR + 6] = s->info.aidr;
	word[WORD_CR0] = s->cr0;
	word[WORD_CR1] = s->cr1;
	word[WORD_CR2] = atomic_load(&s->cr2);
	word[WORD_GBPA] = atomic_load(&s->gbpa);
	word[WORD_STRTAB] = s->strtab;
	word[WORD_STRTAB_CFG] = s->strtab_cfg;
	word[WORD_CMDQ] = s->cmdq.base;
	word[WORD_CMDQ_PROD] = s->cmdq.prod;
	word[WORD_CMDQ_CONS] = s->cmdq.cons;
	word[WORD_EVENTQ] = s->eventq.base;
	word[WORD_EVENTQ_PROD] = s->eventq.prod;
	word[WORD_EVENTQ_CONS] = s->eventq.cons;
	word[WORD_IRQ_CTRL] = s->irq_ctrl;
	word[WORD_GERROR] = s->gerror;
	word[WORD_GERRORN] = s->gerrorn;
	put_irq(&word[WORD_GERROR_IRQ], &s->gerror_irq);
	put_irq(&word[WORD_EVENTQ_IRQ], &s->eventq_irq);
}

static void scatter(struct db_vsmmu *s, const uint64_t word[WORDS])
{
	s->cr0 = word[WORD_CR0];
	s->cr1 = word[WORD_CR1];
	atomic_store(&s->cr2, word[WORD_CR2]);
	atomic_store(&s->gbpa, word[WORD_GBPA]);
	s->strtab = word[WORD_STRTAB];
	s->strtab_cfg = word[WORD_STRTAB_CFG];
	s->cmdq.base = word[WORD_CMDQ];
	s->cmdq.prod = word[WORD_CMDQ_PROD];
	s->cmdq.cons = word[WORD_CMDQ_CONS];
	s->eventq.on = s->cr0 & SMMU_CR0_EVENTQEN;
	s->eventq.base = word[WORD_EVENTQ];
	s->eventq.prod = word[WORD_EVENTQ_PROD];
	s->eventq.cons = word[WORD_EVENTQ_CONS];
	s->irq_ctrl = word[WORD_IRQ_CTRL];
	s->gerror = word[WORD_GERROR];
	s->gerrorn = word[WORD_GERRORN];
	get_irq(&word[WORD_GERROR_IRQ], &s->gerror_irq);
	get_irq(&word[WORD_EVENTQ_IRQ], &s->eventq_irq);
}

static void lock_both(struct db_vsmmu *s)
{
	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&s->report);
}

size_t db_vsmmu_save(struct db_vsmmu *s, void *buf, size_t len)
{
	uint64_t word[WORDS];
	unsigned int i;

	lock_both(s);
	gather(s, word);
	pthread_mutex_unlock(&s->report);
	pthread_mutex_unlock(&s->lock);
	for (i = 0; i < WORDS; i++)
		word[i] = htole64(word[i]);
	if (len)
		memcpy(buf, word, len < sizeof(word) ? len : sizeof(word));
	return sizeof(word);
}

static int check(const struct db_vsmmu *s, const uint64_t word[WORDS])
{
	uint64_t mask[WORDS];
	unsigned int i;

	for (i = 0; i < 6 && word[WORD_IDR + i] == s->info.idr[i]; i++)
		;
	if (i < 6 || word[WORD_IDR + 6] != s->info.aidr) {
		db_error_set(-EOPNOTSUPP, "the state is of a virtual SMMU with other features: "
			     "create this one with what both hosts can");
		return -EOPNOTSUPP;
	}
	allowed(s, mask);
	for (i = 0; i < WORDS; i++) {
		if (word[i] & ~mask[i]) {
			db_error_set(-EINVAL, "no guest can have made word %u of the state", i);
			return -EINVAL;
		}
	}
	return 0;
}

static int take(struct db_vsmmu *s, const uint64_t word[WORDS])
{
	int ret, kick;

	/* As if disabled: nobody translates while the registers change. */
	atomic_store(&s->enabled, false);
	readers_wait(&s->readers);
	pthread_mutex_lock(&s->report);
	scatter(s, word);
	pthread_mutex_unlock(&s->report);
	ret = vsmmu_config_enable(s, s->cr0 & SMMU_CR0_SMMUEN);
	kick = vsmmu_cmdq_kick(s);
	return ret ? ret : kick;
}

int db_vsmmu_restore(struct db_vsmmu *s, const void *buf, size_t len)
{
	uint64_t word[WORDS];
	unsigned int i;
	int ret;

	if (len >= sizeof(word)) {
		memcpy(word, buf, sizeof(word));
		for (i = 0; i < WORDS; i++)
			word[i] = le64toh(word[i]);
	}
	if (len < sizeof(word) || word[WORD_MAGIC] != MAGIC || word[WORD_COUNT] != WORDS ||
	    len != sizeof(word)) {
		db_error_set(-EINVAL, "%zu bytes that are no state of a virtual SMMU", len);
		return -EINVAL;
	}
	pthread_mutex_lock(&s->lock);
	ret = check(s, word);
	if (!ret)
		ret = take(s, word);
	pthread_mutex_unlock(&s->lock);
	return ret;
}
