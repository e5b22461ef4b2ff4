/* SPDX-License-Identifier: BSD-2-Clause */
/* A VMM's set-up on the stand-in kernel, as most tests need it. */
#ifndef TESTS_LIB_RIG_H
#define TESTS_LIB_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mock.h"

#define GIOVA 0xffff0000ff00040ull
#define VITS_IPA 0x8090000ull

struct rig {
	struct mock *mock;
	struct mock_device *hw;		/* device 0 */
	struct db_host *host;
	struct db_device *dev;
	struct db_space *space;
	struct db_viommu *viommu;
	struct db_msi *msi;
	int fd[MOCK_VECTORS];		/* eventfds, made when asked for */
};

/* The mock and nothing else: the test may change what it is like. */
void rig_init(struct rig *rig);

/* Host, device 0, space, vIOMMU with the device at StreamID 0x10. */
void rig_open(struct rig *rig);

/* And interrupts in @mode; the doorbell goes where the mode wants it. */
void rig_msi(struct rig *rig, enum db_mode mode, enum db_msi_kind kind);

/* Takes all down and checks that nothing is left. */
void rig_close(struct rig *rig);

/* The eventfd that stands for vector @index. */
int rig_fd(struct rig *rig, unsigned int index);
uint64_t rig_take(struct rig *rig, unsigned int index);

/* db_msi_set() of @count vectors from @start, all to @address. */
int rig_set(struct rig *rig, unsigned int start, unsigned int count, uint64_t address);
int rig_clear(struct rig *rig, unsigned int start, unsigned int count);

void assert_message_has(const char *text);

#endif
