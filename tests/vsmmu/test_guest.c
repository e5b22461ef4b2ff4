/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual SMMU as a guest sees it: every register, the queues, errors and interrupts, and an
 * emulated device behind it. No host: nothing is passed through. */
#include "guest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arm/smmu.h"

#define SID 9u
#define IOVA 0x100000000ull
#define PAGE (RAM_IPA + 0x700000)

#define CMD_CFGI_STE(sid) (SMMU_CMD_OP_CFGI_STE | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, sid))
#define CMD_TLBI_VA (SMMU_CMD_OP_TLBI_NH_VA | FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, ASID))
#define CMD_SYNC_IRQ (SMMU_CMD_OP_SYNC | FIELD_PREP64(SMMU_CMD_SYNC_0_CS, SMMU_CMD_SYNC_0_CS_IRQ))

static void open_guest(struct guest *g, const struct db_vsmmu_ops *ops)
{
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = ops };

	guest_init(g);
	guest_create(g, &config);
	assert_int_equal(db_vsmmu_add_emulated(g->vsmmu, SID), 0);
}

static void test_create_refused(void **state)
{
	struct db_vsmmu_ops ops = guest_ops;
	struct db_smmu_info host = { 0 };
	struct db_vsmmu_config config = { .ops = &ops };
	struct db_vsmmu *vsmmu;
	int fds[DB_VSMMU_IRQS] = { -1, -1, 9999 };

	(void)state;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EINVAL);
	config.size = sizeof(config);
	config.ops = NULL;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EINVAL);
	config.ops = &ops;
	ops.read = NULL;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EINVAL);
	ops = guest_ops;
	ops.size = 0;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EINVAL);
	ops = guest_ops;
	config.sid_bits = 21;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EINVAL);
	config.sid_bits = 0;
	config.irq_fds = fds;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EBADF);
	config.irq_fds = NULL;
	/* An SMMU that lacks one thing after the other. */
	config.host = &host;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EOPNOTSUPP);
	assert_non_null(strstr(db_error_message(), "stage 1"));
	host.idr[0] = SMMU_IDR0_S1P;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EOPNOTSUPP);
	assert_non_null(strstr(db_error_message(), "AArch64"));
	host.idr[0] |= 2 << 2 | 3 << 21;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EOPNOTSUPP);
	assert_non_null(strstr(db_error_message(), "little-endian"));
	host.idr[0] ^= 1 << 21;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EOPNOTSUPP);
	assert_non_null(strstr(db_error_message(), "granule"));
	host.idr[0] |= 2 << 24;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), -EOPNOTSUPP);
	assert_non_null(strstr(db_error_message(), "stall"));
	host.idr[0] ^= 2 << 24;
	host.idr[5] = SMMU_IDR5_GRAN64K;
	assert_int_equal(db_vsmmu_create(&config, &vsmmu), 0);
	db_vsmmu_destroy(vsmmu);
	db_vsmmu_destroy(NULL);
}

/* Everything set: what a guest must not see is not there. */
static void test_idr(void **state)
{
	struct db_smmu_info host = { .idr = { 0, ~0u, ~0u, ~0u, ~0u, ~0u }, .aidr = 0x13,
				     .iidr = 7 };
	struct db_vsmmu_config config = { .size = sizeof(config), .host = &host, .sid_bits = 11 };
	struct db_smmu_info info;
	struct guest g;

	(void)state;
	/* All but a forced byte order. */
	host.idr[0] = ~(3u << 21);
	guest_init(&g);
	guest_create(&g, &config);
	assert_int_equal(guest_read(&g, 0x00), 1 << 1 | 2 << 2 | 1 << 4 | 1 << 12 | 1 << 19 |
						       2 << 21 | 1 << 24 | 1 << 26 | 1 << 27);
	assert_int_equal(guest_read(&g, 0x04), 11 | 31 << 6 | 9 << 16 | 9 << 21 | 3 << 26);
	assert_int_equal(guest_read(&g, 0x08), 0);
	assert_int_equal(guest_read(&g, 0x0c), 1 << 2 | 1 << 9 | 1 << 10 | 3 << 11);
	assert_int_equal(guest_read(&g, 0x10), 0);
	assert_int_equal(guest_read(&g, 0x14), 5 | 7 << 4);
	assert_int_equal(guest_read(&g, 0x18), 0);
	assert_int_equal(guest_read(&g, 0x1c), 2);
	db_vsmmu_info(g.vsmmu, &info);
	assert_int_equal(info.idr[5], 5 | 7 << 4);
	/* Read-only. */
	guest_write(&g, 0x00, 0);
	assert_int_equal(guest_read(&g, 0x00), info.idr[0]);
	db_vsmmu_destroy(g.vsmmu);
	/* With MSIs. */
	config.ops = &guest_msi_ops;
	config.host = NULL;
	guest_create(&g, &config);
	assert_true(guest_read(&g, 0x00) & SMMU_IDR0_MSI);
	assert_true(guest_read(&g, 0x00) & SMMU_IDR0_S1P);
	assert_false(guest_read(&g, 0x00) & SMMU_IDR0_S2P);
	guest_fini(&g);
}

/* What each register keeps of all ones, after power-on. */
static void test_registers(void **state)
{
	static const struct {
		uint32_t offset, reset, kept;
	} regs[] = {
		{ SMMU_CR1, 0, 0xfff },		{ SMMU_CR2, 0, 2 },
		{ SMMU_STATUSR, 0, 0 },		{ SMMU_AGBPA, 0, 0 },
		{ SMMU_GBPA, 0x1000, 0x1f3f1f }, { SMMU_GERROR, 0, 0 },
		{ SMMU_GERRORN, 0, 0 },		{ SMMU_GERROR_IRQ_CFG1, 0, ~0u },
		{ SMMU_GERROR_IRQ_CFG2, 0, 0x3f }, { SMMU_STRTAB_BASE_CFG, 0, 0x307ff },
		{ SMMU_CMDQ_PROD, 0, 0xfffff },	{ SMMU_CMDQ_CONS, 0, 0x7f0fffff },
		{ SMMU_EVENTQ_PROD, 0, 0x800fffff }, { SMMU_EVENTQ_CONS, 0, 0x800fffff },
		{ SMMU_EVENTQ_IRQ_CFG1, 0, ~0u }, { SMMU_EVENTQ_IRQ_CFG2, 0, 0x3f },
		{ SMMU_IRQ_CTRL, 0, 5 },	{ SMMU_CR0ACK, 0, 0 },
		{ SMMU_IRQ_CTRLACK, 5, 5 },	{ 0xfd0, 0, 0 },
		{ 0xc0, 0, 0 },			{ 0x100c8, 0, 0 },
	};
	static const struct {
		uint32_t offset;
		uint64_t kept;
	} wide[] = {
		{ SMMU_STRTAB_BASE, 0x400fffffffffffc0 }, { SMMU_CMDQ_BASE, 0x400fffffffffffff },
		{ SMMU_EVENTQ_BASE, 0x400fffffffffffff },
		{ SMMU_GERROR_IRQ_CFG0, 0x000ffffffffffffc },
		{ SMMU_EVENTQ_IRQ_CFG0, 0x000ffffffffffffc },
	};
	struct guest g;
	unsigned int i;

	(void)state;
	open_guest(&g, &guest_msi_ops);
	for (i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		assert_int_equal(guest_read64(&g, wide[i].offset), 0);
		guest_write64(&g, wide[i].offset, ~0ull);
		assert_int_equal(guest_read64(&g, wide[i].offset), wide[i].kept);
		/* By halves. */
		guest_write(&g, wide[i].offset + 4, 0);
		assert_int_equal(guest_read64(&g, wide[i].offset), (uint32_t)wide[i].kept);
		guest_write(&g, wide[i].offset, 0);
		guest_write(&g, wide[i].offset + 4, ~0u);
		assert_int_equal(guest_read(&g, wide[i].offset), 0);
		assert_int_equal(guest_read(&g, wide[i].offset + 4), wide[i].kept >> 32);
	}
	for (i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		assert_int_equal(guest_read(&g, regs[i].offset), regs[i].reset);
		guest_write(&g, regs[i].offset, ~0u);
		assert_int_equal(guest_read(&g, regs[i].offset), regs[i].kept);
		/* Not with 8 bytes, nor with 1, 2, and not unaligned. */
		assert_int_equal(guest_read64(&g, regs[i].offset & ~7u), 0);
		assert_int_equal(db_vsmmu_mmio_read(g.vsmmu, regs[i].offset, 2), 0);
		assert_int_equal(db_vsmmu_mmio_read(g.vsmmu, regs[i].offset + 2, 4), 0);
		db_vsmmu_mmio_write(g.vsmmu, regs[i].offset, 2, 0);
		db_vsmmu_mmio_write(g.vsmmu, regs[i].offset & ~7u, 8, 0);
		assert_int_equal(guest_read(&g, regs[i].offset), regs[i].kept);
	}
	/* The event queue's indices at their page-0 offsets. */
	assert_int_equal(guest_read(&g, 0xa8), 0x800fffff);
	guest_write(&g, 0xac, 3);
	assert_int_equal(guest_read(&g, SMMU_EVENTQ_CONS), 3);
	/* Beyond the end. */
	assert_int_equal(guest_read(&g, DB_VSMMU_SIZE), 0);
	assert_int_equal(db_vsmmu_mmio_write(g.vsmmu, ~7ull, 8, 1), 0);
	/* GBPA without Update. */
	guest_write(&g, SMMU_GBPA, 0);
	assert_int_equal(guest_read(&g, SMMU_GBPA), 0x1f3f1f);
	assert_int_equal(db_vsmmu_reset(g.vsmmu), 0);
	assert_int_equal(guest_read(&g, SMMU_GBPA), 0x1000);
	assert_int_equal(guest_read64(&g, SMMU_CMDQ_BASE), 0);
	guest_fini(&g);
	/* Without MSIs their registers are not there. */
	open_guest(&g, &guest_ops);
	guest_write64(&g, SMMU_EVENTQ_IRQ_CFG0, ~0ull);
	guest_write(&g, SMMU_GERROR_IRQ_CFG1, ~0u);
	assert_int_equal(guest_read64(&g, SMMU_EVENTQ_IRQ_CFG0), 0);
	assert_int_equal(guest_read(&g, SMMU_GERROR_IRQ_CFG1), 0);
	guest_fini(&g);
}

/* While something is enabled, what it was set up with does not change. */
static void test_locked_registers(void **state)
{
	static const uint32_t locked[] = {
		SMMU_STRTAB_BASE, SMMU_STRTAB_BASE_CFG, SMMU_CMDQ_BASE, SMMU_EVENTQ_BASE,
		SMMU_CMDQ_CONS, SMMU_EVENTQ_PROD, SMMU_CR1, SMMU_CR2, SMMU_GERROR_IRQ_CFG0,
		SMMU_GERROR_IRQ_CFG1, SMMU_GERROR_IRQ_CFG2, SMMU_EVENTQ_IRQ_CFG0,
		SMMU_EVENTQ_IRQ_CFG1, SMMU_EVENTQ_IRQ_CFG2,
	};
	uint32_t before;
	struct guest g;
	unsigned int i;

	(void)state;
	open_guest(&g, &guest_msi_ops);
	guest_start(&g, true);
	for (i = 0; i < sizeof(locked) / sizeof(locked[0]); i++) {
		before = guest_read(&g, locked[i]);
		guest_write(&g, locked[i], ~before);
		assert_int_equal(guest_read(&g, locked[i]), before);
	}
	/* Disabled, and they do. */
	guest_write(&g, SMMU_CR0, 0);
	guest_write(&g, SMMU_IRQ_CTRL, 0);
	for (i = 0; i < sizeof(locked) / sizeof(locked[0]); i++) {
		before = guest_read(&g, locked[i]);
		guest_write(&g, locked[i], ~before);
		assert_int_not_equal(guest_read(&g, locked[i]), before);
	}
	guest_fini(&g);
}

static void test_translate(void **state)
{
	struct db_vsmmu_translation out = { 0 };
	struct stream s;
	struct guest g;
	uint64_t event[4], ipa;

	(void)state;
	open_guest(&g, &guest_ops);
	assert_int_equal(db_vsmmu_translate(g.vsmmu, SID, 0, IOVA, 0, &out), -EINVAL);
	out.size = sizeof(out);
	/* Disabled: GBPA. */
	assert_int_equal(guest_translate(&g, SID, IOVA + 5, 0, &ipa), 0);
	assert_int_equal(ipa, IOVA + 5);
	guest_write(&g, SMMU_GBPA, SMMU_GBPA_UPDATE | SMMU_GBPA_ABORT);
	assert_int_equal(guest_read(&g, SMMU_GBPA), SMMU_GBPA_ABORT);
	assert_int_equal(db_vsmmu_translate(g.vsmmu, SID, 0, IOVA, 0, &out), -EFAULT);
	assert_int_equal(out.event, 0);
	assert_false(out.raz_wi);
	/* No such device, and no such StreamID. */
	assert_int_equal(guest_translate(&g, SID + 1, IOVA, 0, &ipa), -ENOENT);
	assert_int_equal(guest_translate(&g, ~0u, IOVA, 0, &ipa), -ENOENT);
	guest_start(&g, true);
	/* An entry that is not valid. */
	assert_int_equal(db_vsmmu_translate(g.vsmmu, SID, 0, IOVA, DB_VSMMU_WRITE, &out), -EFAULT);
	assert_int_equal(out.event, SMMU_EVT_C_BAD_STE);
	assert_int_equal(guest_events(&g), 1);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_EVENTQ], 1);
	guest_event(&g, event);
	assert_int_equal(event[0], SMMU_EVT_C_BAD_STE | (uint64_t)SID << 32);
	/* Only asked: no record. */
	assert_int_equal(guest_translate(&g, SID, IOVA, DB_VSMMU_QUIET, &ipa), -EFAULT);
	assert_int_equal(guest_events(&g), 0);
	stream_init(&s, &g, SID, 12, ASID);
	assert_int_equal(guest_translate(&g, SID, IOVA, DB_VSMMU_WRITE | DB_VSMMU_PRIV, &ipa),
			 -EFAULT);
	guest_event(&g, event);
	assert_int_equal(event[0], SMMU_EVT_F_TRANSLATION | (uint64_t)SID << 32);
	assert_true(event[1] & SMMU_EVT_1_PNU);
	assert_false(event[1] & SMMU_EVT_1_RNW);
	assert_int_equal(event[2], IOVA);
	stream_map(&s, IOVA, PAGE, 4096);
	assert_int_equal(db_vsmmu_translate(g.vsmmu, SID, 0, IOVA + 0x123, DB_VSMMU_WRITE, &out),
			 0);
	assert_int_equal(out.address, PAGE + 0x123);
	assert_int_equal(out.page_size, 4096);
	assert_int_equal(guest_translate(&g, SID, IOVA, DB_VSMMU_EXEC, &ipa), -EFAULT);
	assert_int_equal(db_vsmmu_translate(g.vsmmu, SID, 3, IOVA, DB_VSMMU_SSID, &out), -EFAULT);
	assert_int_equal(out.event, SMMU_EVT_C_BAD_SUBSTREAMID);
	/* Off again. */
	guest_write(&g, SMMU_CR0, 0);
	assert_int_equal(guest_translate(&g, SID, IOVA, 0, &ipa), -EFAULT);
	guest_write(&g, SMMU_GBPA, SMMU_GBPA_UPDATE);
	assert_int_equal(guest_translate(&g, SID, IOVA, 0, &ipa), 0);
	assert_int_equal(ipa, IOVA);
	guest_fini(&g);
}

/* StreamIDs beyond the table are recorded where CR2 says so. */
static void test_bad_stream(void **state)
{
	struct db_vsmmu_translation out = { .size = sizeof(out) };
	unsigned int rec;
	struct guest g;

	(void)state;
	open_guest(&g, &guest_ops);
	assert_int_equal(db_vsmmu_add_emulated(g.vsmmu, 1 << STRTAB_LOG2), 0);
	for (rec = 0; rec < 2; rec++) {
		guest_write(&g, SMMU_CR0, 0);
		guest_write(&g, SMMU_CR2, rec ? SMMU_CR2_RECINVSID : 0);
		guest_start(&g, true);
		assert_int_equal(db_vsmmu_translate(g.vsmmu, 1 << STRTAB_LOG2, 0, IOVA, 0, &out),
				 -EFAULT);
		assert_int_equal(out.event, SMMU_EVT_C_BAD_STREAMID);
		assert_int_equal(guest_events(&g), rec);
	}
	/* Beyond what there are. */
	assert_int_equal(db_vsmmu_add_emulated(g.vsmmu, 1 << 16), -EINVAL);
	assert_int_equal(db_vsmmu_add_emulated(g.vsmmu, SID), -EEXIST);
	db_vsmmu_remove_emulated(g.vsmmu, SID);
	db_vsmmu_remove_emulated(g.vsmmu, SID);
	assert_int_equal(guest_translate(&g, SID, IOVA, 0, &out.address), -ENOENT);
	guest_fini(&g);
}

static void test_two_level(void **state)
{
	uint64_t ipa, table;
	struct stream s;
	struct guest g;
	unsigned int i;

	(void)state;
	open_guest(&g, &guest_ops);
	guest_start(&g, false);
	guest_write(&g, SMMU_STRTAB_BASE_CFG, 9 | 6 << 6 | 1 << 16);
	stream_init(&s, &g, SID, 12, ASID);
	stream_map(&s, IOVA, PAGE, 4096);
	/* The linear table's entries move to a second level for StreamIDs 0x40 to 0x47. */
	table = guest_alloc(&g, 512);
	for (i = 0; i < 8; i++) {
		guest_put(&g, table + 64 + i * 8, s.ste[i]);
		guest_put(&g, STRTAB_IPA + i * 8, i == 1 ? table | 4 : 0);
	}
	assert_int_equal(db_vsmmu_add_emulated(g.vsmmu, 0x41), 0);
	assert_int_equal(db_vsmmu_add_emulated(g.vsmmu, 0x48), 0);
	guest_write(&g, SMMU_CR0, SMMU_CR0_WRITABLE);
	assert_int_equal(guest_translate(&g, 0x41, IOVA, 0, &ipa), 0);
	assert_int_equal(ipa, PAGE);
	assert_int_equal(guest_translate(&g, 0x48, IOVA, 0, &ipa), -EFAULT);
	assert_int_equal(guest_translate(&g, SID, IOVA, 0, &ipa), -EFAULT);
	guest_fini(&g);
}

/* What is cached stays until it is invalidated, and by what is meant for it only. */
static void test_invalidation(void **state)
{
	static const struct {
		uint64_t cmd[2];
		bool drops;
		uint64_t first, last;
		bool any_asid;
	} cases[] = {
		{ { CMD_TLBI_VA, IOVA + 0x1000 }, false, IOVA + 0x1000, IOVA + 0x1fff, false },
		{ { CMD_TLBI_VA ^ 1ull << 48, IOVA }, false, IOVA, IOVA + 0xfff, false },
		{ { CMD_TLBI_VA, IOVA | 1 }, true, IOVA, IOVA + 0xfff, false },
		{ { SMMU_CMD_OP_TLBI_NH_VAA, IOVA }, true, IOVA, IOVA + 0xfff, true },
		{ { CMD_TLBI_VA | 3 << 12 | 1 << 20, (IOVA - 0x6000) | 1 << 10 }, true,
		  IOVA - 0x6000, IOVA + 0x1fff, false },
		{ { SMMU_CMD_OP_TLBI_NH_ASID | (ASID + 1ull) << 48 }, false, 0, ~0ull, false },
		{ { SMMU_CMD_OP_TLBI_NH_ASID | (uint64_t)ASID << 48 }, true, 0, ~0ull, false },
		{ { SMMU_CMD_OP_TLBI_NH_ALL }, true, 0, ~0ull, true },
		{ { SMMU_CMD_OP_TLBI_NSNH_ALL }, true, 0, ~0ull, true },
	};
	struct stream s;
	struct guest g;
	uint64_t ipa, freed;
	unsigned int i;

	(void)state;
	open_guest(&g, &guest_ops);
	guest_start(&g, true);
	stream_init(&s, &g, SID, 12, ASID);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		stream_map(&s, IOVA, PAGE, 4096);
		assert_int_equal(guest_translate(&g, SID, IOVA, 0, &ipa), 0);
		assert_int_equal(vmsa_unmap(&s.table, IOVA, 4096, &freed), 0);
		assert_int_equal(guest_translate(&g, SID, IOVA, 0, &ipa), 0);
		g.invalidations = 0;
		guest_do(&g, cases[i].cmd[0], cases[i].cmd[1]);
		assert_int_equal(guest_translate(&g, SID, IOVA, DB_VSMMU_QUIET, &ipa),
				 cases[i].drops ? -EFAULT : 0);
		/* Those who cache are told. */
		assert_int_equal(g.invalidations, 1);
		assert_int_equal(g.last.size, sizeof(g.last));
		assert_int_equal(g.last.first, cases[i].first);
		assert_int_equal(g.last.last, cases[i].last);
		assert_int_equal(g.last.any_asid, cases[i].any_asid);
		assert_int_equal(g.last.first_sid, 0);
		assert_int_equal(g.last.last_sid, ~0u);
		guest_do(&g, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	}
	guest_fini(&g);
}

static void test_config_invalidation(void **state)
{
	static const struct {
		uint64_t cmd[2];
		uint32_t first, last;
		bool drops;
	} cases[] = {
		{ { CMD_CFGI_STE(SID + 1), 1 }, SID + 1, SID + 1, false },
		{ { CMD_CFGI_STE(SID), 1 }, SID, SID, true },
		{ { SMMU_CMD_OP_CFGI_STE_RANGE | (SID ^ 1ull) << 32, 2 }, 8, 15, true },
		{ { SMMU_CMD_OP_CFGI_STE_RANGE | 16ull << 32, 2 }, 16, 23, false },
		{ { SMMU_CMD_OP_CFGI_STE_RANGE, 31 }, 0, ~0u, true },
		{ { SMMU_CMD_OP_CFGI_CD | (uint64_t)SID << 32, 1 }, SID, SID, false },
		{ { SMMU_CMD_OP_CFGI_CD_ALL | (uint64_t)SID << 32 }, SID, SID, true },
	};
	uint64_t ipa, none[8] = { 0 };
	struct stream s;
	struct guest g;
	unsigned int i;

	(void)state;
	open_guest(&g, &guest_ops);
	guest_start(&g, true);
	stream_init(&s, &g, SID, 12, ASID);
	stream_map(&s, IOVA, PAGE, 4096);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		guest_set_ste(&g, SID, s.ste);
		guest_do(&g, CMD_CFGI_STE(SID), 1);
		assert_int_equal(guest_translate(&g, SID, IOVA, 0, &ipa), 0);
		guest_set_ste(&g, SID, none);
		assert_int_equal(guest_translate(&g, SID, IOVA, 0, &ipa), 0);
		guest_do(&g, cases[i].cmd[0], cases[i].cmd[1]);
		assert_int_equal(g.last.first_sid, cases[i].first);
		assert_int_equal(g.last.last_sid, cases[i].last);
		/* Model: what is cached of a CD has its STE with it. */
		if ((cases[i].cmd[0] & 0xff) != SMMU_CMD_OP_CFGI_CD)
			assert_int_equal(guest_translate(&g, SID, IOVA, DB_VSMMU_QUIET, &ipa),
					 cases[i].drops ? -EFAULT : 0);
	}
	guest_fini(&g);
}

static void test_sync(void **state)
{
	struct guest g;
	unsigned int i;

	(void)state;
	open_guest(&g, &guest_msi_ops);
	guest_start(&g, true);
	/* None, wired, an event for CPUs, MSI. */
	guest_do(&g, SMMU_CMD_OP_SYNC, 0);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC] + g.msis, 0);
	guest_do(&g, CMD_SYNC_IRQ, 0);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 1);
	guest_do(&g, SMMU_CMD_OP_SYNC | 2 << 12, 0);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 1);
	guest_do(&g, CMD_SYNC_IRQ | 0x1234ull << 32, 0x8090040);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 1);
	assert_int_equal(g.msis, 1);
	assert_int_equal(g.msi_address, 0x8090040);
	assert_int_equal(g.msi_data, 0x1234);
	/* Many at a time, over the end of the queue, and a full one. */
	for (i = 0; i < 512; i++)
		guest_command(&g, i % 4 ? CMD_TLBI_VA : CMD_SYNC_IRQ, 0);
	assert_int_equal(guest_kick(&g), 0);
	assert_int_equal(guest_read(&g, SMMU_CMDQ_CONS), g.prod);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 129);
	/* Hints. */
	guest_do(&g, SMMU_CMD_OP_PREFETCH_CONFIG | 1 << 11 | 5ull << 32, 77);
	guest_do(&g, SMMU_CMD_OP_PREFETCH_ADDR | 5ull << 32, 0x1000);
	/* An MSI that does not arrive. */
	g.msi_fails = true;
	guest_do(&g, CMD_SYNC_IRQ, 0x1000);
	assert_int_equal(guest_read(&g, SMMU_GERROR), SMMU_GERROR_MSI_CMDQ_ABT);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_GERROR], 1);
	guest_fini(&g);
}

static void test_command_error(void **state)
{
	struct guest g;
	uint32_t bad;

	(void)state;
	open_guest(&g, &guest_ops);
	guest_start(&g, true);
	guest_command(&g, CMD_SYNC_IRQ, 0);
	bad = g.prod;
	guest_command(&g, SMMU_CMD_OP_TLBI_S2_IPA, 0);
	guest_command(&g, CMD_SYNC_IRQ, 0);
	assert_int_equal(guest_kick(&g), -EIO);
	assert_non_null(strstr(db_error_message(), "illegal"));
	/* CONS at the command, the SYNC before it complete, the one after it not. */
	assert_int_equal(guest_read(&g, SMMU_CMDQ_CONS), bad | SMMU_CERROR_ILL << 24);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 1);
	assert_int_equal(guest_read(&g, SMMU_GERROR), SMMU_GERROR_CMDQ);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_GERROR], 1);
	/* Nothing moves until it is acknowledged; it cannot be made by acknowledging. */
	assert_int_equal(guest_kick(&g), 0);
	assert_int_equal(guest_write(&g, SMMU_GERRORN, 0xfe), 0);
	assert_int_equal(guest_read(&g, SMMU_GERRORN), 0);
	assert_int_equal(guest_read(&g, SMMU_CMDQ_CONS) & 0xfffff, bad);
	/* Acknowledged without a repair: again. */
	assert_int_equal(guest_write(&g, SMMU_GERRORN, SMMU_GERROR_CMDQ), -EIO);
	assert_int_equal(guest_read(&g, SMMU_GERROR), 0);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_GERROR], 2);
	/* Repaired as Linux does, by a CMD_SYNC in its place. */
	guest_put(&g, CMDQ_IPA + bad * 16, SMMU_CMD_OP_SYNC);
	assert_int_equal(guest_write(&g, SMMU_GERRORN, 0), 0);
	assert_int_equal(guest_read(&g, SMMU_CMDQ_CONS) & 0xfffff, g.prod);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 2);
	/* A queue that is not all in memory. */
	g.hole = CMDQ_IPA + (g.prod + 2) * 16;
	g.hole_size = 16;
	guest_command(&g, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	guest_command(&g, CMD_SYNC_IRQ, 0);
	bad = g.prod;
	guest_command(&g, CMD_SYNC_IRQ, 0);
	assert_int_equal(guest_kick(&g), -EFAULT);
	assert_int_equal(guest_read(&g, SMMU_CMDQ_CONS), bad | SMMU_CERROR_ABT << 24);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 3);
	g.hole_size = 0;
	assert_int_equal(guest_write(&g, SMMU_GERRORN, SMMU_GERROR_CMDQ), 0);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 4);
	/* Disabled: nothing is consumed; enabled: what has come meanwhile. */
	guest_write(&g, SMMU_CR0, 0);
	guest_command(&g, CMD_SYNC_IRQ, 0);
	assert_int_equal(guest_kick(&g), 0);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 4);
	assert_int_equal(guest_write(&g, SMMU_CR0, SMMU_CR0_CMDQEN), 0);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_SYNC], 5);
	guest_fini(&g);
}

static void fault(struct guest *g)
{
	uint64_t ipa;

	assert_int_equal(guest_translate(g, SID, IOVA, 0, &ipa), -EFAULT);
}

static void test_event_queue(void **state)
{
	uint64_t event[4];
	struct guest g;
	unsigned int i;

	(void)state;
	open_guest(&g, &guest_msi_ops);
	guest_write64(&g, SMMU_EVENTQ_IRQ_CFG0, 0x8090040);
	guest_write(&g, SMMU_EVENTQ_IRQ_CFG1, 3);
	guest_start(&g, true);
	fault(&g);
	assert_int_equal(g.msi_address, 0x8090040);
	assert_int_equal(g.msi_data, 3);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_EVENTQ], 0);
	for (i = 1; i < 512; i++)
		fault(&g);
	assert_int_equal(guest_read(&g, SMMU_EVENTQ_PROD), 512);
	/* Full: the flag says that some are lost, until acknowledged. */
	fault(&g);
	assert_int_equal(guest_read(&g, SMMU_EVENTQ_PROD), 512 | SMMU_EVENTQ_OVERFLOW);
	fault(&g);
	assert_int_equal(guest_read(&g, SMMU_EVENTQ_PROD), 512 | SMMU_EVENTQ_OVERFLOW);
	assert_int_equal(g.msis, 512);
	guest_event(&g, event);
	fault(&g);
	assert_int_equal(guest_read(&g, SMMU_EVENTQ_PROD), 513 | SMMU_EVENTQ_OVERFLOW);
	guest_write(&g, SMMU_EVENTQ_CONS, 1 | SMMU_EVENTQ_OVERFLOW);
	fault(&g);
	assert_int_equal(guest_read(&g, SMMU_EVENTQ_PROD), 513);
	guest_write(&g, SMMU_EVENTQ_CONS, 513);
	for (i = 0; i < 20; i++)
		fault(&g);
	assert_int_equal(guest_events(&g), 20);
	/* A CONS that no queue can have: as if full. */
	guest_write(&g, SMMU_EVENTQ_CONS, 1023);
	fault(&g);
	assert_int_equal(guest_read(&g, SMMU_EVENTQ_PROD) & 0x3ff, 533);
	/* Interrupts off, then the queue off. */
	guest_write(&g, SMMU_EVENTQ_CONS, guest_read(&g, SMMU_EVENTQ_PROD));
	guest_write(&g, SMMU_IRQ_CTRL, 0);
	g.msis = 0;
	fault(&g);
	assert_int_equal(g.msis, 0);
	assert_int_equal(guest_events(&g), 1);
	guest_write(&g, SMMU_CR0, SMMU_CR0_SMMUEN);
	fault(&g);
	assert_int_equal(guest_events(&g), 1);
	/* Not in memory. */
	guest_write(&g, SMMU_CR0, SMMU_CR0_SMMUEN | SMMU_CR0_EVENTQEN);
	guest_write(&g, SMMU_IRQ_CTRL, SMMU_IRQ_CTRL_GERROR);
	g.hole = EVENTQ_IPA;
	g.hole_size = 0x4000;
	fault(&g);
	assert_int_equal(guest_read(&g, SMMU_GERROR), SMMU_GERROR_EVENTQ_ABT);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_GERROR], 1);
	fault(&g);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_GERROR], 1);
	guest_write(&g, SMMU_GERRORN, SMMU_GERROR_EVENTQ_ABT);
	/* Nor does the MSI that says so arrive. */
	guest_write(&g, SMMU_IRQ_CTRL, 0);
	guest_write64(&g, SMMU_GERROR_IRQ_CFG0, 0x8090040);
	guest_write(&g, SMMU_IRQ_CTRL, SMMU_IRQ_CTRL_GERROR);
	g.msi_fails = true;
	fault(&g);
	assert_int_equal(guest_read(&g, SMMU_GERROR) ^ guest_read(&g, SMMU_GERRORN),
			 SMMU_GERROR_EVENTQ_ABT | SMMU_GERROR_MSI_GERROR_ABT);
	guest_fini(&g);
}

static void irq_that_reads(void *ctx, enum db_vsmmu_irq which)
{
	struct guest *g = ctx;

	g->irqs[which] += guest_read(g, SMMU_EVENTQ_PROD);
}

/* The interrupt of a fault comes without a lock: what the VMM does then may wait for a CPU that is
 * at a register. */
static void test_interrupt_reads(void **state)
{
	struct db_vsmmu_ops ops = guest_ops;
	struct guest g;

	(void)state;
	ops.irq = irq_that_reads;
	open_guest(&g, &ops);
	guest_start(&g, true);
	fault(&g);
	assert_int_equal(g.irqs[DB_VSMMU_IRQ_EVENTQ], 1);
	guest_fini(&g);
}

static void test_eventfds(void **state)
{
	struct db_vsmmu_ops ops = guest_ops;
	int fds[DB_VSMMU_IRQS];
	struct db_vsmmu_config config = { .size = sizeof(config), .ops = &ops, .irq_fds = fds };
	eventfd_t count;
	struct guest g;
	unsigned int i;

	(void)state;
	ops.irq = NULL;
	ops.invalidated = NULL;
	for (i = 0; i < DB_VSMMU_IRQS; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guest_init(&g);
	guest_create(&g, &config);
	assert_int_equal(db_vsmmu_add_emulated(g.vsmmu, SID), 0);
	guest_start(&g, true);
	fault(&g);
	guest_command(&g, CMD_SYNC_IRQ, 0);
	guest_command(&g, 0xff, 0);
	assert_int_equal(guest_kick(&g), -EIO);
	for (i = 0; i < DB_VSMMU_IRQS; i++) {
		assert_int_equal(eventfd_read(fds[i], &count), 0);
		assert_int_equal(count, 1);
		close(fds[i]);
	}
	guest_fini(&g);
}

static void test_save(void **state)
{
	uint64_t saved[128], again[128], ipa, bad[128];
	struct db_vsmmu_config config = { .size = sizeof(config), .sid_bits = 8 };
	struct db_vsmmu *small;
	struct stream s;
	struct guest g;
	size_t len, i;

	(void)state;
	open_guest(&g, &guest_ops);
	guest_start(&g, true);
	stream_init(&s, &g, SID, 12, ASID);
	stream_map(&s, IOVA, PAGE, 4096);
	guest_command(&g, SMMU_CMD_OP_TLBI_EL2_ALL, 0);
	assert_int_equal(guest_kick(&g), -EIO);
	len = db_vsmmu_save(g.vsmmu, NULL, 0);
	assert_in_range(len, 64, sizeof(saved));
	assert_int_equal(db_vsmmu_save(g.vsmmu, saved, sizeof(saved)), len);
	/* Into another one. */
	db_vsmmu_destroy(g.vsmmu);
	guest_create(&g, NULL);
	assert_int_equal(db_vsmmu_add_emulated(g.vsmmu, SID), 0);
	g.invalidations = 0;
	assert_int_equal(db_vsmmu_restore(g.vsmmu, saved, len), 0);
	assert_int_equal(g.invalidations, 1);
	db_vsmmu_save(g.vsmmu, again, sizeof(again));
	assert_memory_equal(saved, again, len);
	assert_int_equal(guest_translate(&g, SID, IOVA, 0, &ipa), 0);
	assert_int_equal(ipa, PAGE);
	/* The error is still there, and repaired. */
	guest_put(&g, CMDQ_IPA + ((g.prod - 1) & 511) * 16, SMMU_CMD_OP_SYNC);
	guest_write(&g, SMMU_GERRORN, guest_read(&g, SMMU_GERROR));
	assert_int_equal(guest_read(&g, SMMU_CMDQ_CONS) & 0xfffff, g.prod);
	/* What is not such a state changes nothing. */
	db_vsmmu_save(g.vsmmu, again, sizeof(again));
	assert_int_equal(db_vsmmu_restore(g.vsmmu, saved, len - 8), -EINVAL);
	assert_int_equal(db_vsmmu_restore(g.vsmmu, saved, len + 8), -EINVAL);
	assert_int_equal(db_vsmmu_restore(g.vsmmu, saved, 0), -EINVAL);
	for (i = 0; i < len / 8; i++) {
		memcpy(bad, saved, len);
		bad[i] ^= 1ull << 63;
		assert_true(db_vsmmu_restore(g.vsmmu, bad, len) < 0);
	}
	db_vsmmu_save(g.vsmmu, bad, sizeof(bad));
	assert_memory_equal(again, bad, len);
	/* Into one that is another to the guest. */
	config.ops = &guest_ops;
	config.ctx = &g;
	assert_int_equal(db_vsmmu_create(&config, &small), 0);
	assert_int_equal(db_vsmmu_restore(small, saved, len), -EOPNOTSUPP);
	db_vsmmu_destroy(small);
	/* A short buffer gets what fits. */
	memset(bad, 0xee, sizeof(bad));
	assert_int_equal(db_vsmmu_save(g.vsmmu, bad, 16), len);
	assert_memory_equal(bad, saved, 16);
	assert_int_equal(bad[2], 0xeeeeeeeeeeeeeeee);
	guest_fini(&g);
}

/* A guest that writes anything anywhere. Bounded: each write reads no more than a queue. */
static void test_hostile(void **state)
{
	struct guest g;
	unsigned int i, before;
	uint64_t x = 88172645463325252ull, ipa;

	(void)state;
	open_guest(&g, &guest_msi_ops);
	for (i = 0; i < RAM_SIZE / 8; i += 3)
		((uint64_t *)g.ram)[i] = i * 0x9e3779b97f4a7c15ull;
	guest_start(&g, true);
	for (i = 0; i < 20000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		before = atomic_load(&g.reads);
		if (i % 8 == 0)
			db_vsmmu_mmio_write(g.vsmmu, x % 0xc0 & ~3ull, x & 64 ? 8 : 4, x >> 3);
		else if (i % 8 == 1)
			guest_write(&g, SMMU_CR0, x >> 8);
		else if (i % 8 == 2)
			guest_write64(&g, i & 8 ? SMMU_CMDQ_BASE : SMMU_STRTAB_BASE,
				      RAM_IPA | (x & 0xffffff));
		else if (i % 8 == 3)
			guest_write(&g, SMMU_GERRORN, guest_read(&g, SMMU_GERROR));
		else if (i % 8 == 4)
			guest_write(&g, SMMU_CMDQ_PROD, x);
		else
			guest_translate(&g, SID, x >> (x & 31), x & 15, &ipa);
		assert_in_range(atomic_load(&g.reads) - before, 0, 1200);
	}
	assert_int_equal(db_vsmmu_reset(g.vsmmu), 0);
	guest_start(&g, true);
	guest_do(&g, SMMU_CMD_OP_TLBI_NSNH_ALL, 0);
	guest_fini(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_refused),
		cmocka_unit_test(test_idr),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_locked_registers),
		cmocka_unit_test(test_translate),
		cmocka_unit_test(test_bad_stream),
		cmocka_unit_test(test_two_level),
		cmocka_unit_test(test_invalidation),
		cmocka_unit_test(test_config_invalidation),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_command_error),
		cmocka_unit_test(test_event_queue),
		cmocka_unit_test(test_interrupt_reads),
		cmocka_unit_test(test_eventfds),
		cmocka_unit_test(test_save),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
