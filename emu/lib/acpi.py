#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""acpi.py IN OUT [--rmr STREAM-ID,START,SIZE[,remap]]...: changes an ACPI table of the emulated machine.

An IORT (Arm DEN 0049) gets CANWBS in every root complex node. Linux gives a nested stage 1 only to
devices whose cacheability a guest cannot weaken: the SMMU has S2FWB, or the root complex says that its
coherent accesses stay write-back whatever stage 1 says (CANWBS, bit 2 of the memory access flags). QEMU's
SMMU has neither, though its memory is coherent always, so saying CANWBS is true of it. With --rmr it also
gets nodes of reserved memory regions, each to be mapped 1:1 for one stream.

A DSDT gets a _DSM of the PCI host bridge that asks the kernel to keep what firmware has configured. Without
that StreamIDs might change, and Linux ignores the regions (DEN 0049 §3.1.1.5, PCI Firmware
Specification, _DSM function 5).

The kernel replaces a table only by one of a higher OEM revision."""

import argparse
import struct
import sys
import uuid

# Offsets in the table header. Behind the number of nodes stands the offset of the first.
LENGTH, REVISION, CHECKSUM, OEM_REVISION, NODE_COUNT = 4, 8, 9, 24, 36
NODE_ROOT_COMPLEX, NODE_SMMU_V3, NODE_RMR = 2, 4, 6
# The memory access flags in a root complex node: its 16-byte header, then cache coherency (4), hints (1),
# reserved (2), flags (1).
MEMORY_ACCESS_FLAGS = 16 + 7
CANWBS = 1 << 2
# The first revision of the table, and of the node, that Linux reads RMR nodes of.
IORT_E_D, RMR_REVISION = 5, 3
REMAP_PERMITTED = 1 << 0
SINGLE_MAPPING = 1 << 0
# QEMU's _DSM answers function 0 with "no functions", and all others with an empty buffer:
#     If (Arg2 == 0) { Return (Buffer () {0}) }
# This makes it, in as many bytes, 0 as an integer for all but function 0, of which the kernel asks for 5:
#     If (Arg2 > 0) { Return (0), Noop, Noop, Noop }
DSM_UUID = uuid.UUID("e5c937d0-3553-4d7a-9117-ea4d19c3434d").bytes_le
IF = b"\xa0\x09"
DSM_WAS, DSM_IS = b"\x93\x6a\x00\xa4\x11\x03\x01\x00", b"\x94\x6a\x00\xa4\x00\xa3\xa3\xa3"


def nodes(table):
    """(type, offset) of each node of an IORT."""
    count, offset = struct.unpack_from("<II", table, NODE_COUNT)
    for _ in range(count):
        kind, length = struct.unpack_from("<BH", table, offset)
        yield kind, offset
        offset += length


def set_canwbs(table):
    found = [offset for kind, offset in nodes(table) if kind == NODE_ROOT_COMPLEX]
    if not found:
        sys.exit("emu: this IORT has no root complex")
    for offset in found:
        table[offset + MEMORY_ACCESS_FLAGS] |= CANWBS


def parse_rmr(text):
    stream, start, size, *flags = text.split(",")
    if flags not in ([], ["remap"]):
        raise ValueError(text)
    return int(stream, 0), int(start, 0), int(size, 0), REMAP_PERMITTED if flags else 0


def add_rmr(table, rmr):
    stream, start, size, flags = rmr
    smmu = next((offset for kind, offset in nodes(table) if kind == NODE_SMMU_V3), None)
    if smmu is None:
        sys.exit("emu: this IORT has no SMMUv3")
    count = struct.unpack_from("<I", table, NODE_COUNT)[0]
    mapping, region, length = 28, 48, 68
    table += struct.pack("<BHBIII", NODE_RMR, length, RMR_REVISION, count, 1, mapping)
    table += struct.pack("<III", flags, 1, region)
    table += struct.pack("<IIIII", 0, 0, stream, smmu, SINGLE_MAPPING)
    table += struct.pack("<QQI", start, size, 0)
    struct.pack_into("<I", table, NODE_COUNT, count + 1)
    table[REVISION] = max(table[REVISION], IORT_E_D)


def keep_boot_configuration(table):
    at = table.find(DSM_UUID + IF + DSM_WAS)
    if at < 0:
        sys.exit("emu: this DSDT has no _DSM of a PCI host bridge that is known here")
    at += len(DSM_UUID + IF)
    table[at:at + len(DSM_IS)] = DSM_IS


def finish(table):
    struct.pack_into("<I", table, LENGTH, len(table))
    revision = struct.unpack_from("<I", table, OEM_REVISION)[0]
    struct.pack_into("<I", table, OEM_REVISION, revision + 1)
    table[CHECKSUM] = 0
    table[CHECKSUM] = -sum(table) & 0xFF


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("table")
    parser.add_argument("out")
    parser.add_argument("--rmr", type=parse_rmr, action="append", default=[])
    args = parser.parse_args()
    with open(args.table, "rb") as f:
        table = bytearray(f.read())
    signature = bytes(table[:4])
    if signature not in (b"IORT", b"DSDT") or struct.unpack_from("<I", table, LENGTH)[0] != len(table):
        sys.exit(f"emu: {args.table} is no whole IORT or DSDT")
    if signature == b"IORT":
        set_canwbs(table)
        for rmr in args.rmr:
            add_rmr(table, rmr)
    else:
        keep_boot_configuration(table)
    finish(table)
    with open(args.out, "wb") as f:
        f.write(table)


main()
