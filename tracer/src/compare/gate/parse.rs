//! The budget language: METRIC RELATION LIMIT.

use std::str::FromStr;

use super::{Gate, Limit, Metric, Relation};
use crate::compare::Quantity;
use crate::event::Kind;
use crate::suggest::suggest;

/// Why a budget cannot be understood: what, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n  {text}\n  {caret:>column$}\ntry: {remedy}", caret = '^', column = *.column + 1)]
pub struct GateError {
    /// What is wrong.
    pub what: String,
    /// The budget, with what is unsafe to print escaped.
    pub text: String,
    /// The character that is wrong, from 0.
    pub column: usize,
    /// What would be right.
    pub remedy: String,
}

const METRICS: &str = "use EVENT.QUANTITY such as try_to_unmap.p99, or lost, missed, dropped, unpaired, \
                       rules.violated, rules.inconclusive";

const QUANTITIES: &str = "rate, count, time, mean, max, or a quantile such as p50, p99, p999";

impl FromStr for Gate {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let fail = |offset: usize, what: String, remedy: String| {
            let shown = |text: &str| text.escape_debug().to_string();
            let column = shown(&text[..offset]).chars().count();
            GateError { what, text: shown(text), column, remedy }
        };
        let Some(at) = text.find(['<', '>', '=']) else {
            return Err(fail(
                text.len(),
                "missing relation".into(),
                "use one of < <= > >= == and a limit".into(),
            ));
        };
        let end =
            at + text[at..].find(|letter| !matches!(letter, '<' | '>' | '=')).unwrap_or(text.len() - at);
        let relation = match &text[at..end] {
            "<" => Relation::Less,
            "<=" => Relation::AtMost,
            ">" => Relation::More,
            ">=" => Relation::AtLeast,
            "==" => Relation::Equal,
            _ => return Err(fail(at, "there is no such relation".into(), "one of < <= > >= ==".into())),
        };
        let start = text.len() - text.trim_start().len();
        let metric =
            metric(text[..at].trim()).map_err(|(offset, what, remedy)| fail(start + offset, what, remedy))?;
        let value = text[end..].trim();
        let offset = text.len() - text[end..].trim_start().len();
        let limit = limit(value, metric).map_err(|(what, remedy)| fail(offset, what, remedy))?;
        Ok(Self { text: text.trim().to_owned(), metric, relation, limit })
    }
}

fn metric(text: &str) -> Result<Metric, (usize, String, String)> {
    Ok(match text {
        "lost" => Metric::Lost,
        "missed" => Metric::Missed,
        "dropped" => Metric::Dropped,
        "unpaired" => Metric::Unpaired,
        "rules.violated" => Metric::Violated,
        "rules.inconclusive" => Metric::Inconclusive,
        _ => {
            let Some((event, quantity)) = text.split_once('.') else {
                return Err((0, "there is no such metric".into(), METRICS.into()));
            };
            let Some(kind) = Kind::from_name(event) else {
                let names = Kind::ALL.iter().map(|kind| kind.name());
                return Err((0, "there is no such event".into(), suggest(event, names, METRICS)));
            };
            let Some(quantity) = Quantity::from_name(quantity) else {
                return Err((event.len() + 1, "there is no such quantity".into(), QUANTITIES.into()));
            };
            if quantity.is_latency() && crate::event::duration_field(kind).is_none() {
                let what = format!("{event} is not a call and has no time");
                return Err((event.len() + 1, what, "rate or count".into()));
            }
            Metric::Event(kind, quantity)
        }
    })
}

/// What stands behind the relation; an error is what is wrong and what would be right.
fn limit(text: &str, metric: Metric) -> Result<Limit, (String, String)> {
    if let Some(number) = text.strip_suffix('%') {
        if !matches!(metric, Metric::Event(..)) {
            return Err((
                "a percentage change is not defined for this".into(),
                "a plain number, such as 0".into(),
            ));
        }
        return match number.trim().parse::<f64>() {
            Ok(percent) if percent.is_finite() && percent > -100.0 => Ok(Limit::Change(percent / 100.0)),
            _ => Err(("this is not a percentage change".into(), "such as +10% or -5%, above -100%".into())),
        };
    }
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    let is_time = matches!(metric, Metric::Event(_, quantity) if quantity.is_latency());
    let scale = match (unit, is_time) {
        ("", false) => 1.0,
        ("ns", true) => 1.0,
        ("us" | "µs", true) => 1e3,
        ("ms", true) => 1e6,
        ("s", true) => 1e9,
        _ => f64::NAN,
    };
    match number.parse::<f64>() {
        Ok(number) if !scale.is_nan() => Ok(Limit::Number(number * scale)),
        _ if is_time => Err((
            "this is not a limit for a time".into(),
            "a time with ns, us, ms or s, such as 2ms, or a change, such as +10%".into(),
        )),
        _ => Err((
            "this is not a limit for a number".into(),
            "a number, or for an event a change, such as +10%".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_understood() {
        let gate: Gate = " try_to_unmap.p99 < +10% ".parse().unwrap();
        assert_eq!(gate.metric, Metric::Event(Kind::TryToUnmap, Quantity::Quantile(0.99)));
        assert_eq!((gate.relation, gate.limit), (Relation::Less, Limit::Change(0.1)));
        let limit = |text: &str| text.parse::<Gate>().unwrap().limit;
        assert_eq!(limit("copy_page_range.p99<=2ms"), Limit::Number(2e6));
        assert_eq!(limit("try_to_unmap.mean >= -5 %"), Limit::Change(-0.05));
        assert_eq!(limit("swiotlb_map.count == 4"), Limit::Number(4.0));
        assert_eq!(limit("lost == 0"), Limit::Number(0.0));
        assert_eq!("rules.violated == 0".parse::<Gate>().unwrap().metric, Metric::Violated);
    }

    #[test]
    fn a_caret_points_at_what_is_wrong() {
        let caret = |text: &str| {
            let error = text.parse::<Gate>().unwrap_err();
            assert_eq!(error.to_string().lines().nth(2).unwrap().len(), error.column + 3, "{error}");
            (error.column, error.remedy)
        };
        assert_eq!(caret("try_to_unmap.p99").0, 16);
        assert_eq!(caret("try_to_unmap.p99 =< 1ms").0, 17);
        assert_eq!(caret("try_to_unmap.median < 1ms").0, 13);
        assert_eq!(caret("try_to_unmap.p99 < fast").0, 19);
        assert_eq!(caret("try_to_unmap.p99 < 10").0, 19);
        assert_eq!(caret("lost < +10%").0, 7);
        assert_eq!(caret("swiotlb_unmap_single.mean < 1ms").0, 21);
        assert!(caret(" try_to_unman.p99 < 1ms").1.starts_with("did you mean `try_to_unmap`?"));
        assert!("\u{1b}[2J<1".parse::<Gate>().unwrap_err().to_string().is_ascii());
        for text in
            ["", "<", "=", "lost ==", "é<1", "lost == 1e999", "try_to_unmap.p99 < -100%", "lost == 1.1.1"]
        {
            assert!(text.parse::<Gate>().is_err(), "{text}");
        }
    }
}
