//! CSV as people write it.

use super::*;

fn read(text: &str, x: &[&str], y: &str) -> Vec<Vec<f64>> {
    let folder = folder();
    std::fs::write(folder.path().join("a.csv"), text).unwrap();
    values(&Dataset::open(&spec(folder.path(), &["a.csv"], x, y)).unwrap()).unwrap()
}

fn refused(text: &str) -> String {
    let folder = folder();
    std::fs::write(folder.path().join("a.csv"), text).unwrap();
    refusal(&spec(folder.path(), &["a.csv"], &["t"], "y"))
}

#[test]
fn marks_line_ends_quotes_and_blanks_do_not_matter() {
    let expected = [vec![1.0, 2.0], vec![0.5, -1e5]];
    for text in [
        "t,y\n1,0.5\n2,-1e5\n",
        "\u{feff}t,y\r\n1,0.5\r\n2,-1e5",
        "name,\"t\",y\n\"a,\nb\", 1 ,0.5\n\nx\"y,2,\"-1e5\"\n",
        " t , y \n1,0.5\n2,-1e5\n",
    ] {
        assert_eq!(read(text, &["t"], "y"), expected, "{text:?}");
    }
}

#[test]
fn options_say_how_it_is_written() {
    let folder = folder();
    std::fs::write(folder.path().join("a.csv"), "# made by hand\n1;2\n# more\n3;4\n").unwrap();
    std::fs::write(folder.path().join("b.tsv"), "u v\tw\n1\t2\n").unwrap();
    let mut spec = spec(folder.path(), &["a.csv"], &["t=c0"], "c1");
    spec.csv = CsvOptions::parse("sep=;,comment=#,header=no").unwrap();
    assert_eq!(values(&Dataset::open(&spec).unwrap()).unwrap(), [[1.0, 3.0], [2.0, 4.0]]);
    let spec = crate::data::tests::spec(folder.path(), &["b.tsv"], &["u='u v'"], "w");
    assert_eq!(values(&Dataset::open(&spec).unwrap()).unwrap(), [[1.0], [2.0]]);
}

#[test]
fn a_mask_may_be_true_and_false() {
    let folder = folder();
    std::fs::write(folder.path().join("a.csv"), "t,y,ok\n1,2,true\n3,4,False\n5,6,\n").unwrap();
    let mut spec = spec(folder.path(), &["a.csv"], &["t"], "y");
    spec.mask = Some("ok".to_owned());
    let mask = &values(&Dataset::open(&spec).unwrap()).unwrap()[2];
    assert!(mask[..2] == [1.0, 0.0] && mask[2].is_nan());
    spec.mask = None;
    spec.y = "ok".to_owned();
    assert_eq!(refusal(&spec), "a.csv, line 2, column \"ok\": \"true\" is not a number");
}

#[test]
fn faults_name_line_and_column() {
    assert_eq!(refused("t,y\n1,2\n\n\"3\",abc\n"), "a.csv, line 4, column \"y\": \"abc\" is not a number");
    assert_eq!(refused("t,y\n1,2\n3\n"), "a.csv, line 3: 1 fields where the first line has 2");
    assert_eq!(refused("t,y\n1,2\n3,4,5\n"), "a.csv, line 3: 3 fields where the first line has 2");
    assert_eq!(
        refused("t,y\n1,\"2\n3,4\n"),
        "a.csv: cannot read it: the quote that opens a cell on line 2 is never closed"
    );
    assert_eq!(
        refused("0.5,1.5\n1,2\n"),
        "x: a.csv has no column \"t\"; it has 0.5, 1.5 (its first line holds only numbers; --csv header=no reads that line as data)"
    );
    assert_eq!(
        refused("t,y,y\n1,2,3\n"),
        "a.csv: column \"y\": the file has more than one column of this name; rename them"
    );
    assert_eq!(refused("t,y\n"), "a.csv: there are no rows");
    assert_eq!(refused("\n\n"), "a.csv: it holds no line; expected a header line with the names of the columns");
    assert_eq!(refused(""), "a.csv is empty (0 bytes)");
    assert_eq!(
        refused("PAR1 and so on"),
        "a.csv: its content is a Parquet file, not CSV; give it the extension .parquet"
    );
    assert_eq!(refused("t,y\n1,\0\n"), "a.csv: its content is binary data, not CSV");
    assert!(refused("tt,yy\n1,9007199254740993\n").contains("has no column \"t\"; it has tt, yy"));
    assert!(refused("t,y\n1,9007199254740993\n").contains("the integer 9007199254740993 has no exact"));
}

#[test]
fn a_fault_behind_many_rows_is_found_by_its_line() {
    let mut text = String::from("# first\nt,y\n");
    for i in 0..200_000 {
        text += &format!("{i},\"{}\"\n{}", i % 7, if i % 1000 == 0 { "# note\n" } else { "" });
    }
    text = text.replace("\n150000,\"4\"", "\n150000,\"4x\"");
    let folder = folder();
    std::fs::write(folder.path().join("a.csv"), &text).unwrap();
    let mut spec = spec(folder.path(), &["a.csv"], &["t"], "y");
    spec.csv.comment = Some(b'#');
    let line = text.lines().position(|line| line.starts_with("150000,")).unwrap() + 1;
    let dataset = Dataset::open(&spec).unwrap();
    let error = bits(&dataset, 149_990..200_000).unwrap_err();
    assert_eq!(error.row, Some(150_000));
    assert_eq!(error.message, format!("a.csv, line {line}, column \"y\": \"4x\" is not a number"));
    let part = bits(&dataset, 150_001..150_003).unwrap();
    assert_eq!(part[0], [150_001f64.to_bits(), 150_002f64.to_bits()]);
}
