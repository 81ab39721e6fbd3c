//! Where the operator wants messages for which ARNs to go. Only the configuration names files and endpoints:
//! no user of the API can make the platform write to, or call, a place of their choice.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// A place outside the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file that gets a line for each message.
    File(PathBuf),
    /// An endpoint that gets a POST for each message.
    Http(Uri),
}

/// Why a text is not a [`Destination`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is neither file:/absolute/path nor http://host[:port][/path]")]
pub struct InvalidDestination {
    /// The text that was given.
    pub text: String,
}

/// Which ARNs go where: whole ARNs, and beginnings of ARNs that end with `*`. The longest that fits counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destinations(BTreeMap<String, Destination>);

impl Destinations {
    /// The place of that ARN, if it has one.
    pub fn find(&self, arn: &str) -> Option<&Destination> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => arn.starts_with(beginning),
            None => arn == pattern,
        };
        let longest = self
            .0
            .iter()
            .filter(|(pattern, _)| fits(pattern))
            .max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()));
        longest.map(|(_, place)| place)
    }

    /// Each pattern with its place.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Destination)> {
        self.0
            .iter()
            .map(|(pattern, place)| (pattern.as_str(), place))
    }
}

impl FromIterator<(String, Destination)> for Destinations {
    fn from_iter<I: IntoIterator<Item = (String, Destination)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        let invalid = || InvalidDestination {
            text: text.to_owned(),
        };
        if let Some(path) = text.strip_prefix("file:") {
            // file:///path, as URLs have it, and file:/path.
            let path = path.strip_prefix("//").unwrap_or(path);
            let named = path.starts_with('/') && !path.ends_with('/');
            return named
                .then(|| Destination::File(PathBuf::from(path)))
                .ok_or_else(invalid);
        }
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        // TLS is a local proxy's, as for the platform's own listener.
        match uri.scheme() == Some(&Scheme::HTTP) && uri.host().is_some_and(|it| !it.is_empty()) {
            true => Ok(Destination::Http(uri)),
            false => Err(invalid()),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::File(path) => write!(f, "file:{}", path.display()),
            Destination::Http(uri) => uri.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_as_they_are_written() {
        for text in ["file:/var/x.jsonl", "http://127.0.0.1:8080/hook"] {
            let place: Destination = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
        }
        let url: Destination = "file:///var/x.jsonl".parse().unwrap();
        assert_eq!(url.to_string(), "file:/var/x.jsonl");
        for text in [
            "",
            "/x",
            "file:x",
            "file:/",
            "https://x",
            "http://",
            "ftp://x/",
        ] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_longest_that_fits_counts_and_the_whole_arn_most() {
        let place = |text: &str| text.parse::<Destination>().unwrap();
        let places: Destinations = [
            ("arn:aws:sqs:*", "file:/sqs"),
            ("arn:aws:sqs:us-east-1:1:q*", "file:/q"),
            ("arn:aws:sqs:us-east-1:1:q", "file:/whole"),
        ]
        .map(|(pattern, text)| (pattern.to_owned(), place(text)))
        .into_iter()
        .collect();
        for (arn, text) in [
            ("arn:aws:sqs:us-east-1:1:q", "file:/whole"),
            ("arn:aws:sqs:us-east-1:1:queue", "file:/q"),
            ("arn:aws:sqs:us-east-1:1:other", "file:/sqs"),
        ] {
            assert_eq!(places.find(arn), Some(&place(text)), "{arn}");
        }
        assert_eq!(places.find("arn:aws:sns:us-east-1:1:q"), None);
    }
}
