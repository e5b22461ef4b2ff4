#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the command refuses and how it says so; which mode it takes by itself; disks; options."""

import hashlib
import os
import random
import re
import sys
import xml.etree.ElementTree

from doorbell import check, equal, main

ONE = "kernel {kernel}\ndevice 0000:01:00.0 bell vectors=4{flags}\n"
TWO = "kernel doorbell\nits its base=0x8080000\nits its base=0x80a0000\n" \
      "device 0000:01:00.0 bell vectors=4 its=0\ndevice 0000:02:00.0 bell vectors=4 its=1\n"


def one(kernel="doorbell", flags="", extra=""):
    return extra + ONE.format(kernel=kernel, flags=flags)


def two_devices_on_one_vits(doorbell):
    doorbell.run(TWO, "--one-vits").refused("EXDEV", "0000:02:00.0")
    report = doorbell.run(TWO).good()
    equal(len({device["doorbell_ipa"] for device in report["devices"]}), 2, "vITSes without --one-vits")


def two_devices_of_one_its_share(doorbell):
    text = "device 0000:01:00.0 bell vectors=4\ndevice 0000:02:00.0 bell vectors=4\n"
    for arguments in ((), ("--one-vits",)):
        report = doorbell.run(text, *arguments).good()
        equal(len({device["doorbell_ipa"] for device in report["devices"]}), 1, "vITSes")
        equal(len({device["doorbell_id"] for device in report["devices"]}), 1, "doorbell ids")


def native_needs_our_kernel(doorbell):
    doorbell.run(one("stock"), "--mode", "native").refused("EOPNOTSUPP", "native")


def stock_needs_a_mappable_table(doorbell):
    doorbell.run(one("stock", " not-mappable"), "--mode", "stock").refused("EOPNOTSUPP", "stock")


def stock_needs_its_place(doorbell):
    doorbell.run(one("stock"), "--mode", "stock", "--vits", "0x9000000").refused("EINVAL", "0x7ff0000")


def nothing_without_nesting(doorbell):
    for mode in ("native", "stock", "rmr", "auto"):
        for extra in ("smmu not-coherent\n", "smmu stages=1\n", "smmu stages=2\n"):
            doorbell.run(one("doorbell", extra=extra), "--mode", mode).refused("EOPNOTSUPP")


def granule_the_smmu_lacks(doorbell):
    doorbell.run(one(extra="smmu granules=4k\n"), "--granule", "64k").refused("EOPNOTSUPP", "64K", "--granule")


def device_in_use(doorbell):
    text = one(flags=" in-use")
    doorbell.run(text, "--device", "0000:01:00.0").refused("EBUSY")
    doorbell.run(text, "--device", "0000:01:00.0", "--rebind").good()


def device_not_there(doorbell):
    doorbell.run(one(), "--device", "0000:77:00.0").refused("ENOENT", "0000:77:00.0")
    doorbell.run(one(), "--device", "nonsense").refused("EINVAL", "nonsense")


def too_many_vectors(doorbell):
    doorbell.run(one(), "--vectors", "5").refused("EINVAL", "4 MSI-X vectors")
    equal(doorbell.run(one(), "--vectors", "2").good()["devices"][0]["vectors"], 2, "vectors")


def too_few_interrupts(doorbell):
    text = "its v2m base=0x8020000 spis=32+4\ndevice 0000:01:00.0 bell vectors=8\n"
    doorbell.run(text).refused("ENOSPC")
    doorbell.run(text, "--vectors", "4").good()


def auto_takes_the_best(doorbell):
    equal(doorbell.run(one("doorbell")).good()["mode"], "native", "mode")
    equal(doorbell.run(one("stock")).good()["mode"], "stock", "mode")
    equal(doorbell.run(one("stock", " not-mappable")).good()["mode"], "rmr", "mode")
    equal(doorbell.run("kernel stock\ndevice 0000:01:00.0 bell msi=2\n").good()["mode"], "rmr", "mode")


def chosen_layout(doorbell):
    report = doorbell.run(one(), "--vits", "0x9000000", "--ram", "0x80000000").good()
    equal(report["devices"][0]["doorbell_ipa"], "0x9010000", "doorbell")
    for vits in ("0x8080000", "0x8000000", "0x80f0000", "0x7ff0000"):  # under the kernel's window, which has to go away
        report = doorbell.run(one(), "--vits", vits).good()
        equal(report["devices"][0]["doorbell_ipa"], hex(int(vits, 16) + 0x10000), "doorbell")
    # RAM over the place where the vITS would go by itself
    report = doorbell.run(one(), "--ram", "0xa000000").good()
    equal(report["devices"][0]["doorbell_ipa"], hex(0xa000000 + (128 << 20) + 0x10000), "doorbell")


def bad_layouts(doorbell):
    doorbell.run(one(extra="reserved 0 0x9000000..0x9ffffff reserved\n"), "--vits", "0x9100000").refused("EADDRINUSE")
    doorbell.run(one(), "--vits", "0x40000000", "--ram", "0x40000000").refused("EADDRINUSE", "0x40000000")
    # the kernel's window, which only a native host can move
    doorbell.run(one(), "--mode", "rmr", "--ram", "0x200000").refused("EADDRINUSE", "0x8000000..0x80fffff", "--ram")
    doorbell.run(one(), "--mode", "native", "--ram", "0x200000").good()
    region = "reserved 0 0x40000000..0x400fffff "
    doorbell.run(one(extra=region + "reserved\n"), "--ram", "0x40000000").refused("EADDRINUSE", "0x40000000..0x400fffff")
    doorbell.run(one(extra=region + "direct-relaxable\n"), "--ram", "0x40000000").good()


def reserved_regions_are_avoided(doorbell):
    extra = "reserved 0 0x40000000..0x4fffffff reserved\nreserved 0 0xa080000..0xa09ffff reserved\n"
    report = doorbell.run(one(extra=extra)).good()
    equal(report["devices"][0]["doorbell_ipa"], "0xa0b0000", "doorbell")


def two_devices_of_one_group(doorbell):
    text = "device 0000:01:00.0 bell vectors=4 group=7\ndevice 0000:02:00.0 bell vectors=4 group=7\n"
    doorbell.run(text).refused("EOPNOTSUPP", "0000:01:00.0", "0000:02:00.0", "group 7")
    doorbell.run(text, "--device", "0000:02:00.0").refused("EOPNOTSUPP", "0000:01:00.0", "group 7")


def group_with_a_driver_of_the_host(doorbell):
    """The kernel gives the group of a device that its own driver uses to nobody (EPERM), whatever the other device is bound to."""
    text = "device 0000:01:00.0 bell vectors=4 group=7\ndevice 0000:02:00.0 bell vectors=4 group=7 in-use\n"
    result = doorbell.call("probe", "--json", "--machine", doorbell.file(text), "--device", "0000:01:00.0")
    equal(result.status, 1, "exit status")
    error = result.json()["devices"][0]["error"]
    equal(error["code"], "EPERM", "error")
    for word in ("0000:01:00.0", "host's driver bell uses 0000:02:00.0", "/sys/kernel/iommu_groups/7/devices"):
        check(word in error["message"], f"{word!r} is not in: {error['message']}")


def firmware_wants_an_identity_map(doorbell):
    result = doorbell.run("device 0000:01:00.0 bell vectors=4 group=3\nreserved 3 0x1000000..0x1ffffff direct\n")
    message = result.refused("EINVAL", "1:1", "0x1000000", "0x1ffffff", "RMR")["error"]["message"]
    equal(message.count("0000:01:00.0"), 1, "the device is named once")


def given_back(doorbell):
    """A device that was taken away from a driver has it again in the end."""
    text = doorbell.file(one(flags=" in-use"))
    result = doorbell.call("run", "--machine", text, "--device", "0000:01:00.0", "--rebind")
    equal(result.status, 0, "exit status")
    check("0000:01:00.0: bell drives it again" in result.stdout, "that is shown")


def other_smmus(doorbell):
    """Several, and such that lack what the guest makes use of where it is there."""
    text = "smmu no-range-invalidation\nsmmu granules=4k,64k no-substreams linear-streams\n" \
           "device 0000:01:00.0 nvme size=1m io-queues=3 smmu=0\ndevice 0000:02:00.0 bell vectors=4 smmu=1\n"
    for granule in ("4k", "64k"):
        for mode in ("native", "stock", "rmr"):
            report = doorbell.run(text, "--granule", granule, "--mode", mode).good()
            equal(len(report["devices"]), 2, "devices")
    doorbell.run(text, "--granule", "16k").refused("EOPNOTSUPP", "16K", "--granule")


def doorbell_far_in_a_page(doorbell):
    text = "page-size 64k\nits pre-its base=0x8080000 window=0x9000000\ndevice 0000:1d:00.0 bell vectors=4\n"
    doorbell.run(text, "--mode", "native").refused("EOPNOTSUPP", "0x7400", "64K", "rmr")
    doorbell.run(text, "--mode", "rmr").good()


def fall_through(doorbell):
    report = doorbell.run(one(), "--fall-through").good()
    equal(report["devices"][0]["msi"][0]["address"], report["devices"][0]["giova"], "address in the device")


def disk_file(doorbell):
    content = random.Random(1).randbytes(3 * 1024 * 1024 + 512)
    path = doorbell.file(content, "disk")
    for arguments in ((), ("--mode", "rmr"), ("--granule", "64k", "--vectors", "1")):
        report = doorbell.run(None, "--disk", path, *arguments).good()
        io = report["devices"][0]["io"]
        equal(io, {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "verified": True}, "io")
    text = "device 0000:05:00.0 nvme io-queues=3 size=1m # a comment\n"
    io = doorbell.run(text, "--disk", path).good()["devices"][0]["io"]
    equal(io["sha256"], hashlib.sha256(content).hexdigest(), "sha256")
    doorbell.run(one(), "--disk", path).refused("ENODEV", "NVMe")
    doorbell.run(None, "--disk", path + ".none").refused("ENOENT", path + ".none")
    result = doorbell.call("run", "--disk", path, "--disk", path)
    equal(result.status, 2, "exit status of two disks")
    check("give it once" in result.stderr, f"that is said: {result.stderr}")
    result = doorbell.call("run", "--host", "linux", "--device", "0000:01:00.0", "--disk", path, "--disk", path)
    equal(result.status, 2, "exit status of a disk too many")
    check("more --disk than --device" in result.stderr, f"that is said: {result.stderr}")


def one_disturbance(doorbell):
    """Only what was asked for is done; its faults are shown decoded, in both forms."""
    text = "device 0000:01:00.0 nvme size=1m io-queues=4\n"
    report = doorbell.run(text, "--disturb", "fault").good()
    equal(list(report["devices"][0]["disturbances"]), ["fault"], "disturbances")
    events = report["events"]
    equal(len(events), 2 * report["devices"][0]["disturbances"]["fault"], "records: of a DMA write and a message each time")
    for event, low in zip(events, (0xff8, 0x40)):
        equal((event["type"], event["stream_id"], event["stage"], event["rnw"], event["expected"]),
              ("F_TRANSLATION", report["devices"][0]["stream_id"], 1, False, True), "event")
        equal(int(event["address"], 16) & 0xfff, low, "its address")
    report = doorbell.run(text, "--disturb", "all,-fault,-reset").good()
    equal(list(report["devices"][0]["disturbances"]), ["mask", "remap", "cd", "abort", "bypass"], "all but two")
    equal(report["events"], [], "events")
    human = doorbell.call("run", "--machine", doorbell.file(text), "--disturb", "fault,mask")
    check("F_TRANSLATION sid 0x8 stage 1 class IN write data" in human.stdout, "the record is shown")
    check(re.search(r"disturb 0000:01:00.0: mask \d+, fault \d+; ", human.stdout), "what was done is shown")
    check(re.search(r"PASS .*, \d+ disturbances\n$", human.stdout), "the verdict")
    check("disturb " not in doorbell.call("run").stdout, "nothing is disturbed unasked")


def disturbance_of_another_device(doorbell):
    """In mode rmr a message never meets the guest's tables, and bell's driver brings no other fault about."""
    doorbell.run(one(), "--mode", "rmr", "--disturb", "fault").refused("EOPNOTSUPP", "fault", "0000:01:00.0", "rmr")
    report = doorbell.run(one(), "--mode", "rmr", "--disturb", "all").good()
    equal(report["devices"][0]["disturbances"]["fault"], 0, "faults")


def machine_files(doorbell):
    doorbell.run("device 0000:01:00.0 toaster\n").refused("EINVAL", "line 1")
    result = doorbell.call("run", "--json", "--machine", "/nonexistent/machine")
    result.refused("ENOENT", "/nonexistent/machine")


def builtin_machine(doorbell):
    report = doorbell.run(None).good()
    equal(len(report["devices"]), 1, "devices")
    equal((report["mode"], report["rmr"]), ("native", False), "mode and rmr")
    human = doorbell.call("run")
    equal(human.status, 0, "exit status")
    for word in ("S1", "S2", "native", report["devices"][0]["giova"], report["devices"][0]["io"]["sha256"], "PASS"):
        check(word in human.stdout, f"{word!r} is not shown")
    check("\033" not in human.stdout, "colours where no terminal is")


BAD_OPTIONS = [
    ([], "which command"),
    (["fly"], "fly"),
    (["run", "--mode", "best"], "auto, native, stock or rmr"),
    (["run", "--mode"], "--mode"),
    (["run", "--speed", "9"], "--speed"),
    (["run", "--vectors", "0"], "1 to 2048"),
    (["run", "--vectors", "2049"], "1 to 2048"),
    (["run", "--vectors", "12x"], "1 to 2048"),
    (["run", "--granule", "8k"], "4k, 16k or 64k"),
    (["run", "--vits", "0x8080001"], "64 KiB"),
    (["run", "--vits", "-65536"], "64 KiB"),
    (["run", "--ram", "0x1000"], "2 MiB"),
    (["run", "--host", "windows"], "soft"),
    (["run", "--host", "linux", "--machine", "x"], "--machine"),
    (["run", "--iova", "0x1000"], "--iova"),
    (["run", "--fall-through", "--mode", "rmr"], "--fall-through"),
    (["run", "--disturb", "everything"], "remap"),
    (["run", "--disturb", "mask,"], "remap"),
    (["run", "--disturb", "all,-"], "leaves one out"),
    (["run", "stray"], "stray"),
    (["run", "--device", "a", "--device", "a"], "twice"),
    (["explain", "--write"], "--iova"),
    (["explain", "--iova", "here"], "address"),
    (["explain", "--device", "a", "--device", "b"], "one --device"),
    (["probe", "--mode", "native"], "--mode"),
]


def bad_options(doorbell):
    for arguments, word in BAD_OPTIONS:
        result = doorbell.call(*arguments)
        equal(result.status, 2, f"exit status of {arguments}")
        check(word in result.stderr, f"{arguments}: {word!r} is not in: {result.stderr}")
        equal(result.stdout, "", f"stdout of {arguments}")


def help_and_version(doorbell):
    for command in ("run", "explain", "probe"):
        result = doorbell.call(command, "--help")
        equal((result.status, result.stderr), (0, ""), "status and stderr")
        check("--device" in result.stdout, "no options in the help")
        check(command in doorbell.call("--help").stdout, "a command is missing in the help")
    check(re.fullmatch(r"doorbell \d+\.\d+\.\d+\n", doorbell.call("--version").stdout), "version")


def probe(doorbell):
    result = doorbell.call("probe", "--json")
    modes = result.good()["devices"][0]["modes"]
    equal([mode for mode in modes if modes[mode]["possible"]], ["native", "stock", "rmr"], "modes of the built-in machine")
    path = doorbell.file(one("stock", " not-mappable", "smmu not-coherent\n"))
    result = doorbell.call("probe", "--json", "--machine", path)
    equal(result.status, 1, "exit status")
    device = result.json()["devices"][0]
    for mode in ("native", "stock", "rmr"):
        check(not device["modes"][mode]["possible"] and len(device["modes"][mode]["why_not"]) > 20, f"{mode}: a reason")
    equal(device["nesting"], False, "nesting")
    equal(device["smmu"]["features"]["stage 1"], "yes", "features")
    human = doorbell.call("probe", "--machine", path)
    equal(human.status, 1, "exit status")
    equal(human.stdout.count(device["modes"]["rmr"]["why_not"]), 1, "the reason, which is that of every mode, is shown once")
    check("forced write-back (S2FWB)            no; nesting needs it, or CANWBS" in human.stdout, "what the SMMU lacks is marked")
    path = doorbell.file("device 0000:01:00.0 nvme group=7\ndevice 0000:02:00.0 bell msi=2 group=7\n")
    devices = doorbell.call("probe", "--json", "--machine", path).json()["devices"]
    equal([device["group_mates"] for device in devices], [["0000:02:00.0"], ["0000:01:00.0"]], "group mates")
    equal([device["id"] for device in devices], ["1d1d:0bad", "1d1d:be11"], "vendor and device")
    equal(devices[0]["route"], None, "the software host has no firmware tables")
    human = doorbell.call("probe", "--machine", path).stdout
    for line in ("0000:01:00.0  NVMe controller 1d1d:0bad (class 010802), driver vfio-pci, IOMMU group 7 together with 0000:02:00.0",
                 "  MSI      2 vectors", "in front of 0000:01:00.0, 0000:02:00.0"):
        check(line in human, f"{line!r} is not in: {human}")


def steps(report):
    return [step["step"] for step in report["steps"] if not step["depth"]]


def explain(doorbell):
    path = doorbell.file(one())
    report = doorbell.call("explain", "--json", "--machine", path).good()
    equal(report["pa"], "0x8090040", "the doorbell's PA")
    equal(report["source"], "host", "source")
    check(report["write"] is True, "an MSI is a write")
    equal([step for step in steps(report) if step in ("STE", "CD")], ["STE", "CD"], "configuration")
    for stage in ("S1", "S2"):
        check(any(step.startswith(stage) for step in steps(report)), f"descriptors of {stage}")
    check(any(step["depth"] for step in report["steps"]), "stage 1 is fetched through stage 2")
    human = doorbell.call("explain", "--machine", path)
    equal(human.status, 0, "exit status")
    check("0x8090040" in human.stdout, "the PA is shown")


def explain_fault(doorbell):
    path = doorbell.file(one())
    report = doorbell.call("explain", "--json", "--machine", path, "--iova", "0x123000").good()
    event = report["event"]
    equal((event["type"], event["stage"], event["address"], event["rnw"]), ("F_TRANSLATION", 1, "0x123000", True), "event")
    equal(event["stream_id"], report["stream_id"], "the guest's StreamID")
    report = doorbell.call("explain", "--json", "--machine", path, "--iova", "0xffff000000000000", "--write").good()
    equal(report["event"]["type"], "F_TRANSLATION", "an address that neither half translates")


def explain_refused(doorbell):
    path = doorbell.file(one("stock"))
    doorbell.call("explain", "--json", "--machine", path, "--mode", "native").refused("EOPNOTSUPP", "native")
    doorbell.call("explain", "--json", "--case", doorbell.file("access\n", "case")).refused("EINVAL", "takes 5 arguments")


def explain_case(doorbell):
    """A stream that bypasses: StreamID 1 of a linear table at 0x40000000."""
    text = "idr0 0x0d44101b\nidr1 0x02730010\nidr5 0x74\nmemory 0x40000000 0x10000\nstrtab 0x40000000 1\n" \
           "store 0x40000040 0x9 # V, bypass\naccess 1 - 0x1234 write unprivileged\n"
    report = doorbell.call("explain", "--json", "--case", doorbell.file(text, "case")).good()
    equal((report["source"], report["pa"]), ("case", "0x1234"), "source and pa")
    equal(steps(report), ["STE", "PA"], "steps")
    equal((report["iova"], report["stream_id"]), ("0x1234", 1), "address and StreamID, though no table was given them")
    said = doorbell.call("explain", "--case", doorbell.file(text, "case")).stdout
    check("Write of 0x1234, unprivileged, by StreamID 0x1 (the last access of " in said, "title")
    said = doorbell.call("explain", "--case", doorbell.file(text.replace("1 - 0x1234 write unp", "1 3 0x1234 fetch p"), "case")).stdout
    check("Fetch of 0x1234, privileged, by StreamID 0x1, SubstreamID 0x3 (" in said, "title of a fetch")


def explain_drawing(doorbell):
    path = doorbell.file(one())
    for index, arguments in enumerate(([], ["--granule", "64k"], ["--iova", "0x5000"], ["--mode", "rmr"])):
        svg = os.path.join(doorbell.directory.name, f"drawing-{index}.svg")
        equal(doorbell.call("explain", "--machine", path, "--svg", svg, *arguments).status, 0, "exit status")
        texts = [element.text or "" for element in xml.etree.ElementTree.parse(svg).iter()
                 if element.tag.endswith("text")]
        check(any("STE" in text for text in texts) and any("S1 level" in text for text in texts), "what is drawn")
    equal(doorbell.call("explain", "--machine", path, "--svg", "/nonexistent/x.svg").status, 1, "exit status")


CASES = [
    two_devices_on_one_vits, two_devices_of_one_its_share, native_needs_our_kernel, stock_needs_a_mappable_table,
    stock_needs_its_place, nothing_without_nesting, granule_the_smmu_lacks, device_in_use, device_not_there, too_many_vectors,
    too_few_interrupts, auto_takes_the_best, chosen_layout, bad_layouts, reserved_regions_are_avoided,
    two_devices_of_one_group, group_with_a_driver_of_the_host, firmware_wants_an_identity_map, given_back, other_smmus, doorbell_far_in_a_page, fall_through, disk_file, one_disturbance,
    disturbance_of_another_device, machine_files,
    builtin_machine, bad_options, help_and_version, probe, explain, explain_fault, explain_refused, explain_case,
    explain_drawing,
]

if __name__ == "__main__":
    sys.exit(main([(case.__name__.replace("_", " "), case) for case in CASES]))
