//! `cotter serve`: a key server in the foreground.

use crate::args::ServeArgs;
use crate::error::CommandError;
use crate::output;
use keyserver::{Connection, Limits, Listener, Options, Peer, ServeError, Stop};
use linux::Inherited;
use std::io::{self, Write};
use std::time::Duration;

/// Serves until SIGTERM or Ctrl-C; what is in flight then is finished.
pub fn run(args: ServeArgs) -> Result<(), CommandError> {
    if !args.listen.is_empty() {
        let listeners = args.listen.iter().map(|address| Listener::bind(*address)).collect::<Result<_, _>>();
        return listen(args, listeners.map_err(served)?);
    }
    let inherited = linux::take_inherited().map_err(|source| {
        let hint = source.hint();
        CommandError::failed("cannot take the sockets", source).hint(hint)
    })?;
    match inherited {
        Inherited::Listening(sockets) => {
            let listeners = sockets.into_iter().map(Listener::from_fd).collect::<Result<_, _>>();
            listen(args, listeners.map_err(served)?)
        }
        Inherited::Connected { socket, stderr_is_peer } => {
            let connection = Connection::from_fd(socket).map_err(served)?;
            one_connection(args, connection, stderr_is_peer)
        }
        Inherited::Pipes { input, output } => one_connection(args, Connection::from_pipes(input, output), false),
        Inherited::Nothing => {
            let error = CommandError::usage("there is nothing to listen on");
            Err(error.hint("--listen ADDR:PORT, or start it from a socket unit"))
        }
    }
}

fn listen(args: ServeArgs, listeners: Vec<Listener>) -> Result<(), CommandError> {
    if let Err(error) = linux::allow_many_open_files() {
        output::say(&format!("the limit of open files stays as it is: {error}"));
    }
    // Nobody is told to come before there is something to serve.
    keyserver::check(&args.keys).map_err(served)?;
    for listener in &listeners {
        match listener.address() {
            Some(address) => output::say(&format!("listening on {address}")),
            None => output::say("listening on an inherited socket"),
        }
    }
    let stop = stop_by_signal()?;
    keyserver::run(listeners, options(args, Box::new(io::stderr())), stop).map_err(served)
}

/// One connection, until the peer closes it. Standard error may be that same connection: then the log goes nowhere.
fn one_connection(args: ServeArgs, connection: Connection, stderr_is_peer: bool) -> Result<(), CommandError> {
    let peer = std::env::var("REMOTE_ADDR").map_or_else(|_| connection.peer(), |name| Peer::named(&name));
    let log: Box<dyn Write + Send> = if stderr_is_peer { Box::new(io::sink()) } else { Box::new(io::stderr()) };
    let stop = stop_by_signal()?;
    keyserver::serve_one(connection, peer, options(args, log), stop).map_err(served)
}

fn stop_by_signal() -> Result<Stop, CommandError> {
    let (handle, stop) = Stop::new();
    let watched = linux::on_stop_signal(move |_| handle.stop());
    watched.map(|()| stop).map_err(|source| CommandError::failed("cannot watch for signals", source))
}

fn options(args: ServeArgs, log: Box<dyn Write + Send>) -> Options {
    let limits = Limits {
        connections: usize::try_from(args.connections).unwrap_or(usize::MAX),
        idle: Duration::from_secs(args.idle.into()),
        ..Limits::default()
    };
    Options { keys: args.keys, limits, log }
}

fn served(source: ServeError) -> CommandError {
    let hint = source.hint();
    CommandError::failed("cannot serve", source).hint(hint)
}
