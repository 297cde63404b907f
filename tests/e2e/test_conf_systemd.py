"""conf/systemd, conf/logrotate and conf/kubernetes as shipped: they load without a warning, their times match the
defaults, and their commands have flags and paths that exist."""
import re
import shutil
import subprocess

import pytest

from server import BINARY, ROOT, run

UNITS = ROOT / "conf/systemd"
INSTALLED = "/usr/local/bin/narwhal"


SERVICES = ["narwhal.service", "narwhal@.service", "flask.service"]
SOCKETS = ["narwhal.socket", "narwhal@.socket", "flask.socket"]


def unit_setting(name, unit):
    (value,) = re.findall(rf"^{name}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    return value


def default_seconds(setting):
    """A default as --print-config shows it to the operator."""
    shown = run("--print-config", "app.so").stdout
    return float(re.search(rf"^\s*{setting}\s*[:=]\s*(\d+)", shown, re.MULTILINE)[1])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_units_load_without_a_warning(tmp_path):
    names = [*SERVICES, *SOCKETS]
    for name in names:
        text = (UNITS / name).read_text()
        (tmp_path / name).write_text(re.sub(rf"{INSTALLED}(ctl)?\b", str(BINARY), text))
    names = [name.replace("@.", "@shop.") for name in names]  # an instance, whose template is found beside it
    assert all(INSTALLED in (UNITS / name).read_text() for name in SERVICES)
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in names)],
                             capture_output=True, text=True, timeout=60)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("unit", SERVICES)
def test_systemd_rates_the_sandbox_below_two(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / unit], capture_output=True,
                          text=True, timeout=60)
    assert float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)[1]) < 2.0


@pytest.mark.parametrize("unit", SERVICES)
def test_systemd_waits_longer_for_a_stop_than_the_server_does(unit):
    assert float(unit_setting("TimeoutStopSec", unit)) > default_seconds("graceful_timeout") + 5


@pytest.mark.parametrize("unit", SERVICES)
def test_systemd_waits_longer_for_a_start_than_template_and_workers_may_take(unit):
    assert float(unit_setting("TimeoutStartSec", unit)) > 2 * default_seconds("boot_timeout")


def test_the_commands_of_the_units_name_flags_that_the_server_knows():
    help_text = run("--help").stdout
    for command in [unit_setting("ExecStart", unit) for unit in SERVICES]:
        program, *words = command.split()
        assert program == INSTALLED
        for flag in (word for word in words if word.startswith("-")):
            assert re.search(rf"(^|[\s,]){flag}\b", help_text, re.MULTILINE), flag


def test_the_units_are_equally_locked_in():
    """From `NoNewPrivileges` on, except for comments."""
    locks = [re.findall(r"^(?!#).+$", (UNITS / unit).read_text().split("\nNoNewPrivileges=")[1], re.MULTILINE)
             for unit in SERVICES]
    assert locks[0] and len(locks[0]) > 10
    # [Install] names each one's own socket.
    assert len({tuple(line for line in lock if not line.startswith("Also=")) for lock in locks}) == 1


@pytest.mark.parametrize("unit", SERVICES)
def test_each_service_has_a_socket_and_is_started_as_often_as_it_needs(unit):
    text = (UNITS / unit).read_text()
    socket = unit.replace("@.service", "@%i.socket").replace(".service", ".socket")
    assert unit_setting("Requires", unit) == socket and socket in unit_setting("After", unit)
    assert (UNITS / socket.replace("%i", "")).exists()
    assert unit_setting("StartLimitIntervalSec", unit) == "0", "a limit makes the socket unit fail for good"
    assert unit_setting("Restart", unit) == "on-failure" and "RestartPreventExitStatus" not in text
    # The control socket of the server is the one that a reload asks.
    paths = set(re.findall(r"(?:--control-socket|--socket) (\S+)", text))
    assert len(paths) == 1 and paths.pop().startswith(f"/run/{unit_setting('RuntimeDirectory', unit)}/")
    assert float(unit_setting("WatchdogSec", unit)) >= 10


@pytest.mark.parametrize("unit", SOCKETS)
def test_no_number_of_connections_makes_a_socket_unit_fail(unit):
    assert unit_setting("TriggerLimitIntervalSec", unit) == "0"


# ---- logrotate ----
@pytest.mark.skipif(not shutil.which("logrotate"), reason="logrotate is not installed")
def test_logrotate_reads_its_file(tmp_path):
    done = subprocess.run(["logrotate", "--debug", "--state", tmp_path / "state", ROOT / "conf/logrotate/narwhal"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "error" not in done.stderr.lower(), done.stderr


# ---- Kubernetes ----
def test_the_pod_needs_no_shell_and_has_time_to_stop():
    text = (ROOT / "conf/kubernetes/deployment.yaml").read_text()
    assert "exec:" not in text and "command:" not in text
    grace = int(re.search(r"terminationGracePeriodSeconds: (\d+)", text)[1])
    pause = int(re.search(r"preStop:.*?seconds: (\d+)", text, re.DOTALL)[1])
    assert grace > pause + default_seconds("graceful_timeout") + 5
    help_text = run("--help").stdout
    for flag in re.findall(r"- (--[a-z-]+)=", text):
        assert re.search(rf"(^|[\s,]){flag}\b", help_text, re.MULTILINE), flag


def test_the_manifests_are_yaml_of_kubernetes():
    yaml = pytest.importorskip("yaml")
    deployment = yaml.safe_load((ROOT / "conf/kubernetes/deployment.yaml").read_text())
    service = yaml.safe_load((ROOT / "conf/kubernetes/service.yaml").read_text())
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    binds = [word.rsplit(":", 1)[1] for word in container["args"] if "bind=" in word]
    assert [int(port) for port in binds] == [ports["http"], ports["admin"]]
    assert all(container[probe]["httpGet"]["port"] == "admin" for probe in ("startupProbe", "readinessProbe", "livenessProbe"))
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert service["spec"]["ports"][0]["targetPort"] == "http"
    assert container["securityContext"]["readOnlyRootFilesystem"] and pod["spec"]["securityContext"]["runAsNonRoot"]
