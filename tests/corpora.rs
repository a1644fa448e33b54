//! Every input that the fuzz targets have kept runs through them again: finds stay mended.

use std::fs;
use std::path::{Path, PathBuf};

// a library where the fuzzer builds it
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod targets;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("coordinator/ stands in the workspace").join("fuzz")
}

#[test]
fn every_input_of_every_corpus_is_refused_or_read() {
    targets::ignore_guarded_panics();
    let mut inputs = 0;
    for (name, run) in targets::TARGETS {
        let folder = fuzz().join("corpus").join(name);
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("the target {name} has no corpus: {error}"))
            .map(|entry| entry.expect("a readable folder").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in files {
            let bytes = fs::read(&file).expect("a readable file");
            // Said by the panic, should there be one.
            eprintln!("{}", file.display());
            run(&bytes);
            inputs += 1;
        }
    }
    assert!(inputs > targets::TARGETS.len());
}

#[test]
fn every_target_has_its_program() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("fuzz/ has a manifest");
    for (name, _) in targets::TARGETS {
        let program = fs::read_to_string(fuzz().join("fuzz_targets").join(format!("{name}.rs"))).expect("a program");
        assert!(program.contains(&format!("::{name}(bytes)")), "{name} runs another target");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets::TARGETS.len());
}
