"""FastCGI, SCGI and uwsgi: paths outside of the web server's prefix, and answers that are cut off."""
import pytest

from gateway import END, STDOUT, WIRES, Gateway, record, request_over
from server import example
from wire import Truncated


@pytest.fixture(scope="module")
def addresses(serve_module):
    binds = [part for wire in WIRES[1:] for part in ("-b", f"{wire}://127.0.0.1:0")]
    return dict(zip(WIRES, serve_module(example("echo"), *binds, bind=f"{WIRES[0]}://127.0.0.1:0").addresses))


@pytest.fixture
def fastcgi(addresses):
    with Gateway("fastcgi", addresses["fastcgi"]) as front:
        yield front


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("target", ["/admin", "//shop/cart", "/admin/../shop/cart", "/shopping"])
def test_a_path_outside_of_the_web_servers_prefix_is_404(addresses, wire, target):
    with Gateway(wire, addresses[wire]) as front:
        answer = front.ask(target, more={"SCRIPT_NAME": "/shop", "PATH_INFO": "/cart"})
    assert answer.status == 404 and "SCRIPT_NAME is not a prefix of REQUEST_URI" in answer.text


def test_an_answer_that_is_cut_off_has_a_status_and_no_end_of_its_stream(fastcgi):
    fastcgi.send(request_over("fastcgi", "/?exc=late&write=1&size=100000", keep=True))
    answer = fastcgi.rest()
    assert answer.endswith(record(END, 1, b"\0\0\0\1\0\0\0\0")) and record(STDOUT, 1) not in answer


def test_an_answer_without_a_length_that_is_cut_off_ends_with_a_reset(fastcgi):
    fastcgi.send(request_over("fastcgi", "/?exc=late&chunked=1&size=100000", keep=True))
    with pytest.raises(Truncated) as cut:
        fastcgi.rest()
    assert cut.value.reset


def test_over_a_unix_socket_an_answer_without_a_length_that_is_cut_off_ends_in_a_broken_record(serve, tmp_path):
    server = serve(example("echo"), bind=f"fastcgi://unix:{tmp_path}/n.sock")
    with Gateway("fastcgi", server.address) as front:
        front.send(request_over("fastcgi", "/?exc=late&chunked=1&size=100000", keep=True))
        answer = front.rest()
    assert answer.endswith(b"\0\6\0\1\xff\xff\0\0") and record(STDOUT, 1) not in answer
