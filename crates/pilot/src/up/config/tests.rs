//! What a configuration file comes to, and which are refused.

use super::*;

fn resolve(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pilot.toml");
    std::fs::write(&path, text).unwrap();
    let args = UpArgs::at(None, Some(path));
    Config::resolve(&args).map_err(|error| error.to_string())
}

const EVERYTHING: &str = r#"
listen = "0.0.0.0:8080"
data_dir = "/srv/pilot"
function_url_base = "https://fn.example.com"
node_name = "edge-1"
subnet = "10.99.0.0/20"
pool_size = 3
keep_alive_seconds = 5
drain_seconds = 7
log_format = "json"
log_filter = "debug"
runtime_substitutes = false
function_api = "none"
otlp_endpoint = "http://127.0.0.1:4318"

[limits]
account_concurrency = 11
node_memory_mb = 12
node_instances = 13
concurrent_starts = 14
waiting_invocations = 15
queued_events = 16
log_group_bytes = 1000000
account_log_bytes = 2000001
functions = 18

[policy]
name = "hybrid:1h,least=3"
event_log = "/srv/events"
event_log_bytes = 65536

[async]
concurrency = 19
account_queued_events = 17
retry_wait_ms = [20, 21]
backoff_first_ms = 22
backoff_longest_ms = 23
max_event_age_seconds = 24
dead_letter_bytes = 65536
delivery_max_age_seconds = 26

[destinations]
"arn:aws:sqs:us-east-1:000000000001:*" = "file:/srv/queues.jsonl"
"arn:aws:sns:us-east-1:000000000001:alerts" = "http://127.0.0.1:8080/alerts"

[[access_keys]]
id = "AKIA"
secret = "s3cret"
account = "000000000001"
"#;

#[test]
fn what_is_printed_can_be_fed_back() {
    for text in ["", "keep_alive_seconds = 60", EVERYTHING] {
        let config = resolve(text).unwrap();
        let printed = toml::to_string(&config.to_file()).unwrap();
        assert_eq!(resolve(&printed).unwrap(), config, "{printed}");
        let with_key = format!("{printed}\n[[access_keys]]\nid = \"another\"\nsecret = \"s\"\n");
        let more = resolve(&with_key).unwrap().access_keys.len();
        assert_eq!(more, config.access_keys.len() + 1, "{with_key}");
    }
}

#[test]
fn who_asks_for_a_keep_alive_and_no_policy_has_a_fixed_one() {
    let name = |text| resolve(text).unwrap().policy.name;
    assert_eq!(name("").as_deref(), Some("pilot:node"));
    assert_eq!(name("keep_alive_seconds = 60"), None);
    assert_eq!(
        name("[policy]\nevent_log_bytes = 65536").as_deref(),
        Some("pilot:node")
    );
    let both = "keep_alive_seconds = 60\n[policy]\nname = \"lru\"";
    assert_eq!(name(both).as_deref(), Some("lru"));
}

#[test]
fn every_key_of_the_file_counts() {
    let (given, default) = (resolve(EVERYTHING).unwrap(), Config::default());
    let value = |config: &Config| toml::Value::try_from(config.to_file()).unwrap();
    let (given, default) = (value(&given), value(&default));
    for (key, value) in given.as_table().unwrap() {
        assert_ne!(Some(value), default.get(key), "{key}");
    }
    for table in ["limits", "policy", "async"] {
        for (key, value) in given[table].as_table().unwrap() {
            assert_ne!(Some(value), default[table].get(key), "{table}.{key}");
        }
    }
}

#[test]
fn unknown_keys_are_errors_with_their_line() {
    let error = resolve("pool_size = 1\nlisten_on = \"x\"\n").unwrap_err();
    assert!(
        error.contains("line 2") && error.contains("listen_on"),
        "{error}"
    );
    let error = resolve("[limits]\nfunction = 1\n").unwrap_err();
    assert!(
        error.contains("line 2") && error.contains("`function`"),
        "{error}"
    );
}

#[test]
fn others_may_reach_it_only_with_access_keys() {
    let folder = tempfile::tempdir().unwrap();
    let config = |listen: &str| Config {
        listen: listen.parse().unwrap(),
        data_dir: folder.path().to_owned(),
        ..Config::default()
    };
    let error = config("0.0.0.0:9000").check_listen().unwrap_err();
    assert!(error.to_string().contains("without access keys"), "{error}");
    assert!(config("[::1]:9000").check_listen().is_ok());
    let keys = config("0.0.0.0:9000").stored_keys().unwrap();
    keys.create(Default::default(), "", 0).unwrap();
    assert!(config("0.0.0.0:9000").check_listen().is_ok());
}

#[test]
fn values_that_cannot_work_are_refused() {
    for (text, key) in [
        ("pool_size = 100000", "pool_size"),
        ("subnet = \"10.0.0.0/29\"", "subnet"),
        ("subnet = \"nowhere\"", "subnet"),
        ("subnet = \"10.0.0.0/22\"", "4016 sandboxes"),
        (
            "[limits]\nwaiting_invocations = 0",
            "limits.waiting_invocations",
        ),
        ("subnet = \"10.0.0.1/16\"", "subnet"),
        ("otlp_endpoint = \"nowhere\"", "otlp_endpoint"),
        ("function_api = \"all\"", "function_api"),
        (
            "function_api = \"account\"\nhot_reload = true",
            "hot_reload",
        ),
        (
            "function_url_base = \"fn.example.com\"",
            "function_url_base",
        ),
        ("log_filter = \"info=loud\"", "log_filter"),
        (
            "[limits]\nconcurrent_starts = 0",
            "limits.concurrent_starts",
        ),
        (
            "[policy]\nname = \"fixed:ten\"",
            "policy.name: the value of fixed",
        ),
        ("[policy]\nevent_log_bytes = 1", "policy.event_log_bytes"),
        ("[async]\nconcurrency = 0", "async.concurrency"),
        ("[async]\nbackoff_first_ms = 0", "async.backoff_first_ms"),
        (
            "[async]\nmax_event_age_seconds = 21601",
            "async.max_event_age_seconds",
        ),
        ("[async]\ndead_letter_bytes = 1", "async.dead_letter_bytes"),
        (
            "[destinations]\nqueue = \"file:/x\"",
            "'queue' is not an ARN",
        ),
        (
            "[destinations]\n\"arn:aws:sqs:*\" = \"https://x\"",
            "'https://x' is neither",
        ),
        ("[[access_keys]]\nid = \"a\"\nsecret = \"\"", "access_keys"),
        (
            "[[access_keys]]\nid = \"a\"\nsecret = \"b\"\n[[access_keys]]\nid = \"a\"\nsecret = \"c\"",
            "twice",
        ),
    ] {
        let error = resolve(text).unwrap_err();
        assert!(error.contains(key), "{text}: {error}");
        assert!(error.contains("pilot.toml"), "{text}: {error}");
    }
    let error = resolve("pool_size = 1\n[policy]\nname = \"nobody\"\n").unwrap_err();
    assert!(
        error.contains("pilot.toml, line 3: policy.name: "),
        "{error}"
    );
}
