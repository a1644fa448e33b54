//! The house rules that a compiler does not check: who may import whom, licences, size and shape of files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A file longer than this wants to be split by noun.
const MAX_LINES: usize = 500;

/// Licences that dependencies may carry; one of several alternatives is enough.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unlicense",
    "Unicode-3.0",
    "BSL-1.0",
    "MIT-0",
    "bzip2-1.0.6",
];

/// What a crate of the chain engine, operators, worker, coordinator must not depend on.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("nlsq-engine", &["timely", "tokio", "tracing", "nlsq-operators", "nlsq-worker", "nlsq-coordinator", "clap"]),
    ("nlsq-operators", &["tokio", "nlsq-worker", "nlsq-coordinator", "clap", "postcard"]),
    ("nlsq-worker", &["tokio", "nlsq-coordinator", "miette", "indicatif"]),
];

/// Words that must not occur in the sources below a folder (a path ending in .rs may be excepted).
const ABSENT: &[(&str, &str, &[&str])] = &[
    ("engine/src", "std::net", &[]),
    ("engine/src", "Instant", &[]),
    ("operators/src", "std::net", &[]),
    ("operators/src", "std::thread", &[]),
    ("engine/src/minimize", "TileSource", &[]),
    ("engine/src/kernel", "workers", &[]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("coordinator/ stands in the workspace").to_path_buf()
}

fn sources(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the workspace is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn all_sources() -> Vec<PathBuf> {
    ["engine", "operators", "worker", "coordinator", "examples", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"]
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .collect()
}

fn metadata() -> Value {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        // only what this machine builds is sure to have been fetched
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"])
        .args(["--filter-platform", &host()])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// The platform that this test was built on.
fn host() -> String {
    let output = Command::new(option_env!("RUSTC").unwrap_or("rustc")).arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_string()
}

#[test]
fn dependencies_carry_known_licences() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("a list");
    assert!(packages.len() > 100, "cargo metadata lists the dependencies");
    let mut unknown = BTreeSet::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        if !allowed(licence) {
            unknown.insert(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    assert!(unknown.is_empty(), "licences to be looked at: {unknown:#?}");
}

/// Reads SPDX expressions of the forms that occur: alternatives by OR or /, all of them by AND, parentheses.
fn allowed(licence: &str) -> bool {
    let flat = licence.replace('/', " OR ").replace(['(', ')'], "");
    flat.split(" AND ").all(|part| part.split(" OR ").any(|one| LICENCES.contains(&one.trim())))
}

#[test]
fn a_licence_needs_one_good_alternative_of_each_part() {
    assert!(allowed("MIT OR GPL-3.0") && allowed("MIT/Apache-2.0") && allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(!allowed("GPL-3.0") && !allowed("MIT AND GPL-3.0"));
}

#[test]
fn crates_import_only_to_their_left() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("a list");
    for (name, forbidden) in FORBIDDEN {
        let package = packages.iter().find(|p| p["name"] == *name).expect("a crate of this workspace");
        for dependency in package["dependencies"].as_array().expect("a list") {
            let dependency = dependency["name"].as_str().expect("a name");
            assert!(!forbidden.contains(&dependency), "{name} must not know {dependency}");
        }
    }
}

#[test]
fn absences_hold() {
    for (folder, word, except) in ABSENT {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("a source is text");
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let found = code.clone().any(|line| line.contains(word));
            let excepted = except.iter().any(|end| path.ends_with(end));
            assert!(!found || excepted, "{} must not speak of {word}", path.display());
        }
    }
}

/// Reading the environment is for programs, not for libraries.
#[test]
fn only_main_reads_the_environment() {
    for folder in ["engine/src", "operators/src", "worker/src", "coordinator/src"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("a source is text");
            assert!(
                !text.contains("env::var") || path.ends_with("main.rs"),
                "{} reads the environment",
                path.display()
            );
        }
    }
}

#[test]
fn files_say_what_they_are_and_stay_short() {
    let mut faults = Vec::new();
    for path in all_sources() {
        let text = fs::read_to_string(&path).expect("a source is text");
        if !text.starts_with("//!") {
            faults.push(format!("{} does not begin with its purpose (//!)", path.display()));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{} has {lines} lines; the limit is {MAX_LINES}", path.display()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
