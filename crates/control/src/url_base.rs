//! Where function URLs are reached: what stands around the part of their host name that says which one.

use std::fmt;
use std::str::FromStr;

use pilotlight_model::url::FunctionUrl;

/// Longest host with its port.
const AUTHORITY_BYTES: usize = 100;

/// `http://localhost:9000`, below whose host name every function URL has one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlBase {
    scheme: &'static str,
    /// Host, and port where it is not the scheme's own.
    authority: String,
}

/// A text that is no such base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a scheme and a host name such as https://functions.example.com")]
pub struct InvalidUrlBase(String);

impl UrlBase {
    /// Below `localhost`, at the port of an API that is reached at `http://host:port`: these names are this machine's,
    /// for browsers and for resolvers that know of them.
    pub(crate) fn local(endpoint_url: &str) -> Self {
        let port = endpoint_url.rsplit(':').next().unwrap_or_default();
        let authority = match port.parse::<u16>() {
            Ok(port) => format!("localhost:{port}"),
            Err(_) => "localhost".to_owned(),
        };
        Self {
            scheme: "http",
            authority,
        }
    }

    /// The address of a function URL.
    pub(crate) fn address(&self, url: &FunctionUrl) -> String {
        let Self { scheme, authority } = self;
        format!(
            "{scheme}://{}.lambda-url.{}.{authority}/",
            url.id, url.region
        )
    }
}

impl FromStr for UrlBase {
    type Err = InvalidUrlBase;

    fn from_str(text: &str) -> Result<Self, InvalidUrlBase> {
        let invalid = || InvalidUrlBase(text.to_owned());
        let (scheme, authority) = text.split_once("://").ok_or_else(invalid)?;
        let scheme = match scheme {
            "http" => "http",
            "https" => "https",
            _ => return Err(invalid()),
        };
        let (host, port) = authority.split_once(':').unwrap_or((authority, "1"));
        let plain = |label: &str| {
            let known =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !label.is_empty() && label.bytes().all(known)
        };
        let valid = authority.len() <= AUTHORITY_BYTES
            && host.split('.').all(plain)
            && port.parse::<u16>().is_ok_and(|port| port > 0);
        match valid {
            true => Ok(Self {
                scheme,
                authority: authority.to_owned(),
            }),
            false => Err(invalid()),
        }
    }
}

impl fmt::Display for UrlBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_read_and_print() {
        for text in [
            "http://localhost:9000",
            "https://fn.example.com",
            "http://a-1:1",
        ] {
            assert_eq!(text.parse::<UrlBase>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "localhost",
            "ftp://a",
            "http://",
            "http://a/",
            "http://a:0",
            "http://a:x",
            "http://A",
            "http://a..b",
            "http://[::1]:80",
            "http://u@a",
        ] {
            assert!(bad.parse::<UrlBase>().is_err(), "{bad}");
        }
        let local = UrlBase::local("http://127.0.0.1:9000");
        assert_eq!(local.to_string(), "http://localhost:9000");
    }
}
