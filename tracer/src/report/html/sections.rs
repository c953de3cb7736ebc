//! The sections, in the order in which people ask.

use tracer_common::event::Kind;

use super::bars::{Bars, quantile};
use super::flame::{Flame, Frame};
use super::grid::{Cell, Column, Grid, numbers, words};
use super::lanes::Lanes;
use super::stacks::Stack;
use super::{Block, Section, verdict};
use crate::check::formats::lines::{counted, coverage};
use crate::check::formats::words::plain;
use crate::event::LossCause;
use crate::event::Weights;
use crate::probe::Outcome as Probe;
use crate::report::model::{
    Actor, Distribution, ForkCost, Group, HotPage, Key, PingPongs, Quantile, Report, Table, Top,
};
use crate::report::text::units;

/// Those that have something to say.
pub fn all(report: &Report, flames: &[Flame]) -> Vec<Section> {
    let mut sections = vec![
        verdict::rules(&report.verdict),
        verdict::diagnoses(&report.verdict),
        missing(report),
        section("timeline", "Timeline", "", Lanes::of_events(report)),
        section("events", "Events", "", Some(table(report, &report.events, "By event"))),
    ];
    if let Some(by) = &report.by {
        let keys: Vec<&str> = by.keys.iter().map(|key| key.name()).collect();
        let caption = format!("By {}", keys.join(" and "));
        sections.push(section("by", "As asked", "", Some(table(report, by, &caption))));
    }
    sections.push(section(
        "processes",
        "Processes",
        "",
        Some(table(report, &report.processes, "By process")),
    ));
    // Events of other families have no device: a table of nothing else tells nothing.
    let has_device = report.devices.rows.iter().any(|row| row.group != [Group::None]);
    sections.push(section(
        "devices",
        "Devices",
        "",
        has_device.then(|| table(report, &report.devices, "By device")),
    ));
    let frames = flames.iter().enumerate().filter_map(|(index, flame)| Frame::block(flame, index == 0));
    sections.extend([
        histograms("latency", "Latency", "time in each function, its callees included", &report.latencies),
        histograms("walks", "Reverse-map walks", "VMAs visited by each", &report.walks),
        section("flames", "Flame graphs", "", frames),
        section(
            "stacks",
            "Stacks",
            &of(&report.stacks),
            report.stacks.entries.iter().map(|stack| Stack::block(stack, report)),
        ),
        pages(report),
        exclusive(report),
        device_memory(report),
        fork(report),
        swiotlb(report),
        probes(report),
    ]);
    sections.retain(|section| !section.blocks.is_empty());
    sections
}

fn section(
    id: &'static str,
    title: &'static str,
    remark: &str,
    blocks: impl IntoIterator<Item = Block>,
) -> Section {
    Section { id, title, remark: remark.to_owned(), blocks: blocks.into_iter().collect() }
}

fn time(nanoseconds: u64) -> String {
    units::time(nanoseconds, true)
}

fn number(value: u64) -> String {
    value.to_string()
}

fn histograms(id: &'static str, title: &'static str, remark: &str, all: &[Distribution]) -> Section {
    let blocks = all.iter().enumerate().map(|(index, one)| Bars::block(one.event, one, index == 0));
    section(id, title, remark, blocks)
}

/// How many there are of what is shown, and how exact its counts are.
fn of<T>(top: &Top<T>) -> String {
    let shown = top.entries.len() as u64;
    let mut remark = match top.distinct {
        distinct if distinct <= shown => String::new(),
        distinct => format!("the first {shown} of {}{distinct}", if top.exact { "" } else { "at least " }),
    };
    if !top.exact {
        remark += &format!("; counts may be too high by {}", top.error);
    }
    remark.trim_start_matches("; ").to_owned()
}

fn table(report: &Report, table: &Table, caption: &str) -> Block {
    let mut columns: Vec<_> = table
        .keys
        .iter()
        .map(|key| match key {
            Key::Pid | Key::Tid | Key::Cpu => numbers(key.name()),
            _ => words(key.name()),
        })
        .collect();
    columns
        .extend(["count", "share", "per second", "time", "p50", "p99", "max", "pages", "bytes"].map(numbers));
    let mut grid = Grid::new(caption, columns);
    for row in &table.rows {
        let keys = row.group.iter().map(|group| match group {
            Group::Number(number) => (*number).into(),
            Group::Name(name) => plain(name).into(),
            Group::None => "–".into(),
        });
        let max = (row.measured > 0).then_some(row.max);
        grid.row(keys.chain(sums(report, &row.weights, &row.quantiles, max)).collect::<Vec<Cell>>());
    }
    if table.rest.count > 0 {
        let others = table.distinct.saturating_sub(table.rows.len() as u64);
        let mut keys = vec![Cell::from(format!("{others} others"))];
        keys.resize_with(table.keys.len(), || "".into());
        keys.extend(sums(report, &table.rest, &[], None));
        grid.foot(keys);
    }
    grid.block()
}

/// The columns behind the keys.
fn sums(report: &Report, weights: &Weights, quantiles: &[Quantile], max: Option<u64>) -> [Cell; 9] {
    let duration = report.verdict.subject.duration.max(report.span);
    [
        weights.count.into(),
        Cell::measured(weights.count, units::share(weights.count, report.total.count)),
        Cell::measured(weights.count, units::rate(weights.count, duration)),
        Cell::unless_zero(weights.time, time),
        Cell::optional(quantile(quantiles, 0.5), time),
        Cell::optional(quantile(quantiles, 0.99), time),
        Cell::optional(max, time),
        Cell::unless_zero(weights.pages, number),
        Cell::unless_zero(weights.bytes, units::bytes),
    ]
}

fn process(comm: &str, pid: u32) -> String {
    format!("{} {pid}", plain(comm))
}

fn pages(report: &Report) -> Section {
    let pages = |top: &Top<HotPage>, caption: &str| {
        let columns = [
            words("pfn"),
            numbers("events"),
            numbers("exclusive again"),
            numbers("migrated again"),
            numbers("over"),
            words("last by"),
            words("address"),
            words("which events"),
        ];
        let remark = of(top);
        let caption = if remark.is_empty() { caption.to_owned() } else { format!("{caption}: {remark}") };
        let mut grid = Grid::new(caption, columns);
        for page in &top.entries {
            let which: Vec<String> =
                page.events.iter().map(|(name, count)| format!("{name} {count}")).collect();
            grid.row([
                Cell::from(format!("{:#x}", page.pfn)),
                page.count.into(),
                Cell::unless_zero(page.exclusive_returns, number),
                Cell::unless_zero(page.migration_returns, number),
                Cell::unless_zero(page.last.saturating_sub(page.first), time),
                process(&page.comm, page.pid).into(),
                page.address.map_or_else(String::new, |address| format!("{address:#x}")).into(),
                which.join(", ").into(),
            ]);
        }
        (!top.entries.is_empty()).then(|| grid.block())
    };
    let hot = pages(&report.pages.hot, "Most events");
    let ping_pong = pages(&report.pages.ping_pong, "Back and forth");
    section(
        "pages",
        "Hot pages",
        "`rmapscope report --page PFN` shows the history of one page",
        hot.into_iter().chain(ping_pong),
    )
}

fn exclusive(report: &Report) -> Section {
    let exclusive = &report.exclusive;
    let mut grid = Grid::new(
        "By what ended it",
        [words("ended by"), numbers("pages"), numbers("min"), numbers("p50"), numbers("p99"), numbers("max")],
    );
    for end in &exclusive.ends {
        let residency = end.residency.as_ref();
        let part = |part| residency.and_then(|residency| quantile(&residency.quantiles, part));
        grid.row([
            Cell::from(end.ended.name()),
            end.count.into(),
            Cell::optional(residency.map(|residency| residency.min), time),
            Cell::optional(part(0.5), time),
            Cell::optional(part(0.99), time),
            Cell::optional(residency.map(|residency| residency.max), time),
        ]);
    }
    let mut blocks = Vec::new();
    if !exclusive.ends.is_empty() {
        blocks.push(grid.block());
    }
    let residencies =
        exclusive.ends.iter().filter_map(|end| Some((end.ended.name(), end.residency.as_ref()?)));
    blocks.extend(residencies.map(|(name, residency)| Bars::block(name, residency, false)));
    let mut remark =
        format!("{} made exclusive, at most {} at once", counted(exclusive.made, "page"), exclusive.peak);
    if exclusive.unseen_beginnings > 0 {
        remark += &format!("; {} whose start was not seen", exclusive.unseen_beginnings);
    }
    section("exclusive", "Device-exclusive residency", &remark, blocks)
}

fn device_memory(report: &Report) -> Section {
    let memory = &report.device_memory;
    let who = [words("process"), words("address space"), words("device")];
    let names = |actor: &Actor| {
        [process(&actor.comm, actor.pid).into(), actor.space().into(), actor.device().into()] as [Cell; 3]
    };
    let columns = ["migrations", "pages", "moved", "refused", "passed over", "unknown"].map(numbers);
    let mut moves = Grid::new("Migrations", [&who[..], &[words("way")], &columns].concat());
    for moved in &memory.migrated.entries {
        let numbers = [moved.migrations.into(), moved.pages.into(), moved.moved.into()];
        let left =
            [moved.refused, moved.passed_over, moved.unknown].map(|count| Cell::unless_zero(count, number));
        let way = [Cell::from(moved.way.name())];
        moves.row(names(&moved.actor).into_iter().chain(way).chain(numbers).chain(left).collect::<Vec<_>>());
    }
    let columns = ["way", "reason", "step"].map(words);
    let mut refused =
        Grid::new("Pages that did not migrate", [&who[..], &columns, &[numbers("pages")]].concat());
    for pages in &memory.refused.entries {
        let what = [pages.way.name(), pages.why(), pages.step.name()].map(Cell::from);
        let count = [Cell::from(pages.pages)];
        refused.row(names(&pages.actor).into_iter().chain(what).chain(count).collect::<Vec<_>>());
    }
    let columns = ["range faults", "pages", "-EBUSY", "failed"].map(numbers);
    let mut faults = Grid::new("Ranges that drivers asked for", [&who[..], &columns].concat());
    for asked in &memory.range_faults.entries {
        let numbers = [asked.calls.into(), asked.pages.into()];
        let left = [asked.busy, asked.failed].map(|count| Cell::unless_zero(count, number));
        faults.row(names(&asked.actor).into_iter().chain(numbers).chain(left).collect::<Vec<_>>());
    }
    let moves =
        (!memory.migrated.entries.is_empty() || !memory.taken_back.words().is_empty()).then(|| moves.block());
    let refused = (!memory.refused.entries.is_empty()).then(|| refused.block());
    let faults = (!memory.range_faults.entries.is_empty()).then(|| faults.block());
    let blocks =
        moves.into_iter().chain(refused).chain(faults).chain(ping_pong(&memory.ping_pong, &who, names));
    section("device-memory", "Device memory", &memory.taken_back.words(), blocks)
}

/// What went to a device again: a table, and the stacks of both directions.
fn ping_pong(ping_pong: &PingPongs, who: &[Column], names: impl Fn(&Actor) -> [Cell; 3]) -> Vec<Block> {
    if *ping_pong == PingPongs::default() {
        return Vec::new();
    }
    let columns = ["pages", "again", "most of a page", "mean time there"].map(numbers);
    let title = match ping_pong.words() {
        words if words.is_empty() => "Addresses that return to a device".to_owned(),
        words => format!("Addresses that return to a device: {words}"),
    };
    let mut grid = Grid::new(&title, [who, &[words("addresses")], &columns].concat());
    let mut stacks = Vec::new();
    for range in &ping_pong.entries {
        let counts = [range.pages, range.returns, range.most].map(Cell::from);
        let mean = range.mean().map_or_else(|| Cell::from("?"), |mean| Cell::measured(mean, time(mean)));
        let addresses = Cell::from(range.addresses());
        let row = names(&range.actor).into_iter().chain([addresses]).chain(counts).chain([mean]);
        grid.row(row.collect::<Vec<_>>());
        for (frames, way) in [(&range.to_device, "to the device"), (&range.back, "back")] {
            if !frames.is_empty() {
                let event = Kind::MigrateVmaFinalize.name();
                stacks.push(Stack::of(event, format!("{} {way}", range.addresses()), frames));
            }
        }
    }
    std::iter::once(grid.block()).chain(stacks).collect()
}

fn fork(report: &Report) -> Section {
    let fork = &report.fork;
    if fork.processes.entries.is_empty() {
        return section("fork", "Fork", "", None);
    }
    let columns = ["forks", "VMAs", "pages", "time", "per page", "restored", "failed"].map(numbers);
    let mut grid = Grid::new("Forks by process", [vec![words("process")], columns.to_vec()].concat());
    let row = |name: String, cost: &ForkCost| {
        let per_page = cost.time_per_page.filter(|_| cost.time > 0);
        [
            Cell::from(name),
            cost.forks.into(),
            cost.vmas.into(),
            cost.pages.into(),
            Cell::unless_zero(cost.time, time),
            Cell::optional(per_page.map(|time| time.round() as u64), time),
            Cell::unless_zero(cost.restored, number),
            Cell::unless_zero(cost.failed, number),
        ]
    };
    fork.processes.entries.iter().for_each(|cost| grid.row(row(process(&cost.comm, cost.pid), cost)));
    if let Some(total) = fork.total.as_ref().filter(|_| fork.processes.distinct > 1) {
        grid.foot(row("all".to_owned(), total));
    }
    let whole = fork.time.as_ref().map(|time| Bars::block("time of a whole fork", time, false));
    let remark = format!(
        "{} copied; pages are those that the copied VMAs span, an upper bound of the pages copied",
        counted(fork.forks, "address space")
    );
    section("fork", "Fork", &remark, [grid.block()].into_iter().chain(whole))
}

fn pools(report: &Report) -> Block {
    let columns = [
        words("pool"),
        words("at"),
        numbers("size"),
        words("devices"),
        numbers("peak"),
        numbers("peak slots"),
        numbers("counted by the kernel at a failure"),
    ];
    let mut grid = Grid::new("By pool, all devices together", columns);
    for pool in &report.pools {
        let devices: Vec<String> = pool.devices.iter().map(|device| plain(device)).collect();
        grid.row([
            Cell::from(format!("{:#x}", pool.pool)),
            pool.pool_start.map_or_else(|| "–".to_owned(), |start| format!("{start:#x}")).into(),
            Cell::optional(pool.pool_size, units::bytes),
            devices.join(", ").into(),
            Cell::unless_zero(pool.peak_bytes, units::bytes),
            pool.peak_slots.into(),
            Cell::optional(pool.counted_slots, number),
        ]);
    }
    grid.block()
}

fn swiotlb(report: &Report) -> Section {
    let columns = [
        words("device"),
        words("pool"),
        numbers("mappings"),
        numbers("bytes"),
        numbers("peak"),
        numbers("peak slots"),
        numbers("open at the end"),
        numbers("synced"),
        numbers("time"),
        words("failures"),
        words("remark"),
    ];
    let mut grid = Grid::new("By device and pool", columns);
    let mut blocks = Vec::new();
    for bounce in &report.swiotlb {
        let mut pool = format!("{:#x}", bounce.pool);
        if let Some(size) = bounce.pool_size {
            pool += &format!(", {}", units::bytes(size));
        }
        let failures: Vec<String> =
            bounce.failures.iter().map(|failure| format!("{} {}", failure.count, failure.cause)).collect();
        grid.row([
            Cell::from(plain(&bounce.device)),
            pool.into(),
            bounce.mappings.into(),
            Cell::unless_zero(bounce.bytes, units::bytes),
            Cell::unless_zero(bounce.peak_bytes, units::bytes),
            bounce.peak_slots.into(),
            Cell::unless_zero(bounce.open_bytes, units::bytes),
            Cell::unless_zero(bounce.synced, units::bytes),
            Cell::unless_zero(bounce.time, time),
            failures.join(", ").into(),
            if bounce.forced { "every mapping must bounce" } else { "" }.into(),
        ]);
        blocks.extend(Lanes::of_pool(&bounce.device, &bounce.levels, report));
        let device = plain(&bounce.device);
        let spread = [("size", &bounce.sizes), ("lifetime", &bounce.lifetimes)];
        blocks.extend(spread.into_iter().filter_map(|(what, values)| {
            Some(Bars::block(&format!("{device}: {what} of mappings"), values.as_ref()?, false))
        }));
    }
    for pool in report.pools.iter().filter(|pool| pool.devices.len() > 1) {
        blocks.extend(Lanes::of_pool(&format!("all of pool {:#x}", pool.pool), &pool.levels, report));
    }
    if !report.swiotlb.is_empty() {
        blocks.insert(0, grid.block());
        if !report.pools.is_empty() {
            blocks.insert(1, pools(report));
        }
    }
    section("swiotlb", "Bounce buffers", "", blocks)
}

fn probes(report: &Report) -> Section {
    let columns =
        [words("point"), words("family"), words("state"), words("through"), words("what is missing, or why")];
    let mut grid = Grid::new("Outcome of every probe point", columns);
    for point in &report.verdict.probes {
        let through = |symbol: &str, method: &crate::probe::AttachMethod| {
            format!("{} of {}", method.name(), plain(symbol))
        };
        let (state, through, why) = match &point.outcome {
            Probe::Attached { symbol, method } => ("attached", through(symbol, method), String::new()),
            Probe::Fallback { symbol, method, lost } => {
                ("fallback", through(symbol, method), format!("without {}", plain(lost)))
            }
            Probe::Absent { reason, impossible: true } => {
                ("not for this kernel", String::new(), plain(reason))
            }
            Probe::Absent { reason, .. } => ("absent", String::new(), plain(reason)),
            Probe::Inlined { reason } => ("inlined", String::new(), plain(reason)),
            Probe::Denied { reason } => ("denied", String::new(), plain(reason)),
            Probe::Refused { reason, .. } => ("refused", String::new(), plain(reason)),
            Probe::Unresolved { missing } => ("unresolved", String::new(), plain(&missing.join(", "))),
            Probe::NotAsked => ("not asked for", String::new(), String::new()),
        };
        grid.row([
            Cell::from(plain(&point.point)),
            plain(&point.family).into(),
            state.into(),
            through.into(),
            why.into(),
        ]);
    }
    let blocks = (!report.verdict.probes.is_empty()).then(|| grid.block());
    section("probes", "Probe plan", &coverage(&report.verdict), blocks)
}

fn missing(report: &Report) -> Section {
    let losses = &report.losses;
    let mut blocks = Vec::new();
    let causes = [&losses.lost, &losses.missed, &losses.dropped, &losses.unpaired];
    let mut families: Vec<&String> = causes.iter().flat_map(|counts| counts.keys()).collect();
    families.sort();
    families.dedup();
    if !families.is_empty() {
        let columns = ["lost", "missed", "dropped", "unpaired"].map(numbers);
        let mut grid = Grid::new("By family", [vec![words("family")], columns.to_vec()].concat());
        for family in families {
            let counts =
                causes.map(|counts| Cell::unless_zero(counts.get(family).copied().unwrap_or(0), number));
            grid.row([Cell::from(plain(family))].into_iter().chain(counts).collect::<Vec<_>>());
        }
        blocks.push(grid.block());
    }
    if !losses.gaps.is_empty() {
        let columns = [words("cause"), words("family"), numbers("events"), numbers("from"), numbers("to")];
        let mut grid = Grid::new("Intervals in which events are missing", columns);
        for gap in &losses.gaps {
            let cause = match gap.cause {
                LossCause::Lost => "lost",
                LossCause::Missed => "missed",
                LossCause::Dropped => "dropped",
            };
            grid.row([
                Cell::from(cause),
                gap.family.unwrap_or("").into(),
                Cell::measured(gap.count, if gap.count == 0 { "?".to_owned() } else { number(gap.count) }),
                Cell::measured(gap.from, time(gap.from)),
                Cell::measured(gap.to.unwrap_or(u64::MAX), gap.to.map_or_else(|| "the end".to_owned(), time)),
            ]);
        }
        blocks.push(grid.block());
        if losses.more_gaps > 0 {
            blocks.push(Block::Text(format!("And {} more such intervals.", losses.more_gaps)));
        }
    }
    let remark = "missing from the numbers below. Lost: the ring was full; missed: the kernel skipped the program; \
                  dropped: user space, or a damaged file; unpaired: a call seen only at entry or only at return";
    section("missing", "Missing", remark, blocks)
}
