#!/usr/bin/python3
"""What callboard-operator takes to render the examples of k8s/specs, with the dashboards, which are most of the bytes: CPU and time of the
whole process, from its start to its end, the median of 31 runs, and its memory. Aims: at most 20 ms and 16 MiB for the largest.

    tests/bench/operator_render.py [build-bench/operator/callboard-operator]
"""
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNS = 31


def run(program, spec):
    """Milliseconds of CPU and of time of one run."""
    before = time.perf_counter()
    pid = os.posix_spawn(program, [program, "render", "--set", "monitoring.dashboards=true", str(spec)], os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_WRONLY, 0) for fd in (1, 2)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"{spec} ended with {status:#x}")
    return 1000 * (usage.ru_utime + usage.ru_stime), 1000 * (time.perf_counter() - before)


def memory(program, spec):
    """KiB. Python's own would count with what it starts: a shell between, which limits what may be had, shows the least that is enough."""
    for mib in range(2, 65):
        limited = ["sh", "-c", f'ulimit -d {mib * 1024}; exec "$@"', "sh", program, "render", "--set", "monitoring.dashboards=true", str(spec)]
        if subprocess.run(limited, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return mib
    return 65


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build-bench/operator/callboard-operator")
    for spec in sorted((ROOT / "k8s/specs").glob("*.yaml")):
        text = subprocess.run([program, "render", "--set", "monitoring.dashboards=true", str(spec)], capture_output=True, check=True).stdout
        runs = [run(program, spec) for _ in range(RUNS)]
        cpu, took = (statistics.median(each[i] for each in runs) for i in range(2))
        print(f"{spec.stem:26s} {len(text) // 1024:5d} KiB {cpu:6.1f} ms of CPU {took:6.1f} ms {memory(program, spec):4d} MiB of data", flush=True)


if __name__ == "__main__":
    main()
