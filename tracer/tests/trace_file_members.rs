//! Records that another version laid out are read by the names of their members.

mod trace_file_common;

use rmapscope::event::{Body, Item, Kind, Loss, LossCause};
use rmapscope::trace_file::{MemberPlace, ReadError};
use trace_file_common::*;
use tracer_common::event::{FolioMlock, MAPCOUNT_UNKNOWN, UNKNOWN};

/// A record's header and body.
const HEADER: usize = 24;

/// What is read from a file of one record of `mlock_folio` with this body, whose members lie there.
fn read_body(members: &[(&str, u32, u32)], body: &[u8]) -> Result<Vec<Item>, ReadError> {
    let mut noise = Noise(5);
    let record = [&record(Kind::MlockFolio, 7, &mut noise)[..HEADER], body].concat();
    let mut header = header();
    let kind = header.kinds.iter_mut().find(|kind| kind.number == Kind::MlockFolio as u16).expect("a kind");
    kind.size = record.len() as u32;
    kind.members =
        members.iter().map(|(name, offset, size)| MemberPlace((*name).to_owned(), *offset, *size)).collect();
    let file = [file(&header, &[]), frame(1, 0, 1, record.len() as u32, 0, &record)].concat();
    read(&file).map(|(items, _)| items)
}

fn body(items: &[Item]) -> FolioMlock {
    let [Item::Event(event)] = items else { panic!("{items:?}") };
    let Body::MlockFolio(body) = event.body else { panic!("{event:?}") };
    assert_eq!(event.header.time, 7);
    body
}

fn is_dropped(items: &[Item]) -> bool {
    matches!(items, [Item::Loss(Loss { cause: LossCause::Dropped, family: Some(4), count: 1, .. })])
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn members_that_are_new_are_skipped() {
    let expected = FolioMlock { page: 0x11, flags: 0x22, mapcount: 3, reserved: 0 };
    for at in 0..=3 {
        let mut body_words = vec![0x11, 0x22, 3];
        body_words.insert(at, 0x7777);
        let place = |word: usize| 8 * if word < at { word } else { word + 1 } as u32;
        let members = [
            ("page", place(0), 8),
            ("flags", place(1), 8),
            ("mapcount", place(2), 4),
            ("reserved", place(2) + 4, 4),
            ("of_the_future", 8 * at as u32, 8),
        ];
        assert_eq!(body(&read_body(&members, &words(&body_words)).unwrap()), expected, "{at}");
    }
}

#[test]
fn members_are_found_wherever_they_lie() {
    let members = [("flags", 0, 8), ("reserved", 8, 4), ("mapcount", 12, 4), ("page", 16, 8)];
    let found = read_body(&members, &words(&[0x22, 3 << 32, 0x11])).unwrap();
    assert_eq!(body(&found), FolioMlock { page: 0x11, flags: 0x22, mapcount: 3, reserved: 0 });
}

#[test]
fn members_that_are_missing_are_unknown() {
    let found = read_body(&[("page", 0, 8)], &words(&[0x11])).unwrap();
    let expected = FolioMlock { page: 0x11, flags: UNKNOWN, mapcount: MAPCOUNT_UNKNOWN, reserved: 0 };
    assert_eq!(body(&found), expected);
    // One of another size is another one.
    let found = read_body(&[("page", 0, 8), ("flags", 8, 4)], &words(&[0x11, 0x22])).unwrap();
    assert_eq!(body(&found), expected);
}

#[test]
fn without_what_cannot_be_unknown_there_is_no_event() {
    let members = [("folio", 0, 8), ("flags", 8, 8), ("mapcount", 16, 4), ("reserved", 20, 4)];
    assert!(is_dropped(&read_body(&members, &words(&[0x11, 0x22, 3])).unwrap()));
    // Nor in files that do not tell their members, where the size differs.
    assert!(is_dropped(&read_body(&[], &words(&[0x11, 0x22, 3, 4])).unwrap()));
    assert_eq!(body(&read_body(&[], &words(&[0x11, 0x22, 3])).unwrap()).page, 0x11);
}

#[test]
fn members_lie_in_their_records() {
    for member in [("page", 17, 8), ("page", 24, 8), ("page", u32::MAX, 8), ("page", 8, u32::MAX)] {
        let result = read_body(&[member], &words(&[0x11, 0x22, 3]));
        assert!(matches!(result, Err(ReadError::HeaderDamaged(_))), "{member:?}");
    }
}

#[test]
fn every_kind_tells_its_members_without_a_gap() {
    for kind in rmapscope::trace_file::KindLayout::all() {
        let mut end = 0;
        for MemberPlace(name, offset, size) in &kind.members {
            assert_eq!(*offset, end, "{name} of {}", kind.name);
            end += size;
        }
        assert_eq!(end as usize + HEADER, kind.size as usize, "{}", kind.name);
    }
}
