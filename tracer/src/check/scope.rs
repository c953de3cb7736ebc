//! Whom a session watched.

use serde_json::Value;

use crate::trace_file::FileHeader;

/// Options that narrow a session, with what they choose.
const CHOICES: [(&str, &str); 4] =
    [("pid", "processes"), ("tid", "threads"), ("comm", "names"), ("cgroup", "the cgroup")];

/// The tasks that were watched, in words; `None` for the whole system.
///
/// What others do for them is not seen then: kswapd unmaps and kcompactd migrates the pages of everybody.
pub fn watched(header: &FileHeader) -> Option<String> {
    let chosen = |(option, what): (&str, &str)| {
        let values: Vec<String> = match header.options.get(option)? {
            Value::Array(values) => values.iter().map(shown).collect(),
            Value::Null => return None,
            value => vec![shown(value)],
        };
        (!values.is_empty()).then(|| format!("{what} {}", values.join(", ")))
    };
    let mut parts: Vec<String> = CHOICES.into_iter().filter_map(chosen).collect();
    let all = header.options.get("all").and_then(Value::as_bool).unwrap_or(false);
    if header.traced_command.is_some() && !all && parts.is_empty() {
        parts.push("the command and its children".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kernel::Description;

    fn watched_with(options: &[(&str, Value)], command: bool) -> Option<String> {
        let mut header = FileHeader::new(Description::default());
        header.traced_command = command.then(|| vec!["true".to_owned()]);
        header.options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        watched(&header)
    }

    #[test]
    fn filters_are_told() {
        let none = [("pid", json!([])), ("cgroup", json!(null))];
        assert_eq!(watched_with(&none, false), None);
        assert_eq!(watched_with(&none, true).as_deref(), Some("the command and its children"));
        assert_eq!(watched_with(&[("all", json!(true))], true), None);
        let some =
            [("pid", json!([1, 2])), ("comm", json!(["a*"])), ("cgroup", json!("/x")), ("all", json!(true))];
        assert_eq!(watched_with(&some, true).as_deref(), Some("processes 1, 2; names a*; the cgroup /x"));
    }
}
