"""The CMS update safety pipeline: rehearse updates on a copy of the shop, deploy only what still sells."""

__version__ = "0.1.0"
