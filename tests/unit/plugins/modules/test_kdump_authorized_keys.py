# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.ssh_keys import SshKeyError
from ansible_collections.kdump.fleet.plugins.modules import kdump_authorized_keys as module
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
ANOTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"
PATH = "/etc/kdump-fleet/keys/kdump"


def test_a_lock_that_another_holds_is_named_in_time(host: FakeHost) -> None:
    path = host.path("/lock")
    with module.locked(path), pytest.raises(SshKeyError) as caught, module.locked(path, 0.1):
        pass
    assert f"another process has held {path}" in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    with module.locked(path, 0):
        pass


def test_a_lock_is_no_link_to_elsewhere(host: FakeHost) -> None:
    host.put("/elsewhere", "text")
    os.symlink("elsewhere", host.path("/lock"))
    with pytest.raises(OSError), module.locked(host.path("/lock")):
        pass


def test_a_file_that_cannot_be_read_is_not_written_anew(host: FakeHost) -> None:
    os.makedirs(host.path(PATH))
    with pytest.raises(OSError, match="cannot be read, so nothing was changed"):
        module.change(host, PATH, [], True, False)


def test_the_keys_that_sshd_shows(host: FakeHost) -> None:
    host.put("/etc/ssh/ssh_host_ed25519_key.pub", ED25519 + " root@server\n")
    host.put("/srv/keys/rsa.pub", ANOTHER + "\n")
    host.runner.answer(
        "/usr/bin/sshd", "-T",
        stdout="port 22\nhostkey /srv/keys/rsa\nhostkey /srv/keys/none\nhostkeyagent none\n",
    )  # fmt: skip
    host.runner.programs.add("sshd")
    assert module.server_keys(host) == [ANOTHER]


def test_without_sshd_s_word_the_usual_files_count(host: FakeHost) -> None:
    host.put("/etc/ssh/ssh_host_ed25519_key.pub", ED25519 + " root@server\n")
    host.put("/etc/ssh/ssh_host_dsa_key.pub", "ssh-dss AAAA root@server\n")
    assert module.server_keys(host) == [ED25519]


def test_a_folder_can_be_walked_through_whatever_the_umask_says(host: FakeHost) -> None:
    before = os.umask(0o077)
    try:
        module.make_folder(host.path("/etc/kdump-fleet/keys"))
    finally:
        os.umask(before)
    for path in ("/etc/kdump-fleet", "/etc/kdump-fleet/keys"):
        assert os.stat(host.path(path)).st_mode & 0o777 == 0o755


def test_owner_and_mode_are_put_right(host: FakeHost) -> None:
    me = module.Owner(os.getuid(), os.getgid())
    module.put(host, PATH, "text\n", me)
    os.chmod(host.path(PATH), 0o644)
    assert not module.is_own(host.path(PATH), me)
    module.put(host, PATH, None, me)
    assert module.is_own(host.path(PATH), me) and host.read(PATH) == "text\n"


def test_an_account_that_is_not_there() -> None:
    assert module.owner_of("kdump-fleet-no-such") is None
    root = module.owner_of("root")
    assert root is not None and (root.user, root.group) == (0, 0)
