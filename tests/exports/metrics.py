"""What `rmapscope clients --metrics` serves, read by the parser of Prometheus' own client for Python.

    metrics.py FILE

FILE is the expected output of the made-up machine of `tracer/tests/fixtures/procfs`. Ends with status 1 and the reason
when it is no OpenMetrics, says other numbers than that machine has, or has a label that grows with processes.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from common import check_equal, fail

LABELS = {
    "rmapscope_gpu_clients": {"device", "driver", "state"},
    "rmapscope_gpu_engine_busy_seconds": {"device", "driver", "engine"},
    "rmapscope_gpu_engine_capacity": {"device", "driver", "engine"},
    "rmapscope_gpu_memory_bytes": {"device", "driver", "region", "kind"},
}


def validate(path):
    """Reads the file; what it compared."""
    with open(path) as file:
        families = {family.name: family for family in text_string_to_metric_families(file.read())}
    for name, family in families.items():
        if not family.documentation:
            fail(f"{name} says nothing of itself")
        for sample in family.samples:
            check_equal(f"labels of {sample.name}", set(sample.labels), LABELS.get(name, set()))
    check_equal("families with labels", set(LABELS) - set(families), set())
    busy = {
        (sample.labels["driver"], sample.labels["engine"]): sample.value
        for sample in families["rmapscope_gpu_engine_busy_seconds"].samples
        if sample.value > 0
    }
    expected = {("i915", "render"): 0.25, ("i915", "video"): 1.0, ("xe", "rcs"): 0.25, ("xe", "ccs"): 0.4,
                ("amdgpu", "gfx"): 0.03, ("v3d", "bin"): 1.0}
    check_equal("seconds busy", {key: round(value, 9) for key, value in busy.items()}, expected)
    states = {}
    for sample in families["rmapscope_gpu_clients"].samples:
        state = sample.labels["state"]
        states[state] = states.get(state, 0) + sample.value
    check_equal("clients", sum(states.values()) - states.pop("gone"), 14)
    check_equal("looks", families["rmapscope_clients_looks"].samples[0].value, 2)
    return f"{len(families)} families, {sum(len(family.samples) for family in families.values())} samples"


if __name__ == "__main__":
    print(validate(sys.argv[1]))
