//! State that leaves memory and comes back: as rkyv archives, and looked at twice before it is used.
//!
//! [`from_bytes`] checks that bytes are an archive of the type (bytecheck: offsets, lengths, tags of enums, UTF-8), so no bytes,
//! however damaged, lead anywhere but to an error. What the type cannot say, that vectors have one entry for each parameter, that
//! indices point at something, that what is waited for is there, says [`Sound`]: a state that passes can be asked and answered
//! without a panic. Every bit of every number is kept, those of NaN and -0 too.

use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Error;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

/// Why a state that was read cannot be gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsound(pub &'static str);

/// A state whose parts may contradict each other, and that can say whether they do.
pub trait Sound {
    /// Whether it is one over `n_free` free parameters.
    fn sound(&self, n_free: usize) -> Result<(), Unsound>;
}

impl<T: Sound> Sound for Option<T> {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        self.as_ref().map_or(Ok(()), |inner| inner.sound(n_free))
    }
}

impl<T: Sound> Sound for [T] {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        self.iter().try_for_each(|inner| inner.sound(n_free))
    }
}

/// Refuses, with these words, what does not hold.
pub(crate) fn ensure(holds: bool, words: &'static str) -> Result<(), Unsound> {
    if holds { Ok(()) } else { Err(Unsound(words)) }
}

/// Whether these are bounds: one pair for each parameter, neither reversed nor NaN.
pub(crate) fn are_bounds(lower: &[f64], upper: &[f64], n_free: usize) -> bool {
    lower.len() == n_free && upper.len() == n_free && lower.iter().zip(upper).all(|(low, high)| low <= high)
}

/// A value as an archive.
pub fn to_bytes<T>(value: &T) -> Result<AlignedVec, Error>
where
    T: for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Error>>,
{
    rkyv::to_bytes(value)
}

/// The value of an archive; an error where the bytes are none.
pub fn from_bytes<T>(bytes: &[u8]) -> Result<T, Error>
where
    T: Archive,
    T::Archived: for<'a> CheckBytes<HighValidator<'a, Error>> + Deserialize<T, HighDeserializer<Error>>,
{
    // numbers stand at multiples of their size from the beginning of an archive
    let mut aligned = AlignedVec::<16>::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    rkyv::from_bytes(&aligned)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A value told and read back.
    pub(crate) fn again<T>(value: &T) -> T
    where
        T: Archive + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Error>>,
        T::Archived: for<'a> CheckBytes<HighValidator<'a, Error>> + Deserialize<T, HighDeserializer<Error>>,
    {
        from_bytes(&to_bytes(value).unwrap()).unwrap()
    }

    #[test]
    fn every_bit_of_a_number_is_kept() {
        let bits = [0, 1, 1 << 63, 0x7ff8_0000_0000_0001, 0xfff4_dead_beef_0001, 0x7ff0_0000_0000_0000, u64::MAX];
        let numbers: Vec<f64> = bits.map(f64::from_bits).to_vec();
        let back: Vec<u64> = again(&numbers).into_iter().map(f64::to_bits).collect();
        assert_eq!(back, bits);
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        let bytes = to_bytes(&vec!["a".to_string(), "longer than what is kept in place".to_string()]).unwrap();
        assert!(from_bytes::<Vec<String>>(&[]).is_err());
        assert!(from_bytes::<Vec<String>>(&bytes[..bytes.len() - 1]).is_err());
        // whatever one byte is changed to, the answer is a value or an error
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x80;
            let _ = from_bytes::<Vec<String>>(&damaged);
        }
    }
}
