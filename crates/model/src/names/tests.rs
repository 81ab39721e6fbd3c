//! Names are read as AWS reads them, whatever stands in them.

use proptest::prelude::*;

use super::*;

fn caller() -> Caller {
    Caller {
        account: AccountId::default(),
        region: Region::default(),
    }
}

fn read(text: &str) -> FunctionRef {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_form_is_read() {
    let reference =
        |region: Option<&str>, account: Option<&str>, name: &str, qualifier: Option<&str>| {
            FunctionRef {
                region: region.map(|it| it.parse().unwrap()),
                account: account.map(|it| it.parse().unwrap()),
                name: name.to_owned(),
                qualifier: qualifier.map(str::to_owned),
            }
        };
    let account = Some("123456789012");
    let region = Some("us-east-1");
    for (text, expected) in [
        ("thumbs", reference(None, None, "thumbs", None)),
        (
            "thumbs:$LATEST",
            reference(None, None, "thumbs", Some("$LATEST")),
        ),
        ("thumbs:live", reference(None, None, "thumbs", Some("live"))),
        ("function:thumbs", reference(None, None, "thumbs", None)),
        ("function", reference(None, None, "function", None)),
        (
            "123456789012:function:thumbs",
            reference(None, account, "thumbs", None),
        ),
        (
            "123456789012:function:thumbs:7",
            reference(None, account, "thumbs", Some("7")),
        ),
        (
            "123456789012:function",
            reference(None, account, "function", None),
        ),
        (
            "us-east-1:$LATEST",
            reference(None, None, "us-east-1", Some("$LATEST")),
        ),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:thumbs",
            reference(region, account, "thumbs", None),
        ),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:thumbs:live",
            reference(region, account, "thumbs", Some("live")),
        ),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    for bad in [
        "",
        ":",
        "a:b:c",
        "a/b",
        "thumbs:",
        "thumbs:a b",
        "invalid:function:name",
        "arn:aws:s3:::b",
    ] {
        assert!(bad.parse::<FunctionRef>().is_err(), "{bad}");
    }
}

#[test]
fn qualifiers_must_agree() {
    let target = |name, qualifier| Target::resolve(&caller(), name, qualifier);
    assert_eq!(
        target("f:1", Some("1")).unwrap().qualifier.as_deref(),
        Some("1")
    );
    assert_eq!(target("f", Some("")).unwrap().qualifier, None);
    assert_eq!(
        target("f:1", None).unwrap().arn(),
        "arn:aws:lambda:us-east-1:123456789012:function:f:1"
    );
    let error = target("f:1", Some("2")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidParameterValue);
    assert_eq!(
        error.message,
        "The derived qualifier from the function name does not match the specified qualifier."
    );
}

#[test]
fn a_qualifier_is_a_version_or_an_alias() {
    for (text, expected) in [
        ("$LATEST", Some(Qualifier::Version(Version::Latest))),
        ("7", Some(Qualifier::Version(Version::Number(7)))),
        ("live", Some(Qualifier::Alias("live".parse().unwrap()))),
        ("7b", Some(Qualifier::Alias("7b".parse().unwrap()))),
        ("007", None),
        ("0", None),
        ("$live", None),
        ("", None),
    ] {
        assert_eq!(text.parse().ok(), expected, "{text}");
    }
}

#[test]
fn elsewhere_is_refused() {
    let refused = |name: &str| Target::resolve(&caller(), name, None).unwrap_err();
    let error = refused("arn:aws:lambda:eu-west-1:123456789012:function:f");
    assert_eq!(error.kind, ErrorKind::ResourceNotFound);
    assert_eq!(
        error.message,
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
    );
    assert_eq!(
        refused("000000000000:function:f").kind,
        ErrorKind::AccessDenied
    );
    assert_eq!(refused("a/b").kind, ErrorKind::Validation);
    let long = "x".repeat(65);
    assert_eq!(
        refused(&long).message,
        format!("Function not found: arn:aws:lambda:us-east-1:123456789012:function:{long}")
    );
}

prop_compose! {
    fn any_reference()(
        region in proptest::option::of("[a-z]{2}-[a-z]{1,9}-[0-9]"),
        account in proptest::option::of("[0-9]{12}"),
        name in "[a-zA-Z0-9-_]{1,64}|function|[0-9]{12}|us-east-1",
        qualifier in proptest::option::of("\\$LATEST|[a-zA-Z0-9-_]{1,20}"),
    ) -> FunctionRef {
        FunctionRef {
            region: region.map(|it| it.parse().unwrap()),
            account: account.map(|it| it.parse().unwrap()),
            name,
            qualifier,
        }
    }
}

proptest! {
    #[test]
    fn qualifiers_read_back(text in "\\$LATEST|[a-zA-Z0-9_$-]{0,130}") {
        if let Ok(qualifier) = text.parse::<Qualifier>() {
            prop_assert_eq!(qualifier.to_string(), text);
        }
    }

    #[test]
    fn what_is_written_reads_back(reference in any_reference()) {
        prop_assert_eq!(read(&reference.to_string()), reference);
    }

    #[test]
    fn garbage_is_survived(text in ".{0,300}", qualifier in proptest::option::of(".{0,20}")) {
        if let Ok(reference) = text.parse::<FunctionRef>() {
            prop_assert_eq!(read(&reference.to_string()), reference);
        }
        let _ = Target::resolve(&caller(), &text, qualifier.as_deref());
    }

    #[test]
    fn name_like_garbage_is_survived(text in "[a-z0-9:$_./-]{0,60}") {
        if let Ok(reference) = text.parse::<FunctionRef>() {
            prop_assert_eq!(read(&reference.to_string()), reference);
        }
    }
}
