//! A small program that executes the calls it is told, inside and outside, and says each errno.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sandbox_tests::{Bed, host, tool};
use serde_json::Value;

/// One call: an operation of `calls.c` and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    words: Vec<Vec<u8>>,
}

impl Call {
    /// An operation on one path.
    pub(crate) fn on(operation: &str, path: impl AsRef<Path>) -> Self {
        Self {
            words: vec![operation.into(), bytes(path.as_ref())],
        }
    }

    /// An operation on two, or on a path and a text.
    pub(crate) fn two(operation: &str, path: impl AsRef<Path>, other: impl AsRef<Path>) -> Self {
        let mut call = Self::on(operation, path);
        call.words.push(bytes(other.as_ref()));
        call
    }

    /// The operation alone.
    pub(crate) fn name(&self) -> String {
        encoded(self.words.first().map_or(&[][..], Vec::as_slice))
    }

    /// For messages.
    pub(crate) fn show(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|word| encoded(word)).collect();
        words.join(" ")
    }
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// 0 for success.
    pub(crate) errno: i32,
    /// What was read, escaped.
    pub(crate) data: String,
}

/// The program, compiled for one bed.
pub(crate) struct Driver<'b> {
    bed: &'b Bed,
    program: PathBuf,
}

impl<'b> Driver<'b> {
    /// Compiles it; none where there is no compiler.
    pub(crate) fn new(bed: &'b Bed) -> Option<Self> {
        let program = compile(bed, "calls", include_str!("calls.c"))?;
        Some(Self { bed, program })
    }

    /// Executes the calls in a sandbox, in the working directory of the bed.
    #[track_caller]
    pub(crate) fn inside(&self, settings: &Value, calls: &[Call]) -> Vec<Answer> {
        self.inside_while(settings, calls, None)
    }

    /// As `inside`, while a thread makes a link lead now here, now there.
    #[track_caller]
    pub(crate) fn inside_while(
        &self,
        settings: &Value,
        calls: &[Call],
        flips: Option<[&Path; 3]>,
    ) -> Vec<Answer> {
        let srt = self.bed.srt().flat(settings).within(300.0);
        let output = srt
            .args([self.program.as_os_str()])
            .args(flips.into_iter().flatten().map(Path::as_os_str))
            .stdin(list(calls))
            .run()
            .ok();
        answers(&output.text(), calls.len())
    }

    /// Executes them without one.
    #[track_caller]
    pub(crate) fn outside(&self, calls: &[Call]) -> Vec<Answer> {
        let list = self.bed.file("calls.list", list(calls));
        let line = "cd \"$2\" && exec \"$0\" < \"$1\"";
        let words = ["-c".as_ref(), line.as_ref()];
        let paths = [
            self.program.as_os_str(),
            list.as_os_str(),
            self.bed.work().as_os_str(),
        ];
        let output = host(Path::new("/bin/sh"), words.into_iter().chain(paths)).ok();
        std::fs::remove_file(list).expect("the list is ours");
        answers(&output.text(), calls.len())
    }
}

/// A C program of the suite, built into the bed.
pub(crate) fn compile(bed: &Bed, name: &str, source: &str) -> Option<PathBuf> {
    let compiler = tool("cc").or_else(|| tool("gcc"))?;
    let source = bed.file(format!("{name}.c"), source);
    let program = source.with_extension("bin");
    let words = [
        "-O1".as_ref(),
        "-pthread".as_ref(),
        "-o".as_ref(),
        program.as_os_str(),
        source.as_os_str(),
    ];
    host(&compiler, words).ok();
    Some(program)
}

/// A driver, or a skip.
macro_rules! driver {
    ($bed:expr) => {
        match crate::driver::Driver::new($bed) {
            Some(driver) => driver,
            None => sandbox_tests::skip!("no C compiler on this machine"),
        }
    };
}
pub(crate) use driver;

fn list(calls: &[Call]) -> String {
    let line = |call: &Call| {
        let words: Vec<String> = call.words.iter().map(|word| encoded(word)).collect();
        words.join("\t") + "\n"
    };
    calls.iter().map(line).collect()
}

fn answers(text: &str, expected: usize) -> Vec<Answer> {
    let answer = |line: &str| {
        let (errno, data) = line.split_once('\t').unwrap_or((line, ""));
        Answer {
            errno: errno.parse().expect("the driver answers with a number"),
            data: data.to_owned(),
        }
    };
    let answers: Vec<Answer> = text.lines().map(answer).collect();
    assert_eq!(answers.len(), expected, "the driver stopped");
    answers
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_graphic() && *byte != b'%' {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02x}").expect("a string takes everything");
        }
        text
    })
}
