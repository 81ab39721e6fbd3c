//! Names of log streams, one per instance, as Lambda makes them.

use pilotlight_model::function::FunctionSpec;

/// `YYYY/MM/DD/[<version>]<32 hexadecimal digits>`, different every time. In a log group that is not the
/// function's own, where other functions may log too, the function's name stands before the version.
pub(crate) fn name(at: time::OffsetDateTime, spec: &FunctionSpec) -> String {
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (function, version) = (&spec.key.name, &spec.key.version);
    let own = spec.log_group.strip_prefix("/aws/lambda/") == Some(function.as_str());
    let function = if own { "" } else { function.as_str() };
    let unique = uuid::Uuid::new_v4().simple();
    format!("{year:04}/{month:02}/{day:02}/{function}[{version}]{unique}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::spec;

    #[test]
    fn looks_like_lambda_s() {
        let at = time::macros::datetime!(2026-03-04 05:06:07 UTC);
        let mut spec = spec();
        let stream = name(at, &spec);
        assert!(stream.starts_with("2026/03/04/[$LATEST]"));
        assert_eq!(stream.len(), "2026/03/04/[$LATEST]".len() + 32);
        assert_ne!(stream, name(at, &spec));
        spec.log_group = "shared".to_owned();
        let stream = name(at, &spec);
        assert!(stream.starts_with("2026/03/04/f[$LATEST]"), "{stream}");
    }
}
