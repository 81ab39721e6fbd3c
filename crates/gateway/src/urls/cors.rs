//! Cross-origin resource sharing: what browsers are told, as the URL is configured.
//! Source: "Cross-origin resource sharing (CORS)" in "Creating and managing Lambda function URLs" of the AWS Lambda
//! developer guide; the Fetch standard.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pilotlight_model::url::Cors;

/// Whether a browser asks what it may do.
pub(super) fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What the browser that asks is told.
pub(super) fn preflight(cors: &Cors, head: &Parts) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !allow(cors, head, &mut headers) {
        return headers;
    }
    let mut list = |name: HeaderName, allowed: &Option<Vec<String>>, asked: HeaderName| {
        let Some(allowed) = allowed else {
            return;
        };
        let wild = allowed.iter().any(|it| it == "*");
        // With credentials a browser takes a star for a name.
        let told = match wild && credentials(cors) {
            true => head.headers.get(asked).cloned(),
            false => HeaderValue::try_from(allowed.join(",")).ok(),
        };
        if let Some(told) = told {
            headers.insert(name, told);
        }
    };
    let (methods, names) = (&cors.allow_methods, &cors.allow_headers);
    list(
        ACCESS_CONTROL_ALLOW_METHODS,
        methods,
        ACCESS_CONTROL_REQUEST_METHOD,
    );
    list(
        ACCESS_CONTROL_ALLOW_HEADERS,
        names,
        ACCESS_CONTROL_REQUEST_HEADERS,
    );
    if let Some(seconds) = cors.max_age {
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
    }
    headers
}

/// Tells the browser of an answer what a page may do with it. The configuration counts, and not what the function says.
pub(super) fn apply(cors: &Cors, head: &Parts, headers: &mut HeaderMap) {
    for name in [
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
    ] {
        headers.remove(name);
    }
    if allow(cors, head, headers)
        && let Some(exposed) = &cors.expose_headers
        && let Ok(exposed) = HeaderValue::try_from(exposed.join(","))
    {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// Allows the origin that asks, if it is one of those.
fn allow(cors: &Cors, head: &Parts, headers: &mut HeaderMap) -> bool {
    let Some(origin) = head.headers.get(ORIGIN) else {
        return false;
    };
    let allowed = cors.allow_origins.as_deref().unwrap_or_default();
    let wild = allowed.iter().any(|it| it == "*");
    if !wild && !allowed.iter().any(|it| it.as_bytes() == origin.as_bytes()) {
        return false;
    }
    if wild && !credentials(cors) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return true;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if credentials(cors) {
        let yes = HeaderValue::from_static("true");
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    }
    true
}

fn credentials(cors: &Cors) -> bool {
    cors.allow_credentials == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(origin: &str) -> Parts {
        let request = http::Request::builder()
            .method(Method::OPTIONS)
            .header(ORIGIN, origin)
            .header(ACCESS_CONTROL_REQUEST_METHOD, "PUT")
            .header(ACCESS_CONTROL_REQUEST_HEADERS, "x-a, x-b");
        request.body(()).unwrap().into_parts().0
    }

    fn some(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|&text| text.to_owned()).collect())
    }

    fn told(headers: &HeaderMap) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let pairs = headers.iter();
        let mut pairs: Vec<_> = pairs
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
        pairs.sort();
        pairs
    }

    #[test]
    fn preflights_are_told_what_is_configured() {
        let cors = Cors {
            allow_origins: some(&["https://a.example", "https://b.example"]),
            allow_methods: some(&["GET", "PUT"]),
            allow_headers: some(&["x-a"]),
            max_age: Some(60),
            ..Cors::default()
        };
        assert!(is_preflight(&head("https://a.example")));
        let pairs = |pairs: &[(&str, &str)]| {
            let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
            pairs.iter().map(owned).collect::<Vec<_>>()
        };
        assert_eq!(
            told(&preflight(&cors, &head("https://b.example"))),
            pairs(&[
                ("access-control-allow-headers", "x-a"),
                ("access-control-allow-methods", "GET,PUT"),
                ("access-control-allow-origin", "https://b.example"),
                ("access-control-max-age", "60"),
                ("vary", "Origin"),
            ])
        );
        assert_eq!(told(&preflight(&cors, &head("https://c.example"))), []);

        let open = Cors {
            allow_origins: some(&["*"]),
            allow_methods: some(&["*"]),
            allow_headers: some(&["*"]),
            ..Cors::default()
        };
        assert_eq!(
            told(&preflight(&open, &head("null"))),
            pairs(&[
                ("access-control-allow-headers", "*"),
                ("access-control-allow-methods", "*"),
                ("access-control-allow-origin", "*"),
            ])
        );
        let with_cookies = Cors {
            allow_credentials: Some(true),
            ..open
        };
        assert_eq!(
            told(&preflight(&with_cookies, &head("https://c.example"))),
            pairs(&[
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-headers", "x-a, x-b"),
                ("access-control-allow-methods", "PUT"),
                ("access-control-allow-origin", "https://c.example"),
                ("vary", "Origin"),
            ])
        );
    }

    #[test]
    fn the_configuration_takes_the_place_of_what_the_function_says() {
        let cors = Cors {
            allow_origins: some(&["https://a.example"]),
            expose_headers: some(&["x-c"]),
            ..Cors::default()
        };
        for (origin, expected) in [("https://a.example", 3), ("https://b.example", 0)] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("1"));
            apply(&cors, &head(origin), &mut headers);
            assert_eq!(headers.len(), expected, "{headers:?}");
        }
    }
}
