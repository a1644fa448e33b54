//! NumPy arrays of every shape and type, written byte by byte as NumPy would.

use std::io::Write;

use super::*;

/// A `.npy` file of version 1.
fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let mut text = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while !(10 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    bytes
}

fn doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn read(file: &[u8], x: &[&str], y: &str) -> Result<Vec<Vec<f64>>, String> {
    let folder = folder();
    std::fs::write(folder.path().join("a.npy"), file).unwrap();
    let dataset = Dataset::open(&spec(folder.path(), &["a.npy"], x, y)).map_err(|e| e.message)?;
    values(&dataset).map_err(|e| e.message)
}

#[test]
fn both_orders_of_two_dimensions() {
    let rows = doubles(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    let expected = [vec![10.0, 20.0, 30.0], vec![1.0, 2.0, 3.0]];
    assert_eq!(read(&npy("'<f8'", false, "(3, 2)", &rows), &["b=c1"], "c0").unwrap(), expected);
    let columns = doubles(&[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
    assert_eq!(read(&npy("'<f8'", true, "(3, 2)", &columns), &["b=c1"], "c0").unwrap(), expected);
    // in one dimension the order means nothing
    assert_eq!(read(&npy("'<f8'", true, "(2,)", &columns), &[], "c0").unwrap(), [[1.0, 2.0]]);
    assert_eq!(read(&npy("'<f8'", true, "(3, 1)", &columns), &[], "c0").unwrap(), [[1.0, 2.0, 3.0]]);
}

#[test]
fn many_rows_of_a_wide_array_come_in_small_blocks() {
    let width = 200;
    let rows = 40_000;
    let data: Vec<u8> = (0..rows * width).flat_map(|i| (i as u32).to_be_bytes()).collect();
    let file = npy("'>u4'", false, &format!("({rows}, {width})"), &data);
    let column = &read(&file, &[], "c7").unwrap()[0];
    assert!(column.iter().enumerate().all(|(i, v)| *v == (i * width + 7) as f64) && column.len() == rows);
}

#[test]
fn members_of_records_are_columns_and_padding_is_none() {
    let mut data = Vec::new();
    for i in 0..3u8 {
        data.extend([i, 0xff, 0xff]);
        data.extend((f64::from(i) / 2.0).to_be_bytes());
        data.extend(b"text");
        data.extend(u64::MAX.to_le_bytes());
    }
    let descr = "[('flag', '|b1'), ('', '|V2'), ('t s', '>f8'), ('name', '|S4'), ('big', '<u8')]";
    let file = npy(descr, false, "(3,)", &data);
    assert_eq!(read(&file, &["t='t s'"], "flag").unwrap(), [[0.0, 0.5, 1.0], [0.0, 1.0, 1.0]]);
    assert_eq!(
        read(&file, &[], "name").unwrap_err(),
        "a.npy: column \"name\" has the type text (|S4): only real numbers and booleans can be used"
    );
    assert_eq!(
        read(&file, &[], "big").unwrap_err(),
        "a.npy, row 1, column \"big\": the integer 18446744073709551615 has no exact double-precision value; subtract an offset or store it as a float"
    );
    assert_eq!(read(&file, &[], "flags").unwrap_err(), "y: a.npy has no column \"flags\"; it has flag, t s, name, big");
}

#[test]
fn other_shapes_and_types_are_refused() {
    let message =
        |descr: &str, shape: &str| read(&npy(descr, false, shape, &doubles(&[0.0; 24])), &[], "c0").unwrap_err();
    assert_eq!(message("'<f8'", "()"), "a.npy: its shape is (); expected (rows,) or (rows, columns)");
    assert_eq!(message("'<f8'", "(2, 3, 4)"), "a.npy: its shape is (2, 3, 4); expected (rows,) or (rows, columns)");
    assert_eq!(
        message("'<c16'", "(12,)"),
        "a.npy: column \"c0\" has the type complex (<c16): only real numbers and booleans can be used"
    );
    assert_eq!(
        message("'<M8[ns]'", "(12,)"),
        "a.npy: column \"c0\" has the type time (<M8[ns]): only real numbers and booleans can be used"
    );
    assert_eq!(
        message("'|O'", "(12,)"),
        "a.npy: it holds Python objects (dtype=object), which only Python can read; save it with a numeric dtype"
    );
    assert_eq!(message("'<f8'", "(25,)"), "a.npy: it is cut short: its header promises 328 bytes, it has 320");
    assert_eq!(message("'<f8'", "(9999999999999999999, 9999999999)"), "a.npy: its shape is too large");
    assert_eq!(message("'<f8'", "(0,)"), "a.npy: there are no rows");
}

#[test]
fn archives_name_columns_by_key() {
    let folder = folder();
    for (name, method) in [("s.npz", zip::CompressionMethod::Stored), ("d.npz", zip::CompressionMethod::Deflated)] {
        let mut archive = zip::ZipWriter::new(std::fs::File::create(folder.path().join(name)).unwrap());
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (key, bytes) in [
            ("t.npy", npy("'<f8'", false, "(3,)", &doubles(&[1.0, 2.0, 3.0]))),
            ("map.npy", npy("'<f8'", true, "(3, 2)", &doubles(&[4.0, 5.0, 6.0, 7.0, 8.0, 9.0]))),
            ("rec.npy", npy("[('a', '<i2'), ('b', '<f4')]", false, "(3,)", &[0; 18])),
            ("short.npy", npy("'<f8'", false, "(2,)", &doubles(&[1.0, 2.0]))),
            ("object.npy", npy("'|O'", false, "(3,)", b"pickle")),
            ("notes.txt", b"not an array".to_vec()),
        ] {
            archive.start_file(key, options).unwrap();
            archive.write_all(&bytes).unwrap();
        }
        archive.finish().unwrap();
        let columns =
            values(&Dataset::open(&spec(folder.path(), &[name], &["t", "m=map.c1"], "rec.b")).unwrap()).unwrap();
        assert_eq!(columns, [[1.0, 2.0, 3.0], [7.0, 8.0, 9.0], [0.0, 0.0, 0.0]]);
        let message = |y: &str| refusal(&spec(folder.path(), &[name], &["t"], y));
        assert_eq!(
            message("short"),
            format!("{name}: columns have different lengths: \"t\" has 3 rows, \"short\" has 2")
        );
        assert!(message("object").contains("column \"object\" has the type no array: it holds Python objects"));
        assert_eq!(
            message("map"),
            format!("y: \"map\" in {name} has two dimensions; expected one of its columns, map.c0 to map.c1")
        );
        assert_eq!(
            message("tt"),
            format!("y: {name} has no column \"tt\"; it has t, map, short, rec.a, rec.b, object")
        );
    }
}
