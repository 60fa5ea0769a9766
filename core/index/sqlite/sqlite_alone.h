// An index on SQLite while no other process has it open.
#pragma once

#include <memory>
#include <string>

#include "sqlite.h"

namespace stagefs {

// A connection beside which no other one is, in no process, for as long as it lives.
//
// REQUIRES: this process has no other connection to it: closing one of the file's descriptors releases its locks.
// Errors: kBusy, naming who has it open, after a few seconds.
Result<std::unique_ptr<SqliteConnection>> OpenSqliteAlone(const std::string& path);

// Gives the index at `from` the name `to`, where another index may be, with all that is in its log: nothing is beside it
// afterwards, wherever a crash comes. A log is SQLite's by its name alone: what is left beside a file is replayed into it.
//
// REQUIRES, and errors: as for OpenSqliteAlone(), of `from`; nobody has `to` open.
Status RenameSqliteIndex(const std::string& from, const std::string& to);

// Moves what is beside a database at `from` that is not there any more to where it would be beside one at `to`.
Status MoveSqliteLog(const std::string& from, const std::string& to);

}  // namespace stagefs
