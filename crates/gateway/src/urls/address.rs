//! Which function URL a request means: by its host name, or by its path where names below `localhost` do not resolve.

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use pilotlight_model::UrlId;
use pilotlight_model::url::FunctionUrl;

/// Second label of the host name of every function URL.
const LABEL: &str = "lambda-url";
/// What the path form begins with; an id and the function's own path follow.
const PATH: &str = "/lambda-url/";

/// What a request says of the function URL that it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// Not there where the request names something that no URL can be called.
    pub(super) id: Option<UrlId>,
    /// Host name, without port; with the path form what it would have been.
    host: Option<Cow<'a, str>>,
    /// Region that the host name says.
    region: Option<&'a str>,
    /// Path as the function is to see it: encoded, as it came.
    pub(super) path: &'a str,
}

impl<'a> Address<'a> {
    /// The function URL that a request means; nothing, if it means none.
    pub(crate) fn of(head: &'a Parts) -> Option<Self> {
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| head.uri.authority().map(|it| it.as_str()));
        let path = head.uri.path();
        if let Some((id, region)) = host.and_then(labels) {
            return Some(Self {
                id: id.to_ascii_lowercase().parse().ok(),
                host: host.map(|host| Cow::Borrowed(without_port(host))),
                region: Some(region),
                path,
            });
        }
        let rest = path.strip_prefix(PATH)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (id, path) = rest.split_at(end);
        Some(Self {
            id: id.parse().ok(),
            host: None,
            region: None,
            path: if path.is_empty() { "/" } else { path },
        })
    }

    /// Whether `url` is meant, and not one of the same id elsewhere.
    pub(super) fn means(&self, url: &FunctionUrl) -> bool {
        self.region
            .is_none_or(|region| region.eq_ignore_ascii_case(url.region.as_str()))
    }

    /// Whether the path says which one.
    pub(super) fn by_path(&self) -> bool {
        self.host.is_none()
    }

    /// The host name that the function is told.
    pub(super) fn domain(&self, url: &FunctionUrl) -> String {
        match &self.host {
            Some(host) => host.to_ascii_lowercase(),
            None => format!("{}.{LABEL}.{}.localhost", url.id, url.region),
        }
    }
}

/// Whether `host[:port]` is that of a function URL.
pub(crate) fn is_function_url(authority: &str) -> bool {
    labels(authority).is_some()
}

/// Id and region of `<id>.lambda-url.<region>.…`.
fn labels(authority: &str) -> Option<(&str, &str)> {
    let (id, rest) = authority.split_once('.')?;
    let (label, rest) = rest.split_once('.')?;
    if !label.eq_ignore_ascii_case(LABEL) {
        return None;
    }
    let region = rest.split(['.', ':']).next()?;
    Some((id, region))
}

fn without_port(authority: &str) -> &str {
    authority.split(':').next().unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdefghijklmnopqrstuv";

    fn head(host: &str, path: &str) -> Parts {
        let request = http::Request::builder().uri(path).header(HOST, host);
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn hosts_and_paths_name_function_urls() {
        let host = format!(
            "{}.Lambda-URL.eu-west-1.localhost:9000",
            ID.to_ascii_uppercase()
        );
        let head_of_host = head(&host, "/a%20b?c");
        let address = Address::of(&head_of_host).unwrap();
        assert_eq!(address.id.as_ref().unwrap().as_str(), ID);
        assert_eq!(
            (address.region, address.path),
            (Some("eu-west-1"), "/a%20b")
        );
        assert!(!address.by_path() && is_function_url(&host));
        for (path, own) in [("", "/"), ("/", "/"), ("/x/y", "/x/y")] {
            let head = head("127.0.0.1:9000", &format!("/lambda-url/{ID}{path}"));
            let address = Address::of(&head).unwrap();
            assert_eq!(address.id.as_ref().unwrap().as_str(), ID);
            assert!(address.by_path());
            assert_eq!(address.path, own);
        }
        // They are those of function URLs, although there is none of that name.
        let short = head("abc.lambda-url.eu-west-1.on.aws", "/");
        assert_eq!(Address::of(&short).unwrap().id, None);
        for host in [
            "localhost:9000",
            "127.0.0.1",
            "lambda-url.localhost",
            "a.b.lambda-url.c",
        ] {
            assert_eq!(
                Address::of(&head(host, "/2015-03-31/functions")),
                None,
                "{host}"
            );
        }
    }
}
