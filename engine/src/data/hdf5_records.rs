//! Rows of HDF5 datasets, read where they stand in the file, and what storage a dataset has.
//!
//! The library's safe interface needs the members of a record (a compound type) when the program is built. So the bytes of records are
//! read by position: contiguous ones as they are, chunked ones after undoing `shuffle` and `deflate`. Numbers in such chunks
//! are read that way too: the library (1.10) believes the lengths that a damaged file gives its chunks, and reads beyond them.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use flate2::read::ZlibDecoder;
use hdf5::Dataset;
use hdf5::datatype::{ByteOrder, Datatype};
use hdf5::filters::Filter;
use hdf5::types::CompoundType;

use super::hdf5::kind_of;
use super::scalar::{Inexact, Kind, Scalar};
use super::source::DataError;
use super::table::FileRef;

/// Chunks that are listed at most: the library finds the k-th by counting.
const MOST_CHUNKS: usize = 10_000;

/// A dataset of records, or of numbers, each row of which is then a record.
#[derive(Debug)]
pub(crate) struct Records {
    path: String,
    /// Bytes of a record.
    size: usize,
    /// Bytes of what `shuffle` takes for one element.
    element: usize,
    rows: u64,
    members: Vec<(String, usize, Option<Scalar>)>,
    place: Place,
    /// What stands in chunks that were never written, if they may be read at all.
    fill: Option<f64>,
}

#[derive(Debug)]
enum Place {
    /// From this byte of the file on.
    Contiguous(u64),
    /// In chunks of so many rows, packed by these filters in this order; where they are is asked on first use.
    Chunked { rows: u64, filters: Vec<Unpack>, chunks: OnceLock<Result<Vec<Chunk>, String>> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unpack {
    Shuffle,
    Deflate,
}

/// A dataset of a file that is open.
#[derive(Clone, Copy)]
pub(super) struct Opened<'a> {
    pub(super) file: &'a FileRef,
    pub(super) dataset: &'a Dataset,
}

/// The chunk that was unpacked last, and its bytes: several columns and blocks may want it.
#[derive(Debug, Default)]
pub(super) struct Unpacked(Option<usize>, Vec<u8>);

impl Unpacked {
    /// Has a chunk unpacked, if it is not the last one.
    fn unpack(&mut self, chunk: usize, bytes: impl FnOnce() -> Result<Vec<u8>, DataError>) -> Result<(), DataError> {
        if self.0 != Some(chunk) {
            *self = Self::default();
            *self = Self(Some(chunk), bytes()?);
        }
        Ok(())
    }
}

/// A chunk: its first row, where it is, and which filters were left out.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    row: u64,
    offset: u64,
    bytes: u64,
    left_out: u32,
}

impl Records {
    /// Lays a dataset of records out. The error is why its members cannot be read.
    pub(super) fn new(dataset: &Dataset, path: &str, compound: &CompoundType) -> Result<Self, String> {
        let big_endian = is_big_endian(dataset).ok_or("its members have different orders of bytes")?;
        let scalar = |kind| Scalar { kind, big_endian };
        let members = compound.fields.iter().map(|f| (f.name.clone(), f.offset, kind_of(&f.ty).map(scalar))).collect();
        let place = match (dataset.offset(), dataset.chunk()) {
            (Some(offset), _) => Place::Contiguous(offset),
            (None, Some(chunk)) => {
                let filters = unpacking(dataset).map_err(|other| {
                    format!("records packed by {} are not read; expected gzip", filter_name(&other))
                })?;
                Place::Chunked { rows: chunk[0] as u64, filters, chunks: OnceLock::new() }
            }
            _ => return Err("its records were never written, or stand in the file's header".to_owned()),
        };
        let rows = dataset.shape()[0] as u64;
        let (path, size) = (path.to_owned(), compound.size);
        Ok(Self { path, size, element: size, rows, members, place, fill: None })
    }

    /// Numbers in chunks, each row as a record. `None` where the library must read them: in too many chunks, in chunks that do not hold
    /// whole rows, packed by other filters, or in other formats than those of this machine. The error is why they cannot be read.
    pub(super) fn of_numbers(
        file: &FileRef,
        dataset: &Dataset,
        path: &str,
        kind: Kind,
    ) -> Result<Option<Self>, String> {
        let (shape, Some(chunk), Ok(filters)) = (dataset.shape(), dataset.chunk(), unpacking(dataset)) else {
            return Ok(None);
        };
        let (rows, width) = (shape[0], shape.get(1).copied().unwrap_or(1));
        let whole_rows = chunk.get(1).is_none_or(|&columns| columns == width);
        if chunk[0] == 0 || !whole_rows || rows.div_ceil(chunk[0]) > MOST_CHUNKS {
            return Ok(None);
        }
        let unreadable = |error: hdf5::Error| error.to_string();
        let element = dataset.dtype().map_err(unreadable)?.size();
        let order = is_big_endian(dataset).filter(|&big| big || is_native(dataset, kind));
        let scalar = Scalar { kind, big_endian: order == Some(true) };
        let records = Self {
            path: path.to_owned(),
            size: element * width,
            element,
            rows: rows as u64,
            members: (0..width).map(|k| (String::new(), k * element, Some(scalar))).collect(),
            place: Place::Chunked { rows: chunk[0] as u64, filters, chunks: OnceLock::new() },
            fill: dataset.dcpl().map_err(unreadable)?.fill_value_as::<f64>(),
        };
        if order.is_none() {
            // The library knows more formats of numbers; that chunks have the length that it will believe they have is seen to first.
            records.check_chunks(file, dataset)?;
            return Ok(None);
        }
        Ok(Some(records))
    }

    /// Looks whether every chunk has all its bytes.
    fn check_chunks(&self, file: &FileRef, dataset: &Dataset) -> Result<(), String> {
        let Place::Chunked { rows, filters, .. } = &self.place else { return Ok(()) };
        let handle = file.open().map_err(|error| error.message)?;
        let whole = rows.saturating_mul(self.size as u64);
        for chunk in list(dataset, self.rows)? {
            let bytes = self.unpack(&handle, &chunk, filters, whole)?;
            if bytes.len() as u64 != whole {
                return Err("a chunk is cut short".to_owned());
            }
        }
        Ok(())
    }

    /// The dataset's path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Names and types of the members; no type for what is not a number.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, Option<Scalar>)> {
        self.members.iter().map(|(name, _, scalar)| (name.as_str(), *scalar))
    }

    /// Appends one member of some records.
    pub(super) fn read(
        &self,
        Opened { file, dataset }: Opened<'_>,
        rows: Range<u64>,
        member: usize,
        last: &mut Unpacked,
        out: &mut Vec<f64>,
    ) -> Result<Result<(), Inexact>, DataError> {
        let failed = |what: String| file.error(format!("cannot read {}: {what}", self.path));
        let handle = file.open()?;
        let size = self.size as u64;
        match &self.place {
            Place::Contiguous(offset) => {
                let mut bytes = vec![0; ((rows.end - rows.start) * size) as usize];
                handle.read_exact_at(&mut bytes, offset + rows.start * size).map_err(|e| failed(e.to_string()))?;
                Ok(self.decode(&bytes, member, out))
            }
            Place::Chunked { rows: chunk_rows, filters, chunks } => {
                let chunks = chunks.get_or_init(|| list(dataset, self.rows)).as_ref();
                let chunks = chunks.map_err(|what| failed(what.clone()))?;
                let mut row = rows.start;
                while row < rows.end {
                    let first = row / chunk_rows * chunk_rows;
                    let end = rows.end.min(first + chunk_rows).min(self.rows);
                    match (chunks.binary_search_by_key(&first, |chunk| chunk.row), self.fill) {
                        (Ok(chunk), _) => {
                            last.unpack(chunk, || {
                                let most = chunk_rows.saturating_mul(size);
                                self.unpack(&handle, &chunks[chunk], filters, most).map_err(failed)
                            })?;
                            let part = last.1.get(((row - first) * size) as usize..((end - first) * size) as usize);
                            let part = part.ok_or_else(|| failed("a chunk is cut short".to_owned()))?;
                            if let Err(Inexact { at, value }) = self.decode(part, member, out) {
                                return Ok(Err(Inexact { at: at + (row - rows.start) as usize, value }));
                            }
                        }
                        (Err(_), Some(fill)) => out.extend((row..end).map(|_| fill)),
                        (Err(_), None) => return Err(failed(format!("rows from {} on were never written", first + 1))),
                    }
                    row = end;
                }
                Ok(Ok(()))
            }
        }
    }

    /// Appends a member of records that stand one behind the other.
    fn decode(&self, records: &[u8], member: usize, out: &mut Vec<f64>) -> Result<(), Inexact> {
        let (_, offset, scalar) = &self.members[member];
        let scalar = scalar.expect("members of other types are refused when they are bound");
        scalar.decode(records.get(*offset..).unwrap_or_default(), self.size, out)
    }

    /// The bytes of a chunk, of which no more than `most` are wanted.
    fn unpack(&self, handle: &File, chunk: &Chunk, filters: &[Unpack], most: u64) -> Result<Vec<u8>, String> {
        let length = handle.metadata().map_err(|e| e.to_string())?.len();
        if chunk.offset.checked_add(chunk.bytes).is_none_or(|end| end > length) {
            return Err("a chunk ends behind the end of the file".to_owned());
        }
        let mut bytes = vec![0; chunk.bytes as usize];
        handle.read_exact_at(&mut bytes, chunk.offset).map_err(|e| e.to_string())?;
        for (k, filter) in filters.iter().enumerate().rev() {
            if chunk.left_out >> k & 1 == 1 {
                continue;
            }
            bytes = match filter {
                Unpack::Shuffle => unshuffle(&bytes, self.element),
                Unpack::Deflate => {
                    let mut plain = Vec::new();
                    ZlibDecoder::new(bytes.as_slice()).take(most).read_to_end(&mut plain).map_err(|e| e.to_string())?;
                    plain
                }
            };
        }
        Ok(bytes)
    }
}

/// The order of bytes, if it is one.
fn is_big_endian(dataset: &Dataset) -> Option<bool> {
    match dataset.dtype().ok()?.byte_order() {
        ByteOrder::LittleEndian | ByteOrder::None => Some(false),
        ByteOrder::BigEndian => Some(true),
        _ => None,
    }
}

/// Whether numbers stand in the file as in this machine's memory, to the last bit of their format. 16-bit floats have no type to be
/// compared with.
fn is_native(dataset: &Dataset, kind: Kind) -> bool {
    let native = match kind {
        Kind::Bool => Datatype::from_type::<bool>(),
        Kind::I8 => Datatype::from_type::<i8>(),
        Kind::I16 => Datatype::from_type::<i16>(),
        Kind::I32 => Datatype::from_type::<i32>(),
        Kind::I64 => Datatype::from_type::<i64>(),
        Kind::U8 => Datatype::from_type::<u8>(),
        Kind::U16 => Datatype::from_type::<u16>(),
        Kind::U32 => Datatype::from_type::<u32>(),
        Kind::U64 => Datatype::from_type::<u64>(),
        Kind::F32 => Datatype::from_type::<f32>(),
        Kind::F64 => Datatype::from_type::<f64>(),
        Kind::F16 => return true,
    };
    matches!((native, dataset.dtype()), (Ok(native), Ok(found)) if native == found)
}

/// The filters of a dataset, if all of them can be undone here; else the first that cannot.
fn unpacking(dataset: &Dataset) -> Result<Vec<Unpack>, Filter> {
    let known = |filter| match filter {
        Filter::Shuffle => Ok(Unpack::Shuffle),
        Filter::Deflate(_) => Ok(Unpack::Deflate),
        other => Err(other),
    };
    dataset.filters().into_iter().map(known).collect()
}

/// The chunks of a dataset in the order of rows.
fn list(dataset: &Dataset, rows: u64) -> Result<Vec<Chunk>, String> {
    let unreadable = || "its index of chunks is damaged".to_owned();
    let of = |info: hdf5::dataset::ChunkInfo| Chunk {
        row: info.offset.first().copied().unwrap_or(0),
        offset: info.addr,
        bytes: info.size,
        left_out: info.filter_mask,
    };
    let count = dataset.num_chunks().ok_or_else(unreadable)?;
    let chunks = (0..count).map(|k| dataset.chunk_info(k).map(of).ok_or_else(unreadable));
    let mut chunks = chunks.collect::<Result<Vec<Chunk>, String>>()?;
    chunks.sort_unstable_by_key(|chunk| chunk.row);
    let ascend = chunks.windows(2).all(|pair| pair[0].row < pair[1].row);
    if !ascend || chunks.last().is_some_and(|chunk| chunk.row >= rows) {
        return Err(unreadable());
    }
    Ok(chunks)
}

/// Undoes HDF5's shuffle: byte j of every record stood together, for each j in turn.
fn unshuffle(bytes: &[u8], size: usize) -> Vec<u8> {
    let n = bytes.len() / size;
    let mut plain = bytes.to_vec(); // bytes beyond whole records are not shuffled
    for j in 0..size {
        for i in 0..n {
            plain[i * size + j] = bytes[j * n + i];
        }
    }
    plain
}

/// Why a dataset cannot be unpacked here, if it cannot.
pub(super) fn filter_refusal(dataset: &Dataset) -> Option<String> {
    let missing = dataset.filters().into_iter().find(|filter| !filter.is_available())?;
    Some(format!(
        "the dataset uses filter {} ({}), which is not installed; set HDF5_PLUGIN_PATH to the folder of its plugin",
        missing.id(),
        filter_name(&missing)
    ))
}

fn filter_name(filter: &Filter) -> &'static str {
    // registered numbers: https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md
    match filter.id() {
        1 => "gzip",
        2 => "shuffle",
        3 => "fletcher32",
        4 => "szip",
        5 => "nbit",
        6 => "scale-offset",
        307 => "bzip2",
        32_000 => "lzf",
        32_001 => "blosc",
        32_004 => "lz4",
        32_008 => "bitshuffle",
        32_013 => "zfp",
        32_015 => "zstd",
        32_017 => "sz",
        32_024 => "sz3",
        32_026 => "blosc2",
        _ => "of a plugin",
    }
}

/// Shape of the chunks and the filters, for people.
pub(super) fn storage(dataset: &Dataset) -> String {
    let mut parts = Vec::new();
    let shape = dataset.shape();
    if shape.len() > 1 {
        parts.push(format!("shape {shape:?}"));
    }
    if let Some(chunk) = dataset.chunk() {
        parts.push(format!("chunks {chunk:?}"));
    }
    parts.extend(dataset.filters().iter().map(|filter| filter_name(filter).to_owned()));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshuffling_gathers_the_bytes_of_a_record() {
        assert_eq!(unshuffle(&[1, 4, 2, 5, 3, 6, 7], 3), [1, 2, 3, 4, 5, 6, 7]);
    }
}
