from fixtures import _bounded, serve  # noqa: F401
