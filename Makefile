# SPDX-License-Identifier: BSD-2-Clause
# A front to meson: sets up, builds, runs, checks. `make help` lists the targets.

HOST ?= soft
ifeq ($(HOST),arm)
# Every topology of emu/ has this device, and this is its disk.
ARGS ?= --device 0000:01:00.0 --disk /disk/nvm0
else
ARGS ?=
endif
SETUP ?= yes
PREFIX ?= /usr/local

.PHONY: all setup run vm check check-native check-arm bench fuzz coverage mutate deb prefix install uninstall dist clean help

all: build/build.ninja
	@ninja -C build --quiet

setup:
ifeq ($(SETUP),yes)
	@tools/setup
endif

build/build.ninja: meson.build meson_options.txt | setup
	@meson setup build $(if $(wildcard build/build.ninja),--reconfigure) --prefix=$(PREFIX) >build.log 2>&1 || { cat build.log; exit 1; }
	@mv build.log build/setup.log

ifeq ($(HOST),arm)
run:
	emu/run --disks $(EMU_ARGS) doorbell run --host linux $(ARGS)
else ifeq ($(GUEST),linux)
run: setup
	qemu/run $(ARGS)
else
run: all
	build/doorbell run $(ARGS)
endif

vm:
	emu/vm $(EMU_ARGS)

check: setup
	tools/check

check-native: setup
	tools/check native

check-arm: setup
	tools/check arm

bench: all
	tools/bench $(if $(GROWTH),--growth $(GROWTH))$(if $(COMPARE),--compare $(COMPARE)) $(ARGS)

fuzz: setup
	tools/fuzz $(ARGS)

coverage: setup
	tools/coverage

mutate: setup
	tools/mutate $(ARGS)

deb: setup
ifeq ($(SETUP),yes)
	@tools/setup deb
endif
	tools/deb

# What was built for another prefix is configured anew where one is asked for.
prefix: all
ifneq ($(origin PREFIX),file)
	@meson setup build --reconfigure --prefix=$(PREFIX) >build/setup.log 2>&1 || { cat build/setup.log; exit 1; }
endif

install: prefix
	@meson install -C build

# What the last `make install` put there.
uninstall:
	@ninja -C build --quiet uninstall

# What is committed, as build/meson-dist/doorbell-VERSION.tar.xz: it builds without git.
dist: all
	@meson dist -C build --no-tests

clean:
	rm -rf build build-*

help:
	@echo 'make               build into build/ (build/doorbell, the library beside it)'
	@echo 'make run           pass an NVMe device through to the in-process guest, on the software host'
	@echo 'make run HOST=arm  the same on a real Linux kernel, on an emulated Arm machine;'
	@echo '                   EMU_ARGS="--kernel doorbell" with our kernel series (emu/run --help: more)'
	@echo 'make run GUEST=linux   a Linux guest in QEMU, a disk of the software host passed through'
	@echo 'make vm            boot doorbell vm, our VMM, on that machine, in it a Linux guest with'
	@echo '                   its disk passed through; EMU_ARGS="--kernel doorbell" (emu/vm --help)'
	@echo 'make check         all tests: gcc and clang, sanitizers, short fuzzing, the emulated Arm machine'
	@echo 'make check-native  the same without the emulated machine'
	@echo 'make bench         measure against named limits; COMPARE=REV against another revision;'
	@echo '                   GROWTH=DIR: how costs grow with sizes, as pictures'
	@echo 'make fuzz          fuzz until stopped'
	@echo 'make coverage      line and branch coverage of the tests'
	@echo 'make mutate        breaks the code in known ways, and sees that the tests notice;'
	@echo '                   ARGS="--random SEED COUNT" in ways drawn at random'
	@echo 'make deb           the Debian packages, into build-deb/; lintian looks at them'
	@echo 'make install       PREFIX=/usr/local; DESTDIR=DIR to put it together elsewhere'
	@echo 'make uninstall     takes away what the last make install put there'
	@echo 'make dist          a tarball of what is committed, in build/meson-dist/'
