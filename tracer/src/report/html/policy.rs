//! The page's content security policy: nothing is fetched, and only the styles and scripts that are known run.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::flame::{self, Flame};
use super::page;

/// The policy. Frames without an address inherit it, so it knows the flame graphs' scripts, too.
pub fn of(flames: &[Flame]) -> String {
    let mut styles = vec![hash(page::STYLE)];
    let mut scripts = vec![hash(page::SCRIPT)];
    if !flames.is_empty() {
        styles.push(hash(flame::STYLE));
        scripts.push(hash(flame::SCRIPT));
    }
    for flame in flames {
        styles.extend(contents(&flame.svg, "style").map(|text| hash(&text)));
        scripts.extend(contents(&flame.svg, "script").map(|text| hash(&text)));
    }
    for hashes in [&mut styles, &mut scripts] {
        hashes.sort();
        hashes.dedup();
    }
    format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src {}; script-src {}",
        styles.join(" "),
        scripts.join(" ")
    )
}

fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// The text in each element of that name, as a browser takes it from an SVG within HTML.
fn contents<'a>(svg: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let (start, end) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = svg;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&start)?;
        let (_, after) = after.split_once('>')?;
        let (text, after) = after.split_once(&end)?;
        rest = after;
        Some(text.replace("<![CDATA[", "").replace("]]>", ""))
    })
}
