//! Any request to any of the APIs: it means an operation or none, and its input reads and fits the service
//! model, or is refused as the API refuses it.
#![no_main]

use arbitrary::Arbitrary;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use pilotlight_model::service::ApiId;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Takes its method and path from the model where there is an operation of that number.
    operation: Option<u16>,
    method: u8,
    uri: &'a str,
    label: &'a str,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    let mut method = methods[usize::from(input.method) % methods.len()].clone();
    let mut headers = HeaderMap::new();
    for (name, value) in input.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let mut text = input.uri.to_owned();
    if let Some(number) = input.operation {
        let all = || ApiId::ALL.into_iter().flat_map(|api| api.model().operations());
        if let Some(operation) = all().nth(usize::from(number) % all().count()) {
            method = operation.method().clone();
            text = format!("{}{}", operation.path(input.label), input.uri);
        }
    }
    let Ok(uri) = text.parse::<Uri>() else { return };
    let api = ApiId::of(&method, &uri, &headers);
    let Some((operation, params)) = api.operation(&method, &uri, &headers) else {
        return;
    };
    let query = uri.query().unwrap_or_default();
    match operation.parse(&params, query, &headers, input.body) {
        Ok(value) => assert!(value.is_object()),
        Err(error) => {
            let status = error.response_of(api).status();
            assert!(status.is_client_error(), "{error:?}");
        }
    }
});
