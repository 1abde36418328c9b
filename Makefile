# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The README's commands. Each installs what it needs: Debian packages as root, and Python packages of
# fixed versions into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: help setup prerequisites demo test test-fast test-vm bench-crashkernel bench-receiver clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

prerequisites: ## Install the Debian packages that the VM lab and the tests need (root)
	@tests/tools/prerequisites

setup: prerequisites ## Make .venv, and link .collections so that kdump.fleet is this checkout
	@tests/tools/setup

demo: setup ## Deploy kdump on a real virtual machine, crash it, show the dump
	@tests/tools/with-venv python -u tests/vm/demo.py

test: setup ## Everything: lint, sanity, unit, integration, and virtual machines that crash
	@tests/tools/with-venv python -u tests/tools/gates.py --all

test-fast: setup ## Everything but the VM
	@tests/tools/with-venv python -u tests/tools/gates.py

test-vm: setup ## All virtual machines that crash: NFS, GRUB and systemd-boot on UEFI too (hours under emulation)
	@tests/tools/with-venv python -u tests/tools/scenarios.py

bench-crashkernel: setup ## Find the smallest reservations that capture, in VMs that crash, beside distro and auto (hours)
	@tests/tools/with-venv python -u benchmarks/crashkernel.py

bench-receiver: setup ## The dump server's receiver next to ssh dd and internal-sftp, MB/s over loopback (root, minutes)
	@tests/tools/with-venv python -u benchmarks/receiver.py

clean: ## Remove what the commands above made in this checkout (not the cached images)
	rm -rf .venv .cache .collections .nox .ansible .mypy_cache .pytest_cache .ruff_cache
