//! The keys of `[fit.hybrid]`: how the phases of a fit go.

use nlsq_engine::hybrid::warm_up::{Descent as WarmUpDescent, LineSearch};
use nlsq_engine::hybrid::{ApproachRule, Companion, Normalization, Options, Preset, WarmUpRule};
use nlsq_engine::minimize::{Descent, Method};

use super::error::JobError;
use super::keys::KEYS;
use super::settings::Settings;
use super::value::Value;
use super::{chosen, word_of};

const SECTION: &str = "fit.hybrid";

/// Keys that mean something for every method; the others are about phases, which only methods hybrid and global have.
const FOR_EVERY_METHOD: [&str; 5] = ["descent", "trust_region_initial", "regularization", "groups", "group_variance"];

/// Keys that are read with the parameters they name ([`super::groups`]).
const OF_GROUPS: [&str; 2] = ["groups", "group_variance"];

/// Reads the keys that are set, on top of the preset.
pub(super) fn read(settings: &Settings, options: &mut Options) -> Result<(), JobError> {
    let set = || KEYS.iter().filter(|key| key.section == SECTION && settings.is_set(SECTION, key.name));
    let method = options.minimizer.method;
    let stray = set().find(|key| !FOR_EVERY_METHOD.contains(&key.name));
    if let Some(key) = stray.filter(|_| !method.has_phases()) {
        let message = format!(
            "{} is for methods hybrid and global, which have phases; found method {}",
            key.path(),
            word_of(&Method::NAMES, method)
        );
        return Err(settings.error(SECTION, key.name, message));
    }
    chosen(settings, SECTION, "preset", &Preset::NAMES).apply(options);
    for key in set().filter(|key| !OF_GROUPS.contains(&key.name)) {
        let word = || settings.word(SECTION, key.name);
        match settings.or_default(SECTION, key.name) {
            Value::Number(number) => *number_of(options, key.name) = number,
            Value::Count(count) => set_count(options, key.name, count),
            Value::Switch(on) => *switch_of(options, key.name) = on,
            _ => set_word(settings, options, key.name, &word()),
        }
    }
    if method == Method::Lm && options.minimizer.descent == Descent::Dogleg {
        let message = "method lm finds its steps by damping, found descent dogleg; expected method hybrid or trf";
        return Err(settings.error(SECTION, "descent", message));
    }
    Ok(())
}

fn set_word(settings: &Settings, options: &mut Options, name: &str, word: &str) {
    match name {
        "preset" => {} // it stands for its values
        "descent" => options.minimizer.descent = chosen(settings, SECTION, name, &Descent::NAMES),
        "normalization" => options.normalization = chosen(settings, SECTION, name, &Normalization::NAMES),
        "second_descent" => options.companion = chosen(settings, SECTION, name, &Companion::NAMES),
        "approach" => options.approach = chosen(settings, SECTION, name, &ApproachRule::NAMES),
        "warm_up" => options.warm_up = chosen(settings, SECTION, name, &WarmUpRule::NAMES),
        "warm_up_method" => options.warming.descent = chosen(settings, SECTION, name, &WarmUpDescent::NAMES),
        "line_search" => options.warming.line_search = chosen(settings, SECTION, name, &LineSearch::NAMES),
        _ => panic!("the key {SECTION}.{name} = {word} of the table has no place in a job"),
    }
}

fn set_count(options: &mut Options, name: &str, count: u64) {
    match name {
        "max_refine_passes" => options.max_refine_passes = Some(count),
        "min_iterations" => options.warming.min_iterations = count,
        "max_iterations" => options.warming.max_iterations = count,
        // more pairs than a fit has passes are never there
        "lbfgs_history" => options.warming.history = usize::try_from(count).unwrap_or(usize::MAX),
        _ => panic!("the key {SECTION}.{name} of the table has no place in a job"),
    }
}

fn number_of<'a>(options: &'a mut Options, name: &str) -> &'a mut f64 {
    let warming = &mut options.warming;
    match name {
        "trust_region_initial" => options.minimizer.first_radius.get_or_insert_default(),
        "regularization" => &mut options.minimizer.regularization,
        "plateau_threshold" => &mut warming.plateau,
        "gradient_threshold" => &mut warming.gradient,
        "agreement_threshold" => &mut warming.agreement,
        "first_step" => &mut warming.first_step,
        "learning_rate" => &mut warming.learning_rate,
        "warm_start_threshold" => &mut warming.warm_start_threshold,
        "cost_increase_tolerance" => &mut warming.cost_increase_tolerance,
        "max_step" => &mut warming.max_step,
        _ => panic!("the key {SECTION}.{name} of the table has no place in a job"),
    }
}

fn switch_of<'a>(options: &'a mut Options, name: &str) -> &'a mut bool {
    let warming = &mut options.warming;
    match name {
        "warm_start_detection" => &mut warming.warm_start_detection,
        "adaptive_first_step" => &mut warming.adaptive_first_step,
        "cost_guard" => &mut warming.cost_guard,
        "step_clipping" => &mut warming.step_clipping,
        _ => panic!("the key {SECTION}.{name} of the table has no place in a job"),
    }
}

/// What the options hold for a key; none where they hold nothing, and for phases that the method does not have.
pub(super) fn value(options: &Options, name: &str) -> Option<Value> {
    if !options.minimizer.method.has_phases() && !FOR_EVERY_METHOD.contains(&name) {
        return None;
    }
    let text = |word: &str| Some(Value::Text(word.to_string()));
    let warming = &options.warming;
    match name {
        "preset" => None, // its values stand there
        "descent" => text(word_of(&Descent::NAMES, options.minimizer.descent)),
        "approach" => text(word_of(&ApproachRule::NAMES, options.approach)),
        "normalization" => text(word_of(&Normalization::NAMES, options.normalization)),
        "second_descent" => text(word_of(&Companion::NAMES, options.companion)),
        "warm_up" => text(word_of(&WarmUpRule::NAMES, options.warm_up)),
        "warm_up_method" => text(word_of(&WarmUpDescent::NAMES, warming.descent)),
        "line_search" => text(word_of(&LineSearch::NAMES, warming.line_search)),
        "max_refine_passes" => options.max_refine_passes.map(Value::Count),
        "min_iterations" => Some(Value::Count(warming.min_iterations)),
        "max_iterations" => Some(Value::Count(warming.max_iterations)),
        "lbfgs_history" => Some(Value::Count(warming.history as u64)),
        "trust_region_initial" => options.minimizer.first_radius.map(Value::Number),
        "warm_start_detection" | "adaptive_first_step" | "cost_guard" | "step_clipping" => {
            Some(Value::Switch(*switch_of(&mut options.clone(), name)))
        }
        _ => Some(Value::Number(*number_of(&mut options.clone(), name))),
    }
}
