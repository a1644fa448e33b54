//! What the integration tests share: running the real program, and reading what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The program under test.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_nlsq-coordinator"));
    // A child that another test starts while this one writes a file through HDF5 inherits the open file and its lock.
    program.env("HDF5_USE_FILE_LOCKING", "FALSE");
    program
}

/// A folder of this test's own.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// Numbers without pattern in (0, 1), the same in every run (Knuth's MMIX generator).
pub(crate) fn numbers(n: usize, seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    (0..n).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    })
}

/// Writes `n` rows of t, y, err for y = 5 exp(-3 t) + 1 with noise.
pub(crate) fn decay_csv(path: &Path, n: usize) {
    let mut text = String::from("t,y,err\n");
    for ((t, noise), w) in numbers(n, 1).zip(numbers(n, 2)).zip(numbers(n, 3)) {
        let y = 5.0 * (-3.0 * t).exp() + 1.0 + 0.2 * (noise - 0.5);
        text.push_str(&format!("{t},{y},{}\n", 0.5 + w));
    }
    fs::write(path, text).expect("the test's folder is writable");
}

/// A finished run: its folder and its result.json.
pub(crate) struct Run {
    pub(crate) output: Output,
    pub(crate) dir: PathBuf,
    pub(crate) result: Value,
}

impl Run {
    /// Runs `fit` with these arguments into `dir`.
    pub(crate) fn fit(dir: PathBuf, arguments: &[&str]) -> Self {
        let output = program().arg("fit").args(arguments).arg("--out").arg(&dir).args(["--progress", "none"]).output();
        let output = output.expect("the program starts");
        let text = fs::read_to_string(dir.join("result.json"));
        let text = text.unwrap_or_else(|error| panic!("no result.json ({error}): {output:?}"));
        let result = serde_json::from_str(&text).expect("result.json is JSON");
        Self { output, dir, result }
    }

    /// Bits of the parameters.
    pub(crate) fn parameters(&self) -> Vec<u64> {
        let parameters = self.result["parameters"].as_array().expect("a list");
        parameters.iter().map(|p| p["value"].as_f64().expect("a number").to_bits()).collect()
    }

    /// Bytes of covariance.npy.
    pub(crate) fn covariance(&self) -> Vec<u8> {
        fs::read(self.dir.join("covariance.npy")).expect("a run leaves covariance.npy")
    }
}
