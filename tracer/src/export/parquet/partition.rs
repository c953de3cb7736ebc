//! A fleet's layout: `date=YYYY-MM-DD/kernel=6.12.y/kind=FAMILY/SESSION.parquet`.
//!
//! An engine that knows hive partitions (DuckDB, Spark, Trino, ClickHouse) opens only the files whose path fits a
//! query. A file has the columns of its family alone. Exporting a trace once more replaces its files;
//! a file of another recording, or one that nobody knows, is not overwritten.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use parquet::file::metadata::ParquetMetaDataReader;

use super::about;
use super::session::Session;
use super::table::{HEADER, Table};
use crate::escape::escaped_path;
use crate::event::{Family, Loss, Selection, StackEntry, Summary};
use crate::export::{Destination, Export};
use crate::output::Line;
use crate::trace_file::FileHeader;

/// Writes a trace as files below a folder, one a day and family.
pub struct Partitioned {
    folder: PathBuf,
    header: String,
    session: Session,
    date: String,
    /// Of this date, by family; `None` has losses of which the family is not known.
    tables: BTreeMap<Option<Family>, Table>,
    /// In their places when everything is written.
    files: Vec<Destination>,
    summary: Option<Summary>,
}

impl Partitioned {
    /// Writes below `folder`, which is made when there is something to write.
    ///
    /// # Errors
    /// When the header cannot be written as JSON.
    pub fn new(header: &FileHeader, folder: &Path) -> io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            header: serde_json::to_string(header)?,
            session: Session::new(header),
            date: String::new(),
            tables: BTreeMap::new(),
            files: Vec::new(),
            summary: None,
        })
    }

    /// The table for events of that time and family.
    fn table(&mut self, time: u64, family: Option<Family>) -> io::Result<&mut Table> {
        let date = self.session.date(time);
        if date > self.date {
            self.finish_tables(None)?;
            self.date = date;
        }
        if !self.tables.contains_key(&family) {
            let table = self.begin(family)?;
            self.tables.insert(family, table);
        }
        self.tables.get_mut(&family).ok_or_else(|| io::Error::other("the table was just made"))
    }

    fn begin(&mut self, family: Option<Family>) -> io::Result<Table> {
        let mut selection = Selection::NONE;
        if let Some(family) = family {
            selection.insert_family(family);
        }
        let folder = self
            .folder
            .join(format!("date={}", self.date))
            .join(format!("kernel={}", self.session.kernel()))
            .join(format!("kind={}", family.map_or("unknown", Family::name)));
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.parquet", self.session.name()));
        self.check_replaceable(&path)?;
        let file = Destination::open(&path, false).map_err(|error| io::Error::other(error.cause))?;
        let out = file.writer().map_err(|error| error.0)?;
        self.files.push(file);
        Table::new(selection, &self.header, out)
    }

    /// Names are of the machine and the moment, which clones of a machine may share.
    fn check_replaceable(&self, path: &Path) -> io::Result<()> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file);
        let pairs = metadata.ok().and_then(|all| all.file_metadata().key_value_metadata().cloned());
        let header = pairs.into_iter().flatten().find(|pair| pair.key == HEADER).and_then(|pair| pair.value);
        if header.as_ref() == Some(&self.header) {
            return Ok(());
        }
        let cause = format!("{} belongs to another recording and is not overwritten", escaped_path(path));
        Err(io::Error::new(io::ErrorKind::AlreadyExists, cause))
    }

    fn finish_tables(&mut self, incomplete: Option<&str>) -> io::Result<()> {
        let about = about(self.summary.as_ref(), incomplete)?;
        std::mem::take(&mut self.tables).into_values().try_for_each(|table| table.finish(&about))
    }
}

impl Export for Partitioned {
    fn event(&mut self, line: &Line<'_>) -> io::Result<()> {
        let time = line.event.header.time;
        self.session.begin(time.saturating_sub(line.since_start));
        self.table(time, Some(line.event.kind().family()))?;
        let table = self.tables.get_mut(&Some(line.event.kind().family()));
        table.map_or(Ok(()), |table| table.event(line, &self.session))
    }

    fn passed(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.session.begin(line.event.header.time.saturating_sub(line.since_start));
        Ok(())
    }

    fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        self.session.begin(loss.after);
        self.table(loss.after, loss.family())?;
        let table = self.tables.get_mut(&loss.family());
        table.map_or(Ok(()), |table| table.loss(loss, &self.session))
    }

    fn stack(&mut self, stack: &StackEntry) -> io::Result<()> {
        self.tables.values_mut().for_each(|table| table.stack(stack.id));
        Ok(())
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        self.summary = Some(summary.clone());
        Ok(())
    }

    fn finish(mut self: Box<Self>, incomplete: Option<&str>) -> io::Result<()> {
        self.finish_tables(incomplete)?;
        self.files.into_iter().try_for_each(|file| file.commit().map_err(|error| error.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::event::{Filter, Sink, synthetic};
    use crate::export::Exporter;

    #[test]
    fn only_files_of_the_same_recording_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        // Made once: a header holds the clock of its making.
        let recording = FileHeader::new(synthetic::description());
        let export = |command: &str| -> Result<(), Error> {
            let mut header = recording.clone();
            header.command_line = vec![command.to_owned()];
            let partitioned = Box::new(Partitioned::new(&header, folder.path()).unwrap());
            let mut exporter = Exporter::new(partitioned, Filter::default(), &header);
            synthetic::stream().iter().try_for_each(|item| exporter.item(item))?;
            exporter.finish(None)?;
            Ok(())
        };
        export("first").unwrap();
        export("first").unwrap();
        let refused = export("second").unwrap_err().cause;
        assert!(refused.contains("belongs to another recording and is not overwritten"), "{refused}");
        export("first").unwrap();
    }
}
