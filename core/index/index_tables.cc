#include "index_tables.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace stagefs {
namespace {

// Names of columns first … last - 1, after commas.
std::string Names(const IndexTable& table, size_t first, size_t last) {
  std::string names;
  for (size_t i = first; i < last; ++i) names += (i == first ? "" : ", ") + std::string(table.columns[i].name);
  return names;
}

std::string KeysOf(const IndexTable& table) { return Names(table, 0, table.keys); }

// ?first to ?(first + count - 1).
std::string Parameters(size_t first, size_t count) {
  std::string text;
  for (size_t i = first; i < first + count; ++i) text += (i == first ? "?" : ", ?") + std::to_string(i);
  return text;
}

std::string InsertFrom(const IndexTable& table, size_t from) {
  return std::string("INSERT INTO ") + table.name + " (" + ColumnsOf(table, from) + ") VALUES (" +
         Parameters(1, table.columns.size() - from) + ')';
}

// What follows its name: "BLOB NOT NULL UNIQUE".
std::string TypeOf(const SqlDialect& dialect, const IndexColumn& column) {
  std::string type = column.type == ColumnType::kNumber ? dialect.number
                     : column.type == ColumnType::kText ? dialect.text
                                                        : dialect.bytes;
  if (!column.may_be_null) type += " NOT NULL";
  if (*column.default_value != '\0') type += std::string(" DEFAULT ") + column.default_value;
  if (column.is_unique) type += " UNIQUE";
  return type;
}

std::string CreateTable(const SqlDialect& dialect, const IndexTable& table, const std::string& name) {
  const bool numbered = table.numbering != Numbering::kNone;
  std::string sql = "CREATE TABLE " + name + " (\n";
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const IndexColumn& column = table.columns[i];
    const bool is_last = numbered && i + 1 == table.columns.size();
    const std::string type = !numbered || i > 0                            ? TypeOf(dialect, column)
                             : table.numbering == Numbering::kNeverAgain ? dialect.number_never_again
                                                                         : dialect.number_of_rows;
    sql += std::string("  ") + column.name + ' ' + type + (is_last ? "" : ",");
    // Who looks into the database reads it there.
    if (*column.about != '\0') sql += std::string("  -- ") + column.about;
    sql += '\n';
  }
  if (!numbered) sql += "  PRIMARY KEY (" + KeysOf(table) + ")\n";
  return sql + ')' + (numbered ? dialect.end_of_numbered : dialect.end) + ";\n";
}

std::string CreateIndex(const IndexTable& table, const IndexTable::Ordered& index) {
  return std::string("CREATE INDEX ") + index.name + " ON " + table.name + " (" + index.columns + ')' +
         (*index.where == '\0' ? "" : " WHERE ") + index.where + ";\n";
}

std::array<MovingTable, kMovedTables> MakeMovingTables() {
  std::array<MovingTable, kMovedTables> moving;
  size_t count = 0;
  for (const IndexTable* table : kIndexTables) {
    if (!table->moves) continue;
    assert(count < kMovedTables);
    const std::string keys = KeysOf(*table);
    const std::string condition = *table->moving_rows == '\0' ? "" : std::string(table->moving_rows) + " AND ";
    const std::string where = Select(*table) + " WHERE " + condition;
    const std::string page = " ORDER BY " + keys + " LIMIT ?1";
    moving[count++] = {table, where + "1 = 1" + page,
                       where + '(' + keys + ") > (" + Parameters(2, table->keys) + ')' + page, Insert(*table),
                       std::string("COPY ") + table->name + " (" + ColumnsOf(*table) + ") FROM STDIN (FORMAT binary)"};
  }
  assert(count == kMovedTables);
  return moving;
}

}  // namespace

std::string ColumnsOf(const IndexTable& table, size_t from) { return Names(table, from, table.columns.size()); }

std::string Select(const IndexTable& table, size_t from) {
  return "SELECT " + ColumnsOf(table, from) + " FROM " + table.name;
}

std::string SelectNamedVersions() {
  std::string sql;
  for (const auto& [table, column] : kNamingColumns) {
    sql += std::string(sql.empty() ? "" : " UNION ALL ") + "SELECT " + column + " AS version FROM " + table +
           " WHERE " + column + " IS NOT NULL";
  }
  return sql;
}

std::string SelectNamedBetween(const std::string& first, const std::string& last, const std::string& of_trees) {
  std::string sql;
  for (const auto& [table, column] : kNamingColumns) {
    sql += std::string(sql.empty() ? "" : " UNION ALL ") + "SELECT " + column + " AS version FROM " + table +
           " WHERE " + column + " BETWEEN " + first + " AND " + last;
    if (table == std::string_view(kTreeEntryTable.name)) sql += " AND " + of_trees;
  }
  return sql;
}

std::string Insert(const IndexTable& table) { return InsertFrom(table, 0); }
std::string InsertNew(const IndexTable& table) { return InsertFrom(table, 1); }

std::string OnConflict(const IndexTable& table) { return " ON CONFLICT (" + KeysOf(table) + ") DO "; }

std::string OrReplace(const IndexTable& table) {
  std::string sql = OnConflict(table) + "UPDATE SET ";
  for (size_t i = table.keys; i < table.columns.size(); ++i) {
    const std::string name = table.columns[i].name;
    sql += (i == table.keys ? "" : ", ") + name + " = excluded." + name;
  }
  return sql;
}

std::string LayOutSql(const SqlDialect& dialect) {
  std::string sql;
  for (const IndexTable* table : kIndexTables) {
    if (*table->about != '\0') sql += std::string("-- ") + table->about + '\n';
    sql += CreateTable(dialect, *table, table->name);
    for (const IndexTable::Ordered& index : table->indexes) sql += CreateIndex(*table, index);
  }
  return sql + "INSERT INTO " + kFolderTable.name + " DEFAULT VALUES;\n";
}

std::string StepSql(const SqlDialect& dialect, int version) {
  std::string sql;
  for (const IndexTable* table : kIndexTables) {
    if (table->since == version) sql += CreateTable(dialect, *table, table->name);
    for (const IndexColumn& column : table->columns) {
      if (column.since != version || table->since >= version) continue;
      sql += std::string("ALTER TABLE ") + table->name + " ADD COLUMN " + column.name + ' ' + TypeOf(dialect, column) +
             ';';
    }
    for (const IndexTable::Ordered& index : table->indexes) {
      if (std::max(table->since, index.since) == version) sql += CreateIndex(*table, index);
    }
  }
  return sql;
}

std::string RebuildSql(const SqlDialect& dialect, const IndexTable& table, int version) {
  std::vector<IndexColumn> then;
  std::string kept;
  for (const IndexColumn& column : table.columns) {
    if (column.since <= version) then.push_back(column);
    if (column.since < version) kept += (kept.empty() ? "" : ", ") + std::string(column.name);
  }
  IndexTable rebuilt = table;
  rebuilt.columns = then;
  const std::string name = table.name, anew = name + '_' + std::to_string(version);
  return CreateTable(dialect, rebuilt, anew) + "INSERT INTO " + anew + " (" + kept + ") SELECT " + kept + " FROM " +
         name + ";DROP TABLE " + name + "; ALTER TABLE " + anew + " RENAME TO " + name;
}

const MovingTable& MovingTable::At(size_t table) {
  static const std::array<MovingTable, kMovedTables> tables = MakeMovingTables();
  return tables[table];
}

std::string SqlText(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + '\'';
}

}  // namespace stagefs
