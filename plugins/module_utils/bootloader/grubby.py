# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""GRUB 2 with Boot Loader Specification entries, as EL 8 and later, Fedora and their relatives have it.

It changes the files that grubby changes, itself: grubby cannot show beforehand what it will do, it writes several
files one after the other, and for a single entry it writes out what ``$kernelopts`` stands for. What grubby, GRUB and
kernel-install do with these files was read in the sources of grubby 8.40 (EL 8, EL 9, Fedora) and GRUB 2.02 to 2.12
with Red Hat's patches (10_linux, 10_linux_bls, 20-grub.install, blscfg.c).
"""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import (
    bls,
    grubenv,
    kernel_cmdline,
    shell_file,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Command,
    Entry,
    FileChange,
    differing,
    next_entry,
    release_of,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

CONFIG = "/boot/grub2/grub.cfg"
EFI_LINK = "/etc/grub2-efi.cfg"
ENVIRONMENT = "/boot/grub2/grubenv"
DEFAULTS = "/etc/default/grub"
INSTALL_SCRIPT = "/usr/lib/kernel/install.d/20-grub.install"
TEMPLATES = "/usr/lib/modules/*/bls.conf"  # a kernel of EL 8 brings its entry along
OSTREE = "/run/ostree-booted"

SHARED = "kernelopts"  # the variable that holds the arguments of EL 8's entries
REGENERATE_TIMEOUT = 900  # seconds; os-prober on a host with many disks takes minutes


class _Menu(t.NamedTuple):
    """What decides the menu beside the entries."""

    path: str
    text: str
    environment_path: str
    environment_text: t.Optional[str]
    environment: t.Dict[str, str]  # as GRUB sees it when it expands an entry's variables

    @property
    def written(self) -> bool:
        """Say whether the entries were written out, for firmware that reads grub.cfg without the blscfg command."""
        return not _has_command(self.text)


def own_efi_config(host: Host) -> str:
    """Return the grub.cfg that this host's packages name for EFI, or ''.

    It is the menu itself on EL 7 and 8. The EFI system partition may have menus of other systems, and old ones.
    """
    link = host.path(EFI_LINK)
    if not host.exists("/sys/firmware/efi") or not os.path.islink(link):
        return ""
    path = os.path.normpath(os.path.join(os.path.dirname(EFI_LINK), os.readlink(link)))
    return path if host.exists(path) else ""


def _has_command(text: str) -> bool:
    return re.search(r"^\s*blscfg\b", text, re.MULTILINE) is not None


def _is_menu_of_entries(text: str) -> bool:
    # The comment stands above the entries that 10_linux and 10_linux_bls write out on ppc64le.
    return _has_command(text) or ("BootLoaderSpec files" in text and "--id=" in text)


class Grubby(BootLoader):
    """GRUB 2 on hosts whose kernels are entries in /boot/loader/entries."""

    name = "grubby"

    def present(self, host: Host) -> bool:
        if host.exists(OSTREE):
            return False
        paths = [path for path in self._configs(host) if host.exists(path)]
        texts = [text for text in (host.read(path) for path in paths) if text is not None]
        if not texts:
            # Not root: what everybody can read has to tell.
            flag = re.search(
                r"^\s*GRUB_ENABLE_BLSCFG=[\"']?true\b", host.read(DEFAULTS) or "", re.MULTILINE
            )
            return (bool(paths) or os.geteuid() != 0) and flag is not None
        return any(_is_menu_of_entries(text) for text in texts)

    def _configs(self, host: Host) -> t.List[str]:
        efi = own_efi_config(host)
        return [CONFIG] if efi in ("", CONFIG) else [efi, CONFIG]

    def _menu(self, host: Host) -> _Menu:
        texts = [(path, host.read(path) or "") for path in self._configs(host)]
        path, text = next(
            ((path, text) for path, text in texts if _is_menu_of_entries(text)), ("", "")
        )
        if not path:
            raise BootLoaderError(
                f"no grub.cfg with boot entries can be read ({', '.join(self._configs(host))}); "
                "are you root on the host (become: true)?"
            )
        places = [os.path.join(os.path.dirname(path), "grubenv"), ENVIRONMENT]
        place = next((found for found in places if host.exists(found)), ENVIRONMENT)
        block = host.read(place)
        environment = grubenv.variables(block or "")
        # tuned writes its variable here too, and this is read after the block.
        environment.update(re.findall(r'^set (\w+)="(.*)"$', text, re.MULTILINE))
        fallback = re.search(rf'^\s+set {SHARED}="(.*)"$', text, re.MULTILINE)
        if not environment.get(SHARED) and fallback:
            environment[SHARED] = fallback.group(1)
        return _Menu(path, text, place, block, environment)

    def entries(self, host: Host) -> t.List[Entry]:
        menu = self._menu(host)
        found = [self._entry(item, menu) for item in self._listed(host)]
        if not found:
            raise BootLoaderError(
                f"no boot entry can be read in {bls.FOLDER}; are you root on the host (become: true)?"
            )
        chosen = self._default(menu)
        default = 0
        for index, (item, entry) in enumerate(zip(self._listed(host), found)):
            if chosen in (item.identity, entry.title, str(index)):
                default = index
                break
        return [entry._replace(default=index == default) for index, entry in enumerate(found)]

    def _listed(self, host: Host) -> t.List[bls.BlsEntry]:
        el8 = "platform:el8" in (host.read("/etc/os-release") or "")
        entries = [item for item in bls.read_entries(host) if item.first("linux") or item.first("efi")]  # fmt: skip
        return bls.grub_order(entries, el8)

    @staticmethod
    def _entry(item: bls.BlsEntry, menu: _Menu) -> Entry:
        kernel = item.first("linux") or item.first("efi")
        options = item.first("options") or menu.environment.get("default_kernelopts", "")
        release = release_of(kernel)
        version = item.first("version")
        if not release and os.path.basename(kernel) in ("linux", "vmlinuz"):
            release = version
        return Entry(
            title=item.first("title") or kernel,
            kernel=kernel,
            arguments=bls.expand(options, menu.environment),
            recovery=item.rescue,
            default=False,
            # What is no kernel of Linux (a memory test) and what brings its arguments along (a UKI) is not ours.
            own=bool(item.first("linux") and release),
            release=release,
            path="" if SHARED in bls.references(options) else item.path,
        )

    @staticmethod
    def _default(menu: _Menu) -> str:
        """Return the id, title or position that grub.cfg's header takes for the next boot."""
        once = menu.environment.get("next_entry")
        if once:
            return once
        said = [
            value
            for value in re.findall(r'^\s*set default="(.*)"$', menu.text, re.MULTILINE)
            if value != "${next_entry}"
        ]
        value = said[-1] if said else "${saved_entry}"
        variable = re.match(r"\$\{(\w+)\}$", value)
        return menu.environment.get(variable.group(1), "") if variable else value

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        menu = self._menu(host)
        entries = self.entries(host)
        counted = [item for item, entry in zip(self._listed(host), entries) if entry.counts]
        foreign = self._foreign(counted, menu, argument)
        if foreign:
            if not differing(entries, values, argument):
                return []
            raise BootLoaderError(_competition(foreign, menu, argument))
        chosen = next_entry(entries)
        if chosen is not None:
            _refuse_unified(chosen, argument)
        changes: t.List[Change] = []
        changes += self._defaults(host, values, argument, entries, self._model(host, menu))
        for item in counted:
            options = self._options(menu, values, argument, item.every("options"))
            text = bls.with_lines(item.text, "options", options)
            if text != item.text:
                changes.append(FileChange(item.path, item.text, text))
        changes += self._shared(host, values, argument, menu, counted)
        if not changes and self._outdated(host):
            changes.append(self._write_menu(menu, values, argument))
        return changes

    def plan_kernels(
        self,
        host: Host,
        values: t.Sequence[str],
        chosen: t.Sequence[Entry],
        argument: Argument = CRASHKERNEL,
    ) -> t.List[Change]:
        menu = self._menu(host)
        changes: t.List[Change] = []
        for item, entry in zip(self._listed(host), self.entries(host)):
            if entry not in chosen or entry.values(argument) == list(values):
                continue
            _refuse_unified(entry, argument)
            foreign = self._foreign([item], menu, argument)
            if foreign:
                raise BootLoaderError(_competition(foreign, menu, argument))
            lines = [self._own(line, menu) for line in item.every("options")]
            options = self._options(menu, values, argument, lines)
            text = bls.with_lines(item.text, "options", options)
            changes.append(FileChange(item.path, item.text, text))
        if not changes and self._outdated(host):
            changes.append(self._write_menu(menu, values, argument))
        return changes

    @staticmethod
    def _own(line: str, menu: _Menu) -> str:
        """Return an options line with what $kernelopts stands for, for an entry that goes its own way."""
        shared = menu.environment.get(SHARED)
        if SHARED in bls.references(line) and not shared:
            raise BootLoaderError(_unset(menu))
        return re.sub(rf"\${SHARED}\b", lambda _match: shared or "", line)

    @staticmethod
    def _options(
        menu: _Menu, values: t.Sequence[str], argument: Argument, lines: t.Sequence[str]
    ) -> t.List[str]:
        """Return the lines that an entry must have: GRUB reads the first one alone, other tools all of them.

        :param lines: the ones that it has.
        """
        if not lines:
            inherited = menu.environment.get("default_kernelopts", "")
            same = argument.values(bls.expand(inherited, menu.environment)) == list(values)
            return [] if same else [with_values(inherited, values, argument)]
        own = [] if SHARED in bls.references(lines[0]) else values
        return bls.set_values(lines[:1], own, argument) + [
            with_values(line, [], argument) for line in lines[1:]
        ]

    def _model(self, host: Host, menu: _Menu) -> str:
        """Return the arguments of the kernel that the next boot takes, without what others put into variables."""
        ours = {SHARED: menu.environment.get(SHARED, "")}
        pairs = [
            (item, entry)
            for item, entry in zip(self._listed(host), self.entries(host))
            if entry.counts
        ]
        pairs.sort(key=lambda pair: not pair[1].default)
        return bls.expand(pairs[0][0].first("options"), ours) if pairs else ""

    @staticmethod
    def _foreign(counted: t.Sequence[bls.BlsEntry], menu: _Menu, argument: Argument) -> t.List[str]:
        """Return the variables beside ours that bring a word of an argument into the entries."""
        names = {name for item in counted for name in bls.references(item.first("options"))}
        return sorted(
            name for name in names - {SHARED} if argument.values(menu.environment.get(name, ""))
        )

    @staticmethod
    def _defaults(
        host: Host,
        values: t.Sequence[str],
        argument: Argument,
        entries: t.Sequence[Entry],
        model: str,
    ) -> t.List[Change]:
        """Return the changes for kernels to come and for the next grub2-mkconfig.

        :param model: the arguments for a kernel that comes, where nothing says them yet.
        """
        text = host.read(DEFAULTS)
        after = text
        if text is not None:
            # The last of the names takes the words where there are none: grubby changes that one alone.
            names = ("GRUB_CMDLINE_LINUX_DEFAULT", "GRUB_CMDLINE_LINUX")
            try:
                after = shell_file.set_argument(DEFAULTS, text, names, values, argument)
            except BootLoaderError:
                if differing(entries, values, argument):
                    raise
        defaults = None if after == text else FileChange(DEFAULTS, text, after)
        takes_it = kernel_cmdline.PATH in (host.read(INSTALL_SCRIPT) or "")
        cmdline = kernel_cmdline.change(host, values, argument, model, create=takes_it)
        # When /etc/default/grub is the younger one, a new kernel's installation runs grub2-mkconfig, which writes
        # every entry anew out of it. So the younger one has to stay the younger one.
        known = host.read(kernel_cmdline.PATH)
        if known is not None and text is not None:
            times = host.mtime(kernel_cmdline.PATH) or 0, host.mtime(DEFAULTS) or 0
            if times[0] < times[1]:
                if cmdline and defaults is None:
                    defaults = FileChange(DEFAULTS, text, text)
                return [change for change in (cmdline, defaults) if change]
            if defaults and cmdline is None:
                cmdline = FileChange(kernel_cmdline.PATH, known, known)
        return [change for change in (defaults, cmdline) if change]

    def _shared(
        self,
        host: Host,
        values: t.Sequence[str],
        argument: Argument,
        menu: _Menu,
        counted: t.Sequence[bls.BlsEntry],
    ) -> t.List[Change]:
        """Return the change of $kernelopts, where entries use it or will do so."""
        used = any(SHARED in bls.references(item.first("options")) for item in counted)
        stored = grubenv.variables(menu.environment_text or "").get(SHARED)
        if not (used or stored or host.glob(TEMPLATES)):
            return []
        current = menu.environment.get(SHARED)
        if current is None:
            if not used:
                return []
            raise BootLoaderError(_unset(menu))
        if argument.values(current) == list(values):
            return []
        wanted = with_values(current, values, argument)
        text = grubenv.with_variable(menu.environment_text, SHARED, wanted, menu.environment_path)
        return [FileChange(menu.environment_path, menu.environment_text, text)]

    def _outdated(self, host: Host) -> bool:
        """Say whether grub.cfg has entries written out, and not as they are now."""
        menu = self._menu(host)
        if not menu.written:
            return False
        written = {}
        for match in re.finditer(
            r"^menuentry .*--id=(\S+) \{\n\s*linux\s+\S+[ \t]*(.*)$", menu.text, re.MULTILINE
        ):
            written[match.group(1)] = match.group(2).split()
        return any(
            written.get(item.identity) != item.first("options").split()
            for item in self._listed(host)
            if self._entry(item, menu).counts
        )

    @staticmethod
    def _write_menu(menu: _Menu, values: t.Sequence[str], argument: Argument) -> Command:
        argv = _mkconfig(menu)
        return Command(
            argv,
            argv,
            menu.path,
            "# older than the boot entries\n",
            "".join(f"{argument.word(value)}\n" for value in values) or "# as the boot entries\n",
            REGENERATE_TIMEOUT,
        )

    def regenerate(self, host: Host) -> None:
        if self._outdated(host):
            host.run(_mkconfig(self._menu(host)), timeout=REGENERATE_TIMEOUT)


def _mkconfig(menu: _Menu) -> t.List[str]:
    return ["grub2-mkconfig", "--no-grubenv-update", "-o", menu.path]


def _unset(menu: _Menu) -> str:
    return (
        f"the boot entries take their arguments from ${SHARED}, which neither {menu.environment_path} nor {menu.path} sets; "
        f"run 'grub2-mkconfig -o {menu.path}', which sets it, and try again"
    )


def _refuse_unified(entry: Entry, argument: Argument) -> None:
    if entry.kernel.endswith(".efi"):
        raise BootLoaderError(
            f"the next boot takes {entry.title!r} ({entry.kernel}), a unified kernel image that brings its "
            "arguments along; let it boot a kernel of its own first ('grubby --set-default'), or build the image "
            f"with {argument.label} in it"
        )


def _competition(names: t.Sequence[str], menu: _Menu, argument: Argument) -> str:
    said = ", ".join(f"{name}={menu.environment[name]}" for name in names)
    if names == ["tuned_params"]:
        return (
            f"tuned adds {argument.label} to every boot entry ({said}); take it out of the [bootloader] section of its active "
            "profile ('tuned-adm active' names it), activate the profile again, and run this again"
        )
    return (
        f"variables of {menu.environment_path} add {argument.label} to the boot entries ({said}); take the word out with "
        f"'grub2-editenv {menu.environment_path} set NAME=...', and run this again"
    )
