//! What column texts stand for.

use super::*;
use crate::data::shard::load_tiles;
use crate::data::source::Weighting;
use crate::data::tile::NonFinite;
use crate::data::write::{ColumnKind, TableWriter, WriteColumn, WriteOptions};

/// Writes columns of f64.
pub(super) fn write(path: &Path, columns: &[(&str, &[f64])]) {
    let named: Vec<WriteColumn> =
        columns.iter().map(|(name, _)| WriteColumn { name: name.to_string(), kind: ColumnKind::F64 }).collect();
    let mut writer = TableWriter::create(path, &named, &WriteOptions::default()).unwrap();
    writer.push(&columns.iter().map(|(_, values)| *values).collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
}

fn read(spec: &DatasetSpec) -> Vec<Vec<f64>> {
    values(&Dataset::open(spec).unwrap()).unwrap()
}

#[test]
fn names_are_bound_to_columns() {
    let folder = folder();
    std::fs::write(folder.path().join("a.csv"), "Time (s),\"a,b\",n=1\n1,2,3\n").unwrap();
    let mut spec = spec(folder.path(), &["a.csv"], &["t='Time (s)',u='a,b'"], "n=1");
    assert_eq!(read(&spec), [[1.0], [2.0], [3.0]]);
    spec.y = "signal='n=1'".to_owned();
    let dataset = Dataset::open(&spec).unwrap();
    assert_eq!(dataset.layout().y, "signal");
    assert_eq!(dataset.layout().variables, ["t", "u"]);
    spec.x = vec!["Time (s)".to_owned()];
    assert_eq!(
        refusal(&spec),
        "\"Time (s)\" cannot be a name in the model; bind one to it, for instance --x \"t='Time (s)'\""
    );
    spec.x = vec!["t='Time (s)'".to_owned(), "t='a,b'".to_owned()];
    assert_eq!(refusal(&spec), "the variable t is given twice");
}

#[test]
fn files_may_stand_for_columns() {
    let folder = folder();
    write(&folder.path().join("t.npy"), &[("c0", &[1.0, 2.0, 3.0])]);
    write(&folder.path().join("y.csv"), &[("whatever", &[4.0, 5.0, 6.0])]);
    write(&folder.path().join("two.npy"), &[("a", &[4.0, 5.0]), ("b", &[6.0, 7.0])]);
    let mut alone = spec(folder.path(), &[], &["t=t.npy"], "y=y.csv");
    alone.sigma = Some("0.1*y + t".to_owned());
    assert_eq!(read(&alone), [vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0], vec![1.4, 2.5, 3.6]]);
    let dataset = Dataset::open(&alone).unwrap();
    assert_eq!(dataset.place(1).to_string(), "y.csv, row 2");
    assert_eq!(bits(&dataset, 1..2).unwrap()[0], [2f64.to_bits()]);
    // beside data files, and those come first
    write(&folder.path().join("data.parquet"), &[("t", &[7.0, 8.0, 9.0]), ("t.npy", &[0.0, 0.5, 1.0])]);
    let beside = spec(folder.path(), &["data.parquet"], &["t", "u=t.npy", "v=y.csv"], "t*2");
    assert_eq!(read(&beside), [[7.0, 8.0, 9.0], [0.0, 0.5, 1.0], [4.0, 5.0, 6.0], [14.0, 16.0, 18.0]]);
    let message = |x: &str, y: &str| refusal(&spec(folder.path(), &[], &[x], y));
    assert_eq!(
        message("t=t.npy", "y=two.npy"),
        "two.npy: it has 2 columns; a file that stands for a column has one (otherwise name it by --data)"
    );
    assert_eq!(
        message("t=x.npy", "y=y.csv"),
        "x: there is no file \"x.npy\", and no data files are given that could hold such a column"
    );
    write(&folder.path().join("short.npy"), &[("c0", &[1.0])]);
    assert_eq!(message("t=t.npy", "y=short.npy"), "columns have different lengths: short.npy has 1 rows, t.npy has 3");
}

#[test]
fn a_fault_in_a_joined_column_comes_after_the_rows_before_it() {
    let folder = folder();
    let t: Vec<f64> = (0..100_000).map(f64::from).collect();
    write(&folder.path().join("t.npy"), &[("c0", &t)]);
    let text: String = (0..100_000).map(|i| if i == 70_000 { "oops\n".to_owned() } else { format!("{i}\n") }).collect();
    std::fs::write(folder.path().join("y.csv"), format!("y\n{text}")).unwrap();
    let dataset = Dataset::open(&spec(folder.path(), &[], &["t=t.npy"], "y=y.csv")).unwrap();
    let mut seen = 0;
    let error = dataset
        .scan(0..100_000, &mut |block| {
            seen += block.columns[0].len();
            Ok(())
        })
        .unwrap_err();
    assert_eq!((seen, error.row), (70_000, Some(70_000)));
    assert_eq!(error.message, "y.csv, line 70002, column \"y\": \"oops\" is not a number");
}

#[test]
fn expressions_of_columns_are_evaluated() {
    let folder = folder();
    write(&folder.path().join("a.npy"), &[("t", &[1.0, 2.0]), ("counts", &[10.0, 100.0]), ("w", &[4.0, 0.25])]);
    let mut spec = spec(folder.path(), &["a.npy"], &["t"], "y=log(counts)");
    spec.weights = Some("w*2".to_owned());
    spec.mask = Some("counts > 50 and t >= 0".to_owned());
    let columns = read(&spec);
    assert_eq!(columns[1], [crate::math::log(10.0), crate::math::log(100.0)]);
    assert_eq!(columns[2..], [[8.0, 0.5], [0.0, 1.0]]);
    let dataset = Dataset::open(&spec).unwrap();
    assert_eq!(dataset.layout().weighting, Weighting::Weights("w*2".to_owned()));
    let again = Dataset::from_manifest(dataset.manifest()).unwrap();
    assert_eq!(values(&again).unwrap(), columns);
    spec.y = "u = counts/2; u - t".to_owned();
    assert_eq!(read(&spec)[1], [4.0, 48.0]);
    spec.y = "log(count)".to_owned();
    assert_eq!(refusal(&spec), "y: a.npy has no column \"count\"; it has counts, t, w");
    spec.y = "log(counts".to_owned();
    assert_eq!(refusal(&spec), "y: this \"(\" is never closed in `log(counts`");
    spec.y = "y=2 + pi".to_owned();
    assert_eq!(refusal(&spec), "y: `2 + pi` depends on no column");
    spec.y = "cuonts".to_owned();
    assert_eq!(refusal(&spec), "y: a.npy has no column \"cuonts\"; it has counts, t, w");
}

#[test]
fn a_missing_value_makes_what_is_derived_from_it_missing() {
    let folder = folder();
    let nan = f64::NAN;
    write(
        &folder.path().join("a.parquet"),
        &[("t", &[1.0, 2.0, 3.0, 4.0]), ("y", &[5.0, 6.0, 7.0, nan]), ("q", &[3.0, nan, 1.0, 2.0])],
    );
    let mut spec = spec(folder.path(), &["a.parquet"], &["t"], "y");
    let shown = |spec: &DatasetSpec, column: usize| format!("{:?}", read(spec)[column]);
    for (text, expected) in [
        ("q != 3", "[0.0, NaN, 1.0, 1.0]"),
        ("not (q > 2)", "[0.0, NaN, 1.0, 1.0]"),
        ("where(q > 2, 0, 1)", "[0.0, NaN, 1.0, 1.0]"),
        ("where(t > 2, q, 0)", "[0.0, NaN, 1.0, 2.0]"),
        ("q > 2 or t > 0", "[1.0, NaN, 1.0, 1.0]"),
        ("y > 0 and q == q", "[1.0, NaN, 1.0, NaN]"),
    ] {
        spec.mask = Some(text.to_owned());
        assert_eq!(shown(&spec, 2), expected, "mask {text}");
        spec.mask = None;
        spec.sigma = Some(text.to_owned());
        assert_eq!(shown(&spec, 2), expected, "sigma {text}");
        spec.weights = spec.sigma.take();
        assert_eq!(shown(&spec, 2), expected, "weights {text}");
        spec.weights = None;
    }
    spec.y = "t*(y > 3)".to_owned();
    assert_eq!(shown(&spec, 1), "[1.0, 2.0, 3.0, NaN]");
    spec.y = "t".to_owned();
    spec.mask = Some("q != 3".to_owned());
    let dataset = Dataset::open(&spec).unwrap();
    let mut tiles = Vec::new();
    load_tiles(&dataset, 0..1, 4, NonFinite::Skip, &mut |tile| tiles.push(tile)).unwrap();
    let counts = &tiles[0].counts;
    assert_eq!((counts.used, counts.masked, counts.nonfinite), (2, 1, 1));
    let error = load_tiles(&dataset, 0..1, 4, NonFinite::Error, &mut |_| ()).unwrap_err();
    assert!(error.message.starts_with("a.parquet, row 2, column \"q != 3\": a missing value or NaN;"), "{error}");
}

#[test]
fn sigma_and_weights_exclude_each_other() {
    let folder = folder();
    write(&folder.path().join("a.npy"), &[("t", &[1.0]), ("y", &[1.0])]);
    let mut spec = spec(folder.path(), &["a.npy"], &["t"], "y");
    spec.sigma = Some("y".to_owned());
    spec.weights = Some("y".to_owned());
    assert_eq!(refusal(&spec), "sigma and weights are both given; expected one of them (w = 1/sigma^2)");
}

#[test]
fn unused_columns_may_hold_anything() {
    let folder = folder();
    std::fs::write(folder.path().join("a.csv"), "name,t,y,comment\nfirst,1,2,\"x, y\"\nsecond,3,4,\n").unwrap();
    assert_eq!(read(&spec(folder.path(), &["a.csv"], &["t"], "y")), [[1.0, 3.0], [2.0, 4.0]]);
}

#[test]
fn tiles_come_from_files() {
    let folder = folder();
    write(
        &folder.path().join("a.parquet"),
        &[
            ("t", &[0.0, 1.0, 2.0, 3.0, 4.0]),
            ("y", &[1.0, f64::NAN, 3.0, 4.0, 5.0]),
            ("s", &[0.5, 1.0, 0.25, 1.0, 0.0]),
        ],
    );
    let mut spec = spec(folder.path(), &["a.parquet"], &["t"], "y");
    spec.sigma = Some("s".to_owned());
    spec.mask = Some("t != 4".to_owned());
    let dataset = Dataset::open(&spec).unwrap();
    let mut tiles = Vec::new();
    load_tiles(&dataset, 0..3, 2, NonFinite::Skip, &mut |tile| tiles.push(tile)).unwrap();
    let counts: Vec<_> = tiles.iter().map(|t| (t.index, t.counts.used, t.counts.masked, t.counts.nonfinite)).collect();
    assert_eq!(counts, [(0, 1, 0, 1), (1, 2, 0, 0), (2, 0, 1, 0)]);
    assert_eq!(tiles[1].inverse_sigma, Some(vec![4.0, 1.0].into()));
    let error = load_tiles(&dataset, 0..3, 2, NonFinite::Error, &mut |_| ()).unwrap_err();
    assert_eq!(
        error.message,
        "a.parquet, row 2, column \"y\": a missing value or NaN; expected a finite number (--nonfinite skip leaves such points out)"
    );
    assert_eq!(error.row, Some(1));
}
