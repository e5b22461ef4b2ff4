#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""iort.py IN OUT: sets CANWBS in every root complex node of an IORT (Arm DEN 0049).

Linux gives a nested stage 1 only to devices whose cacheability a guest cannot weaken: the SMMU has
S2FWB, or the root complex says that its coherent accesses stay write-back whatever stage 1 says
(CANWBS, bit 2 of the memory access flags). QEMU's SMMU has neither, though its memory is coherent
always, so saying CANWBS is true of it. The kernel replaces a table only by one of a higher OEM
revision."""

import struct
import sys

NODE_ROOT_COMPLEX = 2
# Offsets in the table header, in a node's header, and of the memory access flags in a root complex
# node: its 16-byte header, then cache coherency (4), hints (1), reserved (2), flags (1).
CHECKSUM, OEM_REVISION, NODE_COUNT, NODE_OFFSET = 9, 24, 36, 40
MEMORY_ACCESS_FLAGS = 16 + 7
CANWBS = 1 << 2


def main():
    with open(sys.argv[1], "rb") as f:
        table = bytearray(f.read())
    if table[:4] != b"IORT" or struct.unpack_from("<I", table, 4)[0] != len(table):
        sys.exit("emu: this is no whole IORT")
    count, offset = struct.unpack_from("<II", table, NODE_COUNT)
    found = 0
    for _ in range(count):
        kind, length = struct.unpack_from("<BH", table, offset)
        if kind == NODE_ROOT_COMPLEX:
            table[offset + MEMORY_ACCESS_FLAGS] |= CANWBS
            found += 1
        offset += length
    if not found:
        sys.exit("emu: this IORT has no root complex")
    revision = struct.unpack_from("<I", table, OEM_REVISION)[0]
    struct.pack_into("<I", table, OEM_REVISION, revision + 1)
    table[CHECKSUM] = 0
    table[CHECKSUM] = -sum(table) & 0xFF
    with open(sys.argv[2], "wb") as f:
        f.write(table)


main()
