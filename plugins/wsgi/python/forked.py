"""A process that is forked in a request has one thread, the request's. Where Python has not started that thread, threading
has a stand-in for it, which Python up to 3.12 cannot end: sys.exit() raises an AssertionError, and multiprocessing's
processes end with 1. Without a stand-in, the child makes its thread the main one, as for a thread that Python has started.
"""
import os
import threading

taken = {}


def take_stand_in():
    thread = threading._active.get(threading.get_ident())
    if isinstance(thread, threading._DummyThread):
        taken[threading.get_ident()] = threading._active.pop(threading.get_ident())


def put_back():
    if threading.get_ident() in taken:
        threading._active[threading.get_ident()] = taken.pop(threading.get_ident())


os.register_at_fork(before=take_stand_in, after_in_parent=put_back, after_in_child=taken.clear)
