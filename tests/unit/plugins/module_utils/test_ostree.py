# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    Command,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.ostree import STAGED, RpmOstree
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders import ostree as hosts
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import (
    Tool,
    build,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.test_loaders import settle

LOADER = RpmOstree()


def made(tmp_path: t.Any, tools: t.Optional[t.Mapping[str, Tool]] = None) -> FakeHost:
    return t.cast("FakeHost", build(hosts.SCENARIOS[0], str(tmp_path), tools))


def stripped(host: FakeHost, *programs: str) -> FakeHost:
    """Leave these programs alone on the host."""
    known = t.cast("t.Any", host.runner).tools
    for name in set(known) - set(programs):
        del known[name]
    for name in programs:
        known.setdefault(name, lambda host, argv: Result(0, "", ""))
    return host


def test_one_transaction_takes_every_old_word_out_and_puts_the_new_ones_in(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    settle(host, LOADER, ["1G,high", "128M,low"])
    (change,) = LOADER.plan(host, ["300M"])
    assert isinstance(change, Command)
    assert change.argv == [
        "rpm-ostree",
        "kargs",
        "--delete=crashkernel=1G,high",
        "--delete=crashkernel=128M,low",
        "--append=crashkernel=300M",
    ]


def test_an_argument_without_a_value_goes_by_its_name(tmp_path: t.Any) -> None:
    host, early = made(tmp_path), Argument("rd.earlykdump")
    (change,) = LOADER.plan(host, [""], early)
    assert t.cast("Command", change).argv == ["rpm-ostree", "kargs", "--append=rd.earlykdump"]
    settle(host, LOADER, [""], early)
    (change,) = LOADER.plan(host, ["0"], early)
    assert t.cast("Command", change).argv[2:] == ["--delete=rd.earlykdump", "--append=rd.earlykdump=0"]  # fmt: skip


def test_the_same_word_twice_is_taken_out_twice(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    hosts.rpm_ostree(host, ["rpm-ostree", "kargs", "--append=crashkernel=192M"])
    chosen = next_entry(LOADER.entries(host))
    assert chosen is not None and chosen.crashkernel == ["192M", "192M"]
    settle(host, LOADER, ["192M"])
    chosen = next_entry(LOADER.entries(host))
    assert chosen is not None and chosen.crashkernel == ["192M"]


def test_what_is_shown_is_what_the_transaction_makes(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    (change,) = LOADER.plan(host, ["300M"])
    apply(host, LOADER, [change], ["300M"])
    chosen = next_entry(LOADER.entries(host))
    assert chosen is not None and chosen.arguments + "\n" == t.cast("Command", change).after


def test_without_a_change_nothing_but_files_is_asked(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    assert LOADER.plan(host, ["192M"]) == []
    assert t.cast("t.Any", host.runner).started == []


def test_the_kernel_of_a_deployment_that_waits_is_told(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    newest = hosts.deployments(host)[0].options
    host.put(STAGED, json.dumps(["3", newest]))
    release = hosts.KERNELS["3"]
    host.put(f"/ostree/deploy/fedora-coreos/deploy/3.0/usr/lib/modules/{release}/vmlinuz", "")
    chosen = next_entry(LOADER.entries(host))
    assert chosen is not None and chosen.kernel_release == release


def test_an_update_that_waits_survives_a_change_that_fails(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    host.put(STAGED, json.dumps(["3", hosts.deployments(host)[0].options]))
    (change,) = LOADER.plan(host, ["300M"])
    assert t.cast("Command", change).undo == [
        "rpm-ostree",
        "kargs",
        "--delete=crashkernel=300M",
        "--append=crashkernel=192M",
    ]
    with pytest.raises(BootLoaderError, match="back as it was"):
        apply(host, LOADER, [change], ["something else"])
    waiting = hosts.staged(host)
    assert waiting is not None and waiting.checksum == "3"
    assert "crashkernel=192M" in waiting.options


def test_a_change_that_fails_is_dropped_where_nothing_waited(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    (change,) = LOADER.plan(host, ["300M"])
    with pytest.raises(BootLoaderError, match="back as it was"):
        apply(host, LOADER, [change], ["something else"])
    assert not host.exists(STAGED)


def test_the_highest_version_is_the_next_boot(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    options = hosts.deployments(host)[0]
    hosts.write(host, [options] * 11)
    assert [entry.title for entry in LOADER.entries(host)][:2] == [
        "Fedora CoreOS 41.1 (ostree:0)",
        "Fedora CoreOS 41.1 (ostree:1)",
    ]
    assert [entry.counts for entry in LOADER.entries(host)] == [True] + [False] * 10


def test_a_deployment_to_go_back_to_cannot_be_changed(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    entries = LOADER.entries(host)
    assert LOADER.plan_kernels(host, ["1G"], entries[:1]) == LOADER.plan(host, ["1G"])
    with pytest.raises(BootLoaderError, match="use 'kernel: ALL'"):
        LOADER.plan_kernels(host, ["1G"], entries[1:])


def test_a_program_that_does_not_answer_is_no_reason_to_guess(tmp_path: t.Any) -> None:
    host = made(tmp_path, {"rpm-ostree": lambda host, argv: Result(1, "", "busy")})
    host.put(STAGED, "")
    with pytest.raises(BootLoaderError, match="'rpm-ostree kargs' does not tell"):
        LOADER.entries(host)


def test_a_bootc_image_is_refused_with_the_way_out(tmp_path: t.Any) -> None:
    host = stripped(made(tmp_path), "bootc")
    assert LOADER.plan(host, ["192M"]) == []
    with pytest.raises(
        BootLoaderError, match=r'/usr/lib/bootc/kargs.d \(kargs = \["crashkernel=1G"\]\)'
    ):
        LOADER.plan(host, ["1G"])
    with pytest.raises(BootLoaderError, match="where its image is built"):
        LOADER.plan(stripped(host), ["1G"])
    with pytest.raises(BootLoaderError, match="set rd.earlykdump where its image is built"):
        LOADER.plan(host, [""], Argument("rd.earlykdump"))


def test_without_root_it_says_so(tmp_path: t.Any) -> None:
    host = made(tmp_path)
    os.unlink(host.path("/boot/loader"))
    with pytest.raises(BootLoaderError, match="are you root"):
        LOADER.entries(host)
