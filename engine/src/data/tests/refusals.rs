//! Bad files, each with the message it earns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int8Type};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use expect_test::{Expect, expect};
use parquet::arrow::ArrowWriter;

use super::columns::write;
use super::*;
use crate::data::describe::describe;

fn check(base: &Path, file: &str, expected: Expect) {
    expected.assert_eq(&refusal(&spec(base, &[file], &["t"], "y")));
}

#[test]
fn files_that_are_not_there_or_twice() {
    let folder = folder();
    let base = folder.path();
    write(&base.join("a.npy"), &[("t", &[1.0]), ("y", &[1.0])]);
    std::fs::create_dir(base.join("d.csv")).unwrap();
    std::fs::write(base.join("empty.parquet"), "").unwrap();
    std::fs::write(base.join("notes.txt"), "x").unwrap();
    let message = |files: &[&str]| refusal(&spec(base, files, &["t"], "y")).replace(base.to_str().unwrap(), "HERE");
    assert_eq!(message(&["b.npy"]), "there is no file b.npy (looked in HERE)");
    assert_eq!(message(&["*.h5"]), "no file matches *.h5 (looked in HERE)");
    assert_eq!(message(&["a.npy", "a.npy"]), "a.npy is given twice: its points would count twice");
    assert_eq!(message(&["a.npy", "*.npy"]), "a.npy is given twice: its points would count twice");
    assert_eq!(
        message(&["a.npy", "./a.npy"]),
        "./a.npy is given twice (as a.npy and as ./a.npy): its points would count twice"
    );
    assert_eq!(message(&["d.csv"]), "d.csv is a directory; expected a file, or a glob such as d.csv/*");
    assert_eq!(message(&["empty.parquet"]), "empty.parquet is empty (0 bytes)");
    assert!(message(&["notes.txt"]).contains("has no extension of a known data format; expected one of .csv.gz"));
    assert!(message(&["[.npy"]).starts_with("bad pattern [.npy: "));
    assert_eq!(message(&[]), "x: there is no file \"t\", and no data files are given that could hold such a column");
}

#[test]
fn content_of_another_format() {
    let folder = folder();
    let base = folder.path();
    for name in ["npy", "npz", "parquet", "arrow", "csv.gz"] {
        write(&base.join(format!("a.{name}")), &[("t", &[1.0]), ("y", &[2.0])]);
    }
    let claim = |from: &str, to: &str| std::fs::copy(base.join(from), base.join(to)).map(drop).unwrap();
    claim("a.npy", "1.parquet");
    check(
        base,
        "1.parquet",
        expect!["1.parquet: its content is a NumPy array, not Parquet; give it the extension .npy"],
    );
    claim("a.parquet", "2.npy");
    check(
        base,
        "2.npy",
        expect!["2.npy: its content is a Parquet file, not NumPy .npy; give it the extension .parquet"],
    );
    claim("a.npz", "3.arrow");
    check(base, "3.arrow", expect!["3.arrow: its content is a zip archive, not Arrow IPC; give it the extension .npz"]);
    claim("a.arrow", "4.npz");
    check(base, "4.npz", expect!["4.npz: its content is an Arrow file, not NumPy .npz; give it the extension .arrow"]);
    claim("a.csv.gz", "5.csv");
    check(base, "5.csv", expect!["5.csv: its content is gzip-compressed, not CSV; give it the extension .csv.gz"]);
    std::fs::write(base.join("6.csv.gz"), "t,y\n1,2\n").unwrap();
    check(base, "6.csv.gz", expect!["6.csv.gz: its content is not gzip-compressed CSV"]);
    std::fs::write(base.join("7.feather"), "FEA1....").unwrap();
    check(
        base,
        "7.feather",
        expect!["7.feather: its content is a Feather version 1 file, which is not read; expected Arrow IPC"],
    );
    std::fs::write(base.join("8.csv"), b"\xff\xfet\0,\0y\0").unwrap();
    check(base, "8.csv", expect!["8.csv: its content is UTF-16 text, which is not read; expected CSV"]);
}

#[test]
fn files_that_are_cut_short() {
    let folder = folder();
    let base = folder.path();
    let long: Vec<f64> = (0..5000).map(|i| f64::from(i).sin()).collect();
    for name in ["a.npy", "a.npz", "a.parquet", "a.arrow", "a.csv.gz"] {
        write(&base.join(name), &[("t", &long), ("y", &long)]);
        let bytes = std::fs::read(base.join(name)).unwrap();
        std::fs::write(base.join(name), &bytes[..bytes.len() / 2]).unwrap();
    }
    check(base, "a.npy", expect!["a.npy: it is cut short: its header promises 80128 bytes, it has 40064"]);
    check(
        base,
        "a.npz",
        expect![[r#"a.npz: it is not a complete zip archive: invalid Zip archive: Could not find EOCD"#]],
    );
    check(
        base,
        "a.parquet",
        expect!["a.parquet: it is not a complete Parquet file: Invalid Parquet file. Corrupt footer"],
    );
    check(
        base,
        "a.arrow",
        expect!["a.arrow: it is not a complete Arrow file: it has no footer; it is cut short, or a stream"],
    );
    check(base, "a.csv.gz", expect!["a.csv.gz: cannot decompress it: incomplete deflate stream"]);
}

#[test]
fn damage_inside_a_file_is_an_error_or_other_numbers_but_no_panic() {
    let folder = folder();
    let base = folder.path();
    let long: Vec<f64> = (0..2000).map(|i| f64::from(i).sin()).collect();
    for name in ["a.npy", "a.npz", "a.parquet", "a.arrow", "a.csv.gz", "a.csv"] {
        write(&base.join(name), &[("t", &long), ("y", &long)]);
        let bytes = std::fs::read(base.join(name)).unwrap();
        for k in 0..200 {
            let mut damaged = bytes.clone();
            let at = k * bytes.len() / 200;
            damaged[at] ^= 0x55;
            std::fs::write(base.join(name), &damaged).unwrap();
            if let Ok(dataset) = Dataset::open(&spec(base, &[name], &["t"], "y")) {
                drop(bits(&dataset, 0..dataset.n_points()));
            }
        }
    }
}

#[test]
fn arrays_of_an_archive_are_compared_with_their_checksum() {
    let folder = folder();
    let base = folder.path();
    let marked: Vec<f64> = (0..5000).map(|i| if i == 4000 { 1234.5678 } else { 0.0 }).collect();
    write(&base.join("a.npz"), &[("t", &[0.25; 5000]), ("y", &marked)]);
    let mut bytes = std::fs::read(base.join("a.npz")).unwrap();
    let mark = 1234.5678f64.to_le_bytes();
    let at = bytes.windows(8).position(|window| window == mark).unwrap();
    bytes[at] ^= 1;
    std::fs::write(base.join("a.npz"), &bytes).unwrap();
    let dataset = Dataset::open(&spec(base, &["a.npz"], &["t"], "y")).unwrap();
    for _ in 0..2 {
        // also where the rows asked for are whole
        assert_eq!(bits(&dataset, 0..10).unwrap_err().message, "a.npz: its array y.npy is damaged: Invalid checksum");
    }
    let other = Dataset::open(&spec(base, &["a.npz"], &["t"], "2*t")).unwrap();
    assert_eq!(bits(&other, 0..1).unwrap()[1], [0.5f64.to_bits()]);
}

/// `testdata/checksums.parquet` comes from pyarrow (`testdata/make_checksums.py`): t = i/2 and y = t + 1 for 64 rows.
#[test]
fn pages_of_parquet_are_compared_with_their_checksums() {
    let folder = folder();
    let base = folder.path();
    let given = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/checksums.parquet");
    let mut bytes = std::fs::read(given).unwrap();
    std::fs::write(base.join("a.parquet"), &bytes).unwrap();
    let dataset = Dataset::open(&spec(base, &["a.parquet"], &["t"], "y")).unwrap();
    assert_eq!(values(&dataset).unwrap()[1][50], 26.0);
    let at = bytes.windows(8).rposition(|window| window == 26f64.to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(base.join("a.parquet"), &bytes).unwrap();
    let message = refusal(&spec(base, &["a.parquet"], &["t"], "y"));
    assert!(message.starts_with("a.parquet: cannot decode it: ") && message.contains("CRC"), "{message}");
}

/// A table with columns of many types, as Parquet and as Arrow.
fn many_types(base: &Path) {
    let rows = 3;
    let t: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0)]));
    let inner: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), Some(1.5), None]));
    let nested = StructArray::try_new(
        vec![Field::new("v", DataType::Float64, true)].into(),
        vec![inner],
        Some(vec![true, false, true].into()),
    );
    let dictionary: DictionaryArray<Int8Type> =
        DictionaryArray::try_new(vec![Some(1i8), Some(0), None].into(), Arc::new(Float64Array::from(vec![7.0, 8.0])))
            .unwrap();
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>((0..rows).map(|_| Some(vec![Some(1.0)])));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("t", t, true),
        ("when", Arc::new(Date32Array::from(vec![1, 2, 3])) as ArrayRef, true),
        ("list", Arc::new(list), true),
        ("s", Arc::new(nested.unwrap()), true),
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c"])), true),
        ("big", Arc::new(Int64Array::from(vec![Some(1), None, Some((1 << 53) + 1)])), true),
        (
            "price",
            Arc::new(Decimal128Array::from(vec![110, -5, 9007199254740993]).with_precision_and_scale(20, 2).unwrap()),
            true,
        ),
        ("d", Arc::new(dictionary), true),
    ])
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(base.join("a.parquet")).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut writer =
        FileWriter::try_new(std::fs::File::create(base.join("a.arrow")).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let mut writer =
        StreamWriter::try_new(std::fs::File::create(base.join("stream.arrow")).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

#[test]
fn columns_of_many_types() {
    let folder = folder();
    let base = folder.path();
    many_types(base);
    for file in ["a.parquet", "a.arrow"] {
        let columns = values(&Dataset::open(&spec(base, &[file], &["t", "v=s.v", "d"], "price")).unwrap()).unwrap();
        let shown: Vec<String> = columns.iter().map(|column| format!("{column:?}")).collect();
        assert_eq!(
            shown,
            ["[1.0, NaN, 3.0]", "[0.5, NaN, NaN]", "[8.0, 7.0, NaN]", "[1.1, -0.05, 90071992547409.94]"],
            "{file}"
        );
        let message = |y: &str| refusal(&spec(base, &[file], &["t"], y));
        assert_eq!(
            message("name"),
            format!("{file}: column \"name\" has the type Utf8: text is no number; store it as one")
        );
        assert_eq!(
            message("when"),
            format!(
                "{file}: column \"when\" has the type Date32: a time has no one unit; store it as a number, for instance seconds since the start"
            )
        );
        assert!(message("list").ends_with("only columns with one number a row can be used"), "{}", message("list"));
        assert_eq!(
            message("big"),
            format!(
                "{file}, row 3, column \"big\": the integer 9007199254740993 has no exact double-precision value; \
                 subtract an offset or store it as a float"
            )
        );
        let big = bits(&Dataset::open(&spec(base, &[file], &["t"], "big")).unwrap(), 0..2).unwrap();
        assert_eq!(big[1][0], 1f64.to_bits());
    }
    check(
        base,
        "stream.arrow",
        expect!["stream.arrow: its content is an Arrow stream, which is not read; expected Arrow IPC"],
    );
}

#[test]
fn columns_that_share_a_name_are_refused_where_they_are_used() {
    let folder = folder();
    let base = folder.path();
    let column = |v: f64| Arc::new(Float64Array::from(vec![v])) as ArrayRef;
    let group = |member: &str, v: f64| {
        let members = vec![Field::new(member, DataType::Float64, true)];
        Arc::new(StructArray::try_new(members.into(), vec![column(v)], None).unwrap()) as ArrayRef
    };
    let named = [
        ("t", column(1.0)),
        ("y", column(2.0)),
        ("y", column(3.0)),
        ("s", group("a", 4.0)),
        ("s", group("b", 5.0)),
        ("d.v", column(6.0)),
        ("d", group("v", 7.0)),
        ("z", column(8.0)),
    ];
    let fields: Vec<Field> = named.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), true)).collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let batch = RecordBatch::try_new(schema, named.iter().map(|(_, array)| array.clone()).collect()).unwrap();
    let create = |name: &str| std::fs::File::create(base.join(name)).unwrap();
    let mut writer = ArrowWriter::try_new(create("a.parquet"), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for name in ["a.arrow", "a.feather"] {
        let mut writer = FileWriter::try_new(create(name), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    }
    for file in ["a.parquet", "a.arrow", "a.feather"] {
        for name in ["y", "s.a", "s.b", "d.v"] {
            let expected =
                format!("{file}: column \"{name}\": the file has more than one column of this name; rename them");
            assert_eq!(refusal(&spec(base, &[file], &["t"], name)), expected);
        }
        assert!(refusal(&spec(base, &[file], &["t"], "2*y")).starts_with(&format!("{file}: column \"y\": ")));
        let columns = values(&Dataset::open(&spec(base, &[file], &["t"], "2*z")).unwrap()).unwrap();
        assert_eq!(columns, [[1.0], [16.0]], "{file}");
    }
}

#[test]
fn files_that_differ_or_change() {
    let folder = folder();
    let base = folder.path();
    write(&base.join("a.npy"), &[("t", &[1.0]), ("y", &[1.0])]);
    write(&base.join("b.csv"), &[("t", &[1.0]), ("z", &[1.0])]);
    let both = spec(base, &["a.npy", "b.csv"], &["t"], "y");
    assert_eq!(refusal(&both), "b.csv has no column \"y\"; it has t, z");
    let one = Dataset::open(&spec(base, &["b.csv"], &["t"], "z")).unwrap();
    std::fs::write(base.join("b.csv"), "t,z\n1,2\n3,4\n5,6\n").unwrap();
    let error = Dataset::from_manifest(one.manifest()).map(drop).unwrap_err();
    assert_eq!(error.message, "b.csv: it changed since the fit began: it had 12 bytes and now has 16");
    let one = Dataset::open(&spec(base, &["a.npy"], &["t"], "y")).unwrap();
    write(&base.join("c.npy"), &[("t", &[1.0]), ("z", &[1.0])]);
    std::fs::copy(base.join("c.npy"), base.join("a.npy")).unwrap();
    let again = Dataset::from_manifest(one.manifest()).unwrap();
    assert_eq!(bits(&again, 0..1).unwrap_err().message, "a.npy has no column \"y\"; it has t, z");
}

#[test]
fn files_are_described() {
    let folder = folder();
    let base = folder.path();
    many_types(base);
    let seen = describe(&base.join("a.parquet"), &CsvOptions::default()).unwrap();
    let names: Vec<&str> = seen.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["t", "when", "list", "s.v", "name", "big", "price", "d"]);
    assert!(seen.fields.iter().all(|field| field.rows == 3));
    assert_eq!(seen.notes[0], "1 row groups, the first with 3 rows");
    std::fs::write(base.join("a.csv"), "1,2\n3,4\n").unwrap();
    let seen = describe(&base.join("a.csv"), &CsvOptions::default()).unwrap();
    assert_eq!(seen.notes, ["its first line holds only numbers; --csv header=no reads that line as data"]);
    assert_eq!((seen.fields[0].name.as_str(), seen.fields[0].rows), ("1", 1));
    std::fs::write(base.join("a.csv"), "t,name,empty,big\n1e3,one,,9007199254740993\ntwo,2,2,2\n").unwrap();
    let types = |options: &CsvOptions| -> Vec<String> {
        let seen = describe(&base.join("a.csv"), options).unwrap();
        seen.fields.into_iter().map(|field| field.type_name).collect()
    };
    assert_eq!(types(&CsvOptions::default()), ["number", "text", "number", "number"]);
    assert_eq!(types(&CsvOptions { header: false, ..CsvOptions::default() }), ["text"; 4]);
}
