//! The bytes of a checkpoint; the layout stands in the documentation of [`super`].

use nlsq_engine::hybrid::Hybrid;
use nlsq_engine::profile::Profiler;
use nlsq_engine::saved::{Sound as _, from_bytes};

use super::error::Damage;
use super::identity::Identity;
use super::state::Record;
use crate::outcome::PassRecord;

/// The version that this program writes and reads. Whatever changes the bytes of a state raises it.
pub const VERSION: u32 = 1;

/// What a checkpoint begins with.
pub(super) const MAGIC: &[u8; 8] = b"NLSQCKPT";

/// The archives, in the order of the file.
const SECTIONS: [&str; 5] = ["identity", "record", "fit", "profiles", "rows"];

const HEADER: usize = 16 + 8 * SECTIONS.len();
const DIGEST: usize = 32;

/// What a checkpoint holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What is fitted to what.
    pub identity: Identity,
    /// What the driver knows.
    pub record: Record,
    /// The fit.
    pub fit: Hybrid,
    /// The profiles that are under way after it.
    pub profiles: Option<Profiler>,
    /// One record a pass.
    pub rows: Vec<PassRecord>,
}

/// The bytes before and behind the archives.
pub(super) fn frame(sections: [&[u8]; 5]) -> (Vec<u8>, [u8; DIGEST]) {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    sections.iter().for_each(|section| header.extend_from_slice(&(section.len() as u64).to_le_bytes()));
    let mut hasher = blake3::Hasher::new();
    hasher.update(&header);
    sections.iter().for_each(|section| {
        hasher.update(section);
    });
    (header, *hasher.finalize().as_bytes())
}

/// Where the archives stand in a file whose digest is right.
fn sections(bytes: &[u8]) -> Result<[&[u8]; 5], Damage> {
    let found = bytes.len() as u64;
    let begins = |length: usize| bytes.len() >= length;
    if begins(MAGIC.len()) && !bytes.starts_with(MAGIC) {
        return Err(Damage::Other);
    }
    if begins(12) {
        let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
        if version != VERSION {
            return Err(Damage::Version { found: version });
        }
    }
    if !begins(HEADER + DIGEST) {
        return Err(Damage::Short { found, least: (HEADER + DIGEST) as u64 });
    }
    let lengths: Vec<u64> = bytes[16..HEADER]
        .chunks_exact(8)
        .map(|length| u64::from_le_bytes(length.try_into().expect("eight bytes")))
        .collect();
    let expected = lengths.iter().map(|&length| u128::from(length)).sum::<u128>() + (HEADER + DIGEST) as u128;
    if expected != u128::from(found) {
        return Err(Damage::Length { found, expected });
    }
    let (content, digest) = bytes.split_at(bytes.len() - DIGEST);
    if blake3::hash(content).as_bytes() != digest {
        return Err(Damage::Digest);
    }
    let mut rest = &content[HEADER..];
    let mut parts = [&content[..0]; 5];
    for (part, length) in parts.iter_mut().zip(lengths) {
        (*part, rest) = rest.split_at(length as usize);
    }
    Ok(parts)
}

impl Checkpoint {
    /// Reads the bytes of a file.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let [identity, record, fit, profiles, rows] = sections(bytes)?;
        let broken = |k: usize| {
            move |error: rkyv::rancor::Error| Damage::Archive { section: SECTIONS[k], why: error.to_string() }
        };
        let checkpoint = Self {
            identity: from_bytes(identity).map_err(broken(0))?,
            record: from_bytes(record).map_err(broken(1))?,
            fit: from_bytes(fit).map_err(broken(2))?,
            profiles: if profiles.is_empty() { None } else { Some(from_bytes(profiles).map_err(broken(3))?) },
            rows: from_bytes(rows).map_err(broken(4))?,
        };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    /// Refuses content that a driver could not go on with.
    fn check(&self) -> Result<(), Damage> {
        let parameters = &self.identity.parameters;
        parameters.sound(parameters.free().len())?;
        self.fit.is_whole(parameters)?;
        self.record.check(&self.rows)?;
        if let Some(profiles) = &self.profiles {
            profiles.is_of(parameters)?;
            if self.fit.summary().is_none() {
                return Err(nlsq_engine::saved::Unsound("there are profiles of a fit that is not over").into());
            }
        }
        Ok(())
    }
}
