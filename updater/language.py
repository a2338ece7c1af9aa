"""What a shop's owner reads, in the owner's language: messages by gettext catalogue, dates and numbers as it writes them.

The catalogues are `updater/locale/<language>/LC_MESSAGES/updater.po`, read as the translator wrote them: no compiled
file beside them can be stale. `make languages` brings new messages into them.
"""

from __future__ import annotations

import gettext
import io
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from itertools import islice

from babel import Locale, dates, numbers
from babel.messages import mofile, pofile

from updater.model import Language
from updater.resources import package_text


def mark(text: str) -> str:
    """`text` itself, found by `make languages`: for words that are translated later, where they are shown."""
    return text


def sentence(text: str, /, **values: object) -> str:
    """`text` with its `{values}` filled in. `make languages` finds it, and `Words.translated` knows it again in a report.

    What is told of the shop is kept in English, as the journal and the engineer read it; values stay as they are.
    """
    return text.format(**values)


def counted(one: str, many: str, n: int, /, **values: object) -> str:
    """As `sentence`, of `{n}` things."""
    return (one if n == 1 else many).format(n=n, **values)


_BETWEEN = re.compile(r": |; |(?<=[.!?]) (?=\S)")
"""Between sentences that were joined to one text: `speed: 2 pages are slower: /shop/ is 3.1 × slower`."""
_LETTERS = 7
"""A message with fewer of its own (`{passed} of {all}`) would be seen in what is none."""
_MOST, _PARTS = 40, 8
"""Sentences of one text that are looked for, and parts that each may have: a hostile plugin's words cost little time."""


@dataclass(frozen=True)
class _Sentence:
    """A message of the catalogue, to be known again in a text that was made of it."""

    one: str
    many: str
    """'' of a message that counts nothing"""
    own: tuple[str, ...]
    """Its own words: before each value, and behind the last one"""
    names: tuple[str, ...]

    def values(self, text: str) -> dict[str, str] | None:
        """What `text` has in the places of `names`; None when it is another message's. Each value ends as early as it can."""
        if not text.startswith(self.own[0]) or not text.endswith(self.own[-1]):
            return None
        found, at = {}, len(self.own[0])
        for name, behind in zip(self.names[:-1], self.own[1:-1], strict=True):
            end = text.find(behind, at + 1)
            if end < 0:
                return None
            found[name], at = text[at:end], end + len(behind)
        found[self.names[-1]] = text[at : len(text) - len(self.own[-1])]
        whole = all(found.values()) and at <= len(text) - len(self.own[-1])
        if not self.own[0] and any(_BETWEEN.search(found[name]) for name in self.names[:-1]):
            return None  # it began before this sentence did
        return found if whole and (not self.many or found["n"].isdecimal()) else None


@dataclass(frozen=True)
class Words:
    """One language. `gettext` and `ngettext` are the catalogue's; a message it does not have comes back in English."""

    language: Language
    catalogue: gettext.NullTranslations
    sentences: tuple[_Sentence, ...] = ()

    def gettext(self, message: str) -> str:
        return self.catalogue.gettext(message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self.catalogue.ngettext(one, many, count)

    def term(self, text: str) -> str:
        """A word of ours by its catalogue, and anything else (a plugin's own word, '') as it is."""
        return self.catalogue.gettext(text) if text else ""

    def translated(self, text: str) -> str:
        """A text that was made of messages by `sentence`, `counted` or `mark`, joined with `: `, `; ` or a space.

        What is no message of ours (a plugin's error, a person's reason) stays as it is.
        """
        if not self.sentences:
            return text
        told, at = "", 0
        for _ in range(_MOST):
            if at < len(text):
                said, end, behind = self._first(text, at)
                told, at = told + said + behind, end + len(behind)
        return told + text[at:]

    def _first(self, text: str, at: int) -> tuple[str, int, str]:
        """(the first sentence of `text[at:]` in this language, where it ends, what joins it to the next)"""
        ends = [(match.start(), match[0]) for match in islice(_BETWEEN.finditer(text, at), _PARTS)]
        if len(ends) < _PARTS:
            ends.append((len(text), ""))
        for end, behind in ends:
            part = text[at:end]
            # A single word is ours only at the beginning: further on it may be anybody's.
            if (at == 0 or " " in part) and (term := self.term(part)) != part:
                return term, end, behind
        for end, behind in ends:
            if said := self._filled_in(text[at:end]):
                return said, end, behind
        return text[at : ends[0][0]], *ends[0]

    def _filled_in(self, text: str) -> str:
        """A sentence that has values, '' when this is none."""
        for one in self.sentences:
            values = one.values(text)
            if values is not None:
                into = self.ngettext(one.one, one.many, int(values["n"])) if one.many else self.gettext(one.one)
                return into.format(**values)
        return ""

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
    catalogue = pofile.read_po(io.StringIO(text), locale=str(language), abort_invalid=True)
    mofile.write_mo(compiled, catalogue)
    compiled.seek(0)
    ids = [(it.id, "") if isinstance(it.id, str) else it.id for it in catalogue]
    sentences = [it for one, many in ids for it in _known_again(one, many)]
    sentences.sort(key=lambda it: -len("".join(it.own)))  # what says more of its own is tried first
    return Words(language, gettext.GNUTranslations(compiled), tuple(sentences))


def _known_again(one: str, many: str) -> Iterator[_Sentence]:
    for text in filter(None, (one, many)):
        parts = [(own, name) for own, name, _, _ in string.Formatter().parse(text)]
        names = tuple(name for _, name in parts if name)
        own = (*(own for own, name in parts if name), parts[-1][0] if not parts[-1][1] else "")
        if names and sum(letter.isalpha() for it in own for letter in it) >= _LETTERS:
            yield _Sentence(one, many, own, names)
