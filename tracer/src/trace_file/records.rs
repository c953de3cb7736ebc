//! The records of a frame of events, put together again (see [`collector`](super::collector)).

use super::column::{self, WORD};
use super::members::Translation;

/// Where a record has the number of its kind (`tracer_common::event::Header`).
const KIND_AT: usize = 16;

/// Bytes of one entry of the table of kinds.
const ENTRY_SIZE: usize = 6;

/// A place that no kind has.
const NOWHERE: u16 = u16::MAX;

/// Why a payload cannot be taken for a frame of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends in its table of kinds, or in a plain record.
    #[error("the payload ends early")]
    Short,
    /// A kind without a size in the file's header, listed twice, or without a record.
    #[error("the table of kinds has an impossible entry for kind {0:#06x}")]
    Kind(u16),
    /// The counts of the kinds are not the frame's.
    #[error("the kinds have {found} records where the frame's header says {expected}")]
    Count {
        /// Sum over the kinds.
        found: u64,
        /// Items in the frame's header.
        expected: u32,
    },
    /// The records would take more memory than any writer's frame.
    #[error("the records would take {0} bytes")]
    TooLarge(u64),
    /// The runs do not fit the table of kinds.
    #[error("the runs of records do not fit the counts of their kinds")]
    Runs,
    /// A record whose header says another kind than its columns.
    #[error("a record of kind {0:#06x} has another kind in its header")]
    OtherKind(u16),
    /// A column.
    #[error(transparent)]
    Column(#[from] column::Malformed),
    /// Bytes behind the last column.
    #[error("{0} bytes after the last column")]
    Rest(usize),
}

/// What a reader knows of a kind in a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordLayout {
    /// Bytes of a record: a multiple of 8, at least the size of its header.
    pub size: usize,
    /// Whether this version of the program knows what the bytes mean.
    pub is_known: bool,
}

/// Records of one kind in a decoded frame.
#[derive(Debug, Default)]
struct Group {
    number: u16,
    layout: RecordLayout,
    count: u32,
    records: Vec<u8>,
    /// Where its next record begins.
    position: usize,
}

/// A stretch of records of the same kind.
#[derive(Clone, Copy, Debug)]
struct Run {
    place: u16,
    length: u32,
}

/// The records of one frame, decoded. Keeps its memory from frame to frame.
#[derive(Debug, Default)]
pub struct Records {
    groups: Vec<Group>,
    /// Groups of earlier frames, for their memory.
    spare: Vec<Group>,
    runs: Vec<Run>,
    /// Index of the next run.
    next_run: usize,
    /// Place of the present run.
    place: u16,
    /// Records left in it.
    left: u32,
}

impl Records {
    /// The next record of a known kind, in the order of the stream.
    #[inline]
    pub fn next(&mut self) -> Option<&[u8]> {
        while self.left == 0 {
            let run = self.runs.get(self.next_run)?;
            self.next_run += 1;
            let group = &mut self.groups[usize::from(run.place)];
            if group.layout.is_known {
                (self.place, self.left) = (run.place, run.length);
            }
        }
        self.left -= 1;
        let Group { layout, position, records, .. } = &mut self.groups[usize::from(self.place)];
        let start = *position;
        *position += layout.size;
        records.get(start..*position)
    }

    /// Kinds that this version does not know, with the number of their records.
    pub fn unknown(&self) -> impl Iterator<Item = (u16, u32)> {
        let unknown = self.groups.iter().filter(|group| !group.layout.is_known);
        unknown.map(|group| (group.number, group.count))
    }

    /// Decodes the payload of a frame of `count` events. `layout_of` gives what the file
    /// says of a kind; `limit` is the most bytes that all records may take.
    ///
    /// # Errors
    /// When the payload is malformed; there are no records then.
    pub fn decode(
        &mut self,
        payload: &[u8],
        count: u32,
        layout_of: impl Fn(u16) -> Option<RecordLayout>,
        limit: usize,
    ) -> Result<(), Malformed> {
        self.clear();
        let result = self.fill(payload, count, layout_of, limit);
        if result.is_err() {
            self.clear();
        }
        result
    }

    /// Makes records of this version's layout from those of another.
    pub fn translate<'a>(&mut self, translation_of: impl Fn(u16) -> Option<&'a Translation>) {
        for group in &mut self.groups {
            if let Some(translation) = translation_of(group.number) {
                group.records = translation.translate(&group.records, group.layout.size);
                group.layout.size = translation.size();
            }
        }
    }

    fn clear(&mut self) {
        self.spare.append(&mut self.groups);
        self.runs.clear();
        (self.next_run, self.left) = (0, 0);
    }

    /// The same for a payload of plain records, one behind the other.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_plain(
        &mut self,
        payload: &[u8],
        count: u32,
        layout_of: impl Fn(u16) -> Option<RecordLayout>,
    ) -> Result<(), Malformed> {
        self.clear();
        let result = self.fill_plain(payload, count, layout_of);
        if result.is_err() {
            self.clear();
        }
        result
    }

    fn fill_plain(
        &mut self,
        mut payload: &[u8],
        count: u32,
        layout_of: impl Fn(u16) -> Option<RecordLayout>,
    ) -> Result<(), Malformed> {
        let mut found = 0;
        while !payload.is_empty() {
            let kind = payload.get(KIND_AT..KIND_AT + 2).ok_or(Malformed::Short)?;
            let number = u16::from_le_bytes([kind[0], kind[1]]);
            let layout = layout_of(number).ok_or(Malformed::Kind(number))?;
            let (record, rest) = payload.split_at_checked(layout.size).ok_or(Malformed::Short)?;
            payload = rest;
            let place = match self.groups.iter().position(|group| group.number == number) {
                Some(place) => place,
                None => {
                    let mut group = self.spare.pop().unwrap_or_default();
                    (group.number, group.layout, group.count, group.position) = (number, layout, 0, 0);
                    group.records.clear();
                    self.groups.push(group);
                    self.groups.len() - 1
                }
            };
            self.groups[place].records.extend_from_slice(record);
            self.groups[place].count += 1;
            found += 1;
            match self.runs.last_mut() {
                Some(run) if usize::from(run.place) == place => run.length += 1,
                // Kinds are 16-bit numbers, so their places are.
                _ => self.runs.push(Run { place: place as u16, length: 1 }),
            }
        }
        let expected = count;
        if found == u64::from(expected) { Ok(()) } else { Err(Malformed::Count { found, expected }) }
    }

    fn fill(
        &mut self,
        payload: &[u8],
        count: u32,
        layout_of: impl Fn(u16) -> Option<RecordLayout>,
        limit: usize,
    ) -> Result<(), Malformed> {
        let mut rest = payload;
        let kinds = usize::from(u16::from_le_bytes(take(&mut rest)?));
        let runs = u32::from_le_bytes(take(&mut rest)?);
        if kinds * ENTRY_SIZE > rest.len() {
            return Err(Malformed::Short);
        }
        while self.groups.len() < kinds {
            self.groups.push(self.spare.pop().unwrap_or_default());
        }
        let (mut records, mut bytes) = (0_u64, 0_u64);
        for i in 0..kinds {
            let number = u16::from_le_bytes(take(&mut rest)?);
            let of_kind = u32::from_le_bytes(take(&mut rest)?);
            let layout = layout_of(number).ok_or(Malformed::Kind(number))?;
            if of_kind == 0 || self.groups[..i].iter().any(|other| other.number == number) {
                return Err(Malformed::Kind(number));
            }
            records += u64::from(of_kind);
            bytes += u64::from(of_kind) * layout.size as u64;
            let group = &mut self.groups[i];
            (group.number, group.layout, group.count) = (number, layout, of_kind);
        }
        if records != u64::from(count) || count == 0 {
            return Err(Malformed::Count { found: records, expected: count });
        }
        if bytes > limit as u64 {
            return Err(Malformed::TooLarge(bytes));
        }
        self.fill_runs(&mut rest, runs, count)?;
        for group in &mut self.groups {
            group.fill(&mut rest)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(Malformed::Rest(rest.len())) }
    }

    fn fill_runs(&mut self, bytes: &mut &[u8], runs: u32, count: u32) -> Result<(), Malformed> {
        if runs == 0 || runs > count {
            return Err(Malformed::Runs);
        }
        let list = &mut self.runs;
        column::decode(bytes, runs as usize, |_, places| {
            // A place beyond the table stays beyond it.
            let run = |place: &u64| Run { place: u16::try_from(*place).unwrap_or(NOWHERE), length: 0 };
            list.extend(places.iter().map(run));
        })?;
        column::decode(bytes, runs as usize, |start, lengths| {
            for (run, length) in list[start..].iter_mut().zip(lengths) {
                // A length beyond the counts stays beyond them.
                run.length = u32::try_from(*length).unwrap_or(u32::MAX);
            }
        })?;
        let mut left: Vec<u32> = self.groups.iter().map(|group| group.count).collect();
        for run in &self.runs {
            let left = left.get_mut(usize::from(run.place)).ok_or(Malformed::Runs)?;
            *left = left.checked_sub(run.length).ok_or(Malformed::Runs)?;
        }
        if left.iter().all(|left| *left == 0) { Ok(()) } else { Err(Malformed::Runs) }
    }
}

impl Group {
    fn fill(&mut self, bytes: &mut &[u8]) -> Result<(), Malformed> {
        let size = self.layout.size;
        self.position = 0;
        self.records.resize(self.count as usize * size, 0);
        for word in 0..size / WORD {
            let records = &mut self.records;
            column::decode(bytes, self.count as usize, |start, values| {
                for (record, value) in records[start * size..].chunks_exact_mut(size).zip(values) {
                    record[word * WORD..][..WORD].copy_from_slice(&value.to_le_bytes());
                }
            })?;
        }
        let kind = self.number.to_le_bytes();
        let same = self.records.chunks_exact(size).all(|record| record[KIND_AT..KIND_AT + 2] == kind);
        if same { Ok(()) } else { Err(Malformed::OtherKind(self.number)) }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(Malformed::Short)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::super::collector::Collector;
    use super::*;

    const KIND: u16 = 3;

    fn record(time: u64, task: u32, exit_code: u32) -> Vec<u8> {
        let mut record = time.to_le_bytes().to_vec();
        record.extend_from_slice(&task.to_le_bytes());
        record.extend_from_slice(&task.to_le_bytes());
        record.extend_from_slice(&KIND.to_le_bytes());
        record.extend_from_slice(&1_u16.to_le_bytes());
        record.extend_from_slice(&(-1_i32).to_le_bytes());
        record.extend_from_slice(&u64::from(exit_code).to_le_bytes());
        record
    }

    /// The worked example of docs/trace-file.md.
    #[test]
    fn the_example_of_the_document() {
        let expected = "01 00 01 00 00 00 03 00 05 00 00 00
            00 00 00 00 00 00 00 00 00
            05 00 00 00 00 00 00 00 00
            e8 03 00 00 00 00 00 00 46 03 80 65 46 26 03
            46 00 00 00 46 00 00 00 80 02 46 00 00 00 46 00 00 00 47 00 00 00 47 00 00 00 12
            03 00 01 00 ff ff ff ff 00
            00 00 00 00 00 00 00 00 c0 08 12";
        let records = [
            record(1000, 70, 0),
            record(1300, 71, 256),
            record(1400, 70, 0),
            record(1600, 70, 0),
            record(1800, 71, 256),
        ];
        let mut collector = Collector::new();
        let handle = collector.add_kind(KIND, 32);
        for record in &records {
            collector.push_run(handle, record, record.len());
        }
        let mut payload = Vec::new();
        collector.finish(&mut payload);
        let words: Vec<u8> =
            expected.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(payload, words);

        let layout = RecordLayout { size: 32, is_known: true };
        let mut decoded = Records::default();
        decoded.decode(&payload, 5, |kind| (kind == KIND).then_some(layout), 1000).unwrap();
        for record in &records {
            assert_eq!(decoded.next(), Some(record.as_slice()));
        }
        assert_eq!(decoded.next(), None);
    }

    #[test]
    fn a_record_longer_than_any_of_today() {
        let long: Vec<u8> = (0..17 * 8).collect();
        let kind = u16::from_le_bytes([long[KIND_AT], long[KIND_AT + 1]]);
        let mut collector = Collector::new();
        let handle = collector.add_kind(kind, long.len());
        collector.push_run(handle, &long, long.len());
        let mut payload = Vec::new();
        collector.finish(&mut payload);
        let layout = RecordLayout { size: long.len(), is_known: true };
        let mut decoded = Records::default();
        decoded.decode(&payload, 1, |_| Some(layout), 1000).unwrap();
        assert_eq!(decoded.next(), Some(long.as_slice()));
    }
}
