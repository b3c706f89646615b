//! Two policies, one process.

use std::fs;

use sandbox_core::Stdio;

use super::{sandbox, workspace};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sandboxes_with_different_policies_run_at_the_same_time() {
    let (one, other) = (workspace(), workspace());
    let write = |directory: &tempfile::TempDir| {
        let path = directory.path().canonicalize().unwrap();
        sandbox(directory.path(), |policy| policy.allow_write(path).unwrap())
    };
    let (first, second) = (write(&one), write(&other));
    let script = |mine: &tempfile::TempDir, theirs: &tempfile::TempDir| {
        let (mine, theirs) = (mine.path().display(), theirs.path().display());
        format!("echo mine > {mine}/own; echo theirs > {theirs}/foreign")
    };
    let run = |sandbox: &sandbox_core::Sandbox, line: String| {
        sandbox
            .command("sh")
            .args(["-c".to_owned(), line])
            .stderr(Stdio::null())
            .status()
    };
    let results = tokio::join!(
        run(&first, script(&one, &other)),
        run(&second, script(&other, &one)),
    );
    // The last command of each line was refused.
    assert!(!results.0.unwrap().success() && !results.1.unwrap().success());
    for directory in [&one, &other] {
        assert_eq!(
            fs::read_to_string(directory.path().join("own")).unwrap(),
            "mine\n"
        );
        assert!(fs::metadata(directory.path().join("foreign")).is_err());
    }
}

#[tokio::test]
async fn a_closed_file_is_closed_and_its_neighbour_is_open() {
    let directory = workspace();
    let root = directory.path().canonicalize().unwrap();
    fs::write(root.join("secret"), "s").unwrap();
    fs::write(root.join("open"), "o").unwrap();
    let sandbox = sandbox(&root, |policy| {
        policy.deny_read(root.join("secret")).unwrap()
    });
    let secret = sandbox.command("cat").arg("secret").output().await.unwrap();
    assert_eq!((secret.status.code(), secret.stdout.len()), (Some(1), 0));
    let open = sandbox.command("cat").arg("open").output().await.unwrap();
    assert_eq!(open.stdout, b"o");
}

#[tokio::test]
async fn a_tree_that_was_replaced_since_it_was_judged_is_not_mounted() {
    let directory = workspace();
    let root = directory.path().canonicalize().unwrap();
    fs::create_dir(root.join("data")).unwrap();
    let sandbox = sandbox(&root, |policy| {
        policy.allow_write(root.join("data")).unwrap()
    });
    assert!(sandbox.command("true").status().await.unwrap().success());
    fs::rename(root.join("data"), root.join("old")).unwrap();
    fs::create_dir(root.join("data")).unwrap();
    let error = sandbox
        .command("true")
        .spawn()
        .expect_err("another directory was judged");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("replaced since it was judged"), "{cause}");
    assert!(cause.contains("data"), "{cause}");
}
