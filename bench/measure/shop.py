"""Pages of a shop as shops are: text, prices, photographs, and each of them in a changed look. Served from this machine."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import imagecodecs
import numpy as np
from served import Handler, served

HOST = "shop.example"
PAGES = tuple(f"/page-{number}/" for number in range(1, 11))
"""Those that all pages link to; any other `/page-N/` is answered too."""
LOOKS = ("", "price", "button", "banner", "restyled")
"""As it is; one price changed; one button lost its colour; 24 px pushed in at the top; everything painted anew."""

_PAGE = re.compile(r"/page-\d+/")
_WORDS = """
чай чёрный зелёный улун листовой крупный сбор весенний доставка курьером оплата при получении заказ скидка отзыв
leaf harvest mountain garden smoked roasted blend delivery payment refund warranty organic gift wrapped kettle cup
"""
_STYLE = """
body { margin: 0; font: 16px/1.5 "DejaVu Sans", sans-serif; color: #222; background: #fff }
header, footer { background: #2d4739; color: #fff; padding: 24px 48px } header a { color: #fff; margin-right: 24px; display: inline-block }
main { max-width: 1296px; margin: 0 auto; padding: 24px 48px } ul { display: flex; flex-wrap: wrap; gap: 24px; padding: 0 }
li { list-style: none; width: 300px; border: 1px solid #ddd; border-radius: 6px; padding: 12px; box-sizing: border-box }
li img { width: 100%; height: 190px; object-fit: cover } .price { font-weight: bold; font-size: 19px }
.buy { display: inline-block; background: #b4532a; color: #fff; padding: 8px 20px; border-radius: 4px }
@media (max-width: 600px) { main, header, footer { padding: 16px } li { width: calc(50% - 12px) } li img { height: 90px } }
"""
_CHANGES = {
    "": "",
    "price": "",
    "button": "li:nth-child(7) .buy { background: #fff; color: #222 }",
    "banner": "body::before { content: ''; display: block; height: 24px; background: #fffbe6 }",
    "restyled": "body { font-family: 'DejaVu Serif', serif; color: #4a3b2a; background: #f7f1e5 } .buy { background: #2a5ab4 }",
}


def page(path: str, look: str = "") -> str:
    """The HTML of a page: the first of PAGES is a whole catalogue, about 7,000 px tall at 1440 px, the rest about 2,500."""
    chance = random.Random(path)  # the same page each time

    def words(least: int, most: int) -> str:
        return " ".join(chance.choices(_WORDS.split(), k=chance.randint(least, most))).capitalize()

    cards = []
    for number in range(1, 49 if path == PAGES[0] else 13):
        price = chance.randint(100, 9000)
        if look == "price" and number == 10:
            price += 1
        cards.append(
            f"<li><img src='/photo-{chance.randint(1, 12)}.jpg' alt=''><h3>{words(2, 4)}</h3><p>{words(8, 16)}.</p>"
            f"<p><span class='price'>{price},00 ₽</span> <a class='buy'>В корзину</a></p></li>"
        )
    prose = "".join(f"<h2>{words(2, 5)}</h2><p>{words(60, 110)}.</p>" for _ in range(4))
    links = "".join(f"<a href='{other}'>{words(1, 2)}</a>" for other in PAGES)
    return (
        f"<!doctype html><html lang='ru'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{path}</title><style>{_STYLE}{_CHANGES[look]}</style>"
        f"<header>{links}</header><main><h1>{words(3, 5)}</h1><ul>{''.join(cards)}</ul>{prose}</main><footer>{words(20, 30)}</footer>"
    )


@cache
def photograph(number: int) -> bytes:
    """A JPEG of soft shapes with grain, 640 × 400: it compresses as a photograph does."""
    rng = np.random.default_rng(number)
    coarse = rng.uniform(40, 230, (6, 9, 3))
    across = np.array([np.linspace(0, 8, 640)]).ravel()
    down = np.linspace(0, 5, 400)
    columns = np.stack([[np.interp(across, range(9), row[:, c]) for row in coarse] for c in range(3)], axis=2)
    smooth = np.stack([[np.interp(down, range(6), columns[:, x, c]) for x in range(640)] for c in range(3)], axis=2)
    grainy = smooth.transpose(1, 0, 2) + rng.normal(0, 5, (400, 640, 3))
    return bytes(imagecodecs.jpeg_encode(grainy.clip(0, 255).astype(np.uint8), level=85))


@contextmanager
def serving(look: str = "", looks: Mapping[str, str] | None = None) -> Iterator[int]:
    """The shop in that look, some paths in another, on a port of 127.0.0.1, which is given back."""
    named = dict(looks or {})

    class Shop(Handler):
        def do_GET(self) -> None:
            if _PAGE.fullmatch(self.path):
                self.answer(page(self.path, named.get(self.path, look)).encode())
            elif self.path.startswith("/photo-"):
                number = int(self.path.removeprefix("/photo-").removesuffix(".jpg"))
                self.answer(photograph(number), kind="image/jpeg")
            else:
                self.send_error(404)

    with served(Shop) as port:
        yield port
