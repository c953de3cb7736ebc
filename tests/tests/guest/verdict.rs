//! A verdict as `check --json` wrote it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::recording::Session;

/// The files of a session with its verdict, by the option that names them.
pub const FORMS: [&str; 5] = ["text", "ktap", "junit", "json", "kcidb"];

/// A verdict.
#[derive(Debug)]
pub struct Verdict(Value);

impl Verdict {
    /// The verdict of a session.
    pub fn of(session: &Session) -> anyhow::Result<Self> {
        let said = || format!("no verdict; the session said:\n{}", session.said());
        let value = serde_json::from_str(&session.text("verdict.json")?).with_context(said)?;
        Ok(Self(value))
    }

    /// What it is about.
    pub fn subject(&self) -> &Value {
        &self.0["subject"]
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &Value> {
        self.0["rules"].as_array().into_iter().flatten()
    }

    /// All diagnoses.
    pub fn diagnoses(&self) -> impl Iterator<Item = &Value> {
        self.0["diagnoses"].as_array().into_iter().flatten()
    }

    /// The rule of that name.
    pub fn rule(&self, name: &str) -> anyhow::Result<&Value> {
        self.rules().find(|rule| rule["name"] == name).with_context(|| format!("no rule {name}"))
    }

    /// Names of the rules with that outcome: `pass`, `violated`, `inconclusive` or `not_exercised`.
    pub fn with_outcome(&self, outcome: &str) -> BTreeSet<&str> {
        self.rules()
            .filter(|rule| rule["outcome"] == outcome)
            .filter_map(|rule| rule["name"].as_str())
            .collect()
    }

    /// How often each rule was evaluated.
    pub fn evaluated(&self) -> BTreeMap<&str, u64> {
        self.rules().filter_map(|rule| Some((rule["name"].as_str()?, rule["evaluated"].as_u64()?))).collect()
    }

    /// An error that shows the evidence when a rule is violated.
    pub fn expect_no_violation(&self) -> anyhow::Result<()> {
        let violated = self.with_outcome("violated");
        ensure!(violated.is_empty(), "violated: {}", self.describe(&violated)?);
        Ok(())
    }

    /// The first evidence and the reasons of these rules.
    pub fn describe(&self, names: &BTreeSet<&str>) -> anyhow::Result<String> {
        let mut text = String::new();
        for name in names {
            let rule = self.rule(name)?;
            text.push_str(&format!("\n{name}: {} {}", rule["evidence"][0], rule["reasons"]));
        }
        Ok(text)
    }
}
