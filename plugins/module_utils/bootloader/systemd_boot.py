# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""systemd-boot: entries of the Boot Loader Specification on the EFI system partition, and unified kernel images.

An entry's arguments stand in its file. Those of a unified kernel image (UKI) are built and often signed into it; they
stay, and ours come with an add-on, a small EFI program that systemd-stub takes arguments from since systemd 254.
Sources: src/boot/boot.c and stub.c, 90-loaderentry.install, 60-ukify.install, 90-uki-copy.install and kernel-install
of systemd 252 and 257; the Boot Loader Specification and the Boot Loader Interface.
"""

import configparser
import fnmatch
import functools
import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import (
    bls,
    kernel_cmdline,
    pe,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Entry,
    FileChange,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

VARIABLES = "/sys/firmware/efi/efivars"
LOADER_GUID = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
GLOBAL_GUID = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Where systemd looks for the EFI system partition (ESP) and for the extended boot loader partition.
MOUNT_POINTS = ("/efi", "/boot/efi", "/boot")
MOUNTS = "/proc/self/mounts"

INSTALL = "install.conf"
UKI_CONFIGURATION = "uki.conf"
CONFIGURATION_FOLDERS = ("/etc/kernel", "/run/kernel", "/usr/local/lib/kernel", "/usr/lib/kernel")
UKIFY_SCRIPT = "/usr/lib/kernel/install.d/60-ukify.install"
REWRITER = "/etc/initramfs/post-update.d/systemd-boot"  # of Debian's package systemd-boot
PROXMOX = "/etc/kernel/proxmox-boot-uuids"
ADDON_STUBS = "/usr/lib/systemd/boot/efi/addon*.efi.stub"

# What the add-on is built from, in the form that ukify reads; the add-on itself follows it.
ADDON_SOURCE = "/etc/kernel/kdump-fleet.addon.conf"
ADDONS = "/loader/addons"
ADDON = ADDONS + "/kdump-fleet.addon.efi"
ADDON_UNFINISHED = ADDONS + "/kdump-fleet.new"  # the stub passes over any other suffix
ADDON_TIMEOUT = 120  # seconds
STUB_WITH_ADDONS = 254  # systemd's version

_ADDON_TEXT = """\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
# {addon} on the EFI system partition is built from this; systemd-stub
# adds its arguments to those of every unified kernel image.
[UKI]
Cmdline={arguments}
"""
# What signs an add-on is what signs the host's own images.
_SIGNING = (
    "SecureBootSigningTool",
    "SecureBootPrivateKey",
    "SecureBootCertificate",
    "SecureBootCertificateDir",
    "SecureBootCertificateName",
    "SigningEngine",
)
_SECTIONS = (".cmdline", ".osrel", ".uname", ".sdmagic", ".sbat")
_RECOVERY = {"single", "rescue", "emergency", "systemd.unit=rescue.target", "systemd.unit=emergency.target"}  # fmt: skip


class _Candidate(t.NamedTuple):
    """Something that systemd-boot lists."""

    entry: Entry
    names: t.Tuple[str, ...]  # by which the default can name it, in lower case
    order: t.Tuple[str, str, str, str]  # sort key, machine ID, version, name
    tries: t.Tuple[int, int]  # left and done; -1 where boots are not counted
    partition: str  # where it lies
    image: bool  # whether it is a unified kernel image
    item: t.Optional[
        bls.BlsEntry
    ]  # the file whose options decide; None where what is built in does
    # The arguments that are neither in that file nor in our add-on, and the paths of what has them.
    builtin: t.Tuple[t.Tuple[str, str], ...]


class _Parts(t.NamedTuple):
    """Where the arguments of a unified kernel image come from."""

    builtin: t.Tuple[t.Tuple[str, str], ...]  # its own, then those of add-ons that are not ours
    added: str  # of our add-on


def _joined(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _texts(builtin: t.Sequence[t.Tuple[str, str]]) -> str:
    return _joined(*(text for _path, text in builtin))


def _plain(candidate: _Candidate) -> str:
    """Return an entry's arguments without those that our add-on brings."""
    options = candidate.item.every("options") if candidate.item else []
    return _joined(" ".join(options), _texts(candidate.builtin))


def compare_versions(one: str, two: str) -> int:
    """Return more than, exactly or less than 0 as one version is newer than, equal to or older than the other.

    Source: the UAPI group's Version Format Specification, which systemd-boot follows.
    """
    while True:
        one, two = (re.sub(r"^[^A-Za-z0-9~^.-]+", "", text) for text in (one, two))
        if one[:1] == "~" or two[:1] == "~":
            if one[:1] != two[:1]:
                return -1 if one[:1] == "~" else 1
            one, two = one[1:], two[1:]
            continue
        if not one or not two:
            return bool(one) - bool(two)
        separator = next((sign for sign in "-^." if sign in (one[0], two[0])), "")
        if separator:
            if one[0] != two[0]:
                return -1 if one[0] == separator else 1
            one, two = one[1:], two[1:]
            continue
        digits = one[0].isdigit() or two[0].isdigit()
        left, right = (_prefix(r"[0-9]*" if digits else r"[A-Za-z]*", text) for text in (one, two))
        one, two = one[len(left) :], two[len(right) :]
        if digits:
            if int(left or "0") != int(right or "0"):
                return 1 if int(left or "0") > int(right or "0") else -1
        elif left != right:
            return 1 if left > right else -1


def _prefix(pattern: str, text: str) -> str:
    match = re.match(pattern, text)
    return match.group(0) if match else ""


def counters(name: str, suffix: str) -> t.Tuple[str, t.Tuple[int, int]]:
    """Return an entry's name without the counters of boot attempts, and these: left and done.

    :param name: of its file, such as ``debian-6.12+2-1.conf``.
    """
    match = re.match(r"(.+)\+(\d+)(?:-(\d+))?" + re.escape(suffix) + r"\Z", name)
    if match is None:
        return name, (-1, -1)
    return match.group(1) + suffix, (int(match.group(2)), int(match.group(3) or "0"))


def _compare(one: _Candidate, two: _Candidate) -> int:
    """Order as systemd-boot does: what has no attempts left last, else by sort key, machine and version."""
    exhausted = (one.tries[0] == 0) - (two.tries[0] == 0)
    if exhausted:
        return exhausted
    old_style = (not one.order[0]) - (not two.order[0])
    if old_style:
        return old_style
    if one.order[0]:
        for left, right in zip(one.order[:2], two.order[:2]):
            if left != right:
                return 1 if left > right else -1
        newer = -compare_versions(one.order[2], two.order[2])
        if newer:
            return newer
    newer = -compare_versions(one.order[3], two.order[3])
    if newer or one.tries[0] < 0 or two.tries[0] < 0:
        return newer
    return two.tries[0] - one.tries[0] or one.tries[1] - two.tries[1]


def _pairs(text: str) -> t.Dict[str, str]:
    """Return the keys and values of os-release, or of another file with its syntax."""
    return {
        key: value.strip().strip("\"'")
        for key, value in re.findall(r"^\s*([A-Za-z_]+)=(.*)$", text, re.MULTILINE)
    }


def _settings(text: str) -> t.Dict[str, str]:
    """Return the keys and values of loader.conf; the last of a key counts."""
    return dict(re.findall(r"^[ \t]*([a-z-]+)[ \t]+(.*?)[ \t\r]*$", text, re.MULTILINE))


def _first(pairs: t.Mapping[str, str], *keys: str) -> str:
    return next((pairs[key] for key in keys if pairs.get(key)), "")


def _root(arguments: str) -> str:
    found = [word for word in arguments.split() if word.startswith("root=")]
    return found[-1] if found else ""


class SystemdBoot(BootLoader):
    """systemd-boot."""

    name = "systemd-boot"

    def present(self, host: Host) -> bool:
        said = self._variable(host, "LoaderInfo")
        if said:
            return said.startswith("systemd-boot")
        # Without run-time services, as real-time kernels are, the firmware's variables are out of reach.
        return (
            host.exists(os.path.dirname(VARIABLES))
            and not host.glob(VARIABLES + "/*")
            # GRUB may be left over, and what it starts gets this.
            and "BOOT_IMAGE=" not in (host.read("/proc/cmdline") or "")
            and any(host.glob(f"{place}/EFI/systemd/systemd-boot*.efi") for place in MOUNT_POINTS)
        )

    # What the firmware and the partitions say

    @staticmethod
    def _raw(host: Host, name: str, guid: str = LOADER_GUID) -> bytes:
        """Return the value of a variable of the firmware; the kernel puts its attributes before it."""
        return host.read_head(f"{VARIABLES}/{name}-{guid}", 65536)[4:]

    def _variable(self, host: Host, name: str) -> str:
        return self._raw(host, name).decode("utf-16-le", "replace").rstrip("\0")

    def _secure_boot(self, host: Host) -> bool:
        return self._raw(host, "SecureBoot", GLOBAL_GUID) == b"\1"

    def _partitions(self, host: Host) -> t.List[str]:
        """Return where the ESP and, after it, an extended boot loader partition are mounted."""
        if host.exists(PROXMOX):
            raise BootLoaderError(
                "the boot entries of this host are proxmox-boot-tool's, on partitions that it mounts for itself alone; "
                f"change {kernel_cmdline.PATH} by hand and run 'proxmox-boot-tool refresh'"
            )
        mounted = {line.split()[1] for line in (host.read(MOUNTS) or "").splitlines() if " " in line}  # fmt: skip
        found = [place for place in MOUNT_POINTS if place in mounted and self._used(host, place)]
        for option in [] if found else ["--print-esp-path", "--print-boot-path"]:
            place = host.ask(["bootctl", option]) or ""
            if place.startswith("/") and place not in found and self._used(host, place):
                found.append(place)
        if not found:
            raise BootLoaderError(
                "systemd-boot boots this host, but no partition with its entries is mounted at "
                f"{', '.join(MOUNT_POINTS)} or where bootctl says; mount the EFI system partition, and run this again "
                "(as root, become: true: others may not look into it)"
            )
        return found

    @staticmethod
    def _used(host: Host, place: str) -> bool:
        return any(host.exists(place + folder) for folder in ("/loader", "/EFI/Linux"))

    # What can be booted

    def entries(self, host: Host) -> t.List[Entry]:
        partitions = self._partitions(host)
        found = self._candidates(host, partitions)
        chosen = self._chosen(host, partitions, found)
        entries = [
            candidate.entry._replace(default=index == chosen)
            for index, candidate in enumerate(found)
        ]
        if isinstance(chosen, str):
            entries.append(Entry(chosen, "", "", False, True, False))
        return entries

    def _candidates(self, host: Host, partitions: t.Sequence[str]) -> t.List[_Candidate]:
        """Return what the menu lists and Linux can be, in its order."""
        found: t.List[_Candidate] = []
        for partition in partitions:
            for item in bls.read_entries(host, partition + "/loader/entries"):
                candidate = self._from_entry(host, partition, item)
                if candidate and not candidate.names[0].startswith("auto-"):
                    found.append(candidate)
            for path in host.glob(partition + "/EFI/Linux/*.efi"):
                image = pe.read(host.path(path), _SECTIONS)
                if image and image.unified:
                    found.append(self._from_image(host, partition, path, image))
        # What runs is ours even where it bears the machine ID from before a reset.
        running = self._variable(host, "LoaderEntrySelected").lower()
        for index, one in enumerate(found):
            if running in one.names and (one.image or one.item):
                found[index] = one._replace(entry=one.entry._replace(own=True))
        return sorted(found, key=functools.cmp_to_key(_compare))

    def _from_entry(self, host: Host, partition: str, item: bls.BlsEntry) -> t.Optional[_Candidate]:
        key = next((key for key in ("linux", "uki", "efi") if item.first(key)), "")
        path = partition + "/" + item.first(key).replace("\\", "/").lstrip("/")
        # Up to Python 3.7, isfile() raises on a NUL.
        if not key or "\0" in path or not os.path.isfile(host.path(path)):
            return None  # systemd-boot passes over it too
        options = " ".join(item.every("options"))
        program = pe.read(host.path(path), _SECTIONS)
        image = program if program and program.unified else None
        if image is None and key != "linux" and not _root(options):
            return self._listed(partition, item, Entry(item.first("title"), path, "", False, False, False))  # fmt: skip
        parts = self._parts(host, partition, path, image) if image else _Parts((), "")
        # The stub takes what it is given only if nothing is built in, or if nobody vouches for what is.
        embedded = bool(parts.builtin and parts.builtin[0][1])
        decides = not image or (bool(options) and not (embedded and self._secure_boot(host)))
        builtin = parts.builtin[1:] if decides else parts.builtin
        arguments = _joined(options if decides else "", _texts(builtin), parts.added)
        release = image.texts.get(".uname", "").strip() if image else ""
        entry = Entry(
            item.first("title"),
            path,
            arguments,
            item.rescue or bool(_RECOVERY & set(arguments.split())),
            False,
            self._own(host, arguments, item.first("machine-id").lower()),
            release or item.first("version"),
        )
        listed = self._listed(partition, item, entry)
        return listed._replace(
            image=bool(image),
            item=item if decides else None,
            builtin=builtin,
        )

    @staticmethod
    def _listed(partition: str, item: bls.BlsEntry, entry: Entry) -> _Candidate:
        file = os.path.basename(item.path)
        name, tries = counters(file, bls.SUFFIX)
        return _Candidate(
            entry if entry.title else entry._replace(title=name),
            (name.lower(), file.lower()),
            (item.first("sort-key"), item.first("machine-id"), item.first("version"), name.lower()),
            tries,
            partition,
            False,
            None,
            (),
        )

    def _from_image(self, host: Host, partition: str, path: str, image: pe.Program) -> _Candidate:
        system = _pairs(image.texts.get(".osrel", ""))
        ours = _pairs(host.read("/etc/os-release") or host.read("/usr/lib/os-release") or "")
        parts = self._parts(host, partition, path, image)
        arguments = _joined(_texts(parts.builtin), parts.added)
        file = os.path.basename(path)
        name, tries = counters(file, ".efi")
        return _Candidate(
            Entry(
                _first(system, "PRETTY_NAME", "IMAGE_ID", "NAME", "ID") or name,
                path,
                arguments,
                bool(_RECOVERY & set(arguments.split())),
                False,
                system.get("ID") == ours.get("ID") and self._own(host, arguments, ""),
                image.texts.get(".uname", "").strip(),
            ),
            (name.lower(), file.lower()),
            (
                _first(system, "IMAGE_ID", "ID"),
                "",
                _first(system, "IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"),
                name.lower(),
            ),
            tries,
            partition,
            True,
            None,
            parts.builtin,
        )

    def _parts(self, host: Host, partition: str, path: str, image: pe.Program) -> _Parts:
        builtin, added = [(path, image.texts.get(".cmdline", "").strip())], ""
        plain = os.path.join(os.path.dirname(path), counters(os.path.basename(path), ".efi")[0])
        for folder in (partition + ADDONS, *sorted({f"{path}.extra.d", f"{plain}.extra.d"})):
            for found in host.glob(f"{folder}/*.addon.efi"):
                addon = pe.read(host.path(found), _SECTIONS)
                # One that nobody has signed is passed over where signatures count.
                if addon is None or (self._secure_boot(host) and not addon.signed):
                    continue
                text = addon.texts.get(".cmdline", "").strip()
                if found == partition + ADDON:
                    added = text
                else:
                    builtin.append((found, text))
        return _Parts(tuple(builtin), added)

    def _own(self, host: Host, arguments: str, machine: str) -> bool:
        """Say whether this installation boots by it; several may share one partition."""
        if machine:
            return machine == (host.read_word("/etc/machine-id") or "").lower()
        running, root = _root(host.read("/proc/cmdline") or ""), _root(arguments)
        # One device has many names; only two of a kind can be told apart.
        kind = r"root=(?:[A-Z]+=|/dev/disk/by-\w+/|/dev/mapper/)?"
        return running == root or _prefix(kind, running) != _prefix(kind, root) or not root

    def _chosen(
        self, host: Host, partitions: t.Sequence[str], found: t.Sequence[_Candidate]
    ) -> t.Union[int, str, None]:
        """Return the index of what the next boot takes, or the name of something else than Linux."""
        settings = _settings(host.read(partitions[0] + "/loader/loader.conf") or "")
        lasting = self._variable(host, "LoaderEntryDefault")
        for wanted in (
            self._variable(host, "LoaderEntryOneShot"),
            lasting,
            settings.get("default", ""),
        ):
            if wanted == "@saved":
                wanted = self._variable(host, "LoaderEntryLastBooted")
            for index, candidate in enumerate(found):
                if any(fnmatch.fnmatchcase(name, wanted.lower()) for name in candidate.names):
                    return index
            if wanted.startswith("auto-") and self._offered(host, partitions[0], wanted, settings):
                return wanted
        return 0 if found else None  # fmt: skip

    @staticmethod
    def _offered(host: Host, esp: str, wanted: str, settings: t.Mapping[str, str]) -> bool:
        """Say whether systemd-boot finds this by itself; what cannot be seen from here is taken for there."""
        if settings.get("auto-entries", "yes") in ("0", "no", "n", "false", "f", "off"):
            return False
        return wanted != "auto-windows" or host.exists(f"{esp}/EFI/Microsoft/Boot/bootmgfw.efi")

    # What is to be done

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        found = self._candidates(host, self._partitions(host))
        counting = [candidate for candidate in found if candidate.entry.counts]
        added = self._wanted_of_addon(host, counting, values, argument)
        changes: t.List[t.Optional[Change]] = [
            self._default(host, counting, values, argument, added)
        ]
        for candidate in counting:
            if candidate.item is not None:
                own = [] if candidate.image and added else values
                changes.append(self._edited(candidate.item, own, argument))
        source = self._addon_source(host, added, argument)
        images = [candidate for candidate in counting if candidate.item is None]
        if source and source.after and images:
            # It is built again, with whatever else of ours is in it.
            self._check_addons(host, images)
        changes.append(source)
        return [change for change in changes if change is not None]  # fmt: skip

    def plan_kernels(
        self,
        host: Host,
        values: t.Sequence[str],
        chosen: t.Sequence[Entry],
        argument: Argument = CRASHKERNEL,
    ) -> t.List[Change]:
        wanted = [entry._replace(default=False) for entry in chosen]
        found = self._candidates(host, self._partitions(host))
        taken = [candidate for candidate in found if candidate.entry in wanted]
        changes = []
        for candidate in taken:
            if candidate.item is None or candidate.image:
                raise BootLoaderError(
                    f"{candidate.entry.kernel} is a unified kernel image, and all of them have one add-on for {argument.label}; "
                    "use 'kernel: ALL'"
                )
            if host.exists(REWRITER):
                raise BootLoaderError(
                    f"{REWRITER} writes an entry again from {kernel_cmdline.PATH} as often as its initrd is built, so a value "
                    "for one kernel alone would not last; use 'kernel: ALL'"
                )
            changes.append(self._edited(candidate.item, values, argument))
        return [change for change in changes if change is not None]

    @staticmethod
    def _edited(
        item: bls.BlsEntry, values: t.Sequence[str], argument: Argument
    ) -> t.Optional[Change]:
        lines = bls.set_values(item.every("options"), values, argument)
        after = bls.with_lines(item.text, "options", lines)
        return None if after == item.text else FileChange(item.path, item.text, after)

    def _wanted_of_addon(
        self,
        host: Host,
        counting: t.Sequence[_Candidate],
        values: t.Sequence[str],
        argument: Argument,
    ) -> t.List[str]:
        """Return the values that an add-on has to bring to images whose arguments are built in.

        :raises BootLoaderError: other values are built in; only who builds the image can take them out.
        """
        images = [candidate for candidate in counting if candidate.item is None]
        builtin = [
            [value for _path, text in image.builtin for value in argument.values(text)]
            for image in images
        ]
        if all(found == list(values) for found in builtin):
            return []
        for image, found in zip(images, builtin):
            if found:
                release = image.entry.kernel_release or "RELEASE"
                paths = [path for path, text in image.builtin if argument.values(text)]
                raise BootLoaderError(
                    f"{argument.word(found[0])} is built into {paths[-1]}, where nothing but a new build changes it: take it out of "
                    f"{kernel_cmdline.PATH} or wherever the image was built from, build it again ('kernel-install add {release} "
                    f"/boot/vmlinuz-{release}' on a host that builds its own), and run this again"
                )
        self._check_addons(host, images)
        return list(values)

    def _check_addons(self, host: Host, images: t.Sequence[_Candidate]) -> None:
        """Check that an add-on can be built, and would be taken by every image.

        :raises BootLoaderError: no; the message has the way out.
        """
        way_out = f"or add the value to {kernel_cmdline.PATH} and build the images again, where this host builds them"
        for image in images:
            version = self._stub_version(host, image.entry.kernel)
            if version < STUB_WITH_ADDONS:
                raise BootLoaderError(
                    f"the arguments of {image.entry.kernel} are built into it, and its stub "
                    f"({f'systemd {version}' if version else 'not of systemd'}) takes no add-on; build it with systemd "
                    f"{STUB_WITH_ADDONS} or later, {way_out}"
                )
        if self._ukify(host) is None or not host.glob(ADDON_STUBS):
            raise BootLoaderError(
                f"the arguments of {images[0].entry.kernel} are built into it, and building an add-on for it takes ukify and "
                f"{ADDON_STUBS}; install them (systemd-ukify and systemd-boot-efi on Debian and Ubuntu, systemd-ukify and "
                f"systemd-boot-unsigned on Fedora and EL), {way_out}"
            )
        if self._secure_boot(host) and not self._signing(host):
            raise BootLoaderError(
                f"Secure Boot is on, so an add-on for {images[0].entry.kernel} must be signed, and no key is named for it; set "
                f"SecureBootPrivateKey and SecureBootCertificate in /etc/kernel/{UKI_CONFIGURATION} ([UKI]), {way_out}"
            )

    @staticmethod
    def _stub_version(host: Host, path: str) -> int:
        """Return the version of systemd whose stub an image begins with, or 0."""
        image = pe.read(host.path(path), _SECTIONS)
        for section in (".sdmagic", ".sbat") if image else ():
            text = image.texts.get(section, "") if image else ""
            match = re.search(r"systemd-stub(?:,\d+,[^,]*,systemd-stub,| )v?(\d+)", text)
            if match:
                return int(match.group(1))
        return 0

    @staticmethod
    def _ukify(host: Host) -> t.Optional[str]:
        if host.runner.which("ukify"):
            return "ukify"
        # Where it lived before systemd 255.
        return "/usr/lib/systemd/ukify" if host.exists("/usr/lib/systemd/ukify") else None

    def _signing(self, host: Host) -> t.Dict[str, str]:
        """Return with what this host signs the images that it builds."""
        parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            parser.read_string(self._configuration(host, UKI_CONFIGURATION))
        except configparser.Error as exc:
            raise BootLoaderError(f"{UKI_CONFIGURATION} of kernel-install cannot be read: {exc}") from exc  # fmt: skip
        section = dict(parser["UKI"]) if parser.has_section("UKI") else {}
        found = {key: section[key] for key in _SIGNING if section.get(key)}
        names = ("SecureBootPrivateKey", "SecureBootCertificateName")
        return found if any(name in found for name in names) else {}

    @staticmethod
    def _configuration(host: Host, name: str) -> str:
        """Return kernel-install's configuration: the first that there is."""
        texts = (host.read(f"{folder}/{name}") for folder in CONFIGURATION_FOLDERS)
        return next((text for text in texts if text is not None), "")

    def _addon_source(
        self, host: Host, values: t.Sequence[str], argument: Argument
    ) -> t.Optional[FileChange]:
        before = host.read(ADDON_SOURCE)
        after = None
        # All of ours are in one add-on.
        arguments = with_values(_pairs(before or "").get("Cmdline", ""), values, argument)
        if arguments:
            signing = "".join(f"{key}={value}\n" for key, value in self._signing(host).items())
            after = _ADDON_TEXT.format(addon=ADDON, arguments=arguments) + signing
        return None if before == after else FileChange(ADDON_SOURCE, before, after)

    def _default(
        self,
        host: Host,
        counting: t.Sequence[_Candidate],
        values: t.Sequence[str],
        argument: Argument,
        added: t.Sequence[str],
    ) -> t.Optional[Change]:
        """Return what gives the values to kernels that come: kernel-install's file, unless an add-on brings them."""
        files = [candidate for candidate in counting if candidate.item is not None]
        images = _pairs(self._configuration(host, INSTALL)).get("layout") == "uki" or not files
        wanted = [] if images and added else values
        # By hand, as on Arch, entries stay when a kernel is renewed, and nothing reads the file.
        driven = host.runner.which("kernel-install") is not None and (
            host.exists(UKIFY_SCRIPT)
            if images
            else any(self._by_kernel_install(host, one) for one in files)
        )
        if not counting:
            return None
        model = self._kept(host, with_values(_plain(counting[0]), [], argument))
        if (
            images
            and added
            and driven
            and not host.exists(kernel_cmdline.PATH)
            and not host.exists(kernel_cmdline.VENDOR)
        ):
            # The next image would get the running kernel's arguments, and with them what the add-on brings too.
            return FileChange(kernel_cmdline.PATH, None, model + "\n")
        return kernel_cmdline.change(host, wanted, argument, model, create=driven)

    @staticmethod
    def _tokens(host: Host) -> t.List[str]:
        """Return what kernel-install may begin this host's entries with."""
        token = host.read_word("/etc/kernel/entry-token")
        if token:
            return [token.split()[0]]
        system = _pairs(host.read("/etc/os-release") or host.read("/usr/lib/os-release") or "")
        names = [host.read_word("/etc/machine-id"), system.get("IMAGE_ID"), system.get("ID"), "Default"]  # fmt: skip
        return [name for name in names if name]

    def _by_kernel_install(self, host: Host, candidate: _Candidate) -> bool:
        return any(candidate.names[0].startswith(f"{token.lower()}-") for token in self._tokens(host))  # fmt: skip

    def _kept(self, host: Host, arguments: str) -> str:
        """Return an entry's arguments as kernel-install wants them.

        It adds the machine ID by itself where entries are named after it. In the file it would stay when this host
        is cloned, and give its clones this host's identity.
        """
        machine = host.read_word("/etc/machine-id") or ""
        if not machine or self._tokens(host)[0] != machine:
            return arguments
        kept = [word for word in arguments.split() if word != f"systemd.machine_id={machine}"]
        return " ".join(kept)

    # What follows from changed files

    def regenerate(self, host: Host) -> None:
        text = host.read(ADDON_SOURCE)
        wanted = _pairs(text or "").get("Cmdline", "")
        signing = "SecureBoot" in (text or "")
        partitions = self._partitions(host)
        found = self._candidates(host, partitions)
        images = {one.partition for one in found if one.image and one.entry.counts}
        for partition in partitions:
            path, unfinished = partition + ADDON, partition + ADDON_UNFINISHED
            if not wanted or partition not in images:
                host.remove(path)
                host.remove(unfinished)
                continue
            addon = pe.read(host.path(path), _SECTIONS)
            if (
                addon
                and addon.texts.get(".cmdline", "").strip() == wanted
                and addon.signed == signing
            ):
                continue
            os.makedirs(host.path(partition + ADDONS), exist_ok=True)
            try:
                host.run(
                    [
                        self._ukify(host) or "ukify",
                        "build",
                        f"--config={ADDON_SOURCE}",
                        f"--output={unfinished}",
                    ],
                    timeout=ADDON_TIMEOUT,
                )
                os.replace(host.path(unfinished), host.path(path))
            finally:
                host.remove(unfinished)
