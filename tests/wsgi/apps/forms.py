"""What may follow the colon, and what may not."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"application"]


class Site:
    def __init__(self, *args, **named):
        self.told = f"{args} {sorted(named.items())}".encode()

    def __call__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [self.told]


def make(*args, **named):
    return Site(*args, **named)


def fails():
    raise RuntimeError("the factory fails")


def returns_none():
    return None


number = 7
instance = Site("instance")
