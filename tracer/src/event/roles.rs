//! Fields by what they are to those who work on events of any kind.

use tracer_common::event::{Field, Kind, Role, Type};

use super::{Event, place};

/// Where the number of a field is.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    offset: u16,
    /// Bytes; 0 where there is no such field.
    size: u8,
}

impl Number {
    const NONE: Self = Self { offset: 0, size: 0 };

    /// Of a field. The number of one whose type is signed has the bits of the member.
    const fn of(field: &Field) -> Self {
        Self { offset: field.member.offset as u16, size: field.member.size as u8 }
    }

    /// The number in the bytes of its event's body; 0 where there is none.
    #[inline(always)]
    pub(super) fn read(self, body: &[u8]) -> u64 {
        let bytes = body.get(usize::from(self.offset)..).unwrap_or_default();
        match self.size {
            8 => bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
            4 => bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes).into()),
            _ => 0,
        }
    }

    /// Whether there is such a field.
    pub const fn is_there(self) -> bool {
        self.size != 0
    }

    /// Where it is, as the programs are told.
    pub const fn place(self) -> tracer_common::counting::Number {
        tracer_common::counting::Number { offset: self.offset as u8, size: self.size }
    }
}

/// What an event weighs in pages or bytes, by the fields that its kind has.
#[derive(Clone, Copy, Debug)]
pub enum Weighing {
    /// It is about no pages.
    Nothing,
    /// One page, or one folio whose size the event does not give.
    Page,
    /// So many bytes.
    Bytes(Number),
    /// So many pages, or the sum of two such numbers.
    Pages(Number, Number),
    /// A power of two of pages.
    Order(Number),
    /// The pages of a range.
    Range(Number, Number),
    /// The pages of so many bytes.
    Length(Number),
}

/// The numbers of a kind by role. A [`Question`](tracer_common::event::Question) has them as constants, so that what
/// is asked of each event costs no more than a match by kind.
#[derive(Clone, Copy)]
pub(super) struct Roles {
    numbers: [Number; Role::COUNT],
    /// What an event weighs.
    pub weighing: Weighing,
    /// How long a call took, where it is measured at all.
    pub duration: Number,
    duration_field: Option<&'static Field>,
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
    /// Those of the kind with that number.
    pub const fn of_number(number: u16) -> Self {
        match Kind::from_number(number) {
            Some(kind) => Self::of(kind),
            None => panic!("no kind's number"),
        }
    }

    /// The number of that role in the bytes of a body.
    #[inline(always)]
    pub fn get(&self, role: Role, body: &[u8]) -> Option<u64> {
        let number = self.numbers[role as usize];
        number.is_there().then(|| number.read(body))
    }

    const fn of(kind: Kind) -> Self {
        let mut roles = Self {
            numbers: [Number::NONE; Role::COUNT],
            weighing: Weighing::Nothing,
            duration: Number::NONE,
            duration_field: None,
        };
        let mut more_pages = Number::NONE;
        let fields = kind.fields();
        let mut index = 0;
        while index < fields.len() {
            let field = &fields[index];
            if matches!(field.ty, Type::Duration) {
                roles.duration = Number::of(field);
                roles.duration_field = Some(field);
            }
            if let Some(role) = field.role {
                let is_known = !matches!(field.ty, Type::OptionalCount);
                assert!(!matches!(role, Role::Pages) || is_known, "an unknown number would be a weight");
                if !roles.numbers[role as usize].is_there() {
                    roles.numbers[role as usize] = Number::of(field);
                } else {
                    assert!(matches!(role, Role::Pages), "a role is one field's");
                    more_pages = Number::of(field);
                }
            }
            index += 1;
        }
        roles.weighing = roles.weighing(more_pages);
        roles
    }

    const fn has(&self, role: Role) -> bool {
        self.numbers[role as usize].is_there()
    }

    const fn weighing(&self, more_pages: Number) -> Weighing {
        let number = &self.numbers;
        if self.has(Role::Bytes) {
            Weighing::Bytes(number[Role::Bytes as usize])
        } else if self.has(Role::Pages) {
            Weighing::Pages(number[Role::Pages as usize], more_pages)
        } else if self.has(Role::Order) {
            Weighing::Order(number[Role::Order as usize])
        } else if self.has(Role::Length) {
            Weighing::Length(number[Role::Length as usize])
        } else if self.has(Role::Start) {
            assert!(self.has(Role::End), "a range has an end");
            Weighing::Range(number[Role::Start as usize], number[Role::End as usize])
        } else if self.has(Role::Page) || self.has(Role::HeldPage) {
            Weighing::Page
        } else {
            Weighing::Nothing
        }
    }
}

/// Whether a kind has a field of that role.
#[inline]
fn has(kind: Kind, role: Role) -> bool {
    ROLES[place(kind)].has(role)
}

/// The field that says how long a call of that kind took, where it is measured at all.
#[inline]
pub fn duration_field(kind: Kind) -> Option<&'static Field> {
    ROLES[place(kind)].duration_field
}

/// What events of that kind weigh.
pub const fn weighing(kind: Kind) -> Weighing {
    ROLES[place(kind)].weighing
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
        ROLES[place(self.kind())].get(role, self.body.bytes())
    }

    /// The addresses that a call on a range is about; all of an address space where the event is about that alone.
    pub fn range(&self) -> Option<Range> {
        let mm = self.number(Role::Mm)?;
        let Some(start) = self.number(Role::Start) else {
            let is_alone = !has(self.kind(), Role::Address);
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
