//! Where the members of structs and unions are.

use std::collections::HashSet;

use super::{Btf, format::Kind};

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the beginning of the outermost type.
    pub offset: u32,
    /// Bytes of the member.
    pub size: u64,
}

impl Btf {
    /// Where `path`, a member or several separated by dots, is in the struct or union `name`; through
    /// anonymous members, as the C compiler looks them up. `None` when there is no such type or member, or
    /// when it is a bit field, which has no byte offset.
    ///
    /// Several types may share a name (a driver's private `struct page`); the first that has the member
    /// is taken.
    pub fn offset_of(&self, name: &str, path: &str) -> Option<Member> {
        self.named(name)
            .filter_map(|(type_id, _)| self.resolve(type_id))
            .filter(|(_, record)| matches!(record.kind(), Kind::Struct | Kind::Union))
            .find_map(|(type_id, _)| self.member(type_id, path))
    }

    fn member(&self, mut type_id: u32, path: &str) -> Option<Member> {
        let mut bits = 0_u64;
        let mut is_bit_field = false;
        for name in path.split('.') {
            if is_bit_field {
                return None;
            }
            let found = self.direct_member(type_id, name)?;
            bits += found.bits;
            is_bit_field = found.is_bit_field;
            type_id = found.type_id;
        }
        if is_bit_field || !bits.is_multiple_of(8) {
            return None;
        }
        Some(Member { offset: u32::try_from(bits / 8).ok()?, size: self.size(type_id)? })
    }

    /// The member of that name in a struct or in the anonymous ones that it contains.
    fn direct_member(&self, type_id: u32, wanted: &str) -> Option<Found> {
        let mut pending = vec![(type_id, 0_u64)];
        // A damaged file can let an anonymous struct contain itself or, by repetition, an astronomic
        // number of copies; a type in which the name was not found once needs no second look.
        let mut seen = HashSet::new();
        while let Some((outer, base)) = pending.pop() {
            let Some((outer, record)) = self.resolve(outer) else { continue };
            if !matches!(record.kind(), Kind::Struct | Kind::Union) || !seen.insert(outer) {
                continue;
            }
            for [name, member_type, position] in record.items() {
                // With the flag, the top byte is the width of a bit field (0: none).
                let (bits, width) =
                    if record.flag() { (position & 0x00ff_ffff, position >> 24) } else { (position, 0) };
                let name = self.string(name);
                let bits = base + u64::from(bits);
                if name.is_empty() {
                    pending.push((member_type, bits));
                } else if name == wanted.as_bytes() {
                    return Some(Found { type_id: member_type, bits, is_bit_field: width != 0 });
                }
            }
        }
        None
    }
}

/// A member inside its struct.
struct Found {
    type_id: u32,
    /// Bits from the beginning of the struct.
    bits: u64,
    is_bit_field: bool,
}
