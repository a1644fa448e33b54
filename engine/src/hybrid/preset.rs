//! Named sets of choices for the phases of a fit.

use serde::{Deserialize, Serialize};

use super::Options;
use super::warm_up::WarmUpOptions;

/// A set of choices with a name. Whatever is chosen besides a preset wins over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// What has proved good on average.
    #[default]
    Default,
    /// Leaves the warm-up early: plateau 5e-4, gradient 5e-3.
    Aggressive,
    /// Leaves it late (plateau 1e-5, gradient 1e-4, no trust on agreement alone) and begins with half the first radius.
    Conservative,
    /// Defences that act soon: a start is warm only at offset 0.01, steps no longer than 0.05.
    DefenseStrict,
    /// Defences that act late: warm at offset 0.5, the cost may rise by half, steps up to 1.
    DefenseRelaxed,
    /// No defence at all.
    DefenseDisabled,
    /// For models of many scales: warm at offset 0.05, the cost may rise by 0.2, steps no longer than 0.1.
    ScientificDefault,
}

impl Preset {
    /// All presets with the names used in job files.
    pub const NAMES: [(&'static str, Preset); 7] = [
        ("default", Preset::Default),
        ("aggressive", Preset::Aggressive),
        ("conservative", Preset::Conservative),
        ("defense_strict", Preset::DefenseStrict),
        ("defense_relaxed", Preset::DefenseRelaxed),
        ("defense_disabled", Preset::DefenseDisabled),
        ("scientific_default", Preset::ScientificDefault),
    ];

    /// Sets what the preset chooses, and leaves everything else.
    pub fn apply(self, options: &mut Options) {
        let plain = WarmUpOptions::default();
        let defences = |warm_start_threshold, cost_increase_tolerance, max_step| WarmUpOptions {
            warm_start_threshold,
            cost_increase_tolerance,
            max_step,
            ..WarmUpOptions::default()
        };
        options.warming = match self {
            Preset::Default => plain,
            Preset::Aggressive => WarmUpOptions { plateau: 5e-4, gradient: 5e-3, ..plain },
            Preset::Conservative => {
                WarmUpOptions { plateau: 1e-5, gradient: 1e-4, agreement: 0.0, max_iterations: 80, ..plain }
            }
            Preset::DefenseStrict => defences(0.01, 0.05, 0.05),
            Preset::DefenseRelaxed => defences(0.5, 0.5, 1.0),
            Preset::DefenseDisabled => WarmUpOptions {
                warm_start_detection: false,
                adaptive_first_step: false,
                cost_guard: false,
                step_clipping: false,
                ..plain
            },
            Preset::ScientificDefault => defences(0.05, 0.2, 0.1),
        };
        if self == Preset::Conservative {
            options.minimizer.first_radius = Some(0.15);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_differ_and_the_default_changes_nothing() {
        let of = |preset: Preset| {
            let mut options = Options::default();
            preset.apply(&mut options);
            options
        };
        assert_eq!(of(Preset::Default), Options::default());
        for (i, (name, a)) in Preset::NAMES.into_iter().enumerate() {
            for (_, b) in &Preset::NAMES[..i] {
                assert_ne!(of(a), of(*b), "{name}");
            }
        }
    }
}
