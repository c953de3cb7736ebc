//! Reports of recorded traces as pages: as they are, and with a violated rule and hostile names.

use std::fs::File;
use std::path::{Path, PathBuf};

use rmapscope::check::{Actor, Evidence, Outcome};
use rmapscope::event::Filter;
use rmapscope::flame::{Grouping, Profiler, Style, svg};
use rmapscope::report::aggregate::{Aggregator, Options};
use rmapscope::report::html::{self, Flame};
use rmapscope::report::model::Report;
use rmapscope::trace_file::Reader;

/// What a process could choose as its name, and more.
pub const HOSTILE: &str =
    "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'\u{202e}";

/// The report of a committed trace and its flame graph.
pub fn report(trace: &str) -> (Report, Vec<Flame>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/traces").join(format!("{trace}.data"));
    let mut reader = Reader::new(File::open(path).expect("fixture")).expect("header");
    let aggregator = Aggregator::new(reader.header(), Options::default());
    let profiler = Profiler::new(reader.header(), Filter::default(), Grouping::Comm);
    let mut sums = (aggregator, profiler);
    let incomplete = reader.drive(&mut sums).unwrap();
    let drawn = svg(&sums.1.finish(incomplete.clone()), &Style::default()).expect("flame graph");
    (sums.0.finish(incomplete), vec![Flame { title: "Events".to_owned(), svg: drawn }])
}

/// With a violated rule, and with hostile names wherever there is one.
pub fn hostile() -> (Report, Vec<Flame>) {
    let (mut report, mut flames) = report("hmm-demo");
    let name = || HOSTILE.to_owned();
    let rule = &mut report.verdict.rules[0];
    (rule.outcome, rule.violations) = (Outcome::Violated, 1);
    rule.evidence = vec![Evidence {
        what: "the page was not locked".to_owned(),
        event: "migration_entry_set",
        actor: Actor { comm: name(), ..Actor::default() },
        owner_pid: None,
        address: Some(0x7f00_0000_1000),
        pfn: Some(0x1234),
        device: Some(name()),
        fields: vec![("flags".to_owned(), name())],
        before: Vec::new(),
    }];
    report.verdict.subject.host = name();
    report.verdict.subject.command = Some(vec![name()]);
    report.losses.incomplete = Some(name());
    report.losses.lost.insert(name(), 7);
    report.pages.hot.entries.iter_mut().for_each(|page| page.comm = name());
    report.stacks.entries.iter_mut().for_each(|stack| stack.frames.push(name()));
    report.swiotlb.iter_mut().for_each(|bounce| bounce.device = name());
    flames[0].title = name();
    (report, flames)
}

/// Writes the page and gives its address.
pub fn write(folder: &Path, name: &str, (report, flames): &(Report, Vec<Flame>)) -> String {
    let path: PathBuf = folder.join(format!("{name}.html"));
    html::write(report, flames, &mut File::create(&path).expect("file")).expect("page");
    format!("file://{}", path.display())
}
