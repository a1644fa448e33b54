"""What scripts/test_slurm and scripts/test_hosts share: one fit of known length, and whether a disturbed one equals it in bytes."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("NLSQ_BIN", ROOT / "target/release"))
COORDINATOR, WORKER = BIN / "nlsq-coordinator", BIN / "nlsq-worker"

# What may differ between two runs of one fit: who computed, and how long it took.
FREE = ["device", "workers", "generations", "seconds"]


class Failed(Exception):
    """A check that does not hold."""


class Skipped(Exception):
    """A check that cannot be made here."""


def expect(holds, message):
    if not holds:
        raise Failed(message)


def wait_until(what, condition, seconds):
    """Waits for an event that only the outside shows; what the condition returned."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.05)


class Fit:
    """A fit that takes exactly `passes` passes, whatever it meets, and its undisturbed result."""

    def __init__(self, folder, passes, points=60_000):
        self.folder, self.passes = folder, passes
        data = folder / "decay.npy"
        subprocess.run([BIN / "examples/make_dataset", "--n", str(points), "--out", data], check=True, stdout=subprocess.DEVNULL)
        self.job = folder / "job.toml"
        self.job.write_text(
            f'[model]\nexpression = "a*exp(-b*t)+c"\n\n[data]\nfiles = ["{data}"]\nx = ["t"]\ny = "y"\n\n'
            "[parameters]\na = { start = 1.0 }\nb = { start = 1.0 }\nc = { start = 0.0 }\n\n"
            f'[fit]\nloss = "cauchy"\nxtol = 0\nftol = 0\ngtol = 0\nmax_passes = {passes}\ntile_points = 8192\n\n'
            # Adam with a short stride is far from its end after any number of passes: every bit of every pass is in the result.
            '[fit.hybrid]\nwarm_up = "always"\nwarm_up_method = "adam"\nlearning_rate = 1e-4\nmin_iterations = 1000000\n'
            "max_iterations = 1000000\nplateau_threshold = 0\ngradient_threshold = 0\nagreement_threshold = 0\n"
            "warm_start_detection = false\n"
        )
        began = time.monotonic()
        self.undisturbed = folder / "undisturbed"
        ended = subprocess.run(
            [COORDINATOR, "fit", self.job, "--out", self.undisturbed, "--progress", "none"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
        )
        self.seconds = time.monotonic() - began
        expect(ended.returncode == 3, f"the undisturbed fit ended with {ended.returncode}, expected 3: {ended.stderr}")
        self.expected = answer(self.undisturbed)
        expect(self.expected["passes"] == passes, f"it took {self.expected['passes']} passes, not {passes}")

    def compare(self, run):
        """Fails unless a run has the bytes of the undisturbed one."""
        found = answer(run)
        differ = [key for key in self.expected | found if self.expected.get(key) != found.get(key)]
        expect(not differ, f"{run}: other than undisturbed: " + "; ".join(f"{k}: {found.get(k)}" for k in differ)[:400])
        same = (run / "covariance.npy").read_bytes() == (self.undisturbed / "covariance.npy").read_bytes()
        expect(same, f"{run}/covariance.npy has other bytes than that of the undisturbed fit")


def answer(run):
    """result.json without what may differ. Numbers stay text, so that equal means equal bytes."""
    path = run / "result.json"
    expect(path.exists(), f"{path} was not written")
    result = json.loads(path.read_text(), parse_float=str)
    return {key: value for key, value in result.items() if key not in FREE}


def losses(said):
    """What broke generations up, as the coordinator says it. That tiles move to a faster or later worker breaks nothing."""
    causes = [line.split("; ") for line in re.findall(r"\bgeneration \d+: (.*) serving: ", said)]
    planned = re.compile(r".* (joins|leaves)$|tiles move from slow to fast workers$")
    return [cause for parts in causes for cause in parts[:-1] if not planned.match(cause)]


def knows(command, word):
    """Whether the help of a command of the coordinator names a word."""
    shown = subprocess.run([COORDINATOR, *command, "--help"], capture_output=True, text=True, check=False)
    return shown.returncode == 0 and word in shown.stdout


class Checks:
    """Runs checks one after the other and counts."""

    def __init__(self, program):
        self.program, self.passed, self.failed, self.skipped = program, 0, [], []

    def run(self, name, check, *arguments):
        began = time.monotonic()
        try:
            told = check(*arguments)
        except Skipped as why:
            self.skipped.append(name)
            print(f"skipped  {name}: {why}", flush=True)
        except Exception as error:  # the others are still worth knowing
            self.failed.append(name)
            if not isinstance(error, Failed):
                traceback.print_exc()
            print(f"FAILED   {name}: {error}", flush=True)
        else:
            self.passed += 1
            print(f"ok       {name} ({time.monotonic() - began:.1f} s){': ' + told if told else ''}", flush=True)

    def skip_all(self, names, why):
        self.skipped.extend(names)
        print(f"skipped  all {len(names)} checks: {why}")

    def end(self):
        """Prints the summary and ends the program."""
        print(f"{self.program}: {self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped")
        sys.exit(1 if self.failed else 0)
