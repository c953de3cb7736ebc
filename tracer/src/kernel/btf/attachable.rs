//! BTF for a library that looks for the id of what a program is attached to.

use super::{Btf, format::Kind};

/// Bytes of a header and of a record without items (7.3 include/uapi/linux/btf.h).
const HEADER: u32 = 24;
const RECORD: usize = 12;

impl Btf {
    /// BTF in which these functions and typedefs have the ids that they have here, and nothing else has a name: short
    /// to read and to search, and of kinds that every reader knows.
    pub fn attachable<'names>(&self, names: impl Iterator<Item = &'names str>) -> Vec<u8> {
        let mut records: Vec<u8> = Vec::new();
        let mut strings = vec![0];
        for name in names {
            let of_kind = |kind| self.named(name).find(|(_, record)| record.kind() == kind);
            let found = of_kind(Kind::Function).or_else(|| of_kind(Kind::Typedef));
            let Some((type_id, record)) = found else { continue };
            let start = (type_id as usize - 1) * RECORD;
            while records.len() < start + RECORD {
                records.extend(bytes(0, Kind::Forward));
            }
            records[start..start + RECORD].copy_from_slice(&bytes(strings.len() as u32, record.kind()));
            strings.extend(name.bytes().chain([0]));
        }
        let (types, strings_length) = (records.len() as u32, strings.len() as u32);
        let mut data = 0xeb9f_u16.to_le_bytes().to_vec();
        data.extend([1, 0]);
        data.extend([HEADER, 0, types, types, strings_length].into_iter().flat_map(u32::to_le_bytes));
        data.extend(records);
        data.extend(strings);
        data
    }
}

/// A record of that name and kind, of type `void`.
fn bytes(name: u32, kind: Kind) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&name.to_le_bytes());
    record[4..8].copy_from_slice(&(kind.number() << 24).to_le_bytes());
    record
}
