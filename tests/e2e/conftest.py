from fixtures import _binary_exists, serve  # noqa: F401
