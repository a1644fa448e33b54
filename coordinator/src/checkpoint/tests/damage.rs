//! Whatever happens to its bytes, a checkpoint is read as it was written or not at all.

use nlsq_engine::kernel::Backend as _;
use nlsq_engine::kernel::blocks::Blocks;
use nlsq_engine::procedure::Procedure as _;

use super::super::format::{Checkpoint, VERSION, frame};
use super::super::{Damage, inspect};
use super::{points, problem, sample};

const DIGEST: usize = 32;

/// Puts the digest right again: what a bug, or somebody who means harm, could do.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len() - DIGEST;
    let digest = *blake3::hash(&bytes[..content]).as_bytes();
    bytes[content..].copy_from_slice(&digest);
    bytes
}

#[test]
fn every_flipped_bit_is_detected() {
    let bytes = sample(2);
    assert!(Checkpoint::decode(&bytes).is_ok());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let damage = Checkpoint::decode(&damaged).unwrap_err();
            let foreseen = match at {
                0..8 => damage == Damage::Other,
                8..12 => matches!(damage, Damage::Version { .. }),
                16..56 => matches!(damage, Damage::Length { .. }),
                _ => damage == Damage::Digest,
            };
            assert!(foreseen, "bit {bit} of byte {at}: {damage:?}");
        }
    }
}

#[test]
fn every_truncation_and_everything_added_is_detected() {
    let bytes = sample(2);
    for length in 0..bytes.len() {
        let damage = Checkpoint::decode(&bytes[..length]).unwrap_err();
        let foreseen = match length {
            0..88 => matches!(damage, Damage::Short { .. }),
            _ => matches!(damage, Damage::Length { .. }),
        };
        assert!(foreseen, "{length} bytes: {damage:?}");
    }
    for more in [1, 31, 32, 4096] {
        let longer = [bytes.as_slice(), &vec![0; more]].concat();
        assert!(matches!(Checkpoint::decode(&longer).unwrap_err(), Damage::Length { .. }));
    }
}

#[test]
fn each_damage_has_its_own_words() {
    let bytes = sample(1);
    let words = |bytes: &[u8]| Checkpoint::decode(bytes).unwrap_err().to_string();
    assert_eq!(words(b"NLSQ"), "it has 4 bytes; a checkpoint has 88 at least");
    assert_eq!(words(b"PAR1 and so on"), "it does not begin as a checkpoint does");
    let mut later = bytes.clone();
    later[8] = VERSION as u8 + 1;
    assert_eq!(words(&sealed(later)), "it has version 2 of the format; this program reads version 1");
    let expected = bytes.len();
    assert!(words(&bytes[..expected - 7]).contains(&format!("should have {expected}")));
    let mut flipped = bytes.clone();
    flipped[100] ^= 4;
    assert!(words(&flipped).contains("its digest is not that of its content"));
    // lawful archives in the wrong places, under the right digest
    let length = |k: usize| u64::from_le_bytes(bytes[16 + 8 * k..24 + 8 * k].try_into().unwrap()) as usize;
    let record = &bytes[56 + length(0)..][..length(1)];
    let (header, digest) = frame([record, record, record, &[], record]);
    let swapped = [&header, record, record, record, &[], record, &digest].concat();
    assert!(words(&swapped).contains("does not read") || words(&swapped).contains("contradicts itself"));
}

/// Lengths that would fill the memory of any machine are compared with the file before anything is allocated.
#[test]
fn absurd_lengths_are_refused_at_once() {
    let mut bytes = sample(1);
    for k in 0..5 {
        bytes[16 + 8 * k..24 + 8 * k].copy_from_slice(&u64::MAX.to_le_bytes());
    }
    assert!(matches!(Checkpoint::decode(&sealed(bytes)).unwrap_err(), Damage::Length { .. }));
}

/// Under a digest that was put right: refused, or a state that can be described, asked and answered.
#[test]
fn no_changed_byte_under_a_right_digest_leads_to_a_panic() {
    let bytes = sample(2);
    let mut tile = None;
    nlsq_engine::data::shard::load_tiles(points().as_ref(), 0..1, 65_536, problem().nonfinite, &mut |t| tile = Some(t))
        .unwrap();
    let tile = tile.unwrap();
    let problem = problem();
    let mut evaluator = Blocks::new().evaluator(&problem.program);
    let (mut refused, mut went_on) = (0, 0);
    for at in 56..bytes.len() - DIGEST {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let Ok(mut checkpoint) = Checkpoint::decode(&sealed(changed)) else {
            refused += 1;
            continue;
        };
        went_on += 1;
        assert!(!inspect::words(&checkpoint).is_empty());
        let _ = checkpoint.record.costs(&checkpoint.rows);
        if let Some(request) = checkpoint.fit.demand() {
            let expanded = request.with_thetas(|theta| problem.parameters.expand(theta));
            let sums = evaluator.evaluate(&expanded, &tile);
            checkpoint.fit.take(request.answer(problem.program.n_free(), &sums));
        }
    }
    assert!(refused > 100 && went_on > 100, "{refused} refused, {went_on} went on");
}
