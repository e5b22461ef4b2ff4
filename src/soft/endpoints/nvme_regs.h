/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NVM Express base specification 1.4: registers (§3.1), commands (§4, §5, §6) and status codes
 * (§4.6.1).
 */
#ifndef SOFT_ENDPOINTS_NVME_REGS_H
#define SOFT_ENDPOINTS_NVME_REGS_H

#include <stdint.h>

/* --- Controller registers --- */

#define NVME_CAP 0x00
#define NVME_CAP_MQES(n) ((uint64_t)((n)-1))		/* [15:0], entries - 1 */
#define NVME_CAP_CQR (1ull << 16)			/* queues are contiguous */
#define NVME_CAP_TO(n) ((uint64_t)(n) << 24)		/* [31:24], 500 ms */
#define NVME_CAP_CSS_NVM (1ull << 37)
#define NVME_CAP_MPSMAX(n) ((uint64_t)(n) << 52)	/* [55:52], 4 KiB << n */
#define NVME_VS 0x08
#define NVME_VS_1_4 0x00010400u
#define NVME_INTMS 0x0c
#define NVME_INTMC 0x10
#define NVME_CC 0x14
#define NVME_CC_EN (1u << 0)
#define NVME_CC_CSS(v) (((v) >> 4) & 7)
#define NVME_CC_MPS(v) (((v) >> 7) & 0xf)
#define NVME_CC_AMS(v) (((v) >> 11) & 7)
#define NVME_CC_SHN(v) (((v) >> 14) & 3)
#define NVME_CC_IOSQES(v) (((v) >> 16) & 0xf)
#define NVME_CC_IOCQES(v) (((v) >> 20) & 0xf)
#define NVME_CSTS 0x1c
#define NVME_CSTS_RDY (1u << 0)
#define NVME_CSTS_CFS (1u << 1)
#define NVME_CSTS_SHST (3u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)
#define NVME_AQA 0x24
#define NVME_AQA_ASQS(v) (((v)&0xfff) + 1)
#define NVME_AQA_ACQS(v) (((v) >> 16 & 0xfff) + 1)
#define NVME_ASQ 0x28
#define NVME_ACQ 0x30
#define NVME_DOORBELLS 0x1000

/* --- Queue entries: little-endian in memory --- */

#define NVME_SQE_BITS 6
#define NVME_CQE_BITS 4

struct nvme_sqe {
	uint32_t cdw0;		/* [7:0] opcode, [9:8] fused, [15:14] PSDT, [31:16] CID */
	uint32_t nsid;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};
_Static_assert(sizeof(struct nvme_sqe) == 1u << NVME_SQE_BITS, "submission queue entry");

#define NVME_CDW0_OPCODE(v) ((v)&0xff)
#define NVME_CDW0_FUSED(v) (((v) >> 8) & 3)
#define NVME_CDW0_PSDT(v) (((v) >> 14) & 3)
#define NVME_CDW0_CID(v) ((v) >> 16)

struct nvme_cqe {
	uint32_t dw0, dw1;
	uint16_t sq_head, sq_id;
	uint16_t cid;
	uint16_t status;	/* [0] phase */
};
_Static_assert(sizeof(struct nvme_cqe) == 1u << NVME_CQE_BITS, "completion queue entry");

/* --- Opcodes --- */

#define NVME_ADMIN_DELETE_SQ 0x00
#define NVME_ADMIN_CREATE_SQ 0x01
#define NVME_ADMIN_GET_LOG_PAGE 0x02
#define NVME_ADMIN_DELETE_CQ 0x04
#define NVME_ADMIN_CREATE_CQ 0x05
#define NVME_ADMIN_IDENTIFY 0x06
#define NVME_ADMIN_ABORT 0x08
#define NVME_ADMIN_SET_FEATURES 0x09
#define NVME_ADMIN_GET_FEATURES 0x0a
#define NVME_ADMIN_ASYNC_EVENT 0x0c

#define NVME_IO_FLUSH 0x00
#define NVME_IO_WRITE 0x01
#define NVME_IO_READ 0x02

#define NVME_QUEUE_CONTIGUOUS (1u << 0)	/* CDW11 of Create */
#define NVME_QUEUE_INTERRUPTS (1u << 1)	/* CDW11 of Create CQ */

#define NVME_CNS_NAMESPACE 0x00
#define NVME_CNS_CONTROLLER 0x01
#define NVME_CNS_ACTIVE_NAMESPACES 0x02
#define NVME_CNS_NAMESPACE_DESCRIPTORS 0x03

#define NVME_LOG_ERRORS 0x01
#define NVME_LOG_HEALTH 0x02
#define NVME_LOG_FIRMWARE 0x03

#define NVME_FEATURE_ARBITRATION 0x01
#define NVME_FEATURE_POWER 0x02
#define NVME_FEATURE_TEMPERATURE 0x04
#define NVME_FEATURE_ERROR_RECOVERY 0x05
#define NVME_FEATURE_QUEUES 0x07
#define NVME_FEATURE_COALESCING 0x08
#define NVME_FEATURE_VECTOR 0x09
#define NVME_FEATURE_ATOMICITY 0x0a
#define NVME_FEATURE_ASYNC_EVENTS 0x0b
#define NVME_FEATURE_SAVE (1u << 31)	/* CDW10 of Set Features */

/* --- Status: (type << 8 | code), with Do Not Retry --- */

#define NVME_DNR 0x4000
#define NVME_SUCCESS 0x000
#define NVME_INVALID_OPCODE (0x001 | NVME_DNR)
#define NVME_INVALID_FIELD (0x002 | NVME_DNR)
#define NVME_DATA_TRANSFER_ERROR 0x004
#define NVME_ABORT_REQUESTED 0x007
#define NVME_INVALID_NAMESPACE (0x00b | NVME_DNR)
#define NVME_PRP_OFFSET_INVALID (0x013 | NVME_DNR)
#define NVME_WRITE_PROTECTED (0x020 | NVME_DNR)
#define NVME_LBA_RANGE (0x080 | NVME_DNR)
#define NVME_CQ_INVALID (0x100 | NVME_DNR)
#define NVME_QUEUE_ID_INVALID (0x101 | NVME_DNR)
#define NVME_QUEUE_SIZE_INVALID (0x102 | NVME_DNR)
#define NVME_ASYNC_EVENT_LIMIT (0x105 | NVME_DNR)
#define NVME_VECTOR_INVALID (0x108 | NVME_DNR)
#define NVME_LOG_PAGE_INVALID (0x109 | NVME_DNR)
#define NVME_QUEUE_DELETION_INVALID (0x10c | NVME_DNR)
#define NVME_FEATURE_NOT_SAVEABLE (0x10d | NVME_DNR)
#define NVME_WRITE_FAULT 0x280
#define NVME_READ_ERROR 0x281

/* Asynchronous events, §5.2: DW0 of the completion */
#define NVME_EVENT_DOORBELL_REGISTER 0x00u	/* error status: write to an invalid doorbell */
#define NVME_EVENT_DOORBELL_VALUE 0x01u
#define NVME_EVENT_DW0(info) ((info) << 8 | NVME_LOG_ERRORS << 16)

#endif
