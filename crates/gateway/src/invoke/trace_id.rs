//! `X-Amzn-Trace-Id`: the caller's where it has one, made here otherwise.
//! Source: "Tracing header" in the AWS X-Ray developer guide.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use uuid::Uuid;

const HEADER: &str = "x-amzn-trace-id";
/// Longest header that is taken over; X-Ray's own fields need 100.
const LONGEST: usize = 512;

/// The trace that an invocation belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceId {
    /// The whole header as the function and the client get it: visible ASCII.
    pub(crate) header: String,
    /// The trace, as OpenTelemetry names it.
    pub(crate) trace: u128,
    /// The caller's span, if the caller named one.
    pub(crate) parent: Option<u64>,
    /// The invocation's own span.
    pub(crate) span: u64,
}

impl TraceId {
    /// The caller's trace, made whole where it lacks a part, or a new one.
    pub(crate) fn of(headers: &HeaderMap, now: SystemTime) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
        given
            .filter(|text| text.len() <= LONGEST)
            .and_then(Self::continued)
            .unwrap_or_else(|| Self::new(now))
    }

    /// The trace of a header that was made here before, as queued events keep it.
    pub(crate) fn read(header: &str) -> Self {
        Self::continued(header).unwrap_or_else(|| Self::new(SystemTime::now()))
    }

    fn new(now: SystemTime) -> Self {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let (_, span) = Uuid::new_v4().as_u64_pair();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32;
        let unique = u128::from(high) << 32 ^ u128::from(low);
        let unique = unique & (u128::MAX >> 32);
        Self {
            header: format!("Root=1-{seconds:08x}-{unique:024x};Parent={span:016x};Sampled=0"),
            trace: u128::from(seconds) << 96 | unique,
            parent: None,
            span,
        }
    }

    /// Without a root there is nothing to continue. A caller's header stays as it is; without a parent
    /// the invocation's own span becomes it.
    fn continued(text: &str) -> Option<Self> {
        let part = |name: &str| {
            text.split(';')
                .filter_map(|part| part.trim().split_once('='))
                .find(|(given, _)| given.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        let mut root = part("Root")?.split('-');
        let (Some("1"), Some(seconds), Some(unique), None) =
            (root.next(), root.next(), root.next(), root.next())
        else {
            return None;
        };
        let trace = u128::from(hex(seconds, 8)? as u32) << 96 | hex(unique, 24)?;
        let parent = part("Parent").and_then(|text| hex(text, 16));
        let (_, span) = Uuid::new_v4().as_u64_pair();
        let mut header = text.trim().trim_end_matches(';').to_owned();
        if parent.is_none() {
            write!(header, ";Parent={span:016x}").expect("writing to a string cannot fail");
        }
        if part("Sampled").is_none() {
            header.push_str(";Sampled=0");
        }
        Some(Self {
            header,
            trace,
            parent: parent.map(|parent| parent as u64),
            span,
        })
    }
}

/// Exactly that many hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    valid.then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";

    #[test]
    fn a_new_trace_is_one_that_can_be_continued() {
        let new = TraceId::new(UNIX_EPOCH);
        assert!(new.header.starts_with("Root=1-00000000-"), "{}", new.header);
        let continued = TraceId::continued(&new.header).unwrap();
        assert_eq!(continued.header, new.header);
        assert_eq!(continued.trace, new.trace);
        assert_eq!(continued.parent, Some(new.span));
        assert_ne!(TraceId::new(UNIX_EPOCH).trace, new.trace);
    }

    #[test]
    fn a_callers_trace_is_kept_and_made_whole() {
        let whole = format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1");
        let trace = TraceId::continued(&whole).unwrap();
        assert_eq!(trace.header, whole);
        assert_eq!(trace.trace, 0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793);
        assert_eq!(trace.parent, Some(0x5399_5c3f_42cd_8ad8));

        let trace = TraceId::continued(&format!("Root={ROOT}")).unwrap();
        let wanted = format!("Root={ROOT};Parent={:016x};Sampled=0", trace.span);
        assert_eq!(trace.header, wanted);
    }

    #[test]
    fn what_is_no_trace_is_replaced() {
        for bad in [
            "",
            "Root=",
            "Root=1-2-3",
            "Self=1",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
        ] {
            assert_eq!(TraceId::continued(bad), None, "{bad}");
        }
    }
}
