//! For programs: one object a line, each with a `type`; addresses and page frames are strings in hexadecimal.

use serde::Serializer;
use serde_json::json;

use super::types::TypeTable;
use super::view::{Change, Totals, View};
use crate::output::json_line as line;

/// Version of the objects; raised when a member is renamed, removed or gets another meaning.
const SCHEMA: u32 = 1;

/// A number as a string in hexadecimal.
pub(super) fn hex<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#x}"))
}

/// The first line: the kernel and the types by which entries are told.
pub fn header(out: &mut String, table: &TypeTable) {
    line(
        out,
        "header",
        &json!({
            "schema": SCHEMA,
            "program": "rmapscope",
            "version": env!("CARGO_PKG_VERSION"),
            "kernel": { "release": table.release },
            "page_size": table.page_size,
            "swap_types": table.types,
            "swap_types_source": table.source,
            "swap_types_doubt": table.doubt,
        }),
    );
}

/// A range; with whether it stands, came or went at which time (nanoseconds of `CLOCK_MONOTONIC`) when
/// watching.
pub fn range(out: &mut String, view: &View<'_>, change: Option<(Change, u64)>) {
    let range = &view.range;
    let mut object = json!({
        "pid": view.process.pid,
        "comm": view.process.comm,
        "start": format!("{:#x}", range.start),
        "end": format!("{:#x}", view.end),
        "pages": range.pages,
        "kind": range.flags.kind,
        "flags": range.flags.names().collect::<Vec<_>>(),
        "frames": range.frames,
        "locked": view.locked,
        "vma": view.vma,
    });
    if let Some((change, time)) = change {
        object["change"] = json!(change);
        object["time"] = time.into();
    }
    line(out, "entries", &object);
}

/// The sums.
pub fn totals(out: &mut String, totals: &Totals) {
    line(out, "total", &json!(totals));
}

#[cfg(test)]
mod tests {
    use super::super::types::tests::table;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_type_comes_first_and_the_line_is_one_object() {
        let mut out = String::new();
        header(&mut out, &TypeTable { release: "a\u{202e}\n".to_owned(), ..table(23, true) });
        assert!(out.starts_with("{\"type\":\"header\",") && out.is_ascii(), "{out}");
        let object: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(object["kernel"]["release"], "a\u{202e}\n");
        assert_eq!(object["swap_types"][8], json!({ "number": 31, "kind": "pte_marker" }));
        assert_eq!(out.lines().count(), 1);
        out.clear();
        totals(&mut out, &Totals { counts: [(super::super::Kind::Swap, 2)].into(), ..Totals::default() });
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["counts"]["swap"], 2);
    }
}
