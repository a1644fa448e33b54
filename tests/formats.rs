//! The same points in every format, in one file or several, give the same bits.

use nlsq_engine::data::write::{ColumnKind, Compression, TableWriter, WriteColumn, WriteOptions};

use crate::support::{Run, folder, numbers};

const JOB: &[&str] = &[
    "--x",
    "t,u",
    "--y",
    "y",
    "--sigma",
    "err",
    "--mask",
    "keep",
    "--model",
    "a*exp(-b*t) + c*u^2",
    "--p0",
    "a=1,b=1,c=0",
    "--tile-points",
    "2048",
    "--max-passes",
    "4",
];

/// Columns t, u, y, err, keep.
fn columns(n: usize) -> Vec<Vec<f64>> {
    let column = |seed| numbers(n, seed).collect::<Vec<f64>>();
    let (t, u) = (column(1), column(2));
    let y =
        t.iter().zip(&u).zip(numbers(n, 3)).map(|((t, u), noise)| 5.0 * (-3.0 * t).exp() + 0.4 * u * u + 0.1 * noise);
    let y = y.collect();
    let err = numbers(n, 4).map(|v| 0.5 + v).collect();
    let keep = numbers(n, 5).map(|v| f64::from(v > 0.1)).collect();
    vec![t, u, y, err, keep]
}

fn write(
    path: &std::path::Path,
    columns: &[Vec<f64>],
    rows: std::ops::Range<usize>,
    kind: ColumnKind,
    compression: Compression,
) {
    let kinds = [kind, kind, kind, kind, ColumnKind::Bool];
    let names = ["t", "u", "y", "err", "keep"];
    let described: Vec<WriteColumn> =
        names.iter().zip(kinds).map(|(name, kind)| WriteColumn { name: name.to_string(), kind }).collect();
    let options = WriteOptions { group_rows: 1_700, compression };
    let mut writer = TableWriter::create(path, &described, &options).unwrap();
    let slices: Vec<&[f64]> = columns.iter().map(|column| &column[rows.clone()]).collect();
    writer.push(&slices).unwrap();
    writer.finish().unwrap();
}

/// Every format, plain and packed.
fn formats() -> Vec<(&'static str, Compression)> {
    let mut formats = vec![
        ("d.csv", Compression::None),
        ("d.csv.gz", Compression::None),
        ("d.npy", Compression::None),
        ("d.npz", Compression::None),
        ("packed.npz", Compression::Deflate),
        ("d.arrow", Compression::None),
        ("packed.feather", Compression::Lz4),
        ("d.parquet", Compression::None),
        ("packed.parquet", Compression::Snappy),
    ];
    if cfg!(feature = "zstd") {
        formats.push(("zstd.parquet", Compression::Zstd));
    }
    if cfg!(feature = "hdf5") {
        formats.push(("d.h5", Compression::None));
        formats.push(("packed.nxs", Compression::Deflate));
    }
    formats
}

#[test]
fn all_formats_give_the_same_bits() {
    let folder = folder();
    let n = 11_003;
    let columns = columns(n);
    let formats = formats();
    let mut first: Option<Run> = None;
    for (name, compression) in formats {
        let path = folder.path().join(name);
        write(&path, &columns, 0..n, ColumnKind::F64, compression);
        let data = path.to_str().unwrap();
        for way in [&["--threads", "2"][..], &["--workers", "2"]] {
            let dir = folder.path().join(format!("run-{name}-{}", way[0]));
            let run = Run::fit(dir, &[&["--data", data], JOB, way].concat());
            let first =
                first.get_or_insert_with(|| Run::fit(folder.path().join("first"), &[&["--data", data], JOB].concat()));
            assert_eq!(run.parameters(), first.parameters(), "{name} {way:?}");
            assert_eq!(run.covariance(), first.covariance(), "{name} {way:?}");
            assert_eq!(run.result["n_masked"], first.result["n_masked"], "{name}");
        }
    }
    let first = first.unwrap();
    assert_ne!(first.result["n_masked"], 0);
    assert_eq!(first.output.status.code(), Some(3), "stopped by --max-passes, on purpose");
}

#[test]
fn many_files_of_mixed_formats_are_one_dataset() {
    let folder = folder();
    let n = 9_000;
    let columns = columns(n);
    let whole = folder.path().join("whole.npy");
    write(&whole, &columns, 0..n, ColumnKind::F64, Compression::None);
    let cuts = [0, 1_000, 1_001, 4_500, n];
    for (k, (cut, extension)) in cuts.windows(2).zip(["csv", "parquet", "npy", "arrow"]).enumerate() {
        write(
            &folder.path().join(format!("part-{k}.{extension}")),
            &columns,
            cut[0]..cut[1],
            ColumnKind::F64,
            Compression::None,
        );
    }
    let alone = Run::fit(folder.path().join("alone"), &[&["--data", whole.to_str().unwrap()], JOB].concat());
    let pattern = folder.path().join("part-*");
    let parts = Run::fit(
        folder.path().join("parts"),
        &[&["--data", pattern.to_str().unwrap(), "--workers", "3"], JOB].concat(),
    );
    assert_eq!(parts.parameters(), alone.parameters());
    assert_eq!(parts.covariance(), alone.covariance());
}

#[test]
fn columns_of_four_bytes_give_the_bits_of_the_same_values_in_eight() {
    let folder = folder();
    let n = 9_001;
    let columns: Vec<Vec<f64>> =
        columns(n).into_iter().map(|column| column.into_iter().map(|v| f64::from(v as f32)).collect()).collect();
    let wide = folder.path().join("wide.parquet");
    write(&wide, &columns, 0..n, ColumnKind::F64, Compression::None);
    let wide = Run::fit(folder.path().join("wide"), &[&["--data", wide.to_str().unwrap()], JOB].concat());
    for (name, compression) in formats() {
        let path = folder.path().join(name);
        write(&path, &columns, 0..n, ColumnKind::F32, compression);
        let data = path.to_str().unwrap();
        let dir = folder.path().join(format!("run-{name}"));
        let run = Run::fit(dir, &[&["--data", data, "--workers", "2"], JOB].concat());
        assert_eq!(run.parameters(), wide.parameters(), "{name}");
        assert_eq!(run.covariance(), wide.covariance(), "{name}");
    }
}
