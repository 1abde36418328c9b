#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_info
short_description: Report everything that decides whether a host would write a crash dump
version_added: 0.1.0
description:
  - Reads the kernel, the boot loader, the dump tooling and the dumps of a host in one round trip. Changes nothing,
    needs no gathered facts, and calls nothing that can block.
  - On a container, or on a kernel without kexec, it succeeds and says so in RV(unsupported).
  - Needs root for the complete picture. Without, the RAM is taken from C(MemTotal) and the boot loader may be unreadable.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.info_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  tooling:
    description:
      - The dump tooling to look at. V(auto) takes the one that is installed, else the distribution's own.
    type: str
    choices: [auto, kdumpctl, kdump-tools, suse, kexec]
    default: auto
  path:
    description:
      - Where dumps are looked for. Without it, where the tooling's configuration puts them.
    type: path
  tooling_paths:
    description:
      - Where dumps are looked for in place of O(path) on hosts with a certain tooling, by its name.
    type: dict
    default: {}
  paths:
    description:
      - Paths to look at besides, such as those that filter P(kdump.fleet.kdump_needs#filter) names for a plan.
    type: list
    elements: path
    default: []
  ssh:
    description:
      - A target that ssh logs in to, to look for its key and its pinned host keys. Nothing is connected to.
    type: dict
    suboptions:
      location:
        description: The account and the server, such as V(kdump@dumps.example.com).
        type: str
      key:
        description: The private key; unset, the one that the tooling or a new deployment takes.
        type: str
  where:
    description:
      - A target to look at, as the role's C(kdump_target) has it, C(type) and C(location). Nothing is mounted, and no server is asked.
    type: dict
    default: {}
  measure:
    description:
      - Have C(makedumpfile --mem-usage) count what a dump takes, where it runs; it reads the record of every page, and has 20
        seconds for it. Otherwise there is an estimate from C(/proc/meminfo), which costs nothing.
    type: bool
    default: false
seealso:
  - module: kdump.fleet.kdump_load
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Read the kdump state
  kdump.fleet.kdump_info:
  register: observed

- name: Believe what the kernel says, not what the service says
  ansible.builtin.assert:
    that: observed.loaded
"""

RETURN = r"""
architecture:
  description: As C(uname -m) prints it.
  type: str
  returned: success
  sample: x86_64
boot_id:
  description: Differs after every boot.
  type: str
  returned: success
  sample: 2b0f1d52-6a53-4b9c-a3c3-0f1d0f5b6f2a
distribution:
  description: The host's C(id), C(version), full C(name) and what it is C(like), from C(/etc/os-release).
  type: dict
  returned: success
  sample: {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)", "like": []}
memory:
  description: The RAM that the kernel measures ranges with (C(total)) and the C(page_size), in bytes.
  type: dict
  returned: success
  sample: {"total": 1073217536, "page_size": 4096}
kernel:
  description:
    - The running kernel's C(release) and C(cmdline), and C(options), the build options that kdump needs, each V(true),
      V(false), or V(none) where the kernel's configuration is not on the host.
  type: dict
  returned: success
crashkernel:
  description:
    - What C(crashkernel=) on the running command line means. C(words) are the values of its words, C(ok) says whether
      the kernel would reserve anything, C(error) why not; C(size), C(low) and C(cma) are in bytes.
  type: dict
  returned: success
  sample: {"words": ["384M-:128M"], "ok": true, "error": "", "size": 134217728, "low": 0, "cma": 0}
boot_loader:
  description:
    - The boot loader's C(name), the release of the C(kernel) of the next boot, C(crashkernel) of the next boot in the form
      of RV(crashkernel), all C(entries), and an C(error) where nothing can be said.
  type: dict
  returned: success
crashkernel_owners:
  description:
    - Who else sets C(crashkernel=) on this host, each with C(name), C(path) and a C(message) that says how to end the competition.
  type: list
  elements: dict
  returned: success
  sample: []
capture:
  description:
    - What decides how much memory the capture kernel needs, sizes in bytes. The kernel's C(image) in memory, the capture
      C(initrd), the loaded C(modules), memory of C(luks), and what a drill or a real dump has shown to be C(used).
      C(cpus) and C(network) are what it uses; C(elsewhere) names a target that is not in the host's own file tree.
  type: dict
  returned: success
sizing:
  description:
    - What V(auto) comes to on this host, and how. C(value) for C(crashkernel=), the C(size) and what is
      C(needed) of it in bytes, the C(parts) in MiB, whether it is V(estimate)
      or V(measured) (C(basis)), the C(reasoning) in sentences, C(enough) and C(most), the bytes between which a reservation that
      is there stays (C(near) where the host has yet to be booted with it), and why the host is C(too_small) to dump at all, if so.
  type: dict
  returned: success
reserved:
  description: The bytes that the kernel has reserved; V(none) if it has no kexec.
  type: int
  returned: success
  sample: 134217728
loaded:
  description: Whether a capture kernel is loaded, as the kernel itself says; V(none) if it has no kexec.
  type: bool
  returned: success
  sample: true
tooling:
  description:
    - The dump tooling's C(name), C(release), whether it is C(installed), its C(packages) and C(missing_packages), C(service)
      with its states, its files by path (C(config)) and C(settings), both without secrets, the settings from before this
      collection (C(original_settings)), the collection's own C(files), the capture C(initrd) and why it is stale, and
      whether a changed configuration is C(pending) until the kernel has confirmed it.
  type: dict
  returned: success
target:
  description:
    - The file system that a dump would go to. C(path), whether it C(exists), its C(mode), the C(source), C(mount) and
      C(fstype) of its file system, and C(size) and C(free) in bytes. Whether it C(answers), for it may be on a server that is down.
    - C(derived) is the target that the path stands for. With a disk or a share mounted on C(/var), C(/var/crash) is that
      (C(source), C(type)), and its C(path) there is C(/crash); also its C(subvolume) of btrfs, whether a C(bind) mount leads
      there, and whether it is on the C(network), C(read_only) or C(volatile).
    - C(where) is what there is of O(where). The C(device), its C(size), its C(signature) or partition C(table), C(mounts), its line
      in C(fstab), C(swap), C(holders), C(partitions), and whether it is C(read_only).
  type: dict
  returned: success
dump_need:
  description:
    - What a dump takes at most, before compression. The C(bytes) at the C(level) that the tooling is set to, the C(basis) of that
      (V(measured) by makedumpfile, an V(estimate), or all V(ram)), and the bytes of each of the C(kinds) of pages.
  type: dict
  returned: success
  sample: {"bytes": 340787200, "basis": "estimate", "level": 31}
dumps:
  description:
    - The dumps on this host, oldest first, each with C(folder), C(vmcore), C(dmesg), C(size) in bytes, C(mtime) in seconds
      since 1970, and C(complete), which the names alone decide here; M(kdump.fleet.vmcore_info) reads the file.
  type: list
  elements: dict
  returned: success
virtualization:
  description: Whether the host is a V(vm), a V(container) or V(none) of them (C(kind)), and which (C(name)).
  type: dict
  returned: success
  sample: {"kind": "vm", "name": "kvm"}
sysctl:
  description: Kernel settings that decide whether a panic leads to a dump; V(none) where there is no such setting.
  type: dict
  returned: success
sysctl_files:
  description: What the files for sysctl say of these settings, by path.
  type: dict
  returned: success
own_sysctls:
  description: The kernel settings that this collection has set, with the value from before.
  type: dict
  returned: success
  sample: {"kernel.panic_on_oops": "0"}
originals:
  description: The files that this collection has changed or made; O(kdump.fleet.kdump_conf#module:state=absent) gives back what was there.
  type: list
  elements: str
  returned: success
  sample: [/etc/default/kdump-tools]
programs:
  description: Whether the host has the programs that targets elsewhere take.
  type: dict
  returned: success
  sample: {"ssh": true, "mount.nfs": false, "mount.cifs": false, "lftp": false}
ssh:
  description:
    - Of O(ssh), whether FIPS mode is on (C(fips)), the private C(key), whether it C(exists), its
      C(public) half, the C(name) that C(known_hosts) has the server under, and the keys that this collection has C(pinned).
  type: dict
  returned: success
paths:
  description: Of each path that was asked for, whether it C(exists), its C(kind) (V(file), V(folder), V(device), V(other)) and whether it is C(executable).
  type: dict
  returned: success
unsupported:
  description: Why this host can never write a dump; empty if it can.
  type: list
  elements: str
  returned: success
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.plugins.module_utils.runner import SystemRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "tooling": {
                "type": "str",
                "choices": ["auto", "kdumpctl", "kdump-tools", "suse", "kexec"],
                "default": "auto",
            },
            "path": {"type": "path"},
            "tooling_paths": {"type": "dict", "default": {}},
            "paths": {"type": "list", "elements": "path", "default": []},
            "ssh": {
                "type": "dict",
                "options": {"location": {"type": "str"}, "key": {"type": "str", "no_log": False}},
            },
            "where": {"type": "dict", "default": {}},
            "measure": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    facts = observe(
        Host(SystemRunner()),
        params["tooling"],
        params["path"],
        params["paths"],
        params["tooling_paths"],
        params["ssh"],
        params["where"],
        params["measure"],
    )
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
