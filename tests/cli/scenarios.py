#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
The scenario of `doorbell run`, over modes, stage-1 granules, numbers of ITSes, kinds of doorbell, MSI and MSI-X, and numbers of
vectors. Every run does its I/O and counts its interrupts; here is checked that what it reports is what the mode promises.
"""

import sys

from doorbell import check, equal, main

WINDOW = 0x8000000
GRANULES = {"4k": 0x1000, "16k": 0x4000, "64k": 0x10000}
FIRST_EVENT = 64

# PA of doorbell @index of each kind: frame base, statement.
FRAMES = {
    "its": (0x8080000, 0x20000, "its its base={base:#x}"),
    "pre-its": (0x9000000, 0x100000, "its pre-its base={base:#x} window={window:#x}"),
    "v2m": (0x8020000, 0x1000, "its v2m base={base:#x} spis={spi}+{spis}"),
}


def frame(kind, index, spis=64):
    base, step, statement = FRAMES[kind]
    base += index * step
    return statement.format(base=base, window=base + 0x80000, spi=32 + index * spis, spis=spis) + "\n"


def address(index):
    return f"0000:{index + 1:02x}:00.0"


def low_bits(kind, index):
    """Of the doorbell's address in its page: GITS_TRANSLATER and MSI_SETSPI_NS are at 0x40, a pre-ITS adds DeviceID * 4."""
    requester = (index + 1) << 8
    return requester * 4 & 0xfff if kind == "pre-its" else 0x40


def machine(kernel, kind, itses, device, extra="", spis=64):
    text = f"kernel {kernel}\n{extra}"
    for i in range(itses):
        text += frame(kind, i, spis)
    for i in range(itses):
        text += f"device {address(i)} {device} its={i}\n"
    return text


def number(text):
    check(isinstance(text, str) and text.startswith("0x"), f"{text!r} is no address")
    return int(text, 16)


def check_device(report, device, index, mode, kind, vectors, msi):
    equal(list(device), ["address", "stream_id", "device_id", "doorbell_id", "doorbell_ipa", "giova", "vectors", "msi", "interrupts",
                         "io"], "keys of a device")
    equal(device["address"], address(index), "address")
    equal(device["vectors"], vectors, "vectors")
    equal(len(device["msi"]), vectors, "MSI entries")
    giova = number(device["giova"])
    for i, entry in enumerate(device["msi"]):
        equal(list(entry), ["index", "address", "data_guest", "data_host"], "keys of an MSI entry")
        equal((entry["index"], entry["data_guest"]), (i, FIRST_EVENT + i), "index and the guest's data")
        programmed = number(entry["address"])
        page = WINDOW + index * report["page_size"] if mode == "rmr" else giova & ~0xfff
        if entry["data_host"] is None:	# VFIO does not show a plain MSI's message: what the guest wrote
            check(msi, "the message of an MSI-X vector can be read")
            equal(programmed, giova, f"address of vector {i}")
        else:
            equal(programmed, page | low_bits(kind, index), f"address in the device, vector {i}")
    host_data = [entry["data_host"] for entry in device["msi"] if entry["data_host"] is not None]
    equal(len(set(host_data)), len(host_data), "different host data")
    interrupts = device["interrupts"]
    check(interrupts["expected"] >= vectors, "every vector was to be raised")
    equal(interrupts["delivered"], interrupts["expected"], "delivered")
    equal([interrupts["lost"], interrupts["spurious"], interrupts["misrouted"]], [0, 0, 0], "lost, spurious, misrouted")
    check(device["io"]["verified"] is True and device["io"]["bytes"] > 0, "I/O verified")


def check_run(report, mode, kind, itses, granule, vectors, msi, page_size):
    equal(list(report), ["mode", "host", "rmr", "devices", "events"], "keys")
    equal((report["mode"], report["host"], report["rmr"]), (mode, "soft", mode == "rmr"), "mode, host, rmr")
    equal(report["events"], [], "events")
    equal(len(report["devices"]), itses, "devices")
    report["page_size"] = page_size
    for i, device in enumerate(report["devices"]):
        check_device(report, device, i, mode, kind, vectors, msi)
        giova = number(device["giova"])
        equal(giova % GRANULES[granule], 0x40, "the guest's page offset")
        check(giova < 1 << 32, "gIOVAs start below 4 GiB")
        equal(number(device["doorbell_ipa"]) & 0xffff, 0, "doorbell page")
    ipas = [device["doorbell_ipa"] for device in report["devices"]]
    ids = [device["doorbell_id"] for device in report["devices"]]
    if mode == "native":
        equal(len(set(ipas)), itses, "a vITS for each doorbell")
        equal(len(set(ids)), itses, "doorbell ids")
    if mode == "stock":
        equal(number(ipas[0]), WINDOW, "doorbell page where the kernel put it")


def scenario(mode, granule, itses, kind, device, vectors, kernel="doorbell", page_size="4k"):
    """Runs, or is refused where the mode cannot do it: then with the reason that belongs there."""

    def case(doorbell):
        text = machine(kernel, kind, itses, device, f"page-size {page_size}\n", max(64, vectors))
        result = doorbell.run(text, "--mode", mode, "--granule", granule)
        if mode == "stock" and "msi=" in device:
            result.refused("EOPNOTSUPP", "MSI-X")
        elif mode == "stock" and itses > 1:
            result.refused("EXDEV", "another ITS", address(1))
        else:
            check_run(result.good(), mode, kind, itses, granule, vectors, "msi=" in device, GRANULES[page_size])

    return f"{mode} {granule} {itses} x {kind}, {device}, host pages {page_size}, kernel {kernel}", case


GENTLE = ["mask", "remap", "cd"]
HEAVY = ["abort", "bypass", "reset", "fault"]


def check_events(report):
    """Faults that were brought about, decoded; nothing else."""
    for event in report["events"]:
        equal((event["type"], event["stage"], event["class"], event["rnw"]), ("F_TRANSLATION", 1, "IN", False), "event")
        check(event["expected"] is True, f"an access that should not have been: {event}")


def disturbed(mode, granule, text, devices, kernel="doorbell"):
    """
    I/O goes on under all that may happen to a device, on every device at once: no interrupt is lost, doubled or misrouted, every
    byte is right, and the messages in the device are the guest's after each disturbance.
    """

    def case(doorbell):
        report = doorbell.run(f"kernel {kernel}\n{text}", "--mode", mode, "--granule", granule, "--disturb", "all").good()
        equal(len(report["devices"]), devices, "devices")
        for device in report["devices"]:
            counts = device["disturbances"]
            equal(list(counts), GENTLE + HEAVY, "disturbances")
            check(all(counts[kind] >= 5 for kind in GENTLE), f"many of each: {counts}")
            check(all(counts[kind] >= 1 for kind in HEAVY if kind != "fault"), f"each: {counts}")
            interrupts = device["interrupts"]
            equal(interrupts["delivered"], interrupts["expected"], "delivered")
            equal([interrupts[kind] for kind in ("lost", "spurious", "misrouted")], [0, 0, 0], "lost, spurious, misrouted")
            check(device["io"]["verified"] is True, "I/O verified")
        check_events(report)
        faults = sum(device["disturbances"]["fault"] for device in report["devices"])
        check(len(report["events"]) >= faults > 0, f"{len(report['events'])} records of {faults} faults")

    return f"disturbed: {mode} {granule}, {devices} devices, kernel {kernel}", case


def disturbed_scenarios():
    two = "".join(frame("its", i) for i in range(2))
    mixed = two + "device 0000:01:00.0 nvme size=4m io-queues=16 its=0\ndevice 0000:02:00.0 nvme size=4m io-queues=1 its=1\n"
    bells = "device 0000:03:00.0 bell vectors=16 its=1 not-mappable\ndevice 0000:04:00.0 bell msi=4 its=0\n"
    same = "device 0000:01:00.0 nvme size=8m io-queues=64\ndevice 0000:02:00.0 nvme size=4m io-queues=8\n"
    cases = []
    for granule in GRANULES:
        cases.append(disturbed("native", granule, mixed + bells, 4))
        cases.append(disturbed("rmr", granule, mixed + bells, 4))
        cases.append(disturbed("stock", granule, same, 2, "stock"))
    return cases


def scenarios():
    cases = disturbed_scenarios()
    for mode in ("native", "stock", "rmr"):
        kernel = "stock" if mode == "stock" else "doorbell"
        for kind in FRAMES:
            for itses in (1, 2, 3, 4):
                for granule in GRANULES:
                    cases.append(scenario(mode, granule, itses, kind, "bell vectors=3", 3, kernel))
                    cases.append(scenario(mode, granule, itses, kind, "bell msi=4", 4, kernel))
        for granule in GRANULES:
            cases.append(scenario(mode, granule, 1, "its", "nvme size=1m io-queues=4", 5, kernel))
        for vectors in (1, 2, 33, 512, 2048):
            cases.append(scenario(mode, "4k", 1, "its", f"bell vectors={vectors}", vectors, kernel))
            if vectors <= 512:
                cases.append(scenario(mode, "64k", 1, "v2m", f"bell vectors={vectors}", vectors, kernel))
        cases.append(scenario(mode, "16k", 1, "pre-its", "bell vectors=2048", 2048, kernel))
        cases.append(scenario(mode, "4k", 1, "its", "nvme size=2m io-queues=255", 256, kernel))
    for mode in ("native", "rmr"):
        for vectors in (1, 2, 8, 32):
            cases.append(scenario(mode, "4k", 1, "its", f"bell msi={vectors}", vectors))
        cases.append(scenario(mode, "4k", 4, "its", "bell vectors=2048", 2048))
    # rmr needs nothing of our kernel; pages of the host that are larger than the guest's.
    cases.append(scenario("rmr", "4k", 2, "its", "bell vectors=8", 8, "stock"))
    for page_size in ("16k", "64k"):
        for mode in ("native", "stock", "rmr"):
            cases.append(scenario(mode, "4k", 1, "its", "bell vectors=8", 8, "stock" if mode == "stock" else "doorbell", page_size))
            cases.append(scenario(mode, "64k", 1, "its", "nvme size=1m io-queues=2", 3,
                                  "stock" if mode == "stock" else "doorbell", page_size))
    return cases


if __name__ == "__main__":
    sys.exit(main(scenarios()))
