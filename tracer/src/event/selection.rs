//! A set of event kinds, and the names that choose it.

use super::{Family, Kind};

/// A set of [`Kind`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection(u128);

const _: () = assert!(Kind::ALL.len() <= u128::BITS as usize);

/// Kinds that a family may have; the constants below do not compile with more.
const OF_A_FAMILY: usize = 32;

/// Places in [`Kind::ALL`] by family and the low byte of the number.
const PLACES: [[u8; OF_A_FAMILY]; Family::COUNT] = {
    let mut places = [[0; OF_A_FAMILY]; Family::COUNT];
    let mut place = 0;
    while place < Kind::ALL.len() {
        let number = Kind::ALL[place] as u16;
        places[(number >> 8) as usize][(number & 0xff) as usize] = place as u8;
        place += 1;
    }
    places
};

/// The place of a kind in [`Kind::ALL`].
#[inline]
pub const fn place(kind: Kind) -> usize {
    PLACES[(kind as u16 >> 8) as usize][(kind as u16 & 0xff) as usize] as usize
}

impl Selection {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// Every kind.
    pub const ALL: Self = Self(u128::MAX >> (u128::BITS as usize - Kind::ALL.len()));

    /// Adds a kind.
    pub const fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << place(kind);
    }

    /// Adds every kind of a family.
    pub fn insert_family(&mut self, family: Family) {
        Kind::ALL.iter().filter(|kind| kind.family() == family).for_each(|kind| self.insert(*kind));
    }

    /// Whether a kind is in the set.
    #[inline]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 >> place(kind) & 1 != 0
    }

    /// Whether any kind of the family is in the set.
    pub fn touches(self, family: Family) -> bool {
        self.kinds().any(|kind| kind.family() == family)
    }

    /// The kinds of the set, in the order of their numbers.
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
}

/// What a name that chooses events stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    /// Every event.
    All,
    /// Every event of a family.
    Family(Family),
    /// One event.
    Event(Kind),
}

impl EventName {
    /// What that name stands for: `all`, a family's name, or an event's.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == Self::All.name() {
            return Some(Self::All);
        }
        Family::from_name(name).map(Self::Family).or_else(|| Kind::from_name(name).map(Self::Event))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Family(family) => family.name(),
            Self::Event(kind) => kind.name(),
        }
    }

    /// Every name, families first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let families = Family::ALL.into_iter().map(Self::Family);
        let events = Kind::ALL.iter().copied().map(Self::Event);
        std::iter::once(Self::All).chain(families).chain(events).map(Self::name)
    }
}

impl FromIterator<EventName> for Selection {
    /// The kinds that the names stand for; no name is every kind.
    fn from_iter<I: IntoIterator<Item = EventName>>(names: I) -> Self {
        let mut names = names.into_iter().peekable();
        let mut selection = if names.peek().is_none() { Self::ALL } else { Self::NONE };
        for name in names {
            match name {
                EventName::All => selection = Self::ALL,
                EventName::Family(family) => selection.insert_family(family),
                EventName::Event(kind) => selection.insert(kind),
            }
        }
        selection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_all() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(place(*kind), index);
        }
        assert_eq!(Selection::ALL.kinds().count(), Kind::ALL.len());
    }

    #[test]
    fn names_of_families_and_events() {
        let chosen = |names: &[&str]| -> Selection {
            names.iter().map(|name| EventName::from_name(name).expect("a name")).collect()
        };
        let selection = chosen(&["fork", "try_to_unmap"]);
        assert_eq!(selection.kinds().collect::<Vec<_>>(), [Kind::TryToUnmap, Kind::CopyPageRange]);
        assert!(selection.touches(Family::Rmap) && !selection.touches(Family::Swiotlb));
        assert_eq!(chosen(&[]), Selection::ALL);
        assert_eq!(chosen(&["fork", "all"]), Selection::ALL);
        assert_eq!(EventName::from_name("try_to_unman"), None);
        for name in EventName::names() {
            assert_eq!(EventName::from_name(name).map(EventName::name), Some(name));
        }
    }
}
