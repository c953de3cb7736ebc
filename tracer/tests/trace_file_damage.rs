//! Trace files that are cut, damaged, hostile or something else entirely.

mod trace_file_common;

use rmapscope::event::{Item, Kind, Loss, LossCause};
use rmapscope::trace_file::{Ending, ReadError, Reader};
use trace_file_common::*;

fn count_events(items: &[Item]) -> u64 {
    items.iter().filter(|item| matches!(item, Item::Event(_))).count() as u64
}

fn dropped(items: &[Item]) -> Vec<Loss> {
    let of_reader = |item: &Item| match item {
        Item::Loss(loss) if loss.cause == LossCause::Dropped => Some(loss.clone()),
        _ => None,
    };
    items.iter().filter_map(of_reader).collect()
}

#[test]
fn cut_at_every_byte() {
    let (file, items) = small_file();
    let offsets = frame_offsets(&file);
    // Items up to each frame: 2 processes, 1 stack, 6 events, 1 loss, 8 events, 1 summary.
    let items_before = [0, 2, 3, 9, 10, 18, 19];
    assert_eq!(offsets.len(), items_before.len());
    for length in 0..file.len() {
        let result = read(&file[..length]);
        let frames = offsets.iter().rposition(|offset| *offset <= length);
        match frames {
            None if length == 0 => assert!(matches!(result, Err(ReadError::Empty))),
            None => assert!(matches!(result, Err(ReadError::HeaderCut(cut)) if cut == length as u64)),
            Some(frames) => {
                let (found, ending) = result.unwrap();
                assert_eq!(found, items[..items_before[frames]], "{length}");
                let offset = offsets[frames];
                if offset == length {
                    assert_eq!(ending, Ending::NoSummary);
                } else {
                    let (offset, bytes) = (offset as u64, (length - offset) as u64);
                    assert_eq!(ending, Ending::Truncated { offset, bytes });
                }
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (file, items) = small_file();
    let first = frame_offsets(&file)[0];
    let mut flipped = file.clone();
    for bit in 0..file.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        match read(&flipped) {
            Err(_) => assert!(bit / 8 < first, "byte {} of a frame", bit / 8),
            Ok((found, ending)) => {
                assert!(bit / 8 >= first, "byte {} of the header", bit / 8);
                assert!(!matches!(ending, Ending::Complete | Ending::NoSummary), "bit {bit}: {ending:?}");
                assert!(!dropped(&found).is_empty(), "bit {bit}");
                // All frames but the damaged one are there, in order.
                let mut rest = items.iter();
                for item in &found {
                    let is_gap = matches!(item, Item::Loss(loss) if loss.cause == LossCause::Dropped);
                    assert!(is_gap || rest.any(|original| original == item), "bit {bit}: {item:?}");
                }
                let missing: u64 = dropped(&found).iter().map(|loss| loss.count).sum();
                assert_eq!(count_events(&found) + missing, count_events(&items), "bit {bit}");
            }
        }
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_gap_says_how_many_events_and_when() {
    let (mut file, items) = small_file();
    let offsets = frame_offsets(&file);
    // The frame of six events: its payload is overwritten.
    file[offsets[2] + 52 + 3] ^= 0xff;
    let (found, ending) = read(&file).unwrap();
    let gap = Loss { cause: LossCause::Dropped, family: None, count: 6, after: 0, before: 12, kind: None };
    assert_eq!(dropped(&found), std::slice::from_ref(&gap));
    assert_eq!(found[3], Item::Loss(gap));
    assert_eq!(found[4..], items[9..]);
    let what = "the checksum of a frame's payload is wrong".to_owned();
    assert_eq!(ending, Ending::Damaged { offset: offsets[2] as u64, what });
}

#[test]
fn bytes_that_were_put_in_or_taken_out() {
    let (file, items) = small_file();
    let offsets = frame_offsets(&file);
    let events = count_events(&items);
    for at in [offsets[2], offsets[2] + 20, offsets[2] + 60, offsets[3], offsets[4] + 80] {
        let put_in = [&file[..at], b"\xf5RMF noise \xf5RM", &file[at..]].concat();
        let taken_out = [&file[..at], &file[at + 9..]].concat();
        for damaged in [put_in, taken_out] {
            let (found, ending) = read(&damaged).unwrap();
            assert!(matches!(ending, Ending::Damaged { .. }), "{ending:?}");
            let missing: u64 = dropped(&found).iter().map(|loss| loss.count).sum();
            assert_eq!(count_events(&found) + missing, events);
            // Behind a payload of another length than its header says, one more frame may be lost.
            assert!(at > offsets[2] + 52 || found.last() == items.last());
        }
    }
}

#[test]
fn frames_that_are_missing_repeated_or_behind_the_end() {
    let (file, items) = small_file();
    let offsets = frame_offsets(&file);
    let part = |from: usize, to: usize| &file[offsets[from]..offsets[to]];
    let beginning = &file[..offsets[0]];

    let missing = [beginning, part(0, 2), part(3, 6)].concat();
    let (found, ending) = read(&missing).unwrap();
    assert_eq!(dropped(&found).iter().map(|loss| loss.count).collect::<Vec<_>>(), [6]);
    assert!(matches!(ending, Ending::Damaged { .. }), "{ending:?}");

    let repeated = [beginning, part(0, 3), part(2, 3), part(3, 6)].concat();
    let (found, ending) = read(&repeated).unwrap();
    assert_eq!(found, items);
    assert!(matches!(ending, Ending::Damaged { .. }), "{ending:?}");

    let behind = [&file[..], part(0, 1)].concat();
    let (found, ending) = read(&behind).unwrap();
    assert_eq!(found, items);
    assert!(matches!(ending, Ending::Damaged { .. }), "{ending:?}");

    // As a file system leaves it after a crash.
    let zeros = [&file[..offsets[4]], &[0; 5000]].concat();
    let (found, ending) = read(&zeros).unwrap();
    assert_eq!(found[..10], items[..10]);
    assert!(matches!(ending, Ending::Damaged { .. }), "{ending:?}");
    assert_eq!(dropped(&found).len(), 1);
}

/// The header of a small file, to put frames behind.
fn beginning() -> Vec<u8> {
    let (file, _) = small_file();
    file[..frame_offsets(&file)[0]].to_vec()
}

#[track_caller]
fn assert_damaged(frame: &[u8], expected: &str) {
    let (items, ending) = read(&[&beginning(), frame].concat()).unwrap();
    assert_eq!(count_events(&items), 0);
    assert_eq!(dropped(&items).len(), 1);
    let Ending::Damaged { what, .. } = ending else { panic!("{ending:?}") };
    assert!(what.contains(expected), "{what}");
}

#[test]
fn hostile_frames() {
    let zeros = zstd::bulk::compress(&vec![0; 16 << 20], 1).unwrap();
    // A payload of 2^16 records from a few bytes: one run, then columns of one value each.
    let unmap = (Kind::TryToUnmap as u16).to_le_bytes();
    let table = |kinds: u16, runs: u32, count: u32| {
        [&kinds.to_le_bytes()[..], &runs.to_le_bytes(), &unmap, &count.to_le_bytes()].concat()
    };
    let run =
        |place: u64, length: u64| [&place.to_le_bytes()[..], &[0], &length.to_le_bytes(), &[0]].concat();

    assert_damaged(&frame(1, 0, 1, 1 << 30, 0, b""), "impossible lengths");
    assert_damaged(&frame(2, 1, 1, 16 << 20, 0, &zeros), "impossible lengths");
    assert_damaged(&frame(1, 1, 1, 1000, 0, &zeros), "cannot be decompressed");
    assert_damaged(&frame(1, 1, 1, 1000, 0, b"no zstd"), "cannot be decompressed");
    assert_damaged(&frame(1, 1, 1, 16 << 20, 0, &zeros), "malformed");
    assert_damaged(&frame(1, 0, 1, 7, 0, b"0123456"), "ends early");
    assert_damaged(&frame(1, 9, 1, 0, 0, b""), "unknown codec 9");
    assert_damaged(&frame(2, 2, 1, 3, 0, b"{}\n"), "unknown codec 2");
    assert_damaged(&frame(2, 0, 1, 4, 0, b"{}\n"), "3 bytes");
    assert_damaged(&frame(2, 0, 1, 3, 0, b"{}\n"), "malformed");
    assert_damaged(&frame(2, 0, u32::MAX, 3, 0, b"{}\n"), "1 lines");
    let deep = "[".repeat(1 << 20);
    assert_damaged(&frame(4, 0, 1, deep.len() as u32, 0, deep.as_bytes()), "malformed");
    let columns = |items: u32, payload: &[u8], expected: &str| {
        assert_damaged(&frame(1, 2, items, payload.len() as u32, 0, payload), expected);
    };
    columns(0, &[], "ends early");
    columns(0, &[0, 0, 0, 0, 0, 0], "records where");
    columns(u32::MAX, &[0xff; 6], "ends early");
    columns(u32::MAX, &[table(1, 1, u32::MAX), run(0, u64::from(u32::MAX))].concat(), "would take");
    columns(1, &table(1, u32::MAX, 1), "runs");
    columns(1, &table(1, 0, 1), "runs");
    columns(2, &[table(1, 1, 2), run(0, 1)].concat(), "runs");
    columns(2, &[table(1, 1, 2), run(0, 3)].concat(), "runs");
    columns(2, &[table(1, 1, 2), run(0, 2 + (1 << 32))].concat(), "runs");
    columns(2, &[table(1, 1, 2), run(1, 2)].concat(), "runs");
    columns(2, &[table(1, 1, 2), run(1 << 16, 2)].concat(), "runs");
    columns(2, &[table(1, 1, 2), run(0, 2)].concat(), "ends early");
    columns(2, &[table(1, 1, 2), run(0, 2), vec![0; 9 * 7]].concat(), "another kind");
    let mut words = vec![0; 9 * 7 + 1];
    words[9 * 2..9 * 2 + 2].copy_from_slice(&unmap);
    columns(2, &[table(1, 1, 2), run(0, 2), words].concat(), "after the last column");
    columns(4, &[table(2, 1, 2), unmap.to_vec(), vec![2, 0, 0, 0]].concat(), "impossible entry");
}

#[test]
fn plain_records_are_read() {
    let mut noise = Noise(2);
    let kinds = [Kind::TryToUnmap, Kind::ProcessExit, Kind::ProcessExit, Kind::TryToUnmap];
    let records: Vec<_> = (1..).zip(kinds).map(|(time, kind)| record(kind, time, &mut noise)).collect();
    let payload = records.concat();
    let file = [beginning(), frame(1, 0, 4, payload.len() as u32, 0, &payload)].concat();
    let expected: Vec<_> = records.iter().map(|record| event(record)).collect();
    assert_eq!(read(&file).unwrap(), (expected, Ending::NoSummary));
}

#[test]
fn kinds_and_frames_of_the_future_are_left_out_and_reported() {
    let mut noise = Noise(2);
    let known = record(Kind::TryToUnmap, 1, &mut noise);
    let mut unknown = record(Kind::TryToUnmap, 2, &mut noise);
    unknown[16..18].copy_from_slice(&0x02f0_u16.to_le_bytes());
    let mut header = small_header();
    let mut kind = header.kinds[0].clone();
    (kind.number, kind.name, kind.size) = (0x02f0, "walk_of_the_future".to_owned(), known.len() as u32);
    header.kinds.push(kind);
    let payload = [&unknown[..], &known, &unknown].concat();
    let file = [
        file(&header, &[]),
        frame(200, 0, 1, 3, 0, b"new"),
        frame(1, 0, 3, payload.len() as u32, 0, &payload),
    ]
    .concat();
    let (items, ending) = read(&file).unwrap();
    let skipped = Loss {
        cause: LossCause::Dropped,
        family: Some(2),
        count: 2,
        after: 1,
        before: 2,
        kind: Some("walk_of_the_future".into()),
    };
    assert_eq!(items, [event(&known), Item::Loss(skipped)]);
    assert_eq!(ending, Ending::NoSummary);
}

#[test]
fn other_versions() {
    let (mut file, _) = small_file();
    file[8] = 2;
    assert!(matches!(read(&file), Err(ReadError::NewerFormat { found: 2, known: 1 })));
    let mut header = small_header();
    header.event_format += 1;
    assert!(matches!(read(&self::file(&header, &[])), Err(ReadError::NewerEvents { .. })));
    let error = rmapscope::Error::from(read(&file).unwrap_err());
    assert!(error.remedy.contains("later"), "{}", error.remedy);
}

#[test]
fn hostile_headers() {
    let beginning = |length: u32, text: &[u8]| {
        let mut bytes = b"\x8fRMAPS\r\n\x01\0\0\0".to_vec();
        bytes.extend_from_slice(&length.to_le_bytes());
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&bytes);
        checksum.update(text);
        bytes.extend_from_slice(&checksum.finalize().to_le_bytes());
        [&bytes, text].concat()
    };
    let with = |change: fn(&mut rmapscope::trace_file::FileHeader)| {
        let mut header = small_header();
        change(&mut header);
        file(&header, &[])
    };
    assert!(matches!(read(&beginning(u32::MAX, b"{}")), Err(ReadError::HeaderDamaged(_))));
    assert!(matches!(read(&beginning(3, b"{}")), Err(ReadError::HeaderCut(22))));
    assert!(matches!(read(&beginning(2, b"{}")), Err(ReadError::HeaderDamaged(_))));
    let deep = "[".repeat(1 << 20);
    assert!(matches!(read(&beginning(1 << 20, deep.as_bytes())), Err(ReadError::HeaderDamaged(_))));
    for file in [
        with(|header| header.kinds[0].size = 57),
        with(|header| header.kinds[0].size = 0),
        with(|header| header.kinds[0].size = u32::MAX - 7),
        with(|header| header.kinds.push(header.kinds[0].clone())),
    ] {
        assert!(matches!(read(&file), Err(ReadError::HeaderDamaged(_))));
    }
}

#[test]
fn files_of_other_tools() {
    for (bytes, name) in [
        (&b"PERFILE2\x68\0\0\0\0\0\0\0"[..], "perf.data"),
        (b"\x17\x08\x44tracing6\0", "trace.dat"),
        (b"\x28\xb5\x2f\xfd\0\0", "zstd"),
        (b"{\"kind\":1}\n", "JSON"),
        (b"x", "text"),
    ] {
        let error = rmapscope::Error::from(read(bytes).unwrap_err());
        assert!(error.cause.contains(name), "{}", error.cause);
    }
    let missing = Reader::open("/nonexistent/\u{1b}[31mfile").err().unwrap();
    assert!(!missing.to_string().contains('\u{1b}'), "{missing}");
    assert!(Reader::open("/").is_err());
}

#[test]
fn a_hostile_file_is_read_in_linear_time() {
    // Frames within frames: each header is whole and each payload wrong.
    let one = frame(1, 2, 1, 1 << 20, 0, &vec![0; 1 << 20]);
    let mut file = beginning();
    for _ in 0..100_000 {
        file.extend_from_slice(&one[..52]);
    }
    // As a number of bytes looked at this would be 10^11.
    let started = std::time::Instant::now();
    read(&file).unwrap();
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
