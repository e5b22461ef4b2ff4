/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x86-64: the moves, logic and comparisons that compilers make of accesses to volatile memory, what
 * memcpy() and memset() use, and moves of SSE and AVX registers. Numbers and encodings: Intel SDM,
 * volume 2.
 */
#include <stddef.h>
#include <string.h>
#include <asm/sigcontext.h>

#include "preload/mmio.h"

enum form {
	LOAD,		/* mov, movzx, movsx */
	STORE,		/* mov of a register */
	STORE_IMM,
	ALU_TO_MEM,	/* register or immediate */
	ALU_TO_REG,
	MOVS,
	STOS,
	VECTOR_LOAD,
	VECTOR_STORE,
};

enum alu {
	ADD,
	OR,
	ADC,
	SBB,
	AND,
	SUB,
	XOR,
	CMP,
	TEST,
};

#define NO_REG 255	/* the operand is the immediate */

/* The prefixes of an instruction, and where it goes on. */
struct prefixes {
	const uint8_t *at;
	unsigned int pp;	/* 0, 0x66, 0xf3, 0xf2 */
	bool rex, w, r, vex, wide;	/* wide: 256 bits */
	unsigned int map;	/* 0: one byte, 1: 0f */
};

static bool read_vex(struct prefixes *p)
{
	static const uint8_t pps[] = { 0, 0x66, 0xf3, 0xf2 };
	const uint8_t *b = p->at;
	uint8_t last;

	if (b[0] == 0xc5) {
		last = b[1];
		p->r = !(b[1] & 0x80);
		p->at += 2;
	} else {
		if ((b[1] & 0x1f) != 1)
			return false;
		last = b[2];
		p->r = !(b[1] & 0x80);
		p->w = last & 0x80;
		p->at += 3;
	}
	p->vex = true;
	p->map = 1;
	p->wide = last & 4;
	p->pp = pps[last & 3];
	return true;
}

static bool read_prefixes(const uint8_t *code, struct prefixes *p, const char **why)
{
	*p = (struct prefixes){ .at = code };
	for (;; p->at++) {
		uint8_t b = *p->at;

		if (b == 0x66)
			p->pp = p->pp ? p->pp : b;
		else if (b == 0xf2 || b == 0xf3)
			p->pp = b;
		else if (b != 0x64 && b != 0x65 && b != 0x2e && b != 0x3e && b != 0xf0)
			break;
	}
	if (*p->at == 0x62) {
		*why = "an AVX-512 instruction";
		return false;
	}
	if (*p->at == 0xc4 || *p->at == 0xc5) {
		*why = "an AVX instruction that is no move";
		return read_vex(p);
	}
	if ((*p->at & 0xf0) == 0x40) {
		p->rex = true;
		p->w = *p->at & 8;
		p->r = *p->at & 4;
		p->at++;
	}
	if (*p->at == 0x0f) {
		p->map = 1;
		p->at++;
	}
	return true;
}

/* Length of ModRM, SIB and displacement of a memory operand; *@reg: ModRM.reg. */
static unsigned int modrm(const uint8_t *p, unsigned int *reg)
{
	unsigned int mod = p[0] >> 6, rm = p[0] & 7, len = 1;

	*reg = p[0] >> 3 & 7;
	if (rm == 4) {
		len++;
		if (!mod && (p[1] & 7) == 5)
			len += 4;
	} else if (!mod && rm == 5) {
		len += 4;	/* RIP-relative */
	}
	return len + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

static void set_imm(struct mmio_insn *insn, const uint8_t **at, unsigned int size)
{
	int32_t value = 0;

	memcpy(&value, *at, size);
	insn->imm = size == 1 ? (int8_t)value : size == 2 ? (int16_t)value : value;
	insn->reg = NO_REG;
	*at += size;
}

static bool decode_vector(const struct prefixes *p, uint8_t op, struct mmio_insn *insn)
{
	unsigned int whole = p->wide ? 32 : 16, pp = p->pp;

	insn->zero_upper = p->vex;
	insn->size = whole;
	switch (op) {
	case 0x10:
	case 0x11:
		insn->size = pp == 0xf3 ? 4 : pp == 0xf2 ? 8 : whole;
		break;
	case 0x28:
	case 0x29:
	case 0x2b:
		break;
	case 0x6f:
	case 0x7f:
		if (pp != 0x66 && pp != 0xf3)
			return false;
		break;
	case 0xe7:
		if (pp != 0x66)
			return false;
		break;
	case 0xf0:
		if (pp != 0xf2)
			return false;
		break;
	case 0xd6:
		if (pp != 0x66)
			return false;
		insn->size = 8;
		break;
	case 0x6e:
	case 0x7e:
		if (pp != 0x66 && (op == 0x6e || pp != 0xf3))
			return false;
		insn->size = pp == 0xf3 || p->w ? 8 : 4;
		break;
	default:
		return false;
	}
	insn->store = op == 0x11 || op == 0x29 || op == 0x2b || op == 0x7f || op == 0xe7 ||
		      op == 0xd6 || (op == 0x7e && pp == 0x66);
	insn->load = !insn->store;
	insn->form = insn->store ? VECTOR_STORE : VECTOR_LOAD;
	return true;
}

/* Opcodes 0f xx. @p->at is behind the opcode. */
static bool decode_0f(struct prefixes *p, uint8_t op, struct mmio_insn *insn, unsigned int width)
{
	unsigned int len = modrm(p->at, &insn->reg);

	insn->reg |= p->r ? 8 : 0;
	p->at += len;
	if (!p->vex && (op & 0xf6) == 0xb6) {	/* movzx, movsx */
		insn->form = LOAD;
		insn->load = true;
		insn->size = op & 1 ? 2 : 1;
		insn->width = width;
		insn->sign = op & 8;
		return true;
	}
	if (!p->vex && op == 0xc3) {	/* movnti */
		insn->form = STORE;
		insn->store = true;
		insn->size = width;
		return true;
	}
	return decode_vector(p, op, insn);
}

static void alu(struct mmio_insn *insn, enum form form, unsigned int op, unsigned int size)
{
	insn->form = form;
	insn->op = op;
	insn->size = insn->width = size;
	insn->load = true;
	insn->store = form == ALU_TO_MEM && op != CMP && op != TEST;
}

/* One-byte opcodes. */
static bool decode_one(struct prefixes *p, uint8_t op, struct mmio_insn *insn, unsigned int width)
{
	unsigned int size = op & 1 ? width : 1, len = modrm(p->at, &insn->reg), field = insn->reg;
	unsigned int imm = size == 8 ? 4 : size;

	insn->reg |= p->r ? 8 : 0;
	if (op >= 0xa4 && op <= 0xab && op != 0xa6 && op != 0xa7 && op != 0xa8 && op != 0xa9) {
		insn->form = op < 0xa8 ? MOVS : STOS;
		insn->size = size;
		insn->repeat = p->pp == 0xf2 || p->pp == 0xf3;
		return true;	/* which way, the address says */
	}
	p->at += len;
	if (op < 0x40 && (op & 7) < 4) {
		alu(insn, op & 2 ? ALU_TO_REG : ALU_TO_MEM, op >> 3, size);
		return op >> 3 != ADC && op >> 3 != SBB;
	}
	switch (op) {
	case 0x63:	/* movsxd */
		insn->form = LOAD;
		insn->load = insn->sign = true;
		insn->size = 4;
		insn->width = width;
		return true;
	case 0x80:
	case 0x81:
	case 0x83:
		alu(insn, ALU_TO_MEM, field, size);
		set_imm(insn, &p->at, op == 0x81 ? imm : 1);
		return field != ADC && field != SBB;
	case 0x84:
	case 0x85:
		alu(insn, ALU_TO_MEM, TEST, size);
		return true;
	case 0x88:
	case 0x89:
		insn->form = STORE;
		insn->store = true;
		insn->size = size;
		return true;
	case 0x8a:
	case 0x8b:
		insn->form = LOAD;
		insn->load = true;
		insn->size = insn->width = size;
		return true;
	case 0xc6:
	case 0xc7:
		insn->form = STORE_IMM;
		insn->store = true;
		insn->size = size;
		set_imm(insn, &p->at, imm);
		return !field;
	case 0xf6:
	case 0xf7:
		alu(insn, ALU_TO_MEM, TEST, size);
		set_imm(insn, &p->at, imm);
		return !field;
	default:
		return false;
	}
}

const uint8_t *mmio_pc(const ucontext_t *uc)
{
	return (const uint8_t *)uc->uc_mcontext.gregs[REG_RIP];
}

bool mmio_decode(const ucontext_t *uc, uintptr_t addr, struct mmio_insn *insn, const char **why)
{
	const uint8_t *code = mmio_pc(uc);
	struct prefixes p;
	unsigned int width;
	uint8_t op;

	*insn = (struct mmio_insn){ 0 };
	*why = "an instruction that is no plain load, store or comparison";
	if (!read_prefixes(code, &p, why))
		return false;
	width = p.w ? 8 : p.pp == 0x66 ? 2 : 4;
	op = *p.at++;
	insn->high_bytes = !p.rex;
	if (p.map ? !decode_0f(&p, op, insn, width) : !decode_one(&p, op, insn, width))
		return false;
	if (insn->form == STOS || insn->form == MOVS) {
		insn->load = insn->form == MOVS &&
			     (uintptr_t)uc->uc_mcontext.gregs[REG_RSI] == addr;
		insn->store = !insn->load;
	}
	insn->len = (unsigned int)(p.at - code);
	return true;
}

/* --- Registers --- */

static const int gregs[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static uint64_t mask_of(unsigned int size)
{
	return size < 8 ? (1ull << (8 * size)) - 1 : UINT64_MAX;
}

static int64_t sign_extend(uint64_t value, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (int64_t)(value << shift) >> shift;
}

/* ah, ch, dh, bh: without REX, bytes of registers 4 to 7 are the second ones of 0 to 3. */
static bool is_high(const struct mmio_insn *insn, unsigned int size)
{
	return insn->high_bytes && size == 1 && insn->reg >= 4 && insn->reg < 8;
}

static uint64_t get_reg(const ucontext_t *uc, const struct mmio_insn *insn, unsigned int size)
{
	const greg_t *g = uc->uc_mcontext.gregs;

	if (insn->reg == NO_REG)
		return (uint64_t)insn->imm & mask_of(size);
	if (is_high(insn, size))
		return (uint64_t)g[gregs[insn->reg - 4]] >> 8 & 0xff;
	return (uint64_t)g[gregs[insn->reg]] & mask_of(size);
}

static void set_reg(ucontext_t *uc, const struct mmio_insn *insn, unsigned int size, uint64_t value)
{
	greg_t *g = uc->uc_mcontext.gregs;
	bool high = is_high(insn, size);
	greg_t *reg = &g[gregs[insn->reg - (high ? 4 : 0)]];
	uint64_t mask = mask_of(size) << (high ? 8 : 0);

	if (size >= 4)
		*reg = (greg_t)(value & mask);	/* 32 bits clear the upper half */
	else
		*reg = (greg_t)(((uint64_t)*reg & ~mask) | (value << (high ? 8 : 0) & mask));
}

/* --- Arithmetic --- */

#define FLAG_CF 0x1u
#define FLAG_PF 0x4u
#define FLAG_AF 0x10u
#define FLAG_ZF 0x40u
#define FLAG_SF 0x80u
#define FLAG_OF 0x800u
#define FLAGS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static uint64_t compute(unsigned int op, uint64_t a, uint64_t b, unsigned int size, greg_t *flags)
{
	uint64_t mask = mask_of(size), top = (mask >> 1) + 1, r, f = 0;

	switch (op) {
	case ADD:
		r = (a + b) & mask;
		f |= r < a ? FLAG_CF : 0;
		f |= ~(a ^ b) & (a ^ r) & top ? FLAG_OF : 0;
		f |= (a ^ b ^ r) & FLAG_AF;
		break;
	case SUB:
	case CMP:
		r = (a - b) & mask;
		f |= a < b ? FLAG_CF : 0;
		f |= (a ^ b) & (a ^ r) & top ? FLAG_OF : 0;
		f |= (a ^ b ^ r) & FLAG_AF;
		break;
	case OR:
		r = a | b;
		break;
	case XOR:
		r = a ^ b;
		break;
	default:	/* AND, TEST */
		r = a & b;
		break;
	}
	f |= r ? 0 : FLAG_ZF;
	f |= r & top ? FLAG_SF : 0;
	f |= __builtin_parity((unsigned int)(r & 0xff)) ? 0 : FLAG_PF;
	*flags = (*flags & ~(greg_t)FLAGS) | (greg_t)f;
	return r;
}

/* --- Vector registers, as the signal frame has them --- */

static struct _xstate *xstate_of(ucontext_t *uc)
{
	struct _xstate *x = (struct _xstate *)uc->uc_mcontext.fpregs;

	return x->fpstate.sw_reserved.magic1 == FP_XSTATE_MAGIC1 ? x : NULL;
}

#define XSTATE_YMM 4ull

static void get_vector(ucontext_t *uc, unsigned int reg, uint8_t bytes[32])
{
	struct _xstate *x = xstate_of(uc);

	memset(bytes, 0, 32);
	memcpy(bytes, &uc->uc_mcontext.fpregs->_xmm[reg], 16);
	if (x && x->xstate_hdr.xfeatures & XSTATE_YMM)
		memcpy(bytes + 16, (uint8_t *)&x->ymmh + 16 * reg, 16);
}

static void set_vector(ucontext_t *uc, unsigned int reg, const uint8_t bytes[32], bool upper)
{
	struct _xstate *x = xstate_of(uc);

	memcpy(&uc->uc_mcontext.fpregs->_xmm[reg], bytes, 16);
	if (!upper || !x || !(x->fpstate.sw_reserved.xfeatures & XSTATE_YMM))
		return;
	if (!(x->xstate_hdr.xfeatures & XSTATE_YMM))
		memset(&x->ymmh, 0, sizeof(x->ymmh));
	x->xstate_hdr.xfeatures |= XSTATE_YMM;
	memcpy((uint8_t *)&x->ymmh + 16 * reg, bytes + 16, 16);
}

/* --- Execution --- */

static uint64_t load(const struct mmio *mmio, uintptr_t addr, unsigned int size)
{
	uint64_t value = 0;

	mmio_load_bytes(mmio, addr, &value, size);
	return value;
}

/* One element; the instruction is taken again while there are more. true: it is done. */
static bool execute_string(ucontext_t *uc, uintptr_t addr, const struct mmio_insn *insn,
			   const struct mmio *mmio)
{
	greg_t *g = uc->uc_mcontext.gregs;
	greg_t step = g[REG_EFL] & 0x400 ? -(greg_t)insn->size : (greg_t)insn->size;
	uint64_t value = (uint64_t)g[REG_RAX];

	if (insn->repeat && !g[REG_RCX])
		return true;
	if (insn->load) {
		value = load(mmio, addr, insn->size);
		memcpy((void *)g[REG_RDI], &value, insn->size);
	} else {
		if (insn->form == MOVS)
			memcpy(&value, (const void *)g[REG_RSI], insn->size);
		mmio_store_bytes(mmio, addr, &value, insn->size);
	}
	g[REG_RDI] += step;
	g[REG_RSI] += insn->form == MOVS ? step : 0;
	return !insn->repeat || !--g[REG_RCX];
}

static void execute_alu(ucontext_t *uc, uintptr_t addr, const struct mmio_insn *insn,
			const struct mmio *mmio)
{
	greg_t *flags = &uc->uc_mcontext.gregs[REG_EFL];
	uint64_t memory = load(mmio, addr, insn->size), reg = get_reg(uc, insn, insn->size), r;

	if (insn->form == ALU_TO_MEM) {
		r = compute(insn->op, memory, reg, insn->size, flags);
		if (insn->store)
			mmio_store_bytes(mmio, addr, &r, insn->size);
		return;
	}
	r = compute(insn->op, reg, memory, insn->size, flags);
	if (insn->op != CMP)
		set_reg(uc, insn, insn->size, r);
}

void mmio_execute(ucontext_t *uc, uintptr_t addr, const struct mmio_insn *insn,
		  const struct mmio *mmio)
{
	uint8_t bytes[32];
	uint64_t value;

	switch (insn->form) {
	case LOAD:
		value = load(mmio, addr, insn->size);
		set_reg(uc, insn, insn->width,
			insn->sign ? (uint64_t)sign_extend(value, insn->size) : value);
		break;
	case STORE:
	case STORE_IMM:
		value = get_reg(uc, insn, insn->size);
		mmio_store_bytes(mmio, addr, &value, insn->size);
		break;
	case ALU_TO_MEM:
	case ALU_TO_REG:
		execute_alu(uc, addr, insn, mmio);
		break;
	case VECTOR_LOAD:
		memset(bytes, 0, sizeof(bytes));
		mmio_load_bytes(mmio, addr, bytes, insn->size);
		set_vector(uc, insn->reg, bytes, insn->zero_upper);
		break;
	case VECTOR_STORE:
		get_vector(uc, insn->reg, bytes);
		mmio_store_bytes(mmio, addr, bytes, insn->size);
		break;
	default:
		if (!execute_string(uc, addr, insn, mmio))
			return;
		break;
	}
	uc->uc_mcontext.gregs[REG_RIP] += insn->len;
}
