"""The tree keeps its rules; and each rule is seen to fail on a tree that breaks it."""
from pathlib import Path

import pytest

import source_rules

ROOT = Path(__file__).resolve().parents[2]


def problems_of(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return source_rules.check_tree(tmp_path)


def test_every_include_of_the_tree_is_an_allowed_edge():
    assert source_rules.check_includes(ROOT) == []


def test_the_tree_has_no_circle_of_includes():
    assert source_rules.check_circles(ROOT) == []


def test_no_hand_written_file_is_too_long_and_nothing_is_left_for_now():
    assert source_rules.check_texts(ROOT) == []


def test_the_test_reads_the_tree():
    files = source_rules.tree(ROOT, source_rules.SOURCES)
    assert "core/config.hpp" in files and "include/narwhal/plugin.h" in files
    assert not [file for file in files if file.startswith("build/")]
    assert any(include.name == "core/config.hpp" for include in source_rules.includes_of(ROOT, "core/generation.hpp"))


HEADERS = {name: "#pragma once\n" for name in (
    "include/narwhal/plugin.h", "core/bytes.hpp", "core/log.hpp", "protocol/http1_head.hpp", "worker/worker.hpp",
    "worker/loop.hpp", "server/master.hpp", "server/config/settings.hpp", "server/sockets/listeners.hpp",
    "server/staging/elf.hpp", "plugins/static/types.hpp", "examples/shared.hpp")}


@pytest.mark.parametrize("file, include", [
    ("core/seat.cpp", '"protocol/http1_head.hpp"'),
    ("core/seat.cpp", '"worker/worker.hpp"'),
    ("core/seat.cpp", "<narwhal/plugin.h>"),
    ("include/narwhal/app.hpp", '"core/bytes.hpp"'),
    ("protocol/scgi.cpp", '"worker/loop.hpp"'),
    ("protocol/scgi.cpp", '"core/log.hpp"'),
    ("protocol/scgi.cpp", "<sys/socket.h>"),
    ("protocol/scgi.cpp", "<chrono>"),
    ("protocol/scgi.cpp", "<fmt/core.h>"),
    ("worker/run.cpp", '"server/master.hpp"'),
    ("server/reload.cpp", '"worker/worker.hpp"'),
    ("server/reload.cpp", '"protocol/http1_head.hpp"'),
    ("server/reload.cpp", "<narwhal/plugin.h>"),
    ("server/reload.cpp", "<uv.h>"),
    ("server/main.cpp", '"protocol/http1_head.hpp"'),
    ("server/config/load.cpp", '"server/master.hpp"'),
    ("server/config/load.cpp", '"server/sockets/listeners.hpp"'),
    ("server/sockets/listeners.cpp", '"server/config/settings.hpp"'),
    ("server/sockets/listeners.cpp", '"server/staging/elf.hpp"'),
    ("server/staging/staging.cpp", '"server/config/settings.hpp"'),
    ("server/staging/staging.cpp", '"server/master.hpp"'),
    ("server/load.cpp", "<yaml-cpp/yaml.h>"),
    ("server/main.cpp", "<CLI/CLI.hpp>"),
    ("server/prepare.cpp", "<nettle/sha2.h>"),
    ("server/config/load.cpp", "<nettle/sha2.h>"),
    ("plugins/wsgi/plugin.cpp", '"core/bytes.hpp"'),
    ("plugins/wsgi/plugin.cpp", '"plugins/static/types.hpp"'),
    ("examples/hello.cpp", '"core/bytes.hpp"'),
    ("examples/hello.cpp", "<nettle/sha2.h>"),
    ("examples/hello.cpp", "<curl/curl.h>"),
    ("plugins/wsgi/plugin.cpp", "<sqlite3.h>"),
    ("bench/bench_heads.cpp", '"server/master.hpp"'),
    ("worker/run.cpp", "<yaml-cpp/yaml.h>"),
    ("worker/run.cpp", "<CLI/CLI.hpp>"),
    ("worker/run.cpp", "<spdlog/spdlog.h>"),
    ("worker/run.cpp", "<llhttp.h>"),
    ("tests/wire/witness.cpp", "<llhttp.h>"),
    ("server/master.cpp", "<doctest/doctest.h>"),
    ("server/master.cpp", "<boost/asio.hpp>"),
    ("server/master.cpp", "<zlib.h>"),
    ("server/master.cpp", '"server/absent.hpp"'),
    ("gui/window.cpp", '"core/bytes.hpp"'),
])
def test_an_edge_that_the_design_does_not_know_is_refused(tmp_path, file, include):
    found = problems_of(tmp_path, {**HEADERS, file: f"// why\n#include {include}\n"})
    assert [problem.startswith(f"{file}:2: ") for problem in found] == [True], found


@pytest.mark.parametrize("file, include", [
    ("worker/run.cpp", '"worker/worker.hpp"'),
    ("worker/run.cpp", '"protocol/http1_head.hpp"'),
    ("worker/run.cpp", "<narwhal/plugin.h>"),
    ("worker/run.cpp", "<uv.h>"),
    ("core/log.cpp", "<spdlog/spdlog.h>"),
    ("core/log.cpp", "<sys/mman.h>"),
    ("protocol/http1_head.cpp", "<llhttp.h>"),
    ("protocol/http1_head.cpp", '"core/bytes.hpp"'),
    ("protocol/http1_head.cpp", "<string_view>"),
    ("server/main.cpp", '"worker/worker.hpp"'),
    ("server/main.cpp", '"server/master.hpp"'),
    ("server/prepare.cpp", '"server/config/settings.hpp"'),
    ("server/prepare.cpp", '"server/staging/elf.hpp"'),
    ("server/plan.hpp", '"server/sockets/listeners.hpp"'),
    ("server/config/settings.cpp", '"core/log.hpp"'),
    ("server/config/load.cpp", "<yaml-cpp/yaml.h>"),
    ("server/config/line.cpp", "<CLI/CLI.hpp>"),
    ("server/staging/digest.cpp", "<nettle/sha2.h>"),
    ("examples/echo.cpp", "<nettle/sha2.h>"),
    ("examples/tests/guestbook_test.cpp", "<sqlite3.h>"),
    ("plugins/wsgi/plugin.cpp", "<Python.h>"),
    ("tests/unit/server_master_test.cpp", '"server/master.hpp"'),
])
def test_an_edge_of_the_design_is_allowed(tmp_path, file, include):
    assert problems_of(tmp_path, {**HEADERS, file: f"#include {include}\n"}) == []


def test_a_library_for_one_file_is_refused_in_two(tmp_path):
    found = problems_of(tmp_path, {"core/log.cpp": "#include <spdlog/spdlog.h>\n",
                                   "core/again.cpp": "#include <spdlog/fmt/fmt.h>\n"})
    assert found == ["<spdlog/> is for one file of core/, not 2: core/again.cpp, core/log.cpp"]


def test_a_circle_of_includes_is_found(tmp_path):
    found = problems_of(tmp_path, {"core/a.hpp": '#include "core/b.hpp"\n', "core/b.hpp": '#include "core/a.hpp"\n'})
    assert found == ["a circle of includes: core/a.hpp -> core/b.hpp -> core/a.hpp"]


def test_a_file_of_500_lines_passes_and_one_of_501_does_not(tmp_path):
    assert problems_of(tmp_path, {"core/a.cpp": "\n" * 500, "tests/e2e/test_a.py": "\n" * 500}) == []
    found = problems_of(tmp_path, {"core/a.cpp": "\n" * 501, "tests/e2e/test_a.py": "\n" * 501, "dev": "\n" * 501})
    assert [problem.split(":")[0] for problem in found] == ["core/a.cpp", "tests/e2e/test_a.py", "dev"]


def test_work_left_for_now_is_refused_and_work_for_later_is_not(tmp_path):
    assert problems_of(tmp_path, {"core/a.cpp": "// TODO(perf): one allocation less\n"}) == []
    assert problems_of(tmp_path, {"core/a.cpp": "\n// TODO" + "(now): finish\n"}) == ["core/a.cpp:2: TODO" + "(now)"]
