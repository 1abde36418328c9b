#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_drill
short_description: Crash a host and prove that it wrote a dump
version_added: 0.1.0
description:
  - Writes a mark to the kernel log, crashes the host, waits until it has booted again, and proves that the new dump is
    this crash's; it is complete, a dump reader accepts its header, and the mark is in its kernel log.
  - "B(Everything that runs on the host is lost.) The host is away for minutes."
  - A host that is not armed is refused before the crash.
  - Fails as well if the host is not armed again afterwards.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.actiongroup_kdump
attributes:
  check_mode:
    support: full
    details:
      - Says whether the host is armed, and does not crash it.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - It crashes the host each time.
options:
  confirm:
    description:
      - Must be V(true) for anything to happen.
    type: bool
    required: true
  timeout:
    description:
      - Seconds that the host may take from the crash until it is back and armed.
    type: int
    default: 1800
  tooling:
    description:
      - The dump tooling. V(auto) takes the one that is installed, else the distribution's own.
    type: str
    choices: [auto, kdumpctl, kdump-tools, suse, kexec]
    default: auto
  elsewhere:
    description:
      - The dump goes to another machine, where the caller looks for it afterwards, with M(kdump.fleet.kdump_dumps) and RV(mark). This
        module then says what the host itself has kept of the crash, and does not fail if that is nothing.
      - C(playbooks/drill.yml) does both.
    type: bool
    default: false
seealso:
  - module: kdump.fleet.kdump_dumps
  - module: kdump.fleet.kdump_info
  - module: kdump.fleet.vmcore_info
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Crash the canaries and see their dumps
  kdump.fleet.kdump_drill:
    confirm: true
  register: drill
"""

RETURN = r"""
path:
  description: The new dump.
  type: str
  returned: without O(elsewhere)
  sample: /var/crash/202611210558/dump.202611210558
dmesg:
  description: The kernel log beside it.
  type: str
  returned: without O(elsewhere)
  sample: /var/crash/202611210558/dmesg.202611210558
size:
  description: The dump's bytes.
  type: int
  returned: without O(elsewhere)
  sample: 27600048
panic:
  description: The line of the kernel log that names the panic.
  type: str
  returned: without O(elsewhere)
  sample: "Kernel panic - not syncing: sysrq triggered crash"
header:
  description: What the dump's headers tell, as M(kdump.fleet.vmcore_info) returns it.
  type: dict
  returned: without O(elsewhere)
proven_by:
  description:
    - What shows that the dump is there; V(log) is the mark of this crash in its kernel log.
    - The role's tasks for a drill, which look on the server, also have V(receipt) for an encrypted dump, see
      M(kdump.fleet.kdump_dumps).
  type: str
  returned: without O(elsewhere)
  sample: log
kernel:
  description: The kernel that was crashed.
  type: str
  returned: success
  sample: 6.1.0-40-amd64
reserved:
  description: The bytes that were reserved for the capture kernel.
  type: int
  returned: success
  sample: 134217728
seconds:
  description: Seconds from the crash until the host was back online.
  type: int
  returned: success
  sample: 81
kept:
  description:
    - The dump of this crash that the host itself has, with RV(path), RV(dmesg), RV(size), RV(header) and RV(panic) in it; V(none) if
      it has none.
  type: dict
  returned: with O(elsewhere)
reason:
  description: Why there is no RV(kept).
  type: str
  returned: with O(elsewhere)
mark:
  description: The line in the kernel log that the dump can be told by.
  type: str
  returned: success
  sample: "kdump.fleet: crash drill 9f86d081884c7d65"
token:
  description: The end of RV(mark).
  type: str
  returned: success
  sample: 9f86d081884c7d65
boot_id:
  description: The boot that the host came back with.
  type: str
  returned: success
armed:
  description: Whether a capture kernel is loaded again.
  type: bool
  returned: success
  sample: true
"""
