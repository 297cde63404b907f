#!/usr/bin/env -S python3 -I
"""The health check of the images, as /usr/local/bin/narwhal-health: asks for a path, "/" if none is named.

Exit status 0: the server answered, with any status below 500. A page that is not there or wants a password is an answer.
Exit status 1: an answer of 500 or above, or none within 3 seconds.
"""
import http.client
import os
import sys


def fault_of(port, path):
    """None if the server at the port is healthy, else what is wrong."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path, headers={"User-Agent": "narwhal-health"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"port {port}: {error or type(error).__name__}"
    return f"port {port}: {path} was answered {status}" if status >= 500 else None


sys.exit(fault_of(int(os.environ.get("PORT") or 8000), *(sys.argv[1:2] or ["/"])))
