"""plugins/wsgi/python/application.py: what `module:attribute` names, and what is reported when it names nothing."""
import functools
import sys
import types

import application
import pytest


@pytest.fixture
def module(monkeypatch):
    """The importable module `shop`, to which a test adds its attributes."""
    made = types.ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", made)
    return made


def wsgi(environ, start_response):
    return []


def test_the_attribute_is_application_unless_it_is_named(module):
    module.application, module.app = wsgi, lambda environ, start_response: []
    assert application.find("shop") is wsgi
    assert application.find("shop:app") is module.app


def test_a_factory_is_called_with_its_literal_arguments(module):
    calls = []

    def make(*positional, **named):
        calls.append((positional, named))
        return wsgi
    module.make = make
    assert application.find("shop:make(1, 'two', key=[3, None])") is wsgi
    assert calls == [((1, "two"), {"key": [3, None]})]


@pytest.mark.parametrize("expression, reason", [
    ("1x", "Failed to parse '1x' as an attribute name or function call."),
    ("a.b", "Attribute name or function call expected: 'a.b'"),
    ("a.b()", "Function reference expected: 'a.b()'"),
    ("absent", "Failed to find attribute 'absent' in 'shop'."),
    ("make(name)", "Failed to parse arguments as literal values: 'make(name)'"),
    ("nothing", "Failed to find application object: 'nothing'"),
    ("number", "Application object must be callable."),
])
def test_an_expression_without_an_application_gives_the_reason(module, expression, reason):
    module.make, module.nothing, module.number = lambda name: wsgi, None, 7
    assert application.find(f"shop:{expression}") == reason


def test_an_asgi_application_is_refused(module):
    async def function(scope, receive, send):
        pass

    class Callable:
        async def __call__(self, scope, receive, send):
            pass

        async def method(self, scope, receive, send):
            pass
    module.function, module.object, module.method = function, Callable(), Callable().method
    for name in ("function", "object", "method"):
        assert "ASGI" in application.find(f"shop:{name}")


def test_an_object_that_cannot_be_called_with_two_arguments_is_refused_with_the_cure(module):
    def create_app():
        return wsgi

    class Callable:
        def __call__(self, environ):
            return []

    def asgi(scope, receive, send):
        pass

    def keyword(environ, start_response, *, must):
        pass
    module.create_app, module.instance, module.asgi, module.keyword = create_app, Callable(), asgi, keyword
    module.create = lambda config=None: wsgi
    assert application.find("shop:create_app") == (
        "Application object takes 0 arguments, but a WSGI application takes two (environ, start_response). "
        "If it makes the application, write 'shop:create_app()'.")
    assert application.find("shop:create").endswith("If it makes the application, write 'shop:create()'.")
    assert application.find("shop:instance") == (
        "Application object takes 1 argument, but a WSGI application takes two (environ, start_response).")
    assert "ASGI" in application.find("shop:asgi")
    assert "arguments by keyword" in application.find("shop:keyword")
    assert application.find("shop:create_app()") is wsgi


def test_what_may_be_a_right_application_is_never_refused(module):
    class Class:
        def __init__(self, environ, start_response):
            pass

    class Instance:
        def __call__(self, environ, start_response):
            return []

        def method(self, environ, start_response):
            return []

        @classmethod
        def of_class(cls, environ, start_response):
            return []

        @staticmethod
        def of_none(environ, start_response):
            return []

    @functools.wraps(wsgi)
    def wrapped(*positional, **named):
        return wsgi(*positional, **named)
    right = [wsgi, Class, Instance(), Instance().method, Instance.of_class, Instance().of_none, wrapped,
             functools.partial(lambda extra, environ, start_response: [], 1), zip, dict,
             lambda environ, start_response, more=1: [], lambda *all: [], lambda environ, *rest: [],
             lambda environ=None, start_response=None: []]
    for each in right:
        module.app = each
        assert application.find("shop:app") is module.app


@pytest.mark.parametrize("name, function, patched", [("gevent.monkey", "is_module_patched", "socket"),
                                                     ("eventlet.patcher", "is_monkey_patched", "thread")])
def test_an_application_that_gevent_or_eventlet_has_patched_is_refused(module, monkeypatch, name, function, patched):
    library = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, library)
    module.app = wsgi
    setattr(library, function, lambda what: False)
    assert application.find("shop:app") is wsgi
    setattr(library, function, lambda what: what == patched)
    assert name.partition(".")[0] in application.find("shop:app")
    assert "--threads" in application.find("shop:app")


def test_a_file_name_in_place_of_a_module_gets_a_hint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.py").touch()
    with pytest.raises(ImportError, match=r"no module 'absent_app.py'") as other:
        (tmp_path / "absent_app.py").touch()
        application.import_module("absent_app.py")
    assert "did you mean 'absent_app:app'?" in str(other.value)
    with pytest.raises(ModuleNotFoundError):
        application.import_module("quite_absent.py")


def failing_import(tmp_path, monkeypatch, source):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_shop.py").write_text(source)
    with pytest.raises(BaseException) as caught:
        application.find("broken_shop:app")
    sys.modules.pop("broken_shop", None)
    return caught.value


def test_files_that_may_fix_a_failed_import_are_named(tmp_path, monkeypatch):
    error = failing_import(tmp_path, monkeypatch, "import not_there.at_all\n")
    files = application.files_that_may_fix(error)
    assert str(tmp_path / "broken_shop.py") in files
    assert f"{tmp_path}/not_there.py" in files and f"{tmp_path}/not_there/__init__.py" in files


def test_a_file_that_does_not_parse_may_fix_its_import(tmp_path, monkeypatch):
    error = failing_import(tmp_path, monkeypatch, "def\n")
    assert str(tmp_path / "broken_shop.py") in application.files_that_may_fix(error)


def test_the_cause_of_an_exception_is_searched_too(tmp_path, monkeypatch):
    error = failing_import(tmp_path, monkeypatch,
                           "try:\n    import not_there\nexcept ImportError as error:\n    raise ValueError from error\n")
    assert f"{tmp_path}/not_there.py" in application.files_that_may_fix(error)


def test_the_applications_part_of_a_traceback_begins_in_its_file(tmp_path, monkeypatch):
    error = failing_import(tmp_path, monkeypatch, "1 / 0\n")
    script = compile("def run(call):\n    call()\n", "<narwhal: load the application>", "exec")
    namespace = {}
    exec(script, namespace)

    def again():
        raise error
    trace = None
    try:
        namespace["run"](again)
    except ZeroDivisionError as caught:
        trace = caught.__traceback__.tb_next  # without this test's own frame
    part = application.applications_part(trace)
    assert part.tb_frame.f_code.co_filename == __file__
    assert application.applications_part(None) is None
