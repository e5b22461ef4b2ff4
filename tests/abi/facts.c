/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The facts of one ABI as one set of headers has them. Compiled once with ours and once with the
 * kernel's (ABI_KERNEL): both declare the same names, so they cannot meet in one file.
 */
#include "abi/facts.h"

#include <stddef.h>

#ifdef ABI_KERNEL
#include <linux/iommufd.h>
#include <linux/vfio.h>
#define TABLE(name) kernel_##name
#ifdef IOMMU_GET_MSI_INFO
#define HAVE_NATIVE
#endif
#else
#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "abi/native.h"
#define HAVE_NATIVE
#define TABLE(name) our_##name
#endif

#define NUMBER(name) { #name, (unsigned long long)(name) },
#define STRUCT(type) { "sizeof(struct " #type ")", sizeof(struct type) },
#define FIELD(type, member) \
	{ "offsetof(struct " #type ", " #member ")", offsetof(struct type, member) },

const struct fact TABLE(facts)[] = {
#include "abi/facts_iommufd.h"
#include "abi/facts_vfio.h"
	{ NULL, 0 },
};

const struct fact TABLE(native_facts)[] = {
#ifdef HAVE_NATIVE
#include "abi/facts_native.h"
#endif
	{ NULL, 0 },
};
