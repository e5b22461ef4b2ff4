/* SPDX-License-Identifier: BSD-2-Clause */
/* What the library says without being asked, and to whom. */
#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/iommufd.h"
#include "abi/native.h"
#include "sys/log.h"

struct heard {
	unsigned int count;
	enum db_log_level level;
	char last[512];
};

static void listen(void *ctx, enum db_log_level level, const char *message)
{
	struct heard *heard = ctx;

	heard->count++;
	heard->level = level;
	strncpy(heard->last, message, sizeof(heard->last) - 1);
}

static void nothing_unless_asked(void **state)
{
	struct heard heard = { 0 }, other = { 0 };

	(void)state;
	log_say(DB_LOG_ERROR, "to nobody");
	db_log_set(listen, &heard, DB_LOG_WARNING);
	log_say(DB_LOG_INFO, "not so much");
	assert_int_equal(heard.count, 0);
	log_say(DB_LOG_WARNING, "number %d", 1);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.level, DB_LOG_WARNING);
	assert_string_equal(heard.last, "number 1");
	db_log_set(listen, &other, DB_LOG_DEBUG);
	log_say(DB_LOG_DEBUG, "to the other");
	assert_int_equal(heard.count, 1);
	assert_int_equal(other.count, 1);
	db_log_set(listen, &other, DB_LOG_NONE);
	log_say(DB_LOG_ERROR, "to nobody");
	db_log_set(NULL, NULL, DB_LOG_DEBUG);
	log_say(DB_LOG_ERROR, "to nobody");
	assert_int_equal(other.count, 1);
	assert_string_equal(db_log_name(DB_LOG_WARNING), "warning");
	assert_string_equal(db_log_name(99), "unknown");
}

/* Mode auto falls back to stock: the program's log says so, and why. */
static void a_choice(void **state)
{
	struct db_msi_config config = { .size = sizeof(config),
					.mode = DB_MODE_AUTO,
					.kind = DB_MSIX,
					.doorbell_ipa = MOCK_WINDOW };
	struct heard heard = { 0 };
	struct rig rig = { 0 };

	(void)state;
	rig_open(&rig);
	config.dev = rig.dev;
	config.space = rig.space;
	mock_fail(rig.mock, IOMMU_IOAS_MAP_MSI, -EADDRINUSE, 0);
	db_log_set(listen, &heard, DB_LOG_INFO);
	assert_int_equal(db_msi_create(&config, &rig.msi), 0);
	db_log_set(NULL, NULL, DB_LOG_NONE);
	assert_int_equal(db_msi_mode(rig.msi), DB_MODE_STOCK);
	assert_int_equal(heard.level, DB_LOG_INFO);
	assert_non_null(strstr(heard.last, "0000:01:00.0"));
	assert_non_null(strstr(heard.last, "stock"));
	assert_non_null(strstr(heard.last, "EADDRINUSE"));
	rig_close(&rig);
}

/* Where an error has nobody to go to. */
static void not_given_back(void **state)
{
	struct heard heard = { 0 };
	struct rig rig = { 0 };

	(void)state;
	rig_init(&rig);
	strcpy(rig.hw->driver, "nvme");
	assert_int_equal(db_host_open(&rig.mock->sys, &rig.host), 0);
	db_log_set(listen, &heard, DB_LOG_INFO);
	assert_int_equal(db_device_open(rig.host, "0000:01:00.0", DB_OPEN_REBIND, &rig.dev), 0);
	assert_int_equal(heard.count, 1);
	assert_non_null(strstr(heard.last, "nvme"));
	/* Of what closing does, the last call asks for the driver to be probed. */
	rig.mock->fail_error = -EIO;
	rig.mock->fail_call = rig.mock->calls + 1;
	db_device_close(rig.dev);
	rig.dev = NULL;
	db_log_set(NULL, NULL, DB_LOG_NONE);
	assert_int_equal(heard.level, DB_LOG_ERROR);
	assert_non_null(strstr(heard.last, "did not go back to nvme: EIO"));
	rig.mock->fail_call = 0;
	rig_close(&rig);
}

static _Atomic bool inside, finished;

static void slow(void *ctx, enum db_log_level level, const char *message)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	(void)ctx;
	(void)level;
	(void)message;
	inside = true;
	nanosleep(&pause, NULL);
	finished = true;
}

static void *say(void *arg)
{
	(void)arg;
	log_say(DB_LOG_ERROR, "slowly");
	return NULL;
}

/* What belongs to the former function may be freed when db_log_set() returns. */
static void setting_waits(void **state)
{
	pthread_t thread;

	(void)state;
	db_log_set(slow, NULL, DB_LOG_ERROR);
	assert_int_equal(pthread_create(&thread, NULL, say, NULL), 0);
	while (!inside)
		sched_yield();
	db_log_set(NULL, NULL, DB_LOG_NONE);
	assert_true(finished);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_unless_asked),
		cmocka_unit_test(a_choice),
		cmocka_unit_test(not_given_back),
		cmocka_unit_test(setting_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
