//! Picks the instruction set at run time: the one place where the engine needs `unsafe`.
//!
//! A [`Work`] is compiled once for each instruction set. It does the same IEEE operations in the same order in all of
//! them (fused multiply-adds are written out and never contracted), so the choice changes speed and no bit.

#![allow(unsafe_code)]

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// x86-64 with AVX-512 F, DQ, VL, BW.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// Whatever the build targets: SSE2 with fused multiply-adds in software, or NEON.
    Baseline,
}

impl InstructionSet {
    /// The best one this machine has.
    pub fn detect() -> Self {
        Self::available().next().expect("the baseline is always there")
    }

    /// All that this machine has, best first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Avx512, Self::Avx2, Self::Baseline].into_iter().filter(|set| set.is_available())
    }

    /// The name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
            Self::Baseline => "baseline",
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        match self {
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && Self::Avx2.is_available()
            }
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Baseline => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Self::Baseline
    }
}

/// Something to run under an instruction set. `run` must be `#[inline(always)]`, as must all that it calls in its loops.
pub(super) trait Work {
    /// Runs it.
    fn run(self);
}

/// Runs `work` compiled for `set`.
pub(super) fn run<W: Work>(set: InstructionSet, work: W) {
    assert!(set.is_available(), "this machine has no {}", set.name());
    #[cfg(target_arch = "x86_64")]
    match set {
        // SAFETY: the assertion above has found the features that these functions are compiled for.
        InstructionSet::Avx512 => return unsafe { x86::avx512(work) },
        // SAFETY: as above.
        InstructionSet::Avx2 => return unsafe { x86::avx2(work) },
        InstructionSet::Baseline => {}
    }
    work.run();
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Work;

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
    pub(super) fn avx512<W: Work>(work: W) {
        work.run();
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2<W: Work>(work: W) {
        work.run();
    }
}
