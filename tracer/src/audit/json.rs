//! For programs: one object a line, each with a `type`; addresses and page frames are strings in hexadecimal.

use serde::Serializer;
use serde_json::{Value, json};

use super::types::TypeTable;
use super::view::{Change, Totals, View};
use crate::output::escape_json;

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
        &json!({
            "type": "header",
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
        "type": "entries",
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
    line(out, &object);
}

/// The sums.
pub fn totals(out: &mut String, totals: &Totals) {
    let mut object = json!(totals);
    object["type"] = "total".into();
    line(out, &object);
}

fn line(out: &mut String, object: &Value) {
    out.push_str(&escape_json(&object.to_string()));
    out.push('\n');
}
