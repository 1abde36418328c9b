#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_sshd_info
short_description: Say whether sshd does what it should for an account, wherever a client comes from
version_added: 0.1.0
description:
  - In sshd's configuration the first value of an option counts, so that a C(Match) block of a site's own, which comes first, can undo what
    the role P(kdump.fleet.kdump_server#role) has written for its account.
  - Asks C(sshd -T) for the account, once if no C(Match) block looks at where a client comes from. Else also for an address, host, local
    address and port of each such block, and for each of O(clients).
  - What a block with C(Exec), C(RDomain) or C(Version) would do is not found out.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.info_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  account:
    description:
      - The account.
    type: str
    required: true
  rules:
    description:
      - The options and their values, as lines of L(sshd_config(5), https://man.openbsd.org/sshd_config).
    type: list
    elements: str
    required: true
  clients:
    description:
      - Addresses and names of hosts that log in.
    type: list
    elements: str
    default: []
  config:
    description:
      - The main file of the configuration.
    type: path
    default: /etc/ssh/sshd_config
  sshd:
    description:
      - The program.
    type: path
    default: /usr/sbin/sshd
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: See whether a terminal is refused to the account of a dump server, from everywhere
  kdump.fleet.kdump_sshd_info:
    account: kdump
    rules:
      - PermitTTY no
"""

RETURN = r"""
problems:
  description: The options that have another value, with that and the connection that it is for; empty if all is as it should be.
  type: list
  elements: str
  returned: success
  sample:
    - permittty yes in place of no (for addr=10.0.0.1)
asked:
  description: The connections that sshd was asked about.
  type: list
  elements: str
  returned: success
  sample:
    - host=localhost addr=127.0.0.1 laddr=127.0.0.1 lport=22
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils import sshd_rules
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "account": {"type": "str", "required": True},
            "rules": {"type": "list", "elements": "str", "required": True},
            "clients": {"type": "list", "elements": "str", "default": []},
            "config": {"type": "path", "default": "/etc/ssh/sshd_config"},
            "sshd": {"type": "path", "default": "/usr/sbin/sshd"},
        },
        supports_check_mode=True,
    )
    try:
        result = sshd_rules.look(Host(SystemRunner()), module.params)
    except CommandError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
