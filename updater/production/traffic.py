"""When the shop is quiet: production's access log, found by a request of our own in it, and counted on the server."""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from datetime import datetime

import httpx

from updater.errors import UpdaterError
from updater.model import Installation, QuietHour, Site
from updater.production.host import Host
from updater.production.web import client

# Where Debian, Red Hat, cPanel, Plesk, ISPmanager, Virtualmin and hosters keep it. `$1` is the docroot, `$2` the site's name.
_FIND = r"""for f in "$HOME"/logs/*access* "$HOME"/logs/"$2"* "$HOME"/access-logs/"$2"* "$HOME"/log/*access* \
    "${1%/*}"/logs/*access* "${1%/*}"/log/*access* "${1%/*}"/../logs/*access* "${1%/*}"/../logs/"$2"* \
    /var/www/vhosts/system/"$2"/logs/*access* /var/www/vhosts/"$2"/logs/*access* /var/www/httpd-logs/"$2"*access* \
    /var/log/virtualmin/"$2"*access* /usr/local/apache/domlogs/"$2"* /var/log/apache2/domlogs/"$2"* \
    /var/log/apache2/*access* /var/log/httpd/*access* /var/log/nginx/*access*; do
  case $f in *.gz | *.[0-9] | *.[0-9][0-9] | *-20[0-9][0-9]*) continue ;; esac
  [ -f "$f" ] && [ -r "$f" ] && tail -c 65536 -- "$f" | grep -qF -e "$3" && { printf '%s' "$f"; exit 0; }
done; exit 1"""

# The log and those it was rotated to, newest first. Per hour and zone: how many requests, files that no page is made of left out.
# `seen` are all lines that are of the common or combined format, wherever a virtual host's name or an address stands before.
_COUNT = r"""nice=; command -v nice >/dev/null && nice='nice -n 19'
ls -t -- "$1" "$1".[0-9]* "$1"-[0-9]* 2>/dev/null | head -n 15 | while IFS= read -r f; do
  case $f in *.gz) gzip -dc -- "$f" ;; *.bz2 | *.xz | *.zst) ;; *) cat -- "$f" ;; esac 2>/dev/null | head -c 500000000
done | $nice awk '{
  if (!match($0, /\[[0-9]+\/[A-Z][a-z][a-z]\/[0-9]+:[0-9]+:[0-9]+:[0-9]+ [-+][0-9]+\] "/)) { other++; next }
  seen++
  # Ourselves, when production was cloned and looked at.
  if (/cms-updater|HeadlessChrome/) next
  stamp = substr($0, RSTART + 1, 14) substr($0, RSTART + 21, 6)
  request = substr($0, RSTART + RLENGTH)
  sub(/".*/, "", request); sub(/\?.*/, " ", request)
  if (tolower(request) ~ /\.(css|js|mjs|map|png|jpe?g|gif|svg|webp|avif|ico|woff2?|ttf|eot|mp4|webm|txt|xml|pdf)( |$)/) next
  hours[stamp]++
} END { printf "seen %d\nother %d\n", seen, other; for (hour in hours) printf "%d %s\n", hours[hour], hour }'"""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FEWEST_DAYS = 2
"""Days that the log has to cover: one night is no habit."""
_AS_QUIET = 1.5
"""Hours with at most that many times the requests of the quietest are as good."""
_TRIES, _PAUSE = 5, 0.5
"""A web server may write its log a moment after it answered."""


def quiet_hour(host: Host, site: Site, installation: Installation) -> tuple[QuietHour | None, str]:
    """(the hour in which the shop has the fewest visitors, '' or why that cannot be told). Reads only; one request of ours is made."""
    try:
        path = _find(host, site, installation)
        if not path:
            return None, "no access log of this site can be read"
        counted = host.run(["sh", "-c", _COUNT, "sh", path], timeout=300).text
    except (UpdaterError, httpx.HTTPError) as failure:
        return None, f"the access log was not read: {failure}"
    return judge(counted, path)


def _find(host: Host, site: Site, installation: Installation) -> str:
    """The log in which a request that only we can have made appears."""
    nonce = f"updater-log-{secrets.token_hex(8)}"
    with client(site) as http:
        http.get(f"{site.url.rstrip('/')}/robots.txt?{nonce}")
    for _ in range(_TRIES):
        found = host.run(["sh", "-c", _FIND, "sh", installation.docroot.rstrip("/"), site.names[0], nonce], check=False)
        if found.exit_code == 0:
            return found.text
        time.sleep(_PAUSE)
    return ""


def judge(counted: str, path: str) -> tuple[QuietHour | None, str]:
    """What _COUNT printed, as (the quietest hour, '' or why there is none). Pure."""
    figures: dict[str, int] = {}
    hours: list[tuple[datetime, int]] = []
    for line in counted.splitlines():
        first, _, rest = line.partition(" ")
        if first in ("seen", "other"):
            figures[first] = int(rest)
        elif (at := _hour(rest)) is not None and first.isdigit():
            hours.append((at, int(first)))
    if figures.get("seen", 0) <= figures.get("other", 0) or not hours:
        return None, f"{path} is not in the common or combined format"
    newest = max(at for at, _ in hours)
    local = [(at.astimezone(newest.tzinfo), count) for at, count in hours]
    oldest = min(at for at, _ in local)
    if (newest - oldest).total_seconds() < _FEWEST_DAYS * 86400:
        return None, f"{path} begins {oldest:%Y-%m-%d %H:%M}: less than {_FEWEST_DAYS} days tell no habit"
    return _quietest(local, oldest, newest, path), ""


def _quietest(local: list[tuple[datetime, int]], oldest: datetime, newest: datetime, path: str) -> QuietHour:
    total: Counter[int] = Counter()
    for at, count in local:
        total[at.hour] += count
    # The first and the last day are not whole: an hour is divided by the days on which it was there.
    covered = Counter((oldest.hour + n) % 24 for n in range(round((newest - oldest).total_seconds() / 3600) + 1))
    average = {hour: total[hour] / covered[hour] for hour in range(24)}

    def key(hour: int) -> tuple[float, float, int]:
        return average[hour], average[(hour - 1) % 24] + average[(hour + 1) % 24], hour

    best = min(average, key=key)
    offset = newest.utcoffset()
    assert offset is not None
    return QuietHour(
        hour=best,
        hours=tuple(hour for hour in range(24) if average[hour] <= max(average[best] * _AS_QUIET, average[best] + 1)),
        offset=int(offset.total_seconds() // 60),
        requests=round(average[best], 1),
        busiest=round(max(average.values()), 1),
        days=round((newest - oldest).total_seconds() / 86400),
        log=path,
    )


def _hour(stamp: str) -> datetime | None:
    """`25/Nov/2026:13 +0300` → that hour. None for what is no date."""
    found = re.fullmatch(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d) ?([-+]\d{4})", stamp)
    if found is None or found[2] not in _MONTHS:
        return None
    # Not by %b, which knows the names of this machine's language only.
    month = _MONTHS.index(found[2]) + 1
    try:
        return datetime.strptime(f"{found[3]}-{month}-{found[1]} {found[4]} {found[5]}", "%Y-%m-%d %H %z")
    except ValueError:
        return None
