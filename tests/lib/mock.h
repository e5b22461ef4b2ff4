/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small stand-in for a kernel behind the seam, for the library's own tests: just enough rules to
 * notice wrong calls, every request counted, any of them made to fail. The software host is the
 * real thing; here errors, counts and orders are what is looked at.
 */
#ifndef TESTS_LIB_MOCK_H
#define TESTS_LIB_MOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <doorbell/doorbell.h>

#define MOCK_DEVICES 4
#define MOCK_OBJECTS 4096
#define MOCK_FDS 8192
#define MOCK_VECTORS 2048
#define MOCK_REQUESTS 32
#define MOCK_EVENTS 64
#define MOCK_WINDOW 0x8000000ull
#define MOCK_PAGE 4096ull

enum mock_type {
	MOCK_NONE,
	MOCK_DEVICE,
	MOCK_IOAS,
	MOCK_PARENT,
	MOCK_VIOMMU,
	MOCK_NESTED,
	MOCK_VDEVICE,
	MOCK_EVENTQ,
};

struct mock_object {
	enum mock_type type;
	uint32_t under;		/* the object it holds */
	unsigned int users;
	unsigned int smmu;
	uint64_t ste[2];
	uint32_t virt_id;
	struct mock_device *dev;
};

struct mock_mapping {
	bool used;
	uint32_t ioas;
	uint64_t iova, length, doorbell;	/* doorbell: id, 0 for memory */
};

struct mock_device {
	/* Set before use. */
	const char *address;
	unsigned int smmu, its, group;
	unsigned int msix, msi;
	bool mappable, noresize, no_reset, not_pci, msi_64bit, msi_maskable, no_node, no_group;
	uint32_t doorbell_offset;
	bool no_prepare, no_fall_through;	/* no such bit in GET_IRQ_INFO */
	unsigned int interrupts;	/* that the host has for it */
	char driver[64], override[64];

	/* State. */
	int fd;
	bool bound;
	uint32_t id, attached;
	uint8_t config[256];
	int irq_type;			/* VFIO index, -1: none */
	unsigned int allocated;
	int trigger[MOCK_VECTORS];
	bool windowless;		/* IOMMU_OPTION_SW_MSI_SIZE 0 */
	bool prepared[MOCK_VECTORS];
	uint64_t iova[MOCK_VECTORS];
	struct {
		uint32_t low, high, data, control;
	} table[MOCK_VECTORS];
	uint64_t pba[MOCK_VECTORS / 64];
	unsigned int maps;
	uint64_t expect;		/* the address that stage 1 maps, 0: all */
	/* Or, more exactly, this. */
	bool (*guest_maps)(void *ctx, unsigned int index, uint64_t address);
	void *ctx;
	unsigned int delivered, lost;
};

struct mock {
	struct db_sys sys;
	pthread_mutex_t lock;
	bool native, nesting, no_iommufd, no_window, other_iommu, fwb, repeat, no_eventq;
	uint64_t page;
	struct mock_device device[MOCK_DEVICES];
	struct mock_object object[MOCK_OBJECTS];
	struct mock_mapping mapping[64];
	char *fd_path[MOCK_FDS];	/* of open descriptors */
	void *fd_priv[MOCK_FDS];
	unsigned int open_fds;
	uint32_t next_id;
	uint64_t reserved_start, reserved_last;	/* 0, 0: none */
	const char *reserved_type;	/* NULL: "reserved" */
	const char *unsafe_interrupts;	/* iommufd's parameter; NULL: there is none */
	uint32_t its_page[8];		/* ITS -> page in the window + 1, in first-come order */
	unsigned int its_pages;
	uint64_t window_start, window_size;

	/* Invalidations seen by the kernel, and the one it refuses (-1: none). */
	unsigned int invalidated, invalidate_calls;
	int invalidate_bad;
	uint64_t last_command[2];

	/* What the event queue has: pairs of a header and, unless bare, a record. */
	uint8_t events[MOCK_EVENTS * 40];
	size_t events_len;

	/* Every call through the seam that can fail. */
	unsigned int calls;
	unsigned int fail_call;		/* 1: the next; 0: none */
	int fail_error;
	/* Requests of one kind. */
	unsigned long fail_request;
	int fail_request_error;
	unsigned int fail_request_skip;	/* let so many through first */
	bool fail_request_stays;

	struct {
		unsigned long request;
		unsigned int count;
	} requests[MOCK_REQUESTS];
};

struct mock *mock_create(void);

/* Fails the test when anything that was opened, made or mapped is still there. */
void mock_check_clean(struct mock *mock);
void mock_destroy(struct mock *mock);

/* How many of @request there were since mock_forget(). */
unsigned int mock_count(const struct mock *mock, unsigned long request);
unsigned int mock_ioctls(const struct mock *mock);
void mock_forget(struct mock *mock);

/* Fails the next @request (after @skip more) with @error. */
void mock_fail(struct mock *mock, unsigned long request, int error, unsigned int skip);

/* The device raises vector @index: sent, or pending while masked. */
void mock_raise(struct mock *mock, struct mock_device *dev, unsigned int index);

void mock_add_event(struct mock *mock, bool bare, uint32_t sequence, uint64_t first_dword);

/* The eventfd's count since last asked. */
uint64_t mock_take(int eventfd);

/* The parts, for mock.c. */
int mock_iommufd_ioctl(struct mock *mock, unsigned long request, void *arg);
int mock_vfio_ioctl(struct mock *mock, struct mock_device *dev, unsigned long request, void *arg);
uint32_t mock_new_object(struct mock *mock, enum mock_type type, uint32_t under);
struct mock_object *mock_find(struct mock *mock, uint32_t id, enum mock_type type);
void mock_drop(struct mock *mock, uint32_t id);
int mock_new_fd(struct mock *mock, const char *path, void *priv);
void mock_put_address(struct mock_device *dev, unsigned int index, uint64_t address);
void mock_send_pending(struct mock_device *dev, unsigned int index);
void mock_device_reset(struct mock_device *dev);

#endif
