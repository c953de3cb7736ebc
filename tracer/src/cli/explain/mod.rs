//! `rmapscope explain`: what a rule, a diagnosis, an event, a field or a number means.

mod document;
mod event;
mod number;
mod paragraphs;
mod rule;

use clap::Args;
use rmapscope::Error;
use rmapscope::check::{diagnoses, rules};
use rmapscope::event::{Family, Kind};
use rmapscope::output::column_names;
use rmapscope::suggest::unknown;

use super::standard_output::print;
use paragraphs::Page;

/// Explain a rule, a diagnosis, an event, a field, an exit code or an error number.
///
/// Shows the kernel code behind it, the probes, the legal exceptions and an example, where applicable. Without a name,
/// lists every name.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  rmapscope explain fork-restores-exclusive    a rule of `check`
  rmapscope explain copy_page_range            an event
  rmapscope explain mapcount                   a field
  rmapscope explain exit-codes                 what the program's exit codes mean
  rmapscope explain EBUSY                      an error number of the kernel")]
pub struct ExplainArgs {
    /// Name to explain.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Prints the explanations on standard output.
///
/// # Errors
/// When nothing has that name.
pub fn run(args: &ExplainArgs) -> Result<u8, Error> {
    let mut page = Page::default();
    if args.names.is_empty() {
        list(&mut page);
    }
    for name in &args.names {
        explain(name, &mut page)?;
    }
    print(&page.finish())
}

/// Adds everything that has that name: an event and a field can share one.
fn explain(name: &str, page: &mut Page) -> Result<(), Error> {
    let mut found = false;
    if let Some(rule) = rules().iter().find(|rule| rule.name == name) {
        rule::rule(rule, page);
        found = true;
    }
    if let Some(diagnosis) = diagnoses().iter().find(|diagnosis| diagnosis.name == name) {
        rule::diagnosis(diagnosis, page);
        found = true;
    }
    if let Some(kind) = Kind::from_name(name) {
        event::kind(kind, page);
        found = true;
    }
    if let Some(family) = Family::from_name(name) {
        event::family(family, page);
        found = true;
    }
    found |= event::field(name, page);
    found |= number::explain(name, page);
    if found {
        Ok(())
    } else {
        Err(unknown("explanation of", name, names(), "`rmapscope explain` lists all names"))
    }
}

/// Every name, except those of error numbers.
fn names() -> Vec<&'static str> {
    let rules = rules().iter().map(|rule| rule.name);
    let diagnoses = diagnoses().iter().map(|diagnosis| diagnosis.name);
    let events = Kind::ALL.iter().map(|kind| kind.name());
    let families = Family::ALL.into_iter().map(Family::name);
    let mut names: Vec<&str> = rules.chain(diagnoses).chain(events).chain(families).collect();
    names.extend(column_names());
    names.push(number::EXIT_CODES);
    names
}

fn list(page: &mut Page) {
    page.title("Rules of `check`");
    rules().iter().for_each(|rule| page.item(&format!("{}: {}", rule.name, rule.title)));
    page.title("Diagnoses of `check`");
    diagnoses().iter().for_each(|diagnosis| page.item(&format!("{}: {}", diagnosis.name, diagnosis.title)));
    page.title("Events, by family");
    for family in Family::ALL {
        let events = Kind::ALL.iter().filter(|kind| kind.family() == family).map(|kind| kind.name());
        page.item(&format!("{}: {}", family.name(), events.collect::<Vec<_>>().join(", ")));
    }
    page.title("Fields");
    page.paragraph(&column_names().join(", "));
    page.title("Numbers");
    page.paragraph(&format!("{}, and names of error numbers such as EBUSY", number::EXIT_CODES));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> String {
        let mut page = Page::default();
        explain(name, &mut page).unwrap_or_else(|error| panic!("{name}: {error}"));
        page.finish()
    }

    #[test]
    fn everything_that_is_listed_is_explained() {
        for name in names() {
            let text = text(name);
            assert!(text.lines().count() > 1 && text.contains(name), "{text}");
            assert!(!text.contains("WARNING:") && !text.contains("BUG:"), "{name}");
        }
        let mut page = Page::default();
        list(&mut page);
        let list = page.finish();
        assert!(names().iter().all(|name| list.contains(name)));
    }

    #[test]
    fn an_event_comes_with_its_probes_and_an_example() {
        let text = text("copy_page_range");
        assert!(text.contains("src_mm") || text.contains("child"), "{text}");
        assert!(text.contains("mm/memory.c") || text.contains("copy_page_range ("), "{text}");
    }

    #[test]
    fn unknown_names_come_with_the_nearest() {
        let mut page = Page::default();
        let error = explain("swiotlb-paird", &mut page).expect_err("no such name");
        assert!(error.remedy.contains("`swiotlb-paired`"), "{}", error.remedy);
    }
}
