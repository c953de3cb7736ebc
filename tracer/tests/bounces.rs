//! Slots that `swiotlb_map` takes and gives back itself, because the device cannot reach them: every view of a
//! recording says the same of them, on kernels that do so unseen and on those that unmap (7.3).

mod attached_common;

use std::path::Path;
use std::process::Command;

use rmapscope::event::{Body, Event, Header, Kind, Summary};
use rmapscope::kernel::Description;
use rmapscope::trace_file::{FileHeader, Writer};
use tracer_common::event::{
    MAPPING_ERROR, MlockFixup, STACK_NONE, SwiotlbMap, SwiotlbMapSingle, SwiotlbUnmapSingle, UNKNOWN,
};

const DEVICE: u64 = 0xffff_8880_0100_0000;
const POOL: u64 = 0xffff_8880_0200_0000;
const ORIGINAL: u64 = 0x1000_0000;
const BOUNCE: u64 = 0x7c00_0000;
/// Nanoseconds from taking the slots to the error.
const HELD: u64 = 1000;

fn record(path: &Path, unmaps: bool) {
    let mut header = FileHeader::new(Description { page_size: 4096, ..Description::default() });
    header.traced_command = Some(vec!["work".to_owned()]);
    header.probes = Kind::ALL.iter().map(attached_common::point).collect();
    let mut writer = Writer::create(path, &header).expect("a file");
    let mut write = |time: u64, kind: Kind, body: Body| {
        let header = Header { time, tid: 7, pid: 7, kind: kind as u16, cpu: 0, stack: STACK_NONE };
        writer.event(&Event { header, body }).expect("room");
    };
    let (device, original, size, direction) = (DEVICE, ORIGINAL, 4096, 1);
    let taken = SwiotlbMapSingle {
        device,
        pool: POOL,
        pool_start: BOUNCE,
        pool_end: BOUNCE + (64 << 20),
        original,
        bounce: BOUNCE,
        size,
        alloc_size: UNKNOWN,
        attributes: 0,
        direction,
        pool_bits: 0,
        used_slots: UNKNOWN,
        align_mask: 0,
        reserved: 0,
        duration: 0,
    };
    write(1_000_000, Kind::SwiotlbMapSingle, Body::SwiotlbMapSingle(taken));
    if unmaps {
        let unmap = SwiotlbUnmapSingle {
            device,
            pool: POOL,
            bounce: BOUNCE,
            size,
            slot_original: original,
            slot_size: size,
            attributes: 0x20,
            direction,
            reserved: 0,
        };
        write(1_000_000 + HELD, Kind::SwiotlbUnmapSingle, Body::SwiotlbUnmapSingle(unmap));
    }
    let refused = SwiotlbMap {
        device,
        original,
        size,
        dma_address: MAPPING_ERROR,
        attributes: 0,
        direction,
        reserved: 0,
        duration: 0,
    };
    write(1_000_000 + HELD, Kind::SwiotlbMap, Body::SwiotlbMap(refused));
    // Much later, something else: slots that nobody gave back would be seen to be held until then.
    let fixup = MlockFixup {
        mm: 0xffff_8880_0300_0000,
        start: 0x7f00_0000_0000,
        end: 0x7f00_0000_1000,
        old_vm_flags: 0,
        new_vm_flags: 0x2000,
        result: 0,
        reserved: 0,
        duration: 0,
    };
    write(5_000_000_000, Kind::MlockFixup, Body::MlockFixup(fixup));
    let (begin, end) = (900_000, 5_000_000_100);
    writer.finish(&Summary { begin, end, command_status: Some(0), ..Summary::default() }).expect("room");
}

fn rmapscope(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rmapscope")).args(words).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn json(words: &[&str]) -> serde_json::Value {
    serde_json::from_str(&rmapscope(words)).expect("JSON")
}

#[test]
fn every_view_says_the_same_of_slots_that_the_kernel_takes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, unmaps, by) in
        [("6.12.data", false, "swiotlb_map"), ("7.3.data", true, "swiotlb_unmap_single")]
    {
        let path = folder.path().join(name);
        record(&path, unmaps);
        let path = path.display().to_string();

        let report = json(&["report", "-i", &path, "--json"]);
        let bounce = &report["swiotlb"][0];
        assert_eq!(
            (&bounce["open"], &bounce["open_bytes"], &bounce["lifetimes"]["max"]),
            (&0.into(), &0.into(), &HELD.into()),
            "{bounce}"
        );

        let chrome = json(&["export", "-i", &path, "-f", "chrome", "-o", "-"]);
        let events = chrome["traceEvents"].as_array().expect("events");
        let phase = |phase: &str| {
            let mut found = events.iter().filter(|event| event["name"] == "bounced" && event["ph"] == phase);
            let event = found.next().unwrap_or_else(|| panic!("{name}: no `{phase}`: {chrome}"));
            assert!(found.next().is_none(), "{name}: two of `{phase}`");
            event
        };
        let (begin, end) = (phase("b"), phase("e"));
        assert_eq!(end["args"]["ended_by"], by, "{end}");
        let microseconds = end["ts"].as_f64().expect("a time") - begin["ts"].as_f64().expect("a time");
        assert!((microseconds - HELD as f64 / 1e3).abs() < 1e-6, "{microseconds}");

        for page in [ORIGINAL >> 12, BOUNCE >> 12] {
            let page = format!("{page:#x}");
            let life = rmapscope(&["report", "-i", &path, "--page", &page]);
            assert!(life.contains("bounced") && life.contains(by), "{life}");
            assert!(!life.contains("no event shows its end"), "{life}");
        }

        let verdict = json(&["check", "-i", &path, "--format", "json"]);
        let is_bounce =
            |rule: &&serde_json::Value| rule["name"].as_str().is_some_and(|name| name.starts_with("swiotlb"));
        let rules: Vec<_> = verdict["rules"].as_array().expect("rules").iter().filter(is_bounce).collect();
        assert_eq!(rules.len(), 3, "{verdict}");
        for rule in rules {
            assert_ne!(rule["outcome"], "violated", "{rule}");
            assert!(!rule.to_string().contains("outlived the command"), "{rule}");
        }
    }
}
