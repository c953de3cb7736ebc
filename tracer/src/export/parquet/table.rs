//! One file: rows are collected by column, and a row group is written when it is full.

use std::io;

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use tracer_common::event::STACK_NONE;

use super::buffer::{Buffer, Words};
use super::schema::{ENTRY_PARTS, LINE, LOSS, Place, columns, message};
use super::session::Session;
use crate::event::{
    Decoder, EntryState, Event, Family, Loss, LossCause, Selection, Type, Value, errno_name, place,
};
use crate::export::Out;
use crate::output::Line;

/// Version of the columns; raised when one is renamed, removed or gets another meaning.
const SCHEMA: &str = "1";

/// Key of what the trace file says about itself.
pub(super) const HEADER: &str = "rmapscope.header";

/// Rows of a row group: what one thread of an engine reads at a time, and what is kept in memory.
const GROUP: u32 = 122_880;

/// The place of a column of [`LINE`].
const fn line_column(name: &str) -> usize {
    let mut index = 0;
    while !same(LINE[index].0, name) {
        index += 1;
    }
    index
}

/// Equality of names while compiling.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

const FRAMES: usize = line_column("frames");

/// A file that is being written.
pub(super) struct Table {
    writer: SerializedFileWriter<Out>,
    columns: Vec<Buffer>,
    /// By [`place`].
    places: Vec<Vec<Place>>,
    words: Words,
    rows: u32,
}

impl Table {
    /// Begins a file with the columns of those kinds; `header` is the trace file's, in JSON.
    pub(super) fn new(selection: Selection, header: &str, out: Out) -> io::Result<Self> {
        let (columns, places) = columns(selection);
        let schema = parse_message_type(&message(&columns)).map_err(failed)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("rmapscope ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_statistics_enabled(EnabledStatistics::Chunk);
        for name in ["timestamp", "time", "since_start"] {
            // Each time is another one, and near the one before.
            properties = properties
                .set_column_dictionary_enabled(ColumnPath::from(name), false)
                .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED);
        }
        let mut writer =
            SerializedFileWriter::new(out, schema.into(), properties.build().into()).map_err(failed)?;
        for (name, value) in [("rmapscope.schema", SCHEMA), (HEADER, header)] {
            writer.append_key_value_metadata(KeyValue::new(name.to_owned(), value.to_owned()));
        }
        let columns = columns.iter().map(|column| Buffer::new(column.kind)).collect();
        Ok(Self { writer, columns, places, words: Words::default(), rows: 0 })
    }

    /// Adds an event.
    pub(super) fn event(&mut self, line: &Line<'_>, session: &Session) -> io::Result<()> {
        let header = &line.event.header;
        let kind = line.event.kind();
        self.session(session);
        self.times(header.time, session);
        self.number(line_column("cpu"), header.cpu.into());
        if let Some(comm) = line.names.comm(header) {
            self.text(line_column("comm"), &comm.text());
        }
        self.number(line_column("pid"), header.pid.into());
        self.number(line_column("tid"), header.tid.into());
        self.text(line_column("family"), kind.family().name());
        self.text(line_column("event"), kind.name());
        if header.stack != STACK_NONE {
            self.number(line_column("stack"), header.stack.into());
            self.frames(line);
        }
        self.body(line.event, line);
        self.end_row()
    }

    /// Adds events that are missing.
    pub(super) fn loss(&mut self, loss: &Loss, session: &Session) -> io::Result<()> {
        self.session(session);
        let known = loss.before != u64::MAX;
        self.times(if known { loss.before } else { loss.after }, session);
        let cause = match loss.cause {
            LossCause::Lost => "lost",
            LossCause::Missed => "missed",
            LossCause::Dropped => "dropped",
        };
        self.text(line_column("event"), cause);
        let first = self.columns.len() - LOSS.len();
        if let Some(family) = loss.family().map(Family::name) {
            self.text(line_column("family"), family);
            self.text(first, family);
        }
        self.number(first + 1, loss.count.cast_signed());
        self.number(first + 2, loss.after.cast_signed());
        self.end_row()
    }

    /// What a stack's id means changes here.
    pub(super) fn stack(&mut self, id: i32) {
        self.words.forget_list(FRAMES, i64::from(id).cast_unsigned());
    }

    /// Writes what is left, and what the file knows about its whole trace.
    pub(super) fn finish(mut self, about: &[(&str, String)]) -> io::Result<()> {
        self.write_group()?;
        for (name, value) in about {
            self.writer.append_key_value_metadata(KeyValue::new((*name).to_owned(), value.clone()));
        }
        self.writer.finish().map_err(failed)?;
        self.writer.inner_mut().flush()
    }

    fn session(&mut self, session: &Session) {
        self.text(line_column("host"), &session.host);
        self.text(line_column("release"), &session.release);
        self.text(line_column("session"), session.name());
    }

    fn times(&mut self, time: u64, session: &Session) {
        self.number(line_column("timestamp"), session.utc(time).div_euclid(1000));
        self.number(line_column("time"), time.cast_signed());
        self.number(line_column("since_start"), session.since_start(time));
    }

    fn frames(&mut self, line: &Line<'_>) {
        let id = line.event.header.stack;
        let Some(frames) = line.names.stack(id) else { return };
        let list = self.words.list(FRAMES, i64::from(id).cast_unsigned(), |strings| {
            let name = |frame: &crate::event::Frame| match &frame.symbol {
                Some(symbol) => symbol.clone(),
                None => format!("{:#x}", frame.address),
            };
            strings.extend(frames.iter().map(name));
        });
        self.columns[FRAMES].set(self.rows, list);
    }

    fn body(&mut self, event: &Event, line: &Line<'_>) {
        let body = event.body.bytes();
        for index in 0..self.places[place(event.kind())].len() {
            let Place { field, value: column, raw } = self.places[place(event.kind())][index];
            if let Some(raw) = raw
                && !matches!(Decoder::raw_value(field, body), Value::Unknown)
            {
                self.number(raw, field.number(body).cast_signed());
            }
            match line.decoder.value(field, body, line.names) {
                Value::Unknown | Value::Absent => {}
                Value::Word(_) if matches!(field.ty, Type::Mapping | Type::SlotOriginal) => {
                    self.number(column, -1);
                }
                Value::Word(_) if field.ty == Type::OptionalPage => {}
                Value::Word(word) => self.text(column, word),
                Value::Text(text) => self.text(column, &text),
                // A number that has no name, in a column of names.
                Value::Hex(number) if field.ty == Type::Device => {
                    self.text(column, &format!("{number:#x}"));
                }
                Value::Number(number)
                    if matches!(
                        field.ty,
                        Type::Direction
                            | Type::MigrateMode
                            | Type::MigrateReason
                            | Type::RefusalStep
                            | Type::RefusalReason
                    ) =>
                {
                    self.text(column, &number.to_string());
                }
                Value::Hex(number)
                    if matches!(field.ty, Type::TtuFlags | Type::FaultFlags | Type::FaultResult) =>
                {
                    self.list(column, number, |strings| strings.push(format!("{number:#x}")));
                }
                Value::Flags(names, number) => self.list(column, number, |strings| {
                    let (names, rest) = names.split(number);
                    strings.extend(names.map(str::to_owned));
                    if rest != 0 {
                        strings.push(format!("{rest:#x}"));
                    }
                }),
                Value::Number(number) | Value::Hex(number) => self.number(column, number.cast_signed()),
                Value::Signed(number) => self.number(column, number),
                Value::Truth(truth) => self.number(column, truth.into()),
                Value::Result(number) => {
                    self.number(column, number);
                    if number < 0
                        && let Some(error) = errno_name(number.unsigned_abs())
                    {
                        self.text(column + 1, error);
                    }
                }
                Value::Entry(entry) => {
                    self.text(column, entry.state.name());
                    let parts = match entry.state {
                        EntryState::None => [None; ENTRY_PARTS.len()],
                        EntryState::Present { pfn } => [None, pfn.map(u64::cast_signed), None, None],
                        EntryState::Swap { number, pfn, soft_dirty, uffd_wp, .. } => [
                            Some(number.into()),
                            pfn.map(u64::cast_signed),
                            Some(soft_dirty.into()),
                            Some(uffd_wp.into()),
                        ],
                    };
                    for (part, value) in parts.into_iter().enumerate() {
                        if let Some(value) = value {
                            self.number(column + 1 + part, value);
                        }
                    }
                }
            }
        }
    }

    fn number(&mut self, column: usize, number: i64) {
        self.columns[column].set(self.rows, number);
    }

    fn text(&mut self, column: usize, text: &str) {
        let id = self.words.string(text);
        self.columns[column].set(self.rows, id);
    }

    fn list(&mut self, column: usize, number: u64, make: impl FnOnce(&mut Vec<String>)) {
        let id = self.words.list(column, number, make);
        self.columns[column].set(self.rows, id);
    }

    fn end_row(&mut self) -> io::Result<()> {
        self.rows += 1;
        if self.rows == GROUP { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for column in &mut self.columns {
            column.write(self.rows as usize, &self.words, &mut group).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.words = Words::default();
        self.rows = 0;
        Ok(())
    }
}

/// The output's own error where there is one: a full disk has another remedy than a closed pipe.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}
