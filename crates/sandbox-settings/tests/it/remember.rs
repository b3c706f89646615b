//! A host that is allowed from now on: in which file, and what else becomes of it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use sandbox_settings::{RememberError, remember_host};

use crate::support::{FLAT, File, Machine, reaches, target};

const CLAUDE: &str = "{\n  \"model\": \"opus\"\n}\n";

#[test]
fn it_is_the_file_that_decides() {
    let both = || {
        Machine::new()
            .with(File::User, CLAUDE)
            .with(File::Home, FLAT)
    };
    for (machine, file) in [
        (Machine::new().with(File::User, CLAUDE), File::User),
        (both(), File::Home),
        (both().with_flag(FLAT), File::Flag),
        // There is none yet; the working directory stays as open as it was.
        (Machine::new(), File::User),
        (Machine::new().with(File::Managed, CLAUDE), File::User),
        (Machine::new().with(File::Project, CLAUDE), File::User),
    ] {
        let settings = machine.load();
        let home = machine.sources.home.clone();
        let wrote = remember_host(&settings, home.as_ref(), &target("x.example")).unwrap();
        assert_eq!(
            wrote,
            machine.path(file).canonicalize().unwrap(),
            "{file:?}"
        );
        let next = machine.load();
        assert!(reaches(&next, "x.example"), "{file:?}");
        assert_eq!(next.is_flat(), settings.is_flat(), "{file:?}");
        // Once more changes nothing.
        let text = fs::read_to_string(&wrote).unwrap();
        remember_host(&next, home.as_ref(), &target("x.example")).unwrap();
        assert_eq!(fs::read_to_string(&wrote).unwrap(), text);
        let left: Vec<_> = fs::read_dir(wrote.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_str().is_some_and(|name| name.ends_with(".new")))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn links_and_modes_stay() {
    let machine = Machine::new().with_flag(FLAT);
    let settings = machine.load();
    let (file, dotfile) = (machine.path(File::Flag), machine.root().join("dotfile"));
    fs::rename(&file, &dotfile).unwrap();
    std::os::unix::fs::symlink(&dotfile, &file).unwrap();
    fs::set_permissions(&dotfile, fs::Permissions::from_mode(0o640)).unwrap();
    remember_host(&settings, None, &target("x.example")).unwrap();
    assert!(file.symlink_metadata().unwrap().is_symlink());
    let mode = dotfile.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert!(reaches(&machine.load(), "x.example"));
}

#[test]
fn what_cannot_be_written_leaves_the_file_as_it_was() {
    let machine = Machine::new().with_flag(FLAT);
    let settings = machine.load();
    let single = remember_host(&settings, None, &target("vm"));
    assert!(
        matches!(single, Err(RememberError::Unnameable { .. })),
        "{single:?}"
    );
    for broken in [
        "{",
        "[]",
        "// comment\n{}",
        r#"{"network": 7}"#,
        "{\"x\": 1}",
    ] {
        machine.write(File::Flag, broken);
        let refused = remember_host(&settings, None, &target("x.example"));
        assert!(
            matches!(refused, Err(RememberError::Unsuitable { .. })),
            "{broken}: {refused:?}"
        );
        assert_eq!(
            fs::read_to_string(machine.path(File::Flag)).unwrap(),
            broken
        );
    }
    let nowhere = remember_host(&Machine::new().load(), None, &target("x.example"));
    assert!(matches!(nowhere, Err(RememberError::NoFile)), "{nowhere:?}");
}
