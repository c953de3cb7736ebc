//! What is fuzzed: parsers of files that anybody may have made. `cargo fuzz` drives them for as long as wanted; the tests
//! of rmapscope include this file and drive them for some seconds (`tracer/tests/fuzz.rs`).

use std::fs;

use rmapscope::Error;
use rmapscope::audit::{Method, Snapshot, TypeTable, views};
use rmapscope::clients::{EngineHistory, Fdinfo, MOST_LETTERS, MOST_NAMES, Oddities};
use rmapscope::event::{Item, Sink};
use rmapscope::kernel::{Btf, SwapKind, SwapType, SystemFiles, resolve_layout};
use rmapscope::probe::catalogue;
use rmapscope::trace_file::Reader;
use tempfile::TempDir;

/// A parser: its name, itself, and the folder of inputs to begin with, from the root of the repository.
pub type Target = (&'static str, fn(&[u8]), &'static str);

/// All of them.
pub const TARGETS: [Target; 4] = [
    ("btf", btf, "tracer/tests/fixtures/btf"),
    ("fdinfo", fdinfo, "fuzz/seeds/fdinfo"),
    ("pagemap", pagemap, "fuzz/seeds/pagemap"),
    ("trace_file", trace_file, "tests/fixtures/traces"),
];

/// Whatever a BTF file says, questions about it are answered.
pub fn btf(data: &[u8]) {
    let Ok(btf) = Btf::parse(data) else { return };
    resolve_layout(&btf);
    for candidate in catalogue::entries().flat_map(|entry| entry.candidates) {
        match candidate.tracepoint() {
            Some(name) => btf.tracepoint(name),
            None => btf.function(candidate.symbol),
        };
    }
    btf.enumeration("pageflags");
    btf.attachable(["try_to_unmap", ""].into_iter());
}

/// Whatever drivers print of a client at two looks, a NUL between them, what is kept of it is bounded, and no engine is busier
/// than time passes.
pub fn fdinfo(data: &[u8]) {
    let first = data.split(|byte| *byte == 0).next().unwrap_or_default();
    let second = data.get(first.len() + 1..).unwrap_or_default();
    let (mut counted, mut oddities) = (EngineHistory::default(), Oddities::default());
    for (bytes, time) in [(first, 1), (second, 1_000_000_001), (first, 2_000_000_001)] {
        let fdinfo = Fdinfo::parse(bytes);
        for length in [fdinfo.engines.len(), fdinfo.memory.len(), fdinfo.other.len()] {
            assert!(length <= MOST_NAMES);
        }
        let texts = fdinfo.other.iter().flat_map(|(key, value)| [key, value]);
        let texts = texts.chain(&fdinfo.driver).chain(&fdinfo.pci_device).chain(&fdinfo.client_name);
        // What is no UTF-8 becomes U+FFFD, which is longer.
        assert!(texts.chain(fdinfo.engines.keys()).all(|text| text.len() <= MOST_LETTERS));
        for engine in counted.next(&fdinfo, time, &mut oddities) {
            assert!(engine.busy.is_none_or(|busy| (0.0..=1.0).contains(&busy)));
            assert!(engine.busy.is_none() || engine.grew.is_some());
        }
    }
}

thread_local! {
    /// A made-up `/proc` with one process. Of a thread, because a static is never removed.
    static FILES: TempDir = {
        // In memory: some file systems wait for the disk when a file is written anew.
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let root = root.expect("a temporary folder");
        let process = root.path().join("proc/7");
        fs::create_dir_all(&process).expect("a folder");
        fs::write(process.join("stat"), "7 (a) R 1 1 1 0 -1 4194560 0").expect("a file");
        root
    };
}

/// Whatever a process maps, its entries are those of its VMAs. Up to the first NUL the input is the text of maps and
/// smaps, behind it are the words of pagemap from address 0 on.
pub fn pagemap(data: &[u8]) {
    let text = data.split(|byte| *byte == 0).next().unwrap_or_default();
    let words = data.get(text.len() + 1..).unwrap_or_default();
    let root = FILES.with(|root| root.path().to_owned());
    let process = root.join("proc/7");
    for (name, content) in [("maps", text), ("smaps", text), ("pagemap", words)] {
        fs::write(process.join(name), content).expect("a file");
    }
    let table = table();
    let system = SystemFiles::below(root);
    let Ok(snapshot) = Snapshot::take(&system, 7, &table, Method::Read, true) else { return };
    let views = views(&snapshot, &snapshot.entries, table.page_size, None);
    assert_eq!(views.iter().map(|view| view.range.pages).sum::<u64>(), snapshot.total());
    assert!(snapshot.counts.values().sum::<u64>() >= snapshot.total());
}

/// A kernel with all special kinds.
fn table() -> TypeTable {
    let kinds = [
        SwapKind::SwapinError,
        SwapKind::DeviceWrite,
        SwapKind::DeviceRead,
        SwapKind::DeviceExclusiveWrite,
        SwapKind::DeviceExclusiveRead,
        SwapKind::Hwpoison,
        SwapKind::MigrationRead,
        SwapKind::MigrationReadExclusive,
        SwapKind::MigrationWrite,
        SwapKind::PteMarker,
    ];
    let types = (22..32).zip(kinds).map(|(number, kind)| SwapType { number, kind }).collect();
    TypeTable {
        release: "6.1.0".to_owned(),
        types,
        source: "made up".to_owned(),
        doubt: None,
        pfn_mask: (1 << 40) - 1,
        page_size: 4096,
    }
}

/// Whatever is in a trace file, reading it ends, and says how. Its checksums are put right first, because a changed byte
/// would go no further than that.
pub fn trace_file(data: &[u8]) {
    let mut file = data.to_vec();
    correct_checksums(&mut file);
    let Ok(mut reader) = Reader::new(file.as_slice()) else { return };
    let mut items = Counted::default();
    while let Some(item) = reader.next_item().expect("bytes in memory can be read") {
        items.item(&item).expect("it takes everything");
    }
    assert!(reader.ending().is_some());
    // By whole frames it is the same.
    let mut again = Counted::default();
    let mut reader = Reader::new(file.as_slice()).expect("the header was read before");
    reader.drive(&mut again).expect("it takes everything");
    assert_eq!(items, again);
}

/// How much a stream has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    events: u64,
    others: u64,
}

impl Sink for Counted {
    fn record(&mut self, _record: &[u8]) -> Result<(), Error> {
        self.events += 1;
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        match item {
            Item::Event(_) => self.events += 1,
            _ => self.others += 1,
        }
        Ok(())
    }
}

/// Bytes before the header, and of the header of a frame (`docs/trace-file.md`).
const PREAMBLE: usize = 20;
const FRAME: usize = 52;

/// Writes the checksums that belong to what is in the file.
fn correct_checksums(file: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| -> usize {
        let number = bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
        number.map_or(usize::MAX, |number| u32::from_le_bytes(number) as usize)
    };
    let Some(frames) = number(file, 12).checked_add(PREAMBLE).filter(|end| *end <= file.len()) else {
        return;
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&file[..16]);
    hasher.update(&file[PREAMBLE..frames]);
    file[16..PREAMBLE].copy_from_slice(&hasher.finalize().to_le_bytes());
    let mut rest = &mut file[frames..];
    while rest.len() >= FRAME {
        let (frame, payload) = rest.split_at_mut(FRAME);
        let length = number(frame, 16).min(payload.len());
        let (payload, behind) = payload.split_at_mut(length);
        frame[20..24].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
        let checksum = crc32fast::hash(&frame[..48]);
        frame[48..].copy_from_slice(&checksum.to_le_bytes());
        rest = behind;
    }
}
