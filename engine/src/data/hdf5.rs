//! HDF5 files, and so NeXus.
//!
//! A dataset of shape (n,) or (n, 1) is the column `/path`, one of shape (n, k) the columns `/path.c0`, `/path.c1`, ..., one
//! of records (a compound type) the columns `/path.FIELD`. The first slash may be left out. Links are followed.
//!
//! The C library lets one thread in at a time; workers that are processes of their own read at once. Records, and numbers in chunks that
//! are plain, shuffled or deflated, are read without it.

use std::io::Read as _;
use std::ops::Range;

use hdf5::types::{FloatSize, H5Type, IntSize, TypeDescriptor};
use hdf5::{
    Dataset, File, Group, Hyperslab, IndexType, IterationOrder, LocationToken, LocationType, Selection, SliceOrIndex,
};

use super::hdf5_records::{Opened, Records, Unpacked, filter_refusal, storage};
use super::scalar::{Inexact, Kind, exact};
use super::source::DataError;
use super::table::{BLOCK_ROWS, Column, Fault, Field, FileRef, RowSink, Rows, Table, find_in};

/// Chunks that are cut by a block stay in memory up to this size for each dataset.
const CHUNK_CACHE_BYTES: usize = 64 << 20;
/// Groups within groups that are looked into.
const DEEPEST: usize = 32;
/// Datasets that are listed at most.
const MOST_DATASETS: usize = 100_000;

/// An HDF5 file.
#[derive(Debug)]
pub(crate) struct Hdf5Table {
    file: FileRef,
    fields: Vec<Field>,
    sources: Vec<Source>,
    records: Vec<Records>,
    run_rows: u64,
    /// Whether something of the user's stands before HDF5's own content: then versions of the library disagree on where chunks are.
    has_user_block: bool,
}

/// What HDF5's own content begins with.
const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// How a field is read.
#[derive(Clone, Debug)]
enum Source {
    /// Through the library, as numbers of this kind.
    Numbers { path: String, kind: Kind, two_dimensional: bool },
    /// As numbers in chunks, where they stand in the file.
    Rows { records: usize },
    /// As a member of records.
    Member { records: usize, member: usize },
    /// Not at all.
    Nothing,
}

impl Hdf5Table {
    /// Lists the datasets.
    pub(crate) fn open(file: FileRef) -> Result<Self, DataError> {
        let handle = open(&file)?;
        let mut begin = [0; SIGNATURE.len()];
        let has_user_block = file.open()?.read_exact(&mut begin).is_err() || begin != *SIGNATURE;
        let (fields, sources, records) = (Vec::new(), Vec::new(), Vec::new());
        let mut table = Self { file, fields, sources, records, run_rows: 1 << 20, has_user_block };
        table.walk(&handle, "", &mut Vec::new());
        if table.fields.is_empty() {
            return Err(table.file.error("it holds no dataset"));
        }
        Ok(table)
    }

    /// Lists a group; `around` are the groups it is in, since links may go in circles.
    fn walk(&mut self, group: &Group, path: &str, around: &mut Vec<LocationToken>) {
        let Ok(info) = group.loc_info() else { return };
        if around.contains(&info.token) || around.len() > DEEPEST {
            return;
        }
        around.push(info.token);
        // a group that cannot be listed holds nothing that could be used
        let links = group.links(IndexType::Name, IterationOrder::Increasing).unwrap_or_default();
        for (name, _) in links {
            let path = format!("{path}/{name}");
            match group.loc_type_by_name(&name) {
                Ok(LocationType::Group) => {
                    if let Ok(inner) = group.group(&name) {
                        self.walk(&inner, &path, around);
                    }
                }
                Ok(LocationType::Dataset) if self.fields.len() < MOST_DATASETS => {
                    if let Ok(dataset) = group.dataset(&name) {
                        self.add(&dataset, path);
                    }
                }
                _ => {} // committed types, and links to what is not there
            }
        }
        around.pop();
    }

    fn add(&mut self, dataset: &Dataset, path: String) {
        let shape = dataset.shape();
        let rows = shape.first().copied().unwrap_or(1) as u64;
        let descriptor = dataset.dtype().and_then(|dtype| dtype.to_descriptor());
        let type_name = descriptor.as_ref().map_or_else(|_| unnamed(dataset), type_name);
        let mut field = Field { storage: storage(dataset), ..Field::column(path.clone(), type_name, rows) };
        if let Some(chunk) = dataset.chunk() {
            self.run_rows = self.run_rows.max(chunk.first().map_or(0, |&rows| rows as u64)).min(1 << 22);
        }
        field.width = match shape[..] {
            [_, width] if width != 1 => Some(width as u64),
            _ => None,
        };
        field.refusal = match shape.len() {
            0 => Some("it is a single value, not a column".to_owned()),
            1 | 2 => filter_refusal(dataset),
            n => Some(format!("it has {n} dimensions ({shape:?}); a column has one, a set of columns two")),
        };
        if let (Ok(TypeDescriptor::Compound(compound)), [_], None) = (&descriptor, &shape[..], &field.refusal) {
            let records = match dataset.chunk() {
                Some(_) if self.has_user_block => Err("its chunks stand behind a user block".to_owned()),
                _ => Records::new(dataset, &path, compound),
            };
            return match records {
                Ok(records) => self.add_records(records, &field),
                Err(why) => self.push(Field { refusal: Some(why), ..field }, Source::Nothing),
            };
        }
        let descriptor_known = descriptor.is_ok();
        let kind = descriptor.ok().and_then(|descriptor| kind_of(&descriptor)).or_else(|| half(dataset));
        match kind {
            Some(kind) => {
                let direct = field.refusal.is_none() && !self.has_user_block;
                let rows = if direct { Records::of_numbers(&self.file, dataset, &path, kind) } else { Ok(None) };
                match rows {
                    Ok(Some(rows)) => {
                        self.records.push(rows);
                        self.push(field, Source::Rows { records: self.records.len() - 1 });
                    }
                    Ok(None) => self.push(field, Source::Numbers { path, kind, two_dimensional: shape.len() == 2 }),
                    Err(why) => self.push(Field { refusal: Some(why), ..field }, Source::Nothing),
                }
            }
            None => {
                let usable = match descriptor_known {
                    true => "only real numbers and booleans can be used",
                    false => "only integers up to 64 bits, floats up to 64 bits and booleans can be used",
                };
                let why = field.refusal.take().or(Some(usable.to_owned()));
                self.push(Field { refusal: why, ..field }, Source::Nothing);
            }
        }
    }

    fn add_records(&mut self, records: Records, whole: &Field) {
        let index = self.records.len();
        for (member, (name, scalar)) in records.members().enumerate() {
            let why = scalar.is_none().then(|| "only real numbers and booleans can be used".to_owned());
            let type_name = scalar.map_or("not a number".to_owned(), |scalar| scalar.name());
            let field = Field { name: format!("{}.{name}", whole.name), type_name, refusal: why, ..whole.clone() };
            self.push(field, Source::Member { records: index, member });
        }
        self.records.push(records);
    }

    fn push(&mut self, field: Field, source: Source) {
        self.fields.push(field);
        self.sources.push(source);
    }

    fn broken(&self, path: &str, error: &hdf5::Error) -> DataError {
        self.file.error(format!("cannot read {path}: {error}"))
    }
}

/// The kind of number a type is, if it is one.
pub(super) fn kind_of(descriptor: &TypeDescriptor) -> Option<Kind> {
    Some(match descriptor {
        TypeDescriptor::Boolean => Kind::Bool,
        TypeDescriptor::Integer(IntSize::U1) => Kind::I8,
        TypeDescriptor::Integer(IntSize::U2) => Kind::I16,
        TypeDescriptor::Integer(IntSize::U4) => Kind::I32,
        TypeDescriptor::Integer(IntSize::U8) => Kind::I64,
        TypeDescriptor::Unsigned(IntSize::U1) => Kind::U8,
        TypeDescriptor::Unsigned(IntSize::U2) => Kind::U16,
        TypeDescriptor::Unsigned(IntSize::U4) => Kind::U32,
        TypeDescriptor::Unsigned(IntSize::U8) => Kind::U64,
        TypeDescriptor::Float(FloatSize::U4) => Kind::F32,
        TypeDescriptor::Float(FloatSize::U8) => Kind::F64,
        _ => return None,
    })
}

/// Whether numbers are 16-bit floats, which the library widens; its interface has no name for them.
fn half(dataset: &Dataset) -> Option<Kind> {
    let dtype = dataset.dtype().ok()?;
    (dtype.size() == 2 && dtype.to_descriptor().is_err() && dtype.conv_to::<f32>().is_some()).then_some(Kind::F16)
}

/// What to call a type that the library's interface has no name for.
fn unnamed(dataset: &Dataset) -> String {
    let Ok(dtype) = dataset.dtype() else { return "unknown".to_owned() };
    match (half(dataset), dtype.conv_to::<f64>()) {
        (Some(kind), _) => kind.name().to_owned(),
        (None, Some(_)) => format!("number of {} bits", 8 * dtype.size()),
        // among these are records with members of such types
        (None, None) => {
            format!("unknown ({} bytes, perhaps a record with 16-bit floats or long doubles)", dtype.size())
        }
    }
}

fn type_name(descriptor: &TypeDescriptor) -> String {
    match (kind_of(descriptor), descriptor) {
        (Some(kind), _) => kind.name().to_owned(),
        (None, TypeDescriptor::Compound(_)) => "record".to_owned(),
        (None, TypeDescriptor::Enum(_)) => "enumeration".to_owned(),
        (None, TypeDescriptor::Reference(_)) => "reference".to_owned(),
        (None, TypeDescriptor::FixedArray(..) | TypeDescriptor::VarLenArray(_)) => "array".to_owned(),
        (None, _) => "text".to_owned(),
    }
}

/// Opens the file with a cache that holds a chunk of common size.
fn open(file: &FileRef) -> Result<File, DataError> {
    drop(file.open()?); // notices a file that is gone or changed
    let mut builder = File::with_options();
    builder.with_fapl(|access| access.chunk_cache(10_007, CHUNK_CACHE_BYTES, 0.75));
    builder.open(&file.path).map_err(|error| {
        let text = error.to_string();
        let told = error.stack().map(|stack| stack.iter().map(|frame| frame.desc().to_owned()).collect::<Vec<_>>().join(" "));
        let all = format!("{text} {}", told.unwrap_or_default());
        if all.contains("signature") {
            return file.error("its content is not HDF5");
        }
        if all.contains("truncated") {
            return file.error("it is cut short, or its writer has not closed it");
        }
        if all.contains("unable to lock file") {
            return file.error("another process has it open for writing; if that is known to be safe, HDF5_USE_FILE_LOCKING=FALSE reads it all the same");
        }
        file.error(format!("it is not a complete HDF5 file: {text}"))
    })
}

/// Reads rows of one column as `T` and appends them by `convert`.
fn append<T: H5Type + Copy>(
    dataset: &Dataset,
    selection: Selection,
    out: &mut Vec<f64>,
    convert: impl Fn(T) -> Result<f64, i128>,
) -> hdf5::Result<Result<(), Inexact>> {
    let values = dataset.read_slice_1d::<T, _>(selection)?;
    for (at, &value) in values.iter().enumerate() {
        match convert(value) {
            Ok(value) => out.push(value),
            Err(value) => return Ok(Err(Inexact { at, value })),
        }
    }
    Ok(Ok(()))
}

fn append_kind(
    dataset: &Dataset,
    kind: Kind,
    selection: Selection,
    out: &mut Vec<f64>,
) -> hdf5::Result<Result<(), Inexact>> {
    macro_rules! by {
        ($type:ty) => {
            append::<$type>(dataset, selection, out, |v| Ok(f64::from(v)))
        };
    }
    match kind {
        Kind::Bool => append::<bool>(dataset, selection, out, |v| Ok(f64::from(u8::from(v)))),
        Kind::I8 => by!(i8),
        Kind::I16 => by!(i16),
        Kind::I32 => by!(i32),
        Kind::U8 => by!(u8),
        Kind::U16 => by!(u16),
        Kind::U32 => by!(u32),
        Kind::F16 | Kind::F32 => by!(f32),
        Kind::F64 => append::<f64>(dataset, selection, out, Ok),
        Kind::I64 => append::<i64>(dataset, selection, out, |v| exact(v.into()).ok_or(v.into())),
        Kind::U64 => append::<u64>(dataset, selection, out, |v| exact(v.into()).ok_or(v.into())),
    }
}

impl Table for Hdf5Table {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn find(&self, name: &str) -> Option<Column> {
        find_in(&self.fields, name).or_else(|| find_in(&self.fields, &format!("/{name}")))
    }

    fn names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name.trim_start_matches('/').to_owned()).collect()
    }

    fn run_rows(&self) -> u64 {
        self.run_rows
    }

    fn read(&self, rows: Range<u64>, columns: &[Column], sink: RowSink<'_>) -> Result<(), DataError> {
        let handle = open(&self.file)?;
        let mut datasets = Vec::new();
        for column in columns {
            let path = match &self.sources[column.field] {
                Source::Numbers { path, .. } => path.as_str(),
                Source::Member { records, .. } | Source::Rows { records } => self.records[*records].path(),
                Source::Nothing => panic!("columns of other types are refused when they are bound"),
            };
            datasets.push(handle.dataset(path).map_err(|e| self.broken(path, &e))?);
        }
        let mut out = Rows::new(columns.len());
        let mut last: Vec<Unpacked> = self.records.iter().map(|_| Unpacked::default()).collect();
        for block in self.pieces(rows, &datasets) {
            out.clear();
            let range = block.start as usize..block.end as usize;
            for (index, (column, dataset)) in columns.iter().zip(&datasets).enumerate() {
                let (values, opened) = (&mut out.columns[index], Opened { file: &self.file, dataset });
                let result = match &self.sources[column.field] {
                    Source::Numbers { path, kind, two_dimensional } => {
                        let mut slab = vec![SliceOrIndex::from(range.clone())];
                        if *two_dimensional {
                            slab.push(SliceOrIndex::from(column.component as usize));
                        }
                        let selection = Selection::from(Hyperslab::from(slab));
                        append_kind(dataset, *kind, selection, values).map_err(|e| self.broken(path, &e))?
                    }
                    Source::Member { records, member } => {
                        let last = &mut last[*records];
                        self.records[*records].read(opened, block.clone(), *member, last, values)?
                    }
                    Source::Rows { records } => {
                        let (last, member) = (&mut last[*records], column.component as usize);
                        self.records[*records].read(opened, block.clone(), member, last, values)?
                    }
                    Source::Nothing => Ok(()),
                };
                if let Err(Inexact { at, value }) = result {
                    out.fail(Fault { row: at, column: index, what: Inexact::what(value) });
                }
            }
            out.deliver(sink, |fault| {
                let column = &columns[fault.column];
                let field = &self.fields[column.field];
                let name = match field.width {
                    Some(_) => format!("{}.c{}", field.name, column.component),
                    None => field.name.clone(),
                };
                self.file.cell_error(block.start + fault.row as u64, &name, &fault.what)
            })?;
        }
        Ok(())
    }
}

impl Hdf5Table {
    /// Blocks of rows; where a chunk is larger than the cache, as many rows as a chunk, so that it is unpacked once.
    fn pieces(&self, rows: Range<u64>, datasets: &[Dataset]) -> impl Iterator<Item = Range<u64>> + use<> {
        let mut step = BLOCK_ROWS as u64;
        for dataset in datasets {
            if let (Some(chunk), Ok(dtype)) = (dataset.chunk(), dataset.dtype()) {
                let bytes = chunk.iter().product::<usize>() * dtype.size();
                if bytes > CHUNK_CACHE_BYTES {
                    step = step.max(chunk[0] as u64);
                }
            }
        }
        // pieces end where chunks do
        let mut start = rows.start;
        std::iter::from_fn(move || {
            let end = (start / step * step + step).min(rows.end);
            let piece = (start < end).then_some(start..end);
            start = end;
            piece
        })
    }
}
