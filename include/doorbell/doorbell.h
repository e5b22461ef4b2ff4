/* SPDX-License-Identifier: BSD-2-Clause */
/* All of libdoorbell. */
#ifndef DOORBELL_DOORBELL_H
#define DOORBELL_DOORBELL_H

#include <doorbell/adopt.h>
#include <doorbell/api.h>
#include <doorbell/error.h>
#include <doorbell/host.h>
#include <doorbell/log.h>
#include <doorbell/irq.h>
#include <doorbell/msi.h>
#include <doorbell/region.h>
#if __has_include(<doorbell/soft.h>)
#include <doorbell/soft.h>
#endif
#include <doorbell/space.h>
#include <doorbell/sys.h>
#include <doorbell/viommu.h>
#include <doorbell/vpci.h>
#include <doorbell/vsmmu.h>

#endif
