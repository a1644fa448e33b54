#!/usr/bin/env python3
"""Fits random problems with the real program and examines every result with SciPy. Needs numpy and scipy and a release build.

    python3 scripts/fuzz_fits.py [--first SEED] [--count N] [--folder DIR] [--also trf,lm,tsqr,f32,starts8,global,workers2]

A problem follows from its seed alone: a model, n from p + 1 to 2,000, noise from 0 to the size of the signal, units of x and y
over 24 decades, sigma over 6, masks, outliers, every loss, the scale of it given or estimated, bounds that hold or not, starts
good and poor. Findings, one line each:

    false       converged, but SciPy goes lower from there by 1e-9, or the next Gauss-Newton step exceeds 1e-3 standard errors
    saddle      converged, but the true Hessian has a negative eigenvalue there
    stderr      cost or standard errors are not those of theta (1e-6; rounding of the condition number allowed for)
    bound       at_bound is not what theta and the gradient say
    lost        not converged though SciPy does, from the same start, at the same cost; above: lower; unfinished: higher
    above       converged, SciPy ends lower from the same start (not an error where there are several minima)
    other       a method of --also ends elsewhere than the default, or (workers2) with other bits

The last lines hold rates, and passes beside SciPy's evaluations (nfev).
"""

import argparse
import json
import math
import os
import subprocess
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.optimize import brentq, least_squares

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(os.environ.get("NLSQ_COORDINATOR", ROOT / "target/release/nlsq-coordinator"))
LOSSES = ["linear", "soft_l1", "huber", "cauchy", "arctan", "tukey"]
WAYS = {
    "trf": ["--method", "trf"],
    "lm": ["--method", "lm"],
    "global": ["--method", "global", "--max-passes", "2000"],
    "starts8": ["--starts", "8"],
    "tsqr": ["--solver", "tsqr"],
    "f32": ["--precision", "f32"],
    "workers2": ["--workers", "2"],
}

# name: (expression over t = x/X, true parameters, how each scales: y amplitude "A", a pure number "1"), x in [lo, hi]
MODELS = {
    "two_decays": ("a*exp(-k*t) + b*exp(-m*t) + c", dict(a=(3, "A"), k=(2, "1"), b=(1, "A"), m=(0.4, "1"), c=(0.5, "A")), 0, 6),
    "close_decays": ("a*exp(-k*t) + b*exp(-m*t)", dict(a=(2, "A"), k=(1.3, "1"), b=(1, "A"), m=(0.9, "1")), 0, 4),
    "dose": ("d + (a - d)/(1 + (t/c)^b)", dict(a=(1, "A"), b=(2.5, "1"), c=(3, "1"), d=(4, "A")), 0.05, 12),
    "peak": ("a*exp(-0.5*((t - u)/s)^2) + b + c*t", dict(a=(5, "A"), u=(4, "1"), s=(0.7, "1"), b=(1, "A"), c=(0.2, "A")), 0, 10),
    "two_lines": ("a/(1 + ((t - u)/w)^2) + b/(1 + ((t - v)/w)^2)", dict(a=(3, "A"), u=(4, "1"), w=(0.8, "1"), b=(2, "A"), v=(5.2, "1")), 0, 10),
    "ringing": ("a*exp(-g*t)*cos(k*t + f) + c", dict(a=(2, "A"), g=(0.3, "1"), k=(3, "1"), f=(0.5, "1"), c=(0.3, "A")), 0, 8),
    "inhibition": ("v*t/(k + t + t^2/i)", dict(v=(4, "A"), k=(1.5, "1"), i=(6, "1")), 0, 15),
    "stretched": ("a*exp(-(t/u)^b) + c", dict(a=(2, "A"), u=(1.7, "1"), b=(0.6, "1"), c=(0.4, "A")), 0.01, 20),
    "power": ("a*t^b + c", dict(a=(2, "A"), b=(1.6, "1"), c=(1, "A")), 0.1, 8),
    "rational": ("(a + b*t)/(1 + c*t + d*t^2)", dict(a=(1, "A"), b=(2, "A"), c=(0.5, "1"), d=(0.3, "1")), 0, 6),
    "edge": ("a + b*tanh((t - u)/w)", dict(a=(1, "A"), b=(2, "A"), u=(5, "1"), w=(0.6, "1")), 0, 10),
    "thermal": ("a*exp(-e*(1/(t + 3) - 0.2))", dict(a=(2, "A"), e=(25, "1")), -0.6, 0.9),
    "growth": ("a*exp(-b*exp(-c*t))", dict(a=(6, "A"), b=(4, "1"), c=(0.9, "1")), 0, 8),
    "surface": ("a*exp(-0.5*(((t - u)/s)^2 + ((z - v)/r)^2)) + b", dict(a=(4, "A"), u=(5, "1"), s=(1.5, "1"), v=(4, "1"), r=(2, "1"), b=(0.5, "A")), 0, 10),
    "quartic_far": ("a + b*t + c*t^2 + d*t^3 + e*t^4", dict(a=(1, "A"), b=(-2, "A"), c=(1, "A"), d=(0.5, "A"), e=(-0.1, "A")), 3, 5),
    "saturation": ("a*log(1 + b*t) + c", dict(a=(2, "A"), b=(3, "1"), c=(0.5, "A")), 0, 10),
    "fringes": ("a + b*cos(k*t + f)", dict(a=(2, "A"), b=(1, "A"), k=(2.2, "1"), f=(1, "1")), 0, 7),
    "shared": ("a*exp(-k*t + b)", dict(a=(2, "A"), k=(0.7, "1"), b=(0.3, "1")), 0, 5),
}


class Problem:
    """A problem made from its seed."""

    def __init__(self, seed):
        rng = self.rng = np.random.default_rng([20, seed])
        self.seed, self.model = seed, list(MODELS)[rng.integers(len(MODELS))]
        expression, parameters, lo, hi = MODELS[self.model]
        self.names, p = list(parameters), len(parameters)
        amplitude = 10.0 ** rng.choice([0, 0, 0, -12, -6, 6, 12])
        self.unit = float(10.0 ** rng.choice([0, 0, 0, -9, -3, 3, 9]))
        self.expression = f"t = x/{self.unit!r}; {expression}"
        kinds = [parameters[name][1] for name in self.names]
        scale = np.array([amplitude if kind == "A" else 1.0 for kind in kinds])
        self.true = np.array([parameters[name][0] for name in self.names]) * np.exp(0.3 * rng.normal(size=p)) * scale
        n = p + 1 + int(rng.integers(6)) if rng.random() < 0.2 else int(10 ** rng.uniform(1.3, 3.3))
        self.x = self.unit * np.sort(rng.uniform(lo, hi, n))
        self.z = rng.uniform(0, 10, n)
        self.function = eval("lambda x, z, " + ", ".join(self.names) + ": " + python(expression, self.unit))
        clean = self.function(self.x, self.z, *self.true)
        level = np.std(clean) * rng.choice([0, 1e-8, 1e-4, 0.01, 0.01, 0.05, 0.05, 0.3, 1])
        self.known_sigma = rng.random() < 0.4
        spread = 10.0 ** rng.uniform(-3, 3, n) if self.known_sigma and rng.random() < 0.6 else np.ones(n)
        spread /= np.exp(np.mean(np.log(spread)))
        noise = level * spread * rng.normal(size=n)
        outliers = rng.random(n) < rng.choice([0, 0, 0.05, 0.2])
        self.y = clean + noise * np.where(outliers, 30, 1)
        self.sigma = np.where(level > 0, level, np.std(clean)) * spread if self.known_sigma else np.ones(n)
        self.mask = rng.random(n) < (0.8 if rng.random() < 0.2 and n > 3 * p else 2)
        self.loss = "linear" if rng.random() < 0.4 else str(rng.choice(LOSSES[1:]))
        self.mad = self.loss != "linear" and rng.random() < 0.4
        typical = (1.0 if self.known_sigma else level) or np.std(clean)
        self.loss_scale = 1.0 if self.loss == "linear" else float(typical * 10 ** rng.uniform(-0.3, 1))
        self.choose_start(rng, scale)

    def choose_start(self, rng, scale):
        p = len(self.true)
        self.farness = rng.choice([0.01, 0.2, 0.2, 0.6, 1.5])
        self.start = self.true * np.exp(self.farness * rng.normal(size=p))
        self.start[rng.random(p) < 0.02] = 0.0
        self.lower, self.upper = np.full(p, -np.inf), np.full(p, np.inf)
        size = np.abs(self.true) + 0.1 * scale
        kind = rng.choice(["none", "none", "wide", "tight", "mixed"])
        if kind == "wide":
            self.lower, self.upper = self.true - 20 * size, self.true + 20 * size
        elif kind == "tight":
            shift = size * rng.normal(size=p) * 0.4
            self.lower, self.upper = self.true + shift - 0.5 * size, self.true + shift + 0.5 * size
        elif kind == "mixed":
            self.lower = np.where(rng.random(p) < 0.4, self.true + size * rng.uniform(-1, 0.3, p), -np.inf)
            self.upper = np.where(rng.random(p) < 0.3, np.maximum(self.lower, self.true) + size * rng.uniform(0.05, 2, p), np.inf)
        self.bounded = kind != "none"
        self.start = np.clip(self.start, self.lower, self.upper)

    def write(self, folder):
        self.file = folder / f"p{self.seed}.npz"
        np.savez(self.file, x=self.x, z=self.z, y=self.y, sigma=self.sigma, mask=self.mask)

    def command(self, extra):
        pairs = zip(self.names, self.start)
        line = [PROGRAM, "fit", "--data", self.file, "--y", "y", "--model", self.expression, "--threads", "1"]
        line += ["--x", "x,z" if self.model == "surface" else "x", "--p0", ",".join(f"{a}={float(v)!r}" for a, v in pairs)]
        line += ["--sigma", "sigma"] * self.known_sigma + ["--mask", "mask"] * (not self.mask.all())
        line += ["--loss", self.loss, "--loss-scale", "mad" if self.mad else repr(self.loss_scale)] * (self.loss != "linear")
        if self.bounded:
            side = lambda v: "" if math.isinf(v) else repr(float(v))
            sides = zip(self.names, self.lower, self.upper)
            line += ["--bounds", ",".join(f"{a}={side(l)}:{side(u)}" for a, l, u in sides if not (math.isinf(l) and math.isinf(u)))]
            if line[-1] == "":
                line = line[:-2]
        out = self.file.with_suffix("")
        return list(map(str, line + ["--progress", "none", "--json", "--out", out, "--overwrite"] + extra))

    def run(self, extra=()):
        done = subprocess.run(self.command(list(extra)), capture_output=True, text=True, timeout=300)
        if not done.stdout:
            return {"status": "refused", "reason": done.stderr, "code": done.returncode}
        result = json.loads(done.stdout)
        result["parameters"].sort(key=lambda parameter: self.names.index(parameter["name"]))
        return result

    def residual(self, theta):
        k = self.mask
        return (self.function(self.x[k], self.z[k], *theta) - self.y[k]) / self.sigma[k]

    def jacobian(self, theta):
        """By complex steps: exact to rounding."""
        columns = []
        for j in range(len(theta)):
            h = 1e-25 * (abs(theta[j]) or abs(self.true[j]))
            shifted = np.array(theta, dtype=complex)
            shifted[j] += 1j * h
            columns.append(self.residual(shifted).imag / h)
        return np.array(columns).T

    def exact(self, theta):
        """Half of the points or more are met to rounding: the residuals have no digits, and a scale estimated from them neither."""
        k = self.mask
        size = np.abs(self.y[k] / self.sigma[k]) + np.abs(self.jacobian(theta) * theta).sum(axis=1)
        return np.median(np.abs(self.residual(theta)) / size) < 1e-12

    def cost(self, theta, s):
        z = (self.residual(theta) / s) ** 2
        return 0.5 * s * s * float(np.sum(rho(self.loss, z)[0]))

    def normal(self, theta, s):
        """Gradient, scaled J and scaled residual, as SciPy has them."""
        r, jac = self.residual(theta), self.jacobian(theta)
        _, first, second = rho(self.loss, (r / s) ** 2)
        weight = np.sqrt(np.maximum(first + 2 * second * (r / s) ** 2, np.finfo(float).eps))
        return jac.T @ (first * r), jac * weight[:, None], r * first / weight

    def scipy(self, start, s, tolerance=1e-14, most=3000):
        loss = self.loss if self.loss != "tukey" else lambda z: np.array(rho("tukey", z))
        inside = np.clip(start, self.lower, self.upper)
        try:
            return least_squares(self.residual, inside, self.jacobian, (self.lower, self.upper), loss=loss, f_scale=s,
                                 x_scale="jac", xtol=tolerance, ftol=tolerance, gtol=None, max_nfev=most)
        except (ValueError, np.linalg.LinAlgError):
            return None


def python(expression, unit):
    body = expression.replace("^", "**")
    for name in ["exp", "cos", "tanh", "log"]:
        body = body.replace(name + "(", "np." + name + "(")
    return f"(lambda t: {body})(x/{unit!r})"


def rho(loss, z):
    with np.errstate(all="ignore"):
        if loss == "linear":
            return z, np.ones_like(z), np.zeros_like(z)
        if loss == "soft_l1":
            return 2 * (np.sqrt(1 + z) - 1), (1 + z) ** -0.5, -0.5 * (1 + z) ** -1.5
        if loss == "huber":
            out = z > 1
            return (np.where(out, 2 * np.sqrt(z) - 1, z), np.where(out, z**-0.5, 1.0), np.where(out, -0.5 * z**-1.5, 0.0))
        if loss == "cauchy":
            return np.log1p(z), 1 / (1 + z), -((1 + z) ** -2)
        if loss == "arctan":
            return np.arctan(z), 1 / (1 + z * z), -2 * z / (1 + z * z) ** 2
        left = np.maximum(1 - z, 0)
        return (1 - left**3) / 3, left**2, -2 * left


def values(result):
    return np.array([parameter["value"] for parameter in result["parameters"]])


def scale_of(problem, result):
    """The scale of the loss, recovered from the cost where the program estimated it."""
    if not problem.mad:
        return problem.loss_scale
    theta = values(result)
    middle = np.median(np.abs(problem.residual(theta))) or 1.0
    gap = lambda log_s: problem.cost(theta, math.exp(log_s)) - result["cost"]
    try:
        return math.exp(brentq(gap, math.log(middle) - 12, math.log(middle) + 12, xtol=1e-14))
    except ValueError:
        return None


def examine(problem, result, found):
    """Everything that a converged result claims. Returns the scale of the loss."""
    theta = values(result)
    if problem.exact(theta):
        found("exact", "", quiet=True)
        return problem.loss_scale
    s = scale_of(problem, result)
    if s is None:
        found("stderr", f"no loss scale gives its cost {result['cost']:.6e}")
        return None
    gradient, jac, r = problem.normal(theta, s)
    cost = problem.cost(theta, s)
    dof = len(r) - len(theta)
    rounding = 1e-14 * len(r) ** 0.5 + 1e-15 * float(np.sum(np.abs(problem.residual(theta)) * np.linalg.norm(jac * theta, axis=1))) / max(cost, 1e-300)
    if abs(cost - result["cost"]) > (1e-9 + rounding) * cost + 1e-300:
        found("stderr", f"cost {result['cost']!r}, at theta it is {cost!r}")
    at = ["min" if t == l and g > 0 else "max" if t == u and g < 0 else None
          for t, l, u, g in zip(theta, problem.lower, problem.upper, gradient)]
    lengths = np.linalg.norm(jac, axis=0)
    doubtful = np.abs(gradient) < 1e-9 * lengths * math.sqrt(2 * cost) + 1e-300
    for j, parameter in enumerate(result["parameters"]):
        if parameter["at_bound"] != at[j] and not doubtful[j]:
            found("bound", f"{parameter['name']}: {parameter['at_bound']}, expected {at[j]}")
    free = [j for j, p in enumerate(result["parameters"]) if p["at_bound"] is None and lengths[j] > 0]
    if not free:
        return s
    q, triangle = np.linalg.qr(jac[:, free] / lengths[free])
    condition = np.linalg.cond(triangle)
    if condition > 1e7:
        found("ill", f"condition {condition:.1e}, {sum(p['stderr'] is None for p in result['parameters'])} stderr null", quiet=True)
    else:
        inverse = np.linalg.inv(triangle)
        expected = np.sqrt(np.sum(inverse**2, axis=1) * 2 * cost / dof) / lengths[free]
        tell = lambda j: result["parameters"][j]["stderr"]
        for k, j in enumerate(free):
            if tell(j) is None or abs(tell(j) / max(expected[k], 1e-300) - 1) > 1e-6 + rounding + 1e-15 * condition**2:
                found("stderr", f"{problem.names[j]}: {tell(j)}, expected {expected[k]:.9e}, condition {condition:.1e}")
                break
        step = -inverse @ (q.T @ r) / lengths[free]
        to = np.clip(theta[free] + step, problem.lower[free], problem.upper[free])
        off = float(np.max(np.abs(to - theta[free]) / np.maximum(expected, 1e-13 * np.abs(theta[free]) + 1e-300)))
        if off > 1e-3 + 1e3 * rounding:
            found("false", f"next step {off:.1e} standard errors; {result['reason'][:60]}")
    lower = problem.scipy(theta, s)
    if lower is not None and lower.cost < cost * (1 - 1e-9 - 10 * rounding):
        near = min(problem.cost(theta + part * (lower.x - theta), s) for part in [1e-4, 1e-3, 1e-2, 0.1])
        # a valley without digits is warned of; a long step may lead over a rise into another basin
        kind = "valley" if condition > 1e7 else "basin" if near > cost else "false"
        found(kind, f"SciPy goes from {cost:.9e} to {lower.cost:.9e}; {result['reason'][:60]}", quiet=kind != "false")
    fall, bend = downhill(problem, theta, s, free, lengths)
    if fall > 1e-9 + 10 * rounding and condition < 1e7:
        found("saddle", f"curvature {bend:.1e}, the cost falls by {fall:.1e} of it; condition {condition:.1e}; {result['reason'][:60]}")
    return s


def downhill(problem, theta, s, free, lengths):
    """How far the cost falls, relative to it, along the direction of least true curvature if that is negative; and the curvature,
    in units of the columns of J."""
    columns = []
    for j in free:
        h = 1e-5 * (abs(theta[j]) or abs(problem.true[j]))
        up, down = theta.copy(), theta.copy()
        up[j], down[j] = theta[j] + h, theta[j] - h
        columns.append((problem.normal(up, s)[0] - problem.normal(down, s)[0])[free] / (2 * h) / lengths[j] / lengths[free])
    hessian = np.array(columns)
    if not np.isfinite(hessian).all():
        return 0.0, 0.0
    bends, ways = np.linalg.eigh((hessian + hessian.T) / 2)
    if bends[0] > -1e-3:
        return 0.0, bends[0]
    cost, costs = problem.cost(theta, s), []
    for size in 10.0 ** np.arange(-5, -0.5, 0.5) * math.sqrt(2 * cost):
        for sign in [-1, 1]:
            moved = theta.copy()
            moved[free] += sign * size * ways[:, 0] / lengths[free]
            if np.all(moved >= problem.lower) and np.all(moved <= problem.upper):
                costs.append(problem.cost(moved, s))
        if costs and min(costs) > cost:
            break
    return (cost - min(costs, default=cost)) / cost, bends[0]


def compare(problem, result, also, found, tally):
    for way in also:
        if way == "lm" and (problem.bounded or problem.loss != "linear"):
            continue
        if way == "global" and not (np.isfinite(problem.lower).all() and np.isfinite(problem.upper).all()):
            continue
        other = problem.run(WAYS[way])
        tally[way, other["status"]] += 1
        if way == "workers2":
            same = all(result.get(key) == other.get(key) for key in ["status", "parameters", "cost", "rss", "passes", "gradient_norm"])
            if not same:
                found("other", f"{way}: other bits, {result['status']} and {other['status']}")
            continue
        if "cost" not in other or "cost" not in result:
            continue
        if other["status"] == "converged" and not problem.mad:
            examine(problem, other, lambda kind, text, quiet=False: kind in ("above", "ill") or found(kind, f"[{way}] {text}"))
        ours, theirs = result["cost"], other["cost"]
        tally[way, "passes"] += other["passes"]
        tally[way, "passes of the default"] += result["passes"]
        if (result["status"], other["status"]) != ("converged", "converged"):
            if result["status"] != other["status"]:
                found("other", f"{way}: {result['status']} {ours:.6e}, {way} {other['status']} {theirs:.6e}")
        elif abs(ours - theirs) > 1e-8 * max(ours, theirs) + 1e-300 and problem.rank_full:
            tally[way, "lower" if theirs < ours else "higher"] += 1
            if way in ("tsqr", "f32"):
                found("other", f"{way}: {theirs:.9e} instead of {ours:.9e}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=ROOT / "target/fuzz")
    parser.add_argument("--also", default="")
    options = parser.parse_args()
    also = [way for way in options.also.split(",") if way]
    options.folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    tally, passes = Counter(), []
    for seed in range(options.first, options.first + options.count):
        problem = Problem(seed)
        problem.write(options.folder)

        def found(kind, text, quiet=False):
            tally[kind] += 1
            if not quiet:
                print(f"{kind:7} {seed:5} {problem.model} {problem.loss}{' mad' * problem.mad}: {text}", flush=True)

        result = problem.run()
        tally["status", result["status"]] += 1
        if "parameters" not in result:
            found("refused", f"{result['code']}: {result['reason'].strip()[:200]}")
            continue
        problem.rank_full = result["condition_number"] is not None and result["condition_number"] < 1e7
        converged = result["status"] == "converged"
        s = examine(problem, result, found) if converged else scale_of(problem, result)
        theirs = problem.scipy(problem.start, s, 1e-10, 2000) if s else None
        if theirs is not None and theirs.status > 0:
            if not converged and theirs.cost < 1e300:
                gap = theirs.cost / max(result["cost"], 1e-300) - 1
                found("above" if gap < -1e-6 else "lost" if gap < 1e-3 else "unfinished",
                      f"{result['status']} after {result['passes']}: {result['cost']:.6e}, SciPy {theirs.cost:.6e} in {theirs.nfev}; {result['reason'][:90]}")
            elif theirs.cost < result["cost"] * (1 - 1e-6) - 1e-300 and result["cost"] > 1e-20 * float(np.sum((problem.y / problem.sigma) ** 2)):
                found("above", f"{result['cost']:.6e} in {result['passes']}, SciPy {theirs.cost:.6e} in {theirs.nfev}")
            elif result["cost"] < theirs.cost * (1 - 1e-6):
                found("below", "", quiet=True)
            else:
                passes.append((result["passes"], theirs.nfev, problem.mad, problem.loss == "linear"))
        elif not converged:
            found("unsolved", f"{result['status']} after {result['passes']}: {result['cost']}; {result['reason'][:90]}")
        if not problem.exact(values(result)):
            compare(problem, result, also, found, tally)
    summary(tally, passes)


def summary(tally, passes):
    print()
    for key, count in sorted(tally.items(), key=str):
        print(" ".join(key) if isinstance(key, tuple) else key, count)
    table = np.array(passes, dtype=float).reshape(-1, 4)
    for name, chosen in [("linear", table[:, 3] == 1), ("robust, scale given", (table[:, 3] == 0) & (table[:, 2] == 0)), ("robust, mad", table[:, 2] == 1)]:
        if chosen.any():
            ours, theirs = np.percentile(table[chosen, 0], [25, 50, 75, 95, 100]), np.percentile(table[chosen, 1], [25, 50, 75, 95, 100])
            print(f"{name}: {chosen.sum()} at the same minimum; quartiles, 95 % and most: passes {ours}, nfev {theirs}")


if __name__ == "__main__":
    main()
