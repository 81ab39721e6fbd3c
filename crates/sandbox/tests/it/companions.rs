//! Programs beside the program.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::time::Duration;

use libtest_mimic::Trial;
use pilotlight_sandbox::{
    Beside, CompanionEnd, Companions, Demand, Exit, FreezeError, Refusal, Root,
};

use crate::templates::ask;
use crate::world::{World, connection, freeze, launch, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("companions_run_beside_the_program", booted),
        trial("companions_run_beside_a_fork", forked),
        trial(
            "a_template_s_companions_are_gone_before_it_is_frozen",
            template,
        ),
        trial("what_is_in_opt_extensions_is_found", found),
    ]
}

fn beside(root: &Root) -> Beside<'_> {
    Beside {
        root,
        memory_mb: 128,
        tmp_mb: 16,
        programs: root.extensions().to_vec(),
        env: vec![c"ANSWER=42".to_owned()],
    }
}

fn lines(pipe: &OwnedFd) -> impl Iterator<Item = String> {
    let file = File::from(pipe.try_clone().unwrap());
    BufReader::new(file).lines().map(Result::unwrap)
}

/// The ends of three of the five, in the order of their places.
async fn ends(companions: &Companions) -> BTreeMap<usize, CompanionEnd> {
    let mut ends = BTreeMap::new();
    // One is told of twice.
    for _ in 0..4 {
        let (index, end) = companions.next_end().await.unwrap();
        ends.entry(index).or_insert(end);
    }
    ends
}

fn expected_ends() -> BTreeMap<usize, CompanionEnd> {
    BTreeMap::from([
        (1, CompanionEnd::Ended(Exit::Signal(6))),
        (2, CompanionEnd::Ended(Exit::Code(7))),
        // EACCES: it is no program.
        (4, CompanionEnd::NotExecuted(13)),
    ])
}

const NAMES: [&str; 4] = ["alpha", "crash", "leave", "omega"];

fn expected_line(name: &str) -> String {
    format!(
        "{name}: uid 993 gid 990 parent 1 CapEff:\t0000000000000000 CapBnd:\t0000000000000000 Seccomp:\t2 \
         descriptors 3 cwd / answer 42"
    )
}

fn assert_said(companions: &Companions) {
    let mut said: Vec<_> = lines(&companions.stdout).take(2).collect();
    said.sort();
    assert_eq!(said, [expected_line("alpha"), expected_line("omega")]);
    let mut said: Vec<_> = lines(&companions.stderr).take(2).collect();
    said.sort();
    assert_eq!(said, ["alpha says", "omega says"]);
}

async fn found(world: World) {
    let root = world.root_with_extensions(&NAMES);
    assert_eq!(
        root.extensions(),
        [
            c"/opt/extensions/alpha",
            c"/opt/extensions/crash",
            c"/opt/extensions/leave",
            c"/opt/extensions/omega",
            c"/opt/extensions/text",
        ]
    );
    assert!(world.root.extensions().is_empty());
    // A layer cannot have the node look elsewhere.
    let tree = world.folder.path().join("led-astray");
    fs::create_dir_all(&tree).unwrap();
    std::os::unix::fs::symlink("/etc", tree.join("extensions")).unwrap();
    let image = world.image("led-astray", &[]);
    let root = Root::assemble(
        &world.runtime,
        pilotlight_sandbox::Code::Empty,
        &[&image],
        &world.resolv_conf,
    );
    assert!(root.unwrap().extensions().is_empty());
    world.sandboxes.shutdown().await;
}

async fn booted(world: World) {
    let root = world.root_with_extensions(&NAMES);
    let slot = world.sandboxes.slot().await.unwrap();
    let (accompanied, companions) = slot.accompany(beside(&root)).await.unwrap();
    // The program is not there yet.
    assert_said(&companions);
    assert_eq!(ends(&companions).await, expected_ends());
    let program = launch(&root, &["pause"]);
    let process = accompanied.launch(program).await.unwrap();
    let marks = process.marks;
    assert!([marks.cgroup, marks.mounts, marks.network, marks.spawn].is_sorted());
    companions.kill(0);
    let killed = (0, CompanionEnd::Ended(Exit::Signal(9)));
    assert_eq!(companions.next_end().await, Some(killed));
    process.terminate().unwrap();
    assert_eq!(process.wait().await, Exit::Signal(15));
    process.kill();
    assert_eq!(companions.next_end().await, None);
    drop((process, companions));
    world.sandboxes.shutdown().await;
}

async fn forked(mut world: World) {
    let root = world.root_with_extensions(&NAMES);
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    for _ in 0..2 {
        let mut berth = template.berth(Demand::Start).await.unwrap();
        let companions = berth.accompany(beside(&root)).await.unwrap();
        assert_said(&companions);
        assert_eq!(ends(&companions).await, expected_ends());
        let (mut socket, theirs) = connection();
        let fork = berth.fork(Some(theirs)).await.unwrap();
        assert!(ask(&mut socket, "one").starts_with("one: generation 1 "));
        drop(socket);
        // They are to hear of the program's end before theirs comes.
        assert_eq!(fork.wait().await, Exit::Code(0));
        assert!(fork.terminate().is_err());
        fork.kill();
        assert_eq!(companions.next_end().await, None);
    }
    drop((process, template));
    world.end().await;
}

async fn template(mut world: World) {
    let root = world.root_with_extensions(&["quiet"]);
    let slot = world.sandboxes.slot().await.unwrap();
    let (accompanied, companions) = slot.accompany(beside(&root)).await.unwrap();
    let (mut socket, theirs) = connection();
    let mut program = launch(&root, &["later"]);
    program.request_socket = Some(theirs);
    let process = accompanied.launch(program).await.unwrap();
    std::io::Read::read_exact(&mut socket, &mut [0; 5]).unwrap();
    // Not beside anybody else.
    let refusal = loop {
        match process.freeze().await.unwrap_err() {
            FreezeError::Refused(Refusal::RunningThread { .. }) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            error => break error.to_string(),
        }
    };
    assert!(refusal.contains("process"), "{refusal}");
    companions.kill(0);
    loop {
        if let (0, CompanionEnd::Ended(_)) = companions.next_end().await.unwrap() {
            break;
        }
    }
    let template = freeze(&process).await;
    let (fork, mut socket) = world.fork(&template).await;
    std::io::Write::write_all(&mut socket, b"exit\x003\x00").unwrap();
    assert_eq!(fork.wait().await, Exit::Code(3));
    drop((fork, process, template, companions));
    world.end().await;
}
