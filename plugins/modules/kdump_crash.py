#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_crash
short_description: Crash the host so that its capture kernel runs
version_added: 0.1.0
description:
  - Writes a mark to the kernel log, answers, and crashes the host a moment later. Use M(kdump.fleet.kdump_drill) instead, which
    waits for the host and proves the dump.
  - "Everything that is running on the host is lost. File systems are synced first."
  - Refuses on a host whose kernel does not say that a capture kernel is loaded.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.actiongroup_kdump
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - It crashes the host each time.
options:
  confirm:
    description:
      - Must be V(true).
    type: bool
    required: true
  token:
    description:
      - The mark; letters, digits and hyphens.
    type: str
    required: true
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Crash, and leave the rest to somebody else
  kdump.fleet.kdump_crash:
    confirm: true
    token: exercise-7
"""

RETURN = r"""
mark:
  description: The line that the kernel log has now.
  type: str
  returned: success
  sample: "kdump.fleet: crash drill exercise-7"
"""

import os
import re
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import loaded
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner

DELAY = 2  # seconds for the answer to reach the controller
SYNC_TIMEOUT = 300  # seconds


def write_mark(mark: str) -> bool:
    """Write a line to the kernel log and say whether it is there: writing succeeds in silence where it is off.

    :raises OSError: it cannot be opened or written.
    """
    descriptor = os.open("/dev/kmsg", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.lseek(descriptor, 0, os.SEEK_END)
        os.write(descriptor, f"<4>{mark}\n".encode("ascii"))
        while True:
            try:
                if mark.encode("ascii") in os.read(descriptor, 8192):
                    return True
            except BlockingIOError:
                return False
            except BrokenPipeError:
                # Records were overwritten before they were read; the next read goes on behind them.
                continue
    finally:
        os.close(descriptor)


def crash_soon() -> None:
    """Leave a process behind that crashes the host after the delay."""
    if os.fork():
        return
    os.setsid()
    # The connection waits for these to be closed.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    time.sleep(DELAY)
    # The trigger works for root whatever kernel.sysrq says; that setting limits the keyboard.
    with open("/proc/sysrq-trigger", "w", encoding="ascii") as trigger:
        trigger.write("c")
    os._exit(0)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "confirm": {"type": "bool", "required": True},
            "token": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    token = module.params["token"]
    if not module.params["confirm"]:
        module.fail_json(msg="confirm: false; this crashes the host, so it must be true")
    if not re.match(r"[A-Za-z0-9-]{1,64}\Z", token):
        module.fail_json(msg=f"token: {token!r} must be 1 to 64 letters, digits and hyphens")
    if not loaded(Host(SystemRunner())):
        module.fail_json(
            msg="no capture kernel is loaded on this host: a crash would leave no dump. Nothing was done."
        )
    mark = f"kdump.fleet: crash drill {token}"
    if not module.check_mode:
        try:
            if not write_mark(mark):
                module.fail_json(
                    msg="the mark did not reach the kernel log (is printk.devkmsg=off set?). Nothing was done."
                )
            # While the controller still listens: the crash itself must not wait for a disk.
            SystemRunner().run(["sync"], timeout=SYNC_TIMEOUT)
        except OSError as exc:
            module.fail_json(msg=f"/dev/kmsg cannot be written: {exc.strerror}. Nothing was done.")
        except CommandError as exc:
            module.fail_json(msg=f"the file systems could not be synced: {exc}. Nothing was done.")
        crash_soon()
    module.exit_json(changed=True, mark=mark)


if __name__ == "__main__":
    main()
