//! What a page_history is of.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A page, or an address of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A page frame, whoever uses it.
    Page {
        /// Its number.
        #[serde(serialize_with = "crate::report::model::hexadecimal")]
        pfn: u64,
    },
    /// A user address of a process: whatever page is there.
    Address {
        /// Process id.
        pid: u32,
        /// Any address in the page.
        #[serde(serialize_with = "crate::report::model::hexadecimal")]
        address: u64,
    },
}

/// What names no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// No number.
    #[error("`{0}` is not a page frame number, such as 0x1a2b3 or 107187")]
    Page(String),
    /// No process id and address.
    #[error("`{0}` is not an address of a process, such as 1234:0x7f12a4600000")]
    Address(String),
}

impl Target {
    /// From a page frame number, hexadecimal with `0x` or decimal.
    ///
    /// # Errors
    /// When it is none.
    pub fn page(text: &str) -> Result<Self, BadTarget> {
        let pfn = number(text).ok_or_else(|| BadTarget::Page(text.to_owned()))?;
        Ok(Self::Page { pfn })
    }

    /// From `PID:ADDR`; the address is hexadecimal with `0x` or decimal.
    ///
    /// # Errors
    /// When it is no such pair.
    pub fn address(text: &str) -> Result<Self, BadTarget> {
        let parse = || {
            let (pid, address) = text.split_once(':')?;
            Some(Self::Address { pid: pid.parse().ok()?, address: number(address)? })
        };
        parse().ok_or_else(|| BadTarget::Address(text.to_owned()))
    }
}

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        if text.contains(':') { Self::address(text) } else { Self::page(text) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { pfn } => write!(formatter, "page {pfn:#x}"),
            Self::Address { pid, address } => write!(formatter, "address {address:#x} of process {pid}"),
        }
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // `from_str_radix` takes a sign.
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if text.starts_with('+') => None,
        None => text.parse().ok(),
    }
}
