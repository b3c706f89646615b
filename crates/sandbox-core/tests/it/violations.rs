//! Refusals as a host program hears of them.

use std::time::Duration;

use sandbox_core::{DenialReason, Operation};

use super::{sandbox, workspace};

#[tokio::test]
async fn each_command_has_its_own_and_a_stream_has_all() {
    let directory = workspace();
    let place = directory.path().canonicalize().unwrap();
    let sandbox = sandbox(directory.path(), |policy| policy);
    let store = sandbox.violations();
    let mut stream = store.stream(16);
    for key in ["one", "other"] {
        let line = format!("echo x > {}/{key}", place.display());
        let command = sandbox.command("sh").args(["-c".to_owned(), line]);
        let output = command.key(key).output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let next = tokio::time::timeout(Duration::from_secs(10), stream.next());
        let told = next.await.unwrap().unwrap();
        let object = place.join(key).display().to_string();
        assert_eq!(&*told.command, key);
        assert_eq!(told.object, object);
        assert_eq!(told.operation, Operation::FileWrite);
        assert_eq!(told.reason, DenialReason::WriteNotAllowed);
        assert_eq!(told.program.as_deref(), Some("sh"));
        assert_eq!(
            store.annotate_stderr(key, &stderr),
            format!(
                "{stderr}\n<sandbox_violations>\ndeny openat {object} (writing is not allowed)\n</sandbox_violations>"
            )
        );
        assert!(!place.join(key).try_exists().unwrap());
    }
    assert_eq!((store.total(), store.of_command("one").len()), (2, 1));
    assert_eq!(sandbox.report().violation_count, 2);
}
