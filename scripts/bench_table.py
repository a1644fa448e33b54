"""Runs a fit and prints its figures as a Markdown table: wall time, parts, points per second per pass, peak memory."""

import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time


def run(command):
    """Seconds from process start to end, and the peak memory of the process in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, usage


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, load {os.getloadavg()[0]:.1f}, commit {commit}"


def large(command):
    seconds, usage = run(command)
    result = json.loads((pathlib.Path(command[-1]) / "result.json").read_text())
    parts, n, passes = result["seconds"], result["n_used"], result["passes"]
    per_pass = (parts["compute"] + parts["reduce"]) / passes
    cpu = usage.ru_utime + usage.ru_stime
    print(f"{machine()}\n")
    print("| figure | measured |")
    print("|---|---|")
    print(f"| points | {n:,} |")
    print(f"| process start to end | {seconds:.2f} s ({cpu:.2f} s of CPU time over all threads) |")
    print(f"| reading and decoding | {parts['read']:.2f} s, {n / parts['read'] / 1e6:.0f} M points/s |")
    print(f"| passes | {passes} in {parts['compute'] + parts['reduce']:.2f} s: compute {parts['compute']:.2f} s, reduce {parts['reduce']:.3f} s |")
    print(f"| per pass | {per_pass:.3f} s, {n / per_pass / 1e6:.0f} M points/s |")
    print(f"| peak memory | {usage.ru_maxrss * 1024 / 2**20:,.0f} MiB |")
    print(f"| ended | {result['status']}: {result['reason']} |")


def cold(command):
    run(command)
    times = sorted(run(command)[0] for _ in range(30))
    print(f"{machine()}\n")
    print(f"10,000 points of .npy, process start to end, 30 runs: median {statistics.median(times) * 1e3:.0f} ms, "
          f"fastest {times[0] * 1e3:.0f} ms, slowest {times[-1] * 1e3:.0f} ms")


if __name__ == "__main__":
    {"large": large, "cold": cold}[sys.argv[1]](sys.argv[2:])
