//! Records that another version of the program laid out, read by the names of their members.

use serde::{Deserialize, Serialize};
use tracer_common::event::{BITS_UNKNOWN, Header, Kind, MAPCOUNT_UNKNOWN, Member, UNCOUNTED, UNKNOWN};

use super::header::KindLayout;
use crate::event::{Field, Type};

/// A member of a record's body, in a file a list of name, offset in the body, and size, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberPlace(pub String, pub u32, pub u32);

impl From<&Member> for MemberPlace {
    fn from(member: &Member) -> Self {
        Self(member.name.to_owned(), member.offset as u32, member.size as u32)
    }
}

/// What is shown of a member, in a file a list of its name in every output, the name of the undecoded number or null,
/// the [type](Type::name), and the member's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMeaning(pub String, pub Option<String>, pub String, pub String);

impl From<&Field> for FieldMeaning {
    fn from(field: &Field) -> Self {
        let (ty, member) = (field.ty.name().to_owned(), field.member.name.to_owned());
        Self(field.name.to_owned(), field.raw.map(str::to_owned), ty, member)
    }
}

/// How the records of a kind are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// They are this version's.
    AsTheyAre,
    /// Their members lie elsewhere.
    Translated(Translation),
    /// This version does not know them, or they lack what cannot be unknown.
    Unknown,
}

/// Makes records of this version's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// A body in which everything is unknown.
    body: Vec<u8>,
    /// Places in the file's body and in this version's, and bytes.
    moves: Vec<(usize, usize, usize)>,
}

impl Reading {
    /// For the records of a kind in a file.
    pub fn of(layout: &KindLayout) -> Self {
        let Some(kind) = layout.kind() else { return Self::Unknown };
        let is_same_size = layout.size as usize == kind.record_size();
        let place = |member: &Member| layout.members.iter().find(|place| place.0 == member.name);
        let is_same = |member: &Member| place(member) == Some(&MemberPlace::from(member));
        if is_same_size && (layout.members.is_empty() || kind.members().iter().all(is_same)) {
            return Self::AsTheyAre;
        }
        if layout.members.is_empty() {
            return Self::Unknown;
        }
        let mut translation = Translation { body: vec![0; kind.body_size()], moves: Vec::new() };
        for member in kind.members() {
            match place(member).filter(|place| place.2 as usize == member.size) {
                Some(place) => translation.moves.push((place.1 as usize, member.offset, member.size)),
                None => match unknown(kind, member) {
                    Some(bytes) => translation.body[member.offset..][..bytes.len()].copy_from_slice(&bytes),
                    None => return Self::Unknown,
                },
            }
        }
        Self::Translated(translation)
    }
}

/// The bytes that say that a member is not known; `None` where every number means something.
fn unknown(kind: Kind, member: &Member) -> Option<Vec<u8>> {
    if member.name == "reserved" {
        return Some(vec![0; member.size]);
    }
    let field = kind.fields().iter().find(|field| field.member == *member)?;
    let bytes = match (field.ty, member.size) {
        (Type::Duration, 8) => 0_u64.to_le_bytes().to_vec(),
        (Type::PageFlags | Type::Entry, 8) => UNKNOWN.to_le_bytes().to_vec(),
        (Type::OptionalCount, 4) => UNCOUNTED.to_le_bytes().to_vec(),
        (Type::MappingBits | Type::PoolFlags | Type::MigrateSource, 4) => BITS_UNKNOWN.to_le_bytes().to_vec(),
        (Type::References, 4) => MAPCOUNT_UNKNOWN.to_le_bytes().to_vec(),
        _ => return None,
    };
    Some(bytes)
}

impl Translation {
    /// Bytes of a translated record.
    pub fn size(&self) -> usize {
        size_of::<Header>() + self.body.len()
    }

    /// Translates records of `size` bytes, one behind the other.
    pub fn translate(&self, records: &[u8], size: usize) -> Vec<u8> {
        let mut translated = Vec::with_capacity(records.len() / size * self.size());
        for record in records.chunks_exact(size) {
            let (header, from) = record.split_at(size_of::<Header>());
            translated.extend_from_slice(header);
            let start = translated.len();
            translated.extend_from_slice(&self.body);
            for &(source, target, length) in &self.moves {
                translated[start + target..][..length].copy_from_slice(&from[source..][..length]);
            }
        }
        translated
    }
}
