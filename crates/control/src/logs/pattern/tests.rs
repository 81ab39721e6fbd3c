//! Patterns of AWS's documentation, and any others.

use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, message: &str) -> bool {
    Pattern::parse(pattern)
        .unwrap_or_else(|_| panic!("{pattern} is a pattern"))
        .matches(message)
}

/// Which of the messages, by number, a pattern finds.
fn found(pattern: &str, messages: &[&str]) -> Vec<usize> {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|_| panic!("{pattern} is a pattern"));
    let numbered = messages.iter().enumerate();
    numbered
        .filter(|(_, message)| pattern.matches(message))
        .map(|(number, _)| number)
        .collect()
}

#[test]
fn terms() {
    let messages = [
        "[ERROR 400] BAD REQUEST",
        "[ERROR 401] UNAUTHORIZED REQUEST",
        "[ERROR 419] MISSING ARGUMENTS",
        "[ERROR 420] INVALID ARGUMENTS",
        "[WARN] INTERNAL SERVER ERROR",
        "error",
    ];
    for (pattern, wanted) in [
        ("", vec![0, 1, 2, 3, 4, 5]),
        ("  ", vec![0, 1, 2, 3, 4, 5]),
        ("\"\"", vec![0, 1, 2, 3, 4, 5]),
        ("ERROR", vec![0, 1, 2, 3, 4]),
        ("ERROR ARGUMENTS", vec![2, 3]),
        ("?MISSING ?INVALID", vec![2, 3]),
        ("ERROR -ARGUMENTS", vec![0, 1, 4]),
        ("ERROR -ARGUMENTS -\"BAD REQUEST\"", vec![1, 4]),
        ("-ERROR", vec![5]),
        ("\"INTERNAL SERVER ERROR\"", vec![4]),
        ("\"ERROR 4\" -BAD", vec![1, 2, 3]),
        // Beside other terms, optional ones say nothing.
        ("?MISSING ERROR -INTERNAL", vec![0, 1, 2, 3]),
        ("%AUTHORIZED%", vec![1]),
        ("%^.ERROR.4[12]%", vec![2, 3]),
        ("%4\\d\\d% -%AUTHOR% ARGUMENTS", vec![2, 3]),
        ("\"a \\\" quote\"", vec![]),
    ] {
        assert_eq!(found(pattern, &messages), wanted, "{pattern}");
    }
}

const TRAIL: &str = r#"{
  "eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "errorCode": 400,
  "arrayKey": ["value", "another value"], "ratio": 1e-3, "negative": -7,
  "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
  "SomeObject": null, "ThisFlag": true, "ThatFlag": false, "text": "400",
  "cluster.name": "c", "user": {"id": 1, "email": "John.Doe@example.com"}
}"#;

#[test]
fn json() {
    for pattern in [
        r#"{ $.eventType = "UpdateTrail" }"#,
        r#"{ $.eventType = UpdateTrail }"#,
        r#"{ $.eventType = "Update*" }"#,
        r#"{ $.eventType = *Trail }"#,
        r#"{ $.eventType = %T[a-z]+l$% }"#,
        r#"{ $.sourceIPAddress != 123.123.* }"#,
        r#"{ $.sourceIPAddress = 111.111.* }"#,
        r#"{ $.arrayKey[0] = "value" }"#,
        r#"{ $.arrayKey[*] = "another value" }"#,
        r#"{ $.objectList[1].id = 2 }"#,
        r#"{ $.objectList[*].name = b }"#,
        r#"{ $.SomeObject IS NULL }"#,
        r#"{ $.SomeOtherObject NOT EXISTS }"#,
        r#"{ $.ThisFlag IS TRUE }"#,
        r#"{ $.ThatFlag is false }"#,
        r#"{ $.ThisFlag = true }"#,
        r#"{ $.errorCode = 400 }"#,
        r#"{ $.errorCode = 4* }"#,
        r#"{ $.errorCode >= 400 && $.errorCode < 401 }"#,
        r#"{ $.text = 400 }"#,
        r#"{ $.text = "400" }"#,
        r#"{ $.ratio = 0.001 }"#,
        r#"{ $.ratio = 1e-3 }"#,
        r#"{ $.negative < -6 }"#,
        r#"{ $.['cluster.name'] = "c" }"#,
        r#"{ $["cluster.name"] = "c" }"#,
        r#"{ ($.user.id = 1) && ($.user.email = "John.Doe@example.com") }"#,
        r#"{($.user.id=2)||($.user.id=1)}"#,
        r#"{ $.user.id = 2 && $.user.id = 1 || $.errorCode = 400 }"#,
        r#"{ $.user.* = 1 }"#,
        r#"{ ($.user.id = 2 || $.user.id = 1) && ($.errorCode != 3) }"#,
    ] {
        assert!(matches(pattern, TRAIL), "{pattern}");
        assert!(!matches(pattern, "not json"), "{pattern}");
    }
    for pattern in [
        r#"{ $.eventType = "updatetrail" }"#,
        r#"{ $.eventType = "Trail" }"#,
        r#"{ $.errorCode = "400" }"#,
        r#"{ $.errorCode > 400 }"#,
        r#"{ $.eventType > 1 }"#,
        r#"{ $.eventType NOT EXISTS }"#,
        r#"{ $.missing != "x" }"#,
        r#"{ $.SomeOtherObject IS NULL }"#,
        r#"{ $.user.id = 2 && ($.user.id = 1 || $.errorCode = 400) }"#,
        r#"{ $.arrayKey[7] = "value" }"#,
    ] {
        assert!(!matches(pattern, TRAIL), "{pattern}");
    }
}

#[test]
fn fields() {
    let logs = [
        "127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] \"GET /index.html HTTP/1.0\" 404 1534",
        "127.0.0.1 Prod frank [10/Oct/2000:13:35:22 -0700] \"GET /about.js HTTP/1.0\" 500 5324",
        "127.0.0.1 Prod frank [10/Oct/2000:13:50:35 -0700] \"GET /index.html HTTP/1.0\" 200 4355",
    ];
    for (pattern, wanted) in [
        (
            "[ip, user, username, timestamp, request, status_code, bytes]",
            vec![0, 1, 2],
        ),
        (
            "[ip, user, username, timestamp, request, status_code=4*, bytes]",
            vec![0],
        ),
        (
            "[ip, user, username, timestamp, request, status_code=404, bytes]",
            vec![0],
        ),
        (
            "[ip, user, username, timestamp, request =*.html*, status_code = 4*, bytes]",
            vec![0],
        ),
        (
            "[ip, user, username, timestamp, request =*.html*, status_code, bytes > 1000]",
            vec![0, 2],
        ),
        ("[..., request=%index%, status, bytes]", vec![0, 2]),
        ("[..., status_code != 200, bytes]", vec![0, 1]),
        ("[ip, ..., status=404 || status=500, bytes]", vec![0, 1]),
        (
            "[ip, ..., (status=404) || (status=500 && status>1000), bytes]",
            vec![0],
        ),
        ("[ip=10.*, ...]", vec![]),
        ("[a, b, c, d, e, f, g, h]", vec![]),
    ] {
        assert_eq!(found(pattern, &logs), wanted, "{pattern}");
    }
    let lines = [
        "ERROR 09/25/2014 12:00:00 GET /x 1200",
        "INFO 09/25/2014 12:00:01 GET /y 900",
    ];
    assert_eq!(found("[w1=ERROR, w2]", &lines), [0]);
    assert_eq!(found("[w1!=ERROR&&w1!=WARN, w2]", &lines), [1]);
    assert_eq!(found("[w1=%ERR% || w1=INFO, w2]", &lines), [0, 1]);
}

#[test]
fn what_is_no_pattern() {
    for pattern in [
        "\"open",
        "-",
        "?",
        "%open",
        "%(a)%",
        "%!%",
        "%%",
        "%[%",
        "a %b% %c% %d%",
        "{",
        "{}",
        "{ $.a }",
        "{ $.a = }",
        "{ a = 1 }",
        "{ $.a = 1",
        "{ $.a = 1 } x",
        "{ $.a > b }",
        "{ $.a = 1 && }",
        "{ ($.a = 1 }",
        "{ $.a[ = 1 }",
        "{ $.a[-1] = 1 }",
        "{ $. = 1 }",
        "{ $.a IS }",
        "{ $.a NOT }",
        "{ $.a == 1 }",
        "[",
        "[]",
        "[a",
        "[a,]",
        "[..., ...]",
        "[a = ]",
        "[a b]",
        "[a] x",
        "%a{1000}{1000}%",
    ] {
        assert!(Pattern::parse(pattern).is_err(), "{pattern}");
    }
    let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(500), ")".repeat(500));
    assert!(Pattern::parse(&deep).is_err());
}

#[test]
fn hostile_patterns_cost_no_more_than_the_message() {
    let message = format!("{}b", "a".repeat(256 * 1024));
    let stars = format!("{{ $.a = \"{}c\" }}", "a*".repeat(400));
    assert!(!matches(&stars, &format!("{{\"a\": \"{message}\"}}")));
    assert!(!matches("%^a*a*a*a*a*a*a*a*c$%", &message));
    assert!(!matches("{ $.a = 1 }", &"[".repeat(256 * 1024)));
    let wide = format!("{{\"a\": [{}1]}}", "[1],".repeat(50_000));
    assert!(!matches("{ $.a[*][*] = 2 }", &wide));
    assert!(!matches("[a, b, c = x]", &"[ ".repeat(128 * 1024)));
    // Whose parts would be looked at for every byte.
    assert!(Pattern::parse("%[ab]*a[ab]{2000}c%").is_err());
}

#[test]
fn words_that_nothing_closes_are_words() {
    assert!(matches(
        "[a = one, b = \"[two\", c = \"a b\", d = \"\\\"four\"]",
        "one [two \"a b\" \"four"
    ));
    assert!(matches("[a = \"x y\", b = \"[z\"]", "[x y] [z"));
}

#[test]
fn classes_are_of_ascii() {
    for (pattern, message) in [
        ("%^\\d{3}-\\w+\\s[\\d.]+\\S$%", "123-ab_9 1.2x"),
        ("%^\\D\\W.$%", "é-é"),
        ("%^\\\\d$%", "\\d"),
        ("%^[\\w-]+$%", "a-b"),
    ] {
        assert!(matches(pattern, message), "{pattern}");
    }
    assert!(!matches("%\\d%", "٣"));
    assert!(!matches("%\\w%", "é"));
}

proptest! {
    #[test]
    fn any_text_is_a_pattern_or_refused(pattern in "[\\PC]{0,60}", message in "\\PC{0,60}") {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            pattern.matches(&message);
        }
    }

    #[test]
    fn what_looks_like_a_pattern_is_one_or_refused(
        pattern in "[{\\[](\\$\\.[a-z]{1,3}|\\[|\\]|\\*|=|!=|<|>|&&|\\|\\||\\(|\\)|\"|%|,|\\.\\.\\.| |1|IS NULL){0,12}[}\\]]",
        message in prop_oneof![Just(TRAIL.to_owned()), "[a-z \"\\[\\]]{0,40}"],
    ) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            pattern.matches(&message);
        }
    }

    #[test]
    fn wildcards_match_what_they_stand_for(parts in proptest::collection::vec("[ab]{0,3}", 1..5), between in "[ab]{0,4}") {
        let pattern = parts.join("*");
        prop_assert!(value::Wildcard::new(&pattern).matches(&parts.join(&between)), "{}", pattern);
    }

    #[test]
    fn wildcards_are_as_regular_expressions_say(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
        let regex = regex::Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).unwrap();
        prop_assert_eq!(value::Wildcard::new(&pattern).matches(&text), regex.is_match(&text));
    }

    #[test]
    fn a_quoted_term_is_found_where_the_text_is(term in "[a-z .:/-]{1,10}", before in "[A-Z]{0,9}") {
        let quoted = format!("\"{}\"", term);
        let message = format!("{before}{term}");
        prop_assert!(matches(&quoted, &message));
        prop_assert!(!matches(&quoted, &before) || before.contains(&term));
    }
}
