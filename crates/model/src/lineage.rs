//! How often a chain of invocations has come through a function: `Lineage` of `X-Amzn-Trace-Id`, by which
//! loops are found. Pure.
//!
//! `Lineage=1:a87bd80c:0|1:68fd508a:5` names functions by a hash of their ARN and counts how often the chain
//! came back to each. AWS's SDKs pass it on inside functions, and destinations do here.
//! Source: "Tracing header" in the AWS X-Ray developer guide; "Lambda recursive loop detection" in the AWS
//! Lambda developer guide; the form with a leading `1:` is what Lambda was seen to send.

use std::fmt::Write;

use crate::function::VersionKey;

/// Invocations of one function in one chain; one more is a loop.
pub const LOOPS: u32 = 16;
/// Functions that a chain remembers; of more, the first are forgotten.
const FUNCTIONS: usize = 16;

/// A chain that has come to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The header as the function gets it, the function counted.
    pub header: String,
    /// How often the chain had come through the function before.
    pub before: u32,
}

impl Arrived {
    /// Whether the chain has come through the function too often to go on.
    pub fn is_loop(&self) -> bool {
        self.before >= LOOPS
    }
}

/// Counts the function of that version in the chain of `header`.
pub fn arrive(header: &str, version: &VersionKey) -> Arrived {
    let this = hash(version);
    let (mut before, mut chain, mut rest) = (0, Vec::new(), String::new());
    for part in header.split(';') {
        match part.trim().split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("lineage") => {
                chain.extend(value.split('|').filter_map(link));
            }
            _ if part.trim().is_empty() => {}
            _ => {
                if !rest.is_empty() {
                    rest.push(';');
                }
                rest.push_str(part.trim());
            }
        }
    }
    chain.retain(|(hash, count)| {
        if *hash == this {
            before = before.max(count.saturating_add(1));
        }
        *hash != this
    });
    chain.push((this, before));
    let from = chain.len().saturating_sub(FUNCTIONS);
    let mut header = rest;
    header.push_str(if header.is_empty() {
        "Lineage="
    } else {
        ";Lineage="
    });
    for (index, (hash, count)) in chain[from..].iter().enumerate() {
        let between = if index == 0 { "" } else { "|" };
        write!(header, "{between}1:{hash:08x}:{count}").expect("writing to a string cannot fail");
    }
    Arrived { header, before }
}

/// `1:a87bd80c:5`, or without the leading number.
fn link(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().rsplitn(3, ':');
    let (count, hash) = (parts.next()?, parts.next()?);
    let plain = hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hash = plain.then(|| u32::from_str_radix(hash, 16).ok())??;
    Some((hash, count.parse().ok()?))
}

/// FNV-1a of what tells functions apart: it is not secret, and nobody gains by two of them being alike.
fn hash(version: &VersionKey) -> u32 {
    let VersionKey {
        account,
        region,
        name,
        ..
    } = version;
    let parts = [region.as_str(), ":", account.as_str(), ":", name.as_str()];
    let bytes = parts.into_iter().flat_map(str::bytes);
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(name: &str) -> VersionKey {
        VersionKey {
            account: Default::default(),
            region: Default::default(),
            name: name.parse().unwrap(),
            version: crate::Version::Latest,
        }
    }

    fn come(header: &str, name: &str) -> Arrived {
        arrive(header, &version(name))
    }

    #[test]
    fn a_chain_counts_each_of_its_functions() {
        let first = come("Root=1-2-3;Sampled=0", "f");
        let (f, g) = (hash(&version("f")), hash(&version("g")));
        assert_eq!(
            first.header,
            format!("Root=1-2-3;Sampled=0;Lineage=1:{f:08x}:0")
        );
        assert_eq!((first.before, first.is_loop()), (0, false));
        let second = come(&first.header, "g");
        let lineage = format!("Lineage=1:{f:08x}:0|1:{g:08x}:0");
        assert_eq!(second.header, format!("Root=1-2-3;Sampled=0;{lineage}"));
        let third = come(&second.header, "f");
        let lineage = format!("Lineage=1:{g:08x}:0|1:{f:08x}:1");
        assert_eq!(third.header, format!("Root=1-2-3;Sampled=0;{lineage}"));
    }

    #[test]
    fn the_seventeenth_time_is_a_loop() {
        let mut header = "Root=1-2-3".to_owned();
        for time in 0..LOOPS {
            let arrived = come(&header, "f");
            assert!(!arrived.is_loop(), "{time}");
            header = arrived.header;
        }
        assert!(come(&header, "f").is_loop());
        assert!(!come(&header, "g").is_loop());
    }

    #[test]
    fn both_forms_are_read_and_what_is_none_is_left_out() {
        let f = hash(&version("f"));
        for lineage in [
            format!("{f:08x}:3"),
            format!("1:{f:08x}:3|x|:|1:zz:4|1:{f:08x}"),
        ] {
            assert_eq!(
                come(&format!("Lineage={lineage}"), "f").before,
                4,
                "{lineage}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_the_count_only_grows_and_the_header_stays_short(
            header in "(Root=[ -~]{0,20};)?(Lineage=[0-9a-f:|]{0,300})?", other in "[a-z]{1,8}",
        ) {
            let arrived = come(&header, "f");
            let again = come(&come(&arrived.header, &format!("g{other}")).header, "f");
            prop_assert_eq!(again.before, arrived.before.saturating_add(1));
            prop_assert!(again.header.len() <= header.len() + 9 + FUNCTIONS * 22);
        }
    }
}
