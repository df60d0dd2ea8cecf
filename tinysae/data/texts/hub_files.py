"""A dataset's files from the hub into the hub's cache, where `datasets` looks for them.

The library would download them by itself, but says nothing meanwhile, cannot be stopped
and begins anew when its process was ended.
"""

from collections import defaultdict
from collections.abc import Iterable

from tinysae.hub.names import HubName
from tinysae.hub.repository import Progress, ask

SCHEME = "hf://"


def download(addresses: Iterable[str], progress: Progress) -> None:
    """Fetches those of the addresses ("hf://datasets/OWNER/NAME@COMMIT/PATH") that are
    the hub's; those of other places are left to the library.

    Raises:
        TinysaeError: there is no room, or what came is not what was announced.
        Exception: what huggingface_hub says of a network or a repository.
    """
    from huggingface_hub import HfFileSystem
    from huggingface_hub.hf_file_system import HfFileSystemResolvedRepositoryPath

    system = HfFileSystem()
    paths = defaultdict[HubName, set[str]](set)
    for address in addresses:
        if address.startswith(f"{SCHEME}datasets/"):
            place = system.resolve_path(address)
            assert isinstance(place, HfFileSystemResolvedRepositoryPath)
            paths[HubName(place.repo_id, place.revision)].add(place.path_in_repo)
    repositories = [
        # One file may be in several splits.
        (repository := ask(name, "dataset"), sorted(repository.files.keys() & wanted))
        for name, wanted in paths.items()
    ]
    done, total = 0, sum(repo.size(wanted) for repo, wanted in repositories)
    for repository, wanted in repositories:

        def said(n: int, _: int, before: int = done) -> None:
            progress(before + n, total)

        repository.fetch(wanted, said)
        done += repository.size(wanted)
