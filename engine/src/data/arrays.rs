//! Arrow arrays as columns of f64: what Parquet and Arrow files have in common.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, PrimitiveArray, RecordBatch, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field as ArrowField, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::scalar::{Inexact, exact};
use super::table::{Field, NAMED_TWICE, refuse_twice};

/// A column of a possibly nested schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Names from the top level down.
    pub path: Vec<String>,
    /// Index of the top-level field.
    pub top: usize,
    /// Number among the leaves of the schema, depth first.
    pub number: usize,
}

/// The leaves of a schema that stand for columns, with what is known about them. Members of a struct have dotted names; a
/// list or map is one column that cannot be used.
pub(crate) fn leaves<'a>(schema: impl Iterator<Item = &'a ArrowField>, rows: u64) -> (Vec<Leaf>, Vec<Field>) {
    let mut walk = Walk { leaves: Vec::new(), fields: Vec::new(), next: 0, rows };
    let schema: Vec<&ArrowField> = schema.collect();
    for (top, field) in schema.iter().enumerate() {
        walk.visit(field, &[], top, named_twice(field, schema.iter().copied()));
    }
    refuse_twice(&mut walk.fields);
    (walk.leaves, walk.fields)
}

struct Walk {
    leaves: Vec<Leaf>,
    fields: Vec<Field>,
    next: usize,
    rows: u64,
}

impl Walk {
    /// `twice`: whether the field, or one around it, shares its name with another beside it, so that names do not lead here.
    fn visit(&mut self, field: &ArrowField, above: &[String], top: usize, twice: bool) {
        let path = [above, &[field.name().clone()]].concat();
        if let DataType::Struct(members) = field.data_type() {
            for member in members {
                let twice = twice || named_twice(member, members.iter().map(AsRef::as_ref));
                self.visit(member, &path, top, twice);
            }
            return;
        }
        let column = Field::column(path.join("."), field.data_type().to_string(), self.rows);
        let refusal = if twice { Some(NAMED_TWICE.to_owned()) } else { refusal(field.data_type()) };
        self.fields.push(Field { refusal, ..column });
        self.leaves.push(Leaf { path, top, number: self.next });
        self.next += count_leaves(field.data_type());
    }
}

/// Whether the name of `field` is that of more than one among `beside`.
fn named_twice<'a>(field: &ArrowField, beside: impl Iterator<Item = &'a ArrowField>) -> bool {
    beside.filter(|other| other.name() == field.name()).nth(1).is_some()
}

/// How many leaves a type has in Parquet's numbering.
fn count_leaves(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(members) => members.iter().map(|m| count_leaves(m.data_type())).sum(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => count_leaves(item.data_type()),
        _ => 1,
    }
}

/// Why a type cannot be read as numbers, if it cannot.
fn refusal(data_type: &DataType) -> Option<String> {
    let text = match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => return None,
        DataType::Dictionary(_, values) => return refusal(values),
        DataType::RunEndEncoded(_, values) => return refusal(values.data_type()),
        DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_) => "a time has no one unit; store it as a number, for instance seconds since the start",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text is no number; store it as one",
        _ => "only columns with one number a row can be used",
    };
    Some(text.to_owned())
}

/// The array of a leaf within a batch that holds at least that leaf, and the nulls of the structs around it.
pub(crate) fn leaf_of(batch: &RecordBatch, leaf: &Leaf) -> (ArrayRef, Option<NullBuffer>) {
    let missing = "a projected batch holds the columns it was asked for";
    let mut array = batch.column_by_name(&leaf.path[0]).expect(missing).clone();
    let mut nulls: Option<NullBuffer> = None;
    for name in &leaf.path[1..] {
        let around: &StructArray = array.as_struct();
        nulls = NullBuffer::union(nulls.as_ref(), around.nulls());
        let inner = around.column_by_name(name).expect(missing).clone();
        array = inner;
    }
    (array, nulls)
}

/// Appends an array to `out`; nulls become NaN. The error is the first value that f64 cannot hold.
pub(crate) fn widen(array: &ArrayRef, around: Option<&NullBuffer>, out: &mut Vec<f64>) -> Result<(), Inexact> {
    let from = out.len();
    let result = widen_values(array, out);
    // a fault under a null is none: look no further than it only if the value counts
    if let Err(fault) = &result
        && !is_null(array, around, fault.at)
    {
        return result;
    }
    if let Err(fault) = result {
        out.push(f64::NAN);
        let rest = array.slice(fault.at + 1, array.len() - fault.at - 1);
        let around_rest = around.map(|nulls| nulls.slice(fault.at + 1, rest.len()));
        blank(array, around, &mut out[from..]);
        let next = widen(&rest, around_rest.as_ref(), out);
        return next.map_err(|later| Inexact { at: fault.at + 1 + later.at, ..later });
    }
    blank(array, around, &mut out[from..]);
    Ok(())
}

fn is_null(array: &ArrayRef, around: Option<&NullBuffer>, at: usize) -> bool {
    array.logical_nulls().is_some_and(|nulls| nulls.is_null(at)) || around.is_some_and(|nulls| nulls.is_null(at))
}

/// Puts NaN wherever a null stands.
fn blank(array: &ArrayRef, around: Option<&NullBuffer>, values: &mut [f64]) {
    for nulls in [array.logical_nulls().as_ref(), around].into_iter().flatten() {
        if nulls.null_count() > 0 {
            for (value, valid) in values.iter_mut().zip(nulls.iter()) {
                if !valid {
                    *value = f64::NAN;
                }
            }
        }
    }
}

fn widen_values(array: &ArrayRef, out: &mut Vec<f64>) -> Result<(), Inexact> {
    match array.data_type() {
        DataType::Float64 => out.extend_from_slice(array.as_primitive::<Float64Type>().values()),
        DataType::Float32 => plain::<Float32Type>(array, out, f64::from),
        DataType::Float16 => plain::<Float16Type>(array, out, f64::from),
        DataType::Int8 => plain::<Int8Type>(array, out, f64::from),
        DataType::Int16 => plain::<Int16Type>(array, out, f64::from),
        DataType::Int32 => plain::<Int32Type>(array, out, f64::from),
        DataType::UInt8 => plain::<UInt8Type>(array, out, f64::from),
        DataType::UInt16 => plain::<UInt16Type>(array, out, f64::from),
        DataType::UInt32 => plain::<UInt32Type>(array, out, f64::from),
        DataType::Int64 => return exactly::<Int64Type>(array, out),
        DataType::UInt64 => return exactly::<UInt64Type>(array, out),
        DataType::Boolean => {
            let values: &BooleanArray = array.as_boolean();
            out.extend(values.values().iter().map(|v| f64::from(u8::from(v))));
        }
        DataType::Null => out.extend(std::iter::repeat_n(f64::NAN, array.len())),
        DataType::Decimal128(..) => decimals_128(array.as_primitive(), out),
        DataType::Decimal256(..) => decimals_256(array.as_primitive(), out),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            let wide = cast(array, &DataType::Decimal128(*precision, *scale));
            return widen_values(&wide.expect("a decimal fits into a wider one"), out);
        }
        DataType::Dictionary(_, values) => {
            let unpacked = cast(array, values).expect("a dictionary unpacks to its own values");
            return widen_values(&unpacked, out);
        }
        DataType::RunEndEncoded(_, values) => {
            let unpacked = cast(array, values.data_type()).expect("runs unpack to their own values");
            return widen_values(&unpacked, out);
        }
        other => panic!("columns of type {other} are refused when they are bound"),
    }
    Ok(())
}

fn plain<T: ArrowPrimitiveType>(array: &ArrayRef, out: &mut Vec<f64>, convert: impl Fn(T::Native) -> f64) {
    out.extend(array.as_primitive::<T>().values().iter().map(|&v| convert(v)));
}

fn exactly<T: ArrowPrimitiveType>(array: &ArrayRef, out: &mut Vec<f64>) -> Result<(), Inexact>
where
    T::Native: Into<i128>,
{
    let values: &PrimitiveArray<T> = array.as_primitive();
    for (at, &value) in values.values().iter().enumerate() {
        let value = value.into();
        out.push(exact(value).ok_or(Inexact { at, value })?);
    }
    Ok(())
}

/// Decimals are rounded once: the quotient of two exact numbers where it can be had, else by way of their digits.
fn decimals_128(values: &Decimal128Array, out: &mut Vec<f64>) {
    const LARGEST_EXACT_POWER: usize = 22; // 10^22 = 2^22 5^22, and 5^22 < 2^53
    let scale = usize::try_from(values.scale()).ok().filter(|&scale| scale <= LARGEST_EXACT_POWER);
    let power = scale.map(|scale| (0..scale).fold(1.0, |power, _| power * 10.0));
    for at in 0..values.len() {
        let unscaled = values.value(at);
        let value = match power {
            Some(power) if unscaled.unsigned_abs() <= 1 << 53 => unscaled as f64 / power,
            _ => digits(&values.value_as_string(at)),
        };
        out.push(value);
    }
}

fn decimals_256(values: &Decimal256Array, out: &mut Vec<f64>) {
    out.extend((0..values.len()).map(|at| digits(&values.value_as_string(at))));
}

fn digits(text: &str) -> f64 {
    text.parse().expect("a decimal prints as a number")
}
