# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: With C(--check), reports what it would change and changes nothing.
  diff_mode:
    description: With C(--diff), returns the text before and after.
  idempotent:
    description: A second run with the same options reports no change.
"""

    # Use together with the standard fragment.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Reads only.
  diff_mode:
    support: N/A
    details:
      - Reads only.
  idempotent:
    support: full
    details:
      - Reads only.
"""

    # Use together with the standard fragment.
    CHANGING_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    ACTIONGROUP_KDUMP = r"""
options: {}
attributes:
  action_group:
    description: Set defaults for all modules of the collection at once with C(group/kdump.fleet.kdump) in C(module_defaults).
    support: full
    membership:
      - kdump.fleet.kdump
"""
