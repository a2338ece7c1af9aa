"""A stranger who looks at the demo shop: one request under its own name, with its certificate verified, no redirect followed."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import httpx

from updater.demo_shop import HOSTS, DemoShop


def visit(shop: DemoShop, path: str, cookies: Mapping[str, str] | None = None, method: str = "GET") -> httpx.Response:
    trust = ssl.create_default_context(cafile=str(shop.ca))
    headers = {"Host": HOSTS[0], "Cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())}
    with httpx.Client(verify=trust, timeout=30) as http:
        return http.request(
            method, f"https://{shop.address}{path}", headers=headers, extensions={"sni_hostname": HOSTS[0]}
        )
