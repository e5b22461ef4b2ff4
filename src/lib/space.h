/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest-physical space: one IOAS, the nest parents over it (one for each SMMU), and the doorbells
 * mapped in it. */
#ifndef LIB_SPACE_H
#define LIB_SPACE_H

#include <pthread.h>
#include <doorbell/space.h>

#include "lib/host.h"

/* Memory mappings are not kept here: the kernel's IOAS is the one record of them. Doorbells are
 * few. */
struct space_doorbell {
	struct space_doorbell *next;
	uint64_t ipa, size, id;
	void *users;			/* a tree (tsearch) of space_doorbell_user, by dev */
	unsigned int n_users;
};

/* A device's db_space_map_doorbell() calls. The mapping is the kernel's, whatever becomes of the
 * device that it was made for. */
struct space_doorbell_user {
	struct db_device *dev;
	unsigned int calls;
};

/* Stage 2 for one SMMU. */
struct space_parent {
	struct space_parent *next;
	uint32_t hwpt;
	unsigned int refs;
};

struct db_space {
	struct db_host *host;
	uint32_t ioas;
	bool keep_ioas;			/* adopted: the caller's */
	uint64_t page_size;		/* the host's own; the SMMU may ask for more */
	pthread_mutex_t lock;		/* the lists */
	struct space_doorbell *doorbells;
	struct space_parent *parents;
};

/* Is the doorbell of @dev mapped for it somewhere? */
bool space_has_doorbell(struct db_space *space, struct db_device *dev);

/*
 * A vIOMMU for the SMMU of @dev over a nest parent of that SMMU, which is found or made. The
 * message is set on error. @parent is given back with space_parent_put() after the vIOMMU is
 * destroyed.
 */
int space_viommu_alloc(struct db_space *space, struct db_device *dev, struct space_parent **parent,
		       uint32_t *viommu);
void space_parent_put(struct db_space *space, struct space_parent *parent);

#endif
