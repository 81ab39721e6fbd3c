//! Definitions by hand, and what they declare.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(definition: &Value) -> Machine {
    Machine::read(definition, &BTreeMap::new()).unwrap()
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:123456789012:function:{name}")
}

fn task(name: &str, next: Option<&str>) -> Value {
    let mut task = json!({ "Type": "Task", "Resource": arn(name) });
    match next {
        Some(next) => task["Next"] = json!(next),
        None => task["End"] = json!(true),
    }
    task
}

fn calls(definition: &Value) -> Vec<(String, String, f64, u64)> {
    let short = |name: String| name.rsplit(':').next().unwrap().to_owned();
    let calls = read(definition).calls().into_iter();
    calls
        .map(|it| {
            let part = (it.part * 1e3).round() / 1e3;
            (short(it.caller), short(it.callee), part, it.waits.as_secs())
        })
        .collect()
}

fn call(caller: &str, callee: &str, part: f64, waits: u64) -> (String, String, f64, u64) {
    (caller.to_owned(), callee.to_owned(), part, waits)
}

#[test]
fn steps_follow_each_other_through_choices_and_waits() {
    let definition = json!({
        "StartAt": "A",
        "States": {
            "A": task("a", Some("Choose")),
            "Choose": { "Type": "Choice", "Choices": [
                { "Variable": "$.x", "IsPresent": true, "Next": "Sleep" },
                { "Variable": "$.y", "IsPresent": true, "Next": "C" },
            ], "Default": "Done" },
            "Sleep": { "Type": "Wait", "Seconds": 30, "Next": "B" },
            "B": task("b", Some("C")),
            "C": task("c", None),
            "Done": { "Type": "Succeed" },
        },
    });
    let all = [
        call("a", "b", 0.333, 30),
        call("a", "c", 0.333, 0),
        call("b", "c", 1.0, 0),
    ];
    assert_eq!(calls(&definition), all);
}

#[test]
fn branches_and_items_begin_with_the_step_before_and_end_in_the_one_after() {
    let branch = |name: &str| json!({ "StartAt": "S", "States": { "S": task(name, None) } });
    let definition = json!({
        "StartAt": "A",
        "States": {
            "A": task("a", Some("Both")),
            "Both": { "Type": "Parallel", "Branches": [branch("b"), branch("c")], "Next": "Each" },
            "Each": { "Type": "Map", "ItemProcessor": branch("d"), "Next": "E" },
            "E": task("e", None),
        },
    });
    let all = [
        call("a", "b", 1.0, 0),
        call("a", "c", 1.0, 0),
        call("b", "d", 0.5, 0),
        call("c", "d", 0.5, 0),
        call("d", "e", 1.0, 0),
    ];
    assert_eq!(calls(&definition), all);
}

#[test]
fn a_loop_ends_and_steps_of_one_function_are_one() {
    let definition = json!({
        "StartAt": "Poll",
        "States": {
            "Poll": task("poll", Some("Sleep")),
            "Sleep": { "Type": "Wait", "Seconds": 10, "Next": "Ready" },
            "Ready": { "Type": "Choice", "Choices": [{ "Next": "Poll" }], "Default": "Use" },
            "Use": task("use", Some("Again")),
            "Again": task("poll", None),
        },
    });
    // Of two steps of `poll`, one is followed by `use` every other time.
    assert_eq!(
        calls(&definition),
        [call("poll", "use", 0.25, 10), call("use", "poll", 1.0, 0)]
    );
}

#[test]
fn functions_are_named_in_all_ways_that_there_are() {
    let function = |task: Value| {
        let definition = json!({ "StartAt": "T", "States": { "T": task } });
        let substitutions = BTreeMap::from([("F".to_owned(), "f".to_owned())]);
        let machine = Machine::read(&definition, &substitutions).unwrap();
        match &machine.states["T"].does {
            Does::Task(function) => function.clone(),
            other => panic!("{other:?}"),
        }
    };
    let invoke = |members: Value| {
        function(json!({
            "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": members,
        }))
    };
    assert_eq!(function(task("f", None)), Some(arn("f")));
    assert_eq!(
        invoke(json!({ "FunctionName": "f:live" })),
        Some("f:live".to_owned())
    );
    assert_eq!(
        invoke(json!({ "FunctionName": "${F}" })),
        Some("f".to_owned())
    );
    assert_eq!(invoke(json!({ "FunctionName": "${Other}" })), None);
    assert_eq!(invoke(json!({ "FunctionName.$": "$.name" })), None);
    let waits = "arn:aws:states:::lambda:invoke.waitForTaskToken";
    let jsonata =
        json!({ "Type": "Task", "Resource": waits, "Arguments": { "FunctionName": "{% $f %}" } });
    assert_eq!(function(jsonata), None);
    let arguments =
        json!({ "Type": "Task", "Resource": waits, "Arguments": { "FunctionName": "f" } });
    assert_eq!(function(arguments), Some("f".to_owned()));
    assert_eq!(
        function(json!({ "Type": "Task", "Resource": "arn:aws:states:::sns:publish" })),
        None
    );
}

#[test]
fn what_is_no_definition_says_why() {
    let none = BTreeMap::new();
    let error = |definition: Value| Machine::read(&definition, &none).unwrap_err();
    assert_eq!(error(json!([])), InvalidWorkflow::Lacks("StartAt"));
    assert_eq!(
        error(json!({ "StartAt": "A" })),
        InvalidWorkflow::Lacks("States")
    );
    let lost = json!({ "StartAt": "A", "States": { "A": task("a", Some("B")) } });
    assert_eq!(error(lost), InvalidWorkflow::NoState("B".to_owned()));
    let odd = json!({ "StartAt": "A", "States": { "A": { "Type": "Dance" } } });
    assert_eq!(error(odd), InvalidWorkflow::Type("A".to_owned()));
    let mut deep = json!({ "StartAt": "A", "States": { "A": { "Type": "Succeed" } } });
    for _ in 0..=DEEPEST {
        deep =
            json!({ "StartAt": "A", "States": { "A": { "Type": "Map", "ItemProcessor": deep } } });
    }
    assert_eq!(error(deep), InvalidWorkflow::Deep);
    let states: serde_json::Map<_, _> = (0..=MOST_STATES)
        .map(|it| (it.to_string(), json!({ "Type": "Pass" })))
        .collect();
    assert_eq!(
        error(json!({ "StartAt": "0", "States": states })),
        InvalidWorkflow::Large
    );
}

proptest! {
    /// Whatever leads where, the calls of a function are parts, and looking for them ends.
    #[test]
    fn parts_are_parts(ways in proptest::collection::vec((0..4u8, proptest::collection::vec(0..12usize, 1..4)), 12)) {
        let name = |number: usize| format!("S{number}");
        let states: serde_json::Map<String, Value> = ways.iter().enumerate().map(|(number, (kind, ways))| {
            let choices: Vec<Value> = ways.iter().map(|way| json!({ "Next": name(*way) })).collect();
            let state = match kind {
                0 => json!({ "Type": "Choice", "Choices": choices }),
                1 => json!({ "Type": "Wait", "Seconds": number, "Next": name(ways[0]) }),
                _ => task(&format!("f{}", number % 5), Some(&name(ways[0]))),
            };
            (name(number), state)
        }).collect();
        let machine = read(&json!({ "StartAt": "S0", "States": states }));
        for call in machine.calls() {
            prop_assert!(0.0 < call.part && call.part <= 1.0 && call.caller != call.callee, "{call:?}");
        }
    }
}
