/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GICv3 ITS: register and command fields (IHI 0069 §5.3, §12.19), the entries of the tables in
 * memory, and the error codes. GITS_CMD_x_n is the field in dword n of the command.
 */
#ifndef ARM_ITS_REGS_H
#define ARM_ITS_REGS_H

#include <stdint.h>

/* GITS_BASER<n>, §12.19.1 */
#define GITS_BASERS 8
#define GITS_BASER_VALID (1ull << 63)
#define GITS_BASER_INDIRECT (1ull << 62)
#define GITS_BASER_TYPE(n) ((uint64_t)(n) << 56)
#define GITS_BASER_TYPE_DEVICES 1
#define GITS_BASER_TYPE_COLLECTIONS 4
#define GITS_BASER_ENTRY_SIZE(bytes) ((uint64_t)((bytes)-1) << 48)
#define GITS_BASER_ADDRESS 0x0000fffffffff000ull	/* 4 KiB and 16 KiB pages */
#define GITS_BASER_ADDRESS_64K 0x0000ffffffff0000ull	/* 64 KiB pages, with ... */
#define GITS_BASER_ADDRESS_HIGH 0xf000ull	/* ... bits [15:12] as address bits [51:48] */
#define GITS_BASER_PAGE_SIZE(v) (((v) >> 8) & 3)	/* 0: 4 KiB, 1: 16 KiB, 2 (and 3): 64 KiB */
#define GITS_BASER_PAGE_4K 0x000ull
#define GITS_BASER_PAGE_16K 0x100ull
#define GITS_BASER_PAGE_64K 0x200ull
#define GITS_BASER_SIZE(v) (((v)&0xff) + 1)		/* pages */

/* Which of the registers this ITS has: Linux, too, finds them by type. */
#define ITS_BASER_DEVICES 0
#define ITS_BASER_COLLECTIONS 1

/* First-level entry of an Indirect table */
#define ITS_L1_VALID (1ull << 63)
#define ITS_L1_ADDRESS 0x000ffffffffff000ull

/*
 * Our entries: 8 bytes each (their format is up to the implementation, GITS_TYPER and GITS_BASER
 * give the size).
 */
#define ITS_ENTRY_SIZE 8
#define ITS_ENTRY_VALID (1ull << 63)
/* device: ITT address [51:8] in place, EventID bits - 1 in [4:0] */
#define ITS_DTE_ITT 0x000fffffffffff00ull
#define ITS_DTE_SIZE(e) ((unsigned int)((e)&0x1f))
/* interrupt: INTID in [31:0], collection in [47:32] */
#define ITS_ITE_INTID(e) ((uint32_t)(e))
#define ITS_ITE_ICID(e) ((uint32_t)((e) >> 32) & 0xffff)
#define ITS_ITE(intid, icid) (ITS_ENTRY_VALID | (uint64_t)(icid) << 32 | (intid))
/* collection: processor number in [15:0] */
#define ITS_CTE_RDBASE(e) ((uint32_t)(e)&0xffff)
#define ITS_CTE(rdbase) (ITS_ENTRY_VALID | (rdbase))

/* Commands, §5.3 */
#define GITS_CMD_OPCODE_0(d) ((unsigned int)((d)&0xff))
#define GITS_CMD_MOVI 0x01
#define GITS_CMD_INT 0x03
#define GITS_CMD_CLEAR 0x04
#define GITS_CMD_SYNC 0x05
#define GITS_CMD_MAPD 0x08
#define GITS_CMD_MAPC 0x09
#define GITS_CMD_MAPTI 0x0a
#define GITS_CMD_MAPI 0x0b
#define GITS_CMD_INV 0x0c
#define GITS_CMD_INVALL 0x0d
#define GITS_CMD_MOVALL 0x0e
#define GITS_CMD_DISCARD 0x0f

#define GITS_CMD_DEVICE_0(d) ((uint32_t)((d) >> 32))
#define GITS_CMD_SIZE_1(d) ((unsigned int)((d)&0x1f))
#define GITS_CMD_EVENT_1(d) ((uint32_t)(d))
#define GITS_CMD_PINTID_1(d) ((uint32_t)((d) >> 32))
#define GITS_CMD_ICID_2(d) ((uint32_t)((d)&0xffff))
#define GITS_CMD_ITT_2(d) ((d) & ITS_DTE_ITT)
/* [50:16] of dword 2, and of dword 3 of MOVALL */
#define GITS_CMD_RDBASE(d) (((d) >> 16) & 0x7ffffffffull)
#define GITS_CMD_VALID_2 (1ull << 63)

/* Fields for who builds commands. */
#define GITS_CMD_0(opcode, device) ((uint64_t)(device) << 32 | (opcode))
#define GITS_CMD_1(event, intid) ((uint64_t)(intid) << 32 | (event))
#define GITS_CMD_RD(processor) ((uint64_t)(processor) << 16)

/*
 * Error codes: 0x01, the command, the reason. (CLEAR has 0x05 as its number, not its opcode.) The
 * reasons from 0x40 on are this model's, for what the architecture leaves open.
 */
#define ITS_ERROR(command, reason) (0x010000 | (command) << 8 | (reason))
#define ITS_ERROR_CLEAR 0x05

#define ITS_DEVICE_OOR 0x01
#define ITS_ITTSIZE_OOR 0x02		/* MAPD */
#define ITS_PROCNUM_OOR 0x02		/* MAPC */
#define ITS_MOVALL_PROCNUM_OOR 0x01	/* MOVALL */
#define ITS_COLLECTION_OOR 0x03
#define ITS_UNMAPPED_DEVICE 0x04
#define ITS_ID_OOR 0x05
#define ITS_PHYSICALID_OOR 0x06
#define ITS_UNMAPPED_INTERRUPT 0x07
#define ITS_UNMAPPED_COLLECTION 0x09
#define ITS_ITE_INVALID 0x10	/* what the ITT holds cannot have been written by this ITS */
#define ITS_SYNC_PROCNUM_OOR 0x40
#define ITS_ABORTED 0x41		/* a table is not memory */
#define ITS_DISABLED 0x42		/* GITS_CTLR.Enabled is 0 */
#define ITS_UNKNOWN_COMMAND 0x43	/* with GICv4's */

#endif
