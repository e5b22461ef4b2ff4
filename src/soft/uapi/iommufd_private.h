/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of an iommufd, and what its files share.
 *
 * Locks, outermost first:
 *   ioas->mutex		which automatic HWPTs it has: held over their allocation and attach
 *   group->lock		what the group's devices are attached to; vDEVICEs of its devices
 *   ctx->msi_lock		the SW_MSI pages, and which of them a HWPT has
 *   iopt->lock			mappings, reserved ranges and domains of an IOAS. Two at once: never
 *   arm_domain.lock		tables; see arm_smmu.h
 * innermost, with nothing taken inside:
 *   iommufd_host->lock		owners of groups
 *   ctx->lock			the table of objects and their users
 *   arm_master.lock > viommu->events_lock	the way of an event
 *
 * An object lives as long as it has users: the table of ids is one, and so is each object that
 * refers to it, an open file, and a call under way. It is destroyed when only the table is left,
 * and its id with it.
 */
#ifndef SOFT_UAPI_IOMMUFD_PRIVATE_H
#define SOFT_UAPI_IOMMUFD_PRIVATE_H

#include "abi/iommufd.h"
#include "abi/native.h"
#include "soft/uapi/arm_smmu.h"
#include "soft/uapi/iommufd.h"
#include "soft/uapi/iova_tree.h"

enum iommufd_type {
	OBJ_ANY,
	OBJ_DEVICE,
	OBJ_IOAS,
	OBJ_HWPT_PAGING,
	OBJ_HWPT_NESTED,
	OBJ_VIOMMU,
	OBJ_VDEVICE,
	OBJ_VEVENTQ,
	OBJ_TYPES,
};

struct iommufd_object {
	enum iommufd_type type;
	uint32_t id;
	unsigned int users;	/* under ctx->lock */
	/* of these, calls under way (and a device's vDEVICE): a driver may wait for them to end */
	unsigned int calls;
};

/* Pages of doorbells in the SW_MSI windows of an iommufd: the same address in all its HWPTs. */
#define SW_MSI_PAGES 64

struct sw_msi_page {
	uint64_t window, doorbell;	/* doorbell: PA of the page */
	unsigned int slot;		/* page number in the window */
};

struct iommufd_ctx {
	struct soft_host *host;
	struct soft_file *file;
	pthread_mutex_t lock;
	pthread_cond_t idle;			/* some object's calls became 0 */
	struct iommufd_object **objects;	/* by id */
	uint32_t n_objects, first_free, n_live;
	bool account_process;			/* RLIMIT_MODE */
	uint32_t vfio_ioas;			/* id of the container's; 0: none */
	void *groups;				/* under lock; a tree (tsearch) by dma */
	pthread_mutex_t msi_lock;
	struct sw_msi_page msi_pages[SW_MSI_PAGES];
	unsigned int n_msi_pages;
};

/* What the host knows of an IOMMU group, whoever uses it. */
struct dma_group {
	unsigned int number;
	struct arm_master *masters;	/* all of it */
	struct iommufd_ctx *owner;	/* this and the following: under iommufd_host->lock */
	unsigned int owned;		/* bound devices */
	unsigned int drivers;		/* devices that drivers of the host's own use */
};

struct iommufd_host {
	pthread_mutex_t lock;
	struct arm_smmu smmus[MACHINE_SMMUS];
	unsigned int n_smmus;
	struct arm_master *masters;	/* by the device's place in host->devices */
	struct dma_group *groups;
	struct bus *bus;
	uint64_t page_size;		/* of the host */
	uint64_t ram;			/* of the machine, bytes; 0: no limit */
	uint64_t pinned;		/* bytes of it that devices may reach; relaxed atomic */
};

/* A group as one iommufd sees it: as long as it has a device of it bound. */
struct iommufd_group {
	struct iommufd_ctx *ctx;
	struct dma_group *dma;
	unsigned int devices;		/* bound; under ctx->lock */
	pthread_mutex_t lock;		/* of the rest */
	struct iommufd_object *hwpt;	/* what all its devices are attached to, or NULL */
	struct iommufd_device *attached;	/* the bound ones that asked for it */
	struct iommufd_device *bound;
	bool msi_start_set;		/* by IOMMU_OPTION_SW_MSI_START */
	/* the SW_MSI window in force; size 0: none, of the machine's or by IOMMU_OPTION */
	uint64_t msi_start, msi_size;
	/* pages of it that its devices use, as a mask of ctx->msi_pages */
	uint64_t required_msi;
};

/* Addresses prepared for the vectors of one interrupt index. */
struct prepared_msi {
	uint64_t *address;		/* MSI_UNPREPARED: none */
	unsigned int count;
};

#define MSI_UNPREPARED UINT64_MAX	/* not an address of a page */
#define PREPARED_INDICES 3		/* INTX, MSI, MSIX */

struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct soft_device *sdev;
	struct iommufd_group *group;
	struct iommufd_device *next_bound;	/* these under group->lock */
	struct iommufd_device *next_attached;
	bool is_attached;
	bool going;			/* no vDEVICE any more */
	struct iommufd_vdevice *vdevice;
	struct prepared_msi prepared[PREPARED_INDICES];
};

/* What mappings refer to other than the process's own memory: a part of a file, or a doorbell. */
struct memory_source {
	unsigned int refs;		/* areas and calls; atomic */
	/* offset of the part, in whole pages; an area's addr counts from here */
	uint64_t start;
	bool is_doorbell;
	uint64_t pa;			/* of a doorbell's pages */
	int fd;				/* of a file: a duplicate */
	bool writable;
	uint64_t size;
	pthread_mutex_t lock;		/* of the rest */
	uint8_t *va;			/* where the file is mapped, once a device may reach it */
};

/* A range that is kept free for devices, most often the same ones for all of them. */
struct reserved_iova {
	struct reserved_iova *next;	/* by start */
	uint64_t start, last;
	unsigned int reservations;
};

/* A device's part in one. */
struct reservation {
	struct reservation *next;	/* of the same owner */
	const void *owner;
	struct reserved_iova *range;
};

/* A HWPT's table as its IOAS sees it. */
struct iopt_domain {
	struct iopt_domain *next;
	struct arm_domain *arm;
};

struct iopt {
	struct soft_host *host;
	pthread_mutex_t lock;
	struct iova_tree areas;
	struct reserved_iova *reserved;
	void *reservations;		/* the first of each owner: a tree (tsearch) */
	struct iommu_iova_range *allowed;
	uint32_t n_allowed;
	struct iopt_domain *domains;
	uint64_t alignment;
	uint64_t other_areas;		/* areas of anything but files */
	bool small_pages;
};

struct iommufd_ioas {
	struct iommufd_object obj;
	pthread_mutex_t mutex;
	struct iommufd_hwpt_paging *automatic;	/* list; under mutex */
	struct iopt *iopt;
};

struct iommufd_hwpt_paging {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	bool nest_parent, automatic;
	struct iommufd_hwpt_paging *next_automatic;
	struct arm_domain domain;
	struct iopt_domain in_iopt;
	uint64_t present_msi;		/* SW_MSI pages it maps; under ctx->msi_lock */
};

struct iommufd_hwpt_nested {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	uint64_t ste[2];
};

struct iommufd_viommu {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct arm_smmu *smmu;
	struct iommufd_hwpt_paging *parent;
	/* innermost; of the tree, by virt_id, and of its members */
	pthread_rwlock_t vdevices_lock;
	void *vdevices;
	pthread_mutex_t alloc_lock;		/* outermost: making a veventq */
	pthread_mutex_t events_lock;
	struct iommufd_veventq *veventq;
};

struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	uint64_t virt_id;
};

/* A request: its struct copied in, and where it came from. */
struct iommufd_cmd {
	struct iommufd_ctx *ctx;
	void *arg;			/* the kernel's copy */
	void *user;
	uint32_t user_size;
};

/* Copies the struct back, as far as the caller's goes. */
int iommufd_respond(const struct iommufd_cmd *cmd, size_t size);

/*
 * The caller's memory at @uptr: -EFAULT when it is not mapped. copy_struct: as for a request of
 * @ksize bytes, -E2BIG.
 */
int user_read(void *dst, uint64_t uptr, size_t len);
int user_write(uint64_t uptr, const void *src, size_t len);
int user_clear(uint64_t uptr, size_t len);
int user_copy_struct(void *dst, size_t ksize, uint64_t uptr, size_t usize);

/* --- objects (iommufd.c) --- */

/*
 * A zeroed object of @size bytes with a reserved id, not to be found yet: then either publish or
 * abort. -ENOMEM.
 */
int object_alloc(struct iommufd_ctx *ctx, enum iommufd_type type, size_t size, void *out);
void object_publish(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void object_abort(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* The object of that id for a call; -ENOENT. */
int object_get(struct iommufd_ctx *ctx, uint32_t id, enum iommufd_type type, void *out);
void object_put(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* One more, one less user that is no call. */
void object_hold(struct iommufd_ctx *ctx, struct iommufd_object *obj);
void object_release(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* Destroys by id: -ENOENT, -EBUSY. */
int object_destroy_id(struct iommufd_ctx *ctx, uint32_t id);

/* Gives one use of @obj back; destroys it if then only the table is left. */
void object_release_and_try_destroy(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/*
 * Destroys an object whose only users are the table, the caller, and calls under way, for which it
 * waits. @tombstone: the id is never given out again.
 */
void object_destroy_wait(struct iommufd_ctx *ctx, struct iommufd_object *obj, bool tombstone);

/* One more user of a published object, unless it is being destroyed (false). */
bool object_try_hold(struct iommufd_ctx *ctx, struct iommufd_object *obj);

/* Destroys all objects of a context whose file is gone. */
void objects_destroy_all(struct iommufd_ctx *ctx);

void device_destroy(struct iommufd_object *obj);
void ioas_destroy(struct iommufd_object *obj);
void hwpt_paging_destroy(struct iommufd_object *obj);
void hwpt_nested_destroy(struct iommufd_object *obj);
void viommu_destroy(struct iommufd_object *obj);
void vdevice_destroy(struct iommufd_object *obj);
void veventq_destroy(struct iommufd_object *obj);

/* --- requests --- */

int ioctl_ioas_alloc(struct iommufd_cmd *cmd);
int ioctl_ioas_allow_iovas(struct iommufd_cmd *cmd);
int ioctl_ioas_copy(struct iommufd_cmd *cmd);
int ioctl_ioas_iova_ranges(struct iommufd_cmd *cmd);
int ioctl_ioas_map(struct iommufd_cmd *cmd);
int ioctl_ioas_map_file(struct iommufd_cmd *cmd);
int ioctl_ioas_unmap(struct iommufd_cmd *cmd);
int ioctl_ioas_change_process(struct iommufd_cmd *cmd);
int ioctl_ioas_map_msi(struct iommufd_cmd *cmd);
int ioctl_get_msi_info(struct iommufd_cmd *cmd);
int ioctl_hwpt_alloc(struct iommufd_cmd *cmd);
int ioctl_hwpt_invalidate(struct iommufd_cmd *cmd);
int ioctl_hwpt_set_dirty_tracking(struct iommufd_cmd *cmd);
int ioctl_hwpt_get_dirty_bitmap(struct iommufd_cmd *cmd);
int ioctl_get_hw_info(struct iommufd_cmd *cmd);
int ioctl_viommu_alloc(struct iommufd_cmd *cmd);
int ioctl_vdevice_alloc(struct iommufd_cmd *cmd);
int ioctl_veventq_alloc(struct iommufd_cmd *cmd);
int ioctl_hw_queue_alloc(struct iommufd_cmd *cmd);

int option_huge_pages(struct iommufd_ctx *ctx, struct iommu_option *opt);
int option_sw_msi(struct iommufd_ctx *ctx, struct iommu_option *opt);

/* A new IOAS that is not published yet; ioas_destroy() and object_abort() undo it. */
int ioas_create(struct iommufd_ctx *ctx, struct iommufd_ioas **out);

/* As a VFIO container (iommufd_vfio.c). */
int ioctl_vfio_ioas(struct iommufd_cmd *cmd);
int iommufd_vfio_ioctl(struct iommufd_ctx *ctx, unsigned long number, void *arg);

/* --- I/O page table (iopt.c) --- */

struct iopt *iopt_create(struct soft_host *host);	/* NULL: no memory */
void iopt_destroy(struct iopt *iopt);			/* unmaps everything */

/* The memory a mapping is to be made of. */
struct iopt_slice {
	struct memory_source *source;	/* NULL: process memory at addr */
	uint64_t addr, length;
	bool may_write;
};

/*
 * Maps @n slices one behind the other at *iova, or where there is room (@fixed false). Takes a
 * reference of each source it keeps. Errors as IOMMU_IOAS_MAP's.
 */
int iopt_map(struct iopt *iopt, const struct iopt_slice *slices, size_t n, uint64_t length,
	     uint64_t *iova, uint32_t flags);
int iopt_unmap(struct iopt *iopt, uint64_t start, uint64_t last, uint64_t *unmapped);

/*
 * The slices behind [iova, iova + length), with a reference of each source; *slices to be given to
 * iopt_put_slices(). -ENOENT, -ENOMEM.
 */
int iopt_get_slices(struct iopt *iopt, uint64_t iova, uint64_t length, struct iopt_slice **slices,
		    size_t *n);
void iopt_put_slices(struct iopt_slice *slices, size_t n);

/* Fills a new domain with all mappings; -EADDRINUSE, -EINVAL, -ENOMEM, -EFAULT, ... */
int iopt_add_domain(struct iopt *iopt, struct iopt_domain *domain);
void iopt_remove_domain(struct iopt *iopt, struct iopt_domain *domain);

/* -EADDRINUSE: mapped or promised (ALLOW_IOVAS). */
int iopt_reserve(struct iopt *iopt, uint64_t start, uint64_t last, const void *owner);
void iopt_unreserve(struct iopt *iopt, const void *owner);

int iopt_set_small_pages(struct iopt *iopt, bool small);

/* Ranges that must stay usable; takes over @ranges (sorted). -EADDRINUSE. */
int iopt_allow(struct iopt *iopt, struct iommu_iova_range *ranges, uint32_t n);

/*
 * The first range free of reserved ones that begins at or above @from; false: none. With
 * iopt->lock.
 */
bool iopt_next_usable(const struct iopt *iopt, uint64_t from, uint64_t *start, uint64_t *last);

/* --- memory (iommufd_memory.c) --- */

/*
 * A part of the file @fd; whether it can be mapped is found out when it is pinned. -EBADF, -EINVAL,
 * -EMFILE, -ENOMEM.
 */
int source_create(struct soft_host *host, int fd, uint64_t start, uint64_t length, bool writable,
		  struct memory_source **out);

/* Pages of the machine's that hold a doorbell, for devices to write to. -ENOMEM. */
int source_create_doorbell(uint64_t pa, struct memory_source **out);
void source_hold(struct memory_source *s);
void source_put(struct memory_source *s);

/*
 * Makes the memory of an area reachable for devices, at area_pa() on the bus. -EFAULT, -EINVAL,
 * -EPERM, -ENOMEM.
 */
int area_pin(struct iommufd_host *ih, const struct iova_area *area);
void area_unpin(struct iommufd_host *ih, const struct iova_area *area);
uint64_t area_pa(const struct iova_area *area);

/* --- devices and page tables --- */

/* Where the device stands in the machine. */
struct arm_master *device_master(const struct soft_device *sdev);

/* The paging HWPT that a HWPT is, or stands on. */
struct iommufd_hwpt_paging *hwpt_paging_of(struct iommufd_object *hwpt);

/* With ioas->mutex. *out is not published yet; hwpt_paging_fini() and object_abort() undo it. */
int hwpt_paging_create(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		       struct iommufd_device *idev, uint32_t flags,
		       struct iommufd_hwpt_paging **out);

void hwpt_paging_fini(struct iommufd_ctx *ctx, struct iommufd_hwpt_paging *hwpt);

/*
 * The virtual StreamID on @viommu of a device of @group; false: it has no vDEVICE there. With
 * group->lock.
 */
bool viommu_find_device(const struct iommufd_group *group, const struct iommufd_viommu *viommu,
			const struct soft_device *sdev, uint32_t *vsid);

/* The other way round, of StreamIDs; -ENOENT. */
int viommu_vsid_to_sid(void *viommu, uint32_t vsid, uint32_t *sid);

/* The vDEVICE of a device that goes away, goes too. */
void device_remove_vdevice(struct iommufd_device *idev);

/* -EINVAL: the group's SW_MSI window reaches beyond what @domain can address. With group->lock. */
int group_check_window(const struct iommufd_group *group, const struct arm_domain *domain);

/* Maps into @hwpt the SW_MSI pages that the group uses; with group->lock. */
int group_setup_msi(struct iommufd_group *group, struct iommufd_hwpt_paging *hwpt);

/* Frees what was prepared for the device. */
void device_forget_msi(struct iommufd_device *idev);

/* An event of a device on @viommu, StreamID already virtual. Must not block. */
void iommufd_viommu_report(struct iommufd_viommu *viommu, const uint64_t evt[4]);

#endif
