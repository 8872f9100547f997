//! The server, in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use marchproxy_xds::Protocol;

use crate::{Kind, Plan};

/// The server's process. It ends when this is dropped.
pub(crate) struct Serving {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub(crate) addr: SocketAddr,
}

impl Serving {
    pub(crate) fn start(kind: Kind, plan: Plan) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let mode = match plan.protocol {
            Protocol::Sotw => "sotw",
            Protocol::Delta => "delta",
        };
        let mut option = |name: &str, value: &str| {
            command.args([format!("--{name}").as_str(), value]);
        };
        option("mode", mode);
        option("streams", &plan.streams.to_string());
        option("services", &plan.services.to_string());
        option("threads", &plan.threads.to_string());
        option("change", plan.change.word());
        match kind {
            Kind::Engine => option("serve", "engine"),
            Kind::Floor { bytes, frames } => {
                option("serve", "floor");
                option("bytes", &bytes.to_string());
                option("frames", &frames.to_string());
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let commands = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("its output"));
        let port = read(&mut answers);
        let addr = ([127, 0, 0, 1], u16::try_from(port).expect("a port")).into();
        Self { child, commands, answers, addr }
    }

    pub(crate) fn say(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("it is there until the end");
        writeln!(commands, "{command}").expect("the server is there");
    }

    pub(crate) fn answer(&mut self) -> u64 {
        read(&mut self.answers)
    }

    pub(crate) fn ask(&mut self, command: &str) -> u64 {
        self.say(command);
        self.answer()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.commands.take()); // it ends with its input
        drop(self.child.wait());
    }
}

fn read(answers: &mut BufReader<ChildStdout>) -> u64 {
    let mut line = String::new();
    answers.read_line(&mut line).expect("the server is there");
    line.trim().parse().unwrap_or_else(|_| panic!("the server has ended: {line:?}"))
}
