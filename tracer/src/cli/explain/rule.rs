//! Rules and diagnoses, in the words that they have themselves.

use rmapscope::check::{DiagnosisInfo, Need, Role, RuleInfo, Severity};

use super::event::probes;
use super::paragraphs::Page;

/// A rule.
pub fn rule(rule: &RuleInfo, page: &mut Page) {
    let severity = match rule.severity {
        Severity::Corruption => "a violation corrupts or may corrupt memory",
        Severity::Broken => "a violation breaks a promise of the kernel",
    };
    page.title(&format!("rule {}: {severity}", rule.name));
    page.paragraph(rule.title);
    page.heading("What the kernel promises, and what is checked");
    paragraphs(rule.statement, page);
    citations(rule.citations, page);
    page.heading("Kernels");
    page.paragraph(rule.kernels);
    needs(rule.needs, page);
    page.heading("Legal exceptions");
    if rule.exceptions.is_empty() {
        page.paragraph("None.");
    }
    rule.exceptions.iter().for_each(|exception| page.item(exception));
    page.heading("Not exercised when");
    page.paragraph(rule.idle);
    page.heading("Example of a violation");
    page.verbatim(rule.example);
    page.heading("To check only this rule");
    page.verbatim(&format!("rmapscope check --rules {} -- COMMAND", rule.name));
}

/// A diagnosis.
pub fn diagnosis(diagnosis: &DiagnosisInfo, page: &mut Page) {
    page.title(&format!("diagnosis {}: a problem that is not the kernel's fault", diagnosis.name));
    page.paragraph(diagnosis.title);
    page.heading("What happens");
    paragraphs(diagnosis.statement, page);
    citations(diagnosis.citations, page);
    needs(diagnosis.needs, page);
    page.heading("What to do");
    page.paragraph(diagnosis.remedy);
    page.heading("Example");
    page.verbatim(diagnosis.example);
}

fn paragraphs(text: &str, page: &mut Page) {
    text.lines().for_each(|line| page.paragraph(line));
}

fn citations(citations: &[&str], page: &mut Page) {
    page.heading("Kernel sources");
    citations.iter().for_each(|citation| page.item(citation));
}

fn needs(needs: &[Need], page: &mut Page) {
    page.heading("Events, and the functions that are probed for them");
    for need in needs {
        let role = match need.role {
            Role::Required | Role::Whole => "needed".to_owned(),
            Role::WherePossible => "needed if the kernel supports it".to_owned(),
            Role::InPlaceOf(kind) => format!("in place of {}", kind.name()),
            Role::Counted => "counted if available".to_owned(),
            Role::Optional => "used if available".to_owned(),
        };
        page.item(&format!("{} ({role}): {}", need.kind.name(), need.serves));
        let mut inner = Page::default();
        probes(need.kind, &mut inner);
        page.verbatim(&inner.finish());
    }
}
