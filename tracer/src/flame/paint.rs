//! The words and colours of an SVG that inferno laid out.

use quick_xml::Reader;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::FlameError;
use super::palette::Color;

/// Pixels from line to line.
const LINE: usize = 16;
/// Of a letter at the size of 12 pixels.
const LETTER: f64 = 7.08;
/// Where the first line below the title stands, and what is left free below the last one.
const FIRST_LINE: usize = 46;
const BELOW_LINES: usize = 4;
/// The width that lines are broken for: inferno's, before its script fits the graph to the window.
const WIDTH: usize = 1180;
const LEFT: usize = 10;

/// A frame's words on hover and its colour.
#[derive(Debug)]
pub struct Frame {
    /// Name, and what is known of it in parentheses that close the text: inferno's script takes the rest for the label.
    pub title: String,
    /// Its colour.
    pub fill: Color,
}

/// A few words, with a coloured square before them where they explain a colour.
pub type Piece = (Option<Color>, String);

/// Lines below the title, each of pieces that stay together as far as they fit.
#[derive(Debug, Default)]
pub struct Lines(Vec<Vec<(usize, Piece)>>);

impl Lines {
    /// Adds pieces on a new line, broken where they do not fit.
    pub fn push(&mut self, pieces: Vec<Piece>) {
        let mut line = Vec::new();
        let mut x = LEFT;
        for (color, text) in pieces {
            let square = if color.is_some() { LINE } else { 0 };
            let most = ((WIDTH - square) as f64 / LETTER) as usize;
            for (index, part) in broken(&text, most).into_iter().enumerate() {
                let width = square + (part.chars().count() as f64 * LETTER).ceil() as usize;
                if index > 0 || (x > LEFT && x + width > WIDTH) {
                    self.0.push(std::mem::take(&mut line));
                    x = LEFT;
                }
                line.push((x, (color.filter(|_| index == 0), part)));
                x += width + LINE;
            }
        }
        self.0.push(line);
    }

    /// Adds words on a new line.
    pub fn text(&mut self, text: impl Into<String>) {
        self.push(vec![(None, text.into())]);
    }

    fn height(&self) -> usize {
        self.0.len() * LINE + BELOW_LINES
    }
}

/// Breaks a text between words, or where a word is too long within it.
fn broken(text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_inclusive(' ') {
        let letters = word.trim_end().chars().count();
        if length > 0 && length + letters > most {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        for character in word.chars() {
            if length == most {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            line.push(character);
            length += 1;
        }
    }
    lines.push(line);
    lines
}

/// The SVG with the lines below its title and every frame's words and colour, which `frame` gives by depth and start.
pub fn paint(
    svg: &str,
    lines: &Lines,
    frame_height: usize,
    inverted: bool,
    frame: impl Fn(usize, u64) -> Option<Frame>,
) -> Result<String, FlameError> {
    let mut reader = Reader::from_str(svg);
    let mut events = Vec::new();
    loop {
        match reader.read_event().map_err(|error| FlameError::Svg(error.to_string()))? {
            Event::Eof => break,
            event => events.push(event),
        }
    }
    let places = events.iter().filter_map(frame_place).map(|(y, _)| y);
    let root = if inverted { places.min() } else { places.max() }.unwrap_or_default();
    let shift = lines.height();
    let mut writer = Writer::new(Vec::with_capacity(svg.len() * 2));
    let mut current = None;
    let mut in_title = false;
    for (index, event) in events.iter().enumerate() {
        let painted = match event {
            Event::Start(start) if start.name().as_ref() == b"g" => {
                let place = events[index..].iter().find_map(frame_place);
                let found = place.and_then(|(y, x)| frame(y.abs_diff(root) / frame_height, x));
                current =
                    Some(found.ok_or_else(|| FlameError::Svg("a frame that was not asked for".to_owned()))?);
                None
            }
            Event::Start(start) if start.name().as_ref() == b"title" => {
                in_title = true;
                writer.write_event(event.borrow())?;
                let title = current.as_ref().map_or("", |frame| &frame.title);
                writer.write_event(Event::Text(BytesText::new(title)))?;
                continue;
            }
            Event::End(end) if end.name().as_ref() == b"title" => {
                in_title = false;
                None
            }
            Event::Empty(rect) if frame_place(event).is_some() => {
                let fill = current.as_ref().map(|frame| frame.fill.to_string()).unwrap_or_default();
                Some(Event::Empty(replaced(rect, |name, _| (name == "fill").then(|| fill.clone()))))
            }
            Event::Empty(rect) if attribute(rect, "fill").as_deref() == Some("url(#background)") => {
                Some(Event::Empty(replaced(rect, |name, value| grown(name, value, &["height"], shift))))
            }
            Event::Start(start) if attribute(start, "id").as_deref() == Some("frames") => {
                write_lines(&mut writer, lines)?;
                let mut frames = start.clone();
                frames.push_attribute(("y", &*shift.to_string()));
                Some(Event::Start(frames))
            }
            Event::Start(start) if start.name().as_ref() == b"svg" => {
                Some(Event::Start(replaced(start, |name, value| match name {
                    "viewBox" => {
                        let (rest, height) = value.rsplit_once(' ')?;
                        Some(format!("{rest} {}", height.parse::<usize>().ok()? + shift))
                    }
                    _ => grown(name, value, &["height"], shift),
                })))
            }
            Event::Start(start)
                if matches!(attribute(start, "id").as_deref(), Some("details" | "matched")) =>
            {
                Some(Event::Start(replaced(start, |name, value| grown(name, value, &["y"], shift))))
            }
            _ => None,
        };
        if !in_title {
            writer.write_event(painted.as_ref().unwrap_or(event).borrow())?;
        }
    }
    String::from_utf8(writer.into_inner()).map_err(|error| FlameError::Svg(error.to_string()))
}

/// The vertical place of a frame's rectangle and its start.
fn frame_place(event: &Event<'_>) -> Option<(usize, u64)> {
    let Event::Empty(rect) = event else { return None };
    let start = attribute(rect, "fg:x")?.parse().ok()?;
    Some((attribute(rect, "y")?.parse().ok()?, start))
}

/// An attribute that has no character to unescape.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).ok()??;
    String::from_utf8(attribute.value.into_owned()).ok()
}

/// The element with other values of those attributes that `replace` gives some for.
fn replaced(element: &BytesStart<'_>, replace: impl Fn(&str, &str) -> Option<String>) -> BytesStart<'static> {
    let mut new = BytesStart::new(String::from_utf8_lossy(element.name().as_ref()).into_owned());
    for attribute in element.attributes().flatten() {
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        let value = String::from_utf8_lossy(&attribute.value).into_owned();
        match replace(&name, &value) {
            Some(other) => new.push_attribute((&*name, &*other)),
            None => new.push_attribute(attribute),
        }
    }
    new
}

/// A number of pixels with more, where the attribute is one of these.
fn grown(name: &str, value: &str, which: &[&str], by: usize) -> Option<String> {
    let value: f64 = value.parse().ok().filter(|_| which.contains(&name))?;
    Some((value + by as f64).to_string())
}

fn write_lines(writer: &mut Writer<Vec<u8>>, lines: &Lines) -> std::io::Result<()> {
    for (index, line) in lines.0.iter().enumerate() {
        let y = FIRST_LINE + index * LINE;
        for (x, (color, text)) in line {
            let mut x = *x;
            if let Some(color) = color {
                let square = [
                    ("x", x.to_string()),
                    ("y", (y - 10).to_string()),
                    ("width", "12".to_owned()),
                    ("height", "12".to_owned()),
                    ("fill", color.to_string()),
                    ("stroke", "rgb(90,90,90)".to_owned()),
                    ("stroke-width", "0.5".to_owned()),
                ];
                let square = square.iter().map(|(name, value)| (*name, &**value));
                writer.write_event(Event::Empty(BytesStart::new("rect").with_attributes(square)))?;
                x += LINE;
            }
            let place = [("x", x.to_string()), ("y", y.to_string())];
            let place = place.iter().map(|(name, value)| (*name, &**value));
            writer.write_event(Event::Start(BytesStart::new("text").with_attributes(place)))?;
            writer.write_event(Event::Text(BytesText::new(text)))?;
            writer.write_event(Event::End(BytesEnd::new("text")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_lose_nothing() {
        let text = "one two three fourfivesix seven ";
        let lines = broken(text, 8);
        assert_eq!(lines, ["one two ", "three ", "fourfive", "six ", "seven "].map(str::to_owned));
        assert_eq!(lines.concat(), text);
        assert_eq!(broken("", 5), [""]);
    }
}
