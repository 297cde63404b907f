from fixtures import _binary_exists, _bounded, serve  # noqa: F401
