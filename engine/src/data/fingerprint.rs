//! By what a source of points is known again: its parts, and a digest of what they hold.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// How much of each end of a file is looked at.
const END: u64 = 64 << 10;

/// One part of a source, such as a file.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Part {
    /// Its name; of a file the absolute path.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Its digest.
    pub digest: [u8; 32],
    /// What the digest is one of, in words. Digests of different kinds are not the same.
    pub kind: String,
}

/// What the digest of a file covers: [`of_file`].
pub const FILE_ENDS: &str = "blake3 of length, first and last 64 KiB";

/// What the digest of points in memory covers.
pub const ALL_VALUES: &str = "blake3 of all values";

/// The digest of a file: its length and both of its ends, so that a dataset of any size is known again in an instant. A file of up to 128
/// KiB is covered whole. Of a longer one, what is changed in the middle without a change of length is not seen; Parquet, Arrow, HDF5
/// and npz files keep at their ends what describes all their contents, among it lengths of compressed pieces and often checksums.
pub fn of_file(path: &Path, bytes: u64) -> io::Result<[u8; 32]> {
    let file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes.to_le_bytes());
    let first = bytes.min(END);
    let last = (bytes - first).min(END);
    for (start, length) in [(0, first), (bytes - last, last)] {
        let mut end = vec![0; usize::try_from(length).expect("an end is short")];
        file.read_exact_at(&mut end, start)?;
        hasher.update(&end);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// The digest of columns: every bit of every value.
pub fn of_columns(columns: &[Vec<f64>]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for column in columns {
        hasher.update(&(column.len() as u64).to_le_bytes());
        for block in column.chunks(1 << 12) {
            let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
            hasher.update(&bytes);
        }
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_at_either_end_or_of_the_length_is_seen_and_one_far_inside_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let content: Vec<u8> = (0..300_000u32).map(|k| k as u8).collect();
        let digest = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            of_file(&path, content.len() as u64).unwrap()
        };
        let whole = digest(&content);
        assert_eq!(whole, digest(&content));
        let end = END as usize;
        for (at, seen) in [(0, true), (end - 1, true), (end, false), (300_000 - end - 1, false), (300_000 - end, true)]
        {
            let mut other = content.clone();
            other[at] ^= 1;
            assert_eq!(digest(&other) != whole, seen, "byte {at}");
        }
        assert_ne!(digest(&content[..299_999]), whole);
        // short files are covered whole
        for length in [0, 1, end, end + 1, 2 * end] {
            let short = digest(&content[..length]);
            for at in [0, length / 2, length.saturating_sub(1)].into_iter().filter(|&at| at < length) {
                let mut other = content[..length].to_vec();
                other[at] ^= 1;
                assert_ne!(digest(&other), short, "byte {at} of {length}");
            }
        }
        assert!(of_file(&path, 400_000_000).is_err(), "a file that became shorter");
    }

    #[test]
    fn every_value_of_columns_counts() {
        let columns = |v: f64| [vec![1.0, v], vec![3.0, 4.0]];
        assert_ne!(of_columns(&columns(0.0)), of_columns(&columns(-0.0)));
        assert_ne!(of_columns(&[vec![1.0], vec![2.0]]), of_columns(&[vec![1.0, 2.0]]));
    }
}
