//! Words, variables and standard streams.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use sandbox_core::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{sandbox, workspace};

#[tokio::test]
async fn piped_streams_work_like_tokios() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let command = sandbox
        .command("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"a\0b\n").await.unwrap();
    drop(input);
    let mut output = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut output)
        .await
        .unwrap();
    assert_eq!(output, b"a\0b\n");
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn words_and_variables_arrive_byte_for_byte() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let odd = OsString::from_vec(b"a b\n'\"!\xff".to_vec());
    let output = sandbox
        .command("sh")
        .args(["-c", "printf '%s|%s|%s' \"$1\" \"$ODD\" \"$HOME\"", "sh"])
        .arg(odd.clone())
        .env("ODD", odd)
        .env_remove("HOME")
        .output()
        .await
        .unwrap();
    assert_eq!(output.stdout, b"a b\n'\"!\xff|a b\n'\"!\xff|");
}

#[tokio::test]
async fn the_environment_can_be_cleared() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let command = sandbox.command("/usr/bin/env").env_clear().env("ONLY", "1");
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|line| line == "ONLY=1"), "{text}");
    assert!(!text.contains("CARGO"), "{text}");
    // What leads to the proxies is not the caller's to clear.
    assert!(text.contains("HTTP_PROXY=http://127.0.0.1:3128"), "{text}");
}

#[tokio::test]
async fn large_output_does_not_stall() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let script = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2";
    let output = sandbox
        .command("sh")
        .args(["-c", script])
        .output()
        .await
        .unwrap();
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (3_000_000, 3_000_000)
    );
}
