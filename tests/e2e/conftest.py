from fixtures import _binary_exists, serve, serve_module  # noqa: F401
