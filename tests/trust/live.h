/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM under load: each of its bell devices is rung without pause by one thread and made to copy
 * memory by another, while the test changes things. A ringer waits for each interrupt before it
 * rings that vector again: while a vector is masked, PCI makes one pending interrupt of any number.
 *
 * A host may carry several VMs. What it took from the process is counted when it begins and when it
 * ends.
 */
#ifndef TESTS_TRUST_LIVE_H
#define TESTS_TRUST_LIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "vm/vm.h"
#include "soft/endpoints/bell.h"
#include "soft/host.h"

#define LIVE_DEVICES 2
#define LIVE_VECTORS 8
#define LIVE_ASID 5 /* of the VM's stage 1 */

/* Two bells, each with LIVE_VECTORS vectors, behind one SMMU and one ITS. */
#define LIVE_FIRST "0000:01:00.0"
#define LIVE_SECOND "0000:02:00.0"

/* Copies go from FROM to TO in the guest's RAM, a page each for each device. */
#define LIVE_FROM(n) (VM_BUFFERS + 0x10000 + (n)*0x2000)
#define LIVE_TO(n) (LIVE_FROM(n) + 0x1000)

/* What the process has of the system, and the software host of memory. */
struct live_count {
	unsigned int descriptors, threads;
	long allocations;
};

struct live_host {
	struct db_sys *sys;
	struct live_count before;
};

enum live_care {
	LIVE_EXACT, /* every interrupt arrives, every copy succeeds */
	LIVE_RESETS, /* what was under way as a reset began or ended may be lost: live_epoch_begin() */
	LIVE_DOOMED, /* the device may go at any time: the first error ends its traffic */
};

struct live;

struct live_traffic {
	struct live *live;
	struct vm_device *d;
	unsigned int n; /* of the device */
	atomic_ulong done; /* interrupts taken, or copies made */
	atomic_ulong aborted; /* copies */
	_Atomic(const char *) wrong; /* what went wrong, or NULL */
	unsigned int vector; /* that it went wrong with */
	pthread_t thread;
};

struct live {
	struct vm vm;
	enum live_care care;
	bool copies_may_abort;
	bool may_double; /* what a reset took may come twice (mode stock) */
	atomic_uint epoch; /* odd: a reset is under way */
	atomic_bool busy; /* LIVE_RESETS: vectors may be masked */
	atomic_bool stop;
	_Atomic uint64_t copy_to; /* device address that copies go to, or 0: LIVE_TO */
	struct live_traffic ringers[LIVE_DEVICES], copiers[LIVE_DEVICES];
	unsigned int changes;
};

/* @kernel: a line of the machine file, or "". */
void live_host_begin(struct live_host *host, const char *kernel);
/* Every VM has ended: nothing is left. */
void live_host_end(struct live_host *host);
void live_count(struct live_count *count);

/*
 * Opens the VM, zeroed but for the choices in it, with all vectors armed at VM_GIOVA (or none, if
 * @armed is false), and no traffic yet; fails the test on error.
 */
void live_open(struct live *l, struct live_host *host, const char *const *addresses,
	       unsigned int devices, bool armed);
void live_start(struct live *l);

/* Ends the traffic; fails the test if it went wrong. LIVE_EXACT: every interrupt that was raised
 * has arrived, once, on its vector. */
void live_stop(struct live *l);
void live_close(struct live *l);

/* Interrupts taken so far, and how many a test is to have: TRUST_MILLIONS of them, @millions by
 * default. */
uint64_t live_taken(struct live *l);
uint64_t live_wanted(double millions);

/* Waits until each ringer has taken, and each copier made (or seen aborted), @n more. Traffic that
 * ended counts. */
void live_await_rings(struct live *l, unsigned int n);
void live_await_copies(struct live *l, unsigned int n);

/* Around a reset: what is under way may be lost. */
void live_epoch_begin(struct live *l);
void live_epoch_end(struct live *l);

/* Commands of the guest, and CMD_SYNC after them; fails the test on error. */
void live_commands(struct live *l, const uint64_t (*cmds)[2], size_t count);
/* CMD_TLBI_NH_VA of a page; @leaf: the last level only. */
void live_invalidate_page(struct live *l, uint64_t page, bool leaf);
/* Stage 1: maps (not global) and unmaps pages; the unmap is followed by its invalidation. */
void live_map(struct live *l, uint64_t iova, uint64_t ipa, unsigned int prot);
void live_unmap(struct live *l, uint64_t iova);
/* All vectors of all devices get this message address. */
void live_program(struct live *l, uint64_t address);
/* Installs @ste for all devices. */
void live_install(struct live *l, const uint64_t ste[8]);

#endif
