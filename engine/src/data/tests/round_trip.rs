//! The same points through every format give the same bits, whatever range is read and however they are cut into files.

use std::ops::Range;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::data::table::BLOCK_ROWS;
use crate::data::write::{ColumnKind, Compression, TableWriter, WriteColumn, WriteOptions};

const ROWS: usize = 3 * BLOCK_ROWS + 777;

/// Columns t, y, s (32 bits) and m (booleans), with what is hard to keep: -0, subnormals, infinity, NaN.
fn columns() -> Vec<Vec<f64>> {
    let t: Vec<f64> = (0..ROWS).map(|i| i as f64 * 0.1 - 7.0).collect();
    let mut y: Vec<f64> = t.iter().map(|t| (t * 1e-3).exp() / 3.0).collect();
    for (k, odd) in
        [-0.0, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e22, 1.0 / 3.0, f64::NAN].iter().enumerate()
    {
        y[1000 * k + 3] = *odd;
    }
    let s = t.iter().map(|t| f64::from((t.abs() + 0.1) as f32)).collect();
    let m = (0..ROWS).map(|i| f64::from(u8::from(i % 3 != 0))).collect();
    vec![t, y, s, m]
}

fn write(path: &Path, columns: &[Vec<f64>], rows: Range<usize>, options: &WriteOptions) {
    let kinds = [ColumnKind::F64, ColumnKind::F64, ColumnKind::F32, ColumnKind::Bool];
    let named: Vec<WriteColumn> = ["t", "y", "s", "m"]
        .iter()
        .zip(kinds)
        .map(|(name, kind)| WriteColumn { name: name.to_string(), kind })
        .collect();
    let mut writer = TableWriter::create(path, &named, options).unwrap();
    // pieces that fit neither groups nor blocks
    for start in rows.clone().step_by(10_007) {
        let end = rows.end.min(start + 10_007);
        writer.push(&columns.iter().map(|column| &column[start..end]).collect::<Vec<_>>()).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), rows.len() as u64);
}

fn open(base: &Path, files: &[&str]) -> Dataset {
    let mut spec = spec(base, files, &["t"], "y");
    spec.sigma = Some("s".to_owned());
    spec.mask = Some("m".to_owned());
    Dataset::open(&spec).unwrap()
}

fn formats() -> Vec<(&'static str, WriteOptions)> {
    let with = |group_rows, compression| WriteOptions { group_rows, compression };
    let mut formats = vec![
        ("a.csv", WriteOptions::default()),
        ("a.csv.gz", WriteOptions::default()),
        ("a.npy", WriteOptions::default()),
        ("a.npz", WriteOptions::default()),
        ("deflated.npz", with(1, Compression::Deflate)),
        ("a.parquet", with(50_000, Compression::None)),
        ("snappy.parquet", with(70_000, Compression::Snappy)),
        ("a.arrow", with(50_000, Compression::None)),
        ("lz4.feather", with(1 << 20, Compression::Lz4)),
    ];
    if cfg!(feature = "zstd") {
        formats.push(("zstd.parquet", with(1 << 20, Compression::Zstd)));
        formats.push(("zstd.ipc", with(77, Compression::Zstd)));
    }
    if cfg!(feature = "hdf5") {
        formats.push(("a.h5", with(10_000, Compression::None)));
        formats.push(("deflated.nxs", with(100_000, Compression::Deflate)));
    }
    formats
}

fn same(expected: &[Vec<u64>], found: &[Vec<u64>], rows: Range<u64>, what: &str) {
    for (k, (expected, found)) in expected.iter().zip(found).enumerate() {
        let expected = &expected[rows.start as usize..rows.end as usize];
        // a NaN is a missing value, whatever its bits
        let differs = |(a, b): (&u64, &u64)| a != b && !(f64::from_bits(*a).is_nan() && f64::from_bits(*b).is_nan());
        let at = expected.iter().zip(found).position(differs);
        assert!(at.is_none() && expected.len() == found.len(), "{what}: column {k} differs at {at:?} of {rows:?}");
    }
}

#[test]
fn every_format_gives_the_same_bits_in_every_range() {
    let folder = folder();
    let columns = columns();
    let expected: Vec<Vec<u64>> = columns.iter().map(|c| c.iter().map(|v| v.to_bits()).collect()).collect();
    let n = ROWS as u64;
    let block = BLOCK_ROWS as u64;
    for (name, options) in formats() {
        write(&folder.path().join(name), &columns, 0..ROWS, &options);
        let dataset = open(folder.path(), &[name]);
        assert_eq!(dataset.n_points(), n, "{name}");
        let ranges = [0..n, 0..1, n - 1..n, 49_999..50_001, block - 1..2 * block + 1, 69_990..140_010, 5..5];
        for rows in ranges {
            same(&expected, &bits(&dataset, rows.clone()).unwrap(), rows, name);
        }
        let sent = postcard::to_stdvec(&dataset.manifest()).unwrap();
        let manifest = postcard::from_bytes(&sent).unwrap();
        let again = Dataset::from_manifest(manifest).unwrap();
        same(&expected, &bits(&again, 100..70_000).unwrap(), 100..70_000, name);
    }
}

#[test]
fn threads_read_disjoint_ranges_at_once() {
    let folder = folder();
    let columns = columns();
    let expected: Vec<Vec<u64>> = columns.iter().map(|c| c.iter().map(|v| v.to_bits()).collect()).collect();
    for (name, options) in formats() {
        write(&folder.path().join(name), &columns, 0..ROWS, &options);
        let dataset = open(folder.path(), &[name]);
        std::thread::scope(|scope| {
            for k in 0..4u64 {
                let (dataset, expected) = (&dataset, &expected);
                scope.spawn(move || {
                    let rows = k * ROWS as u64 / 4..(k + 1) * ROWS as u64 / 4;
                    same(expected, &bits(dataset, rows.clone()).unwrap(), rows, name);
                });
            }
        });
    }
}

#[test]
fn parts_of_many_formats_are_one_dataset_in_the_order_given() {
    let folder = folder();
    let columns = columns();
    let expected: Vec<Vec<u64>> = columns.iter().map(|c| c.iter().map(|v| v.to_bits()).collect()).collect();
    let cuts = [0, 10, 70_000, 70_001, 140_000, ROWS];
    let names = ["z.csv", "b.npy", "c.csv.gz", "a.parquet", "x.npz"];
    for (k, name) in names.iter().enumerate() {
        write(&folder.path().join(name), &columns, cuts[k]..cuts[k + 1], &WriteOptions::default());
    }
    let dataset = open(folder.path(), &names);
    for rows in [0..ROWS as u64, 5..15, 69_999..70_002, 60_000..150_000] {
        same(&expected, &bits(&dataset, rows.clone()).unwrap(), rows, "parts");
    }
    assert_eq!(dataset.place(10).to_string(), "b.npy, row 1");
    assert_eq!(dataset.place(139_999).to_string(), "a.parquet, row 69999");
    assert_eq!(dataset.place(0).to_string(), "z.csv, row 1");
}

#[test]
fn globs_are_sorted_by_bytes() {
    let folder = folder();
    for (name, value) in [("p10.csv", 10), ("p2.csv", 2), ("P3.csv", 3)] {
        std::fs::write(folder.path().join(name), format!("t,y\n{value},0\n")).unwrap();
    }
    let dataset = Dataset::open(&spec(folder.path(), &["*.csv"], &["t"], "y")).unwrap();
    assert_eq!(values(&dataset).unwrap()[0], [3.0, 10.0, 2.0]);
    let dataset = Dataset::open(&spec(folder.path(), &["p2.csv", "[pP][13]*.csv"], &["t"], "y")).unwrap();
    assert_eq!(values(&dataset).unwrap()[0], [2.0, 3.0, 10.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_cut_and_any_range(
        rows in 1usize..400,
        cut in 0usize..400,
        group in 1usize..90,
        range in (0usize..400, 0usize..400),
        which in 0usize..20,
    ) {
        let folder = folder();
        let columns: Vec<Vec<f64>> =
            columns().into_iter().map(|column| column[3_000 - rows..3_000].to_vec()).collect();
        let (name, options) = formats()[which % formats().len()];
        let options = WriteOptions { group_rows: group, ..options };
        let cut = cut.min(rows - 1);
        let (first, second) = (format!("1{name}"), format!("2{name}"));
        write(&folder.path().join(&second), &columns, cut..rows, &options);
        let mut files = vec![second.as_str()];
        if cut > 0 {
            write(&folder.path().join(&first), &columns, 0..cut, &options);
            files.insert(0, &first);
        }
        let dataset = open(folder.path(), &files);
        let start = range.0.min(rows) as u64;
        let end = start.max(range.1.min(rows) as u64);
        let expected: Vec<Vec<u64>> = columns.iter().map(|c| c.iter().map(|v| v.to_bits()).collect()).collect();
        same(&expected, &bits(&dataset, start..end).unwrap(), start..end, name);
    }
}
