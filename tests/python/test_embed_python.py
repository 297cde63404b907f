"""meson/embed_python.py: a script becomes a C++ string of the same bytes."""
import subprocess

import embed_python
import pytest


def test_the_string_has_the_scripts_bytes(tmp_path):
    source = 'text = "a \\"quoted\\" \\\\ word??/ \\t\x01"\n\n# ä €\nlast = 1\n'
    (tmp_path / "script.py").write_text(source, encoding="utf-8")
    embed_python.main(str(tmp_path / "script.cpp"), "one::two::array", str(tmp_path / "script.py"))
    (tmp_path / "main.cpp").write_text('#include "script.cpp"\n#include <cstdio>\n'
                                       'int main() { std::fputs(one::two::array, stdout); }\n')
    subprocess.run(["c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "main", tmp_path / "main.cpp"],
                   check=True)
    assert subprocess.run([tmp_path / "main"], check=True, stdout=subprocess.PIPE).stdout.decode() == source


def test_a_script_that_does_not_parse_stops_the_build(tmp_path):
    (tmp_path / "script.py").write_text("def\n")
    with pytest.raises(SyntaxError):
        embed_python.main(str(tmp_path / "script.cpp"), "one::array", str(tmp_path / "script.py"))
    assert not (tmp_path / "script.cpp").exists()


def test_a_script_can_import_its_modules_and_python_comes_before_the_current_directory(tmp_path):
    (tmp_path / "first_part.py").write_text('import json\ntext = json.dumps({"é": "\'\\\\"})\n', encoding="utf-8")
    (tmp_path / "second_part.py").write_text("from first_part import text\n")
    (tmp_path / "script.py").write_text("import second_part\nprint(second_part.text)\n")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong one')\n")
    source = embed_python.bundle(str(tmp_path / "script.py"), [str(tmp_path / "first_part.py"), str(tmp_path / "second_part.py")])
    done = subprocess.run(["/usr/bin/python3", "-c", source], cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode() == '{"\\u00e9": "\'\\\\"}\n'
