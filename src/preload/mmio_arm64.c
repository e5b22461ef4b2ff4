/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arm64: loads and stores of one or two registers, general and SIMD, with every way to give the
 * address; load-acquire and store-release. Encodings: DDI 0487, C4.1.94 (loads and stores).
 */
#include <string.h>
#include <asm/sigcontext.h>

#include "preload/mmio.h"

#define ZR 31u		/* register 31 as data: zero */

enum form {
	GENERAL = 1,
	VECTOR = 2,
	PAIR = 4,
	WRITEBACK = 8,	/* of the base register, by imm */
};

static uint32_t bits(uint32_t insn, unsigned int low, unsigned int n)
{
	return insn >> low & ((1u << n) - 1);
}

static int64_t sign_extend(uint64_t value, unsigned int n)
{
	return (int64_t)(value << (64 - n)) >> (64 - n);
}

const uint8_t *mmio_pc(const ucontext_t *uc)
{
	return (const uint8_t *)(uintptr_t)uc->uc_mcontext.pc;
}

/* LDR, STR and their kin: one register. */
static bool decode_single(uint32_t word, struct mmio_insn *insn)
{
	uint32_t size = bits(word, 30, 2), opc = bits(word, 22, 2), how = bits(word, 10, 2);

	insn->reg = bits(word, 0, 5);
	if (!bits(word, 24, 1) && !bits(word, 21, 1) && (how == 1 || how == 3)) {
		insn->form |= WRITEBACK;
		insn->imm = sign_extend(bits(word, 12, 9), 9);
	} else if (!bits(word, 24, 1) && bits(word, 21, 1) && how != 2) {
		return false;	/* atomic memory operations, pointer authentication */
	}
	if (bits(word, 26, 1)) {
		insn->form |= VECTOR;
		insn->size = 1u << (size | (opc & 2) << 1);
		insn->load = opc & 1;
		insn->store = !insn->load;
		return insn->size <= 16;
	}
	insn->form |= GENERAL;
	insn->size = 1u << size;
	insn->load = opc;
	insn->store = !opc;
	insn->sign = opc & 2;
	insn->width = opc == 2 || (opc < 2 && size == 3) ? 8 : 4;
	return !(size == 3 && opc >= 2);	/* prefetches do not fault */
}

/* LDP, STP, LDPSW. */
static bool decode_pair(uint32_t word, struct mmio_insn *insn)
{
	uint32_t opc = bits(word, 30, 2), how = bits(word, 23, 2);
	bool vector = bits(word, 26, 1);

	insn->form |= PAIR | (vector ? VECTOR : GENERAL);
	insn->reg = bits(word, 0, 5);
	insn->reg2 = bits(word, 10, 5);
	insn->load = bits(word, 22, 1);
	insn->store = !insn->load;
	insn->size = vector ? 4u << opc : opc == 2 ? 8 : 4;
	insn->sign = !vector && opc == 1;
	insn->width = opc ? 8 : 4;
	if (how == 1 || how == 3) {
		insn->form |= WRITEBACK;
		insn->imm = sign_extend(bits(word, 15, 7), 7) * (int64_t)insn->size;
	}
	return opc != 3;
}

bool mmio_decode(const ucontext_t *uc, uintptr_t addr, struct mmio_insn *insn, const char **why)
{
	uint32_t word;

	(void)addr;
	memcpy(&word, mmio_pc(uc), sizeof(word));
	*insn = (struct mmio_insn){ .len = 4 };
	*why = "an instruction that is no plain load or store";
	insn->op = bits(word, 5, 5);
	if (bits(word, 27, 3) == 7 && !bits(word, 25, 1))
		return decode_single(word, insn);
	if (bits(word, 27, 3) == 5 && !bits(word, 25, 1))
		return decode_pair(word, insn);
	/* LDAR, STLR and their narrow ones */
	if (bits(word, 24, 6) == 8 && bits(word, 23, 1) && !bits(word, 21, 1)) {
		insn->form = GENERAL;
		insn->reg = bits(word, 0, 5);
		insn->size = 1u << bits(word, 30, 2);
		insn->width = insn->size == 8 ? 8 : 4;
		insn->load = bits(word, 22, 1);
		insn->store = !insn->load;
		return true;
	}
	if (bits(word, 24, 6) == 8)
		*why = "an exclusive or compare-and-swap instruction";
	return false;
}

static struct fpsimd_context *fpsimd(ucontext_t *uc)
{
	uint8_t *at = uc->uc_mcontext.__reserved;
	struct _aarch64_ctx *head;

	for (;; at += head->size) {
		head = (struct _aarch64_ctx *)at;
		if (head->magic == FPSIMD_MAGIC)
			return (struct fpsimd_context *)at;
		if (!head->magic || !head->size)
			return NULL;
	}
}

static void one(ucontext_t *uc, uintptr_t addr, const struct mmio_insn *insn, unsigned int reg,
		const struct mmio *mmio)
{
	struct fpsimd_context *fp = insn->form & VECTOR ? fpsimd(uc) : NULL;
	uint64_t value = 0;

	if (fp && insn->load) {
		memset(&fp->vregs[reg], 0, sizeof(fp->vregs[reg]));
		mmio_load_bytes(mmio, addr, &fp->vregs[reg], insn->size);
	} else if (fp) {
		mmio_store_bytes(mmio, addr, &fp->vregs[reg], insn->size);
	} else if (insn->load) {
		mmio_load_bytes(mmio, addr, &value, insn->size);
		if (insn->sign)
			value = (uint64_t)sign_extend(value, 8 * insn->size);
		if (insn->width == 4)
			value = (uint32_t)value;
		if (reg != ZR)
			uc->uc_mcontext.regs[reg] = value;
	} else {
		value = reg == ZR ? 0 : uc->uc_mcontext.regs[reg];
		mmio_store_bytes(mmio, addr, &value, insn->size);
	}
}

void mmio_execute(ucontext_t *uc, uintptr_t addr, const struct mmio_insn *insn,
		  const struct mmio *mmio)
{
	unsigned int base = insn->op;

	one(uc, addr, insn, insn->reg, mmio);
	if (insn->form & PAIR)
		one(uc, addr + insn->size, insn, insn->reg2, mmio);
	if (insn->form & WRITEBACK) {
		if (base == ZR)	/* as a base it is the stack pointer */
			uc->uc_mcontext.sp += (uint64_t)insn->imm;
		else
			uc->uc_mcontext.regs[base] += (uint64_t)insn->imm;
	}
	uc->uc_mcontext.pc += insn->len;
}
