// An index as plain rows, for moving it into another database. No index has to be able to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "stagefs/result.h"

namespace stagefs {

// The newest layout of its tables. An index of a newer one is refused, never guessed at.
constexpr int kSchemaVersion = 5;

// A row of one of the tables that make up an index: its key first.
using IndexValue = std::variant<std::monostate, int64_t, std::string>;
using IndexRow = std::vector<IndexValue>;

// Tables that move count from 0. Live mounts, working copies and other machines' marks do not move.
constexpr size_t kMovedTables = 12;

// Lives as long as the reader it came from.
class IndexRows {
 public:
  virtual ~IndexRows() = default;

  // Rows of table number `table` in order of their keys, after `after`.
  virtual Result<std::vector<IndexRow>> ListRows(size_t table, const std::optional<IndexRow>& after, size_t limit) = 0;
};

// Lives as long as the transaction it came from.
class IndexMove {
 public:
  virtual ~IndexMove() = default;

  // Into an index that has nothing: every row, table by table, then the end, after which what is new gets numbers that
  // nothing had before.
  virtual Status PutRow(size_t table, const IndexRow& row) = 0;
  virtual Status EndRows() = 0;
  // From the commit of this transaction on every other change is refused, saying `why`; questions are answered.
  virtual Status Freeze(const std::string& why) = 0;
};

}  // namespace stagefs
