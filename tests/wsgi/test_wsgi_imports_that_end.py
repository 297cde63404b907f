"""Applications whose import ends the process it runs in: the server reports it, in the template and in a worker."""
import signal

import pytest

from clock import eventually
from server import run

GOOD = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n"
ENDS = {"_exit_0": "import os; os._exit(0)", "_exit_5": "import os; os._exit(5)", "abort": "import os; os.abort()",
        "crash": "import ctypes; ctypes.string_at(0)", "parent": "import os\nif os.fork(): os._exit(0)",
        "exit": "import sys; sys.exit(0)", "interrupt": "raise KeyboardInterrupt"}
NO_FILES = {"PYTHONDONTWRITEBYTECODE": "1"}

each_end = pytest.mark.parametrize("end", ENDS)
preloaded_or_not = pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])


def site(folder, text):
    (folder / "ends_app.py").write_text(f"{text}\n{GOOD}")
    return "ends_app:app", "--chdir", folder


@each_end
@preloaded_or_not
def test_at_first_boot_it_is_exit_code_3(tmp_path, end, preload):
    done = run("-b", f"unix:{tmp_path}/s", *site(tmp_path, ENDS[end]), *preload, env=NO_FILES)
    assert done.returncode == 3, done.stderr
    assert "ends_app:app" in done.stderr and done.stderr.count("Reason: Worker failed to boot.") == 1
    if preload:
        assert "Worker died of" not in done.stderr  # there was none


@each_end
def test_check_config_does_not_pass_it(tmp_path, end):
    done = run("--check-config", *site(tmp_path, ENDS[end]), env=NO_FILES)
    assert done.returncode == 1, done.stderr
    assert "narwhal: " in done.stderr and "ends_app:app" in done.stderr.split("narwhal: ")[-1]


def test_check_config_does_not_wait_for_what_the_import_leaves_running(tmp_path):
    text = "import os, time\nif os.fork() == 0:\n    os.closerange(0, 3)\n    time.sleep(20)\n    os._exit(0)"
    done = run("--check-config", "--boot-timeout", "10", *site(tmp_path, text), env=NO_FILES, timeout=9)
    assert done.returncode == 0, done.stderr


@each_end
@preloaded_or_not
def test_at_a_reload_the_old_ones_go_on(serve, tmp_path, end, preload):
    server = serve(*site(tmp_path, ""), *preload, env=NO_FILES)
    site(tmp_path, ENDS[end])
    server.send(signal.SIGHUP)
    eventually("the failure", lambda: "Reload failed at step" in server.log())
    line, = [line for line in server.log().splitlines() if "Reload failed" in line]
    assert "ends_app:app" in line and line.endswith("generation 1 continues to serve")
    assert server.get("/").body == b"served"
    site(tmp_path, "")
    server.reload()
    assert server.get("/").body == b"served"
