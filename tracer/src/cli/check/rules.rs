//! Which rules, and how strictly.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use rmapscope::Error;
use rmapscope::check::{self, Selection};

/// What a missing probe does to a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OnMissing {
    /// The rule is inconclusive.
    #[default]
    Error,
    /// The rule has a note.
    Warn,
    /// Nothing.
    Ignore,
}

/// What lost events do to a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OnLoss {
    /// The rule is inconclusive.
    #[default]
    Inconclusive,
    /// The rule has a note.
    Warn,
    /// Nothing.
    Ignore,
}

/// Which rules, and how strictly.
#[derive(Args, Debug)]
#[command(next_help_heading = "Rules")]
pub struct RuleArgs {
    /// Print the rules and diagnoses, and exit.
    #[arg(long)]
    pub list: bool,
    /// Check only these rules, and attach only what they need; diagnoses that need more are skipped.
    #[arg(long, value_name = "RULE[,…]", value_delimiter = ',')]
    rules: Vec<String>,
    /// Check all but these rules.
    #[arg(long, value_name = "RULE[,…]", value_delimiter = ',')]
    not_rule: Vec<String>,
    /// Be inconclusive if a rule was evaluated fewer than N times (default 1); `all` for every selected rule.
    #[arg(long, value_name = "RULE[=N][,…]", value_delimiter = ',')]
    require: Vec<String>,
    /// Stop at the first violation.
    #[arg(long)]
    pub fail_fast: bool,
    /// What a missing probe does to the rules that need it.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    on_missing: OnMissing,
    /// What lost events do to the rules that need them.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    on_loss: OnLoss,
    /// Number of violations to show per rule.
    #[arg(long, value_name = "N", default_value_t = 10)]
    evidence: usize,
}

impl RuleArgs {
    /// What is asked of the checker.
    ///
    /// # Errors
    /// An unknown rule, a number that is none, or no rule at all.
    pub fn options(&self) -> Result<check::Options, Error> {
        let chosen = if self.rules.is_empty() { Selection::all() } else { Selection::only(&self.rules)? };
        let rules = chosen.without(&self.not_rule)?;
        if rules.is_empty() {
            return Err(Error::failure("no rule is left to check", "exclude fewer rules with --not-rule"));
        }
        Ok(check::Options {
            rules,
            required: self.required(rules)?,
            on_missing: match self.on_missing {
                OnMissing::Error => check::OnMissing::Error,
                OnMissing::Warn => check::OnMissing::Warn,
                OnMissing::Ignore => check::OnMissing::Ignore,
            },
            on_loss: match self.on_loss {
                OnLoss::Inconclusive => check::OnLoss::Inconclusive,
                OnLoss::Warn => check::OnLoss::Warn,
                OnLoss::Ignore => check::OnLoss::Ignore,
            },
            evidence: self.evidence,
        })
    }

    fn required(&self, judged: Selection) -> Result<BTreeMap<&'static str, u64>, Error> {
        let mut required = BTreeMap::new();
        for word in &self.require {
            let (name, number) = word.split_once('=').unwrap_or((word, "1"));
            let number: u64 = number.parse().map_err(|_| {
                Error::failure(
                    format!("`{}` is not RULE=N with a number of evaluations", word.escape_debug()),
                    "--require RULE=10, or --require RULE",
                )
            })?;
            let named = if name == "all" { judged } else { Selection::only(&[name])? };
            for rule in check::rules().iter().filter(|rule| named.contains(rule.name)) {
                if !judged.contains(rule.name) {
                    return Err(Error::failure(
                        format!("--require names {}, which is not selected", rule.name),
                        "add it to --rules, or remove it from --not-rule",
                    ));
                }
                required.insert(rule.name, number);
            }
        }
        Ok(required)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        rules: RuleArgs,
    }

    fn options(words: &[&str]) -> Result<check::Options, Error> {
        let line = Line::try_parse_from(["check"].iter().chain(words)).expect("a command line");
        line.rules.options()
    }

    #[test]
    fn rules_by_name() {
        let chosen = options(&["--rules", "swiotlb-paired,swiotlb-in-pool", "--not-rule", "swiotlb-in-pool"])
            .expect("rules");
        assert!(chosen.rules.contains("swiotlb-paired") && !chosen.rules.contains("swiotlb-in-pool"));
        assert!(
            options(&["--rules", "swiotlb-pair"]).is_err_and(|error| error.remedy.contains("swiotlb-paired"))
        );
        assert!(options(&["--rules", "swiotlb-paired", "--not-rule", "swiotlb-paired"]).is_err());
    }

    #[test]
    fn numbers_of_evaluations() {
        let required = |words: &[&str]| options(words).map(|options| options.required);
        let all = required(&["--require", "all", "--require", "swiotlb-paired=5"]).expect("numbers");
        assert_eq!((all.len(), all["swiotlb-paired"], all["swiotlb-in-pool"]), (check::rules().len(), 5, 1));
        assert!(required(&["--require", "swiotlb-paired=many"]).is_err());
        assert!(required(&["--require", "swiotlb-pair"]).is_err());
        assert!(required(&["--require", "swiotlb-paired", "--not-rule", "swiotlb-paired"]).is_err());
    }
}
