"""What programs are told: one CATALYST_* variable per tool and document that is there.

`tools.py env` prints them for a shell or a supervisor. The same table of names serves both, so a program never
searches for a tool itself.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .debian import library_folders
from .documents import held
from .manifest import Manifest
from .places import Cache, write_whole
from .sources import Found, beside, locate

PROVIDER: Final = "terraform-provider-hcloud"
PROGRAMS: Final = MappingProxyType(
    {
        "age": "CATALYST_AGE",
        "opentofu": "CATALYST_TOFU",
        "nats": "CATALYST_NATS_CLI",
        "unbound": "CATALYST_UNBOUND",
        "shellcheck": "CATALYST_SHELLCHECK",
        "cloud-init": "CATALYST_CLOUD_INIT",
        "etcd": "CATALYST_ETCD",
        "kube-apiserver": "CATALYST_KUBE_APISERVER",
        "kube-controller-manager": "CATALYST_KUBE_CONTROLLER_MANAGER",
        "kube-scheduler": "CATALYST_KUBE_SCHEDULER",
        "kwok": "CATALYST_KWOK",
        "source-controller": "CATALYST_SOURCE_CONTROLLER",
        "kustomize-controller": "CATALYST_KUSTOMIZE_CONTROLLER",
        "helm-controller": "CATALYST_HELM_CONTROLLER",
        "chromium": "CATALYST_CHROMIUM",
        "node": "CATALYST_NODE",
    }
)
FOLDERS: Final = MappingProxyType(
    {
        "cert-manager-crds": "CATALYST_CERT_MANAGER_CRDS",
        "cilium-crds": "CATALYST_CILIUM_CRDS",
        "source-controller-crds": "CATALYST_SOURCE_CONTROLLER_CRDS",
        "kustomize-controller-crds": "CATALYST_KUSTOMIZE_CONTROLLER_CRDS",
        "helm-controller-crds": "CATALYST_HELM_CONTROLLER_CRDS",
    }
)
"""Tools that are files to read, not programs: the variable tells their folder."""


def variables(manifest: Manifest, cache: Cache, environment: Mapping[str, str]) -> dict[str, str]:
    """Everything that is there, by the name of its variable."""
    names = (*PROGRAMS, *FOLDERS, PROVIDER, "powerdns")
    found = {name: locate(manifest.tools[name], cache, environment) for name in names}
    told = {variable: str(there.path) for name, variable in PROGRAMS.items() if (there := found[name])}
    told |= {variable: str(there.path.parent) for name, variable in FOLDERS.items() if (there := found[name])}
    if found[PROVIDER] and cache.tofu_config.is_file():
        told["CATALYST_TOFU_CLI_CONFIG"] = str(cache.tofu_config)
    if server := found["powerdns"]:
        told |= _powerdns(server)
    for document in manifest.documents.values():
        if path := held(document, cache):
            told[document.variable] = str(path)
    return dict(sorted(told.items()))


def _powerdns(server: Found) -> dict[str, str]:
    module, schema = beside(server.tool, server.root)
    installed = server.source == "PATH"
    libraries = [] if installed else library_folders(server.root)
    return {
        "CATALYST_PDNS_SERVER": str(server.path),
        "CATALYST_PDNS_MODULE_DIR": str(module.parent) if module else "",
        "CATALYST_PDNS_SCHEMA": str(schema or ""),
        "CATALYST_PDNS_LIBRARY_PATH": ":".join(str(folder) for folder in libraries),
    }


def write_tofu_config(provider: Found, cache: Cache) -> None:
    """Tell OpenTofu to take its provider from the cache and to ask nobody."""
    wanted = (
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        f'    path = "{provider.root}"\n'
        "  }\n"
        "}\n"
        "disable_checkpoint = true\n"
    )
    if not cache.tofu_config.is_file() or cache.tofu_config.read_text(encoding="utf-8") != wanted:
        write_whole(cache.tofu_config, wanted)
