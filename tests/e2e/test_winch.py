"""WINCH: the workers finish and leave, the sockets stay open, and HUP or TTIN starts workers again."""
import signal
import time

from clock import eventually
from load import Background
from server import example
from test_systemd import notify  # noqa: F401

ECHO = example("echo")


def test_winch_retires_every_worker_and_hup_starts_them_again(serve):
    server = serve(ECHO, "-w", "2")
    before = server.wait_workers(2)
    with server.load(clients=4) as load:
        load.wait_for_more(50)
        server.send(signal.SIGWINCH)
        server.wait_for("graceful stop of workers: new connections wait until HUP or TTIN starts workers again")
        server.wait_workers(0)
        server.send(signal.SIGHUP)
        server.wait_workers(2, without=before)
        load.wait_for_more(50)
    load.assert_clean()
    assert "ERROR" not in server.log() and "WARNING" not in server.log()


def test_a_connection_waits_in_the_kernel_until_ttin(serve):
    server = serve(ECHO, "-w", "2")
    server.wait_workers(2)
    server.send(signal.SIGWINCH)
    server.wait_workers(0)
    waiting = Background(server.get)
    time.sleep(0.3)
    assert not waiting.done
    server.send(signal.SIGTTOU)  # there is none to take
    server.wait_for("Handling signal: ttou")
    assert not waiting.done and server.workers() == {}
    server.send(signal.SIGTTIN)
    assert waiting.result().status == 200
    server.wait_workers(1)


def test_a_request_in_hand_is_finished(serve):
    server = serve(ECHO, "-w", "1")
    server.wait_workers(1)
    slow = server.connect()
    slow.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
    time.sleep(0.2)
    server.send(signal.SIGWINCH)
    server.wait_for("graceful stop of workers")
    slow.send(b"cd")
    assert slow.response("POST").status == 200
    server.wait_workers(0)


def test_a_server_without_workers_stops_cleanly(serve):
    server = serve(ECHO, "-w", "2")
    server.wait_workers(2)
    server.send(signal.SIGWINCH)
    server.wait_workers(0)
    assert server.stop(signal.SIGTERM) == 0


def test_winch_during_a_reload_holds_after_it(serve, tmp_path):
    (tmp_path / "app.py").write_text("import time\ntime.sleep(1)\ndef app(environ, start_response):\n"
                                     "    start_response('200 OK', [])\n    return [b'hello']\n")
    server = serve("app:app", "-w", "1")
    server.send(signal.SIGHUP)
    server.wait_for("Hang up: Master")
    server.send(signal.SIGWINCH)
    server.wait_for("Generation 2 is ready")
    server.wait_workers(0)


def test_the_service_manager_learns_it(serve, notify):  # noqa: F811
    server = serve(ECHO, "-w", "2", env={"NOTIFY_SOCKET": notify.path})
    notify.wait("READY", "1")
    server.send(signal.SIGWINCH)
    eventually("the status", lambda: any(
        "0 of 0 workers serving (WINCH: HUP or TTIN starts workers again)" in message.get("STATUS", "")
        for message in notify.drain()))
