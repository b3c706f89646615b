//! What can't be started is an error before it runs.

use sandbox_core::{SpawnError, Stdio};

use super::{sandbox, workspace};

#[tokio::test]
async fn a_missing_program_and_an_unusable_one_are_told_apart() {
    let directory = workspace();
    std::fs::write(directory.path().join("data"), "x").unwrap();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let spawn = |program: &str| sandbox.command(program).stderr(Stdio::null()).spawn();
    assert!(matches!(
        spawn("no-such-program-anywhere"),
        Err(SpawnError::NotFound)
    ));
    assert!(matches!(spawn("./missing"), Err(SpawnError::NotFound)));
    assert!(matches!(
        spawn("./data"),
        Err(SpawnError::NotExecutable { .. })
    ));
    assert!(spawn("true").is_ok());
}

#[tokio::test]
async fn a_word_with_a_nul_is_refused() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let error = sandbox
        .command("echo")
        .arg("a\0b")
        .spawn()
        .expect_err("no program can get it");
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("NUL")
    );
}

#[tokio::test]
async fn a_working_directory_that_is_not_visible_is_told() {
    let directory = workspace();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let command = sandbox
        .command("true")
        .current_dir("/tmp/not-inside")
        .unwrap();
    let error = command.spawn().expect_err("/tmp is private");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("enter the working directory"), "{cause}");
}
