//! The HTML report in headless Chromium: it opens without a word on the console and without a request, and what
//! people do with it works. Without Chromium and chromedriver the tests are ignored, and their names say so.

mod driver;
mod page;

use std::process::{Command, Stdio};

use driver::{Browser, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

const ENTER: &str = "\u{e007}";

type Test = fn(&Browser, &str) -> Result<()>;

fn main() {
    let arguments = Arguments::from_args();
    let missing = ["chromium", "chromedriver"].into_iter().find(|program| {
        let run = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        !run.is_ok_and(|status| status.success())
    });
    let mut trials = Vec::new();
    for trace in ["hmm-demo", "6.12-demo", "6.1-demo"] {
        trials.push(trial(format!("{trace} opens"), missing, move || run(trace, opens)));
    }
    let tests: [(&str, Test); 6] = [
        ("evidence unfolds by keyboard", unfolds),
        ("the search counts and hides", finds),
        ("the flame graph zooms by mouse and keyboard", zooms),
        ("tables sort", sorts),
        ("nothing overflows on a phone", fits),
        ("dark mode is applied", darkens),
    ];
    for (name, test) in tests {
        trials.push(trial(name.to_owned(), missing, move || run("hmm-demo", test)));
    }
    trials.push(trial("hostile names are inert".to_owned(), missing, || run("hostile", inert)));
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: String, missing: Option<&str>, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let name = missing.map_or(name.clone(), |program| format!("{name} (skipped: no {program})"));
    Trial::test(name, || test().map_err(Failed::from)).with_ignored_flag(missing.is_some())
}

/// Opens a page in a browser of its own, and looks at its console and its requests afterwards.
fn run(trace: &str, test: Test) -> Result<()> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (hostile, plain) = (page::hostile, || page::report(trace));
    let url = page::write(folder.path(), "report", &if trace == "hostile" { hostile() } else { plain() });
    let browser = Browser::start()?;
    // What the browser shows first is not what is tested.
    browser.open("about:blank")?;
    browser.log("performance")?;
    browser.open(&url)?;
    test(&browser, trace)?;
    let console = browser.log("browser")?;
    check(console.is_empty(), || format!("console: {console:?}"))?;
    let requests: Vec<String> = browser
        .log("performance")?
        .iter()
        .filter_map(|entry| serde_json::from_str::<Value>(entry).ok())
        .filter(|entry| entry["message"]["method"] == "Network.requestWillBeSent")
        .filter_map(|entry| Some(entry["message"]["params"]["request"]["url"].as_str()?.to_owned()))
        .filter(|requested| *requested != url)
        .collect();
    check(requests.is_empty(), || format!("requests: {requests:?}"))
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// That a script returns this.
fn expect(browser: &Browser, script: &str, expected: &Value) -> Result<()> {
    let value = browser.run(script)?;
    check(value == *expected, || format!("{script}: {value} instead of {expected}"))
}

fn opens(browser: &Browser, _: &str) -> Result<()> {
    let title = browser.run("return document.title")?;
    let is_title = |title: &str| title.starts_with("rmapscope report: ") && title.contains(", Linux 6.1");
    check(title.as_str().is_some_and(is_title), || format!("title {title}"))?;
    let verdict = browser.run("return document.querySelector('.verdict').textContent")?;
    check(verdict.as_str().is_some_and(|verdict| verdict.contains(" rules")), || {
        format!("verdict {verdict}")
    })?;
    expect(
        browser,
        "return ['rules', 'timeline', 'events', 'latency', 'flames', 'stacks', 'pages', 'probes']
            .filter((id) => !document.getElementById(id))",
        &json!([]),
    )?;
    expect(
        browser,
        "return [...document.querySelectorAll('a[href^=\"#\"]')].filter((link) => !document.querySelector(link.hash)).length
            + [...document.querySelectorAll('[id]')].length - new Set([...document.querySelectorAll('[id]')].map((one) => one.id)).size",
        &json!(0),
    )
}

fn unfolds(browser: &Browser, _: &str) -> Result<()> {
    expect(browser, "return document.querySelector('#stacks details').open", &json!(false))?;
    browser.keys(&browser.find("#stacks details > summary")?, ENTER)?;
    expect(browser, "return document.querySelector('#stacks details').open", &json!(true))?;
    expect(browser, "return document.querySelector('#stacks .frames').offsetHeight > 0", &json!(true))
}

fn finds(browser: &Browser, _: &str) -> Result<()> {
    let find = browser.find("#find")?;
    browser.keys(&find, "migrate_vma_setup")?;
    let shown = "return [...document.querySelectorAll('[data-find]:not([hidden])')]";
    let count = browser.run(&format!("{shown}.length"))?;
    check(count.as_u64().is_some_and(|count| count > 0), || format!("{count} hits"))?;
    let noun = if count == 1 { "hit" } else { "hits" };
    expect(browser, "return document.getElementById('hits').textContent", &json!(format!("{count} {noun}")))?;
    expect(
        browser,
        &format!(
            "{shown}.filter((part) => !(part.textContent + (part.querySelector('iframe')?.srcdoc ?? '')).toLowerCase().includes('migrate_vma_setup')).length"
        ),
        &json!(0),
    )?;
    expect(
        browser,
        "return document.getElementById('probes').hidden === !document.getElementById('probes').textContent.includes('migrate_vma_setup')",
        &json!(true),
    )?;
    browser.keys(&find, "-nowhere")?;
    expect(browser, "return document.getElementById('hits').textContent", &json!("0 hits"))?;
    browser.keys(&find, "\u{e00c}")?;
    expect(browser, "return document.querySelectorAll('[hidden]').length", &json!(0))
}

fn zooms(browser: &Browser, _: &str) -> Result<()> {
    browser.run("document.querySelector('iframe').scrollIntoView()")?;
    browser.frame(&browser.find("iframe")?)?;
    // The graph starts when it is seen, and fits itself to the frame after that.
    browser.run(
        "return new Promise((done) => {
            const wait = () => document.querySelector('#frames g[tabindex]') ? setTimeout(done, 0) : requestAnimationFrame(wait);
            wait();
        })",
    )?;
    expect(
        browser,
        "return [...document.querySelectorAll('#frames g')].filter((frame) =>
            frame.querySelector('text').getComputedTextLength() > frame.querySelector('rect').getBoundingClientRect().width).length",
        &json!(0),
    )?;
    let widths = "return [...document.querySelectorAll('#frames g:not(.hide) rect')].map((rect) => rect.getAttribute('width')).join()";
    let whole = browser.run(widths)?;
    // Neither as wide as all, which would not grow, nor too narrow to be hit.
    browser.run(
        "const all = Math.max(...[...document.querySelectorAll('#frames rect')].map((rect) => Number(rect.getAttribute('fg:w'))));
        [...document.querySelectorAll('#frames g')].find((frame) => {
            const share = Number(frame.querySelector('rect').getAttribute('fg:w')) / all;
            return share > 0.05 && share < 0.6;
        }).id = 'middle'",
    )?;
    let middle = "#middle";
    browser.click(&browser.find(middle)?)?;
    let zoomed = browser.run(widths)?;
    check(zoomed != whole, || "a click does not zoom".to_owned())?;
    let first = browser.find("#frames g[tabindex='0']")?;
    browser.keys(&first, "\u{e00c}")?;
    expect(browser, widths, &whole)?;
    browser.run(&format!("document.querySelector('{middle}').focus()"))?;
    browser.keys(&browser.find(middle)?, ENTER)?;
    expect(browser, widths, &zoomed)?;
    browser.frame(&Value::Null)
}

fn sorts(browser: &Browser, _: &str) -> Result<()> {
    let counts = "return [...document.querySelectorAll('#events tbody tr')].map((row) => Number(row.cells[1].textContent))";
    let button = browser.find("#events thead th:nth-child(2) button")?;
    let head = "return document.querySelector('#events thead th:nth-child(2)').ariaSort";
    browser.click(&button)?;
    expect(browser, head, &json!("descending"))?;
    browser.keys(&button, ENTER)?;
    expect(browser, head, &json!("ascending"))?;
    let counts = browser.run(counts)?;
    let counts: Vec<u64> = counts.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    check(counts.len() > 3 && counts.is_sorted(), || format!("{counts:?}"))
}

fn fits(browser: &Browser, _: &str) -> Result<()> {
    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true });
    browser.devtools("Emulation.setDeviceMetricsOverride", phone)?;
    browser.run("document.querySelectorAll('details').forEach((part) => (part.open = true))")?;
    expect(browser, "return document.documentElement.scrollWidth", &json!(360))?;
    expect(browser, "return innerWidth", &json!(360))
}

fn darkens(browser: &Browser, _: &str) -> Result<()> {
    let paper = "return getComputedStyle(document.body).backgroundColor";
    for (scheme, color) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(15, 19, 24)")] {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.devtools("Emulation.setEmulatedMedia", feature)?;
        expect(browser, paper, &json!(color))?;
    }
    Ok(())
}

fn inert(browser: &Browser, _: &str) -> Result<()> {
    expect(browser, "return document.title.startsWith('rmapscope report: violated')", &json!(true))?;
    expect(browser, "return [document.scripts.length, document.images.length]", &json!([1, 0]))?;
    expect(browser, "return document.documentElement.outerHTML.includes('\\u202e')", &json!(false))?;
    expect(browser, "return document.querySelector('.rule.bad').open", &json!(true))?;
    let case = browser.find(".rule.bad .case > summary")?;
    browser.keys(&case, ENTER)?;
    let text = browser.run("return document.querySelector('.case pre').textContent")?;
    check(text.as_str().is_some_and(|text| text.contains("<img src=x")), || format!("{text}"))
}
