//! Standard output, which is for data. A reader that went away has seen enough; everything else that keeps data from
//! being written is an error, also that there is no standard output.

use std::io::{self, StdoutLock, Write};

use rmapscope::output::PrintError;
use rmapscope::{Error, inherited};

/// Standard output for this program alone.
///
/// # Errors
/// When there is none.
pub fn lock() -> Result<StdoutLock<'static>, Error> {
    Ok(inherited::output().map_err(PrintError)?.lock())
}

/// Looks whether there is one, before anything runs whose result nobody would get.
///
/// # Errors
/// When there is none.
pub fn check() -> Result<(), Error> {
    lock().map(drop)
}

/// Prints data. A reader that went away ends the program without a fault.
///
/// # Errors
/// When it takes no more.
pub fn print(text: &str) -> Result<u8, Error> {
    write(text.as_bytes()).map_err(PrintError)?;
    Ok(0)
}

/// Prints what has an exit code of its own, which stays when the reader went away.
///
/// # Errors
/// When it takes no more.
pub fn print_result(text: &str) -> Result<(), Error> {
    match write(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(PrintError(error).into()),
        _ => Ok(()),
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut output = inherited::output()?.lock();
    output.write_all(bytes).and_then(|()| output.flush())
}
