//! Flame graphs, each in a frame of its own: their scripts and ids know nothing of each other.

use askama::Template;

use super::Block;
use crate::check::formats::words::plain;

/// A flame graph that is drawn.
#[derive(Clone, Debug)]
pub struct Flame {
    /// What it shows.
    pub title: String,
    /// The SVG document.
    pub svg: String,
}

/// The script around each flame graph: its frames by keyboard, and the page's search.
pub const SCRIPT: &str = include_str!("../../../templates/report/flame.js");
/// How a flame graph fills its frame.
pub const STYLE: &str = include_str!("../../../templates/report/flame.css");

/// A flame graph in the page.
#[derive(Template)]
#[template(path = "report/flame.html")]
pub struct Frame {
    title: String,
    height: u32,
    document: String,
    is_open: bool,
}

/// The document in the frame; the SVG is trusted, whoever drew it has escaped names.
#[derive(Template)]
#[template(path = "report/flame_document.html")]
struct Document<'a> {
    style: &'static str,
    script: &'static str,
    svg: &'a str,
}

impl Frame {
    /// Of a flame graph.
    pub fn block(flame: &Flame, is_open: bool) -> Option<Block> {
        let svg = inline(&flame.svg)?;
        let document = Document { style: STYLE, script: SCRIPT, svg: &svg }.render().ok()?;
        let height = attribute(&svg, "height").and_then(|height| height.parse().ok()).unwrap_or(600.0_f64);
        Some(Block::Flame(Self {
            title: plain(&flame.title),
            height: height.ceil() as u32 + 4,
            document,
            is_open,
        }))
    }
}

/// The `svg` element as part of an HTML document: without the document's head, and without the handler that a
/// policy against scripts of unknown origin forbids; the script around it calls `init` instead.
pub fn inline(svg: &str) -> Option<String> {
    let start = svg.find("<svg")?;
    Some(svg[start..].replacen(" onload=\"init(evt)\"", "", 1))
}

/// An attribute of the outermost element.
fn attribute<'a>(svg: &'a str, name: &str) -> Option<&'a str> {
    let head = svg.split_once('>')?.0;
    head.split_once(&format!(" {name}=\""))?.1.split_once('"').map(|(value, _)| value)
}
