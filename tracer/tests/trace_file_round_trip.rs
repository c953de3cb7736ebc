//! What is written to a trace file comes back, in order, and takes little room.

mod trace_file_common;

use proptest::prelude::*;
use rmapscope::event::{Item, Kind, Sink};
use rmapscope::trace_file::{Ending, Frame, Reader, Writer};
use trace_file_common::*;

#[test]
fn every_kind_and_every_item() {
    let mut noise = Noise(1);
    let mut items = vec![Item::Process(process(1))];
    for round in 0..3 {
        for kind in Kind::ALL {
            items.push(event(&record(*kind, round, &mut noise)));
        }
    }
    items.push(Item::Loss(loss(5, 3, 4)));
    items.push(Item::Summary(summary()));
    assert_eq!(read(&file(&header(), &items)).unwrap(), (items, Ending::Complete));
}

fn item() -> impl Strategy<Value = Item> {
    let kind = prop::sample::select(Kind::ALL);
    let any_event = (kind, any::<u64>(), any::<u64>())
        .prop_map(|(kind, time, seed)| event(&record(kind, time, &mut Noise(seed | 1))));
    prop_oneof![
        30 => any_event,
        1 => (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(a, b, c)| Item::Loss(loss(a, b, c))),
        1 => any::<u32>().prop_map(|pid| Item::Process(process(pid))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_stream_comes_back(mut items in prop::collection::vec(item(), 0..400), whole in any::<bool>()) {
        if whole {
            items.push(Item::Summary(summary()));
        }
        let expected = if whole { Ending::Complete } else { Ending::NoSummary };
        let (found, ending) = read(&file(&header(), &items)).unwrap();
        prop_assert_eq!(found, items);
        prop_assert_eq!(ending, expected);
    }
}

#[test]
fn more_than_a_frame_of_kinds_in_turn() {
    let mut noise = Noise(3);
    let mut records = Vec::new();
    for time in 0..150_000 {
        let kind = match time % 7 {
            0 => Kind::ALL[noise.next() as usize % Kind::ALL.len()],
            1 | 3 => Kind::TryToUnmapOne,
            _ => Kind::TryToUnmap,
        };
        records.push(record(kind, time, &mut noise));
    }
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    write(&mut writer, &records.concat()).unwrap();
    assert_eq!(writer.events(), 150_000);
    writer.finish(&summary()).unwrap();
    let file = writer.into_inner();
    assert_eq!(frame_offsets(&file).len(), 3 + 1 + 1);

    let mut reader = Reader::new(file.as_slice()).unwrap();
    let mut expected = records.iter();
    let mut others = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        match frame {
            Frame::Events(mut events) => {
                while let Some(record) = events.next_record() {
                    assert_eq!(Some(record), expected.next().map(Vec::as_slice));
                }
            }
            Frame::Items(items) => others.extend(items),
        }
    }
    assert_eq!((expected.next(), others), (None, vec![Item::Summary(summary())]));
    assert_eq!(reader.ending(), Some(&Ending::Complete));
}

#[test]
fn a_stack_comes_before_the_first_event_that_names_it() {
    let mut noise = Noise(5);
    let mut with_stack = |id: i32| {
        let mut record = record(Kind::TryToUnmap, 1, &mut noise);
        record[20..24].copy_from_slice(&id.to_le_bytes());
        event(&record)
    };
    let (one, two, other) = (with_stack(1), with_stack(2), with_stack(1));
    let mut renamed = stack(1);
    renamed.frames.pop();
    let given = [
        Item::Stack(stack(1)),
        one.clone(),
        Item::Stack(stack(2)),
        two.clone(),
        Item::Stack(renamed.clone()),
        other.clone(),
    ];
    let expected = [Item::Stack(stack(1)), Item::Stack(stack(2)), one, two, Item::Stack(renamed), other];
    assert_eq!(read(&file(&header(), &given)).unwrap().0, expected);
}

#[test]
fn a_sink_gets_what_next_item_gives() {
    struct Found(Vec<Item>);
    impl Sink for Found {
        fn record(&mut self, record: &[u8]) -> Result<(), rmapscope::Error> {
            self.0.push(rmapscope::event::decoded(record));
            Ok(())
        }

        fn item(&mut self, item: &Item) -> Result<(), rmapscope::Error> {
            self.0.push(item.clone());
            Ok(())
        }
    }
    let (bytes, items) = small_file();
    let mut found = Found(Vec::new());
    assert_eq!(Reader::new(bytes.as_slice()).unwrap().drive(&mut found).unwrap(), None);
    assert_eq!(found.0, items);
}

#[test]
fn the_header_comes_back() {
    let mut header = header();
    header.traced_command = Some(vec!["./hmm-tests".to_owned()]);
    header.options.latency = true;
    let bytes = file(&header, &[]);
    assert_eq!(Reader::new(bytes.as_slice()).unwrap().header(), &header);
}

#[test]
fn an_unmap_takes_eight_bytes_or_fewer() {
    for (in_order, latency, limit) in
        [(true, false, 5.0), (false, false, 5.0), (true, true, 7.0), (false, true, 7.0)]
    {
        let records = unmap_records(200_000, in_order, latency);
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        let empty = writer.bytes_written();
        write(&mut writer, &records).unwrap();
        writer.finish(&summary()).unwrap();
        let each = (writer.bytes_written() - empty) as f64 / 200_000.0;
        assert!(each <= limit, "in order: {in_order}, latency: {latency}: {each:.2} bytes an event");
        let mut found = Vec::new();
        let bytes = writer.into_inner();
        let mut reader = Reader::new(bytes.as_slice()).unwrap();
        while let Some(frame) = reader.next_frame().unwrap() {
            if let Frame::Events(mut events) = frame {
                while let Some(record) = events.next_record() {
                    found.extend_from_slice(record);
                }
            }
        }
        assert!(found == records);
    }
}

#[test]
fn repetition_is_compressed() {
    // The same 200 pages again and again: too many for a list, and the same bits each time.
    let page = |i: u64| (i % 200).wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0xfff_ffc0;
    let mut noise = Noise(9);
    let template = record(Kind::MlockFolio, 0, &mut noise);
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    let empty = writer.bytes_written();
    for i in 0..65_536_u64 {
        let mut record = template.clone();
        record[..8].copy_from_slice(&(i * 1000).to_le_bytes());
        record[24..32].copy_from_slice(&page(i).to_le_bytes());
        writer.event_bytes(&record).unwrap();
    }
    writer.flush().unwrap();
    assert!(writer.bytes_written() - empty < 65_536, "{}", writer.bytes_written() - empty);
    let file = writer.into_inner();
    assert_eq!(file[frame_offsets(&file)[0] + 5], 1, "the codec of the frame");
    assert_eq!(read(&file).unwrap().0.len(), 65_536);
}

#[test]
fn a_malformed_record_is_refused_and_the_writer_goes_on() {
    let mut noise = Noise(11);
    let good = record(Kind::ProcessExit, 1, &mut noise);
    let mut unknown = good.clone();
    unknown[16..18].copy_from_slice(&0xffff_u16.to_le_bytes());
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    assert!(writer.event_bytes(&good[..10]).is_err());
    assert!(writer.event_bytes(&good[..24]).is_err());
    assert!(writer.event_bytes(&unknown).is_err());
    assert!(write(&mut writer, &[&good[..], &good[..25]].concat()).is_err());
    writer.item(&event(&good)).unwrap();
    writer.flush().unwrap();
    assert_eq!(read(&writer.into_inner()).unwrap().0, [event(&good), event(&good)]);
}

#[test]
fn nothing_comes_after_the_summary() {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    writer.finish(&summary()).unwrap();
    writer.event_bytes(&record(Kind::ProcessExit, 1, &mut Noise(1))).unwrap();
    assert!(writer.flush().is_err());
    assert!(writer.finish(&summary()).is_err());
    assert_eq!(read(&writer.into_inner()).unwrap(), (vec![Item::Summary(summary())], Ending::Complete));
}
