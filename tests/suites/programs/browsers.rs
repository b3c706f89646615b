//! Chromium without a screen.

use sandbox_tests::{Bed, inapplicable, is_root, tool};
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
