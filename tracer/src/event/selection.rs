//! A set of event kinds, and the names that choose it.

use super::{Family, Kind};

/// A set of [`Kind`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection(u64);

const _: () = assert!(Kind::ALL.len() <= 64);

/// Places in [`Kind::ALL`] by family and the low byte of the number.
const PLACES: [[u8; 16]; Family::COUNT] = {
    let mut places = [[0; 16]; Family::COUNT];
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
    pub const ALL: Self = Self(u64::MAX >> (64 - Kind::ALL.len()));

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

    /// Adds the family or event of that name; `false` when there is none.
    pub fn insert_name(&mut self, name: &str) -> bool {
        match (Family::from_name(name), Kind::from_name(name)) {
            (Some(family), _) => self.insert_family(family),
            (None, Some(kind)) => self.insert(kind),
            (None, None) => return false,
        }
        true
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
        let mut selection = Selection::NONE;
        assert!(selection.insert_name("fork"));
        assert!(selection.insert_name("try_to_unmap"));
        assert!(!selection.insert_name("try_to_unman"));
        assert_eq!(selection.kinds().collect::<Vec<_>>(), [Kind::TryToUnmap, Kind::CopyPageRange]);
        assert!(selection.touches(Family::Rmap) && !selection.touches(Family::Swiotlb));
    }
}
