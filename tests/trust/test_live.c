/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of translation while interrupts and DMA flow: the guest moves the MSI page in stage 1,
 * replaces STEs and CDs; the VMM moves the doorbell in stage 2, and maps and unmaps memory.
 * Whatever is changed in an order that a careful guest uses, every interrupt arrives once, on its
 * vector, and every copy succeeds. TRUST_MILLIONS says how many interrupts each test has.
 */
#include "live.h"

#include <string.h>
#include <sys/mman.h>

#include "arm/smmu_build.h"
#include "arm/smmu_regs.h"

#define MILLIONS 0.05

#define OTHER_PAGE 0xfffffe000000ull /* the MSI page's other gIOVA */
#define OTHER_DOORBELL_IPA 0x20190000ull
#define OTHER_ASID 6
#define SPARE_IPA 0x90000000ull
#define SPARE_SIZE (64u << 10)
#define CD_POINTER 0x000fffffffffffc0ull

struct scene {
	struct live_host host;
	struct live l; /* first two: begin() and end() */
	uint64_t page; /* gIOVA of the MSI page in use */
	uint64_t doorbell_ipa; /* that stage 1 leads to */
	struct vmsa_table other; /* stage 1 of the other CD */
	uint64_t other_ste[8];
};

static void begin(struct scene *s)
{
	static const char *const addresses[] = { LIVE_FIRST, LIVE_SECOND };

	memset(s, 0, sizeof(*s));
	live_host_begin(&s->host, "");
	live_open(&s->l, &s->host, addresses, 2, true);
	s->page = VM_GIOVA_PAGE;
	s->doorbell_ipa = VM_DOORBELL_IPA;
	/* What holds with stage 1 and without, wherever the doorbell is. */
	live_map(&s->l, VM_DOORBELL_IPA, VM_DOORBELL_IPA, VMSA_WRITE | VMSA_DEVICE);
	live_map(&s->l, OTHER_DOORBELL_IPA, OTHER_DOORBELL_IPA, VMSA_WRITE | VMSA_DEVICE);
	live_start(&s->l);
}

static void end(struct scene *s)
{
	live_stop(&s->l);
	print_message("# %u changes, %lu interrupts\n", s->l.changes,
		      (unsigned long)live_taken(&s->l));
	live_close(&s->l);
	live_host_end(&s->host);
}

static uint8_t *cd_of(struct scene *s, const uint64_t ste[8])
{
	return s->l.vm.ram + ((ste[0] & CD_POINTER) - VM_RAM_IPA);
}

/* --- Changes that nobody notices --- */

/* The MSI page gets another gIOVA: map there, tell the devices, and only then unmap here. */
static void move_page(struct scene *s)
{
	uint64_t to = s->page == OTHER_PAGE ? VM_GIOVA_PAGE : OTHER_PAGE;

	live_map(&s->l, to, s->doorbell_ipa, VMSA_WRITE | VMSA_DEVICE);
	live_program(&s->l, to | 0x40);
	live_unmap(&s->l, s->page);
	s->page = to;
}

/* One vector of one device at a time, between two pages that both lead to the doorbell. */
static void move_vectors(struct scene *s)
{
	struct vm_device *d = &s->l.vm.devices[s->l.changes % s->l.vm.n_devices];
	uint64_t address = (s->l.changes / 2 % 2 ? s->page : s->doorbell_ipa) | 0x40;

	for (unsigned int i = 0; i < LIVE_VECTORS; i++) {
		unsigned int v = (s->l.changes + 3 * i) % LIVE_VECTORS;
		struct db_msi_vector vector = { address, d->eventfds[v] };

		assert_int_equal(db_msi_set(d->msi, v, 1, &vector), 0);
	}
}

/* The VMM has the doorbell at another IPA: mapped there first, the guest's stage 1 follows, then
 * the old one goes. */
static void move_doorbell(struct scene *s)
{
	uint64_t to = s->doorbell_ipa == VM_DOORBELL_IPA ? OTHER_DOORBELL_IPA : VM_DOORBELL_IPA,
		 from = s->doorbell_ipa;

	for (unsigned int n = 0; n < s->l.vm.n_devices; n++)
		if (db_space_map_doorbell(s->l.vm.space, s->l.vm.devices[n].dev, to))
			fail_msg("%s", db_error_message());
	s->doorbell_ipa = to;
	move_page(s);
	/* Each of the two was mapped by db_msi_create() or here, once for each device. */
	for (unsigned int n = 0; n < s->l.vm.n_devices; n++)
		assert_int_equal(
			db_space_unmap_doorbell(s->l.vm.space, s->l.vm.devices[n].dev, from), 0);
}

/* The same CD at another address, and back. */
static void replace_ste(struct scene *s)
{
	struct vm *vm = &s->l.vm;
	struct db_device *dev = vm->devices[s->l.changes % vm->n_devices].dev;
	uint64_t ste[8], to;

	assert_int_equal(vm->s1.table.alloc(vm->s1.table.ctx, 64, &to), 0);
	memcpy(ste, vm->s1.ste, sizeof(ste));
	ste[0] = (ste[0] & ~CD_POINTER) | to;
	memcpy(cd_of(s, ste), cd_of(s, vm->s1.ste), 64);
	assert_int_equal(db_viommu_install_ste(vm->viommu, dev, ste), 0);
	assert_int_equal(db_viommu_install_ste(vm->viommu, dev, vm->s1.ste), 0);
	vm->s1.used -= 64; /* nobody uses it any more */
}

/* The guest's kernel takes stage 1 away and puts it back: what it uses is where it is in both. */
static void bypass(struct scene *s)
{
	uint64_t ste[8];

	smmu_ste_bypass(ste);
	live_program(&s->l, s->doorbell_ipa | 0x40);
	live_install(&s->l, ste);
	live_await_rings(&s->l, 2);
	live_install(&s->l, s->l.vm.s1.ste);
	live_program(&s->l, s->page | 0x40);
}

/* A CD with tables and an ASID of its own, which map what the other maps. */
static void make_other_cd(struct scene *s)
{
	struct vm *vm = &s->l.vm;
	struct smmu_cd_table ttb0;
	uint64_t cd;

	s->other = vm->s1.table;
	s->other.root = 0;
	assert_int_equal(vmsa_table_init(&s->other), 0);
	assert_int_equal(
		vmsa_map(&s->other, VM_RAM_IPA, VM_RAM_IPA, VM_RAM_SIZE, VMSA_READ | VMSA_WRITE),
		0);
	assert_int_equal(vmsa_map(&s->other, VM_DOORBELL_IPA, VM_DOORBELL_IPA, 4096,
				  VMSA_WRITE | VMSA_DEVICE),
			 0);
	assert_int_equal(vmsa_map(&s->other, OTHER_DOORBELL_IPA, OTHER_DOORBELL_IPA, 4096,
				  VMSA_WRITE | VMSA_DEVICE),
			 0);
	assert_int_equal(vm->s1.table.alloc(vm->s1.table.ctx, 64, &cd), 0);
	memcpy(s->other_ste, vm->s1.ste, sizeof(s->other_ste));
	s->other_ste[0] = (s->other_ste[0] & ~CD_POINTER) | cd;
	ttb0 = (struct smmu_cd_table){ s->other.format, s->other.root };
	smmu_cd_build((uint64_t *)cd_of(s, s->other_ste),
		      &(struct smmu_cd){ .ttb0 = &ttb0, .asid = OTHER_ASID });
}

/* What is not in use is wrecked: whoever still followed it would find nothing. */
static void other_cd(struct scene *s)
{
	uint64_t *root, saved[512];

	if (!s->other.root)
		make_other_cd(s);
	live_program(&s->l, s->doorbell_ipa | 0x40);
	live_install(&s->l, s->other_ste);
	root = (uint64_t *)(s->l.vm.ram + (s->l.vm.s1.table.root - VM_RAM_IPA));
	for (unsigned int i = 0; i < 512; i++)
		saved[i] = __atomic_exchange_n(&root[i], 0, __ATOMIC_RELAXED);
	live_await_rings(&s->l, 2);
	for (unsigned int i = 0; i < 512; i++)
		__atomic_store_n(&root[i], saved[i], __ATOMIC_RELEASE);
	live_install(&s->l, s->l.vm.s1.ste);
	live_program(&s->l, s->page | 0x40);
}

/* Memory comes and goes elsewhere in the space. */
static void remap_memory(struct scene *s)
{
	void *va = mmap(NULL, SPARE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	assert_true(va != MAP_FAILED);
	assert_int_equal(db_space_map(s->l.vm.space, SPARE_IPA, va, SPARE_SIZE, DB_READ | DB_WRITE),
			 0);
	assert_int_equal(db_space_unmap(s->l.vm.space, SPARE_IPA, SPARE_SIZE), 0);
	munmap(va, SPARE_SIZE);
}

static void invalidate_everything(struct scene *s)
{
	const uint64_t cmds[2][2] = {
		{ SMMU_CMD_OP_TLBI_NSNH_ALL, 0 },
		{ SMMU_CMD_OP_TLBI_NH_ASID | FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, LIVE_ASID), 0 }
	};

	live_commands(&s->l, cmds, 2);
}

typedef void (*change_fn)(struct scene *s);

static void under(const change_fn *changes, unsigned int n)
{
	uint64_t wanted = live_wanted(MILLIONS);
	static struct scene s; /* a failed test leaves its threads behind */

	begin(&s);
	while (live_taken(&s.l) < wanted && !s.l.ringers[0].wrong && !s.l.ringers[1].wrong) {
		changes[s.l.changes % n](&s);
		s.l.changes++;
	}
	end(&s);
}

#define UNDER(change)                                                                              \
	static void under_##change(void **state)                                                   \
	{                                                                                          \
		static const change_fn changes[] = { change };                                     \
                                                                                                   \
		(void)state;                                                                       \
		under(changes, 1);                                                                 \
	}

UNDER(move_page)
UNDER(move_vectors)
UNDER(move_doorbell)
UNDER(replace_ste)
UNDER(bypass)
UNDER(other_cd)
UNDER(remap_memory)
UNDER(invalidate_everything)

static void under_all(void **state)
{
	static const change_fn changes[] = {
		move_page,    replace_ste, invalidate_everything, move_doorbell,
		remap_memory, bypass,	   move_vectors,	  move_page,
		other_cd,     replace_ste, remap_memory,
	};

	(void)state;
	under(changes, sizeof(changes) / sizeof(*changes));
}

/* --- No access through an old translation --- */

#define WINDOW 0xfffffd000000ull /* gIOVA that the devices write to */
#define TARGET(n) (VM_BUFFERS + 0x40000 + (n)*0x1000)

/* Once the change has returned no device writes here any more, though all try. */
static void assert_out_of_reach(struct live *l, uint8_t *page)
{
	memset(page, 0x5a, 4096);
	live_await_copies(l, 3);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(page[i], 0x5a);
}

/* All devices do write to @page, and have just done so. */
static void assert_in_reach(struct live *l, uint8_t *page)
{
	uint64_t mark;

	live_await_copies(l, 3);
	for (unsigned int n = 0; n < l->vm.n_devices; n++) {
		__atomic_store_n((uint64_t *)(page + n * 64), 0, __ATOMIC_RELAXED);
		live_await_copies(l, 3);
		mark = __atomic_load_n((uint64_t *)(page + n * 64), __ATOMIC_RELAXED);
		assert_int_not_equal(mark, 0);
	}
}

/* Stage 1 leads elsewhere, without a moment of nothing in between for odd changes. */
static void window_in_stage_1(struct scene *s)
{
	struct live *l = &s->l;
	unsigned int n = l->changes % 4;
	uint64_t ipa = VM_RAM_IPA + TARGET(n);

	live_map(l, WINDOW, ipa, VMSA_READ | VMSA_WRITE);
	assert_in_reach(l, l->vm.ram + TARGET(n));
	live_unmap(l, WINDOW);
	assert_out_of_reach(l, l->vm.ram + TARGET(n));
}

/* Right taken away, not the page: a write through an old permission is one through an old
 * translation. */
static void window_read_only(struct scene *s)
{
	struct live *l = &s->l;

	live_map(l, WINDOW, VM_RAM_IPA + TARGET(0), VMSA_READ | VMSA_WRITE);
	assert_in_reach(l, l->vm.ram + TARGET(0));
	live_unmap(l, WINDOW);
	live_map(l, WINDOW, VM_RAM_IPA + TARGET(0), VMSA_READ);
	assert_out_of_reach(l, l->vm.ram + TARGET(0));
	live_unmap(l, WINDOW);
}

static void window_in_stage_2(struct scene *s)
{
	struct live *l = &s->l;
	uint8_t *va = mmap(NULL, SPARE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	assert_true(va != MAP_FAILED);
	live_map(l, WINDOW, SPARE_IPA, VMSA_READ | VMSA_WRITE);
	assert_int_equal(db_space_map(l->vm.space, SPARE_IPA, va, SPARE_SIZE, DB_READ | DB_WRITE),
			 0);
	assert_in_reach(l, va);
	assert_int_equal(db_space_unmap(l->vm.space, SPARE_IPA, SPARE_SIZE), 0);
	assert_out_of_reach(l, va);
	munmap(va, SPARE_SIZE);
	live_unmap(l, WINDOW);
}

/* An STE that aborts; then one of another CD, whose tables do not have the window. */
static void window_and_ste(struct scene *s)
{
	struct live *l = &s->l;
	uint64_t abort[8];

	if (!s->other.root)
		make_other_cd(s);
	smmu_ste_abort(abort);
	live_map(l, WINDOW, VM_RAM_IPA + TARGET(0), VMSA_READ | VMSA_WRITE);
	assert_in_reach(l, l->vm.ram + TARGET(0));
	live_install(l, l->changes % 2 ? abort : s->other_ste);
	assert_out_of_reach(l, l->vm.ram + TARGET(0));
	live_install(l, l->vm.s1.ste);
	assert_in_reach(l, l->vm.ram + TARGET(0));
	live_unmap(l, WINDOW);
}

/* The CD itself is changed in memory: its old tables are out of use after CFGI_CD, its old ASID's
 * entries after TLBI. */
static void window_and_cd(struct scene *s)
{
	const uint64_t cmds[3][2] = {
		{ SMMU_CMD_OP_CFGI_CD_ALL | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, 0x40), 0 },
		{ SMMU_CMD_OP_CFGI_CD_ALL | FIELD_PREP64(SMMU_CMD_CFGI_0_SID, 0x41), 0 },
		{ SMMU_CMD_OP_TLBI_NH_ASID | FIELD_PREP64(SMMU_CMD_TLBI_0_ASID, LIVE_ASID), 0 },
	};
	struct live *l = &s->l;
	uint64_t *cd = (uint64_t *)cd_of(s, l->vm.s1.ste), mine = cd[1], theirs;

	if (!s->other.root)
		make_other_cd(s);
	memcpy(&theirs, cd_of(s, s->other_ste) + 8, sizeof(theirs));
	live_map(l, WINDOW, VM_RAM_IPA + TARGET(0), VMSA_READ | VMSA_WRITE);
	assert_in_reach(l, l->vm.ram + TARGET(0));
	__atomic_store_n(&cd[1], theirs, __ATOMIC_RELEASE); /* TTB0 */
	live_commands(l, cmds, 3);
	assert_out_of_reach(l, l->vm.ram + TARGET(0));
	__atomic_store_n(&cd[1], mine, __ATOMIC_RELEASE);
	live_commands(l, cmds, 3);
	assert_in_reach(l, l->vm.ram + TARGET(0));
	live_unmap(l, WINDOW);
}

/* The devices ring as before, but where STEs are taken away: those rings are lost, and no others.
 */
static void no_old_translation(void **state)
{
	static const change_fn changes[] = { window_in_stage_1, window_in_stage_2, window_read_only,
					     window_and_ste, window_and_cd };
	const unsigned int n = sizeof(changes) / sizeof(*changes);
	uint64_t wanted = live_wanted(MILLIONS) / 500;
	static struct scene s;

	(void)state;
	begin(&s);
	live_stop(&s.l);
	live_program(&s.l, VM_DOORBELL_IPA | 0x40);
	s.l.copies_may_abort = true;
	s.l.care = LIVE_RESETS;
	atomic_store(&s.l.copy_to, WINDOW);
	live_epoch_begin(&s.l);
	live_start(&s.l);
	for (; s.l.changes < wanted || s.l.changes < 2 * n; s.l.changes++)
		changes[s.l.changes % n](&s);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(under_move_page),
		cmocka_unit_test(under_move_vectors),
		cmocka_unit_test(under_move_doorbell),
		cmocka_unit_test(under_replace_ste),
		cmocka_unit_test(under_bypass),
		cmocka_unit_test(under_other_cd),
		cmocka_unit_test(under_remap_memory),
		cmocka_unit_test(under_invalidate_everything),
		cmocka_unit_test(under_all),
		cmocka_unit_test(no_old_translation),
	};

	return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
