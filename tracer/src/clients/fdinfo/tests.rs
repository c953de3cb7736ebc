use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Fdinfo {
    Fdinfo::parse(text.as_bytes())
}

#[test]
fn the_first_of_two_ids_counts() {
    // As amdgpu of 6.6 prints them.
    let fdinfo = parse(
        "pos:\t0\nflags:\t02100002\nmnt_id:\t26\nino:\t434\ndrm-driver:\tamdgpu\ndrm-client-id:\t428\n\
         drm-pdev:\t0000:0a:00.0\npasid:\t32802\ndrm-driver:\tamdgpu\ndrm-client-id:\t641912\n\
         drm-memory-vram:\t2052 KiB\ndrm-memory-gtt: \t0 KiB\ndrm-engine-gfx:\t3302140 ns\n",
    );
    assert_eq!(fdinfo.client_id, Some(428));
    assert_eq!((fdinfo.repeated, fdinfo.malformed, fdinfo.omitted), (2, 0, 0));
    assert_eq!(fdinfo.other, [("pasid".to_owned(), "32802".to_owned())].into());
    assert_eq!(fdinfo.memory["vram"].resident, Some(2052 << 10));
    assert_eq!(fdinfo.memory["gtt"].resident, Some(0));
    assert_eq!(fdinfo.engines["gfx"].busy_ns, Some(3_302_140));
}

#[test]
fn what_is_no_value_is_kept_and_counted() {
    let fdinfo = parse(
        "drm-client-id:\t-1\ndrm-engine-x:\t5 us\ndrm-engine-capacity-x:\t0\ndrm-total-y:\t1 KB\n\
         drm-driver:\nno delimiter\n: no key\n",
    );
    assert_eq!((fdinfo.malformed, fdinfo.omitted), (5, 2));
    assert!(fdinfo.engines.is_empty() && fdinfo.memory.is_empty() && fdinfo.client_id.is_none());
    assert_eq!(fdinfo.other["drm-engine-x"], "5 us");
    assert_eq!(fdinfo.driver, None);
}

#[test]
fn resident_goes_before_its_older_name() {
    let fdinfo = parse("drm-memory-vram: 1 KiB\ndrm-resident-vram: 2 KiB\n");
    assert_eq!(fdinfo.memory["vram"].resident, Some(2048));
}

#[test]
fn engines_without_a_busy_time_say_nothing_of_utilisation() {
    assert!(!parse("drm-engine-capacity-x: 2\ndrm-maxfreq-x: 1 MHz\n").has_utilisation());
    assert!(parse("drm-cycles-x: 0\n").has_utilisation());
}

#[test]
fn a_long_text_is_cut_between_lines() {
    let mut text = "drm-driver: i915\n".repeat(MOST_BYTES / 17 + 1);
    text.push_str("drm-client-id: 7\n");
    let fdinfo = parse(&text);
    assert_eq!((fdinfo.client_id, fdinfo.omitted, fdinfo.malformed), (None, 1, 0));
    assert_eq!(fdinfo.driver.as_deref(), Some("i915"));
    assert_eq!(parse(&"x".repeat(MOST_BYTES + 1)), Fdinfo { omitted: 1, ..Fdinfo::default() });
}

#[test]
fn names_are_bounded() {
    let mut text = String::new();
    for number in 0..1000 {
        text.push_str(&format!("drm-engine-e{number}: 1\ndrm-total-m{number}: 1\nx{number}: 1\n"));
    }
    text.push_str(&format!("long: {}\n", "x".repeat(MOST_LETTERS + 1)));
    let fdinfo = parse(&text);
    let lengths = [fdinfo.engines.len(), fdinfo.memory.len(), fdinfo.other.len()];
    assert_eq!(lengths, [MOST_NAMES; 3]);
    assert_eq!(fdinfo.omitted, 3 * (1000 - MOST_NAMES as u64) + 1);
}

/// A line as a driver may print it, and with keys and values that none would.
fn any_line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("drm-driver".to_owned()),
        Just("drm-client-id".to_owned()),
        "drm-(engine|engine-capacity|cycles|total-cycles|maxfreq|total|shared|resident|memory)-[a-c]",
        "[a-z:-]{0,12}",
    ];
    let value = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        (any::<u64>(), "[A-Za-z]{0,3}").prop_map(|(number, unit)| format!("{number} {unit}")),
        "\\PC{0,12}",
    ];
    (key, "[ \t]{0,3}", value).prop_map(|(key, space, value)| format!("{key}:{space}{value}\n"))
}

proptest! {
    #[test]
    fn nothing_is_lost_silently(lines in prop::collection::vec(any_line(), 0..60)) {
        let fdinfo = parse(&lines.concat());
        let engines = fdinfo.engines.values().map(|engine| {
            [engine.busy_ns, engine.cycles, engine.total_cycles, engine.max_hz, engine.current_hz]
                .iter()
                .flatten()
                .count()
                + usize::from(engine.capacity.is_some())
        });
        let memory = fdinfo.memory.values().map(|memory| {
            // The older name is there beside resident, or made it.
            [memory.total, memory.shared, memory.purgeable, memory.active].iter().flatten().count()
                + usize::from(memory.resident.is_some())
        });
        let texts = [&fdinfo.driver, &fdinfo.pci_device, &fdinfo.client_name].iter().filter(|text| text.is_some()).count();
        let values = engines.sum::<usize>() + memory.sum::<usize>() + texts
            + usize::from(fdinfo.client_id.is_some()) + fdinfo.other.len();
        let accounted = values + fdinfo.repeated as usize + fdinfo.omitted as usize;
        let whole: usize = lines.concat().lines().filter(|line| !line.trim().is_empty()).count();
        // Both names of resident make one value.
        let both = fdinfo.memory.values().filter(|memory| memory.old_resident.is_some()).count();
        prop_assert!(accounted <= whole && whole <= accounted + both, "{accounted} of {whole}");
    }

    #[test]
    fn numbers_come_back(id in any::<u64>(), busy in any::<u64>(), size in 0..=u64::MAX >> 10) {
        let fdinfo = parse(&format!(
            "drm-driver:\txe\ndrm-client-id:\t{id}\ndrm-engine-rcs:\t{busy} ns\ndrm-total-vram0:\t{size} KiB\n"
        ));
        prop_assert_eq!(fdinfo.client_id, Some(id));
        prop_assert_eq!(fdinfo.engines["rcs"].busy_ns, Some(busy));
        prop_assert_eq!(fdinfo.memory["vram0"].total, Some(size << 10));
        prop_assert_eq!(fdinfo.repeated + fdinfo.malformed + fdinfo.omitted, 0);
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let fdinfo = Fdinfo::parse(&bytes);
        prop_assert!(fdinfo.other.len() <= MOST_NAMES);
    }
}
