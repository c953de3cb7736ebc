//! Fields by what they are to those who work on events of any kind.

use tracer_common::event::{Field, Kind, Role, Type};

use super::{Event, place};

/// What an event weighs in pages or bytes, by the fields that its kind has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Weighing {
    /// It is about no pages.
    Nothing,
    /// One page, or one folio whose size the event does not give.
    Page,
    /// So many bytes.
    Bytes(&'static Field),
    /// So many pages, or the sum of two such numbers.
    Pages(&'static Field, Option<&'static Field>),
    /// A power of two of pages.
    Order(&'static Field),
    /// The pages of a range.
    Range(&'static Field, &'static Field),
    /// The pages of so many bytes.
    Length(&'static Field),
}

/// The fields of a kind by role.
#[derive(Clone, Copy)]
struct Roles {
    fields: [Option<&'static Field>; Role::COUNT],
    duration: Option<&'static Field>,
    weighing: Weighing,
}

/// Those of each kind, by place in [`Kind::ALL`].
static ROLES: [Roles; Kind::ALL.len()] = {
    let mut all = [Roles::of(Kind::ALL[0]); Kind::ALL.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = Roles::of(Kind::ALL[place]);
        place += 1;
    }
    all
};

impl Roles {
    const fn of(kind: Kind) -> Self {
        let mut roles = Self { fields: [None; Role::COUNT], duration: None, weighing: Weighing::Nothing };
        let mut more_pages = None;
        let fields = kind.fields();
        let mut index = 0;
        while index < fields.len() {
            let field = &fields[index];
            if matches!(field.ty, Type::Duration) {
                roles.duration = Some(field);
            }
            if let Some(role) = field.role {
                if roles.fields[role as usize].is_none() {
                    roles.fields[role as usize] = Some(field);
                } else {
                    assert!(matches!(role, Role::Pages), "a role is one field's");
                    more_pages = Some(field);
                }
            }
            index += 1;
        }
        roles.weighing = roles.weighing(more_pages);
        roles
    }

    const fn weighing(&self, more_pages: Option<&'static Field>) -> Weighing {
        let fields = &self.fields;
        if let Some(bytes) = fields[Role::Bytes as usize] {
            Weighing::Bytes(bytes)
        } else if let Some(pages) = fields[Role::Pages as usize] {
            Weighing::Pages(pages, more_pages)
        } else if let Some(order) = fields[Role::Order as usize] {
            Weighing::Order(order)
        } else if let Some(length) = fields[Role::Length as usize] {
            Weighing::Length(length)
        } else if let (Some(start), Some(end)) = (fields[Role::Start as usize], fields[Role::End as usize]) {
            Weighing::Range(start, end)
        } else if fields[Role::Page as usize].is_some() || fields[Role::HeldPage as usize].is_some() {
            Weighing::Page
        } else {
            Weighing::Nothing
        }
    }
}

/// The field of a kind that has that role.
#[inline]
pub fn field_of(kind: Kind, role: Role) -> Option<&'static Field> {
    ROLES[place(kind)].fields[role as usize]
}

/// The field that says how long a call of that kind took, where it is measured at all.
#[inline]
pub fn duration_field(kind: Kind) -> Option<&'static Field> {
    ROLES[place(kind)].duration
}

#[inline]
pub(super) fn weighing(kind: Kind) -> &'static Weighing {
    &ROLES[place(kind)].weighing
}

/// User addresses of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The `mm_struct`.
    pub mm: u64,
    /// The first address.
    pub start: u64,
    /// The one behind the last.
    pub end: u64,
}

impl Event {
    /// The number in the field of that role.
    #[inline]
    pub fn number(&self, role: Role) -> Option<u64> {
        field_of(self.kind(), role).map(|field| field.number(self.body.bytes()))
    }

    /// The addresses that a call on a range is about; all of an address space where the event is about that alone.
    pub fn range(&self) -> Option<Range> {
        let mm = self.number(Role::Mm)?;
        let Some(start) = self.number(Role::Start) else {
            let is_alone = field_of(self.kind(), Role::Address).is_none();
            return is_alone.then_some(Range { mm, start: 0, end: u64::MAX });
        };
        let end = match self.number(Role::Length) {
            Some(length) => start.saturating_add(length),
            None => self.number(Role::End)?,
        };
        Some(Range { mm, start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_type_in_all_events() {
        let mut types = std::collections::HashMap::new();
        for &kind in Kind::ALL {
            for field in kind.fields() {
                let ty = *types.entry(field.name).or_insert(field.ty);
                let same = ty == field.ty || field.name == "pfn";
                assert!(same, "{} of {}", field.name, kind.name());
            }
        }
    }

    #[test]
    fn fields_lie_in_their_bodies_and_cover_them() {
        for &kind in Kind::ALL {
            let mut covered = vec![false; kind.body_size()];
            for field in kind.fields() {
                let place = field.member.offset..field.member.offset + field.size();
                covered[place].fill(true);
                assert!(matches!(field.size(), 4 | 8) || matches!(field.ty, Type::Comm | Type::DeviceName));
            }
            // What is not shown: `reserved`, and the TTU flags and entries of walks that have none.
            assert!(covered.iter().filter(|covered| !**covered).count() <= 24, "{}", kind.name());
        }
    }

    #[test]
    fn signed_numbers_keep_their_sign() {
        let mut body = [0; 152];
        let field = Kind::CopyPageRange.fields().iter().find(|field| field.name == "result").unwrap();
        body[field.member.offset..][..4].copy_from_slice(&(-12_i32).to_le_bytes());
        assert_eq!(field.number(&body).cast_signed(), -12);
        assert_eq!(field.number(&[]), 0);
    }
}
