//! Chromium without a screen.

use sandbox_tests::{Bed, inapplicable, is_root, need, tool};
use serde_json::json;

#[test]
fn chromium_takes_a_screenshot() {
    let Some(chromium) = tool("chromium") else {
        inapplicable!("the distribution has no Chromium of its own");
    };
    if is_root() {
        inapplicable!("the browser's own profile wants an ordinary user");
    }
    let bed = Bed::new();
    let page = bed.file("work/page.html", "<h1>hello</h1>");
    bed.file("home/secret", "sentinel");
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {
            "denyRead": ["~/secret"],
            "allowWrite": [".", "~/.config", "~/.cache", "~/.local", "~/.pki"],
            "denyWrite": [],
        },
    });
    let shot = |name: &str, address: String| {
        let path = bed.work().join(name);
        let screenshot = format!("--screenshot={}", path.display());
        let run = bed
            .srt()
            .flat(&settings)
            .within(120.0)
            .args([chromium.as_os_str()]);
        let words = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--user-data-dir=/tmp/profile",
        ];
        let output = run.args(words).args([screenshot, address]).run();
        (std::fs::read(path).ok(), output)
    };
    let (hello, output) = shot("hello.png", format!("file://{}", page.display()));
    let is_image = hello
        .as_ref()
        .is_some_and(|bytes| bytes.starts_with(b"\x89PNG"));
    assert!(is_image, "{output}");
    // It shows no more than the command may read.
    let secret = bed.home().join("secret");
    let (closed, output) = shot("closed.png", format!("file://{}", secret.display()));
    assert_ne!(closed, hello, "{output}");
    assert!(!output.text().contains("sentinel"), "{output}");
}

/// The browser's own sandbox is made of user namespaces, whose ids it maps.
#[test]
fn chromium_keeps_its_own_sandbox_where_namespaces_are_allowed() {
    let Some(chromium) = tool("chromium") else {
        inapplicable!("the distribution has no Chromium of its own");
    };
    let unshare = need!("unshare");
    if is_root() || !sandbox_tests::host(&unshare, ["-Ur", "true"]).succeeded() {
        inapplicable!("this user maps no ids on this machine");
    }
    let bed = Bed::new();
    let page = bed.file("work/page.html", "<h1>hello</h1>");
    let shot = |nested: bool| {
        let settings = json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {
                "denyRead": [],
                "allowWrite": [".", "~/.config", "~/.cache", "~/.local", "~/.pki"],
                "denyWrite": [],
            },
            "allowNestedUserNamespaces": nested,
        });
        let path = bed.work().join(format!("shot-{nested}.png"));
        let run = bed.srt().flat(&settings).within(120.0);
        let run = run.args([chromium.as_os_str()]);
        let words = [
            "--headless",
            "--disable-gpu",
            "--user-data-dir=/tmp/profile",
        ];
        let more = [
            format!("--screenshot={}", path.display()),
            format!("file://{}", page.display()),
        ];
        let output = run.args(words).args(more).run();
        let is_made = std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG"));
        (is_made, output)
    };
    let (is_made, output) = shot(true);
    assert!(is_made, "{output}");
    let (is_made, output) = shot(false);
    assert!(!is_made, "{output}");
    assert!(
        output.errors().contains("allowNestedUserNamespaces"),
        "{output}"
    );
}
