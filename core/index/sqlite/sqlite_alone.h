// An index on SQLite while no other process has it open.
#pragma once

#include <memory>
#include <string>

#include "sqlite.h"

namespace stagefs {

// What lies beside an index's file, by its name.
inline constexpr const char* kSqliteBeside[] = {"-wal", "-shm", "-turn"};

// A connection beside which no other one is, in no process, for as long as it lives.
//
// REQUIRES: this process has no other connection to it: closing one of the file's descriptors releases its locks.
// Errors: kBusy, naming who has it open, with locks or without, after a few seconds.
Result<std::unique_ptr<SqliteConnection>> OpenSqliteAlone(const std::string& path);

// Gives the index at `from` the name `to`, with all that is in its log. Nothing lies beside it afterwards, and wherever
// a crash comes no log lies beside another index: SQLite replays what it finds by name.
//
// REQUIRES: as for OpenSqliteAlone(); nobody has `to` open, or wants what is there. Errors: as for that, too.
Status RenameSqliteIndex(const std::string& from, const std::string& to);

// Moves what is beside a database at `from` that is not there any more to where it would be beside one at `to`.
Status MoveSqliteLog(const std::string& from, const std::string& to);

}  // namespace stagefs
