/* SPDX-License-Identifier: BSD-2-Clause */
#include "rig.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void rig_init(struct rig *rig)
{
	unsigned int i;

	memset(rig, 0, sizeof(*rig));
	rig->mock = mock_create();
	rig->hw = &rig->mock->device[0];
	for (i = 0; i < MOCK_VECTORS; i++)
		rig->fd[i] = -1;
}

void rig_open(struct rig *rig)
{
	if (!rig->mock)
		rig_init(rig);
	assert_int_equal(db_host_open(&rig->mock->sys, &rig->host), 0);
	assert_int_equal(db_device_open(rig->host, "0000:01:00.0", 0, &rig->dev), 0);
	assert_int_equal(db_space_create(rig->host, &rig->space), 0);
	assert_int_equal(db_viommu_create(rig->space, rig->dev, &rig->viommu), 0);
	assert_int_equal(db_viommu_add(rig->viommu, rig->dev, 0x10), 0);
}

void rig_msi(struct rig *rig, enum db_mode mode, enum db_msi_kind kind)
{
	struct db_msi_config config = { .size = sizeof(config),
					.space = rig->space, .mode = mode, .kind = kind };

	config.dev = rig->dev;
	config.doorbell_ipa = mode == DB_MODE_STOCK ? MOCK_WINDOW : 0x20090000;
	assert_int_equal(db_msi_create(&config, &rig->msi), 0);
	mock_forget(rig->mock);
}

void rig_close(struct rig *rig)
{
	unsigned int i;

	db_msi_destroy(rig->msi);
	if (rig->viommu && rig->dev)
		db_viommu_remove(rig->viommu, rig->dev);
	db_viommu_destroy(rig->viommu);
	db_space_destroy(rig->space);
	db_device_close(rig->dev);
	db_host_close(rig->host);
	mock_destroy(rig->mock);
	for (i = 0; i < MOCK_VECTORS; i++) {
		if (rig->fd[i] >= 0)
			close(rig->fd[i]);
	}
}

int rig_fd(struct rig *rig, unsigned int index)
{
	if (rig->fd[index] < 0)
		rig->fd[index] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(rig->fd[index] >= 0);
	return rig->fd[index];
}

uint64_t rig_take(struct rig *rig, unsigned int index)
{
	return mock_take(rig_fd(rig, index));
}

static struct db_msi_vector vectors[MOCK_VECTORS];

int rig_set(struct rig *rig, unsigned int start, unsigned int count, uint64_t address)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		vectors[i] = (struct db_msi_vector){ .address = address,
						      .eventfd = rig_fd(rig, start + i) };
	return db_msi_set(rig->msi, start, count, vectors);
}

int rig_clear(struct rig *rig, unsigned int start, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		vectors[i] = (struct db_msi_vector){ .eventfd = -1 };
	return db_msi_set(rig->msi, start, count, vectors);
}

void assert_message_has(const char *text)
{
	if (!strstr(db_error_message(), text))
		fail_msg("\"%s\" does not say \"%s\"", db_error_message(), text);
}
