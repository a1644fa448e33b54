//! Random numbers of explorations: the same on every host, for any number of workers, before and after a resume.
//!
//! ChaCha with 8 rounds. The key is the seed's eight bytes, the lowest first, and 24 zeros; the stream is
//! `2^32 purpose + index`. Whoever draws opens a stream of its own, so no generator's state has to be kept between passes:
//! the seed and a counter say all.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What numbers are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Starts of a tournament; the index is that of the parameter.
    Starts = 1,
    /// The first population of a global search; the index is that of the parameter.
    Population = 2,
    /// Its later generations; the index is that of the generation.
    Generation = 3,
}

/// A stream of random numbers.
pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    pub(super) fn new(seed: u64, purpose: Purpose, index: u32) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(((purpose as u64) << 32) | u64::from(index));
        Self(generator)
    }

    /// Uniform in [0, 1): 53 bits.
    pub(super) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0, 1, ..., n - 1. What would favour small numbers is drawn again.
    pub(super) fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        assert!(n > 0, "there is nothing to choose from");
        let whole = u64::MAX - u64::MAX % n;
        loop {
            let drawn = self.0.next_u64();
            if drawn < whole {
                return (drawn % n) as usize;
            }
        }
    }

    /// A permutation of 0, 1, ..., n - 1, each as likely as any other (Fisher & Yates).
    pub(super) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_purpose_and_index_and_on_nothing_else() {
        let first = |seed, purpose, index| Stream::new(seed, purpose, index).unit();
        let reference = first(7, Purpose::Starts, 3);
        assert_eq!(reference, first(7, Purpose::Starts, 3));
        for other in [first(8, Purpose::Starts, 3), first(7, Purpose::Population, 3), first(7, Purpose::Starts, 4)] {
            assert_ne!(reference, other);
        }
    }

    /// Numbers of other implementations of ChaCha8: they must not change with a version of a library.
    #[test]
    fn the_numbers_are_those_of_chacha8() {
        let mut stream = Stream::new(0, Purpose::Starts, 0);
        // key 0, stream 0: the keystream begins 3e 00 ef 2f 89 5f 40 d6 (ECRYPT's test vector for 8 rounds)
        stream.0.set_stream(0);
        assert_eq!(stream.0.next_u64().to_le_bytes(), [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6]);
    }

    #[test]
    fn numbers_are_uniform() {
        let mut stream = Stream::new(1, Purpose::Generation, 9);
        let mut counts = [0u32; 7];
        (0..70_000).for_each(|_| counts[stream.below(7)] += 1);
        // six standard deviations of a binomial
        assert!(counts.iter().all(|&c| (f64::from(c) - 1e4).abs() < 6.0 * 92.6), "{counts:?}");
        let mean = (0..10_000).map(|_| stream.unit()).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 6.0 * 0.0029, "{mean}");
        let mut order = stream.permutation(50);
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
