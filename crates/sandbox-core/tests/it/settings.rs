//! A sandbox from settings files.

use std::fs;

use sandbox_core::{
    AbsolutePath, SandboxBuilder, Stdio,
    settings::{Overrides, ProjectTrust, ProxyVariables, Sources, load},
};

use super::workspace;

#[tokio::test]
async fn what_the_settings_say_holds_and_what_they_ignore_is_not_told() {
    let directory = workspace();
    let root = directory.path().canonicalize().unwrap();
    fs::create_dir(root.join("out")).unwrap();
    fs::create_dir(root.join("quiet")).unwrap();
    let settings = root.join("settings.json");
    let text = format!(
        r#"{{"filesystem": {{"allowWrite": ["{0}/out"], "denyRead": [], "denyWrite": []}},
            "network": {{"allowedDomains": [], "deniedDomains": []}}, "ignoreViolations": {{"*": ["{0}/quiet"]}}}}"#,
        root.display()
    );
    fs::write(&settings, text).unwrap();
    let loaded = load(&Sources {
        home: None,
        working_directory: AbsolutePath::new(&root).unwrap(),
        managed: root.join("no-managed.json"),
        settings: Some(settings),
        overrides: Overrides::none(),
        proxy_variables: ProxyVariables::default(),
        trust: ProjectTrust::Recorded,
        trust_store: None,
    })
    .unwrap();
    let sandbox = SandboxBuilder::from_settings(loaded)
        .working_directory(AbsolutePath::new(&root).unwrap())
        .build()
        .unwrap();
    let write = |place: &str| {
        let line = format!("cd {}/{place} && echo x > file", root.display());
        let command = sandbox.command("sh").args(["-c".to_owned(), line]);
        command.stderr(Stdio::null()).status()
    };
    assert!(write("out").await.unwrap().success());
    assert_eq!(fs::read_to_string(root.join("out/file")).unwrap(), "x\n");
    for place in ["quiet", "."] {
        assert!(!write(place).await.unwrap().success(), "{place}");
        assert!(
            fs::metadata(root.join(place).join("file")).is_err(),
            "{place}"
        );
    }
    let told = sandbox.violations().latest();
    let is_about = |object: &str| {
        let object = format!("{}/{object}", root.display());
        told.iter().any(|told| told.object == object)
    };
    assert!(is_about("file") && !is_about("quiet/file"), "{told:?}");
}
