# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kernel:
    description:
      - Whose arguments are set, V(ALL) for all of this host's kernels and those to come, V(DEFAULT) for the one that boots next,
        or a kernel by its release or its path.
      - A boot loader that gives all kernels the same arguments takes V(ALL) only.
    type: str
    default: ALL
"""
