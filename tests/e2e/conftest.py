from fixtures import _binary_exists, _bounded, serve, serve_module  # noqa: F401
from saying import said  # noqa: F401
