"""What a shop's owner reads, in the owner's language: messages by gettext catalogue, dates and numbers as it writes them.

The catalogues are `updater/locale/<language>/LC_MESSAGES/updater.po`, read as the translator wrote them: no compiled
file beside them can be stale. `make languages` brings new messages into them.
"""

from __future__ import annotations

import gettext
import io
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

from babel import Locale, dates, numbers
from babel.messages import mofile, pofile

from updater.model import Language
from updater.resources import package_text


def mark(text: str) -> str:
    """`text` itself, found by `make languages`: for words that are translated later, where they are shown."""
    return text


@dataclass(frozen=True)
class Words:
    """One language. `gettext` and `ngettext` are the catalogue's; a message it does not have comes back in English."""

    language: Language
    catalogue: gettext.NullTranslations

    def gettext(self, message: str) -> str:
        return self.catalogue.gettext(message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self.catalogue.ngettext(one, many, count)

    def term(self, text: str) -> str:
        """A word of ours by its catalogue, and anything else (a plugin's own word, '') as it is."""
        return self.catalogue.gettext(text) if text else ""

    @property
    def locale(self) -> Locale:
        return Locale.parse("en_GB" if self.language is Language.EN else self.language)

    def number(self, value: float) -> str:
        """`1 290.5` in the language's own way: `1,290.5`, `1 290,5`."""
        return str(numbers.format_decimal(value, locale=self.locale))

    def day(self, at: date) -> str:
        """`4 March 2026`, `4 марта 2026`."""
        return str(dates.format_date(at, "d MMMM y", locale=self.locale))

    def moment(self, at: datetime) -> str:
        """`4 March 2026, 14:12 UTC`."""
        zone = at.strftime("%Z")
        return f"{self.day(at)}, {at:%H:%M} {zone}".strip()

    def month(self, at: date) -> str:
        """`March 2026`, `март 2026`: the name of a month that stands alone."""
        return str(dates.format_date(at, "LLLL y", locale=self.locale))

    def percent(self, share: float) -> str:
        """`12 %`, `0.31 %`; something is never `0 %`."""
        value = share * 100
        if value == 0:
            return "0 %"
        if value < 0.01:
            return f"< {self._decimal('0.01')} %"
        return self._decimal(f"{value:.0f} %" if value >= 10 else f"{value:.2g} %")

    def share(self, of_all: float) -> str:
        """`100 %`, `99.98 %`; what was not all of it is never `100 %`."""
        if of_all >= 1:
            return "100 %"
        return self._decimal(f"{min(of_all * 100, 99.99):.2f} %")

    def duration(self, seconds: float) -> str:
        """`0.4 s`, `38 s`, `5 min`, `12 min 5 s`, `1 h 2 min`, `2 d 4 h`."""
        _ = self.gettext
        whole = round(seconds)
        if seconds < 10:
            return _("{seconds} s").format(seconds=self._decimal(f"{seconds:.1f}"))
        if whole < 60:
            return _("{seconds} s").format(seconds=whole)
        if whole < 3600 and whole % 60 == 0:
            return _("{minutes} min").format(minutes=whole // 60)
        if whole < 3600:
            return _("{minutes} min {seconds} s").format(minutes=whole // 60, seconds=whole % 60)
        if whole < 86_400:
            return _("{hours} h {minutes} min").format(hours=whole // 3600, minutes=whole % 3600 // 60)
        return _("{days} d {hours} h").format(days=whole // 86_400, hours=whole % 86_400 // 3600)

    def _decimal(self, text: str) -> str:
        return text.replace(".", numbers.get_decimal_symbol(self.locale))


@cache
def speak(language: Language) -> Words:
    """The words of a language. English needs no catalogue: its messages are the catalogue's keys."""
    if language is Language.EN:
        return Words(language, gettext.NullTranslations())
    text = package_text("updater", f"locale/{language}/LC_MESSAGES/updater.po")
    compiled = io.BytesIO()
    mofile.write_mo(compiled, pofile.read_po(io.StringIO(text), locale=str(language), abort_invalid=True))
    compiled.seek(0)
    return Words(language, gettext.GNUTranslations(compiled))
