//! Bad input gives one clear message that says what, where and what was expected; exit code 2; nothing on stdout; nothing
//! written or written over.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use crate::program::{nlsq, snapshot};

/// Files that every case may use; `good.csv` fits `a*exp(-b*t)` well.
fn write_files(dir: &Path) {
    let write = |name: &str, content: &str| std::fs::write(dir.join(name), content).unwrap();
    let rows = |bad: &dyn Fn(usize) -> Option<&'static str>| {
        let mut text = String::from("t,y,err,keep\n");
        for i in 0..20 {
            let t = i as f64 / 10.0;
            let line = format!("{t},{},0.1,1", 2.0 * (-1.5 * t).exp() + 1e-3 * ((i * 7 % 5) as f64 - 2.0));
            let _ = writeln!(text, "{}", bad(i).map_or(line, String::from));
        }
        text
    };
    write("good.csv", &rows(&|_| None));
    write("ragged.csv", &rows(&|i| (i == 6).then_some("0.6,0.8")));
    write("word.csv", &rows(&|i| (i == 6).then_some("0.6,many,0.1,1")));
    write("nan_x.csv", &rows(&|i| (i == 6).then_some("nan,0.8,0.1,1")));
    write("empty_cell.csv", &rows(&|i| (i == 6).then_some("0.6,,0.1,1")));
    write("sigma_zero.csv", &rows(&|i| (i == 6).then_some("0.6,0.8,0,1")));
    write("sigma_negative.csv", &rows(&|i| (i == 6).then_some("0.6,0.8,-0.1,1")));
    write("all_masked.csv", &rows(&|_| Some("0.5,0.8,0.1,0")));
    write("one_row.csv", "t,y,err,keep\n0.1,0.8,0.1,1\n");
    write("two_used.csv", "t,y,err,keep\n0.1,0.8,0.1,1\n0.2,0.7,0.1,1\n0.3,0.6,0.1,0\n");
    write("no_rows.csv", "t,y,err,keep\n");
    write("no_bytes.csv", "");
    write("twice.csv", "t,t,y\n1,2,3\n2,3,4\n3,4,5\n");
    write("other.csv", "time,value\n1,2\n2,3\n3,4\n");
    write("data.xyz", "1 2 3\n");
    write("not_parquet.parquet", "t,y\n1,2\n");
    write("not_numpy.npy", "t,y\n1,2\n");
    write("not_zip.npz", "t,y\n1,2\n");
    write("plain", "a file, not a directory\n");
    std::fs::create_dir(dir.join("folder.csv")).unwrap();
    std::fs::create_dir(dir.join("done")).unwrap();
    write("done/result.json", "{\"schema\": 1}\n");
    std::fs::create_dir(dir.join("future")).unwrap();
    write("future/result.json", "{\"schema\": 99}\n");
    write_parquet(dir);
    std::fs::write(dir.join("short.npy"), npy(20)).unwrap();
    std::fs::write(dir.join("long.npy"), npy(25)).unwrap();
    std::fs::write(dir.join("cut.npy"), &npy(20)[..200]).unwrap();
    write_jobs(&write);
}

fn write_parquet(dir: &Path) {
    let numbers: Float64Array = (0..1000).map(|i| Some(f64::from(i) / 100.0)).collect();
    let words: StringArray = (0..1000).map(|i| Some(format!("point {i}"))).collect();
    let batch = RecordBatch::try_from_iter([
        ("t", Arc::new(numbers.clone()) as _),
        ("y", Arc::new(numbers) as _),
        ("label", Arc::new(words) as _),
    ])
    .unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    std::fs::write(dir.join("good.parquet"), &bytes).unwrap();
    std::fs::write(dir.join("cut.parquet"), &bytes[..bytes.len() / 2]).unwrap();
}

/// A .npy file of n numbers, format version 1.0.
fn npy(n: usize) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({n},), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend((0..n).flat_map(|i| (i as f64).to_le_bytes()));
    bytes
}

fn write_jobs(write: &dyn Fn(&str, &str)) {
    let job = "[model]\nexpression = \"a*exp(-b*t)\"\n[data]\nfiles = [\"good.csv\"]\nx = [\"t\"]\ny = \"y\"\n\
               [parameters]\na = { start = 1.0 }\nb = { start = 1.0 }\n[fit]\nxtol = 1e-10\n";
    let change = |name: &str, from: &str, to: &str| {
        assert!(job.contains(from));
        write(name, &job.replace(from, to));
    };
    write("job.toml", job);
    change("unknown_key.toml", "xtol", "xtoll");
    change("unknown_table.toml", "[fit]", "[fitt]");
    change("wrong_type.toml", "1e-10", "\"small\"");
    change("key_twice.toml", "xtol = 1e-10", "xtol = 1e-10\nxtol = 1e-9");
    let grouped = |groups: &str| format!("xtol = 1e-10\n[fit.hybrid]\n{groups}");
    change("group_unknown.toml", "xtol = 1e-10", &grouped("groups = [\"a,c\"]"));
    change("group_of_one.toml", "xtol = 1e-10", &grouped("groups = [\"a\"]"));
    change("price_of_nothing.toml", "xtol = 1e-10", &grouped("group_variance = 0.1"));
    change("broken.toml", "xtol = 1e-10", "xtol = = 1");
    change("bad_model.toml", "exp(-b*t)", "exp(-b*t");
    change("no_start.toml", "b = { start = 1.0 }\n", "");
    change("reversed.toml", "b = { start = 1.0 }", "b = { start = 1.0, min = 3, max = 2 }");
}

/// Name of the case, arguments, what the message must contain.
type Case = (&'static str, &'static str, &'static [&'static str]);

/// The flags of a good fit with one thing changed stand in the cases, so that each can be read alone.
const CASES: &[Case] = &[
    // command line
    ("no command", "", &["Usage"]),
    ("check has no json", "check job.toml --json", &["--json", "expected it with fit"]),
    (
        "more threads than there can be",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --threads 1000000",
        &["--threads", "1000000", "expected 1 to 4096"],
    ),
    ("unknown command", "refit run", &["refit"]),
    ("no run to resume", "resume run", &["is no directory", "expected that of a run"]),
    ("unknown flag", "fit --xtoll 1", &["--xtoll", "--xtol"]),
    ("flag twice", "fit --xtol 1 --xtol 2", &["--xtol", "multiple times"]),
    ("flag without value", "fit --xtol", &["--xtol", "value"]),
    ("flag as value", "fit --y --sigma err", &["--y", "--sigma"]),
    (
        "tolerance negative",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --gtol -1",
        &["--gtol", "\"-1\"", "0 or above"],
    ),
    ("tolerance not a number", "fit --xtol nan", &["--xtol", "nan", "finite number"]),
    ("no passes", "fit --max-passes 0", &["--max-passes", "1 or above"]),
    ("no threads", "fit --threads 0", &["--threads", "1 or above"]),
    ("tile not a multiple", "fit --tile-points 1000", &["--tile-points", "2048", "1000"]),
    ("loss scale zero", "fit --loss-scale 0", &["--loss-scale", "above 0"]),
    ("unknown loss", "fit --loss l1", &["--loss", "l1", "soft_l1"]),
    ("unknown method", "fit --method newton", &["--method", "newton", "hybrid"]),
    ("no such device", "fit --device cuda", &["--device", "CUDA"]),
    ("workers reversed", "fit --workers 8..4", &["--workers", "8..4", "MIN..MAX"]),
    (
        "listen without workers",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --listen 127.0.0.1:0",
        &["--listen", "--workers"],
    ),
    (
        "listen without port",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --listen here --workers 1",
        &["--listen", "here", "HOST:PORT"],
    ),
    (
        "rendezvous without workers",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --rendezvous meeting",
        &["--rendezvous", "--workers"],
    ),
    (
        "rendezvous and token file",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --workers 1 --rendezvous meeting --token-file secret",
        &["--rendezvous", "--token-file", "expected one of them"],
    ),
    (
        "rendezvous in no folder",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --workers 1 --rendezvous nowhere/meeting",
        &["rendezvous file", "nowhere/meeting"],
    ),
    (
        "placement of one",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --placement scattered",
        &["--placement", "--workers"],
    ),
    ("sigma and weights", "fit --sigma a --weights b", &["--sigma", "--weights", "exclude"]),
    ("model and builtin", "fit --model a*t --builtin gaussian", &["--model", "--builtin", "exclude"]),
    (
        "absolute without sigma",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --absolute-sigma",
        &["absolute_sigma", "--sigma"],
    ),
    (
        "lm with bounds",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --bounds a=0: --method lm",
        &["lm", "bounds", "\"a\""],
    ),
    (
        "lm with loss",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --loss huber --method lm",
        &["lm", "loss", "huber"],
    ),
    ("no starts at all", "fit --starts 0", &["--starts", "1 or above"]),
    ("seed not a number", "fit --seed many", &["--seed", "many", "whole number"]),
    (
        "more starts than there can be",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --starts 1000000",
        &["starts", "1000000", "expected 1 to 10000"],
    ),
    (
        "global without bounds",
        "fit --data good.csv --x t --y y --model a*exp(-b*t) --p0 a=1,b=1 --bounds a=0:5,b=0: --method global",
        &["global", "\"b\"", "[0, inf]", "two finite"],
    ),
    (
        "global with starts",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --bounds a=0:5 --method global --starts 3",
        &["global", "--starts"],
    ),
    (
        "profile of unknown",
        "fit --data good.csv --x t --y y --model a*exp(-b*t) --p0 a=1,b=1 --profile a,c",
        &["profile", "\"c\"", "a, b"],
    ),
    (
        "profile of fixed",
        "fit --data good.csv --x t --y y --model a*exp(-b*t) --p0 a=1 --fix b=1 --profile b",
        &["profile", "\"b\"", "fixed"],
    ),
    (
        "profile twice",
        "fit --data good.csv --x t --y y --model a*exp(-b*t) --p0 a=1,b=1 --profile a,a",
        &["profile", "\"a\"", "twice"],
    ),
    ("profile of nothing", "fit --profile a,,b", &["--profile", "list of names"]),
    ("job file after data", "fit --data good.csv job.toml", &["job.toml", "before the flags"]),
    // model
    ("no model", "fit --data good.csv --x t --y y", &["no model", "--model"]),
    ("unknown function", "fit --data good.csv --x t --y y --model 'a*expp(-b*t)' --p0 a=1,b=1", &["expp", "exp"]),
    (
        "unbalanced parenthesis",
        "fit --data good.csv --x t --y y --model 'a*exp(-b*t' --p0 a=1,b=1",
        &["never closed", "a*exp(-b*t"],
    ),
    ("empty model", "fit --data good.csv --x t --y y --model '' --p0 a=1", &["--model"]),
    ("model without parameter", "fit --data good.csv --x t --y y --model '2*t'", &["2*t", "no parameter"]),
    ("unknown builtin", "fit --data good.csv --x t --y y --builtin gausian --p0 auto", &["gausian", "gaussian"]),
    (
        "builtin of two variables",
        "fit --data good.csv --x t,err --y y --builtin gaussian --p0 auto",
        &["gaussian", "one variable"],
    ),
    ("unknown model listed", "models gausian", &["gausian", "gaussian"]),
    // parameters
    (
        "unknown parameter",
        "fit --data good.csv --x t --y y --model 'amp*exp(-b*t)' --p0 amp=1,b=1,amq=2",
        &["\"amq\"", "amp, b"],
    ),
    ("missing start", "fit --data good.csv --x t --y y --model 'a*exp(-b*t)' --p0 a=1", &["no start", "\"b\"", "a, b"]),
    ("no starts", "fit --data good.csv --x t --y y --model 'a*exp(-b*t)'", &["no start", "\"a\"", "\"b\""]),
    (
        "start not a number",
        "fit --data good.csv --x t --y y --model a*t --p0 a=one",
        &["--p0", "\"a\"", "one", "finite number"],
    ),
    ("start infinite", "fit --data good.csv --x t --y y --model a*t --p0 a=inf", &["--p0", "inf", "finite number"]),
    ("start without value", "fit --data good.csv --x t --y y --model a*t --p0 a", &["--p0", "item 1", "NAME=NUMBER"]),
    ("start twice", "fit --data good.csv --x t --y y --model a*t --p0 a=1,a=2", &["--p0", "\"a\"", "twice"]),
    ("bounds reversed", "fit --data good.csv --x t --y y --model a*t --p0 a=1 --bounds a=3:2", &["\"a\"", "reversed"]),
    (
        "bounds without colon",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --bounds a=3",
        &["--bounds", "\"a\"", "MIN:MAX"],
    ),
    (
        "bounds of unknown",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --bounds z=3:4",
        &["\"z\"", "it has a"],
    ),
    (
        "start outside bounds",
        "fit --data good.csv --x t --y y --model a*t --p0 a=1 --bounds a=2:3",
        &["\"a\"", "outside", "[2, 3]"],
    ),
    ("nothing free", "fit --data good.csv --x t --y y --model a*t --fix a=1", &["no free parameter"]),
    ("auto without builtin", "fit --data good.csv --x t --y y --model a*t --p0 auto", &["auto", "built-in"]),
    (
        "more parameters than points",
        "fit --data one_row.csv --x t --y y --model a*t+b --p0 a=1,b=1",
        &["1 point", "2 free parameters"],
    ),
    (
        "more parameters than used points",
        "fit --data two_used.csv --x t --y y --mask keep --model a*t+b --p0 a=1,b=1",
        &["2", "free parameters"],
    ),
    // columns
    ("no data", "fit --x t --y y --model a*t --p0 a=1", &["no data", "--data"]),
    ("no x", "fit --data good.csv --y y --model a*t --p0 a=1", &["--x"]),
    ("no y", "fit --data good.csv --x t --model a*t --p0 a=1", &["--y"]),
    ("unknown column x", "fit --data good.csv --x tt --y y --model a*tt --p0 a=1", &["tt", "good.csv"]),
    ("unknown column y", "fit --data good.csv --x t --y yy --model a*t --p0 a=1", &["yy"]),
    ("unknown mask", "fit --data good.csv --x t --y y --mask kept --model a*t --p0 a=1", &["kept", "keep"]),
    ("variable twice", "fit --data good.csv --x t,t --y y --model a*t --p0 a=1", &["\"t\"", "twice"]),
    (
        "unlawful variable",
        "fit --data good.csv --x 'Time (s)' --y y --model a*t --p0 a=1",
        &["Time (s)", "NAME=SOURCE"],
    ),
    ("column twice in the file", "fit --data twice.csv --x t --y y --model a*t --p0 a=1", &["twice.csv", "t"]),
    ("csv options", "fit --data good.csv --csv 'separator=;' --x t --y y --model a*t --p0 a=1", &["separator", "sep="]),
    ("text column", "fit --data good.parquet --x t --y label --model a*t --p0 a=1", &["label", "good.parquet"]),
    // files
    ("missing file", "fit --data nowhere.csv --x t --y y --model a*t --p0 a=1", &["nowhere.csv"]),
    ("glob of nothing", "fit --data 'nowhere/*.csv' --x t --y y --model a*t --p0 a=1", &["nowhere/*.csv"]),
    ("file twice", "fit --data good.csv good.csv --x t --y y --model a*t --p0 a=1", &["good.csv", "twice"]),
    ("unknown extension", "fit --data data.xyz --x t --y y --model a*t --p0 a=1", &["data.xyz", ".parquet"]),
    ("directory as data", "fit --data folder.csv --x t --y y --model a*t --p0 a=1", &["folder.csv", "director"]),
    ("empty file", "fit --data no_bytes.csv --x t --y y --model a*t --p0 a=1", &["no_bytes.csv", "empty"]),
    ("zero rows", "fit --data no_rows.csv --x t --y y --model a*t --p0 a=1", &["no_rows.csv", "row"]),
    ("truncated parquet", "fit --data cut.parquet --x t --y y --model a*t --p0 a=1", &["cut.parquet"]),
    (
        "text called parquet",
        "fit --data not_parquet.parquet --x t --y y --model a*t --p0 a=1",
        &["not_parquet.parquet"],
    ),
    ("text called npy", "fit --data not_numpy.npy --x c0 --y c1 --model a*c0 --p0 a=1", &["not_numpy.npy"]),
    ("text called npz", "fit --data not_zip.npz --x t --y y --model a*t --p0 a=1", &["not_zip.npz"]),
    ("truncated npy", "fit --x t=cut.npy --y y=short.npy --model a*t --p0 a=1", &["cut.npy"]),
    ("columns of unequal length", "fit --x t=short.npy --y y=long.npy --model a*t --p0 a=1", &["20", "25"]),
    ("schemas differ", "fit --data good.csv other.csv --x t --y y --model a*t --p0 a=1", &["other.csv", "t"]),
    ("ragged csv", "fit --data ragged.csv --x t --y y --model a*t --p0 a=1", &["ragged.csv", "8"]),
    // values
    ("text in a number column", "fit --data word.csv --x t --y y --model a*t --p0 a=1", &["word.csv", "many", "y"]),
    ("nan in x", "fit --data nan_x.csv --x t --y y --model a*t --p0 a=1", &["nan_x.csv", "row 7", "t"]),
    ("null in y", "fit --data empty_cell.csv --x t --y y --model a*t --p0 a=1", &["empty_cell.csv", "row 7", "y"]),
    (
        "sigma zero",
        "fit --data sigma_zero.csv --x t --y y --sigma err --model a*t --p0 a=1",
        &["sigma_zero.csv", "row 7", "err"],
    ),
    (
        "sigma negative",
        "fit --data sigma_negative.csv --x t --y y --sigma err --model a*t --p0 a=1",
        &["row 7", "err", "-0.1"],
    ),
    ("weight zero", "fit --data sigma_zero.csv --x t --y y --weights err --model a*t --p0 a=1", &["row 7", "err"]),
    ("all masked", "fit --data all_masked.csv --x t --y y --mask keep --model a*t --p0 a=1", &["0", "free parameter"]),
    // job file
    ("missing job file", "fit nowhere.toml", &["nowhere.toml"]),
    ("directory as job file", "fit done", &["done", "directory"]),
    ("unknown key", "fit unknown_key.toml", &["unknown_key.toml, line 11", "\"xtoll\"", "\"xtol\""]),
    ("unknown table", "fit unknown_table.toml", &["line 10", "\"fitt\"", "\"fit\""]),
    ("wrong type", "fit wrong_type.toml", &["line 11", "fit.xtol", "expected a finite number", "\"small\""]),
    ("key twice", "fit key_twice.toml", &["key_twice.toml, line 12", "duplicate key"]),
    ("group of a stranger", "fit group_unknown.toml", &["line 13", "\"c\"", "the parameters are a, b"]),
    ("group of one", "fit group_of_one.toml", &["line 13", "at least two"]),
    ("price without groups", "fit price_of_nothing.toml", &["line 13", "fit.hybrid.groups"]),
    ("broken toml", "fit broken.toml", &["broken.toml, line 11"]),
    ("bad model in the file", "fit bad_model.toml", &["never closed"]),
    ("missing start in the file", "fit no_start.toml", &["no start", "\"b\""]),
    ("bounds reversed in the file", "fit reversed.toml", &["reversed.toml, line 9", "reversed"]),
    // output and other commands
    ("output holds a result", "fit job.toml --out done", &["done", "already holds a result", "--overwrite"]),
    ("output below a file", "fit job.toml --out plain/run", &["plain/run", "output directory"]),
    ("output is a file", "fit job.toml --out plain", &["plain", "output directory"]),
    ("overwrite keeps the old on a bad job", "fit job.toml --data nan_x.csv --out done --overwrite", &["nan_x.csv"]),
    ("report of nothing", "report nowhere", &["nowhere/result.json"]),
    ("report of another schema", "report future", &["result.json", "schema 99"]),
    ("inspect nothing", "inspect nowhere.csv", &["nowhere.csv"]),
    ("check of bad data", "check job.toml --data nan_x.csv", &["nan_x.csv", "row 7"]),
    ("no native code", "kernel job.toml --target native", &["native", "tape"]),
    ("no cuda code", "kernel job.toml --target cuda", &["cuda", "tape"]),
];

#[test]
fn each_is_refused_with_one_clear_message() {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path());
    let before = snapshot(dir.path());
    let mut failures = String::new();
    for (name, line, fragments) in CASES {
        let answer = nlsq(dir.path(), line);
        let mut faults = Vec::new();
        if answer.code != Some(2) {
            faults.push(format!("exit code {:?}, expected 2", answer.code));
        }
        if !answer.stdout.is_empty() {
            faults.push(format!("stdout holds {:?}", answer.stdout));
        }
        let messages = answer.stderr.matches("error: ").count();
        // without any argument the help is the message
        if messages != 1 && !line.is_empty() {
            faults.push(format!("{messages} messages, expected 1"));
        }
        let missing = fragments.iter().filter(|fragment| !answer.stderr.contains(*fragment));
        faults.extend(missing.map(|fragment| format!("the message lacks {fragment:?}")));
        if snapshot(dir.path()) != before {
            faults.push("files were written".into());
        }
        if !faults.is_empty() {
            let _ = writeln!(failures, "{name}: {}\n  $ {line}\n{}", faults.join("; "), answer.stderr);
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[cfg(feature = "hdf5")]
#[test]
fn faults_of_hdf5_files_are_told_once_and_by_us() {
    use nlsq_engine::data::write::{ColumnKind, TableWriter, WriteColumn, WriteOptions};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scan.h5");
    let columns = ["time", "counts"].map(|name| WriteColumn { name: name.into(), kind: ColumnKind::F64 });
    let mut writer = TableWriter::create(&path, &columns, &WriteOptions::default()).unwrap();
    let numbers: Vec<f64> = (0..100).map(f64::from).collect();
    writer.push(&[&numbers, &numbers]).unwrap();
    writer.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(dir.path().join("cut.h5"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(dir.path().join("text.h5"), "not HDF5").unwrap();
    for (line, fragments) in [
        ("fit --data scan.h5 --x t=/entry/time --y /counts --model a*t --p0 a=1", ["/entry/time", "time"]),
        ("fit --data scan.h5 --x t=/time --y /entry/counts --model a*t --p0 a=1", ["/entry/counts", "counts"]),
        ("fit --data cut.h5 --x t=/time --y /counts --model a*t --p0 a=1", ["cut.h5", "cut short"]),
        ("fit --data text.h5 --x t=/time --y /counts --model a*t --p0 a=1", ["text.h5", "HDF5"]),
    ] {
        let answer = nlsq(dir.path(), line);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""), "{answer:?}");
        for fragment in fragments {
            assert!(answer.stderr.contains(fragment), "{line}: {}", answer.stderr);
        }
        assert_eq!(answer.stderr.matches("rror: ").count(), 1, "the C library prints nothing: {}", answer.stderr);
    }
    assert_eq!(nlsq(dir.path(), "fit --data scan.h5 --x t=/time --y /counts --model a*t --p0 a=2").code, Some(0));
}
