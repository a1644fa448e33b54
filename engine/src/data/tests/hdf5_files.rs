//! HDF5 as others write it: `testdata/records.h5` comes from h5py (`testdata/make_records.py`).

use super::*;
use crate::data::describe::describe;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn open(x: &[&str], y: &str) -> Dataset {
    Dataset::open(&spec(&folder(), &["records.h5"], x, y)).unwrap()
}

fn message(y: &str) -> String {
    refusal(&spec(&folder(), &["records.h5"], &[], y))
}

#[test]
fn datasets_are_found_by_path_and_links_may_go_in_circles() {
    let columns = values(&open(&["t=/entry/t", "u=entry/t", "b=big", "h=half"], "flag")).unwrap();
    assert_eq!(columns[0][299], 299.0);
    assert_eq!(columns[1], columns[0]);
    assert_eq!(columns[2], columns[0]);
    assert_eq!(columns[3], columns[0]);
    assert_eq!(columns[4][..3], [1.0, 0.0, 1.0]);
    let seen = describe(&folder().join("records.h5"), &CsvOptions::default()).unwrap();
    assert!(seen.fields.iter().all(|field| !field.name.contains("loop")));
    let packed = seen.fields.iter().find(|field| field.name == "/packed.t").unwrap();
    assert_eq!((packed.storage.as_str(), packed.rows), ("chunks [77], shuffle, gzip", 300));
}

#[test]
fn columns_of_two_dimensional_datasets_have_a_number() {
    let columns = values(&open(&["a=map.c0"], "/map.c2")).unwrap();
    assert_eq!((columns[0][7], columns[1][7]), (21.0, 23.0));
    assert_eq!(
        message("map"),
        "y: \"map\" in records.h5 has two dimensions; expected one of its columns, map.c0 to map.c2"
    );
    assert!(message("map.c3").starts_with("y: records.h5 has no column \"map.c3\"; it has /map, "));
}

#[test]
fn members_of_records_are_columns() {
    for name in ["plain", "packed"] {
        let dataset = open(&[&format!("t={name}.t")], &format!("{name}.y"));
        let columns = values(&dataset).unwrap();
        assert_eq!(columns[0], (0..300).map(|i| f64::from(i) * 0.5).collect::<Vec<_>>());
        assert_eq!(columns[1][9], f64::from(0.1f32));
        for rows in [0..1, 76..78, 150..240, 299..300] {
            let part = bits(&dataset, rows.clone()).unwrap();
            assert!(part[0].iter().zip(rows).all(|(t, i)| *t == (i as f64 * 0.5).to_bits()), "{name}");
        }
        let error = bits(&open(&[], &format!("{name}.i")), 200..300).unwrap_err();
        assert_eq!(error.row, Some(250));
        assert!(
            error
                .message
                .starts_with(&format!("records.h5, row 251, column \"/{name}.i\": the integer 9007199254740993"))
        );
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    assert_eq!(
        message("scalar"),
        "records.h5: column \"scalar\" has the type float64: it is a single value, not a column"
    );
    assert_eq!(
        message("text"),
        "records.h5: column \"text\" has the type text: only real numbers and booleans can be used"
    );
    assert_eq!(
        message("cube"),
        "records.h5: column \"cube\" has the type float64: it has 3 dimensions ([2, 3, 4]); a column has one, a set of columns two"
    );
    assert_eq!(
        message("shuffled"),
        "records.h5: column \"shuffled\" has the type float64: the dataset uses filter 32008 (bitshuffle), \
         which is not installed; set HDF5_PLUGIN_PATH to the folder of its plugin"
    );
    assert_eq!(
        message("lzf.t"),
        "y: records.h5 has no column \"lzf.t\": in \"/lzf\", records packed by lzf are not read; expected gzip"
    );
    let file = "odd.h5";
    let message = |y: &str| refusal(&spec(&folder(), &[file], &[], y));
    assert_eq!(
        message("long"),
        "odd.h5: column \"long\" has the type number of 128 bits: only integers up to 64 bits, floats up to 64 bits and booleans can be used"
    );
    assert_eq!(
        message("halves"),
        "odd.h5: column \"halves\" has the type unknown (10 bytes, perhaps a record with 16-bit floats or long doubles): \
         only integers up to 64 bits, floats up to 64 bits and booleans can be used"
    );
    let halves =
        values(&Dataset::open(&spec(&folder(), &[file], &["a=big.c0", "b=packed"], "big.c1")).unwrap()).unwrap();
    assert_eq!((halves[0][3], halves[1][3], halves[2][3]), (3.0, 1.5, 3.5));
}

#[test]
fn links_that_lead_nowhere_are_left_out() {
    assert!(message("dead").starts_with("y: records.h5 has no column \"dead\"; it has "));
}

#[test]
fn damaged_files_are_named() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = std::fs::read(folder().join("records.h5")).unwrap();
    std::fs::write(scratch.path().join("cut.h5"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(scratch.path().join("other.h5"), "t,y\n1,2\n").unwrap();
    let message = |file: &str| refusal(&spec(scratch.path(), &[file], &["t"], "y"));
    assert_eq!(message("cut.h5"), "cut.h5: it is cut short, or its writer has not closed it");
    assert_eq!(message("other.h5"), "other.h5: its content is not HDF5");
    std::fs::write(scratch.path().join("zip.nxs"), b"PK\x03\x04 and more").unwrap();
    assert_eq!(message("zip.nxs"), "zip.nxs: its content is a zip archive, not HDF5; give it the extension .npz");
    std::fs::write(scratch.path().join("zeros.hdf5"), [0; 5000]).unwrap();
    assert_eq!(message("zeros.hdf5"), "zeros.hdf5: its content is binary data, not HDF5");
    // the library asks for its locks before it looks at the content
    let locked = std::fs::File::open(scratch.path().join("other.h5")).unwrap();
    locked.lock().unwrap();
    assert_eq!(message("other.h5"), "other.h5: its content is not HDF5");
}

#[test]
fn a_user_block_may_come_first() {
    let scratch = tempfile::tempdir().unwrap();
    let mut builder = hdf5::File::with_options();
    builder.with_fcpl(|creation| creation.userblock(2048));
    let file = builder.create(scratch.path().join("a.h5")).unwrap();
    file.new_dataset_builder().with_data(&[1.0, 2.0]).create("t").unwrap();
    let chunked = file.new_dataset_builder().chunk((2,)).deflate(4).with_data(&[3.0, 4.0, 5.0]);
    chunked.create("chunked").unwrap();
    file.close().unwrap();
    assert!(!std::fs::read(scratch.path().join("a.h5")).unwrap().starts_with(b"\x89HDF"));
    let dataset = Dataset::open(&spec(scratch.path(), &["a.h5"], &[], "t")).unwrap();
    assert_eq!(values(&dataset).unwrap(), [[1.0, 2.0]]);
    let dataset = Dataset::open(&spec(scratch.path(), &["a.h5"], &[], "chunked")).unwrap();
    assert_eq!(values(&dataset).unwrap(), [[3.0, 4.0, 5.0]]);
}

#[test]
fn chunks_are_read_whatever_their_shape_and_filters() {
    let scratch = tempfile::tempdir().unwrap();
    let file = hdf5::File::create(scratch.path().join("a.h5")).unwrap();
    let expected: Vec<f64> = (0..1000).map(|k| f64::from(k) / 8.0).collect();
    for (name, rows, shuffle, deflate, checksum) in [
        ("a", 1000, false, false, false),
        ("b", 64, true, true, false),
        ("c", 999, true, false, false),
        ("d", 7, true, true, true),
    ] {
        let mut builder = file.new_dataset_builder().chunk((rows,));
        builder = if shuffle { builder.shuffle() } else { builder };
        builder = if deflate { builder.deflate(6) } else { builder };
        builder = if checksum { builder.fletcher32() } else { builder };
        builder.with_data(&expected).create(name).unwrap();
    }
    file.close().unwrap();
    for name in ["a", "b", "c", "d"] {
        let dataset = Dataset::open(&spec(scratch.path(), &["a.h5"], &[], name)).unwrap();
        assert_eq!(values(&dataset).unwrap(), std::slice::from_ref(&expected), "{name}");
    }
}

#[test]
fn lengths_must_agree() {
    let scratch = tempfile::tempdir().unwrap();
    let file = hdf5::File::create(scratch.path().join("a.h5")).unwrap();
    file.new_dataset_builder().with_data(&[1.0, 2.0, 3.0]).create("t").unwrap();
    file.new_dataset_builder().with_data(&[1.0, 2.0]).create("y").unwrap();
    file.close().unwrap();
    assert_eq!(
        refusal(&spec(scratch.path(), &["a.h5"], &["t"], "y")),
        "a.h5: columns have different lengths: \"t\" has 3 rows, \"y\" has 2"
    );
}
