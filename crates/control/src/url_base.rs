//! Where function URLs are reached: what stands around the part of their host name, or of their path, that says
//! which one.

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
    form: Form,
}

/// What says which function URL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The first label of the host name.
    Host,
    /// The path, which the function does not get to see.
    Path,
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
            form: Form::Host,
        }
    }

    /// At the address of an API that is reached at `http://host:port`, by path: for machines whose programs find no
    /// names below `localhost`.
    pub fn by_path(endpoint_url: &str) -> Self {
        Self {
            scheme: "http",
            authority: endpoint_url.trim_start_matches("http://").to_owned(),
            form: Form::Path,
        }
    }

    /// The address of a function URL.
    pub(crate) fn address(&self, url: &FunctionUrl) -> String {
        self.address_of(url.id.as_str(), url.region.as_str())
    }

    fn address_of(&self, id: &str, region: &str) -> String {
        let Self {
            scheme,
            authority,
            form,
        } = self;
        match form {
            Form::Host => format!("{scheme}://{id}.lambda-url.{region}.{authority}/"),
            Form::Path => format!("{scheme}://{authority}/lambda-url/{id}/"),
        }
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
                form: Form::Host,
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

    #[test]
    fn an_address_says_which_url_by_its_host_or_by_its_path() {
        let id = "0123456789abcdefghijklmnopqrstuv";
        let address = |base: UrlBase| base.address_of(id, "eu-west-1");
        assert_eq!(
            address(UrlBase::local("http://127.0.0.1:9000")),
            format!("http://{id}.lambda-url.eu-west-1.localhost:9000/")
        );
        assert_eq!(
            address(UrlBase::by_path("http://127.0.0.1:9000")),
            format!("http://127.0.0.1:9000/lambda-url/{id}/")
        );
    }
}
