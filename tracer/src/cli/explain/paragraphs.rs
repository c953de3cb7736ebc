//! Text in paragraphs, as wide as is good to read.

/// Characters of a line.
const WIDTH: usize = 100;

/// What will be printed.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// A title; what was there before ends with an empty line.
    pub fn title(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text += text;
        self.text.push('\n');
    }

    /// A heading over a part.
    pub fn heading(&mut self, text: &str) {
        self.text += &format!("\n{text}\n");
    }

    /// Words; an empty line for none.
    pub fn paragraph(&mut self, text: &str) {
        if text.is_empty() {
            if !self.text.ends_with("\n\n") {
                self.text.push('\n');
            }
        } else {
            self.wrap(text, "  ", "  ");
        }
    }

    /// One of several.
    pub fn item(&mut self, text: &str) {
        self.wrap(text, "  - ", "      ");
    }

    /// Lines as they are, indented.
    pub fn verbatim(&mut self, text: &str) {
        for line in text.lines() {
            self.text += format!("    {line}").trim_end();
            self.text.push('\n');
        }
    }

    /// Everything, ended by one line feed.
    pub fn finish(self) -> String {
        self.text.trim_end().to_owned() + "\n"
    }

    fn wrap(&mut self, text: &str, first: &str, others: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in text.split_whitespace() {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.text += &line;
                self.text.push('\n');
                line = others.to_owned();
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line += word;
            is_empty = false;
        }
        self.text += &line;
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_stay_whole_and_lines_are_short() {
        let mut page = Page::default();
        page.title("title");
        page.paragraph(&"word ".repeat(50));
        page.paragraph("");
        page.item(&"x".repeat(150));
        let text = page.finish();
        assert!(text.starts_with("title\n  word word") && text.ends_with("x\n"));
        assert!(text.lines().filter(|line| !line.contains('x')).all(|line| line.chars().count() <= WIDTH));
        assert!(text.contains("\n\n  - xxx"));
    }
}
