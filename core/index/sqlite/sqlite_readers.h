// Connections of an index on SQLite that read, used again and again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sqlite.h"
#include "stagefs/guarded.h"
#include "stagefs/staging_index.h"

namespace stagefs {

// Safe for concurrent use. Readers may outlive whoever made this.
class SqliteReaders : public std::enable_shared_from_this<SqliteReaders> {
 public:
  SqliteReaders(std::string path, SqliteConnection::Disk disk) : path_(std::move(path)), disk_(disk) {}

  Result<std::unique_ptr<SqliteConnection>> Open() const;
  Result<std::unique_ptr<IndexReader>> Read();
  void TakeBack(std::unique_ptr<SqliteConnection> connection);

 private:
  const std::string path_;
  const SqliteConnection::Disk disk_;
  Guarded<std::vector<std::unique_ptr<SqliteConnection>>> idle_;
};

// StagingIndex::CheckIntegrity(), by this connection.
Result<std::vector<std::string>> CheckSqliteIntegrity(SqliteConnection& connection);

// "stgf": tells an index from any other SQLite database (file(1) shows it).
constexpr int kSqliteApplicationId = 0x73746766;
// The layout of the index at `path`, 0 where it has none yet. kCorrupt; kUnsupported if a newer stagefs made it.
Result<int64_t> SqliteLayoutOf(SqliteConnection& connection, const std::string& path);
Error EmptySqliteIndex(const std::string& path);

}  // namespace stagefs
