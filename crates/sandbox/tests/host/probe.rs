//! The doctor on the machine that the tests run on, which can run the platform.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pilotlight_sandbox::probe::{self, Outcome};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

#[test]
fn a_machine_that_runs_the_platform_passes_and_is_left_as_it_was() {
    let data_dir = tempfile::tempdir().unwrap();
    let before = traces(data_dir.path());
    let began = Instant::now();
    let checks = probe::run(&data_dir.path().join("not-made-yet"));
    assert!(began.elapsed() < Duration::from_secs(30), "a check hangs");
    assert_eq!(traces(data_dir.path()), before);

    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.outcome == Outcome::Fail)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let all_advised = checks
        .iter()
        .all(|check| check.advice.is_some() == (check.outcome != Outcome::Ok));
    assert!(all_advised, "{checks:#?}");
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    for name in [
        "root",
        "erofs",
        "cgroup limits",
        "slot network",
        "seccomp",
        "free disk",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    let json = serde_json::to_value(&checks[0]).unwrap();
    assert_eq!(json["outcome"], "ok");
}

#[test]
fn without_privileges_checks_fail_and_advise() {
    let data_dir = tempfile::tempdir().unwrap();
    let unprivileged = || {
        // Of this thread and those it starts, which the checks do.
        let nobody = Uid::from_raw(65534);
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        probe::run(data_dir.path())
    };
    let checks = thread::scope(|scope| scope.spawn(unprivileged).join().unwrap());
    for name in [
        "root",
        "namespaces",
        "data directory",
        "cgroup controllers",
        "slot network",
    ] {
        let check = checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(check.outcome, Outcome::Fail, "{check:?}");
        assert!(check.advice.is_some(), "{check:?}");
    }
    assert_eq!(traces(data_dir.path()), Vec::<String>::new());
}

/// What a check could leave in the file system or among the cgroups.
fn traces(data_dir: &Path) -> Vec<String> {
    let mine = format!("pilotlight-doctor-{}", std::process::id());
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mountinfo.lines().filter(|line| line.contains(" - cgroup"));
    let points = points
        .filter_map(|line| line.split(' ').nth(4))
        .map(Path::new);
    let left = points
        .map(|point| point.join(&mine))
        .filter(|path| path.exists())
        .map(|path| path.display().to_string());
    let files = fs::read_dir(data_dir)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string());
    left.chain(files).collect()
}
