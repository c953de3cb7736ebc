//! `rmapscope check --list`.

use rmapscope::check::{Severity, diagnoses, rules};

/// Every rule and every diagnosis, a line each.
pub fn text() -> String {
    let width = rules().iter().map(|rule| rule.name.len()).max().unwrap_or(0);
    let mut text = "rules\n".to_owned();
    for rule in rules() {
        let severity = match rule.severity {
            Severity::Corruption => "corruption",
            Severity::Broken => "broken",
        };
        text += &format!("  {:<width$}  {severity:<10}  {}\n", rule.name, rule.title);
    }
    text += "diagnoses\n";
    for diagnosis in diagnoses() {
        text += &format!("  {:<width$}  {:<10}  {}\n", diagnosis.name, "", diagnosis.title);
    }
    text + "`rmapscope explain NAME` explains each.\n"
}
