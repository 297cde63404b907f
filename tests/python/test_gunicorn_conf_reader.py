"""server/config/gunicorn_conf_reader.py: what it answers for each kind of file and value."""
import json
import logging
import pathlib
import socket
import sys

import gunicorn_conf_reader as reader
import pytest


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """ask(location, *names): the module that main() returns, and its answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", sys.argv[:])

    def asked(location, *names):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            module = reader.main(theirs, str(location), names)
            pieces = []
            while (message := ours.recv(1 << 20)) != b".":
                assert message.startswith(b"a")
                pieces.append(message[1:])
            return module, json.loads(b"".join(pieces))
    return asked


@pytest.fixture
def conf(tmp_path):
    """conf(source): a gunicorn.conf.py with it."""
    def write(source):
        path = tmp_path / "gunicorn.conf.py"
        path.write_text(source)
        return path
    return write


def test_settings_come_with_their_lines_and_types(ask, conf):
    path = conf("workers = 1\nworkers = 2 + 2\n\nbind = ['a', 'b']\nown = 7\n\ndef when_ready(server):\n    timeout = 1\n")
    module, answer = ask(path, "bind", "timeout", "when_ready", "workers")
    assert module.own == 7
    assert answer == {"file": str(path), "settings": [
        ["bind", 4, "list", [["str", "a"], ["str", "b"]]], ["when_ready", 7, "callable", ""], ["workers", 2, "int", "4"]],
        "others": [["own", 5]]}


@pytest.mark.parametrize("value, described", [
    (None, ["None", ""]), (True, ["bool", "true"]), (False, ["bool", "false"]), (7, ["int", "7"]), (0.5, ["float", "0.5"]),
    ("x", ["str", "x"]), (pathlib.Path("/a"), ["str", "/a"]), (b"x", ["bytes", ""]), (len, ["callable", ""]),
    ((1, "b"), ["list", [["int", "1"], ["str", "b"]]]), ({}, ["dict", []]),
    ({"A": 1, 2: None}, ["dict", [["A", "int", "1"], ["2", "None", ""]]]), ([[1]], ["list", [["list", ""]]]),
])
def test_a_value_is_described_by_its_type(value, described):
    assert reader.describe(value) == described


def test_a_subclass_is_described_by_its_base(conf):
    class Number(int):
        def __str__(self):
            return "seven"

    class Name(str):
        def __str__(self):
            return "other"
    assert [reader.scalar(Number(7)), reader.scalar(Name("x"))] == [["int", "7"], ["str", "x"]]


def test_a_name_that_is_imported_has_the_imports_line(conf):
    assert reader.lines_of_names(conf("import os as workers\nfrom os import path\n")) == {"workers": 1, "path": 2}


def test_no_lines_are_known_of_a_file_that_cannot_be_parsed(conf, tmp_path):
    assert reader.lines_of_names(conf("def\n")) == {} == reader.lines_of_names(tmp_path / "absent")


def test_an_exception_is_a_fault_with_the_innermost_line_of_the_file(ask, conf, capfd):
    path = conf("import json\n\ndef load():\n    return json.loads('{')\n\nworkers = load()\n")
    module, answer = ask(path, "workers")
    assert module is None and answer["file"] == str(path)
    assert answer["fault"][0] == 4 and answer["fault"][1].startswith("json.decoder.JSONDecodeError: ")
    assert "Traceback" in capfd.readouterr().err


def test_a_syntax_error_is_a_fault_with_its_line(ask, conf, capfd):
    assert ask(conf("workers = 1\nbind = [\n"), "workers")[1]["fault"][0] == 2
    assert "SyntaxError" in capfd.readouterr().err


def test_a_file_that_ends_the_process_is_a_fault(ask, conf, capfd):
    assert ask(conf("raise SystemExit(3)\n"), "workers")[1]["fault"] == [1, "SystemExit: 3"]


def test_a_file_that_is_not_there_is_a_fault_without_a_traceback(ask, tmp_path, capfd):
    path = tmp_path / "absent.py"
    assert ask(path, "workers") == (None, {"file": str(path), "fault": [0, "there is no such file"]})
    assert capfd.readouterr().err == ""


def test_a_module_is_looked_for_in_the_current_directory(ask, tmp_path, monkeypatch):
    (tmp_path / "settings_module.py").write_text("workers = 3\n")
    monkeypatch.delitem(sys.modules, "settings_module", raising=False)
    module, answer = ask("python:settings_module", "workers")
    assert module.workers == 3
    assert answer == {"file": str(tmp_path / "settings_module.py"), "settings": [["workers", 1, "int", "3"]]}
    assert sys.argv == ["python:settings_module"]


def test_a_module_that_is_not_there_has_no_file(ask, capfd):
    module, answer = ask("python:no_such_module", "workers")
    assert (module, answer["file"], answer["fault"][0]) == (None, "", 0)


def test_texts_that_are_not_unicode_do_not_stop_the_answer(ask, conf):
    assert ask(conf("proc_name = 'a\\udc80'\n"), "proc_name")[1]["settings"] == [["proc_name", 1, "str", "a\udc80"]]


def test_filters_and_handlers_that_the_file_adds_to_gunicorns_loggers_are_reported(ask, conf):
    assert "loggers" not in ask(conf("import logging\nlogging.getLogger('gunicorn.access').setLevel(10)\n"))[1]
    source = "import logging\nlogging.getLogger('gunicorn.access').addFilter(lambda record: True)\n"
    try:
        assert ask(conf(source))[1]["loggers"] == "true"
    finally:
        logging.getLogger("gunicorn.access").filters.clear()
