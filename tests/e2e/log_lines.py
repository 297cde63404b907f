"""The texts of the error log that tests wait for, in one place."""
import re

LINE = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})\] \[(\d+)\] "
                  r"\[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] (.*)")
LISTENING = r"Listening at: (.+) \((\d+)\)"
READY = r"Generation (\d+) is ready|Debug mode is ready"
BOOTING = r"Booting worker with pid: (\d+)"
EXITING = r"Worker exiting \(pid: (\d+)\)"
SHUT_DOWN = r"Shutting down: Master"
# The tests may run as root, and then each start has it; tests/e2e/test_hardening.py looks for it.
ROOT = re.compile(r"(?m)^(narwhal: |\[.*\[WARNING\] )the workers run as root, and so does the application: .*\n")
# What may never be in a log, in any test.
POISON = re.compile(r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|Assertion failed|terminate called")
