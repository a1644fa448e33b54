//! history.parquet: one row a pass.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::outcome::{Observer, PassRecord, Resumed};
use nlsq_engine::summary::Phase;

/// Collects the passes of a fit.
#[derive(Debug, Default)]
pub struct History {
    records: Vec<PassRecord>,
}

impl Observer for History {
    fn resumed(&mut self, resumed: &Resumed) {
        self.records.clone_from(&resumed.rows);
    }

    fn iteration(&mut self, record: &PassRecord) {
        self.records.push(record.clone());
    }
}

/// The phase as result.json and history.parquet write it.
pub fn phase_name(phase: Phase) -> String {
    let json = serde_json::to_string(&phase).expect("a phase is a word");
    json.trim_matches('"').to_string()
}

impl History {
    /// Whether there was no pass.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Writes all passes.
    pub fn write<W: Write + Send>(&self, sink: W) -> Result<(), ParquetError> {
        let counts = |of: fn(&PassRecord) -> u64| -> ArrayRef {
            Arc::new(self.records.iter().map(of).map(Some).collect::<UInt64Array>())
        };
        let numbers = |of: fn(&PassRecord) -> f64| -> ArrayRef {
            Arc::new(self.records.iter().map(of).map(Some).collect::<Float64Array>())
        };
        let phases: StringArray = self.records.iter().map(|r| Some(phase_name(r.iteration.phase))).collect();
        let accepted: BooleanArray = self.records.iter().map(|r| Some(r.iteration.accepted)).collect();
        let batch = RecordBatch::try_from_iter([
            ("pass", counts(|r| r.iteration.pass)),
            ("phase", Arc::new(phases)),
            ("cost", numbers(|r| r.iteration.cost)),
            ("gradient_norm", numbers(|r| r.iteration.gradient_norm)),
            ("step_norm", numbers(|r| r.iteration.step_norm)),
            ("damping", numbers(|r| r.iteration.damping)),
            ("radius", numbers(|r| r.iteration.radius)),
            ("accepted", Arc::new(accepted)),
            ("seconds", numbers(|r| r.seconds)),
            ("points", counts(|r| r.points)),
        ])?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = ArrowWriter::try_new(sink, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use nlsq_engine::summary::Iteration;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    pub(crate) fn record(pass: u64) -> PassRecord {
        let iteration = Iteration {
            pass,
            phase: Phase::Refine,
            cost: 10.0 / pass as f64,
            gradient_norm: 0.5,
            step_norm: 0.25,
            damping: 0.0,
            radius: 100.0,
            accepted: pass != 2,
        };
        PassRecord { iteration, seconds: 0.125, points: 1000 }
    }

    #[test]
    fn one_row_a_pass() {
        let mut history = History::default();
        assert!(history.is_empty());
        (1..=3).for_each(|pass| history.iteration(&record(pass)));
        let mut file = tempfile::tempfile().unwrap();
        history.write(&mut file).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(
            rows[1],
            "{pass: 2, phase: \"refine\", cost: 5.0, gradient_norm: 0.5, step_norm: 0.25, damping: 0E0, radius: 100.0, accepted: false, seconds: 0.125, points: 1000}"
        );
    }

    #[test]
    fn no_pass_is_a_lawful_file() {
        let mut file = tempfile::tempfile().unwrap();
        History::default().write(&mut file).unwrap();
        assert_eq!(SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows(), 0);
    }
}
