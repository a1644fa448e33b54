//! A checkpoint of an earlier version is read and gone on with; through the Rust interface, over a source of one's own.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nlsq_coordinator::checkpoint::{Checkpoints, FOLDER, Keeping, describe};
use nlsq_coordinator::fit::{Problem, fit_kept};
use nlsq_coordinator::outcome::{Observer, Outcome, PassRecord};
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::loss::{Loss, LossKind};
use nlsq_engine::params::Parameter;

use crate::support::{folder, numbers};

/// Where the golden checkpoint stands: that of the fit below after its fourth pass.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/version-1.ckpt");

const GOLDEN_PASS: usize = 4;

struct Stop {
    after: usize,
    seen: usize,
}

impl Observer for Stop {
    fn iteration(&mut self, _: &PassRecord) {
        self.seen += 1;
    }
    fn stop(&mut self) -> Option<String> {
        (self.seen >= self.after).then(|| "enough".to_string())
    }
}

/// A robust fit with a bound, a fixed parameter and a profile, of numbers that every machine computes alike.
fn problem() -> (Problem, Arc<Memory>) {
    let t: Vec<f64> = numbers(60, 11).map(|u| 4.0 * u).collect();
    let y = t.iter().zip(numbers(60, 12)).map(|(t, noise)| 5.0 / (1.0 + t * t) + 0.5 + 0.2 * (noise - 0.5)).collect();
    let parameter = |name: &str, start, min, max, fixed| Parameter { name: name.into(), start, min, max, fixed };
    let open = f64::INFINITY;
    let parameters = vec![
        parameter("a", 2.0, -open, open, false),
        parameter("w", 2.0, 0.1, 10.0, false),
        parameter("c", 0.5, -open, open, true),
    ];
    let mut problem = Problem::new("a/(1 + (t/w)^2) + c", &["t"], parameters).expect("a lawful problem");
    problem = problem.with_loss(Loss { kind: LossKind::SoftL1, scale: 0.1 });
    problem.profile = vec!["w".into()];
    let layout = Layout { variables: vec!["t".into()], y: "y".into(), weighting: Weighting::None, mask: None };
    (problem, Arc::new(Memory::new(layout, vec![t, y]).expect("columns of one length")))
}

/// Every bit that a fit is about.
fn bits(outcome: &Outcome) -> String {
    let hex = |values: &mut dyn Iterator<Item = f64>| {
        values.map(|value| format!("{:016x}", value.to_bits())).collect::<Vec<_>>().join(" ")
    };
    let limits = outcome.profiles.iter().flat_map(|p| &p.limits).flat_map(|l| [l.lower, l.upper]);
    format!(
        "{:?} after {} passes\nparameters {}\ncovariance {}\ncost {}\nlimits {}\n",
        outcome.status,
        outcome.passes,
        hex(&mut outcome.parameters.iter().map(|p| p.value)),
        hex(&mut outcome.covariance.iter().copied()),
        hex(&mut std::iter::once(outcome.cost)),
        hex(&mut limits.map(|limit| limit.unwrap_or(f64::NAN))),
    )
}

fn resume(run: &Path) -> Outcome {
    let (problem, points) = problem();
    let keeping = Keeping::Resume { checkpoints: Checkpoints::new(run), moved: false };
    fit_kept(problem, points, 2, &keeping, &mut ()).unwrap_or_else(|error| panic!("{error}"))
}

/// If this fails after a change of what a state holds: raise the version of the format, let this test make a golden checkpoint of the new
/// version (it does where there is none), and say in the changelog what becomes of runs under way.
#[test]
fn the_golden_checkpoint_is_read_and_gone_on_with_to_the_golden_bits() {
    let folder = folder();
    let (problem, points) = problem();
    let fresh = Keeping::Fresh(Checkpoints::new(folder.path()));
    fit_kept(problem, points, 1, &fresh, &mut Stop { after: GOLDEN_PASS, seen: 0 }).expect("it has an outcome");
    let own = folder.path().join(FOLDER).join(format!("pass-{GOLDEN_PASS:06}.ckpt"));
    expect_test::expect_file!["./golden/checkpoint.txt"].assert_eq(&bits(&resume(folder.path())));

    let run = crate::support::folder();
    fs::create_dir(run.path().join(FOLDER)).expect("a folder");
    let golden = fs::read(GOLDEN).unwrap_or_else(|error| {
        let new = format!("{GOLDEN}.new");
        fs::copy(&own, &new).expect("the folder of golden files is writable");
        panic!("{GOLDEN}: {error}; {new} is what this version writes: give it its name")
    });
    fs::write(run.path().join(FOLDER).join("pass-000004.ckpt"), golden).expect("it is writable");
    let words = describe(Path::new(GOLDEN)).expect("it is readable").expect("it is valid");
    assert!(words.contains("pass        4, phase"), "{words}");
    expect_test::expect_file!["./golden/checkpoint.txt"].assert_eq(&bits(&resume(run.path())));
}
