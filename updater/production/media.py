"""Pictures, films and documents that customers' pages show: what a clone leaves out of them, and fetches after all."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from updater.log import Progress
from updater.model import Layout, Media, Site
from updater.production.host import Host
from updater.production.patterns import literal

_LARGE = frozenset(
    re.findall(
        r"\w+",
        "jpg jpeg jpe png gif webp avif bmp tif tiff heic psd mp4 m4v mov webm avi mkv ogv mp3 ogg wav flac m4a "
        "pdf doc docx xls xlsx ppt pptx zip rar 7z gz tgz tar",
    )
)
"""What a page shows or links to. Styles, scripts, fonts and data of plugins in the same folder draw the page itself."""
_SIZE = re.compile(r"(-\d+x\d+|-scaled|-rotated|@\dx)*(\.\w+)+$")
_LIST = (
    'cd -- "$1" || exit 1; shift; for folder in "$@"; do [ ! -d "$folder" ] || find -H "$folder" -type f -print0; done'
)


def left_out(site: Site, folders: Sequence[str]) -> list[str]:
    """rsync's patterns of what `clone.media` keeps from being cloned with the rest of these media folders; `.` is the whole."""
    if site.clone.media is Media.ALL:
        return []
    endings = ["".join(f"[{it}{it.upper()}]" if it.isalpha() else it for it in ending) for ending in sorted(_LARGE)]
    tops = ["" if folder == "." else literal(folder) for folder in folders]
    return [f"{top}/**.{ending}" for top in tops for ending in endings]


def shown(listed: Iterable[str], addresses: Iterable[str], url: str) -> list[str]:
    """Files of `listed` (paths below the docroot) that stand at these addresses of the site, with all other sizes of the same picture. Pure.

    An update may ask for another size of a picture, and a CMS makes sizes from the original, wherever it lies.
    """
    base = urlsplit(url).path.rstrip("/")
    known = list(listed)
    paths = {unquote(urlsplit(address).path).removeprefix(base).lstrip("/") for address in addresses}
    names = {_picture(path) for path in paths}
    return [path for path in known if _large(path) and _picture(path) in names]


def _picture(path: str) -> str:
    """`2024/01/tea-300x200.jpg` → `tea`: the name that all sizes of a picture have in common."""
    return _SIZE.sub("", PurePosixPath(path).name)


def _large(path: str) -> bool:
    return path.rpartition(".")[2].lower() in _LARGE


def fetch(
    host: Host, site: Site, docroot: str, layout: Layout, mirror: Path, addresses: Collection[str], progress: Progress
) -> int:
    """Copy into the mirror what `shown` names of these addresses; how many files. CommandFailed when the server does not give them."""
    listing = host.run(["sh", "-c", _LIST, "sh", docroot, *layout.media], timeout=600).stdout
    listed = [name.decode("utf-8", "surrogateescape") for name in listing.split(b"\0") if name]
    wanted = [path for path in shown(listed, addresses, site.url) if _inside(mirror, path)]
    progress.say(
        f"fetching {len(wanted)} of {sum(map(_large, listed))} pictures, films and documents: those that pages show"
    )
    for path in wanted:
        target = mirror / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            host.get(f"{docroot.rstrip('/')}/{path}", target)
        except FileNotFoundError:
            continue  # deleted since it was listed
    return len(wanted)


def _inside(mirror: Path, path: str) -> bool:
    """A link that the server sent must not lead a file of it anywhere else on this machine."""
    parts = PurePosixPath(path).parts
    return ".." not in parts and not any(
        mirror.joinpath(*parts[:depth]).is_symlink() for depth in range(1, len(parts) + 1)
    )


def without_missing(failed: Sequence[str], layout: Layout) -> tuple[str, ...]:
    """Failed requests of a page without those for media that were not cloned: `GET /uploads/tea.jpg: HTTP 404`."""
    folders = tuple(f"/{folder.strip('/')}/" for folder in layout.media)

    def missing(line: str) -> bool:
        path, _, what = line.partition(" ")[2].rpartition(": ")
        return what == "HTTP 404" and _large(path.partition("?")[0]) and any(it in path for it in folders)

    return tuple(line for line in failed if not missing(line))
