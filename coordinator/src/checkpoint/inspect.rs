//! A checkpoint in words.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::format::{Checkpoint, VERSION};
use crate::progress::grouped;
use crate::report::history::phase_name;
use crate::report::text::number;

/// Parts of the data that are listed, at most.
const MOST_PARTS: usize = 20;

/// What stands in a checkpoint, or why nothing can be said of it.
pub fn describe(path: &Path) -> io::Result<Result<String, String>> {
    let bytes = std::fs::read(path)?;
    let name = path.display();
    Ok(match Checkpoint::decode(&bytes) {
        Ok(checkpoint) => {
            let length = grouped(bytes.len() as u64);
            Ok(format!("{name}: a valid checkpoint, version {VERSION}, {length} bytes\n{}", words(&checkpoint)))
        }
        Err(damage) => Err(format!("{name} is no valid checkpoint: {damage}")),
    })
}

pub(super) fn words(checkpoint: &Checkpoint) -> String {
    let Checkpoint { identity, record, fit, profiles, rows } = checkpoint;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11} {value}");
    };
    line("run", format!("{}, begun by version {}", identity.run, identity.program));
    let last = rows.last().map(|row| &row.iteration);
    let phase = last.map(|it| phase_name(it.phase)).unwrap_or_default();
    line("pass", format!("{}, phase {phase}, generation {}", record.passes, record.generations));
    let passes = record.phases.iter().map(|(phase, passes)| format!("{} {passes}", phase_name(*phase)));
    line("phases", passes.collect::<Vec<_>>().join(", "));
    let state = match (fit.summary(), profiles) {
        (None, _) => "under way".to_string(),
        (Some(summary), None) => format!("over: {}", summary.reason),
        (Some(summary), Some(_)) => format!("over: {}; profiles under way", summary.reason),
    };
    line("fit", state);
    let best = fit.interrupt("");
    line("cost", best.as_ref().map_or("unknown yet".to_string(), |best| number(best.normal.cost)));
    line("model", identity.model.clone());
    let theta = best.map(|best| identity.parameters.expand(&best.theta));
    for (j, p) in identity.parameters.all().iter().enumerate() {
        let value = theta.as_ref().map_or(p.start, |theta| theta[j]);
        let state = match (p.fixed, p.min.is_finite() || p.max.is_finite()) {
            (true, _) => "  fixed".to_string(),
            (false, true) => format!("  in [{}, {}]", number(p.min), number(p.max)),
            (false, false) => String::new(),
        };
        line("", format!("{:<12} {:<24} from {}{state}", p.name, format!("{value:?}"), number(p.start)));
    }
    line("columns", identity.columns.join(", "));
    let counts = record.counts;
    line(
        "points",
        format!(
            "{} = {} used + {} masked + {} not finite",
            grouped(identity.n_points),
            grouped(counts.used),
            grouped(counts.masked),
            grouped(counts.nonfinite)
        ),
    );
    for part in identity.parts.iter().take(MOST_PARTS) {
        let digest: String = part.digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let (rows, bytes) = (grouped(part.rows), grouped(part.bytes));
        line("data", format!("{}: {rows} rows, {bytes} bytes, {digest}... ({})", part.name, part.kind));
    }
    if identity.parts.len() > MOST_PARTS {
        line("", format!("and {} more", identity.parts.len() - MOST_PARTS));
    }
    for (key, value) in &identity.settings {
        line("option", format!("{key} = {value}"));
    }
    text
}
