"""examples/hbnb behind nginx: reads and writes while workers are killed."""
import time

import pytest

from hbnb_writers import Writer, assert_nothing_is_lost, kill_a_worker
from nginx_front import needs_nginx, nginx  # noqa: F401
from server import example


@needs_nginx
@pytest.mark.skipif(not example("hbnb").exists(), reason="this build has no hbnb: it needs libsqlite3-dev")
def test_no_answered_write_is_lost_behind_nginx(serve, nginx, tmp_path, seconds):  # noqa: F811
    database = tmp_path / "hbnb.db"
    server = serve(example("hbnb"), "-w", 2, "--threads", 4, "--option", f"database={database}")
    front = nginx("%s:%d" % server.address)
    end = time.monotonic() + seconds
    writers = [Writer(front, number, passed=(502, 504)) for number in range(8)]
    kills = 0
    try:
        while time.monotonic() < end:
            time.sleep(min(1.5, max(end - time.monotonic(), 0)))  # a worker serves for a while before it is killed
            kill_a_worker(server, 2)
            kills += 1
    finally:
        for writer in writers:
            writer.stop()
    reads = sum(writer.reads for writer in writers)
    answered = assert_nothing_is_lost(writers, server, database)
    print(f"{answered} writes and {reads} reads answered in {seconds:g} s, {kills} workers killed")
    assert answered > seconds and reads > seconds and kills >= min(seconds / 10, 3)
