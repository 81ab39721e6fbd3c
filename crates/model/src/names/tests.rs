//! Names are read as AWS reads them, whatever stands in them.

use proptest::prelude::*;

use super::*;

fn caller() -> Caller {
    Caller {
        account: AccountId::default(),
        region: Region::default(),
        function: None,
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

prop_compose! {
    /// A function, version or alias as clients write it: any form, and the target that it means to the
    /// caller.
    fn written()(
        form in 0..5_usize,
        own in any::<bool>(),
        name in "[a-zA-Z0-9-_]{1,64}",
        qualifier in proptest::option::of("\\$LATEST|[1-9][0-9]{0,5}|[a-zA-Z][a-zA-Z0-9-_]{0,20}"),
        apart in any::<bool>(),
    ) -> (String, Option<String>, Target) {
        let account: AccountId = match own || form < 2 {
            true => AccountId::default(),
            false => "111122223333".parse().unwrap(),
        };
        let region = Region::default();
        let mut text = match form {
            0 => name.clone(),
            1 => format!("function:{name}"),
            2 => format!("{account}:function:{name}"),
            3 => format!("{account}:{name}"),
            _ => format!("arn:aws:lambda:{region}:{account}:function:{name}"),
        };
        let given = qualifier.clone().filter(|_| apart);
        if let (Some(qualifier), false) = (&qualifier, apart) {
            text = format!("{text}:{qualifier}");
        }
        let name = name.parse().unwrap();
        (text, given, Target { account, region, name, qualifier })
    }
}

proptest! {
    /// Also through a path, in which everything may be percent-encoded.
    #[test]
    fn every_form_means_its_target((text, apart, target) in written(), encode in any::<bool>()) {
        // A bare name that is a number with a name behind it reads as an account: AWS's rule, not ours.
        prop_assume!(!text.starts_with("function:function") && target.name.as_str() != "function");
        let all: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/2015-03-31/functions/{}", if encode { &all } else { &text });
        let (operation, params) = crate::service::lambda().route(&http::Method::GET, &path).unwrap();
        prop_assert_eq!(operation.name(), "GetFunction");
        let name = &params["FunctionName"];
        let read = Target::read(&caller(), name, apart.as_deref());
        prop_assert_eq!(read.as_ref(), Ok(&target));
        prop_assert_eq!(&Target::read(&caller(), &target.arn(), None).unwrap(), &target);
        prop_assert_eq!(
            Target::resolve(&caller(), name, apart.as_deref()).is_ok(),
            target.account == caller().account
        );
    }

    /// What the service model lets through can be read, and the other way round.
    #[test]
    fn the_service_model_agrees(text in "[a-z0-9:$_-]{0,40}|(arn:aws:lambda:)?([a-z]{2}-[a-z]{1,4}-[0-9]:)?([0-9]{12}:)?(function:|layer:)?[a-z]{1,5}(:[a-z0-9$]{1,7})?(:[0-9])?") {
        let operation = crate::service::lambda().operation("GetFunction").unwrap();
        let member = operation.input().and_then(|input| input.member("FunctionName")).unwrap();
        let pattern = member.shape.pattern.as_ref().unwrap();
        prop_assert_eq!(text.parse::<FunctionRef>().is_ok(), pattern.matches(&text));
    }

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
