//! The table of everything a person may set: one line for each fact, from which flags, job-file keys, checks, defaults
//! and the manual come.

use std::fmt::Write as _;

use super::value::{Kind, Value};

/// Something a person may set.
#[derive(Debug)]
pub struct Key {
    /// Table of the job file.
    pub section: &'static str,
    /// Key within it.
    pub name: &'static str,
    /// Flag without its hyphens, if it has one.
    pub flag: Option<&'static str>,
    /// Placeholder of the flag's value in help texts.
    pub placeholder: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What holds when it is not given, in words or as a value.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

impl Key {
    /// `section.name`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// As a person knows it: `--flag (section.name)`, or `section.name`.
    pub fn title(&self) -> String {
        match self.flag {
            Some(flag) => format!("--{flag} ({})", self.path()),
            None => self.path(),
        }
    }

    /// Its default as a value, for keys whose default is one.
    pub fn default_value(&self) -> Value {
        self.kind.read_text(self.default).unwrap_or_else(|expected| {
            panic!("the default \"{}\" of {} in the table of keys is not {expected}", self.default, self.path())
        })
    }
}

const fn key(section: &'static str, name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { section, name, flag: None, placeholder: "", kind, default, doc }
}

impl Key {
    const fn flag(self, flag: &'static str, placeholder: &'static str) -> Key {
        Key { flag: Some(flag), placeholder, ..self }
    }
}

/// Tables of the job file in the order of the manual.
pub const SECTIONS: [&str; 8] = ["model", "data", "parameters", "fit", "fit.hybrid", "cluster", "checkpoint", "output"];

/// Keys of one entry of `[parameters]`, `NAME = { start = 1.0, min = 0.0 }`, with their meaning.
pub const PARAMETER_KEYS: [(&str, &str); 5] = [
    ("start", "where the fit starts: a number, or \"auto\" to estimate it from the data (built-in models only)"),
    ("min", "lower bound; a start may lie on it"),
    ("max", "upper bound"),
    ("value", "the value of a fixed parameter"),
    ("fixed", "true keeps the parameter at its value"),
];

/// Every key outside `[parameters]`.
#[rustfmt::skip] // a table: one entry a row
pub static KEYS: &[Key] = &[
    key("model", "expression", Kind::Text, "",
        "Model as an expression of the variables; every name that is not bound by --x is a parameter")
        .flag("model", "EXPR"),
    key("model", "builtin", Kind::Text, "",
        "Built-in model instead of an expression; `nlsq-coordinator models` lists them").flag("builtin", "NAME"),
    key("data", "files", Kind::Files, "",
        "Data files or globs, in the dataset's order: .parquet .arrow/.feather .csv[.gz] .npy .npz \
         .h5/.hdf5/.hdf/.nxs; may be repeated").flag("data", "FILE|GLOB"),
    key("data", "x", Kind::Columns, "",
        "Independent variables: NAME or NAME=SOURCE, separated by commas; may be repeated")
        .flag("x", "NAME[,NAME...]"),
    key("data", "y", Kind::Text, "",
        "Response: a column, NAME=SOURCE, or an expression of columns").flag("y", "COLUMN"),
    key("data", "sigma", Kind::Text, "none: every point counts alike",
        "Standard deviation of y").flag("sigma", "COLUMN"),
    key("data", "weights", Kind::Text, "none",
        "Weights w = 1/sigma^2 instead of sigma").flag("weights", "COLUMN"),
    key("data", "mask", Kind::Text, "none",
        "Points to keep: true or non-zero").flag("mask", "COLUMN"),
    key("data", "csv", Kind::Text, "commas, in .tsv files tabs, with a header line",
        "How CSV files are written, such as 'sep=;,comment=#,header=no'").flag("csv", "OPTIONS"),
    key("data", "base", Kind::Path, "directory of the job file",
        "Directory that relative names of data files start from"),
    key("fit", "p0", Kind::Starts, "",
        "Starts: 'a=1,b=2', or auto to estimate them from the data (built-in models only). In a job file: \
         \"auto\"; single starts stand in [parameters]").flag("p0", "'a=1,b=2'|auto"),
    key("fit", "method", Kind::Choice(&["hybrid", "lm", "trf", "global"]), "hybrid",
        "Minimizer; lm takes no bounds and no loss but linear; global searches the whole box of the bounds first").flag("method", "METHOD"),
    key("fit", "absolute_sigma", Kind::Switch, "false",
        "sigma is known, not relative: the covariance is not scaled by the reduced chi square")
        .flag("absolute-sigma", ""),
    key("fit", "covariance", Kind::Choice(&["classic", "sandwich"]), "classic",
        "Where standard errors come from: J'J and one variance for all points (classic), or the scatter of the points \
         themselves (sandwich, HC1; one pass more, two under cauchy, arctan, tukey), which also holds where sigma is wrong or not given, and under a robust \
         loss").flag("covariance", "KIND"),
    key("fit", "confidence", Kind::Level, "0.95",
        "Level of the confidence intervals").flag("confidence", "LEVEL"),
    key("fit", "loss", Kind::Choice(&["linear", "soft_l1", "huber", "cauchy", "arctan", "tukey"]), "linear",
        "Robust loss rho of the squared residual, as in SciPy").flag("loss", "LOSS"),
    key("fit", "loss_scale", Kind::LossScale, "",
        "Residual, in units of sigma, beyond which the loss bends; mad estimates it from the median |r| of all points, for \
         95 % efficiency under normal noise. Default: 1, and mad for tukey").flag("loss-scale", "S|mad"),
    key("fit", "solver", Kind::Choice(&["normal", "tsqr"]), "normal",
        "What the steps are computed from: the normal equations J'J, or the triangle R of J = QR, which keeps its digits where \
         the condition number of J exceeds about 1e7 and costs a pass several times the time").flag("solver", "SOLVER"),
    key("fit", "nonfinite", Kind::Choice(&["error", "skip"]), "error",
        "What to do with points that hold NaN, infinity or null").flag("nonfinite", "WHAT"),
    key("fit", "xtol", Kind::Tolerance, "1e-10",
        "Relative length of a step below which the fit has converged; 0 switches the test off").flag("xtol", "TOL"),
    key("fit", "ftol", Kind::Tolerance, "1e-10",
        "Relative fall of the residual length still to be had below which the fit has converged; 0 switches \
         the test off").flag("ftol", "TOL"),
    key("fit", "gtol", Kind::Tolerance, "1e-10",
        "Cosine between residual and Jacobian columns below which the fit has converged; 0 switches the test \
         off").flag("gtol", "TOL"),
    key("fit", "max_passes", Kind::Count, "200",
        "Passes over the data after which the fit ends").flag("max-passes", "N"),
    key("fit", "starts", Kind::Count, "1",
        "Starts that compete, p0 among them; the others are drawn between the bounds, or around p0 where there are none")
        .flag("starts", "N"),
    key("fit", "seed", Kind::Whole, "0",
        "What starts and global searches are drawn with").flag("seed", "S"),
    key("fit", "starts_eliminated", Kind::Level, "0.5",
        "Part of the competing fits that leaves after each heat"),
    key("fit", "starts_heat", Kind::Count, "5",
        "Passes of a heat"),
    key("fit", "global_population", Kind::Count, "15",
        "Members of a global search for each free parameter"),
    key("fit", "global_generations", Kind::Count, "150",
        "Generations of a global search, at most; each is a pass, and three quarters of max_passes is the limit"),
    key("fit", "global_spread", Kind::Level, "0.01",
        "A global search is over when its members have gathered: standard deviation relative to the box"),
    key("fit", "profile", Kind::Names, "none",
        "Parameters whose profile likelihood is followed after the fit: limits without the assumption that the model is \
         linear").flag("profile", "NAME[,NAME...]"),
    key("fit", "precision", Kind::Choice(&["f64", "f32"]), "f64",
        "In what the model is evaluated; f32 until rounding might show, then f64 to the end: the result is that of f64")
        .flag("precision", "f64|f32"),
    key("fit", "device", Kind::Choice(&["auto", "cpu"]), "auto",
        "What evaluates the points").flag("device", "DEVICE"),
    key("fit", "threads", Kind::Count, "one per CPU core",
        "Compute threads of each worker").flag("threads", "N"),
    key("fit", "memory", Kind::Bytes, "what the system allows",
        "Memory of each worker for its points, such as 8GiB").flag("memory", "BYTES"),
    key("fit", "tile_points", Kind::TilePoints, "65536",
        "Points of a tile, a multiple of 2048; the bits of every sum depend on it").flag("tile-points", "N"),
    key("fit.hybrid", "preset",
        Kind::Choice(&["default", "aggressive", "conservative", "defense_strict", "defense_relaxed",
            "defense_disabled", "scientific_default"]), "default",
        "A set of values for the keys below; a key that is given wins over it"),
    key("fit.hybrid", "approach", Kind::Choice(&["auto", "never"]), "auto",
        "Under a robust loss: go by its majorant curvature (reweighted least squares) until the gradient is small, then by the exact one"),
    key("fit.hybrid", "descent", Kind::Choice(&["lm", "dogleg"]), "lm",
        "Steps inside the trust radius: damped (Levenberg-Marquardt) or on a dogleg. For methods hybrid and trf"),
    key("fit.hybrid", "trust_region_initial", Kind::Positive, "0.3, for method lm 100, in given units 1",
        "First trust radius, relative to the scaled length of the start. For every method"),
    key("fit.hybrid", "regularization", Kind::Tolerance, "0",
        "Least damping of a step, in units of the squared lengths of the Jacobian's columns. For every method"),
    key("fit.hybrid", "groups", Kind::Groups, "none",
        "Groups of parameters of one kind, [\"c0,c1,c2\", \"o0,o1,o2\"], whose spread within each group has a price. For every method"),
    key("fit.hybrid", "group_variance", Kind::Tolerance, "0.01",
        "That price: half of it times the points in use times the variance of each group, relative to the size of its starts, is added to the cost"),
    key("fit.hybrid", "max_refine_passes", Kind::Count, "as many as are left of max_passes",
        "Passes of one refinement by Gauss-Newton"),
    key("fit.hybrid", "normalization", Kind::Choice(&["auto", "bounds", "p0", "columns", "none"]), "auto",
        "Units of the parameters for warm-up and second descent: the width of their bounds (auto: where both are finite, else the start), the start's size, Jacobian columns at the start, or 1"),
    key("fit.hybrid", "second_descent", Kind::Choice(&["auto", "always", "never"]), "auto",
        "A second descent from the start, answered by the same passes, in a trust region of these units: when the first is in trouble (auto), from the second pass on, or never"),
    key("fit.hybrid", "warm_up", Kind::Choice(&["auto", "always", "never"]), "auto",
        "Gradient descent from the start: when refinement stalls or creeps (auto), before refinement, or never"),
    key("fit.hybrid", "warm_up_method", Kind::Choice(&["lbfgs", "adam"]), "lbfgs",
        "How the warm-up descends"),
    key("fit.hybrid", "min_iterations", Kind::Count, "2",
        "Steps of the warm-up before a threshold may end it"),
    key("fit.hybrid", "max_iterations", Kind::Count, "50",
        "Steps after which the warm-up ends"),
    key("fit.hybrid", "plateau_threshold", Kind::Tolerance, "1e-4",
        "The warm-up ends when a step changes the cost by no more than this part of it; 0 switches the test off"),
    key("fit.hybrid", "gradient_threshold", Kind::Tolerance, "1e-3",
        "The warm-up ends when the largest cosine between residual and Jacobian columns is no more than this; 0 switches the test off"),
    key("fit.hybrid", "agreement_threshold", Kind::Tolerance, "0.25",
        "The warm-up ends when Gauss-Newton foretold the gain of two steps in a row to this part of it; 0 switches \
         the test off"),
    key("fit.hybrid", "lbfgs_history", Kind::Count, "10",
        "Steps that L-BFGS remembers"),
    key("fit.hybrid", "line_search", Kind::Choice(&["wolfe", "backtracking"]), "wolfe",
        "When L-BFGS takes a step: cost and slope have fallen enough, or the cost has"),
    key("fit.hybrid", "first_step", Kind::Positive, "0.1",
        "Length of the first step of L-BFGS, in normalized units, where adaptive_first_step is false"),
    key("fit.hybrid", "learning_rate", Kind::Positive, "0.05",
        "Length of Adam's steps per parameter, in normalized units"),
    key("fit.hybrid", "warm_start_detection", Kind::Switch, "true",
        "No warm-up where the start is close to a minimum: Gauss-Newton could remove almost nothing of the residual"),
    key("fit.hybrid", "warm_start_threshold", Kind::Tolerance, "0.1",
        "Part of the residual's length that it could remove at most from such a start"),
    key("fit.hybrid", "adaptive_first_step", Kind::Switch, "true",
        "The first step of L-BFGS is as long as the curvature along it says"),
    key("fit.hybrid", "cost_guard", Kind::Switch, "true",
        "Adam ends when the cost exceeds that of the start"),
    key("fit.hybrid", "cost_increase_tolerance", Kind::Tolerance, "0.05",
        "By more than this part of it"),
    key("fit.hybrid", "step_clipping", Kind::Switch, "true",
        "No step of the warm-up is longer than max_step"),
    key("fit.hybrid", "max_step", Kind::Positive, "0.5",
        "Length of the longest step of the warm-up, in normalized units"),
    key("cluster", "workers", Kind::Workers, "none: this process alone",
        "Worker processes to start here, or with --listen or --rendezvous to wait for; with fewer than MIN (N) left the fit waits for others")
        .flag("workers", "N|MIN..MAX"),
    key("cluster", "listen", Kind::Text, "none",
        "Address on which workers of other hosts join").flag("listen", "ADDR"),
    key("cluster", "token_file", Kind::Path, "made on first use",
        "File with the secret that the cluster's processes share").flag("token-file", "FILE"),
    key("cluster", "rendezvous", Kind::Path, "none",
        "File in which workers with the same --rendezvous find this coordinator: its addresses and a secret made for the run, \
         readable by its owner only; it listens on a free port of all interfaces, or where --listen says").flag("rendezvous", "FILE"),
    key("cluster", "wire", Kind::Choice(&["plain", "encrypted"]), "encrypted where --listen is an address that others can reach, else plain",
        "How bytes travel between the processes of a cluster, once each has proved that it knows the secret: as they are, or \
         such that nobody else can read or change them. A worker's own --wire encrypted wins over plain").flag("wire", "MODE"),
    key("cluster", "placement", Kind::Choice(&["contiguous", "scattered"]), "contiguous",
        "How tiles are dealt to workers; the result does not depend on it").flag("placement", "HOW"),
    key("cluster", "heartbeat", Kind::Positive, "1",
        "Seconds between signs of life").flag("heartbeat", "SECONDS"),
    key("cluster", "dead_after", Kind::Positive, "10",
        "Seconds of silence after which a process counts as lost").flag("dead-after", "SECONDS"),
    key("cluster", "rejoin_wait", Kind::Tolerance, "300",
        "Seconds to wait for other workers when too few are left").flag("rejoin-wait", "SECONDS"),
    key("cluster", "max_restarts", Kind::Whole, "20",
        "Losses within restart_window that a fit survives").flag("max-restarts", "N"),
    key("cluster", "restart_window", Kind::Positive, "600",
        "Seconds of the sliding window in which losses are counted"),
    key("cluster", "late_joiners", Kind::Choice(&["auto", "always", "never"]), "auto",
        "Workers that join while the fit runs: taken in when that pays (auto), always, or kept for when one is lost (never)")
        .flag("late-joiners", "WHEN"),
    key("cluster", "balance", Kind::Switch, "true",
        "Move tiles from slow workers to fast ones when that pays"),
    key("checkpoint", "every_passes", Kind::Whole, "1",
        "Passes between two checkpoints, from which `resume` goes on; 0 writes none").flag("checkpoint-every", "PASSES"),
    key("checkpoint", "keep", Kind::Count, "3",
        "Checkpoints that stay, the newest").flag("checkpoint-keep", "N"),
    key("output", "dir", Kind::Path, "runs/<UTC time>-<name>",
        "Directory of the run").flag("out", "DIR"),
    key("output", "overwrite", Kind::Switch, "false",
        "Write into a directory that already holds a result").flag("overwrite", ""),
    key("output", "progress", Kind::Choice(&["auto", "plain", "json", "none"]), "auto",
        "Progress on stderr: a bar on a terminal and plain lines elsewhere (auto), plain lines, JSON lines, \
         or none").flag("progress", "HOW"),
    key("output", "json", Kind::Switch, "false",
        "Print result.json on stdout, and nothing else there").flag("json", ""),
];

/// The key of this section and name.
pub fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// The manual of the job file, from the table.
pub fn manual() -> String {
    let mut text = String::from(
        "Keys of a job file (TOML). A flag wins over its key; data.base and the keys of [fit.hybrid] have none. Paths are relative to the job file.\n",
    );
    for section in SECTIONS {
        let _ = writeln!(text, "\n[{section}]");
        if section == "parameters" {
            text += "  NAME = { ... } for each parameter; flags: --p0 'a=1,b=2', --bounds 'a=0:10,b=:5,c=1:', --fix 'c=0.5'\n";
            for (name, doc) in PARAMETER_KEYS {
                let _ = writeln!(text, "    {name:<8} {doc}");
            }
        }
        for key in KEYS.iter().filter(|key| key.section == section) {
            let flag = key.flag.map(|flag| format!("  (--{flag})")).unwrap_or_default();
            let _ = writeln!(text, "  {}{flag}\n      {}", key.name, key.doc);
            let _ = write!(text, "      {}", key.kind.expected());
            if key.default.is_empty() {
                text.push('\n');
            } else {
                let _ = writeln!(text, "; default: {}", key.default);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_flags_are_unique_and_sections_known() {
        for (i, a) in KEYS.iter().enumerate() {
            assert!(SECTIONS.contains(&a.section), "{}", a.path());
            assert!(!a.doc.is_empty());
            for b in &KEYS[..i] {
                assert_ne!(a.path(), b.path());
                assert!(a.flag.is_none() || a.flag != b.flag, "{:?}", a.flag);
            }
        }
    }

    #[test]
    fn manual_names_every_key() {
        let manual = manual();
        for key in KEYS {
            assert!(manual.contains(&format!("  {}", key.name)), "{}", key.path());
        }
    }
}
