#include "index_tables.h"

namespace stagefs {
namespace {

std::string NameOf(std::string_view column) {
  return std::string(column.substr(column[0] == '.' || column[0] == '#' ? 1 : 0));
}

// `first` + 1 to `first` + `count` parameters.
std::string Parameters(size_t first, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += (i == 0 ? "?" : ", ?") + std::to_string(first + i + 1);
  return text;
}

std::array<IndexTable, kIndexTables> MakeTables() {
  std::array<IndexTable, kIndexTables> tables{{
      {"version", 1, {"id", "#sha256", "#xxh3", "size", "stored_ns", "renewed_ns", "synced"}},
      {"lineage", 1, {"id", "parent", "fork_seq"}},
      {"commit_log", 1, {"seq", ".id", "lineage", "parent", ".message", ".author", ".email", "time_ns", "merged"}},
      {"branch", 1, {".name", "head"}},
      {"tree_entry", 3,
       {"folder", "#name", "seq", "lineage", "kind", "version", "child", "size", "executable", "mtime_ns"}},
      {"workspace", 1, {"id", ".uid", ".name", ".branch", "base", "change_seq", "report", "created_ns"}},
      {"staged_entry", 3,
       {"workspace", "folder", "#name", "kind", "state", "scratch", "version", "child", "size", "executable",
        "mtime_ns", "#target"}},
      {"inbox_file", 3, {"workspace", "#directory", "#name", "version", "size", "mtime_ns"}},
      // Where the versions are, which boot was the last, and that it moved are each index's own.
      {"meta", 1, {".key", ".value"},
       "key <> 'versions' AND substr(key, 1, 3) <> 'mov' AND substr(key, 1, 4) <> 'boot'"},
  }};
  for (IndexTable& table : tables) {
    std::string columns, keys;
    for (size_t i = 0; i < table.columns.size(); ++i) {
      columns += (i == 0 ? "" : ", ") + NameOf(table.columns[i]);
      if (i < table.keys) keys += (i == 0 ? "" : ", ") + NameOf(table.columns[i]);
    }
    const std::string select = "SELECT " + columns + " FROM " + table.name + " WHERE ";
    const std::string where = *table.where == '\0' ? "" : std::string(table.where) + " AND ";
    table.first_page = select + where + "1 = 1 ORDER BY " + keys + " LIMIT ?1";
    table.next_page = select + where + '(' + keys + ") > (" + Parameters(1, table.keys) + ") ORDER BY " + keys +
                      " LIMIT ?1";
    const std::string target = std::string(table.name) + " (" + columns + ')';
    table.insert = "INSERT INTO " + target + " VALUES (" + Parameters(0, table.columns.size()) + ')';
    table.copy = "COPY " + target + " FROM STDIN (FORMAT binary)";
  }
  return tables;
}

}  // namespace

const IndexTable& IndexTable::At(size_t table) {
  static const std::array<IndexTable, kIndexTables> tables = MakeTables();
  return tables[table];
}

std::string SqlText(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + '\'';
}

}  // namespace stagefs
