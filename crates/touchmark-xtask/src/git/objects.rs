//! Reading objects: one `git cat-file` for all of them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::{Error, Git, failed_to_run};

/// A running `git cat-file --batch`.
pub(crate) struct Objects {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// One object.
#[derive(Debug)]
pub(crate) struct Object {
    pub id: String,
    pub bytes: Vec<u8>,
}

impl Objects {
    pub(crate) fn open(git: &Git) -> Result<Objects, Error> {
        let mut command = git.command();
        command.args(["cat-file", "--batch"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed_to_run)?;
        let questions = child.stdin.take();
        let answers = child
            .stdout
            .take()
            .ok_or_else(|| Error::Run(io::Error::other("no output")))?;
        Ok(Objects {
            child,
            questions,
            answers: BufReader::new(answers),
        })
    }

    /// The object of that name (`HEAD^{commit}`, `:path` in the index, an id), if there is one.
    pub(crate) fn get(&mut self, name: &str) -> Result<Option<Object>, Error> {
        self.ask(name).map_err(|error| Error::Failed {
            command: "cat-file".into(),
            cause: format!("`{name}`: {error}"),
        })
    }

    /// Its text; what is not UTF-8 is replaced, so that whoever reads it complains about it.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        let object = self.get(name)?;
        Ok(object.map(|object| match String::from_utf8(object.bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }))
    }

    /// The id of a commit.
    pub(crate) fn commit(&mut self, name: &str) -> Result<Option<String>, Error> {
        let object = self.get(&format!("{name}^{{commit}}"))?;
        Ok(object.map(|object| object.id))
    }

    fn ask(&mut self, name: &str) -> io::Result<Option<Object>> {
        if name.contains('\n') {
            return Ok(None);
        }
        let questions = self.questions.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        questions.write_all(format!("{name}\n").as_bytes())?;
        questions.flush()?;
        let mut header = String::new();
        self.answers.read_line(&mut header)?;
        let header = header.trim_end();
        if header.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The name itself may have spaces in it, so an answer that it is not there is known by its end.
        if header.ends_with(" missing") || header.ends_with(" ambiguous") {
            return Ok(None);
        }
        let mut words = header.rsplit(' ');
        let size = words.next().and_then(|size| size.parse::<usize>().ok());
        let (Some(size), Some(id)) = (size, words.nth(1)) else {
            return Err(io::Error::other(header.to_owned()));
        };
        let mut bytes = vec![0; size + 1];
        self.answers.read_exact(&mut bytes)?;
        bytes.pop();
        Ok(Some(Object {
            id: id.to_owned(),
            bytes,
        }))
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // It ends when nobody can ask any more.
        self.questions = None;
        let _ = self.child.wait();
    }
}
