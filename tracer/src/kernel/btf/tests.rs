//! Hand-made and damaged BTF. Real kernels' are in tests/kernel_btf.rs.

use proptest::prelude::*;

use super::*;

/// Builds BTF record by record.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0] }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        offset
    }

    fn record(&mut self, name: &str, kind: u32, flag: bool, items: u32, third: u32) -> &mut Self {
        let name = self.string(name);
        for word in [name, u32::from(flag) << 31 | kind << 24 | items, third] {
            self.types.extend(word.to_le_bytes());
        }
        self
    }

    fn item(&mut self, name: &str, words: &[u32]) -> &mut Self {
        let name = self.string(name);
        self.types.extend(name.to_le_bytes());
        words.iter().for_each(|word| self.types.extend(word.to_le_bytes()));
        self
    }

    fn words(&mut self, words: &[u32]) -> &mut Self {
        words.iter().for_each(|word| self.types.extend(word.to_le_bytes()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        let types = self.types.len() as u32;
        for word in [24, 0, types, types, self.strings.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }

    fn parse(&self) -> Result<Btf, BtfError> {
        Btf::parse(&self.bytes())
    }
}

const INT: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const CONST: u32 = 10;
const FUNCTION: u32 = 12;
const PROTOTYPE: u32 = 13;
const ENUM64: u32 = 19;

/// 1 int, 2 struct inner { int a; int b; }, 3 const anonymous union { inner i; int u }, its const as 4,
/// 5 int[3], 6 struct page { int x:4, y:28; const union {…}; int array[3]; inner named; }.
fn nested() -> Builder {
    let mut builder = Builder::new();
    builder.record("int", INT, false, 0, 4).words(&[0x20]);
    builder.record("inner", STRUCT, false, 2, 8).item("a", &[1, 0]).item("b", &[1, 32]);
    builder.record("", UNION, false, 2, 8).item("i", &[2, 0]).item("u", &[1, 0]);
    builder.record("", CONST, false, 0, 3);
    builder.record("", ARRAY, false, 0, 0).words(&[1, 1, 3]);
    builder
        .record("page", STRUCT, true, 5, 32)
        .item("x", &[1, 4 << 24])
        .item("y", &[1, 28 << 24 | 4])
        .item("", &[4, 32])
        .item("array", &[5, 96])
        .item("named", &[2, 192]);
    builder
}

#[test]
fn members_are_found_through_anonymous_and_named_ones() {
    let btf = nested().parse().unwrap();
    let member = |path| btf.offset_of("page", path).map(|member| (member.offset, member.size));
    assert_eq!(member("u"), Some((4, 4)));
    assert_eq!(member("i.b"), Some((8, 4)));
    assert_eq!(member("array"), Some((12, 12)));
    assert_eq!(member("named.b"), Some((28, 4)));
    assert_eq!(member("named"), Some((24, 8)));
    // Bit fields have no byte offset; members of named members need their path.
    assert_eq!(member("x"), None);
    assert_eq!(member("b"), None);
    assert_eq!(member("array.a"), None);
    assert_eq!(member(""), None);
    assert_eq!(btf.offset_of("int", "a"), None);
    assert_eq!(btf.size_of("page"), Some(32));
    assert_eq!(btf.size_of("nothing"), None);
}

#[test]
fn of_types_that_share_a_name_the_one_with_the_member_counts() {
    let mut builder = nested();
    builder.record("page", STRUCT, false, 1, 4).item("driver_private", &[1, 0]);
    let btf = builder.parse().unwrap();
    assert_eq!(btf.offset_of("page", "u").map(|member| member.offset), Some(4));
    assert_eq!(btf.offset_of("page", "driver_private").map(|member| member.offset), Some(0));
}

#[test]
fn enumerators_of_every_kind_and_sign() {
    let mut builder = Builder::new();
    builder.record("", ENUM, false, 1, 4).item("PG_locked", &[7]);
    builder.record("reason", ENUM, true, 2, 4).item("MR_NONE", &[u32::MAX]).item("MR_ONE", &[1]);
    builder.record("flags", ENUM64, false, 1, 8).item("WIDE", &[1, 2]);
    let btf = builder.parse().unwrap();
    assert_eq!(btf.enumerator("PG_locked"), Some(7));
    assert_eq!(btf.enumerator("MR_NONE"), Some(-1));
    assert_eq!(btf.enumerator("WIDE"), Some(0x2_0000_0001));
    assert_eq!(btf.enumerator("nothing"), None);
    assert_eq!(btf.enumeration("reason").len(), 2);
    assert_eq!(btf.enumeration(""), []);
    assert_eq!(btf.enumeration("nothing"), []);
}

#[test]
fn signatures_read_as_in_c() {
    let mut builder = Builder::new();
    builder.record("page", STRUCT, false, 0, 64);
    builder.record("", POINTER, false, 0, 1);
    builder.record("", POINTER, false, 0, 2);
    builder.record("", CONST, false, 0, 1);
    builder.record("", POINTER, false, 0, 4);
    builder.record("ttu_flags", ENUM, false, 1, 4).item("TTU_SYNC", &[16]);
    builder
        .record("", PROTOTYPE, false, 4, 0)
        .item("page", &[2])
        .item("pages", &[3])
        .item("seen", &[5])
        .item("flags", &[6]);
    builder.record("try_to_unmap", FUNCTION, false, 1, 7);
    builder.record("", POINTER, false, 0, 0);
    builder.record("", PROTOTYPE, false, 3, 0).item("", &[9]).item("", &[2]).item("", &[0]);
    builder.record("", POINTER, false, 0, 10);
    builder.record("btf_trace_set_migration_pte", TYPEDEF, false, 0, 11);
    let btf = builder.parse().unwrap();
    let signature = btf.function("try_to_unmap").unwrap();
    let types: Vec<&str> = signature.parameters.iter().map(|one| one.type_name.as_str()).collect();
    assert_eq!(types, ["struct page *", "struct page **", "const struct page *", "enum ttu_flags"]);
    assert_eq!((signature.result.as_str(), signature.position("flags")), ("void", Some(3)));
    assert_eq!(signature.parameters.iter().map(|one| one.size).collect::<Vec<_>>(), [8, 8, 8, 4]);
    let tracepoint = btf.tracepoint("set_migration_pte").unwrap();
    let types: Vec<&str> = tracepoint.parameters.iter().map(|one| one.type_name.as_str()).collect();
    assert_eq!(types, ["struct page *", "..."]);
    assert_eq!(btf.function("page"), None);
    assert_eq!(btf.tracepoint("nothing"), None);
}

#[test]
fn later_kinds_and_long_lists_of_7_x() {
    const LATER: u32 = 0x55;
    let mut builder = Builder::new();
    builder.record("later", LATER, false, 2, 0).words(&[1, 2, 3, 4, 5]);
    builder.record("wide", ENUM, false, 70_000, 4);
    for value in 0..70_000 {
        builder.item(if value == 69_999 { "LAST" } else { "" }, &[value]);
    }
    assert!(matches!(builder.parse(), Err(BtfError::UnknownKind { kind: LATER, offset: 0 })));

    // The same with a table of lengths behind the strings, and a header that tells where it is.
    let plain = builder.bytes();
    let mut layout = vec![0_u8; (LATER as usize + 1) * 4];
    layout[LATER as usize * 4..][..2].copy_from_slice(&[4, 8]);
    let mut bytes = plain[..24].to_vec();
    bytes[4] = 32;
    bytes.extend(((plain.len() - 24) as u32).to_le_bytes());
    bytes.extend((layout.len() as u32).to_le_bytes());
    bytes.extend(&plain[24..]);
    bytes.extend(layout);
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.len(), 2);
    assert_eq!(btf.enumerator("LAST"), Some(69_999));
    bytes[28] = 0xff;
    bytes[29] = 0xff;
    assert!(matches!(Btf::parse(&bytes), Err(BtfError::Truncated { .. })));
}

#[test]
fn wrong_files_are_refused_by_name() {
    let good = nested().bytes();
    let changed = |offset: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[offset] = byte;
        Btf::parse(&bytes).unwrap_err()
    };
    assert!(matches!(Btf::parse(b""), Err(BtfError::NotBtf)));
    assert!(matches!(Btf::parse(b"\x7fELF"), Err(BtfError::NotBtf)));
    assert!(matches!(Btf::parse(b"\xeb\x9f\0\0"), Err(BtfError::ForeignByteOrder)));
    assert!(matches!(Btf::parse(&good[..20]), Err(BtfError::Truncated { .. })));
    assert!(matches!(changed(2, 9), BtfError::UnknownVersion { version: 9 }));
    assert!(matches!(changed(4, 3), BtfError::Truncated { .. }));
    assert!(matches!(changed(15, 0xff), BtfError::Truncated { .. }));
    assert!(matches!(changed(24 + 7, 0x1f), BtfError::UnknownKind { kind: 0x1f, offset: 0 }));
    assert!(matches!(changed(24 + 2, 0xff), BtfError::BadName { type_id: 1 }));
    for length in 0..good.len() {
        assert!(Btf::parse(&good[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn references_outside_and_circles_are_refused() {
    let mut outside = Builder::new();
    outside.record("", POINTER, false, 0, 2);
    assert!(matches!(outside.parse(), Err(BtfError::BadReference { type_id: 1 })));
    let mut typedefs = Builder::new();
    typedefs.record("a", TYPEDEF, false, 0, 2).record("b", TYPEDEF, false, 0, 1);
    assert!(matches!(typedefs.parse(), Err(BtfError::Cyclic { type_id: 1 })));
    let mut arrays = Builder::new();
    arrays.record("", ARRAY, false, 0, 0).words(&[1, 1, 2]);
    assert!(matches!(arrays.parse(), Err(BtfError::Cyclic { type_id: 1 })));
}

#[test]
fn structs_inside_themselves_and_endless_pointers_come_to_an_end() {
    let mut builder = Builder::new();
    builder.record("page", STRUCT, false, 2, 8).item("", &[1, 0]).item("", &[1, 32]);
    builder.record("", POINTER, false, 0, 2);
    builder.record("", PROTOTYPE, false, 0, 2);
    builder.record("strange", FUNCTION, false, 0, 3);
    let btf = builder.parse().unwrap();
    assert_eq!(btf.offset_of("page", "flags"), None);
    assert_eq!(btf.function("strange").unwrap().result, "?");
    // Each level holds the next twice: 2^40 paths, 40 types.
    let mut builder = Builder::new();
    for level in 0..40_u32 {
        let next = (level + 2).min(40);
        builder
            .record(if level == 0 { "page" } else { "" }, STRUCT, false, 2, 8)
            .item("", &[next, 0])
            .item("", &[next, 32]);
    }
    assert_eq!(builder.parse().unwrap().offset_of("page", "flags"), None);
}

#[test]
fn what_can_be_attached_to_keeps_its_id() {
    let mut builder = Builder::new();
    builder.record("int", INT, false, 0, 4).words(&[32]);
    builder.record("swiotlb_map", FUNCTION, false, 0, 0);
    builder.record("btf_trace_mmap_lock", TYPEDEF, false, 0, 1);
    builder.record("try_to_unmap", FUNCTION, false, 0, 0);
    let kernel = builder.parse().unwrap();
    let names = ["try_to_unmap", "btf_trace_mmap_lock", "page_mlock"];
    let data = kernel.attachable(names.into_iter());
    aya::Btf::parse(&data, aya::Endianness::default()).unwrap();
    let ours = Btf::parse(&data).unwrap();
    let id = |name| ours.named(name).next().map(|(type_id, _)| type_id);
    assert_eq!([id("try_to_unmap"), id("btf_trace_mmap_lock")], [Some(4), Some(3)]);
    assert_eq!([id("swiotlb_map"), id("page_mlock")], [None, None]);
    assert_eq!(ours.function_names().collect::<Vec<_>>(), ["try_to_unmap"]);
}

proptest! {
    #[test]
    fn damage_never_panics(flips in prop::collection::vec((0_usize..400, any::<u8>()), 1..6)) {
        let mut bytes = nested().bytes();
        for (offset, byte) in flips {
            let length = bytes.len();
            bytes[offset % length] = byte;
        }
        ask(&bytes);
    }

    #[test]
    fn noise_never_panics(types in prop::collection::vec(any::<u8>(), 0..300)) {
        let builder = Builder { types, strings: b"\0page\0flags\0".to_vec() };
        ask(&builder.bytes());
    }

    #[test]
    fn random_records_never_panic(
        records in prop::collection::vec((0_u32..12, 1_u32..20, any::<bool>(), 0_u32..4, 0_u32..12), 0..12),
        words in prop::collection::vec(0_u32..12, 200),
    ) {
        let mut builder = Builder { types: Vec::new(), strings: b"\0page\0flags\0".to_vec() };
        let mut words = words.into_iter();
        for (name, kind, flag, items, third) in records {
            builder.words(&[name, u32::from(flag) << 31 | kind << 24 | items, third]);
            let tail = match kind {
                1 | 14 | 17 => 1,
                3 => 3,
                4 | 5 | 15 | 19 => 3 * items,
                6 | 13 => 2 * items,
                _ => 0,
            };
            let tail: Vec<u32> = words.by_ref().take(tail as usize).collect();
            builder.words(&tail);
        }
        ask(&builder.bytes());
    }
}

/// Every question that can be asked.
fn ask(bytes: &[u8]) {
    if let Ok(btf) = Btf::parse(bytes) {
        for name in ["page", "inner", "int", "flags", ""] {
            for path in ["flags", "u", "i.b", "page.flags.page", "."] {
                btf.offset_of(name, path);
            }
            btf.size_of(name);
            btf.function(name);
            btf.tracepoint(name);
            btf.enumerator(name);
            btf.enumeration(name);
        }
    }
}
