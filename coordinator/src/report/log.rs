//! log.jsonl: what happened, one JSON object a line, written as it happens.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::history::phase_name;
use super::result::status_name;
use crate::clock::Utc;
use crate::outcome::{About, Kept, Level, Observer, Outcome, PassRecord, Resumed};

/// Writes events as lines; the first failure to write is kept for the end.
#[derive(Debug)]
pub struct Log<W: Write> {
    sink: W,
    failed: Option<io::Error>,
    clock: fn() -> Utc,
}

impl<W: Write> Log<W> {
    /// Onto this sink.
    pub fn new(sink: W) -> Self {
        Self { sink, failed: None, clock: Utc::now }
    }

    /// Ends the log; the error is the first that occurred.
    pub fn finish(mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.sink.flush(),
        }
    }

    fn line(&mut self, level: Level, event: &str, fields: Value) {
        if self.failed.is_none() {
            let line = object((self.clock)(), level, event, fields);
            // one write a line, flushed: whoever follows the file sees whole lines
            let written = self.sink.write_all(line.as_bytes()).and_then(|()| self.sink.flush());
            self.failed = written.err();
        }
    }
}

/// `{"time": ..., "level": ..., "event": ..., fields}` and a line break.
pub fn object(time: Utc, level: Level, event: &str, fields: Value) -> String {
    // the three that a person looks for stand first; none of them needs escaping
    let mut line = format!("{{\"time\":\"{}\",\"level\":\"{}\",\"event\":\"{event}\"", time.iso(), level.name());
    if let Value::Object(fields) = fields {
        for (key, value) in fields {
            line += &format!(",\"{key}\":{value}");
        }
    }
    line + "}\n"
}

/// What one pass says.
pub fn pass_fields(record: &PassRecord) -> Value {
    let it = &record.iteration;
    json!({
        "pass": it.pass, "phase": phase_name(it.phase), "cost": it.cost, "gradient_norm": it.gradient_norm,
        "step_norm": it.step_norm, "damping": it.damping, "radius": it.radius, "accepted": it.accepted,
        "seconds": record.seconds, "points": record.points,
    })
}

/// What the start says.
pub fn about_fields(about: &About) -> Value {
    let parameters: Vec<Value> =
        about.parameters.iter().map(|(name, start)| json!({"name": name, "start": start})).collect();
    json!({
        "model": about.model, "parameters": parameters, "n_points": about.n_points, "tiles": about.tiles,
        "workers": about.workers, "device": about.device,
    })
}

/// What a run that goes on says.
pub fn resumed_fields(resumed: &Resumed) -> Value {
    let last = resumed.rows.last().map(|row| &row.iteration);
    json!({
        "file": resumed.path.display().to_string(), "pass": resumed.rows.len(),
        "phase": last.map(|it| phase_name(it.phase)), "cost": last.map(|it| it.cost),
    })
}

/// What the end says.
pub fn outcome_fields(outcome: &Outcome) -> Value {
    json!({
        "status": status_name(outcome.status), "reason": outcome.reason, "cost": outcome.cost, "passes": outcome.passes,
        "n_used": outcome.counts.used, "seconds": outcome.seconds.total,
    })
}

impl<W: Write> Observer for Log<W> {
    fn started(&mut self, about: &About) {
        self.line(Level::Info, "started", about_fields(about));
    }

    fn resumed(&mut self, resumed: &Resumed) {
        self.line(Level::Info, "resumed", resumed_fields(resumed));
    }

    fn kept(&mut self, kept: &Kept) {
        let path = kept.path.display().to_string();
        let fields = json!({"pass": kept.pass, "file": path, "bytes": kept.bytes, "seconds": kept.seconds});
        self.line(Level::Info, "checkpoint", fields);
    }

    fn loading(&mut self, points_done: u64, points_total: u64) {
        if points_done == points_total {
            self.line(Level::Info, "loaded", json!({"points": points_total}));
        }
    }

    fn iteration(&mut self, record: &PassRecord) {
        self.line(Level::Info, "pass", pass_fields(record));
    }

    fn note(&mut self, level: Level, text: &str) {
        self.line(level, "note", json!({"text": text}));
    }

    fn finished(&mut self, outcome: &Outcome) {
        for warning in &outcome.warnings {
            self.line(Level::Warn, "warning", json!({"text": warning}));
        }
        self.line(Level::Info, "finished", outcome_fields(outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{history::tests::record, result::tests::outcome};

    #[test]
    fn every_line_is_an_object_with_time_level_event() {
        let mut bytes = Vec::new();
        let mut log = Log::new(&mut bytes);
        let about = About {
            model: "a*x".into(),
            parameters: vec![("a".into(), 1.0)],
            n_points: 10,
            tiles: 1,
            workers: 1,
            device: "cpu".into(),
        };
        log.started(&about);
        log.loading(5, 10);
        log.loading(10, 10);
        log.iteration(&record(1));
        log.note(Level::Warn, "a \"quoted\"\nline");
        log.finished(&outcome());
        log.finish().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["started", "loaded", "pass", "note", "warning", "finished"]);
        for (line, text) in lines.iter().zip(text.lines()) {
            assert!(text.starts_with("{\"time\":\"20"), "{text}");
            assert!(line["level"].is_string());
        }
        assert_eq!(lines[2]["cost"], 10.0);
        assert_eq!(lines[3]["level"], "warn");
        assert_eq!(lines[3]["text"], "a \"quoted\"\nline");
    }
}
