"""A dataset's files from the hub into the hub's cache, where `datasets` looks for them.

The library would download them by itself, but says nothing meanwhile, cannot be stopped
and begins anew when its process was ended.
"""

from collections import defaultdict
from collections.abc import Iterable

from tinysae.data.texts.text import Progress
from tinysae.hub.blobs import Counting, check_space, fetch_blob
from tinysae.model.names import repo_dir

SCHEME = "hf://"


def download(addresses: Iterable[str], progress: Progress) -> None:
    """Fetches those of the addresses ("hf://datasets/OWNER/NAME@COMMIT/PATH") that lie
    in large-file storage; small ones, and those of other places, are left to the
    library.

    Raises:
        TinysaeError: there is no room, or what came is not what was announced.
        Exception: what huggingface_hub says of a network or a repository.
    """
    from huggingface_hub import HfApi, HfFileSystem, hf_hub_url
    from huggingface_hub.hf_api import RepoFile
    from huggingface_hub.hf_file_system import HfFileSystemResolvedRepositoryPath

    system = HfFileSystem()
    repositories = defaultdict[tuple[str, str], list[str]](list)
    for address in addresses:
        if address.startswith(f"{SCHEME}datasets/"):
            place = system.resolve_path(address)
            assert isinstance(place, HfFileSystemResolvedRepositoryPath)
            repositories[place.repo_id, place.revision].append(place.path_in_repo)
    large = [
        (repo_id, revision, file.path, file.size, file.lfs.sha256)
        for (repo_id, revision), paths in repositories.items()
        for file in HfApi().get_paths_info(
            repo_id, paths, revision=revision, repo_type="dataset"
        )
        if isinstance(file, RepoFile) and file.lfs is not None
    ]
    done, total = 0, sum(size for *_, size, _ in large)
    for repo_id, revision, path, size, sha256 in large:
        blobs = repo_dir(repo_id, "dataset") / "blobs"

        def said(n: int, before: int = done) -> None:
            progress(before + n, total)

        if not (blobs / sha256).exists():
            check_space(blobs, total - done)
            url = hf_hub_url(repo_id, path, revision=revision, repo_type="dataset")
            fetch_blob(url, blobs / sha256, size, sha256, Counting(said))
        done += size
        progress(done, total)
