//! Starts, ends, signals.

use std::{fs, time::Duration};

use sandbox_core::{StateChange, Stdio};
use tokio::time;

use super::{sandbox, workspace};

#[tokio::test]
async fn exits_and_signals_are_told_apart() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let run = async |script: &str| {
        sandbox
            .command("sh")
            .args(["-c", script])
            .status()
            .await
            .unwrap()
    };
    for code in [0, 1, 37, 125, 126, 127, 128, 255] {
        assert_eq!(run(&format!("exit {code}")).await.code(), Some(code));
    }
    // Not SIGHUP and SIGINT, which whoever runs the tests may have set to be ignored.
    for signal in [6, 9, 10, 14, 15] {
        let status = run(&format!("kill -{signal} $$")).await;
        assert_eq!(
            (status.signal(), status.shell_code()),
            (Some(signal), 128 + signal)
        );
    }
}

#[tokio::test]
async fn dropping_a_child_kills_what_it_started() {
    let directory = workspace();
    let root = directory.path().canonicalize().unwrap();
    let sandbox = sandbox(&root, |policy| policy.allow_write(&root).unwrap());
    let script = "(while :; do echo x >> ticks; sleep 0.02; done) & sleep 60";
    let child = sandbox.command("sh").args(["-c", script]).spawn().unwrap();
    let ticks = || fs::metadata(root.join("ticks")).map_or(0, |metadata| metadata.len());
    while ticks() == 0 {
        time::sleep(Duration::from_millis(5)).await;
    }
    let pid = child.id();
    drop(child);
    while fs::metadata(format!("/proc/{pid}/root")).is_ok() {
        time::sleep(Duration::from_millis(5)).await;
    }
    let after = ticks();
    time::sleep(Duration::from_millis(100)).await;
    assert_eq!(ticks(), after);
}

#[tokio::test]
async fn a_signal_reaches_the_command_which_may_handle_it() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let command = sandbox
        .command("sh")
        .args(["-c", script])
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut ready = [0; 6];
    let mut output = child.stdout.take().unwrap();
    tokio::io::AsyncReadExt::read_exact(&mut output, &mut ready)
        .await
        .unwrap();
    child.signal(15).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(7));
}

#[tokio::test]
async fn a_stopped_command_is_reported_and_goes_on() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let mut child = sandbox
        .command("sh")
        .args(["-c", "kill -STOP $$; exit 3"])
        .spawn()
        .unwrap();
    assert!(matches!(
        child.changed().await.unwrap(),
        StateChange::Stopped { signal: 19 }
    ));
    child.signal(18).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let runs = (0..50).map(|number: i32| {
        let script = format!("exit {number}");
        let command = sandbox.command("sh").args(["-c".to_owned(), script]);
        tokio::spawn(async move { command.status().await.unwrap().code() })
    });
    let runs: Vec<_> = runs.collect();
    for (number, run) in (0..).zip(runs) {
        assert_eq!(run.await.unwrap(), Some(number));
    }
}
