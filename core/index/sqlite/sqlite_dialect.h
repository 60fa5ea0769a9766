// How SQLite says what tables are made of.
#pragma once

#include "index/index_tables.h"

namespace stagefs {

inline constexpr SqlDialect kSqliteDialect = {.number = "INTEGER",
                                              .text = "TEXT",
                                              .bytes = "BLOB",
                                              .number_of_rows = "INTEGER PRIMARY KEY",
                                              .number_never_again = "INTEGER PRIMARY KEY AUTOINCREMENT",
                                              .end = " STRICT, WITHOUT ROWID",
                                              .end_of_numbered = " STRICT"};

}  // namespace stagefs
