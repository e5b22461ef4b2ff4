#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""boot.py --mode M --timeout S [--json] [--verbose] -- QEMU ARGS... : runs QEMU with a guest of emu/guest, shows what
guest and devices say as it comes, and gives the verdict.

PASS says: the guest's init was content with every byte and with its interrupts, QEMU ended well, and each vector that
fired had the guest's own address in the device."""

import argparse
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time

GUEST = re.compile(r"guest: (.*)")
VECTOR = re.compile(r"doorbell-pci: (?P<device>\S+): vector (?P<vector>\d+): guest wrote (?P<guest>0x[0-9a-f]+) "
                    r"data (?P<data>0x[0-9a-f]+); the device (?:has (?P<address>0x[0-9a-f]+) "
                    r"data (?P<host_data>0x[0-9a-f]+)|does not show it)")
VERIFIED = re.compile(r"disk \S+ at \S+: (\d+) of \d+ bytes verified")
INTERRUPTS = re.compile(r"(\d+) interrupts on (\d+) of (\d+) vectors")
PANIC = re.compile(r"Kernel panic|Unable to handle kernel|\bOops\b|\bBUG\b")
SHOWN_VECTORS = 4


class Run:
    def __init__(self, options):
        self.options = options
        self.guest, self.vectors, self.problems, self.console = [], [], [], []
        self.hidden = 0

    def show(self, kind, text):
        if not self.options.json:
            print(f"  {kind:7} {text}", flush=True)

    def console_line(self, line):
        self.console.append(line)
        said = GUEST.search(line)
        if said:
            self.guest.append(said[1])
            self.show("guest", said[1])
        elif self.options.verbose:
            self.show("console", line)
        if PANIC.search(line):
            self.problems.append(line.strip())

    def qemu_line(self, line):
        vector = VECTOR.search(line)
        if not vector:
            self.problems.append(line.strip())
            self.show("qemu", line)
            return
        self.vectors.append(vector.groupdict())
        if len(self.vectors) <= SHOWN_VECTORS or self.options.verbose:
            self.show("msi", line.split("doorbell-pci: ", 1)[1])
        else:
            self.hidden += 1

    def judge(self, status):
        """What speaks against PASS."""
        wrong = list(self.problems)
        if status is None:
            wrong.append(f"not done after {self.options.timeout} s")
        elif status:
            wrong.append(f"QEMU ended with status {status}")
        if "PASS" not in self.guest:
            wrong += [line for line in self.guest if line.startswith("failed")] or ["the guest gave no result"]
        if not self.vectors:
            wrong.append("no vector fired")
        for vector in self.vectors:
            if vector["address"] and vector["address"] != vector["guest"]:
                wrong.append(f'{vector["device"]}: vector {vector["vector"]} has {vector["address"]} in the device, '
                             f'where the guest wrote {vector["guest"]}')
        return wrong

    def summary(self, status):
        wrong = self.judge(status)
        counts = [INTERRUPTS.match(line) for line in self.guest]
        counts = [match for match in counts if match]
        return {
            "pass": not wrong, "mode": self.options.mode,
            "bytes_verified": sum(int(m[1]) for m in map(VERIFIED.match, self.guest) if m),
            "interrupts": int(counts[-1][1]) if counts else 0,
            "vectors_fired": len(self.vectors), "msi": self.vectors, "guest": self.guest, "error": wrong,
        }


class Lines:
    """Whole lines of what a pipe brings piece by piece."""

    def __init__(self, take):
        self.take, self.rest = take, b""

    def feed(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.take(line.decode(errors="replace").rstrip("\r"))


def watch(run, command):
    deadline = time.monotonic() + run.options.timeout
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ, Lines(run.console_line))
    selector.register(process.stderr, selectors.EVENT_READ, Lines(run.qemu_line))
    try:
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            for key, _ in selector.select(left):
                data = os.read(key.fd, 65536)
                if data:
                    key.data.feed(data)
                else:
                    selector.unregister(key.fileobj)
        return process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", required=True)
    parser.add_argument("--timeout", type=int, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("command", nargs="+")
    run = Run(parser.parse_args())
    started = time.monotonic()
    result = run.summary(watch(run, run.options.command))
    result["seconds"] = round(time.monotonic() - started, 1)
    if run.options.json:
        print(json.dumps(result, indent=2))
        return not result["pass"]
    if run.hidden:
        run.show("msi", f"... and {run.hidden} more vectors")
    if result["pass"]:
        print(f'PASS {result["mode"]}: {result["bytes_verified"] >> 20} MiB verified, {result["interrupts"]} interrupts '
              f'counted by the guest, {result["vectors_fired"]} vectors under the guest\'s own addresses, '
              f'{result["seconds"]} s')
        return False
    for line in run.console[-20:] if not run.guest else []:
        run.show("console", line)
    print("FAIL " + "; ".join(result["error"][:5]))
    return True


if __name__ == "__main__":
    sys.exit(main())
