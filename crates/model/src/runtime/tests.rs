//! Which runtime a name means.

use super::offer::{FOREIGN, RETIRED, TOLD};
use super::*;
use crate::service::lambda;

fn offer(substitutes: bool) -> Offer {
    Offer {
        images: Runtime::ALL.to_vec(),
        substitutes,
    }
}

fn words(offer: &Offer, name: &str) -> String {
    offer.judge(name).unwrap_err().to_string()
}

#[test]
fn a_name_runs_on_the_nearest_image_and_stays_what_it_is() {
    for (name, image) in [
        ("python3.11", Runtime::Python311),
        ("python3.9", Runtime::Python311),
        ("python3.14", Runtime::Python311),
        ("nodejs18.x", Runtime::Nodejs20x),
        ("nodejs24.x", Runtime::Nodejs20x),
        ("java8.al2", Runtime::Java17),
        ("java25", Runtime::Java17),
        ("provided.al2", Runtime::ProvidedAl2023),
    ] {
        let judged = offer(true).judge(name).unwrap();
        assert_eq!((judged.as_str(), judged.image()), (name, image));
        assert_eq!(judged.is_substituted(), name != image.as_str());
        let written = serde_json::to_string(&judged).unwrap();
        assert_eq!(written, format!("\"{name}\""));
        assert_eq!(
            serde_json::from_str::<RuntimeName>(&written).unwrap(),
            judged
        );
    }
}

#[test]
fn snap_start_is_for_those_that_lambda_has_it_for() {
    let with: Vec<&str> = RuntimeName::all()
        .filter(|it| it.has_snap_start())
        .map(RuntimeName::as_str)
        .collect();
    let java = [
        "java11",
        "java11.al2023",
        "java17.al2023",
        "java21",
        "java25",
    ];
    let python = ["python3.12", "python3.13", "python3.14", "python3.15"];
    assert_eq!(with, [&["java17"][..], &python, &java].concat());
}

#[test]
fn an_image_is_written_as_the_name_of_its_own() {
    for image in Runtime::ALL {
        let (image_json, name) = (
            serde_json::to_value(image).unwrap(),
            RuntimeName::from(image),
        );
        assert_eq!(image_json, serde_json::to_value(name).unwrap());
        assert!(!name.is_substituted());
    }
}

#[test]
fn no_name_stands_twice() {
    let mut names: Vec<&str> = RuntimeName::all().map(RuntimeName::as_str).collect();
    names.extend(FOREIGN);
    names.extend(RETIRED.map(|(name, _)| name));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn what_the_service_knows_is_known() {
    let create = lambda().operation("CreateFunction").unwrap();
    let runtime = create.input().unwrap().member("Runtime").unwrap();
    assert!(runtime.shape.values.len() > 40);
    let told = TOLD.split(", ").map(str::to_owned);
    for name in runtime.shape.values.iter().cloned().chain(told) {
        let judged = offer(true).judge(&name);
        assert!(
            !matches!(judged, Err(Unavailable::Unknown { .. })),
            "{name}"
        );
    }
    for name in TOLD.split(", ") {
        let judged = offer(true).judge(name);
        assert!(
            !matches!(judged, Err(Unavailable::Retired { .. })),
            "{name}"
        );
    }
}

#[test]
fn refusals_say_what_there_is() {
    let all = "python3.11, nodejs20.x, java17, provided.al2023, python3.8, python3.9, python3.10, \
               python3.12, python3.13, python3.14, python3.15, nodejs16.x, nodejs18.x, nodejs22.x, \
               nodejs24.x, nodejs26.x, java8.al2, java8.al2023, java11, java11.al2023, \
               java17.al2023, java21, java25, provided.al2";
    assert_eq!(
        words(&offer(true), "ruby3.3"),
        format!("The runtime ruby3.3 is not available on this platform. Available runtimes: {all}")
    );
    let own = "python3.11, nodejs20.x, java17, provided.al2023";
    assert_eq!(
        words(&offer(false), "python3.12"),
        format!(
            "The runtime python3.12 is not available on this platform: it would run on python3.11, \
             which its configuration does not allow (runtime_substitutes). Available runtimes: {own}"
        )
    );
    assert!(offer(false).judge("java17").is_ok());
    let python = Offer {
        images: vec![Runtime::Python311],
        substitutes: false,
    };
    assert_eq!(
        words(&python, "java21"),
        "The runtime java21 is not available on this platform. Available runtimes: python3.11"
    );
}

#[test]
fn refusals_of_lambdas_own_have_its_words() {
    assert_eq!(
        words(&offer(true), "python3.7"),
        "The runtime parameter of python3.7 is no longer supported for creating or updating AWS \
         Lambda functions. We recommend you use the new runtime (python3.11) while creating or \
         updating functions."
    );
    assert!(
        words(&offer(true), "ruby2.7")
            .ends_with("use a supported runtime while creating or updating functions.")
    );
    for unknown in ["PYTHON3.9", "cobol", "", "python3.99"] {
        let told = words(&offer(true), unknown);
        assert!(
            told.starts_with(&format!(
                "Value {unknown} at 'runtime' failed to satisfy constraint: Member must satisfy enum \
                 value set: [nodejs20.x, python3.14, "
            )),
            "{told}"
        );
        assert!(told.ends_with("python3.9] or be a valid ARN"), "{told}");
    }
}
