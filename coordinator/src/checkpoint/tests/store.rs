//! At every moment, whatever fails, the newest complete checkpoint is whole and is found.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nlsq_engine::saved::to_bytes;

use super::super::format::Checkpoint;
use super::super::store::{Found, Store};
use super::super::writer::{Beginning, Event, Plan, Snapshot, Writer};
use super::disk::{Fault, FaultyDisk};
use super::sample;

/// The archives of a checkpoint.
fn sections(bytes: &[u8]) -> Vec<Vec<u8>> {
    let checkpoint = Checkpoint::decode(bytes).unwrap();
    let archive = |bytes: rkyv::util::AlignedVec| bytes.to_vec();
    vec![
        archive(to_bytes(&checkpoint.identity).unwrap()),
        archive(to_bytes(&checkpoint.record).unwrap()),
        archive(to_bytes(&checkpoint.fit).unwrap()),
        Vec::new(),
        archive(to_bytes(&checkpoint.rows).unwrap()),
    ]
}

struct Scene {
    archives: Vec<Vec<u8>>,
    disk: FaultyDisk,
}

impl Scene {
    fn new() -> Self {
        Self { archives: sections(&sample(1)), disk: FaultyDisk::new() }
    }

    fn store(&self, disk: &FaultyDisk) -> Store<FaultyDisk> {
        Store::on(disk.clone(), PathBuf::from("/run/checkpoints"))
    }

    fn save(&self, pass: u64, keep: usize) -> std::io::Result<u64> {
        let sections: Vec<&[u8]> = self.archives.iter().map(Vec::as_slice).collect();
        self.store(&self.disk).save(pass, sections.try_into().unwrap(), keep)
    }

    /// The file found by the next process, and how many were damaged.
    fn found(&self, power_cut: bool) -> (Option<PathBuf>, usize) {
        let Found { newest, skipped } = self.store(&self.disk.afterwards(power_cut)).newest().unwrap();
        (newest.map(|(path, _)| path), skipped.len())
    }
}

fn path(pass: u64) -> PathBuf {
    PathBuf::from(format!("/run/checkpoints/pass-{pass:06}.ckpt"))
}

#[test]
fn killed_at_any_call_the_newest_complete_one_is_whole() {
    let mut calls = 0;
    loop {
        let scene = Scene::new();
        (1..=3).for_each(|pass| assert!(scene.save(pass, 2).is_ok()));
        scene.disk.arm(Fault::KilledAt(calls));
        let saved = scene.save(4, 2);
        for power_cut in [false, true] {
            let (newest, skipped) = scene.found(power_cut);
            let lawful = if saved.is_ok() { vec![path(4)] } else { vec![path(3), path(4)] };
            assert!(
                newest.is_some_and(|newest| lawful.contains(&newest)),
                "killed at call {calls}, power cut: {power_cut}"
            );
            assert_eq!(skipped, 0, "killed at call {calls}: nothing half-written has a lawful name");
        }
        if scene.disk.calls() <= calls {
            break;
        }
        calls += 1;
    }
    // folder, file, 6 parts, sync, rename, sync of the folder, list, removal
    assert!(calls >= 13, "{calls} calls");
}

#[test]
fn a_full_disk_leaves_the_old_one_and_no_half_of_the_new() {
    let mut failed = 0;
    for at in 0..12 {
        let scene = Scene::new();
        assert!(scene.save(1, 3).is_ok());
        scene.disk.arm(Fault::FullAt(at));
        if scene.save(2, 3).is_err() {
            failed += 1;
            assert_eq!(scene.found(false), (Some(path(1)), 0));
            assert_eq!(scene.disk.all_names(), [path(1)], "its room is given back");
        }
        scene.disk.arm(Fault::Nothing);
        assert!(scene.save(3, 3).is_ok());
        assert_eq!(scene.found(true), (Some(path(3)), 0));
    }
    assert!(failed >= 6, "{failed} of the calls write");
}

#[test]
fn the_newest_few_stay_and_a_damaged_one_is_skipped() {
    let scene = Scene::new();
    (1..=9).for_each(|pass| assert!(scene.save(pass, 3).is_ok()));
    assert_eq!(scene.disk.all_names(), [7, 8, 9].map(path));
    // half of the newest is lost
    let store = scene.store(&scene.disk);
    store.replace(&path(9), &[b"NLSQCKPT\x01\0\0\0 and nothing more"]).unwrap();
    let Found { newest, skipped } = store.newest().unwrap();
    assert_eq!(newest.unwrap().0, path(8));
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].0 == path(9) && skipped[0].1.contains("a checkpoint has 88 at least"), "{skipped:?}");
}

#[test]
fn numbers_decide_what_is_newest_not_letters() {
    let scene = Scene::new();
    for pass in [999_999, 1_000_000, 12] {
        assert!(scene.save(pass, 9).is_ok());
    }
    assert_eq!(scene.found(false).0, Some(PathBuf::from("/run/checkpoints/pass-1000000.ckpt")));
}

fn snapshot(scene: &Scene, pass: u64) -> Snapshot {
    let aligned = |bytes: &[u8]| {
        let mut aligned = rkyv::util::AlignedVec::new();
        aligned.extend_from_slice(bytes);
        aligned
    };
    let (record, fit) = (aligned(&scene.archives[1]), Arc::new(aligned(&scene.archives[2])));
    Snapshot { pass, record, fit, profiles: None }
}

fn plan(scene: &Scene, begins: Option<Beginning>) -> Plan<FaultyDisk> {
    let mut identity = rkyv::util::AlignedVec::new();
    identity.extend_from_slice(&scene.archives[0]);
    Plan { store: scene.store(&scene.disk), identity, keep: 2, begins, rows: Vec::new() }
}

#[test]
fn the_writer_writes_the_newest_says_what_failed_and_goes_on() {
    let scene = Scene::new();
    let rows = || Checkpoint::decode(&sample(1)).unwrap().rows;
    let writer = Writer::start(plan(&scene, None)).unwrap();
    writer.offer(snapshot(&scene, 1), rows());
    writer.flush();
    assert!(matches!(writer.events()[..], [Event::Written { pass: 1, bytes: 1.., .. }]));
    scene.disk.arm(Fault::FullAt(2));
    writer.offer(snapshot(&scene, 2), Vec::new());
    writer.flush();
    let events = writer.events();
    assert!(matches!(&events[..], [Event::Failed { pass: 2, why }] if why.contains("no space")), "{events:?}");
    assert_eq!(scene.found(true), (Some(path(1)), 0));
    for pass in 3..100 {
        writer.offer(snapshot(&scene, pass), Vec::new());
    }
    drop(writer);
    assert_eq!(scene.found(true), (Some(path(99)), 0), "what was handed over last is there");
    assert!(scene.disk.all_names().len() <= 2);
}

#[test]
fn a_run_that_begins_leaves_its_job_before_its_first_checkpoint_and_nothing_of_another_run() {
    let mut calls = 0;
    loop {
        let scene = Scene::new();
        (200..=201).for_each(|pass| assert!(scene.save(pass, 2).is_ok()));
        let job = PathBuf::from("/run/job.toml");
        scene.disk.arm(Fault::KilledAt(calls));
        let beginning = Beginning { job: Some((job.clone(), "[model]".to_string())) };
        let writer = Writer::start(plan(&scene, Some(beginning))).unwrap();
        writer.offer(snapshot(&scene, 1), Checkpoint::decode(&sample(1)).unwrap().rows);
        drop(writer);
        let after = scene.disk.afterwards(false);
        let (newest, _) = scene.found(false);
        if newest.as_deref() == Some(Path::new(&path(1))) {
            use super::super::files::Files as _;
            assert_eq!(after.read(&job).unwrap(), b"[model]", "killed at call {calls}");
            assert!(!after.all_names().contains(&path(201)));
        }
        if scene.disk.calls() <= calls {
            assert_eq!(newest, Some(path(1)));
            return;
        }
        calls += 1;
    }
}
