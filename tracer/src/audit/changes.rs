//! What came and what went between two looks at the same process.

use super::entry::Entry;

/// Entries that are in `old` only, and entries that are in `new` only, in the order of their addresses. One
/// that became another (a page made read-only, another page frame) is in both.
pub fn difference(old: &[Entry], new: &[Entry]) -> (Vec<Entry>, Vec<Entry>) {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (Some(before), Some(now)) if before == now => {
                old.next();
                new.next();
            }
            (Some(before), now) if now.is_none_or(|now| before.address <= now.address) => {
                gone.extend(old.next());
            }
            (_, Some(_)) => come.extend(new.next()),
            (_, None) => return (gone, come),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Flags, Kind};
    use super::*;
    use crate::kernel::SwapKind;

    fn entry(page: u64, kind: SwapKind, pfn: u64) -> Entry {
        let kind = Kind::Special(kind);
        let flags = Flags { kind, soft_dirty: false, uffd_wp: false, file: false, marker: 0 };
        Entry { address: page << 12, flags, pfn: Some(pfn) }
    }

    #[test]
    fn what_became_another_went_and_came() {
        use SwapKind::{DeviceExclusiveRead as Read, DeviceExclusiveWrite as Write};
        let old = [entry(1, Write, 7), entry(2, Write, 8), entry(4, Write, 9)];
        let new = [entry(2, Read, 8), entry(3, Write, 5), entry(4, Write, 9), entry(5, Write, 6)];
        let (gone, come) = difference(&old, &new);
        assert_eq!(gone, old[..2]);
        assert_eq!(come, [new[0], new[1], new[3]]);
        assert_eq!(difference(&old, &old), (vec![], vec![]));
        assert_eq!(difference(&[], &new), (vec![], new.to_vec()));
        assert_eq!(difference(&new, &[]), (new.to_vec(), vec![]));
    }
}
