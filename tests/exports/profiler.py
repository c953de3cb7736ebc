"""The Firefox profiler's own reader and importers, by its command line `profiler-cli` from `RMAPSCOPE_EXPORTS_NODE`."""

import json
import os
import subprocess
import tempfile
import time

from common import fail

# `profile markers` shows no more; the counts that it gives are those of all.
MOST_MARKERS = 100_000

ATTEMPTS = 10

PROGRAM = os.path.join(os.environ["RMAPSCOPE_EXPORTS_NODE"], ".bin", "profiler-cli")


# Calls of which `thread samples-top-down` shows no more.
MOST_CALLS = 1_000_000


def ask(path, *question):
    """The profiler's answer to a question about a file, which its importers may have to turn into a profile."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PROFILER_CLI_SESSION_DIR": folder}

        def run(*words):
            command = [PROGRAM, *words]
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

        try:
            # Its daemon has half a second to start, which is little on a busy machine.
            for attempt in range(ATTEMPTS):
                done = run("load", os.path.abspath(path), "--session", str(attempt))
                if not done.returncode:
                    break
                time.sleep(1)
            else:
                fail(f"cannot be loaded: {done.stdout}{done.stderr}")
            done = run(*question, "--json", "--session", str(attempt))
            if done.returncode:
                fail(f"no answer to {question}: {done.stdout}{done.stderr}")
            return json.loads(done.stdout)
        finally:
            run("stop", "--all")


def markers(path):
    """Every marker of a profile, and how many there are."""
    answer = ask(path, "profile", "markers", "--limit", str(MOST_MARKERS))
    return answer["markers"], answer["totalCount"]


def call_tree(path):
    """The calls of a profile's first thread, the callers outside, with samples."""
    answer = ask(path, "thread", "samples-top-down", "--include-idle", "--max-lines", str(MOST_CALLS))
    return answer["regularCallTree"]
