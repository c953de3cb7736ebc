//! One row group's values of a column until they are written: only those that are there, with their rows.

use std::io::Write;
use std::ops::Range;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::{SerializedColumnWriter, SerializedRowGroupWriter};
use rustc_hash::FxHashMap;

use super::schema::Kind;

/// Rows whose levels and strings are spread out at a time.
const STEP: usize = 8192;

/// Strings and lists of strings of a row group, each kept once.
#[derive(Debug, Default)]
pub(super) struct Words {
    strings: Vec<ByteArray>,
    ids: FxHashMap<Box<str>, u32>,
    lists: Vec<Box<[u32]>>,
    list_ids: FxHashMap<(usize, u64), u32>,
}

impl Words {
    /// The id of a string.
    pub(super) fn string(&mut self, text: &str) -> i64 {
        i64::from(self.id(text))
    }

    fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        // A row group has fewer strings than fit into 32 bits.
        let id = self.strings.len() as u32;
        self.strings.push(ByteArray::from(text));
        self.ids.insert(text.into(), id);
        id
    }

    /// The id of the list that `column` has for `number`; `make` tells its strings.
    pub(super) fn list(&mut self, column: usize, number: u64, make: impl FnOnce(&mut Vec<String>)) -> i64 {
        if let Some(id) = self.list_ids.get(&(column, number)) {
            return i64::from(*id);
        }
        let mut strings = Vec::new();
        make(&mut strings);
        let list: Box<[u32]> = strings.iter().map(|string| self.id(string)).collect();
        let id = self.lists.len() as u32;
        self.lists.push(list);
        self.list_ids.insert((column, number), id);
        i64::from(id)
    }

    /// Forgets which number means which list: it may mean another one from here on.
    pub(super) fn forget_list(&mut self, column: usize, number: u64) {
        self.list_ids.remove(&(column, number));
    }
}

/// A column's values.
#[derive(Debug)]
pub(super) struct Buffer {
    kind: Kind,
    rows: Vec<u32>,
    /// The numbers themselves, or ids of [`Words`].
    values: Vec<i64>,
}

impl Buffer {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, rows: Vec::new(), values: Vec::new() }
    }

    /// Sets the value of a row; rows come in order, and each once.
    #[inline]
    pub(super) fn set(&mut self, row: u32, value: i64) {
        self.rows.push(row);
        self.values.push(value);
    }

    /// Writes the column for `rows` rows and empties it.
    pub(super) fn write<W: Write + Send>(
        &mut self,
        rows: usize,
        words: &Words,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        let Some(mut writer) = group.next_column()? else { return Ok(()) };
        let mut done = 0;
        for start in (0..rows).step_by(STEP) {
            let end = rows.min(start + STEP);
            let here = self.rows[done..].partition_point(|row| (*row as usize) < end);
            self.write_rows(start..end, done..done + here, words, &mut writer)?;
            done += here;
        }
        self.rows.clear();
        self.values.clear();
        writer.close()
    }

    fn write_rows(
        &self,
        rows: Range<usize>,
        values: Range<usize>,
        words: &Words,
        writer: &mut SerializedColumnWriter<'_>,
    ) -> Result<()> {
        let present = &self.rows[values.clone()];
        let values = &self.values[values];
        if self.kind == Kind::List {
            return write_lists(rows, present, values, words, writer);
        }
        let mut levels = vec![0; rows.len()];
        for row in present {
            levels[*row as usize - rows.start] = 1;
        }
        match self.kind {
            Kind::Integer | Kind::Timestamp => {
                writer.typed::<Int64Type>().write_batch(values, Some(&levels), None)?;
            }
            Kind::Truth => {
                let values: Vec<bool> = values.iter().map(|value| *value != 0).collect();
                writer.typed::<BoolType>().write_batch(&values, Some(&levels), None)?;
            }
            Kind::Text | Kind::List => {
                let values: Vec<ByteArray> =
                    values.iter().map(|id| words.strings[*id as usize].clone()).collect();
                writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            }
        }
        Ok(())
    }
}

/// Definition levels: 0 no list, 1 an empty one, 2 a string of it. Repetition levels: 0 begins a row.
fn write_lists(
    rows: Range<usize>,
    present: &[u32],
    values: &[i64],
    words: &Words,
    writer: &mut SerializedColumnWriter<'_>,
) -> Result<()> {
    let (mut definition, mut repetition, mut strings) = (Vec::new(), Vec::new(), Vec::new());
    let mut lists = present.iter().zip(values).peekable();
    for row in rows {
        let list = lists.next_if(|(present, _)| **present as usize == row);
        let list = list.map(|(_, id)| &words.lists[*id as usize]);
        match list {
            Some(list) if !list.is_empty() => {
                for (index, id) in list.iter().enumerate() {
                    definition.push(2);
                    repetition.push(i16::from(index > 0));
                    strings.push(words.strings[*id as usize].clone());
                }
            }
            other => {
                definition.push(i16::from(other.is_some()));
                repetition.push(0);
            }
        }
    }
    writer.typed::<ByteArrayType>().write_batch(&strings, Some(&definition), Some(&repetition))?;
    Ok(())
}
