# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two machines of a scenario with a dump server, by the names SCENARIO-server and SCENARIO-client."""

import json
import typing as t

import pytest
import testinfra


def machine(request: pytest.FixtureRequest, role: str) -> t.Any:
    """Return testinfra's host of that machine; the scenario's verifier knows it by the inventory."""
    scenario = request.path.parent.parent.name
    inventory = request.config.getoption("--ansible-inventory")
    return testinfra.get_host(f"ansible://{scenario}-{role}", ansible_inventory=inventory)


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> t.Any:
    return machine(request, "server")


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest) -> t.Any:
    return machine(request, "client")


@pytest.fixture(scope="module")
def proof_of(client: t.Any) -> t.Callable[[str], dict[str, t.Any]]:
    """Return what reads the proof that a drill of the side effect left on the client, by its name."""

    def read(name: str) -> dict[str, t.Any]:
        return json.loads(client.file(f"/root/{name}.json").content_string)  # type: ignore[no-any-return]

    return read
