//! The paths of the Runtime API.

use http::Method;
use pilotlight_model::ids::RequestId;

use crate::telemetry::Api;

/// What a runtime asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Next,
    Response(RequestId),
    Error(RequestId),
    InitError,
    /// A zygote asks what it is to be.
    Assignment,
    /// A template asks whether it is a fork.
    Restore,
    RestoreError,
    /// An extension registers, asks for an event, or says that it failed.
    Register,
    ExtensionNext,
    ExtensionInitError,
    ExtensionExitError,
    /// It subscribes to telemetry.
    Subscribe(Api),
    /// The path is known, with another method.
    WrongMethod,
    /// A request id that is none.
    InvalidId,
    Unknown,
}

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let only = |wanted: Method, route| {
            if *method == wanted {
                route
            } else {
                Route::WrongMethod
            }
        };
        let (get, post) = (
            |route| only(Method::GET, route),
            |route| only(Method::POST, route),
        );
        if path == "/pilotlight/assignment" {
            return get(Route::Assignment);
        }
        let subscribe = |api| only(Method::PUT, Route::Subscribe(api));
        match path.trim_end_matches('/') {
            "/2022-07-01/telemetry" => return subscribe(Api::Telemetry),
            "/2020-08-15/logs" => return subscribe(Api::Logs),
            _ => {}
        }
        if let Some(path) = path.strip_prefix("/2020-01-01/extension/") {
            return match path {
                "register" => post(Route::Register),
                "event/next" => get(Route::ExtensionNext),
                "init/error" => post(Route::ExtensionInitError),
                "exit/error" => post(Route::ExtensionExitError),
                _ => Route::Unknown,
            };
        }
        let Some(path) = path.strip_prefix("/2018-06-01/runtime/") else {
            return Route::Unknown;
        };
        match path {
            "invocation/next" => return get(Route::Next),
            "init/error" => return post(Route::InitError),
            "restore/next" => return get(Route::Restore),
            "restore/error" => return post(Route::RestoreError),
            _ => {}
        }
        let Some((id, what)) = path
            .strip_prefix("invocation/")
            .and_then(|rest| rest.split_once('/'))
        else {
            return Route::Unknown;
        };
        let id = id.parse().map(RequestId);
        match (what, id) {
            ("response", Ok(id)) => post(Route::Response(id)),
            ("error", Ok(id)) => post(Route::Error(id)),
            ("response" | "error", Err(_)) => post(Route::InvalidId),
            _ => Route::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_should() {
        let id = RequestId(uuid::Uuid::from_u128(7));
        let of =
            |method: Method, path: &str| Route::of(&method, &format!("/2018-06-01/runtime/{path}"));
        assert_eq!(of(Method::GET, "invocation/next"), Route::Next);
        assert_eq!(of(Method::POST, "invocation/next"), Route::WrongMethod);
        assert_eq!(of(Method::POST, "init/error"), Route::InitError);
        assert_eq!(of(Method::GET, "restore/next"), Route::Restore);
        assert_eq!(of(Method::POST, "restore/next"), Route::WrongMethod);
        assert_eq!(of(Method::POST, "restore/error"), Route::RestoreError);
        let assignment = "/pilotlight/assignment";
        assert_eq!(Route::of(&Method::GET, assignment), Route::Assignment);
        assert_eq!(Route::of(&Method::POST, assignment), Route::WrongMethod);
        assert_eq!(
            of(Method::POST, &format!("invocation/{id}/response")),
            Route::Response(id)
        );
        assert_eq!(
            of(Method::POST, &format!("invocation/{id}/error")),
            Route::Error(id)
        );
        assert_eq!(
            of(Method::GET, &format!("invocation/{id}/error")),
            Route::WrongMethod
        );
        assert_eq!(of(Method::POST, "invocation/x/response"), Route::InvalidId);
        assert_eq!(
            of(Method::POST, &format!("invocation/{id}/other")),
            Route::Unknown
        );
        assert_eq!(of(Method::GET, ""), Route::Unknown);
        let of = |method: Method, path: &str| {
            Route::of(&method, &format!("/2020-01-01/extension/{path}"))
        };
        assert_eq!(of(Method::POST, "register"), Route::Register);
        assert_eq!(of(Method::GET, "register"), Route::WrongMethod);
        assert_eq!(of(Method::GET, "event/next"), Route::ExtensionNext);
        assert_eq!(of(Method::POST, "init/error"), Route::ExtensionInitError);
        assert_eq!(of(Method::POST, "exit/error"), Route::ExtensionExitError);
        assert_eq!(of(Method::GET, "event"), Route::Unknown);
        for (path, api) in [
            ("/2022-07-01/telemetry", Api::Telemetry),
            ("/2022-07-01/telemetry/", Api::Telemetry),
            ("/2020-08-15/logs", Api::Logs),
        ] {
            assert_eq!(Route::of(&Method::PUT, path), Route::Subscribe(api));
            assert_eq!(Route::of(&Method::POST, path), Route::WrongMethod);
        }
    }
}
