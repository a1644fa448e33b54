//! Progress on stderr, and the fan-out of one fit to everything that watches it.

use std::io::{IsTerminal as _, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use nlsq_engine::summary::Phase;
use serde_json::json;

use crate::clock::Utc;
use crate::config::ProgressMode;
use crate::outcome::{About, Kept, Level, Observer, Outcome, PassRecord, Resumed};
use crate::report::log::{about_fields, object, outcome_fields, pass_fields, resumed_fields};
use crate::report::result::status_name;
use crate::report::text::number;

/// While points are read, lines come no faster than this.
const LOADING_PERIOD: Duration = Duration::from_secs(2);

/// All that watch one fit.
pub struct Watchers<'a>(pub Vec<&'a mut dyn Observer>);

impl Observer for Watchers<'_> {
    fn started(&mut self, about: &About) {
        self.0.iter_mut().for_each(|watcher| watcher.started(about));
    }

    fn resumed(&mut self, resumed: &Resumed) {
        self.0.iter_mut().for_each(|watcher| watcher.resumed(resumed));
    }

    fn kept(&mut self, kept: &Kept) {
        self.0.iter_mut().for_each(|watcher| watcher.kept(kept));
    }

    fn loading(&mut self, points_done: u64, points_total: u64) {
        self.0.iter_mut().for_each(|watcher| watcher.loading(points_done, points_total));
    }

    fn iteration(&mut self, record: &PassRecord) {
        self.0.iter_mut().for_each(|watcher| watcher.iteration(record));
    }

    fn note(&mut self, level: Level, text: &str) {
        self.0.iter_mut().for_each(|watcher| watcher.note(level, text));
    }

    fn stop(&mut self) -> Option<String> {
        self.0.iter_mut().find_map(|watcher| watcher.stop())
    }

    fn finished(&mut self, outcome: &Outcome) {
        self.0.iter_mut().for_each(|watcher| watcher.finished(outcome));
    }
}

/// The observer that a mode asks for, on stderr.
pub fn on_stderr(mode: ProgressMode, max_passes: u64) -> Box<dyn Observer> {
    match mode {
        ProgressMode::None => Box::new(()),
        ProgressMode::Json => Box::new(JsonLines { sink: std::io::stderr(), pace: Pace::default() }),
        ProgressMode::Auto if std::io::stderr().is_terminal() => Box::new(Bar::new(max_passes)),
        ProgressMode::Auto | ProgressMode::Plain => {
            Box::new(PlainLines { sink: std::io::stderr(), pace: Pace::default() })
        }
    }
}

/// Lets the first and the last report through, and in between one a period.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    complete: bool,
}

impl Pace {
    fn is_due(&mut self, now: Instant, done: u64, total: u64) -> bool {
        let ends = done >= total && !self.complete;
        let waited = self.last.is_none_or(|last| now.duration_since(last) >= LOADING_PERIOD);
        if ends || (waited && done < total) {
            self.last = Some(now);
            self.complete |= ends;
            return true;
        }
        false
    }
}

/// Plain lines.
#[derive(Debug)]
pub struct PlainLines<W: Write> {
    sink: W,
    pace: Pace,
}

impl<W: Write> PlainLines<W> {
    fn line(&mut self, text: &str) {
        // progress that nobody can read is no reason to stop a fit
        let _ = writeln!(self.sink, "{text}");
    }
}

fn summary(about: &About) -> String {
    let plural = if about.workers == 1 { "" } else { "s" };
    format!(
        "fitting {} parameters to {} points in {} tiles on {} worker{plural} ({})",
        about.parameters.len(),
        grouped(about.n_points),
        grouped(about.tiles),
        about.workers,
        about.device
    )
}

fn going_on(resumed: &Resumed) -> String {
    format!("going on from pass {}: {}", resumed.rows.len(), resumed.path.display())
}

fn ending(outcome: &Outcome) -> String {
    format!("{} after {} passes: {}", status_name(outcome.status), outcome.passes, outcome.reason)
}

fn rate(record: &PassRecord) -> String {
    if record.seconds > 0.0 { format!("{:.1}", record.points as f64 / record.seconds / 1e6) } else { "-".into() }
}

/// What a pass asks for that evaluates no cost.
fn beside_the_point(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Scale => Some("median of the residuals, for the scale of the loss"),
        Phase::Finish => Some("scores, for the sandwich covariance"),
        _ => None,
    }
}

impl<W: Write> Observer for PlainLines<W> {
    fn started(&mut self, about: &About) {
        self.line(&summary(about));
    }

    fn resumed(&mut self, resumed: &Resumed) {
        self.line(&going_on(resumed));
    }

    fn loading(&mut self, points_done: u64, points_total: u64) {
        if self.pace.is_due(Instant::now(), points_done, points_total) {
            let percent = percent(points_done, points_total);
            self.line(&format!("read {} of {} points ({percent}%)", grouped(points_done), grouped(points_total)));
        }
    }

    fn iteration(&mut self, record: &PassRecord) {
        let it = &record.iteration;
        if let Some(asked) = beside_the_point(it.phase) {
            let (seconds, rate) = (record.seconds, rate(record));
            return self.line(&format!("pass {:>4}  {asked:<56}  {seconds:.3} s, {rate} M points/s", it.pass));
        }
        let rejected = if it.accepted { "" } else { "  (step rejected)" };
        self.line(&format!(
            "pass {:>4}  cost {:<16}  gradient {:<9.2e}  step {:<9.2e}  {:.3} s, {} M points/s{rejected}",
            it.pass,
            number(it.cost),
            it.gradient_norm,
            it.step_norm,
            record.seconds,
            rate(record)
        ));
    }

    fn note(&mut self, level: Level, text: &str) {
        match level {
            Level::Info => self.line(text),
            _ => self.line(&format!("{}: {text}", level.name())),
        }
    }

    fn finished(&mut self, outcome: &Outcome) {
        self.line(&ending(outcome));
    }
}

/// JSON lines, the same objects as in log.jsonl.
#[derive(Debug)]
pub struct JsonLines<W: Write> {
    sink: W,
    pace: Pace,
}

impl<W: Write> JsonLines<W> {
    fn line(&mut self, level: Level, event: &str, fields: serde_json::Value) {
        let _ = self.sink.write_all(object(Utc::now(), level, event, fields).as_bytes());
    }
}

impl<W: Write> Observer for JsonLines<W> {
    fn started(&mut self, about: &About) {
        self.line(Level::Info, "started", about_fields(about));
    }

    fn resumed(&mut self, resumed: &Resumed) {
        self.line(Level::Info, "resumed", resumed_fields(resumed));
    }

    fn loading(&mut self, points_done: u64, points_total: u64) {
        if self.pace.is_due(Instant::now(), points_done, points_total) {
            let fields = json!({"points_done": points_done, "points_total": points_total});
            self.line(Level::Info, "loading", fields);
        }
    }

    fn iteration(&mut self, record: &PassRecord) {
        self.line(Level::Info, "pass", pass_fields(record));
    }

    fn note(&mut self, level: Level, text: &str) {
        self.line(level, "note", json!({"text": text}));
    }

    fn finished(&mut self, outcome: &Outcome) {
        self.line(Level::Info, "finished", outcome_fields(outcome));
    }
}

/// A bar on a terminal: points while reading, passes while fitting.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    max_passes: u64,
    fitting: bool,
}

impl Bar {
    /// On stderr.
    pub fn new(max_passes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {msg}"));
        Self { bar, max_passes, fitting: false }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are lawful")
}

impl Observer for Bar {
    fn started(&mut self, about: &About) {
        self.bar.println(summary(about));
        self.bar.set_length(about.n_points);
        let reading = style("reading  [{bar:30}] {human_pos}/{human_len} points, {rate}, {eta} left");
        self.bar.set_style(reading.with_key("rate", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            // What cannot be drawn is not drawn.
            let _ = write!(text, "{:.1} M points/s", state.per_sec() / 1e6);
        }));
    }

    fn resumed(&mut self, resumed: &Resumed) {
        self.bar.println(going_on(resumed));
    }

    fn loading(&mut self, points_done: u64, points_total: u64) {
        self.bar.set_length(points_total);
        self.bar.set_position(points_done);
    }

    fn iteration(&mut self, record: &PassRecord) {
        if !self.fitting {
            self.fitting = true;
            self.bar.set_style(style("fitting  [{bar:30}] pass {pos} of at most {len}, {msg}"));
            self.bar.set_length(self.max_passes);
            self.bar.reset();
        }
        self.bar.set_position(record.iteration.pass);
        self.bar.set_message(format!("cost {}, {} M points/s", number(record.iteration.cost), rate(record)));
    }

    fn note(&mut self, level: Level, text: &str) {
        self.bar.println(match level {
            Level::Info => text.to_string(),
            _ => format!("{}: {text}", level.name()),
        });
    }

    fn finished(&mut self, outcome: &Outcome) {
        self.bar.finish_and_clear();
        let _ = writeln!(std::io::stderr(), "{}", ending(outcome));
    }
}

impl Drop for Bar {
    /// An error message that follows must not share its line with a bar.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn percent(done: u64, total: u64) -> u64 {
    if total == 0 { 100 } else { (u128::from(done) * 100 / u128::from(total)) as u64 }
}

/// 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::history::{History, tests::record};
    use crate::report::result::tests::outcome;

    #[test]
    fn loading_is_paced() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let at = |ms| start + Duration::from_millis(ms);
        let due: Vec<bool> = [(0, 0), (100, 1), (1999, 5), (2001, 6), (2002, 10), (9000, 10)]
            .map(|(ms, done)| pace.is_due(at(ms), done, 10))
            .to_vec();
        assert_eq!(due, [true, false, false, true, true, false]);
    }

    #[test]
    fn plain_lines_say_what_happens() {
        let mut lines = PlainLines { sink: Vec::new(), pace: Pace::default() };
        lines.loading(10, 10);
        lines.iteration(&record(2));
        let mut scale = record(3);
        scale.iteration = nlsq_engine::summary::Iteration::without_point(3, Phase::Scale);
        lines.iteration(&scale);
        lines.note(Level::Warn, "worker 3 is gone");
        lines.finished(&outcome());
        let text = String::from_utf8(lines.sink).unwrap();
        assert_eq!(
            text,
            "read 10 of 10 points (100%)\n\
             pass    2  cost 5                 gradient 5.00e-1    step 2.50e-1    0.125 s, 0.0 M points/s  (step rejected)\n\
             pass    3  median of the residuals, for the scale of the loss        0.125 s, 0.0 M points/s\n\
             warn: worker 3 is gone\n\
             converged after 9 passes: xtol: step 1e-12 <= 1e-10\n"
        );
    }

    #[test]
    fn json_lines_are_objects() {
        let mut lines = JsonLines { sink: Vec::new(), pace: Pace::default() };
        lines.loading(1, 10);
        lines.iteration(&record(1));
        lines.finished(&outcome());
        let text = String::from_utf8(lines.sink).unwrap();
        let events: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_string())
            .collect();
        assert_eq!(events, ["loading", "pass", "finished"]);
    }

    #[test]
    fn everybody_hears_everything() {
        let (mut first, mut second) = (History::default(), History::default());
        Watchers(vec![&mut first, &mut second]).iteration(&record(1));
        assert!(!first.is_empty() && !second.is_empty());
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(percent(1, 3), 33);
    }
}
