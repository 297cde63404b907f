"""conf/systemd and conf/upstart as shipped: the units load without a warning, and their times match the defaults."""
import re
import shutil
import subprocess

import pytest

from server import BINARY, ROOT, run

UNITS = ROOT / "conf/systemd"
INSTALLED = "/usr/local/bin/narwhal"


SERVICES = ["narwhal.service", "flask.service"]


def unit_setting(name, unit):
    (value,) = re.findall(rf"^{name}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    return value


def default_seconds(setting):
    """A default as --print-config shows it to the operator."""
    shown = run("--print-config", "app.so").stdout
    return float(re.search(rf"^\s*{setting}\s*[:=]\s*(\d+)", shown, re.MULTILINE)[1])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_units_load_without_a_warning(tmp_path):
    names = [*SERVICES, "narwhal.socket"]
    for name in names:
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(text.replace(INSTALLED, str(BINARY)))
    assert all(INSTALLED in (UNITS / name).read_text() for name in SERVICES)
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in names)],
                             capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES)
def test_systemd_waits_longer_for_a_stop_than_the_server_does(unit):
    assert float(unit_setting("TimeoutStopSec", unit)) > default_seconds("graceful_timeout") + 5


@pytest.mark.parametrize("unit", SERVICES)
def test_systemd_waits_longer_for_a_start_than_template_and_workers_may_take(unit):
    assert float(unit_setting("TimeoutStartSec", unit)) > 2 * default_seconds("boot_timeout")


def test_upstart_waits_longer_for_a_stop_than_the_server_does():
    (seconds,) = re.findall(r"^kill timeout (\d+)$", (ROOT / "conf/upstart/narwhal.conf").read_text(), re.MULTILINE)
    assert float(seconds) > default_seconds("graceful_timeout") + 5


def test_the_commands_of_unit_and_job_name_flags_that_the_server_knows():
    help_text = run("--help").stdout
    commands = [*(unit_setting("ExecStart", unit) for unit in SERVICES),
                *re.findall(r"^exec (.*)$", (ROOT / "conf/upstart/narwhal.conf").read_text(), re.MULTILINE)]
    assert len(commands) == 3
    for command in commands:
        program, *words = command.split()
        assert program == INSTALLED
        for flag in (word for word in words if word.startswith("-")):
            assert re.search(rf"(^|[\s,]){flag}\b", help_text, re.MULTILINE), flag


def test_the_units_are_equally_locked_in():
    """From `NoNewPrivileges` on, except for comments."""
    locks = [re.findall(r"^(?!#).+$", (UNITS / unit).read_text().split("\nNoNewPrivileges=")[1], re.MULTILINE)
             for unit in SERVICES]
    assert locks[0] == locks[1] and len(locks[0]) > 10
