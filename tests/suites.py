#!/usr/bin/env python3
"""Run the test programs of a build folder and count their cases.

A Criterion program counts one case per test, a script that prints TAP one per line, any other program is one case by its
exit status. Skipped tests, crashes, timeouts, sanitizer reports and programs without a test count as failures.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

SUITES = ["tidy", "unit", "integration", "conformance", "fault", "examples", "cli"]
CRITERION = {"unit", "integration", "conformance", "fault"}
LONG_SECONDS = 30000  # of a program; the longest took a quarter of an hour on two busy processors; its own tests end before
REPORT = re.compile(r"runtime error:|ERROR: (Address|Leak|Undefined\w*)Sanitizer|AddressSanitizer:DEADLYSIGNAL|invariant .*failed", re.I)
TAP_LINE = re.compile(r"^(ok|not ok)\b[ -]*(.*)$")


class Result:
    def __init__(self):
        self.passed = 0
        self.failures = []  # (program, case, text)

    def case(self, program, name, ok, text=""):
        if ok:
            self.passed += 1
        else:
            self.failures.append((program, name, text))


def tap_cases(text):
    for line in text.splitlines():
        match = TAP_LINE.match(line)
        if match:
            skipped = re.search(r"# *(SKIP|TODO)", match.group(2), re.I) is not None
            yield re.sub(r"\s+\([\d.]+s\)$", "", match.group(2)), match.group(1) == "ok" and not skipped, skipped


def run(command, environment, directory, timeout):
    """Exit status (None after a timeout) and everything it printed; its whole process group is ended."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(command, env=environment, cwd=directory, stdout=output, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        return status, output.read()


def is_criterion(test, suite):
    return suite in CRITERION and os.access(test["cmd"][0], os.X_OK) and not test["name"].startswith("fuzz_") and len(test["cmd"]) == 1


def run_test(test, suite, folder, result, long_run):
    name = test["name"]
    environment = dict(os.environ, **test["env"])
    timeout = test["timeout"] if test["timeout"] > 0 else 600
    command = list(test["cmd"])
    tap_path = None
    if is_criterion(test, suite):
        tap_path = os.path.join(folder, name + ".tap")
        command += ["--tap=" + tap_path, "--verbose=0"] + ([] if test["is_parallel"] else ["-j1"])
    if long_run:
        environment["NX_TEST_LONG"] = "1"
        timeout = max(timeout, LONG_SECONDS)

    start = time.monotonic()
    status, output = run(command, environment, test["workdir"], timeout)
    before, failed_before = result.passed, len(result.failures)
    with open(os.path.join(folder, name + ".log"), "w") as log:
        log.write(output)
    text = output
    if tap_path is not None:
        try:
            with open(tap_path, errors="replace") as tap:
                text = tap.read()
        except OSError:
            text = ""
    cases = list(tap_cases(text)) if tap_path is not None or re.search(r"^(TAP version|1\.\.\d+)", text, re.M) else []
    for case, ok, skipped in cases:
        result.case(name, case, ok, "skipped" if skipped else "")
    if not cases and tap_path is None:
        result.case(name, name, status == 0, "exit status %s" % status)
    elif not cases:
        result.case(name, name, False, "ran no test, exit status %s" % status)
    elif status != 0 and len(result.failures) == failed_before:
        result.case(name, name, False, "timed out" if status is None else "exit status %s" % status)
    if REPORT.search(output) and len(result.failures) == failed_before:
        result.case(name, name, False, "sanitizer report")

    failed = len(result.failures) - failed_before
    print("%-12s %-28s %4d passed %4d failed %7.1f s" % (suite, name, result.passed - before, failed, time.monotonic() - start), flush=True)
    if failed:
        for program, case, reason in result.failures[failed_before:]:
            print("    FAILED %s%s" % (case, " (%s)" % reason if reason else ""))
        tail = output.splitlines()[-60:]
        print("\n".join("    | " + line for line in tail), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--test", action="append", help="only programs of that name")
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()

    listed = subprocess.run(["meson", "introspect", "--tests", options.build], check=True, capture_output=True, text=True)
    tests = []
    for test in json.loads(listed.stdout):
        suite = next((s.split(":")[-1] for s in test["suite"]), "")
        tests.append((suite, test))
    wanted = options.suite or SUITES
    result = Result()
    for suite in wanted:
        programs = [test for of, test in tests if of == suite and (not options.test or test["name"] in options.test)]
        if not programs and not options.test:
            result.case(suite, suite, False, "the suite has no program")
            print("%-12s has no program" % suite)
        folder = os.path.join(options.build, "results", suite)
        os.makedirs(folder, exist_ok=True)
        for test in programs:
            run_test(test, suite, folder, result, options.long)
    unknown = {suite for suite, _ in tests} - set(SUITES)
    if unknown:
        result.case("suites", "unknown suites %s" % sorted(unknown), False)

    if result.failures:
        print("\nfailed:")
        for program, case, reason in result.failures:
            print("    %s: %s%s" % (program, case, " (%s)" % reason if reason else ""))
    print("%d passed, %d failed" % (result.passed, len(result.failures)))
    return 1 if result.failures or result.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
