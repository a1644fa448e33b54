//! A fit of points in memory, stopped after each pass and gone on with: to the same bits, or refused.

use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, TileSource as _, Weighting};
use nlsq_engine::loss::{Loss, LossKind};
use nlsq_engine::summary::Status;

use super::super::{CheckpointError, Checkpoints, Keeping};
use super::{Watcher, points, problem, run, store};
use crate::fit::{Problem, fit_kept};
use crate::outcome::{Level, Outcome, RunError, Seconds};

/// All of an outcome but who computed it and how long it took.
fn bits(outcome: &Outcome) -> String {
    let blank =
        Outcome { seconds: Seconds::default(), workers: 0, generations: 0, device: String::new(), ..outcome.clone() };
    format!("{blank:?}")
}

fn resume(folder: &std::path::Path) -> Keeping {
    Keeping::Resume { checkpoints: Checkpoints::new(folder), moved: false }
}

/// What is fitted in these tests: every phase that a driver treats differently.
fn problems() -> Vec<(&'static str, Problem)> {
    let with = |change: fn(&mut Problem)| {
        let mut problem = problem();
        change(&mut problem);
        problem
    };
    vec![
        ("plain", problem()),
        ("profiles", with(|p| p.profile = vec!["a".into(), "b".into()])),
        ("sandwich", problem().with_sandwich()),
        ("robust", problem().with_loss(Loss { kind: LossKind::Cauchy, scale: 0.1 })),
        ("starts", with(|p| p.options.starts.starts = 4)),
        ("groups", problem().with_group_variance(0.5, &[vec!["a".into(), "b".into()]]).unwrap()),
        (
            "no tolerances",
            with(|p| {
                let minimizer = &mut p.options.minimizer;
                (minimizer.xtol, minimizer.ftol, minimizer.gtol, minimizer.max_passes) = (0.0, 0.0, 0.0, 12);
            }),
        ),
    ]
}

#[test]
fn stopped_after_any_pass_a_fit_goes_on_to_the_same_bits() {
    for (name, problem) in problems() {
        let mut whole = Watcher::default();
        let expected = run(problem.clone(), &Keeping::Nothing, &mut whole).unwrap();
        for stop in 1..whole.rows.len() {
            let folder = tempfile::tempdir().unwrap();
            let fresh = Keeping::Fresh(Checkpoints { every_passes: 3, ..Checkpoints::new(folder.path()) });
            let mut first = Watcher::stopping_after(stop);
            match run(problem.clone(), &fresh, &mut first) {
                Ok(outcome) => assert_eq!(outcome.status, Status::Interrupted, "{name} after {stop}"),
                Err(error) => assert!(matches!(error, RunError::Interrupted { .. }), "{name} after {stop}: {error}"),
            }
            // the last pass before the stop is kept, whatever the interval
            assert_eq!(first.kept.last().unwrap().pass, stop as u64, "{name}");
            let mut second = Watcher::default();
            let outcome = fit_kept(problem.clone(), points(), 2, &resume(folder.path()), &mut second).unwrap();
            assert_eq!(bits(&outcome), bits(&expected), "{name} after {stop}");
            assert_eq!(second.rows.len(), whole.rows.len());
            for (row, whole) in second.rows.iter().zip(&whole.rows) {
                assert_eq!(format!("{:?}", row.iteration), format!("{:?}", whole.iteration), "{name} after {stop}");
            }
            assert_eq!(second.here, whole.rows.len() - stop, "no pass is repeated");
            assert_eq!(outcome.generations, 2);
            assert!(outcome.seconds.checkpoint > 0.0);
        }
    }
}

/// Gone on with after every single pass, each time by another process with another number of threads.
#[test]
fn a_fit_that_is_stopped_after_every_pass_arrives() {
    for (name, problem) in problems() {
        let mut whole = Watcher::default();
        let expected = run(problem.clone(), &Keeping::Nothing, &mut whole).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut keeping = Keeping::Fresh(Checkpoints::new(folder.path()));
        for threads in 1.. {
            let mut watcher = Watcher::stopping_after(1);
            let ended = fit_kept(problem.clone(), points(), 1 + threads % 3, &keeping, &mut watcher);
            keeping = resume(folder.path());
            match ended {
                Ok(outcome) if outcome.status != Status::Interrupted => {
                    assert_eq!(bits(&outcome), bits(&expected), "{name}");
                    break;
                }
                _ => assert!(threads <= whole.rows.len(), "{name} goes on for ever"),
            }
        }
    }
}

#[test]
fn a_damaged_newest_one_is_skipped_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    // Only what a stop leaves is there for certain: of short passes some are not written.
    run(problem(), &Keeping::Fresh(Checkpoints::new(folder.path())), &mut Watcher::stopping_after(2)).unwrap();
    run(problem(), &resume(folder.path()), &mut Watcher::stopping_after(2)).unwrap();
    let newest = store(folder.path()).path(4);
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let mut watcher = Watcher::default();
    let outcome = run(problem(), &resume(folder.path()), &mut watcher).unwrap();
    let whole = run(problem(), &Keeping::Nothing, &mut Watcher::default()).unwrap();
    assert_eq!(bits(&outcome), bits(&whole));
    let (level, text) = &watcher.notes[0];
    assert!(*level == Level::Warn && text.contains("pass-000004.ckpt is damaged: it has"), "{text}");
}

#[test]
fn what_is_not_the_same_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(problem(), &Keeping::Fresh(Checkpoints::new(folder.path())), &mut Watcher::stopping_after(2)).unwrap();
    let before = std::fs::read(store(folder.path()).path(2)).unwrap();
    let refused = |problem: Problem, columns: Option<Vec<Vec<f64>>>| {
        let layout = Layout { variables: vec!["t".into()], y: "y".into(), weighting: Weighting::None, mask: None };
        let source = columns.map_or_else(points, |columns| Memory::new(layout, columns).unwrap().into());
        let error = fit_kept(problem, source, 1, &resume(folder.path()), &mut ()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(matches!(error, RunError::Checkpoint(CheckpointError::Differs { .. })), "{error}");
        error.to_string()
    };
    let mut other = problem();
    other.options.minimizer.max_passes = 300;
    assert!(refused(other, None).contains("fit.max_passes: the run has 200, now it is 300"));
    let mut other = problem();
    other.options.minimizer.ftol = 1e-6;
    assert!(refused(other, None).contains("fit.ftol: the run has 1e-10, now it is 1e-6"));
    assert!(
        refused(problem().with_sandwich(), None)
            .contains("fit.covariance: the run has \"classic\", now it is \"sandwich\"")
    );
    assert!(
        refused(problem().with_loss(Loss { kind: LossKind::Huber, scale: 1.0 }), None)
            .contains("fit.loss: the run has")
    );
    let mut columns = vec![Vec::new(), Vec::new()];
    points()
        .scan(0..40, &mut |block| {
            columns.iter_mut().zip(block.columns).for_each(|(all, some)| all.extend_from_slice(some));
            Ok(())
        })
        .unwrap();
    columns[0][17] += 1e-12;
    assert!(refused(problem(), Some(columns.clone())).contains("the content of memory has changed"));
    columns.iter_mut().for_each(|column| column.truncate(39));
    assert!(refused(problem(), Some(columns)).contains("rows of the data: the run has 40, now it is 39"));
    assert_eq!(std::fs::read(store(folder.path()).path(2)).unwrap(), before, "nothing was written over");
}

#[test]
fn without_a_checkpoint_there_is_nothing_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(problem(), &resume(folder.path()), &mut Watcher::default()).unwrap_err();
    assert!(error.to_string().contains("there is no valid checkpoint in"), "{error}");
    assert_eq!(error.exit_code(), 2);
    let nowhere = Keeping::Fresh(Checkpoints::new(folder.path()));
    let stopped = run(problem(), &nowhere, &mut Watcher::stopping_after(0)).unwrap_err();
    assert!(matches!(stopped, RunError::Interrupted { .. }));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was done, nothing is there");
}

/// No room for checkpoints: the fit goes on all the same, and says so once.
#[test]
fn a_place_that_cannot_be_written_to_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("checkpoints");
    std::fs::write(&taken, "a file where a folder should be").unwrap();
    // A stop waits for the last one; that of a short pass may never be tried.
    let mut watcher = Watcher::stopping_after(3);
    let outcome = run(problem(), &Keeping::Fresh(Checkpoints::new(folder.path())), &mut watcher).unwrap();
    assert_eq!((outcome.status, watcher.rows.len()), (Status::Interrupted, 3));
    let warnings: Vec<_> = watcher.notes.iter().filter(|(level, _)| *level == Level::Warn).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].1.contains("cannot write the checkpoint of pass"), "{warnings:?}");
    assert_eq!(std::fs::read(&taken).unwrap(), b"a file where a folder should be");
}
