//! Releases of Debian's kernels and the short names for them: `7.3`, `7.3-rt`, `latest`, `latest-arm64`.

use std::fmt;

use crate::architecture::Architecture;

/// A release as `uname -r` prints it: `7.3.4+deb13-amd64`, `6.1.0-56-rt-amd64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// All of it.
    pub text: String,
    /// Without flavour and architecture: `7.3.4+deb13`.
    pub version: String,
    /// `rt`, `cloud`, `16k`, or nothing.
    flavour: Option<String>,
    /// What it runs on.
    pub architecture: Architecture,
}

/// A short name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortName {
    /// `7.3`; none for `latest`.
    series: Option<String>,
    flavour: Option<String>,
    /// This machine's, where the name does not end with another.
    pub architecture: Architecture,
}

impl Release {
    /// Splits a release; those for other architectures, and what is not a release, are none.
    pub fn parse(text: &str) -> Option<Self> {
        // The size of pages comes last: `7.3.4+deb13-arm64-16k`.
        let (text_of_pages, pages) = match text.strip_suffix("-16k") {
            Some(rest) => (rest, Some("16k".to_owned())),
            None => (text, None),
        };
        let (architecture, rest) = Architecture::at_end(text_of_pages)?;
        if !rest.starts_with(|letter: char| letter.is_ascii_digit()) {
            return None;
        }
        let (version, flavour) = match rest.rsplit_once('-') {
            Some((version, flavour)) if flavour.starts_with(|letter: char| letter.is_ascii_lowercase()) => {
                (version, Some(flavour.to_owned()))
            }
            _ => (rest, None),
        };
        Some(Self { text: text.into(), version: version.into(), flavour: pages.or(flavour), architecture })
    }

    /// The first two numbers: `7.3`.
    pub fn series(&self) -> String {
        self.version.split(['.', '+', '-']).take(2).collect::<Vec<_>>().join(".")
    }

    /// The numbers of the version, for comparing.
    pub fn order(&self) -> Vec<u64> {
        let parts = self.version.split(|letter: char| !letter.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    }
}

impl ShortName {
    /// What is `latest` or begins with a series, and has a flavour or none, and an architecture or none.
    pub fn parse(text: &str) -> Option<Self> {
        let (architecture, text) = Architecture::at_end(text).unwrap_or((Architecture::native(), text));
        let (series, flavour) = match text.split_once('-') {
            Some((series, flavour)) => (series, Some(flavour)),
            None => (text, None),
        };
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_series = series.split_once('.').is_some_and(|(major, minor)| number(major) && number(minor));
        let is_flavour = flavour.is_none_or(|flavour| {
            flavour == "16k" || !flavour.is_empty() && flavour.bytes().all(|byte| byte.is_ascii_lowercase())
        });
        ((is_series || series == "latest") && is_flavour).then(|| Self {
            series: is_series.then(|| series.to_owned()),
            flavour: flavour.map(str::to_owned),
            architecture,
        })
    }

    /// Whether the name may mean this release.
    pub fn covers(&self, release: &Release) -> bool {
        self.flavour == release.flavour
            && self.architecture == release.architecture
            && self.series.as_ref().is_none_or(|series| *series == release.series())
    }

    /// The newest of the releases that it covers.
    pub fn newest(&self, releases: impl IntoIterator<Item = Release>) -> Option<Release> {
        releases.into_iter().filter(|release| self.covers(release)).max_by_key(Release::order)
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.series.as_deref().unwrap_or("latest"))?;
        if let Some(flavour) = &self.flavour {
            write!(f, "-{flavour}")?;
        }
        match self.architecture {
            native if native.is_native() => Ok(()),
            other => write!(f, "-{}", other.debian()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(name: &str, releases: &[&str]) -> Option<String> {
        let releases = releases.iter().filter_map(|text| Release::parse(text));
        ShortName::parse(name).expect("a short name").newest(releases).map(|release| release.text)
    }

    #[test]
    fn releases_have_a_series_and_a_flavour() {
        let parse = |text| Release::parse(text).expect("a release");
        assert_eq!(parse("7.3.4+deb13-amd64").series(), "7.3");
        assert_eq!(parse("7.3.4+deb13-amd64").flavour, None);
        assert_eq!(parse("7.3.4+deb13-rt-amd64").version, "7.3.4+deb13");
        assert_eq!(parse("6.1.0-56-cloud-amd64").flavour.as_deref(), Some("cloud"));
        assert_eq!(parse("6.1.0-56-amd64").version, "6.1.0-56");
        assert_eq!(Release::parse("amd64"), None);
        assert_eq!(parse("7.3.4+deb13-rt-arm64").flavour.as_deref(), Some("rt"));
        assert_eq!(parse("7.3.4+deb13-arm64-16k").flavour.as_deref(), Some("16k"));
        assert_eq!(parse("7.3.4+deb13-arm64-16k").architecture, Architecture::Arm64);
        assert_eq!(Release::parse("7.3.4+deb13-riscv64"), None);
        assert_eq!(Release::parse("7.3.4+deb13-amd64-dbg"), None);
    }

    #[test]
    fn a_name_means_the_newest_of_its_series_and_flavour() {
        let all = ["7.2.12+deb13-amd64", "7.3.4+deb13-rt-amd64", "7.2.9+deb13-amd64", "6.18.15+deb13-amd64"];
        assert_eq!(newest("latest", &all).as_deref(), Some("7.2.12+deb13-amd64"));
        assert_eq!(newest("7.2", &all).as_deref(), Some("7.2.12+deb13-amd64"));
        assert_eq!(newest("6.18", &all).as_deref(), Some("6.18.15+deb13-amd64"));
        assert_eq!(newest("latest-rt", &all).as_deref(), Some("7.3.4+deb13-rt-amd64"));
        assert_eq!(newest("6.1", &all), None);
        assert_eq!(
            newest("6.1", &["6.1.0-9-amd64", "6.1.0-56-amd64", "6.12.117+deb12-amd64"]).as_deref(),
            Some("6.1.0-56-amd64")
        );
        assert_eq!(newest("6.18-cloud", &all), None);
        let both = ["7.3.4+deb13-amd64", "7.3.9+deb13-arm64", "7.3.9+deb13-arm64-16k"];
        assert_eq!(newest("latest", &both).as_deref(), Some("7.3.4+deb13-amd64"));
        assert_eq!(newest("latest-arm64", &both).as_deref(), Some("7.3.9+deb13-arm64"));
        assert_eq!(newest("7.3-16k-arm64", &both).as_deref(), Some("7.3.9+deb13-arm64-16k"));
    }

    #[test]
    fn paths_are_no_names() {
        for text in ["bzImage", "./7.3", "7.3/vmlinuz", "7", "7.3-", "7.3.4", "v7.3", "latest-", ""] {
            assert_eq!(ShortName::parse(text), None, "{text}");
        }
        assert_eq!(ShortName::parse("7.3-rt").expect("a name").to_string(), "7.3-rt");
        assert_eq!(ShortName::parse("latest").expect("a name").to_string(), "latest");
        assert_eq!(ShortName::parse("7.3-rt-arm64").expect("a name").to_string(), "7.3-rt-arm64");
    }
}
