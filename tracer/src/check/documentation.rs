//! Holds `docs/rules.md` to what the rules and diagnoses say about themselves.

use std::fmt::Write;

use super::{Need, Role, diagnoses, rules};
use crate::golden_common::assert_golden;

const START: &str = "# Rules and diagnoses

What `rmapscope check` judges, and what it explains. This page is generated from the output of `rmapscope explain \
NAME`; `rmapscope check --list` is the short version. Events and fields are described in [events.md](events.md), the \
answers and their formats in [verdict.md](verdict.md).

A **rule** is a guarantee that the kernel itself documents. Its answer is *pass* with the number of evaluations, \
*violated* with evidence, *inconclusive* if something that it depends on is missing (a probe, events, values that \
could not be read, required evaluations), or *not exercised* if nothing happened that it applies to, or the kernel \
lacks the feature. State from before the session never counts as a violation. A violation that rests on two events \
counts only if no event of the rule's families is missing between them.

A **diagnosis** explains a problem on a kernel that keeps its rules; it changes neither the verdict nor the exit code.
";

#[expect(clippy::unwrap_used, reason = "writing to a string does not fail")]
fn render() -> String {
    let mut page = START.to_owned();
    writeln!(page, "\n| rule | holds when |\n| --- | --- |").unwrap();
    for rule in rules() {
        writeln!(page, "| [`{0}`](#{0}) | {1} |", rule.name, rule.title).unwrap();
    }
    writeln!(page, "\n| diagnosis | trouble |\n| --- | --- |").unwrap();
    for diagnosis in diagnoses() {
        writeln!(page, "| [`{0}`](#{0}) | {1} |", diagnosis.name, diagnosis.title).unwrap();
    }
    writeln!(page, "\n## Rules").unwrap();
    for rule in rules() {
        let severity = format!("{:?}", rule.severity).to_lowercase();
        writeln!(page, "\n### {}\n\n{}\n", rule.name, rule.statement).unwrap();
        writeln!(page, "Severity: {severity}. Kernels: {}. Not exercised when {}.", rule.kernels, rule.idle)
            .unwrap();
        list(&mut page, "The kernel", rule.citations.iter().map(|citation| (*citation).to_owned()));
        list(&mut page, "Events", rule.needs.iter().map(need));
        list(&mut page, "No violation", rule.exceptions.iter().map(|exception| (*exception).to_owned()));
        writeln!(page, "\nEvidence:\n\n    {}", rule.example).unwrap();
    }
    writeln!(page, "\n## Diagnoses").unwrap();
    for diagnosis in diagnoses() {
        writeln!(page, "\n### {}\n\n{}", diagnosis.name, diagnosis.statement).unwrap();
        list(&mut page, "The kernel", diagnosis.citations.iter().map(|citation| (*citation).to_owned()));
        list(&mut page, "Events", diagnosis.needs.iter().map(need));
        writeln!(page, "\nEvidence:\n\n    {}", diagnosis.example).unwrap();
        writeln!(page, "\nRemedy: {}.", diagnosis.remedy).unwrap();
    }
    page
}

#[expect(clippy::unwrap_used, reason = "writing to a string does not fail")]
fn list(page: &mut String, title: &str, items: impl Iterator<Item = String>) {
    writeln!(page, "\n{title}:\n").unwrap();
    for item in items {
        // Identifiers and comparisons are not to be taken for tags or emphasis.
        writeln!(page, "- {}", item.replace('<', "&lt;").replace('*', "\\*")).unwrap();
    }
}

fn need(need: &Need) -> String {
    let role = match need.role {
        Role::Required | Role::Whole => String::new(),
        Role::WherePossible => " (if the kernel supports it)".to_owned(),
        Role::InPlaceOf(other) => format!(" (in place of `{}`)", other.name()),
        Role::Counted => " (counted if available)".to_owned(),
        Role::Optional => " (optional)".to_owned(),
    };
    format!("`{}`{role}: {}", need.kind.name(), need.serves)
}

#[test]
fn the_document_is_what_the_rules_say() {
    assert_golden("../docs/rules.md", &render());
}
