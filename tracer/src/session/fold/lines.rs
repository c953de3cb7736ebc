//! Which line of the source an instruction is from (`.BTF.ext`, Documentation/bpf/btf.rst), after instructions have moved.

use std::collections::HashMap;
use std::ops::Range;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection};

use super::instruction::SIZE;

/// Of the header of `.BTF.ext`: its length, where line information begins behind it, and how long that is.
const EXT_HEADER_LENGTH: usize = 4;
const LINES_OFFSET: usize = 16;
const LINES_LENGTH: usize = 20;
/// Of the header of `.BTF`: its length, and where its strings begin behind it.
const HEADER_LENGTH: usize = 4;
const STRINGS_OFFSET: usize = 16;

/// New places of a function's instructions, by its section and address.
pub type Moved = HashMap<(String, u64), Vec<usize>>;

/// Puts lines where their instructions are now. Of functions that have not moved, the first line stays, which is enough for
/// the kernel: the loader copies all lines of a section for each of its functions. `sections` are those of programs with the
/// addresses of their functions; other sections keep their lines.
pub fn rewrite(object: &mut [u8], sections: &HashMap<String, Vec<u64>>, moved: &Moved) {
    let Some((place, lines, length_at)) = rewritten(object, sections, moved) else { return };
    object[place.start..place.start + lines.len()].copy_from_slice(&lines);
    object[length_at..length_at + 4].copy_from_slice(&(lines.len() as u32).to_le_bytes());
}

/// Where line information is, what it is to be, and where its length stands.
fn rewritten(
    object: &[u8],
    sections: &HashMap<String, Vec<u64>>,
    moved: &Moved,
) -> Option<(Range<usize>, Vec<u8>, usize)> {
    let file = ElfFile64::<LittleEndian>::parse(object).ok()?;
    let start_of = |name| usize::try_from(file.section_by_name(name)?.file_range()?.0).ok();
    let (types, ext) = (start_of(".BTF")?, start_of(".BTF.ext")?);
    let word = |at: usize| Some(u32::from_le_bytes(*object.get(at..)?.first_chunk()?));
    let strings = types + word(types + HEADER_LENGTH)? as usize + word(types + STRINGS_OFFSET)? as usize;
    let start = ext + word(ext + EXT_HEADER_LENGTH)? as usize + word(ext + LINES_OFFSET)? as usize;
    let end = start + word(ext + LINES_LENGTH)? as usize;
    let record_size = word(start)? as usize;
    let mut lines = (record_size as u32).to_le_bytes().to_vec();
    let mut at = start + 4;
    while at < end {
        let (name_offset, count) = (word(at)?, word(at + 4)?);
        let name = object.get(strings + name_offset as usize..)?.split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok()?;
        let records = object.get(at + 8..at + 8 + count as usize * record_size)?;
        at += 8 + records.len();
        let kept = match sections.get(name) {
            Some(starts) => moved_records(records.chunks_exact(record_size), name, starts, moved)?,
            None => records.to_vec(),
        };
        if !kept.is_empty() {
            lines.extend(name_offset.to_le_bytes());
            lines.extend(((kept.len() / record_size) as u32).to_le_bytes());
            lines.extend(kept);
        }
    }
    Some((start..end, lines, ext + LINES_LENGTH))
}

/// Records of a section, each with the address of its instruction first.
fn moved_records<'a>(
    records: impl Iterator<Item = &'a [u8]>,
    section: &str,
    starts: &[u64],
    moved: &Moved,
) -> Option<Vec<u8>> {
    let mut kept: Vec<u8> = Vec::new();
    // The function that the records are of now, and the last address that has a record.
    let (mut function, mut map) = (None, None);
    let mut last = None;
    for record in records {
        let old = u64::from(u32::from_le_bytes(*record.first_chunk()?));
        let start = *starts.get(starts.partition_point(|start| *start <= old).checked_sub(1)?)?;
        if function != Some(start) {
            function = Some(start);
            map = moved.get(&(section.to_owned(), start));
        }
        let new = match map {
            Some(map) => {
                let new = *map.get((old - start) as usize / SIZE)?;
                if new == *map.last()? {
                    continue;
                }
                start + (new * SIZE) as u64
            }
            None if old == start => old,
            None => continue,
        };
        // Of several lines for one instruction the last is its own.
        if last == Some(new) {
            kept.truncate(kept.len() - record.len());
        }
        last = Some(new);
        kept.extend(u32::try_from(new).ok()?.to_le_bytes());
        kept.extend(&record[4..]);
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_follow_their_instructions() {
        let record = |address: u32, line: u32| [address.to_le_bytes(), line.to_le_bytes()].concat();
        // Two functions of four instructions: of the second one the second and the last are gone.
        let records =
            [record(0, 1), record(8, 2), record(32, 3), record(40, 4), record(48, 5), record(56, 6)];
        let moved = HashMap::from([(("fexit".to_owned(), 32), vec![0, 1, 1, 2, 2])]);
        let kept = moved_records(records.iter().map(Vec::as_slice), "fexit", &[0, 32], &moved).unwrap();
        let expected = [record(0, 1), record(32, 3), record(40, 5)];
        assert_eq!(kept, expected.concat());
    }
}
