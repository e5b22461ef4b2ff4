#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
What the command does where something ends: output that cannot be written, more devices than fit, names that are no text,
files that are not what they should be, signals. Nothing is lost silently, and no part is called the whole.
"""

import hashlib
import json
import os
import re
import signal
import struct
import subprocess
import sys

from doorbell import check, equal, main

SMALL = "device 0000:01:00.0 nvme size=1m io-queues=2\n"


def call_to(doorbell, output, *arguments):
    """With this file as stdout; None: with stdout closed."""
    process = subprocess.run([doorbell.path, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE,
                             preexec_fn=None if output is not None else lambda: os.close(1), timeout=120, check=False)
    return process.returncode, process.stderr.decode(errors="replace")


def output_that_is_lost(doorbell):
    machine = doorbell.file(SMALL)
    commands = [[command, *form, "--machine", machine] for command in ("run", "explain", "probe") for form in ([], ["--json"])]
    commands += [["--help"], ["--version"], ["run", "--help"], ["help", "probe"], ["bench", "--list"],
                 ["bench", "--json", "--runs", "1", "walk_warm"]]
    for arguments in commands:
        reader, writer = os.pipe()
        os.close(reader)
        with open("/dev/full", "wb") as full:
            for output in (full, writer, None):
                status, said = call_to(doorbell, output, *arguments)
                equal(status, 1, f"exit status of {arguments} to {output}")
                check(": standard output: " in said, f"{arguments} to {output} says so: {said}")
        os.close(writer)
        equal(call_to(doorbell, subprocess.DEVNULL, *arguments)[0], 0, f"exit status of {arguments}")


def closed_output_is_not_a_file(doorbell):
    """The first file that is opened must not become stdout: here it would be the drawing's."""
    path = os.path.join(doorbell.directory.name, "closed.svg")
    call_to(doorbell, None, "explain", "--machine", doorbell.file(SMALL), "--svg", path)
    with open(path, encoding="utf-8") as drawing:
        check(drawing.read().startswith("<"), "nothing but a drawing is in it")


def names_that_are_not_utf8(doorbell):
    """JSON is UTF-8: what is not is replaced, and everything else of the error is there."""
    name = b"/nonexistent/caf\xe9-\xf0\x9f\x94\x94-\xed\xa0\x80"
    for arguments in (["run"], ["explain"], ["probe"], ["run", "--device", b"caf\xe9"], ["probe", "--device", b"caf\xe9"],
                      ["explain", "--case", name]):
        options = [] if len(arguments) > 1 else ["--machine", name]
        process = subprocess.run([doorbell.path, *arguments, *options, "--json"], capture_output=True, timeout=120, check=False)
        equal(process.returncode, 1, f"exit status of {arguments}")
        report = json.loads(process.stdout.decode("utf-8"))
        error = report["devices"][0]["error"] if arguments[0] == "probe" and "error" not in report else report["error"]
        check(error["message"], "there is a reason")
        if options or name in arguments:
            check("/nonexistent/caf\ufffd-\U0001f514-\ufffd" in error["message"], f"the file's name in {error}")


def probe_that_fails(doorbell):
    for text, code in (("device 0000:01:00.0 toaster\n", "EINVAL"), (None, "ENOENT")):
        path = doorbell.file(text) if text else "/nonexistent/machine"
        doorbell.call("probe", "--json", "--machine", path).refused(code, path)


def many(devices):
    text = "smmu sid-bits=24\nits its base=0x8080000 device-bits=24\n"
    for first in range(0, devices, 32):
        text += f"device 0000:{first // 32 + 1:02x}:00.0 bell vectors=1 count={min(32, devices - first)}\n"
    return text


def more_devices_than_a_few(doorbell):
    report = doorbell.run(many(40)).good()
    equal(len(report["devices"]), 40, "devices of the report")
    human = doorbell.call("run", "--machine", doorbell.file(many(40)))
    check("40 devices, " in human.stdout.splitlines()[-1], "devices of the verdict")
    path = doorbell.file(many(300))
    doorbell.run(many(300)).refused("E2BIG", "300 devices", "256", "--device")
    equal(len(doorbell.call("probe", "--json", "--machine", path).good()["devices"]), 300, "devices that are probed")
    doorbell.call("explain", "--json", "--machine", path).good()


def more_of_a_group_than_a_few(doorbell):
    regions = "".join(f"reserved 7 {base << 20:#x}..{(base << 20) + 0xfff:#x} reserved\n" for base in range(3000, 3060))
    path = doorbell.file("device 0000:01:00.0 bell vectors=1 count=20 group=7\n" + regions)
    device = doorbell.call("probe", "--json", "--machine", path).json()["devices"][0]
    equal(len(device["group_mates"]), 19, "group mates")
    equal(sum(region["type"] == "reserved" for region in device["reserved"]), 60, "reserved regions")
    doorbell.run("device 0000:01:00.0 bell vectors=1 group=7\n" + regions).good()


def iort(*nodes):
    """A table of these nodes, each a function of its offset."""
    text, at = b"", 48
    for node in nodes:
        text += node
    return b"IORT" + struct.pack("<IBB6s8sI4sIIII", at + len(text), 0, 0, b"", b"", 0, b"", 0, len(nodes), at, 0) + text


def iort_node(kind, data, mappings=()):
    offset = 16 + len(data)
    return struct.pack("<BHBIII", kind, offset + 20 * len(mappings), 1, 0, len(mappings), offset) + data + \
        b"".join(struct.pack("<5I", *mapping) for mapping in mappings)


def dumps_of_another_machine(doorbell):
    """The counts of both ranges are one too many; ITS 1 has no entry in the MADT."""
    its = [iort_node(0, struct.pack("<II", 1, number)) for number in (0, 1)]
    complex_at = 48 + len(its[0])
    root = iort_node(2, struct.pack("<IHBBIIB3s", 1, 0, 0, 3, 0, 0, 64, b""),
                     [(0x1000, 0x100, 0x1000, 48, 0), (0x1100, 0x100, 0x2000, complex_at, 0)])
    table = iort(*its, root)
    path = doorbell.file(table + b"and more", "iort")
    entries = struct.pack("<BBHIQI", 15, 20, 0, 0, 0x8080000, 0)
    madt = doorbell.file(b"APIC" + struct.pack("<I", 44 + len(entries)) + bytes(36) + entries, "madt")
    report = doorbell.call("probe", "--json", "--iort", path, "--madt", madt, "--device", "0000:11:00.0").good()
    equal(report["itses"], [{"id": 0, "base": "0x8080000"}], "ITSes")
    route = report["devices"][0]["route"]
    equal((route["smmu"], route["device_id"], route["itses"]), (None, 0x2000, [1]), "the range that starts at it")
    said = doorbell.call("probe", "--iort", path, "--madt", madt)
    equal(said.status, 0, "exit status")
    for line in ("  0000:10:00.0 to 0000:10:1f.7  no SMMUv3; DeviceID 0x1000 at ITS 0 (0x8080000); coherent",
                 "  0000:11:00.0 to 0000:12:00.0  no SMMUv3; DeviceID 0x2000 at ITS 1; coherent"):
        check(line in said.stdout, f"{line!r} is not in {said.stdout}")
    ranges = doorbell.call("probe", "--json", "--iort", path).good()["segments"][0]["requesters"]
    equal([(r["first"], r["last"]) for r in ranges],
          [("0x0", "0xfff"), ("0x1000", "0x10ff"), ("0x1100", "0x1200"), ("0x1201", "0xffff")], "ranges")
    equal(doorbell.call("probe", "--iort", path, "--device", "0001:11:00.0").status, 1, "a segment that is not there")
    doorbell.call("probe", "--json", "--iort", path, "--device", "11:00.0").refused("EINVAL", "11:00.0")
    doorbell.call("probe", "--json", "--iort", madt).refused("EINVAL", madt, "IORT")
    doorbell.call("probe", "--json", "--iort", path, "--madt", path).refused("EINVAL", path, "APIC")
    doorbell.call("probe", "--json", "--iort", doorbell.file(table[:-1], "cut")).refused("EINVAL", "whole")
    doorbell.call("probe", "--json", "--iort", doorbell.directory.name).refused("EISDIR", doorbell.directory.name)
    for arguments in (["--madt", madt], ["--iort", path, "--machine", path], ["--iort", path, "--host", "linux"]):
        equal(doorbell.call("probe", *arguments).status, 2, f"exit status of {arguments}")


def disks_that_cannot_be(doorbell):
    """Each reason names the file, whoever named it: a machine file or --disk."""
    folder = doorbell.directory.name
    empty, odd = doorbell.file("", "empty.img"), doorbell.file("x" * 1000, "odd.img")
    fifo = os.path.join(folder, "fifo.img")
    os.mkfifo(fifo)
    for path, code, reason in ((empty, "EINVAL", "it is empty"), (odd, "EINVAL", "multiple of 512"), (folder, "EISDIR", "directory"),
                               (fifo, "EINVAL", "not a regular file"), (folder + "/none.img", "ENOENT", "No such file")):
        text = f'device 0000:01:00.0 nvme disk="{path}"\n'
        doorbell.run(text).refused(code, path, reason)
        doorbell.run(text.replace(" disk", " read-only disk")).refused(code if path != folder else "EINVAL", path, reason)
        doorbell.call("probe", "--json", "--machine", doorbell.file(text)).refused(code, path, reason)
        result = doorbell.call("run", "--json", "--disk", path)
        equal(result.status, 1, "exit status")
        check(path in result.stderr and reason in result.stderr, f"the reason of --disk {path}: {result.stderr}")


def disks_beside_the_machine_file(doorbell):
    folder = os.path.join(doorbell.directory.name, "elsewhere")
    os.mkdir(folder)
    content = os.urandom(8192)
    with open(os.path.join(folder, "a disk.img"), "wb") as disk:
        disk.write(content)
    path = os.path.join(folder, "m.machine")
    with open(path, "w", encoding="utf-8") as machine:
        machine.write('device 0000:01:00.0 nvme disk="a disk.img" io-queues=1\n')
    report = doorbell.call("run", "--json", "--machine", path).good()
    equal(report["devices"][0]["io"]["sha256"], hashlib.sha256(content).hexdigest(), "the disk's content")
    # --disk is relative to where the user is, and takes the place of the machine's own
    other = doorbell.file(bytes(1024), "other.img")
    process = subprocess.run([os.path.abspath(doorbell.path), "run", "--json", "--machine", path, "--disk", os.path.basename(other)],
                             cwd=os.path.dirname(other), capture_output=True, timeout=120, check=False)
    equal(json.loads(process.stdout)["devices"][0]["io"]["sha256"], hashlib.sha256(bytes(1024)).hexdigest(), "the other disk's")


def byte_order_marks(doorbell):
    disk = doorbell.file(bytes(1024), "disk")
    doorbell.run("\ufeffdevice 0000:01:00.0 nvme size=1m io-queues=1\n").good()
    equal(doorbell.run("\ufeffdevice 0000:01:00.0 nvme size=1m\n", "--disk", disk).good()["devices"][0]["io"]["bytes"], 1024, "bytes")


def fifos_do_not_hang(doorbell):
    """Nobody writes to it, and nobody reads from it."""
    fifo = os.path.join(doorbell.directory.name, "fifo")
    os.mkfifo(fifo)
    for arguments in (["run", "--machine"], ["explain", "--case"], ["probe", "--iort"], ["run", "--disk"], ["explain", "--svg"]):
        result = doorbell.call(*arguments, fifo)
        equal(result.status, 1, f"exit status of {arguments}")
        check(fifo in result.stderr, f"{arguments} names it: {result.stderr}")
    process = subprocess.run(["bash", "-c", f'"{doorbell.path}" run --machine <(sleep 0.2; echo "{SMALL}")'],
                             capture_output=True, timeout=120, check=False)
    equal(process.returncode, 0, "exit status with a pipe that something comes from")


def places_beyond_the_end(doorbell):
    for option in ("--vits", "--ram"):
        for at in ("0xffffffffffe00000", "0x1000000000000", "0xffffffff0000" if option == "--vits" else "0xffffffe00000"):
            doorbell.run(SMALL, option, at).refused("EINVAL", f"{option} {at}", "48 bits")


def options_that_contradict(doorbell):
    for arguments, reason in ((["--disturb", "all,-all"], "nothing is left"), (["--disturb", "-fault"], "nothing is left"),
                              (["--mode", "rmr", "--mode", "native"], "given twice: rmr and native"),
                              (["--vectors", "1", "--vectors", "2"], "given twice")):
        result = doorbell.call("run", *arguments)
        equal(result.status, 2, f"exit status of {arguments}")
        check(reason in result.stderr, f"{arguments}: {result.stderr}")
    doorbell.run(SMALL, "--mode", "rmr", "--mode", "rmr", "--json").good()
    doorbell.run("device 0000:01:00.0 bell msi=1 vectors=1\n").refused("EINVAL", "line 1", "exclude each other")


def start(doorbell, output, number, *arguments):
    """The status of a command that gets this signal in the middle of its I/O, and what it wrote to the pipe or terminal."""
    disk = os.path.join(doorbell.directory.name, f"large-{number}.img")
    with open(disk, "wb") as image:
        image.truncate(64 << 30)
    machine = doorbell.file(f'device 0000:01:00.0 nvme disk="{disk}" read-only in-use\n')
    reader, writer = output()
    process = subprocess.Popen([doorbell.path, "run", "--machine", machine, "--device", "0000:01:00.0", "--rebind", *arguments],
                               stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    said = b""
    while True:
        try:
            part = os.read(reader, 65536)
        except OSError:     # a terminal that nobody has open any more
            break
        if not part:
            break
        said += part
        if number and (b"% of 64 GiB" in said or b" of 64 GiB" in said):
            process.send_signal(number)
            number = 0
    errors = process.stderr.read().decode()
    os.close(reader)
    return process.wait(120), said.decode(), errors


def signals_end_it_in_order(doorbell):
    """Devices are back with their drivers, and a terminal's progress line is at its end before anything else is written."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        status, said, errors = start(doorbell, os.openpty, number)
        equal(status, 128 + number, "exit status")
        name = signal.Signals(number).name
        check(f"stopped by {name}" in errors, f"that is said: {errors}")
        check("nvme drives it again" in said, f"that is shown: {said[-600:]}")
        check(re.search(r" of 64 GiB\x1b\[K\r\x1b\[K", said.rpartition("FAIL")[0][-300:]), f"the line ends: {said[-300:]!r}")
        check(f"FAIL it was stopped by {name}" in said.replace("\x1b[1;31m", "").replace("\x1b[0m", ""), "the verdict")


CASES = [
    output_that_is_lost, closed_output_is_not_a_file, names_that_are_not_utf8, probe_that_fails, more_devices_than_a_few,
    more_of_a_group_than_a_few, dumps_of_another_machine, disks_that_cannot_be, disks_beside_the_machine_file,
    byte_order_marks, fifos_do_not_hang, places_beyond_the_end, options_that_contradict,
    signals_end_it_in_order,
]

if __name__ == "__main__":
    sys.exit(main([(case.__name__.replace("_", " "), case) for case in CASES]))
