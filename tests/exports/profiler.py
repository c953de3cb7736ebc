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


def markers(path):
    """Every marker of a profile, and how many there are."""
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
            done = run("profile", "markers", "--json", "--limit", str(MOST_MARKERS), "--session", str(attempt))
            if done.returncode:
                fail(f"no markers: {done.stdout}{done.stderr}")
            answer = json.loads(done.stdout)
        finally:
            run("stop", "--all")
    return answer["markers"], answer["totalCount"]
