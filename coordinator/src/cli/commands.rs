//! The commands that do not fit.

use std::fmt::Write as _;
use std::path::Path;

use nlsq_engine::data::describe::{FileDescription, describe};
use nlsq_engine::data::spec::CsvOptions;
use nlsq_engine::data::table::Field;
use nlsq_engine::expr::Model;
use nlsq_engine::models::{self, Builtin};
use nlsq_engine::tape::Tape;

use super::check::bytes_text;
use super::output::print;
use super::{Failure, JobArgs, Target, fit};
use crate::checkpoint;
use crate::config::settings::Settings;
use crate::config::{JobError, keys, read_model};
use crate::progress::grouped;
use crate::report::result::RunResult;
use crate::report::text::{self, number};
use crate::run_dir::{REPORT, RESULT, replace};

pub(super) fn inspect(file: &Path, csv: Option<&str>) -> Result<u8, Failure> {
    if checkpoint::is_checkpoint(file) {
        if csv.is_some() {
            return Err(JobError::usage(format!("--csv is for datasets; {} is a checkpoint", file.display())).into());
        }
        let described = checkpoint::describe(file);
        let described = described.map_err(|e| JobError::usage(format!("cannot read {}: {e}", file.display())))?;
        return print(&described.map_err(JobError::usage)?).map(|()| 0);
    }
    let csv = csv.map_or(Ok(CsvOptions::default()), CsvOptions::parse).map_err(JobError::from)?;
    let description = describe(file, &csv).map_err(JobError::from)?;
    print(&describe_file(&description)).map(|()| 0)
}

fn describe_file(file: &FileDescription) -> String {
    let mut text = format!("{}: {}, {}\n", file.path.display(), file.format.name(), bytes_text(u128::from(file.bytes)));
    let width = |of: fn(&Field) -> usize| file.fields.iter().map(of).max().unwrap_or(0);
    let (name_width, type_width) = (width(|f| f.name.chars().count()), width(|f| f.type_name.chars().count()));
    for field in &file.fields {
        let columns = field.width.map(|width| format!(" x {width} columns")).unwrap_or_default();
        let _ = write!(
            text,
            "  {:<name_width$}  {:<type_width$}  {} rows{columns}",
            field.name,
            field.type_name,
            grouped(field.rows)
        );
        let more = [field.storage.as_str(), field.refusal.as_deref().unwrap_or_default()];
        for part in more.iter().filter(|part| !part.is_empty()) {
            let _ = write!(text, "  {part}");
        }
        text.push('\n');
    }
    for note in &file.notes {
        let _ = writeln!(text, "  {note}");
    }
    text
}

pub(super) fn models(name: Option<&str>) -> Result<u8, Failure> {
    let text = match name {
        Some(name) => describe_model(&models::find(name).map_err(|error| JobError::usage(error.to_string()))?),
        None => models::all().iter().map(|model| format!("{:<22} {}\n", model.name(), formula(model))).collect(),
    };
    print(&text).map(|()| 0)
}

fn formula(model: &Builtin) -> String {
    model.expression("x").expect("no built-in model has a parameter called x")
}

fn describe_model(model: &Builtin) -> String {
    let mut text = format!("{}: {}\n  f(x) = {}\n\nparameters\n", model.name(), model.description(), formula(model));
    let width = model.parameters().iter().map(|p| p.name.len()).max().unwrap_or(0);
    for parameter in model.parameters() {
        let bounds = match (parameter.min.is_finite(), parameter.max.is_finite()) {
            (false, false) => String::new(),
            _ => format!(" [{}, {}]", number(parameter.min), number(parameter.max)),
        };
        let _ = writeln!(text, "  {:<width$}  {}{bounds}", parameter.name, parameter.meaning);
    }
    let _ = writeln!(text, "\nsource\n  {}", model.source());
    text
}

pub(super) fn kernel(target: Target, arguments: &JobArgs) -> Result<u8, Failure> {
    let name = match target {
        Target::Tape => {
            let settings = Settings::read(arguments.job_file.as_deref(), &arguments.flags)?;
            let (_, model) = read_model(&settings)?;
            let mut outputs = vec![model.value()];
            outputs.extend(model.slopes());
            let tape = Tape::new(model.graph(), &outputs);
            return print(&format!("{}{}\n", legend(&model), tape.to_string().trim_end())).map(|()| 0);
        }
        Target::Native => "native",
        Target::Cuda => "cuda",
    };
    Err(JobError::usage(format!("--target {name}: this build generates no such code; expected --target tape")).into())
}

/// What the numbered names of generated code stand for.
fn legend(model: &Model) -> String {
    let mut text = format!("# out0 = f = {}\n", model.expression());
    for (index, name) in model.variables().iter().enumerate() {
        let _ = writeln!(text, "# x{index} = {name}");
    }
    for (index, name) in model.parameters().iter().enumerate() {
        let _ = writeln!(text, "# theta{index} = {name}, out{} = df/d{name}", index + 1);
    }
    text
}

pub(super) fn report(run_dir: &Path) -> Result<u8, Failure> {
    let path = run_dir.join(RESULT);
    let refuse = |why: String| {
        JobError::usage(format!("cannot read {}: {why}; expected the directory of a run", path.display()))
    };
    let json = std::fs::read_to_string(&path).map_err(|error| refuse(error.to_string()))?;
    let result = RunResult::from_json(&json).map_err(refuse)?;
    let text = text::render(&result, &fit::files(run_dir));
    let target = run_dir.join(REPORT);
    replace(&target, text.as_bytes())
        .map_err(|error| JobError::usage(format!("cannot write {}: {error}", target.display())))?;
    print(&text).map(|()| 0)
}

pub(super) fn manual() -> Result<u8, Failure> {
    print(&keys::manual()).map(|()| 0)
}
