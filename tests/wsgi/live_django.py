"""Django's LiveServerTestCase, with narwhal in place of its own server's thread: the test case and the server are two
processes on one test database, made and emptied by Django.

    python3 live_django.py FOLDER    run by test_wsgi_live_suites.py, with apps/ on the path
"""
import http.cookiejar
import re
import sys
import unittest
import urllib.parse
import urllib.request
from pathlib import Path

import django_site  # noqa: F401  (the settings, for both)
from django.contrib.auth.models import Group, User
from django.db import connections
from django.test import LiveServerTestCase
from django.test.runner import DiscoverRunner
from django.test.testcases import LiveServerThread

from comparison import APPS
from server import Server

FOLDER = Path(sys.argv[1])


class NarwhalThread(LiveServerThread):
    def run(self):
        try:
            environment = {"TRIAL_DATABASE": str(connections["default"].settings_dict["NAME"]),
                           "PYTHONDONTWRITEBYTECODE": "1"}
            self.server = Server(FOLDER, ["-b", f"{self.host}:{self.port}", "--threads", "2", "--chdir", APPS,
                                          "django_site"],
                                 env=environment).start()
            self.port = self.server.port
        except BaseException as error:
            self.error = error
        self.is_ready.set()

    def terminate(self):
        assert self.server.stop() == 0
        self.join()


class RoundTrips(LiveServerTestCase):
    server_thread_class = NarwhalThread
    host = "127.0.0.1"

    def setUp(self):
        User.objects.create_superuser("admin", "admin@example.org", "secret")
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, path):
        with self.opener.open(self.live_server_url + path, timeout=20) as response:
            return response.read().decode()

    def post(self, path, **fields):
        """A form, with the token that its page gave."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path))[1]
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        request = urllib.request.Request(self.live_server_url + path, body)
        with self.opener.open(request, timeout=20) as response:
            return response.read().decode()

    def log_in(self):
        self.assertIn("Site administration", self.post("/admin/login/?next=/admin/", username="admin", password="secret"))

    def test_what_the_test_writes_the_server_reads(self):
        self.log_in()
        Group.objects.bulk_create(Group(name=f"group {number}") for number in range(3))
        self.assertIn("3 groups", self.get("/admin/auth/group/"))
        Group.objects.filter(name="group 1").delete()
        self.assertNotIn("group 1", self.get("/admin/auth/group/"))

    def test_what_the_server_writes_the_test_reads(self):
        self.log_in()
        self.assertIn("was added successfully", self.post("/admin/auth/group/add/", name="Rédaction"))
        self.assertEqual([group.name for group in Group.objects.all()], ["Rédaction"])
        self.assertIsNotNone(User.objects.get(username="admin").last_login)

    def test_nothing_is_left_of_the_test_before(self):
        self.assertEqual(Group.objects.count(), 0)
        self.log_in()
        self.assertIn("0 groups", self.get("/admin/auth/group/"))

    def test_sessions_are_in_the_database_of_both(self):
        for visit in range(1, 4):
            self.assertEqual(self.get("/session/"), f"visit {visit}")


if __name__ == "__main__":
    runner = DiscoverRunner(verbosity=0, interactive=False)
    runner.setup_test_environment()
    # Not in memory, where only this process would see it.
    connections["default"].settings_dict["TEST"]["NAME"] = str(FOLDER / "test.sqlite3")
    databases = runner.setup_databases()
    result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(RoundTrips))
    runner.teardown_databases(databases)
    sys.exit(not result.wasSuccessful())
